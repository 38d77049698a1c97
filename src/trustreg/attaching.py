"""Where signing without a collection is put together: a key, what it signs, and where the signatures go."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

from trustreg import signing
from trustreg.dialects import simple
from trustreg.errors import KeyFileError, SettingError
from trustreg.identity import written
from trustreg.io.files import is_there, read_bounded
from trustreg.values import dataclass

if TYPE_CHECKING:
    from datetime import datetime

    from trustreg.names import Reference
    from trustreg.ports import HeldKey
    from trustreg.sign.signer import PublicKey, Signer
    from trustreg.signing import Signatory, Signed
    from trustreg.wire import Wiring


@dataclass(frozen=True, kw_only=True)
class By:
    """The key that signs: ``key`` or ``gpg``, and not both.

    Attributes:
        key: A file with a private key, how the id of a key begins that is here, or the URI of one that is elsewhere.
        public: A file with the public key, for a URI that is not known here.
        gpg: A GPG key, see :meth:`trustreg.io.gpgkeys.GpgKeys.find`.
        gpg_home: The home of ``gpg`` that has it; ``None`` for the usual one.
    """

    key: str | None = None
    public: Path | None = None
    gpg: str | None = None
    gpg_home: Path | None = None


class Attaching:
    """Signs images by one key. Close it, or use ``with``.

    Args:
        wiring: Knows the way to registries, places and keys.
        by: The key.
        to: The place for the signatures; ``None`` for the usual one.

    Raises:
        SettingError: It is not said which key signs.
        KeyFileError, KeyKindError, PassphraseError, GpgError: The key cannot be used.
    """

    def __init__(self, wiring: Wiring, by: By, to: str | None = None) -> None:
        if (by.key is None) == (by.gpg is None):
            raise SettingError("key", "say which one key signs, a plain one or one of GPG")
        self._wiring, self._to = wiring, to
        self._gpg = _Gpg(wiring, by.gpg, by.gpg_home) if by.gpg is not None else None
        self._signatory: Signatory = self._gpg.signatory if self._gpg else _by_key(wiring, by.key or "", by.public)
        self.called = self._gpg.called if self._gpg else self.key
        """The key as people know it."""

    @property
    def key(self) -> str:
        """The fingerprint of the GPG key, or the sha256 of the public key."""
        return self._signatory.key

    def sign(self, image: Reference, now: datetime, name: str | None = None, *, recursive: bool = True) -> Signed:
        """Sign *image* at the time *now*, as *name* where one is given; see :func:`trustreg.signing.sign`.

        Raises:
            TrustregError: See there; or *name* is no name, or the place none that takes such signatures.
        """
        wiring, image = self._wiring, self._wiring.logical(image)
        named = written(name) if name else None
        if self._to:
            place = wiring.signature_place(image, self._to)
        else:
            place = wiring.default_place(image, self._signatory.form)
        return signing.sign(image, wiring, self._signatory, place, now, name=named, recursive=recursive)

    def close(self) -> None:
        """Remove what it took to verify GPG signatures."""
        if self._gpg:
            self._gpg.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Gpg:
    def __init__(self, wiring: Wiring, text: str, home: Path | None) -> None:
        from trustreg.io.gpg import GpgSigner
        from trustreg.io.gpgkeys import GpgKeys

        found = GpgKeys(home, wiring.env).find(text)
        self.called = str(found)
        signer = GpgSigner(found.fingerprint, home, wiring.passphrases(), wiring.env)
        self.signatory = signing.ByGpg(signer, signer.keyring.verify)
        self.close = signer.close


def _by_key(wiring: Wiring, text: str, public: Path | None) -> Signatory:
    is_file = is_there(text)
    if public and (is_file or not _URI.match(text)):
        raise SettingError("--public", f"it is for the URI of a signer, and {text} is none")
    if is_file:
        return signing.ByKey(_in_file(wiring, Path(text)), text)
    if _URI.match(text):
        known = next((held for held in wiring.here().values() if held.uri == text), None)
        return signing.ByKey(_elsewhere(wiring, text, _public_half(text, public, known)), text)
    try:
        held = wiring.held(text)
    except KeyFileError as exc:
        exc.add_note(f"or name a file that is there: {text} is none")
        raise
    if held.uri:
        return signing.ByKey(_elsewhere(wiring, held.uri, _public_half(held.uri, None, held)), held.uri)
    return signing.ByKey(wiring.keystore().open(held), held.id)


def _in_file(wiring: Wiring, path: Path) -> Signer:
    from trustreg.sign.keyfile import LARGEST_KEY_FILE, read_key_file
    from trustreg.sign.signer import LocalSigner

    keys = read_key_file(read_bounded(path, LARGEST_KEY_FILE, pipes=True), str(path))
    if len(keys) != 1:
        raise KeyFileError(str(path), f"it holds {len(keys)} keys, and one was due")
    if keys[0].encrypted:
        return LocalSigner(wiring.passphrases().unlock(str(path), None, None, keys[0].open))
    return LocalSigner(keys[0].open())


def _elsewhere(wiring: Wiring, uri: str, public: PublicKey) -> Signer:
    from trustreg.io.uri import UriSigner

    # RSA is what leaves a choice of schemes.
    return UriSigner(uri, public, partial(wiring.passphrases().secret, uri), simple.SCHEMES["rsa"])


def _public_half(uri: str, public: Path | None, known: HeldKey | None) -> PublicKey:
    from trustreg.sign.keyfile import LARGEST_KEY_FILE, public_pem, read_public

    if public:
        return read_public(read_bounded(public, LARGEST_KEY_FILE), str(public))
    if known:
        return read_public(public_pem(known.kind, known.public), known.where)
    failed = SettingError("--key", f"{uri} does not say what its public key is")
    failed.add_note("name a file with it: --public FILE; or keep it: trustreg key add-uri")
    raise failed


_URI = re.compile(r"[a-z][a-z0-9+.-]*:")

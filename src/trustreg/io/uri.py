"""Keys that live elsewhere: in an HSM, a cloud's key service, a file that another program manages.

Anything that securesystemslib has a signer for, ``hsm:``, ``awskms:``, ``gcpkms:``, ``azurekms:``, ``hv:``, ``file2:``
and more, or that a program adds to its table. This is the only module that imports ``securesystemslib.signer``: it
loads every SDK it finds, which can take half a second.
"""

from collections.abc import Callable
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from trustreg.errors import KeyKindError, PassphraseError, SettingError, SignerError
from trustreg.metadata import Signature
from trustreg.sign.signer import PublicKey, Way, describe, find_scheme, fixed_width


class UriSigner:
    """Signs with the private key behind a securesystemslib signer URI.

    Every signature is verified before it is handed on: what comes from elsewhere may come from another key.

    Args:
        uri: ``hsm:2?label=token``, ``file2:/path/to.pem``, …
        public: The public key; URIs do not name it.
        secret: Returns the secret of that name, when the signer asks for one: ``pin``.
        scheme: What it is to sign in, where securesystemslib leaves a choice: for RSA keys.

    Raises:
        SettingError: No signer knows the scheme of *uri*.
        KeyKindError: A signer of this kind of key signs in a way that trust metadata has no use for.
        SignerError: There is no signer to be had: not installed, not plugged in, not reachable.
    """

    def __init__(self, uri: str, public: PublicKey, secret: Callable[[str], str], scheme: str = "") -> None:
        self.uri = uri
        self.kind, self.public = describe(public)
        self._public, self.scheme = public, _scheme(uri, public, scheme)
        self._signer = self._connect(secret)

    def sign(self, payload: bytes, keyid: str, scheme: str = "") -> Signature:
        """Sign *payload* in the name of *keyid*; see :meth:`trustreg.sign.signer.Signer.sign`.

        Raises:
            KeyKindError: What is behind the URI does not sign in *scheme*.
            PassphraseError: A PIN is missing or wrong. It is not tried again: tokens lock themselves.
            SignerError: The signer failed, or signed with another key.
        """
        way = find_scheme(self._public, keyid, scheme)
        if way.scheme not in {self.scheme, *_ALIKE.get(self.scheme, ())}:
            raise KeyKindError(keyid, self.kind, f"what is behind {self.uri} does not sign as {way.scheme}")
        try:
            value = bytes.fromhex(self._signer.sign(payload).signature)
        except PassphraseError:
            raise
        except Exception as exc:  # a signer may raise anything, says its documentation
            if type(exc).__name__.startswith("Pin"):
                raise PassphraseError(self.uri, f"the PIN was not accepted ({type(exc).__name__})") from exc
            raise SignerError(self.uri, _said(exc)) from exc
        try:
            return Signature(keyid=keyid, scheme=way.scheme, value=self._checked(value, payload, way))
        except (InvalidSignature, ValueError) as exc:
            problem = f"what it signed does not verify as {way.scheme} with the public key it was set up with"
            raise SignerError(self.uri, problem) from exc

    def _connect(self, secret: Callable[[str], str]) -> Any:
        from securesystemslib.signer import SIGNER_FOR_URI_SCHEME, SSlibKey  # type: ignore[attr-defined]
        from securesystemslib.signer import Signer as Foreign  # type: ignore[attr-defined]

        scheme = self.uri.partition(":")[0]
        if scheme not in SIGNER_FOR_URI_SCHEME:
            known = ", ".join(f"{name}:" for name in sorted(SIGNER_FOR_URI_SCHEME))
            raise SettingError(f"signer URI {self.uri}", f"its scheme is none of {known}")
        try:
            key = SSlibKey.from_crypto(self._public, scheme=self.scheme)
            return Foreign.from_priv_key_uri(self.uri, key, secret)
        except PassphraseError:
            raise
        except Exception as exc:
            raise SignerError(self.uri, _said(exc)) from exc

    def _checked(self, value: bytes, payload: bytes, way: Way) -> bytes:
        public = self._public
        if isinstance(public, ed25519.Ed25519PublicKey):
            public.verify(value, payload)
        elif isinstance(public, ec.EllipticCurvePublicKey):
            public.verify(value, payload, ec.ECDSA(way.digest))
            return fixed_width(value, public.curve.key_size) if way.fixed_width else value
        else:
            public.verify(value, payload, way.padding, way.digest)
        return value


def _scheme(uri: str, public: PublicKey, wanted: str) -> str:
    """Return what securesystemslib calls the way its signers sign with a key like *public*."""
    if isinstance(public, ed25519.Ed25519PublicKey):
        return "ed25519"
    if isinstance(public, rsa.RSAPublicKey):
        return wanted or "rsassa-pss-sha256"
    if (scheme := _CURVES.get(public.curve.name)) is None:
        raise KeyKindError(uri, f"ecdsa on {public.curve.name}", "no signer takes this curve")
    return scheme


def _said(exc: Exception) -> str:
    text = " ".join(str(exc).split())
    return f"{type(exc).__name__}: {text}" if text else type(exc).__name__


_CURVES = {
    "secp256r1": "ecdsa-sha2-nistp256",
    "secp384r1": "ecdsa-sha2-nistp384",
    "secp521r1": "ecdsa-sha2-nistp521",
}
_ALIKE = {  # what Notary calls a scheme, or spells otherwise
    "ecdsa-sha2-nistp256": ("ecdsa-p1363-sha256", "ecdsa-der-sha256"),
    "rsassa-pss-sha256": ("rsa-pss-sha256",),
}

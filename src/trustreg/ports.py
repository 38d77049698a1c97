"""What use cases need from the world. Adapters in ``io`` provide it; tests hand over dicts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias

from trustreg.values import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime
    from typing import BinaryIO

    from trustreg.errors import UntrustedError
    from trustreg.names import Digest, Reference
    from trustreg.sign.changes import Change
    from trustreg.sign.signer import Signer
    from trustreg.verify.requests import Keep, Memory, Want


class Repository(Protocol):
    """The published files of one collection."""

    @property
    def where(self) -> str:
        """Name it in messages: the server's address."""

    def fetch(self, want: Want) -> bytes | None:
        """Return the file, or ``None`` where the server says that it has no such file.

        Raises:
            UnavailableError: No answer could be had; :class:`OfflineError` if nobody answered at all.
            TooLargeError: The file is longer than ``want.limit``.
        """


class TrustServer(Repository, Protocol):
    """One collection on a server that takes uploads and signs timestamps."""

    def publish(self, files: Mapping[str, bytes]) -> None:
        """Hand over new files by role: all of them or none.

        Raises:
            ConflictError: A version in *files* is taken; read again and retry.
            PublishRefusedError: The server finds fault with the files.
            UnavailableError: No answer could be had; whether it was published is not known.
        """

    def server_key(self, role: str) -> bytes:
        """Return the public key the server will sign *role* with, as the server writes it."""

    def rotate_server_key(self, role: str) -> bytes:
        """Have the server make a new key for *role*; it counts once a root lists it."""

    def delete(self) -> None:
        """Remove the collection from the server."""


class ReplicaServer(Repository, Protocol):
    """One collection on a server that takes what others sign."""

    def replicate(self, files: Mapping[str, bytes]) -> None:
        """Hand over files of a collection that is signed elsewhere; of its root each version, as ``7.root``.

        Raises:
            PublishRefusedError: The server finds fault with the files, or is none that takes replicas.
            ConflictError: A version in *files* is taken.
            UnavailableError: No answer could be had; whether it was taken is not known.
        """


@dataclass(frozen=True, kw_only=True)
class Write:
    """One step of a publication: ``path`` gets ``data``.

    ``was`` is what has to be there now. ``None`` means that nothing may be there yet, or these very bytes.
    """

    path: str
    data: bytes = field(repr=False)
    was: bytes | None = field(default=None, repr=False)


class Store(Repository, Protocol):
    """A place that keeps the files of one collection and signs nothing: a folder, a bucket, a registry."""

    def write(self, writes: Sequence[Write]) -> None:
        """Carry out *writes* in their order, each only if its condition holds at that very moment.

        Whoever reads meanwhile sees those up to some point, each file whole. The first that does not hold ends it; a
        store that can do all or nothing does nothing then.

        Raises:
            TakenError: Something else is there than a write expects.
            UnavailableError: It is not known how far it got. The same writes may be tried again.
        """

    def names(self) -> Iterator[str]:
        """Yield the paths of all metadata files, those that nothing refers to included."""

    def remove(self, paths: Iterable[str]) -> None:
        """Remove metadata files; fine where they are gone."""

    def upload(self, path: str, source: BinaryIO, length: int) -> None:
        """Store *length* bytes of *source* as the target file *path*, which is named after its digest.

        Raises:
            UnavailableError: It could not be done, or *source* ended early; nothing is at *path* that was not there.
        """


class Stream(Protocol):
    """The bytes of a target file from ``start`` on; 0 where the other side cannot begin elsewhere."""

    start: int

    def __iter__(self) -> Iterator[bytes]:
        """Yield them piece by piece; raise :class:`UnavailableError` where they end early."""


class TargetFiles(Protocol):
    """Where target files can be had."""

    def open(self, path: str, start: int = 0) -> AbstractContextManager[Stream | None]:
        """Open the target file *path*, from byte *start* on if possible; ``None`` where there is no such file.

        Raises:
            UnavailableError: No answer could be had.
        """


class Cache(Protocol):
    """What is remembered of one collection between runs, and shared by several processes."""

    def memory(self) -> Memory:
        """Return what is remembered; an empty :class:`Memory` the first time."""

    def recall(self, role: str) -> bytes | None:
        """Return the bytes kept for *role*. They are input like any other: nothing vouches for them."""

    def keep(self, keep: Keep) -> None:
        """Store files and memory together; never lower a floor that another process has raised meanwhile."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """An image manifest or index as the registry served it; ``digest`` is computed from ``raw``."""

    media_type: str
    digest: Digest
    raw: bytes = field(repr=False)


class Registry(Protocol):
    """Where images live."""

    def manifest(self, reference: Reference) -> Manifest:
        """Return what the registry serves for the tag of *reference*, or for its digest if it has no tag.

        Raises:
            NotInRegistryError: The registry has no such image.
            ContentError: The bytes do not have the digest that was asked for.
            UnavailableError: No answer could be had.
        """


class Shelves(Registry, Protocol):
    """A registry that says what it holds without handing it over."""

    def digest(self, reference: Reference) -> Digest | None:
        """Return the digest of what it says that it has for the tag of *reference*, or for its digest without a tag.

        ``None`` where it says that it has none. It is its word: no bytes came, and nothing was computed.

        Raises:
            UntrustedError, UnavailableError: As :meth:`Registry.manifest` does, but for :class:`NotInRegistryError`.
        """


@dataclass(frozen=True, kw_only=True)
class HeldKey:
    """A private key that is here: ``id`` is that of the plain public key, ``where`` its file.

    ``kind`` and ``public`` are empty where the file is encrypted and says neither, as those of the Go client do;
    ``role`` is empty where the file does not say. Nothing vouches for any of them before the key is opened.
    """

    id: str
    kind: str
    role: str
    gun: str | None
    public: bytes = field(repr=False)
    where: str
    uri: str | None = None  # a securesystemslib signer URI, where the key lives elsewhere


class KeyStore(Protocol):
    """The private keys that are here."""

    def keys(self) -> tuple[HeldKey, ...]:
        """Return all keys, without opening any."""

    def open(self, held: HeldKey) -> Signer:
        """Return a signer for *held*, asking for its passphrase where it needs one.

        Raises:
            PassphraseError: It is wrong or cannot be had.
        """

    def add(self, signer: Signer, role: str, gun: str | None) -> HeldKey:
        """Store the key of *signer* encrypted; raise :class:`ExistsError` if it is here."""

    def remove(self, held: HeldKey) -> None:
        """Forget *held*."""


class Stage(Protocol):
    """Changes that wait to be published."""

    def changes(self) -> tuple[tuple[str, Change], ...]:
        """Return the changes in the order they were staged, each with the name to clear it by."""

    def add(self, change: Change) -> None:
        """Stage one more."""

    def clear(self, names: Iterable[str]) -> None:
        """Forget these changes."""


@dataclass(frozen=True, kw_only=True)
class Message:
    """A signature as an OpenPGP message, as it was found at ``where``: nothing in it was verified."""

    where: str
    raw: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Detached:
    """A signature beside what it signs, as it was found at ``where``: nothing in it was verified."""

    where: str
    payload: bytes = field(repr=False)
    signature: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Garbage:
    """Something at ``where``, among signatures, that is none. It never counts; ``error`` says what is wrong with it."""

    where: str
    error: UntrustedError


Attached: TypeAlias = Message | Detached | Garbage


class SignaturePlace(Protocol):
    """Where signatures of manifests are kept: beside the registry, or in it."""

    where: str
    holds: frozenset[type[Message | Detached]]
    """What kinds of signatures can be there."""

    def read(self, image: Reference, digest: Digest) -> Iterator[Attached]:
        """Yield what is kept for the manifest *digest* in the repository of *image*; nothing where there is nothing.

        Raises:
            UnavailableError: An answer could not be had.
        """


class WritablePlace(SignaturePlace, Protocol):
    """A place that takes signatures."""

    def add(self, image: Reference, digest: Digest, signature: Message | Detached) -> str:
        """Keep *signature*, whose ``where`` does not matter, beside those that are there; return where it is.

        One that is there already is not added again.

        Raises:
            UnavailableError: It is not known whether it was kept. It may be tried again.
        """

    def remove(self, image: Reference, digest: Digest, signature: Message | Detached) -> None:
        """Remove *signature*, as :meth:`read` returned it, from wherever it is by now; fine where it is gone.

        Raises:
            UnavailableError: It could not be done.
        """


@dataclass(frozen=True, kw_only=True)
class Vouched:
    """What a GPG key signed: ``fingerprint`` is that of its primary key, ``made`` when it says that it signed.

    ``expires`` is when the signature or that key does, if one of them says so.
    """

    content: bytes = field(repr=False)
    fingerprint: str
    made: datetime
    expires: datetime | None = None


class OpenPgp(Protocol):
    """What verifies OpenPGP messages."""

    def verify(self, keys: tuple[bytes, ...], message: bytes, now: datetime) -> Vouched:
        """Return what *message* says, if one of *keys*, exported public keys, signed it.

        Raises:
            FormatError: It is not one opaque, binary message with one signature.
            GpgSignatureError: The signature is not good at *now*, or by another key.
            GpgError: gpg does not work.
        """

"""The seam between what metadata says and how it is written.

TUF 1.0 and Notary v1 differ in spelling, not in truth. A dialect reads bytes into the model, writes the model
into bytes and says what a file is called; it decides nothing.
"""

from collections.abc import Iterable, Mapping
from typing import Protocol

from trustreg.metadata import Envelope, FileMeta, Key, Signature, Signed


class Dialect(Protocol):
    """A way to write trust metadata."""

    @property
    def name(self) -> str:
        """Name it, as vectors and messages do."""

    def decode(self, role: str, raw: bytes) -> Envelope[Signed]:
        """Read *raw* as metadata of *role*.

        Raises:
            FormatError: It is not; the path says where.
        """

    def payload(self, signed: Signed) -> bytes:
        """Return the bytes that signatures of *signed* cover."""

    def encode(self, payload: bytes, signatures: Iterable[Signature]) -> bytes:
        """Return the file that carries *payload* and *signatures*."""

    def locate(self, role: str, listed: FileMeta | None = None, version: int | None = None) -> str:
        """Return the path of *role*: as *listed* by trusted metadata, of that *version*, or the current one."""

    def amend(self, targets: Mapping[str, FileMeta], name: str, meta: FileMeta | None) -> Mapping[str, FileMeta]:
        """Return *targets* with *name* listed as *meta*, or not at all where that is ``None``."""

    def key(self, kind: str, public: bytes = b"", certificates: tuple[bytes, ...] = ()) -> Key:
        """Return the key as this dialect lists it, under the id this dialect gives it."""

    def read_key(self, raw: bytes) -> Key:
        """Read the public key that a server offers for a role it signs itself.

        Raises:
            FormatError: It is none.
        """

"""The seam between what metadata says and how it is written.

TUF 1.0 and Notary v1 differ in spelling, not in truth. A dialect reads bytes into the model, writes the model
into bytes and says what a file is called; it decides nothing. The few points in which the two specifications ask for
something else are facts that it states: :class:`Rules`.
"""

from collections.abc import Iterable, Mapping
from typing import Protocol

from trustreg.metadata import Envelope, FileMeta, Key, Signature, Signed
from trustreg.values import dataclass


@dataclass(frozen=True, kw_only=True)
class Rules:
    """In what the specifications differ.

    Attributes:
        by_version: Files are told apart by their version: a timestamp of the version that is known is that one, and
            what a snapshot lists may not fall (TUF 1.0.34 sections 5.4.3 and 5.5.5). If not, they are told apart by
            their bytes, and other bytes under a known version are refused.
        stepwise: A file is kept as soon as it has passed (5.3.8, 5.4.5, 5.5.7), not all of them together.
        tree: A name is looked up through the tree of delegations, depth first (5.6.7), and a role that is delegated to
            has to be there. If not, roles are asked in an order that the reader chooses, their names say who delegates
            to them, and one may be delegated to before it is published.
    """

    by_version: bool
    stepwise: bool
    tree: bool


class Dialect(Protocol):
    """A way to write trust metadata."""

    @property
    def name(self) -> str:
        """Name it, as vectors and messages do."""

    @property
    def rules(self) -> Rules:
        """Say in what its specification differs from others."""

    def decode(self, role: str, raw: bytes) -> Envelope[Signed]:
        """Read *raw* as metadata of *role*.

        Raises:
            FormatError: It is not; the path says where.
        """

    def payload(self, signed: Signed) -> bytes:
        """Return the bytes that signatures of *signed* cover; raise :class:`ValueError` where they have no form."""

    def encode(self, payload: bytes, signatures: Iterable[Signature]) -> bytes:
        """Return the file that carries *payload* and *signatures*."""

    def locate(
        self, role: str, listed: FileMeta | None = None, version: int | None = None, *, consistent: bool = False
    ) -> str:
        """Return the path of *role*: as *listed* by trusted metadata, of that *version*, or the current one.

        *consistent* is what the root says of snapshots.
        """

    def kept_as(self, role: str) -> str:
        """Return the relative path under which a cache keeps *role*: safe, and another for each role.

        Raises:
            ValueError: There can be no such role.
        """

    def listed(self, raw: bytes, version: int) -> FileMeta:
        """Return how a snapshot or timestamp lists the file *raw*."""

    def amend(self, targets: Mapping[str, FileMeta], name: str, meta: FileMeta | None) -> Mapping[str, FileMeta]:
        """Return *targets* with *name* listed as *meta*, or not at all where that is ``None``.

        Raises:
            ValueError: Another tool that publishes in this dialect could not sign that again.
        """

    def key(self, kind: str, public: bytes = b"", certificates: tuple[bytes, ...] = ()) -> Key:
        """Return the key as this dialect lists it, under the id this dialect gives it."""

    def read_key(self, raw: bytes) -> Key:
        """Read a public key as this dialect writes it.

        Raises:
            FormatError: It is none.
        """

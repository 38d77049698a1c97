"""The use cases of programs that read any TUF repository: refresh, look a target up, know its file when it comes.

Everything is a flow of requests: ``client.drive`` runs it, and so does whatever waits for answers in another way.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, cast

from trustreg.client import from_memory
from trustreg.dialect import Dialect
from trustreg.dialects.tuf1 import cut, quote
from trustreg.errors import ContentError, UntrustedError
from trustreg.metadata import STRONG, Envelope, Root, target_path
from trustreg.names import ROOT, Gun
from trustreg.values import dataclass, field
from trustreg.verify.pinning import Pins, anchor
from trustreg.verify.requests import Floor, Keep, Memory, Remember
from trustreg.verify.workflow import RELEASED, Flow, Found, Limits, Workflow


@dataclass(frozen=True, kw_only=True)
class Target:
    """A target file as the repository's roles list it.

    Attributes:
        name: What it is called there; any text, and not the name of a file here.
        length: Its length in bytes.
        hashes: Its digests by algorithm.
        custom: What its publishers added, as parsed JSON, or ``None``.
        role: The role that lists it.
        keyids: Ids of the keys that vouched for that role.
        path: Where the repository has it, below where it has its target files.
        expires: When the first of the files relied on expires.
    """

    name: str
    length: int
    hashes: Mapping[str, bytes] = field(hash=False)
    custom: Any = field(hash=False)
    role: str
    keyids: tuple[str, ...]
    path: str
    expires: datetime

    @property
    def file_name(self) -> str:
        """The name as one safe file name: what is no letter, digit, ``_``, ``.``, ``-`` or ``~`` is percent-encoded."""
        plain = quote(self.name)
        safe = f"%2E{plain[1:]}" if plain.startswith(".") else plain
        return cut(safe, self.name, _LONGEST_NAME)


class Reader:
    """Reads one repository.

    Args:
        gun: What messages call it.
        dialect: How its metadata is written.
        where: Its address, for messages.
        pins: What the caller knows of its root.
        limits: What its metadata may cost.
        max_age: For how long what was read may answer again without anybody being asked.
        root_age: For how long nobody is asked for a newer root, where something else has to be asked for.
        roles: The roles whose word counts, in order, where there is no tree of delegations.
    """

    def __init__(
        self,
        gun: Gun,
        dialect: Dialect,
        *,
        where: str,
        pins: Pins,
        limits: Limits | None = None,
        max_age: timedelta = timedelta(0),
        root_age: timedelta = timedelta(0),
        roles: tuple[str, ...] = RELEASED,
    ) -> None:
        self._roles = roles
        self._gun, self._dialect, self._where = gun, dialect, where
        self._pins, self._limits = pins, limits
        self._max_age, self._root_age = max_age, root_age
        self._workflow: Workflow | None = None
        self._alone = False

    def refresh(self, now: datetime) -> Flow[None]:
        """Bring the top-level roles up to date as of *now*; within ``max_age``, by what is remembered."""
        if self._max_age:
            memory = yield Remember()
            refreshed = memory.refreshed if isinstance(memory, Memory) else None
            if refreshed and timedelta(0) <= now - refreshed <= self._max_age:
                try:
                    yield from self.recall(now)
                except UntrustedError:
                    pass  # something has expired, or is missing: ask
                else:
                    self._alone = False  # other roles may be asked for
                    return
        workflow = self._begun(now, self._where, self._root_age)
        self._workflow = None
        yield from workflow.refresh()
        self._workflow, self._alone = workflow, False

    def recall(self, now: datetime) -> Flow[None]:
        """Read the top-level roles as they are remembered: the same checks, as of *now*, and nobody is asked."""
        workflow = self._begun(now, "the cache")
        self._workflow = None
        yield from from_memory(workflow.refresh(recalled=True), self._dialect)
        self._workflow, self._alone = workflow, True

    def find(self, name: str) -> Flow[Target | None]:
        """Look the target *name* up, as of the last refresh; ``None`` where no role that may lists it.

        After :meth:`recall`, nobody is asked for this either.
        """
        workflow = self.workflow
        flow = workflow.find(name, self._roles)
        found = yield from from_memory(flow, self._dialect) if self._alone else flow
        return self._target(workflow, found) if found else None

    @property
    def workflow(self) -> Workflow:
        """What was read last; :class:`RuntimeError` where that failed."""
        if self._workflow is None:
            raise RuntimeError("refresh() comes first")
        return self._workflow

    def _begun(self, now: datetime, where: str, root_age: timedelta = timedelta(0)) -> Workflow:
        return Workflow(
            self._dialect, self._gun, now, pins=self._pins, limits=self._limits, where=where, root_age=root_age
        )

    def _target(self, workflow: Workflow, found: Found) -> Target:
        meta = found.meta
        return Target(
            name=found.name,
            length=meta.length or 0,
            hashes=meta.hashes,
            custom=meta.custom,
            role=found.role,
            keyids=found.signers,
            path=target_path(found.name, meta, consistent=workflow.root.signed.consistent_snapshot),
            expires=workflow.expires(found.chain),
        )


def begin(raw: bytes, dialect: Dialect, gun: Gun) -> Keep:
    """Return what is to be kept of a collection of which nothing is known but that the root *raw* is trusted.

    Whether it has expired matters when it is used (TUF 1.0.34 section 5.3.10).

    Raises:
        UntrustedError: It is no root that signs itself.
    """
    claim = dialect.decode(ROOT, raw)
    root = anchor(cast("Envelope[Root]", claim), gun)
    floor = Floor(root.signed.version, hashlib.sha256(raw).hexdigest(), root.fingerprints)
    return Keep({ROOT: raw}, Memory({ROOT: floor}))


class Receipt:
    """The bytes of *target* as they come in, measured and digested piece by piece."""

    def __init__(self, target: Target) -> None:
        self._name, self._length = f"the target {target.name}", target.length
        self._due = {name: target.hashes[name].hex() for name in STRONG if name in target.hashes}
        if not self._due:
            raise ContentError(self._name, "a sha256 or sha512 digest", "none")
        self._digests = {name: hashlib.new(name) for name in self._due}
        self.length = 0

    def take(self, piece: bytes) -> None:
        """Take the next piece; raise :class:`ContentError` where that is more than the target has."""
        self.length += len(piece)
        if self.length > self._length:
            raise ContentError(self._name, f"{self._length} bytes", f"at least {self.length} bytes")
        for digest in self._digests.values():
            digest.update(piece)

    def close(self) -> None:
        """Require all that came to be the target.

        Raises:
            ContentError: It is not: TUF 1.0.34 section 5.7.3.
        """
        if self.length != self._length:
            raise ContentError(self._name, f"{self._length} bytes", f"{self.length} bytes")
        for name, due in self._due.items():
            if (actual := self._digests[name].hexdigest()) != due:
                raise ContentError(self._name, f"{name}:{due}", f"{name}:{actual}")


_LONGEST_NAME = 200  # characters; a file name has 255 bytes

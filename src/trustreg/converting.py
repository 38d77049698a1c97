"""Where a conversion is put together: the old collection, the new place, the keys of both, and the statement."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, TypeVar

import orjson

from trustreg import conversion, signing, statement
from trustreg.client import content_of
from trustreg.dialects.index import platforms
from trustreg.errors import (
    ContentError,
    ExistsError,
    FormatError,
    KeyFileError,
    NameFormError,
    NoKeyError,
    NotInRegistryError,
    PublishRefusedError,
    SettingError,
    ThresholdError,
    TrustregError,
    UnauthorizedError,
    UnavailableError,
    UntrustedError,
)
from trustreg.io.files import private_dir, read_if_present, write_atomically
from trustreg.io.gpg import GpgSigner, Keyring
from trustreg.io.settings import of_place
from trustreg.io.signatures.lookaside import Lookaside
from trustreg.io.signatures.numbered import FolderFiles
from trustreg.metadata import Signature
from trustreg.names import ROOT, TARGETS, Digest, Gun, Reference
from trustreg.signing import ByGpg, OfGpg
from trustreg.statement import Collection, GpgKey, Statement
from trustreg.values import dataclass
from trustreg.verify.workflow import RELEASED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from trustreg import client
    from trustreg.conversion import Gathered, Plan, Tag
    from trustreg.wire import Wiring

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, kw_only=True)
class To:
    """Where to, and by which keys.

    Attributes:
        place: ``dir:``, ``s3:``, ``gs:``, ``az:`` or ``oci:`` and so on for a store, an URL for a trust server, and
            ``lookaside:FOLDER`` for GPG signatures.
        pins: Ids of root keys that the collection there has to have.
        use: Keys that are here, to begin a collection there with, by the beginnings of their ids.
        root_kind: Kind of a new root key, see :meth:`trustreg.wire.Wiring.init`.
        kind: Kind of the other new keys.
        gpg_key: Fingerprint of the primary key to sign with.
        gpg_home: The home of ``gpg`` that has it; ``None`` for the usual one.
        index_only: Leave the platforms of an index alone.
    """

    place: str
    pins: tuple[str, ...] = ()
    use: tuple[str, ...] = ()
    root_kind: str | None = None
    kind: str = "ed25519"
    gpg_key: str | None = None
    gpg_home: Path | None = None
    index_only: bool = False


class Conversion:
    """Converts the tags of the repository *gun*, or all of a collection, that *site* has.

    Close it, or use ``with``.

    Args:
        wiring: Of the old collection.
        gun: What is to be converted.
        to: Where to.
        site: Where the old collection is, if not where *wiring* says.
        overwrite: Let the old collection have the last word on tags of which the new one says something else.
        compare: Ask the registry what it serves for each tag, and note where that is something else.
    """

    def __init__(
        self,
        wiring: Wiring,
        gun: Gun,
        to: To,
        *,
        site: client.Site | None = None,
        overwrite: bool = False,
        compare: bool = False,
    ) -> None:
        self._wiring, self._gun, self._compare = wiring, gun, compare
        self._site = site or wiring.site(gun)
        self._now, self._today = wiring.now(), wiring.today()
        self._there = _destination(wiring, gun, to, overwrite=overwrite)
        self.where = self._there.where

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._there.close()

    def plan(self) -> Plan:
        """Return what is to be done. Nothing is changed.

        Raises:
            UntrustedError: A top-level role of one of the collections failed a check.
            UnavailableError: An answer could not be had.
        """
        plan = self._there.plan(conversion.gather(self._site, self._gun, self._now))
        return self._compared(plan) if self._compare else plan

    def run(self, plan: Plan, path: Path, *, old_keys: bool = True) -> Statement:
        """Do what *plan* says, and leave a statement at *path*.

        Args:
            plan: What :meth:`plan` returned.
            path: A statement of the same conversion that is there already stays, or makes way for a newer one.
            old_keys: Sign the statement with the keys of the old collection that are here, too.

        Raises:
            ExistsError: Something else is at *path*.
            NoKeyError: No key is here that can sign for the new collection.
            TrustregError: Something else went wrong. What was done was done: run it again.
        """
        before = _statement_at(path, plan.source.collection, self.where)
        find = self._wiring.publisher().finder()
        root = plan.source.root.signed
        old = statement.keys_here(root, find) if old_keys else ()
        side, new = self._there.convert(plan)
        made = Statement(
            made=self._today,
            source=plan.source.collection,
            files=plan.source.files,
            destination=side,
            lines=plan.lines(),
            signed_by={"source": old, "destination": new},
        )
        if before and made.same(before) and set(old) <= set(before.signed_by["source"]):
            with suppress(UntrustedError):
                self._require(before, plan.source)
                return before
        payload = statement.spell(made)
        by_old = statement.sign(payload, root, find) if old else ()
        signatures = {one.keyid: one for one in (*by_old, *self._there.sign(payload))}
        raw = statement.seal(payload, signatures.values())
        signed = statement.read(raw)
        self._require(signed, plan.source)
        write_atomically(path, raw, 0o644)
        return signed

    def _require(self, signed: Statement, source: Gathered) -> None:
        if signed.signed_by["source"]:
            statement.vouched(signed, source.root, "source")
        self._there.require(signed)

    def _compared(self, plan: Plan) -> Plan:
        """Return *plan* with a note where the registry serves something else."""

        def note(step: conversion.Step) -> str:
            try:
                served = self._wiring.manifest(step.tag.image).digest
            except NotInRegistryError:
                return "the registry has no such tag any more"
            except TrustregError as exc:
                return f"the registry was not compared: {exc}"
            return "" if served == step.tag.digest else f"the registry serves {served}; converted as it was signed"

        notes = _at_once(note, plan.steps)
        noted = (replace(s, note="; ".join(filter(None, (s.note, n)))) for s, n in zip(plan.steps, notes, strict=True))
        return replace(plan, steps=tuple(noted))


class _Destination(Protocol):
    where: str

    def plan(self, source: Gathered) -> Plan: ...

    def convert(self, plan: Plan) -> tuple[Collection | GpgKey, tuple[str, ...]]: ...

    def sign(self, payload: bytes) -> tuple[Signature, ...]: ...

    def require(self, signed: Statement) -> None: ...

    def close(self) -> None: ...


def _destination(wiring: Wiring, gun: Gun, to: To, *, overwrite: bool) -> _Destination:
    scheme, _, rest = to.place.partition(":")
    if scheme == "lookaside":
        if not rest:
            raise SettingError("--to", "say which folder: lookaside:FOLDER")
        return _ToLookaside(wiring, Path(rest).expanduser(), to)
    return _ToCollection(elsewhere(wiring, to), gun, to, overwrite=overwrite)


def elsewhere(wiring: Wiring, to: To) -> Wiring:
    """Return what reads and writes the collection at the place of *to*.

    Raises:
        SettingError: It is no place of a collection.
    """
    is_server = to.place.startswith(("http://", "https://"))
    said: dict[str, Any] = {"server" if is_server else "store": to.place, "roles": list(RELEASED)}
    if to.pins:
        said["pins"] = {"keys": list(to.pins)}
    try:
        return wiring.elsewhere(of_place(said, "--to"))
    except SettingError as exc:
        exc.add_note("for GPG signatures: lookaside:FOLDER")
        raise


class _ToCollection:
    """A collection in a store, or on a trust server."""

    def __init__(self, wiring: Wiring, gun: Gun, to: To, *, overwrite: bool) -> None:
        self._wiring, self._gun, self._to, self._overwrite = wiring, gun, to, overwrite
        self._now = wiring.now()
        if self._site.gun == gun and not _is_repository(gun):
            raise SettingError("--to", f"{gun} is no repository: say which one is to be converted to this place")
        self._publisher, self.where = wiring.publisher(), wiring.place(gun)

    @property
    def _site(self) -> client.Site:
        """Where it is, as of now: some stores remember what they were asked before."""
        return self._wiring.site(self._gun)

    def plan(self, source: Gathered) -> Plan:
        return conversion.plan_collection(source, self._site, self._now, overwrite=self._overwrite)

    def convert(self, plan: Plan) -> tuple[Collection, tuple[str, ...]]:
        if self._publisher.staged(self._gun):
            raise SettingError("--to", f"changes of {self._site.gun} are staged there: publish or unstage them first")
        if plan.begin:
            self._begin()
        self._find = self._publisher.finder()
        there = conversion.require(replace(plan, steps=()), self._site, self._now).root.signed
        if not statement.keys_here(there, self._find):  # nobody could sign a statement
            raise NoKeyError(TARGETS, there.roles[TARGETS].keyids)
        conversion.publish(plan, self._site, self._publisher, self._now)
        self._root = conversion.require(plan, self._site, self._now).root
        gun, dialect = self._site.gun, self._site.dialect.name
        side = Collection(gun=gun, dialect=dialect, place=self.where, root=self._root.raw)
        return side, statement.keys_here(self._root.signed, self._find)

    def sign(self, payload: bytes) -> tuple[Signature, ...]:
        return statement.sign(payload, self._root.signed, self._find)

    def require(self, signed: Statement) -> None:
        statement.vouched(signed, self._root, "destination")

    def close(self) -> None:
        pass

    def _begin(self) -> None:
        """Begin the collection with a root key of its own, the same one where that broke off before."""
        to, keys = self._to, self._wiring.keystore()
        use = list(to.use)
        made = None
        if not any(self._wiring.held(start).role == ROOT for start in use):
            made = _NewRoot(self._wiring, f"{self.where} {self._site.gun}")
            use.append(made.key(to.root_kind or ("ed25519" if self._site.dialect.rules.tree else "ecdsa")))
        try:
            self._wiring.init(self._gun, root_kind=to.root_kind, kind=to.kind, use=use)
        except (PublishRefusedError, UnauthorizedError):
            if made:  # for certain nobody has seen it
                keys.remove(keys.find(use[-1]))
            raise


class _NewRoot:
    """The root key of a collection that is about to begin: noted before it is made, so that none is made in vain.

    The root key that is here is that of the old collection, as a rule. The new one is not to have it.
    """

    def __init__(self, wiring: Wiring, name: str) -> None:
        self._wiring = wiring
        self._note = wiring.trust_dir / "conversions" / f"{hashlib.sha256(name.encode()).hexdigest()}.json"

    def key(self, kind: str) -> str:
        """Return the id of the key; make it, and keep it here, where that was not done yet."""
        from trustreg.io.trustdir import claim_store
        from trustreg.sign.keyfile import key_id
        from trustreg.sign.signer import LocalSigner

        keys = self._wiring.keystore()
        raw = read_if_present(self._note, 1 << 16)
        with suppress(KeyFileError, ValueError, KeyError, TypeError):
            return keys.find(orjson.loads(raw or b"{}")["root"]).id
        signer = LocalSigner.generate(kind)
        keyid = key_id(signer.kind, signer.public)
        claim_store(self._wiring.trust_dir)
        private_dir(self._note.parent)
        write_atomically(self._note, orjson.dumps({"root": keyid}))
        keys.add(signer, ROOT, None)
        return keyid


class _ToLookaside:
    """A folder of GPG signatures."""

    def __init__(self, wiring: Wiring, folder: Path, to: To) -> None:
        if to.gpg_key is None:
            raise SettingError("--gpg-key", "say which key is to sign: the fingerprint of a primary key")
        self._wiring, self._now, self._index_only = wiring, wiring.today(), to.index_only
        self._folder = Lookaside(FolderFiles(folder))
        self.where = f"lookaside:{folder.absolute()}"
        self._signer = GpgSigner(to.gpg_key, to.gpg_home, wiring.passphrases(), wiring.env)
        self._by = ByGpg(self._signer, self._signer.keyring.verify)
        self._signed: dict[tuple[Reference, Digest], bool] = {}

    def plan(self, source: Gathered) -> Plan:
        tags = [tag for tag in source.tags if tag.digest.algorithm == "sha256"]
        more = dict(zip((tag.name for tag in tags), _at_once(self._manifests, tags), strict=True))
        pairs = [(tag.image, digest) for tag in tags for digest in (tag.digest, *more[tag.name][0])]
        found = _at_once(lambda pair: signed_in(self._folder, self._by, *pair, self._now), pairs)
        self._signed = dict(zip(pairs, found, strict=True))
        return conversion.plan_signatures(
            source, lambda tag: more[tag.name], lambda image, digest: self._signed[image, digest]
        )

    def convert(self, plan: Plan) -> tuple[GpgKey, tuple[str, ...]]:
        due = [
            (step.tag.image, digest)
            for step in plan.due
            for digest in (step.tag.digest, *step.manifests)
            if not self._signed[step.tag.image, digest]
        ]
        if due:
            self._add(due[0])  # where a person has to be asked for a passphrase, once
        _at_once(self._add, due[1:])
        fingerprint = self._signer.fingerprint
        return GpgKey(place=self.where, fingerprint=fingerprint, public=self._signer.public), (fingerprint,)

    def sign(self, payload: bytes) -> tuple[Signature, ...]:
        value = self._signer.sign(statement.preimage(payload), self._now)
        return (Signature(keyid=self._signer.fingerprint, scheme=OPENPGP, value=value),)

    def require(self, signed: Statement) -> None:
        vouched_by_gpg(signed, self._signer.keyring, self._now)

    def close(self) -> None:
        self._signer.close()

    def _add(self, pair: tuple[Reference, Digest]) -> None:
        image, digest = pair
        payload = signing.saying(str(image), digest, self._now)
        self._folder.add(image, digest, signing.signature(payload, self._by, self._now))

    def _manifests(self, tag: Tag) -> tuple[tuple[Digest, ...], str]:
        """Return the platforms of the index that *tag* is, and what is to be known of that."""
        if self._index_only:
            return (), ""
        try:
            served = self._wiring.manifest(Reference(tag.image.domain, tag.image.path, None, tag.digest))
            if len(served.raw) != tag.length:
                raise ContentError(tag.name, f"{tag.length} bytes", f"{len(served.raw)} bytes")
            return platforms(served.media_type, served.raw), ""
        except NotInRegistryError:
            return (), "the registry has it no more: if it is an index, its platforms are not signed"
        except TrustregError as exc:
            return (), f"if it is an index, its platforms are not signed: {exc}"


def signed_in(folder: Lookaside, by: OfGpg, image: Reference, digest: Digest, now: datetime) -> bool:
    """Say whether *folder* has a good signature of *digest* as *image*; see :func:`trustreg.signing.kept`."""
    return signing.kept(folder, image, signing.saying(str(image), digest, now), by, now) is not None


def vouched_by_gpg(signed: Statement, keyring: Keyring, now: datetime) -> None:
    """Require a key of *keyring*, the one that *signed* names as its destination, to have signed it.

    Raises:
        UntrustedError: It did not.
    """
    side = signed.destination
    mine = [one for one in signed.signatures if one.scheme == OPENPGP]
    if not isinstance(side, GpgKey) or len(mine) != 1 or keyring.fingerprints != (side.fingerprint,):
        raise ThresholdError("GPG", 1, 0, ("it has no signature of the GPG key that it names",))
    covered = statement.preimage(signed.payload)
    if keyring.verify(mine[0].value, now, len(covered)).content != covered:
        raise ThresholdError("GPG", 1, 0, ("the GPG signature is about something else",))


def _statement_at(path: Path, source: Collection, where: str) -> Statement | None:
    """Return the statement at *path*, if there is one that links *source* to *where*.

    Raises:
        ExistsError: Something else is there.
    """
    raw = read_if_present(path, statement.LARGEST * 2)
    if raw is None:
        return None
    try:
        found = statement.read(raw)
    except FormatError as exc:
        raise ExistsError(str(path)) from exc
    if (found.source.gun, found.destination.place) != (source.gun, where):
        raise ExistsError(f"{path}, a statement about {found.source.gun} and {found.destination.place},")
    return found


@dataclass(frozen=True, kw_only=True)
class Checked:
    """One side of a statement that holds.

    Attributes:
        role: The role whose keys signed it: ``root``, or else ``targets``; ``primary key`` for GPG.
        keyids: Those that did.
        known: How it is known that they are that collection's: see :func:`trustreg.conversion.familiar`; ``named`` for
            a GPG key that was named.
        compared: The tags of this side were compared.
        problem: Why they were not.
        differences: What is otherwise there than in the statement, a sentence each.
    """

    role: str
    keyids: tuple[str, ...]
    known: str
    compared: bool = True
    problem: str = ""
    differences: tuple[str, ...] = ()


def check(wiring: Wiring, raw: bytes, to: To) -> tuple[Statement, Checked, Checked]:
    """Verify a statement by keys of both sides, and compare the tags of both with it.

    The old collection need not be reachable, if its root is remembered or pinned here; the new one has to be.

    Args:
        wiring: Of the old collection.
        raw: The statement.
        to: Where the tags are said to be signed again.

    Returns:
        The statement, and what was found of the old side and of the new one.

    Raises:
        UntrustedError: A signature is missing or does not hold, or a root is not that of the collection.
        UnavailableError: An answer could not be had.
        SettingError: The statement is about another kind of place than *to*.
    """
    said, now = statement.read(raw), wiring.now()
    site = wiring.site(said.source.gun)
    old = _by_keys(site, said, said.source, "source", now)
    try:
        gathered = conversion.gather(site, said.source.gun, now)
    except UnavailableError as exc:
        old = replace(old, compared=False, problem=str(exc))
    else:
        found = {tag.name: (tag.digest, tag.length) for tag in gathered.tags}
        old = replace(old, differences=conversion.differences(said.lines, found))
    return said, old, _check_destination(wiring, said, to)


def _check_destination(wiring: Wiring, said: Statement, to: To) -> Checked:
    now, side = wiring.today(), said.destination
    is_lookaside = to.place.startswith("lookaside:")
    if isinstance(side, GpgKey) != is_lookaside:
        raise SettingError("--to", f"the statement is about {side.place}")
    if isinstance(side, GpgKey):
        if to.gpg_key is None or to.gpg_key.replace(" ", "").upper() != side.fingerprint:
            raise SettingError("--gpg-key", f"the statement names the key {side.fingerprint}: compare it, and name it")
        folder = Lookaside(FolderFiles(Path(to.place.partition(":")[2]).expanduser()))
        with Keyring([side.public], wiring.env) as keyring:
            vouched_by_gpg(said, keyring, now)
            missing = [
                f"{line.name}: {digest} has no good signature"
                for line in said.lines
                for digest in (line.digest, *line.manifests)
                if not signed_in(folder, OfGpg(keyring.verify), Reference.parse(line.name), digest, now)
            ]
        return Checked(role="primary key", keyids=(side.fingerprint,), known="named", differences=tuple(missing))
    site = elsewhere(wiring, to).site(said.source.gun)
    new = _by_keys(site, said, side, "destination", now)
    names = {site.target(Reference.parse(line.name)): line for line in said.lines}
    there = conversion.standing(site, now, names)
    found = {}
    for name, meta in (there[1] if there else {}).items():
        found[names[name].name] = content_of(name, meta)
    return replace(new, differences=conversion.differences(said.lines, found))


def _by_keys(site: client.Site, said: Statement, side: Collection, which: statement.Side, now: datetime) -> Checked:
    """Verify the signatures of one side, by a root that is known not only from the statement."""
    if site.dialect.name != side.dialect:
        raise SettingError("--to" if which == "destination" else "GUN", f"the statement is about {side.place}")
    role, keyids = statement.vouched(said, side.believed(), which)
    return Checked(role=role, keyids=keyids, known=conversion.familiar(site, side, now))


def _at_once(work: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """Return what *work* makes of each of *items*, several at a time, in their order."""
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        try:
            return list(pool.map(work, items))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _is_repository(gun: Gun) -> bool:
    try:
        return Reference.parse(str(gun)).gun == gun
    except NameFormError:
        return False


OPENPGP: Final = "openpgp"  # the scheme of a signature by GPG
_AT_ONCE = 4

"""Signing that several people do, each with a key of their own, on machines that need no network.

A ceremony is what is to be published and lacks signatures, in a file to carry around. Whoever prepares it, with
:meth:`trustreg.publisher.Publisher.prepare`, fixes every byte that is to be signed; the others look at what that means
(:meth:`Ceremony.accounts`), sign it (:meth:`Ceremony.sign`), and hand it on, one after the other or all at once
(:meth:`Ceremony.merge`). When nothing is missing (:meth:`Ceremony.standings`), anybody may publish it.

The file brings the published files that it builds on. What it says of them, and whose signatures are needed, is worked
out from them and compared, and they have to be signed by their own keys; but only somebody who knows the root can tell
that they are what is published. :attr:`Ceremony.digests` is what to compare over the telephone.

The form is JSON: ``trustreg-ceremony`` (1), ``collection``, ``dialect``, ``prepared``, ``base`` and ``sheets``.
"""

import binascii
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Self, cast

import orjson

from trustreg.dialect import Dialect
from trustreg.dialects import canonical
from trustreg.dialects.reading import Members
from trustreg.errors import ChangeError, FormatError, IncompleteError, MismatchError, ThresholdError, TooLargeError
from trustreg.metadata import (
    Bins,
    Envelope,
    FileMeta,
    Key,
    Role,
    Root,
    Signature,
    Signed,
    Snapshot,
    Targets,
    Timestamp,
)
from trustreg.names import ROOT, SNAPSHOT, TOP_LEVEL, Gun
from trustreg.sign.draft import Draft
from trustreg.sign.pages import Authority, File, Find, Page, stamp
from trustreg.values import dataclass, field
from trustreg.verify.signatures import verify


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """One file of a ceremony, and the signatures that it has so far. All of them hold."""

    page: Page
    signatures: tuple[Signature, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How far the signing of one file has come in the eyes of one delegator.

    A new root stands twice, before the root it replaces and before itself.

    Attributes:
        role: Whose file it is.
        version: Its version.
        by: Who says who may sign it: ``root v1``, or the delegator.
        threshold: How many have to sign.
        signed: Ids of the keys that have.
        waiting: Ids of those that may and have not.
        missing: How many more have to.
    """

    role: str
    version: int
    by: str
    threshold: int
    signed: tuple[str, ...]
    waiting: tuple[str, ...]
    missing: int


@dataclass(frozen=True, kw_only=True)
class RoleChange:
    """What a file changes about who may sign a role, and of what it may speak; ``None`` where there is no such role.

    ``before`` and ``after`` are :class:`trustreg.metadata.Role`, or its :class:`Delegation`, or :class:`Bins`.
    ``place`` and ``place_before`` are positions among the delegations.
    """

    name: str
    before: Role | Bins | None
    after: Role | Bins | None
    added: tuple[Key, ...]
    removed: tuple[Key, ...]
    place_before: int | None = None
    place: int | None = None


@dataclass(frozen=True, kw_only=True)
class TargetChange:
    """What a file changes about a target, or a snapshot about a role; ``None`` where it is not listed."""

    name: str
    before: FileMeta | None
    after: FileMeta | None


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One member of what is signed that differs, in JSON: ``path`` leads to it, and ``None`` is its absence."""

    path: tuple[str, ...]
    before: str | None
    after: str | None


@dataclass(frozen=True, kw_only=True)
class Account:
    """What signing one file means, compared with the version before it.

    Attributes:
        role: Whose file it is.
        version: Its version.
        before: The version that it follows; ``None`` where it is the first.
        expires: Until when it will be good.
        expired_before: Until when the one before was.
        roles: Changes of keys, thresholds, delegations.
        targets: Changes of targets, or of what a snapshot or timestamp lists.
        differences: All of it, member by member, exactly as it is signed: nothing is left out, whatever it is.
        sha256: The digest of the bytes that are signed.
    """

    role: str
    version: int
    before: int | None
    expires: datetime
    expired_before: datetime | None
    roles: tuple[RoleChange, ...]
    targets: tuple[TargetChange, ...]
    differences: tuple[Difference, ...]
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Ceremony:
    """Files that are to be signed by several people.

    Attributes:
        gun: The collection.
        dialect: How it is written.
        prepared: When it was prepared.
        base: The published files that it builds on, by role.
        sheets: The files that are to be signed, in the order to publish them.
    """

    gun: Gun
    dialect: Dialect
    prepared: datetime
    base: Mapping[str, bytes] = field(repr=False)
    sheets: tuple[Sheet, ...]

    @classmethod
    def prepare(
        cls,
        gun: Gun,
        dialect: Dialect,
        prepared: datetime,
        base: Mapping[str, bytes],
        payloads: Iterable[tuple[str, bytes]],
    ) -> Self:
        """Return a ceremony without signatures: *payloads* by role, on top of the published files in *base*.

        Raises:
            FormatError: A payload is not what its role can say, or not in its one form; or it brings a key under an id
                that is not its own, so that whoever compares ids is shown another key than he signs for.
            ThresholdError: The files in *base* are not signed as their own keys demand.
        """
        published = {role: dialect.decode(role, raw) for role, raw in base.items()}
        if ROOT not in published:
            raise FormatError("ceremony", f"base.{ROOT}", "it is missing")
        draft = _stage(dialect, prepared, (envelope.signed for envelope in published.values()), published)
        for role, envelope in published.items():
            for authority in draft.authorities(role):
                verify(envelope, *authority)
        drafts = [(role, _read_payload(dialect, role, payload)) for role, payload in payloads]
        _require_ids(published.values(), drafts)
        return cls(
            gun=gun,
            dialect=dialect,
            prepared=prepared.replace(microsecond=0),
            base=dict(base),
            sheets=tuple(_sheets(dialect, prepared, published, drafts)),
        )

    @classmethod
    def read(cls, raw: bytes, *dialects: Dialect) -> Self:
        """Read a file of a ceremony of a collection in one of *dialects*.

        Raises:
            FormatError: It is none, says anything in two ways, or holds a signature that does not.
            ThresholdError: The files that it builds on are not signed as their own keys demand.
            TooLargeError: It is larger than any.
        """
        if len(raw) > _LARGEST:
            raise TooLargeError("the file of a ceremony", _LARGEST)
        try:
            item = Members("ceremony", "", canonical.parse_strictly(raw))
        except ValueError as exc:
            raise FormatError("ceremony", "", str(exc)) from exc
        if item.integer(_KIND, 1) != _VERSION:
            item.fail(_KIND, "another version of trustreg wrote this")
        dialect = next((one for one in dialects if one.name == item.text("dialect")), None)
        if dialect is None:
            item.fail("dialect", f"{' or '.join(repr(one.name) for one in dialects)} is due")
        base = {role: one.base64("file") for role, one in item.members("base").each()}
        sheets = list(item.objects("sheets"))
        if len(sheets) > _MOST_SHEETS:
            item.fail("sheets", f"there are more than {_MOST_SHEETS}")
        payloads = [(sheet.text("role"), sheet.base64("payload")) for sheet in sheets]
        made = cls.prepare(Gun(item.text("collection")), dialect, item.moment("prepared"), base, payloads)
        made = replace(made, sheets=tuple(map(_signed, sheets, made.sheets)))
        if made._spelled() != item.value:  # noqa: SLF001 # it is of this class
            item.fail("", "it says something else than follows from the files in it")
        return made

    def spell(self) -> bytes:
        """Return the file of this ceremony."""
        return orjson.dumps(self._spelled(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)

    def sign(self, find: Find) -> Self:
        """Return this ceremony with the signatures of all keys that are here and have a say."""
        return self._with(stamp(sheet.page, find) for sheet in self.sheets)

    def merge(self, other: "Ceremony") -> Self:
        """Return this ceremony with the signatures of *other*, which was prepared as the very same.

        Raises:
            MismatchError: It was not.
        """
        if (other.gun, other.dialect.name, other.base) != (self.gun, self.dialect.name, self.base):
            raise MismatchError(str(self.gun), "they do not build on the same files")
        if [sheet.page.payload for sheet in other.sheets] != [sheet.page.payload for sheet in self.sheets]:
            raise MismatchError(str(self.gun), "they do not say the same")
        return self._with(sheet.signatures for sheet in other.sheets)

    def standings(self) -> tuple[Standing, ...]:
        """Say for each file who has signed, who may and has not, and how many are missing."""
        return tuple(standing for sheet in self.sheets for standing in self._standings(sheet))

    @property
    def missing(self) -> int:
        """How many signatures are missing, counted for each file and each of its delegators."""
        return sum(standing.missing for standing in self.standings())

    @property
    def digests(self) -> dict[str, str]:
        """The sha256 of each published file that this builds on, by role."""
        return {role: hashlib.sha256(raw).hexdigest() for role, raw in self.base.items()}

    def accounts(self) -> tuple[Account, ...]:
        """Say for each file what signing it means."""
        before = {role: self.dialect.decode(role, raw) for role, raw in self.base.items()}
        accounts = []
        for sheet in self.sheets:
            claim = _read_payload(self.dialect, sheet.page.role, sheet.page.payload)
            accounts.append(_account(claim, before.get(sheet.page.role)))
            before[sheet.page.role] = claim
        return tuple(accounts)

    def files(self) -> tuple[File, ...]:
        """Return the files, signed.

        Raises:
            IncompleteError: Signatures are missing.
        """
        for standing in self.standings():
            if standing.missing:
                have = len(standing.signed)
                raise IncompleteError(standing.role, standing.by, standing.threshold, have, standing.waiting)
        encode = self.dialect.encode
        return tuple(File(page=s.page, raw=encode(s.page.payload, s.signatures)) for s in self.sheets)

    @cached_property
    def _published(self) -> Mapping[str, int]:
        return {role: self.dialect.decode(role, raw).signed.version for role, raw in self.base.items()}

    @cached_property
    def _draft(self) -> Draft:
        signed = {role: self.dialect.decode(role, raw).signed for role, raw in self.base.items()}
        signed |= {sheet.page.role: sheet.page.signed for sheet in self.sheets}
        return _stage(self.dialect, self.prepared, signed.values(), signed)

    def _with(self, more: Iterable[Iterable[Signature]]) -> Self:
        sheets = []
        for sheet, signatures in zip(self.sheets, more, strict=True):
            known = {signature.keyid: signature for signature in (*signatures, *sheet.signatures)}
            named = not self.dialect.rules.tree  # in TUF the key says how it signs, in Notary the signature does
            ordered = tuple(replace(known[i], scheme=known[i].scheme if named else "") for i in sorted(known))
            sheets.append(Sheet(page=sheet.page, signatures=ordered))
        return replace(self, sheets=tuple(sheets))

    def _standings(self, sheet: Sheet) -> Iterator[Standing]:
        page = sheet.page
        claim = Envelope(role=page.role, signed=page.signed, payload=page.payload, signatures=sheet.signatures, raw=b"")
        for by, (role, keys) in zip(self._delegators(page), page.authorities, strict=True):
            try:
                signed = verify(claim, replace(role, threshold=1), keys).keyids
            except ThresholdError:
                signed = ()
            yield Standing(
                role=page.role,
                version=page.signed.version,
                by=by,
                threshold=role.threshold,
                signed=signed,
                waiting=tuple(keyid for keyid in role.keyids if keyid not in signed),
                missing=max(0, role.threshold - len(signed)),
            )

    def _delegators(self, page: Page) -> Iterator[str]:
        """Name who says who may sign *page*."""
        if page.role == ROOT:
            yield from (f"root v{page.signed.version - 1}", f"root v{page.signed.version}")
        elif page.role in TOP_LEVEL:
            roots = [s.page.signed.version for s in self.sheets if s.page.role == ROOT]
            yield f"root v{roots[-1] if roots else self._published[ROOT]}"
        else:
            yield from self._draft.delegators(page.role)

    def _spelled(self) -> dict[str, Any]:
        return {
            _KIND: _VERSION,
            "collection": str(self.gun),
            "dialect": self.dialect.name,
            "prepared": _time(self.prepared),
            "base": {
                role: {"version": self._published[role], "sha256": digest, "file": _base64(self.base[role])}
                for role, digest in self.digests.items()
            },
            "sheets": [
                {
                    "role": sheet.page.role,
                    "version": sheet.page.signed.version,
                    "expires": _time(sheet.page.signed.expires),
                    "needs": [_spell_authority(authority) for authority in sheet.page.authorities],
                    "payload": _base64(sheet.page.payload),
                    "signatures": [_spell_signature(signature) for signature in sheet.signatures],
                }
                for sheet in self.sheets
            ],
        }


# --- what is signed by whom --------------------------------------------------------------------------------------


def _stage(dialect: Dialect, now: datetime, signed: Iterable[Signed], names: Iterable[str]) -> Draft:
    parts = dict(zip(names, signed, strict=True))
    targets = {role: part for role, part in parts.items() if isinstance(part, Targets)}
    return Draft(dialect, now, cast("Root", parts[ROOT]), targets)


def _read_payload(dialect: Dialect, role: str, payload: bytes) -> Envelope[Signed]:
    claim = dialect.decode(role, dialect.encode(payload, ()))
    if claim.payload != payload:
        raise FormatError(role, "signed", "this is not the form that is signed")
    return claim


def _require_ids(published: Iterable[Envelope[Signed]], drafts: Iterable[tuple[str, Envelope[Signed]]]) -> None:
    known = [key for envelope in published for key in _all_keys(envelope.signed)]
    for role, claim in drafts:
        for key in _all_keys(claim.signed):
            if not key.derived and key not in known:
                raise FormatError(
                    role, f"signed.keys.{key.id}", "a new key has to be listed under the id that is its hash"
                )


def _all_keys(signed: Signed) -> Iterable[Key]:
    return signed.keys.values() if isinstance(signed, Root | Targets) else ()


def _sheets(
    dialect: Dialect,
    now: datetime,
    published: Mapping[str, Envelope[Signed]],
    drafts: Iterable[tuple[str, Envelope[Signed]]],
) -> Iterator[Sheet]:
    drafts = list(drafts)
    signed = {role: envelope.signed for role, envelope in (*published.items(), *drafts)}
    draft = _stage(dialect, now, signed.values(), signed)
    before = first = cast("Root", published[ROOT].signed)
    for role, claim in drafts:
        old = published.get(role)
        authorities: tuple[Authority, ...] = ()
        also: tuple[Authority, ...] = ()
        if isinstance(claim.signed, Root):
            authorities = tuple((root.roles[ROOT], root.keys) for root in (before, claim.signed))
            due, before = before.version + 1, claim.signed
            if claim.signed.version != due:
                raise FormatError(role, "signed.version", f"{due} is due")
        else:
            try:
                authorities = draft.authorities(role)
            except ChangeError as exc:
                raise FormatError("ceremony", f"sheets.{role}", exc.problem) from exc
            if old and claim.signed.version <= old.signed.version:
                raise FormatError(role, "signed.version", f"one after {old.signed.version} is due")
            if role in TOP_LEVEL:
                also = ((first.roles[role], first.keys),)
        page = Page(role=role, signed=claim.signed, payload=claim.payload, authorities=authorities, also=also)
        yield Sheet(page=page)


def _signed(item: Members, sheet: Sheet) -> Sheet:
    """Return *sheet* with the signatures in *item*, all of which have to hold."""
    page = sheet.page
    signatures: list[Signature] = []
    for one in item.objects("signatures"):
        scheme = one.text("scheme") if "scheme" in one.value else ""
        signature = Signature(keyid=one.text("keyid"), scheme=scheme, value=one.base64("sig"))
        if any(signature.keyid == known.keyid for known in signatures):
            one.fail("keyid", "it has signed already")
        if len(signatures) == _MOST_SIGNATURES:
            item.fail("signatures", f"there are more than {_MOST_SIGNATURES}")
        claim = Envelope(role=page.role, signed=page.signed, payload=page.payload, signatures=(signature,), raw=b"")
        if not any(_holds(claim, authority) for authority in (*page.authorities, *page.also)):
            one.fail("sig", "it does not hold, or its key has no say here")
        signatures.append(signature)
    return replace(sheet, signatures=tuple(signatures))


def _holds(claim: Envelope[Signed], authority: Authority) -> bool:
    role, keys = authority
    try:
        verify(claim, replace(role, threshold=1), keys)
    except ThresholdError:
        return False
    return True


def _spell_signature(signature: Signature) -> dict[str, str]:
    spelled = {"keyid": signature.keyid, "sig": _base64(signature.value)}
    return {**spelled, "scheme": signature.scheme} if signature.scheme else spelled


def _spell_authority(authority: Authority) -> dict[str, Any]:
    role, keys = authority
    return {
        "threshold": role.threshold,
        "keyids": list(role.keyids),
        "keys": {keyid: dict(keys[keyid].spelled) for keyid in role.keyids if keyid in keys},
    }


# --- what it means -----------------------------------------------------------------------------------------------


def _account(claim: Envelope[Signed], old: Envelope[Signed] | None) -> Account:
    new = claim.signed
    return Account(
        role=claim.role,
        version=new.version,
        before=old.signed.version if old else None,
        expires=new.expires,
        expired_before=old.signed.expires if old else None,
        roles=tuple(_role_changes(old.signed if old else None, new)),
        targets=tuple(_target_changes(_listed(old.signed) if old else {}, _listed(new))),
        differences=tuple(_differences((), _json(old) if old else {}, _json(claim))),
        sha256=hashlib.sha256(claim.payload).hexdigest(),
    )


def _json(claim: Envelope[Signed]) -> Any:
    return canonical.parse(claim.raw)["signed"]


def _role_changes(old: Signed | None, new: Signed) -> Iterator[RoleChange]:
    before, after = _roles(old), _roles(new)
    for name in dict.fromkeys((*before, *after)):
        (was, old_keys, old_place), (now, new_keys, place) = before.get(name, _NONE), after.get(name, _NONE)
        mine, theirs = _keys(now, new_keys), _keys(was, old_keys)
        added = tuple(key for key in mine if key not in theirs)
        removed = tuple(key for key in theirs if key not in mine)
        if was != now or added or removed or old_place != place:
            yield RoleChange(
                name=name, before=was, after=now, added=added, removed=removed, place_before=old_place, place=place
            )


def _roles(signed: Signed | None) -> dict[str, tuple[Role | Bins | None, Mapping[str, Key], int | None]]:
    if isinstance(signed, Root):
        return {name: (role, signed.keys, None) for name, role in signed.roles.items()}
    if not isinstance(signed, Targets):
        return {}
    if signed.bins:
        return {signed.bins.prefix: (signed.bins, signed.keys, None)}
    return {one.name: (one, signed.keys, place) for place, one in enumerate(signed.delegations)}


def _keys(role: Role | Bins | None, keys: Mapping[str, Key]) -> tuple[Key, ...]:
    return tuple(keys[keyid] for keyid in role.keyids if keyid in keys) if role else ()


def _listed(signed: Signed) -> Mapping[str, FileMeta]:
    if isinstance(signed, Targets):
        return signed.targets
    if isinstance(signed, Snapshot):
        return signed.meta
    return {SNAPSHOT: signed.snapshot} if isinstance(signed, Timestamp) else {}


def _target_changes(before: Mapping[str, FileMeta], after: Mapping[str, FileMeta]) -> Iterator[TargetChange]:
    for name in dict.fromkeys((*before, *after)):
        was = before[name] if name in before else None  # noqa: SIM401 # a listing reads what is asked for
        now = after[name] if name in after else None  # noqa: SIM401
        if was != now or (was and now and was.custom != now.custom):
            yield TargetChange(name=name, before=was, after=now)


def _differences(path: tuple[str, ...], before: Any, after: Any) -> Iterator[Difference]:
    if isinstance(before, dict) and isinstance(after, dict):
        for name in dict.fromkeys((*before, *after)):
            yield from _differences((*path, name), before.get(name, _ABSENT), after.get(name, _ABSENT))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for place, (was, now) in enumerate(zip(before, after, strict=True)):
            yield from _differences((*path, str(place)), was, now)
    elif (was := _shown(before)) != (now := _shown(after)):
        yield Difference(path=path, before=was, after=now)


def _shown(value: Any) -> str | None:
    return None if value is _ABSENT else orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _base64(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode("ascii")


_ABSENT = object()
_NONE: tuple[None, Mapping[str, Key], None] = (None, {}, None)
_KIND = "trustreg-ceremony"
_VERSION = 1
_LARGEST = 256 << 20  # bytes; the files of the largest collections in base64, before and after
_MOST_SHEETS = 1 << 17
_MOST_SIGNATURES = 256  # of one file; more are no file that is read

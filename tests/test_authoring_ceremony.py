"""Several people sign, each with a key of their own, and nobody signs what he was not shown."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.authoring import GUN, TUF1, Died, Place, dying_before, meta
from tests.world import MemoryCache, MemoryKeys
from trustreg.ceremony import Ceremony
from trustreg.errors import (
    ChangeError,
    ExpiredError,
    FormatError,
    IncompleteError,
    MismatchError,
    NoKeyError,
    OutdatedError,
    TooLargeError,
    UntrustedError,
)
from trustreg.names import Gun
from trustreg.sign.changes import AddTarget, Change, Delegate, SetExpiry, SetKeys, Witness

if TYPE_CHECKING:
    from trustreg.metadata import Key


class Board:
    """A collection whose root needs two of three people."""

    def __init__(self) -> None:
        self.place = Place()
        self.place.init()
        self.people = [MemoryKeys() for _ in range(3)]
        self.keys: list[Key] = [self.place.key(keys=keys, role="root") for keys in self.people]
        first = self.place.read().root.signed.roles["root"].keyids
        change = SetKeys(role="root", add=tuple(self.keys), remove=first, threshold=2)
        ceremony = self.place.publisher().prepare(GUN, self.place.now, [change])
        for keys in self.people[:2]:
            ceremony = self.sign(ceremony, keys)
        self.place.publisher().finish(GUN, ceremony, self.place.now)
        del self.place.keys.signers[self.place.held("root").id]

    def sign(self, ceremony: Ceremony, keys: MemoryKeys) -> Ceremony:
        """Carry *ceremony* to somebody, and back."""
        there = Ceremony.read(ceremony.spell(), TUF1)
        return Ceremony.read(self.place.publisher(keys).co_sign(there).spell(), TUF1)

    def prepare(self, *changes: Change, whole: bool = False) -> Ceremony:
        return self.place.publisher().prepare(GUN, self.place.now, changes, whole=whole)

    def finish(self, ceremony: Ceremony, gun: Gun = GUN) -> dict[str, int]:
        return dict(self.place.publisher().finish(gun, ceremony, self.place.now).versions)


@pytest.fixture
def board() -> Board:
    return Board()


def test_two_of_three_sign(board: Board) -> None:
    """
    One after the other or both at once; then anybody may publish it.
    """
    new = board.place.key(role="timestamp")
    old = board.place.read().root.signed.roles["timestamp"].keyids
    cache = MemoryCache()
    board.place.read(cache=cache)
    ceremony = board.prepare(SetKeys(role="timestamp", add=(new,), remove=old))
    assert [(one.by, one.threshold, one.missing) for one in ceremony.standings()] == [
        ("root v2", 2, 2),
        ("root v3", 2, 2),
    ]
    with pytest.raises(IncompleteError) as caught:
        board.finish(ceremony)
    assert set(caught.value.waiting) == {key.id for key in board.keys}

    one, two = (board.sign(ceremony, keys) for keys in board.people[:2])
    assert one.missing == 2
    both = one.merge(two)
    assert both == two.merge(one)
    assert [one.waiting for one in both.standings()] == [(board.keys[2].id,)] * 2

    assert board.finish(both) == {"timestamp": 2, "root": 3}
    assert board.place.read(cache=cache).root.signed.roles["timestamp"].keyids == (new.id,)


def test_a_delegated_role_needs_its_own_keys(board: Board) -> None:
    """
    A role that is new is published with the first signatures of those who have its keys.
    """
    theirs = MemoryKeys()
    keys = tuple(board.place.key(keys=theirs) for _ in range(2))
    change = Delegate(role="targets", name="team", keys=keys, threshold=2, patterns=("team/*",))
    with pytest.raises(NoKeyError):
        board.place.publish(change)
    ceremony = board.prepare(change, AddTarget(role="team", name="team/a", meta=meta(1)))
    assert {(one.role, one.by, one.missing) for one in ceremony.standings()} == {
        ("targets", "root v2", 0),
        ("team", "targets", 2),
    }
    assert set(board.finish(board.sign(ceremony, theirs))) == {"targets", "team", "snapshot", "timestamp"}
    assert set(board.place.find("team/a").signers) == {key.id for key in keys}


def test_a_whole_ceremony_needs_no_key_to_finish(board: Board) -> None:
    """
    Snapshot and timestamp are signed beforehand, and list what they list by version.
    """
    ceremony = board.prepare(AddTarget(role="targets", name="a", meta=meta(1)), whole=True)
    assert ceremony.missing == 0
    publisher = board.place.publisher(MemoryKeys())
    assert dict(publisher.finish(GUN, ceremony, board.place.now).versions) == {
        "targets": 2,
        "snapshot": 2,
        "timestamp": 2,
    }
    assert board.place.find("a")


def test_what_is_signed_is_shown(board: Board) -> None:
    """
    Keys, thresholds, delegations, targets, dates, and every other member that differs.
    """
    board.place.publish(AddTarget(role="targets", name="a", meta=meta(1)))
    new, team = board.place.key(), board.place.key()
    ceremony = board.prepare(
        SetKeys(role="root", add=(new,), remove=(board.keys[0].id,), threshold=3),
        AddTarget(role="targets", name="a", meta=meta(2)),
        AddTarget(role="targets", name="b", meta=meta(3)),
        Delegate(role="targets", name="team", keys=(team,), patterns=("team/*",), terminating=True),
        SetExpiry(role="targets", lifetime=timedelta(days=3)),
    )
    root, targets, fresh = Ceremony.read(ceremony.spell(), TUF1).accounts()

    assert (root.role, root.before, root.version) == ("root", 2, 3)
    (change,) = root.roles
    assert (change.name, change.added, change.removed) == ("root", (new,), (board.keys[0],))
    assert change.before is not None
    assert change.after is not None
    assert (change.before.threshold, change.after.threshold) == (2, 3)

    assert {(one.name, one.before, one.after) for one in targets.targets} == {
        ("a", meta(1), meta(2)),
        ("b", None, meta(3)),
    }
    (change,) = targets.roles
    assert (change.name, change.before, change.added, change.place) == ("team", None, (team,), 0)
    assert {one.path[0] for one in targets.differences} == {
        "targets",
        "delegations",
        "expires",
        "version",
        "x-trustreg-lifetime",
    }
    assert targets.expires == board.place.now + timedelta(days=3)
    assert (fresh.role, fresh.before, fresh.version) == ("team", None, 1)
    assert ("version",) in {one.path for one in fresh.differences}


def test_a_ceremony_that_is_outdated_is_refused(board: Board) -> None:
    """
    It would undo what was published since; what does not touch it may be published meanwhile.
    """
    root = board.prepare(Witness(role="root"))
    targets = board.prepare(AddTarget(role="targets", name="a", meta=meta(1)))
    board.place.publish(AddTarget(role="targets", name="b", meta=meta(2)))
    with pytest.raises(OutdatedError) as caught:
        board.finish(targets)
    assert (caught.value.role, caught.value.built_on, caught.value.published) == ("targets", 1, 2)
    for keys in board.people[1:]:
        root = board.sign(root, keys)
    assert board.finish(root) == {"root": 3}
    with pytest.raises(OutdatedError):
        board.finish(root)


def test_one_that_came_too_late_or_to_the_wrong_place(board: Board) -> None:
    ceremony = board.prepare(AddTarget(role="targets", name="a", meta=meta(1)))
    board.place.now += timedelta(days=366)
    with pytest.raises(ExpiredError):
        board.finish(ceremony)
    other = Place(Gun("registry.example/other"))
    other.init()
    with pytest.raises(MismatchError):
        other.publisher().finish(other.gun, ceremony, board.place.now)
    board.place.now -= timedelta(days=366)
    with pytest.raises(MismatchError):
        ceremony.merge(board.prepare(AddTarget(role="targets", name="b", meta=meta(1))))
    with pytest.raises(ChangeError, match="like that already"):
        board.prepare()


def test_who_is_killed_while_finishing_can_finish_again(board: Board) -> None:
    """
    The same bytes may be there already.
    """
    team = board.place.key()
    old = board.place.read().root.signed.roles["snapshot"].keyids
    changes = (
        SetKeys(role="snapshot", add=(board.place.key(),), remove=old),
        Delegate(role="targets", name="team", keys=(team,), patterns=("*",)),
        AddTarget(role="team", name="a", meta=meta(1)),
    )
    ceremony = board.prepare(*changes)
    for keys in board.people[:2]:
        ceremony = board.sign(ceremony, keys)
    before = dict(board.place.store.files)
    for number in range(5):
        board.place.store.files = dict(before)
        board.place.store.step = dying_before(number)
        with pytest.raises(Died):
            board.finish(ceremony)
        board.place.store.step = lambda _: None
        board.place.read()
        if number < 4:  # after that the timestamp is there, and what is left is the root
            board.finish(ceremony)
            assert board.place.find("a")
    assert number == 4


def spoilt(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return *document*, wrong in one way each."""
    text = json.dumps(document)

    def but(change: Any) -> dict[str, Any]:
        copy: dict[str, Any] = json.loads(text)
        change(copy)
        return copy

    signed = document["sheets"][0]
    forged = base64.b64encode(bytes(64)).decode()
    payload = json.loads(base64.b64decode(signed["payload"]))
    payload["version"] += 1
    other = base64.b64encode(json.dumps(payload, sort_keys=True, separators=(",", ":")).encode()).decode()
    return [
        but(lambda d: d.update({"trustreg-ceremony": 2})),
        but(lambda d: d.update({"more": 1})),
        but(lambda d: d.update({"dialect": "notary1"})),
        but(lambda d: d["base"].pop("root")),
        but(lambda d: d["base"]["root"].update({"version": 1})),
        but(lambda d: d["base"]["root"].update({"sha256": "00"})),
        but(lambda d: d["base"]["root"].update({"file": "e30="})),
        but(lambda d: d["sheets"][0].update({"expires": "2030-01-01T00:00:00Z"})),
        but(lambda d: d["sheets"][0].update({"version": 7})),
        but(lambda d: d["sheets"][0].update({"payload": other})),
        but(lambda d: d["sheets"][0].update({"payload": "e30="})),
        but(lambda d: d["sheets"][0]["needs"][0].update({"threshold": 1})),
        but(lambda d: d["sheets"][0]["needs"][0]["keyids"].pop()),
        but(lambda d: d["sheets"][0]["signatures"][0].update({"sig": forged})),
        but(lambda d: d["sheets"][0]["signatures"][0].update({"keyid": "00"})),
        but(lambda d: d["sheets"][0]["signatures"].append(d["sheets"][0]["signatures"][0])),
        but(lambda d: d["sheets"].append(d["sheets"][0])),
    ]


def test_a_file_says_one_thing(board: Board) -> None:
    """
    What does not follow from the files in it, and whatever does not hold, is refused.
    """
    ceremony = board.sign(board.prepare(Witness(role="root")), board.people[0])
    document = json.loads(ceremony.spell())
    assert Ceremony.read(json.dumps(document).encode(), TUF1).spell() == ceremony.spell()
    for wrong in spoilt(document):
        with pytest.raises(UntrustedError):
            Ceremony.read(json.dumps(wrong).encode(), TUF1)
    for raw in (
        b"",
        b"[]",
        b"{}",
        ceremony.spell().replace(b"{", b'{"dialect":"tuf1",', 1),
        b'{"trustreg-ceremony":1}',
    ):
        with pytest.raises(FormatError):
            Ceremony.read(raw, TUF1)
    with pytest.raises(TooLargeError):
        Ceremony.read(b" " * ((256 << 20) + 1), TUF1)


SPELLED: list[bytes] = []


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_nothing_but_untrusted_comes_of_a_file_that_is_damaged(data: st.DataObject) -> None:
    if not SPELLED:
        board = Board()
        SPELLED.append(board.sign(board.prepare(Witness(role="root")), board.people[0]).spell())
    raw = bytearray(SPELLED[0])
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 4))] = data.draw(
            st.sampled_from([b"", b"0", b'"', b"}", b"null", b"\xff"])
        )
    try:
        made = Ceremony.read(bytes(raw), TUF1)
    except UntrustedError:
        return
    assert made.spell()


def test_a_signature_is_added_to_what_is_published(board: Board) -> None:
    """
    The version stays, readers believe it all the time, and those who knew the file still do.
    """
    place = board.place
    more = place.key(keys=(others := MemoryKeys()))
    place.publish(AddTarget(role="targets", name="a", meta=meta(1)))
    team = place.key()
    place.publish(Delegate(role="targets", name="team", keys=(team, more), patterns=("*",)))
    cache = MemoryCache()
    place.read(cache=cache)
    mine = place.only("snapshot", "timestamp")
    mine.signers |= others.signers
    for number in range(4):
        place.store.step = dying_before(number)
        try:
            place.publisher(mine).add_signature(GUN, "team", place.now)
        except Died:
            place.read(cache=cache)
            place.read()
            continue
        break
    place.store.step = lambda _: None
    assert number >= 1
    workflow = place.read(cache=cache)
    assert len(workflow.roles["team"].keyids) == 1  # whoever counts stops when there are enough
    served = TUF1.decode("team", place.store.files["1.team.json"])
    assert {signature.keyid for signature in served.signatures} == {team.id, more.id}
    with pytest.raises(NoKeyError):
        place.publisher(mine).add_signature(GUN, "team", place.now)

    with pytest.raises(ChangeError):
        place.publisher().add_signature(GUN, "snapshot", place.now)
    with pytest.raises(ChangeError):
        place.publisher().add_signature(GUN, "nobody", place.now)


def test_a_signature_is_added_to_a_root(board: Board) -> None:
    place = board.place
    assert dict(place.publisher(board.people[2]).add_signature(GUN, "root", place.now).versions) == {"root": 2}
    served = TUF1.decode("root", place.store.files["2.root.json"])
    assert {key.id for key in board.keys} <= {signature.keyid for signature in served.signatures}
    place.read()


def test_a_new_key_goes_by_its_own_id(board: Board) -> None:
    """
    Whoever compares ids with somebody is not shown one key and made to sign for another.
    """
    bob, mallory = board.place.key(), board.place.key()
    root = board.place.read().root
    disguised = {**root.signed.keys, bob.id: replace(mallory, id=bob.id)}
    keyids = (*root.signed.roles["root"].keyids, bob.id)
    roles = {**root.signed.roles, "root": replace(root.signed.roles["root"], keyids=keyids)}
    payload = TUF1.payload(replace(root.signed, version=root.signed.version + 1, keys=disguised, roles=roles))
    with pytest.raises(FormatError, match="the id that is its hash"):
        Ceremony.prepare(GUN, TUF1, board.place.now, {"root": root.raw}, [("root", payload)])


def test_nobody_finishes_who_would_leave_a_gap() -> None:
    """
    Prepared where the old key of the timestamp is, and finished where only the new one is: nothing is written.
    """
    place = Place()
    place.init()
    new = place.key(role="new")
    old = place.read().root.signed.roles["timestamp"].keyids
    ceremony = place.publisher().prepare(GUN, place.now, [SetKeys(role="timestamp", add=(new,), remove=old)])
    before = dict(place.store.files)
    finisher = place.publisher(place.only("root", "targets", "snapshot", also=(new,)))
    with pytest.raises(NoKeyError) as caught:
        finisher.finish(GUN, ceremony, place.now)
    assert (caught.value.role, place.store.files) == ("timestamp", before)
    place.publisher().finish(GUN, ceremony, place.now)
    place.read()

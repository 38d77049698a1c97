"""
A publisher, a thief and several clients, in any order that Hypothesis comes up with.

The publisher changes targets, keys, thresholds and delegations. The thief serves whatever was ever published, in any
mixture, drops and bends files, and signs with keys that were stolen: of root, targets and delegated roles fewer than
their thresholds, of timestamp and snapshot all. Clients have caches and clocks of their own. In all of it

* nobody keeps a root or targets that the publisher did not sign, nor another timestamp or snapshot as long as their
  keys are safe;
* nobody goes back to what is older than what was kept before, nor relies on what expired;
* once the stolen keys are replaced and the thief is gone, everybody reads what is published.

25 steps each; 60 lives by default, with TRUSTREG_FULL=1 thousands.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.verify.world import World
from trustreg.dialects.tuf1 import Tuf1
from trustreg.errors import UntrustedError
from trustreg.names import Gun
from trustreg.verify.pinning import Pins
from trustreg.verify.workflow import Workflow
from vectors.make.collection import canonical
from vectors.make.tuf.keys import eddsa
from vectors.make.tuf.repository import GUN, TOP, Delegated, Repository, listing, target, wire

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from trustreg.verify.requests import Keep
    from vectors.make.tuf.keys import Key

Json: TypeAlias = dict[str, Any]

FULL = bool(os.environ.get("TRUSTREG_FULL"))
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
LIVES = {"root": 365, "targets": 90, "snapshot": 14, "timestamp": 4}
ONLINE = ("timestamp", "snapshot")
POOL = ("alpha", "beta", "gamma", "delta")
DIALECT = Tuf1()
FAR = 2**31

pick = st.integers(0, 63)
roles = st.sampled_from((*TOP, *POOL))


class Publisher:
    """
    Signs, and remembers all that was ever signed.

    ``files`` is what a server has now; ``views`` is what it had after each publication.
    """

    def __init__(self, *, consistent: bool, lists: tuple[str, ...]) -> None:
        self.day, self._serial = 0, 0
        self.files: dict[str, bytes] = {}
        self.views: list[dict[str, bytes]] = []
        self.signed: set[tuple[str, bytes]] = set()
        self.sets: list[tuple[str, frozenset[str], int]] = []
        self.made = made = Repository(consistent=consistent, lists=lists)
        for role in TOP:
            made.keys[role], made.thresholds[role] = self.keys(2), 2 if role in {"root", "targets"} else 1
            made.parts[role].expires = self._end(role)
        made.parts["targets"].targets["app/0"] = target("0")
        self.publish(made)
        self.first = self.files["1.root.json"]

    def keys(self, count: int) -> list[Key]:
        """Return so many new keys."""
        self._serial += count
        return [eddsa(f"machine {self._serial - number}") for number in range(count)]

    def publish(self, after: Repository) -> None:
        """Sign what is new, and put it where clients find it."""
        if self.views:
            for role, part in after.parts.items():
                if role not in self.made.parts or part.version > self.made.parts[role].version:
                    part.expires = self._end(role)
        self.made = after
        published = after.publish()
        self.signed |= {(role, payload(raw)) for role, raw in published.files.items()}
        self.files = {**(self.files if after.consistent else _roots(self.files)), **published.repository()}
        self.views.append(self.files)
        self.sets += [
            *((role, _ids(keys), after.thresholds[role]) for role, keys in after.keys.items()),
            *((d.name, _ids(d.keys), d.threshold) for part in after.parts.values() for d in part.delegations),
        ]

    def delegation(self, role: str) -> tuple[str, Delegated] | None:
        """Return who delegates to *role*, and how."""
        found = ((above, d) for above, part in self.made.parts.items() for d in part.delegations if d.name == role)
        return next(found, None)

    def holders(self, role: str) -> tuple[list[Key], int]:
        """Return the keys of *role* and its threshold; none where nobody delegates to it."""
        if role in TOP:
            return self.made.keys[role], self.made.thresholds[role]
        found = self.delegation(role)
        return (found[1].keys, found[1].threshold) if found else ([], 1)

    def hand_over(self, role: str, keys: list[Key], threshold: int) -> None:
        """Give *role* to other keys."""
        if role in TOP:
            after = self.made.rotate({role: keys})
            after.thresholds[role] = threshold
            self.publish(after)
        elif found := self.delegation(role):
            after = self.made.next(found[0], role)
            entry = next(d for d in after.parts[found[0]].delegations if d.name == role)
            entry.keys, entry.threshold, after.parts[role].signers = keys, threshold, keys
            self.publish(after)

    def _end(self, role: str) -> str:
        return f"{BEGIN + timedelta(days=self.day + LIVES.get(role, 90)):%Y-%m-%dT%H:%M:%SZ}"


@dataclass
class Client:
    """A client: what it keeps, how wrong its clock is, and the newest of the publisher's files that it has kept."""

    world: World
    skew: int
    seen: dict[str, tuple[int, int]] = field(default_factory=dict)  # version, and that of the root then
    checked: int = 0  # requests to keep that were looked at
    root: Json = field(default_factory=dict)  # the last one that it kept
    snapshot: bytes = b""  # likewise


class Machine(RuleBasedStateMachine):
    """All of them together."""

    @initialize(consistent=st.booleans(), lists=st.sampled_from([("length", "hashes"), ()]))
    def begin(self, consistent: bool, lists: tuple[str, ...]) -> None:
        """Publish the first time."""
        self.publisher = Publisher(consistent=consistent, lists=lists)
        self.clients = [Client(World({}), skew) for skew in (-1, 0, 1)]
        self.stolen: dict[str, Key] = {}
        self.bent: dict[str, bytes | None] = {}  # what the thief serves in place of files
        self.since = 0  # steps since all was well

    # --- the publisher --------------------------------------------------------------------------------------------

    @rule(role=roles, number=pick)
    def add_or_remove(self, role: str, number: int) -> None:
        """Add a target, or remove one."""
        if role not in self._speaking():
            return
        after = self.publisher.made.next(role)
        name = f"app/{number % 3}"
        if number % 2 and name in after.parts[role].targets:
            del after.parts[role].targets[name]
        else:
            after.parts[role].targets[name] = target(f"{name} {number} of {role} {after.parts[role].version}")
        self.publisher.publish(after)

    @rule(above=roles, role=st.sampled_from(POOL), number=pick)
    def delegate(self, above: str, role: str, number: int) -> None:
        """Delegate to a role, or stop doing so; the snapshot lists it either way."""
        if found := self.publisher.delegation(role):
            after = self.publisher.made.next(found[0])
            after.parts[found[0]].delegations = [d for d in after.parts[found[0]].delegations if d.name != role]
            self.publisher.publish(after)
        elif above in self._speaking() and above != role:
            keys = self.publisher.keys(1 + number % 3)
            is_new = role not in self.publisher.made.parts
            after = self.publisher.made.next(above, *([] if is_new else [role]))
            entry = Delegated(role, keys, ["app/*", "*"][: 1 + number % 2], 1 + number % len(keys))
            entry.members["terminating"] = number % 5 == 0
            after.delegate(above, entry, f"app/{number % 3}").signers = keys
            self.publisher.publish(after)

    @rule(role=roles, stay=pick, new=st.integers(1, 3), number=pick)
    def rotate(self, role: str, stay: int, new: int, number: int) -> None:
        """Give a role to other keys, some of which may stay, and to another threshold."""
        keys, _ = self.publisher.holders(role)
        if not keys:
            return
        after = [*keys[: stay % (len(keys) + 1)], *self.publisher.keys(new)]
        least = 1 + sum(key.id in self.stolen for key in after)
        if role in ONLINE or least <= len(after):
            self.publisher.hand_over(role, after, min(len(after), max(1 + number % len(after), least)))

    @rule(role=roles)
    def renew(self, role: str) -> None:
        """Sign a role anew."""
        if role in self.publisher.made.parts:
            self.publisher.publish(self.publisher.made.next(role))

    @rule(days=st.integers(1, 5))
    def pass_time(self, days: int) -> None:
        """Let days go by."""
        self.publisher.day += days

    # --- the thief ------------------------------------------------------------------------------------------------

    @rule(role=roles)
    def steal_one(self, role: str) -> None:
        """Steal a key, if all roles that it was ever good for are safe without it."""
        for key in self.publisher.holders(role)[0]:
            have = {*self.stolen, key.id}
            if all(len(have & ids) < least for _, ids, least in self.publisher.sets if key.id in ids):
                self.stolen[key.id] = key
                return

    @rule()
    def steal_online(self) -> None:
        """Steal the keys of timestamp and snapshot."""
        self.stolen |= {key.id: key for role in ONLINE for key in self.publisher.made.keys[role]}

    @rule(at=pick, who=pick)
    def roll_back(self, at: int, who: int) -> None:
        """Serve everything as it was once, but for the roots since, to somebody who knows better and to all others."""
        client = self.clients[who % len(self.clients)]
        self._refresh(client, "app/0")
        view = self.publisher.views[-1 - at % min(8, len(self.publisher.views))]
        now = self.publisher.files
        self.bent |= {path: view.get(path) for path in now if view.get(path) != now[path] and "root" not in path}
        self._refresh(client, "app/0")

    @rule(number=pick)
    def slip_in(self, number: int) -> None:
        """Steal the key of the snapshot alone; the publisher's machine puts the thief's one into its timestamp.

        Not before everybody has some snapshot: who believed that timestamp and has no snapshot cannot tell later that
        it was listed by other keys, and waits for the publisher to list a version as high.
        """
        if not all("snapshot" in client.world.memory.floors for client in self.clients):
            return
        self.stolen |= {key.id: key for key in self.publisher.made.keys["snapshot"]}
        evil = signed(self.publisher.files[self._newest("snapshot")])
        evil["version"] += FAR
        forged = self._forged("snapshot", evil)
        entry = listing(forged, evil["version"], ("length", "hashes"))
        after = self.publisher.made.next("timestamp")
        after.parts["timestamp"].edit = lambda signed: signed["meta"].update({"snapshot.json": entry})
        self.publisher.publish(after)
        after.parts["timestamp"].edit = None
        self.bent[f"{evil['version']}.snapshot.json" if after.consistent else "snapshot.json"] = forged
        self._refresh(self.clients[number % len(self.clients)], "app/0")

    @rule(at=pick)
    def withhold_roots(self, at: int) -> None:
        """Serve no root after one that there was."""
        last = self.publisher.made.parts["root"].version
        self.bent |= {f"{version}.root.json": None for version in range(2 + at % last, last + 1)}

    @rule(path=pick, view=pick, other=pick)
    def mix(self, path: int, view: int, other: int) -> None:
        """Serve in the place of one file another one that was published some time."""
        files = self.publisher.views[view % len(self.publisher.views)]
        self.bent[self._path(path)] = files[sorted(files)[other % len(files)]]

    @rule(path=pick)
    def drop(self, path: int) -> None:
        """Serve nothing in the place of a file."""
        self.bent[self._path(path)] = None

    @rule(path=pick, at=st.integers(0, 1 << 12), bit=st.integers(0, 7))
    def flip(self, path: int, at: int, bit: int) -> None:
        """Serve a file with a bit changed."""
        raw = bytearray(self.publisher.files[self._path(path)])
        raw[at % len(raw)] ^= 1 << bit
        self.bent[self._path(path)] = bytes(raw)

    @rule(role=roles, far=st.booleans(), number=pick)
    def forge(self, role: str, far: bool, number: int) -> None:
        """Sign something of one's own with what was stolen, and list it with what was stolen."""
        if role not in self.publisher.made.parts:
            return
        paths = {name: self._newest(name) for name in self.publisher.made.parts}
        evil = {name: signed(self.publisher.files[path]) for name, path in paths.items()}
        step = FAR if far else 1
        evil[role]["version"] += step
        if role == "root":
            self._forge_root(evil["root"])
            return
        if "targets" in evil[role]:
            evil[role]["targets"][f"app/{number % 3}"] = target("evil")
        forged = {role: self._forged(role, evil[role])}
        if role not in ONLINE:
            evil["snapshot"]["meta"][f"{role}.json"] = listing(
                forged[role], evil[role]["version"], ("length", "hashes")
            )
        if role != "timestamp":
            evil["snapshot"]["version"] += step if role != "snapshot" else 0
            if number % 3 == 0:
                evil["snapshot"]["meta"]["ghost.json"] = {"version": FAR}
            forged["snapshot"] = self._forged("snapshot", evil["snapshot"])
            entry = listing(forged["snapshot"], evil["snapshot"]["version"], ("length", "hashes"))
            evil["timestamp"]["meta"]["snapshot.json"] = entry
            evil["timestamp"]["version"] += step
        elif number % 2:
            evil["timestamp"]["meta"]["snapshot.json"] = {"version": FAR}
        forged["timestamp"] = self._forged("timestamp", evil["timestamp"])
        for name, raw in forged.items():
            versioned = self.publisher.made.consistent and name != "timestamp"
            self.bent[f"{evil[name]['version']}.{name}.json" if versioned else f"{name}.json"] = raw

    @rule(role=roles, number=pick)
    def fast_forward(self, role: str, number: int) -> None:
        """Steal the keys of timestamp and snapshot, drive a version up with them, and have somebody ask."""
        self.steal_online()
        self.forge(role, far=True, number=number)
        self._refresh(self.clients[number % len(self.clients)], "app/0")

    @rule()
    def pause(self) -> None:
        """Serve what is published."""
        self.bent = {}

    # --- the clients ----------------------------------------------------------------------------------------------

    @rule(who=pick, name=pick)
    def refresh(self, who: int, name: int) -> None:
        """Refresh and look a name up; it ends well or is refused."""
        self._refresh(self.clients[who % len(self.clients)], f"app/{name % 3}")

    @rule(who=pick, skew=st.integers(-1, 1))
    def set_clock(self, who: int, skew: int) -> None:
        """Have a client's clock be a day off, or right."""
        self.clients[who % len(self.clients)].skew = skew

    @rule(who=pick, role=roles, damaged=st.booleans())
    def lose(self, who: int, role: str, damaged: bool) -> None:
        """Lose a file of a client's cache, or damage it."""
        kept = self.clients[who % len(self.clients)].world.kept
        if raw := kept.pop(role, b""):
            kept |= {role: raw[:-1] + b"]"} if damaged else {}

    @rule()
    def refresh_all(self) -> None:
        """Refresh all of them."""
        for client in self.clients:
            self._refresh(client, "app/1")

    @precondition(lambda self: self.since > 6)
    @rule()
    def recover(self) -> None:
        """Replace every stolen key, sign all anew, and be rid of the thief: everybody reads what is published."""
        self.since = 0
        made = self.publisher.made
        for role in [*TOP, *made.parts]:
            keys, threshold = self.publisher.holders(role)
            if any(key.id in self.stolen for key in keys):
                new = [self.publisher.keys(1)[0] if key.id in self.stolen else key for key in keys]
                self.publisher.hand_over(role, new, threshold)
        self.publisher.publish(self.publisher.made.next(*self.publisher.made.parts))
        self.bent = {}
        for client in self.clients:
            assert self._refresh(client, "app/0") is None
            for role in TOP:
                assert signed(client.world.kept[role])["version"] == self.publisher.made.parts[role].version
            requests = len(client.world.requests)
            assert self._refresh(client, "app/0") is None
            assert sum(step[0] == "want" for step in client.world.trace[requests:]) == 2

    # --- what always holds ----------------------------------------------------------------------------------------

    @invariant()
    def caches_are_sound(self) -> None:
        """
        What was kept was signed by who may, and is no older than what was kept before.
        """
        self.since += 1
        for client in self.clients:
            for request in client.world.keeps[client.checked :]:
                self._judge(client, request)
            client.checked = len(client.world.keeps)

    def teardown(self) -> None:
        """All lives end well."""
        if hasattr(self, "publisher"):
            self.recover()
            self.caches_are_sound()

    def _judge(self, client: Client, request: Keep) -> None:
        for role, raw in request.files.items():
            client.root = signed(raw) if role == "root" else client.root
            client.snapshot = raw if role == "snapshot" else client.snapshot
            honest = (role, payload(raw)) in self.publisher.signed
            assert honest or (role in ONLINE and self._is_lost(role, client.root)), f"{role} by nobody"
            if role in {"root", *ONLINE}:
                assert request.memory.floors[role].sha256 == hashlib.sha256(raw).hexdigest()
            if honest:
                version, root = signed(raw)["version"], client.root["version"]
                before = client.seen.get(role, (0, 0))
                # Where the keys of the snapshot are new, and stolen again, TUF begins anew with them.
                anew = role not in {"root", *ONLINE} and root > before[1]
                if not anew or self._is_honest("snapshot", client.snapshot):
                    assert version >= before[0], f"{role} v{version} after v{before[0]}"
                client.seen[role] = max((version, root), before)

    def _is_honest(self, role: str, raw: bytes) -> bool:
        return (role, payload(raw)) in self.publisher.signed

    def _is_lost(self, role: str, root: Json) -> bool:
        """Say whether thieves may sign for *role*, by *root*."""
        own = root["roles"][role]
        return len({*own["keyids"]} & self.stolen.keys()) >= int(own["threshold"])

    def _refresh(self, client: Client, name: str) -> UntrustedError | None:
        now = BEGIN + timedelta(days=self.publisher.day + client.skew)
        world = client.world
        world.repository = {path: raw for path, raw in (self.publisher.files | self.bent).items() if raw is not None}
        workflow = Workflow(DIALECT, Gun(GUN), now, pins=Pins(root=self.publisher.first))
        try:
            world.drive(workflow.refresh())
            found = world.drive(workflow.find(name))
            world.drive(workflow.delegated())
        except UntrustedError as exc:
            return exc
        assert workflow.expires(found.chain if found else ()) > now
        for role, part in workflow.roles.items():
            assert self._is_honest(role, part.raw)
        for role in ("root", *ONLINE):
            assert world.kept[role] == getattr(workflow, role).raw, "the cache is whole"
        if found:
            assert found.meta.hashes["sha256"] != hashlib.sha256(b"evil").digest()
        return None

    def _forge_root(self, evil: Json) -> None:
        mine = eddsa("thief")
        evil["keys"][mine.id] = mine.spelled
        for own in evil["roles"].values():
            own.update(keyids=[mine.id], threshold=1)
        self.bent[f"{evil['version']}.root.json"] = self._forged("root", evil)

    def _forged(self, role: str, evil: Json) -> bytes:
        keys = [key for key in self.publisher.holders(role)[0] if key.id in self.stolen] or list(self.stolen.values())
        signers = {key.id: key for key in (*keys, eddsa("thief"))}
        message = canonical(evil)
        return wire({"signatures": [key.sign(message) for key in signers.values()], "signed": evil})

    def _newest(self, role: str) -> str:
        version = self.publisher.made.parts[role].version
        versioned = role == "root" or (self.publisher.made.consistent and role != "timestamp")
        return f"{version}.{role}.json" if versioned else f"{role}.json"

    def _path(self, number: int) -> str:
        """Return one of the paths of what is current, the smaller numbers first."""
        paths = sorted(map(self._newest, self.publisher.made.parts))
        return paths[number % len(paths)]

    def _speaking(self) -> Iterable[str]:
        """Return the roles that may be asked for names."""
        return ["targets", *(role for role in POOL if self.publisher.delegation(role))]


def signed(raw: bytes) -> Json:
    """Return what is signed in *raw*."""
    inner: Json = json.loads(raw)["signed"]
    return inner


def payload(raw: bytes) -> bytes:
    """Return what the signatures of *raw* cover."""
    return canonical(signed(raw))


def _roots(files: Mapping[str, bytes]) -> dict[str, bytes]:
    return {path: raw for path, raw in files.items() if path.endswith(".root.json")}


def _ids(keys: Iterable[Key]) -> frozenset[str]:
    return frozenset(key.id for key in keys)


TestMachine = pytest.mark.slow(pytest.mark.timeout(7200 if FULL else 300)(Machine.TestCase))
TestMachine.settings = settings(
    max_examples=5000 if FULL else 60, stateful_step_count=40 if FULL else 25, deadline=None
)

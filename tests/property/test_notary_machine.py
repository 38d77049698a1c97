"""
A publisher of a Notary collection, a thief and several clients, in any order that Hypothesis comes up with.

The publisher changes targets, keys, thresholds and delegations, two levels deep. The thief answers in place of the
server: with whatever was ever published, in any mixture, with files that are bent, padded or missing, and with what he
signs by stolen keys: of root, targets and delegated roles fewer than their thresholds, of timestamp and snapshot all.
In all of it

* nobody keeps a root, targets or delegated role that the publisher did not sign, nor another timestamp or snapshot as
  long as their keys are safe;
* nobody goes back behind what was kept before, whoever lists it, nor relies on what expired;
* once the stolen keys are replaced and the thief is gone, everybody reads what is published.

25 steps each; 40 lives by default, with TRUSTREG_FULL=1 thousands.
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
from trustreg.dialects.notary1 import Notary1
from trustreg.errors import UntrustedError
from trustreg.names import Gun
from trustreg.verify.pinning import Pins
from trustreg.verify.workflow import Workflow
from vectors.make.collection import GUN, TOP, Collection, Delegated, Part, canonical, listing, root_key, target, wire
from vectors.make.material import raw

if TYPE_CHECKING:
    from trustreg.verify.requests import Keep
    from vectors.make.material import Listed

Json: TypeAlias = dict[str, Any]

FULL = bool(os.environ.get("TRUSTREG_FULL"))
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
LIVES = {"root": 365, "snapshot": 14, "timestamp": 4}
ONLINE = ("timestamp", "snapshot")
POOL = ("targets/a", "targets/a/b", "targets/c")
ASKED = ("targets/a/b", "targets/a", "targets/c", "targets")
DIALECT = Notary1()
FAR = 2**31

pick = st.integers(0, 63)
roles = st.sampled_from((*TOP, *POOL))


class Publisher:
    """
    Signs, and remembers all that was ever signed.

    ``files`` is what a server has now, and by digest all that it ever had; ``stamps`` are the timestamps it had.
    """

    def __init__(self) -> None:
        self.day, self._serial = 0, 0
        self.files: dict[str, bytes] = {}
        self.stamps: list[bytes] = []
        self.signed: set[tuple[str, bytes]] = set()
        self.sets: list[tuple[str, frozenset[str], int]] = []
        self.versions: dict[str, int] = {}  # of roles that are gone, too
        made = Collection(parts={role: Part() for role in TOP})
        for role in TOP:
            made.keys[role] = self.keys(role, 2)
            made.thresholds[role] = 1 if role in ONLINE else 2
        made.parts["targets"].targets["0"] = target("0")
        self.made = made
        self.publish(made, *TOP)
        self.first = self.files["root.json"]

    def keys(self, role: str, count: int) -> list[Listed]:
        """Return so many new keys."""
        self._serial += count
        make = root_key if role == "root" else raw
        return [make(f"notary machine {self._serial - number}") for number in range(count)]

    def publish(self, after: Collection, *changed: str) -> None:
        """Sign *changed*, and what lists them, and put it where clients find it."""
        for role in {*changed, *ONLINE}:
            end = BEGIN + timedelta(days=self.day + LIVES.get(role, 90))
            after.parts[role].expires = f"{end:%Y-%m-%dT%H:%M:%SZ}"
        self.made = after
        published = after.publish()
        self.signed |= {(role, payload(file)) for role, file in published.files.items()}
        self.files |= published.repository()
        self.stamps.append(published.files["timestamp"])
        self.versions |= {role: part.version for role, part in after.parts.items()}
        self.sets += [
            *((role, _ids(keys), after.thresholds[role]) for role, keys in after.keys.items()),
            *((d.name, _ids(d.keys), d.threshold) for part in after.parts.values() for d in part.delegations),
        ]

    def entry(self, role: str, within: Collection | None = None) -> Delegated | None:
        """Return how *role* is delegated to, if it is."""
        above = (within or self.made).parts.get(role.rpartition("/")[0])
        return next((d for d in above.delegations if d.name == role), None) if above else None

    def holders(self, role: str) -> tuple[list[Listed], int]:
        """Return the keys of *role* and its threshold; none where nobody delegates to it."""
        if role in TOP:
            return self.made.keys[role], self.made.thresholds[role]
        found = self.entry(role)
        return (found.keys, found.threshold) if found else ([], 1)

    def hand_over(self, role: str, keys: list[Listed], threshold: int) -> None:
        """Give *role* to other keys."""
        if role in TOP:
            after = self.made.rotate(role, *keys)
            after.thresholds[role] = threshold
            self.publish(after, "root", role)
        else:
            above = role.rpartition("/")[0]
            after = self.made.next(above, role)
            entry = self.entry(role, after)
            assert entry
            entry.keys, entry.threshold = keys, threshold
            self.publish(after, above, role)

    def speaking(self) -> list[str]:
        """Return the roles that say something of names."""
        return ["targets", *(role for role in POOL if self.entry(role))]


@dataclass
class Client:
    """A client: what it keeps, how wrong its clock is, and the newest of the publisher's files that it has kept."""

    world: World
    skew: int
    seen: dict[str, int] = field(default_factory=dict)  # version by role
    checked: int = 0  # requests to keep that were looked at
    root: Json = field(default_factory=dict)  # the last one that it kept


class Machine(RuleBasedStateMachine):
    """All of them together."""

    @initialize()
    def begin(self) -> None:
        """Publish the first time."""
        self.publisher = Publisher()
        self.clients = [Client(World({}), skew) for skew in (-1, 0, 1)]
        self.stolen: dict[str, Listed] = {}
        self.bent: dict[str, bytes | None] = {}  # what the thief serves in place of files
        self.since = 0  # steps since all was well

    # --- the publisher --------------------------------------------------------------------------------------------

    @rule(role=roles, number=pick)
    def add_or_remove(self, role: str, number: int) -> None:
        """Add a target, or remove one."""
        if role not in self.publisher.speaking():
            return
        after, name = self.publisher.made.next(role), str(number % 3)
        if number % 2 and name in after.parts[role].targets:
            del after.parts[role].targets[name]
        else:
            after.parts[role].targets[name] = target(f"{name} {number} of {role} {after.parts[role].version}")
        self.publisher.publish(after, role)

    @rule(role=st.sampled_from(POOL), number=pick)
    def delegate(self, role: str, number: int) -> None:
        """Delegate to a role, or stop doing so, with all that it delegated to."""
        above = role.rpartition("/")[0]
        if self.publisher.entry(role):
            after = self.publisher.made.next(above)
            after.parts[above].delegations = [d for d in after.parts[above].delegations if d.name != role]
            after.parts = {name: part for name, part in after.parts.items() if not f"{name}/".startswith(f"{role}/")}
            self.publisher.publish(after, above)
        elif above in self.publisher.speaking():
            after, keys = self.publisher.made.next(above), self.publisher.keys(role, 1 + number % 3)
            part = after.delegate(Delegated(role, keys, ["", "1"][: 1 + number % 2], 1 + number % len(keys)))
            assert part
            part.version, part.targets = self.publisher.versions.get(role, 0) + 1, {str(number % 3): target(role)}
            self.publisher.publish(after, above, role)

    @rule(role=roles, stay=pick, new=st.integers(1, 3), number=pick)
    def rotate(self, role: str, stay: int, new: int, number: int) -> None:
        """Give a role to other keys, some of which may stay, and to another threshold."""
        keys, _ = self.publisher.holders(role)
        if not keys:
            return
        after = [*keys[: stay % (len(keys) + 1)], *self.publisher.keys(role, new)]
        least = 1 + sum(key.id in self.stolen for key in after)
        if role in ONLINE or least <= len(after):
            self.publisher.hand_over(role, after, min(len(after), max(1 + number % len(after), least)))

    @rule(role=roles)
    def renew(self, role: str) -> None:
        """Sign a role anew."""
        if role == "root":
            self.publisher.hand_over(role, *self.publisher.holders(role))
        elif role in self.publisher.made.parts:
            self.publisher.publish(self.publisher.made.next(role), role)

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
        self._refresh(client, "0")
        self.bent["timestamp.json"] = self.publisher.stamps[-1 - at % min(8, len(self.publisher.stamps))]
        self._refresh(client, "0")

    @rule(at=pick)
    def withhold_roots(self, at: int) -> None:
        """Serve no root after one that there was."""
        last = self.publisher.made.parts["root"].version
        self.bent |= {f"{version}.root.json": None for version in range(2 + at % last, last + 1)}

    @rule(path=pick, other=pick)
    def mix(self, path: int, other: int) -> None:
        """Serve in the place of one file another one that was published some time."""
        self.bent[self._path(path)] = self.publisher.files[
            sorted(self.publisher.files)[other % len(self.publisher.files)]
        ]

    @rule(path=pick)
    def drop(self, path: int) -> None:
        """Serve nothing in the place of a file."""
        self.bent[self._path(path)] = None

    @rule(path=pick, at=st.integers(0, 1 << 12), bit=st.integers(0, 7))
    def flip(self, path: int, at: int, bit: int) -> None:
        """Serve a file with a bit changed."""
        changed = bytearray(self.publisher.files[self._path(path)])
        changed[at % len(changed)] ^= 1 << bit
        self.bent[self._path(path)] = bytes(changed)

    @rule(blank=st.booleans(), who=pick)
    def pad(self, blank: bool, who: int) -> None:
        """Serve the timestamp with a blank or a signature more; who believed it goes on believing the publisher's."""
        client, file = self.clients[who % len(self.clients)], self.publisher.files["timestamp.json"]
        document = json.loads(file)
        more = [*document["signatures"], {"keyid": "f" * 64, "method": "eddsa", "sig": ""}]
        self.bent["timestamp.json"] = file + b" " if blank else wire({**document, "signatures": more})
        believed = self._refresh(client, "0") is None
        del self.bent["timestamp.json"]
        assert not believed or self._refresh(client, "0") is None

    @rule(role=roles, far=st.booleans(), number=pick)
    def forge(self, role: str, far: bool, number: int) -> None:
        """Sign something of one's own with what was stolen, and list it with what was stolen."""
        if role not in self.publisher.made.parts:
            return
        evil = {name: signed(self._current(name)) for name in self.publisher.made.parts}
        step = FAR if far else 1
        evil[role]["version"] += step
        if role == "root":
            self._forge_root(evil["root"])
            return
        if "targets" in evil[role]:
            evil[role]["targets"][str(number % 3)] = target("evil")
            self._serve(role, evil[role], evil["snapshot"])
        if role != "timestamp":
            evil["snapshot"]["version"] += step if role != "snapshot" else 0
            evil["timestamp"]["version"] += step
            if number % 3 == 0:
                evil["snapshot"]["meta"].pop(POOL[number % len(POOL)], None)
            self._serve("snapshot", evil["snapshot"], evil["timestamp"])
        self.bent["timestamp.json"] = self._forged("timestamp", evil["timestamp"])

    @rule(role=roles, number=pick)
    def relist(self, role: str, number: int) -> None:
        """List a file that the publisher signed some time, with the stolen keys of timestamp and snapshot."""
        if role in TOP and role != "targets":
            return
        self.steal_online()
        evil = {name: signed(self._current(name)) for name in ONLINE}
        paths = sorted(path for path in self.publisher.files if path.startswith(f"{role}."))
        if not paths:
            return
        evil["snapshot"]["meta"][role] = listing(self.publisher.files[paths[number % len(paths)]])
        evil["snapshot"]["version"] += 1
        evil["timestamp"]["version"] += 1
        self._serve("snapshot", evil["snapshot"], evil["timestamp"])
        self.bent["timestamp.json"] = self._forged("timestamp", evil["timestamp"])
        self.refresh_all()

    @rule(role=roles, number=pick)
    def fast_forward(self, role: str, number: int) -> None:
        """Steal the keys of timestamp and snapshot, drive a version up with them, and have somebody ask."""
        self.steal_online()
        self.forge(role, far=True, number=number)
        self._refresh(self.clients[number % len(self.clients)], "0")

    @rule(role=roles, number=pick)
    def betray(self, role: str, number: int) -> None:
        """Steal what may be stolen of a role, use it, and have somebody ask."""
        self.steal_one(role)
        self.fast_forward(role, number)

    @rule()
    def pause(self) -> None:
        """Serve what is published."""
        self.bent = {}

    # --- the clients ----------------------------------------------------------------------------------------------

    @rule(who=pick, name=pick)
    def refresh(self, who: int, name: int) -> None:
        """Refresh and look a name up; it ends well or is refused."""
        self._refresh(self.clients[who % len(self.clients)], str(name % 3))

    @rule(who=pick, skew=st.integers(-1, 1))
    def set_clock(self, who: int, skew: int) -> None:
        """Have a client's clock be a day off, or right."""
        self.clients[who % len(self.clients)].skew = skew

    @rule(who=pick, role=roles, damaged=st.booleans())
    def lose(self, who: int, role: str, damaged: bool) -> None:
        """Lose a file of a client's cache, or damage it."""
        kept = self.clients[who % len(self.clients)].world.kept
        if file := kept.pop(role, b""):
            kept |= {role: file[:-1] + b"]"} if damaged else {}

    @rule()
    def refresh_all(self) -> None:
        """Refresh all of them."""
        for client in self.clients:
            self._refresh(client, "1")

    @precondition(lambda self: self.since > 6)
    @rule()
    def recover(self) -> None:
        """Replace every stolen key, sign all anew, and be rid of the thief: everybody reads what is published."""
        self.since = 0
        for role in [*TOP, *POOL]:
            keys, threshold = self.publisher.holders(role)
            if any(key.id in self.stolen for key in keys):
                new = [self.publisher.keys(role, 1)[0] if key.id in self.stolen else key for key in keys]
                self.publisher.hand_over(role, new, threshold)
        every = [role for role in self.publisher.made.parts if role != "root"]
        self.publisher.publish(self.publisher.made.next(*every), *every)
        self.bent = {}
        for client in self.clients:
            assert self._refresh(client, "0") is None
            for role, part in self.publisher.made.parts.items():
                assert signed(client.world.kept[role])["version"] == part.version
            requests = len(client.world.requests)
            assert self._refresh(client, "0") is None
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
        client.root = signed(request.files["root"]) if "root" in request.files else client.root
        for role, file in request.files.items():
            honest = (role, payload(file)) in self.publisher.signed
            assert honest or (role in ONLINE and self._is_lost(role, client.root)), f"{role} by nobody"
            assert request.memory.floors[role].sha256 == hashlib.sha256(file).hexdigest()
            if honest:
                version, before = signed(file)["version"], client.seen.get(role, 0)
                assert version >= before, f"{role} v{version} after v{before}"
                client.seen[role] = version

    def _is_lost(self, role: str, root: Json) -> bool:
        """Say whether thieves may sign for *role*, by *root*."""
        own = root["roles"][role]
        return len({*own["keyids"]} & self.stolen.keys()) >= int(own["threshold"])

    def _refresh(self, client: Client, name: str) -> UntrustedError | None:
        now = BEGIN + timedelta(days=self.publisher.day + client.skew)
        world = client.world
        world.repository = {path: file for path, file in (self.publisher.files | self.bent).items() if file is not None}
        workflow = Workflow(DIALECT, Gun(GUN), now, pins=Pins(root=self.publisher.first))
        try:
            world.drive(workflow.refresh())
            found = world.drive(workflow.find(name, ASKED))
            failed = world.drive(workflow.delegated())
        except UntrustedError as exc:
            return exc
        assert workflow.expires(found.chain if found else ()) > now
        for role, part in workflow.roles.items():
            assert (role, payload(part.raw)) in self.publisher.signed
        for role in ("root", *ONLINE):
            assert world.kept[role] == getattr(workflow, role).raw, "the cache is whole"
        if found:
            assert found.meta.hashes["sha256"] != hashlib.sha256(b"evil").digest()
        return next(iter(failed.values()), None)

    def _forge_root(self, evil: Json) -> None:
        mine = root_key("thief")
        evil["keys"][mine.id] = mine.spelled
        for own in evil["roles"].values():
            own.update(keyids=[mine.id], threshold=1)
        self.bent[f"{evil['version']}.root.json"] = self._forged("root", evil)

    def _serve(self, role: str, evil: Json, above: Json) -> None:
        """Serve *evil* where its digest says, and list it in what is *above* it."""
        file = self._forged(role, evil)
        self.bent[f"{role}.{hashlib.sha256(file).hexdigest()}.json"] = file
        above["meta"][role] = listing(file)

    def _forged(self, role: str, evil: Json) -> bytes:
        keys = [key for key in self.publisher.holders(role)[0] if key.id in self.stolen] or list(self.stolen.values())
        signers = {key.id: key for key in (*keys, raw("thief"))}
        message = canonical(evil)
        return wire({"signed": evil, "signatures": [key.sign(message) for key in signers.values()]})

    def _current(self, role: str) -> bytes:
        return self.publisher.made.publish().files[role]

    def _path(self, number: int) -> str:
        """Return one of the paths of what is current."""
        published = self.publisher.made.publish()
        paths = sorted(
            {*map(published.path, published.files), f"{self.publisher.made.parts['root'].version}.root.json"}
        )
        return paths[number % len(paths)]


def signed(file: bytes) -> Json:
    """Return what is signed in *file*."""
    inner: Json = json.loads(file)["signed"]
    return inner


def payload(file: bytes) -> bytes:
    """Return what the signatures of *file* cover."""
    return canonical(signed(file))


def _ids(keys: list[Listed]) -> frozenset[str]:
    return frozenset(key.id for key in keys)


TestMachine = pytest.mark.slow(pytest.mark.timeout(7200 if FULL else 300)(Machine.TestCase))
TestMachine.settings = settings(
    max_examples=5000 if FULL else 40, stateful_step_count=40 if FULL else 25, deadline=None
)

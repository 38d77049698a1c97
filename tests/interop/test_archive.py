"""Archives of what real servers have, read when these are gone; and killed at any moment while they are written."""

from __future__ import annotations

import os
import random
import re
import shutil
from typing import TYPE_CHECKING

import pytest

import trustreg
from tests.interop.stores import Person
from tests.interop.test_kill import Life, kill_after, spread
from tests.interop.test_notary_reads import add, delegate, pinned, row
from tests.interop.test_notary_writes import push
from tests.interop.test_peers import signer
from tests.peers import image
from trustreg.io.archive import Archive
from trustreg.metadata import FileMeta
from trustreg.names import Gun
from trustreg.sign.changes import AddTarget

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.interop.stores import Shelf
    from tests.peers import GoNotary, Peer, RegistryPeer, Trustreg

    Go = Callable[..., GoNotary]
    People = Callable[..., Trustreg]

MOMENTS = 40 if os.environ.get("TRUSTREG_FULL") else 4


def requests(said: str) -> list[str]:
    """Give what a server was asked for, by what was printed of it."""
    return re.findall(r"/_trust/tuf/([a-z0-9/.]+)\.json", re.sub(r"\.[0-9a-f]{64}\.json", ".json", said))


def test_what_go_signed_outlives_its_server(
    trust_server: Peer, go_notary: Go, people: People, gun: str, tmp_path: Path
) -> None:
    """
    Two levels of delegations, and a root that was rotated twice, by Go: archived whole, verified as of then, without a
    word to the server; and of what Go adds, only that is asked for.
    """
    go, person, stranger = go_notary(trust_server), people(trust_server), people(trust_server)
    key = signer(tmp_path)
    go.init(gun, publish=True)
    delegate(go, gun, "targets/releases", key)
    go.delegation_add(gun, "targets/releases/nightly", key[0], paths=["nightly-"], publish=True)
    add(go, gun, "1.0")
    add(go, gun, "2.0", role="targets/releases")
    add(go, gun, "nightly-1", role="targets/releases/nightly")
    go.key_rotate(gun, "root")
    go.key_rotate(gun, "root")
    expected = [row("1.0"), row("2.0", "targets/releases"), row("nightly-1", "targets/releases/nightly")]

    (first,) = person.json("archive", "-o", "backup.zip", gun)["collections"]
    then = shutil.copy(person.home / "backup.zip", tmp_path / "then.zip")
    add(go, gun, "3.0")
    asked = person.run("archive", "-v", "-o", "backup.zip").stderr
    blank = people(trust_server)
    blank.run("archive", "-o", person.home / "backup.zip", "--trust-dir", blank.home / "one")
    unchanged = blank.run("archive", "-v", "-o", person.home / "backup.zip", "--trust-dir", blank.home / "two").stderr

    assert (first["roots"], first["files"]) == ({"first": 1, "last": 3}, 8)
    assert requests(asked) == ["4.root", "timestamp", "snapshot", "targets"]
    assert requests(unchanged) == ["root", "4.root", "timestamp"]
    with trust_server.paused():
        old, pin = ("--from", then, "--at", first["taken"]), ("--pin", first["rootKeyids"][0])
        listed = stranger.json("list", *old, gun)["tags"]
        assert sorted(each.name for each in expected) == [tag["tag"] for tag in listed]
        for name in ("1.0", "2.0"):
            said = stranger.run("verify", *old, *pin, "--no-registry", f"{gun}:{name}")
            assert said.stdout.startswith(f"{pinned(gun, name)}  ")
        assert stranger.run("verify", *old, "--no-registry", f"{gun}:3.0", check=False).returncode == 1
        said = person.run("verify", "--from", "backup.zip", "--no-registry", f"{gun}:3.0")  # by what it remembers
        assert said.stdout.startswith(f"{pinned(gun, '3.0')}  ")
    assert not (stranger.trust_dir / "trusted").exists()


def test_what_trustreg_signed_outlives_its_server(
    go_server: Peer, registry: RegistryPeer, people: People, gun: str
) -> None:
    """The registry is still asked what it has now, and a tag that moved is refused."""
    person, reader = people(go_server, registry=registry), people(go_server, registry=registry)
    person.run("init", gun)
    pushed = push(registry, gun, "1.0")
    person.run("sign", f"{gun}:1.0")
    reader.run("archive", "-o", "backup", gun)

    with go_server.paused():
        done = reader.verifier(archive=reader.home / "backup").verify(f"{gun}:1.0")
        assert (str(done.digest), done.compared, done.taken) == (pushed.digest, True, done.taken)
        push(registry, gun, "1.0", image("other"))
        said = reader.run("verify", "--from", "backup", f"{gun}:1.0", check=False)
        assert (said.returncode, "but the registry serves" in said.stderr) == (1, True)


def test_a_collection_in_any_store(shelf: Shelf, tmp_path: Path) -> None:
    """A folder, a bucket or a registry: what is there can be read without it, role by role."""
    person, reader, backup = Person(shelf, tmp_path / "a"), Person(shelf, tmp_path / "b"), tmp_path / "backup"
    person.init()
    target = AddTarget(role="targets", name="a", meta=FileMeta(length=1, hashes={"sha256": bytes(32)}))

    first = reader.verifier().archive(backup)
    trustreg.Publisher(env=person.env).change(target)
    second = reader.verifier().archive(backup)

    assert (first.added, second.added, second.states) == (4, 3, 2)
    env = {name: value for name, value in reader.env.items() if name != "TRUSTREG_STORE"}
    for at, names in ((None, ["a"]), (second.state.taken, ["a"])):
        contents = trustreg.Verifier(env=env, archive=backup, at=at).contents(shelf.gun)
        assert names == [entry.tag for entry in contents.entries]


@pytest.mark.slow
@pytest.mark.parametrize("form", ["backup", "backup.zip"])
def test_an_archivist_that_is_killed(form: str, go_server: Peer, go_notary: Go, people: People, gun: str) -> None:
    """
    At any moment: what there is can be read and is whole, and the same command, run again, does what it was to do.
    """
    go, person = go_notary(go_server), people(go_server)
    go.init(gun, publish=True)
    person.run("archive", "-o", form, gun)
    place, chance = person.home / form, random.Random(gun)
    life = Life(lambda: person.run("archive", "-o", "other", gun))
    states = 1

    for number, share in enumerate(spread(MOMENTS, chance)):
        add(go, gun, f"v{number}")
        kill_after(person, share * life.seconds, "archive", "-o", form)

        found = Archive(place).states(Gun(gun))
        assert len(found) in {states, states + 1}
        assert person.verifier(archive=place, at=found[-1].taken).contents(gun).roles
        person.run("archive", "-o", form)
        states += 1
        contents = person.verifier(archive=place).contents(gun)
        assert f"v{number}" in {entry.tag for entry in contents.entries}
        assert len(Archive(place).states(Gun(gun))) == states

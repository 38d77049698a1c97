"""
The whole way off a trust server that is being switched off: inventory, archive, verify from it, convert.

``TRUSTREG_FULL=1`` takes a collection of 2 000 tags, and interrupts each conversion ten times.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import requests

import trustreg
from tests.peers import Skopeo, Trustreg, docker_registry, image, notary_server
from tests.peers.gpg import gpg_home
from trustreg.metadata import FileMeta
from trustreg.names import RELEASES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.peers import RegistryPeer

FULL = os.environ.get("TRUSTREG_FULL") == "1"
TAGS = 2000 if FULL else 150
KILLS = 10 if FULL else 3
SIGNERS = ("alice", "bob", "carol", "dave", "erin")
GUN = "registry.example/team/app"
IMAGES = [image(f"build {number}") for number in range(23)]  # a folder takes so many signatures of one image
WANTED = {f"v{number}": IMAGES[number % len(IMAGES)].manifest for number in range(TAGS)}


class Leaving:
    """A collection on a trust server that goes away, and the person who moves it."""

    def __init__(self, person: Trustreg, registry: RegistryPeer) -> None:
        self.person, self.registry, self.stock = person, registry, ""

    def make(self) -> None:
        """Begin it, with five signers and three root rotations; push and sign all tags."""
        for what in IMAGES:
            Skopeo(self.registry).push(what, f"{GUN.partition('/')[2]}:v0")
        self._tag()
        publisher = self.person.publisher()
        publisher.init(GUN)
        roles = (*(f"targets/{name}" for name in SIGNERS), RELEASES)
        for role in roles[:-1]:
            key = publisher.new_key(role, "ecdsa", GUN)
            both = (trustreg.Amend(role="targets", name=n, add_keys=(key,), add_paths=("",)) for n in (role, RELEASES))
            publisher.change(*both, gun=GUN)
        metas = {
            tag: FileMeta(length=len(what.raw), hashes={"sha256": bytes.fromhex(what.hex)})
            for tag, what in WANTED.items()
        }
        publisher.change(
            *(trustreg.AddTarget(role=role, name=tag, meta=meta) for tag, meta in metas.items() for role in roles),
            gun=GUN,
        )
        for _ in range(3):
            (old,) = (seat for seat in publisher.seats(GUN) if seat.name == "root")
            new = publisher.new_key("root", gun=GUN)
            publisher.change(trustreg.SetKeys(role="root", add=(new,), remove=(old.keys[0].id,)), gun=GUN)

    def take_stock(self) -> None:
        """Take the inventory while the server is there: for people, and for programs."""
        self.person.run("inventory", GUN, "-o", "inventory.html")
        self.stock = self.person.run("inventory", GUN, "--format", "json").stdout

    def _tag(self) -> None:
        with requests.Session() as session:
            for tag, what in WANTED.items():
                url = f"http://{self.registry.host}/v2/{GUN.partition('/')[2]}/manifests/{tag}"
                answer = session.put(url, data=what.raw, headers={"Content-Type": what.media_type}, timeout=10)
                assert answer.status_code == 201, answer.text

    def interrupt(self, *args: str, seed: int) -> None:
        """Run ``trustreg`` with *args* and kill it at moments by chance, so often; a run may be through before that."""
        chance, kills = random.Random(seed), 0
        for _ in range(10 * KILLS):
            process = subprocess.Popen(
                self.person.argv(*args),
                env=self.person.env,
                cwd=self.person.home,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            try:
                out, err = process.communicate(timeout=chance.uniform(0.1, 1.2))
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                kills += 1
                if kills == KILLS:
                    return
            else:
                assert process.returncode == 0, (out, err)
        raise AssertionError(f"it was killed {kills} times only")

    def finished(self, *args: str) -> Any:
        """Run ``trustreg`` with *args* to its end, however long that takes, and read what it prints."""
        return json.loads(self.person.run(*args, "--format", "json", timeout=900).stdout)


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Leaving]:
    """A collection whose server has been switched off, after its inventory was taken and it was archived."""
    home = tmp_path_factory.mktemp("leaving")
    with docker_registry() as registry:
        with notary_server() as server:
            leaving = Leaving(Trustreg(server, home / "person", registry=registry), registry)
            leaving.make()
            leaving.take_stock()
            leaving.person.run("archive", "-o", "archive", GUN)
        yield leaving


def test_all_is_in_the_inventory(left: Leaving) -> None:
    """
    Every tag with its digest, in each role that signs it, held by the registry; every root; all in one page.
    """
    (found,) = json.loads(left.stock)["collections"]
    roles = {RELEASES, *(f"targets/{name}" for name in SIGNERS)}

    assert {(tag["tag"], tag["digest"], tag["registry"]["state"]) for tag in found["tags"]} == {
        (tag, what.digest, "held") for tag, what in WANTED.items()
    }
    assert all(set(tag["roles"]) == roles for tag in found["tags"])
    assert all(set(tag["signers"]) == set(SIGNERS) for tag in found["tags"])
    assert {role["name"] for role in found["roles"]} >= roles
    assert [root["version"] for root in found["roots"]] == [1, 2, 3, 4]
    page = (left.person.home / "inventory.html").read_text()
    assert "<svg" in page
    assert all(what.hex in page for what in WANTED.values())


def test_the_archive_verifies_without_the_server(left: Leaving) -> None:
    """
    All tags, also when all that is in it has expired, as of a time before that.
    """
    tags = left.person.json("list", GUN, "--from", "archive")["tags"]
    counting = {tag["tag"]: tag["digest"] for tag in tags if tag["counts"]}
    assert counting == {tag: what.digest for tag, what in WANTED.items()}

    images = [f"{GUN}:v0", f"{GUN}:v{TAGS - 1}"]
    said = left.person.json("verify", "--from", "archive", *images)
    assert [verdict["verdict"] for verdict in said["verdicts"]] == ["trusted", "trusted"]
    assert left.person.run("verify", images[0], check=False).returncode == 3


def test_all_is_converted_to_tuf(left: Leaving) -> None:
    """
    However often that is interrupted; and then readers of the store find each tag.
    """
    where = ("--to", f"dir:{left.person.home / 'tuf'}")
    convert = ("convert", GUN, "--from", "archive", "--statement", "tuf.json", *where)
    plan = left.person.json(*convert)
    assert plan["summary"] == {"convert": TAGS, "there": 0, "refused": 0}

    left.interrupt(*convert, "--execute", seed=1)
    done = left.finished(*convert, "--execute")

    assert (done["summary"]["refused"], len(done["tags"])) == (0, TAGS)
    store = ("--store", f"dir:{left.person.home / 'tuf'}")
    found = {tag["tag"]: tag["digest"] for tag in left.person.json("list", GUN, *store)["tags"]}
    assert found == {tag: what.digest for tag, what in WANTED.items()}
    said = left.person.json("verify", f"{GUN}:v1", *store)
    assert said["verdicts"][0]["verdict"] == "trusted"


def test_all_is_converted_to_gpg(left: Leaving) -> None:
    """
    One signature for each tag, however often that is interrupted.
    """
    folder = left.person.home / "lookaside"
    with gpg_home() as gpg:
        where = ("--to", f"lookaside:{folder}", "--gpg-key", gpg.generate("release"), "--gpg-home", str(gpg.home))
        convert = ("convert", GUN, "--from", "archive", "--statement", "gpg.json", *where)

        left.interrupt(*convert, "--execute", seed=2)
        done = left.finished(*convert, "--execute")

    assert (done["summary"]["refused"], len(done["tags"])) == (0, TAGS)
    assert len(list(folder.rglob("signature-*"))) == TAGS

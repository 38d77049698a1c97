"""Policies on real images: GPG and plain keys, collections, and all of them together, against real servers."""

from __future__ import annotations

import json
import shutil
from importlib.resources import files
from itertools import combinations
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped,unused-ignore]

import trustreg
from tests.peers import Skopeo, docker_registry, image, index
from tests.peers.gpg import gpg_home
from trustreg.errors import PolicyRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scripts.images import Image
    from tests.peers import Peer, RegistryPeer, Trustreg
    from tests.peers.command import Result
    from tests.peers.gpg import Gpg

    People = Callable[..., Trustreg]

SCHEMA = Draft202012Validator(json.loads((files("trustreg") / "schemas" / "decisions.schema.json").read_text()))
ONCE = pytest.mark.parametrize("trust_server", ["trustreg-serve"], indirect=True)


@pytest.fixture(scope="module")
def gpg() -> Iterator[Gpg]:
    """Somebody's home of gpg."""
    with gpg_home() as home:
        yield home


class Shop:
    """A repository, whoever signs in it in three ways, and whoever admits its images by a policy."""

    def __init__(self, registry: RegistryPeer, trust_server: Peer, people: People, gpg: Gpg, gun: str) -> None:
        self.gun, self.path, self.registry = gun, gun.partition("/")[2], registry
        self.skopeo = Skopeo(registry)
        self.signer, self.reader = people(trust_server, registry=registry), people(trust_server, registry=registry)
        self.lookaside = self.reader.home / "lookaside"
        for person in (self.signer, self.reader):
            with person.config.open("a") as config:  # after the entry of the registry
                config.write(f"\nsignatures = {json.dumps(['tag', f'lookaside:{self.lookaside}'])}\n")
        self.gpg, self.release = gpg, gpg.generate(f"release-{gun[-6:]}")
        keys = self.reader.home / "keys"
        keys.mkdir()
        (keys / "release.gpg").write_bytes(gpg.public(self.release))
        self.ci = self.signer.run("key", "generate", "--role", "ci").stdout.split()[0]
        alice = self.signer.run("key", "generate", "--role", "alice").stdout.split()[0]
        self.signer.run("key", "export", self.ci, "--public", "--output", keys / "ci.pub")
        self.signer.run("key", "export", alice, "--public", "--output", "alice.pub")
        self.signer.run("signer", "add", "alice", gun, "--key", "alice.pub")
        self.reader.run("list", gun)  # so that its root is known
        self.policy = self.reader.home / "policy.yaml"

    def push(self, tag: str, what: Image | None = None) -> Image:
        """Push an image that only this tag has."""
        what = what or image(f"{self.gun}:{tag}")
        self.skopeo.push(what, f"{self.path}:{tag}")
        return what

    def sign(self, tag: str, ways: str) -> None:
        """Sign a tag by GPG (g), by a plain key (k), and in the collection (c)."""
        name = f"{self.gun}:{tag}"
        if "g" in ways:
            to = ("--to", f"lookaside:{self.lookaside}")
            self.signer.run("sign", "--gpg", self.release, "--gpg-home", self.gpg.home, *to, name)
        if "k" in ways:
            self.signer.run("sign", "--key", self.ci, name)
        if "c" in ways:
            self.signer.run("sign", name)

    def demand(self, require: Any, *, default: Any = "reject", **rule: Any) -> None:
        """Write a policy of one rule."""
        document = {
            "version": 1,
            "keys": {"release": {"gpg": "keys/release.gpg"}, "ci": {"key": "keys/ci.pub"}},
            "rules": [{"match": self.gun, "require": require, **rule}],
            "default": default,
        }
        self.policy.write_text(json.dumps(document))  # JSON is YAML

    def verify(self, *names: str, options: tuple[str, ...] = ()) -> Result:
        """Judge what *names* say of the repository: ``:tag``, ``@digest`` or both."""
        images = [f"{self.gun}{name}" for name in names]
        return self.reader.run("verify", "--policy", self.policy, *options, *images, check=False)

    def decisions(self, *names: str, options: tuple[str, ...] = ()) -> list[dict[str, Any]]:
        """Do the same, and return the decisions as JSON has them."""
        document = json.loads(self.verify(*names, options=("--format", "json", *options)).stdout)
        SCHEMA.validate(document)
        found: list[dict[str, Any]] = document["decisions"]
        return found


@pytest.fixture
def shop(registry: RegistryPeer, trust_server: Peer, people: People, gpg: Gpg, gun: str) -> Shop:
    """A repository in which nothing is signed yet."""
    return Shop(registry, trust_server, people, gpg, gun)


TWO = {"at_least": 2, "of": [{"gpg": "release"}, {"key": "ci"}, {"collection": {"roles": "targets/releases"}}]}
SUBSETS = ["".join(chosen) for size in range(4) for chosen in combinations("gkc", size)]


@ONCE
def test_two_of_three_with_every_subset(shop: Shop) -> None:
    """
    "2 of {GPG key A, ed25519 key B, targets/releases of the collection}": any two will do, and none by itself.
    """
    tags = [f"s-{ways}" for ways in SUBSETS]
    for tag, ways in zip(tags, SUBSETS, strict=True):
        shop.push(tag)
        shop.sign(tag, ways)
    shop.demand(TWO)
    found = shop.decisions(*(f":{tag}" for tag in tags))
    whole = json.loads(
        shop.reader.run("policy", "explain", "--policy", shop.policy, "--format", "json", f"{shop.gun}:s-k").stdout
    )

    assert [one["verdict"] for one in found] == ["trusted" if len(ways) >= 2 else "untrusted" for ways in SUBSETS]
    assert [one["tagBound"] for one in found] == [True if len(ways) >= 2 else None for ways in SUBSETS]
    assert shop.verify(*(f":{tag}" for tag in tags)).returncode == 1
    assert shop.verify(":s-gk", ":s-gkc").returncode == 0
    answers = whole["decisions"][0]["manifests"][0]["answer"]["parts"]
    assert [(answer["kind"], answer["outcome"], answer["code"]) for answer in answers] == [
        ("gpg", "no", "no-signature"),
        ("key", "yes", ""),
        ("collection", "no", "unsigned"),
    ]


@ONCE
def test_moved_copied_and_taken_away(shop: Shop) -> None:
    """
    A tag that is moved to what was signed as another one is refused; so is what was copied elsewhere; each way of
    signing by itself. What is asked for by digest is what was signed, under whatever tag.
    """
    first, second = shop.push("1.0"), shop.push("2.0")
    shop.sign("1.0", "gkc")
    shop.sign("2.0", "gkc")
    shop.skopeo.push(first, f"{shop.path}:2.0")  # somebody moves it back
    shop.skopeo.push(first, f"{shop.path}-copy:1.0")
    found = []
    for require in ({"gpg": "release"}, {"key": "ci"}, {"collection": {"roles": "targets/releases"}}):
        shop.demand(require)
        two, both, digest = shop.decisions(":2.0", f":2.0@{second.digest}", f"@{first.digest}")
        found.append((two["error"]["facts"]["codes"], both["verdict"], digest["verdict"], digest["pinned"]))

    pinned = f"{shop.gun}@{first.digest}"
    assert found == [
        (["identity"], "trusted", "trusted", pinned),
        (["identity"], "trusted", "trusted", pinned),
        (["moved"], "trusted", "trusted", pinned),
    ]
    copied = shop.reader.run("verify", "--policy", shop.policy, f"{shop.gun}-copy:1.0", check=False)
    assert (copied.returncode, "the policy says so" in copied.stderr) == (1, True)


@ONCE
def test_one_changed_byte(shop: Shop) -> None:
    """
    In the signature file, or in what the registry serves under the tag: refused, and nothing else is.
    """
    shop.push("1.0")
    shop.sign("1.0", "gk")
    (signature,) = shop.lookaside.rglob("signature-1")
    raw = signature.read_bytes()
    signature.write_bytes(raw[:-9] + bytes([raw[-9] ^ 1]) + raw[-8:])
    shop.demand({"gpg": "release"})
    assert shop.verify(":1.0").returncode == 1
    signature.write_bytes(raw)
    assert shop.verify(":1.0").returncode == 0
    shop.demand({"key": "ci"})
    assert shop.verify(":1.0").returncode == 0
    shop.push("1.0", image("other bytes"))
    (moved,) = shop.decisions(":1.0")
    assert moved["error"]["facts"]["codes"] == ["no-signature"]


@ONCE
def test_an_index_and_what_it_lists(shop: Shop) -> None:
    """
    Signed with all it lists, it will do for every kind of rule; signed alone, only for rules about the index.
    """
    many = index("all of them")
    shop.push("all", many)
    shop.sign("all", "gk")
    shop.push("alone", index("alone"))
    shop.signer.run("sign", "--key", shop.ci, "--index-only", f"{shop.gun}:alone")
    verdicts = {}
    for of in ("index", "instance", "both"):
        shop.demand({"key": "ci"}, of=of)
        verdicts[of] = [one["verdict"] for one in shop.decisions(":all", ":alone")]
    shop.demand({"all": [{"key": "ci"}, {"gpg": "release"}]}, of="both")
    (found,) = shop.decisions(":all")

    assert verdicts == {
        "index": ["trusted", "trusted"],
        "instance": ["trusted", "untrusted"],
        "both": ["trusted", "untrusted"],
    }
    assert (found["verdict"], found["digest"], len(found["manifests"])) == ("trusted", many.digest, 3)


@ONCE
def test_without_an_answer_nothing_is_decided(shop: Shop, people: People, gpg: Gpg, trust_server: Peer) -> None:
    """
    The registry is down, or the place of signatures: exit 3, and not 1; what others decide is decided.
    """
    shop.push("1.0")
    shop.sign("1.0", "gk")
    shop.demand({"any": [{"gpg": "release"}, {"key": "ci"}]})
    shop.lookaside.chmod(0)
    shop.reader.config.write_text(
        shop.reader.config.read_text().replace(f"lookaside:{shop.lookaside}", "lookaside:https://127.0.0.1:9/away")
    )
    assert shop.verify(":1.0").returncode == 0  # the plain key decides
    shop.demand({"gpg": "release"})
    away = shop.verify(":1.0")
    shop.demand({"gpg": "release"}, mode="warn")
    warned = shop.verify(":1.0")
    shop.lookaside.chmod(0o700)

    assert (away.returncode, away.stdout) == (3, "")
    assert "could not find out" in away.stderr
    assert away.stderr.count("127.0.0.1:9 cannot be reached") == 1
    assert (warned.returncode, "unknown, and rule" in warned.stdout) == (0, True)
    assert "not enforced" in warned.stderr
    with docker_registry() as gone:
        lost = f"{gone.host}/{shop.path}:1.0"
    shop.demand({"key": "ci"}, default={"key": "ci"})
    assert shop.reader.run("verify", "--policy", shop.policy, lost, check=False).returncode == 3


@ONCE
def test_for_programs(shop: Shop) -> None:
    """
    The library decides as the command does, and raises where the answer must not be ignored.
    """
    what = shop.push("1.0")
    shop.push("2.0")
    shop.sign("1.0", "k")
    shop.demand({"key": "ci"})
    judge = trustreg.Judge(shop.policy, config=shop.reader.config, env=shop.reader.env)

    assert judge.require(f"{shop.gun}:1.0").pinned == f"{shop.gun}@{what.digest}"
    verdicts = [one.verdict for one in judge.judge_all([f"{shop.gun}:1.0", f"{shop.gun}:2.0"])]
    assert verdicts == ["trusted", "untrusted"]
    with pytest.raises(PolicyRefusedError) as refused:
        judge.require(f"{shop.gun}:2.0")
    assert refused.value.codes == ("no-signature",)


@ONCE
def test_what_people_see(shop: Shop) -> None:
    """
    A yes begins with the name to use and says what it rests on; explain shows every branch, in lines that can be read.
    """
    what = shop.push("1.0")
    shop.sign("1.0", "gk")
    shop.demand(TWO, name="team")
    said = shop.verify(":1.0")
    shown = shop.reader.run("policy", "explain", "--policy", shop.policy, f"{shop.gun}:1.0").stdout

    grounds = f"signed by GPG key release as {shop.gun}:1.0, signed by key ci as {shop.gun}:1.0"
    assert said.stdout == f"{shop.gun}@{what.digest}  {grounds} (rule team)\n"
    lines = [line.split() for line in shown.splitlines()]
    assert [line[:2] for line in lines if line[0] in {"yes", "no", "rule", "verdict"}] == [
        ["rule", "team"],
        ["yes", "at-least"],
        ["yes", "gpg"],
        ["yes", "key"],
        ["no", "collection"],
        ["verdict", "trusted"],
    ]
    shutil.rmtree(shop.lookaside)
    assert shop.verify(":1.0").returncode == 1

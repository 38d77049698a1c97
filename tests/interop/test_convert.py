"""
What Go's tools and trustreg signed on a trust server is signed again elsewhere, and read there by others.

python-tuf reads the stores, Go's client the other trust server, skopeo the GPG signatures.
"""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

import pytest
from tuf.ngclient import Updater  # type: ignore[attr-defined]

from tests.interop.stores import served
from tests.interop.test_kill import Life, kill_after, require_whole_files, spread
from tests.interop.test_notary_reads import add, delegate, row, sha256
from tests.interop.test_peers import signer
from tests.peers import OCI, Skopeo, image, index
from tests.peers.gpg import gpg_home
from trustreg.errors import AbsentError, NoTrustDataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.interop.stores import Shelf
    from tests.peers import GoNotary, Peer, RegistryPeer, Trustreg
    from tests.peers.gpg import Gpg

    Go = Callable[..., GoNotary]
    People = Callable[..., Trustreg]

KILLS = 10


@pytest.fixture(scope="module")
def gpg() -> Iterator[Gpg]:
    """Somebody's home of gpg."""
    with gpg_home() as home:
        yield home


@pytest.fixture
def team(trust_server: Peer, go_notary: Go, gun: str, tmp_path: Path) -> GoNotary:
    """Somebody whose collection has tags in ``targets``, in ``targets/releases`` and in a role that is not asked."""
    go = go_notary(trust_server)
    go.init(gun, publish=True)
    for role, paths in (("targets/releases", ("",)), ("targets/alice", ("v",))):
        place = tmp_path / role.rpartition("/")[2]
        place.mkdir()
        delegate(go, gun, role, signer(place), paths=paths)
    add(go, gun, "1.0", "old", "docs/manual")
    add(go, gun, "1.0", "v2.0", role="targets/releases")
    add(go, gun, "v2.0", "v3.0", role="targets/alice")
    return go


def test_to_a_store(team: GoNotary, trust_server: Peer, people: People, gun: str, shelf: Shelf, tmp_path: Path) -> None:
    """
    Of every kind: each tag is there as it was signed, or named with a reason. The keys of the old collection, which Go
    made, sign the statement too.
    """
    person = people(trust_server, trust_dir=team.trust_dir, env=shelf.env)
    said = person.run(
        "convert", "--to", shelf.store, "--execute", "--statement", "s.json", "--format", "json", gun, check=False
    )
    assert said.returncode == 1, said  # some tags are refused
    document = json.loads(said.stdout)
    reader = people(trust_server, env=shelf.env)
    listed = reader.json("list", "--store", shelf.store)["tags"]
    checked = reader.json("check-conversion", "--to", shelf.store, person.home / "s.json")
    again = person.json("convert", "--to", shelf.store, "--execute", "--statement", "s.json", gun, check=False)

    tags = {one["name"].removeprefix(f"{gun}:"): (one["role"], one["signers"]) for one in document["tags"]}
    assert tags == {
        "1.0": ("targets/releases", ["targets/releases", "targets"]),
        "old": ("targets", ["targets"]),
        "v2.0": ("targets/releases", ["targets/releases", "targets/alice"]),
    }
    assert {(one["name"].removeprefix(f"{gun}:"), one["code"]) for one in document["refused"]} == {
        ("docs/manual", "no-image"),
        ("v3.0", "no-word"),
    }
    assert {(one["tag"], one["digest"]) for one in listed} == {
        (f"{gun}:{name}", f"sha256:{sha256(name)}") for name in tags
    }
    assert len(document["statement"]["signedBy"]["source"]) == 2  # root and targets
    assert (checked["source"]["role"], checked["source"]["differences"]) == ("root", [])
    assert (checked["destination"]["role"], checked["destination"]["differences"]) == ("root", [])
    assert again["summary"] == {"convert": 0, "there": 3, "refused": 2}
    assert again["statement"] == document["statement"]
    if shelf.kind == "dir":
        _read_by_python_tuf(shelf, tmp_path, [f"{gun}:{name}" for name in tags])


def _read_by_python_tuf(shelf: Shelf, tmp_path: Path, names: list[str]) -> None:
    folder = tmp_path / "shelf"
    root = (folder / "metadata" / "1.root.json").read_bytes()
    with served(folder) as url:
        cache = tmp_path / "python-tuf"
        cache.mkdir()
        updater = Updater(str(cache), f"{url}/metadata", str(cache), f"{url}/targets", bootstrap=root)
        updater.refresh()
        for name in names:
            found = updater.get_targetinfo(name)
            assert found, name
            assert found.hashes["sha256"] == sha256(name.rpartition(":")[2])
    assert shelf.kind == "dir"


def test_to_another_trust_server(
    team: GoNotary, trust_server: Peer, go_server: Peer, go_notary: Go, people: People, gun: str, tmp_path: Path
) -> None:
    """
    Go's client, who never saw the old one, lists what was converted; and readers move while the old one is still there.
    """
    if trust_server.url == go_server.url:
        pytest.skip("it would be the same server")
    person = people(trust_server)
    person.run("convert", "--to", go_server.url, "--execute", gun, check=False)
    reader = people(go_server)
    text = reader.config.read_text()
    reader.config.write_text(f'{text}\nprevious = {{ server = "{trust_server.url}", until = 2099-01-01 }}')
    add(team, gun, "late", role="targets/releases")

    assert sorted([row("1.0"), row("old"), row("v2.0")], key=str) == go_notary(go_server).list(gun)
    words = ("convert", "--role", "targets/alice", "--to", go_server.url, "--execute", "--statement", "alice.json", gun)
    assert person.run(*words, check=False).returncode == 1  # who asks other roles converts what they say
    assert row("v3.0") in go_notary(go_server).list(gun)
    verdicts = reader.json("verify", "--no-registry", f"{gun}:1.0", f"{gun}:late", f"{gun}:never", check=False)[
        "verdicts"
    ]
    assert [one.get("place") for one in verdicts] == [go_server.url, trust_server.url, None]
    assert [one.get("previousUntil") for one in verdicts] == [None, "2099-01-01T00:00:00Z", None]
    assert verdicts[2]["error"]["code"] == "neither"
    reader.config.write_text(text)  # the old one is switched off; what is known of the new one is still known
    assert reader.json("verify", "--no-registry", f"{gun}:1.0")["verdicts"][0]["firstUse"] is False


@pytest.mark.parametrize("kind", ["ed25519", "rsa2048"])
def test_to_gpg_signatures(
    go_server: Peer, open_registry: RegistryPeer, people: People, gun: str, gpg: Gpg, kind: str, tmp_path: Path
) -> None:
    """
    Skopeo takes them, pulled by tag and by digest, for each platform of an index; and none that has changed.
    """
    path = f"team/{gun.rpartition('-')[2]}-{kind}"
    home, skopeo = f"{open_registry.host}/{path}", Skopeo(open_registry)
    pushed = {"1.0": image("1.0"), "2.0": index("2.0", OCI)}
    for tag, what in pushed.items():
        skopeo.push(what, f"{path}:{tag}")
    person = people(go_server, env={"GNUPGHOME": str(gpg.home)})
    person.run("init", home)
    person.run("sign", f"{home}:1.0", f"{home}:2.0")
    fingerprint, folder = gpg.generate(f"{kind}-{path}", kind), tmp_path / "signatures"
    words = ("--to", f"lookaside:{folder}", "--gpg-key", fingerprint)
    document = person.json("convert", *words, "--execute", "--statement", "s.json", home)
    person.run("check-conversion", *words, "s.json")
    key = tmp_path / "key.gpg"
    key.write_bytes(gpg.public(fingerprint))

    platforms = [f"sha256:{one.manifest.hex}" for one in pushed["2.0"].images]
    assert [one["manifests"] for one in document["tags"]] == [[], platforms]
    for name in (f"{path}:1.0", f"{path}:2.0", f"{path}@sha256:{pushed['1.0'].manifest.hex}"):
        pulled = skopeo.pull_signed(name, key, folder)
        assert pulled.returncode == 0, pulled
    assert skopeo.pull_signed(f"{path}:2.0", key, folder, scope="arm64").returncode == 0
    (file,) = folder.joinpath(f"{path}@sha256={pushed['1.0'].manifest.hex}").iterdir()
    manifest, signature = pushed["1.0"].manifest.raw, file.read_bytes()
    said = skopeo.verify_signature(manifest, f"{home}:1.0", fingerprint, signature, gpg.home)
    assert said.returncode == 0, said

    bent = signature[:-5] + bytes([signature[-5] ^ 1]) + signature[-4:]
    assert skopeo.verify_signature(manifest, f"{home}:1.0", fingerprint, bent, gpg.home).returncode
    assert skopeo.verify_signature(manifest + b" ", f"{home}:1.0", fingerprint, signature, gpg.home).returncode
    assert skopeo.verify_signature(manifest, f"{home}:2.0", fingerprint, signature, gpg.home).returncode
    file.write_bytes(bent)
    assert skopeo.pull_signed(f"{path}:1.0", key, folder).returncode
    assert person.run("check-conversion", *words, "s.json", check=False).returncode == 1
    again = person.json("convert", *words, "--execute", "--statement", "s.json", home)
    assert [one["state"] for one in again["tags"]] == ["converted", "there"]
    assert {one.name for one in file.parent.iterdir()} == {"signature-1", "signature-2"}


def test_a_conversion_that_is_killed(go_server: Peer, go_notary: Go, people: People, gun: str) -> None:
    """
    ``kill -9`` at any moment, and again: readers find nothing or all of it, no key is made twice, and in the end all is
    there, once.
    """
    go = go_notary(go_server)
    go.init(gun, publish=True)
    tags = [f"v{number}" for number in range(40)]
    for tag in tags:
        go.addhash(gun, tag, len(tag), sha256=sha256(tag))
    go.publish(gun)
    rehearsal = people(go_server, trust_dir=go.trust_dir.with_name(".notary"))  # whose keys are in Go's form as well
    person = people(go_server, trust_dir=go.trust_dir)
    place = iter(range(3))

    def rehearse() -> None:
        name = f"r{next(place)}"
        rehearsal.run("convert", "--to", f"dir:{name}", "--statement", f"{name}.json", "--execute", gun)

    life = Life(rehearse)
    alive, seen, number = 0, list[int](), 0
    for share in spread(KILLS, random.Random(gun)):
        words = ("convert", "--to", f"dir:new-{number}", "--statement", f"s-{number}.json", "--execute", gun)
        alive += kill_after(person, share * 1.2 * life.seconds, *words)  # it has keys of the old one to open
        require_whole_files(person)
        seen.append(_tags(person, f"dir:{person.home}/new-{number}"))
        if seen[-1] or len(seen) == KILLS:
            person.run(*words)
            person.run("check-conversion", "--to", f"dir:new-{number}", f"s-{number}.json")
            assert _tags(person, f"dir:{person.home}/new-{number}") == len(tags)
            number += 1

    assert set(seen) <= {0, len(tags)}
    assert alive >= KILLS // 3
    roots = [line for line in person.run("key", "list").stdout.splitlines() if " root " in f" {line} "]
    assert len(roots) == 1 + number  # the old one, and one for each new collection
    print(f"{alive} of {KILLS} were still at it, {seen}")


def _tags(person: Trustreg, store: str) -> int:
    """Count the tags in *store*; there are none where nobody can read it yet."""
    try:
        return len(person.verifier(store=store).contents().entries)
    except (NoTrustDataError, AbsentError):
        return 0


def test_signing_that_is_killed(go_server: Peer, go_notary: Go, people: People, gun: str, gpg: Gpg) -> None:
    """
    ``kill -9`` at any moment, and again: each file that is there is a whole signature, and each tag has one in the end.
    """
    go = go_notary(go_server)
    go.init(gun, publish=True)
    tags = [f"v{number}" for number in range(40)]
    for tag in tags:
        go.addhash(gun, tag, len(tag), sha256=sha256(tag))
    go.publish(gun)
    fingerprint = gpg.generate(f"killed-{gun.rpartition('-')[2]}")
    scratch = go.trust_dir.parent / "scratch"  # what is killed leaves something there
    scratch.mkdir()
    person = people(go_server, trust_dir=go.trust_dir, env={"GNUPGHOME": str(gpg.home), "TMPDIR": str(scratch)})
    place = iter(range(3))

    def words(name: str) -> tuple[str, ...]:
        to = ("--to", f"lookaside:{name}", "--gpg-key", fingerprint, "--index-only")
        return ("convert", *to, "--statement", f"{name}.json", "--execute", gun)

    life = Life(lambda: person.run(*words(f"r{next(place)}")))
    alive, counts = 0, [0]
    for share in sorted(spread(KILLS, random.Random(gun))):
        alive += kill_after(person, 0.3 + share * (life.seconds - 0.3) / 3, *words("new"))
        counts.append(len(list(person.home.glob("new/**/signature-*"))))
    ended = person.json(*words("new"))
    person.run("check-conversion", "--to", "lookaside:new", "--gpg-key", fingerprint, "new.json")

    assert counts == sorted(counts)
    assert counts[-1] == ended["summary"]["there"]
    assert len(tags) == sum(ended["summary"].values())
    files = list(person.home.glob("new/**/signature-*"))
    assert len(files) == len(tags)
    assert {path.name for path in files} == {"signature-1"}
    assert alive >= KILLS // 3
    print(f"{alive} of {KILLS} were still at it: {counts}")

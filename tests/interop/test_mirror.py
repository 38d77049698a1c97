"""A collection that was moved is read where it went: by Go and by trustreg, with the pins that they had."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.peers import GoNotary, Skopeo, Trustreg, image, index, notary_server, trustreg_serve
from tests.peers.nginx import nginx
from trustreg.io.stores.objects import ObjectStore
from trustreg.verify.requests import Want

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.peers import Authority, DockerTrust, Peer, RegistryPeer
    from tests.peers.moto import MotoPeer


@pytest.fixture
def old() -> Iterator[Peer]:
    """A server that is going to be switched off."""
    with notary_server() as peer:
        yield peer


def made_by_go(go: GoNotary, gun: str, tmp_path: Path) -> None:
    """Publish a collection with a delegation and three root rotations."""
    go.init(gun, publish=True)
    pair = tmp_path / "delegate.crt"
    key = tmp_path / "delegate.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=d",
         "-keyout", key, "-out", pair, "-days", "30"],
        check=True, capture_output=True,
    )  # fmt: skip
    go.delegation_add(gun, "targets/releases", pair, publish=True)
    go.key_import(key, role="targets/releases")
    for number in range(3):
        go.key_rotate(gun, "root")
        go.addhash(gun, f"v{number}", 5, sha256=f"{number}" * 64, publish=True)
    go.addhash(gun, "released", 7, sha256="a" * 64, roles=["targets/releases"], publish=True)


def pins(person: Trustreg, gun: str) -> list[str]:
    """Return the root key that the person trusts, as options."""
    root = next(role for role in person.json("inspect", gun)["roles"] if role["name"] == "root")
    return [word for keyid in root["keyids"] for word in ("--pin", keyid)]


@pytest.mark.parametrize("kind", ["nginx", "trustreg serve"])
def test_a_collection_moves(
    kind: str, old: Peer, gun: str, go_notary: Callable[..., GoNotary], people: Callable[..., Trustreg], tmp_path: Path,
    authority: Authority, docker_trust: Callable[..., DockerTrust],
) -> None:  # fmt: skip
    """
    Everybody finds it at its new place after the old server is gone, whether they knew it before or not.
    """
    publisher = go_notary(old)
    made_by_go(publisher, gun, tmp_path)
    rows = publisher.list(gun)
    mover, early, go_early = people(old), people(old), go_notary(old)
    pinned = pins(early, gun)
    go_early.list(gun)
    folder = tmp_path / "www"
    place = nginx(folder, inside=SNIPPET, tls=authority) if kind == "nginx" else trustreg_serve()
    if kind == "nginx":
        folder.mkdir()
    with place as new:
        to = f"dir:{folder}" if kind == "nginx" else new.url
        done = mover.json("mirror", "--to", to, gun)["collections"][0]
        assert (done["result"], done["root"]) == ("mirrored", 4)
        assert mover.json("mirror", "--to", to, gun)["collections"][0]["written"] == []
        publisher.addhash(gun, "later", 9, sha256="b" * 64, publish=True)
        assert mover.json("mirror", "--to", to, gun)["collections"][0]["result"] == "mirrored"
        rows = publisher.list(gun)
        old.stop()

        moved = [Trustreg(new, early.home), people(new)]
        for reader in moved:
            assert {tag["tag"] for tag in reader.json("list", gun, *pinned)["tags"]} == {row.name for row in rows}
        assert moved[1].run("list", gun, "--pin", "0" * 64, check=False).returncode == 1
        for go in (GoNotary(new, go_early.trust_dir), go_notary(new)):
            assert go.list(gun) == rows
            found = go.lookup(gun, "later")
            assert found
            assert found.sha256 == "b" * 64

        if kind == "nginx":  # Docker speaks https only
            report = docker_trust(new).inspect(gun)
            assert report
            assert {signed.tag for signed in report.tags} == {row.name for row in rows}
        other = people(new).run("list", "registry.example/never", check=False)
        assert other.returncode == 1
        assert "has no trust data" in other.stderr


def test_nothing_older_takes_its_place(
    old: Peer, gun: str, go_notary: Callable[..., GoNotary], people: Callable[..., Trustreg], tmp_path: Path
) -> None:
    """
    Neither in a folder nor on a server; nor another collection; and one that fails does not hide the others.
    """
    publisher = go_notary(old)
    publisher.init(gun, publish=True)
    early, folder = tmp_path / "early", tmp_path / "www"
    with trustreg_serve() as new, nginx(early) as shown:
        mover, behind = people(old), people(shown)
        mover.run("mirror", "--to", f"dir:{early}", gun)
        publisher.addhash(gun, "v1", 5, sha256="1" * 64, publish=True)
        places = (f"dir:{folder}", new.url)
        for to in places:
            mover.run("mirror", "--to", to, gun)
        before = {path: path.read_bytes() for path in folder.rglob("*.json")}

        for to in places:
            rows = behind.json("mirror", "--to", to, gun, "registry.example/none", check=False)["collections"]
            assert [row["error"]["code"] for row in rows] == ["mirror-refused", "server"]
        publisher.delete(gun, remote=True)
        go_notary(old).init(gun, publish=True)
        for to in places:
            another = people(old).run("mirror", "--to", to, gun, check=False)
            assert another.returncode == 1
            assert "root v1 was trusted with" in another.stderr
        assert before == {path: path.read_bytes() for path in folder.rglob("*.json")}


def test_a_publisher_is_told_that_it_is_a_replica(
    old: Peer, gun: str, go_notary: Callable[..., GoNotary], people: Callable[..., Trustreg], tmp_path: Path
) -> None:
    """
    Go and trustreg alike; and Go's server takes none.
    """
    publisher = go_notary(old)
    publisher.init(gun, publish=True)
    with trustreg_serve() as new, notary_server() as another:
        people(old).run("mirror", "--to", new.url, gun)
        lost = GoNotary(new, publisher.trust_dir)
        told = lost.run("addhash", "-p", gun, "v2", "5", "--sha256", "2" * 64, check=False)
        assert told.returncode
        assert told.said("this is a replica of a collection that is signed elsewhere")
        refused = people(old).run("mirror", "--to", another.url, gun, check=False)
        assert refused.returncode == 3
        assert "takes no replicas" in refused.stderr


def test_under_another_name(
    old: Peer, gun: str, go_notary: Callable[..., GoNotary], people: Callable[..., Trustreg], tmp_path: Path
) -> None:
    """
    The copy bears the name that it was given; trustreg reads it as what it is, and Go, which looks at names, does not.
    """
    publisher = go_notary(old)
    publisher.init(gun, publish=True)
    publisher.addhash(gun, "v1", 5, sha256="1" * 64, publish=True)
    folder, name = tmp_path / "www", "new.example/app"
    mover = people(old)
    pinned = pins(mover, gun)
    mover.run("mirror", "--to", f"dir:{folder}", "--as", name, gun)
    with nginx(folder) as new:
        reader = people(new)
        reader.config.write_text(
            f'{reader.config.read_text()}\n[[registry]]\nmatch = "{gun}"\nserved_as = "{name}"\nmirror = "{name}"\n'
        )
        for asked in (name, gun):
            said = reader.run("verify", "--no-registry", *pinned, f"{asked}:v1").stdout
            assert said.startswith(f"{gun}@sha256:1111")
        told = go_notary(new).run("list", name, check=False)
        assert told.returncode


def test_a_bucket_holds_what_a_folder_would(
    old: Peer, gun: str, moto: MotoPeer, go_notary: Callable[..., GoNotary], people: Callable[..., Trustreg],
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """
    Under the same names, through every update.
    """
    publisher = go_notary(old)
    publisher.init(gun, publish=True)
    bucket, folder = f"{moto.bucket(gun.rpartition('/')[2])}/www", tmp_path / "www"
    mover = people(old, env=moto.env)
    mover.run("mirror", "--to", bucket, gun)
    mover.run("mirror", "--to", f"dir:{folder}", gun)
    publisher.addhash(gun, "v1", 5, sha256="1" * 64, publish=True)
    mover.run("mirror", "--to", f"dir:{folder}", gun)
    results = [mover.json("mirror", "--to", bucket, gun)["collections"][0]["result"] for _ in range(2)]
    for variable, value in moto.env.items():
        monkeypatch.setenv(variable, value)  # obstore looks there for itself
    store = ObjectStore(bucket, moto.env, key=str)

    assert results == ["mirrored", "unchanged"]
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("v2/**/*.*") if path.is_file()}
    assert {path: store.fetch(Want("", path, 100_000)) for path in files} == files


def test_images_go_along(
    old: Peer, gun: str, open_registry: RegistryPeer, people: Callable[..., Trustreg], tmp_path: Path
) -> None:
    """
    What is signed is pushed with its digest, an index with all its platforms; what is not is named and left out.
    """
    one, many, unsigned = image("one"), index("many"), image("unsigned")
    skopeo, name = Skopeo(open_registry), gun.partition("/")[2]
    layout = tmp_path / "layout"
    for tag, what in (("1.0", one), ("2.0", many), ("3.0", unsigned), ("4.0", image("elsewhere"))):
        skopeo.push(what, f"{name}:{tag}")
        if tag != "4.0":
            subprocess.run(
                ["skopeo", "copy", "-q", "--all", "--src-tls-verify=false", f"docker://{open_registry.host}/{name}:{tag}",
                 f"oci:{layout}:{tag}"],
                check=True,
            )  # fmt: skip
    publisher = people(old, registry=open_registry)
    publisher.run("init", gun)
    publisher.run("sign", *(f"{gun}:{tag}" for tag in ("1.0", "2.0", "4.0")))
    folder, home = tmp_path / "www", f"{open_registry.host}/moved/{name}"
    wanted = ("mirror", "--to", f"dir:{folder}", "--as", home, "--images", layout, gun)

    done = publisher.json(*wanted)["collections"][0]["images"]

    assert done == {"pushed": ["1.0", "2.0"], "present": [], "missing": ["4.0"], "unsigned": ["3.0"]}
    assert skopeo.raw_manifest(f"moved/{name}:2.0") == many.manifest.raw
    assert skopeo.tags(f"moved/{name}") == ["1.0", "2.0"]
    with nginx(folder) as new:
        reader = people(new)
        reader.config.write_text(
            f'{reader.config.read_text()}\n[[registry]]\nmatch = "{gun}"\nserved_as = "{home}"\nmirror = "{home}"\n'
        )
        for tag in ("1.0", "2.0"):
            assert reader.run("verify", f"{home}:{tag}").returncode == 0


def test_a_killed_mirror_is_completed(
    old: Peer, gun: str, go_notary: Callable[..., GoNotary], people: Callable[..., Trustreg], tmp_path: Path
) -> None:
    """
    Whenever the job is killed, readers of the folder are served, and the next run brings it up to date.
    """
    publisher = go_notary(old)
    publisher.init(gun, publish=True)
    folder, mover = tmp_path / "www", people(old)
    argv = mover.argv("mirror", "--to", f"dir:{folder}", gun)
    mover.run("mirror", "--to", f"dir:{folder}", gun)
    with nginx(folder) as new:
        reader = people(new)
        for number in range(8 if os.environ.get("TRUSTREG_FULL") else 2):
            publisher.addhash(gun, f"v{number}", 5, sha256=f"{number}" * 64, publish=True)
            process = subprocess.Popen(argv, env=mover.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            before, more = files(folder), number % 3
            while process.poll() is None and files(folder) <= before + more:
                pass  # until so many have been written
            process.kill()
            process.wait()
            assert len(reader.list(gun)) in {number, number + 1}
            mover.run("mirror", "--to", f"dir:{folder}", gun)
            assert len(reader.list(gun)) == number + 1


def files(folder: Path) -> int:
    """Count those that are whole."""
    return sum(path.name[0] != "." for path in folder.rglob("*.json"))


# The lines that the how-to has for nginx; what the others here need is nginx as it is.
SNIPPET = """
location /v2/ {
    default_type text/plain;
    error_page 404 /v2/absent.json;
    add_header Cache-Control "max-age=300, must-revalidate";
}
"""


def test_a_replica_becomes_home(
    old: Peer, gun: str, go_notary: Callable[..., GoNotary], people: Callable[..., Trustreg]
) -> None:
    """
    Who has the root key takes a replica over, and publishes there from then on; nobody has to be told but of the place.
    """
    author, reader = people(old), people(old)
    author.run("init", gun)
    pinned = pins(reader, gun)
    with trustreg_serve() as new:
        people(old).run("mirror", "--to", new.url, gun)
        old.stop()
        moved = Trustreg(new, author.home)
        moved.run("key", "rotate", "--no-publish", gun, "timestamp", "--server-managed")
        moved.run("key", "rotate", gun, "snapshot", "--server-managed")
        for person in (Trustreg(new, reader.home), people(new)):
            roles = {role["name"]: role for role in person.json("inspect", gun, *pinned)["roles"]}
            assert roles["root"]["version"] == 2
        assert go_notary(new).list(gun) == []

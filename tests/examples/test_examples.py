"""The examples do on real servers what they say, and stop where they say they stop."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.peers import (
    Skopeo,
    Trustreg,
    docker_registry,
    image,
    notary_server,
    write_docker_config,
    write_layout,
)
from tests.peers.command import run
from tests.peers.gpg import gpg_home

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.peers import Peer, RegistryPeer
    from tests.peers.command import Result

EXAMPLES = Path(__file__).parents[2] / "examples"
pytestmark = pytest.mark.interop


class Place:
    """A registry, a trust server, and a person with a collection, ``trustreg`` on the path and a login."""

    def __init__(self, server: Peer, registry: RegistryPeer, home: Path) -> None:
        self.server, self.registry = server, registry
        programs, containers = home / "bin", home / ".config" / "containers"
        for folder in (programs, containers):
            folder.mkdir(parents=True)
        (programs / "trustreg").write_text(f'#!/bin/sh\nexec {sys.executable} -m trustreg "$@"\n')
        (programs / "trustreg").chmod(0o755)
        (containers / "registries.conf").write_text(f'[[registry]]\nlocation = "{registry.host}"\ninsecure = true\n')
        (containers / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        self.person = Trustreg(server, home, env={"PATH": f"{programs}:{os.environ['PATH']}"})
        write_docker_config(self.person.docker_config, registry.login())
        self.gun, self.skopeo = f"{registry.host}/team/app", Skopeo(registry)
        self.digest = self.skopeo.push(image("one"), "team/app:1.0")
        self.person.run("init", self.gun)
        self.person.run("sign", f"{self.gun}:1.0")
        self.skopeo.push(image("two"), "team/app:unsigned")
        (self.pin,) = self.person.verifier().verify(f"{self.gun}:1.0").root_keyids

    @property
    def good(self) -> str:
        """A signed image."""
        return f"{self.gun}:1.0"

    @property
    def pinned(self) -> str:
        """The same by its digest."""
        return f"{self.gun}@{self.digest}"

    def run(self, name: str, *arguments: str | Path, stdin: str = "", env: dict[str, str] | None = None) -> Result:
        """Run an example."""
        start = [sys.executable] if name.endswith(".py") else ["sh"]
        argv = [*start, str(EXAMPLES / name), *map(str, arguments)]
        return run(argv, env=self.person.env | (env or {}), stdin=stdin.encode(), check=False)


NOBODY = {"TRUSTREG_SERVER": "http://127.0.0.1:9", "ATTEMPTS": "2", "PAUSE": "0"}  # where nobody listens


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A place for the tests of this module."""
    with notary_server() as server, docker_registry(htpasswd={"alice": "correct horse"}) as registry:
        yield Place(server, registry, tmp_path_factory.mktemp("person"))


def build(place: Place, folder: Path, text: str, *options: str, env: dict[str, str] | None = None) -> Result:
    """Run the build tool on a Dockerfile."""
    file = folder / "Dockerfile"
    file.write_text(text)
    return place.run("build_tool.py", *options, file, env=env)


def test_a_build_tool_pins_base_images(place: Place, tmp_path: Path) -> None:
    """
    Each base image becomes its signed digest, wherever it stands; stages, scratch and all else stay as they are.
    """
    text = """# syntax is as usual
ARG VERSION="1.0"
FROM {image} AS build
RUN make FROM nothing
from --platform=linux/amd64 {again} as Check
FROM {argument}
COPY --from=build --chown=1:1 /a /b
RUN --mount=type=bind,from=check,target=/x true
COPY --from=0 /c /d
FROM build
FROM scratch"""

    done = build(place, tmp_path, text.format(image=place.good, again=place.good, argument=f"{place.gun}:${{VERSION}}"))

    assert done.returncode == 0, done.stderr
    assert done.stdout == text.format(image=place.pinned, again=place.pinned, argument=place.pinned)
    written = build(place, tmp_path, f"FROM {place.good}\n", "--output", str(tmp_path / "out"))
    assert (written.returncode, written.stdout) == (0, "")
    assert (tmp_path / "out").read_text() == f"FROM {place.pinned}\n"


def test_a_build_tool_refuses(place: Place, tmp_path: Path) -> None:
    """
    Where one image is not signed nothing is written, and every one that is wrong is named.
    """
    done = build(place, tmp_path, f"FROM {place.good}\nFROM {place.gun}:unsigned\nFROM {place.gun}:none\n")

    assert (done.returncode, done.stdout) == (1, "")
    assert [line.partition(" is not signed")[0] for line in done.stderr.splitlines() if "refused" in line] == [
        f"{tmp_path}/Dockerfile: refused: {place.gun}:{tag}" for tag in ("unsigned", "none")
    ]
    unknown = build(place, tmp_path, f"FROM {place.good}\n", env=NOBODY)
    assert (unknown.returncode, unknown.stdout) == (3, "")
    assert f"{tmp_path}/Dockerfile: could not find out: http://127.0.0.1:9 cannot be reached" in unknown.stderr


@pytest.mark.parametrize(
    "line",
    [
        "FROM a:b:c",
        "FROM {good} # the usual one",
        "FROM {good} AS",
        "FROM \\\n  {good}",
        "FROM {good}:${{NONE}}",
        "FROM",
        "FROM scratch\nCOPY --from={good} /a /b",
        "FROM scratch\nCOPY --chown=1:1 \\\n --from={good} /a /b",
        "FROM scratch\nRUN --mount=type=bind,from={good},target=/x true",
    ],
)
def test_a_build_tool_lets_nothing_by(place: Place, tmp_path: Path, line: str) -> None:
    """
    A line that it does not understand, or an image on the side, is no reason to go on.
    """
    done = build(place, tmp_path, f"FROM {place.good}\n{line.format(good=place.good)}\n")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"{tmp_path}/Dockerfile: ")
    assert "Traceback" not in done.stderr


def test_a_build_tool_without_a_file(place: Place, tmp_path: Path) -> None:
    """
    A Dockerfile that is not there is the caller's mistake.
    """
    done = place.run("build_tool.py", tmp_path / "absent")

    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr


def test_a_release_job_pushes_signs_and_verifies(place: Place, tmp_path: Path) -> None:
    """
    Its last line is the name to announce; readers find the tag signed.
    """
    source = write_layout(image("release"), tmp_path / "layout")

    done = place.run("release_job.sh", source, f"{place.gun}:2.0", env={"TRUSTREG_PIN": place.pin})

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"{place.gun}@{image('release').digest}"
    assert str(place.person.verifier().verify(f"{place.gun}:2.0").digest) == image("release").digest


def test_a_release_job_stops(place: Place, tmp_path: Path) -> None:
    """
    Without a pin, with another pin, with the wrong passphrase, without a trust server: no name is announced and
    nothing is signed; only what may pass by itself is tried again.
    """
    source, tag = write_layout(image("stopped"), tmp_path / "layout"), f"{place.gun}:3.0"
    pin = {"TRUSTREG_PIN": place.pin}
    wrong = dict.fromkeys((name for name in place.person.env if name.endswith("_PASSPHRASE")), "wrong")

    unpinned = place.run("release_job.sh", source, tag)
    other = place.run("release_job.sh", source, tag, env={"TRUSTREG_PIN": "0" * 64})
    locked = place.run("release_job.sh", source, tag, env=pin | wrong)
    alone = place.run("release_job.sh", source, tag, env=pin | NOBODY)

    assert "TRUSTREG_PIN" in unpinned.stderr
    assert [each.stdout for each in (unpinned, other, locked, alone)] == [""] * 4
    assert [each.returncode for each in (other, locked, alone)] == [1, 2, 3]
    assert unpinned.returncode not in (0, 1, 3)
    assert (locked.stderr.count("passphrase is wrong"), alone.stderr.count("cannot be reached")) == (1, 2)
    assert place.person.run("verify", tag, check=False).returncode == 1


def test_a_release_job_signs_only_what_it_pushed(place: Place, tmp_path: Path) -> None:
    """
    Should the tag be moved between push and signature, nothing is signed.
    """
    source = write_layout(image("mine"), tmp_path / "layout")
    theirs = write_layout(image("theirs"), tmp_path / "theirs")
    wrapper = tmp_path / "bin" / "skopeo"
    wrapper.parent.mkdir()
    real = run(["which", "skopeo"], env=place.person.env).stdout.strip()
    wrapper.write_text(f'#!/bin/sh\n{real} "$@" && {real} copy --quiet {theirs} docker://{place.gun}:4.0\n')
    wrapper.chmod(0o755)
    env = {"TRUSTREG_PIN": place.pin, "PATH": f"{wrapper.parent}:{place.person.env['PATH']}"}

    done = place.run("release_job.sh", source, f"{place.gun}:4.0", env=env)

    assert (done.returncode, done.stdout) == (1, "")
    assert f"but the registry serves {image('theirs').digest}" in done.stderr
    assert place.person.run("verify", f"{place.gun}:4.0", check=False).returncode == 1


def test_a_check_before_a_deployment(place: Place) -> None:
    """
    Names in, pinned names out, in order; comments and blanks are passed over.
    """
    done = place.run("check_before_deploy.sh", stdin=f"# ours\n{place.good}\n\n  {place.good}  # twice\n{place.pinned}")

    assert (done.returncode, done.stdout) == (0, f"{place.pinned}\n" * 3)


@pytest.mark.parametrize(
    ("lines", "env", "code", "said"),
    [
        ("{good}\n{gun}:unsigned\n", {}, 1, "{gun}:unsigned is not signed"),
        ("{good}\n", NOBODY, 3, "no answer after 2 attempts"),
        ("{gun}:unsigned\n{good}\n", NOBODY, 3, "no answer after 2 attempts"),
        ("{good}\na:b:c\n", {}, 2, "is not a valid image reference"),
        ("--no-registry\n{good}\n", {}, 2, "is not a valid image reference"),
        ("# nothing\n", {}, 2, "no images on standard input"),
    ],
    ids=["refused", "no answer", "no answer first", "no name", "an option", "nothing"],
)
def test_a_check_that_stops(place: Place, lines: str, env: dict[str, str], code: int, said: str) -> None:
    """
    A refusal ends it at once, no answer only after having tried again; in no case is a name printed.
    """
    names = {"good": place.good, "gun": place.gun}

    done = place.run("check_before_deploy.sh", stdin=lines.format(**names), env=env)

    assert (done.returncode, done.stdout) == (code, "")
    assert said.format(**names) in done.stderr
    assert done.stderr.count("cannot be reached") in (0, 2 * len(lines.splitlines()))


def test_an_image_signed_by_a_key(place: Place, tmp_path: Path) -> None:
    """
    It is pushed, and signed as it was pushed: in the registry by a plain key, in a folder by GPG; twice does no harm.
    """
    source = write_layout(image("by key"), tmp_path / "layout")
    key, tag, digest = tmp_path / "release.pem", f"{place.gun}:5.0", image("by key").digest
    run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", key], env=place.person.env)
    nobody = {"TRUSTREG_SERVER": "http://127.0.0.1:9"}

    plain = [place.run("sign_by_key.sh", source, tag, env={"SIGN_KEY": str(key), **nobody}) for _ in range(2)]
    with gpg_home() as gpg:
        by = {"SIGN_GPG": gpg.generate("Release"), "GNUPGHOME": str(gpg.home), **nobody}
        messages = place.run("sign_by_key.sh", source, tag, f"lookaside:{tmp_path}/signatures", env=by)

    for done in (*plain, messages):
        assert (done.returncode, done.stdout) == (0, f"{place.gun}@{digest}\n"), done
    assert digest.replace(":", "-") + ".sig" in place.skopeo.tags("team/app")
    assert [path.name for path in tmp_path.glob("signatures/*/*/*")] == ["signature-1"]


def test_an_image_that_is_not_signed_by_a_key(place: Place, tmp_path: Path) -> None:
    """
    Without a key, with one that is none, or where signatures have no place: no name is announced.
    """
    source, tag = write_layout(image("by none"), tmp_path / "layout"), f"{place.gun}:6.0"
    (tmp_path / "empty").touch()

    unsaid = place.run("sign_by_key.sh", source, tag)
    empty = place.run("sign_by_key.sh", source, tag, env={"SIGN_KEY": str(tmp_path / "empty")})
    nowhere = place.run("sign_by_key.sh", source, tag, "nowhere", env={"SIGN_KEY": str(tmp_path / "empty")})

    assert "SIGN_KEY" in unsaid.stderr
    assert unsaid.returncode not in (0, 1, 3)
    assert [(done.returncode, done.stdout) for done in (empty, nowhere)] == [(2, "")] * 2

"""The examples do on real servers what they say."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.peers import Skopeo, Trustreg, docker_registry, image, notary_server, write_docker_config, write_layout
from tests.peers.command import run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.peers import Peer, RegistryPeer
    from tests.peers.command import Result

EXAMPLES = Path(__file__).parents[2] / "examples"
pytestmark = pytest.mark.interop


class Place:
    """A registry, a trust server, and a person with a collection."""

    def __init__(self, server: Peer, registry: RegistryPeer, home: Path) -> None:
        self.server, self.registry = server, registry
        bin_ = home / "bin"
        bin_.mkdir(parents=True)
        (bin_ / "trustreg").write_text(f'#!/bin/sh\nexec {sys.executable} -m trustreg "$@"\n')
        (bin_ / "trustreg").chmod(0o755)
        self.person = Trustreg(server, home, env={"PATH": f"{bin_}:{os.environ['PATH']}"})
        write_docker_config(self.person.docker_config, registry.login())
        self.gun = f"{registry.host}/team/app"
        self.digest = Skopeo(registry).push(image("one"), "team/app:1.0")
        self.person.run("init", self.gun)
        self.person.run("sign", f"{self.gun}:1.0")
        Skopeo(registry).push(image("two"), "team/app:unsigned")

    def run(self, name: str, *arguments: str | Path, stdin: str = "", env: dict[str, str] | None = None) -> Result:
        """Run an example."""
        start = [sys.executable] if name.endswith(".py") else ["sh"]
        argv = [*start, str(EXAMPLES / name), *map(str, arguments)]
        return run(argv, env=self.person.env | (env or {}), stdin=stdin.encode(), check=False)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with notary_server() as server, docker_registry(htpasswd={"alice": "correct horse"}) as registry:
        yield Place(server, registry, tmp_path_factory.mktemp("person"))


def test_a_build_tool_pins_base_images(place: Place, tmp_path: Path) -> None:
    """
    Each base image becomes its signed digest; stages and scratch stay as they are.
    """
    file = tmp_path / "Dockerfile"
    base = f"{place.gun}:1.0"
    file.write_text(f"FROM {base} AS build\nRUN make\nfrom --platform=linux/amd64 {base}\nFROM build\nFROM scratch\n")

    done = place.run("build_tool.py", file)

    pinned = f"{place.gun}@{place.digest}"
    assert done.stdout == (
        f"FROM {pinned} AS build\nRUN make\nfrom --platform=linux/amd64 {pinned}\nFROM build\nFROM scratch\n"
    )


def test_a_build_tool_refuses(place: Place, tmp_path: Path) -> None:
    """
    Nothing is written where a base image is not signed, and a name that is none is the user's mistake.
    """
    file = tmp_path / "Dockerfile"
    file.write_text(f"FROM {place.gun}:1.0\nFROM {place.gun}:unsigned\n")
    refused = place.run("build_tool.py", file)
    file.write_text("FROM a:b:c\n")
    mistaken = place.run("build_tool.py", file)

    assert (refused.returncode, refused.stdout) == (1, "")
    assert (mistaken.returncode, mistaken.stdout) == (2, "")
    assert place.run("build_tool.py", tmp_path / "absent").returncode == 2


def test_a_release_job_pushes_signs_and_verifies(place: Place, tmp_path: Path) -> None:
    """
    Its last line is the name to deploy.
    """
    source = write_layout(image("release"), tmp_path / "layout")
    auth = place.person.docker_config / "config.json"
    env = {"SKOPEO_COPY": f"--dest-tls-verify=false --authfile={auth}"}

    done = place.run("release_job.sh", source, f"{place.gun}:2.0", env=env)

    assert done.stdout.splitlines()[-1] == f"{place.gun}@{image('release').digest}", done.stderr


def test_a_check_before_a_deployment(place: Place) -> None:
    """
    It prints pinned names, ends on a refusal at once, and on no answer after having tried again.
    """
    good = place.run("check_before_deploy.sh", stdin=f"# ours\n{place.gun}:1.0\n\n")
    refused = place.run("check_before_deploy.sh", stdin=f"{place.gun}:1.0\n{place.gun}:unsigned\n")
    env = {"TRUSTREG_SERVER": "http://127.0.0.1:9", "ATTEMPTS": "2", "PAUSE": "0"}  # where nobody listens
    unknown = place.run("check_before_deploy.sh", stdin=f"{place.gun}:1.0\n", env=env)

    assert (good.returncode, good.stdout) == (0, f"{place.gun}@{place.digest}\n")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert (unknown.returncode, unknown.stdout) == (3, "")
    assert unknown.stderr.count("cannot be reached") == 2
    assert place.run("check_before_deploy.sh").returncode == 2

"""The examples for pipelines: their steps are run by a shell, as a runner does, on real servers."""

from __future__ import annotations

import json
import shlex
import shutil
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
import yaml

from tests.examples.test_examples import EXAMPLES, NOBODY, Place
from tests.peers import docker_registry, trustreg_serve
from tests.peers.command import run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.peers.command import Result

pytestmark = pytest.mark.interop

MANIFEST = """\
# The shop.
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  template:
    spec:
      containers:
        - {{name: web, image: "{image}"}} # ours
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A place for the tests of this module."""
    with trustreg_serve() as server, docker_registry(htpasswd={"alice": "correct horse"}) as registry:
        yield Place(server, registry, tmp_path_factory.mktemp("person"))


@pytest.fixture
def checkout(place: Place, tmp_path: Path) -> Path:
    """A repository with manifests and a policy, as a runner checks it out."""
    (tmp_path / "deploy").mkdir()
    write(tmp_path, place.good)
    (tmp_path / "policy.yaml").write_text(
        f"version: 1\nrules:\n- match: {place.gun}\n  require: {{collection: {{pins: {place.pin}}}}}\ndefault: reject\n"
    )
    return tmp_path


def write(checkout: Path, *images: str) -> None:
    """Have manifests with *images* and no others."""
    for index, image in enumerate(images):
        (checkout / f"deploy/{index}.yaml").write_text(MANIFEST.format(image=image))


def steps(name: str, job: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the scripts of a job by name, without what installs, and its variables."""
    file: Any = yaml.safe_load((EXAMPLES / "ci" / name).read_text())
    if name == "github-actions.yaml":
        found = file["jobs"][job]
        scripts = {step["name"]: step["run"] for step in found["steps"] if "run" in step}
        return {name: text for name, text in scripts.items() if "pip install" not in text}, found["env"]
    found = file[job]
    parts = {part: "\n".join(found[part]) for part in ("script", "after_script") if part in found}
    return parts, found["variables"]


def shell(place: Place, checkout: Path, script: str, variables: dict[str, str], **env: str) -> Result:
    """Run *script* as GitHub and GitLab do: it ends with the first command that fails."""
    argv = ["bash", "-eo", "pipefail", "-c", f"cd {shlex.quote(str(checkout))}\n{script}"]
    return run(argv, env=place.person.env | variables | env, check=False)


@pytest.mark.parametrize(
    ("images", "env", "code"),
    [
        (["{good}"], {}, 0),
        (["{good}", "{gun}:unsigned"], {}, 1),
        (["{good}"], NOBODY, 3),
    ],
)
def test_github_actions(place: Place, checkout: Path, images: list[str], env: dict[str, str], code: int) -> None:
    """
    The job ends as the answer does, and leaves SARIF either way; digests are required where all is well.
    """
    write(checkout, *(image.format(good=place.good, gun=place.gun) for image in images))
    scripts, variables = steps("github-actions.yaml", "verify")

    done = shell(place, checkout, scripts["Verify the images"], variables, **env)

    assert code == done.returncode, done.stdout + done.stderr
    log = json.loads((checkout / "trustreg.sarif").read_text())
    assert bool(code) == bool(log["runs"][0]["results"])
    if not code:
        unpinned = shell(place, checkout, scripts["Require digests"], variables)
        assert (1, True) == (unpinned.returncode, f"+{' ' * 8}- {{name: web, image" in unpinned.stdout)


@pytest.mark.parametrize(("tag", "code"), [("1.0", 0), ("unsigned", 1)])
def test_gitlab(place: Place, checkout: Path, tag: str, code: int) -> None:
    """
    The job ends as the answer does, and leaves a JUnit report; the log is for people.
    """
    write(checkout, f"{place.gun}:{tag}")
    scripts, variables = steps("gitlab-ci.yml", "verify images")

    done = shell(place, checkout, scripts["script"], variables)
    after = shell(place, checkout, scripts["after_script"], variables)

    assert (code, 0) == (done.returncode, after.returncode), done.stderr
    (suite,) = ET.fromstring((checkout / "trustreg.xml").read_bytes())  # noqa: S314 # it is ours
    assert ("1", str(code)) == (suite.get("tests"), suite.get("failures"))
    assert f"{place.gun}:{tag}" in after.stdout


@pytest.mark.skipif(not shutil.which("git"), reason="there is no git")
def test_gitlab_pins(place: Place, checkout: Path) -> None:
    """
    What is proposed changes the image and nothing else.
    """
    scripts, variables = steps("gitlab-ci.yml", "pin images")
    setup = "git init -q . && git add . && git -c user.name=a -c user.email=a@example.com commit -qm one\n"

    done = shell(place, checkout, setup + scripts["script"], variables)

    assert done.returncode == 0, done.stderr
    patch = [line for line in (checkout / "pinned.patch").read_text().splitlines() if line[:1] in "+-"][2:]
    assert [
        f'-        - {{name: web, image: "{place.good}"}} # ours',
        f'+        - {{name: web, image: "{place.good}@{place.digest}"}} # ours',
    ] == patch


@pytest.mark.parametrize(
    ("image", "expected"), [("{good}@{digest}", (0, 0)), ("{good}", (0, 1)), ("{gun}:unsigned", (1, 1))]
)
def test_hooks(place: Place, checkout: Path, image: str, expected: tuple[int, int]) -> None:
    """
    The hooks for pre-commit are commands that can be run, and the second also wants digests.
    """
    write(checkout, image.format(good=place.good, gun=place.gun, digest=place.digest))
    hooks: Any = yaml.safe_load((EXAMPLES.parent / ".pre-commit-hooks.yaml").read_text())

    codes = {
        hook["id"]: shell(place, checkout, f"{hook['entry']} {shlex.join(['-f', 'deploy'])}", {}).returncode
        for hook in hooks
    }

    assert dict(zip(("trustreg-verify", "trustreg-pinned"), expected, strict=True)) == codes
    assert all(hook["args"] == ["-f", "."] and hook["pass_filenames"] is False for hook in hooks)


def gitops(place: Place, checkout: Path, *folders: str, **env: str) -> Result:
    """Run the check before a GitOps controller."""
    return shell(place, checkout, shlex.join(["sh", str(EXAMPLES / "gitops_check.sh"), *folders]), {}, **env)


def test_a_gitops_check(place: Place, checkout: Path) -> None:
    """
    Of each folder as it is, or as it is rendered; the worst counts.
    """
    (checkout / "none").mkdir()
    plain = gitops(place, checkout, "deploy")
    write(checkout, f"{place.good}@{place.digest}")
    pinned = gitops(place, checkout, "deploy", "none")
    (checkout / "bad").mkdir()
    (checkout / "bad/a.yaml").write_text("a: b: c")
    broken = gitops(place, checkout, "bad", "deploy")
    away = gitops(place, checkout, "deploy", "bad", **NOBODY)

    (checkout / "deploy/kustomization.yaml").write_text("resources: [0.yaml]\n")
    (checkout / "render").write_text('#!/bin/sh\ncat "$1/0.yaml"\n')
    (checkout / "render").chmod(0o755)
    rendered = gitops(place, checkout, "deploy", RENDER="./render")
    failed = gitops(place, checkout, "deploy", RENDER="false")

    assert [1, 0, 2, 2, 0, 2] == [done.returncode for done in (plain, pinned, broken, away, rendered, failed)], (
        away.stderr
    )
    assert gitops(place, checkout).returncode == 2

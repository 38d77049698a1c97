"""``trustreg verify -f``: all images of manifests at once, for people and pipelines, and pinned where they stand."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped,unused-ignore]

from scripts.images import image
from tests.cli.conftest import SCHEMAS
from trustreg.cli import manifests as command
from trustreg.errors import shown

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Desk, Said

MANIFEST = """\
# What runs the shop.
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web, namespace: shop}}
spec:
  template:
    spec:
      containers:
        - name: app
          image:   "{gun}:1.0"   # the release
        - {{ name: side, image: '{gun}:{side}' }}
"""


@pytest.fixture
def folder(begun: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with manifests whose images are signed, and with something else."""
    (tmp_path / "k8s").mkdir()
    monkeypatch.chdir(tmp_path)
    write(begun, "k8s/web.yaml")
    (tmp_path / "k8s/compose.yml").write_text(f"services:\n  web:\n    image: {begun.gun}:1.0\n")
    (tmp_path / "k8s/values.yaml").write_text("replicas: 2\n")
    return tmp_path


def write(desk: Desk, name: str, side: str = "1.0") -> None:
    """Write a manifest."""
    with open(name, "w", encoding="utf-8") as file:  # noqa: PTH123
        file.write(MANIFEST.format(gun=desk.gun, side=side))


def feed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Have standard input say *text*."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))


def as_json(said: Said) -> Any:
    """Return what was said, which has to fit the schema."""
    document = json.loads(said.out)
    Draft202012Validator(json.loads((SCHEMAS / "manifests.schema.json").read_text())).validate(document)
    return document


def requests(said: Said, desk: Desk) -> list[str]:
    """Return the manifests that were asked for."""
    return [
        line.split(" ")[1].rpartition("/")[2].rstrip(":")
        for line in said.talk
        if f"{desk.path}/manifests/" in line and "no answer" not in line
    ]


def test_a_folder_is_judged_and_shown_as_a_table(begun: Desk, folder: Path) -> None:
    """
    Every place in it with file and line, each image asked about once; the rest is said on standard error.
    """
    said = begun.run("verify", "-f", "k8s", "-v")

    assert said.code == 0
    assert [["WHERE", "VERDICT"]] == [line.split()[:2] for line in said.lines[:1]]
    assert [[f"k8s/{at}", "trusted", f"{begun.gun}:1.0"] for at in ("compose.yml:3", "web.yaml:10", "web.yaml:11")] == [
        line.split()[:3] for line in said.lines[1:]
    ]
    assert ["1.0"] == requests(said, begun)
    assert [
        "trustreg: passed over k8s/values.yaml:1: neither an object of Kubernetes nor a Compose file",
        "trustreg: 3 places in 3 files: 3 trusted",
    ] == said.talk[-2:]


@pytest.mark.parametrize(
    ("side", "code", "word", "why"),
    [
        ("2.0", 1, "untrusted", "unsigned"),
        ("${TAG}", 3, "unknown", "unresolved"),
        ("1.0:x", 2, "unknown", "name"),
    ],
)
def test_the_exit_code_is_that_of_the_worst(
    begun: Desk, folder: Path, side: str, code: int, word: str, why: str
) -> None:
    """
    Refused comes first, then what cannot be used, then what could not be found out.
    """
    write(begun, "k8s/web.yaml", side)

    said = begun.run("verify", "-f", "k8s")
    document = as_json(begun.run("verify", "-f", "k8s", "--format", "json"))

    assert code == said.code
    assert word in said.lines[-1].split()
    errors = [one["error"] for one in (*document["images"], *document["problems"]) if one.get("error")]
    assert [why] == [error["code"] for error in errors]


def test_as_json(begun: Desk, folder: Path) -> None:
    """
    One entry for each image, with all its places, and what was passed over.
    """
    document = as_json(begun.do("verify", "-f", "k8s", "--format", "json"))

    (one,) = document["images"]
    assert (f"{begun.gun}:1.0", "trusted", True) == (one["image"], one["verdict"], one["allowed"])
    assert {
        "file": "k8s/web.yaml",
        "line": 11,
        "column": 32,
        "pointer": "/spec/template/spec/containers/1/image",
        "object": "Deployment shop/web",
        "group": "containers",
        "container": "side",
        "text": f"{begun.gun}:1.0",
        "change": None,
    } == one["places"][2]
    assert (["k8s/values.yaml"], [], [], False) == (
        [passed["file"] for passed in document["passedOver"]],
        document["problems"],
        document["changed"],
        document["pinned"],
    )


def test_as_sarif(begun: Desk, folder: Path) -> None:
    """
    What is wrong, where, by codes that are rules; what is right is no result.
    """
    write(begun, "k8s/web.yaml", "2.0")
    (folder / "k8s/ü b.yaml").write_text("a: b: c")

    said = begun.run("verify", "-f", "k8s", "--format", "sarif", "--check")

    log = json.loads(said.out)
    (run,) = log["runs"]
    assert ("2.1.0", "trustreg", "unicodeCodePoints") == (
        log["version"],
        run["tool"]["driver"]["name"],
        run["columnKind"],
    )
    assert [{"executionSuccessful": False}] == run["invocations"]
    spots = [
        (result["ruleId"], result["level"], place["artifactLocation"]["uri"], place["region"]["startLine"])
        for result in run["results"]
        for place in [result["locations"][0]["physicalLocation"]]
    ]
    assert [
        ("unpinned", "error", "k8s/compose.yml", 3),
        ("unpinned", "error", "k8s/web.yaml", 10),
        ("unsigned", "error", "k8s/web.yaml", 11),
        ("manifest", "error", "k8s/%C3%BC%20b.yaml", 1),
    ] == spots
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert all(rules[result["ruleIndex"]] == result["ruleId"] for result in run["results"])
    assert all(result["message"]["text"] for result in run["results"])
    assert [] == json.loads(begun.do("verify", "-f", "k8s/compose.yml", "--format", "sarif").out)["runs"][0]["results"]


def test_as_junit(begun: Desk, folder: Path) -> None:
    """
    One case for each place, by file: refused is a failure, not known an error.
    """
    write(begun, "k8s/web.yaml", "2.0")
    (folder / "k8s/other.yaml").write_text("services: {a: {image: '<\\e[0m&${X}'}}".replace("'", '"'))

    said = begun.run("verify", "-f", "k8s", "--format", "junit")

    suites = list(ET.fromstring(said.out.encode()))  # noqa: S314 # it is ours
    assert [
        ("k8s/compose.yml", "1", "0", "0"),
        ("k8s/other.yaml", "1", "0", "1"),
        ("k8s/web.yaml", "2", "1", "0"),
    ] == [(suite.get("name"), *map(suite.get, ("tests", "failures", "errors"))) for suite in suites]
    assert [None, "error", None, "failure"] == [
        case[0].tag if len(case) else None for suite in suites for case in suite
    ]
    assert shown("<\x1b[0m&${X}") in (suites[1][0].get("name") or "")
    assert "unsigned" == suites[2][1][0].get("type")


def test_pinning_changes_the_images_and_nothing_else(begun: Desk, folder: Path) -> None:
    """
    Only those that may be used; again, nothing changes; afterwards the check is content.
    """
    write(begun, "k8s/web.yaml", "2.0")
    digest = image("1.0").digest
    before = (folder / "k8s/web.yaml").read_text()

    check = begun.run("verify", "-f", "k8s", "--check")
    assert before == (folder / "k8s/web.yaml").read_text()
    said = begun.run("verify", "-f", "k8s", "--pin-images")

    assert (1, 1) == (check.code, said.code)
    assert f'-          image:   "{begun.gun}:1.0"   # the release' in check.lines
    assert f'+          image:   "{begun.gun}:1.0@{digest}"   # the release' in check.lines
    assert before.replace(":1.0", f":1.0@{digest}") == (folder / "k8s/web.yaml").read_text()
    assert f"services:\n  web:\n    image: {begun.gun}:1.0@{digest}\n" == (folder / "k8s/compose.yml").read_text()
    write(begun, "k8s/web.yaml")
    begun.run("verify", "-f", "k8s", "--pin-images")
    held = {path: path.read_bytes() for path in (folder / "k8s").iterdir()}
    again = begun.run("verify", "-f", "k8s", "--pin-images")
    content = begun.run("verify", "-f", "k8s", "--check")
    assert (0, 0, "") == (again.code, content.code, content.out)
    assert held == {path: path.read_bytes() for path in (folder / "k8s").iterdir()}


def test_an_outdated_digest_follows_its_tag(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Once the tag is signed with another digest; where it is only moved, the old digest stays and is what is judged.
    """
    monkeypatch.chdir(tmp_path)
    desk.begin("1.0")
    old, new = desk.push("1.0"), image("new")
    manifest = tmp_path / "a.yaml"
    manifest.write_text(f"services: {{a: {{image: {desk.gun}:1.0@{old.digest}}}}}\n")

    desk.push("1.0", new)
    moved = desk.run("verify", "-f", "a.yaml", "--pin-images")
    assert (0, True) == (moved.code, old.digest in manifest.read_text())
    desk.run("sign", f"{desk.gun}:1.0")
    outdated = desk.run("verify", "-f", "a.yaml")
    check = desk.run("verify", "-f", "a.yaml", "--check")
    followed = desk.run("verify", "-f", "a.yaml", "--pin-images")

    assert (1, 1, 0) == (outdated.code, check.code, followed.code)
    assert f"services: {{a: {{image: {desk.gun}:1.0@{new.digest}}}}}\n" == manifest.read_text()


def test_standard_input(begun: Desk, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Is judged as a file is; pinned, it is printed, and everything else goes to standard error.
    """
    text = MANIFEST.format(gun=begun.gun, side="1.0")
    feed(monkeypatch, text)
    judged = begun.run("verify", "-f", "-")
    feed(monkeypatch, text)
    pinned = begun.run("verify", "-f", "-", "--pin-images")
    feed(monkeypatch, f"{begun.gun}:1.0\n{begun.gun}:2.0 # not signed\n")
    listed = begun.run("verify", "-f", "-", "--pin-images")

    assert (0, ["-:10", "-:11"]) == (judged.code, [line.split()[0] for line in judged.lines[1:]])
    assert (0, text.replace(":1.0", f":1.0@{image('1.0').digest}")) == (pinned.code, pinned.out)
    assert (1, f"{begun.gun}:1.0@{image('1.0').digest}\n{begun.gun}:2.0 # not signed\n") == (listed.code, listed.out)
    assert any(line.startswith("-:2 ") and "untrusted" in line for line in listed.talk)


@pytest.mark.parametrize(("mode", "code"), [("enforce", 1), ("warn", 0), ("audit", 0)])
def test_by_a_policy(begun: Desk, folder: Path, mode: str, code: int) -> None:
    """
    The most specific rule counts, its mode too; extractors of the policy find images of other kinds.
    """
    (folder / "policy.yaml").write_text(
        f"version: 1\ndefault: {{require: reject, mode: {mode}}}\nrules:\n"
        f"- match: {begun.gun}\n  require: {{collection: {{first_use: true}}}}\n"
        "admission:\n  extractors:\n  - {kind: Shop, images: ['spec.image']}\n"
    )
    (folder / "shop.yaml").write_text("apiVersion: a.b/v1\nkind: Shop\nspec: {image: other.example/x:1}\n")

    said = begun.run("verify", "--policy", "policy.yaml", "-f", "k8s/web.yaml", "-f", "shop.yaml", "--format", "json")

    document = as_json(said)
    assert code == said.code
    assert ["trusted", "untrusted"] == [one["verdict"] for one in document["images"]]
    assert [True, code == 0] == [one["allowed"] for one in document["images"]]
    assert document["policyDigest"].startswith("sha256:")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "Name images, or files with -f; not both."),
        (["-f", "k8s", "registry.example/a:1"], "Name images, or files with -f; not both."),
        (["--check", "registry.example/a:1"], "are for -f."),
        (["--format", "sarif", "registry.example/a:1"], "are for -f."),
        (["--format", "text", "-f", "k8s"], "--format text is for images"),
        (["-f", "-", "--pin-images", "--format", "json"], "no other file and format goes with it"),
        (["-f", "-", "-f", "k8s", "--pin-images"], "no other file and format goes with it"),
        (["-f", "k8s", "--platform", "linux/arm64"], "--platform is for policies"),
    ],
)
def test_what_does_not_go_together(begun: Desk, folder: Path, arguments: list[str], problem: str) -> None:
    """
    Is a mistake in the call.
    """
    said = begun.run("verify", *arguments)

    assert (2, "") == (said.code, said.out)
    assert problem in said.err


def test_so_many_images_are_judged_and_no_more(begun: Desk, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Whoever proposes a manifest does not say how many others are asked.
    """
    monkeypatch.setattr(command, "_MOST", 1)
    write(begun, "k8s/web.yaml", "2.0")

    said = begun.run("verify", "-f", "k8s", "-v")

    assert (2, "", []) == (said.code, said.out, requests(said, begun))
    assert "these files name 2 different images, and at most 1 are judged at once" in said.err


def test_checking_wins_over_pinning(begun: Desk, folder: Path) -> None:
    """
    Where both are asked for, nothing is written.
    """
    before = (folder / "k8s/web.yaml").read_text()

    document = as_json(begun.run("verify", "-f", "k8s", "--pin-images", "--check", "--format", "json"))

    assert (False, ["k8s/compose.yml", "k8s/web.yaml"]) == (document["pinned"], document["changed"])
    assert before == (folder / "k8s/web.yaml").read_text()


def test_a_thousand_manifests(begun: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Are read, and their image is asked about once.
    """
    monkeypatch.chdir(tmp_path)
    (tmp_path / "many").mkdir()
    for number in range(1000):
        write(begun, f"many/{number}.yaml")

    said = begun.run("verify", "-f", "many", "-v")

    assert (0, 2001) == (said.code, len(said.lines))
    assert ["1.0"] == requests(said, begun)

"""``trustreg admission review``: a review goes in, the answer comes out, and the exit code says which it was."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from scripts.images import image
from tests.admission import check
from vectors.make.admission import of, review, spec

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Desk

ONE = image("1.0")


@pytest.fixture
def policy(begun: Desk, tmp_path: Path) -> Path:
    """A policy that wants the collection, and pins."""
    path = tmp_path / "policy.yaml"
    host = str(begun.gun).partition("/")[0]
    rules = f'[{{match: "{host}", require: {{collection: {{first_use: true}}}}}}]'
    path.write_text(f"version: 1\nrules: {rules}\ndefault: reject\nadmission: {{pin: pin}}\n")
    return path


def answer(desk: Desk, document: Any, *arguments: str | Path) -> tuple[int, Any, str]:
    """Have *document* answered; return the exit code, the answer, and what was said besides."""
    raw = document if isinstance(document, bytes) else json.dumps(document).encode()
    command = [sys.executable, "-m", "trustreg", "admission", "review", *map(str, arguments)]
    done = subprocess.run(command, input=raw, capture_output=True, env=desk.env(), check=False)
    out = json.loads(done.stdout) if done.stdout else None
    return done.returncode, out, done.stderr.decode()


def test_yes_no_and_what_is_no_question(begun: Desk, policy: Path) -> None:
    """
    0 with a patch where it may change things, 1 for a no, 2 for what is no review.
    """
    signed = review(of("Pod", spec(f"{begun.gun}:1.0")))
    unsigned = review(of("Pod", spec(f"{begun.gun}:1.0", "registry.example/other:1")))

    code, yes, talk = answer(begun, signed, "--policy", policy, "--mutating", "--timeout", "30s")
    patch = json.loads(base64.b64decode(yes["response"]["patch"]))
    assert (code, talk, check(yes, signed, mutating=True)) == (0, "", True)
    assert patch[1]["value"] == f"{begun.gun}:1.0@{ONE.digest}"

    code, yes, _ = answer(begun, signed, "--policy", policy)
    assert (code, check(yes, signed, mutating=False)) == (0, True)

    code, no, _ = answer(begun, unsigned, "--policy", policy, "--validating")
    assert (code, check(no, unsigned, mutating=False)) == (1, False)
    assert "refused [reject]" in no["response"]["status"]["message"]

    code, out, talk = answer(begun, b"{}", "--policy", policy)
    assert (code, out) == (2, None)
    assert "an AdmissionReview has a request with a uid" in talk
    assert answer(begun, b"\xff", "--policy", policy)[0] == 2


def test_not_knowing_has_a_code_of_its_own(begun: Desk, policy: Path) -> None:
    """
    3 where nobody answers in time.
    """
    document = review(of("Pod", spec(f"{begun.gun}:1.0")))

    code, found, _ = answer(begun, document, "--policy", policy, "--timeout", "0s")

    assert (code, check(found, document, mutating=False)) == (3, False)
    assert "could not find out [deadline]" in found["response"]["status"]["message"]


def test_alerts_are_told(begun: Desk, policy: Path) -> None:
    """
    On standard error.
    """
    glass = "break_glass: {annotation: a/b, groups: developers}"
    policy.write_text(policy.read_text().replace("{pin: pin}", f"{{{glass}}}"))
    document = review(of("Pod", spec("registry.example/other:1"), annotations={"a/b": "down"}))

    code, found, talk = answer(begun, document, "--policy", policy)

    assert (code, check(found, document, mutating=False)) == (0, True)
    assert "alert: break-glass in team: Pod app: down" in talk

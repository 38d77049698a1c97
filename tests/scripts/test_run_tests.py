"""What ``scripts/test`` does before pytest."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from scripts import run_tests, sigstore_peers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def test_missing_peers_are_installed_or_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Only what is missing is installed; what is missing even then is named with its package.
    """
    there = set(run_tests.PEERS) - {"skopeo", "docker"}
    asked: list[Sequence[str]] = []

    def install(*choices: Sequence[str]) -> bool:
        asked.extend(choices)
        there.add("skopeo")
        return False

    monkeypatch.setattr(shutil, "which", lambda name: name if name in there else None)
    monkeypatch.setattr(run_tests, "apt_install", install)
    monkeypatch.setattr(sigstore_peers, "fetch", _no_network)

    run_tests.ensure_peers()

    assert asked == [["skopeo"], ["docker-cli", "docker.io"]]
    assert capsys.readouterr().err == (
        "scripts/test: missing docker. On Debian: apt-get install docker.io\n"
        "scripts/test: missing cosign, and a skopeo that knows its signatures: no network\n"
    )


def test_every_check_is_made_and_the_failed_are_named(tmp_path: Path) -> None:
    """
    One bad check does not hide the next.
    """
    for tool, code in {"ruff": 1, "mypy": 0, "lint-imports": 1}.items():
        (tmp_path / tool).write_text(f"#!/bin/sh\nexit {code}\n")
        (tmp_path / tool).chmod(0o755)

    assert run_tests.look_at_the_code(tmp_path / "python") == ["ruff check", "ruff format", "import-linter"]


def test_bad_code_is_not_tested(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """
    Where a check failed, so does the run, before pytest.
    """
    monkeypatch.setattr(run_tests, "ensure_peers", lambda: None)
    monkeypatch.setattr(run_tests, "bootstrap", lambda _: tmp_path / "python")
    monkeypatch.setattr(run_tests, "look_at_the_code", lambda _: ["mypy"])
    monkeypatch.setattr(os, "execve", lambda *_: pytest.fail("pytest was run"))

    assert run_tests.main([]) == 1


def _no_network() -> Path:
    raise sigstore_peers.FetchError("no network")

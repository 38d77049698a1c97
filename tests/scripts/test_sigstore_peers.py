"""Fetching cosign and a newer skopeo."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scripts import sigstore_peers

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def empty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A place where nothing was fetched yet, and a path without any program."""
    monkeypatch.setenv("TRUSTREG_PEERS", str(tmp_path / "peers"))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    (tmp_path / "path").mkdir()
    return tmp_path


def test_what_is_there_is_not_fetched(empty: Path) -> None:
    """
    Then nothing is needed to have it.
    """
    sigstore_peers.folder().mkdir(parents=True)
    for program in sigstore_peers.PROGRAMS:
        (sigstore_peers.folder() / program).touch()

    assert sigstore_peers.fetch() == sigstore_peers.folder()


def test_without_apt(empty: Path) -> None:
    """
    It is said what is missing.
    """
    with pytest.raises(sigstore_peers.FetchError, match="no apt-get"):
        sigstore_peers.fetch()


def test_without_network(empty: Path) -> None:
    """
    It is said what failed, and nothing is left of the attempt.
    """
    for name, does in {
        "apt-get": 'test "$1" = indextargets && echo http://mirror/debian/ main',
        "dpkg-deb": "",
    }.items():
        (empty / "path" / name).write_text(f"#!/bin/sh\n{does}\n")
        (empty / "path" / name).chmod(0o755)

    with pytest.raises(sigstore_peers.FetchError, match="apt-get failed"):
        sigstore_peers.fetch()

    assert list((empty / "peers").iterdir()) == []

"""What a look-up imports, from the command line to the last byte, and what it does without."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import trustreg
from bench.trust_data import digest, stage, tags
from tests.peers import trustreg_serve
from tests.peers.command import clean_env

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.peers import Peer

GUN = "registry.example/imports/app"
TAGS = tags(3)

NEVER = {
    "asyncio",
    "charset_normalizer.api",
    "concurrent.futures",
    "cryptography.hazmat.primitives.serialization",
    "cryptography.x509",
    "decimal",
    "falcon",
    "granian",
    "multiprocessing",
    "rich",
    "securesystemslib",
    "sqlite3",
    "subprocess",
    "trustreg.io.keystore",
    "trustreg.io.passphrases",
    "trustreg.io.registry",
    "trustreg.io.serve",
    "trustreg.io.stage",
    "trustreg.publisher",
    "trustreg.server",
    "trustreg.sign",
}
"""What reading one collection never needs."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    """A trust server with a collection on it."""
    place = tmp_path_factory.mktemp("author")
    with trustreg_serve() as peer:
        env = {"HOME": str(place), "TRUSTREG_PASSPHRASE": "passphrase of the author"}
        author = trustreg.Publisher(server=peer.url, trust_dir=place / "trust", env=env)
        author.init(GUN)
        stage(place / "trust", GUN, TAGS)
        author.publish(GUN)
        yield peer


def imported(server: Peer, home: Path, *words: str, **env: str) -> set[str]:
    """Run ``trustreg`` with *words* from nothing, and return what it imported, with the packages around it."""
    where = {"TRUSTREG_SERVER": server.url, "TRUSTREG_TRUST_DIR": str(home / "trust"), "HOME": str(home)}
    argv = [sys.executable, "-X", "importtime", "-m", "trustreg", *words]
    done = subprocess.run(argv, env=clean_env(**where, **env), capture_output=True, text=True, check=True)
    said = [line for line in done.stderr.splitlines() if not line.startswith("import time:")]
    assert digest(TAGS[0]) in done.stdout
    assert [line.partition(" ")[0] for line in said] == ["trustreg:"]  # what was trusted on first use, no warnings
    names = (line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:"))
    return {".".join(parts[:n]) for parts in (name.split(".") for name in names) for n in range(1, len(parts) + 1)}


def test_verifying_one_image_imports_what_that_takes(server: Peer, tmp_path: Path) -> None:
    """
    Not key files, not the server, not what reads certificates that nobody made, no other command.
    """
    found = imported(server, tmp_path, "verify", "--no-registry", f"{GUN}:{TAGS[0]}")

    assert found & (NEVER | {"tomllib", "trustreg.cli.read", "trustreg.cli.write", "trustreg.cli.key"}) == set()
    assert {"click", "requests", "orjson", "cryptography"} <= found


def test_listing_imports_what_that_takes(server: Peer, tmp_path: Path) -> None:
    """
    The same, with the other command.
    """
    found = imported(server, tmp_path, "list", GUN)

    assert found & (NEVER | {"tomllib", "trustreg.cli.verify", "trustreg.cli.write", "trustreg.cli.key"}) == set()


def test_nobody_looks_for_folders_that_were_named(server: Peer, tmp_path: Path) -> None:
    """
    With the trust directory and the configuration file named, ``platformdirs`` has nothing to say.
    """
    config = tmp_path / "config.toml"
    config.write_text("")
    found = imported(server, tmp_path, "verify", "--no-registry", f"{GUN}:{TAGS[0]}", TRUSTREG_CONFIG=str(config))

    assert "tomllib" in found
    assert found & (NEVER | {"platformdirs"}) == set()


def test_importing_the_library_imports_nothing_else() -> None:
    """
    Beside what the interpreter itself imports there is ``trustreg``, its version, and the way to the rest.
    """
    code = "import sys; before = set(sys.modules); import trustreg; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], env=clean_env(), capture_output=True, text=True, check=True)

    assert {name for name in done.stdout.split() if not name.startswith("importlib")} - {"warnings"} == {
        "trustreg",
        "trustreg._version",
    }

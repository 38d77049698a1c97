"""
Check everything, the way CI does: ``scripts/test [PYTEST-ARGUMENT…]``.

Installs the peers that the tests talk to (Debian packages, as root or with sudo that asks no
password), makes the environment, looks at the code, then runs pytest on the installed wheel. The
code has to pass before a test is run; pytest's summary is the last that is printed, and its exit
code is the exit code.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from scripts import sigstore_peers
from scripts.bootstrap import ROOT, BootstrapError, apt_install, bootstrap

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PEERS = {
    "notary": ["notary"],
    "notary-server": ["notary"],
    "notary-signer": ["notary"],
    "pg_createcluster": ["postgresql"],  # its own programs are not on the path
    "docker-registry": ["docker-registry"],
    "skopeo": ["skopeo"],
    "nginx": ["nginx"],
    "redis-server": ["redis-server"],
    "gpg": ["gnupg"],
    "softhsm2-util": ["softhsm2"],
    "htpasswd": ["apache2-utils"],
    "openssl": ["openssl"],
    "promtool": ["prometheus"],
    "shellcheck": ["shellcheck"],
    "docker": ["docker-cli", "docker.io"],  # the command line; no engine is needed
}


def main(args: Sequence[str]) -> int:
    """Run every check, then pytest with *args* in place of this process."""
    ensure_peers()
    try:
        python = bootstrap("test")
    except BootstrapError as error:
        print(f"scripts/test: {error}", file=sys.stderr)
        return 1
    if failed := look_at_the_code(python):
        print(f"scripts/test: failed, so no test was run: {', '.join(failed)}", file=sys.stderr)
        return 1
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}  # the wheel, not src
    pytest = [str(python), "-m", "pytest", "--numprocesses", "2", "--dist", "loadgroup", *args]
    sys.stdout.flush()
    return os.execve(python, pytest, environment)  # noqa: S606 - a fixed program; it does not return


def ensure_peers() -> None:
    """Install what the interop tests talk to; say what stays missing, which they will skip, or fail under CI=true."""
    if lacking := absent():
        apt_install(*(PEERS[program] for program in lacking))
    if lacking := absent():
        packages = " ".join(sorted({PEERS[program][-1] for program in lacking}))
        print(f"scripts/test: missing {', '.join(lacking)}. On Debian: apt-get install {packages}", file=sys.stderr)
    try:
        sigstore_peers.fetch()
    except sigstore_peers.FetchError as error:
        print(f"scripts/test: missing cosign, and a skopeo that knows its signatures: {error}", file=sys.stderr)


def absent() -> list[str]:
    """Name the programs of the peers that are not on the path."""
    return [program for program in PEERS if shutil.which(program) is None]


def look_at_the_code(python: Path) -> list[str]:
    """Lint, check format, types and layers; name the checks that failed."""
    tools = python.parent
    checks: dict[str, Sequence[Path | str]] = {
        "ruff check": [tools / "ruff", "check", "--quiet", "."],
        "ruff format": [tools / "ruff", "format", "--quiet", "--check", "--diff", "."],
        "mypy": [tools / "mypy"],
        "import-linter": [tools / "lint-imports", "--no-logo"],
    }
    failed = []
    for name, command in checks.items():
        print(f"scripts/test: {name}", flush=True)
        if subprocess.run(command, cwd=ROOT, check=False).returncode:
            failed.append(name)
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

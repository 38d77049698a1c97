"""
Fetch a cosign and a skopeo that know signatures in registries: ``python3 -m scripts.sigstore_peers``.

Debian 12 has no cosign, and its skopeo has these signatures taken out ("sigstore disabled"). Both programs of Debian 13
run on Debian 12 beside a C library of their own. So their packages, which apt checks as it checks all packages, are
unpacked into a folder, and nothing is installed. It is ``~/.cache/trustreg-peers``, or what TRUSTREG_PEERS says.

Prints the folder with the programs.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

RELEASE = "trixie"
PROGRAMS = ("cosign", "skopeo")
PACKAGES = (*PROGRAMS, "libc6", "libgcc-s1", "libgpgme11t64", "libassuan9", "libgpg-error0", "libsqlite3-0")


class FetchError(Exception):
    """They cannot be had; the text says why."""


def folder() -> Path:
    """Return where the programs are, or would be."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("TRUSTREG_PEERS") or cache / "trustreg-peers") / RELEASE / "bin"


def fetch() -> Path:
    """Have the programs in :func:`folder`, and return that; if they are there, it takes no time.

    Raises:
        FetchError: They cannot be had.
    """
    there = folder()
    if all((there / program).exists() for program in PROGRAMS):
        return there
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise FetchError("there is no apt-get to fetch them with")
    there.parent.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=".new-", dir=there.parent.parent))
    try:
        _unpack(work)
        _write_programs(work, there.parent)
        shutil.rmtree(there.parent, ignore_errors=True)
        work.rename(there.parent)
    except OSError as exc:
        raise FetchError(str(exc)) from exc
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return there


def _unpack(work: Path) -> None:
    apt = work / "apt"
    for part in ("lists/partial", "cache/archives/partial", "debs"):
        (apt / part).mkdir(parents=True)
    (apt / "sources.list").write_text(f"deb [signed-by={_KEYRING}] {_mirror()} {RELEASE} main\n")
    where = {
        "Dir::Etc::sourcelist": apt / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State::lists": apt / "lists",
        "Dir::Cache": apt / "cache",
        "APT::Sandbox::User": "",  # the user _apt has no business in somebody's cache
    }
    options = [word for name, value in where.items() for word in ("-o", f"{name}={value}")]
    _run("apt-get", "-q", *options, "update", at=apt)
    _run("apt-get", "-q", *options, "download", *(f"{name}/{RELEASE}" for name in PACKAGES), at=apt / "debs")
    for package in sorted((apt / "debs").glob("*.deb")):
        _run("dpkg-deb", "-x", str(package), str(work / "root"), at=apt)
    shutil.rmtree(apt)


def _write_programs(work: Path, there: Path) -> None:
    """Write what starts each program with the libraries that it was made for, once *work* is *there*."""
    loader = next((work / "root").glob("usr/lib*/**/ld-linux-*.so.*")).relative_to(work)
    libraries = next((work / "root").glob("usr/lib/*/libc.so.6")).parent.relative_to(work)
    (work / "bin").mkdir()
    for program in PROGRAMS:
        start = work / "bin" / program
        start.write_text(
            f'#!/bin/sh\nexec "{there / loader}" --library-path "{there / libraries}" '
            f'"{there}/root/usr/bin/{program}" "$@"\n'
        )
        start.chmod(0o755)


def _mirror() -> str:
    """Return the mirror that this machine gets its packages of Debian from."""
    targets = ["apt-get", "indextargets", "--format", "$(REPO_URI) $(COMPONENT)", "Created-By: Packages"]
    said = subprocess.run(targets, capture_output=True, text=True, check=False).stdout
    found = re.search(r"^(\S+/debian/?) main$", said, re.MULTILINE)
    if found is None:
        raise FetchError("this machine gets no packages from a mirror of Debian")
    return found[1]


def _run(*argv: str, at: Path) -> None:
    done = subprocess.run(argv, cwd=at, capture_output=True, text=True, check=False)
    if done.returncode:
        raise FetchError(f"{argv[0]} failed: {done.stderr.strip()[-500:]}")


_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

if __name__ == "__main__":
    try:
        print(fetch())
    except FetchError as error:
        sys.exit(f"scripts.sigstore_peers: {error}")

"""
Make the project's virtual environment, with nothing but Python to begin with.

    python3 -m scripts.bootstrap demo    # trustreg and what it needs
    python3 -m scripts.bootstrap test    # the locked tools, and trustreg as the wheel that users get

The environment is ``.venv`` in the checkout, or where TRUSTREG_VENV says. When nothing that it was
made from has changed, this takes no time. The last line printed is its interpreter.

A minimal Debian has ``python3`` without ``ensurepip``, so without it a virtual environment has no
pip; as root, or with sudo that asks no password, the missing package is installed, otherwise named.

Only the standard library, and no syntax newer than Python 3.8: an old ``python3`` has to get
as far as finding a newer one.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements" / "dev.lock"


class BootstrapError(Exception):
    """The environment cannot be made; the text says what to do about it."""


def bootstrap(mode: str) -> Path:
    """
    Bring the environment up to date and give its interpreter.

    Args:
        mode: ``demo`` installs trustreg with its server; ``test`` also every tool of the lock,
            and trustreg as a wheel, never editable, so that what is tested is what is shipped.
            An environment for ``test`` will do for ``demo``.

    Raises:
        BootstrapError: There is no Python, no ``ensurepip``, or an installation failed.
    """
    venv = Path(os.environ.get("TRUSTREG_VENV") or ROOT / ".venv")
    python = venv / "bin" / "python"
    stamp = venv / "trustreg-bootstrap.json"
    lock, project = fingerprint([LOCK]), fingerprint(_project_files())
    have = _read_stamp(stamp) if python.exists() else {}
    if have.get("project") == project and have.get("lock") == lock and have.get("mode") in (mode, "test"):
        return python

    if not python.exists():
        _make_venv(venv)
    stamp.unlink(missing_ok=True)  # an interrupted installation is no installation
    if mode == "demo":
        _pip(python, "install", "--constraint", LOCK, f"{ROOT}[server]")
    else:
        if have.get("lock") != lock or have.get("mode") != "test":
            _pip(python, "install", "--requirement", LOCK)
        with tempfile.TemporaryDirectory() as wheels:
            _pip(python, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", wheels, ROOT)
            _pip(python, "install", "--no-deps", "--force-reinstall", *Path(wheels).glob("*.whl"))
    stamp.write_text(json.dumps({"mode": mode, "lock": lock, "project": project}))
    return python


def fingerprint(files: Iterable[Path]) -> str:
    """Sum up names and contents of *files*, under the checkout, in any order."""
    total = hashlib.sha256()
    for file in sorted(files):
        content = file.read_bytes()
        total.update(f"{file.relative_to(ROOT)}\0{len(content)}\0".encode())
        total.update(content)
    return total.hexdigest()


def find_python() -> Path:
    """
    Choose the interpreter to build on: this one if it will do, else the newest on the path that will.

    One with ``ensurepip`` goes before one without, which can be helped.

    Raises:
        BootstrapError: None is 3.11 or newer.
    """
    names = [sys.executable, "python3.14", "python3.13", "python3.12", "python3.11", "python3"]
    found = {path: abilities(path) for path in filter(None, map(shutil.which, names))}
    for wanted in ({"version", "ensurepip"}, {"version"}):
        for path, able in found.items():
            if wanted <= able:
                return Path(path)
    raise BootstrapError(
        f"Python 3.11 or newer is needed; there is {', '.join(found) or 'none'}."
        " Install one (Debian 12: apt-get install python3) and put it on the PATH."
    )


def abilities(python: str) -> set[str]:
    """Ask an interpreter what it can do: ``version`` when it is new enough, ``ensurepip`` when it has that."""
    question = (
        "import sys, importlib.util as u\n"
        "print('version' if sys.version_info >= (3, 11) else '')\n"
        "print('ensurepip' if u.find_spec('ensurepip') and u.find_spec('venv') else '')"
    )
    answer = subprocess.run([python, "-I", "-c", question], capture_output=True, text=True, check=False)
    return set(answer.stdout.split()) if answer.returncode == 0 else set()


def apt_install(*choices: Sequence[str]) -> bool:
    """
    Install Debian packages, where there is apt-get and it may be run without asking for a password.

    Args:
        choices: Names of one package in different releases of Debian, best first; one that
            this release does not know at all is left out.

    Returns:
        Whether all of them are installed now.
    """
    become = _become_root()
    if shutil.which("apt-get") is None or become is None:
        return False
    apt = [*become, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-o", "DPkg::Lock::Timeout=120"]
    say("apt-get update")
    if not _quietly([*apt, "update"]):
        return False
    known = [next(filter(_apt_knows, names), None) for names in choices]
    packages = sorted(set(filter(None, known)))
    say(f"apt-get install {' '.join(packages)}")
    return _quietly([*apt, "install", "--yes", "--no-install-recommends", *packages]) and None not in known


def say(text: str) -> None:
    """Tell the person who waits what is going on."""
    print(f"bootstrap: {text}", file=sys.stderr, flush=True)


def _make_venv(venv: Path) -> None:
    if venv.is_dir() and any(venv.iterdir()) and not (venv / "pyvenv.cfg").exists():
        raise BootstrapError(f"{venv} holds something else than a virtual environment; TRUSTREG_VENV names another.")
    python = find_python()
    if "ensurepip" not in abilities(str(python)):
        package = _venv_package(python)
        if not apt_install([package]) or "ensurepip" not in abilities(str(python)):
            raise BootstrapError(
                f"{python} has no ensurepip, so it cannot make a virtual environment with pip."
                f" On Debian: apt-get install {package}; elsewhere, install a complete Python 3.11 or newer."
            )
    say(f"making {venv} with {python}")
    _run([python, "-m", "venv", "--clear", venv])


def _venv_package(python: Path) -> str:
    """Name the Debian package with the ``ensurepip`` of *python*."""
    version = subprocess.run(
        [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], capture_output=True, text=True, check=True
    )
    return f"python{version.stdout.strip()}-venv"


def _become_root() -> list[str] | None:
    """Give what goes before a command that only root may run; None where there is no way."""
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo") and _quietly(["sudo", "-n", "true"]):
        return ["sudo", "-n"]
    return None


def _apt_knows(package: str) -> bool:
    return subprocess.run(["apt-cache", "show", package], capture_output=True, check=False).returncode == 0


def _quietly(argv: Sequence[str]) -> bool:
    """Run a command whose output nobody needs unless it fails; tell whether it worked."""
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False)
    return done.returncode == 0


def _pip(python: Path, command: str, *args: Path | str) -> None:
    say(f"pip {command} {' '.join(str(arg) for arg in args)}")
    _run([python, "-m", "pip", "--disable-pip-version-check", "-qq", command, *args])


def _run(argv: Sequence[Path | str]) -> None:
    if code := subprocess.run(argv, stdout=sys.stderr, check=False).returncode:
        raise BootstrapError(f"exit {code}: {' '.join(map(str, argv))}")


def _project_files() -> list[Path]:
    """List all that the installed project is made from."""
    sources = [path for path in (ROOT / "src").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return [*sources, *filter(Path.exists, (ROOT / name for name in ("pyproject.toml", "README.md", "LICENSE")))]


def _read_stamp(stamp: Path) -> dict[str, str]:
    try:
        content = json.loads(stamp.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def main(args: Sequence[str]) -> int:
    """Bring the environment up to date for the mode named in *args*."""
    if list(args) not in (["demo"], ["test"]):
        print("usage: python3 -m scripts.bootstrap demo|test", file=sys.stderr)
        return 2
    try:
        print(bootstrap(args[0]))
    except BootstrapError as error:
        print(f"bootstrap: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""What holds of the code as a whole: who imports whom, what a start costs, what is said of what is public."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import trustreg

PACKAGE = Path(trustreg.__file__).parent
PROJECT = Path(__file__).parent.parent.parent
MODULES = sorted(PACKAGE.rglob("*.py"))

HEAVY = {
    "asyncio",
    "click",
    "cryptography",
    "dataclasses",
    "email",
    "falcon",
    "granian",
    "http",
    "inspect",
    "json",
    "keyring",
    "logging",
    "msgspec",
    "orjson",
    "platformdirs",
    "pykcs11",
    "requests",
    "rich",
    "securesystemslib",
    "socket",
    "sqlite3",
    "ssl",
    "subprocess",
    "tomllib",
    "typing",
    "urllib",
    "urllib3",
}
"""What ``import trustreg`` does without; budgets in milliseconds are for benchmarks, on a machine of one's own."""
READING = HEAVY - {"cryptography", "dataclasses", "inspect", "orjson", "typing", "json", "logging"} | {
    "cryptography.x509",
    "cryptography.hazmat.primitives.serialization",
    "trustreg.cli",
    "trustreg.io",
    "trustreg.server",
    "trustreg.sign.keyfile",
}
"""What verifying does without, once the bytes are there."""


def imported(statement: str) -> set[str]:
    """Return the modules that *statement* makes a fresh interpreter import, with those above them."""
    command = [sys.executable, "-I", "-X", "importtime", "-c", f"import sys; sys.path[:0] = {sys.path!r}; {statement}"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    bare = [*command[:-1], f"import sys; sys.path[:0] = {sys.path!r}"]
    without = subprocess.run(bare, check=True, capture_output=True, text=True)
    return _names(done.stderr) - _names(without.stderr)


def _names(report: str) -> set[str]:
    lines = (line.rpartition("|")[2].strip() for line in report.splitlines() if line.startswith("import time:"))
    return {".".join(parts[:n]) for parts in (line.split(".") for line in lines) for n in range(1, len(parts) + 1)}


def test_importing_it_does_no_work() -> None:
    """
    ``import trustreg`` imports nothing of weight: a build tool that may never ask pays nothing.
    """
    assert imported("import trustreg") & HEAVY == set()


def test_verifying_imports_only_what_verifying_needs() -> None:
    """
    Neither HTTP nor command line, key files or servers; and of cryptography no more than keys and signatures.
    """
    found = imported("import trustreg.client, trustreg.verify.workflow, trustreg.dialects.notary1")

    assert "cryptography.hazmat.primitives.asymmetric.ed25519" in found
    assert found & READING == set()


def test_imports_point_down() -> None:
    """
    The contracts of pyproject.toml hold, and nothing below ``io`` touches the world.
    """
    if not (PROJECT / "pyproject.toml").exists():
        pytest.skip("the contracts are not here")
    tool = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([tool, "--no-logo", "--no-cache"], cwd=PROJECT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_every_public_name_is_there_and_in_order() -> None:
    """
    ``__all__`` is sorted, complete, and what ``dir`` shows.
    """
    assert list(trustreg.__all__) == sorted(trustreg.__all__)
    assert dir(trustreg) == sorted(trustreg.__all__)
    for name in trustreg.__all__:
        assert getattr(trustreg, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = trustreg.no_such_name


def test_it_says_that_it_is_typed() -> None:
    """
    Type checkers look for this file.
    """
    assert (PACKAGE / "py.typed").read_bytes() == b""


def test_every_module_can_be_imported() -> None:
    """
    Each by itself, and with a docstring.
    """
    for module in pkgutil.walk_packages(trustreg.__path__, "trustreg."):
        if not module.name.endswith(".__main__"):
            assert importlib.import_module(module.name).__doc__, module.name


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_is_left_to_do(module: Path) -> None:
    """
    No notes to self in what is handed over.
    """
    assert re.findall(r"\b(?:TODO|FIXME|XXX|HACK)\b", module.read_text("utf-8")) == []


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_what_is_public_says_what_it_is(module: Path) -> None:
    """
    Every public class and function has a docstring that begins with one sentence on one line.
    """
    for node in _public(ast.parse(module.read_text("utf-8"))):
        text = ast.get_docstring(node)
        assert text, f"{module}:{node.lineno} {node.name}"
        assert text.split("\n\n")[0].strip()[-1] in ".:?", f"{module}:{node.lineno} {node.name}"


def _public(tree: ast.AST) -> list[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    """Return the public definitions of modules and classes; what functions hold inside is their own."""
    found: list[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef] = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            found.append(node)
            found += _public(node) if isinstance(node, ast.ClassDef) else []
    return found

"""
Measure trustreg beside the Go client, and say what came of it.

    python -m bench                          # all of it, some minutes; rewrites docs/benchmarks.md and bench/results
    python -m bench --rounds 5 --tags 10     # a quick look at a part, which writes nothing

The trustreg that is measured is the console script of a wheel, built from this checkout and installed in an
environment of its own; or that of ``--venv``.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench import report
from bench.cases import Tools, publishing, reading, starting
from tests.peers import notary_server, require, trustreg_serve

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.cases import Outcome

ROOT = Path(__file__).resolve().parent.parent


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and write down when it was all of it."""
    options = _options(arguments)
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="trustreg-bench-") as folder:
        tools = Tools(_installed(options.venv) / "trustreg", Path(shutil.which("notary") or "notary"), Path(folder))
        for outcome in _measured(tools, options):
            outcomes.append(outcome)
            print(report.line(outcome), flush=True)
        found = report.document(outcomes, options.rounds, tools)
    for path in report.write(ROOT, found) if options.write else ():
        print(f"written: {path.relative_to(ROOT)}")


def _measured(tools: Tools, options: argparse.Namespace) -> Iterator[Outcome]:
    if "start" in options.only:
        yield from starting(tools, options.rounds)
    servers = {"notary-server": notary_server, "trustreg-serve": trustreg_serve}
    for name in options.servers:
        with servers[name]() as server:
            if "read" in options.only:
                yield from reading(tools, server, options.tags, options.rounds)
            if "publish" in options.only:
                yield from publishing(tools, server, max(options.tags), options.rounds)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure trustreg beside the Go client.")
    parser.add_argument("--rounds", type=int, default=31, help="how often each command is timed")
    parser.add_argument("--tags", type=int, nargs="+", default=[10, 1_000, 10_000], help="sizes of collections")
    parser.add_argument("--only", nargs="+", choices=_GROUPS, default=_GROUPS, help="what to measure")
    parser.add_argument("--servers", nargs="+", choices=_SERVERS, default=_SERVERS, help="against which servers")
    parser.add_argument("--venv", type=Path, help="an environment that has trustreg installed")
    options = parser.parse_args(arguments)
    require("notary", "notary-server")
    options.write = all(getattr(options, name) == parser.get_default(name) for name in ("tags", "only", "servers"))
    return options


def _installed(venv: Path | None) -> Path:
    """Return the folder with the console script of an installed wheel."""
    if venv:
        return venv.absolute() / "bin"
    place = ROOT / "build" / "bench"
    place.parent.mkdir(exist_ok=True)
    argv = [sys.executable, "-m", "scripts.bootstrap", "demo"]
    subprocess.run(argv, cwd=ROOT, env={**os.environ, "TRUSTREG_VENV": str(place)}, stdout=sys.stderr, check=True)
    return place / "bin"


_GROUPS = ["start", "read", "publish"]
_SERVERS = ["notary-server", "trustreg-serve"]

if __name__ == "__main__":
    main()

"""The benchmarks run: with little to do, and nobody looks at the times."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from bench import report, server
from bench.__main__ import main
from bench.cases import Outcome
from bench.stopwatch import Contestant, Series, Time, compete, once
from tests.peers import require
from tests.peers.command import give_up

SCRIPT = Path(sys.executable).with_name("trustreg")
COMMANDS = ("verify", "list")


@pytest.fixture
def venv() -> str:
    """The environment that the tests run in, where trustreg is installed in it as people install it."""
    if not SCRIPT.exists():
        give_up(f"there is no {SCRIPT}: scripts/test installs trustreg")
    return str(SCRIPT.parent.parent)


@pytest.mark.interop
@pytest.mark.parametrize("name", ["notary-server", "trustreg-serve"])
def test_the_commands_are_measured(name: str, venv: str, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Every comparison ends with a line, and what was printed while it was timed was right.
    """
    main(["--rounds", "1", "--tags", "2", "12", "--servers", name, "--venv", venv])

    started, *lines = capsys.readouterr().out.splitlines()
    reading = [
        (command, state, tags) for tags in (2, 12) for state in ("cold", "warm") for command in ("verify", "list")
    ]
    assert started.startswith("start start: python -c pass ")
    assert [tuple(line.split()[:3]) for line in lines[:-1]] == [(a, b, str(tags)) for a, b, tags in reading]
    assert lines[-1].startswith("publish one tag 12 ")
    assert all(" ms" in line for line in lines)


@pytest.mark.interop
def test_the_servers_are_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """
    Requests per second are counted for both servers.
    """
    require("wrk", "notary", "notary-server")
    options = ["--runs", "1", "--seconds", "1", "--connections", "2", "--tags", "2", "--json", str(tmp_path / "found")]
    monkeypatch.setattr(sys, "argv", ["server", *options])
    server.main()

    found = json.loads((tmp_path / "found").read_text())["requests_per_second"]
    assert all(rate > 0 for rates in found.values() for rate in rates.values())


def test_who_begins_changes(tmp_path: Path) -> None:
    """
    Each is prepared and run once per round, and once before that which does not count.
    """
    log = tmp_path / "log"

    def contestant(name: str) -> Contestant:
        argv = ["/bin/sh", "-c", f"echo {name} >> {log}; echo {name}"]
        return Contestant(name, argv, {}, check=lambda printed: printed == f"{name}\n")

    found = compete([contestant(name) for name in "abc"], rounds=2)

    assert log.read_text().split() == list("abcbcacab")
    assert {name: len(series.wall) for name, series in found.items()} == {"a": 2, "b": 2, "c": 2}


@pytest.mark.parametrize("script", ["exit 3", "echo something else"])
def test_a_run_that_goes_wrong_is_no_time(script: str) -> None:
    """
    Failing fast would win.
    """
    with pytest.raises(AssertionError, match="sh"):
        once(Contestant("sh", ["/bin/sh", "-c", script], {}, check=lambda printed: printed == "right\n"))


def test_the_ratio_is_that_of_each_round() -> None:
    """
    A round that was slow for both says as much as one that was not.
    """
    base, other = (Series([Time(wall, wall) for wall in walls]) for walls in ([10, 100, 10], [20, 200, 30]))

    assert other.ratio_to(base) == 2
    assert base.median == 10
    assert other.middle == (25, 115)


def test_tables_say_what_was_found() -> None:
    """
    Every comparison is in the page, under its heading.
    """
    times = Series([Time(1, 2), Time(3, 4)])
    outcome = Outcome("verify", "cold", "notary-server", 10_000, "a", {"a": times, "b": times})
    found = {
        "date": "2026-05-01",
        "rounds": 2,
        "machine": {"cpu": "c", "cores": 2, "memory": "m", "system": "s", "load": 0.5},
        "versions": {"python": "3", "notary": "0"},
        "outcomes": [report._spell(outcome)],
    }

    lines = report.tables(found).splitlines()
    assert "### Looking one tag up" in lines
    assert "| notary-server | 10 000 | cold | `b` | 2.0 | 1.5-2.5 | 3.0 | **1.00** |" in lines
    assert json.loads(json.dumps(found)) == found

"""What was found: a line while it is measured, JSON to keep, and the tables of ``docs/benchmarks.md``."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
from datetime import UTC, datetime
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from bench.cases import Outcome, Tools


def line(outcome: Outcome) -> str:
    """Return one comparison as a line."""
    head = " ".join(map(str, filter(None, (outcome.group, outcome.what, outcome.tags, outcome.server))))
    base = outcome.series[outcome.base]
    shown = (
        f"{name} {series.median:.1f} ms" + (f" ({series.ratio_to(base):.2f})" if series is not base else "")
        for name, series in outcome.series.items()
    )
    return f"{head}: {', '.join(shown)}"


def document(outcomes: Iterable[Outcome], rounds: int, tools: Tools) -> dict[str, Any]:
    """Return everything that was found, and where and how."""
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": machine(),
        "versions": _versions(tools),
        "rounds": rounds,
        "outcomes": [_spell(outcome) for outcome in outcomes],
    }


def write(root: Path, found: dict[str, Any]) -> Iterator[Path]:
    """Keep *found*, and put its tables into the page; yield the files."""
    kept = root / "bench" / "results" / f"{found['date']}-commands.json"
    kept.parent.mkdir(exist_ok=True)
    kept.write_text(json.dumps(found, indent=1) + "\n")
    yield kept
    yield put(root, BEGIN, tables(found))


def put(root: Path, begin: str, text: str) -> Path:
    """Put *text* into the page below *root*, between *begin* and the next end; return the page."""
    page = root / "docs" / "benchmarks.md"
    before, begin, rest = page.read_text().partition(begin)
    _, end, after = rest.partition(END)
    page.write_text(f"{before}{begin}\n\n{text}\n{end}{after}")
    return page


def tables(found: dict[str, Any]) -> str:
    """Return *found* as Markdown."""
    machine, versions = found["machine"], found["versions"]
    lines = [
        f"{found['date']}, {machine['cores']} cores ({machine['cpu']}), {machine['memory']}, {machine['system']}, "
        f"Python {versions['python']}; " + ", ".join(f"{k} {v}" for k, v in versions.items() if k != "python") + ". "
        f"{found['rounds']} rounds; load when it began: {machine['load']}.",
        "",
    ]
    for group, title in TITLES.items():
        outcomes = [outcome for outcome in found["outcomes"] if outcome["group"] == group]
        if outcomes:
            lines += [f"### {title}", "", *_table(outcomes), ""]
    return "\n".join(lines)


def _table(outcomes: Sequence[dict[str, Any]]) -> Iterator[str]:
    yield "| server | tags | | command | median ms | middle half | processor ms | of the peer |"
    yield "|---|--:|---|---|--:|--:|--:|--:|"
    for outcome in outcomes:
        for name, times in outcome["times"].items():
            tags = f"{outcome['tags']:,}".replace(",", " ") if outcome["tags"] else ""
            ratio = f"**{times['ratio']:.2f}**" if name != outcome["base"] else ""
            low, high = times["middle"]
            yield (
                f"| {outcome['server']} | {tags} | {outcome['what']} | `{name}` | {times['median']:.1f} | "
                f"{low:.1f}-{high:.1f} | {times['cpu']:.1f} | {ratio} |"
            )


def _spell(outcome: Outcome) -> dict[str, Any]:
    base = outcome.series[outcome.base]
    times = {
        name: {
            "median": round(series.median, 2),
            "middle": [round(edge, 2) for edge in series.middle],
            "cpu": round(series.median_cpu, 2),
            "ratio": round(series.ratio_to(base), 3),
            "wall": [round(time, 2) for time in series.wall],
        }
        for name, series in outcome.series.items()
    }
    return {
        "group": outcome.group,
        "what": outcome.what,
        "server": outcome.server,
        "tags": outcome.tags,
        "base": outcome.base,
        "times": times,
    }


def machine() -> dict[str, Any]:
    found = re.search(r"^model name\s*: (.+)$", _text("/proc/cpuinfo"), re.MULTILINE)
    memory = re.search(r"^MemTotal:\s*(\d+)", _text("/proc/meminfo"), re.MULTILINE)
    return {
        "cpu": found[1] if found else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "memory": f"{int(memory[1]) / 2**20:.0f} GiB" if memory else "",
        "system": platform.system(),
        "load": round(os.getloadavg()[0], 2),
    }


def keep(root: Path, name: str, found: dict[str, Any], versions: Mapping[str, str]) -> tuple[Path, str]:
    """Keep what the bench *name* found; return the file, and what the page says of day, machine and *versions*."""
    kept = root / "bench" / "results" / f"{found['date']}-{name}.json"
    kept.parent.mkdir(parents=True, exist_ok=True)
    here = machine()
    kept.write_text(json.dumps({**found, "machine": here, "versions": dict(versions)}, indent=1) + "\n")
    head = (
        f"{found['date']}, {here['cores']} cores ({here['cpu']}), {here['memory']}, {here['system']}, "
        f"Python {platform.python_version()}; {', '.join(f'{k} {v}' for k, v in versions.items())}."
    )
    return kept, head


def _versions(tools: Tools) -> dict[str, str]:
    """Return the versions of what was measured, as installed there."""
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    path = subprocess.run([tools.python, "-c", ask], capture_output=True, text=True, check=True).stdout.strip()
    installed = {found.name: found.version for found in distributions(path=[path])}
    debian = ["dpkg-query", "--show", "--showformat=${Version}", "notary"]  # Debian's notary does not know its version
    known = shutil.which(debian[0]) and subprocess.run(debian, capture_output=True, text=True, check=False).stdout
    return {
        "python": platform.python_version(),
        "notary": known or "of a version that is not known",
        **{name: installed[name] for name in ("trustreg", "requests", "cryptography", "orjson", "click")},
    }


def _text(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


TITLES = {
    "start": "Starting",
    "verify": "Looking one tag up",
    "list": "Listing all tags",
    "publish": "Publishing one more tag",
}
BEGIN, END = "<!-- what python -m bench found: begin -->", "<!-- end -->"

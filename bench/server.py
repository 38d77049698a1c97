"""Requests per second: ``trustreg serve`` beside Go's ``notary-server``, on one machine, in turns.

``wrk`` shares the cores with the server, as it does for both. Runs alternate, so that whatever else the machine does
happens to both; the median of their ratios counts. Usage::

    python -m bench.server [--runs 5] [--seconds 3] [--connections 16] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import tempfile
from pathlib import Path

from tests.peers import GoNotary, Peer, notary_server, require, trustreg_serve

GUN = "registry.example/bench/app"
PATHS = ("timestamp.json", "root.json", "snapshot.json", "targets.json")


def main() -> None:
    options = arguments()
    require("wrk", "notary", "notary-server")
    with tempfile.TemporaryDirectory() as folder, notary_server() as go, trustreg_serve() as ours:
        servers = {"notary-server": go, "trustreg serve": ours}
        for name, server in servers.items():
            publish(GoNotary(server, Path(folder) / name.replace(" ", "-")), options.tags)
        found = {path: measure(servers, path, options) for path in PATHS}
    report = {
        "machine": {"cores": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()},
        "wrk": {"threads": 1, "connections": options.connections, "seconds": options.seconds, "runs": options.runs},
        "requests_per_second": found,
    }
    show(found)
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare the read throughput of two trust servers.")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--tags", type=int, default=10)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def publish(go: GoNotary, tags: int) -> None:
    """Publish the same collection to each: server-managed snapshot, as Docker has it."""
    go.init(GUN, publish=True)
    go.key_rotate(GUN, "snapshot", server_managed=True)
    for number in range(tags):
        go.addhash(GUN, f"v{number}", 1357, sha256=f"{number:064x}")
    go.publish(GUN)


def measure(servers: dict[str, Peer], path: str, options: argparse.Namespace) -> dict[str, float]:
    rates: dict[str, list[float]] = {name: [] for name in servers}
    for number in range(options.runs + 1):
        for name, server in servers.items():
            rate = wrk(f"{server.url}/v2/{GUN}/_trust/tuf/{path}", options)
            rates[name] += [rate] if number else []  # the first warms up
    go, ours = rates.values()
    ratio = statistics.median(b / a for a, b in zip(go, ours, strict=True))
    return {**{name: statistics.median(each) for name, each in rates.items()}, "ratio": round(ratio, 2)}


def wrk(url: str, options: argparse.Namespace) -> float:
    argv = ["wrk", "-t1", f"-c{options.connections}", f"-d{options.seconds}s", url]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in said, said
    found = re.search(r"Requests/sec:\s+([\d.]+)", said)
    assert found, said
    return float(found[1])


def show(found: dict[str, dict[str, float]]) -> None:
    print(f"{'requests/s':<16}{'notary-server':>15}{'trustreg serve':>16}{'ratio':>8}")
    for path, rates in found.items():
        go, ours, ratio = rates.values()
        print(f"{path:<16}{go:>15,.0f}{ours:>16,.0f}{ratio:>8.2f}")


if __name__ == "__main__":
    main()

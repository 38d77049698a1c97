"""
Run a Python script many times, each in a process of its own, without the start of an interpreter for each.

Reads one JSON object a line: ``argv``, ``cwd``, ``output`` (a file) and ``seconds`` (how long it may take); writes the
exit code of each, negative for a signal. The script is run once before, with arguments that it refuses, so that every
module is there. It is the same program over the same command line; what is saved is its start.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import runpy
import signal
import sys
import tempfile
import traceback


def main(script: str) -> None:
    """Run *script* as often as asked."""
    warm_up(script)
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            begin(order)
            finish(run(script, order["argv"]))
        _, result = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(result), flush=True)


def warm_up(script: str) -> None:
    """Have it import what it needs, by a refresh from nowhere."""
    with tempfile.TemporaryDirectory() as empty, contextlib.redirect_stderr(io.StringIO()):
        run(script, ["--metadata-url", "http://127.0.0.1:9/", "--metadata-dir", empty, "refresh"])


def begin(order: dict[str, str]) -> None:
    """Become the process that was ordered."""
    signal.alarm(int(order["seconds"]))
    os.chdir(order["cwd"])
    output = os.open(order["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, goal in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, goal)


def run(script: str, arguments: list[str]) -> int:
    """Run it as the interpreter would, and give its exit code."""
    sys.argv = [script, *arguments]
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 # as the interpreter does
        traceback.print_exc()
        return 1
    return 0


def finish(code: int) -> None:
    """End without a word to what was inherited."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main(sys.argv[1])

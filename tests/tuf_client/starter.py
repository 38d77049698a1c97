"""
Run a Python script many times, each in a process of its own, without the start of an interpreter for each.

Reads one JSON object a line: ``argv``, ``cwd``, ``output`` (a file) and ``seconds`` (how long it may take); writes the
exit code of each, negative for a signal. Where an order has no ``output``, it is carried out in this process, so that
the modules it takes are there for those that follow. It is the same program over the same command line; what is saved
is its start.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import runpy
import signal
import sys
import traceback


def main(script: str) -> None:
    """Run *script* as often as asked."""
    for line in sys.stdin:
        order = json.loads(line)
        if not order["output"]:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                code = run(script, order["argv"])
            print(code, flush=True)
            continue
        child = os.fork()
        if child == 0:
            begin(order)
            finish(run(script, order["argv"]))
        _, result = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(result), flush=True)


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

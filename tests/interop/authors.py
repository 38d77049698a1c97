"""
What people do with a collection in a store, each in a process of its own: ``python -m tests.interop.authors WORD``.

The settings are those of the environment, ``TRUSTREG_STORE`` and the others.
"""

from __future__ import annotations

import itertools
import json
import os
import select
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import trustreg
from trustreg.cli.entry import exit_code
from trustreg.errors import TrustregError, UntrustedError
from trustreg.io.stores.place import Place
from trustreg.metadata import FileMeta
from trustreg.sign.changes import AddTarget
from trustreg.wire import Wiring

if TYPE_CHECKING:
    from collections.abc import Callable

    from trustreg.names import Gun


def publish() -> None:
    """
    Begin a process for each line that is read, print its id, and how it ended.

    It publishes what is staged. It is a copy of this one, which has imported what that takes, so that all of its life
    is the publication.
    """
    for module in ("obstore", "requests", "trustreg.publisher", "trustreg.io.keystore", "trustreg.io.stage"):
        __import__(module)
    for module in ("folder", "objects", "oci", "writers"):
        __import__(f"trustreg.io.stores.{module}")
    print("ready", flush=True)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            os._exit(_publish_once(line.strip()))
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _publish_once(what: str) -> int:
    try:
        publisher = trustreg.Publisher()
        publisher.init() if what == "init" else publisher.publish(_collection())
    except TrustregError as exc:
        print(exc.code, exc, file=sys.stderr, flush=True)
        return exit_code(exc)
    return 0


def read() -> None:
    """Read everything again and again, as one who remembers and as one who does not, until a line is read."""
    warm, reads, errors = trustreg.Verifier(), 0, []
    print("ready", flush=True)
    while not select.select([sys.stdin], [], [], 0.02)[0]:
        with tempfile.TemporaryDirectory() as home:
            for verifier in (warm, trustreg.Verifier(trust_dir=home)):
                try:
                    contents = verifier.contents(_collection())
                    odd = [entry.tag for entry in contents.entries if not entry.counts]
                    errors += (
                        [(time.time(), "untrusted", "part", f"{contents.failed} {odd}")]
                        if contents.failed or odd
                        else []
                    )
                except TrustregError as exc:
                    kind = "untrusted" if isinstance(exc, UntrustedError) else "unknown"
                    errors.append((time.time(), kind, exc.code, str(exc)))
                reads += 1
    print(json.dumps({"reads": reads, "errors": errors}))


def add(name: str, seconds: str) -> None:
    """Publish one tag after the other for some *seconds*; a publication that is refused is tried again."""
    author, gun = Wiring({}, os.environ, lambda: datetime.now(UTC)).publisher(), _collection()
    published, refused = [], []
    print("ready", flush=True)
    sys.stdin.readline()
    end = time.monotonic() + float(seconds)
    for number in itertools.count():
        target = f"{name}-{number}"
        change = AddTarget(role="targets", name=target, meta=FileMeta(length=1, hashes={"sha256": bytes(32)}))
        while time.monotonic() < end:
            try:
                author.publish(gun, datetime.now(UTC), (change,))
            except TrustregError as exc:
                refused.append((exc.code, exit_code(exc), str(exc)))
            else:
                published.append(target)
                break
        else:
            break
    print(json.dumps({"published": published, "refused": refused}))


def _collection() -> Gun:
    return Place.parse(os.environ["TRUSTREG_STORE"]).gun


if __name__ == "__main__":
    Path(os.environ["HOME"]).mkdir(exist_ok=True)
    tasks: dict[str, Callable[..., None]] = {"publish": publish, "read": read, "add": add}
    tasks[sys.argv[1]](*sys.argv[2:])

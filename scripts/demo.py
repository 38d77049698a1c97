"""
Show what trustreg does, on this machine, in some seconds: ``scripts/demo``.

Makes the environment, starts a registry and a trust server of its own, pushes an image, signs and
verifies it, then moves the tag to other bytes and shows that they are refused. All of it happens on
loopback and in a temporary home. Exits with 0 only if every command ended as it should.

The registry is Debian's ``docker-registry``, installed where that takes no more than being root;
otherwise one in memory, which comes with this checkout.

Only the standard library, and no syntax newer than Python 3.8: see ``scripts/bootstrap.py``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.bootstrap import ROOT, BootstrapError, apt_install, bootstrap

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import NoReturn


class DemoError(Exception):
    """Something did not go as it should; the text says what was expected."""


class Screen:
    """Prints what is going on: explanations, commands as one would type them, and what they say."""

    def __init__(self, *, colours: bool) -> None:
        """Use *colours*, or plain text."""
        self._colours, self._gap = colours, ""

    def title(self, text: str) -> None:
        """Begin a step."""
        self._print("1;36", f"\n{text}")
        self._gap = ""

    def explain(self, text: str) -> None:
        """Say in a sentence or two what comes."""
        self._print("", self._gap + textwrap.fill(text, 96))

    def command(self, words: str) -> None:
        """Show a command line."""
        self._print("1", f"\n$ {words}")

    def output(self, text: str) -> None:
        """Show what a command said."""
        if text:
            self._print("", text.rstrip("\n"))

    def code(self, number: int) -> None:
        """Show an exit code as a person would look it up."""
        self.command("echo $?")
        self._print("1;33", str(number))

    def end(self, text: str) -> None:
        """Say how it went, in the end."""
        self._print("1;32", f"\n{text}")

    def _print(self, colour: str, text: str) -> None:
        print(f"\x1b[{colour}m{text}\x1b[0m" if colour and self._colours else text, flush=True)
        self._gap = "\n"


class Shell:
    """
    Runs command lines in the checkout, as somebody whose home is a temporary folder, and shows them.

    Args:
        screen: Where to show them.
        home: The folder; it also has what they find on their path before anything else.
        python: What ``python3`` stands for, and ``trustreg`` is installed for.
    """

    def __init__(self, screen: Screen, home: Path, python: Path) -> None:
        self._screen, self._home = screen, home
        self._servers: list[subprocess.Popen[bytes]] = []
        programs = home / "bin"
        programs.mkdir()
        for name, words in {"python3": "", "trustreg": "-m trustreg"}.items():
            (programs / name).write_text(f'#!/bin/sh\nexec "{python}" {words} "$@"\n')
            (programs / name).chmod(0o755)
        # The settings, keys and credentials of whoever runs this stay out of it.
        self._env = {"HOME": str(home), "LANG": "C.UTF-8", "PATH": f"{programs}:{os.environ.get('PATH', os.defpath)}"}
        if "PYTHONPATH" in os.environ:
            self._env["PYTHONPATH"] = os.environ["PYTHONPATH"]

    def export(self, name: str, value: str) -> None:
        """Set a variable for all command lines to come."""
        self._screen.command(f"export {name}={value}")
        self._env[name] = value

    def run(self, words: str, *, code: int = 0, says: Sequence[str] = ()) -> str:
        """
        Run a command line to its end and give what it said.

        Raises:
            DemoError: It did not exit with *code*, or did not say all that it should.
        """
        self._screen.command(words)
        done = subprocess.run(
            ["sh", "-c", words],
            cwd=ROOT,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=60,
            check=False,
        )
        said = done.stdout.decode(errors="replace")
        self._screen.output(said)
        if code or done.returncode:
            self._screen.code(done.returncode)
        if done.returncode != code:
            raise DemoError(f"this should have ended with exit code {code}: {words}")
        for text in says:
            if text not in said:
                raise DemoError(f"this should have said {text!r}: {words}")
        return said

    def start(self, words: str, port: int, says: str = "") -> None:
        """
        Run a server in the background, and wait until it listens and has said so.

        Raises:
            DemoError: It does not.
        """
        self._screen.command(f"{words} &")
        log = self._home / "log"
        with log.open("wb") as to:
            server = subprocess.Popen(
                ["sh", "-c", f"exec {words}"], cwd=ROOT, env=self._env, stdin=subprocess.DEVNULL, stdout=to, stderr=to
            )
        self._servers.append(server)
        deadline = time.monotonic() + 30
        while not (_listens(port) and says in (said := log.read_text(errors="replace"))):
            if server.poll() is not None or time.monotonic() > deadline:
                raise DemoError(f"this does not listen on port {port}: {words}\n{log.read_text(errors='replace')}")
            time.sleep(0.05)
        if says:
            self._screen.output(said)

    def close(self) -> None:
        """End the servers."""
        for server in self._servers:
            server.terminate()
        for server in self._servers:
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(10)
            server.kill()  # of no effect where it has ended
            server.wait()


def demonstrate(python: Path, *, colours: bool = False, mini: bool = False) -> None:
    """
    Show it all.

    Args:
        python: An interpreter that trustreg is installed for.
        colours: Use them.
        mini: Take the registry of this checkout, whatever is installed.

    Raises:
        DemoError: Something did not go as it should.
    """
    screen = Screen(colours=colours)
    with tempfile.TemporaryDirectory(prefix="trustreg-demo-") as name:
        shell = Shell(screen, Path(name), python)
        try:
            _show(screen, shell, Path(name), mini=mini)
        finally:
            shell.close()


def _show(screen: Screen, shell: Shell, home: Path, *, mini: bool) -> None:
    registry, server = _free_ports(2)
    repository = f"localhost:{registry}/demo/app"
    push = f"python3 -m scripts.push_image http://localhost:{registry} demo/app"
    verify = "TRUSTREG_TRUST_DIR=~/reader trustreg verify"

    screen.title("1. A registry for images, and a trust server for what is signed")
    _start_registry(shell, home, registry, mini=mini)
    shell.start(f"trustreg serve --state ~/trust-server --listen 127.0.0.1:{server}", server, "listening on")

    screen.title("2. Push an image")
    screen.explain("So far its tag is the registry's word, and nobody's signature.")
    first = shell.run(f"{push} 1.0").strip()

    screen.title("3. Sign it")
    screen.explain(
        "The publisher begins a collection of trust data for the repository. This makes a root key and a key that signs"
        " tags, both kept here, encrypted. Two more, for snapshots and timestamps, stay on the trust server."
    )
    shell.export("TRUSTREG_SERVER", f"http://localhost:{server}")
    shell.export("TRUSTREG_PASSPHRASE", "'correct horse battery staple'")
    shell.run(f"trustreg init {repository}", says=["published root v1"])
    screen.explain("Then the publisher signs what the registry holds under the tag now.")
    shell.run(f"trustreg sign {repository}:1.0", says=[first])

    screen.title("4. Verify it")
    screen.explain(
        "Somebody else, who knows nothing yet, asks whether the tag is what was signed. The root is believed because it"
        " came first, and trustreg says so. Whoever knows its key beforehand pins it."
    )
    shell.run(f"{verify} {repository}:1.0", says=[f"{repository}@{first}", "--pin"])

    screen.title("5. Move the tag")
    screen.explain("Somebody who may push, or who runs the registry, puts other bytes under the same tag.")
    second = shell.run(f"{push} 1.0 --seed evil").strip()
    screen.explain("The registry serves them as 1.0. trustreg refuses: exit code 1.")
    shell.run(f"{verify} {repository}:1.0", code=1, says=[first, second])
    screen.explain("What was signed still verifies by its digest.")
    shell.run(f"{verify} {repository}@{first}", says=[f"{repository}@{first}"])

    screen.title("6. Push a tag that nobody signs")
    shell.run(f"{push} 2.0 --seed new")
    shell.run(f"{verify} {repository}:2.0", code=1, says=["is not signed"])

    screen.end("Everything went as it should.")


def _start_registry(shell: Shell, home: Path, port: int, *, mini: bool) -> None:
    if mini or shutil.which("docker-registry") is None:
        shell.start(f"python3 -m scripts.mini_registry --port {port}", port)
        return
    config = {
        "version": "0.1",
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(home / "images")}},
        "http": {"addr": f"127.0.0.1:{port}", "secret": "one replica only"},
    }
    (home / "registry.yml").write_text(json.dumps(config))  # JSON is YAML
    shell.start("docker-registry serve ~/registry.yml", port)


def _free_ports(count: int) -> list[int]:
    """Find ports that nobody listens on; all are held at once, so they differ."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@contextlib.contextmanager
def _leaving_in_order() -> Iterator[None]:
    """Clean up when told to end, too."""

    def leave(number: int, _frame: object) -> NoReturn:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def main(args: Sequence[str]) -> int:
    """Prepare this machine, then show it all."""
    parser = argparse.ArgumentParser(prog="scripts/demo", description="Sign, verify and refuse an image, for show.")
    parser.add_argument("--mini", action="store_true", help="use the registry of this checkout, install no other")
    options = parser.parse_args(args)
    colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    try:
        with _leaving_in_order():
            if not options.mini and shutil.which("docker-registry") is None and os.geteuid() == 0:
                apt_install(["docker-registry"])
            demonstrate(bootstrap("demo"), colours=colours, mini=options.mini)
    except (BootstrapError, DemoError) as error:
        print(f"scripts/demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("scripts/demo: interrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

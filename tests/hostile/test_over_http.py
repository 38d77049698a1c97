"""
The same over HTTP, to the command line: each attack once, and those that only a real server can make.

The exit code tells "no" from "don't know": what a trust server says and signs is judged, what is no answer of a trust
server is none.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.hostile.answers import ODD
from tests.hostile.attacks import Outcome, Row, rows
from tests.hostile.scene import FIRST, IMAGE, KNOWN, NOW, ROLES, SECOND, TODAY, Reader, believed, places, serving
from tests.io.rogue import Request, Rogue, reply
from trustreg import errors
from trustreg.cli.entry import run
from trustreg.io.auth import Auth
from trustreg.io.docker import DockerCredentials
from trustreg.io.http import Http, Timeouts
from trustreg.io.notary import NotaryServer
from trustreg.io.tls import Tls
from trustreg.names import ROOT, TARGETS, TIMESTAMP, Gun
from vectors.make.collection import GUN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime
    from pathlib import Path

    from vectors.make.collection import Published


class Clock:
    """Stands in for ``datetime`` where the command reads the time."""

    at = TODAY

    @classmethod
    def now(cls, _: object) -> datetime:
        return cls.at


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUSTREG_ROLES", f"{SECOND} {FIRST} {TARGETS}")
    monkeypatch.setattr("trustreg.cli.options.datetime", Clock)
    monkeypatch.setattr(Clock, "at", TODAY)


ABSENT = reply(404, b'{"errors":[{"code":"METADATA_NOT_FOUND","message":"no","detail":{}}]}')
PREFIX = f"/v2/{GUN}/_trust/tuf/"


def answering(
    files: Mapping[str, bytes | None], otherwise: Mapping[str, bytes | Iterable[bytes] | None] | None = None
) -> Rogue:
    """Return a trust server with *files* by path, and *otherwise* whole answers."""

    def answer(request: Request) -> bytes | Iterable[bytes] | None:
        path = request.target.removeprefix(PREFIX)
        if otherwise and path in otherwise:
            return otherwise[path]
        content = files.get(path)
        return ABSENT if content is None else reply(200, content)

    return Rogue(answer)


def verify(server: Rogue, trust_dir: Path, capture: pytest.CaptureFixture[str]) -> tuple[int, str, Outcome]:
    """Run ``trustreg verify``; give its exit code, the verdict, and the code of the error or what is believed."""
    capture.readouterr()
    where = ("--server", server.url, "--trust-dir", str(trust_dir), "--no-registry", "--format", "json")
    code = run(["verify", *where, str(IMAGE)])
    (verdict,) = json.loads(capture.readouterr().out)["verdicts"]
    if verdict["verdict"] == "trusted":
        return code, "trusted", (verdict["role"], verdict["digest"].removeprefix("sha256:"))
    return code, verdict["verdict"], verdict["error"]["code"]


def ends(outcome: Outcome) -> tuple[int, str, Outcome]:
    """Return what :func:`verify` gives for *outcome*."""
    if not isinstance(outcome, str):
        return 0, "trusted", outcome
    (kind,) = (kind for kind in vars(errors).values() if getattr(kind, "code", None) == outcome)
    return (1, "untrusted", outcome) if issubclass(kind, errors.UntrustedError) else (3, "unknown", outcome)


@pytest.mark.parametrize("row", [row for row in rows() if row.attack != "unending"], ids=str)
def test_an_attack_over_http(
    row: Row, knowing: Callable[[Path, Published], Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """
    The command ends as the table says, with the exit code for it.
    """
    cell = row.cells[-1]
    trust_dir = knowing(tmp_path / "trust", cell.known)
    Clock.at = cell.now

    with answering(cell.server.files) as server:
        assert ends(cell.warm) == verify(server, trust_dir, capfd)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("does", ODD)
def test_an_answer_that_is_none(
    does: str,
    role: str,
    knowing: Callable[[Path, Published], Path],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """
    With a cache and without one, the reason is named, nothing is kept, and the honest server is believed afterwards.
    """
    answer, code = ODD[does]
    instead = dict.fromkeys(places(NOW, role), answer(NOW.files[role]))
    trust_dirs = (knowing(tmp_path / "warm", KNOWN), tmp_path / "cold")
    before = [Reader(trust_dir).holdings() for trust_dir in trust_dirs]

    with answering(serving(NOW).files, instead) as server:
        said = [verify(server, trust_dir, capfd) for trust_dir in trust_dirs]

    # Any 404 may say that there is no next root: what is held back by that shows in the snapshot.
    warm = "content" if (role, does) == (ROOT, "has a page for what it does not have") else code
    assert [ends(warm), ends(code)] == said
    if role in {ROOT, TIMESTAMP, "snapshot", TARGETS}:
        assert before == [Reader(trust_dir).holdings() for trust_dir in trust_dirs]
    with answering(serving(NOW).files) as server:
        assert [ends(believed(SECOND, 3))] * 2 == [verify(server, trust_dir, capfd) for trust_dir in trust_dirs]


@pytest.mark.parametrize("role", ROLES)
def test_a_redirect_is_followed_and_what_it_leads_to_is_judged(
    role: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """
    Wherever the bytes come from, they are the right ones or not; a circle ends.
    """
    away = dict.fromkeys(places(NOW, role), reply(307, location=f"{PREFIX}elsewhere"))
    back = {"elsewhere": reply(307, location=f"{PREFIX}{places(NOW, role)[0]}")}
    for more, outcome in (
        ({"elsewhere": reply(200, NOW.files[role])}, believed(SECOND, 3)),
        ({"elsewhere": reply(200, KNOWN.files[role])}, "version" if role == ROOT else "content"),
        (back, "server"),
    ):
        with answering(serving(NOW).files, away | more) as server:
            assert ends(outcome) == verify(server, tmp_path / f"{outcome}", capfd)


@pytest.mark.parametrize("role", [ROOT, TIMESTAMP])
def test_a_drip_is_given_up(role: str, known: Path) -> None:
    """
    A server that sends a byte now and then is left at the deadline, and that is no verdict.
    """

    def drip() -> Iterable[bytes]:
        yield reply(200, content_length="400")
        while True:
            server.pause(0.05)
            yield b"x"

    before = Reader(known).holdings()
    with answering(serving(NOW).files, dict.fromkeys(places(NOW, role), drip())) as server:
        http = Http({}, Tls({}, str(known), system=()), timeouts=Timeouts(1, 1, 0.5))
        repository = NotaryServer(Auth(http), DockerCredentials({}, str(known)), server.url, Gun(GUN))
        with pytest.raises(errors.OfflineError):
            Reader(known).verify(repository)

    assert before == Reader(known).holdings()

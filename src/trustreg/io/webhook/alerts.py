"""Alerts to webhooks of chats and other services: sent behind the back of whoever waits for an answer.

A review hands its alert over and goes on. One thread sends, a few alerts a minute; what comes faster is counted and
told of with the next one, and what cannot be sent is dropped. URLs are secrets, and never shown.
"""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from trustreg.errors import FileError, SettingError, TrustregError
from trustreg.io.address import Url
from trustreg.io.files import read_bounded
from trustreg.io.http import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from trustreg.io.http import Http
    from trustreg.io.webhook.tally import Tally


class Receiver(NamedTuple):
    """Where alerts go, and how they are to be written: by the *template* ``slack`` or ``generic``."""

    template: str
    url: str

    def __repr__(self) -> str:
        return f"Receiver({self.template!r}, …)"


def receivers(path: Path) -> tuple[Receiver, ...]:
    """Read the file at *path*: a line for each receiver, ``slack https://…``; ``#`` begins a comment.

    Raises:
        FileError: It cannot be read.
        SettingError: A line is something else.
    """
    try:
        text = read_bounded(path, _LARGEST_FILE).decode()
    except UnicodeDecodeError as exc:
        raise FileError(str(path), "this is no text") from exc
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split() if line.lstrip().startswith("#") else line.split()
        if not words:
            continue
        try:
            template, url = words
            Url.parse(url)
        except ValueError:
            template = ""
        if template not in TEMPLATES:
            problem = f"a receiver is {' or '.join(TEMPLATES)}, a space, and a URL"
            raise SettingError(f"{path}:{number}", problem) from None
        found.append(Receiver(template, url))
    return tuple(found)


class Alerts:
    """Sends alerts to *to*, at most *a_minute* of them.

    Args:
        to: Who is told.
        http: Carries the requests.
        a_minute: How many may be sent of each event in a minute; as many at once after a quiet minute. Whoever has
            objects refused keeps no broken glass from being told of.
        tally: Counts.
        warn: Is told in a sentence what could not be sent.
        clock: Reads the seconds, monotonic.
    """

    def __init__(
        self,
        to: tuple[Receiver, ...],
        http: Http,
        a_minute: int,
        tally: Tally,
        warn: Callable[[str], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._to, self._http, self._tally, self._warn, self._clock = to, http, tally, warn, clock
        self._rate, self._most = a_minute / 60, float(a_minute)
        self._allowances: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()
        self._held_back = 0
        self._queue: queue.Queue[Mapping[str, Any] | None] = queue.Queue(_LONGEST_QUEUE)
        self._thread = threading.Thread(target=self._work, name="alerts", daemon=True)
        self._thread.start()

    def tell(self, alert: Mapping[str, Any]) -> None:
        """Have *alert* sent, or counted among those that there were too many of; return at once."""
        if not self._to:
            return
        with self._lock:
            now, event = self._clock(), alert["event"]
            allowance, at = self._allowances.get(event, (self._most, now))
            allowance = min(self._most, allowance + (now - at) * self._rate)
            room = _LONGEST_QUEUE if event == _URGENT else _LONGEST_QUEUE // 2
            if allowance < 1 or self._queue.qsize() >= room:
                self._allowances[event] = allowance, now
                self._held_back += 1
                self._tally.alerted("dropped")
                return
            self._allowances[event] = allowance - 1, now
            held_back, self._held_back = self._held_back, 0
        self._queue.put({**alert, "suppressed": held_back})

    def close(self, seconds: float) -> None:
        """Send what is left, for so long."""
        try:
            self._queue.put(None, timeout=seconds)
        except queue.Full:
            return
        self._thread.join(seconds)

    def _work(self) -> None:
        while (alert := self._queue.get()) is not None:
            for receiver in self._to:
                self._send(receiver, alert)

    def _send(self, receiver: Receiver, alert: Mapping[str, Any]) -> None:
        body = orjson.dumps(TEMPLATES[receiver.template](alert))
        host = Url.parse(receiver.url).host
        try:
            reply = self._http.post(receiver.url, body, "application/json", limit=_LARGEST_ANSWER)
            problem = "" if 200 <= reply.status < 300 else f"status {reply.status}"
        except TrustregError as exc:
            problem = exc.code  # the sentence may show the URL, which is a secret
        self._tally.alerted("failed" if problem else "sent")
        if problem:
            self._warn(f"an alert could not be sent to {host}: {problem}")


def _generic(alert: Mapping[str, Any]) -> Mapping[str, Any]:
    return alert


def _slack(alert: Mapping[str, Any]) -> Mapping[str, Any]:
    lines = [
        f"*trustreg: {alert['event']}* ({alert['environment']})"
        if alert["environment"]
        else f"*trustreg: {alert['event']}*"
    ]
    what = f"{alert['kind']} {alert['namespace']}/{alert['name']}"
    lines.append(f"{alert['operation']} of {what} by {alert['user']}".strip())
    if alert["reason"]:
        lines.append(f"Reason given: {alert['reason']}")
    lines += [f"• {one['image']}: {one['verdict']} ({', '.join(one['reasons'])})" for one in alert["images"]]
    if alert["suppressed"]:
        lines.append(f"{alert['suppressed']} more alerts were held back before this one")
    return {"text": "\n".join(_shown(line) for line in lines)}


def _shown(text: str) -> str:
    """Return *text* on one line, in which nothing is a link or mentions anybody."""
    shown = plain(text, 300).replace("&", "&amp;")
    return shown.replace("<", "&lt;").replace(">", "&gt;")


TEMPLATES: Mapping[str, Callable[[Mapping[str, Any]], Mapping[str, Any]]] = {"slack": _slack, "generic": _generic}
_LONGEST_QUEUE = 100  # half of it for what is urgent
_URGENT = "break-glass"
_LARGEST_FILE = 65_536  # bytes
_LARGEST_ANSWER = 65_536  # bytes

"""HTTP as uvicorn speaks it, for strangers: what comes before a body has bounds, in bytes and in time.

httptools itself keeps whatever comes, until memory ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio


class Bounded(HttpToolsProtocol):
    """Closes a connection whose head, or trailer, is too long, or does not come in."""

    _timer: asyncio.TimerHandle | None = None
    _kept = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Wait for the first request; who connects in advance may take a while."""
        super().connection_made(transport)
        self._wait(self.timeout_keep_alive)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._arrived()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what was sent, unless it is more than is kept of anything but a body."""
        if self._timer is None and (self.cycle is None or self.cycle.response_complete):
            self._wait(SECONDS)
        self._kept += len(data)
        super().data_received(data)
        if self._kept > BYTES:
            self.transport.abort()

    def on_message_begin(self) -> None:
        """Wait for the end of the head."""
        self._wait(SECONDS)
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Note the end of the head."""
        self._arrived()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Leave the bounds of the body to the application."""
        self._kept = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note the end of the request."""
        self._arrived()
        super().on_message_complete()

    def _wait(self, seconds: float) -> None:
        self._stop()
        self._timer = self.loop.call_later(seconds, self.transport.abort)

    def _arrived(self) -> None:
        self._stop()
        self._kept = 0

    def _stop(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None


BYTES = 65_536  # of a head, which has less than one thousand if it is that of an API server
SECONDS = 10.0  # from its first byte on

"""How long a head may take, and what may take longer."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from trustreg.io.webhook import heads

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
BODY = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n"


async def slow(_scope: Any, _receive: Any, send: Any) -> None:
    """Answer after a while."""
    await asyncio.sleep(0.4)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.mark.parametrize(
    ("pieces", "answers"),
    [
        ((b"GET / HTTP/1.1\r\n", *[b"A: b\r\n"] * 4, b"\r\n"), 0),
        ((REQUEST, *[b""] * 7, REQUEST), 2),
        ((REQUEST, *[b""] * 4, *[b"\r\n"] * 4, REQUEST), 1),
        ((BODY, b"a", b"b", b"c", b"d"), 1),
    ],
)
def test_time_for_a_head(monkeypatch: pytest.MonkeyPatch, pieces: tuple[bytes, ...], answers: int) -> None:
    """A head that drips in is cut off; an answer, a body and a pause between two requests may take longer."""
    monkeypatch.setattr(heads, "SECONDS", 0.25)

    async def speak() -> bytes:
        config, state = uvicorn.Config(slow, ws="none", lifespan="off", log_config=None), ServerState()
        server = await asyncio.get_running_loop().create_server(
            lambda: heads.Bounded(config, state, {}), "127.0.0.1", 0
        )
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        found = bytearray()

        async def read() -> None:
            with suppress(OSError):
                while piece := await reader.read(4096):
                    found.extend(piece)

        reading = asyncio.create_task(read())
        with suppress(OSError):
            for piece in pieces:
                writer.write(piece)
                await asyncio.sleep(0.1)
            await asyncio.sleep(0.5)
            writer.write_eof()
        await reading
        writer.close()
        server.close()
        return bytes(found)

    assert asyncio.run(speak()).count(b"ok") == answers

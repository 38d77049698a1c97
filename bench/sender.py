"""
Send reviews over TLS, by connections that are kept, and time them: a process of its own that starts soon.

    python -m bench.sender < ORDER

With a rate, each is timed from when it was due, so that one that is slow does not hide those that wait behind it.
Without one, each is sent as soon as the one before it on its connection is answered.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import ssl
import sys
import time
from typing import Any


async def send(order: dict[str, Any]) -> dict[str, Any]:
    """Send requests as *order* says; return how long each took, in ms, how late it was sent, and what was refused."""
    context = ssl.create_default_context(cafile=order["ca"])
    requests = [request.encode() for request in order["requests"]]
    lines = [
        await asyncio.open_connection("127.0.0.1", port, ssl=context)
        for _, port in zip(range(order["connections"]), itertools.cycle(order["ports"]), strict=False)
    ]
    numbers, took, late, refused = iter(range(order["count"])), list[float](), list[float](), list[str]()
    begun, pause = time.perf_counter() + 0.05, 1 / order["rate"] if order["rate"] else 0.0

    async def use(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number in numbers:
            due = begun + number * pause if pause else time.perf_counter()
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            late.append((time.perf_counter() - due) * 1000)
            writer.write(requests[number % len(requests)])
            head = await reader.readuntil(b"\r\n\r\n")
            body = await reader.readexactly(int(head.lower().partition(b"content-length:")[2].split(None, 1)[0]))
            took.append((time.perf_counter() - due) * 1000)
            if b" 200 " not in head[:16] or (b'"allowed":true' not in body and body != b"ok\n"):
                refused.append((head + body).decode(errors="replace"))

    await asyncio.gather(*itertools.starmap(use, lines))
    seconds = time.perf_counter() - begun
    for _, writer in lines:
        writer.close()
    return {"seconds": seconds, "took": sorted(took), "late": sorted(late), "refused": refused}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(send(json.load(sys.stdin)))))

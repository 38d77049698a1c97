"""
The two servers beside each other: to each request the same answer, but where ours is better on purpose.

``RECORD=1`` writes down what notary-server says today.
"""

from __future__ import annotations

import http.client
import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.peers import GoNotary, Peer, trustreg_serve
from tests.peers.trust import notary_server
from tests.server.shapes import OURS, RECORDED, SHAPES, Shape, recorded, told

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module", params=[notary_server, trustreg_serve])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    """Each server with the collection in it."""
    with request.param() as peer:
        GoNotary(peer, tmp_path_factory.mktemp("go") / "trust").init("registry.example/team/app", publish=True)
        yield peer


def ask(server: Peer, shape: Shape) -> dict[str, Any]:
    """Send a request as it stands, and return what is constant of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request(shape.method, shape.path, shape.body, shape.headers)
        answer = connection.getresponse()
        return told(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
    except (http.client.RemoteDisconnected, ConnectionError):
        return {"status": 0}
    finally:
        connection.close()


def test_shapes(server: Peer) -> None:
    """
    Status, headers and bodies are those of notary-server.
    """
    answers = {name: ask(server, shape) for name, shape in SHAPES.items()}
    if os.environ.get("RECORD") and server.name == "notary-server":
        RECORDED.write_text(json.dumps(answers, indent=1, ensure_ascii=False) + "\n")
    due = recorded()
    if server.name != "notary-server":
        due |= {name: due[like] if like else answers[name] for name, like in OURS.items()}

    assert due == answers


def test_methods_nobody_knows(server: Peer) -> None:
    """
    A method that HTTP does not have is answered like one that nothing here has.
    """
    assert ask(server, Shape("BREW", "/v2/"))["status"] == 405

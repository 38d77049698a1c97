"""A lookaside of each kind, on a real server where it takes one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.peers.nginx import nginx
from trustreg.io.address import Url
from trustreg.io.auth import Access, Auth
from trustreg.io.http import Http, Timeouts
from trustreg.io.signatures.lookaside import Lookaside
from trustreg.io.signatures.numbered import BucketFiles, FolderFiles, WebFiles
from trustreg.io.stores.objects import ObjectStore
from trustreg.io.tls import Tls

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.peers import Peer
    from trustreg.io.signatures.numbered import Files

DAV = "location / { dav_methods PUT DELETE; create_full_put_path on; client_max_body_size 1m; }"


def web(url: str, *, ends_at_403: bool = False) -> WebFiles:
    """Speak to the web server at *url*, to which nobody has to log in."""
    auth = Auth(Http({}, Tls({}, "/nowhere", system=()), timeouts=Timeouts(5, 1, 5)))
    return WebFiles(auth, Url.parse(url), Access("", tuple, "nobody can"), ends_at_403=ends_at_403)


@pytest.fixture(scope="session")
def dav(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    """Run a web server that takes files."""
    folder = tmp_path_factory.mktemp("dav")
    folder.chmod(0o777)
    folder.parent.chmod(0o711)
    folder.parent.parent.chmod(0o711)
    with nginx(folder, inside=DAV) as peer:
        yield peer


@pytest.fixture(params=["folder", "web", "bucket"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Files:
    """Open a place that is empty."""
    if request.param == "folder":
        return FolderFiles(tmp_path / "signatures")
    if request.param == "web":
        return web(f"{request.getfixturevalue('dav').url}/{tmp_path.name}")
    return BucketFiles(ObjectStore(f"{request.getfixturevalue('bucket')}/some/where", os.environ, key=str))


@pytest.fixture
def lookaside(files: Files) -> Lookaside:
    return Lookaside(files)

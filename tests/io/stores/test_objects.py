"""A bucket keeps a collection, and what is wrong with a bucket is said in our own words."""

from __future__ import annotations

import os
import subprocess
import sys
from io import BytesIO
from typing import TYPE_CHECKING

import pytest

from tests.io.rogue import Rogue, reply
from trustreg.errors import FileError, OfflineError, ServerError, SettingError, TakenError, UnauthorizedError
from trustreg.io.stores.objects import ObjectStore
from trustreg.ports import Write
from trustreg.verify.requests import Want

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.io.rogue import Request

TARGETS = Want("targets", "1.targets.json", 1000)


def rogue(answer: Callable[[Request], bytes], want: Want = TARGETS, timeout: float = 5) -> bytes | None:
    with Rogue(answer) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", server.url)
        return ObjectStore("s3://bucket/x", os.environ, timeout=timeout).fetch(want)


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "tests")


def test_a_long_file_goes_up_and_comes_down_in_parts(bucket: str) -> None:
    """Neither all in memory, nor there before it is whole."""
    store, content = ObjectStore(bucket, os.environ), os.urandom(11 << 20)
    store.upload("a/d.file", BytesIO(content), len(content))
    with store.open("a/d.file", 1000) as stream:
        assert stream
        pieces = list(stream)

    assert b"".join(pieces) == content[1000:]
    assert len(pieces) == 3
    with pytest.raises(FileError, match="ends after"):
        store.upload("a/e.file", BytesIO(content), len(content) + 1)
    with store.open("a/e.file") as stream:
        assert stream is None


def test_somebody_may_come_in_between(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between reading and putting: the service says so, and nothing of theirs is lost."""
    mine, theirs = ObjectStore(bucket, os.environ), ObjectStore(bucket, os.environ)
    theirs.write([Write(path="timestamp.json", data=b"1")])
    put = mine._put

    def late(key: str, data: bytes, mode: object) -> bool:
        theirs.write([Write(path="timestamp.json", data=b"theirs", was=b"1")])
        return put(key, data, mode)  # type: ignore[arg-type]

    monkeypatch.setattr(mine, "_put", late)
    with pytest.raises(TakenError):
        mine.write([Write(path="timestamp.json", data=b"mine", was=b"1")])
    assert theirs.fetch(Want("timestamp", "timestamp.json", 100)) == b"theirs"


def test_no_bucket_is_no_answer(bucket: str) -> None:
    """Not "no such file", whatever is done."""
    store = ObjectStore(f"{bucket}-none", os.environ)
    with pytest.raises(ServerError, match="NoSuchBucket"):
        store.fetch(TARGETS)
    with pytest.raises(ServerError, match="NoSuchBucket"):
        store.write([Write(path="1.root.json", data=b"x")])
    with pytest.raises(ServerError, match="NoSuchBucket"):
        list(store.names())


def test_forbidden_is_an_answer_for_the_next_root_only() -> None:
    """And only if it may mean that there is none; wrong credentials do not."""

    def denied(code: str) -> Callable[[Request], bytes]:
        return lambda _: reply(403, f"<Error><Code>{code}</Code></Error>".encode())

    root = Want("root", "2.root.json", 100)
    assert rogue(denied("AccessDenied"), root) is None
    for code, want in (("AccessDenied", TARGETS), ("InvalidAccessKeyId", root)):
        with pytest.raises(UnauthorizedError, match=code):
            rogue(denied(code), want)


@pytest.mark.parametrize("answer", [reply(500), reply(400, b"<html>")])
def test_trouble_is_trouble(answer: bytes) -> None:
    """With its status."""
    with pytest.raises(ServerError) as caught:
        rogue(lambda _: answer)
    assert caught.value.status in {400, 500}


def test_nobody_there_is_offline() -> None:
    """Nor is it waited for long."""
    with Rogue(lambda _: None) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", server.url)
        store = ObjectStore("s3://bucket", os.environ, timeout=2)
        with pytest.raises(OfflineError):
            store.fetch(TARGETS)
    with pytest.raises(OfflineError, match="cannot be reached"):
        store.fetch(TARGETS)


def test_more_than_may_be_read_is_not_waited_for() -> None:
    """A file without end costs its limit."""

    def answer(_: Request) -> bytes:
        return reply(200, b"x" * 100_000, content_length=str(1 << 40), last_modified="Tue, 24 Nov 2026 10:00:00 GMT")

    with pytest.raises(Exception, match="exceeds the limit of 1000 bytes"):
        rogue(answer)


@pytest.mark.parametrize("endpoint", ["http://storage.example", "nonsense", "ftp://storage.example"])
def test_an_endpoint_has_to_prove_who_it_is(endpoint: str) -> None:
    """As every other server."""
    with pytest.raises(SettingError, match="AWS_ENDPOINT_URL"):
        ObjectStore("s3://bucket", {"AWS_ENDPOINT_URL": endpoint, "AWS_ALLOW_HTTP": "true"})


@pytest.mark.parametrize("url", ["s3://bucket/a", "gs://bucket/a", "az://container/a"])
def test_without_its_package_it_says_which(url: str) -> None:
    """The extra that brings it."""
    script = f"""
import sys
sys.modules["obstore"] = None
from trustreg.errors import SettingError
from trustreg.io.stores.objects import ObjectStore
try:
    ObjectStore({url!r}, {{}})
except SettingError as exc:
    print(exc)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert "trustreg[stores]" in done.stdout
    assert url in done.stdout


def test_other_clouds_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their accounts come from the environment too, and what is missing there is a setting."""
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "a2V5")
    assert ObjectStore("az://container/a", os.environ).where == "az://container/a"
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME")
    with pytest.raises(SettingError):
        ObjectStore("az://container/a", os.environ)
    assert ObjectStore("gs://bucket/a", os.environ).where == "gs://bucket/a"

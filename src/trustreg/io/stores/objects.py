"""A bucket: S3 and what speaks like it, Google Cloud Storage, Azure Blob Storage.

``obstore`` does the speaking (the extra ``stores``), with the credentials, endpoint and region that the environment
names, as its own documentation and that of the clouds have it: ``AWS_ACCESS_KEY_ID``, ``AWS_ENDPOINT_URL``,
``AWS_REGION``, ``GOOGLE_APPLICATION_CREDENTIALS``, ``AZURE_STORAGE_ACCOUNT_NAME`` and so on, or those of the machine.

A file is put on condition that none is there (``If-None-Match: *``), or that it is still the one that was read
(``If-Match``); the service checks and puts in one step, so no publication of anybody is lost. A service that ignores
these conditions will not do.

A bucket says 403 for what is not there to those who may not list it. For the next root, which most often is not there,
that is taken for an answer; for any other file it is none.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from trustreg.errors import (
    OfflineError,
    ServerError,
    SettingError,
    TakenError,
    TooLargeError,
    UnauthorizedError,
)
from trustreg.io.address import Url
from trustreg.io.http import plain
from trustreg.io.stores.paths import METADATA, metadata_key, metadata_path, target_key
from trustreg.io.stores.streams import Pieces, measured
from trustreg.names import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import BinaryIO

    from obstore.store import ObjectStore as Bucket

    from trustreg.ports import Write
    from trustreg.verify.requests import Want

    T = TypeVar("T")


class ObjectStore:
    """The collection at *url*, ``s3://bucket/prefix``; a :class:`trustreg.ports.Store` and its target files.

    Args:
        url: Begins with ``s3:``, ``gs:`` or ``az:``.
        env: The environment. ``obstore`` looks there for itself too.
        timeout: Seconds for one request, which carries 5 MiB at most.
        key: Says where a metadata file is below *url*, by its path.

    Raises:
        SettingError: ``obstore`` is not installed, or it cannot be asked for this.
    """

    def __init__(
        self, url: str, env: Mapping[str, str], *, timeout: float = 120.0, key: Callable[[str], str] = metadata_key
    ) -> None:
        self._url, self._endpoint, self._key = url, _endpoint(url, env), key
        self._bucket = _opened(url, self._endpoint, timeout)

    @property
    def where(self) -> str:
        """Its URL."""
        return self._url

    def fetch(self, want: Want) -> bytes | None:
        """Return the file, or ``None`` where there is none.

        Raises:
            TooLargeError: The file is longer than ``want.limit``.
            UnavailableError: No answer could be had; :class:`OfflineError` if nobody answered at all.
        """
        try:
            found = self._get(self._key(want.path), want.limit)
        except _AbsentOrForbiddenError:
            if want.role != ROOT:
                raise
            return None
        if found and len(found.data) > want.limit:
            raise TooLargeError(f"{self._url}/{want.path}", want.limit)
        return found and found.data

    def write(self, writes: Sequence[Write]) -> None:
        """Carry out *writes* in their order, each only if its condition holds.

        Raises:
            TakenError: Something else is there than a write expects; those before it are done.
            UnavailableError: It is not known how far it got.
        """
        for write, key in zip(writes, [self._key(write.path) for write in writes], strict=True):
            if write.was is None:
                done = self._put(key, write.data, "create")
            else:
                there = self._get(key, len(write.was))
                done = there is not None and there.data == write.was and self._put(key, write.data, there.version)
            if not done and not self._is(key, write.data):
                raise TakenError(self._url, write.path)

    def names(self) -> Iterator[str]:
        """Yield the paths of all metadata files."""
        with self._translated(METADATA):
            keys = [found["path"] for found in chain.from_iterable(self._obstore.list(self._bucket, METADATA))]
        yield from filter(None, map(metadata_path, keys))

    def remove(self, paths: Iterable[str]) -> None:
        """Remove metadata files; fine where they are gone."""
        for key in [self._key(path) for path in paths]:
            self._unless_absent(key, partial(self._obstore.delete, self._bucket, key))

    def upload(self, path: str, source: BinaryIO, length: int) -> None:
        """Store *length* bytes of *source* as the target file *path*.

        Raises:
            UnavailableError: It could not be done, or *source* is not what was promised; what was at *path* still is.
        """
        key = target_key(path)
        pieces = measured(source, length, path, f"{self._url}/{key}")
        with self._translated(key):
            if length <= _PIECE:
                self._obstore.put(self._bucket, key, b"".join(pieces))
            else:
                self._obstore.put(self._bucket, key, pieces, use_multipart=True, chunk_size=_PIECE, max_concurrency=2)

    @contextmanager
    def open(self, path: str, start: int = 0) -> Iterator[Pieces | None]:
        """Open the target file *path*, from byte *start* on; ``None`` where there is no such file.

        Each piece of it is a request of its own.

        Raises:
            UnavailableError: No answer could be had.
        """
        key = target_key(path)
        size = self._unless_absent(key, lambda: int(self._obstore.head(self._bucket, key)["size"]))
        if size is None:
            yield None
        else:
            start = start if start <= size else 0
            yield Pieces(start, self._pieces(key, start, size))

    def _pieces(self, key: str, start: int, size: int) -> Iterator[bytes]:
        for begin in range(start, size, _PIECE):
            end = min(begin + _PIECE, size)
            with self._translated(key):
                piece = bytes(self._obstore.get_range(self._bucket, key, start=begin, end=end))
            if len(piece) != end - begin:
                raise ServerError(f"{self._url}/{key}", 206, "it sends another part of the file than it was asked for")
            yield piece

    def _get(self, key: str, limit: int) -> _Object | None:
        """Return what is at *key*, one byte more than *limit* at most."""

        def get() -> _Object:
            found = self._obstore.get(self._bucket, key)
            version = {name: said for name in ("e_tag", "version") if (said := found.meta[name]) is not None}
            content = bytearray()
            for piece in found.stream(min_chunk_size=min(limit + 1, _PIECE)):
                content += piece
                if len(content) > limit:
                    break
            return _Object(bytes(content[: limit + 1]), version)

        return self._unless_absent(key, get)

    def _unless_absent(self, key: str, ask: Callable[[], T]) -> T | None:
        """Return what *ask* does; ``None`` where there is a bucket and no such file in it."""
        with self._translated(key):
            try:
                return ask()
            except FileNotFoundError as exc:
                if _NO_BUCKET.search(str(exc)):
                    raise
        return None

    def _put(self, key: str, data: bytes, mode: str | Mapping[str, str]) -> bool:
        """Put *data* at *key*, and say whether the condition held."""
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        with self._translated(key):
            try:
                self._obstore.put(self._bucket, key, data, mode=mode)
            except (AlreadyExistsError, PreconditionError):
                return False
            except FileNotFoundError:
                if mode == "create":
                    raise
                return False  # what was to be replaced is gone
        return True

    def _is(self, key: str, data: bytes) -> bool:
        there = self._get(key, len(data))
        return there is not None and there.data == data

    @property
    def _obstore(self) -> Any:
        import obstore

        return obstore

    @contextmanager
    def _translated(self, key: str) -> Iterator[None]:
        """Say in our own words what goes wrong inside."""
        from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError

        where = f"{self._url}/{key}"
        try:
            yield
        except (FileNotFoundError, BaseError) as exc:
            said = str(exc)
            status = int(found[1]) if (found := _STATUS.search(said)) else 0
            problem = found[1] if (found := _CODE.search(said)) else plain(said.partition("\n")[0])
            match exc:
                case PermissionDeniedError() | UnauthenticatedError():
                    kind = _AbsentOrForbiddenError if problem == "AccessDenied" else UnauthorizedError
                    raise kind(where, status or 403, problem, "check the credentials in the environment") from exc
                case FileNotFoundError():
                    raise ServerError(where, 404, f"there is no such bucket ({problem})") from exc
                case _ if status or "HTTP error" not in said:
                    raise ServerError(where, status, problem) from exc
            raise OfflineError(self._endpoint or where, _REASON.sub("", said.partition("\n")[0])) from exc


class _Object(NamedTuple):
    data: bytes
    version: Mapping[str, str]


class _AbsentOrForbiddenError(UnauthorizedError):
    """A bucket does not say which of the two."""


def _endpoint(url: str, env: Mapping[str, str]) -> str:
    """Return the address that *env* names for the service, or nothing; plain http is for this machine only."""
    for name in _ENDPOINTS.get(url.partition(":")[0], ()):
        if said := env.get(name):
            try:
                at = Url.parse(said)
            except ValueError as exc:
                raise SettingError(name, str(exc)) from exc
            if at.scheme == "http" and not at.loopback:
                raise SettingError(name, "plain http is for this machine only: nothing proves who answers; use https")
            return said
    return ""


def _opened(url: str, endpoint: str, timeout: float) -> Bucket:
    try:
        from obstore.exceptions import BaseError
        from obstore.store import from_url
    except ImportError as exc:
        raise SettingError(url, "this needs a package that is not here: pip install 'trustreg[stores]'") from exc
    try:
        return from_url(
            url,
            config={"endpoint": endpoint} if endpoint else None,
            client_options={
                "allow_http": endpoint.startswith("http:"),
                "timeout": timedelta(seconds=timeout),
                "connect_timeout": timedelta(seconds=min(10.0, timeout)),
            },
            retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=timeout)},
        )
    except (BaseError, ValueError) as exc:
        raise SettingError(url, plain(str(exc).partition("\n")[0])) from exc


_PIECE = 5 << 20  # bytes; the least that S3 takes as a part of an upload
_ENDPOINTS = {
    "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
    "az": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
}
_STATUS = re.compile(r"status code: ([0-9]{3})")
_CODE = re.compile(r"<Code>([A-Za-z0-9]{1,60})</Code>")
_NO_BUCKET = re.compile("NoSuchBucket|ContainerNotFound|bucket does not exist")
_REASON = re.compile(r"^Generic [A-Za-z0-9]+ error: ")

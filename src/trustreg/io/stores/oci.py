"""The registry that holds the images keeps the collection too, in the same repository, as an artifact.

One tag, ``trustreg``, points at an image manifest with a layer for each file, titled with its path; target files are
titled ``targets/…``. The manifest is read once for each object here, so that a reader sees one state of everything.
Whoever publishes pushes the new files, which nobody sees, and then one new manifest under the tag: all or nothing.

**Two publishers.** A registry has no "replace if it is still this one", so publishers keep out of each other's way
before they replace the tag:

1. Each announces itself by a tag of its own, ``trustreg-writer-…``, whose manifest says since when it is writing.
2. Then it lists the tags and reads the announcements of all others. If one is writing, it does not go on: it takes its
   own announcement back and tries again later, or, if its own tag is the first of them, waits for the others to go.
3. Only who saw nobody else reads the current manifest, compares, and replaces it. At the end it says that it is idle.

Suppose two went on at once. Each announced itself before it looked around. Take the one that announced itself last:
when it looked, the announcement of the other was there, and was to stay until the other had replaced the tag and read
it back. So it saw it, and did not go on: a contradiction. That holds where a registry shows what was put as soon as it
has said so, as its own storage does; what several registries copy to each other later does not.

A publisher that died would keep all others out, so an announcement counts for ten minutes, by the registry's clock. A
living one gives up if its own is older than five minutes when it is about to replace the tag, which has a timeout of
its own. If no answer came to that, the announcement stays: the registry may be at it still. What remains is a machine
that is suspended for minutes between the look at the clock and the request. It could bring back the state before;
readers would see a rollback and refuse it, and the next publisher sees it too.

Nobody waits for a publisher who died and published from the same trust directory: its name is taken there by whoever
goes on, so nobody can be it any more, and its announcement is taken back.

Nothing has to be deleted for this, and registries where nobody may delete will do. An announcement is some hundred
bytes, and is used again by a publisher that keeps its ``writer``.

Sources: OCI image-spec 1.1, "Guidelines for Artifact Usage"; OCI distribution-spec 1.1, "Push".
"""

from __future__ import annotations

import hashlib
import random
import time
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from trustreg.errors import (
    ConflictError,
    FormatError,
    NameFormError,
    NotInRegistryError,
    OfflineError,
    ServerError,
    TakenError,
    TooLargeError,
    UnavailableError,
)
from trustreg.io.http import refusal
from trustreg.io.pushing import Blob, Pusher, blob_of, pull
from trustreg.io.registry import LARGEST
from trustreg.io.stores.paths import TARGETS, metadata_key, target_key
from trustreg.io.stores.streams import PIECE, Pieces, measured, ranged
from trustreg.names import Digest, Reference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import BinaryIO

    from trustreg.io.address import Url
    from trustreg.io.auth import Access, Auth
    from trustreg.io.http import Reply
    from trustreg.io.registry import HttpRegistry
    from trustreg.io.stores.writers import Writers
    from trustreg.ports import Write
    from trustreg.verify.requests import Want

    T = TypeVar("T")


class OciStore:
    """The collection in the repository of *reference*; a :class:`trustreg.ports.Store` and its target files.

    What was read once stays as it was for the life of the object, but for what is written through it.

    Args:
        registry: Knows where the repository really is, and how to get in.
        reference: Names the repository; its tag and digest do not matter.
        tag: Where the collection is.
        writer: 16 hex digits that are this publisher's, so that it uses its announcement again; made up if ``None``.
            No two may have the same at the same time.
        writers: Where it gets its name when it publishes for the first time, instead.
        patience: Seconds to wait for other publishers.
        clock: Reads the seconds, monotonic.
        sleep: Waits; tests need not.
    """

    def __init__(
        self,
        registry: HttpRegistry,
        reference: Reference,
        *,
        tag: str = "trustreg",
        writer: str | None = None,
        writers: Writers | None = None,
        patience: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._registry, self._reference, self._tag = registry, reference, tag
        self._writer, self._writers = writer, writers
        self._patience, self._clock, self._sleep = patience, clock, sleep
        self._pusher = Pusher(registry, reference)
        self._seen: _Collection | None = None

    @property
    def where(self) -> str:
        """The tag in its repository."""
        return f"{self._reference.repository}:{self._tag}"

    def fetch(self, want: Want) -> bytes | None:
        """Return the file, or ``None`` where the collection has none such.

        Raises:
            TooLargeError: The file is longer than ``want.limit``.
            ContentError: The registry serves other bytes than its manifest lists.
            UnavailableError: No answer could be had.
        """
        metadata_key(want.path)
        blob = self._collection.files.get(want.path)
        if blob is None:
            return None
        if blob.size > want.limit:
            raise TooLargeError(f"{want.path} in {self.where}", want.limit)
        return pull(self._registry, self._reference, blob, f"{want.path} in {self.where}")

    def write(self, writes: Sequence[Write]) -> None:
        """Carry out *writes*: all of them, or none.

        Raises:
            TakenError: Something else is there than a write expects.
            ConflictError: Others have been publishing all the time.
            TooLargeError: The collection has more files than a manifest can list.
            UnavailableError: It is not known whether it was done. The same writes may be tried again.
        """
        for write in writes:
            metadata_key(write.path)
        known = set(self._collection.files.values())
        for blob, data in {blob_of(write.data): write.data for write in writes}.items():
            if blob not in known:
                self._pusher.push(blob, partial(iter, (data,)))

        def written(files: Mapping[str, Blob]) -> Mapping[str, Blob]:
            changed = dict(files)
            for write in writes:
                new, was = blob_of(write.data), None if write.was is None else blob_of(write.was)
                if changed.get(write.path) not in {new, was}:
                    raise TakenError(self.where, write.path)
                changed[write.path] = new
            return changed

        self._change(written)

    def names(self) -> Iterator[str]:
        """Yield the paths of all metadata files."""
        for title in self._collection.files:
            with suppress(FormatError):
                metadata_key(title)
                yield title

    def remove(self, paths: Iterable[str]) -> None:
        """Take metadata files out of the collection; fine where they are gone. Raises what :meth:`write` raises."""
        gone = set(paths)
        for path in gone:
            metadata_key(path)
        self._change(lambda files: {title: blob for title, blob in files.items() if title not in gone})

    def upload(self, path: str, source: BinaryIO, length: int) -> None:
        """Store *length* bytes of *source* as the target file *path*; there is a copy on the disk meanwhile.

        Raises:
            UnavailableError: It could not be done, or *source* is not what was promised; what was at *path* still is.
        """
        title, found = target_key(path), hashlib.sha256()
        with SpooledTemporaryFile(max_size=_SMALL) as copy:
            for piece in measured(source, length, path, f"{self.where} {path}"):
                found.update(piece)
                copy.write(piece)
            blob = Blob(Digest("sha256", found.hexdigest()), length)

            def pieces() -> Iterator[bytes]:
                copy.seek(0)
                yield from iter(lambda: copy.read(PIECE), b"")

            if self._pusher.head(blob).status != 200:
                self._pusher.push(blob, pieces)
        self._change(lambda files: {**files, title: blob})

    @contextmanager
    def open(self, path: str, start: int = 0) -> Iterator[Pieces | None]:
        """Open the target file *path*, from byte *start* on if possible; ``None`` where there is no such file.

        Raises:
            UnavailableError: No answer could be had.
        """
        blob = self._collection.files.get(target_key(path))
        if blob is None:
            yield None
            return
        with ExitStack() as held:

            def get(headers: Mapping[str, str]) -> Reply:
                return self._ask(
                    "pull",
                    f"blobs/{blob.digest}",
                    lambda auth, url, access: held.enter_context(
                        auth.stream(url, access, headers={**self._registry.headers, **headers})
                    ),
                )

            reply, beginning = ranged(get, start)
            if reply.status not in {200, 206}:
                raise refusal(reply)
            yield Pieces(beginning, reply.rest)

    # --- the manifest ------------------------------------------------------------------------------

    @property
    def _collection(self) -> _Collection:
        if self._seen is None:
            self._seen = self._current()
        return self._seen

    def _current(self) -> _Collection:
        raw = self._manifest(self._tag)
        return _Collection(None, {}) if raw is None else _Collection(blob_of(raw).digest, _read(raw, self.where))

    def _change(self, change: Callable[[Mapping[str, Blob]], Mapping[str, Blob]]) -> None:
        """Replace the collection by what *change* makes of it, while nobody else does."""
        with self._alone() as replace:
            self._seen = now = self._current()
            files = change(now.files)
            if files == now.files:
                return
            raw = _written(files)
            if len(raw) > LARGEST:
                raise TooLargeError(f"the manifest of {self.where}, which lists {len(files)} files,", LARGEST)
            self._seen = None  # from here on it is not known
            replace(raw)
            after = self._current()
            if after.digest != blob_of(raw).digest:
                raise TakenError(self.where, self._tag)
            self._seen = after

    # --- one at a time -----------------------------------------------------------------------------

    @contextmanager
    def _alone(self) -> Iterator[Callable[[bytes], None]]:
        """Keep other publishers out; yield what replaces the manifest, if there is still time for it."""
        over = True

        def replace(raw: bytes) -> None:
            nonlocal over
            if self._clock() - since > _LONGEST:
                raise ConflictError(self.where, f"this has taken longer than the {_LONGEST} s that it may take")
            try:
                self._tag_as(self._tag, raw)
            except (OfflineError, ServerError) as exc:
                over = isinstance(exc, ServerError) and 400 <= exc.status < 500
                raise

        try:
            since = self._claim()
            yield replace
        finally:
            if over:
                with suppress(UnavailableError):  # then it counts until it is too old
                    self._announce(None)

    def _claim(self) -> float:
        """Announce ourselves until nobody else does; return since when, by our own clock."""
        patience, pause = self._clock() + self._patience, _PAUSE
        while True:
            since = self._clock()
            self._announce(self._moment())
            while others := self._others():
                if self._clock() > patience:
                    raise ConflictError(self.where, f"the tag {min(others)} says that somebody is publishing")
                if self._announcement > min(others):
                    break
                self._sleep(_PAUSE)
            else:
                return since
            self._announce(None)
            self._sleep(random.SystemRandom().uniform(pause, 2 * pause))
            pause = min(2 * pause, 20 * _PAUSE)

    @property
    def _announcement(self) -> str:
        if self._writer is None:
            self._writer = self._writers.claim() if self._writers else random.SystemRandom().randbytes(8).hex()
        return f"{_WRITER}{self._writer}"

    def _announce(self, moment: float | None, tag: str | None = None) -> None:
        said = {"annotations": {_SINCE: f"{moment:.0f}"}} if moment is not None else {}
        self._tag_as(tag or self._announcement, _dumps(_artifact(_WRITER_TYPE, [_EMPTY_LAYER]) | said))

    def _moment(self) -> float:
        """Return what time it is for the registry, and have it know the empty blob, which all manifests refer to."""
        reply = self._pusher.head(_EMPTY)
        if reply.status != 200:
            self._pusher.push(_EMPTY, partial(iter, (b"{}",)))
        return _date(reply)

    def _others(self) -> list[str]:
        """Return the announcements of others who are writing now."""
        tags, now = self._ask("pull,push", f"tags/list?n={_PAGE}", self._list)
        candidates = [tag for tag in tags if tag.startswith(_WRITER) and tag != self._announcement]
        return [tag for tag in candidates if self._is_writing(tag, now) and not self._bury(tag)]

    def _bury(self, tag: str) -> bool:
        """Take back what somebody announced from the same trust directory who has died, and say so."""
        dead = self._writers is not None and self._writers.bury(tag.removeprefix(_WRITER))
        if dead:
            self._announce(None, tag)
        return dead

    def _is_writing(self, tag: str, now: float) -> bool:
        raw = self._manifest(tag)
        if raw is None:
            return False
        try:
            since = _loads(raw, _WRITER_TYPE).get("annotations", {}).get(_SINCE)
            return since is not None and abs(now - float(since)) < _DEAD
        except (ValueError, TypeError, LookupError, AttributeError) as exc:
            problem = f"its tag {tag} is not what publishers announce themselves with"
            raise ServerError(self.where, 200, problem, "remove that tag") from exc

    def _list(self, auth: Auth, url: Url, access: Access) -> tuple[list[str], float]:
        tags: list[str] = []
        for _ in range(_PAGES):
            reply = auth.get(url, access, limit=LARGEST, headers=self._registry.headers)
            if reply.status != 200:
                raise refusal(reply)
            try:
                tags += [str(tag) for tag in _loads(reply.body)["tags"] or ()]
            except (ValueError, TypeError, LookupError) as exc:
                raise ServerError(str(reply.url), reply.status, "this is no list of tags") from exc
            link, found, _ = reply.headers.get("link", "").partition(">")
            if not found:
                return tags, _date(reply)
            url = auth.http.pointed(reply, link.strip().removeprefix("<"))
            if url.origin != reply.url.origin:
                break
        raise ServerError(str(reply.url), reply.status, "its list of tags does not end, or leads elsewhere")

    # --- requests ----------------------------------------------------------------------------------

    def _manifest(self, tag: str) -> bytes | None:
        """Return the manifest that has *tag*. A registry on plain files may answer 500 while it is being replaced."""
        reference = Reference(self._reference.domain, self._reference.path, tag)
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return self._registry.manifest(reference).raw
            except NotInRegistryError:
                return None
            except ServerError as exc:
                if exc.status != 500 or attempt == _ATTEMPTS:
                    raise
            self._sleep(attempt * _PAUSE)
        raise AssertionError(tag)  # pragma: no cover

    def _ask(self, actions: str, ending: str, send: Callable[[Auth, Url, Access], T]) -> T:
        return self._registry.ask(self._reference, actions, ending, send)

    def _tag_as(self, tag: str, raw: bytes) -> None:
        self._pusher.put(tag, raw, _MANIFEST)


class _Collection(NamedTuple):
    """What the tag points at: its digest, ``None`` where there is no tag, and the files by title."""

    digest: Digest | None
    files: Mapping[str, Blob]


def _read(raw: bytes, where: str) -> dict[str, Blob]:
    try:
        files = {}
        for layer in _loads(raw, _TYPE)["layers"]:
            if (title := layer.get("annotations", {}).get(_TITLE)) is not None:
                files[_text(title)] = Blob(Digest.parse(_text(layer["digest"])), _size(layer["size"]))
    except (ValueError, TypeError, LookupError, AttributeError, NameFormError) as exc:
        raise ServerError(where, 200, "what has this tag is no collection of trustreg's") from exc
    return files


def _written(files: Mapping[str, Blob]) -> bytes:
    layers = [
        {
            "mediaType": _TARGET_TYPE if title.startswith(f"{TARGETS}/") else _METADATA_TYPE,
            "digest": str(blob.digest),
            "size": blob.size,
            "annotations": {_TITLE: title},
        }
        for title, blob in sorted(files.items())
    ]
    return _dumps(_artifact(_TYPE, layers or [_EMPTY_LAYER]))


def _artifact(kind: str, layers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "artifactType": kind,
        "config": _EMPTY_LAYER,
        "layers": list(layers),
    }


def _dumps(content: Mapping[str, Any]) -> bytes:
    import orjson

    return orjson.dumps(content)


def _loads(raw: bytes, kind: str | None = None) -> Any:
    import orjson

    content = orjson.loads(raw)
    if kind and content["artifactType"] != kind:
        raise ValueError(f"it is no {kind}")
    return content


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _size(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError(value)
    return value


def _date(reply: Reply) -> float:
    """Return the registry's time, or ours where it does not say."""
    from email.utils import parsedate_to_datetime

    try:
        return parsedate_to_datetime(reply.headers["date"]).timestamp()
    except (KeyError, ValueError, TypeError):
        return time.time()


_TYPE = "application/vnd.trustreg.collection.v1"
_METADATA_TYPE = "application/vnd.trustreg.metadata.v1+json"
_TARGET_TYPE = "application/vnd.trustreg.target.v1"
_WRITER_TYPE = "application/vnd.trustreg.writer.v1"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_TITLE = "org.opencontainers.image.title"
_SINCE = "trustreg.writing-since"  # seconds since 1970
_WRITER = "trustreg-writer-"
_EMPTY = blob_of(b"{}")
_EMPTY_LAYER = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": str(_EMPTY.digest), "size": _EMPTY.size}
_SMALL = 1 << 20  # bytes; a copy of this size needs no disk
_PAGE, _PAGES = 1000, 1000  # a million tags
_PAUSE = 0.05  # seconds; a publication takes some ten requests
_ATTEMPTS = 4
_LONGEST = 300  # seconds that a publication may take after it was announced
_DEAD = 600  # seconds after which an announcement counts no more

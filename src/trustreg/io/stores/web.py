"""What a web server shows of a collection, or several of them with the same content.

A mirror that does not answer, or is in trouble, is passed over for the next one, and stays so for the life of the
object, which is that of one refresh: a set of files should come from one place. A file that one mirror does not have
the next one may. Not so for the next root, which most often nobody has: there "no such file" is an answer, and so is
the 403 with which buckets say it to those who may not list them. For any other file 403 says nothing.

Nothing served here is believed: who reads it knows by signatures and digests.

Whom to ask, and what an answer means, is said once, by generators that yield questions; there are two that carry them,
one that waits for each answer and one that awaits it.
"""

from __future__ import annotations

import re
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, NamedTuple

from trustreg.errors import OfflineError, ServerError, TlsError, UnavailableError
from trustreg.io.http import refusal
from trustreg.io.steps import run, run_awaiting
from trustreg.io.stores.paths import in_url, require_name, target_key
from trustreg.io.stores.streams import AsyncPieces, Pieces, beginning
from trustreg.names import ROOT, TIMESTAMP

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator, Iterator, Mapping, Sequence

    from trustreg.io.async_http import AsyncHttp
    from trustreg.io.http import Http, Reply
    from trustreg.verify.requests import Want


class Question(NamedTuple):
    """A GET: of at most ``limit`` bytes, or of a body that comes piece by piece."""

    url: str
    headers: Mapping[str, str]
    limit: int = 0


class Opened(NamedTuple):
    """An answer whose pieces are those of a target file from byte ``start`` on, as the mirror ``base`` has it."""

    reply: Reply
    start: int
    base: str


class Mirrors:
    """Whom to ask for the files of a collection, and what the answers mean; one for each refresh.

    Args:
        metadata_urls: What the paths of metadata are appended to, the best mirror first.
        targets_urls: The same for target files; none are had where it is empty.
        known: The timestamp of an earlier run: its ETag and its bytes, by URL. Where the server says that they still
            hold, they are the answer. The bytes are input like any other.
    """

    def __init__(
        self,
        metadata_urls: Sequence[str],
        targets_urls: Sequence[str] = (),
        known: Mapping[str, tuple[str, bytes]] | None = None,
    ) -> None:
        self.metadata, self.targets = _Bases(metadata_urls), _Bases(targets_urls)
        self.known = dict(known or {})

    def fetch(self, want: Want) -> Generator[Question, Reply, bytes | None]:
        """Return the file, or ``None`` where no mirror has it.

        Raises:
            TooLargeError: The file is longer than ``want.limit``.
            UnavailableError: No mirror has it, and one at least did not say so.
        """
        require_name(want.path)  # refuses what is not the name of a file
        for base in self.metadata:
            url = base + want.path
            etag, before = self.known.get(url, ("", b""))
            conditional = bool(etag) and want.role == TIMESTAMP and len(before) <= want.limit
            with self.metadata.asking(base):
                reply = yield Question(url, {"If-None-Match": etag} if conditional else {}, want.limit)
                _require_sound(reply)
                if reply.status == 304 and conditional:
                    return before
                if reply.status == 200:
                    if want.role == TIMESTAMP:
                        self._remember(url, reply)
                    return reply.body
                if want.role == ROOT and reply.status in {403, 404}:
                    return None
                self.metadata.without(reply)
        self.metadata.require_answer()
        return None

    def open(self, path: str, start: int) -> Generator[Question, Reply, Opened | None]:
        """Return the answer that has the target file *path*, from byte *start* on if possible; ``None`` where none has.

        Raises:
            UnavailableError: No mirror has it, and one at least did not say so.
        """
        ending = in_url(target_key(path)).removeprefix("targets/")
        for base in self.targets:
            with self.targets.asking(base):
                reply = yield Question(base + ending, {"Range": f"bytes={start}-"} if start else {})
                if start and reply.status == 416:
                    reply = yield Question(base + ending, {})
                _require_sound(reply)
                if reply.status in {200, 206}:
                    return Opened(reply, beginning(reply, start), base)
                self.targets.without(reply)
        self.targets.require_answer()
        return None

    def _remember(self, url: str, reply: Reply) -> None:
        etag = reply.headers.get("etag", "")
        if _ETAG.fullmatch(etag):
            self.known[url] = (etag, reply.body)
        else:
            self.known.pop(url, None)


class _Mirrored:
    """What is known of a collection at some URLs without asking."""

    _mirrors: Mirrors

    @property
    def known(self) -> Mapping[str, tuple[str, bytes]]:
        """The timestamp as it is known now, for the next run."""
        return self._mirrors.known

    @property
    def where(self) -> str:
        """The first mirror's address."""
        return self._mirrors.metadata.bases[0]


class WebRepository(_Mirrored):
    """The collection at some URLs; a :class:`trustreg.ports.Repository` and its target files, for one refresh.

    Args:
        http: Carries the requests.
        metadata_urls: See :class:`Mirrors`, and so for the others.
        targets_urls: For target files.
        known: The timestamp of an earlier run.
    """

    def __init__(
        self,
        http: Http,
        metadata_urls: Sequence[str],
        targets_urls: Sequence[str] = (),
        *,
        known: Mapping[str, tuple[str, bytes]] | None = None,
    ) -> None:
        self._http, self._mirrors = http, Mirrors(metadata_urls, targets_urls, known)

    def fetch(self, want: Want) -> bytes | None:
        """Return the file, or ``None`` where no mirror has it; raises what :meth:`Mirrors.fetch` raises."""
        return run(
            self._mirrors.fetch(want), lambda asked: self._http.get(asked.url, limit=asked.limit, headers=asked.headers)
        )

    @contextmanager
    def open(self, path: str, start: int = 0) -> Iterator[Pieces | None]:
        """Open the target file *path*, from byte *start* on if possible; ``None`` where no mirror has it.

        Where it breaks off, the next attempt asks the next mirror. Raises what :meth:`Mirrors.open` raises.
        """
        with ExitStack() as held:
            opened = run(
                self._mirrors.open(path, start),
                lambda asked: held.enter_context(self._http.stream(asked.url, headers=asked.headers)),
            )
            yield Pieces(opened.start, self._pieces(opened)) if opened else None

    def _pieces(self, opened: Opened) -> Iterator[bytes]:
        with self._mirrors.targets.reading(opened.base):
            yield from opened.reply.rest


class AsyncWebRepository(_Mirrored):
    """A :class:`WebRepository` whose answers are awaited."""

    def __init__(
        self,
        http: AsyncHttp,
        metadata_urls: Sequence[str],
        targets_urls: Sequence[str] = (),
        *,
        known: Mapping[str, tuple[str, bytes]] | None = None,
    ) -> None:
        self._http, self._mirrors = http, Mirrors(metadata_urls, targets_urls, known)

    async def fetch(self, want: Want) -> bytes | None:
        """Return the file, or ``None`` where no mirror has it; raises what :meth:`Mirrors.fetch` raises."""
        return await run_awaiting(
            self._mirrors.fetch(want), lambda asked: self._http.get(asked.url, limit=asked.limit, headers=asked.headers)
        )

    @asynccontextmanager
    async def open(self, path: str, start: int = 0) -> AsyncIterator[AsyncPieces | None]:
        """Open the target file *path* as :meth:`WebRepository.open` does."""
        async with AsyncExitStack() as held:
            rests: list[AsyncIterator[bytes]] = []

            async def ask(asked: Question) -> Reply:
                reply, rest = await held.enter_async_context(self._http.stream(asked.url, headers=asked.headers))
                rests.append(rest)
                return reply

            opened = await run_awaiting(self._mirrors.open(path, start), ask)
            yield AsyncPieces(opened.start, self._pieces(opened.base, rests[-1])) if opened else None

    async def _pieces(self, base: str, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        with self._mirrors.targets.reading(base):
            async for piece in rest:
                yield piece


class _Bases:
    """URLs with a slash at the end, and what is wrong with those that were passed over."""

    def __init__(self, urls: Sequence[str]) -> None:
        self.bases = tuple(dict.fromkeys(f"{url.rstrip('/')}/" for url in urls))
        self._broken: dict[str, UnavailableError] = {}
        self._refusal: UnavailableError | None = None

    def __iter__(self) -> Iterator[str]:
        """Yield whom to ask; where all of them were in trouble, all of them again."""
        self._refusal = None
        if len(self._broken) == len(self.bases):
            self._broken.clear()
        return (base for base in self.bases if base not in self._broken)

    @contextmanager
    def asking(self, base: str) -> Iterator[None]:
        """Pass the mirror over from now on if it turns out to be broken inside the block."""
        try:
            yield
        except (OfflineError, TlsError) as exc:
            self._broken[base] = exc
        except ServerError as exc:
            if exc.status not in {0, 408, 429} and exc.status < 500:
                raise
            self._broken[base] = exc

    @contextmanager
    def reading(self, base: str) -> Iterator[None]:
        """Pass the mirror over from now on if it breaks off inside the block."""
        try:
            yield
        except UnavailableError as exc:
            self._broken[base] = exc
            raise

    def without(self, reply: Reply) -> None:
        """Take note of an answer that is not the file: that it is not there, or something else, which is no answer."""
        if reply.status == 403:
            self._refusal = refusal(reply)
        elif reply.status != 404:
            raise refusal(reply)

    def require_answer(self) -> None:
        """Raise what is in the way, unless all mirrors said that they do not have the file."""
        if self._refusal:
            raise self._refusal
        for base in self.bases:
            if base in self._broken:
                raise self._broken[base]


def _require_sound(reply: Reply) -> None:
    if reply.status >= 500 or reply.status in {408, 429}:
        raise refusal(reply)


_ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]{1,200}"')

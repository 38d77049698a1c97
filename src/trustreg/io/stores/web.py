"""What a web server shows of a collection, or several of them with the same content.

A mirror that does not answer, or is in trouble, is passed over for the next one, and stays so for the life of the
object, which is that of one refresh: a set of files should come from one place. A file that one mirror does not have
the next one may. Not so for the next root, which most often nobody has: there "no such file" is an answer, and so is
the 403 with which buckets say it to those who may not list them. For any other file 403 says nothing.

Nothing served here is believed: who reads it knows by signatures and digests.
"""

from __future__ import annotations

import re
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING

from trustreg.errors import OfflineError, ServerError, TlsError, UnavailableError
from trustreg.io.http import refusal
from trustreg.io.stores.paths import in_url, metadata_key, target_key
from trustreg.io.stores.streams import Pieces, ranged
from trustreg.names import ROOT, TIMESTAMP

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from trustreg.io.http import Http, Reply
    from trustreg.verify.requests import Want


class WebRepository:
    """The collection at some URLs; a :class:`trustreg.ports.Repository` and its target files, for one refresh.

    Args:
        http: Carries the requests.
        metadata_urls: What the paths of metadata are appended to, the best mirror first.
        targets_urls: The same for target files; none are had where it is empty.
        known: The timestamp of an earlier run: its ETag and its bytes, by URL. Where the server says that they still
            hold, they are the answer. The bytes are input like any other.
    """

    def __init__(
        self,
        http: Http,
        metadata_urls: Sequence[str],
        targets_urls: Sequence[str] = (),
        *,
        known: Mapping[str, tuple[str, bytes]] | None = None,
    ) -> None:
        self._http = http
        self._metadata, self._targets = _Mirrors(metadata_urls), _Mirrors(targets_urls)
        self.known = dict(known or {})  # as it is now, for the next run

    @property
    def where(self) -> str:
        """The first mirror's address."""
        return self._metadata.bases[0]

    def fetch(self, want: Want) -> bytes | None:
        """Return the file, or ``None`` where no mirror has it.

        Raises:
            TooLargeError: The file is longer than ``want.limit``.
            UnavailableError: No mirror has it, and one at least did not say so.
        """
        metadata_key(want.path)  # refuses what is not the name of a file
        for base in self._metadata:
            url = base + want.path
            etag, before = self.known.get(url, ("", b""))
            conditional = bool(etag) and want.role == TIMESTAMP and len(before) <= want.limit
            headers = {"If-None-Match": etag} if conditional else {}
            with self._metadata.asking(base):
                reply = _unless_broken(self._http.get(url, limit=want.limit, headers=headers))
                if reply.status == 304 and conditional:
                    return before
                if reply.status == 200:
                    if want.role == TIMESTAMP:
                        self._remember(url, reply)
                    return reply.body
                if want.role == ROOT and reply.status in {403, 404}:
                    return None
                self._metadata.without(reply)
        self._metadata.require_answer()
        return None

    @contextmanager
    def open(self, path: str, start: int = 0) -> Iterator[Pieces | None]:
        """Open the target file *path*, from byte *start* on if possible; ``None`` where no mirror has it.

        Where it breaks off, the next attempt asks the next mirror.

        Raises:
            UnavailableError: No mirror has it, and one at least did not say so.
        """
        ending = in_url(target_key(path)).removeprefix("targets/")
        with ExitStack() as held:
            yield self._opened(held, ending, start)

    def _opened(self, held: ExitStack, ending: str, start: int) -> Pieces | None:
        for base in self._targets:
            with self._targets.asking(base):
                reply, beginning = ranged(partial(self._stream, held, base + ending), start)
                _unless_broken(reply)
                if reply.status in {200, 206}:
                    return Pieces(beginning, self._targets.watched(base, reply.rest))
                self._targets.without(reply)
        self._targets.require_answer()
        return None

    def _stream(self, held: ExitStack, url: str, headers: Mapping[str, str]) -> Reply:
        return held.enter_context(self._http.stream(url, headers=headers))

    def _remember(self, url: str, reply: Reply) -> None:
        etag = reply.headers.get("etag", "")
        if _ETAG.fullmatch(etag):
            self.known[url] = (etag, reply.body)
        else:
            self.known.pop(url, None)


class _Mirrors:
    """URLs with a slash at the end, and what is wrong with those that were passed over."""

    def __init__(self, urls: Sequence[str]) -> None:
        self.bases = tuple(f"{url.rstrip('/')}/" for url in urls)
        self._broken: dict[str, UnavailableError] = {}
        self._refusal: UnavailableError | None = None

    def __iter__(self) -> Iterator[str]:
        self._refusal = None
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

    def watched(self, base: str, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """Yield *pieces*; a mirror that lets them break off is passed over from then on."""
        try:
            yield from pieces
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


def _unless_broken(reply: Reply) -> Reply:
    if reply.status >= 500 or reply.status in {408, 429}:
        raise refusal(reply)
    return reply


_ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]{1,200}"')

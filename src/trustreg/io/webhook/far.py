"""Content in Redis, by its digest, for replicas that would otherwise each fetch it.

Nothing is believed of it: whoever reads hashes it again. Nothing depends on it, either: where it does not answer at
once, it is left alone for a while, and everything is fetched as if there were none.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

from trustreg.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Callable

    from trustreg.io.webhook.tally import Tally
    from trustreg.names import Digest


class Far:
    """Keeps content in the Redis at *url*; a :class:`trustreg.io.known.Known`. Threads may share it.

    Args:
        url: ``redis://host:6379/0``, or ``rediss://`` for TLS; it may have a password.
        tally: Counts.
        clock: Reads the seconds, monotonic.

    Raises:
        SettingError: This is no such URL, or the package is missing. Whether anybody answers there is not asked.
    """

    def __init__(self, url: str, tally: Tally, *, clock: Callable[[], float] = time.monotonic) -> None:
        try:
            from redis import Redis
            from redis.backoff import NoBackoff
            from redis.exceptions import RedisError
            from redis.retry import Retry
        except ImportError as exc:
            raise SettingError("redis", "this needs: pip install 'trustreg[redis]'") from exc

        if not _URL.match(url):
            raise SettingError("redis", _PROBLEM)
        try:
            self._redis: Any = Redis.from_url(
                url,
                socket_timeout=_PATIENCE,
                socket_connect_timeout=_PATIENCE,
                retry=Retry(NoBackoff(), 0),
                max_connections=64,
            )
        except ValueError as exc:
            raise SettingError("redis", _PROBLEM) from exc
        self._failures = (RedisError, OSError, ValueError)
        self._tally, self._clock, self._until = tally, clock, 0.0

    def get(self, digest: Digest, limit: int) -> bytes | None:
        """Return what is kept as *digest*, at most *limit* bytes."""
        found = self._ask(lambda redis: redis.getrange(_NAME.format(digest), 0, limit))
        raw = found if isinstance(found, bytes) and 0 < len(found) <= limit else None
        self._tally.cached("redis", hits=int(raw is not None), misses=int(raw is None))
        return raw

    def put(self, digest: Digest, raw: bytes) -> None:
        """Keep *raw* for a week, if it is not too large."""
        if len(raw) <= _LARGEST:
            self._ask(lambda redis: redis.set(_NAME.format(digest), raw, ex=_WEEK))

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()

    def _ask(self, question: Callable[[Any], Any]) -> Any:
        if self._clock() < self._until:
            return None
        try:
            answer = question(self._redis)
        except self._failures:
            self._until = self._clock() + _REST
            self._tally.asked("redis", "failed")
            return None
        self._tally.asked("redis", "answered")
        return answer


_URL = re.compile("rediss?://[^/]")
_PROBLEM = "this is no URL of a Redis: redis://HOST:PORT/NUMBER"
_NAME = "trustreg:1:{}"
_PATIENCE = 0.2  # seconds for an answer; the registry has one in ten times that
_REST = 5.0  # seconds to leave one alone that gave none
_LARGEST = 4 << 20  # bytes
_WEEK = 7 * 86_400  # seconds

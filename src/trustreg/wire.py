"""Where use cases meet their adapters: for the command line, and for programs that ``import trustreg``."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from trustreg import client
from trustreg.names import ROOT, Gun, Reference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from trustreg import publisher
    from trustreg.io.config import Config
    from trustreg.io.config import Site as Settings
    from trustreg.io.http import Http
    from trustreg.io.keystore import FileKeyStore
    from trustreg.io.passphrases import Passphrases
    from trustreg.ports import Registry
    from trustreg.sign.signer import Signer


class Wiring:
    """Everything a command needs, made when it is asked for.

    Args:
        flags: Settings that win over environment and files, by the name the configuration has for them.
        env: The environment.
        clock: Reads the time.
        trace: Is told of each request, one line each.
    """

    def __init__(
        self,
        *,
        flags: Mapping[str, Any] | None = None,
        env: Mapping[str, str] | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        trace: Callable[[str], None] | None = None,
    ) -> None:
        self._flags = dict(flags or {})
        self._env = os.environ if env is None else env
        self._clock, self._trace = clock, trace
        self._lock = Lock()

    @cached_property
    def _now(self) -> datetime:
        return self._clock()

    def now(self) -> datetime:
        """Return the time of this command: it is read once."""
        return self._now

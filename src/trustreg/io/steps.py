"""Decisions that need answers on the way: a generator asks, and whoever runs it has the answers at once or awaits them.

What a question fails with is raised where it was asked, so a generator reads like the code that it stands for.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeVar

from trustreg.errors import TrustregError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

Q = TypeVar("Q")
A = TypeVar("A")
T = TypeVar("T")


class Carry(Protocol):
    """Carries out a call: here and now, or elsewhere."""

    def __call__(self, call: Callable[[], T], /) -> Awaitable[T]:
        """Return what *call* returns."""


class Done(NamedTuple, Generic[T]):
    """The end of a generator: what it returned."""

    result: T


def run(flow: Generator[Q, A, T], answer: Callable[[Q], A]) -> T:
    """Have *answer* answer what *flow* asks; return what it returns."""
    try:
        asked: Q | Done[T] = step(partial(next, flow))
        while not isinstance(asked, Done):
            try:
                answered = answer(asked)
            except TrustregError as exc:
                asked = step(partial(flow.throw, exc))
            else:
                asked = step(partial(flow.send, answered))
        result: T = asked.result
        return result
    finally:
        flow.close()


async def at_once(call: Callable[[], T]) -> T:
    """Return what *call* returns."""
    return call()


async def run_awaiting(flow: Generator[Q, A, T], answer: Callable[[Q], Awaitable[A]], carry: Carry = at_once) -> T:
    """Do as :func:`run` where answers have to be awaited; *carry* carries out what *flow* does between them."""
    try:
        asked: Q | Done[T] = await carry(partial(step, partial(next, flow)))
        while not isinstance(asked, Done):
            try:
                answered = await answer(asked)
            except TrustregError as exc:
                asked = await carry(partial(step, partial(flow.throw, exc)))
            else:
                asked = await carry(partial(step, partial(flow.send, answered)))
        result: T = asked.result
        return result
    finally:
        flow.close()


def step(resume: Callable[[], Q]) -> Q | Done[T]:
    """Return the next question of the generator that *resume* resumes, or its end."""
    try:
        return resume()
    except StopIteration as stop:
        return Done(stop.value)


async def in_thread(call: Callable[[], T]) -> T:
    """Return what *call* returns, from a thread; who is cancelled meanwhile waits for it too, so nothing runs on."""
    import asyncio
    from contextvars import copy_context

    running = asyncio.get_running_loop().run_in_executor(None, copy_context().run, call)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        while not running.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait((running,))
        running.exception()
        raise

"""A world in which the workflow runs: dictionaries for the repository and the cache, a list for the trace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from trustreg.verify.requests import Answer, Keep, Memory, Recall, Remember, Request, Want

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trustreg.verify.workflow import Flow

T = TypeVar("T")


class World:
    """
    Answers what a flow asks, and writes down what that was.

    Args:
        repository: Files by path; what it lacks, the repository does not have.
        kept: Files by role, as an earlier refresh left them.
        memory: What that refresh remembered.

    ``keeps`` holds what the flow handed over; ``kept`` and ``memory`` change with it, so a world lives on.
    """

    def __init__(
        self,
        repository: Mapping[str, bytes],
        kept: Mapping[str, bytes] | None = None,
        memory: Memory | None = None,
    ) -> None:
        self.repository = dict(repository)
        self.kept = dict(kept or {})
        self.memory = memory or Memory()
        self.requests: list[Request] = []
        self.keeps: list[Keep] = []

    def drive(self, flow: Flow[T]) -> T:
        """Run *flow* to its end and return what it returns."""
        answer: Answer = None
        while True:
            try:
                request = flow.send(answer)
            except StopIteration as stop:
                result: T = stop.value
                return result
            self.requests.append(request)
            answer = self.answer(request)

    def answer(self, request: Request) -> Answer:
        """Do what *request* asks."""
        match request:
            case Remember():
                return self.memory
            case Recall(role):
                return self.kept.get(role)
            case Want(_, path, _):
                return self.repository.get(path)
            case Keep(files, memory):
                self.keeps.append(request)
                self.kept |= files
                self.memory = memory
                return None

    @property
    def trace(self) -> list[list[Any]]:
        """What was asked, as vectors write it."""
        return [_written(request) for request in self.requests]


def _written(request: Request) -> list[Any]:
    match request:
        case Remember():
            return ["remember"]
        case Recall(role):
            return ["recall", role]
        case Want(_, path, limit):
            return ["want", path, limit]
        case Keep(files):
            return ["keep", sorted(files)]

"""Several repositories that have to agree on a target: whom to ask, in which order, and what their answers mean.

As everywhere, behind what is not known nothing counts. A repository that cannot be reached, or fails a check, agrees
with nobody; and where its word would have been enough, the search ends there, with the next mapping unasked. Else
whoever can cut a line, or garble what goes over it, could choose the mapping.

Source: TAP 4. Stricter than that: ``custom`` has to be equal too, and what is said above.
"""

import re
from collections.abc import Generator, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Any, TypeAlias

from trustreg.dialects import canonical
from trustreg.errors import SettingError, TrustregError, UnavailableError, UntrustedError
from trustreg.metadata import matches
from trustreg.reader import Target
from trustreg.values import dataclass, field

Answer: TypeAlias = Target | UntrustedError | UnavailableError | None
"""What a repository says of a target: this, that it has none, or that it cannot be had or believed."""


@dataclass(eq=False)
class DisagreementError(UntrustedError):
    """Too few repositories say the same of a target; ``answers`` is what each says."""

    code = "disagreement"
    target: str
    threshold: int
    answers: tuple[str, ...]

    def __str__(self) -> str:
        return _sentence(self.target, self.threshold, self.answers)


@dataclass(eq=False)
class UndecidedError(UnavailableError):
    """Whether enough repositories say the same of a target is not known, as some of them cannot be reached."""

    code = "undecided"
    target: str
    threshold: int
    answers: tuple[str, ...]

    def __str__(self) -> str:
        return _sentence(self.target, self.threshold, self.answers)


@dataclass(frozen=True, kw_only=True)
class Agreed:
    """A target as enough repositories list it.

    Attributes:
        name: What it is called there.
        length: Its length in bytes.
        hashes: Its digests by algorithm.
        custom: What its publishers added, as parsed JSON, or ``None``.
        repositories: Those that agree, in the order in which they were asked.
        expires: When the first of the files relied on expires.
        targets: What each of them says, by its name.
    """

    name: str
    length: int
    hashes: Mapping[str, bytes] = field(hash=False)
    custom: Any = field(hash=False)
    repositories: tuple[str, ...]
    expires: datetime
    targets: Mapping[str, Target] = field(hash=False, repr=False)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A mapping: ``threshold`` of ``repositories`` have to agree on targets that one of ``paths`` matches.

    After a ``terminating`` one no other is asked about them.
    """

    paths: tuple[str, ...]
    repositories: tuple[str, ...]
    threshold: int
    terminating: bool = False

    def covers(self, name: str) -> bool:
        """Say whether it is about the target *name*."""
        return any(matches(name, pattern) for pattern in self.paths)


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """A map file: the URLs of each repository, and the mappings in their order."""

    repositories: Mapping[str, tuple[str, ...]] = field(hash=False)
    rules: tuple[Rule, ...]

    def find(self, name: str) -> Generator[str, Answer, Agreed | None]:
        """Look the target *name* up: yield which repository to ask, is sent its answer; ``None`` where none lists it.

        Raises:
            DisagreementError: Some list it, and too few say the same, or those that failed a check were needed.
            UndecidedError: Those that cannot be reached would have been enough.
        """
        disagreed = None
        for rule in self.rules:
            if rule.covers(name):
                poll = _Poll(name, rule.threshold)
                for repository in rule.repositories:
                    poll.count(repository, (yield repository))
                    if poll.agreed:
                        return poll.agreed
                disagreed = poll.require_outcome() or disagreed
                if rule.terminating:
                    break
        if disagreed:
            raise disagreed
        return None


class _Poll:
    """The answers of the repositories of one mapping."""

    def __init__(self, name: str, threshold: int) -> None:
        self._name, self._threshold = name, threshold
        self._answers: dict[str, Answer] = {}
        self._parties: dict[bytes, dict[str, Target]] = {}  # those that say the same
        self.agreed: Agreed | None = None

    def count(self, repository: str, answer: Answer) -> None:
        self._answers[repository] = answer
        if isinstance(answer, Target):
            party = self._parties.setdefault(_said(answer), {})
            party[repository] = answer
            if len(party) >= self._threshold:
                self.agreed = _agreed(party)

    def require_outcome(self) -> DisagreementError | None:
        """Return what they disagree about, if anything; raise where the answers that are missing might have decided."""
        missing = self._threshold - max(map(len, self._parties.values()), default=0)
        silent = self._failures(UnavailableError)
        if len(silent) >= missing:
            raise UndecidedError(self._name, self._threshold, self._shown()) from silent[0]
        disagreement = DisagreementError(self._name, self._threshold, self._shown())
        failed = [*self._failures(UntrustedError), *silent]
        if len(failed) >= missing:
            raise disagreement from failed[0]
        return disagreement if self._parties else None

    def _failures(self, family: type[TrustregError]) -> list[TrustregError]:
        return [answer for answer in self._answers.values() if isinstance(answer, family)]

    def _shown(self) -> tuple[str, ...]:
        return tuple(f"{repository}: {_shown(answer)}" for repository, answer in self._answers.items())


def read_map(raw: bytes, source: str) -> Agreement:
    """Read a map file, ``map.json``; *source* names it in errors.

    Names of repositories are names of folders everywhere: letters, digits, ``_``, ``.`` and ``-``, and no two that
    differ in case only.

    Raises:
        SettingError: It is none. No member may be missing, unknown or there twice; but ``terminating`` may be missing.
    """
    try:
        document = canonical.parse_strictly(raw)
        _require_members(document, "the file", {"repositories", "mapping"})
        repositories = _read_repositories(document["repositories"])
        mapping = document["mapping"]
        _require(isinstance(mapping, list), "mapping", "it is not a list")
        rules = tuple(_read_rule(rule, f"mapping[{at}]", repositories) for at, rule in enumerate(mapping))
    except ValueError as exc:
        raise SettingError(source, f"this is not a map file: {exc}") from exc
    return Agreement(repositories=repositories, rules=rules)


def _read_repositories(document: Any) -> dict[str, tuple[str, ...]]:
    _require(isinstance(document, dict), "repositories", "it is not an object")
    for name in document:
        _require(_NAME.fullmatch(name) is not None, f"repositories.{name}", "this could not name a folder everywhere")
    _require(len({name.lower() for name in document}) == len(document), "repositories", "two names differ in case only")
    read = {name: _read_texts(urls, f"repositories.{name}") for name, urls in document.items()}
    places = [url.rstrip("/") for urls in read.values() for url in urls]
    _require(len(set(places)) == len(places), "repositories", "one place is listed as if it were two")
    return read


def _read_rule(document: Any, where: str, known: Mapping[str, object]) -> Rule:
    _require_members(document, where, {"paths", "repositories", "threshold"}, {"terminating"})
    repositories = _read_texts(document["repositories"], f"{where}.repositories")
    for name in repositories:
        _require(name in known, f"{where}.repositories", f"there is no repository {name}")
    threshold, terminating = document["threshold"], document.get("terminating", False)
    sound = type(threshold) is int and 1 <= threshold <= len(repositories)
    _require(sound, f"{where}.threshold", f"it is not an integer from 1 to {len(repositories)}")
    _require(isinstance(terminating, bool), f"{where}.terminating", "it is not a boolean")
    paths = _read_texts(document["paths"], f"{where}.paths")
    return Rule(paths=paths, repositories=repositories, threshold=threshold, terminating=terminating)


def _read_texts(document: Any, where: str) -> tuple[str, ...]:
    sound = isinstance(document, list) and document and all(isinstance(text, str) and text for text in document)
    _require(bool(sound), where, "it is not a list of texts")
    _require(len(set(document)) == len(document), where, "something is listed twice")
    return tuple(document)


def _require_members(
    document: Any, where: str, due: AbstractSet[str], optional: AbstractSet[str] = frozenset()
) -> None:
    _require(isinstance(document, dict), where, "it is not an object")
    for name in sorted(due - document.keys()):
        _require(False, where, f"it has no {name}")  # noqa: FBT003 # it is never right
    for name in sorted(document.keys() - due - optional):
        _require(False, where, f"nobody knows what {name} means")  # noqa: FBT003


def _require(sound: bool, where: str, problem: str) -> None:  # noqa: FBT001 # it reads as a sentence
    if not sound:
        raise ValueError(f"{where}: {problem}")


def _said(target: Target) -> bytes:
    """Return what *target* says of its file: what is equal for those that agree."""
    hashes = {algorithm: digest.hex() for algorithm, digest in target.hashes.items()}
    return canonical.encode({"length": target.length, "hashes": hashes, "custom": target.custom})


def _agreed(party: Mapping[str, Target]) -> Agreed:
    first = next(iter(party.values()))
    return Agreed(
        name=first.name,
        length=first.length,
        hashes=first.hashes,
        custom=first.custom,
        repositories=tuple(party),
        expires=min(target.expires for target in party.values()),
        targets=dict(party),
    )


def _shown(answer: Answer) -> str:
    if isinstance(answer, Target):
        digests = (f"{algorithm}:{digest.hex()}" for algorithm, digest in answer.hashes.items())
        custom = "" if answer.custom is None else f", custom {canonical.encode(answer.custom).decode()}"
        return f"{answer.length} bytes, {', '.join(digests)}{custom}"
    return "does not list it" if answer is None else str(answer)


def _sentence(target: str, threshold: int, answers: tuple[str, ...]) -> str:
    return f"of {target} {threshold} repositories have to say the same, and they say: {'; '.join(answers)}"


_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")

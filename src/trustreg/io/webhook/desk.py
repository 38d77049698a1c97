"""Decisions for many who ask: each image is judged once for as long as that holds, and in time or not at all.

What a decision rests on is asked for each time, by whoever asks next: the registry says what a tag is, the trust
server says what its collection says now. Both may be used again for a time, ``reuse``, that is a setting. Only what
follows from them is remembered for longer, by all of them together: the name, the tag, the digest, the versions of the
collections, and the logins. A policy has a desk of its own. So a decision is never found by a tag alone, and never
outlives what it rests on. See docs/adr/0032.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from threading import Lock, Semaphore
from typing import TYPE_CHECKING, Any, NamedTuple

from trustreg.dialects import openpgp
from trustreg.errors import DeadlineError, TrustregError, UnavailableError, UntrustedError
from trustreg.io.webhook.memo import Flights, Memo
from trustreg.judging import Decision
from trustreg.names import Reference
from trustreg.policy import AllOf, AtLeast, OldOrNew, Reject, SignedByGpg, leaves

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from concurrent.futures import Future

    from trustreg.client import Standing
    from trustreg.io.webhook.tally import Tally
    from trustreg.judging import Judge
    from trustreg.policy import Policy, Requirement, Rule
    from trustreg.ports import Manifest, Shelves


class Bench(NamedTuple):
    """Who judges with certain logins: *named* returns what an image is called, *shelves* is where images are."""

    judge: Judge
    named: Callable[[Reference], Reference]
    shelves: Shelves


class Logins(NamedTuple):
    """The logins of whoever runs an image: what they are told apart by, and what is added to the environment."""

    id: str = ""
    env: Mapping[str, str] = {}


class Spans(NamedTuple):
    """How long things hold.

    Attributes:
        reuse: What a registry says of a tag, and a trust server of its collection, before it is asked again.
        trusted: A decision that an image is trusted, at most.
        refused: One that it is not.
    """

    reuse: timedelta = timedelta(seconds=5)
    trusted: timedelta = timedelta(minutes=5)
    refused: timedelta = timedelta(seconds=10)


class Desk:
    """Judges images by *policy*, for as many threads as ask.

    Args:
        policy: The policy.
        bench: Makes who judges by it with the logins that are in an environment.
        tally: Counts.
        spans: How long things hold.
        clock: Reads the time.
        pool: Where images are judged. It is there longer than this desk, which may still be asked when another has
            taken its place.
    """

    def __init__(
        self,
        policy: Policy,
        bench: Callable[[Policy, Logins], Bench],
        tally: Tally,
        spans: Spans,
        clock: Callable[[], datetime],
        pool: ThreadPoolExecutor,
    ) -> None:
        self.policy = policy
        self._bench, self._tally, self._spans, self._clock = bench, tally, spans, clock
        self._benches: dict[str, Bench] = {}
        self._lock = Lock()
        self._tags: Memo[Manifest] = Memo(_MOST)
        self._standing: Memo[tuple[Standing, ...]] = Memo(_MOST)
        self._trusted: Memo[Decision] = Memo(_MOST)
        self._refused: Memo[Decision] = Memo(_MOST // 4)
        self._asked: Flights[Any] = Flights()
        self._judged: Flights[Decision] = Flights()
        self._pool = pool
        self._room = Semaphore(_MOST_AHEAD)
        self._ahead = ThreadPoolExecutor(
            1, "ahead"
        )  # nobody waits for it, and more would keep others from the processor
        self._names: set[str] = set()
        self._rejecting = {
            rule.scope
            for rule in (*policy.rules.values(), policy.default)
            if all(isinstance(leaf, Reject) for leaf in leaves(rule.require))
        }
        self._ends = {rule.scope: tuple(_ends(rule.require)) for rule in (*policy.rules.values(), policy.default)}

    def warm(self) -> None:
        """Make what judges without logins of others; raise what is wrong with the settings."""
        self._of(Logins())

    @property
    def worn(self) -> bool:
        """Whether so many names were asked for that what is remembered of them should go."""
        return len(self._names) >= _MOST_NAMES

    def expiring(self) -> Iterator[tuple[str, datetime]]:
        """Yield the GPG keys of the policy that expire, and when."""
        rules = (*self.policy.rules.values(), self.policy.default)
        named = {
            key for rule in rules for leaf in leaves(rule.require) if isinstance(leaf, SignedByGpg) for key in leaf.keys
        }
        for key in named:
            for one in openpgp.open_keys(key.raw):
                if one.expires:
                    yield f"{key.name} {one.fingerprint}", one.expires

    def decide(self, images: Sequence[str], logins: Logins, deadline: datetime) -> list[Decision]:
        """Judge *images*, references that can be parsed; the decisions are in their order.

        What is not judged by the *deadline* is unknown. *logins* are those that the images are to be fetched with.
        """
        bench, now = self._of(logins), self._clock()
        named = {image: bench.named(Reference.parse(image)) for image in dict.fromkeys(images)}
        found = {image: self._known(bench, name, logins, now) for image, name in named.items()}
        missing: dict[str, Future[Decision]] = {
            image: self._pool.submit(self._find, bench, named[image], logins)
            for image, decision in found.items()
            if decision is None
        }
        self._tally.cached("decision", hits=len(found) - len(missing), misses=len(missing))
        wait(missing.values(), max(0.0, (deadline - self._clock()).total_seconds()))
        for image, future in missing.items():
            found[image] = future.result() if future.done() else None
            future.cancel()
        return [found[image] or self._late(named[image]) for image in images]

    def known(self, images: Sequence[str], logins: Logins) -> list[Decision] | None:
        """Return what is decided about *images*, if that is remembered of all of them: nobody is asked."""
        if (bench := self._benches.get(logins.id)) is None:
            return None
        now, found = self._clock(), list[Decision]()
        for image in images:
            decision = self._known(bench, bench.named(Reference.parse(image)), logins, now)
            if decision is None:
                return None
            found.append(decision)
        self._tally.cached("decision", hits=len(found))
        return found

    # --- one image ---

    def _known(self, bench: Bench, image: Reference, logins: Logins, now: datetime) -> Decision | None:
        """Return what is decided about *image*, where nobody has to be asked for that."""
        rule, digest = self._rule(image), image.digest
        if rule.scope in self._rejecting:
            return bench.judge.judge(image, now)
        soon = now + _AHEAD * self._spans.reuse
        if digest is None:
            tag = (logins.id, str(image))
            if (served := self._tags.get(tag, now)) is None:
                return None
            digest = served.digest
            if self._tags.ends(tag, soon):
                self._in_advance(partial(self._tag, bench, image, logins, anew=True))
        place = (logins.id, rule.scope, image.repository)
        standing = self._standing.get(place, now)
        if standing is None:
            return None
        if self._standing.ends(place, soon):
            self._in_advance(partial(self._stands, bench, image, place, anew=True))
        key = _key(image, str(digest), standing, logins)
        return self._trusted.get(key, now) or self._refused.get(key, now)

    def _in_advance(self, ask: Callable[[], object]) -> None:
        """Have *ask* run when there is time, if there is enough of it; what it raises is for who asks next."""
        if self._room.acquire(blocking=False):
            self._ahead.submit(ask).add_done_callback(lambda _: self._room.release())

    def _find(self, bench: Bench, image: Reference, logins: Logins) -> Decision:
        """Ask what a decision about *image* rests on; return what is decided about that, or decide it."""
        try:
            return self._decision(bench, image, logins)
        except TrustregError as exc:  # settings that cannot be used for it
            return self._unknown(image, exc)

    def _decision(self, bench: Bench, image: Reference, logins: Logins) -> Decision:
        rule, served = self._rule(image), None
        with self._lock:
            self._names.add(image.repository)
        if image.digest is None:
            try:
                served = self._tag(bench, image, logins)
            except (UntrustedError, UnavailableError) as exc:
                return self._judge(bench, image, partial(_throw, exc))
        again = partial(_same, served) if served else None
        try:
            place = (logins.id, rule.scope, image.repository)
            standing = self._stands(bench, image, place)
        except (UntrustedError, UnavailableError):
            return self._judge(bench, image, again)  # it says what is wrong, and that is not remembered
        key = _key(image, str(served.digest if served else image.digest), standing, logins)

        def judge() -> Decision:
            now = self._clock()
            if decided := self._trusted.get(key, now) or self._refused.get(key, now):
                return decided
            decision = self._judge(bench, image, again)
            self._keep(key, decision, rule, standing, now)
            return decision

        return self._judged.once(key, judge)

    def _tag(self, bench: Bench, image: Reference, logins: Logins, *, anew: bool = False) -> Manifest:
        """Return what the tag of *image* is; *anew*, ask for it though it is remembered."""
        key = (logins.id, str(image))
        found = None if anew else self._tags.get(key, self._clock())
        return found or self._asked.once(("tag", *key), lambda: self._serve(bench, image, key))

    def _serve(self, bench: Bench, image: Reference, key: tuple[str, ...]) -> Manifest:
        """Ask the registry what the tag of *image* is; what has that digest is fetched once."""
        now = self._clock()
        with self._tally.upstream("registry"):
            digest = bench.shelves.digest(image)
            served = bench.shelves.manifest(replace(image, tag=None, digest=digest) if digest else image)
        self._tags.put(key, served, now, now + self._spans.reuse)
        return served

    def _stands(
        self, bench: Bench, image: Reference, place: tuple[str, ...], *, anew: bool = False
    ) -> tuple[Standing, ...]:
        """Return how the collections stand that speak of *image*; *anew*, ask for it though it is remembered."""
        found = None if anew else self._standing.get(place, self._clock())
        return (
            self._asked.once(("standing", *place), lambda: self._stand(bench, image, place)) if found is None else found
        )

    def _stand(self, bench: Bench, image: Reference, place: tuple[str, ...]) -> tuple[Standing, ...]:
        """Ask how the collections stand that speak of *image*."""
        now = self._clock()
        with self._tally.upstream("trust"):
            standing = bench.judge.standing(image, now)
        for one in standing:
            self._tally.standing(one)
        reuse = self._spans.reuse
        # The policy may let a collection answer for longer; then it is looked at again a little later.
        ends = [min(max(one.asked + reuse, now + reuse / 4), one.expires) for one in standing]
        self._standing.put(place, standing, now, min(ends, default=now + _LONG))
        return standing

    def _judge(self, bench: Bench, image: Reference, served: Callable[[], Manifest] | None) -> Decision:
        with self._tally.upstream("judging"):
            return bench.judge.judge(image, self._clock(), served=served)

    def _keep(
        self, key: tuple[Any, ...], decision: Decision, rule: Rule, standing: tuple[Standing, ...], now: datetime
    ) -> None:
        """Remember *decision* until it might be another; what is not known is not remembered."""
        ends = [*self._ends[rule.scope], *(one.expires for one in standing), *_answered(decision)]
        soonest = min((end for end in ends if end > now), default=now + _LONG)
        if decision.verdict == "trusted":
            self._trusted.put(key, decision, now, min(soonest, now + self._spans.trusted))
        elif decision.verdict == "untrusted":
            self._refused.put(key, decision, now, min(soonest, now + self._spans.refused))

    def _rule(self, image: Reference) -> Rule:
        return self.policy.rule(self.policy.logical(image))

    def _late(self, image: Reference) -> Decision:
        return self._unknown(image, DeadlineError(str(image)))

    def _unknown(self, image: Reference, error: TrustregError) -> Decision:
        rule = self._rule(image)
        return Decision(
            image=str(image),
            logical=str(self.policy.logical(image)),
            rule=rule,
            verdict="unknown",
            allowed=rule.mode != "enforce",
            error=error,
        )

    def _of(self, logins: Logins) -> Bench:
        """Return who judges with *logins*."""
        with self._lock:
            if bench := self._benches.pop(logins.id, None):
                self._benches[logins.id] = bench
                return bench
        made = self._bench(self.policy, logins)
        with self._lock:
            if len(self._benches) >= _MOST_LOGINS:
                del self._benches[next(one for one in self._benches if one)]
            return self._benches.setdefault(logins.id, made)


def _key(image: Reference, digest: str, standing: tuple[Standing, ...], logins: Logins) -> tuple[Any, ...]:
    return logins.id, str(image), digest, tuple(one.versions for one in standing)


def _ends(requirement: Requirement) -> Iterator[datetime]:
    """Yield when something in *requirement* ends, whatever is asked by it."""
    if isinstance(requirement, OldOrNew):
        yield requirement.until
    if isinstance(requirement, AllOf | AtLeast | OldOrNew):
        for part in requirement.parts:
            yield from _ends(part)


def _answered(decision: Decision) -> Iterator[datetime]:
    """Yield when the answers end that *decision* rests on."""
    for one in decision.judged:
        for answer in one.answer.each():
            if isinstance(end := answer.facts.get("expires"), datetime):
                yield end


def _same(served: Manifest) -> Manifest:
    return served


def _throw(error: Exception) -> Manifest:
    raise error


_MOST = 16_384  # decisions; at 5 kB each
_MOST_NAMES = 16_384  # repositories before all is made anew: a cluster has fewer, somebody who makes names up has not
_MOST_LOGINS = 64  # sets of them, each with connections of its own
AT_ONCE = 32  # images judged at the same time; they wait for others mostly
_AHEAD = 0.4  # of the time that something may be used again, from when on it is asked for anew before that is over
_MOST_AHEAD = 64  # questions; of more images than that, the others are asked for when they are needed
_LONG = timedelta(days=1)

"""A table of images and of what a policy is expected to say of each: the test of a policy."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, cast, get_args

from trustreg.dialects.reading import Members
from trustreg.errors import FormatError, NameFormError, PolicyError, PolicyRefusedError, PolicyUnknownError
from trustreg.judging import Decision, Word
from trustreg.names import Reference
from trustreg.policy import Leaf, Policy, Rule
from trustreg.values import dataclass
from trustreg.verify.policy import NO, UNKNOWN, YES, Answer, evaluate


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What is expected of one image; what is ``None`` does not matter.

    Attributes:
        image: As it will be asked for.
        verdict: ``trusted``, ``untrusted`` or ``unknown``.
        allowed: Whether it may be used, which is more where a rule does not enforce.
        rule: The name or scope of the rule that it is judged by.
        code: A reason, where it is not trusted.
        platform: Of an index, this instance.
        where: Where it stands, ``table.yaml:3``.
    """

    image: Reference
    verdict: Word | None = None
    allowed: bool | None = None
    rule: str | None = None
    code: str | None = None
    platform: str | None = None
    where: str = ""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one expectation.

    Attributes:
        expected: What was expected.
        rule: The rule that the image is judged by.
        verdict: What was found out; ``None`` where nobody was asked.
        codes: The reasons, where it is not trusted.
        problems: What is otherwise than expected.
        unasked: What was not looked at, because nobody was to be asked.
        unclear: It is otherwise only because something could not be found out.
    """

    expected: Expected
    rule: Rule
    verdict: Word | None
    codes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    unasked: tuple[str, ...] = ()
    unclear: bool = False


def read(document: Any, source: str, line: Callable[[str], int]) -> tuple[Expected, ...]:
    """Read a table as it was parsed; *line* returns the line in which what is at a path begins.

    Raises:
        PolicyError: It is none.
    """
    if not isinstance(document, list) or not 0 < len(document) <= _MOST:
        raise PolicyError(source, 1, "", f"a list of 1 to {_MOST} images is due")
    try:
        return tuple(_expected(Members(_WHAT, f"[{n}]", one), source, line) for n, one in enumerate(document))
    except FormatError as exc:
        raise PolicyError(source, line(exc.path), exc.path, exc.problem) from exc


def compare(expected: Expected, decision: Decision) -> Outcome:
    """Say whether *decision* is as *expected*."""
    error = decision.error
    codes: tuple[str, ...] = (error.code,) if error else ()
    if isinstance(error, PolicyRefusedError | PolicyUnknownError):
        codes = error.codes
    return _outcome(expected, decision.rule, decision.verdict, codes, f": {error}" if error else "")


def compare_offline(expected: Expected, policy: Policy, now: datetime) -> Outcome:
    """Say whether *policy* judges the image by the rule that is *expected*, and ask nobody.

    Where the rule decides by itself, because it rejects everything or accepts anything, all is compared.
    """
    rule = policy.rule(policy.logical(expected.image))
    answer = evaluate(rule.require, _ask_nobody, now)
    if answer.outcome == UNKNOWN:
        wanted = tuple(name for name in ("verdict", "allowed", "code") if getattr(expected, name) is not None)
        return Outcome(expected=expected, rule=rule, verdict=None, problems=_of_rule(expected, rule), unasked=wanted)
    refused = (one for one in answer.each() if not one.parts and one.outcome == NO)
    codes = () if answer.outcome == YES else tuple(dict.fromkeys(one.code for one in refused))
    return _outcome(expected, rule, "trusted" if answer.outcome == YES else "untrusted", codes, "")


def _ask_nobody(leaf: Leaf) -> Answer:
    return Answer(path=leaf.path, kind="", outcome=UNKNOWN)


def _outcome(expected: Expected, rule: Rule, verdict: Word, codes: tuple[str, ...], because: str) -> Outcome:
    problems = []
    if expected.verdict not in {None, verdict}:
        problems.append(f"{expected.verdict} was expected, and it is {verdict}{because}")
    allowed = verdict == "trusted" or rule.mode != "enforce"
    if expected.allowed not in {None, allowed}:
        words = ("refused", "allowed") if allowed else ("allowed", "refused")
        problems.append(f"it was to be {words[0]}, and is {words[1]}: {verdict}, mode {rule.mode}")
    if expected.code is not None and expected.code not in codes:
        problems.append(f"the reason {expected.code} was expected, and it is {' and '.join(codes) or 'trusted'}")
    unclear = bool(problems) and verdict == "unknown"
    others = _of_rule(expected, rule)
    return Outcome(
        expected=expected,
        rule=rule,
        verdict=verdict,
        codes=codes,
        problems=(*others, *problems),
        unclear=unclear and not others,
    )


def _of_rule(expected: Expected, rule: Rule) -> tuple[str, ...]:
    if expected.rule in {None, rule.name, rule.scope or "default"}:
        return ()
    return (f"the rule {expected.rule} was expected, and it is {rule.name} ({rule.where})",)


def _expected(entry: Members, source: str, line: Callable[[str], int]) -> Expected:
    for name in entry.value:
        if name not in _MEMBERS:
            entry.fail(name, f"there is no such member; there are {', '.join(_MEMBERS)}")
    if not entry.value.keys() & {"expect", "allowed", "rule", "code"}:
        entry.fail("", "it has to say expect, allowed, rule or code: what is expected")
    if (verdict := _text(entry, "expect")) not in {None, *_WORDS}:
        entry.fail("expect", f"{verdict!r} is none of {', '.join(_WORDS)}")
    try:
        image = Reference.parse(entry.text("image"))
    except NameFormError as exc:
        entry.fail("image", str(exc))
    return Expected(
        image=image,
        verdict=cast("Word | None", verdict),
        allowed=entry.boolean("allowed") if "allowed" in entry.value else None,
        rule=_text(entry, "rule"),
        code=_text(entry, "code"),
        platform=_text(entry, "platform"),
        where=f"{source}:{line(entry.path)}",
    )


def _text(entry: Members, name: str) -> str | None:
    return entry.text(name) if name in entry.value else None


_WHAT: Final = "table"
_MOST = 10_000
_MEMBERS: Final = ("image", "expect", "allowed", "rule", "code", "platform")
_WORDS: Final = get_args(Word)

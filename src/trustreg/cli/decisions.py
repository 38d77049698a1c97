"""How decisions by a policy look: to people, and to programs."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from trustreg.cli.render import complain, moment, say, spell_error

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from trustreg.judging import Decision
    from trustreg.policy import Policy, Rule
    from trustreg.verify.policy import Answer


def print_decision(decision: Decision) -> None:
    """Print *decision* for people: what may be used on stdout, beginning with the name to use; all else on stderr."""
    for warning in decision.warnings:
        if warning in str(decision.error):  # what went wrong may have decided
            continue
        say(f"trustreg: note on {decision.image}: {warning}", err=True)
    rule = decision.rule
    if decision.error is None:
        say(f"{decision.pinned}  {briefly(decision)}")
        return
    word = "refused" if decision.verdict == "untrusted" else "could not find out"
    if not decision.allowed:
        complain(decision.error, f"trustreg: {word}")
        return
    if rule.mode == "warn":
        complain(decision.error, f"trustreg: warning: not enforced, or it would be: {word}")
    say(f"{decision.pinned or decision.image}  {decision.verdict}, and rule {rule.name} is not enforced ({rule.mode})")


def briefly(decision: Decision) -> str:
    """Return what a yes rests on."""
    grounds = ", ".join(dict.fromkeys(said for one in decision.judged for said in _grounds(one.answer)))
    return f"{grounds} (rule {decision.rule.name})"


def explain(policy: Policy, decision: Decision, others: Sequence[Rule]) -> Iterator[str]:
    """Yield lines that say how it came to *decision*; *others* are rules that cover the image and are less specific."""
    rule = decision.rule
    yield decision.image
    if decision.logical != decision.image:
        yield f"  signed as  {decision.logical}"
    yield f"  policy     {policy.source}"
    yield f"  rule       {rule.name} ({rule.where}), {_covers(rule)}; {rule.mode}; signed has to be: {_OF[rule.of]}"
    for other in others:
        yield f"             not {other.name} ({other.where}), {_covers(other)}: it is less specific"
    if decision.error and not decision.judged:
        yield f"  {decision.verdict}: {decision.error}"
    for one in decision.judged:
        yield f"  {one.part} {one.platform or ''}".rstrip() + f" {one.digest if decision.digest else ''}".rstrip()
        yield from _tree(one.answer, "    ")
    for warning in decision.warnings:
        yield f"  note       {warning}"
    yield f"  verdict    {decision.verdict}" + (
        "" if decision.allowed == (decision.error is None) else f", {rule.mode}"
    )
    if decision.pinned:
        yield f"  use        {decision.pinned}"


def spell_decisions(policy: Policy, decisions: Sequence[Decision]) -> dict[str, Any]:
    """Return *decisions* as ``schemas/decisions.schema.json`` has them."""
    return {
        "policy": policy.source,
        "policyDigest": f"sha256:{policy.digest}",
        "decisions": [spell_decision(decision) for decision in decisions],
    }


def spell_decision(decision: Decision) -> dict[str, Any]:
    """Return one of them."""
    rule = decision.rule
    return {
        "image": decision.image,
        "logical": decision.logical,
        "verdict": decision.verdict,
        "allowed": decision.allowed,
        "rule": {"name": rule.name, "scope": rule.scope, "where": rule.where, "mode": rule.mode, "of": rule.of},
        "digest": str(decision.digest) if decision.digest else None,
        "pinned": decision.pinned,
        "tagBound": decision.bound,
        "manifests": [
            {"digest": str(one.digest), "part": one.part, "platform": one.platform, "answer": _spell(one.answer)}
            for one in decision.judged
        ],
        "warnings": list(decision.warnings),
        "error": spell_error(decision.error) if decision.error else None,
    }


def _spell(answer: Answer) -> dict[str, Any]:
    return {
        "path": answer.path,
        "kind": answer.kind,
        "outcome": answer.outcome,
        "code": answer.code,
        "said": answer.said,
        "by": list(answer.by),
        "bindsTag": answer.bound,
        "facts": {name: moment(v) if isinstance(v, datetime) else v for name, v in answer.facts.items()},
        "parts": [_spell(part) for part in answer.parts],
    }


def _grounds(answer: Answer) -> Iterator[str]:
    """Yield what a yes rests on, in a few words each."""
    if answer.outcome != "yes":
        return
    for part in answer.parts:
        yield from _grounds(part)
    if answer.kind in {"gpg", "key"}:
        yield f"signed by {'GPG ' * (answer.kind == 'gpg')}key {answer.facts['key']} as {answer.facts['identity']}"
    elif answer.kind == "collection":
        expires = moment(answer.facts["expires"])
        yield f"listed as {answer.facts['tag']} by {' and '.join(answer.facts['roles'])}, good until {expires}"
    elif not answer.parts:
        yield answer.said


def _tree(answer: Answer, indent: str) -> Iterator[str]:
    code = f"{answer.code}: " if answer.code and not answer.parts else ""
    yield f"{indent}{answer.outcome or 'not asked':<10} {answer.kind}  " + (
        f"{code}{answer.said}" if answer.outcome else ""
    )
    for part in answer.parts:
        yield from _tree(part, f"{indent}  ")


def _covers(rule: Rule) -> str:
    return f"for {rule.scope}" if rule.scope else "for everything else"


_OF = {"index": "the index", "instance": "each instance", "both": "the index and each instance"}

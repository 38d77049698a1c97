"""``trustreg verify -f``: images in manifests judged, shown and pinned."""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import click

from trustreg import manifests
from trustreg.cli.decisions import briefly, spell_decision
from trustreg.cli.entry import EXIT_REFUSED, exit_code
from trustreg.cli.progress import progress
from trustreg.cli.render import aligned, caution, complain, moment, print_json, say, spell_error, spell_verdict, vouched
from trustreg.client import Trusted, Untrusted
from trustreg.errors import SettingError
from trustreg.io.manifests import STDIN, gather, write
from trustreg.judging import Decision
from trustreg.manifests import Result

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from trustreg.client import Verdict
    from trustreg.io.manifests import File
    from trustreg.manifests import Finding, Problem
    from trustreg.names import Reference
    from trustreg.policy import Policy
    from trustreg.wire import Wiring


class Asked(NamedTuple):
    """What somebody wants of manifests: files, how to print it, and what to do; ``compare`` is to ask the registry."""

    files: tuple[str, ...]
    as_: str
    pin: bool
    check: bool
    platform: str | None
    compare: bool


class _Rewritten(NamedTuple):
    file: File
    after: str


def verify_manifests(ctx: click.Context, wiring: Wiring, policy: Policy | None, asked: Asked) -> NoReturn:
    """Judge the images of manifests, print what is said of them, pin them if that is asked for, and end the command."""
    pin = asked.pin or asked.check
    to_stdout = STDIN in asked.files and asked.pin and not asked.check
    if to_stdout and (len(asked.files) > 1 or asked.as_ != "table"):
        raise click.UsageError("What is pinned of standard input is printed: no other file and format goes with it.")
    with progress("reading manifests"):
        files = list(gather(asked.files, policy.admission.extractors if policy else ()))
    places = [place for file in files for place in file.places]
    images = manifests.asked(places, pin=pin)
    with progress(f"judging {len(images)} images"):
        said = _judged(wiring, policy, images, asked)
    results = {image: _result(one) for image, one in said.items()}
    found: list[Finding] = []
    problems: list[Problem] = []
    changed: list[_Rewritten] = []
    for file in files:
        here = manifests.findings(file.places, results, pin=pin)
        after, failed = manifests.rewritten(file.text, here)
        found += here
        problems += file.problems + failed
        if after != file.text:
            changed.append(_Rewritten(file, after))
    if asked.pin and not asked.check:
        write({one.file.path: (one.file.text, one.after) for one in changed if one.file.path})
    for one in said.values():
        if isinstance(one, Trusted):
            caution(one)
    if to_stdout:
        _print_pinned(files, changed)
        _print_table(found, err=True)
        _print_rest(files, found, problems, changed, check=False)
    elif asked.as_ == "table" and asked.check:
        _print_diff(changed)
        _print_table([one for one in found if one.result.error], err=True)
        _print_rest(files, found, problems, changed, check=True)
    elif asked.as_ == "table":
        _print_table(found, err=False)
        _print_rest(files, found, problems, changed, check=False)
    else:
        _print_for_programs(ctx, wiring, policy, asked, files, found, problems, changed, said)
    codes = [exit_code(one.result.error) for one in found if one.result.error and not one.result.allowed]
    codes += [exit_code(problem.error) for problem in problems]
    codes += [EXIT_REFUSED] * bool(asked.check and changed)
    ctx.exit(min(codes, default=0))


def _judged(
    wiring: Wiring, policy: Policy | None, images: Sequence[Reference], asked: Asked
) -> Mapping[Reference, Decision | Verdict]:
    if asked.platform and not policy:
        raise click.UsageError("--platform is for policies: without one, the index is what is signed.")
    if len(images) > _MOST:
        raise SettingError(
            "-f", f"these files name {len(images)} different images, and at most {_MOST} are judged at once"
        )
    if not images:
        return {}
    said: Sequence[Decision | Verdict]
    if policy:
        said = wiring.decide_all(images, wiring.judge(policy), wiring.now(), platform=asked.platform)
    else:
        said = wiring.judge_all(images, wiring.verifier(), wiring.now(), compare=asked.compare)
    return dict(zip(images, said, strict=True))


def _result(said: Decision | Verdict) -> Result:
    if isinstance(said, Trusted):
        return Result(
            verdict="trusted", allowed=True, digest=said.digest, bound=True, said=f"tag {said.tag} {vouched(said)}"
        )
    if not isinstance(said, Decision):
        return Result(
            verdict="untrusted" if isinstance(said, Untrusted) else "unknown", allowed=False, error=said.error
        )
    return Result(
        verdict=said.verdict,
        allowed=said.allowed,
        digest=said.digest if said.allowed else None,
        bound=said.bound is True,
        said="" if said.error else briefly(said),
        error=said.error,
        mode=said.rule.mode,
        warnings=said.warnings,
    )


# --- for people ----------------------------------------------------------------------------------------------------


def _print_pinned(files: Sequence[File], changed: Sequence[_Rewritten]) -> None:
    for file in files:
        text = changed[0].after if changed else file.text
        sys.stdout.buffer.write(text.encode())
    sys.stdout.flush()


def _print_diff(changed: Sequence[_Rewritten]) -> None:
    from difflib import unified_diff

    for file, after in changed:
        name = "stdin" if file.name == STDIN else file.name
        for line in unified_diff(file.text.splitlines(), after.splitlines(), name, name, lineterm="", n=2):
            say(line)


def _print_table(found: Sequence[Finding], *, err: bool) -> None:
    rows = [(f"{one.place.file}:{one.place.line}", _word(one.result), one.place.text, _why(one)) for one in found]
    for line in aligned(("WHERE", "VERDICT", "IMAGE", "WHY"), rows) if rows else ():
        say(line, err=err)


def _print_rest(
    files: Sequence[File],
    found: Sequence[Finding],
    problems: Sequence[Problem],
    changed: Sequence[_Rewritten],
    *,
    check: bool,
) -> None:
    """Say on standard error what does not stand in the table."""
    for file in files:
        for passed in file.passed:
            say(f"trustreg: passed over {passed.file}:{passed.line}: {passed.why}", err=True)
    for problem in problems:
        complain(problem.error, "trustreg: could not be judged")
    for warning in dict.fromkeys(f"{one.place.text}: {said}" for one in found for said in one.result.warnings):
        say(f"trustreg: note on {warning}", err=True)
    words = Counter(_word(one.result) for one in found)
    said = [f"{number} {word}" for word, number in sorted(words.items())]
    said += [_many(len(problems), "problem")] * bool(problems)
    said += [f"{_many(len(changed), 'file')} {'to be pinned' if check else 'pinned'}"] * bool(changed)
    counted = f"{_many(len(found), 'place')} in {_many(len(files), 'file')}"
    say(f"trustreg: {counted}: {', '.join(said) or 'no images'}", err=True)


def _word(result: Result) -> str:
    return result.verdict if result.allowed == (result.error is None) else f"{result.verdict} ({result.mode})"


def _why(one: Finding) -> str:
    said = str(one.result.error) if one.result.error else one.result.said
    return f"{said}; as {one.change}" if one.change else said


def _many(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


# --- for programs --------------------------------------------------------------------------------------------------


def _print_for_programs(
    ctx: click.Context,
    wiring: Wiring,
    policy: Policy | None,
    asked: Asked,
    files: Sequence[File],
    found: Sequence[Finding],
    problems: Sequence[Problem],
    changed: Sequence[_Rewritten],
    said: Mapping[Reference, Decision | Verdict],
) -> None:
    if asked.as_ == "sarif":
        from trustreg._version import __version__
        from trustreg.report.sarif import sarif

        print_json(sarif(found, problems, __version__, check=asked.check))
        return
    if asked.as_ == "junit":
        from trustreg.report.junit import junit

        click.echo(junit(found, problems, check=asked.check), nl=False, color=True)
        return
    at = ctx.params["at"]
    bad = [{"file": one.file, "line": one.line, "error": spell_error(one.error)} for one in problems]
    print_json(
        {
            "policy": policy.source if policy else None,
            "policyDigest": f"sha256:{policy.digest}" if policy else None,
            "archive": ctx.params["archive"],
            "at": moment(wiring.now()) if at else None,
            "images": list(_spelled(found, said)),
            "problems": [*_unnamed(found), *bad],
            "passedOver": [{"file": p.file, "line": p.line, "why": p.why} for file in files for p in file.passed],
            "pinned": asked.pin and not asked.check,
            "changed": [one.file.name for one in changed],
        }
    )


def _spelled(found: Sequence[Finding], said: Mapping[Reference, Decision | Verdict]) -> Iterator[dict[str, Any]]:
    by_image: dict[Reference, list[Finding]] = {}
    for one in found:
        if one.image is not None:
            by_image.setdefault(one.image, []).append(one)
    for image, places in by_image.items():
        answer = said[image]
        spelled = spell_decision(answer) if isinstance(answer, Decision) else spell_verdict(answer)
        yield {**spelled, "allowed": places[0].result.allowed, "places": [_spelled_place(one) for one in places]}


def _spelled_place(one: Finding) -> dict[str, Any]:
    place = one.place
    return {
        "file": place.file,
        "line": place.line,
        "column": place.column,
        "pointer": place.pointer,
        "object": place.object,
        "group": place.group,
        "container": place.container,
        "text": place.text,
        "change": one.change,
    }


def _unnamed(found: Sequence[Finding]) -> Iterator[dict[str, Any]]:
    """Yield the places that name no image which could be judged."""
    for one in found:
        if one.image is None and one.result.error:
            yield {"file": one.place.file, "line": one.place.line, "error": spell_error(one.result.error)}


_MOST = 10_000  # different images; each costs requests to others

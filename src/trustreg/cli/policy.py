"""``trustreg policy``."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trustreg.cli.decisions import explain as explained
from trustreg.cli.decisions import spell_decisions
from trustreg.cli.entry import EXIT_REFUSED, EXIT_UNKNOWN
from trustreg.cli.options import DURATION, IMAGE, as_format, by_policy, make_wiring, reading
from trustreg.cli.progress import progress
from trustreg.cli.render import print_json, say
from trustreg.errors import ExistsError, PolicyError
from trustreg.identity import scopes
from trustreg.names import Reference
from trustreg.wire import Wiring

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trustreg.judging import Decision
    from trustreg.policy import Policy
    from trustreg.policy_lint import Finding
    from trustreg.policy_table import Expected, Outcome


@click.group(short_help="Explain, check, test and convert policies.")
def policy() -> None:
    """Explain, check, test and convert policies."""


@policy.command(short_help="Say what a policy says of an image, and why.")
@click.argument("image", type=IMAGE)
@click.option("--platform", metavar="OS/ARCH", help="Of an index, judge only this instance.")
@as_format
@by_policy
def explain(wiring: Wiring, image: Reference, as_: str, *, platform: str | None) -> None:
    """Say which rule of the policy IMAGE is judged by, and what each requirement of it answers.

    All requirements are asked, also those that could change nothing any more. It explains a no as well as a yes, so it
    ends with 0 either way; `trustreg verify` is what scripts use.

    \b
    Examples:
      trustreg policy explain --policy policy.yaml registry.example/team/app:1.0
      trustreg policy explain --policy /etc/containers/policy.json registry.example/team/app:1.0
    """
    rules = wiring.required_policy()
    image = wiring.logical(image)
    with progress(f"judging {image}"):
        decision = wiring.judge(rules).judge(image, wiring.now(), platform=platform, whole=True)
    if as_ == "json":
        print_json(spell_decisions(rules, [decision]))
        return
    covering = [rules.rules[scope] for scope in scopes(rules.logical(image)) if scope in rules.rules]
    for line in explained(rules, decision, covering[1:]):
        say(line)


_FILE = click.Path(path_type=Path)


@policy.command(short_help="Say what is odd about a policy.")
@click.argument("file", type=_FILE)
@click.option("--within", type=DURATION, default="30d", show_default=True, help="What ends within that time is.")
@click.option("--strict", is_flag=True, help="End with 1 for a warning, too.")
@as_format
@click.pass_context
def lint(ctx: click.Context, file: Path, within: timedelta, as_: str, *, strict: bool) -> None:
    """Say what is odd about the policy in FILE, though images may well be judged by it.

    Errors are what can never be as it is meant: rules that nothing reaches, and requirements that nobody can meet.
    Warnings are what is weaker than it looks, or ends soon. Notes are what may well be meant so. Ends with 1 if there
    are errors.

    \b
    Examples:
      trustreg policy lint policy.yaml
      trustreg policy lint --strict --within 90d /etc/containers/policy.json
    """
    from trustreg.io.policyfile import look
    from trustreg.policy_lint import lint as find
    from trustreg.policy_lint import refused

    try:
        policy, listed, elsewhere = look(file)
        findings = find(policy, make_wiring({}).now(), within, listed=listed, elsewhere=elsewhere)
    except PolicyError as exc:
        findings = (refused(exc),)
    if as_ == "json":
        print_json({"policy": str(file), "findings": [_spell_finding(finding) for finding in findings]})
    else:
        for finding in findings:
            say(f"{finding.severity}: {finding}")
            say(f"  remedy: {finding.remedy}")
        if not findings:
            say(f"{file}: nothing is odd")
    failing = {"error", "warning"} if strict else {"error"}
    ctx.exit(EXIT_REFUSED if any(finding.severity in failing for finding in findings) else 0)


@policy.command(short_help="Try a policy on a table of images.")
@click.argument("file", type=_FILE)
@click.argument("table", type=_FILE)
@click.option("--offline", is_flag=True, help="Ask nobody: compare rules, and a verdict where one alone decides.")
@as_format
@reading
@click.pass_context
def test(ctx: click.Context, wiring: Wiring, file: Path, table: Path, as_: str, *, offline: bool) -> None:
    """Say whether the policy in FILE says of images what TABLE expects.

    TABLE is a list, in YAML or JSON. Each entry has an `image`, and what is expected: `expect` (trusted, untrusted or
    unknown), `rule` (its name or scope), `code` (a reason), `allowed` (true or false).

    \b
    Exit codes: 0 all is as expected, 1 something is not, 3 something could not be found out.

    \b
    Examples:
      trustreg policy test policy.yaml expected.yaml
      trustreg policy test --offline policy.yaml expected.yaml
    """
    from trustreg.io.policyfile import load, load_table
    from trustreg.policy_table import compare_offline

    rules = load(file)
    expected = [replace(one, image=wiring.logical(one.image)) for one in load_table(table)]
    with progress(f"judging {len(expected)} image{'s' * (len(expected) > 1)}"):
        if offline:
            outcomes = [compare_offline(one, rules, wiring.now()) for one in expected]
        else:
            outcomes = _judge_all(wiring, rules, expected)
    failed = [one for one in outcomes if one.problems]
    if as_ == "json":
        spelled = [_spell_outcome(outcome) for outcome in outcomes]
        print_json({"policy": str(file), "table": str(table), "offline": offline, "results": spelled})
    else:
        for outcome in failed:
            for problem in outcome.problems:
                say(f"{outcome.expected.where}: {outcome.expected.image}: {problem}")
        unasked = sum(bool(outcome.unasked) for outcome in outcomes)
        rest = f", of {unasked} only the rule was compared" if unasked else ""
        say(f"{len(outcomes) - len(failed)} of {len(outcomes)} are as expected{rest}", err=bool(failed))
    ctx.exit(0 if not failed else EXIT_UNKNOWN if all(one.unclear for one in failed) else EXIT_REFUSED)


@policy.command("import", short_help="Make a policy of the policy.json of containers.")
@click.argument("file", type=_FILE)
@click.option("-o", "--output", type=_FILE, metavar="FILE", help="Write the policy to this new file.")
def import_(file: Path, output: Path | None) -> None:
    """Write a policy that decides as FILE, a policy.json, does.

    What cannot be taken over is said in its comments: it is left out where it is for no image in a registry, and
    rejects else. Keys stay where they are, and those in FILE itself move into the policy.

    \b
    Examples:
      trustreg policy import /etc/containers/policy.json
      trustreg policy import policy.json --output policy.yaml
    """
    from trustreg.io.files import write_atomically
    from trustreg.io.policyfile import look_at_json
    from trustreg.policy_import import write

    if output and output.exists():
        raise ExistsError(str(output))
    looked = look_at_json(file)
    beside = output is not None and output.absolute().parent == file.absolute().parent
    made = write(looked.policy, looked.elsewhere, str if beside else lambda path: str(file.absolute().parent / path))
    if output:
        write_atomically(output, made.text.encode(), 0o644)
    else:
        click.echo(made.text, nl=False)
    for lost in made.lost:
        say(f"trustreg: not taken over: {lost}", err=True)


def _judge_all(wiring: Wiring, rules: "Policy", expected: "Sequence[Expected]") -> "list[Outcome]":
    """Judge all images, several at once; the outcomes are in the order of the table."""
    from trustreg.policy_table import compare

    judge = wiring.judge(rules)
    decided: dict[int, Decision] = {}
    for platform in dict.fromkeys(one.platform for one in expected):
        places = [place for place, one in enumerate(expected) if one.platform == platform]
        images = [expected[place].image for place in places]
        decided |= dict(zip(places, wiring.decide_all(images, judge, wiring.now(), platform=platform), strict=True))
    return [compare(one, decided[place]) for place, one in enumerate(expected)]


def _spell_finding(finding: "Finding") -> dict[str, Any]:
    return {
        "code": finding.code,
        "severity": finding.severity,
        "where": finding.where,
        "message": str(finding),
        "remedy": finding.remedy,
        "facts": dict(finding.facts),
    }


def _spell_outcome(outcome: "Outcome") -> dict[str, Any]:
    rule = outcome.rule
    return {
        "image": str(outcome.expected.image),
        "where": outcome.expected.where,
        "rule": {"name": rule.name, "scope": rule.scope, "where": rule.where},
        "verdict": outcome.verdict,
        "codes": list(outcome.codes),
        "problems": list(outcome.problems),
        "unasked": list(outcome.unasked),
    }

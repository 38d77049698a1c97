"""``trustreg policy``."""

import click

from trustreg.cli.decisions import explain as explained
from trustreg.cli.decisions import spell_decisions
from trustreg.cli.options import IMAGE, as_format, by_policy
from trustreg.cli.progress import progress
from trustreg.cli.render import print_json, say
from trustreg.identity import scopes
from trustreg.names import Reference
from trustreg.wire import Wiring


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

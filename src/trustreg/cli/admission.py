"""``trustreg admission``."""

import sys

import click

from trustreg.cli.admission_serve import serve
from trustreg.cli.entry import EXIT_REFUSED, EXIT_UNKNOWN
from trustreg.cli.options import DURATION, by_policy
from trustreg.cli.render import print_json, say
from trustreg.wire import Wiring


@click.group(short_help="Say which objects may be admitted to a cluster.")
def admission() -> None:
    """Say which objects may be admitted to a cluster."""


@admission.command(short_help="Answer one review of a cluster.")
@click.option(
    "--mutating/--validating", default=False, help="Whether the answer may change the object. By default it may not."
)
@click.option("--timeout", metavar="TIME", type=DURATION, help="How long the server waits, as 10s.")
@by_policy
@click.pass_context
def review(ctx: click.Context, wiring: Wiring, *, mutating: bool, timeout: object) -> None:
    """Answer the AdmissionReview, or the ImageReview, on standard input.

    The answer is printed as the API server of Kubernetes takes it. It is that of `trustreg admission serve`, but that
    owners are not asked for, so that what was made for another object is judged itself.

    \b
    Exit codes: 0 it is admitted, 1 it is refused, 2 this is no review or a setting cannot be used, 3 it is
    refused because something could not be found out.

    \b
    Examples:
      trustreg admission review --policy policy.yaml < review.json
      trustreg admission review --policy policy.yaml --mutating < review.json
    """
    from datetime import timedelta

    from trustreg import admission as admitting
    from trustreg.dialects import admissionreview

    policy = wiring.required_policy()
    document = admissionreview.parse(sys.stdin.buffer.read(admissionreview.LARGEST + 1))
    deadline = wiring.today() + timeout if isinstance(timeout, timedelta) else None
    decide = wiring.decide(wiring.judge(policy), wiring.now)
    found = admitting.examine(document, decide, policy.admission, wiring.now(), mutating=mutating, deadline=deadline)
    print_json(found.response)
    for alert in found.alerts:
        say(f"trustreg: alert: {alert.kind} in {alert.namespace}: {alert.object}: {alert.reason}", err=True)
    if not found.allowed:
        refused = any(one.verdict == "untrusted" for one in found.images if not one.allowed)
        ctx.exit(EXIT_REFUSED if refused else EXIT_UNKNOWN)


admission.add_command(serve)

"""``trustreg verify``."""

from typing import TYPE_CHECKING

import click

from trustreg.cli.entry import exit_code
from trustreg.cli.options import IMAGE, judging
from trustreg.cli.progress import progress
from trustreg.cli.render import moment, print_json, print_verdict, say, spell_verdict
from trustreg.client import Unknown, Untrusted
from trustreg.errors import NoTrustDataError, ServerError, TlsError
from trustreg.names import Reference
from trustreg.wire import Wiring

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trustreg.client import Verdict
    from trustreg.policy import Policy


@click.command(short_help="Say whether images are what was signed.")
@click.argument("images", type=IMAGE, nargs=-1, metavar="[IMAGE...]")
@click.option(
    "-f",
    "--file",
    "files",
    multiple=True,
    metavar="FILE",
    help="Judge all images of a manifest, a folder or -. Repeatable.",
)
@click.option("--pin-images", is_flag=True, help="With -f: write the digests of what may be used into the manifests.")
@click.option("--check", is_flag=True, help="With -f: print what --pin-images would change, and change nothing.")
@click.option("--platform", metavar="OS/ARCH", help="By a policy: of an index, judge only this instance.")
@click.option("--no-registry", is_flag=True, help="Only resolve the signed digest; do not ask the registry.")
@click.option(
    "--format",
    "as_",
    type=click.Choice(["text", "json", "table", "sarif", "junit"]),
    help="How to print it: text for images, a table for -f by default.",
)
@judging
@click.pass_context
def verify(
    ctx: click.Context,
    wiring: Wiring,
    images: tuple[Reference, ...],
    files: tuple[str, ...],
    as_: str | None,
    *,
    pin_images: bool,
    check: bool,
    platform: str | None,
    no_registry: bool,
) -> None:
    """Say whether each IMAGE is what its publishers signed.

    By tag, the digest that was signed has to be the one the registry serves for that tag now. By digest
    (NAME@sha256:...), some tag has to be signed with that digest. Each line begins with the name to use from here
    on, pinned to the digest.

    Without a policy, the collection of each repository is asked. With one, the most specific rule for an image
    says what has to hold: signatures by GPG or plain keys, collections, and how many of them.

    With -f, the images are those that manifests of Kubernetes, Compose files and lists of images name. Of a folder,
    all .yaml, .yml and .json files are read, of anything else a list is one image a line.

    \b
    Exit codes: 0 all are, 1 some are refused or, with --check, not pinned, 2 a setting or a manifest cannot be
    used, 3 it could not be found out.

    \b
    Examples:
      trustreg verify registry.example/team/app:1.0
      trustreg verify --policy policy.yaml registry.example/team/app:1.0
      trustreg verify --format json registry.example/team/app@sha256:...
      trustreg verify --no-registry registry.example/team/app:1.0
      trustreg verify --policy policy.yaml -f deploy/ --format sarif > trustreg.sarif
      trustreg verify -f deploy/ --pin-images
      trustreg verify -f - --check
      trustreg verify --from backup --at 2026-12-01 --no-registry registry.example/team/app:1.0
    """
    if bool(images) == bool(files):
        raise click.UsageError("Name images, or files with -f; not both.")
    if not files and (pin_images or check or as_ in {"table", "sarif", "junit"}):
        raise click.UsageError("--pin-images, --check and --format table, sarif and junit are for -f.")
    if files and as_ == "text":
        raise click.UsageError("--format text is for images, not for -f.")
    policy = wiring.policy()
    if policy and (no_registry or ctx.params["archive"]):
        raise click.UsageError("A policy is about images as they are served: not with --no-registry and --from.")
    if files:
        from trustreg.cli.manifests import Asked, verify_manifests

        asked = Asked(files, as_ or "table", pin_images, check, platform, not no_registry)
        verify_manifests(ctx, wiring, policy, asked)
    if policy:
        _by_policy(ctx, wiring, policy, images, as_, platform)
    if platform:
        raise click.UsageError("--platform is for policies: without one, the index is what is signed.")
    with progress(f"verifying {len(images)} image{'s' * (len(images) > 1)}"):
        verdicts = wiring.judge_all(images, wiring.verifier(), wiring.now(), compare=not no_registry)
    if as_ == "json":
        archive, at = ctx.params["archive"], ctx.params["at"]
        judged = {"archive": archive, "at": moment(wiring.now()) if at else None}
        print_json({**judged, "verdicts": [spell_verdict(verdict) for verdict in verdicts]})
    else:
        for verdict in verdicts:
            print_verdict(verdict)
        _advise(ctx, wiring, zip(images, verdicts, strict=True))
    codes = [exit_code(verdict.error) for verdict in verdicts if isinstance(verdict, Untrusted | Unknown)]
    ctx.exit(min(codes, default=0))  # refused comes before a wrong setting, that before not knowing


def _advise(ctx: click.Context, wiring: Wiring, judged: "Iterable[tuple[Reference, Verdict]]") -> None:
    """Say what else may be meant, where a registry was taken for a trust server, and is none."""
    failed = [image for image, verdict in judged if isinstance(getattr(verdict, "error", None), _NO_COLLECTION)]
    if any(wiring.unplaced(image.gun) for image in failed) and not ctx.params["archive"]:
        say(
            "trustreg: nobody has said where collections are: --server or --store does; images that keys have signed, "
            "and no collection, are judged by a policy: --policy",
            err=True,
        )


def _by_policy(
    ctx: click.Context,
    wiring: Wiring,
    policy: "Policy",
    images: tuple[Reference, ...],
    as_: str | None,
    platform: str | None,
) -> None:
    from trustreg.cli.decisions import print_decision, spell_decisions

    with progress(f"judging {len(images)} image{'s' * (len(images) > 1)}"):
        decisions = wiring.decide_all(images, wiring.judge(policy), wiring.now(), platform=platform)
    if as_ == "json":
        print_json(spell_decisions(policy, decisions))
    else:
        for decision in decisions:
            print_decision(decision)
    codes = [exit_code(decision.error) for decision in decisions if decision.error and not decision.allowed]
    ctx.exit(min(codes, default=0))


_NO_COLLECTION = (NoTrustDataError, ServerError, TlsError)

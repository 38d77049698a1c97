"""``trustreg signatures``: what is kept of an image, and where."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from trustreg import attachments
from trustreg.attachments import Copied, Failed, Kept
from trustreg.cli.entry import EXIT_REFUSED, EXIT_UNKNOWN
from trustreg.cli.options import IMAGE, PLACE, as_format, confirm, settings, yes_option
from trustreg.cli.progress import progress
from trustreg.cli.render import complain, moment, print_json, say, spell_error, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from trustreg.attachments import Part
    from trustreg.names import Reference
    from trustreg.ports import Detached, Message, SignaturePlace, WritablePlace
    from trustreg.wire import Wiring


@click.group(short_help="List, copy and remove signatures of images.")
def signatures() -> None:
    """List, copy and remove signatures of images, by GPG and by plain keys, wherever they are kept.

    A place is tag, which is cosign's, referrers, extension, lookaside, which is where registries.d says, or
    lookaside: with a folder or a URL. Without one, all are looked at that are configured.
    """


_from = click.option(
    "--from", "places", type=PLACE, multiple=True, metavar="PLACE", help="Only signatures in this place. Repeatable."
)
_index_only = click.option("--index-only", is_flag=True, help="Of an index, leave out the images that it lists.")


@signatures.command("list", short_help="List the signatures of an image.")
@click.argument("image", type=IMAGE)
@_from
@_index_only
@as_format
@settings
@click.pass_context
def list_(
    ctx: click.Context, wiring: Wiring, image: Reference, places: tuple[str, ...], as_: str, *, index_only: bool
) -> None:
    """List the signatures of IMAGE, and of each image that its index lists.

    Nothing is verified: key, name, creator and time are what a signature claims, and whoever may write to a place can
    put any claim there. `trustreg verify --policy` verifies.

    \b
    Exit codes: 0 all places have answered, 1 there is no such image, 3 some have not.

    \b
    Examples:
      trustreg signatures list registry.example/team/app:1.0
      trustreg signatures list --from tag --format json registry.example/team/app:1.0
    """
    work = _Work(wiring, image, index_only=index_only)
    with progress(f"looking for signatures of {image}"):
        found = work.kept(wiring.signature_places(work.image, places))
    if as_ == "json":
        print_json(work.spelled(found))
    else:
        work.print(found)
    ctx.exit(EXIT_UNKNOWN if any(isinstance(one, Failed) for one in found) else 0)


@signatures.command(short_help="Copy signatures to another place, or to a copy of the image.")
@click.argument("image", type=IMAGE)
@click.argument("destination", type=IMAGE, required=False, metavar="[DEST-IMAGE]")
@_from
@click.option("--to", type=PLACE, metavar="PLACE", help="Where to. Without it, where a new signature would go.")
@_index_only
@as_format
@settings
@click.pass_context
def copy(
    ctx: click.Context,
    wiring: Wiring,
    image: Reference,
    destination: Reference | None,
    places: tuple[str, ...],
    to: str | None,
    as_: str,
    *,
    index_only: bool,
) -> None:
    """Copy the signatures of IMAGE, and of each image that its index lists, to another place.

    With DEST-IMAGE they are copied to those of that image, which has to be the same, digest by digest, as after
    `skopeo copy --all --preserve-digests`. They say what they said: whoever verifies them there asks for the name that
    was signed. What cannot be read is not copied, and what is there already not copied again.

    \b
    Exit codes: 0 all were copied, 1 some cannot be read or have no place there, 3 it could not be done.

    \b
    Examples:
      trustreg signatures copy registry.example/team/app:1.0 mirror.example/team/app:1.0
      trustreg signatures copy --from lookaside --to referrers registry.example/team/app:1.0
    """
    if destination is None and to is None:
        raise click.UsageError("Say where to: name another image, or a place with --to.")
    work = _Work(wiring, image, index_only=index_only)
    there = wiring.logical(destination) if destination else work.image

    def place(kind: type[Message | Detached]) -> WritablePlace:
        return wiring.signature_place(there, to) if to else wiring.default_place(there, kind)

    with progress(f"copying signatures of {image}"):
        if destination:
            attachments.require_same(there, wiring, work.parts[0])
        found = work.kept(wiring.signature_places(work.image, places))
        kept = [one for one in found if isinstance(one, Kept)]
        done = [*(one for one in found if isinstance(one, Failed)), *attachments.copy(kept, there, place)]
    if as_ == "json":
        print_json({**work.spelled(done, "copied"), "to": str(there)})
    else:
        for one in done:
            _print_copied(one)
        if not done:
            _say_nothing_is_there(image)
    ctx.exit(_code(done))


@signatures.command(short_help="Remove signatures of an image.")
@click.argument("image", type=IMAGE)
@click.argument("ids", nargs=-1, metavar="[ID...]")
@click.option("--all", "everything", is_flag=True, help="All that can be read, and are in the places looked at.")
@_from
@_index_only
@yes_option
@as_format
@settings
@click.pass_context
def remove(
    ctx: click.Context,
    wiring: Wiring,
    image: Reference,
    ids: tuple[str, ...],
    places: tuple[str, ...],
    as_: str,
    *,
    everything: bool,
    index_only: bool,
    yes: bool,
) -> None:
    """Remove the signatures of IMAGE whose ids begin with one of ID, as `trustreg signatures list` shows them.

    One that is in several places is removed from all of them; to leave it in others, say from which with --from. What
    cannot be read stays. A signature that is removed is not taken back: who has a copy of it can put it there again.

    \b
    Exit codes: 0 they are gone, 1 there is no such image, 2 no signature begins so, 3 it could not be done.

    \b
    Examples:
      trustreg signatures remove registry.example/team/app:1.0 5f0c2a11
      trustreg signatures remove --all --from lookaside:/srv/signatures registry.example/team/app:1.0
    """
    if bool(ids) == everything:
        raise click.UsageError("Say which: name their ids, or --all.")
    work = _Work(wiring, image, index_only=index_only)
    named = places or wiring.config().signatures(work.image.gun)
    there = [wiring.signature_place(work.image, text) for text in places] or wiring.signature_places(work.image)
    with progress(f"looking for signatures of {image}"):
        found = work.kept(there)
    kept = [one for one in found if isinstance(one, Kept)]
    readable = [one for one in kept if one.claims]
    wanted = readable if everything else attachments.chosen(readable, ids)
    if everything and wanted:
        confirm(f"Remove {len(wanted)} signature{'s' * (len(wanted) > 1)} of {image} from {', '.join(named)}?", yes=yes)
    done = [*(one for one in found if isinstance(one, Failed)), *attachments.remove(work.image, wanted, there)]
    done += (one for one in kept if everything and not one.claims)
    if as_ == "json":
        print_json(work.spelled(done, "removed"))
    for one in done if as_ == "text" else ():
        if isinstance(one, Failed):
            _print_failed(one)
        elif one.claims:
            say(f"{one.id[:12]}  removed from {one.found.where}")
        else:
            _complain_of(one, "stays, as it cannot be read")
    if as_ == "text" and not done:
        _say_nothing_is_there(image)
    ctx.exit(EXIT_UNKNOWN if any(isinstance(one, Failed) for one in done) else 0)


_FOUND = "found"


class _Work:
    """An image, its parts, and what is said of its signatures."""

    def __init__(self, wiring: Wiring, image: Reference, *, index_only: bool) -> None:
        self.image = wiring.logical(image)
        self.parts: Sequence[Part] = attachments.parts(self.image, wiring, recursive=not index_only)

    def kept(self, places: Sequence[SignaturePlace]) -> list[Kept | Failed]:
        return list(attachments.kept(self.image, self.parts, places))

    def print(self, found: Sequence[Kept | Failed]) -> None:
        kept = [one for one in found if isinstance(one, Kept)]
        for part in self.parts:
            mine = [one for one in kept if one.part == part]
            said = f" for {part.platform}" if part.platform else ""
            say(f"{self.image.pinned(part.digest)}{said}{'' if mine else ': no signatures'}")
            if mine:
                table(("ID", "KIND", "PLACE", "KEY", "NAME", "CREATOR", "TIME"), map(_row, mine))
        if any(one.claims for one in kept):
            say("trustreg: nothing of this was verified; `trustreg verify --policy` does that", err=True)
        for one in found:
            if isinstance(one, Failed):
                _print_failed(one)
            elif one.error:
                _complain_of(one, "is no signature")

    def spelled(self, found: Iterable[Copied | Kept | Failed], result: str = _FOUND) -> dict[str, Any]:
        """Return *found* as ``schemas/signatures.schema.json`` has it; *result* is what became of the signatures."""
        return {
            "image": str(self.image),
            "digest": str(self.parts[0].digest),
            "signatures": [_spelled(one, result) for one in found if not isinstance(one, Failed)],
            "failed": [_spelled_failure(one) for one in found if isinstance(one, Failed)],
        }


def _complain_of(one: Kept, what: str) -> None:
    """Say on standard error what is the matter with something among signatures."""
    if one.error:
        complain(one.error, f"trustreg: {one.found.where} {what}")


def _row(one: Kept) -> tuple[str, ...]:
    said = one.claims
    if said is None:
        return "-", "garbage" if one.kind == "garbage" else f"{one.kind}?", one.place, "-", "-", "-", "-"
    return (
        one.id[:12],
        one.kind,
        one.place,
        said.key or "-",
        said.name,
        said.creator or "-",
        _time(said.timestamp) or "-",
    )


def _print_copied(one: Copied | Kept | Failed) -> None:
    if isinstance(one, Copied):
        say(f"{one.kept.id[:12]}  {'copied' if one.added else 'there already'}: {one.where}")
    elif isinstance(one, Failed):
        _print_failed(one)
    else:
        _complain_of(one, "is not copied")


def _say_nothing_is_there(image: Reference) -> None:
    say(f"{image} has no signatures in the places that were looked at", err=True)


def _print_failed(one: Failed) -> None:
    complain(one.error, f"trustreg: {one.id[:12] or one.place}")


def _code(done: Sequence[Copied | Kept | Failed]) -> int:
    if any(isinstance(one, Failed) for one in done):
        return EXIT_UNKNOWN
    return EXIT_REFUSED if any(isinstance(one, Kept) for one in done) else 0


def _spelled(one: Copied | Kept, result: str) -> dict[str, Any]:
    kept = one.kept if isinstance(one, Copied) else one
    said = kept.claims
    if isinstance(one, Copied):
        result = "copied" if one.added else "present"
    elif one.error and result != _FOUND:
        result = "left"
    return {
        "manifest": str(kept.part.digest),
        "platform": kept.part.platform or None,
        "id": kept.id or None,
        "kind": kept.kind,
        "place": kept.place,
        "where": kept.found.where,
        "claims": said
        and {"key": said.key or None, "name": said.name, "creator": said.creator, "time": _time(said.timestamp)},
        "result": result,
        "to": one.where if isinstance(one, Copied) else None,
        "error": spell_error(kept.error) if kept.error else None,
    }


def _spelled_failure(one: Failed) -> dict[str, Any]:
    return {
        "manifest": str(one.part.digest),
        "place": one.place,
        "id": one.id or None,
        "error": spell_error(one.error),
    }


def _time(timestamp: int | None) -> str | None:
    """Return the moment that a signature claims; ``None`` where there is none, or none that a calendar has."""
    try:
        return None if timestamp is None else moment(datetime.fromtimestamp(timestamp, UTC))
    except (ValueError, OverflowError, OSError):
        return None

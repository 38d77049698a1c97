"""The end of every command that changes something: stage or publish, and say what was done."""

from collections.abc import Sequence

import click

from trustreg.cli.changes import print_published, say_change, spell_change, spell_published
from trustreg.cli.progress import progress
from trustreg.cli.render import print_json, say
from trustreg.errors import NoKeyError
from trustreg.names import Gun
from trustreg.publisher import Published
from trustreg.sign.changes import Change
from trustreg.wire import Wiring

no_publish_option = click.option(
    "--no-publish", is_flag=True, help="Only stage the change; `trustreg publish` sends it."
)


def finish(
    wiring: Wiring, changes: Sequence[tuple[Gun, Change]], as_: str, *, no_publish: bool, guns: tuple[Gun, ...] = ()
) -> None:
    """Publish *changes* after what is staged in the collections of *guns*, or stage them, and say what was done."""
    publisher = wiring.publisher()
    by_home: dict[Gun, tuple[Gun, list[Change]]] = {}
    for gun in (*guns, *(gun for gun, _ in changes)):
        by_home.setdefault(publisher.home(gun), (gun, []))
    for gun, change in changes:
        by_home[publisher.home(gun)][1].append(change)
    if no_publish:
        for gun, mine in by_home.values():
            publisher.stage(gun, mine)
        if as_ == "json":
            print_json({"staged": [{"gun": str(gun), **spell_change(change)} for gun, change in changes]})
        for gun, change in changes if as_ == "text" else ():
            say(f"staged: {say_change(change, prefix(wiring, gun))}")
        return
    done: list[tuple[Gun, Published]] = []
    try:
        for gun, mine in by_home.values():
            with progress("publishing"):
                done.append((gun, publish(wiring, gun, mine)))
    finally:  # what was published was published, whatever became of the rest
        if as_ == "json" and done:
            print_json({"published": [spell_published(each) for _, each in done]})
        for gun, each in done if as_ == "text" else ():
            print_all(each, prefix(wiring, gun))


def publish(wiring: Wiring, gun: Gun, changes: Sequence[Change]) -> Published:
    """Publish *changes*; say how to go on where keys of others are needed."""
    try:
        return wiring.publisher().publish(gun, wiring.now(), changes)
    except NoKeyError as exc:
        if exc.wanted:
            exc.add_note("if others have the keys: stage it with --no-publish, then `trustreg ceremony prepare FILE`")
        raise


def print_all(published: Published, before: str) -> None:
    """Say what was changed and published."""
    for change in published.changes:
        say(say_change(change, before))
    print_published(published)


def prefix(wiring: Wiring, gun: Gun) -> str:
    """Return what stands before the name of a target of *gun*: in stores they have names in full."""
    return "" if wiring.stored(gun) else f"{gun}:"


def result(published: Published, as_: str, before: str = "") -> None:
    """Print one publication."""
    if as_ == "json":
        print_json({"published": [spell_published(published)]})
    else:
        print_all(published, before)

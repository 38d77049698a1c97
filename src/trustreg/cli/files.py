"""``trustreg add``, ``check`` and ``fetch``: any file can be a target, not only the manifest of an image."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

import click

from trustreg.cli.changes import hexed
from trustreg.cli.finish import finish, no_publish_option
from trustreg.cli.options import as_format, gun_option, reading, writing
from trustreg.cli.progress import progress, transfer
from trustreg.cli.render import announce, moment, print_json, say, vouched
from trustreg.errors import SettingError
from trustreg.metadata import FileMeta
from trustreg.names import Digest
from trustreg.reader import Receipt
from trustreg.wire import Wiring, gather

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from trustreg.names import Gun
    from trustreg.publisher import Content
    from trustreg.reader import Target
    from trustreg.sign.changes import AddTarget

_PATH = click.Path(path_type=Path)


def _json(_ctx: click.Context, _param: click.Parameter, text: str | None) -> Any:
    try:
        return None if text is None else json.loads(text)
    except ValueError as exc:
        raise click.BadParameter(f"this is not JSON: {exc}.") from exc


def _digests(_ctx: click.Context, _param: click.Parameter, texts: tuple[str, ...]) -> dict[str, bytes]:
    digests = [Digest.parse(text) for text in texts]
    return {digest.algorithm: bytes.fromhex(digest.hex) for digest in digests}


@click.command(short_help="Upload files and sign them.")
@click.argument("paths", type=_PATH, nargs=-1, metavar="PATH...")
@click.option("--name", default="", help="What to call the file; ending in a slash, what to put before each name.")
@click.option("--role", "roles", multiple=True, help="List them in this role and no other. Repeatable.")
@click.option("--custom", callback=_json, metavar="JSON", help="What is to be said of them besides.")
@click.option("--digest", "digests", multiple=True, callback=_digests, metavar="sha256:HEX", help="Instead of PATH.")
@click.option("--length", type=click.IntRange(0), help="Of what --digest is of, in bytes.")
@gun_option
@no_publish_option
@as_format
@writing
def add(
    wiring: Wiring,
    paths: tuple[Path, ...],
    name: str,
    roles: tuple[str, ...],
    custom: Any,
    digests: dict[str, bytes],
    length: int | None,
    gun: Gun | None,
    as_: str,
    *,
    no_publish: bool,
) -> None:
    """Upload the file at each PATH to the store, and sign it as a target of the collection there.

    A file is called by its last name; a folder stands for all files in it, called by their path from that folder on.
    A trust server takes no files: there, only what the file is is signed, and where it is kept is up to you. What is
    not at hand is signed by its --digest, --length and --name.

    \b
    Examples:
      trustreg add --store dir:/srv/trust --name docs/ manual.pdf
      trustreg add --store s3://trust/tools dist
      trustreg add --store dir:/srv/trust --name latest/tool --custom '{"arch": "arm64"}' build/tool
      trustreg add --gun registry.example/team/app --name manual.pdf build/manual.pdf
    """
    if bool(paths) == bool(digests):
        raise click.UsageError("Say what: PATH, or --digest, --length and --name.")
    home, now = wiring.collection(gun), wiring.now()
    if digests:
        if not name or length is None:
            raise click.UsageError("With --digest, say --length and --name too.")
        meta = FileMeta(length=length, hashes=digests, custom=custom)
        listed = wiring.publisher().listing(home, name, meta, now, roles)
        finish(wiring, [(home, change) for change in listed], as_, no_publish=no_publish)
        return
    with progress("reading"):
        contents = gather(paths, name, custom)
    changes: list[AddTarget] = []
    for content in contents:
        with transfer(content.name) as tell:
            told = replace(content, open=partial(_open, content, tell))
            changes += wiring.publisher().add_files(home, [told], now, roles)
    finish(wiring, [(home, change) for change in changes], as_, no_publish=no_publish)


@click.command(short_help="Say whether a file is what was signed.")
@click.argument("name")
@click.argument("path", type=click.Path(path_type=Path, allow_dash=True))
@gun_option
@as_format
@reading
def check(wiring: Wiring, name: str, path: Path, gun: Gun | None, as_: str) -> None:
    """Say whether the file at PATH, or what standard input brings where that is -, is what is signed as NAME.

    \b
    Examples:
      trustreg check --gun registry.example/team/app manual.pdf build/manual.pdf
      trustreg check --store dir:/srv/trust docs/manual.pdf -
    """
    home = wiring.collection(gun)
    with progress(f"reading {home}"):
        target = wiring.shelf(home, wiring.now()).find(name)
    receipt = Receipt(target)
    with click.open_file(str(path), "rb") as source:
        while piece := source.read(_PIECE):
            receipt.take(piece)
    receipt.close()
    if as_ == "json":
        print_json({"files": [_spell(target, path, fetched=False)]})
    else:
        say(f"{path}  {target.name} {vouched(target)}")


@click.command(short_help="Download files that are signed.")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("-o", "--output", type=_PATH, metavar="FILE", help="Write the one file to FILE.")
@click.option(
    "-d", "--directory", type=_PATH, metavar="DIR", help="Write files into DIR, by the last part of their names."
)
@gun_option
@as_format
@reading
def fetch(
    wiring: Wiring, names: tuple[str, ...], output: Path | None, directory: Path | None, gun: Gun | None, as_: str
) -> None:
    """Download the target NAME, verified: it appears when it is whole, and is what was signed.

    A file that is there already and is the target is not downloaded again; any other is replaced. A download that
    broke off goes on where it ended. Each line begins with the path.

    \b
    Examples:
      trustreg fetch --store https://trust.example/tools docs/manual.pdf
      trustreg fetch --store dir:/srv/trust -o /usr/local/bin/tool latest/tool
    """
    if output and (len(names) > 1 or directory):
        raise click.UsageError("--output is for one file; --directory takes several.")
    home = wiring.collection(gun)
    wiring.require_store(home, "to fetch files")
    with progress(f"reading {home}"):
        shelf = wiring.shelf(home, wiring.now())
        targets = [shelf.find(name) for name in names]
    if shelf.root_keyids:
        announce(home, shelf.root_keyids)
    paths = _places(targets, output, directory or Path())
    done = []
    for target, path in zip(targets, paths, strict=True):
        with transfer(target.name) as tell:
            fetched = shelf.fetch(target, path, tell)
        done.append(_spell(target, path, fetched=fetched))
        if as_ == "text":
            say(f"{path}  {target.name} {vouched(target)}")
    if as_ == "json":
        print_json({"files": done})


def _places(targets: list[Target], output: Path | None, directory: Path) -> list[Path]:
    """Return where each of *targets* is to be."""
    if output:
        return [output]
    found: dict[Path, str] = {}
    for target in targets:
        path = directory / _file_name(target)
        if path in found:
            raise SettingError("--directory", f"{target.name} and {found[path]} would both be {path}: fetch them apart")
        found[path] = target.name
    return list(found)


def _file_name(target: Target) -> str:
    """Return the last part of the name of *target*, if that can be the name of a file anywhere; else a safe one."""
    last = target.name.rpartition("/")[2]
    plain = last.isprintable() and not set(last) & set('\\:*?"<>|') and not last.startswith((".", "-", "~", " "))
    return last if last and plain and len(last.encode()) <= _LONGEST_NAME else target.file_name


def _spell(target: Target, path: Path, *, fetched: bool) -> dict[str, Any]:
    return {
        "name": target.name,
        "path": str(path),
        "length": target.length,
        "hashes": hexed(target),
        "custom": target.custom,
        "role": target.role,
        "keyids": list(target.keyids),
        "expires": moment(target.expires),
        "fetched": fetched,
    }


def _open(content: Content, tell: Callable[[int, int], None]) -> BinaryIO:
    return cast("BinaryIO", _Told(content, tell))


class _Told:
    """The file of *content*, telling how much of it was read."""

    def __init__(self, content: Content, tell: Callable[[int, int], None]) -> None:
        self._file, self._tell = content.open(), tell
        self._done, self._length = 0, content.length

    def read(self, size: int = -1) -> bytes:
        piece = self._file.read(size)
        self._done += len(piece)
        self._tell(self._done, self._length)
        return piece

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


_PIECE = 1 << 20  # bytes
_LONGEST_NAME = 200  # bytes; a file name has 255

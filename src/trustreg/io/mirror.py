"""What goes along with a mirrored collection: its images, its target files, what makes a folder look like a server."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast

from trustreg.errors import MovedError, NotInRegistryError, SettingError
from trustreg.io.stores.paths import served_key
from trustreg.metadata import Targets, target_path
from trustreg.names import Reference
from trustreg.ports import Write
from trustreg.values import dataclass
from trustreg.verify.requests import Want

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import BinaryIO

    from trustreg.copying import Copied
    from trustreg.io.registry import HttpRegistry
    from trustreg.io.stores.place import Place
    from trustreg.names import Digest, Gun
    from trustreg.ports import Store, TargetFiles


@dataclass(frozen=True, kw_only=True)
class Pushed:
    """What became of images, by tag.

    Attributes:
        sent: Those that were pushed.
        present: Those that were there.
        missing: Those that are signed, and that the layout lacks.
        unsigned: What else is in the layout, by its name there or its digest; it stays where it is.
    """

    sent: tuple[str, ...]
    present: tuple[str, ...]
    missing: tuple[str, ...]
    unsigned: tuple[str, ...]


def push(folder: Path, tags: Mapping[str, Digest], gun: Gun, registry: HttpRegistry) -> Pushed:
    """Push those of the images *tags* that the OCI layout in *folder* has to the repository *gun*, and look at each.

    Raises:
        MovedError: The registry shows something else than it was sent.
        UntrustedError: The layout holds something else than it says.
        UnavailableError: The layout lacks a part of an image, or an answer could not be had.
    """
    from trustreg.io.layout import Layout
    from trustreg.io.pushing import Pusher

    layout = Layout(folder)
    unsigned, missing, present, sent = layout.names(), list[str](), list[str](), list[str]()
    for tag, digest in tags.items():
        unsigned.pop(digest, None)
        image = layout.image(digest)
        if image is None:
            missing.append(tag)
            continue
        reference = Reference.parse(f"{gun}:{tag}")
        with suppress(NotInRegistryError):
            if registry.manifest(reference).digest == digest:
                present.append(tag)
                continue
        layout.push(image, tag, Pusher(registry, reference))
        if (served := registry.manifest(reference).digest) != digest:
            raise MovedError(str(gun), tag, str(digest), str(served))
        sent.append(tag)
    names = (name for digest, called in unsigned.items() for name in called or [str(digest)])
    return Pushed(sent=tuple(sent), present=tuple(present), missing=tuple(missing), unsigned=tuple(sorted(names)))


def carry(copied: Copied, source: TargetFiles, store: Store) -> tuple[str, ...]:
    """Have *store* hold the target files of *copied* that *source* has, and return the paths of those it lacked.

    Raises:
        ContentError: A file is not what is signed.
        UnavailableError: An answer could not be had.
    """
    from trustreg.io.stores.streams import Flowing

    carried = []
    for part in copied.roles.values():
        for name, meta in part.signed.targets.items() if isinstance(part.signed, Targets) else ():
            path = target_path(name, meta, consistent=copied.roots[-1].signed.consistent_snapshot)
            with cast("TargetFiles", store).open(path) as held:
                if held is not None:
                    continue
            with source.open(path) as stream:
                if stream is not None:  # else it is an image, which lies elsewhere
                    flowing = Flowing(stream, meta.length or 0, meta.hashes, f"the target {name}")
                    store.upload(path, cast("BinaryIO", flowing), meta.length or 0)
                    carried.append(path)
    return tuple(carried)


def served(place: Place, gun: Gun, env: Mapping[str, str]) -> Store:
    """Return the part of *place* that a web server is to show as that of *gun* on a trust server.

    Raises:
        SettingError: No web server can show this place.
    """
    if place.scheme == "oci":
        raise SettingError("--to", "a registry cannot be asked as a trust server is; name a folder or a bucket")
    return _at(place, env, served_key(gun))


def answer(place: Place, env: Mapping[str, str]) -> None:
    """Have *place* answer what clients ask a trust server for besides metadata, if nobody has seen to it yet.

    Raises:
        UnavailableError: It cannot be written.
    """
    base = _at(place, env, str)
    missing = [path for path in _ANSWERS if base.fetch(Want("", path, 65_536)) is None]
    base.write([Write(path=path, data=_ANSWERS[path]) for path in missing])


def _at(place: Place, env: Mapping[str, str], key: Callable[[str], str]) -> Store:
    if place.scheme == "dir":
        from trustreg.io.stores.folder import FolderStore

        return FolderStore(Path(place.rest), key=key)
    from trustreg.io.stores.objects import ObjectStore

    return ObjectStore(str(place), env, key=key)


_ANSWERS = {  # the second is what a web server may say with its 404
    "v2/index.html": b"{}\n",
    "v2/absent.json": b'{"errors":[{"code":"METADATA_NOT_FOUND","message":"there is no such file","detail":{}}]}\n',
}

"""The folder that keys, cached trust data and staged changes live in: our own, or one shared with Docker or notary."""

from pathlib import Path
from typing import Final, Literal, TypeAlias

from trustreg.errors import FileError
from trustreg.io.files import private_dir, read_if_present, write_atomically

Form: TypeAlias = Literal["own", "notary"]

MARKER: Final = "trustreg-store"


def store_form(directory: Path) -> Form:
    """Return the form of a trust directory: ``notary`` where Docker or notary use it too.

    A file ``trustreg-store`` marks ours. Without it, ``private`` or ``tuf`` inside, or one of the places those
    programs use, make it theirs. Anything else is, or will be, ours.

    Raises:
        FileError: It was written by a trustreg that knew more than this one.
    """
    marker = read_if_present(directory / MARKER, 64)
    if marker is not None:
        if marker.strip() != _LAYOUT:
            raise FileError(str(directory), "its layout is that of a newer trustreg")
        return "own"
    dockers = directory.name == "trust" and (
        directory.parent.name == ".docker" or (directory.parent / "config.json").exists()
    )
    theirs = directory.name == ".notary" or dockers
    return "notary" if theirs or any((directory / name).exists() for name in ("private", "tuf")) else "own"


def claim_store(directory: Path, form: Form | None = None) -> Form:
    """Make sure that *directory* is there, and settle its form before anything is written into it.

    Raises:
        FileError: It cannot be made, or others could write into it.
    """
    form = form or store_form(directory)
    private_dir(directory)
    if form == "own" and not (directory / MARKER).exists():
        write_atomically(directory / MARKER, _LAYOUT + b"\n", 0o644)
    return form


_LAYOUT = b"1"

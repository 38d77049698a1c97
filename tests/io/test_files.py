"""The atomic writer and the bounded reader leave whole files, and say in one sentence why they could not."""

import errno
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import pytest

from trustreg.errors import FileError
from trustreg.io import files


def test_a_written_file_is_read_back_and_private(tmp_path: Path) -> None:
    """
    What was written is there, for its owner alone, and no temporary file stays behind.
    """
    path = tmp_path / "a"

    files.write_atomically(path, b"one")
    files.write_atomically(path, b"two")

    assert files.read_bounded(path, 3) == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_link_is_replaced_and_what_it_led_to_stays(tmp_path: Path) -> None:
    """
    Whoever plants a symbolic link cannot direct a write elsewhere.
    """
    victim, path = tmp_path / "victim", tmp_path / "a"
    victim.write_bytes(b"old")
    path.symlink_to(victim)

    files.write_atomically(path, b"new")

    assert victim.read_bytes() == b"old"
    assert not path.is_symlink()


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "the disk quota is used up"),
        (errno.EROFS, "the file system is read-only"),
        (errno.EIO, "input/output error"),
    ],
)
def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int, sentence: str
) -> None:
    """
    Wherever writing fails, the old content is there, the temporary file is not, and the cause is named.
    """
    path = tmp_path / "a"
    path.write_bytes(b"old")
    _fail(monkeypatch, call, OSError(number, os.strerror(number)))

    with pytest.raises(FileError) as caught:
        files.write_atomically(path, b"new")

    assert str(caught.value) == f"{path}: {sentence}"
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_an_interrupt_leaves_no_temporary_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Ctrl-C in the middle of a write is no reason to leave anything behind.
    """
    _fail(monkeypatch, "fsync", KeyboardInterrupt())

    with pytest.raises(KeyboardInterrupt):
        files.write_atomically(tmp_path / "a", b"new")

    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_said() -> None:
    """
    What a real full device answers is in the table.
    """
    with pytest.raises(OSError, match="No space") as caught, Path("/dev/full").open("wb", buffering=0) as full:
        full.write(b"x")

    assert files.file_error("a", caught.value).problem == "the disk is full"


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (Path, "there is no such file"),
        (lambda p: p.mkdir(), "it is a folder, not a file"),
        (os.mkfifo, "it is a pipe, not a file"),
        (lambda p: p.symlink_to("/dev/zero"), "it is a device, not a file"),
        (lambda p: p.symlink_to(p), "symbolic links lead in a circle, or to where they may not"),
        (lambda p: p.write_bytes(b"x" * 11), "it is longer than the 10 bytes that it may have"),
    ],
    ids=["absent", "folder", "pipe", "device", "circle", "long"],
)
def test_only_a_short_regular_file_is_read(tmp_path: Path, make: Callable[[Path], Any], problem: str) -> None:
    """
    Everything else is refused at once, with one sentence.
    """
    path = tmp_path / "a"
    make(path)

    with pytest.raises(FileError) as caught:
        files.read_bounded(path, 10)

    assert (caught.value.path, caught.value.problem) == (str(path), problem)


def test_a_name_no_file_can_have_is_refused() -> None:
    """
    An embedded NUL is Python's ValueError, and ours FileError.
    """
    for attempt in (lambda p: files.read_bounded(p, 1), lambda p: files.write_atomically(p, b""), files.private_dir):
        with pytest.raises(FileError, match="this cannot be the name of a file"):
            attempt(Path("a\0b"))


def test_absence_is_none(tmp_path: Path) -> None:
    """
    A file that is not there is an answer where the caller says so.
    """
    assert files.read_if_present(tmp_path / "a", 10) is None
    assert files.read_if_present(tmp_path / "a" / "b", 10) is None


def test_a_mounted_secret_is_a_link_and_is_read(tmp_path: Path) -> None:
    """
    Kubernetes mounts secrets as links.
    """
    (tmp_path / "data").write_bytes(b"secret")
    (tmp_path / "a").symlink_to("data")

    assert files.read_bounded(tmp_path / "a", 10) == b"secret"


def test_a_pipe_is_read_where_the_caller_allows_it(tmp_path: Path) -> None:
    """
    ``--passphrase-file <(command)`` hands over a pipe.
    """
    reader, writer = os.pipe()
    os.write(writer, b"secret")
    os.close(writer)

    assert files.read_bounded(Path(f"/dev/fd/{reader}"), 10, pipes=True) == b"secret"
    os.close(reader)


def test_a_lock_excludes_and_is_released(tmp_path: Path) -> None:
    """
    A second holder waits, gives up with a sentence, and gets in once the first has left.
    """
    path = tmp_path / "lock"

    with files.locked(path):
        assert _refused(path, patience=0.05) == "another process has held this lock for 0.05 seconds"

    assert _refused(path) is None


def test_a_lock_survives_its_folder_being_cleared(tmp_path: Path) -> None:
    """
    Whoever waited on a lock file that was deleted meanwhile holds the new file, not the ghost.
    """
    path = tmp_path / "lock"
    entered = threading.Event()

    def wait() -> None:
        with files.locked(path):
            if _refused(path):
                entered.set()

    with files.locked(path):
        waiter = threading.Thread(target=wait)
        waiter.start()
        path.unlink()
    waiter.join()

    assert entered.is_set()


def test_a_private_folder_is_made_private(tmp_path: Path) -> None:
    """
    A new folder is ours alone, an existing one is taken as it is.
    """
    folder = tmp_path / "a" / "b"

    assert files.private_dir(folder) == folder
    assert files.private_dir(folder) == folder
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda p: p.write_bytes(b""), "it is not a folder"),
        (lambda p: p.mkdir() or p.chmod(0o777), "anybody may write to this folder"),
        (lambda p: p.symlink_to("/dev/null"), "it is not a folder"),
    ],
    ids=["file", "writable", "link"],
)
def test_a_folder_that_others_could_fill_is_refused(tmp_path: Path, make: Callable[[Path], Any], problem: str) -> None:
    """
    Keys and caches live only where nobody else can put anything.
    """
    path = tmp_path / "a"
    make(path)

    with pytest.raises(FileError) as caught:
        files.private_dir(path)

    assert caught.value.problem == problem


def test_a_folder_of_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The remedy names the user it should belong to.
    """
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)

    with pytest.raises(FileError, match="this folder belongs to another user") as caught:
        files.private_dir(tmp_path)

    assert caught.value.remedy == f"chown it to user id {os.getuid() + 1}"


def test_a_removed_file_is_gone_and_may_be_removed_again(tmp_path: Path) -> None:
    """
    Forgetting twice is no error; removing a folder is.
    """
    (tmp_path / "a").write_bytes(b"")

    files.remove_file(tmp_path / "a")
    files.remove_file(tmp_path / "a")

    with pytest.raises(FileError):
        files.remove_file(tmp_path)


def _refused(path: Path, *, patience: float = 0) -> str | None:
    try:
        with files.locked(path, patience=patience):
            return None
    except FileError as exc:
        return exc.problem


def _fail(monkeypatch: pytest.MonkeyPatch, call: str, exc: BaseException) -> None:
    def fail(*_: object) -> None:
        raise exc

    if call == "replace":
        monkeypatch.setattr(Path, "replace", fail)
    elif call == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    else:
        real = os.fdopen

        def fdopen(descriptor: int, mode: str) -> Any:
            file = real(descriptor, mode)
            monkeypatch.setattr(os, "fdopen", real)
            return _Full(file, exc)

        monkeypatch.setattr(os, "fdopen", fdopen)


class _Full:
    def __init__(self, file: Any, exc: BaseException) -> None:
        self._file, self._exc = file, exc

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, _: bytes) -> None:
        raise self._exc

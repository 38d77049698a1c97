"""Staged changes are in files that Go's clients read and write, in order, and never lost by half."""

import base64
import errno
import hashlib
import json
import os
import re
import stat
import threading
from collections.abc import Callable
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustreg.dialects.notary1 import Notary1
from trustreg.dialects.tuf1 import Tuf1
from trustreg.errors import FileError
from trustreg.io import stage as under_test
from trustreg.io.files import read_if_present
from trustreg.io.spelling import read_change, spell_change
from trustreg.io.stage import FileStage
from trustreg.metadata import FileMeta, Key
from trustreg.names import Gun, parent
from trustreg.sign.changes import (
    AddTarget,
    Amend,
    Change,
    Delegate,
    DelegateBins,
    Purge,
    RemoveTarget,
    SetExpiry,
    SetKeys,
    Undelegate,
    Witness,
)
from trustreg.sign.signer import LocalSigner

GUN = Gun("registry.example/team/app")
SHA256 = hashlib.sha256(b"hello\n").digest()
ADD = AddTarget(role="targets", name="1.0", meta=FileMeta(length=6, hashes={"sha256": SHA256}))
DATA = base64.b64encode(b'{"hashes":{"sha256":"%s"},"length":6}' % base64.b64encode(SHA256)).decode()
GIVEN = {
    "threshold": 1,
    "add_keys": [{"keytype": "ed25519", "keyval": {"public": base64.b64encode(bytes(32)).decode(), "private": None}}],
}


def said(document: Any) -> str:
    """Give the data of a change file."""
    return base64.b64encode(json.dumps(document, separators=(",", ":")).encode()).decode()


@pytest.fixture
def stage(tmp_path: Path) -> FileStage:
    return FileStage(tmp_path / "trust", GUN)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "trust" / "tuf" / "registry.example" / "team" / "app" / "changelist"


def put(folder: Path, document: Any, name: str = "00000000000000000001_x.change") -> Path:
    """Stage *document* as another tool might."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(document if isinstance(document, bytes) else json.dumps(document).encode())
    return path


def test_nothing_is_staged_and_reading_writes_nothing(tmp_path: Path, stage: FileStage) -> None:
    """
    To look is not to make folders.
    """
    assert stage.changes() == ()
    stage.clear([])
    assert list(tmp_path.iterdir()) == []


def test_the_files_are_those_of_go(stage: FileStage, folder: Path) -> None:
    """
    Name, members and content are what Go's client writes; for the owner alone.
    """
    stage.add(ADD)
    stage.add(RemoveTarget(role="targets/releases", name="1.0"))
    stage.add(Witness(role="targets/a/b"))
    key = Notary1().key("ed25519", bytes(32))
    stage.add(Amend(role="targets", name="targets/a", add_keys=(key,)))
    stage.add(Amend(role="targets", name="targets/a", remove_paths=("v1",)))
    stage.add(Purge(role="targets", keys=("aabb",)))
    stage.add(Undelegate(role="targets", name="targets/a"))

    paths = sorted(folder.iterdir())
    assert [json.loads(path.read_bytes()) for path in paths] == [
        {"action": "create", "role": "targets", "type": "target", "path": "1.0", "data": DATA},
        {"action": "delete", "role": "targets/releases", "type": "target", "path": "1.0", "data": None},
        {"action": "update", "role": "targets/a/b", "type": "witness", "path": "", "data": None},
        {"action": "create", "role": "targets/a", "type": "delegation", "path": "", "data": said(GIVEN)},
        {
            "action": "update",
            "role": "targets/a",
            "type": "delegation",
            "path": "",
            "data": said({"remove_paths": ["v1"]}),
        },
        {
            "action": "update",
            "role": "targets/*",
            "type": "delegation",
            "path": "",
            "data": said({"remove_keys": ["aabb"]}),
        },
        {"action": "delete", "role": "targets/a", "type": "delegation", "path": "", "data": None},
    ]
    for path in paths:
        assert re.fullmatch(
            r"\d{20}_[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\.change", path.name
        )
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("document", "change"),
    [
        ({"action": "create", "role": "targets", "type": "target", "path": "1.0", "data": DATA}, ADD),
        ({"action": "update", "role": "targets", "type": "target", "path": "1.0", "data": DATA}, ADD),
        (
            {"action": "delete", "role": "targets/a", "type": "target", "path": "v 1", "data": None},
            RemoveTarget(role="targets/a", name="v 1"),
        ),
        (
            {"action": "update", "role": "targets/a", "type": "witness", "path": "", "data": None},
            Witness(role="targets/a"),
        ),
        (
            {"action": "create", "role": "targets/a", "type": "delegation", "path": "", "data": said(GIVEN)},
            Amend(role="targets", name="targets/a", add_keys=(Notary1().key("ed25519", bytes(32)),)),
        ),
        (
            {
                "action": "create",
                "role": "targets/a",
                "type": "delegation",
                "path": "",
                "data": said({"add_paths": [""]}),
            },
            Amend(role="targets", name="targets/a", add_paths=("",)),
        ),
        (
            {
                "action": "update",
                "role": "targets/a/b",
                "type": "delegation",
                "path": "",
                "data": said({"remove_keys": ["aabb"], "clear_paths": True, "threshold": 0}),
            },
            Amend(role="targets/a", name="targets/a/b", remove_keys=("aabb",), clear_paths=True),
        ),
        (
            {
                "action": "update",
                "role": "targets/*",
                "type": "delegation",
                "path": "",
                "data": said({"remove_keys": ["aabb"]}),
            },
            Purge(role="targets", keys=("aabb",)),
        ),
        (
            {"action": "delete", "role": "targets/a", "type": "delegation", "path": "", "data": None},
            Undelegate(role="targets", name="targets/a"),
        ),
    ],
    ids=["create", "update", "delete", "witness", "keys", "paths", "fewer", "purge", "undelegate"],
)
def test_what_go_staged_is_read(stage: FileStage, folder: Path, document: Any, change: Change) -> None:
    """
    Each kind of change, as Go's client stages it.
    """
    path = put(folder, document)

    assert stage.changes() == ((path.name, change),)


names = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=40)
roles = st.just("targets") | st.from_regex(r"targets(/[-a-z0-9_]{1,8}){1,3}", fullmatch=True)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)
metas = st.builds(
    lambda length, sha256, sha512, custom: FileMeta(
        length=length, hashes={"sha256": sha256} | ({"sha512": sha512} if sha512 else {}), custom=custom
    ),
    st.integers(0, 2**53),
    st.binary(min_size=32, max_size=32),
    st.none() | st.binary(min_size=64, max_size=64),
    json_values,
)
delegated = st.from_regex(r"targets(/[-a-z0-9_]{1,8}){1,3}", fullmatch=True)
keys = st.binary(min_size=32, max_size=32).map(lambda public: Notary1().key("ed25519", public))
ids = st.lists(st.binary(min_size=32, max_size=32).map(bytes.hex), max_size=2).map(tuple)
paths = st.lists(st.just("") | names, max_size=2).map(tuple)
thresholds = st.none() | st.integers(1, 256)


def amended(  # as many things are to be said of a delegation
    name: str,
    add: list[Key],
    remove: tuple[str, ...],
    add_paths: tuple[str, ...],
    remove_paths: tuple[str, ...],
    clear: bool,
    threshold: int | None,
) -> Amend:
    return Amend(
        role=parent(name),
        name=name,
        add_keys=tuple(add),
        remove_keys=remove,
        add_paths=add_paths,
        remove_paths=remove_paths,
        clear_paths=clear,
        threshold=threshold,
    )


changes = (
    st.builds(AddTarget, role=roles, name=names, meta=metas)
    | st.builds(RemoveTarget, role=roles, name=names)
    | st.builds(Witness, role=roles)
    | st.builds(amended, delegated, *[st.lists(keys, max_size=2), ids, paths, paths], st.booleans(), thresholds)
    | st.builds(Purge, role=roles, keys=ids)
    | st.builds(lambda name: Undelegate(role=parent(name), name=name), delegated)
)


@given(st.lists(changes, max_size=6))
def test_every_change_comes_back_in_order(staged: list[Change]) -> None:
    """
    Whatever is staged is what is published, custom data and odd names included; what is cleared is gone, no more.
    """
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        stage = FileStage(Path(directory) / "trust", GUN)
        for change in staged:
            stage.add(change)
        found = FileStage(Path(directory) / "trust", GUN).changes()

        assert [change for _, change in found] == staged
        stage.clear(name for name, _ in found[:2])
        assert [change for _, change in stage.changes()] == staged[2:]


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (b"", ""),
        (b"{", ""),
        (b"[]", ""),
        (b"\xff", ""),
        (b"[" * 5000, ""),
        ({}, "role: it is missing"),
        ({"action": "create", "role": "targets", "type": "target", "path": "x", "data": None}, "data: "),
        ({"action": "create", "role": "targets", "type": "target", "path": "x", "data": "!"}, "data: "),
        ({"action": "create", "role": "targets", "type": "target", "path": "x", "data": "e30="}, "hashes"),
        ({"action": "create", "role": "targets", "type": "target", "path": 5, "data": DATA}, "path: "),
        ({"action": "create", "role": "root", "type": "target", "path": "x", "data": DATA}, "'root' has no targets"),
        ({"action": "create", "role": "../x", "type": "target", "path": "x", "data": DATA}, "'../x' has no targets"),
        ({"action": "rename", "role": "targets", "type": "target", "path": "x", "data": DATA}, "'rename' is none"),
        ({"action": "create", "role": "targets/a", "type": "delegation", "path": "", "data": None}, "data: "),
        ({"action": "rename", "role": "targets/a", "type": "delegation", "path": "", "data": "e30="}, "'rename' is"),
        ({"action": "create", "role": "targets", "type": "delegation", "path": "", "data": "e30="}, "delegated to"),
        (
            {"action": "create", "role": "targets/a", "type": "delegation", "path": "", "data": said({"threshold": 2})},
            "threshold: ",
        ),
        (
            {
                "action": "create",
                "role": "targets/a",
                "type": "delegation",
                "path": "",
                "data": said({"threshold": []}),
            },
            "threshold: ",
        ),
        (
            {
                "action": "create",
                "role": "targets/a",
                "type": "delegation",
                "path": "",
                "data": said({"add_keys": [{"keytype": "\ud800"}]}),
            },
            "not valid UTF-8",
        ),
        (
            {
                "action": "create",
                "role": "targets/a",
                "type": "delegation",
                "path": "",
                "data": said({"new_name": "b"}),
            },
            "new_name: ",
        ),
        ({"action": "create", "role": "root/a", "type": "delegation", "path": "", "data": "e30="}, "delegated to"),
        (
            {"action": "create", "role": "targets", "type": "role", "path": "", "data": "e30="},
            "'role' was staged by another tool; publish it with that one",
        ),
    ],
)
def test_what_cannot_be_published_stops_everything(stage: FileStage, folder: Path, document: Any, problem: str) -> None:
    """
    Nothing is skipped, since whoever staged something expects all of it; the sentence names the file and the fault.
    """
    stage.add(ADD)
    path = put(folder, document)

    with pytest.raises(FileError) as caught:
        stage.changes()

    said = str(caught.value)
    assert said.startswith(f"{path}: this is no change that can be published: ")
    assert problem in said
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda path: path.mkdir(), "it is a folder, not a file"),
        (os.mkfifo, "it is a pipe, not a file"),
        (lambda path: path.symlink_to("/dev/zero"), "it is a device, not a file"),
        (
            lambda path: path.write_bytes(b" " * (1 << 20) + b" "),
            "it is longer than the 1048576 bytes that it may have",
        ),
    ],
    ids=["folder", "pipe", "device", "long"],
)
def test_what_is_no_file_is_an_error(
    stage: FileStage, folder: Path, make: Callable[[Path], Any], sentence: str
) -> None:
    """
    A folder, a pipe, a device or a huge file is refused at once: nothing blocks, nothing is skipped.
    """
    folder.mkdir(parents=True)
    path = folder / "00000000000000000001_x.change"
    make(path)

    with pytest.raises(FileError) as caught:
        stage.changes()

    assert str(caught.value) == f"{path}: {sentence}"


def test_other_files_are_nobodys_change(stage: FileStage, folder: Path) -> None:
    """
    Half-written files of a process that died, and whatever else lies there, are passed over.
    """
    stage.add(ADD)
    put(folder, b"half", ".0123456789abcdef.tmp")
    put(folder, b"notes", "README")

    assert [change for _, change in stage.changes()] == [ADD]


def test_too_many_changes_are_an_error(stage: FileStage, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A folder that somebody flooded is not read to its end.
    """
    monkeypatch.setattr(under_test, "_MOST_CHANGES", 2)
    for _ in range(3):
        stage.add(ADD)

    with pytest.raises(FileError) as caught:
        stage.changes()

    assert str(caught.value) == f"{folder}: more than 2 changes are staged"


def test_what_another_process_published_meanwhile_is_passed_over(
    stage: FileStage, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A change that disappears between looking into the folder and reading it was published by somebody else.
    """
    stage.add(ADD)
    stage.add(Witness(role="targets"))
    first, second = sorted(folder.iterdir())

    def read(path: Path, limit: int) -> bytes | None:
        path.unlink() if path == first else None
        return read_if_present(path, limit)

    monkeypatch.setattr(under_test, "read_if_present", read)

    assert stage.changes() == ((second.name, Witness(role="targets")),)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_full_disk_stages_nothing(
    stage: FileStage, folder: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """
    A change that could not be written whole is not there at all, and that is said.
    """
    stage.add(ADD)

    def full(_descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(FileError):
            stage.add(ADD)

    assert len(list(folder.iterdir())) == 1


def test_a_folder_that_others_may_write_to_is_refused(stage: FileStage, folder: Path) -> None:
    """
    What anybody could plant there would be signed with the publisher's keys.
    """
    stage.add(ADD)
    folder.chmod(0o777)

    for use in (stage.changes, lambda: stage.add(ADD)):
        with pytest.raises(FileError) as caught:
            use()
        assert str(caught.value) == f"{folder}: anybody may write to this folder"


def test_many_stage_at_once(tmp_path: Path, stage: FileStage) -> None:
    """
    Eight threads, each with an object of its own: nothing is lost, and each one's order is kept.
    """

    def work(number: int) -> None:
        mine = FileStage(tmp_path / "trust", GUN)
        for step in range(10):
            mine.add(RemoveTarget(role="targets", name=f"{number}-{step}"))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    found = [change.name for _, change in stage.changes() if isinstance(change, RemoveTarget)]
    assert len(found) == 80
    for number in range(8):
        assert [name for name in found if name.startswith(f"{number}-")] == [f"{number}-{step}" for step in range(10)]


# --- what Notary has no form for ---

KEYS = [Tuf1().key(kind, LocalSigner.generate(kind).public) for kind in ("ed25519", "ecdsa")]
NAMES = st.text(min_size=1, max_size=20)
CHANGES: st.SearchStrategy[Change] = st.one_of(
    st.builds(
        AddTarget,
        role=NAMES,
        name=NAMES,
        meta=st.builds(
            FileMeta,
            length=st.integers(0, 2**50),
            hashes=st.fixed_dictionaries({"sha256": st.binary(min_size=32, max_size=32)}),
            custom=st.none() | st.dictionaries(NAMES, st.integers(0, 9)),
        ),
    ),
    st.builds(RemoveTarget, role=NAMES, name=NAMES),
    st.builds(Witness, role=NAMES),
    st.builds(
        SetKeys,
        role=NAMES,
        add=st.lists(st.sampled_from(KEYS), max_size=2).map(tuple),
        remove=st.lists(NAMES, max_size=2).map(tuple),
        threshold=st.none() | st.integers(1, 9),
        delegator=st.none() | NAMES,
    ),
    st.builds(
        Delegate,
        role=NAMES,
        name=NAMES,
        keys=st.lists(st.sampled_from(KEYS), max_size=2).map(tuple),
        threshold=st.integers(1, 9),
        patterns=st.lists(NAMES, max_size=2).map(tuple),
        hash_prefixes=st.lists(NAMES, max_size=2).map(tuple),
        terminating=st.booleans(),
        position=st.none() | st.integers(0, 9),
    ),
    st.builds(Undelegate, role=NAMES, name=NAMES),
    st.builds(
        DelegateBins,
        role=NAMES,
        bits=st.integers(1, 32),
        prefix=NAMES,
        keys=st.lists(st.sampled_from(KEYS), max_size=2).map(tuple),
        threshold=st.none() | st.integers(1, 9),
    ),
    st.builds(
        SetExpiry,
        role=NAMES,
        expires=st.none() | st.datetimes(timezones=st.just(UTC)),
        lifetime=st.none() | st.integers(0, 2**32).map(lambda seconds: timedelta(seconds=seconds)),
    ),
)


@given(CHANGES)
def test_every_change_has_a_form(change: Change) -> None:
    """
    What is read is what was written; a custom part and the spelling of keys are part of it.
    """
    again = read_change(spell_change(change))
    assert again == change
    assert spell_change(again) == spell_change(change)


def test_what_notary_cannot_say_waits_beside(stage: FileStage, folder: Path) -> None:
    """
    Notary's clients do not see it; here all is in the order in which it was staged.
    """
    odd = AddTarget(role="bin-3f", name="1.0", meta=ADD.meta)
    delegate = Delegate(role="targets", name="team", keys=(KEYS[0],), patterns=("*",))
    for change in (ADD, delegate, odd, Witness(role="timestamp"), RemoveTarget(role="targets", name="1.0")):
        stage.add(change)
    found = stage.changes()
    assert [change for _, change in found] == [
        ADD,
        delegate,
        odd,
        Witness(role="timestamp"),
        RemoveTarget(role="targets", name="1.0"),
    ]
    assert len(list(folder.iterdir())) == 2
    beside = folder.parent / "_trust" / "changes"
    assert len(list(beside.iterdir())) == 3
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in beside.iterdir())
    stage.clear([name for name, _ in found])
    assert stage.changes() == ()


@pytest.mark.parametrize(
    "wrong",
    [
        {"trustreg": 2},
        {"change": "delete-everything"},
        {"more": 1},
        {"role": 1},
        {"name": None},
        {"threshold": 0},
        {"keys": [{"keyid": "x"}]},
        {"position": -1},
    ],
)
def test_a_form_that_is_not_ours_is_an_error(stage: FileStage, folder: Path, wrong: dict[str, Any]) -> None:
    """
    Nothing is passed over.
    """
    stage.add(Delegate(role="targets", name="team", keys=(), patterns=("*",)))
    (path,) = (folder.parent / "_trust" / "changes").iterdir()
    path.write_bytes(json.dumps(json.loads(path.read_bytes()) | wrong).encode())

    with pytest.raises(FileError, match="no change that can be published"):
        stage.changes()

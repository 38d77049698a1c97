"""A passphrase is found where notary and Docker users keep it, asked for once, and shown never."""

import os
import pty
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from trustreg.errors import FileError, PassphraseError
from trustreg.io.passphrases import GPG, Passphrases, terminal_prompt

KEY = "0123456789abcdef" * 4
GUN = "docker.io/library/alpine"


class Person:
    """Answers questions in order, and remembers them."""

    def __init__(self, *answers: str) -> None:
        self.answers, self.questions = list(answers), list[str]()

    def __call__(self, question: str) -> str:
        self.questions.append(question)
        return self.answers.pop(0)


class Lock:
    """Opens with one passphrase, and counts the attempts."""

    def __init__(self, passphrase: str) -> None:
        self.passphrase, self.tried = passphrase, list[str]()

    def __call__(self, passphrase: str) -> str:
        self.tried.append(passphrase)
        if passphrase != self.passphrase:
            raise PassphraseError("file", "the passphrase is wrong")
        return "open"


@pytest.mark.parametrize(
    ("role", "names"),
    [
        ("root", ["TRUSTREG_PASSPHRASE", "NOTARY_ROOT_PASSPHRASE", "DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE"]),
        ("targets", ["TRUSTREG_PASSPHRASE", "NOTARY_TARGETS_PASSPHRASE", "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE"]),
        ("snapshot", ["NOTARY_SNAPSHOT_PASSPHRASE", "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE"]),
        ("targets/releases", ["NOTARY_DELEGATION_PASSPHRASE", "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE"]),
        ("alice", ["NOTARY_DELEGATION_PASSPHRASE", "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE"]),
        (None, ["NOTARY_ROOT_PASSPHRASE", "NOTARY_SNAPSHOT_PASSPHRASE", "DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE"]),
    ],
)
def test_the_variables_of_a_role(role: str | None, names: list[str]) -> None:
    """
    Each variable opens the keys of its role, alone and where the others are set for something else.
    """
    for name in names:
        wrong = dict.fromkeys(names, "something else")
        for environ in ({name: "secret"}, wrong | {name: "secret"}):
            assert Passphrases(environ).unlock(KEY, role, GUN, Lock("secret")) == "open"


def test_a_variable_of_another_role_is_not_tried() -> None:
    """
    The root's passphrase is not shown to the targets key.
    """
    lock = Lock("secret")

    with pytest.raises(PassphraseError):
        Passphrases({"NOTARY_ROOT_PASSPHRASE": "secret"}).unlock(KEY, "targets", GUN, lock)

    assert lock.tried == []


def test_a_gpg_key_is_shown_nothing_that_is_for_others() -> None:
    """
    It may be on a card that locks itself after three wrong PINs.
    """
    lock, typing = Lock("secret"), Passphrases({}, prompt=Person("typed for another", "secret"))
    others = dict.fromkeys(["NOTARY_ROOT_PASSPHRASE", "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE"], "something else")
    typing.unlock(KEY, "root", None, Lock("typed for another"))

    assert typing.unlock("A" * 40, GPG, None, lock) == "open"
    with pytest.raises(PassphraseError) as caught:
        Passphrases(others).unlock("A" * 40, GPG, None, lock)
    assert lock.tried == ["secret"]
    assert caught.value.remedy == "set TRUSTREG_PASSPHRASE, or use --passphrase-file"


def test_nobody_to_ask() -> None:
    """
    The remedy names the variables.
    """
    with pytest.raises(PassphraseError) as caught:
        Passphrases({"NOTARY_TARGETS_PASSPHRASE": ""}).unlock(KEY, "targets", GUN, Lock("secret"))

    assert str(caught.value) == f"key {KEY}: it is encrypted, and there is nobody to ask for its passphrase"
    assert caught.value.remedy == (
        "set TRUSTREG_PASSPHRASE, NOTARY_TARGETS_PASSPHRASE or DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE, "
        "or use --passphrase-file"
    )


def test_a_wrong_one_is_named_by_its_source_only() -> None:
    """
    A person is not asked where a passphrase was given; the message says where it came from, not what it is.
    """
    person = Person()
    passphrases = Passphrases({"NOTARY_ROOT_PASSPHRASE": "hunter2"}, prompt=person)

    with pytest.raises(PassphraseError) as caught:
        passphrases.unlock(KEY, "root", None, Lock("secret"))

    assert str(caught.value) == f"key {KEY}: the passphrase is wrong (from NOTARY_ROOT_PASSPHRASE)"
    assert "hunter2" not in repr(passphrases) + repr(caught.value) + repr(caught.value.facts())
    assert person.questions == []


def test_a_person_is_asked_once() -> None:
    """
    The second time, the key opens without a question.
    """
    person = Person("secret")
    passphrases = Passphrases({}, prompt=person)

    for _ in range(2):
        assert passphrases.unlock(KEY, "targets", GUN, Lock("secret")) == "open"

    assert person.questions == [f"Passphrase of the targets key 0123456789ab of {GUN}"]


def test_what_a_person_typed_for_one_key_is_tried_for_others() -> None:
    """
    Who has one passphrase for all keys types it once.
    """
    person = Person("secret", "another")
    passphrases = Passphrases({}, prompt=person)

    for key, right in ((KEY, "secret"), ("f" * 64, "secret"), ("e" * 64, "another")):
        assert passphrases.unlock(key, "targets", GUN, Lock(right)) == "open"

    assert len(person.questions) == 2


def test_a_person_has_three_attempts() -> None:
    """
    Each further question says that the last answer was wrong.
    """
    person = Person("one", "two", "secret")
    assert Passphrases({}, prompt=person).unlock(KEY, "root", None, Lock("secret")) == "open"
    assert person.questions[1:] == ["Wrong. Passphrase of the root key 0123456789ab"] * 2

    with pytest.raises(PassphraseError, match="the passphrase was wrong 3 times"):
        Passphrases({}, prompt=Person("one", "two", "three")).unlock(KEY, "root", None, Lock("secret"))


def test_what_was_remembered_may_have_changed() -> None:
    """
    A key that was encrypted anew meanwhile is asked about again.
    """
    person = Person("old secret", "new secret")
    passphrases = Passphrases({}, prompt=person)

    assert passphrases.unlock(KEY, "root", None, Lock("old secret")) == "open"
    assert passphrases.unlock(KEY, "root", None, Lock("new secret")) == "open"


def test_other_errors_are_not_taken_for_a_wrong_passphrase() -> None:
    """
    A damaged file ends the attempts.
    """

    def damaged(_: str) -> None:
        raise FileError("a", "damaged")

    with pytest.raises(FileError):
        Passphrases({"TRUSTREG_PASSPHRASE": "x"}).unlock(KEY, "root", None, damaged)


# --- files --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"secret", b"secret\n", b"secret\r\n"])
def test_a_file_wins_over_the_environment(tmp_path: Path, content: bytes) -> None:
    """
    One line, however it ends; blanks inside belong to it.
    """
    file = tmp_path / "passphrase"
    file.write_bytes(content)
    lock = Lock("secret")

    Passphrases({"TRUSTREG_PASSPHRASE": "x"}, file=file).unlock(KEY, "root", None, lock)

    assert lock.tried == ["secret"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "this file holds no passphrase"),
        (b"\n", "this file holds no passphrase"),
        (b"a\nb\n", "this file has to hold one passphrase, in one line"),
    ],
)
def test_a_file_that_holds_no_passphrase(tmp_path: Path, content: bytes, problem: str) -> None:
    """
    The sentence names the file.
    """
    file = tmp_path / "passphrase"
    file.write_bytes(content)

    with pytest.raises(PassphraseError) as caught:
        Passphrases({}, file=file).unlock(KEY, "root", None, Lock("secret"))

    assert (caught.value.key, caught.value.problem) == (str(file), problem)


@pytest.mark.parametrize("make", [Path, Path.mkdir, lambda path: path.write_bytes(bytes(5_000))])
def test_a_file_that_cannot_be_read(tmp_path: Path, make: Callable[[Path], object]) -> None:
    """
    Absent, a folder, endless: one sentence.
    """
    make(tmp_path / "passphrase")

    with pytest.raises(FileError, match="passphrase: "):
        Passphrases({}, file=tmp_path / "passphrase").unlock(KEY, "root", None, Lock("secret"))


def test_a_pipe_is_read_once() -> None:
    """
    ``--passphrase-file <(command)`` serves every key of the command.
    """
    reader, writer = os.pipe()
    os.write(writer, b"secret\n")
    os.close(writer)
    passphrases = Passphrases({}, file=Path(f"/dev/fd/{reader}"))

    for key in ("a", "b"):
        assert passphrases.unlock(key, "root", None, Lock("secret")) == "open"
    os.close(reader)


# --- new ones -----------------------------------------------------------------------------------------


def test_a_new_key_takes_what_is_given(tmp_path: Path) -> None:
    """
    Automation needs no person; what is given is not judged by its length, as Go does not.
    """
    (tmp_path / "p").write_text("pw")

    assert Passphrases({"NOTARY_ROOT_PASSPHRASE": "ab"}).choose(KEY, "root", None) == "ab"
    assert Passphrases({}, file=tmp_path / "p").choose(KEY, "root", None) == "pw"
    assert Passphrases({"TRUSTREG_NEW_PASSPHRASE": "n"}, file=tmp_path / "p").choose(KEY, "root", None) == "n"


def test_what_opens_a_key_is_no_new_passphrase() -> None:
    """
    Replacing one asks for another by a name of its own.
    """
    environ = {"NOTARY_ROOT_PASSPHRASE": "old"}

    with pytest.raises(PassphraseError, match="nobody to ask for a new passphrase") as caught:
        Passphrases(environ).choose(KEY, "root", None, replacing=True)

    assert caught.value.remedy == "set TRUSTREG_NEW_PASSPHRASE"
    environ["TRUSTREG_NEW_PASSPHRASE"] = "new"
    assert Passphrases(environ).choose(KEY, "root", None, replacing=True) == "new"


def test_a_person_types_a_new_one_twice() -> None:
    """
    Eight characters, twice alike, within three attempts.
    """
    person = Person("short", "long enough", "long enouhg", "long enough", "long enough")

    assert Passphrases({}, prompt=person).choose(KEY, "targets", GUN) == "long enough"

    new = f"New passphrase of the targets key 0123456789ab of {GUN}"
    assert person.questions == [
        new,
        f"At least 8 characters. {new}",
        "Once more",
        f"They differ. {new}",
        "Once more",
    ]
    with pytest.raises(PassphraseError, match="no new passphrase was chosen"):
        Passphrases({}, prompt=Person("a", "b", "c")).choose(KEY, "targets", GUN)
    with pytest.raises(PassphraseError, match="nobody to ask for a passphrase to encrypt it under"):
        Passphrases({}).choose(KEY, "targets", GUN)


def test_the_same_again_for_the_next_new_key() -> None:
    """
    A collection with four new keys does not ask for four passphrases, unless that is what the person wants.
    """
    person = Person("long enough", "long enough", "", "something else", "something else", "")
    passphrases = Passphrases({}, prompt=person)

    chosen = [passphrases.choose(letter * 64, "targets", GUN) for letter in "abcd"]

    assert chosen == ["long enough", "long enough", "something else", "something else"]
    assert "nothing: the same again" not in person.questions[0]
    assert person.questions[2].endswith(f" of {GUN} (nothing: the same again)")


def test_a_pin() -> None:
    """
    From its variable, or asked for once.
    """
    assert Passphrases({"TRUSTREG_HSM_PIN": "1234"}).secret("hsm:2", "pin") == "1234"
    person = Person("1234")
    passphrases = Passphrases({}, prompt=person)
    assert [passphrases.secret("hsm:2", "pin") for _ in range(2)] == ["1234", "1234"]
    assert person.questions == ["pin of hsm:2"]
    with pytest.raises(PassphraseError, match="key hsm:2: there is nobody to ask for its pin") as caught:
        Passphrases({}).secret("hsm:2", "pin")
    assert caught.value.remedy == "set TRUSTREG_HSM_PIN"


# --- the terminal -------------------------------------------------------------------------------------


def test_without_a_terminal_nobody_is_asked() -> None:
    """
    Not even where only one side is a terminal.
    """
    assert terminal_prompt() is None


def test_at_a_terminal_the_answer_is_not_shown() -> None:
    """
    A real one: the question appears, the answer does not, and stdout stays free for results.
    """
    code = "from trustreg.io.passphrases import terminal_prompt as t; a = t()('Passphrase'); print(len(a))"
    terminal, child = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=child, stderr=child, stdout=subprocess.PIPE, start_new_session=True
    )
    os.close(child)
    shown = b""
    deadline = time.monotonic() + 30
    while b"Passphrase: " not in shown and time.monotonic() < deadline:
        shown += os.read(terminal, 1024)
    os.write(terminal, b"hunter2\n")
    assert process.stdout is not None
    out = process.stdout.read()
    process.stdout.close()
    process.wait()
    os.close(terminal)

    assert out == b"7\n"
    assert b"hunter2" not in shown

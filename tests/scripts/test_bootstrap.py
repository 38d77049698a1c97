"""The bootstrap does what is needed, once, and says what it cannot do."""

from __future__ import annotations

import ast
import shutil
import sys
from pathlib import Path

import pytest

from scripts import bootstrap


class Commands:
    """Stands for every program that the bootstrap runs: what it ran, shortened, and whether it shall fail."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.fails = ""

    def __call__(self, argv: list[Path | str]) -> None:
        """Run nothing; ``-m venv`` leaves behind what the bootstrap looks for."""
        words = [str(word) for word in argv]
        self.ran.append(" ".join(word for word in words[2:] if not word.startswith("-")))
        if self.fails and self.fails in words:
            raise bootstrap.BootstrapError("exit 1")
        if "venv" in words:
            (Path(words[-1]) / "bin").mkdir(parents=True, exist_ok=True)
            (Path(words[-1]) / "bin" / "python").touch()
            (Path(words[-1]) / "pyvenv.cfg").touch()

    def since(self) -> list[str]:
        """Tell what ran since the last time this was asked."""
        ran, self.ran = self.ran, []
        return [command.split("/")[0].strip() for command in ran]


@pytest.fixture
def venv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the environment shall be."""
    place = tmp_path / "venv"
    monkeypatch.setenv("TRUSTREG_VENV", str(place))
    return place


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """All the source that there is."""
    file = tmp_path / "src.py"
    file.write_text("one")
    monkeypatch.setattr(bootstrap, "_project_files", lambda: [file])
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    monkeypatch.setattr(bootstrap, "LOCK", tmp_path / "lock")
    (tmp_path / "lock").write_text("click==8")
    return file


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> Commands:
    """The commands, which are not run."""
    fake = Commands()
    monkeypatch.setattr(bootstrap, "_run", fake)
    return fake


def test_only_what_changed_is_done_again(venv: Path, source: Path, commands: Commands) -> None:
    """
    The first time everything is done, then nothing; changed source is another wheel, a changed lock all but the venv.
    """
    everything = ["venv", "pip install", "pip wheel", "pip install"]

    assert bootstrap.bootstrap("test") == venv / "bin" / "python"
    assert commands.since() == everything
    bootstrap.bootstrap("test")
    bootstrap.bootstrap("demo")
    assert commands.since() == []
    source.write_text("two")
    bootstrap.bootstrap("test")
    assert commands.since() == everything[2:]
    bootstrap.LOCK.write_text("click==9")
    bootstrap.bootstrap("test")
    assert commands.since() == everything[1:]


def test_a_demo_is_no_place_to_test(venv: Path, source: Path, commands: Commands) -> None:
    """
    What was made for the demonstration lacks the tools; the tests get them.
    """
    bootstrap.bootstrap("demo")
    assert commands.since() == ["venv", "pip install"]
    bootstrap.bootstrap("test")
    assert commands.since() == ["pip install", "pip wheel", "pip install"]


def test_an_interrupted_installation_is_taken_up_again(venv: Path, source: Path, commands: Commands) -> None:
    """
    What failed half way does not count as done, whatever was there before.
    """
    bootstrap.bootstrap("test")
    source.write_text("two")
    commands.fails = "wheel"
    with pytest.raises(bootstrap.BootstrapError):
        bootstrap.bootstrap("test")
    commands.fails = ""
    commands.since()
    source.write_text("one")

    bootstrap.bootstrap("test")
    assert commands.since() == ["pip install", "pip wheel", "pip install"]


def test_nobodys_files_are_cleared_away(venv: Path, commands: Commands) -> None:
    """
    A directory with anything but a virtual environment in it is left alone.
    """
    venv.mkdir()
    (venv / "thesis.txt").touch()

    with pytest.raises(bootstrap.BootstrapError, match="something else than a virtual environment"):
        bootstrap.bootstrap("test")
    assert commands.ran == []


def test_names_and_contents_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A fingerprint changes with a name, with a byte, and when bytes move from one file to the next; not with the order.
    """
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    a, b = tmp_path / "a", tmp_path / "b"

    def written(first: str, second: str) -> str:
        a.write_text(first)
        b.write_text(second)
        return bootstrap.fingerprint([a, b])

    assert written("1", "2") == bootstrap.fingerprint([b, a])
    assert len({written("1", "2"), written("12", ""), written("", "12"), bootstrap.fingerprint([a])}) == 4


def test_this_python_will_do() -> None:
    """
    The running interpreter is new enough, so nothing else is looked for.
    """
    assert bootstrap.find_python() == Path(sys.executable)
    assert bootstrap.abilities(sys.executable) == {"version", "ensurepip"}
    assert bootstrap.abilities("/bin/false") == set()


def test_the_best_python_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A newer one on the path is found, and one with ensurepip goes before a newer one without.
    """
    able = {"python3": {"ensurepip"}, "python3.12": {"version"}, "python3.11": {"version", "ensurepip"}}
    monkeypatch.setattr(sys, "executable", "python3")
    monkeypatch.setattr(shutil, "which", lambda name: name if name in able else None)
    monkeypatch.setattr(bootstrap, "abilities", able.__getitem__)

    assert bootstrap.find_python() == Path("python3.11")
    del able["python3.11"]
    assert bootstrap.find_python() == Path("python3.12")
    del able["python3.12"]
    with pytest.raises(bootstrap.BootstrapError, match=r"3\.11 or newer is needed; there is python3\. Install one"):
        bootstrap.find_python()


def test_a_missing_ensurepip_is_named(venv: Path, commands: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Where ensurepip is missing and cannot be installed, the message has the very command.
    """
    monkeypatch.setattr(bootstrap, "abilities", lambda _: {"version"})
    monkeypatch.setattr(bootstrap, "apt_install", lambda _: False)
    package = f"python3.{sys.version_info.minor}-venv"

    with pytest.raises(bootstrap.BootstrapError, match=rf"On Debian: apt-get install {package};"):
        bootstrap.bootstrap("demo")


def test_debian_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    One apt-get installs what this Debian knows, by the best name it knows; without root nothing is tried.
    """
    ran: list[list[str]] = []

    def quietly(argv: list[str]) -> bool:
        ran.append(argv)
        return True

    monkeypatch.setattr(bootstrap, "_quietly", quietly)
    monkeypatch.setattr(bootstrap, "_apt_knows", ["skopeo", "docker.io"].__contains__)
    monkeypatch.setattr(bootstrap, "_become_root", list)
    monkeypatch.setattr(shutil, "which", lambda name: name)

    assert bootstrap.apt_install(["skopeo"], ["docker-cli", "docker.io"], ["skopeo"])
    assert ran[-1][-2:] == ["docker.io", "skopeo"]
    assert not bootstrap.apt_install(["skopeo"], ["notary"])
    assert ran[-1][-1] == "skopeo"
    ran.clear()
    monkeypatch.setattr(bootstrap, "_become_root", lambda: None)
    assert not bootstrap.apt_install(["skopeo"])
    assert ran == []


def test_usage(capsys: pytest.CaptureFixture[str]) -> None:
    """
    Anything but the two modes is a usage error.
    """
    assert bootstrap.main(["everything"]) == 2
    assert "demo|test" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["__init__", "bootstrap", "run_tests"])
def test_an_old_python_can_read_it(name: str) -> None:
    """
    What runs before an interpreter is chosen parses under Python 3.8.
    """
    source = (Path(bootstrap.__file__).parent / f"{name}.py").read_text()

    ast.parse(source, feature_version=(3, 8))

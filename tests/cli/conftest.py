"""A desk to work at: a trust server and a registry, a home, and the command line inside this process."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped,unused-ignore]

import trustreg
from scripts.images import image
from scripts.mini_registry import MiniRegistry
from scripts.push_image import push
from tests.peers import docker_registry
from tests.peers.command import clean_env
from tests.peers.trust import trustreg_serve
from trustreg.cli.entry import run
from trustreg.sign import keyfile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scripts.images import Image
    from tests.peers import Peer, RegistryPeer

PASSPHRASE = "a passphrase that nobody may see"
SCHEMAS = Path(trustreg.__file__).parent / "schemas"


@dataclass(frozen=True, slots=True)
class Said:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """The lines of standard output."""
        return self.out.splitlines()

    @property
    def talk(self) -> list[str]:
        """The lines of standard error."""
        return self.err.splitlines()


class Desk:
    """
    Where somebody works with one repository.

    Attributes:
        server: The trust server.
        registry: The registry of the images.
        gun: The collection of the repository, which no other test has.
        trust_dir: The trust directory, made when something is written to it.
    """

    def __init__(
        self,
        server: Peer,
        registry: MiniRegistry | RegistryPeer,
        trust_dir: Path,
        path: str,
        capture: pytest.CaptureFixture[str],
    ) -> None:
        self.server, self.registry, self.trust_dir = server, registry, trust_dir
        self.path, self.gun = path, f"{registry.host}/{path}"
        self._capture = capture

    def run(self, *arguments: str | Path) -> Said:
        """Run ``trustreg`` with *arguments* in this process."""
        self._capture.readouterr()
        code = run([str(argument) for argument in arguments])
        said = self._capture.readouterr()
        return Said(code, said.out, said.err)

    def do(self, *arguments: str | Path) -> Said:
        """Run ``trustreg`` with *arguments*, which has to work without a word on standard error."""
        said = self.run(*arguments)
        assert (said.code, said.err) == (0, ""), said
        return said

    def json(self, schema: str, *arguments: str | Path) -> Any:
        """Run ``trustreg`` with *arguments* and ``--format json``; give what it says, which has to fit *schema*."""
        document = json.loads(self.do(*arguments, "--format", "json").out)
        Draft202012Validator(json.loads((SCHEMAS / f"{schema}.schema.json").read_text())).validate(document)
        return document

    def push(self, tag: str, what: Image | None = None) -> Image:
        """Push *what*, or an image that is only called *tag*."""
        what = what or image(tag)
        push(what, self.registry.url, self.path, tag)
        return what

    def begin(self, *tags: str) -> None:
        """Begin the collection, and sign an image for each of *tags*."""
        self.do("init", self.gun)
        for tag in tags:
            self.push(tag)
        if tags:
            self.do("sign", *(f"{self.gun}:{tag}" for tag in tags))

    @property
    def memory_file(self) -> Path:
        """Where it is kept what is remembered of the collection."""
        (path,) = (self.trust_dir / "trusted").glob("*.json")
        return path

    @property
    def metadata(self) -> Path:
        """Where its files are cached."""
        return self.trust_dir / "tuf" / self.gun / "metadata"

    def holdings(self) -> dict[str, bytes]:
        """Give every file of the trust directory."""
        found = {}
        for path in sorted(self.trust_dir.rglob("*")):
            if path.is_file() and path.suffix != ".lock":
                found[str(path.relative_to(self.trust_dir))] = path.read_bytes()
        return found

    def env(self) -> dict[str, str]:
        """Give the environment for a process of its own."""
        personal = {
            name: value for name, value in os.environ.items() if name.startswith(("TRUSTREG_", "DOCKER_", "XDG_"))
        }
        return clean_env(HOME=os.environ["HOME"], **personal)


@pytest.fixture(scope="session")
def trust_server() -> Iterator[Peer]:
    """A shared trust server."""
    with trustreg_serve() as peer:
        yield peer


@pytest.fixture(scope="session")
def mini_registry() -> Iterator[MiniRegistry]:
    """A shared registry that lets everybody in."""
    with MiniRegistry() as registry:
        yield registry


@pytest.fixture
def desks(
    trust_server: Peer,
    mini_registry: MiniRegistry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Callable[[str], Desk]:
    """Make desks by the name of their repository; keys are encrypted with less work than usual."""
    monkeypatch.setenv("TRUSTREG_SERVER", trust_server.url)
    monkeypatch.setenv("TRUSTREG_TRUST_DIR", str(tmp_path / "trust"))
    monkeypatch.setenv("TRUSTREG_PASSPHRASE", PASSPHRASE)
    monkeypatch.setattr(keyfile, "_SCRYPT", (1 << 10, 8, 1))

    def make(path: str) -> Desk:
        return Desk(trust_server, mini_registry, tmp_path / "trust", path, capfd)

    return make


@pytest.fixture(scope="module")
def made(trust_server: Peer, mini_registry: MiniRegistry, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """The repository and trust directory of a collection with the tag 1.0, for the tests of one module."""
    path, trust_dir = f"team/app-{os.urandom(6).hex()}", tmp_path_factory.mktemp("made") / "trust"
    for tag in ("1.0", "2.0"):
        push(image(tag), mini_registry.url, path, tag)
    gun = f"{mini_registry.host}/{path}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keyfile, "_SCRYPT", (1 << 10, 8, 1))
        env = {"TRUSTREG_PASSPHRASE": PASSPHRASE, "HOME": str(trust_dir.parent)}
        publisher = trustreg.Publisher(server=trust_server.url, trust_dir=trust_dir, env=env)
        publisher.init(gun)
        publisher.sign(f"{gun}:1.0")
    return path, trust_dir


@pytest.fixture
def begun(made: tuple[str, Path], desks: Callable[[str], Desk]) -> Desk:
    """
    A desk with 1.0 signed and 2.0 only pushed, for tests that leave the server as it is.

    The trust directory is a copy of the test's own.
    """
    desk = desks(made[0])
    shutil.copytree(made[1], desk.trust_dir)
    return desk


@pytest.fixture
def desk(desks: Callable[[str], Desk]) -> Desk:
    """A desk whose collection has not begun."""
    return desks(f"team/app-{os.urandom(6).hex()}")


@pytest.fixture
def stall(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A desk without a trust server: its collection has begun, in the folder ``store``, which is the place of one."""
    monkeypatch.delenv("TRUSTREG_SERVER")
    monkeypatch.setenv("TRUSTREG_STORE", f"dir:{tmp_path}/store")
    monkeypatch.chdir(tmp_path)
    desk.do("init")
    return desk


@pytest.fixture(scope="session")
def real_registry() -> Iterator[RegistryPeer]:
    """A shared docker-registry."""
    with docker_registry() as registry:
        yield registry


@pytest.fixture
def counter(
    real_registry: RegistryPeer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Desk:
    """A desk with a docker-registry and nothing else."""
    monkeypatch.setenv("TRUSTREG_TRUST_DIR", str(tmp_path / "trust"))
    monkeypatch.setenv("TRUSTREG_PASSPHRASE", PASSPHRASE)
    monkeypatch.setenv("TRUSTREG_STORE", "oci:")
    monkeypatch.setattr(keyfile, "_SCRYPT", (1 << 10, 8, 1))
    return Desk(real_registry, real_registry, tmp_path / "trust", f"team/app-{os.urandom(6).hex()}", capfd)

"""The library as programs use it: the settings of the command line, a few lines, and errors they can tell apart."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

import trustreg
from tests.peers import Skopeo, docker_registry, image, notary_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.peers import Peer, RegistryPeer

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Peer, RegistryPeer]]:
    with notary_server() as server, docker_registry() as registry:
        yield server, registry


def test_the_life_of_a_tag(servers: tuple[Peer, RegistryPeer], tmp_path: Path) -> None:
    """
    Init, sign, verify, remove: a program needs no command line, and gets values.
    """
    server, registry = servers
    gun, env = f"{registry.host}/library/life", {"HOME": str(tmp_path), "TRUSTREG_PASSPHRASE": "correct horse"}
    digest = Skopeo(registry).push(image("life"), "library/life:1.0")
    publisher = trustreg.Publisher(server=server.url, trust_dir=tmp_path / "keys", env=env)
    verifier = trustreg.Verifier(server=server.url, trust_dir=tmp_path / "reader", env=env)

    assert publisher.init(gun).versions == {"root": 1, "targets": 1}
    (signed,) = publisher.sign(f"{gun}:1.0").changes
    assert isinstance(signed, trustreg.AddTarget)
    assert verifier.verify(f"{gun}:1.0").pinned == f"{gun}@{digest}"
    assert [entry.tag for entry in verifier.contents(gun).entries] == ["1.0"]
    (staged,) = publisher.stage_removal(f"{gun}:1.0")
    assert verifier.judge_all([f"{gun}:1.0", f"{gun}:2.0"])[0].image == f"{gun}:1.0"
    assert publisher.publish(gun).changes == (staged,)
    with pytest.raises(trustreg.UntrustedError):
        verifier.verify(f"{gun}:1.0")
    publisher.stage(f"{gun}:1.0")
    assert publisher.publish(gun).versions == {"targets": 4}
    assert isinstance(publisher.remove(f"{gun}:1.0").changes[0], trustreg.RemoveTarget)


@pytest.fixture(scope="module")
def signed(servers: tuple[Peer, RegistryPeer], tmp_path_factory: pytest.TempPathFactory) -> str:
    """An image of a collection that stays as it is."""
    server, registry = servers
    home = tmp_path_factory.mktemp("publisher")
    name = f"{registry.host}/library/stays:1.0"
    env = {"HOME": str(home), "TRUSTREG_PASSPHRASE": "correct horse"}
    Skopeo(registry).push(image("stays"), "library/stays:1.0")
    publisher = trustreg.Publisher(server=server.url, trust_dir=home / "trust", env=env)
    publisher.init(name.removesuffix(":1.0"))
    publisher.sign(name)
    return name


@pytest.mark.parametrize("minutes", [0, 5])
def test_threads_share_a_verifier(
    servers: tuple[Peer, RegistryPeer], signed: str, tmp_path: Path, minutes: int
) -> None:
    """
    One verifier for all threads of a webhook; within ``max_age`` the trust server is asked once, the registry always.
    """
    asked: list[str] = []
    verifier = trustreg.Verifier(
        server=servers[0].url,
        trust_dir=tmp_path / "trust",
        env={"HOME": str(tmp_path)},
        max_age=timedelta(minutes=minutes),
        trace=asked.append,
    )
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: verifier.verify(signed).digest, range(40)))

    assert {str(digest) for digest in found} == {image("stays").digest}
    timestamps = sum("timestamp.json: 200" in line for line in asked)
    assert timestamps == (1 if minutes else 40)
    assert sum("manifests/1.0: 200" in line for line in asked) == 40


def test_verdicts_of_many_collections_come_in_order(
    servers: tuple[Peer, RegistryPeer], signed: str, tmp_path: Path
) -> None:
    """
    A hundred images, most of collections that nobody began: each verdict is for its image.
    """
    verifier = trustreg.Verifier(server=servers[0].url, trust_dir=tmp_path, env={"HOME": str(tmp_path)})
    host = signed.partition("/")[0]
    images = [signed if number % 10 == 0 else f"{host}/library/none-{number}:1.0" for number in range(100)]

    verdicts = verifier.judge_all(images)

    assert [verdict.image for verdict in verdicts] == images
    assert [isinstance(verdict, trustreg.Trusted) for verdict in verdicts] == [
        number % 10 == 0 for number in range(100)
    ]


def test_the_clock_is_the_callers(servers: tuple[Peer, RegistryPeer], signed: str, tmp_path: Path) -> None:
    """
    What is expired at the time that the caller's clock shows is refused, though it is fresh today.
    """
    later = datetime.now(UTC) + timedelta(days=4000)
    verifier = trustreg.Verifier(
        server=servers[0].url, trust_dir=tmp_path / "trust", env={"HOME": str(tmp_path)}, clock=lambda: later
    )

    with pytest.raises(trustreg.UntrustedError, match="expired at"):
        verifier.verify(signed)
    assert not list((tmp_path / "trust").rglob("*.json"))


def test_settings_are_found_as_by_the_command_line(
    servers: tuple[Peer, RegistryPeer], signed: str, tmp_path: Path
) -> None:
    """
    An argument wins over the environment, that over the file; the process' own environment counts where none is given.
    """
    config = tmp_path / "config.toml"
    config.write_text('[defaults]\nserver = "http://127.0.0.1:9"\nfirst_use = false\n')
    config.chmod(0o600)
    env = {"HOME": str(tmp_path), "TRUSTREG_CONFIG": str(config), "TRUSTREG_TRUST_DIR": str(tmp_path / "trust")}
    right = {"TRUSTREG_SERVER": servers[0].url}

    by_file = trustreg.Verifier(env=env).judge(signed)
    by_env = trustreg.Verifier(env=env | right).judge(signed)
    by_argument = trustreg.Verifier(env=env | right, first_use=True).judge(signed)

    assert isinstance(by_file, trustreg.Unknown)
    assert isinstance(by_env, trustreg.Untrusted)
    assert by_env.error.code == "first-use"
    assert isinstance(by_argument, trustreg.Trusted)
    assert by_argument.first_use


def test_errors_of_three_families(tmp_path: Path) -> None:
    """
    What cannot be used is the caller's, what cannot be reached is nobody's answer.
    """
    env = {"HOME": str(tmp_path)}
    verifier = trustreg.Verifier(server="http://127.0.0.1:9", trust_dir=tmp_path, env=env, max_age=timedelta(seconds=5))

    with pytest.raises(trustreg.InputError):
        verifier.verify("a:b:c")
    with pytest.raises(trustreg.UnavailableError):
        verifier.verify("registry.example/app:1.0")
    assert isinstance(verifier.judge("registry.example/app:1.0"), trustreg.Unknown)
    assert verifier.judge_all([]) == []
    with pytest.raises(trustreg.InputError):
        trustreg.Publisher(trust_dir=tmp_path, env=env).init("registry.example/app", kind="dsa")


def test_every_public_name_is_there() -> None:
    """
    Names are imported when they are used; none is promised in vain.
    """
    assert {name for name in trustreg.__all__ if getattr(trustreg, name, None) is None} == set()
    with pytest.raises(AttributeError):
        trustreg.nothing  # noqa: B018

"""The library as programs use it: the settings of the command line, a few lines, and errors they can tell apart."""

from __future__ import annotations

from datetime import timedelta
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

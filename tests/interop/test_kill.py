"""A publisher that is killed at any moment leaves the old collection or the new one, whole, and can go on."""

from __future__ import annotations

import os
import random
import subprocess
import time
from typing import TYPE_CHECKING

import pytest
import requests

from tests.peers import Skopeo, image
from trustreg.client import Trusted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.peers import Peer, RegistryPeer, Trustreg

MOMENTS = 200 if os.environ.get("TRUSTREG_FULL") else 20


@pytest.mark.timeout(900)
def test_a_publisher_killed_at_random_moments(
    trust_server: Peer, open_registry: RegistryPeer, people: Callable[..., Trustreg], gun: str, tmp_path: Path
) -> None:
    """
    After each kill a new reader finds every tag that was there, and the new one or not; the publisher's own cache,
    keys and staged changes are in order, and the same command, run again, succeeds.
    """
    chance = random.Random(20)  # a run can be repeated, as far as the machine's own timing can
    path = gun.partition("/")[2]
    gun = f"{open_registry.host}/{path}"
    Skopeo(open_registry).push(image("killed"), f"{path}:t")
    person = people(trust_server)
    person.run("init", gun)
    keys = person.json("key", "list")
    started = time.monotonic()
    person.run("sign", f"{gun}:t")
    life = time.monotonic() - started
    signed = {"t"}
    done_before_kill = 0

    for number in range(MOMENTS):
        tag = f"t{number}"
        _tag_again(open_registry, path, tag, image("killed").manifest.raw)
        process = subprocess.Popen(
            person.argv("sign", f"{gun}:{tag}"),
            env=person.env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=person.home,
        )
        time.sleep(chance.uniform(0, 1.1 * life))
        done_before_kill += process.poll() is not None
        process.kill()
        process.wait()

        stranger = person.verifier(trust_dir=tmp_path / f"stranger-{number}", first_use=True)
        assert {entry.tag for entry in stranger.contents(gun).entries} - {tag} == signed
        assert isinstance(person.verifier().judge(f"{gun}:t"), Trusted)
        person.publisher().sign(f"{gun}:{tag}")
        signed.add(tag)
        assert isinstance(person.verifier().judge(f"{gun}:{tag}"), Trusted)

    assert person.json("key", "list") == keys
    assert person.json("publish", gun)["published"][0]["versions"] == {}, "something was left staged"
    assert {row.name for row in person.list(gun)} == signed
    assert done_before_kill < MOMENTS / 2, "most were over before they were killed"


def _tag_again(registry: RegistryPeer, path: str, tag: str, raw: bytes) -> None:
    """Give a manifest that the registry has one more tag."""
    headers = {"Content-Type": image("killed").manifest.media_type}
    url = f"{registry.url}/v2/{path}/manifests/{tag}"
    requests.put(url, data=raw, headers=headers, timeout=30).raise_for_status()

"""Collections without a server, for programs: all that the command line does with them, in values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

import trustreg
from trustreg.sign import keyfile

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


class Shop:
    """A collection in the folder ``store`` that has begun, at a time that can be moved."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.now = folder, NOW
        self.publisher = self.publisher_with("keys")
        self.publisher.init()

    def publisher_with(self, keys: str) -> trustreg.Publisher:
        """Give a publisher with the keys in a folder."""
        env = {"HOME": str(self.folder), "TRUSTREG_PASSPHRASE": "correct horse"}
        return trustreg.Publisher(
            store=f"dir:{self.folder}/store", trust_dir=self.folder / keys, env=env, clock=lambda: self.now
        )

    def verifier(self) -> trustreg.Verifier:
        """Give a reader who knows nothing yet."""
        env = {"HOME": str(self.folder)}
        store, reader = f"dir:{self.folder}/store", self.folder / "reader"
        return trustreg.Verifier(store=store, trust_dir=reader, env=env, clock=lambda: self.now)


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setattr(keyfile, "_SCRYPT", (1 << 10, 8, 1))
    return Shop(tmp_path)


def test_files(shop: Shop) -> None:
    """
    Added, looked up, fetched while progress is told, and taken back.
    """
    (shop.folder / "manual").write_bytes(bytes(200_000))
    (change,) = shop.publisher.add(shop.folder / "manual", name="docs/", custom={"lang": "en"}).changes
    assert isinstance(change, trustreg.AddTarget)
    told: list[tuple[int, int]] = []

    verifier = shop.verifier()
    target = verifier.fetch("docs/manual", shop.folder / "got", progress=lambda done, total: told.append((done, total)))

    assert (shop.folder / "got").read_bytes() == bytes(200_000)
    assert told[-1] == (200_000, 200_000)
    assert (target.role, target.custom) == ("targets", {"lang": "en"})
    assert verifier.find("docs/manual") == target
    assert [entry.tag for entry in verifier.contents().entries] == ["docs/manual"]
    shop.publisher.remove_file("docs/manual")
    with pytest.raises(trustreg.UntrustedError):
        shop.verifier().find("docs/manual")


def test_changes(shop: Shop) -> None:
    """
    Of keys, thresholds, delegations, bins and expiry; staged first, if that is wanted.
    """
    publisher = shop.publisher
    more = publisher.new_key("root", kind="ecdsa")
    assert publisher.key(more.id[:10]) == more
    assert publisher.change(trustreg.SetKeys(role="root", add=(more,), threshold=2)).versions == {"root": 2}
    publisher.stage_changes(
        trustreg.Delegate(role="targets", name="docs", keys=(publisher.new_key("docs"),), patterns=("docs/*",)),
        trustreg.SetExpiry(role="timestamp", lifetime=timedelta(days=2)),
    )
    assert [type(change) for change in publisher.staged()] == [trustreg.Delegate, trustreg.SetExpiry]
    assert set(publisher.publish().versions) == {"docs", "targets", "snapshot", "timestamp"}
    seats = {seat.name: seat for seat in publisher.seats()}
    assert (seats["root"].threshold, len(seats["root"].keys)) == (2, 2)
    assert seats["docs"].patterns == ("docs/*",)
    assert seats["timestamp"].expires == NOW + timedelta(days=2)
    publisher.change(trustreg.Undelegate(role="targets", name="docs"))
    publisher.stage_changes(trustreg.DelegateBins(role="targets", bits=2, prefix="bin", keys=(more,)))
    publisher.unstage()
    assert publisher.staged() == ()


def test_a_ceremony(shop: Shop) -> None:
    """
    With somebody who has a key and, but for the file, nothing.
    """
    other = shop.publisher_with("alice")
    hers = other.new_key("root")
    ceremony = shop.publisher.prepare(trustreg.SetKeys(role="root", add=(hers,), threshold=2))
    assert isinstance(ceremony, trustreg.Ceremony)
    path = shop.folder / "carried"
    path.write_bytes(ceremony.spell())

    signed = other.co_sign(other.read_ceremony(path))

    assert (ceremony.missing, signed.missing) == (1, 0)
    assert shop.publisher.finish(ceremony.merge(signed)).versions == {"root": 2}
    third = shop.publisher.new_key("root")
    both = shop.publisher.prepare(trustreg.SetKeys(role="root", add=(third,)))
    shop.publisher.finish(other.co_sign(both))
    with pytest.raises(trustreg.InputError):
        shop.publisher.add_signature("root")


def test_upkeep(shop: Shop) -> None:
    """
    What expires is signed again, what is old goes, and what is odd is told.
    """
    shop.now += timedelta(days=8)
    assert {finding.code for finding in shop.publisher.lint()} == {"expired"}
    with pytest.raises(trustreg.UntrustedError):
        shop.verifier().contents()
    assert shop.publisher.renew(timedelta(days=3)).published.versions == {"timestamp": 2}
    left = shop.publisher_with("nothing").renew(timedelta(days=400)).left
    assert {one.role for one in left} == {"root", "targets", "snapshot", "timestamp"}
    assert shop.publisher.renew(timedelta(days=40)).published.versions == {"snapshot": 2, "timestamp": 3}
    assert shop.publisher.prune(keep=0) == ("1.snapshot.json",)
    shop.verifier().contents()

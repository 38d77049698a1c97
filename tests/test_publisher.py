"""What a publisher may rely on."""

from __future__ import annotations

import json

import pytest

from tests.world import GUN, IMAGE, NOW, MemoryKeys, MemoryStage, World, make
from trustreg.dialects.notary1 import exact
from trustreg.errors import (
    AmbiguousKeyError,
    ChangeError,
    ConflictError,
    ExistsError,
    FormatError,
    KnownError,
    MovedError,
    NameFormError,
    NoKeyError,
    OfflineError,
    PublishRefusedError,
    UnprovenError,
    UnsignedError,
)
from trustreg.metadata import FileMeta
from trustreg.names import Reference
from trustreg.sign.changes import AddTarget, Witness
from trustreg.sign.signer import LocalSigner
from trustreg.verify.requests import Want


@pytest.fixture
def world() -> World:
    world = World()
    world.init()
    return world


@pytest.mark.parametrize("hold_snapshot", [False, True], ids=["server snapshot", "own snapshot"])
def test_init_sign_verify(*, hold_snapshot: bool) -> None:
    """A collection begins, takes a tag, and is read."""
    world = World()
    world.init(hold_snapshot=hold_snapshot)
    digest = world.sign()

    assert world.verifier().verify(IMAGE, NOW).digest == digest
    assert {held.role for held in world.keys.keys()} == {"root", "targets", *(["snapshot"] * hold_snapshot)}


def test_init_refuses_what_exists(world: World) -> None:
    """A collection that is there is not begun again, and no key is made for it."""
    before = world.keys.keys()

    with pytest.raises(ExistsError):
        world.init()

    assert world.keys.keys() == before


def test_init_that_is_refused_leaves_no_keys() -> None:
    """Keys of a collection that never came to be would only confuse."""
    world = World()
    world.server.publish = _refuse  # type: ignore[method-assign, assignment]

    with pytest.raises(PublishRefusedError):
        world.init()

    assert world.keys.keys() == ()


def test_init_that_never_got_to_publish_leaves_no_keys() -> None:
    """A server that cannot name its timestamp key ends it before anything is sent."""
    world = World()
    world.server.server_key = _cut  # type: ignore[method-assign, assignment]

    with pytest.raises(OfflineError):
        world.init()

    assert world.keys.keys() == ()


def test_init_uses_the_keys_it_is_given() -> None:
    """Keys that are here, or in an HSM, serve for the roles they were made for."""
    world = World()
    given = {role: world.keys.add(make(role), role, None) for role in ("root", "targets", "snapshot")}
    world.publisher().init(GUN, NOW, make, use=given.values())

    assert world.keys.keys() == tuple(given.values())
    roles = {role.name: role for role in world.verifier().contents(GUN, NOW).roles}
    assert roles["targets"].keyids == (given["targets"].id,)
    assert roles["snapshot"].keyids == (given["snapshot"].id,)


def test_init_does_not_choose_among_root_keys() -> None:
    """Which of several root keys a collection begins with is for people to say."""
    world = World()
    first, _ = (world.keys.add(make("root"), "root", None) for _ in range(2))

    with pytest.raises(AmbiguousKeyError):
        world.init()
    assert world.publisher().init(GUN, NOW, make, use=[first])


def test_init_passes_over_root_keys_of_stores() -> None:
    """A trust server takes no ed25519 root, so one that is here is for something else."""
    world = World()
    stores = world.keys.add(LocalSigner.generate("ed25519"), "root", None)
    world.init()

    assert [held.kind for held in world.keys.keys() if held.role == "root" and held != stores] == ["ecdsa"]


def test_init_that_may_have_worked_keeps_its_keys() -> None:
    """When nobody knows whether the root was published, its keys must not be lost."""
    world = World()
    world.server.publish = _cut  # type: ignore[method-assign, assignment]

    with pytest.raises(OfflineError):
        world.init()

    assert {held.role for held in world.keys.keys()} == {"root", "targets"}


def test_init_of_a_collection_that_vanished_is_not_begun_anew(world: World) -> None:
    """Whoever knows the old root would refuse the new one; that is for people to decide."""
    world.server.delete()
    before = world.keys.keys()

    with pytest.raises(KnownError):
        world.init()

    assert world.keys.keys() == before


def test_the_root_key_is_used_again() -> None:
    """One root key serves several collections, each with a certificate of its own."""
    world = World()
    world.init()
    roots = [held for held in world.keys.keys() if held.role == "root"]
    other = World(gun=Reference.parse("registry.example/other").gun)
    other.keys = world.keys
    other.init()

    assert [held for held in other.keys.keys() if held.role == "root"] == roots


@pytest.mark.parametrize(
    ("kind", "public"),
    [("ed25519\x1b[2J", "AAAA"), ("ed25519", "AAAA"), ("ecdsa", ""), ("ecdsa-x509", "AAAA"), ("", "")],
)
def test_a_key_of_the_server_is_one_before_a_root_lists_it(
    monkeypatch: pytest.MonkeyPatch, kind: str, public: str
) -> None:
    """What a server says is put into a root that is then signed."""
    world = World()
    offered = json.dumps({"keytype": kind, "keyval": {"public": public, "private": None}}).encode()
    monkeypatch.setattr(world.server, "server_key", lambda _: offered)

    with pytest.raises(FormatError, match="a key that can sign nothing"):
        world.init()

    assert world.keys.keys() == ()


def test_a_name_that_readers_refuse_is_said(world: World) -> None:
    """Another tool may have staged it."""
    world.stage.add(AddTarget(role="targets", name="a\tb", meta=FileMeta(length=1, hashes={"sha256": bytes(32)})))

    with pytest.raises(ChangeError, match="control character"):
        world.publisher().publish(GUN, NOW)


def test_what_is_published_is_what_go_would_write(world: World) -> None:
    """Every file is byte for byte what Go writes, so that Go publishers can follow."""
    world.sign()

    for role in ("root", "targets", "snapshot", "timestamp"):
        raw = world.server.fetch(Want(role, f"{role}.json", 1 << 20))
        assert raw is not None
        exact(role, raw)


def test_a_conflict_is_retried_once_on_a_fresh_reading(world: World) -> None:
    """Two publishers at the same time lose nothing."""
    other = world.publisher(stage=MemoryStage())
    world.registry.push(IMAGE, b"one")
    two = Reference.parse(f"{GUN}:2.0")
    world.registry.push(two, b"two")
    publisher = world.publisher()
    publisher.stage(GUN, publisher.additions(IMAGE, world.registry, NOW))

    def publish_other() -> None:
        other.publish(GUN, NOW, other.additions(two, world.registry, NOW))

    world.server.before_publish = publish_other
    published = publisher.publish(GUN, NOW)

    assert published.versions["targets"] == 3
    assert {e.tag for e in world.verifier().contents(GUN, NOW).entries} == {"1.0", "2.0"}


def test_a_second_conflict_is_an_error_and_keeps_the_change(world: World) -> None:
    """Who loses twice is told so, and can publish again."""

    def always(_files: object) -> None:
        raise ConflictError(str(GUN), "targets v2 is taken")

    world.registry.push(IMAGE, b"one")
    publisher = world.publisher()
    publisher.stage(GUN, publisher.additions(IMAGE, world.registry, NOW))
    world.server.publish = always  # type: ignore[method-assign, assignment]

    with pytest.raises(ConflictError):
        publisher.publish(GUN, NOW)

    assert len(world.stage.changes()) == 1


def test_a_lost_answer_is_looked_after(world: World) -> None:
    """If the connection breaks after the upload, reading back tells that it was published."""
    world.server.lose_answer = True

    digest = world.sign()

    assert world.verifier().verify(IMAGE, NOW).digest == digest
    assert not world.stage.changes()


def test_a_server_that_stores_something_else_is_found_out(world: World) -> None:
    """Success is what readers get, not what the server answers."""
    world.registry.push(IMAGE, b"one")
    publisher = world.publisher()
    publisher.stage(GUN, publisher.additions(IMAGE, world.registry, NOW))
    world.server.publish = lambda _files: None  # type: ignore[method-assign, assignment]

    with pytest.raises(UnprovenError):
        publisher.publish(GUN, NOW)

    assert len(world.stage.changes()) == 1


def test_publishing_nothing_sends_nothing(world: World) -> None:
    """No change, no new version."""
    world.sign()

    assert world.publisher().publish(GUN, NOW).versions == {}
    assert world.sign() is not None
    assert world.verifier().contents(GUN, NOW).roles[1].version == 2


def test_witness_signs_again(world: World) -> None:
    """A witnessed role gets a new version with the same targets."""
    world.sign()
    world.stage.add(Witness(role="targets"))

    assert world.publisher().publish(GUN, NOW).versions["targets"] == 3
    assert world.verifier().verify(IMAGE, NOW)


def test_without_the_key_nothing_is_published(world: World) -> None:
    """A publisher who lacks the key is told which ids could sign."""
    world.stage.add(AddTarget(role="targets", name="x", meta=FileMeta(length=1, hashes={"sha256": b"0" * 32})))

    with pytest.raises(NoKeyError) as caught:
        world.publisher(MemoryKeys()).publish(GUN, NOW)

    assert caught.value.role == "targets"


def test_a_signature_that_failed_does_not_come_later(world: World) -> None:
    """What could not be signed when it was to be is not left for the next publish to send along."""
    keys, world.keys = world.keys, MemoryKeys()
    publisher = world.publisher()
    world.registry.push(IMAGE, b"one")

    with pytest.raises(NoKeyError):
        publisher.publish(GUN, NOW, publisher.additions(IMAGE, world.registry, NOW))

    assert world.stage.changes() == ()
    assert world.publisher(keys).publish(GUN, NOW).versions == {}


def test_what_is_staged_comes_first(world: World) -> None:
    """Of what was staged earlier and what is signed now, the word of now is the one that stays."""
    publisher = world.publisher()
    world.registry.push(IMAGE, b"earlier")
    publisher.stage(GUN, publisher.additions(IMAGE, world.registry, NOW))
    digest = world.registry.push(IMAGE, b"now")

    published = publisher.publish(GUN, NOW, publisher.additions(IMAGE, world.registry, NOW))

    assert len(published.changes) == 2
    assert world.verifier().verify(IMAGE, NOW).digest == digest
    assert world.stage.changes() == ()


def test_remove_revokes(world: World) -> None:
    """A removed tag is refused from then on."""
    world.sign()
    publisher = world.publisher()
    publisher.publish(GUN, NOW, publisher.removals(IMAGE, NOW))

    with pytest.raises(UnsignedError):
        world.verifier().verify(IMAGE, NOW)
    with pytest.raises(UnsignedError):
        publisher.removals(IMAGE, NOW)


def test_only_a_tag_can_be_signed(world: World) -> None:
    """A digest binds nothing to a name; and a digest given with a tag has to be what the registry serves."""
    digest = world.registry.push(IMAGE, b"{}")
    publisher = world.publisher()

    with pytest.raises(NameFormError):
        publisher.additions(Reference.parse(f"{GUN}@{digest}"), world.registry, NOW)
    with pytest.raises(MovedError):
        publisher.additions(Reference.parse(f"{IMAGE}@sha256:{'0' * 64}"), world.registry, NOW)
    assert publisher.additions(Reference.parse(f"{IMAGE}@{digest}"), world.registry, NOW)


def test_only_a_tag_can_be_removed(world: World) -> None:
    """A digest names no signature; that is said, rather than that a tag without a name is not signed."""
    digest = world.registry.push(IMAGE, b"{}")

    with pytest.raises(NameFormError):
        world.publisher().removals(Reference.parse(f"{GUN}@{digest}"), NOW)


def _refuse(_files: object) -> None:
    raise PublishRefusedError(str(GUN), "ErrBadRoot", "not wanted")


def _cut(_files: object) -> None:
    raise OfflineError("https://notary.example", "connection reset")

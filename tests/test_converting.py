"""Which signatures count, and what a conversion does with them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tests.peers.gpg import gpg_home
from tests.test_conversion import AT, at
from tests.world import GUN
from trustreg.converting import Conversion, To, signed_in
from trustreg.dialects import simple
from trustreg.io.gpg import Keyring
from trustreg.io.signatures.lookaside import Lookaside
from trustreg.io.signatures.numbered import FolderFiles
from trustreg.names import Digest, Reference
from trustreg.ports import Message
from trustreg.signing import OfGpg
from trustreg.wire import Wiring
from vectors.make.collection import Collection, Delegated, root_key, target
from vectors.make.material import raw

if TYPE_CHECKING:
    from pathlib import Path


IMAGE = Reference.parse("registry.example/team/app:1.0")
DIGEST = Digest("sha256", "ab" * 32)


def test_which_signatures_count(tmp_path: Path) -> None:
    """
    Of this digest, under this name, by a key that is asked for: whatever else lies there is passed over.
    """
    now = datetime.now(UTC)
    with gpg_home() as gpg:
        mine, other = gpg.generate("mine"), gpg.generate("other")
        folder = Lookaside(FolderFiles(tmp_path))
        with Keyring([gpg.public(mine)], gpg.env) as ring:

            def counts(signature: bytes) -> bool:
                folder.add(IMAGE, DIGEST, Message(where="", raw=signature))
                return signed_in(folder, OfGpg(ring.verify), IMAGE, DIGEST, now)

            def payload(reference: str = str(IMAGE), digest: Digest = DIGEST) -> bytes:
                return simple.write(simple.Payload(reference=reference, digest=digest))

            assert not signed_in(folder, OfGpg(ring.verify), IMAGE, DIGEST, now)
            assert not counts(b"rubbish")
            assert not counts(gpg.sign(payload(), other))
            assert not counts(gpg.sign(payload(reference="registry.example/team/app:2.0"), mine))
            assert not counts(gpg.sign(payload(reference="registry.example/team/app"), mine))
            assert not counts(gpg.sign(payload(digest=Digest("sha256", "cd" * 32)), mine))
            assert not counts(gpg.sign(b"{}", mine))
            assert counts(gpg.sign(payload(), mine))


def test_a_large_collection_takes_one_publication(tmp_path: Path) -> None:
    """
    2 000 tags, five signers of each, and a root that was replaced three times; read from whatever ``Site`` there is.
    """
    signers = ("targets/releases", *(f"targets/signer-{number}" for number in range(4)))
    collection = Collection.usual(*(Delegated(role, [raw(role.replace("/", "-"))]) for role in signers))
    for role in signers:
        collection.parts[role].targets = {f"v{number}": target(str(number)) for number in range(2000)}
    for number in range(3):
        collection = collection.rotate("root", root_key(f"root {number}"))
    (tmp_path / "trust" / "private").mkdir(parents=True, mode=0o700)  # whose keys are in the form that opens fast
    (tmp_path / "trust").chmod(0o700)
    env = {"HOME": str(tmp_path), "TRUSTREG_TRUST_DIR": str(tmp_path / "trust"), "TRUSTREG_PASSPHRASE": "of everybody"}
    wiring = Wiring({}, env, lambda: AT)

    with Conversion(wiring, GUN, To(place=f"dir:{tmp_path}/new"), site=at(collection)) as work:
        plan = work.plan()
        said = work.run(plan, tmp_path / "s.json")

    assert (len(plan.due), len(plan.refused), len(said.lines)) == (2000, 0, 2000)
    assert {line.signers for line in said.lines} == {signers}
    assert said.files["root"].version == 4
    assert sorted(path.name for path in (tmp_path / "new" / "metadata").glob("*.targets.json")) == [
        "1.targets.json",
        "2.targets.json",
    ]

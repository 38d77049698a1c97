"""``trustreg ceremony``: two machines, one of which has nothing but a key, and a file that is carried between them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import PASSPHRASE
from tests.cli.test_progress import Screen

if TYPE_CHECKING:
    from tests.cli.conftest import Desk, Said


class Alice:
    """Somebody with a machine of her own that has a root key, knows no store, and reaches nobody."""

    def __init__(self, desk: Desk, folder: Path) -> None:
        self._desk, self.trust_dir = desk, folder / "alice"
        self.keyid = self.run("key", "generate", "ed25519", "--role", "root").out.strip()
        self.public = folder / "alice.pub"
        self.run("key", "export", self.keyid, "--public", "-o", self.public)

    def run(self, *arguments: str | Path) -> Said:
        """Run ``trustreg`` there."""
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("TRUSTREG_STORE")
            patch.setenv("TRUSTREG_TRUST_DIR", str(self.trust_dir))
            return self._desk.run(*arguments)


@pytest.fixture
def alice(stall: Desk, tmp_path: Path) -> Alice:
    return Alice(stall, tmp_path)


@pytest.fixture
def prepared(stall: Desk, alice: Alice) -> Path:
    """The file of a ceremony after which the root needs the key here and that of Alice."""
    stall.do("role", "add-key", "root", alice.public, "--threshold", "2", "--no-publish")
    stall.do("ceremony", "prepare", "root.ceremony")
    return Path("root.ceremony")


def test_two_of_two(stall: Desk, alice: Alice, prepared: Path) -> None:
    """
    Prepared here, signed there, published here; from then on both are needed.
    """
    assert stall.do("status").out.endswith("nothing is staged\n")
    before = stall.json("ceremony", "ceremony", "status", prepared)
    assert before["missing"] == 1
    incomplete = stall.run("ceremony", "finish", prepared)
    assert (incomplete.code, incomplete.out) == (2, "")
    assert "hand the file of the ceremony to those who have one of these keys" in incomplete.err

    assert alice.run("ceremony", "sign", "--yes", prepared).out == f"{prepared}: root v2: all signatures are there\n"

    assert stall.do("ceremony", "finish", prepared).out.endswith(": published root v2\n")
    assert stall.run("role", "rotate-key", "timestamp").code == 2
    outdated = stall.run("ceremony", "finish", prepared)
    assert (outdated.code, outdated.talk[1]) == (2, "  remedy: prepare it anew")
    again = stall.json("ceremony", "ceremony", "prepare", "renewed.ceremony", "--renew", "root")
    assert [(one["by"], one["missing"]) for one in again["standings"]] == [("root v2", 1), ("root v3", 1)]
    assert alice.run("ceremony", "sign", "--yes", "renewed.ceremony").code == 0
    stall.do("ceremony", "finish", "renewed.ceremony")
    stall.do("list")


def test_what_is_signed_is_shown(stall: Desk, alice: Alice, prepared: Path, tmp_path: Path) -> None:
    """
    In words, and member by member; and whether the root that it builds on is known.
    """
    shown = alice.run("ceremony", "show", prepared).lines
    document = stall.json("ceremony", "ceremony", "show", prepared)

    assert shown[0] == f"collection  dir:{tmp_path}/store"
    (root,) = document["base"]
    assert shown[2] == f"builds on   root v1  sha256:{root['sha256']}"
    assert shown[3].startswith("known here  no: compare the digest")
    assert "  root: needs 2 of 2 keys; was: needs 1 of 1 keys" in shown
    (sheet,) = document["sheets"]
    (change,) = sheet["roles"]
    (added,) = change["added"]
    assert any(line.startswith(f"    + key {added['keyid']}  ed25519") for line in shown)
    assert f"  bytes to sign: sha256:{sheet['sha256']}" in shown
    assert "    roles.root.threshold: 1 -> 2" in shown
    assert {tuple(one["path"]) for one in sheet["differences"]} >= {("version",), ("roles", "root", "threshold")}
    assert stall.do("ceremony", "show", prepared).lines[3].startswith("known here  yes")
    assert shown[-1].split()[-2:] == [f"{added['keyid'][:12]}*", "1"]


def test_delegations_targets_and_bins_are_shown(stall: Desk, alice: Alice, tmp_path: Path) -> None:
    """
    What a role may speak for, and what it says.
    """
    (tmp_path / "a").write_text("a")
    stall.do("add", "a")
    stall.do("role", "delegate", "docs", alice.public, "--path", "docs/*", "--terminating", "--no-publish")
    stall.do("add", "a", "--name", "docs/", "--role", "docs", "--no-publish")
    stall.do("remove", "--name", "a", "--no-publish")
    stall.do("ceremony", "prepare", "c")

    shown = alice.run("ceremony", "show", "c").out

    assert "docs v1, the first" in shown
    assert "  + docs/a  sha256:" in shown
    assert "  - a  sha256:" in shown
    assert "  docs: needs 1 of 1 keys, speaks for docs/*, terminating, place 0; is new" in shown
    assert alice.run("ceremony", "sign", "--yes", "c").code == 0
    stall.do("ceremony", "finish", "c")
    stall.do("fetch", "docs/a", "-o", "got")
    stall.do("role", "undelegate", "docs", "--no-publish")
    stall.do("ceremony", "prepare", "d", "--whole")
    document = stall.json("ceremony", "ceremony", "show", "d")
    assert [sheet["role"] for sheet in document["sheets"]] == ["targets", "snapshot", "timestamp"]
    assert "  docs: may sign no more" in stall.do("ceremony", "show", "d").out
    stall.do("ceremony", "finish", "d")
    stall.run("role", "bins", "4", "--no-publish")
    stall.do("ceremony", "prepare", "e")
    assert "bin: needs 1 of 1 keys, 4 bins; is new" in stall.do("ceremony", "show", "e").out
    stall.json("ceremony", "ceremony", "show", "e")


def test_signed_at_the_same_time(stall: Desk, alice: Alice, prepared: Path) -> None:
    """
    Two copies are put together; those of two ceremonies are not.
    """
    assert alice.run("ceremony", "sign", "--yes", prepared, "-o", "hers").code == 0
    assert stall.json("ceremony", "ceremony", "status", prepared)["missing"] == 1
    stall.do("ceremony", "prepare", "other", "--renew", "targets")

    said = stall.do("ceremony", "merge", prepared, "hers", "-o", "both")

    assert said.out == "both: root v2: all signatures are there\n"
    mismatch = stall.run("ceremony", "merge", prepared, "other")
    assert (mismatch.code, mismatch.out) == (2, "")
    assert "do not belong together" in mismatch.err
    stall.do("ceremony", "finish", "both")


def test_somebody_looks_and_says_yes(stall: Desk, alice: Alice, prepared: Path) -> None:
    """
    At a terminal all of it is shown before the question; no is no.
    """
    script = f"""
import os
from trustreg.cli.entry import run
from trustreg.sign import keyfile
os.environ.pop("TRUSTREG_STORE")
os.environ["TRUSTREG_TRUST_DIR"] = {str(alice.trust_dir)!r}
os.environ["TRUSTREG_PASSPHRASE"] = {PASSPHRASE!r}
print("code", run(["ceremony", "sign", {str(prepared)!r}]))
"""
    assert sys.executable
    for answer, code in (("n", 3), ("y", 0)):
        screen = Screen(script)
        shown = screen.until("Sign this [y/N]: ")
        assert "roles.root.threshold: 1 -> 2" in shown
        screen.type(answer)
        assert screen.until(f"code {code}") is not None
        assert screen.close() == 0
        assert stall.json("ceremony", "ceremony", "status", prepared)["missing"] == (answer == "n")


def test_who_cannot_sign(stall: Desk, alice: Alice, prepared: Path, tmp_path: Path) -> None:
    """
    Nobody signs unseen, twice, or without a key that has a say.
    """
    unseen = alice.run("ceremony", "sign", prepared)
    assert (unseen.code, unseen.out) == (2, "")
    assert "Nobody is here to look at it: say --yes." in unseen.err
    stranger = stall.run("ceremony", "sign", "--yes", prepared, "--trust-dir", tmp_path / "stranger")
    assert stranger.code == 2
    assert "no private key for root is here" in stranger.err
    alice.run("ceremony", "sign", "--yes", prepared)
    assert "everybody who may sign it has" in alice.run("ceremony", "sign", "--yes", prepared).err


def test_another_root_than_the_one_that_is_known(stall: Desk, alice: Alice, prepared: Path, tmp_path: Path) -> None:
    """
    Somebody who has read the collection is not shown what builds on something else.
    """
    other = ("--store", f"dir:{tmp_path}/other", "--trust-dir", tmp_path / "mallory")
    stall.do("init", *other)
    stall.do("role", "add-key", "root", alice.public, "--threshold", "2", "--no-publish", *other)
    stall.do("ceremony", "prepare", "forged", *other)
    document = json.loads(Path("forged").read_text())
    document["collection"] = f"dir:{tmp_path}/store"
    Path("forged").write_text(json.dumps(document))

    for command in (["show"], ["sign", "--yes"]):
        said = stall.run("ceremony", *command, "forged")
        assert (said.code, said.out) == (1, "")
        assert "root v1 was trusted with sha256" in said.err


@pytest.mark.parametrize(
    ("words", "code", "problem"),
    [
        (["prepare", "new"], 2, "nothing is staged"),
        (["prepare", "root.ceremony", "--renew", "root"], 2, "exists already"),
        (["prepare", "new", "--renew", "nobody"], 2, "nobody"),
        (["show", "nothing"], 3, "nothing"),
        (["show", "alice.pub"], 1, "malformed"),
        (["sign", "--yes", "root.ceremony", "-o", "alice.pub"], 2, "exists already"),
        (["finish", "alice.pub"], 1, "malformed"),
        (["finish", "root.ceremony", "--store", "dir:elsewhere"], 2, "do not belong together"),
    ],
)
def test_what_cannot_be_done(stall: Desk, prepared: Path, words: list[str], code: int, problem: str) -> None:
    """
    It is said, and no file is touched.
    """
    before = prepared.read_bytes()

    said = stall.run("ceremony", *words)

    assert (said.code, said.out) == (code, "")
    assert problem in said.err
    assert not Path("new").exists()
    assert prepared.read_bytes() == before

"""``trustreg sign --key`` and ``--gpg``: without a collection, and without a trust server."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import click
import pytest

from scripts.images import image, index
from tests.cli.conftest import PASSPHRASE
from tests.peers.gpg import gpg_home
from trustreg.sign import keyfile
from trustreg.sign.signer import LocalSigner, describe
from trustreg.verify.signatures import fingerprint
from vectors.make import keys as maker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import Desk
    from tests.peers.gpg import Gpg
    from trustreg.metadata import Signature
    from trustreg.sign.signer import PrivateKey


COSIGN = "-----BEGIN ENCRYPTED {0} PRIVATE KEY-----\nAA==\n-----END ENCRYPTED {0} PRIVATE KEY-----\n"


@pytest.fixture
def mine(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A desk without a trust server, with an image 1.0 and an index 2.0 in the registry."""
    monkeypatch.delenv("TRUSTREG_SERVER")
    desk.push("1.0")
    desk.push("2.0", index("2.0"))
    return desk


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    """A file with an ed25519 key that is not encrypted."""
    return written(tmp_path / "release.pem", maker.ED25519)


@pytest.fixture(scope="module")
def gpg() -> Iterator[Gpg]:
    """A home of gpg with one key, Release."""
    with gpg_home() as home:
        home.generate("Release")
        yield home


def written(path: Path, private: PrivateKey) -> Path:
    path.write_bytes(maker._pem("PRIVATE KEY", maker._pkcs8(private)))
    return path


def signed(desk: Desk, *arguments: str | Path) -> list[dict[str, Any]]:
    """Sign, and give what is said of it as JSON, which fits its schema."""
    found: list[dict[str, Any]] = desk.json("signed", "sign", *arguments)["signed"]
    return found


def test_a_line_for_each_manifest(mine: Desk, pem: Path) -> None:
    """
    Each begins with the name by digest, the index first; what was signed before is said to be.
    """
    mark, one, two = fingerprint(maker.ED25519.public_key())[:12], image("1.0"), index("2.0")

    said = mine.do("sign", "--key", pem, f"{mine.gun}:1.0", f"{mine.gun}:2.0")
    again = mine.do("sign", "--key", pem, f"{mine.gun}:1.0")

    tagged = [(one.digest, "1.0"), *((part.digest, "2.0") for part in (two, *two.images))]
    assert said.lines == [
        f"{mine.gun}@{digest}  signed as {mine.gun}:{tag} by key {mark}, in {mine.gun}:{digest.replace(':', '-')}.sig#1"
        for digest, tag in tagged
    ]
    assert again.lines == [said.lines[0].replace("signed as", "signed already as")]


def test_as_json(mine: Desk, pem: Path) -> None:
    """
    Programs get the same, and the whole id of the key.
    """
    (said,) = signed(mine, "--key", pem, "--index-only", f"{mine.gun}:2.0")

    digest = index("2.0").digest
    where = f"{mine.gun}:{digest.replace(':', '-')}.sig#1"
    assert said == {
        "image": f"{mine.gun}:2.0",
        "pinned": f"{mine.gun}@{digest}",
        "digest": digest,
        "key": fingerprint(maker.ED25519.public_key()),
        "keyKind": "plain",
        "place": "tag",
        "manifests": [{"digest": digest, "name": f"{mine.gun}:2.0", "where": where, "added": True}],
        "problem": None,
    }


def test_one_may_leave_the_platforms_out(mine: Desk, pem: Path) -> None:
    """
    In two ways; and sign them later.
    """
    (alone,) = signed(mine, "--key", pem, "--recursive=false", f"{mine.gun}:2.0")
    (whole,) = signed(mine, "--key", pem, "--recursive", "true", f"{mine.gun}:2.0")

    assert [True] == [one["added"] for one in alone["manifests"]]
    assert [False, *([True] * len(index("2.0").images))] == [one["added"] for one in whole["manifests"]]


def test_under_another_name(mine: Desk, pem: Path) -> None:
    """
    Which is written as names are, and has the tag of the image if it has none.
    """
    (said,) = signed(mine, "--key", pem, "--identity", "vendor/app", f"{mine.gun}:1.0")
    (other,) = signed(mine, "--key", pem, "--identity", "vendor.example/app:2", f"{mine.gun}@{image('1.0').digest}")
    wrong = mine.run("sign", "--key", pem, "--identity", "Vendor/App", f"{mine.gun}:1.0")

    assert said["manifests"][0]["name"] == "docker.io/vendor/app:1.0"
    assert other["manifests"][0]["name"] == "vendor.example/app:2"
    assert (wrong.code, wrong.out) == (2, "")


def test_a_mirror_is_a_name_for_the_same(mine: Desk, pem: Path, tmp_path: Path) -> None:
    """
    What is signed is called as those call it who sign it.
    """
    config, logical = tmp_path / "config.toml", "registry.example/team/app"
    config.write_text(f'[[registry]]\nmatch = "{logical}"\nmirror = "{mine.gun}"\n')
    config.chmod(0o600)

    said = [signed(mine, "--config", config, "--key", pem, name)[0] for name in (f"{mine.gun}:1.0", f"{logical}:1.0")]

    assert {one["manifests"][0]["name"] for one in said} == {f"{logical}:1.0"}
    assert [one["manifests"][0]["added"] for one in said] == [True, False]


@pytest.mark.parametrize("name", ["ed25519", "P256", "P384", "P521", "RSA"])
def test_keys_in_files(mine: Desk, name: str, tmp_path: Path) -> None:
    """
    Of each kind, encrypted under the passphrase of all keys.
    """
    private = maker.ED25519 if name == "ed25519" else getattr(maker, name)
    path = tmp_path / "key.pem"
    path.write_bytes(keyfile.write_own(private, PASSPHRASE, role="release", gun=None, random=bytes))

    (said,) = signed(mine, "--key", path, f"{mine.gun}:1.0")

    assert said["key"] == fingerprint(private.public_key())


def test_keys_that_are_here(mine: Desk) -> None:
    """
    By the beginnings of their ids: two commands after nothing, an image is signed.
    """
    keyid = mine.run("key", "generate", "--role", "release").out.strip()

    (said,) = signed(mine, "--key", keyid[:8], f"{mine.gun}:1.0")
    (again,) = signed(mine, "--key", keyid, f"{mine.gun}:1.0")

    public = keyfile.read_public(mine.do("key", "export", keyid, "--public").out.encode(), "")
    assert said["key"] == fingerprint(public)
    assert not again["manifests"][0]["added"]


@pytest.mark.parametrize("name", ["ED25519", "P256", "RSA"])
def test_keys_elsewhere(mine: Desk, name: str, tmp_path: Path) -> None:
    """
    By the URI of a signer, with the public key in a file, or kept.
    """
    private = getattr(maker, name)
    uri = f"file2:{written(tmp_path / 'key.pem', private)}"
    public = tmp_path / "key.pub"
    public.write_bytes(keyfile.public_pem(*describe(private.public_key())))

    (said,) = signed(mine, "--key", uri, "--public", public, f"{mine.gun}:1.0")
    unknown = mine.run("sign", "--key", uri, f"{mine.gun}:1.0")
    keyid = mine.run("key", "add-uri", uri, "--public", public, "--role", "release").out.strip()
    kept = [signed(mine, "--key", text, f"{mine.gun}:1.0")[0] for text in (uri, keyid[:8])]

    assert said["key"] == fingerprint(private.public_key())
    assert (unknown.code, unknown.out) == (2, "")
    assert "does not say what its public key is" in unknown.err
    assert [one["manifests"][0]["added"] for one in kept] == [False, False]


def test_a_key_elsewhere_that_hashes_otherwise(mine: Desk, tmp_path: Path) -> None:
    """
    Is refused, and nothing is kept.
    """
    uri = f"file2:{written(tmp_path / 'key.pem', maker.P384)}"
    public = tmp_path / "key.pub"
    public.write_bytes(keyfile.public_pem(*describe(maker.P384.public_key())))

    said = mine.run("sign", "--key", uri, "--public", public, f"{mine.gun}:1.0")

    assert (said.code, said.out) == (2, "")
    assert "does not sign as ecdsa-der-sha256" in said.err


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("", "it holds no PEM block, and no private key"),
        ("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n", "cosign"),
        (
            "-----BEGIN ENCRYPTED COSIGN PRIVATE KEY-----\n\n-----END ENCRYPTED COSIGN PRIVATE KEY-----\n",
            "import-key-pair",
        ),
    ],
)
def test_files_that_are_of_no_use(mine: Desk, tmp_path: Path, content: str, error: str) -> None:
    """
    It is said what to do instead.
    """
    (tmp_path / "key").write_text(content)

    said = mine.run("sign", "--key", tmp_path / "key", f"{mine.gun}:1.0")

    assert (said.code, said.out) == (2, "")
    assert error in said.err


def test_a_key_through_a_pipe(mine: Desk, pem: Path, tmp_path: Path) -> None:
    """
    As a shell hands over what another program prints; a device is none.
    """
    os.mkfifo(tmp_path / "pipe")
    with ThreadPoolExecutor(1) as pool:
        pool.submit((tmp_path / "pipe").write_bytes, pem.read_bytes())
        (said,) = signed(mine, "--key", tmp_path / "pipe", f"{mine.gun}:1.0")
    device = mine.run("sign", "--key", "/dev/zero", f"{mine.gun}:1.0")

    assert said["key"] == fingerprint(maker.ED25519.public_key())
    assert (device.code, device.out) == (3, "")


def test_a_file_with_two_keys(mine: Desk, pem: Path) -> None:
    """
    One key signs.
    """
    pem.write_bytes(pem.read_bytes() * 2)

    said = mine.run("sign", "--key", pem, f"{mine.gun}:1.0")

    assert (said.code, said.out) == (2, "")
    assert "it holds 2 keys, and one was due" in said.err


def test_a_public_key_that_nobody_needs(mine: Desk, pem: Path) -> None:
    """
    A file says itself what its public key is.
    """
    said = mine.run("sign", "--key", pem, "--public", pem, f"{mine.gun}:1.0")

    assert (said.code, said.out) == (2, "")
    assert "--public: it is for the URI of a signer" in said.err


@pytest.mark.parametrize("name", ["release.pem", "a" * 5000, ""])
def test_no_such_key(mine: Desk, name: str) -> None:
    """
    It is said where it was looked for.
    """
    said = mine.run("sign", "--key", name, f"{mine.gun}:1.0")

    assert (said.code, said.out) == (2, "")
    assert f"remedy: or name a file that is there: {name} is none" in said.err


def test_gpg_without_any_key(mine: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Who never had one is told how to make one, and nothing is made.
    """
    monkeypatch.setenv("GNUPGHOME", str(tmp_path / "gnupg"))

    said = mine.run("sign", "--gpg", "Release", f"{mine.gun}:1.0")

    assert (said.code, said.out) == (2, "")
    assert "remedy: make one: trustreg key generate --gpg NAME" in said.err
    assert not (tmp_path / "gnupg").exists()


def test_gpg_signs_into_a_lookaside(mine: Desk, gpg: Gpg, tmp_path: Path) -> None:
    """
    It is said which key was taken, if it was not named by its fingerprint; in the home that is named, or gpg's own.
    """
    place = ("--to", f"lookaside:{tmp_path}/signatures")
    digest = image("1.0").digest
    (key,) = (line.split(":")[9] for line in gpg.run("--with-colons", "-K").stdout.splitlines() if line[:3] == "fpr")

    said = mine.run("sign", "--gpg", "Release@example.com", "--gpg-home", gpg.home, *place, f"{mine.gun}:1.0")
    (again,) = signed(mine, "--gpg", key, "--gpg-home", gpg.home, *place, f"{mine.gun}:1.0")

    file = tmp_path / "signatures" / f"{mine.path}@{digest.replace(':', '=')}" / "signature-1"
    assert said.lines == [f"{mine.gun}@{digest}  signed as {mine.gun}:1.0 by GPG key {key}, in {file}"]
    assert said.talk == [f"trustreg: signing with GPG key {key} (Release <Release@example.com>)"]
    assert gpg.run("--decrypt", stdin=file.read_bytes()).stdout.startswith('{"critical":')
    assert (again["key"], again["keyKind"], again["manifests"][0]["added"]) == (key, "gpg", False)


def test_gpg_asks_nobody_else(mine: Desk, gpg: Gpg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The passphrase is that of a file; without one, and without anybody to ask, nothing is signed.
    """
    monkeypatch.setenv("GNUPGHOME", str(gpg.home))
    monkeypatch.delenv("TRUSTREG_PASSPHRASE")
    key = gpg.generate("Locked", passphrase=PASSPHRASE)
    (tmp_path / "passphrase").write_text(f"{PASSPHRASE}\n")
    words = ("--gpg", key, "--to", f"lookaside:{tmp_path}/signatures", f"{mine.gun}:1.0")
    gpg.forget_passphrases()

    alone = mine.run("sign", *words)
    (said,) = signed(mine, "--passphrase-file", tmp_path / "passphrase", *words)

    assert (alone.code, alone.out) == (2, "")
    assert "nobody to ask for its passphrase" in alone.err
    assert said["key"] == key


def test_gpg_has_no_place_of_its_own(mine: Desk, gpg: Gpg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Unless registries.d names one; and none where such signatures are not kept.
    """
    monkeypatch.setenv("GNUPGHOME", str(gpg.home))
    monkeypatch.setenv("TRUSTREG_REGISTRIES_D", str(tmp_path / "registries.d"))
    (tmp_path / "registries.d").mkdir()

    unsaid = mine.run("sign", "--gpg", "Release", f"{mine.gun}:1.0")
    wrong = mine.run("sign", "--gpg", "Release", "--to", "tag", f"{mine.gun}:1.0")
    (tmp_path / "registries.d" / "here.yaml").write_text(
        json.dumps({"docker": {mine.registry.host: {"lookaside-staging": f"file://{tmp_path}/staging"}}})
    )
    said = mine.run("sign", "--gpg", "Release", f"{mine.gun}:1.0")

    assert (unsaid.code, unsaid.out, "nobody has said where" in unsaid.err) == (2, "", True)
    assert (wrong.code, wrong.out, "no GPG signatures are kept there" in wrong.err) == (2, "", True)
    assert f"{tmp_path}/staging" in said.lines[0]


def test_what_was_signed_was_signed(mine: Desk, pem: Path) -> None:
    """
    Where one of several images fails, those before it are told.
    """
    said = mine.run("sign", "--key", pem, f"{mine.gun}:1.0", f"{mine.gun}:none", f"{mine.gun}:2.0")

    assert (said.code, len(said.lines)) == (1, 1)
    assert said.err == f"trustreg: the registry has no {mine.gun}:none\n"


def test_a_tag_that_is_another_digest(mine: Desk, pem: Path) -> None:
    """
    Is not signed where both were named.
    """
    said = mine.run("sign", "--key", pem, f"{mine.gun}:1.0@{index('2.0').digest}")

    assert (said.code, said.out) == (1, "")
    assert "the registry serves" in said.err


def test_a_tag_that_moves_meanwhile(mine: Desk, pem: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Is said to be another image by now, after what was signed.
    """
    sign = LocalSigner.sign

    def slow(self: LocalSigner, payload: bytes, keyid: str, scheme: str = "") -> Signature:
        mine.push("1.0", image("moved"))
        return sign(self, payload, keyid, scheme)

    monkeypatch.setattr(LocalSigner, "sign", slow)
    said = mine.run("sign", "--key", pem, f"{mine.gun}:1.0")
    mine.push("1.0", image("once more"))
    document = json.loads(mine.run("sign", "--key", pem, "--format", "json", f"{mine.gun}:1.0").out)

    assert (said.code, len(said.lines)) == (0, 1)
    assert said.talk[0] == (
        f"trustreg: meanwhile: {mine.gun}:1.0 is signed as {image('1.0').digest}, but the registry serves "
        f"{image('moved').digest}"
    )
    assert document["signed"][0]["problem"]["code"] == "moved"


USAGE = [
    ((), ("--to", "tag"), "Say which key signs"),
    ((), ("--identity", "x"), "Say which key signs"),
    ((), ("--index-only",), "Say which key signs"),
    ((), ("--recursive=false",), "Say which key signs"),
    ((), ("--gpg-home", "x"), "Say which key signs"),
    (("--key", "x"), ("--gpg", "y"), "One key signs"),
    (("--key", "x"), ("--no-publish",), "are for collections"),
    (("--gpg", "x"), ("--role", "targets"), "are for collections"),
]


@pytest.mark.parametrize(("key", "other", "error"), USAGE)
def test_what_does_not_go_together(desk: Desk, key: tuple[str, ...], other: tuple[str, ...], error: str) -> None:
    """
    Is said before anything is done.
    """
    said = desk.run("sign", *key, *other, f"{desk.gun}:1.0")

    assert (said.code, said.out) == (2, "")
    assert error in click.unstyle(said.err)

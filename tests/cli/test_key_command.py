"""``trustreg key`` prints ids and nothing else on stdout, and exits with 2 where the request cannot be carried out."""

import json
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest

from tests.cli.conftest import Desk
from tests.old_keys import lay
from tests.peers.gpg import Gpg, gpg_home
from trustreg.cli import key as command
from trustreg.cli.entry import run
from trustreg.io.notary import NotaryServer
from trustreg.sign import keyfile
from trustreg.sign.signer import describe
from vectors.make import keys as maker

GUN = "registry.example/team/app"
Cli = Callable[..., SimpleNamespace]


@pytest.fixture
def cli(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Run ``trustreg key`` in a trust directory of its own, and return its exit code, stdout and stderr."""
    monkeypatch.setenv("TRUSTREG_PASSPHRASE", "secret")
    monkeypatch.setattr(keyfile, "_SCRYPT", (1 << 10, 8, 1))

    def call(*arguments: str | Path, trust: str = "trust") -> SimpleNamespace:
        code = run(["key", str(arguments[0]), "--trust-dir", str(tmp_path / trust), *map(str, arguments[1:])])
        said = capfd.readouterr()
        return SimpleNamespace(code=code, out=said.out, err=said.err)

    return call


def listed(cli: Cli) -> list[dict[str, Any]]:
    """Return what ``list --format json`` shows."""
    keys: list[dict[str, Any]] = json.loads(cli("list", "--format", "json").out)["keys"]
    return keys


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [(("--role", "root"), "ecdsa"), (("--role", "targets"), "ed25519"), (("rsa", "--role", "targets/releases"), "rsa")],
)
def test_generate(cli: Cli, tmp_path: Path, arguments: tuple[str, ...], kind: str) -> None:
    """
    The id goes to stdout, alone; where the key is goes to stderr; the kind follows from the role.
    """
    made = cli("generate", *arguments, "--gun", GUN)

    (held,) = listed(cli)
    assert (made.code, made.out) == (0, f"{held['id']}\n")
    assert made.err == f"trustreg: {arguments[-1]} key kept in {held['where']}\n"
    assert (held["kind"], held["gun"]) == (kind, GUN)
    assert (tmp_path / "trust" / "private" / f"{held['id']}.pem").is_file()


def test_generate_says_it_as_json(cli: Cli) -> None:
    """
    What ``list`` will show.
    """
    made = cli("generate", "--role", "alice", "--format", "json")

    assert json.loads(made.out)["keys"] == listed(cli)
    assert made.err == ""


@pytest.mark.parametrize("role", ["", "Targets", "targets/", "a b", "role\nx", "../x"])
def test_a_role_is_one(cli: Cli, role: str) -> None:
    """
    A role, or a signer's name, and nothing that could be anything else.
    """
    made = cli("generate", "--role", role)

    assert made.code == 2
    assert "is neither a role, as targets/releases, nor the name of a signer" in made.err
    assert listed(cli) == []


def test_without_a_passphrase(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Exit code 2, one sentence, the remedy.
    """
    monkeypatch.delenv("TRUSTREG_PASSPHRASE")

    made = cli("generate", "--role", "root")

    assert (made.code, made.out) == (2, "")
    assert "there is nobody to ask for a passphrase to encrypt it under" in made.err
    assert "remedy: set TRUSTREG_PASSPHRASE, NOTARY_ROOT_PASSPHRASE or " in made.err


def test_import(cli: Cli, tmp_path: Path) -> None:
    """
    Several files, with a role for all of them.
    """
    for name in ("openssl-rsa", "openssh-ed25519"):
        (tmp_path / name).write_bytes(maker._recorded(name))

    made = cli("import", tmp_path / "openssl-rsa", tmp_path / "openssh-ed25519", "--role", "targets", "--gun", GUN)

    assert made.code == 0
    assert sorted(made.out.split()) == sorted(held["id"] for held in listed(cli))
    assert {(held["kind"], held["role"], held["gun"]) for held in listed(cli)} == {
        ("rsa", "targets", GUN),
        ("ed25519", "targets", GUN),
    }


@pytest.mark.parametrize(
    ("make", "code", "error"),
    [
        (Path, 3, "there is no such file"),
        (Path.mkdir, 3, "it is a folder, not a file"),
        (lambda path: path.write_bytes(b""), 2, "it holds no PEM block, and no private key"),
        (lambda path: path.write_bytes(maker._recorded("openssl-rsa")), 2, "name the role"),
        (lambda path: path.write_bytes(maker._recorded("openssl-p8-default")), 2, "the passphrase is wrong"),
    ],
    ids=["absent", "folder", "empty", "no role", "passphrase"],
)
def test_import_refuses(cli: Cli, tmp_path: Path, make: Callable[[Path], object], code: int, error: str) -> None:
    """
    One sentence that names the file, and no key is stored.
    """
    make(tmp_path / "a.pem")

    made = cli("import", tmp_path / "a.pem")

    assert (made.code, made.out) == (code, "")
    assert str(tmp_path / "a.pem") in made.err
    assert error in made.err
    assert len(made.err.splitlines()) == 1
    assert listed(cli) == []


@pytest.mark.parametrize("form", ["own", "notary"])
def test_export_and_import_elsewhere(cli: Cli, tmp_path: Path, form: str) -> None:
    """
    A backup is private, and is a key again in another trust directory.
    """
    cli("generate", "--role", "targets", "--gun", GUN)
    (held,) = listed(cli)
    backup = tmp_path / "backup.pem"

    made = cli("export", held["id"][:8], "-o", backup, "--form", form)

    assert (made.code, made.out) == (0, "")
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert cli("import", backup, trust="other").out == f"{held['id']}\n"


def test_export_to_stdout(cli: Cli) -> None:
    """
    The private key encrypted, the public key plain.
    """
    cli("generate", "--role", "targets")
    (held,) = listed(cli)

    private, public = cli("export", held["id"]), cli("export", held["id"], "--public")

    (sealed,) = keyfile.read_key_file(private.out.encode(), "stdout")
    assert sealed.encrypted
    kind, raw = describe(keyfile.read_public(public.out.encode(), "stdout"))
    assert keyfile.key_id(kind, raw) == held["id"]


def test_export_replaces_nothing(cli: Cli, tmp_path: Path) -> None:
    """
    What is there may be the only copy of another key.
    """
    cli("generate", "--role", "targets")
    (tmp_path / "backup.pem").write_text("mine")

    made = cli("export", listed(cli)[0]["id"], "-o", tmp_path / "backup.pem")

    assert (made.code, made.err) == (2, f"trustreg: {tmp_path / 'backup.pem'} exists already\n")
    assert (tmp_path / "backup.pem").read_text() == "mine"


def test_list(cli: Cli, tmp_path: Path) -> None:
    """
    A table of aligned columns; what is no key is passed over, and said.
    """
    cli("generate", "--role", "targets", "--gun", GUN)
    (held,) = listed(cli)
    private = tmp_path / "trust" / "private"
    (private / ("0" * 64 + ".key")).write_bytes(b"")

    made = cli("list")

    assert made.out.splitlines() == [
        f"ROLE     GUN                        KEY ID{' ' * 60}KIND     LOCATION",
        f"targets  {GUN}  {held['id']}  ed25519  {private}",
    ]
    assert made.err == (
        f"trustreg: passed over: {private / ('0' * 64)}.key: it holds no PEM block, and no private key\n"
    )


def test_a_shared_directory_is_written_as_go_writes_it(cli: Cli, tmp_path: Path) -> None:
    """
    Where notary or Docker have been, keys stay readable for them; kind and public key are not shown.
    """
    (tmp_path / "trust" / "private").mkdir(parents=True)

    made = cli("generate", "--role", "targets", "--gun", GUN)

    assert listed(cli) == [
        {
            "id": made.out.strip(),
            "kind": None,
            "role": "targets",
            "gun": GUN,
            "public": None,
            "where": str(tmp_path / "trust" / "private" / f"{made.out.strip()}.key"),
            "uri": None,
        }
    ]


def test_passwd(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The new passphrase opens the key, the old one does not.
    """
    cli("generate", "--role", "targets")
    keyid = listed(cli)[0]["id"]
    assert cli("passwd", keyid).code == 2
    monkeypatch.setenv("TRUSTREG_NEW_PASSPHRASE", "other")

    assert (cli("passwd", keyid).out, cli("export", keyid).code) == (f"{keyid}\n", 2)

    monkeypatch.setenv("TRUSTREG_PASSPHRASE", "other")
    assert cli("export", keyid).code == 0


def test_remove(cli: Cli) -> None:
    """
    Without a terminal only with ``--yes``.
    """
    cli("generate", "--role", "targets")
    keyid = listed(cli)[0]["id"]

    refused = cli("remove", keyid)
    assert (refused.code, len(listed(cli))) == (2, 1)
    assert "say --yes" in refused.err

    assert cli("remove", keyid, "--yes").out == f"{keyid}\n"
    assert listed(cli) == []
    unknown = cli("remove", keyid, "--yes")
    assert unknown.code == 2
    assert f"no key has an id that begins with '{keyid}'" in unknown.err


def test_remove_asks_at_a_terminal(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The question names role and collection, on stderr.
    """
    cli("generate", "--role", "targets", "--gun", GUN)
    keyid = listed(cli)[0]["id"]
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    asked: list[str] = []

    def confirm(text: str, *, abort: bool, err: bool) -> None:
        asked.append(text)
        if len(asked) == 1:
            raise click.Abort

    monkeypatch.setattr(click, "confirm", confirm)

    assert cli("remove", keyid).code == 3
    assert len(listed(cli)) == 1
    assert cli("remove", keyid).code == 0
    assert asked == [f"Delete the targets key {keyid} of {GUN}"] * 2


def test_add_uri(cli: Cli, tmp_path: Path) -> None:
    """
    The key is listed with its URI as its place.
    """
    (tmp_path / "key.pem").write_bytes(maker._pem("PRIVATE KEY", maker._pkcs8(maker.P256)))
    (tmp_path / "key.pub").write_bytes(maker._recorded("openssl-public"))
    uri = f"file2:{tmp_path / 'key.pem'}"

    made = cli("add-uri", uri, "--public", tmp_path / "key.pub", "--role", "root")

    assert made.code == 0
    assert [(held["id"], held["uri"], held["kind"]) for held in listed(cli)] == [(made.out.strip(), uri, "ecdsa")]
    assert cli("list").out.splitlines()[1].split()[-1] == uri
    assert cli("add-uri", "nonsense", "--public", tmp_path / "key.pub", "--role", "root").code == 2


@pytest.mark.parametrize(
    "name", ["generate", "import", "export", "list", "passwd", "remove", "migrate", "add-uri", "rotate"]
)
def test_help_has_an_example(cli: Cli, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    """
    Of this very command.
    """
    assert run(["key", name, "--help"]) == 0
    assert f"trustreg key {name}" in capfd.readouterr().out.partition("Example")[2]


def test_every_command_has_a_test_of_its_help() -> None:
    """
    A new one has to join the list above.
    """
    names = {"generate", "import", "export", "list", "passwd", "remove", "migrate", "add-uri", "rotate"}

    assert names == set(command.key.commands)


def test_what_is_imported_twice_is_said(cli: Cli, tmp_path: Path) -> None:
    """
    Nothing is replaced.
    """
    (tmp_path / "a").write_bytes(maker._recorded("openssl-rsa"))
    cli("import", tmp_path / "a", "--role", "targets")

    made = cli("import", tmp_path / "a", "--role", "root")

    assert made.code == 2
    assert made.err.endswith(" exists already\n")
    assert [held["role"] for held in listed(cli)] == ["targets"]


def test_migrate(cli: Cli, tmp_path: Path) -> None:
    """
    Ids on stdout, and on stderr where the old files are; then there is nothing to do, which is no error.
    """
    trust = tmp_path / "trust"
    old = lay(trust, maker.P256, "targets", GUN)
    assert listed(cli)[0]["where"] == str(old)

    moved, again = cli("migrate"), cli("migrate")

    (key,) = listed(cli)
    (backup,) = trust.glob("keys-*.tar")
    assert (moved.code, moved.out, moved.err) == (0, f"{key['id']}\n", f"trustreg: the old files are in {backup}\n")
    assert key["where"] == str(trust / "private" / f"{key['id']}.key")
    assert (again.code, again.out) == (0, "")
    assert again.err == "trustreg: no key lies where older clients of Notary kept them\n"
    assert json.loads(cli("migrate", "--format", "json").out) == {"backup": None, "keys": []}


def test_list_shows_the_folder_of_an_old_key(cli: Cli, tmp_path: Path) -> None:
    """
    So people see what today's clients of Notary would move.
    """
    lay(tmp_path / "trust", maker.P256, "targets", GUN)

    assert f"  {tmp_path}/trust/private/tuf_keys/{GUN}\n" in cli("list").out


def test_a_server_that_offers_the_key_that_it_has(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Nobody is to believe that a key was replaced which was not; what was published is as it was.
    """
    desk.begin("1.0")
    before = desk.run("inspect", desk.gun)
    monkeypatch.setattr(NotaryServer, "rotate_server_key", NotaryServer.server_key)

    said = desk.run("key", "rotate", desk.gun, "timestamp", "--server-managed")

    assert (said.code, said.out) == (2, "")
    assert "the trust server offers no other key than the one that it has" in said.err
    assert before == desk.run("inspect", desk.gun)


# --- GPG ---------------------------------------------------------------------------------------------


@pytest.fixture
def gpg(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gpg]:
    """A home of gpg without any key, which is that of this process."""
    with gpg_home() as home:
        monkeypatch.setenv("GNUPGHOME", str(home.home))
        yield home


@pytest.mark.parametrize("kind", [(), ("rsa",)], ids=["ed25519", "rsa"])
def test_a_gpg_key(cli: Cli, gpg: Gpg, kind: tuple[str, ...]) -> None:
    """
    Its fingerprint goes to stdout, alone; it signs under the passphrase that was given; its public half is handed out.
    """
    made = cli("generate", *kind, "--gpg", "Release <release@team.example>", "--expires", "2040-01-01")
    fingerprint = made.out.strip()
    gpg.forget_passphrases()

    assert made.code == 0
    assert made.err == (
        f"trustreg: gpg has the key; {gpg.home}/openpgp-revocs.d/{fingerprint}.rev revokes it, "
        "so keep a copy elsewhere\n"
    )
    listed = gpg.run("--with-colons", "-K").stdout
    assert ("sec:", f"fpr:::::::::{fingerprint}:") == (listed[:4], listed.splitlines()[1])
    assert gpg.run("--passphrase", "secret", "--local-user", fingerprint, "--sign", stdin=b"x").out
    public = cli("export", "--gpg", "release@team.example")
    assert public.out.startswith("-----BEGIN PGP PUBLIC KEY BLOCK-----")
    assert cli("export", "--gpg", fingerprint[-16:]).out == public.out


def test_a_gpg_key_as_json(cli: Cli, gpg: Gpg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    In a home that is made for it; without a passphrase where that is said.
    """
    monkeypatch.delenv("TRUSTREG_PASSPHRASE")
    home = gpg.home / "of-its-own"
    said = cli("generate", "--gpg", "Release", "--gpg-home", home, "--no-passphrase", "--format", "json")
    document = json.loads(said.out)
    try:
        exported = cli("export", "--gpg", "Release", "--gpg-home", home, "-o", tmp_path / "release.asc")
    finally:
        Gpg(home).close()

    fingerprint = document.pop("fingerprint")
    assert document == {"name": "Release", "kind": "ed25519", "expires": None, "home": str(home)}
    assert exported.code == 0
    assert stat.S_IMODE((tmp_path / "release.asc").stat().st_mode) == 0o644
    gpg.run("--import", tmp_path / "release.asc")
    assert fingerprint in gpg.run("--with-colons", "-k", "Release").stdout


def test_a_gpg_key_needs_a_passphrase(cli: Cli, gpg: Gpg, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Or a word that it is to have none.
    """
    monkeypatch.delenv("TRUSTREG_PASSPHRASE")

    said = cli("generate", "--gpg", "Release")

    assert (said.code, said.out) == (2, "")
    assert "there is nobody to ask for a passphrase" in said.err
    assert gpg.run("-K").stdout == ""


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("generate",), "Say what the key is to sign for"),
        (("generate", "--role", "root", "--no-passphrase"), "are for GPG keys"),
        (("generate", "--role", "root", "--expires", "2040-01-01"), "are for GPG keys"),
        (("generate", "--role", "root", "--gpg-home", "x"), "are for GPG keys"),
        (("generate", "--gpg", "x", "--role", "root"), "has no --role"),
        (("generate", "ecdsa", "--gpg", "x"), "ed25519 or rsa"),
        (("generate", "--gpg", "x", "--expires", "2020-01-01"), "has passed"),
        (("generate", "--gpg", "x\ny"), "is not a valid name of a key"),
        (("export",), "Say which key"),
        (("export", "abc", "--gpg", "x"), "Say which key"),
        (("export", "--gpg", "nobody"), "no key is here with its private half"),
    ],
)
def test_what_gpg_is_not_asked_for(cli: Cli, gpg: Gpg, arguments: tuple[str, ...], error: str) -> None:
    """
    It is said what is wrong, and nothing is made.
    """
    said = cli(*arguments)

    assert (said.code, said.out) == (2, "")
    assert error in said.err
    assert gpg.run("-K").stdout == ""

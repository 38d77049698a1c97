"""``trustreg key``: the private keys that are here."""

import re
from base64 import b64encode
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from trustreg.cli.chosen import Keys
from trustreg.cli.finish import finish, no_publish_option
from trustreg.cli.options import (
    GUN,
    KIND,
    MOMENT,
    as_format,
    confirm,
    gpg_home_option,
    with_keys,
    writing,
    yes_option,
)
from trustreg.cli.progress import progress
from trustreg.cli.render import complain, moment, print_json, say, table
from trustreg.errors import ChangeError, InputError
from trustreg.io.passphrases import GPG
from trustreg.names import ROOT, SNAPSHOT, TIMESTAMP, Gun, is_role
from trustreg.ports import HeldKey
from trustreg.sign.changes import SetKeys
from trustreg.wire import Wiring


def _role(_ctx: click.Context, _param: click.Parameter, text: str | None) -> str | None:
    if text is None or is_role(text) or _SIGNER.fullmatch(text):
        return text
    raise click.BadParameter(f"{text!r} is neither a role, as targets/releases, nor the name of a signer.")


def _plain(_ctx: click.Context, _param: click.Parameter, gun: Gun | None) -> str | None:
    return str(gun) if gun else None


_PATH = click.Path(path_type=Path)
_role_of_new = click.option("--role", required=True, callback=_role, help="What the key is to sign for.")
_gun_of_new = click.option("--gun", type=GUN, callback=_plain, help="The collection it is to sign for, if only one.")
_form = click.option(
    "--form",
    type=click.Choice(["own", "notary"]),
    default="own",
    show_default=True,
    help="own: PKCS#8 under scrypt, for trustreg and OpenSSL; notary: for the notary and Docker clients.",
)


@click.group()
def key() -> None:
    """Make, keep and hand out private keys.

    Passphrases come from --passphrase-file, TRUSTREG_PASSPHRASE, the variables of notary and Docker
    (NOTARY_ROOT_PASSPHRASE, DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE, ...) or the terminal;
    TRUSTREG_NEW_PASSPHRASE is the one to encrypt under. ID is a key id, or how it begins.
    """


@key.command()
@click.argument("kind", type=KIND, required=False)
@click.option("--role", callback=_role, help="What the key is to sign for.")
@_gun_of_new
@click.option("--gpg", metavar="NAME", help="Make a GPG key: of 'NAME', ADDRESS or 'NAME <ADDRESS>'.")
@gpg_home_option
@click.option("--expires", type=MOMENT, metavar="DATE", help="With --gpg: when the key expires. Else it does not.")
@click.option("--no-passphrase", is_flag=True, help="With --gpg: leave the private key unprotected.")
@as_format
@with_keys
def generate(
    wiring: Wiring,
    kind: str | None,
    role: str | None,
    gun: str | None,
    gpg: str | None,
    gpg_home: Path | None,
    expires: datetime | None,
    as_: str,
    *,
    no_passphrase: bool,
) -> None:
    """Make a key of KIND and print its id.

    Without KIND it is ecdsa (P-256) for a root, as Notary has it, and ed25519 for everything else. A key that signs
    images without a collection may have any ROLE.

    With --gpg it is a GPG key, ed25519 or rsa, that can sign and nothing else. It lives in the home of gpg, which is
    made if it is not there, and its fingerprint is printed. Its signatures count for nobody once it has expired,
    however old they are.

    \b
    Examples:
      trustreg key generate --role root
      trustreg key generate ecdsa --role targets/releases
      trustreg key generate --gpg "Release <release@team.example>" --expires 2028-12-31
    """
    if gpg is not None:
        if role or gun:
            raise click.UsageError("A GPG key has no --role and no --gun.")
        _generate_gpg(wiring, gpg, kind or "ed25519", gpg_home, expires, as_, no_passphrase=no_passphrase)
        return
    if gpg_home or expires or no_passphrase:
        raise click.UsageError("--gpg-home, --expires and --no-passphrase are for GPG keys: say --gpg NAME.")
    if role is None:
        raise click.UsageError("Say what the key is to sign for, with --role; or make a GPG key, with --gpg.")
    from trustreg.sign.signer import LocalSigner

    signer = LocalSigner.generate(kind or ("ecdsa" if role == ROOT else "ed25519"))
    _print_new((wiring.keystore().add(signer, role, gun),), as_)


@key.command("import")
@click.argument("files", type=_PATH, nargs=-1, required=True, metavar="FILE...")
@click.option("--role", callback=_role, help="What the keys are to sign for, whatever the file says.")
@click.option("--gun", type=GUN, callback=_plain, help="The collection they are to sign for, whatever the file says.")
@as_format
@with_keys
def import_(wiring: Wiring, files: tuple[Path, ...], role: str | None, gun: str | None, as_: str) -> None:
    """Store the private keys in each FILE, and print their ids.

    Reads PEM (PKCS#8, SEC1, PKCS#1), OpenSSH, and key files and exports of notary and Docker, encrypted
    or not. The passphrase of the file is tried or asked for first, then the one to store the key under.

    \b
    Examples:
      trustreg key import delegation.pem --role targets/releases
      trustreg key import ~/.docker/trust/private/*.key
    """
    store = wiring.keystore()
    _print_new(tuple(held for file in files for held in store.import_file(file, role, gun)), as_)


@key.command()
@click.argument("start", metavar="[ID]", required=False)
@click.option("-o", "--output", type=_PATH, metavar="FILE", help="Write a new FILE rather than to stdout.")
@click.option("--public", is_flag=True, help="The public key, which is no secret.")
@click.option("--gpg", metavar="KEY", help="The public key of this GPG key that is here, in ASCII armour.")
@gpg_home_option
@_form
@with_keys
def export(
    wiring: Wiring,
    start: str | None,
    output: Path | None,
    gpg: str | None,
    gpg_home: Path | None,
    form: Any,
    *,
    public: bool,
) -> None:
    """Print the key ID as PEM, encrypted.

    It is encrypted under TRUSTREG_NEW_PASSPHRASE, or what else is given for it, or asked for. Of a GPG key only the
    public half is printed, without what others say of it; KEY is its fingerprint, its key id, or the name or address
    in it.

    \b
    Examples:
      trustreg key export 4f3a -o backup.pem
      trustreg key export 4f3a --public > alice.pub
      trustreg key export 4f3a --form notary -o for-notary.pem
      trustreg key export --gpg release@team.example -o release.asc
    """
    from trustreg.errors import ExistsError
    from trustreg.io.files import write_atomically

    if output and output.exists():
        raise ExistsError(str(output))
    if (start is None) == (gpg is None):
        raise click.UsageError("Say which key: ID, or --gpg KEY.")
    if start is None:
        raw = _public_gpg(wiring, gpg or "", gpg_home)
    else:
        store = wiring.keystore()
        held = store.find(start)
        raw = store.export_public(held) if public else store.export(held, form)
    if output:
        write_atomically(output, raw, 0o644 if public or gpg else 0o600)
    else:
        click.echo(raw, nl=False)


@key.command("list")
@as_format
@with_keys
def list_(wiring: Wiring, as_: str) -> None:
    """List the keys that are here, without opening any.

    Key files of notary and Docker say neither kind nor public key before they are opened.

    \b
    Example:
      trustreg key list --format json
    """
    held = wiring.keystore().keys(warn=lambda error: complain(error, "trustreg: passed over"))
    if as_ == "json":
        print_json({"keys": [_spell(each) for each in held]})
    else:
        table(
            ("ROLE", "GUN", "KEY ID", "KIND", "LOCATION"),
            ((each.role or "-", each.gun or "-", each.id, each.kind or "-", _location(each)) for each in held),
        )


@key.command()
@click.argument("start", metavar="ID")
@with_keys
def passwd(wiring: Wiring, start: str) -> None:
    """Encrypt the key ID under another passphrase.

    The old one is found as always, the new one is TRUSTREG_NEW_PASSPHRASE or asked for.

    \b
    Example:
      trustreg key passwd 4f3a
    """
    store = wiring.keystore()
    held = store.find(start)
    store.change_passphrase(held)
    click.echo(held.id)


@key.command()
@click.argument("start", metavar="ID")
@yes_option
@with_keys
def remove(wiring: Wiring, start: str, *, yes: bool) -> None:
    """Delete the private key ID, for good.

    Collections that list it will need another of their keys to sign.

    \b
    Example:
      trustreg key remove 4f3a
    """
    store = wiring.keystore()
    held = store.find(start)
    confirm(f"Delete the {held.role or 'private'} key {held.id}" + (f" of {held.gun}" if held.gun else ""), yes=yes)
    store.remove(held)
    click.echo(held.id)


@key.command(short_help="Move keys that older clients of Notary kept elsewhere.")
@as_format
@with_keys
def migrate(wiring: Wiring, as_: str) -> None:
    """Move keys that clients of Notary before 0.4 kept elsewhere to where today's look, and print their ids.

    trustreg reads those keys where they are. notary and Docker of today move them by themselves and keep
    no copy; this puts the old files into an archive in the trust directory first. No passphrase is needed
    in a directory that is shared with those clients.

    \b
    Example:
      trustreg key migrate --trust-dir ~/.docker/trust
    """
    moved = wiring.keystore().migrate(wiring.now())
    held = moved.keys if moved else ()
    if as_ == "json":
        print_json({"backup": str(moved.backup) if moved else None, "keys": [_spell(each) for each in held]})
        return
    for each in held:
        click.echo(each.id)
    said = f"the old files are in {moved.backup}" if moved else "no key lies where older clients of Notary kept them"
    say(f"trustreg: {said}", err=True)


@key.command("add-uri", short_help="Use a key in an HSM or a key service.")
@click.argument("uri")
@click.option("--public", type=_PATH, required=True, metavar="FILE", help="The public key, PEM.")
@_role_of_new
@_gun_of_new
@as_format
@with_keys
def add_uri(wiring: Wiring, uri: str, public: Path, role: str, gun: str | None, as_: str) -> None:
    """Use the key behind URI, in an HSM or a key service, as if it were here; print its id.

    URI is one that securesystemslib has a signer for: hsm:, awskms:, gcpkms:, azurekms:, hv: and more.
    Signs once to see that it works. The PIN of an HSM is TRUSTREG_HSM_PIN or asked for.

    \b
    Example:
      PYKCS11LIB=/usr/lib/softhsm/libsofthsm2.so \\
        trustreg key add-uri "hsm:2?label=release" --public release.pub --role root
    """
    from trustreg.io.files import read_bounded
    from trustreg.sign.keyfile import LARGEST_KEY_FILE, read_public

    found = read_public(read_bounded(public, LARGEST_KEY_FILE), str(public))
    _print_new((wiring.keystore().add_uri(uri, found, role, gun),), as_)


@key.command(short_help="Replace the keys of a role.")
@click.argument("gun", type=GUN)
@click.argument("name", metavar="ROLE")
@click.option("--key", "keys", multiple=True, metavar="KEY", help="The new key; without it, one is made. Repeatable.")
@click.option(
    "-r", "--server-managed", is_flag=True, help="Let the trust server make it, and sign: timestamp, snapshot."
)
@click.option("--kind", type=KIND, help="Kind of a new key.")
@no_publish_option
@as_format
@writing
def rotate(
    wiring: Wiring,
    gun: Gun,
    name: str,
    keys: tuple[str, ...],
    kind: str | None,
    as_: str,
    *,
    server_managed: bool,
    no_publish: bool,
) -> None:
    """Replace all keys of ROLE in the collection GUN by each KEY, or by a new one, and publish that.

    Whatever the role signed is signed again; a new root is signed by old keys and new ones. Who signs snapshots on a
    trust server, you or the server, changes with --server-managed or without. To replace one key of several:
    `trustreg role rotate-key`. The private half of an old key stays where it is: `trustreg key remove` deletes it.

    \b
    Examples:
      trustreg key rotate registry.example/team/app targets
      trustreg key rotate registry.example/team/app root --key new-root.crt
      trustreg key rotate registry.example/team/app timestamp --server-managed
    """
    home = wiring.collection(gun)
    made = Keys(wiring, home)
    if server_managed and (keys or name not in {SNAPSHOT, TIMESTAMP}):
        raise click.UsageError("The trust server has keys of its own, for snapshot and timestamp.")
    if name == TIMESTAMP and not server_managed and not wiring.stored(home):
        raise click.UsageError("The trust server signs the timestamp: say --server-managed.")
    try:
        with progress(f"reading {home}"):
            old = [key.id for seat in wiring.seats(home, wiring.now()) if seat.name == name for key in seat.keys]
        if not old:
            raise ChangeError(name, "", "there is no such role")
        new = (wiring.publisher().offered_key(home, name),) if server_managed else made.named(keys, name, kind)
        ids = {key.id for key in new}
        if server_managed and ids <= set(old):
            raise ChangeError(name, "", "the trust server offers no other key than the one that it has")
        gone = tuple(keyid for keyid in old if keyid not in ids)
        change = SetKeys(role=name, add=new, remove=gone, threshold=1 if server_managed else None)
        finish(wiring, [(home, change)], as_, no_publish=no_publish)
    except InputError:
        made.forget()
        raise
    made.announce()


def _generate_gpg(
    wiring: Wiring, name: str, kind: str, home: Path | None, expires: datetime | None, as_: str, *, no_passphrase: bool
) -> None:
    from trustreg.io.gpgkeys import GpgKeys, make_home

    if kind == "ecdsa":
        raise click.UsageError("A GPG key is ed25519 or rsa.")
    if expires and expires <= wiring.now():
        raise click.UsageError("--expires is a day that has passed.")
    where = make_home(home, wiring.env)
    keys = GpgKeys(home, wiring.env)
    passphrase = None if no_passphrase else wiring.passphrases().choose(name, GPG, None)
    with progress("making a key"):
        fingerprint = keys.generate(name, kind, passphrase, expires)
    if as_ == "json":
        until = moment(expires) if expires else None
        kept = str(home) if home else None
        print_json({"fingerprint": fingerprint, "name": name, "kind": kind, "expires": until, "home": kept})
        return
    click.echo(fingerprint)
    revoke = f"{where}/openpgp-revocs.d/{fingerprint}.rev"
    say(f"trustreg: gpg has the key; {revoke} revokes it, so keep a copy elsewhere", err=True)


def _public_gpg(wiring: Wiring, text: str, home: Path | None) -> bytes:
    from trustreg.io.gpgkeys import GpgKeys

    keys = GpgKeys(home, wiring.env)
    return keys.public(keys.find(text).fingerprint)


def _print_new(held: tuple[HeldKey, ...], as_: str) -> None:
    if as_ == "json":
        print_json({"keys": [_spell(each) for each in held]})
        return
    for each in held:
        click.echo(each.id)
        click.echo(f"trustreg: {each.role} key kept in {each.where}", err=True)


def _location(held: HeldKey) -> str:
    return held.uri or str(Path(held.where).parent)


def _spell(held: HeldKey) -> dict[str, Any]:
    return {
        "id": held.id,
        "kind": held.kind or None,
        "role": held.role or None,
        "gun": held.gun,
        "public": b64encode(held.public).decode() or None,
        "where": held.where,
        "uri": held.uri,
    }


_PART = r"[a-z0-9][-_.a-z0-9]*"
_SIGNER = re.compile(rf"{_PART}(?:/{_PART})*")  # docker trust key load --name; roles in stores may have slashes

"""``trustreg serve``: a trust server of one's own."""

import os
from pathlib import Path

import click

from trustreg.errors import SettingError
from trustreg.io.serve import PASSPHRASE, Settings, find_passphrase, run

_FILE = click.Path(path_type=Path)


@click.command(short_help="Run a trust server.")
@click.option("--state", type=_FILE, required=True, envvar="TRUSTREG_SERVER_STATE", help="Folder of the database.")
@click.option(
    "--listen",
    default="127.0.0.1:4443",
    metavar="HOST:PORT",
    envvar="TRUSTREG_SERVER_LISTEN",
    show_default=True,
    help="Where to listen; port 0 takes a free one.",
)
@click.option("--tls-cert", type=_FILE, envvar="TRUSTREG_SERVER_TLS_CERT", help="Certificate chain (PEM).")
@click.option("--tls-key", type=_FILE, envvar="TRUSTREG_SERVER_TLS_KEY", help="Private key of the certificate (PEM).")
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes.")
@click.option("--passphrase-file", type=_FILE, help=f"Passphrase of the server's keys; else {PASSPHRASE}.")
@click.option(
    "--server-keys",
    "key_kind",
    type=click.Choice(["ecdsa", "ed25519"]),
    default="ecdsa",
    show_default=True,
    help="What keys to make for timestamps and snapshots.",
)
@click.option("--log", type=click.Choice(["off", "text", "json"]), default="off", help="A line for each request.")
@click.option("--dangerous-plain-http", is_flag=True, help="Speak plain HTTP to other machines.")
def serve(
    state: Path,
    listen: str,
    tls_cert: Path | None,
    tls_key: Path | None,
    workers: int,
    passphrase_file: Path | None,
    key_kind: str,
    log: str,
    dangerous_plain_http: bool,  # noqa: FBT001 (click passes it by name)
) -> None:
    """Serve trust data to trustreg, notary and Docker, from a folder.

    \b
    Examples:
      trustreg serve --state /var/lib/trustreg
      trustreg serve --state /srv/trust --listen 0.0.0.0:4443 --tls-cert tls.crt --tls-key tls.key
    """
    host, port = _address(listen)
    settings = Settings(
        state=state.absolute(),
        host=host,
        port=port,
        tls_cert=tls_cert,
        tls_key=tls_key,
        workers=workers,
        log=log,
        key_kind=key_kind,
        dangerous_plain_http=dangerous_plain_http,
    )
    given = os.environ.pop(PASSPHRASE, None)
    run(settings, lambda: find_passphrase(settings.state, passphrase_file, given, _say), _say)


def _address(text: str) -> tuple[str, int]:
    """Read ``host:port``; an IPv6 address stands in brackets."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65_535:
        raise SettingError("--listen", f"{text!r} is not HOST:PORT")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _say(line: str) -> None:
    click.echo(line, err=True)

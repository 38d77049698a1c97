"""``trustreg admission serve``: the webhook of a cluster."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trustreg.cli.options import DURATION, by_policy
from trustreg.errors import SettingError
from trustreg.io.serve import ExtraError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from trustreg.wire import Wiring

_FILE = click.Path(path_type=Path)
_PREFIX = "TRUSTREG_ADMISSION_"


def _option(name: str, **facts: Any) -> Callable[[click.decorators.FC], click.decorators.FC]:
    """Return an option that the environment can set as well."""
    variable = _PREFIX + name.removeprefix("--").replace("-", "_").upper()
    return click.option(name, envvar=variable, show_envvar=True, show_default="default" in facts, **facts)


@click.command(short_help="Run the webhook of a cluster.")
@_option("--listen", default="0.0.0.0:8443", metavar="HOST:PORT", help="Where to listen; port 0 takes a free one.")
@_option("--tls-cert", type=_FILE, required=True, help="Certificate chain (PEM); replaced while serving.")
@_option("--tls-key", type=_FILE, required=True, help="Private key of the certificate (PEM).")
@_option("--metrics-listen", metavar="HOST:PORT", help="Show health and metrics there, too, in plain HTTP.")
@_option("--environment", default="", metavar="NAME", help="Noted in each line of the log, and in alerts.")
@_option("--reuse", type=DURATION, default="5s", metavar="TIME", help="What a tag is, and a collection, before asking.")
@_option("--trusted-for", type=DURATION, default="5m", metavar="TIME", help="Remember that an image is trusted.")
@_option("--refused-for", type=DURATION, default="10s", metavar="TIME", help="Remember that an image is refused.")
@_option("--max-reviews", type=click.IntRange(1, 1000), default=64, metavar="N", help="At the same time.")
@_option("--max-body", type=click.IntRange(1024, 64 << 20), default=8 << 20, metavar="BYTES", help="Of a review.")
@_option("--max-time", type=DURATION, default="9s", metavar="TIME", help="For a review, if there is no less.")
@_option("--drain", type=DURATION, default="20s", metavar="TIME", help="For reviews under way at the end.")
@_option("--pull-secrets", is_flag=True, help="Ask the cluster for logins of pods, and for owners of objects.")
@_option("--redis-file", type=_FILE, help="File with the URL of a Redis to share fetched content in.")
@_option("--alerts-file", type=_FILE, help="File that says who is told: lines of slack URL or generic URL.")
@_option("--alerts-per-minute", type=click.IntRange(1, 600), default=10, metavar="N", help="So many at most.")
@by_policy
def serve(wiring: Wiring, /, listen: str, metrics_listen: str | None, **given: Any) -> None:
    """Serve reviews of a cluster, over TLS: /mutate, /validate and /imagereview.

    Images are judged by the policy. It, its keys and the certificate are read anew as soon as they change; what is of
    no use then is passed over, and said so in /readyz and /metrics. SIGTERM ends it, after what is under way.

    The URL of a Redis can be in TRUSTREG_ADMISSION_REDIS as well: like those of alerts it is a secret.

    \b
    Examples:
      trustreg admission serve --policy policy.yaml --tls-cert tls.crt --tls-key tls.key
      trustreg admission serve --policy policy.yaml --tls-cert tls.crt --tls-key tls.key \\
        --metrics-listen 0.0.0.0:9090 --environment production --pull-secrets
    """
    try:
        from trustreg.admitting import Around, run
        from trustreg.io.webhook.app import Limits
        from trustreg.io.webhook.desk import Spans
        from trustreg.io.webhook.server import Settings
    except ImportError as exc:
        raise ExtraError(exc.name or "uvicorn", "admission") from exc
    host, port = _address("--listen", listen)
    if (policy := wiring.config().policy) is None:
        raise SettingError("policy", "no policy was named: say which with --policy, or in the configuration")
    settings = Settings(
        policy=Path(policy),
        host=host,
        port=port,
        tls_cert=given["tls_cert"],
        tls_key=given["tls_key"],
        metrics=_address("--metrics-listen", metrics_listen) if metrics_listen else None,
        environment=given["environment"],
        spans=Spans(given["reuse"], given["trusted_for"], given["refused_for"]),
        limits=Limits(given["max_body"], given["max_reviews"], _seconds(given["max_time"])),
        drain=int(_seconds(given["drain"])),
    )
    around = Around(
        pull_secrets=given["pull_secrets"],
        redis=_redis(given["redis_file"]),
        alerts=given["alerts_file"],
        alerts_per_minute=given["alerts_per_minute"],
    )
    run(settings, around, wiring, partial(click.echo, err=True))


def _redis(path: Path | None) -> str:
    from trustreg.io.files import read_bounded

    if path is None:
        return os.environ.get(f"{_PREFIX}REDIS", "")
    return read_bounded(path, _LONGEST).decode(errors="replace").strip()


def _seconds(span: timedelta) -> float:
    return span.total_seconds()


def _address(option: str, text: str) -> tuple[str, int]:
    """Read ``host:port``; an IPv6 address stands in brackets."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65_535:
        raise SettingError(option, f"{text!r} is not HOST:PORT")
    return host.removeprefix("[").removesuffix("]"), int(port)


_LONGEST = 4096  # bytes of a URL

"""The webhook put together: ``trustreg admission serve``."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from trustreg.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from trustreg.io.webhook.desk import Bench, Logins
    from trustreg.io.webhook.server import Settings
    from trustreg.policy import Policy
    from trustreg.wire import Wiring


class Around(NamedTuple):
    """What the webhook talks to, beside registries and trust servers.

    Attributes:
        pull_secrets: Whether the cluster is asked for the logins of pods, and for owners.
        redis: The URL of a Redis; "" for none.
        alerts: The file that says who is told; ``None`` for nobody.
        alerts_per_minute: How many alerts at most.
    """

    pull_secrets: bool = False
    redis: str = ""
    alerts: Path | None = None
    alerts_per_minute: int = 10


def run(settings: Settings, around: Around, wiring: Wiring, say: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        settings: How to serve.
        around: What it talks to.
        wiring: What the command line, the environment and the configuration say.
        say: Takes one line for people, ``listening on URL``, when the first review can come.

    Raises:
        InputError, FileError: Something cannot be used.
    """
    from datetime import UTC, datetime

    from trustreg.io.http import Http, Timeouts
    from trustreg.io.known import InMemory
    from trustreg.io.tls import Tls
    from trustreg.io.webhook.alerts import Alerts, receivers
    from trustreg.io.webhook.desk import Bench, Logins
    from trustreg.io.webhook.far import Far
    from trustreg.io.webhook.server import Log, Office, serve
    from trustreg.io.webhook.tally import Tally

    def clock() -> datetime:
        return datetime.now(UTC)

    tally, log = Tally(), Log(settings.environment)
    far = Far(around.redis, tally) if around.redis else None
    known = InMemory(far)
    waits = Timeouts(connect=2.0, read=5.0, total=8.0)

    def bench(policy: Policy, logins: Logins) -> Bench:
        serving = wiring.serving({**wiring.env, **logins.env}, waits, known)
        return Bench(serving.judge(policy, _ASKED * settings.spans.reuse), serving.logical, serving)

    office = Office(settings, bench, tally, log, clock)
    to = receivers(around.alerts) if around.alerts else ()
    http = Http(wiring.env, Tls(wiring.env, wiring.env.get("HOME", "/")), timeouts=waits)
    alerts = Alerts(to, http, around.alerts_per_minute, tally, log.warn)
    cluster = None
    if around.pull_secrets:
        try:
            from trustreg.io.webhook.cluster import Cluster
        except ImportError as exc:
            raise SettingError("--pull-secrets", "this needs: pip install 'trustreg[k8s]'") from exc
        cluster = Cluster(tally, log.warn, clock)
    try:
        serve(
            settings,
            office,
            tally,
            log,
            logins=cluster.logins if cluster else lambda _, *, wait: Logins(),  # noqa: ARG005
            owners=cluster.owner if cluster else None,
            alert=alerts.tell,
            say=say,
        )
    finally:
        alerts.close(_LAST_ALERTS)
        if cluster:
            cluster.close()
        if far:
            far.close()


_ASKED = 0.6  # of the time that a collection may be used again: it is asked for ahead in the rest of it
_LAST_ALERTS = 5.0  # seconds

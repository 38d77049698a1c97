"""What the webhook counts, for Prometheus; documented in ``docs/reference/admission-metrics.md``."""

from __future__ import annotations

import time
from collections import OrderedDict
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily

from trustreg.errors import UntrustedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from prometheus_client.metrics_core import Metric

    from trustreg.admission import Review
    from trustreg.client import Standing
    from trustreg.policy import Policy


class Tally:
    """Counts. Threads may share it."""

    def __init__(self) -> None:
        self._all = CollectorRegistry()
        self.expiries = _Expiries()
        self._all.register(self.expiries)

        def counter(name: str, help_: str, *labels: str) -> Counter:
            return Counter(f"trustreg_admission_{name}", help_, labels, registry=self._all)

        def gauge(name: str, help_: str, *labels: str) -> Gauge:
            return Gauge(f"trustreg_admission_{name}", help_, labels, registry=self._all)

        def histogram(name: str, help_: str, *labels: str) -> Histogram:
            return Histogram(f"trustreg_admission_{name}", help_, labels, registry=self._all, buckets=_BUCKETS)

        self._decisions = counter(
            "decisions", "Images that were judged.", "rule", "verdict", "reason", "mode", "allowed"
        )
        self._reviews = counter("reviews", "Reviews that were answered.", "endpoint", "outcome")
        self._seconds = histogram("review_seconds", "How long reviews took.", "endpoint")
        self._in_flight = gauge("in_flight", "Reviews that are being answered.")
        self._refusals = counter("requests_refused", "Requests that were no reviews, or too many.", "status")
        self._failures = counter("failures", "Reviews that were refused for a bug.")
        self._cache = counter("cache_requests", "Whether something was remembered.", "cache", "result")
        self._upstream = counter("upstream_calls", "Questions to others.", "kind", "outcome")
        self._upstream_seconds = histogram("upstream_seconds", "How long others took to answer.", "kind")
        self._reloads = counter("reloads", "Files that were read anew.", "what", "outcome")
        self._alerts = counter("alerts", "Alerts.", "outcome")
        self._policy = gauge("policy_info", "The policy in use.", "digest")
        self._policy_loaded = gauge("policy_loaded_timestamp_seconds", "When the policy in use was read.")
        self._ready = gauge("ready", "Whether reviews are to be sent here.")

    def text(self) -> bytes:
        """Return everything, as Prometheus reads it."""
        return generate_latest(self._all)

    @contextmanager
    def in_flight(self) -> Iterator[None]:
        """Count a review while it is answered."""
        with self._in_flight.track_inprogress():
            yield

    def reviewed(self, endpoint: str, review: Review, seconds: float) -> None:
        """Count *review*, which took so long."""
        outcome = "skipped" if review.skipped else "allowed" if review.allowed else "denied"
        self._reviews.labels(endpoint, outcome).inc()
        self._seconds.labels(endpoint).observe(seconds)
        for one in review.images:
            rule = one.decision.rule.name if one.decision else ""
            reason = one.codes[0] if one.codes else ""
            self._decisions.labels(rule, one.verdict, reason, one.mode, str(one.allowed).lower()).inc()

    def turned_away(self, status: int) -> None:
        """Count a request that was answered with *status* instead of a review."""
        self._refusals.labels(str(status)).inc()

    def failed(self) -> None:
        """Count a bug."""
        self._failures.inc()

    def cached(self, cache: str, *, hits: int = 0, misses: int = 0) -> None:
        """Count what was remembered, and what was not."""
        if hits:
            self._cache.labels(cache, "hit").inc(hits)
        if misses:
            self._cache.labels(cache, "miss").inc(misses)

    @contextmanager
    def upstream(self, kind: str) -> Iterator[None]:
        """Count a question to others, and how long they take: it is *kind* that is asked."""
        begun, outcome = time.perf_counter(), "failed"
        try:
            yield
            outcome = "answered"
        except UntrustedError:
            outcome = "refused"
            raise
        finally:
            self._upstream.labels(kind, outcome).inc()
            self._upstream_seconds.labels(kind).observe(time.perf_counter() - begun)

    def asked(self, kind: str, outcome: str) -> None:
        """Count a question whose *outcome* is known."""
        self._upstream.labels(kind, outcome).inc()

    def reloaded(self, what: str, *, good: bool) -> None:
        """Count that *what*, ``policy`` or ``certificate``, was read anew."""
        self._reloads.labels(what, "loaded" if good else "failed").inc()

    def alerted(self, outcome: str, count: int = 1) -> None:
        """Count alerts that were ``sent``, ``failed`` or ``dropped``."""
        self._alerts.labels(outcome).inc(count)

    def uses(self, policy: Policy, now: datetime) -> None:
        """Say which policy is in use since *now*."""
        self._policy.clear()
        self._policy.labels(policy.digest).set(1)
        self._policy_loaded.set(now.timestamp())

    def ready(self, *, ready: bool) -> None:
        """Say whether reviews are to be sent here."""
        self._ready.set(ready)

    def standing(self, standing: Standing) -> None:
        """Remember when the roles of a collection expire."""
        for role in standing.roles:
            self.expiries.put("role", f"{standing.gun} {role.name}", role.expires)


class _Expiries:
    """Seconds until what is in use expires, as of when somebody looks. Of too many, the latest looked at are kept."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], datetime] = OrderedDict()
        self._lock = Lock()

    def put(self, kind: str, name: str, expires: datetime) -> None:
        """Say when a ``role``, ``key`` or ``certificate`` called *name* expires."""
        with self._lock:
            self._known[kind, name] = expires
            self._known.move_to_end((kind, name))
            if len(self._known) > _MOST:
                self._known.popitem(last=False)

    def clear(self, kind: str) -> None:
        """Forget all of one *kind*."""
        with self._lock:
            for key in [key for key in self._known if key[0] == kind]:
                del self._known[key]

    def collect(self) -> Iterable[Metric]:
        """Yield the gauges."""
        with self._lock:
            known = sorted(self._known.items())
        found = GaugeMetricFamily(
            "trustreg_admission_expiry_seconds", "Until this expires; negative after that.", labels=("kind", "name")
        )
        for (kind, name), expires in known:
            found.add_metric((kind, name), expires.timestamp() - time.time())
        yield found


_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_MOST = 1024  # expiries; a cluster's collections have five roles each

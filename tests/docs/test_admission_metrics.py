"""The page of what the webhook counts, logs and tells is what it does."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.peers.webhook import pod_review
from trustreg import admission
from trustreg.cli.admission_serve import serve
from trustreg.io.webhook import app
from trustreg.io.webhook.tally import Tally
from trustreg.policy import Admission

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "reference" / "admission-metrics.md").read_text()
NOW = datetime(2026, 12, 1, tzinfo=UTC)


def _rows(heading: str) -> list[list[str]]:
    """Return the cells of the tables below *heading*."""
    part = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in part.splitlines() if line[:3] == "| `"]
    assert rows
    return rows


def _names(text: str) -> list[str]:
    return re.findall(r"`([a-zA-Z_]+)`", text)


def test_metrics() -> None:
    """
    Each metric is on the page, with its kind and labels, and no other is.
    """
    tally = Tally()
    kinds = {
        f"{family.name}_total" if family.type == "counter" else family.name: family.type
        for family in text_string_to_metric_families(tally.text().decode())
        if not family.name.endswith("_created")
    }
    labels = {
        name: sorted(getattr(metric, "_labelnames", ()))
        for metric, names in tally._all._collector_to_names.items()
        for name in names
    }
    labels["trustreg_admission_expiry_seconds"] = ["kind", "name"]

    said = {f"trustreg_admission_{_names(row[0])[0]}": row for row in _rows("Metrics")}
    assert set(said) == set(kinds)
    assert {name: row[1] for name, row in said.items()} == kinds
    assert {name: sorted(_names(row[2])) for name, row in said.items()} == {name: labels[name] for name in kinds}


def test_log_and_alerts() -> None:
    """
    Each field of the log and of alerts is on the page, and no other is.
    """

    def decide(*_: object) -> list[object]:
        raise ZeroDivisionError

    document = pod_review("registry.example/app:1")
    found = admission.examine(document, decide, Admission(), NOW)  # type: ignore[arg-type]
    record, common = app._record("validate", document, found, 0.1, NOW), {"service", "environment"}
    alert = app._alert(record, found)

    log = [name for row in _rows("Log") for name in _names(row[0])]
    alerts = [name for row in _rows("Alerts") for name in _names(row[0])]
    assert set(log) == common | set(record)
    assert set(alerts) == common | set(alert) | {"suppressed"}
    assert set(record["images"][0]) == set(_names(next(row[1] for row in _rows("Log") if row[0] == "`images`")))
    assert set(alert["images"][0]) == set(_names(next(row[1] for row in _rows("Alerts") if row[0] == "`images`")))


def test_settings() -> None:
    """
    Each flag that is the webhook's own is on the page of how to run it, and a variable says the same.
    """
    page = (DOCS / "how-to" / "run-the-admission-webhook.md").read_text()
    mine = [option for option in serve.params if getattr(option, "envvar", None)]

    assert {option.opts[0] for option in mine} == set(
        re.findall(r"`(--[a-z-]+)`", page.partition("## Settings")[2].partition("What that")[0])
    ) - {"--metrics-listen"} | {"--metrics-listen"}
    assert all(option.envvar == "TRUSTREG_ADMISSION_" + option.opts[0][2:].replace("-", "_").upper() for option in mine)

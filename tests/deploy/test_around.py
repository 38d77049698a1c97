"""What lies around the chart: certificates, image, rules, dashboard, scripts."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.deploy.chart import DEPLOY, NAME, NAMESPACE
from tests.peers.command import require
from trustreg.io.webhook.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.interop
ROOT = DEPLOY.parent


def _run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    require(str(command[0]))
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, cwd=ROOT)


def _said(done: subprocess.CompletedProcess[str]) -> tuple[int, str]:
    return done.returncode, done.stdout + done.stderr


def test_certificates(tmp_path: Path) -> None:
    """
    The script's certificate is good for a TLS server of the service's name by its own CA, and for nothing else.
    """
    folder = tmp_path / "tls"
    done = _run(DEPLOY / "certificates.sh", folder)
    assert done.returncode == 0, done.stderr

    def verify(*args: str) -> int:
        return _run(
            "openssl", "verify", "-x509_strict", "-CAfile", folder / "ca.crt", *args, folder / "tls.crt"
        ).returncode

    host = f"{NAME}.{NAMESPACE}.svc"
    assert 0 == verify("-purpose", "sslserver", "-verify_hostname", host)
    assert 0 != verify("-purpose", "sslclient")
    assert 0 != verify("-purpose", "sslserver", "-verify_hostname", "other.trustreg.svc")
    assert ["ca.crt", "tls.crt", "tls.key"] == sorted(path.name for path in folder.iterdir())
    assert {0o600} == {path.stat().st_mode & 0o777 for path in folder.iterdir()}
    public = [
        _run("openssl", *command).stdout
        for command in (
            ("pkey", "-in", str(folder / "tls.key"), "-pubout"),
            ("x509", "-in", str(folder / "tls.crt"), "-noout", "-pubkey"),
        )
    ]
    assert public[0] == public[1] != ""


def test_certificates_are_not_overwritten(tmp_path: Path) -> None:
    """
    What is there stays; without a folder, the script says how it is used.
    """
    (tmp_path / "tls.key").write_text("mine")

    assert 1 == _run(DEPLOY / "certificates.sh", tmp_path).returncode
    assert "mine" == (tmp_path / "tls.key").read_text()
    assert 2 == _run(DEPLOY / "certificates.sh").returncode


def test_scripts() -> None:
    """
    Shellcheck finds nothing in what runs in clusters.
    """
    scripts = [DEPLOY / "certificates.sh", ROOT / "scripts/try_chart_in_kind", ROOT / "scripts/try_in_kind"]

    assert (0, "") == _said(_run("shellcheck", *scripts))


def test_dockerfile() -> None:
    """
    Hadolint finds nothing; the image runs as nobody, by number so that Kubernetes can see it, and copies no secrets.
    """
    hadolint = Path(sys.executable).with_name("hadolint")
    assert (0, "") == _said(_run(hadolint, DEPLOY / "Dockerfile"))

    text = (DEPLOY / "Dockerfile").read_text()
    assert re.findall(r"^USER (.*)$", text, re.MULTILINE) == ["65532:65532"]
    assert re.findall(r"^ARG BASE=(.*)$", text, re.MULTILINE) == ["docker.io/library/python:3.13-slim-bookworm"]
    assert json.loads(re.findall(r"^ENTRYPOINT (.*)$", text, re.MULTILINE)[0]) == ["trustreg", "admission", "serve"]
    let_in = (DEPLOY / "Dockerfile.dockerignore").read_text().split()
    assert let_in[0] == "*"
    for name in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE):
        for part in name.split():
            assert f"!{part}" in let_in
            assert (ROOT / part).exists()


def test_rules() -> None:
    """
    Promtool takes the rules, and they fire when they should and not otherwise.
    """
    checked = _run("promtool", "check", "rules", DEPLOY / "prometheus/rules.yaml")
    tested = _run("promtool", "test", "rules", DEPLOY / "prometheus/rules_test.yaml")

    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_every_alert_is_tried() -> None:
    """
    There is no alert that the tests of the rules do not make fire.
    """
    rules = yaml.safe_load((DEPLOY / "prometheus/rules.yaml").read_text())
    alerts = [rule["alert"] for group in rules["groups"] for rule in group["rules"]]

    fired = re.findall(r'alertname="(\w+)"', (DEPLOY / "prometheus/rules_test.yaml").read_text())
    assert sorted(alerts) == sorted(fired)


def _known() -> dict[str, set[str]]:
    """Return the labels of each metric of the webhook, by the names that it has in queries."""
    tally = Tally()
    labels = {
        name: set(getattr(one, "_labelnames", ()))
        for one, names in tally._all._collector_to_names.items()
        for name in names
    }
    labels["trustreg_admission_expiry_seconds"] = {"kind", "name"}
    known: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(tally.text().decode()):
        if family.name.endswith("_created"):
            continue
        own = labels[family.name]
        if family.type == "counter":
            known[f"{family.name}_total"] = own
        elif family.type == "histogram":
            known |= {
                f"{family.name}_{end}": own | ({"le"} if end == "bucket" else set())
                for end in ("bucket", "sum", "count")
            }
        else:
            known[family.name] = own
    return known


def _queries() -> Iterator[str]:
    rules = yaml.safe_load((DEPLOY / "prometheus/rules.yaml").read_text())
    yield from (rule["expr"] for group in rules["groups"] for rule in group["rules"])
    board: dict[str, Any] = json.loads((DEPLOY / "grafana/dashboard.json").read_text())
    yield from (target["expr"] for panel in board["panels"] for target in panel["targets"])
    yield from (one["query"]["query"] for one in board["templating"]["list"] if one["type"] == "query")


def test_queries_ask_for_what_there_is() -> None:
    """
    Rules and dashboard name no metric and no label that the webhook does not have.
    """
    known = _known()
    scraped = {"job", "$job"}

    for query in _queries():
        metrics = re.findall(r"trustreg_\w+", query)
        assert metrics, query
        assert set(metrics) <= set(known), query
        labels = {name for metric in metrics for name in known[metric]}
        used = [
            name
            for part in re.findall(r"\{([^}]*)\}", query)
            for name in re.findall(r'(\w+)\s*(?:=~|!~|!=|=)\s*"', part)
        ]
        used += [name.strip() for part in re.findall(r"\bby \(([^)]*)\)", query) for name in part.split(",")]
        assert set(used) <= labels | scraped, query


def test_dashboard_shows_every_metric() -> None:
    """
    Nothing that the webhook counts is left out; panels do not lie on each other, and PromQL parses.
    """
    board = json.loads((DEPLOY / "grafana/dashboard.json").read_text())
    shown = {
        name
        for panel in board["panels"]
        for target in panel["targets"]
        for name in re.findall(r"trustreg_\w+", target["expr"])
    }
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in _known()}
    assert families == {name.removesuffix("_bucket") for name in shown}

    cells: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        own = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not own & cells
        assert max(x for x, _ in own) < 24
        cells |= own
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def test_queries_of_the_dashboard_are_promql(tmp_path: Path) -> None:
    """
    Promtool reads each of them, with Grafana's variables filled in.
    """
    board = json.loads((DEPLOY / "grafana/dashboard.json").read_text())
    queries = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    rules = [
        {"record": f"panel:{number}", "expr": query.replace("$__rate_interval", "5m").replace("$job", ".*")}
        for number, query in enumerate(queries)
    ]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "board", "rules": rules}]}))
    done = _run("promtool", "check", "rules", file)

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(rules)} rules found" in done.stdout

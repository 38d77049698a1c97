"""
The chart, rendered by Helm's own code; ``python -m tests.deploy.chart`` writes ``deploy/manifests`` anew.

What there is rendered with the default values is what people get who have no Helm.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from helm_python.chart import Chart

if TYPE_CHECKING:
    from collections.abc import Mapping

DEPLOY = Path(__file__).parents[2] / "deploy"
CHART = DEPLOY / "chart"
MANIFESTS = DEPLOY / "manifests"
NAME, NAMESPACE = "trustreg-admission", "trustreg"


def render(values: Mapping[str, Any] | None = None) -> dict[str, str]:
    """Return the text of each template by its name, as an installation with *values* has it."""
    texts = Chart.load(CHART).render(dict(values or {}), name=NAME, namespace=NAMESPACE)
    return {path.rpartition("/")[2]: text for path, text in texts.items() if text.strip()}


def objects(values: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """Return the objects of an installation with *values*."""
    return [
        one
        for name, text in render(values).items()
        if name.endswith(".yaml")
        for one in yaml.safe_load_all(text)
        if one is not None
    ]


def of(kind: str, values: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the one object of *kind*."""
    (one,) = [one for one in objects(values) if one["kind"] == kind]
    return one


def manifests() -> dict[str, str]:
    """Return what belongs into the files of ``deploy/manifests`` that are rendered."""
    texts = render()
    written = {}
    for file, wanted in FILES.items():
        parts = [texts.pop(name).strip("\n").removeprefix("---\n") for name in wanted]
        lines = "\n---\n".join(parts).split("\n")
        written[file] = "\n".join([_HEAD, *(line for line in lines if line.strip() not in _HELMS), ""])
    assert set(texts) == {"NOTES.txt"}
    return written


FILES = {
    "server.yaml": [
        "serviceaccount.yaml",
        "configmap.yaml",
        "certificate.yaml",
        "service.yaml",
        "deployment.yaml",
        "poddisruptionbudget.yaml",
        "networkpolicy.yaml",
    ],
    "registration.yaml": ["mutating.yaml", "validating.yaml"],
}
_HEAD = "# The chart with its default values; written by `python -m tests.deploy.chart`."
_HELMS = {"app.kubernetes.io/managed-by: Helm", ""}

if __name__ == "__main__":
    for name, text in manifests().items():
        (MANIFESTS / name).write_text(text)

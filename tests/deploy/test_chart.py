"""The chart: Helm renders it, Kubernetes would take it, and it gives away no more than it has to."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any

import click
import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from helm_python.chart import lint
from helm_python.errors import HelmError

from tests.deploy.chart import CHART, DEPLOY, MANIFESTS, NAME, NAMESPACE, manifests, objects, of, render
from trustreg import __version__
from trustreg.cli.admission_serve import serve
from trustreg.io import policyfile

if TYPE_CHECKING:
    from pathlib import Path

HOW_TO = DEPLOY.parent / "docs/how-to/deploy-the-webhook-in-a-cluster.md"
OWN_CERTIFICATE = {"certManager": False, "secret": "own", "ca": "-----BEGIN CERTIFICATE-----\nAA==\n"}
EVERYTHING: dict[str, Any] = {
    "image": {"digest": f"sha256:{'a' * 64}", "pullSecrets": ["nodes"]},
    "priorityClassName": "system-cluster-critical",
    "nodeSelector": {"role": "control"},
    "tolerations": [{"key": "control", "operator": "Exists", "effect": "NoSchedule"}],
    "podAnnotations": {"note": "one"},
    "environment": "production: eu",
    "policy": {"sources": [{"secret": {"name": "keys"}}]},
    "config": "[defaults]\nfirst_use = false\n",
    "ca": {"configMap": "authorities"},
    "registryAuth": {"secret": "login"},
    "pullSecrets": {"enabled": True, "namespaces": ["a", "b"], "secretNames": ["pull"], "owners": True},
    "redis": {"secret": "redis"},
    "alerts": {"secret": "receivers"},
    "metrics": {"podMonitor": {"enabled": True, "labels": {"release": "prometheus"}}},
    "webhooks": {
        "namespaceLabels": {"trust": "on"},
        "rules": [
            {
                "apiGroups": ["argoproj.io"],
                "apiVersions": ["v1alpha1"],
                "operations": ["CREATE", "UPDATE"],
                "resources": ["rollouts"],
            }
        ],
    },
    "networkPolicy": {
        "metricsFrom": [{"podSelector": {"matchLabels": {"app": "prometheus"}}}],
        "egressPorts": [443, 4443],
        "egress": [{"to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}]}],
    },
}
CASES: dict[str, dict[str, Any]] = {
    "defaults": {},
    "everything": EVERYTHING,
    "certificate of one's own": {"certificates": OWN_CERTIFICATE},
    "issuer of one's own": {"certificates": {"issuerRef": {"name": "corporate", "kind": "ClusterIssuer"}}},
    "secrets everywhere": {"pullSecrets": {"enabled": True}},
    "as little as there is": {
        "webhooks": {"enabled": False},
        "metrics": {"enabled": False},
        "networkPolicy": {"enabled": False},
        "podDisruptionBudget": {"enabled": False},
        "policy": {"configMap": "policy"},
        "redis": {"url": "redis://redis:6379/0"},
    },
}
EVERY = pytest.mark.parametrize("values", CASES.values(), ids=CASES)


@EVERY
def test_lint(values: dict[str, Any]) -> None:
    """
    Helm has nothing to say against it, but that a picture would be nice.
    """
    report = lint(CHART, values, strict=True, namespace=NAMESPACE)

    assert ([], ["icon is recommended"]) == (report["errors"], [one["error"] for one in report["messages"]])


@pytest.mark.parametrize(
    ("values", "version"),
    [pytest.param(EVERYTHING, "1.25", id="everything, of old")]
    + [pytest.param(values, "1.37", id=name) for name, values in CASES.items()],
)
def test_objects_are_those_of_kubernetes(values: dict[str, Any], version: str) -> None:
    """
    Each object passes the API's own schema, strictly: of the oldest version that the chart is for, and of a new one.
    """
    checked = []
    for one in objects(values):
        if "." in one["apiVersion"] and not one["apiVersion"].partition("/")[0].endswith("k8s.io"):
            continue  # of others, below
        kubernetes_validate.validate(one, version, strict=True)
        checked.append(one["kind"])

    assert {"Deployment", "Service", "ServiceAccount"} <= set(checked)
    assert set(checked) | {"Issuer", "Certificate", "PodMonitor"} >= {one["kind"] for one in objects(values)}


def test_a_schema_would_find_a_mistake() -> None:
    """
    A misspelt member is not passed over.
    """
    wrong = of("Deployment")
    wrong["spec"]["template"]["spec"]["containers"][0]["securityContext"]["readOnlyRootFileSystem"] = True

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, "1.37", strict=True)


def test_manifests_are_the_chart() -> None:
    """
    What stands in deploy/manifests is what the chart makes of its default values.
    """
    assert manifests() == {name: (MANIFESTS / name).read_text() for name in manifests()}
    for file in MANIFESTS.iterdir():
        for one in yaml.safe_load_all(file.read_text()):
            assert one["metadata"].get("namespace", NAMESPACE) == NAMESPACE


def test_version() -> None:
    """
    The chart is for this version.
    """
    assert __version__ == yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]


@EVERY
def test_pods_may_nothing(values: dict[str, Any]) -> None:
    """
    Pods are as the restricted level of Kubernetes wants them, write to nothing but two folders, and have bounds.
    """
    deployment = of("Deployment", values)
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]

    assert "initContainers" not in pod
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    assert {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}}.items() <= pod[
        "securityContext"
    ].items()
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "privileged": False,
        "capabilities": {"drop": ["ALL"]},
    }
    assert ["/var/lib/trustreg", "/tmp"] == [
        one["mountPath"] for one in container["volumeMounts"] if not one.get("readOnly")
    ]
    assert "--trust-dir=/var/lib/trustreg/trust" in container["args"]  # one of its own: root has the volume itself
    kinds = {kind for volume in pod["volumes"] for kind in volume if kind != "name"}
    assert kinds <= {"projected", "secret", "configMap", "emptyDir"}
    assert {one["name"] for one in container["volumeMounts"]} == {one["name"] for one in pod["volumes"]}
    assert all("subPath" not in one for one in container["volumeMounts"])  # such a file is never replaced
    assert container["resources"]["limits"]["memory"]
    assert container["resources"]["requests"]["cpu"]
    assert pod["automountServiceAccountToken"] == values.get("pullSecrets", {}).get("enabled", False)
    assert deployment["spec"]["selector"]["matchLabels"].items() <= (
        deployment["spec"]["template"]["metadata"]["labels"].items()
    )
    drain = 20
    assert pod["terminationGracePeriodSeconds"] >= drain + 5 + 5


@EVERY
def test_arguments_are_options(values: dict[str, Any]) -> None:
    """
    The command line takes what the Deployment gives it, and needs no more.
    """
    (container,) = of("Deployment", values)["spec"]["template"]["spec"]["containers"]
    options = {name: one for one in serve.params if isinstance(one, click.Option) for name in one.opts}
    given = [str(arg).partition("=") for arg in container["args"]]

    for name, equals, value in given:
        option = options[name]
        assert bool(equals) is not option.is_flag
        if equals and not isinstance(option.type, click.Path):
            option.type_cast_value(click.Context(serve), value)
    assert {name for name, option in options.items() if option.required} <= {name for name, _, _ in given}
    variables = {one["name"] for one in container["env"]}
    known = {str(one.envvar) for one in serve.params if one.envvar} | {"TRUSTREG_ADMISSION_REDIS"}
    assert variables <= known | {"HOME", "TMPDIR", "TRUSTREG_CONFIG", "TRUSTREG_CA", "REGISTRY_AUTH_FILE"}


def test_rights() -> None:
    """
    Without pull secrets there is no right at all; with them, get alone, on what they take, where it was said.
    """
    kinds = {"Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"}
    assert [] == [one["kind"] for one in objects() if one["kind"] in kinds]

    everywhere = of("ClusterRole", CASES["secrets everywhere"])
    assert everywhere["rules"] == [
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["get"]},
    ]

    named = [one for one in objects(EVERYTHING) if one["kind"] in kinds]
    assert [("Role", "a"), ("RoleBinding", "a"), ("Role", "b"), ("RoleBinding", "b")] == [
        (one["kind"], one["metadata"]["namespace"]) for one in named
    ]
    rules = named[0]["rules"]
    assert {"get"} == {verb for rule in rules for verb in rule["verbs"]}
    assert {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["pull"], "verbs": ["get"]} in rules
    assert {"deployments", "jobs", "replicationcontrollers"} < {name for rule in rules for name in rule["resources"]}
    for one in named[1::2]:
        assert one["subjects"] == [{"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}]


@pytest.mark.parametrize("kind", ["Mutating", "Validating"])
@pytest.mark.parametrize("case", ["defaults", "everything", "certificate of one's own"])
def test_registrations(kind: str, case: str) -> None:
    """
    Both endpoints are asked for all that has pods, never for what the webhook itself stands on, and fail closed.
    """
    one = of(f"{kind}WebhookConfiguration", CASES[case])
    (hook,) = one["webhooks"]
    covered = {
        (group, resource)
        for rule in hook["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        if {"CREATE", "UPDATE"} <= set(rule["operations"])
    }

    assert covered >= {
        ("", "pods"),
        ("", "pods/ephemeralcontainers"),
        ("", "podtemplates"),
        ("", "replicationcontrollers"),
        *(("apps", name) for name in ("deployments", "replicasets", "statefulsets", "daemonsets")),
        *(("batch", name) for name in ("jobs", "cronjobs")),
    }
    assert (("argoproj.io", "rollouts") in covered) is (case == "everything")
    assert hook["failurePolicy"] == "Fail"
    assert hook["matchPolicy"] == "Equivalent"
    assert hook["timeoutSeconds"] == 10
    assert hook["admissionReviewVersions"] == ["v1"]
    assert hook["sideEffects"] == ("NoneOnDryRun" if case == "everything" else "None")
    assert hook.get("reinvocationPolicy") == ("IfNeeded" if kind == "Mutating" else None)
    (left_out,) = hook["namespaceSelector"]["matchExpressions"]
    assert left_out == {
        "key": "kubernetes.io/metadata.name",
        "operator": "NotIn",
        "values": [NAMESPACE, "kube-system"],
    }
    client = hook["clientConfig"]
    service = of("Service", CASES[case])
    assert client["service"] == {
        "name": service["metadata"]["name"],
        "namespace": NAMESPACE,
        "port": service["spec"]["ports"][0]["port"],
        "path": "/mutate" if kind == "Mutating" else "/validate",
    }
    annotations = one["metadata"].get("annotations", {})
    if case == "certificate of one's own":
        assert base64.b64decode(client["caBundle"]).decode() == OWN_CERTIFICATE["ca"]
        assert annotations == {}
    else:
        assert annotations == {"cert-manager.io/inject-ca-from": f"{NAMESPACE}/{NAME}"}


def test_certificates_of_cert_manager() -> None:
    """
    The certificate is for the name that the API server asks for, and lies where the pod looks for it.
    """
    by_name = {(one["kind"], one["metadata"]["name"]): one for one in objects()}
    spec = by_name["Certificate", NAME]["spec"]
    authority = by_name["Certificate", f"{NAME}-ca"]["spec"]
    volumes = {one["name"]: one for one in of("Deployment")["spec"]["template"]["spec"]["volumes"]}

    assert f"{NAME}.{NAMESPACE}.svc" in spec["dnsNames"]
    assert volumes["tls"]["secret"]["secretName"] == spec["secretName"]
    assert by_name["Issuer", spec["issuerRef"]["name"]]["spec"] == {"ca": {"secretName": authority["secretName"]}}
    assert by_name["Issuer", authority["issuerRef"]["name"]]["spec"] == {"selfSigned": {}}
    assert authority["isCA"] is True
    ours = [one for one in objects(CASES["issuer of one's own"]) if "cert-manager" in one["apiVersion"]]
    assert [{"name": "corporate", "kind": "ClusterIssuer"}] == [one["spec"]["issuerRef"] for one in ours]


def test_pod_monitor() -> None:
    """
    It looks at a port that there is.
    """
    (endpoint,) = of("PodMonitor", EVERYTHING)["spec"]["podMetricsEndpoints"]
    (container,) = of("Deployment", EVERYTHING)["spec"]["template"]["spec"]["containers"]

    assert endpoint["port"] in {port["name"] for port in container["ports"]}
    assert endpoint["path"] == "/metrics"


def test_network() -> None:
    """
    Out goes only what was named; nothing has all ports, or comes in elsewhere.
    """
    spec = of("NetworkPolicy")["spec"]

    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert [53, 53, 443] == [port["port"] for rule in spec["egress"] for port in rule["ports"]]
    assert ["https", "metrics"] == [port["port"] for rule in spec["ingress"] for port in rule["ports"]]
    assert spec["podSelector"]["matchLabels"] == of("Service")["spec"]["selector"]


def test_default_policy_refuses_nothing(tmp_path: Path) -> None:
    """
    It is one that trustreg reads, and under it every namespace is only watched.
    """
    (tmp_path / "policy.yaml").write_text(of("ConfigMap")["data"]["policy.yaml"])
    policy = policyfile.load(tmp_path / "policy.yaml")

    assert {"*": "audit"} == {str(name): str(mode) for name, mode in dict(policy.admission.namespaces).items()}


def test_values_of_the_how_to(tmp_path: Path) -> None:
    """
    The example is one that the chart takes, with a policy that trustreg takes.
    """
    shown = re.findall(r"^```yaml\n(# values.yaml\n.*?)^```$", HOW_TO.read_text(), re.DOTALL | re.MULTILINE)
    values = yaml.safe_load(shown[0].replace("sha256:…", f"sha256:{'a' * 64}"))
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    assert values["policy"]["files"]["release.pem"].startswith(pem.splitlines()[0])
    values["policy"]["files"]["release.pem"] = pem

    data = next(one for one in objects(values) if (one["kind"], one["metadata"]["name"]) == ("ConfigMap", NAME))["data"]
    (folder := tmp_path / "..data").mkdir()
    for name, text in data.items():
        (folder / name).write_text(text)
        (tmp_path / name).symlink_to(f"..data/{name}")  # as volumes of Kubernetes have them
    policy = policyfile.load(tmp_path / "policy.yaml")

    assert "pin" == policy.admission.pin
    assert "audit" == str(dict(policy.admission.namespaces)["*"])


WRONG: dict[str, dict[str, Any]] = {
    "a misspelt value": {"replica": 3},
    "a misspelt value below": {"webhooks": {"failurepolicy": "Ignore"}},
    "a digest that is none": {"image": {"digest": "sha256:abc"}},
    "a password in a value": {"redis": {"url": "redis://user:password@redis:6379"}},
    "no port out, which would be all": {"networkPolicy": {"egressPorts": []}},
    "no policy": {"policy": {"files": {"policy.yaml": None}}},
    "no certificate": {"certificates": {"certManager": False, "ca": OWN_CERTIFICATE["ca"]}},
    "no authority": {"certificates": {"certManager": False, "secret": "own"}},
    "a key for an authority": {"certificates": {**OWN_CERTIFICATE, "ca": "-----BEGIN PRIVATE KEY-----"}},
}


@pytest.mark.parametrize("values", WRONG.values(), ids=WRONG)
def test_values_that_are_wrong(values: dict[str, Any]) -> None:
    """
    They are refused before anything is installed.
    """
    with pytest.raises(HelmError):
        render(values)


def test_schema_knows_every_value() -> None:
    """
    Each value that has a default is in the schema, and the other way round.
    """

    def walk(schema: dict[str, Any], values: dict[str, Any], path: str) -> None:
        assert set(schema["properties"]) - {"global"} >= set(values), path
        assert schema["additionalProperties"] is False, path
        for name, value in values.items():
            below = schema["properties"][name]
            if "properties" in below and value:
                walk(below, value, f"{path}.{name}")

    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    walk(schema, values, "")
    assert set(schema["properties"]) - {"global"} == set(values)

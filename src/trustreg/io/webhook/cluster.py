"""What the API of the cluster says: the secrets that pods pull with, and the owners of objects.

It takes the right to ``get`` secrets and service accounts by name, and workloads where owners are trusted; nothing is
listed or watched. What cannot be read is as if it were not there: the image is then asked for without it.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

import httpx2
import orjson
from lightkube import Client
from lightkube.config.kubeconfig import KubeConfig
from lightkube.core.exceptions import ApiError, ConfigError, LoadResourceError
from lightkube.generic_resource import create_namespaced_resource
from lightkube.resources.core_v1 import Secret, ServiceAccount

from trustreg.errors import SettingError
from trustreg.io.webhook.desk import Logins
from trustreg.io.webhook.memo import Flights, Memo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from trustreg.admission import Context, Owner
    from trustreg.io.webhook.tally import Tally


class Cluster:
    """Asks the API of the cluster, as the service account of this pod, or as ``KUBECONFIG`` says. Threads may share it.

    Args:
        tally: Counts.
        warn: Is told in a sentence what could not be read.
        clock: Reads the time.

    Raises:
        SettingError: There is no cluster.
    """

    def __init__(self, tally: Tally, warn: Callable[[str], None], clock: Callable[[], datetime]) -> None:
        try:
            config = KubeConfig.from_env()
            self._client = Client(config=config, timeout=httpx2.Timeout(_PATIENCE), trust_env=False)
        except (ConfigError, OSError, AssertionError, ValueError) as exc:
            problem = f"the API of the cluster is not to be had: {exc or type(exc).__name__}"
            raise SettingError("--pull-secrets", problem) from exc
        self._tally, self._warn, self._clock = tally, warn, clock
        self._known: Memo[Any] = Memo(_MOST)
        self._asked: Flights[Any] = Flights()

    def logins(self, context: Context, *, wait: bool) -> Logins | None:
        """Return the logins of the pods that *context* is about: of their own secrets, then those of their accounts.

        Without *wait*, only if they are remembered.

        Raises:
            TimeoutError: The deadline has passed, and not all of them have been read.
        """
        namespace = context.namespace
        if not _NAME.fullmatch(namespace):
            return Logins()
        accounts = _names(context.service_accounts or ("default",), _MOST_ACCOUNTS)
        secrets = _names(context.pull_secrets, _MOST_SECRETS)
        key = ("logins", namespace, accounts, secrets)
        found: Logins | None = self._known.get(key, self._clock())
        if found is None and wait:
            now, found = self._clock(), self._logins(context, accounts, secrets)
            self._known.put(key, found, now, now + _HOLDS)
        return found

    def _logins(self, context: Context, accounts: tuple[str, ...], secrets: tuple[str, ...]) -> Logins:
        namespace, names = context.namespace, [*secrets]
        for one in accounts:
            self._in_time(context)
            names += self._of_account(namespace, one)
        auths: dict[str, Any] = {}
        for name in _names(names, _MOST_SECRETS):
            self._in_time(context)
            for host, login in self._secret(namespace, name).items():
                auths.setdefault(host, login)
        if not auths:
            return Logins()
        # Only the logins: a secret may not have a program run, or send headers along.
        text = orjson.dumps({"auths": auths}, option=orjson.OPT_SORT_KEYS)
        return Logins(hashlib.sha256(text).hexdigest(), {"DOCKER_AUTH_CONFIG": text.decode()})

    def _in_time(self, context: Context) -> None:
        if context.deadline and self._clock() >= context.deadline:
            raise TimeoutError

    def owner(self, owner: Owner) -> Mapping[str, Any] | None:
        """Return the object that is called so, as JSON has it."""
        if (plural := _PLURALS.get(owner.kind)) is None:
            return None
        group, _, version = owner.api_version.rpartition("/")
        resource = create_namespaced_resource(group, version, owner.kind, plural)
        found = self._get(resource, owner.namespace, owner.name)
        return None if found is None else found.to_dict()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _of_account(self, namespace: str, name: str) -> tuple[str, ...]:
        def read() -> tuple[str, ...]:
            account = self._get(ServiceAccount, namespace, name)
            return tuple(one.name for one in (account.imagePullSecrets or ()) if one.name) if account else ()

        found: tuple[str, ...] = self._once(("account", namespace, name), read)
        return found

    def _secret(self, namespace: str, name: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._once(("secret", namespace, name), lambda: self._read_secret(namespace, name))
        return found

    def _read_secret(self, namespace: str, name: str) -> Mapping[str, Any]:
        secret = self._get(Secret, namespace, name)
        if secret is None:
            return {}
        data = secret.data or {}
        try:
            if ".dockerconfigjson" in data:
                auths = orjson.loads(b64decode(data[".dockerconfigjson"])).get("auths")
            else:
                auths = orjson.loads(b64decode(data[".dockercfg"]))
        except (KeyError, ValueError, AttributeError):
            auths = None
        if not isinstance(auths, dict):
            self._warn(f"the secret {name} in the namespace {namespace} has no logins that can be read")
            return {}
        return auths

    def _once(self, key: tuple[str, ...], read: Callable[[], Any]) -> Any:
        now = self._clock()
        found = self._known.get(key, now)
        if found is None:
            found = self._asked.once(key, read)
            self._known.put(key, found, now, now + _HOLDS)
        return found

    def _get(self, resource: Any, namespace: str, name: str) -> Any:
        # A mutating webhook is asked before the server looks at names, and these become part of a path.
        if not (_NAME.fullmatch(namespace) and _NAME.fullmatch(name)):
            return None
        outcome = "failed"
        try:
            found = self._client.get(resource, name, namespace=namespace)
            outcome = "answered"
        except ApiError as exc:
            code = exc.status.code
            outcome = "answered" if code == 404 else "failed"
            self._warn(f"{resource.__name__} {name} in the namespace {namespace} cannot be read: status {code}")
            return None
        except (httpx2.HTTPError, OSError, ConfigError, LoadResourceError, ValueError, TypeError) as exc:
            kind = type(exc).__name__
            self._warn(f"{resource.__name__} {name} in the namespace {namespace} cannot be read: {kind}")
            return None
        finally:
            self._tally.asked("kubernetes", outcome)
        return found


def _names(names: Iterable[str], most: int) -> tuple[str, ...]:
    """Return the first *most* of *names*, each once, without what none can be called."""
    return tuple(islice((name for name in dict.fromkeys(names) if _NAME.fullmatch(name)), most))


_PLURALS = {
    "Deployment": "deployments",
    "ReplicaSet": "replicasets",
    "StatefulSet": "statefulsets",
    "DaemonSet": "daemonsets",
    "ReplicationController": "replicationcontrollers",
    "Job": "jobs",
    "CronJob": "cronjobs",
}
_PATIENCE = 3.0  # seconds
_HOLDS = timedelta(seconds=30)
_MOST = 4096  # secrets and accounts
_MOST_SECRETS = 16  # of one object
_MOST_ACCOUNTS = 16
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")  # of whatever Kubernetes keeps by name; RFC 1123

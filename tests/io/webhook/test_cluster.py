"""What is asked of the API of a cluster, whatever a pod says that its secrets and accounts are called."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.peers.cluster import ClusterPeer, cluster
from trustreg.admission import Context, Owner
from trustreg.io.webhook.cluster import Cluster
from trustreg.io.webhook.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.peers import Authority

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def api(authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ClusterPeer]:
    """The API of a cluster, which ``KUBECONFIG`` names."""
    with cluster(authority) as peer:
        monkeypatch.setenv("KUBECONFIG", str(peer.kubeconfig(tmp_path, authority.ca_file)))
        yield peer


def test_names_lead_nowhere_else(api: ClusterPeer) -> None:
    """
    A mutating webhook sees names that the server has not looked at yet: none leads to a secret, an account or an owner
    of another namespace.
    """
    api.secret("other", "pulls", "registry.example", ("alice", "secret"))
    api.account("other", "builder", "pulls")
    api.replica_set("other", "app", "registry.example/app")
    names = ("../../other/secrets/pulls", "x/../../../other/secrets/pulls", "pulls?a", "pulls#a", "%2e%2e/pulls", "..")

    account, owner_name = "../../other/serviceaccounts/builder", "../../other/replicasets/app"

    with closing(Cluster(Tally(), lambda _: None, lambda: NOW)) as asked:
        found = asked.logins(Context(namespace="team", service_accounts=(account,), pull_secrets=names), wait=True)
        beside = asked.logins(Context(namespace="team/../other", pull_secrets=("pulls",)), wait=True)
        owner = asked.owner(Owner(namespace="team", api_version="apps/v1", kind="ReplicaSet", name=owner_name))

    assert found is not None
    assert beside is not None
    assert (found.env, beside.env, owner, api.asked) == ({}, {}, None, [])


def test_so_many_and_no_longer(api: ClusterPeer) -> None:
    """However many accounts and secrets an object names, only so many are asked for, and none after the deadline."""
    many = tuple(f"name-{number}" for number in range(100))
    late = Context(namespace="team", service_accounts=("late",), deadline=NOW)

    with closing(Cluster(Tally(), lambda _: None, lambda: NOW)) as asked:
        asked.logins(Context(namespace="team", service_accounts=many, pull_secrets=many), wait=True)
        with pytest.raises(TimeoutError):
            asked.logins(late, wait=True)

    assert len(api.asked) == 32


def test_what_is_remembered_is_short(api: ClusterPeer) -> None:
    """What an object names in vain is not remembered: equal questions remain equal."""
    many = tuple(f"{'x' * 4000}/{number}" for number in range(1000))

    with closing(Cluster(Tally(), lambda _: None, lambda: NOW)) as asked:
        asked.logins(Context(namespace="team", pull_secrets=("pulls",)), wait=True)
        again = asked.logins(Context(namespace="team", pull_secrets=(*many, "pulls")), wait=False)

    assert again is not None
    assert len(api.asked) == 2

"""
What every test gets: a home of its own, and nothing of the developer's.

Fixtures for all: ``home``, ``authority``.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.peers import Authority, running_peers

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping
    from pathlib import Path


settings.register_profile("dev", deadline=None)
settings.register_profile(
    "ci",
    derandomize=True,  # a red run is red again
    deadline=None,  # the machine is shared, time says nothing
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("full", settings.get_profile("ci"), derandomize=False, max_examples=5_000)


def pytest_configure() -> None:
    """Choose how hard Hypothesis tries: HYPOTHESIS_PROFILE, or by TRUSTREG_FULL and CI."""
    usual = "full" if os.environ.get("TRUSTREG_FULL") else "ci" if os.environ.get("CI") else "dev"
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", usual))


@pytest.fixture(scope="session", autouse=True)
def _nobodys_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the developer's home, credentials, proxies and trust settings out of the whole run."""
    with pytest.MonkeyPatch.context() as patch:
        for name in set(os.environ) - {"TRUSTREG_FULL"}:
            if name.startswith(_PERSONAL) or name.lower().endswith("_proxy"):
                patch.delenv(name)
        _move_in(patch, tmp_path_factory.mktemp("session-home"))
        yield


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Live in an empty home directory, with XDG and Docker's directories inside; this is its path."""
    place = tmp_path_factory.mktemp("home")
    _move_in(monkeypatch, place)
    return place


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The certificate authority of the servers under test."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with a failed test what the servers that are up have said lately."""
    report = yield
    if report.failed:
        report.sections += [(f"log of {peer.name}, {peer.url}", peer.log_tail()) for peer in running_peers()]
    return report


def _move_in(patch: pytest.MonkeyPatch, place: Path) -> None:
    for name, directory in _DIRECTORIES.items():
        patch.setenv(name, str(place / directory))


_DIRECTORIES: Mapping[str, str] = {
    "HOME": "",
    "XDG_CONFIG_HOME": ".config",
    "XDG_CACHE_HOME": ".cache",
    "XDG_DATA_HOME": ".local/share",
    "XDG_STATE_HOME": ".local/state",
    "XDG_RUNTIME_DIR": ".run",
    "DOCKER_CONFIG": ".docker",
    "GNUPGHOME": ".gnupg",
}
_PERSONAL = (
    "DOCKER_",
    "NOTARY_",
    "TRUSTREG_",
    "REGISTRY_",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "SSL_CERT_",
    "XDG_CONFIG_DIRS",
    "SOFTHSM2_CONF",
    "NO_COLOR",
    "FORCE_COLOR",
)

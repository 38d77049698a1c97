"""What is wrong with how the webhook was started is said before it listens, and no secret is."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from tests.peers.authority import Authority
from trustreg.cli.commands import cli
from trustreg.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

GOOD = "version: 1\nrules: []\ndefault: reject\n"


@pytest.mark.parametrize(
    ("args", "env", "missing", "said"),
    [
        (["--listen", "8443"], {}, "", "is not HOST:PORT"),
        (["--tls-key", "other.key"], {}, "", "are no certificate with its key"),
        (["--policy", "bad.yaml"], {}, "", "bad.yaml"),
        (["--alerts-file", "alerts"], {}, "", "alerts:2: a receiver is slack or generic, a space, and a URL"),
        ([], {"TRUSTREG_ADMISSION_REDIS": "http://user:hush@redis.example"}, "", "this is no URL of a Redis"),
        ([], {"TRUSTREG_ADMISSION_REDIS": "redis://:hush@redis.example"}, "redis", "trustreg[redis]"),
        (["--pull-secrets"], {}, "lightkube", "trustreg[k8s]"),
        (["--pull-secrets"], {}, "", "the API of the cluster is not to be had"),
        ([], {}, "uvicorn", "uvicorn, which is not installed"),
    ],
)
def test_it_does_not_start(
    authority: Authority,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    args: list[str],
    env: dict[str, str],
    missing: str,
    said: str,
) -> None:
    """
    Addresses, certificates, policies, receivers, and packages that are not there.
    """
    monkeypatch.chdir(tmp_path)
    pair = authority.server()
    (tmp_path / "other.key").write_bytes(Authority(tmp_path / "other").server().key.read_bytes())
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "bad.yaml").write_text("version: 1\n")
    (tmp_path / "alerts").write_text("# who is told\nslack hush\n")
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    if missing:
        for module in [module for module in sys.modules if module.startswith("trustreg.io.webhook")]:
            monkeypatch.delitem(sys.modules, module)
        monkeypatch.delitem(sys.modules, "trustreg.admitting", raising=False)
        monkeypatch.setitem(sys.modules, missing, None)
    usual = ["--policy", "good.yaml", "--tls-cert", str(pair.cert), "--tls-key", str(pair.key)]
    ran = CliRunner().invoke(cli, ["admission", "serve", *usual, "--listen", "127.0.0.1:0", *args])

    assert isinstance(ran.exception, InputError), ran.exception
    assert said in f"{ran.exception} {ran.exception.remedy}"
    assert "hush" not in f"{ran.exception}"

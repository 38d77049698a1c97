"""
Measure the webhook, over TLS with connections that are kept, by one and by two replicas of it.

    python -m bench.admission --write                            # all of it, some minutes; rewrites docs/benchmarks.md
    python -m bench.admission --images 200 --seconds 2 --decisions 1000  # a quick look

The registry is ``docker-registry`` on this machine; images and signatures are put straight into its files. Reviews come
from a process of their own: at a rate, where each is timed from when it was due, so that one that is slow does not hide
those that wait behind it; or each as soon as the one before it on its connection is answered.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bench import report
from bench.tuf import spaced
from scripts.images import Blob, image
from tests.peers import Authority, docker_registry
from tests.peers.webhook import pod_review, webhook
from trustreg.dialects import simple
from trustreg.dialects.simple import Payload
from trustreg.io.signatures import attached
from trustreg.names import Digest
from trustreg.ports import Detached
from trustreg.sign.signer import LocalSigner

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.peers.webhook import WebhookPeer

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT
RULES = 50
WARM = 100
"""Images that are asked for again and again, by tag."""


@dataclass(frozen=True)
class World:
    """Signed images, by digest, those of them that have a tag, and the folder of the policy."""

    folder: Path
    authority: Authority
    images: tuple[str, ...]
    tagged: tuple[str, ...]

    @contextmanager
    def replicas(self, count: int) -> Iterator[list[WebhookPeer]]:
        """Run so many webhooks that have nothing in common."""
        with ExitStack() as held:
            env = {"TRUSTREG_CONFIG": str(self.folder / "trustreg.toml")}
            policy = self.folder / "policy.yaml"
            yield [held.enter_context(webhook(policy, self.authority, env=env)) for _ in range(count)]


@contextmanager
def world(count: int) -> Iterator[World]:
    """Make *count* images in 50 repositories, each signed by a plain key under the tag of cosign."""
    with ExitStack() as held:
        folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="trustreg-bench-")))
        registry, signer = held.enter_context(docker_registry()), LocalSigner.generate("ed25519")
        pem = signer.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (folder / "ci.pub").write_bytes(pem)
        rules = (f"  - {{match: '{registry.host}/team{n}', require: {{key: ci}}}}\n" for n in range(RULES))
        head = "version: 1\nkeys:\n  ci: {key: ci.pub}\nrules:\n"
        (folder / "policy.yaml").write_text(f"{head}{''.join(rules)}default: reject\n")
        (folder / "trustreg.toml").write_text('[defaults]\nsignatures = ["tag"]\n')
        files = _Files(registry.directory / "images" / "docker" / "registry" / "v2")
        images, tagged = list[str](), list[str]()
        for number in range(count):
            path = f"team{number % RULES}/app"
            tag = f"v{number}" if number < WARM else ""
            digest = _put(files, f"{registry.host}/{path}", path, number, tag, signer)
            images.append(f"{registry.host}/{path}@{digest}")
            if tag:
                tagged.append(f"{registry.host}/{path}:{tag}")
        yield World(folder, Authority(folder / "authority"), tuple(images), tuple(tagged))


class _Files:
    """The files of docker-registry."""

    def __init__(self, root: Path) -> None:
        self._root, self._written = root, set[Path]()

    def blob(self, path: str, raw: bytes, kind: str = "_layers") -> str:
        """Have the repository *path* hold *raw*; return its digest."""
        hexadecimal = hashlib.sha256(raw).hexdigest()
        self._write(self._root / "blobs" / "sha256" / hexadecimal[:2] / hexadecimal / "data", raw)
        digest = f"sha256:{hexadecimal}"
        link = self._root / "repositories" / path / kind / "sha256" / hexadecimal / "link"
        self._write(link, digest.encode())
        return digest

    def manifest(self, path: str, raw: bytes, tag: str) -> str:
        """Have it hold a manifest, as *tag* if there is one."""
        digest = self.blob(path, raw, "_manifests/revisions")
        if tag:
            link = self._root / "repositories" / path / "_manifests" / "tags" / tag / "current" / "link"
            self._write(link, digest.encode())
        return digest

    def _write(self, path: Path, raw: bytes) -> None:
        if path in self._written:
            return
        self._written.add(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw)


def _put(files: _Files, name: str, path: str, number: int, tag: str, signer: LocalSigner) -> str:
    """Put an image into *files*, and a signature of it; return its digest."""
    content = {**json.loads(_IMAGE.manifest.raw), "annotations": {"number": str(number)}}
    for blob in _IMAGE.blobs:
        files.blob(path, blob.raw)
    digest = files.manifest(path, json.dumps(content).encode(), tag)
    payload = simple.write(
        Payload(reference=f"{name}:v{number}", digest=Digest.parse(digest), timestamp=1), simple.COSIGN
    )
    signed = Detached(where="", payload=payload, signature=signer.sign(payload, "").value)
    layer, raw = attached.layer_of(signed)
    files.blob(path, raw)
    config = Blob(attached.CONFIG, b"{}")
    files.blob(path, config.raw)
    found = {"schemaVersion": 2, "mediaType": attached.OCI, "config": config.descriptor(), "layers": [layer]}
    files.manifest(path, json.dumps(found).encode(), f"{digest.replace(':', '-')}.sig")
    return digest


def _request(pod: Sequence[str]) -> str:
    """Return the review of *pod* as it is sent; of a pod without images, what only asks whether somebody is there."""
    if not pod:
        return "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    body = json.dumps(pod_review(*pod))
    lines = ["POST /validate?timeout=10s HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json"]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]) + body


def ask(
    peers: Sequence[WebhookPeer], pods: Sequence[Sequence[str]], count: int, rate: int = 0, connections: int = 16
) -> dict[str, Any]:
    """Have *count* reviews of *pods* sent to *peers* from a process of its own; return what came of it."""
    ca = str(peers[0].ca_file)
    order = {
        "ca": ca,
        "ports": [peer.port for peer in peers],
        "requests": list(map(_request, pods)),
        "count": count,
        "rate": rate,
    }
    before = sum(map(_processor, peers))
    done = subprocess.run(
        [sys.executable, "-m", "bench.sender"],
        input=json.dumps({**order, "connections": connections}),
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    spent = sum(map(_processor, peers)) - before
    for peer in peers:
        os.truncate(peer.directory / "log", 0)  # a line for each review would be gigabytes in the end
    found = json.loads(done.stdout)
    assert not found["refused"], (len(found["refused"]), count, found["refused"][0])
    return {
        "reviews per second": round(count / found["seconds"], 1),
        "decisions per second": round(count * len(pods[0]) / found["seconds"], 1),
        "p50": round(_quantile(found["took"], 0.5), 2),
        "p99": round(_quantile(found["took"], 0.99), 2),
        "sent late, p99": round(_quantile(found["late"], 0.99), 2),
        "processor ms": round(spent * 1000 / count, 3),
        "load": round(os.getloadavg()[0], 2),
    }


def _quantile(ordered: Sequence[float], part: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def _processor(peer: WebhookPeer) -> float:
    """Return the seconds of processors that *peer* has spent."""
    fields = Path(f"/proc/{peer.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# --- what is measured ---


def loads(made: World, count: int, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield a row for each kind of load on *count* replicas: first cold, then warm."""
    ones, tens, rate = made.images[: options.images], made.images[options.images :], options.rate
    first = {1: [[one] for one in (ones if count == 1 else ones[: options.tens])], 10: _tens(tens)}
    again = {
        1: [[one] for one in made.tagged],
        10: [[made.tagged[(n + k) % len(made.tagged)] for k in range(10)] for n in range(len(made.tagged))],
    }
    with made.replicas(count) as peers:
        for size, pods in first.items():
            yield _row("cold", count, size, 0, ask(peers, pods, len(pods)))
        yield _row("/healthz", count, 0, rate, ask(peers, [[]], max(1, int(rate * options.seconds)), rate))
        for pods in again.values():
            ask(peers, pods, 2 * len(pods) * count)
        for size, pods in again.items():
            yield _row("warm", count, size, rate, ask(peers, pods, max(1, int(rate * options.seconds)), rate))
        for size, pods in again.items():
            tried = ask(peers, pods, 2 * len(pods))["reviews per second"]
            yield _row("warm", count, size, 0, ask(peers, pods, max(1, int(tried * options.seconds / 2))))


def _tens(images: Sequence[str]) -> list[list[str]]:
    return [list(images[n : n + 10]) for n in range(0, len(images) - 9, 10)]


def _row(what: str, replicas: int, size: int, rate: int, found: dict[str, Any]) -> dict[str, Any]:
    row = {"what": what, "replicas": replicas, "images": size, "rate": rate, **found}
    print(json.dumps(row), flush=True)
    return row


def memory(made: World, most: int) -> dict[str, float]:
    """Return how much memory one replica has, in MiB, after so many decisions, warm and as fast as it can."""
    pods = [[made.tagged[(n + k) % len(made.tagged)] for k in range(10)] for n in range(len(made.tagged))]
    found, done = dict[str, float](), 0
    with made.replicas(1) as (peer,):
        for decisions in sorted({step for step in (10_000, 100_000, 250_000, 500_000) if step < most} | {most}):
            ask([peer], pods, (decisions - done) // 10)
            found[str(decisions)], done = round(_resident(peer) / 1024, 1), decisions
            print(f"{decisions} decisions: {found[str(decisions)]} MiB", flush=True)
    return found


def _resident(peer: WebhookPeer) -> int:
    """Return the memory of *peer*, in KiB."""
    lines = Path(f"/proc/{peer.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and write down what was found where that is asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench.admission", description="Measure the webhook.")
    parser.add_argument("--images", type=int, default=10_000, help="images that are asked for once, one in a pod")
    parser.add_argument("--tens", type=int, default=2_000, help="and so many in pods of ten")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long each load lasts that is warm")
    parser.add_argument("--rate", type=int, default=500, help="reviews per second, where there is a rate")
    parser.add_argument("--replicas", type=int, nargs="+", default=[1, 2], help="how many, in turns")
    parser.add_argument("--decisions", type=int, default=1_000_000, help="how many, for the memory")
    parser.add_argument("--write", action="store_true", help="put what is found into docs/benchmarks.md")
    options = parser.parse_args(arguments)
    with world(options.images + options.tens) as made:
        rows = [row for count in options.replicas for row in loads(made, count, options)]
        resident = memory(made, options.decisions)
    if options.write:
        given = {name: vars(options)[name] for name in ("images", "seconds", "rate", "decisions")}
        _write({"date": f"{datetime.now(UTC):%Y-%m-%d}", **given, "rows": rows, "memory": resident})


def _write(found: dict[str, Any]) -> None:
    versions = {name: version(name) for name in ("trustreg", "uvicorn", "httptools", "orjson", "cryptography")}
    kept, head = report.keep(RESULTS, "admission", found, versions)
    lines = [
        (
            f"{head} {spaced(found['images'])} images; warm loads of {found['seconds']:g} s. "
            "Load is the average of a minute when the row was done; the last column says how late reviews were sent."
        ),
        "",
        (
            "| | replicas | images in a pod | rate | reviews/s | decisions/s "
            "| p50 ms | p99 ms | processor ms | load | late p99 ms |"
        ),
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in found["rows"]:
        rates = (spaced(round(row[f"{what} per second"])) for what in ("reviews", "decisions"))
        times = (f"{row[name]:.2f}" for name in ("p50", "p99", "processor ms", "load", "sent late, p99"))
        cells = (row["what"], row["replicas"], row["images"], row["rate"] or "any", *rates, *times)
        lines.append(f"| {' | '.join(map(str, cells))} |")
    lines += ["", "| decisions by one replica | resident MiB |", "|--:|--:|"]
    lines += [f"| {spaced(int(count))} | {mebibytes:.1f} |" for count, mebibytes in found["memory"].items()]
    page = report.put(RESULTS, BEGIN, "\n".join(lines) + "\n")
    print(f"written: {kept.relative_to(RESULTS)}, {page.relative_to(RESULTS)}")


_IMAGE = image("bench")
BEGIN = "<!-- what python -m bench.admission found: begin -->"

if __name__ == "__main__":
    main()

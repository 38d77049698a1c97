"""
Measure decisions by a policy, in one process and warm, beside what nobody can do without: in turns.

    python -m bench.policies --write                   # all of it, some minutes; rewrites docs/benchmarks.md
    python -m bench.policies --rounds 20 --images 100  # a quick look

The registry is ``docker-registry`` and the trust server ``trustreg serve``, on this machine, in processes of their own.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from bench import report
from bench.tuf import compete, spaced
from scripts.images import image
from scripts.push_image import push
from tests.peers import docker_registry, trustreg_serve
from tests.peers.gpg import gpg_home
from trustreg import Judge, Publisher
from trustreg.dialects import simple
from trustreg.dialects.simple import Payload
from trustreg.names import Digest, Reference
from trustreg.ports import Detached, Message
from trustreg.sign import keyfile
from trustreg.sign.signer import LocalSigner
from trustreg.wire import Wiring

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from bench.stopwatch import Series
    from trustreg.judging import Decision
    from trustreg.ports import Attached

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT
RULES = 50
DEMANDS = (
    "gpg: release",
    "key: ci",
    "collection: {first_use: true, max_age: 1h}",
    "{at_least: 2, of: [{gpg: release}, {key: ci}, {collection: {first_use: true, max_age: 1h}}]}",
)
"""What the rules require, in turns."""


@dataclass(frozen=True)
class World:
    """Signed images, a policy for them, and who made them; all but *folder* is in other processes."""

    folder: Path
    registry: str
    images: tuple[Reference, ...]

    @property
    def env(self) -> dict[str, str]:
        """The environment of somebody who judges here."""
        return {"HOME": str(self.folder), "PATH": os.environ["PATH"]}

    def wiring(self) -> Wiring:
        """Give what finds the way to the signatures."""
        return Wiring({"config": str(self.folder / "trustreg.toml")}, self.env, lambda: datetime.now(UTC))

    def judge(self, demand: str | None = None) -> Judge:
        """Give who judges by the policy of 50 rules, or by one that demands *demand* of everything."""
        path = self.folder / "policy.yaml"
        if demand:
            path = self.folder / f"{hashlib.sha256(demand.encode()).hexdigest()}.yaml"
            path.write_text(f"version: 1\n{_KEYS}default: {{{demand}}}\n")
        return Judge(path, config=self.folder / "trustreg.toml", env=self.env)

    def of(self, number: int) -> Reference:
        """Give an image of a team whose number is *number* modulo the demands, by tag and digest."""
        return next(one for one in self.images if int(one.path[4:].partition("/")[0]) % len(DEMANDS) == number)


@contextmanager
def world(count: int) -> Iterator[World]:
    """Make *count* images in 50 repositories, each signed as the rule for it demands."""
    with ExitStack() as held:
        folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="trustreg-bench-")))
        registry, trust = held.enter_context(docker_registry()), held.enter_context(trustreg_serve())
        gpg = held.enter_context(gpg_home())
        fingerprint, signer = gpg.generate("release"), LocalSigner.generate("ed25519")
        (folder / "release.gpg").write_bytes(gpg.public(fingerprint))
        (folder / "ci.pub").write_bytes(signer.private.public_key().public_bytes(*_PEM))
        (folder / "gpg").mkdir(mode=0o700)
        subprocess.run(["gpg", "--homedir", folder / "gpg", "--import", folder / "release.gpg"], check=True, **_SILENT)
        rules = (
            f"  - {{match: '{registry.host}/team{n}', require: {_braced(DEMANDS[n % len(DEMANDS)])}}}"
            for n in range(RULES)
        )
        (folder / "policy.yaml").write_text("\n".join([f"version: 1\n{_KEYS}rules:", *rules, "default: reject\n"]))
        places = ["tag", f"lookaside:{folder}/signatures"]
        (folder / "trustreg.toml").write_text(
            f'trust_dir = "{folder}/trust"\n[defaults]\nserver = "{trust.url}"\nsignatures = {json.dumps(places)}\n'
        )
        names = [f"{registry.host}/team{n % RULES}/app:{n // RULES}" for n in range(count)]
        made = World(folder, registry.url, tuple(_made(Reference.parse(name), registry.url) for name in names))
        with ThreadPoolExecutor(max_workers=4) as pool:
            list(pool.map(lambda one: _sign_plainly(made, one, signer), made.images))
        for one in made.images:
            payload = Payload(reference=_tagged(one), digest=_digest(one), timestamp=1)
            path = folder / f"signatures/{one.path}@sha256={_digest(one).hex}/signature-1"
            path.parent.mkdir(parents=True)
            path.write_bytes(gpg.sign(simple.write(payload), fingerprint))
        _publish(made, trust.url)
        yield made


def _made(name: Reference, url: str) -> Reference:
    made = image(f"{name.path}:{name.tag}")
    push(made, url, name.path, name.tag or "")
    return Reference(name.domain, name.path, name.tag, Digest.parse(made.digest))


def _sign_plainly(made: World, one: Reference, signer: LocalSigner) -> None:
    payload = simple.write(Payload(reference=_tagged(one), digest=_digest(one), timestamp=1), simple.COSIGN)
    signature = Detached(where="", payload=payload, signature=signer.sign(payload, "").value)
    made.wiring().signature_place(one, "tag").add(one, _digest(one), signature)


def _publish(made: World, url: str) -> None:
    """Publish the collections of the repositories whose rules ask for them."""
    keyfile._SCRYPT = (1 << 10, 8, 1)  # noqa: SLF001 # what opens keys is not measured here
    env = {"HOME": str(made.folder), "TRUSTREG_PASSPHRASE": "passphrase of the author"}
    publisher = Publisher(server=url, trust_dir=made.folder / "author", env=env)
    for number in range(RULES):
        mine = [one for one in made.images if one.path == f"team{number}/app"]
        if mine and number % len(DEMANDS) > 1:
            publisher.init(mine[0].gun)
            for one in mine[1:]:
                publisher.stage(_tagged(one))
            publisher.sign(_tagged(mine[0]))


def rates(made: World) -> dict[str, dict[str, Callable[[], object]]]:
    """Return who competes with whom, the one that is compared with first."""
    by_gpg, by_key, by_collection = made.of(0), made.of(1), made.of(2)
    session, url = requests.Session(), f"{made.registry}/v2/{by_key.path}"
    session.trust_env = False
    public = load_pem_public_key((made.folder / "ci.pub").read_bytes())
    assert isinstance(public, Ed25519PublicKey)
    found = next(iter(made.wiring().signature_place(by_key, "tag").read(by_key, _digest(by_key))))
    message = made.folder / f"signatures/{by_gpg.path}@sha256={_digest(by_gpg).hex}/signature-1"
    assert isinstance(found, Detached)
    manifest_url = f"{url}/manifests/sha256-{_digest(by_key).hex}.sig"
    accept = {"Accept": "application/vnd.oci.image.manifest.v1+json", "Accept-Encoding": "identity"}
    blob = session.get(manifest_url, headers=accept, timeout=10).json()["layers"][0]["digest"]

    def bare_gpg() -> object:
        words = ["gpg", "--homedir", f"{made.folder}/gpg", "--batch", "--status-fd", "1", "--verify", str(message)]
        return subprocess.run(words, check=True, capture_output=True).stdout

    def bare_fetch() -> object:
        session.get(manifest_url, headers=accept, timeout=10).content  # noqa: B018 # which reads it
        payload = session.get(f"{url}/blobs/{blob}", headers=accept, timeout=10).content
        public.verify(found.signature, payload)
        return payload

    def bare_key() -> object:
        public.verify(found.signature, found.payload)
        return True

    def verified(demand: str, one: Reference) -> Callable[[], object]:
        judge = made.judge(demand)
        return lambda: _trusted(judge.judge(one))

    class Memory:
        where = "memory"
        holds: frozenset[type[Message | Detached]] = frozenset({Detached})

        def read(self, *_: object) -> Iterator[Attached]:
            yield found

    attached = made.judge("key: ci")
    attached._judge._places = lambda asked, _: [(Memory(), asked)]  # noqa: SLF001 # as if it had been fetched

    def in_memory() -> object:
        return _trusted(attached.judge(by_key))

    return {
        "GPG signature from a folder": {"gpg --verify": bare_gpg, "trustreg": verified("gpg: release", by_gpg)},
        "ed25519 signature under cosign's tag": {
            "requests, cryptography": bare_fetch,
            "trustreg": verified("key: ci", by_key),
        },
        "ed25519 signature that was fetched": {"cryptography": bare_key, "trustreg": in_memory},
        "collection that was read": {
            "trustreg": verified("collection: {first_use: true, max_age: 1h}", by_collection),
        },
        "collection, its server asked each time": {
            "trustreg": verified("collection: {first_use: true}", by_collection)
        },
    }


def decide(folder: str, registry: str, names: str) -> None:
    """Judge many images in this process, and print how long that takes and how much memory."""
    images = tuple(map(Reference.parse, json.loads(Path(names).read_text())))
    made = World(Path(folder), registry, images)
    judge = made.judge()
    _trusted(judge.judge(made.of(0)))
    before = _peak()
    tagged = [Reference(one.domain, one.path, one.tag) for one in images]
    took: dict[str, list[float]] = {"first": [], "again": []}
    for each in took.values():
        for one in tagged:
            begun = time.perf_counter()
            _trusted(judge.judge(one))
            each.append((time.perf_counter() - begun) * 1000)
    begun = time.perf_counter()
    for decision in judge.judge_all(tagged):
        _trusted(decision)
    at_once = (time.perf_counter() - begun) * 1000 / len(tagged)
    after = _peak()
    by_demand: dict[str, list[float]] = {demand: [] for demand in DEMANDS}
    for one, milliseconds in zip(tagged, took["again"], strict=True):
        by_demand[DEMANDS[int(one.path[4:].partition("/")[0]) % len(DEMANDS)]].append(milliseconds)
    found = {
        "first": round(statistics.mean(took["first"]), 2),
        "again": round(statistics.mean(took["again"]), 2),
        "eight at once": round(at_once, 2),
        "median by demand": {demand: round(statistics.median(each), 2) for demand, each in by_demand.items() if each},
        "longest": round(max(took["again"]), 1),
        "peak MiB": round(after / 1024, 1),
        "of them for the decisions": round((after - before) / 1024, 1),
    }
    print(json.dumps(found))


def _decisions(made: World) -> dict[str, Any]:
    names = made.folder / "images.json"
    names.write_text(json.dumps([str(one) for one in made.images]))
    words = [sys.executable, "-m", "bench.policies", "--decide", str(made.folder), made.registry, str(names)]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and write down what was found where that is asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench.policies", description="Measure decisions by a policy.")
    parser.add_argument("--rounds", type=int, default=201, help="how often each is timed")
    parser.add_argument("--images", type=int, default=1_000, help="how many images are judged by one policy")
    parser.add_argument("--write", action="store_true", help="put what is found into docs/benchmarks.md")
    parser.add_argument("--decide", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.decide:
        return decide(*options.decide)
    rows = []
    with world(options.images) as made:
        for what, contestants in rates(made).items():
            rows.append(_row(what, compete(contestants, options.rounds)))
            print(_line(rows[-1]), flush=True)
        decisions = _decisions(made)
    print(json.dumps(decisions, indent=1), flush=True)
    if options.write:
        found = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "rounds": options.rounds, "images": options.images}
        _write({**found, "rows": rows, "decisions": decisions})
    return None


def _row(what: str, found: Mapping[str, Series]) -> dict[str, Any]:
    base = next(iter(found.values()))
    return {
        "what": what,
        "median": {name: round(series.median, 3) for name, series in found.items()},
        "middle": {name: [round(edge, 3) for edge in series.middle] for name, series in found.items()},
        "ratio": round(found["trustreg"].ratio_to(base), 2) if len(found) > 1 else None,
    }


def _line(row: Mapping[str, Any]) -> str:
    shown = ", ".join(f"{name} {value:.2f} ms, {1000 / value:.0f}/s" for name, value in row["median"].items())
    return f"{row['what']}: {shown}" + (f" (ratio {row['ratio']})" if row["ratio"] else "")


def _write(found: dict[str, Any]) -> None:
    said = subprocess.run(["gpg", "--version"], capture_output=True, text=True, check=True).stdout.split()
    versions = {
        "gpg": said[2],
        **{name: version(name) for name in ("trustreg", "python-gnupg", "cryptography", "requests")},
    }
    kept, head = report.keep(RESULTS, "policies", found, versions)
    decisions = found["decisions"]
    lines = [
        f"{head} {found['rounds']} rounds; load when it ended: {os.getloadavg()[0]:.2f}.",
        "",
        "| one verification, warm | by | median ms | middle half | per second | of the first |",
        "|---|---|--:|--:|--:|--:|",
    ]
    for row in found["rows"]:
        for name, median in row["median"].items():
            low, high = row["middle"][name]
            rate = spaced(round(1000 / median))
            ratio = f"**{row['ratio']:.2f}**" if name == "trustreg" and row["ratio"] else ""
            lines.append(f"| {row['what']} | {name} | {median:.2f} | {low:.2f}-{high:.2f} | {rate} | {ratio} |")
    lines += [
        "",
        f"| {spaced(found['images'])} images by one policy of {RULES} rules | ms per decision |",
        "|---|--:|",
        f"| the first time, one after the other | {decisions['first']:.2f} |",
        f"| again, one after the other | {decisions['again']:.2f} |",
        f"| again, eight at once | {decisions['eight at once']:.2f} |",
        *(f"| median of those by `{demand}` | {ms:.2f} |" for demand, ms in decisions["median by demand"].items()),
        "",
        f"Peak memory: {decisions['peak MiB']:.0f} MiB; {decisions['of them for the decisions']:.1f} of it for these.",
    ]
    page = report.put(RESULTS, BEGIN, "\n".join(lines) + "\n")
    print(f"written: {kept.relative_to(RESULTS)}, {page.relative_to(RESULTS)}")


def _trusted(decision: Decision) -> Decision:
    assert decision.verdict == "trusted", decision.error
    return decision


def _braced(demand: str) -> str:
    return demand if demand.startswith("{") else f"{{{demand}}}"


def _tagged(one: Reference) -> str:
    return f"{one.repository}:{one.tag}"


def _digest(one: Reference) -> Digest:
    assert one.digest
    return one.digest


def _peak() -> int:
    """Return the peak of this process's memory, in KiB."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1])


_PEM = (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
_SILENT: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
_KEYS = "keys:\n  release: {gpg: release.gpg}\n  ci: {key: ci.pub}\n"
BEGIN = "<!-- what python -m bench.policies found: begin -->"

if __name__ == "__main__":
    main()

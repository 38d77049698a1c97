"""
Measure trustreg beside python-tuf, the reference implementation of TUF: the same bytes, in one process, in turns.

    python -m bench.tuf --write                      # all of it, some minutes; rewrites docs/benchmarks.md
    python -m bench.tuf --rounds 3 --targets 1000    # a quick look at a part

*Floor* is what nobody can do without who parses it all: JSON in, canonical JSON out, one Ed25519 signature.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]
from tuf.ngclient import Updater  # type: ignore[attr-defined]

from bench import report
from bench.stopwatch import Series, Time
from trustreg import Client, trust
from trustreg.dialects.tuf1 import Tuf1
from trustreg.metadata import FileMeta, Key, Role, Root, Snapshot, Targets, Timestamp
from trustreg.names import ROOT, SNAPSHOT, TARGETS, TIMESTAMP
from trustreg.sign.changes import AddTarget, DelegateBins
from trustreg.sign.signer import LocalSigner
from trustreg.verify.signatures import verify
from trustreg.wire import Wiring

tuf: Any = import_module("tuf.api.metadata")  # its names are not exported, a type checker finds
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from trustreg.metadata import Signed
    from trustreg.sign.changes import Change

ROOT_FOLDER = Path(__file__).resolve().parent.parent
RESULTS = ROOT_FOLDER
DIALECT = Tuf1()
EXPIRES = datetime.now(UTC).replace(microsecond=0) + timedelta(days=30)


@dataclass(frozen=True)
class Repository:
    """A repository of *count* targets, all roles signed by one Ed25519 key; ``files`` by path."""

    count: int
    signer: LocalSigner
    key: Key
    root: Root
    files: Mapping[str, bytes]

    @classmethod
    def make(cls, count: int) -> Repository:
        """Make one."""
        signer = LocalSigner.generate("ed25519")
        key = DIALECT.key(signer.kind, signer.public)
        roles = {name: Role(name=name, keyids=(key.id,)) for name in (ROOT, TIMESTAMP, SNAPSHOT, TARGETS)}
        root = Root(version=1, expires=EXPIRES, keys={key.id: key}, roles=roles, consistent_snapshot=True)
        names = (name_of(number) for number in range(count))
        listed = {
            name: FileMeta(length=len(name), hashes={"sha256": hashlib.sha256(name.encode()).digest()})
            for name in names
        }
        targets = _sign(signer, key, Targets(version=1, expires=EXPIRES, targets=listed))
        snapshot = _sign(signer, key, Snapshot(version=1, expires=EXPIRES, meta={TARGETS: DIALECT.listed(targets, 1)}))
        timestamp = _sign(signer, key, Timestamp(version=1, expires=EXPIRES, snapshot=DIALECT.listed(snapshot, 1)))
        files = {
            "1.root.json": _sign(signer, key, root),
            "timestamp.json": timestamp,
            "1.snapshot.json": snapshot,
            "1.targets.json": targets,
        }
        return cls(count, signer, key, root, files)

    @property
    def targets(self) -> bytes:
        """The file of the targets role."""
        return self.files["1.targets.json"]

    @property
    def one(self) -> str:
        """The name of one of its targets."""
        return name_of(self.count // 2)


def name_of(number: int) -> str:
    """Return the name of a target: as tags of images are called."""
    return f"registry.example/team/app{number % 97}:1.{number}"


def loading(repository: Repository) -> dict[str, Callable[[], object]]:
    """Return what loads and verifies the targets, and looks one of them up."""
    raw, key, role = repository.targets, repository.key, repository.root.roles[TARGETS]
    root = tuf.Metadata[tuf.Root].from_bytes(repository.files["1.root.json"]).signed
    public = repository.signer.private.public_key()
    signature = bytes.fromhex(orjson.loads(raw)["signatures"][0]["sig"])

    def theirs() -> object:
        loaded = tuf.Metadata[tuf.Targets].from_bytes(raw)
        root.verify_delegate(TARGETS, loaded.signed_bytes, loaded.signatures)
        return loaded.signed.targets[repository.one]

    def ours() -> object:
        verified = verify(DIALECT.decode(TARGETS, raw), role, {key.id: key})
        assert isinstance(verified.signed, Targets)
        return verified.signed.targets[repository.one]

    def floor() -> object:
        signed = orjson.loads(raw)["signed"]
        public.verify(signature, orjson.dumps(signed, option=orjson.OPT_SORT_KEYS))  # type: ignore[call-arg]
        return signed["targets"][repository.one]

    return {"tuf": theirs, "trustreg": ours, "floor": floor}


def signing(repository: Repository) -> dict[str, Callable[[], object]]:
    """Return what changes one target of those that were read, signs them all, and makes the file."""
    signer, key = repository.signer, repository.key
    theirs_loaded = tuf.Metadata[tuf.Targets].from_bytes(repository.targets)
    theirs_signer = CryptoSigner(signer.private)
    ours_loaded = DIALECT.decode(TARGETS, repository.targets).signed
    parsed = orjson.loads(repository.targets)["signed"]
    meta = FileMeta(length=3, hashes={"sha256": hashlib.sha256(b"new").digest()})
    assert isinstance(ours_loaded, Targets)
    read = ours_loaded.targets

    def theirs() -> object:
        theirs_loaded.signed.targets[repository.one] = tuf.TargetFile.from_data(repository.one, b"new", ["sha256"])
        theirs_loaded.sign(theirs_signer)
        return theirs_loaded.to_bytes()

    def ours() -> object:
        amended = DIALECT.amend(read, repository.one, meta)
        return _sign(signer, key, Targets(version=2, expires=EXPIRES, targets=amended))

    def floor() -> object:
        parsed["targets"][repository.one] = {"hashes": {"sha256": meta.hashes["sha256"].hex()}, "length": 3}
        payload = orjson.dumps(parsed, option=orjson.OPT_SORT_KEYS)
        return DIALECT.encode(payload, [signer.sign(payload, key.id, key.scheme)])

    return {"tuf": theirs, "trustreg": ours, "floor": floor}


def refreshing(repository: Repository, url: str, folder: Path) -> dict[str, Callable[[], object]]:
    """Return what begins with a warm cache, refreshes over HTTP and looks one target up."""
    theirs_dir, ours_dir = folder / "tuf", folder / "trustreg"
    theirs_dir.mkdir()
    root = repository.files["1.root.json"]
    trust(ours_dir, root)

    def theirs() -> object:
        updater = Updater(str(theirs_dir), f"{url}/metadata", bootstrap=root)
        updater.refresh()
        return updater.get_targetinfo(repository.one)

    def ours() -> object:
        client = Client(f"{url}/metadata", cache=ours_dir, env={})
        try:
            client.refresh()
            return client.find(repository.one)
        finally:
            client.close()

    return {"tuf": theirs, "trustreg": ours}


class Author:
    """Publishes to a folder, with a cache that is warm and keys that are open, as the process of a release job does.

    Args:
        folder: For the collection, and a trust directory.
        count: How many targets there are to begin with.
        bits: They are in ``2 ** bits`` bins; in ``targets`` itself where it is 0.
    """

    def __init__(self, folder: Path, count: int, bits: int) -> None:
        private = folder / "trust" / "private"
        private.mkdir(parents=True, mode=0o700)
        private.parent.chmod(0o700)
        env = {"HOME": str(folder), "TRUSTREG_PASSPHRASE": "passphrase of the author"}
        settings = {"store": f"dir:{folder / 'store'}", "trust_dir": str(private.parent)}
        wiring = Wiring(settings, env, lambda: datetime.now(UTC))
        self._publisher, self._gun, self._count = wiring.publisher(), wiring.collection(None), count
        wiring.init(self._gun, root_kind="ecdsa", kind="ed25519")
        if bits:
            signer = LocalSigner.generate("ed25519")
            wiring.keystore().add(signer, TARGETS, None)
            key = DIALECT.key(signer.kind, signer.public)
            self._publish(DelegateBins(role=TARGETS, bits=bits, prefix="bin", keys=(key,)))
        self._publish(*map(self._addition, range(count)))

    def publish_one(self) -> object:
        """Publish one more target."""
        self._count += 1
        return self._publish(self._addition(self._count))

    def _publish(self, *changes: Change) -> object:
        return self._publisher.publish(self._gun, datetime.now(UTC), changes)

    @staticmethod
    def _addition(number: int) -> AddTarget:
        name = name_of(number)
        meta = FileMeta(length=len(name), hashes={"sha256": hashlib.sha256(name.encode()).digest()})
        return AddTarget(role=TARGETS, name=name, meta=meta)


def adding(few: int, many: int, bits: int, rounds: int) -> list[dict[str, Any]]:
    """Measure what it takes to publish one more target: of *few*, and of *many* in ``2 ** bits`` bins."""
    with tempfile.TemporaryDirectory(prefix="trustreg-bench-") as folder:
        small, large = Author(Path(folder) / "few", few, 0), Author(Path(folder) / "many", many, bits)
        found = compete({"few": small.publish_one, "many": large.publish_one}, rounds)
    ratio = round(found["many"].ratio_to(found["few"]), 2)
    names = f"to {spaced(few)} targets", f"to {spaced(many)} in {spaced(1 << bits)} bins"
    rows = [
        {"what": f"publish one more target {name}", "targets": count, "median": {"trustreg": round(one.median, 2)}}
        for name, count, one in zip(names, (few, many), found.values(), strict=True)
    ]
    rows[1]["of the first"] = ratio
    print(f"{names[1]}: {found['many'].median:.1f}, {names[0]}: {found['few'].median:.1f} (ratio {ratio})", flush=True)
    return rows


@contextmanager
def served(repository: Repository, folder: Path) -> Iterator[str]:
    """Serve *repository* from another process; yield its URL."""
    (folder / "metadata").mkdir(parents=True)
    for path, raw in repository.files.items():
        (folder / "metadata" / path).write_bytes(raw)
    argv = [sys.executable, "-m", "bench.tuf", "--serve", str(folder)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=ROOT_FOLDER) as server:
        try:
            assert server.stdout
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


def serve(folder: str) -> None:
    """Serve *folder*, and say where."""

    class Handler(SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder))
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


def compete(contestants: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, Series]:
    """Time each of *contestants*, in turns; who begins changes. One more round before is not counted."""
    times: dict[str, list[Time]] = {name: [] for name in contestants}
    names = list(contestants)
    for number in range(rounds + 1):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            wall, cpu = time.perf_counter(), time.process_time()
            found = contestants[name]()
            taken = Time((time.perf_counter() - wall) * 1000, (time.process_time() - cpu) * 1000)
            assert found is not None, name
            times[name] += [taken] if number else []
    return {name: Series(each) for name, each in times.items()}


def memory(name: str, path: str) -> None:
    """Print by how many MiB the memory of this process grows, at its peak, where it loads the targets in *path*."""
    known = json.loads(Path(path).with_suffix(".key").read_text())
    small = Repository.make(1)
    _load_once(name, small.targets, small.key, small.one)
    before = _peak()
    key = DIALECT.read_key(json.dumps(known["key"]).encode())
    _load_once(name, Path(path).read_bytes(), key, known["one"])
    print(f"{(_peak() - before) / 1024:.1f}")


def _load_once(name: str, raw: bytes, key: Key, one: str) -> None:
    if name == "tuf":
        root = tuf.Root()
        root.add_key(tuf.Key.from_dict(key.id, dict(key.spelled)), TARGETS)
        loaded = tuf.Metadata[tuf.Targets].from_bytes(raw)
        root.verify_delegate(TARGETS, loaded.signed_bytes, loaded.signatures)
        assert loaded.signed.targets[one]
    else:
        verified = verify(DIALECT.decode(TARGETS, raw), Role(name=TARGETS, keyids=(key.id,)), {key.id: key})
        assert isinstance(verified.signed, Targets)
        assert verified.signed.targets[one]


def _peak() -> int:
    """Return the peak of this process's memory, in KiB."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1])


def measure_memory(repository: Repository, folder: Path) -> dict[str, float]:
    """Return how many MiB loading takes, by who loads."""
    path = folder / "targets.json"
    path.write_bytes(repository.targets)
    path.with_suffix(".key").write_text(json.dumps({"one": repository.one, "key": dict(repository.key.spelled)}))
    found = {}
    for name in ("tuf", "trustreg"):
        argv = [sys.executable, "-m", "bench.tuf", "--memory", name, str(path)]
        done = subprocess.run(argv, capture_output=True, text=True, check=True, cwd=ROOT_FOLDER)
        found[name] = float(done.stdout)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and write down what was found where that is asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench.tuf", description="Measure trustreg beside python-tuf.")
    parser.add_argument("--rounds", type=int, default=15, help="how often each is timed")
    parser.add_argument("--targets", type=int, nargs="+", default=[1_000, 10_000, 100_000], help="sizes")
    parser.add_argument("--adding", type=int, nargs=2, default=[1_000, 100_000], help="sizes to publish one more to")
    parser.add_argument("--bits", type=int, default=10, help="bins for the second of them: 2 ** this")
    parser.add_argument("--write", action="store_true", help="put what is found into docs/benchmarks.md")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--memory", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.serve:
        return serve(options.serve)
    if options.memory:
        return memory(*options.memory)
    rows: list[dict[str, Any]] = []
    for count in options.targets:
        repository = Repository.make(count)
        with tempfile.TemporaryDirectory(prefix="trustreg-bench-") as name:
            folder = Path(name)
            rows += _timed("load and verify", count, compete(loading(repository), options.rounds))
            rows += _timed("sign and serialise", count, compete(signing(repository), options.rounds))
            with served(repository, folder / "served") as url:
                rows += _timed(
                    "warm refresh and look-up", count, compete(refreshing(repository, url, folder), options.rounds)
                )
            mebibytes = measure_memory(repository, folder)
            rows.append({"what": "peak memory, MiB", "targets": count, "median": mebibytes, "ratio": _over(mebibytes)})
            print(_line(rows[-1]), flush=True)
    few, many = options.adding
    added = adding(few, many, options.bits, options.rounds)
    if options.write:
        _write({"date": f"{datetime.now(UTC):%Y-%m-%d}", "rounds": options.rounds, "rows": rows, "added": added})
    return None


def _timed(what: str, count: int, found: Mapping[str, Series]) -> list[dict[str, Any]]:
    row = {
        "what": what,
        "targets": count,
        "median": {name: round(series.median, 2) for name, series in found.items()},
        "ratio": {name: round(1 / series.ratio_to(found["tuf"]), 2) for name, series in found.items() if name != "tuf"},
    }
    print(_line(row), flush=True)
    return [row]


def _over(found: Mapping[str, float]) -> dict[str, float]:
    return {"trustreg": round(found["tuf"] / max(found["trustreg"], 0.1), 2)}


def _line(row: Mapping[str, Any]) -> str:
    shown = ", ".join(f"{name} {value:.1f}" for name, value in row["median"].items())
    ratios = ", ".join(f"{name} {value:.1f}" for name, value in row["ratio"].items())
    return f"{row['what']} {row['targets']}: {shown} (tuf takes so many times that of: {ratios})"


def _write(found: dict[str, Any]) -> None:
    versions = {name: version(name) for name in ("tuf", "trustreg", "orjson", "msgspec", "cryptography")}
    kept, head = report.keep(RESULTS, "tuf", found, versions)
    lines = [
        f"{head} {found['rounds']} rounds; load when it ended: {os.getloadavg()[0]:.2f}.",
        "",
        "| | targets | tuf | trustreg | floor | tuf over trustreg | trustreg over floor |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for row in found["rows"]:
        median = row["median"]
        floor = _shown(row, "floor") if "floor" in median else ""
        above = f"{median['trustreg'] / median['floor']:.2f}" if "floor" in median else ""
        lines.append(
            f"| {row['what'].replace(', MiB', '')} | {spaced(row['targets'])} | {_shown(row, 'tuf')} | "
            f"{_shown(row, 'trustreg')} | {floor} | **{row['ratio']['trustreg']:.1f}** | {above} |"
        )
    lines += ["", "| | trustreg | of the first |", "|---|--:|--:|"]
    for row in found["added"]:
        of_first = f"**{row['of the first']:.2f}**" if "of the first" in row else ""
        lines.append(f"| {row['what']} | {row['median']['trustreg']:.1f} ms | {of_first} |")
    page = report.put(RESULTS, BEGIN, "\n".join(lines) + "\n")
    print(f"written: {kept.relative_to(RESULTS)}, {page.relative_to(RESULTS)}")


def _shown(row: Mapping[str, Any], name: str) -> str:
    return f"{row['median'][name]:.1f} {'MiB' if 'MiB' in row['what'] else 'ms'}"


def spaced(number: int) -> str:
    """Return *number* with a space between thousands."""
    return f"{number:,}".replace(",", " ")


def _sign(signer: LocalSigner, key: Key, signed: Signed) -> bytes:
    payload = DIALECT.payload(signed)
    return DIALECT.encode(payload, [signer.sign(payload, key.id, key.scheme)])


BEGIN = "<!-- what python -m bench.tuf found: begin -->"

if __name__ == "__main__":
    main()

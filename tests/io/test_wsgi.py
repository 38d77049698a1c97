"""The Notary API as a WSGI application: shapes, limits, and whatever strangers may send."""

from __future__ import annotations

import email.utils
import io
import json
import logging
import threading
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import falcon
import pytest
from falcon.testing import TestClient
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.server.shapes import APP, END, FEED, OURS, SHAPES, part, recorded, told
from tests.server.team import GUN, NOW, Team, listed, signer
from tests.server.test_replica import Source, rotated
from trustreg.dialects.notary1 import Notary1
from trustreg.errors import FileError
from trustreg.io import sql
from trustreg.io.sql import SqlStore, unlock
from trustreg.io.wsgi import HOT, Hot, make_app
from trustreg.names import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, Gun
from trustreg.server import BusyError, TrustServer, judge_replica

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FORM = {"Content-Type": "multipart/form-data; boundary=b"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A place for a store."""
    return tmp_path_factory.mktemp("wsgi") / "state"


@pytest.fixture(scope="module")
def store(folder: Any) -> Iterator[SqlStore]:
    """A store with one collection, whose publishers are ``Team()``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sql, "_SCRYPT", (2, 8, 1))
        key = unlock(folder, "passphrase")
    with closing(SqlStore(folder, key)) as made:
        made.unused_key(GUN, TIMESTAMP, lambda: signer(TIMESTAMP))
        TrustServer(made).accept(GUN, Team().first(), NOW)
        yield made


@pytest.fixture(scope="module")
def client(store: SqlStore) -> TestClient:
    """A client of the application, at NOW."""
    return TestClient(make_app(TrustServer(store), now=lambda: NOW, stamps=store.stamps, most=1_000_000))


def form(files: Mapping[str, bytes]) -> bytes:
    """Return an upload of *files*."""
    return b"".join(part(content, role) for role, content in files.items()) + END


@pytest.mark.parametrize("name", SHAPES)
def test_shapes(client: TestClient, name: str) -> None:
    """
    To every request of the book, the answer is what notary-server gave, but where ours is better on purpose.
    """
    shape = SHAPES[name]
    path, _, query = shape.path.partition("?")

    answer = client.simulate_request(shape.method, path, query_string=query, body=shape.body, headers=shape.headers)

    known = recorded()
    like = OURS.get(name, name)
    due = known[like] if like else known[name] | {"body": {"count": 0, "records": []}}
    assert due == told(answer.status_code, {k.lower(): v for k, v in answer.headers.items()}, answer.content)


def test_replicas(tmp_path: Any) -> None:
    """
    Each root comes by its number, with or without .json; all of it is served as it came, long after it is due.
    """
    source, app = Source(Team()), APP.replace("_trust/tuf", "_trust/replica")
    with closing(SqlStore(tmp_path / "state", unlock(tmp_path / "state", "passphrase"))) as store:
        client = TestClient(make_app(TrustServer(store), now=lambda: NOW + timedelta(hours=1)))
        assert client.simulate_post(app, body=form(source.upload()), headers=FORM).status_code == 200
        older, update = source.upload(), judge_replica(GUN, source.upload(), store.collection(GUN), NOW)
        assert update is None
        rotated(source)
        upload = {f"{name}.json": raw for name, raw in source.upload().items()}
        assert client.simulate_post(app, body=form(upload), headers=FORM).status_code == 200
        assert client.simulate_post(app, body=form(upload), headers=FORM).status_code == 200  # nothing new

        back = client.simulate_post(app, body=form(older), headers=FORM)
        told = client.simulate_post(APP, body=form({"targets": Team().targets(9)}), headers=FORM)
        late = TestClient(make_app(TrustServer(store), now=lambda: NOW + timedelta(days=400)))
        assert [late.simulate_get(f"{APP}{version}.root.json").content for version in (1, 2, 3)] == [
            *source.roots.values()
        ]
        assert late.simulate_get(f"{APP}timestamp.json").content == source.at.files[TIMESTAMP].raw
        assert [change.version for change in store.changes(GUN, limit=9)] == [1, 3]

    fault = {"Name": "ErrBadTargets", "Error": {"Msg": "timestamp v1 is older than trusted v3"}}
    assert (back.status_code, back.json["errors"][0]["detail"]) == (400, fault)
    assert "this is a replica" in told.json["errors"][0]["detail"]["Error"]["Msg"]


@pytest.mark.parametrize("name", ["root", "0.root", "01.root", "9999999999.root", "1.targets", "1.root.json.json", "x"])
def test_what_replicas_have_no_place_for(client: TestClient, name: str) -> None:
    """
    A root without its number, another file with one, and numbers that none can have.
    """
    answer = client.simulate_post(APP.replace("tuf", "replica"), body=form({name: b"{}"}), headers=FORM)

    assert (answer.status_code, answer.json["errors"][0]["code"]) == (400, "INVALID_ROLE")


def test_metadata(client: TestClient, store: SqlStore) -> None:
    """
    A file comes as it was uploaded, by name, version and digest, with a date that HTTP clients can read.
    """
    file = store.find(GUN, ROOT)
    assert file

    answers = [client.simulate_get(APP + name) for name in ("root.json", "1.root.json", f"root.{file.sha256}.json")]

    assert {answer.content for answer in answers} == {file.raw}
    assert {email.utils.parsedate_to_datetime(answer.headers["last-modified"]) for answer in answers} == {NOW}


def test_uploads(store: SqlStore) -> None:
    """
    An upload counts by the names of its parts, with or without .json; the last of several counts; it answers 200
    and nothing else.
    """
    gun = Gun("registry.example/team/upload")
    client = TestClient(make_app(TrustServer(store), now=lambda: NOW))
    key = Notary1().read_key(client.simulate_get(f"/v2/{gun}/_trust/tuf/timestamp.key").content)
    assert key.kind == "ecdsa"
    first = Team().first()
    body = part(b"early", TARGETS) + part(b"{}", TIMESTAMP) + form({f"{role}.json": raw for role, raw in first.items()})

    answer = client.simulate_post(APP, body=body, headers=FORM)

    assert (answer.status_code, answer.json["errors"][0]["code"]) == (400, "VERSION")
    body = form({"targets": Team().targets(2), "snapshot": Team().snapshot(dict(first), 2)})
    assert client.simulate_post(APP, body=body, headers=FORM).json["errors"][0]["detail"]["Name"] == "ErrBadSnapshot"


def test_the_reason_fits_what_go_reads(client: TestClient) -> None:
    """
    Go reads 1024 bytes of an answer, and shows nothing of a longer one.
    """
    names = tuple(f"root {number}" for number in range(30))
    others = {name: listed(name, Gun("registry.example/team/another/collection")) for name in names}
    team = Team(root_keys=names)
    files = {ROOT: team.root(2, by=["root"], certificates=others), TARGETS: team.targets(2)}

    answer = client.simulate_post(APP, body=form({**files, SNAPSHOT: team.snapshot(files, 2)}), headers=FORM)

    assert answer.status_code == 400
    assert 512 < len(answer.content) <= 1024
    assert answer.json["errors"][0]["detail"]["Name"] == "ErrBadRoot"


@pytest.mark.parametrize("name", ["a b", "_trust", "a/_trust/b", "a\x00b", "a%ffb", "x" * 256, "%3Fa", "a\\b"])
def test_names_that_no_collection_has(client: TestClient, name: str) -> None:
    """
    Under such a name there is nothing to read, and nothing can be written.
    """
    path = f"/v2/{name.replace(' ', '%20').replace(chr(0), '%00')}/_trust/tuf/"

    assert client.simulate_get(f"{path}root.json").status_code == 404
    for method, what in (("POST", ""), ("DELETE", ""), ("POST", "timestamp.key")):
        answer = client.simulate_request(method, path + what, body=END, headers=FORM)
        assert (answer.status_code, answer.json["errors"][0]["code"]) == (400, "INVALID_GUN")


@pytest.mark.parametrize("name", ["one", "localhost:5000/a", "Ünï/λ", "a.b/c_d/e-f", "a@b", "x" * 255])
def test_names_that_collections_have(client: TestClient, name: str) -> None:
    """
    Any other name is one: the answer is that there is nothing yet, and a key for it can be had.
    """
    assert client.simulate_get(f"/v2/{name}/_trust/tuf/root.json").status_code == 404
    assert client.simulate_get(f"/v2/{name}/_trust/tuf/timestamp.key").status_code == 200


def test_changes(store: SqlStore) -> None:
    """
    Changes are read forwards from an id and backwards from one, oldest first either way, at most a thousand.
    """
    gun = Gun("registry.example/team/changes")
    server = TrustServer(store)
    client = TestClient(make_app(server, now=lambda: NOW + timedelta(microseconds=1)))
    for _ in range(5):
        server.next_key(gun, TIMESTAMP)
        server.delete(gun, NOW + timedelta(microseconds=500))

    def ids(query: str) -> list[int]:
        return [int(each["ID"]) for each in client.simulate_get(f"/v2/{gun}/_trust/changefeed?{query}").json["records"]]

    first, *_, last = everything = ids("records=100")
    assert everything == sorted(everything)
    assert len(everything) == 5
    assert everything[:2] == ids("records=2")
    assert everything[1:3] == ids(f"records=2&change_id={first}")
    assert everything[-2:] == ids("records=-2") == ids("records=-2&change_id=-1")
    assert everything[2:4] == ids(f"records=-2&change_id={last}")
    assert everything == ids("records=999999999999999999")
    record = client.simulate_get(f"/v2/{gun}/_trust/changefeed?records=1").json["records"][0]
    assert record == {
        "ID": str(first),
        "CreatedAt": "2026-11-24T12:00:00.0005Z",
        "GUN": gun.text,
        "Version": 0,
        "SHA256": "",
        "Category": "deletion",
    }


@pytest.mark.parametrize(
    "query",
    ["records=1e3", "records=\u0661", "records=1_0", "records= 1", f"records={'9' * 30}", "records=1&change_id=1.0"],
)
def test_numbers_that_are_none(client: TestClient, query: str) -> None:
    """
    A number is digits with a sign.
    """
    answer = client.simulate_get(FEED, query_string=query)

    assert (answer.status_code, answer.json["errors"][0]["code"]) == (400, "INVALID_PARAMETERS")


def test_hot(store: SqlStore, client: TestClient) -> None:
    """
    An answer says how long it may be repeated: while the stamp stands that was read before, and until it is due.
    """
    slot, stamp = store.stamps.slot(GUN), store.stamps.read(store.stamps.slot(GUN))

    def hot(path: str) -> Hot | None:
        environ = falcon.testing.create_environ(path)
        list(client.app(environ, falcon.testing.StartResponseMock()))
        found: Hot | None = environ.get(HOT)
        return found

    assert hot(f"{APP}timestamp.json") == Hot(slot, stamp, (NOW + timedelta(days=7)).timestamp())
    assert hot(f"{APP}root.json") == hot(f"{APP}1.root.json") == Hot(slot, stamp, float("inf"))
    assert hot(f"{APP}targets/x.json") is hot(f"{APP}timestamp.key") is hot("/v2/") is None


def test_middleware(store: SqlStore) -> None:
    """
    Authentication is a middleware: it sees every request first, and may say no in its own words.
    """

    class Deny:
        def process_request(self, req: falcon.Request, _: falcon.Response) -> None:
            if req.auth != "Bearer token":
                raise falcon.HTTPUnauthorized(description="no token", challenges=['Bearer realm="x"'])

    client = TestClient(make_app(TrustServer(store), middleware=[Deny()]))

    denied = client.simulate_get("/v2/")
    assert (denied.status_code, denied.headers["www-authenticate"]) == (401, 'Bearer realm="x"')
    assert denied.json["errors"][0]["code"] == "UNAUTHORIZED"
    assert client.simulate_get("/v2/", headers={"Authorization": "Bearer token"}).status_code == 200


# --- trouble -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (FileError("/state/trust.db", "the disk is full"), 503, "UNKNOWN"),
        (BusyError("gun"), 503, "UPDATING"),
        (RuntimeError("secret"), 500, "UNKNOWN"),
    ],
    ids=["disk", "busy", "bug"],
)
def test_trouble(
    client: TestClient,
    store: SqlStore,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    status: int,
    code: str,
) -> None:
    """
    Trouble of ours is for the log; a client learns that it is not theirs, and no more.
    """

    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(store, "commit", fail)
    team = Team()
    files = {TARGETS: team.targets(2)}
    root = store.find(GUN, ROOT)
    assert root
    snapshot = team.snapshot({ROOT: root.raw, **files}, 2)
    with caplog.at_level(logging.INFO, "trustreg.server"):
        answer = client.simulate_post(APP, body=form({**files, SNAPSHOT: snapshot}), headers=FORM)

    assert (answer.status_code, answer.json["errors"][0]["code"]) == (status, code)
    assert b"disk" not in answer.content
    assert b"secret" not in answer.content
    assert (str(error) in caplog.text) == (code == "UNKNOWN")


def test_health_in_trouble(client: TestClient, store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A server that cannot read its storage says so to those who watch it.
    """
    monkeypatch.setattr(store, "_path", store._path / "nowhere")
    monkeypatch.setattr(store, "_local", threading.local())

    assert client.simulate_get("/_notary_server/health").status_code == 503


# --- forms ---------------------------------------------------------------------------------------------------------


MALFORMED = {
    "nothing": b"",
    "another boundary": END.replace(b"b", b"c"),
    "no end": part(b"{}", "root"),
    "half an end": part(b"{}", "root") + b"--b",
    "a part without a body": b'--b\r\nContent-Disposition: form-data; filename="root"\r\n\r\n',
    "a part without an end of its head": b'--b\r\nContent-Disposition: form-data; filename="root"\r\n' + END,
    "line feeds only": form({"root": b"{}"}).replace(b"\r\n", b"\n"),
    "a head of 100 000 bytes": b"--b\r\nX: " + b"x" * 90_000 + b"\r\n\r\n" + END,
    "1025 parts": part(b"", "root") * 1025 + END,
    "a head that is not UTF-8": part(b"{}", "root").replace(b"filename", b"\xff\xfe").replace(b"form-data", b"\xff")
    + END,
    "an encoding": part(b"{}", "root").replace(b"application/octet-stream", b"a\r\nContent-Transfer-Encoding: base64")
    + END,
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_forms(client: TestClient, name: str) -> None:
    """
    A form that is none is answered as such.
    """
    answer = client.simulate_post(APP, body=MALFORMED[name], headers=FORM)

    assert (answer.status_code, answer.json["errors"][0]["code"]) == (400, "MALFORMED_UPLOAD")


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "application/json",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/mixed; boundary=b",
        "multipart/form-data; boundary=" + "x" * 71,
        "multipart/form-data; boundary=é",
        "/",
    ],
)
def test_other_content_types(client: TestClient, content_type: str) -> None:
    """
    Nothing but a form is an upload.
    """
    answer = client.simulate_post(APP, body=form({"root": b"{}"}), headers={"Content-Type": content_type})

    assert (answer.status_code, answer.json["errors"][0]["code"]) == (400, "MALFORMED_UPLOAD")


@pytest.mark.parametrize(
    "role", ["targets/../a", "targets/", "/root", "root/a", "targets/A", "targets//a", "tärgets", "a" * 300]
)
def test_roles_that_are_none(client: TestClient, role: str) -> None:
    """
    A part is named like a role.
    """
    answer = client.simulate_post(APP, body=form({role: b"{}"}), headers=FORM)

    assert (answer.status_code, answer.json["errors"][0]["code"]) == (400, "INVALID_ROLE")


def test_too_much(client: TestClient) -> None:
    """
    A body that says it is longer than allowed is not read.
    """
    answer = client.simulate_post(APP, body=bytes(1_000_001), headers=FORM)

    assert answer.status_code == 413
    assert answer.json["errors"][0] == {
        "code": "MALFORMED_UPLOAD",
        "message": "The body of your request is malformed.",
        "detail": "an upload may have 1000000 bytes",
    }


def test_a_body_of_unknown_length(client: TestClient) -> None:
    """
    Without a length there is nothing to bound, whatever server runs this.
    """
    environ = falcon.testing.create_environ(APP, method="POST", headers=FORM)
    environ.pop("CONTENT_LENGTH", None)
    environ["wsgi.input"] = io.BytesIO(form({"root": b"{}"}))
    said = falcon.testing.StartResponseMock()

    body = b"".join(client.app(environ, said))

    assert said.status == "400 Bad Request"
    assert json.loads(body)["errors"][0]["code"] == "MALFORMED_UPLOAD"


WHOLE = form(Team().first())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    at=st.integers(0, len(WHOLE)),
    cut=st.integers(0, 300),
    put=st.binary(max_size=40) | st.sampled_from([b"--b", b"--b--", b"\r\n\r\n", b'filename="', b"\xff", b"{", b"1e9"]),
)
@example(at=0, cut=len(WHOLE), put=b"")
def test_any_damage(client: TestClient, store: SqlStore, at: int, cut: int, put: bytes) -> None:
    """
    However an upload is damaged, it is taken or refused with a reason, and what was there stays.
    """
    before = store.collection(GUN).files
    body = WHOLE[:at] + put + WHOLE[at + cut :]

    answer = client.simulate_post(APP, body=body, headers=FORM)

    assert answer.status_code == 400
    assert answer.json["errors"][0]["code"] in {
        "MALFORMED_UPLOAD",
        "NO_FILENAME",
        "INVALID_ROLE",
        "INVALID_UPDATE",
        "VERSION",
    }
    assert before == store.collection(GUN).files


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from(["GET", "POST", "DELETE", "HEAD", "PUT"]),
    path=st.text(st.characters(exclude_categories=["Cs"]), max_size=60).map(lambda text: f"/{text}")
    | st.lists(
        st.sampled_from(
            [
                "v2",
                "_trust",
                "tuf",
                "a",
                "..",
                ".",
                "",
                "root.json",
                "timestamp.key",
                "changefeed",
                "é",
                "%2f",
                "1.root.json",
                "\n",
            ]
        ),
        max_size=9,
    ).map(lambda parts: "/" + "/".join(parts)),
)
def test_any_path(client: TestClient, method: str, path: str) -> None:
    """
    No request line makes the server stumble.
    """
    environ = falcon.testing.create_environ("/", method=method)
    environ["PATH_INFO"] = path.encode().decode("latin-1")
    said = falcon.testing.StartResponseMock()

    list(client.app(environ, said))

    assert said.status
    assert int(said.status[:3]) < 500

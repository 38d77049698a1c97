"""One collection on a notary server, by HTTP; and which ones there are.

Absence is an answer that only a trust server can give: 404 with its own ``METADATA_NOT_FOUND``. The Go server says the
same, but without ``detail``, for paths it does not serve at all, which is what a wrong base URL leads to; so then it is
asked whether it is a trust server there (``/v2/``). Any other 404, a proxy's page, is a :class:`ServerError`; but for
a root of some version, which most often nobody has yet, it is an answer: that is how a web server says so that shows a
copy of a collection. Whoever could say it falsely could say it in the words of a trust server too.

There is no ping before each request, as the Go client sends: the request itself brings the challenge.

Sources: notary ``server/{server,handlers,errors}``, ``storage/httpstore.go``; checked against notary-server 0.7.0.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from trustreg.errors import ConflictError, PublishRefusedError, ServerError, SettingError, TooLargeError
from trustreg.io.address import Url, without_secrets
from trustreg.io.auth import Access
from trustreg.io.http import api_errors, plain, refusal
from trustreg.io.known import NOTHING, is_of
from trustreg.names import Digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from trustreg.io.auth import Auth
    from trustreg.io.docker import Credential, DockerCredentials
    from trustreg.io.http import Reply
    from trustreg.io.known import Known
    from trustreg.names import Gun
    from trustreg.verify.requests import Want


class NotaryServer:
    """The collection *gun* at the trust server *base*; a :class:`trustreg.ports.TrustServer`.

    Logins are taken from ``NOTARY_AUTH`` if the server was named, then from those that Docker keeps for the server's
    host, then from those for the registry that the collection is named after, as Docker does.

    Args:
        auth: Carries the requests.
        credentials: Has the logins; asked when the server wants one.
        base: Its URL; a path in front of ``/v2/`` is fine.
        gun: The collection.
        write: Ask for the right to publish from the first request on, so that one token does for all of them.
        named: Somebody set *base*. If not it follows from *gun*, and whoever names an image chooses who is asked:
            ``NOTARY_AUTH``, which does not say whom it is for, is then for nobody.
        copies: The collection is signed elsewhere, and this server gets a copy: only logins for its own host are shown
            to it, and none that is for where the collection is at home.
        known: Keeps files that are asked for by their digest.
    """

    def __init__(
        self,
        auth: Auth,
        credentials: DockerCredentials,
        base: str,
        gun: Gun,
        *,
        write: bool = False,
        named: bool = True,
        copies: bool = False,
        known: Known = NOTHING,
    ) -> None:
        self._auth, self._credentials, self._gun = auth, credentials, gun
        self._base = _base(base)
        self._actions = "push,pull" if write else "pull"
        self._named, self._copies, self._known = named, copies, known

    @property
    def where(self) -> str:
        """The server's address."""
        return str(self._base)

    def fetch(self, want: Want) -> bytes | None:
        """Return the file, or ``None`` where the server says that it has no such file.

        Raises:
            TooLargeError: The file is longer than ``want.limit``.
            UnavailableError: No answer could be had; :class:`OfflineError` if nobody answered at all.
        """
        named = _NAMED.fullmatch(want.path)
        digest = Digest("sha256", named[1]) if named else None
        if digest and (kept := self._known.get(digest, want.limit)) is not None:
            return kept
        reply = self._auth.get(self._url(want.path), self._access(self._actions), limit=want.limit)
        if reply.status == 200:
            if digest and is_of(digest, reply.body):
                self._known.put(digest, reply.body)
            return reply.body
        if reply.status == 404 and (_NEXT_ROOT.fullmatch(want.path) or self._says_absent(reply)):
            return None
        raise refusal(reply, "this answer does not come from a trust server" if reply.status == 404 else None)

    def publish(self, files: Mapping[str, bytes]) -> None:
        """Hand over new files by role: all of them or none.

        Raises:
            ConflictError: A version in *files* is taken; read again and retry.
            PublishRefusedError: The server finds fault with the files.
            UnavailableError: No answer could be had; whether it was published is not known.
        """
        self._upload(self._url(""), files)

    def replicate(self, files: Mapping[str, bytes]) -> None:
        """Hand over files of a collection that is signed elsewhere; of its root each version, as ``7.root``.

        Raises:
            PublishRefusedError: The server finds fault with the files, or is none that takes replicas.
            ConflictError: A version in *files* is taken.
            UnavailableError: No answer could be had; whether it was taken is not known.
        """
        try:
            self._upload(self._at("_trust/replica/"), files)
        except ServerError as exc:
            if exc.status == 404 and self._is_trust_server():
                hint = (
                    "it takes no replicas, and a timestamp is signed by a key of its own: `trustreg serve` takes them"
                )
                raise PublishRefusedError(str(self._gun), "NO_REPLICAS", hint) from exc
            raise

    def _upload(self, url: Url, files: Mapping[str, bytes]) -> None:
        body, media_type = multipart(files)
        reply = self._auth.post(url, self._access("push,pull"), body, media_type, limit=_SHORT)
        if reply.status == 200:
            return
        for error in api_errors(reply):
            if error.code in {"VERSION", "UPDATING"}:
                raise ConflictError(str(self._gun), error.message or error.code)
            if reply.status == 400:
                reason, detail = _fault(error.detail)
                raise PublishRefusedError(str(self._gun), reason or error.code, detail or error.message)
        raise refusal(reply)

    def server_key(self, role: str) -> bytes:
        """Return the public key the server will sign *role* with, as the server writes it."""
        return self._key(self._auth.get(self._url(f"{role}.key"), self._access("push,pull"), limit=_KEY))

    def rotate_server_key(self, role: str) -> bytes:
        """Have the server make a new key for *role*; it counts once a root lists it."""
        url, access = self._url(f"{role}.key"), self._access("*")
        return self._key(self._auth.post(url, access, b"", "application/octet-stream", limit=_KEY))

    def delete(self) -> None:
        """Remove the collection from the server; fine if there is none."""
        reply = self._auth.delete(self._url(""), self._access("*"), limit=_SHORT)
        if reply.status != 200:
            raise refusal(reply)

    def _url(self, path: str) -> Url:
        return self._at(f"_trust/tuf/{path}")

    def _at(self, path: str) -> Url:
        from urllib.parse import quote

        return self._base._replace(path=f"{self._base.path}/v2/{quote(f'{self._gun}/{path}', safe='/:')}")

    def _access(self, actions: str) -> Access:
        more = "" if self._named else f" and name the server: --server {self._base}"
        other = "" if self._copies else f", or set NOTARY_AUTH{more}"
        login = f"log in: docker login {self._base.authority}{other}"
        return Access(f"repository:{self._gun}:{actions}", self._logins, login)

    def _logins(self) -> Iterator[Credential]:
        keyring, server = self._credentials, self._base.authority
        registry, _, path = str(self._gun).partition("/")
        own = keyring.trust_server(server) if self._named and not self._copies else None
        home = None if self._copies else keyring.find(registry, path)
        for found in (own, keyring.find(server, str(self._gun)), home):
            if found:
                yield found

    def _says_absent(self, reply: Reply) -> bool:
        absent = [error for error in api_errors(reply) if error.code in {"METADATA_NOT_FOUND", "GENERIC_NOT_FOUND"}]
        if not absent:
            return False
        return absent[0].detail is not None or self._is_trust_server()

    def _is_trust_server(self) -> bool:
        ping = self._base._replace(path=f"{self._base.path}/v2/")
        reply = self._auth.http.get(ping, limit=_SHORT)
        if reply.status not in {200, 401}:
            hint = "check the address of the trust server, and the path in it"
            raise ServerError(str(ping), reply.status, "there is no trust server at this address", hint)
        return True

    def _key(self, reply: Reply) -> bytes:
        if reply.status != 200:
            raise refusal(reply)
        return reply.body


class ChangeFeed:
    """What has changed on the trust server *base*, in all its collections.

    Whoever reads it needs the right to ``registry:catalog:*``, where the server wants a login. Logins are those of
    :class:`NotaryServer`, but for that of a registry.

    Args:
        auth: Carries the requests.
        credentials: Has the logins.
        base: Its URL; a path in front of ``/v2/`` is fine.
    """

    def __init__(self, auth: Auth, credentials: DockerCredentials, base: str) -> None:
        self._auth, self._credentials, self._base = auth, credentials, _base(base)

    def collections(self) -> dict[str, str]:
        """Return when each collection was last published, as the server writes times, by name; those that are left.

        A deleted collection is none any more. Names are as they came: nothing says that they can be used.

        Raises:
            ServerError: The server has no change feed, or what it sends is none.
            TooLargeError: There is no end to it.
            UnauthorizedError: It does not let us see it.
            UnavailableError: No answer could be had.
        """
        found: dict[str, str] = {}
        for record in self._records():
            if record["Category"] == "deletion":
                found.pop(record["GUN"], None)
            else:
                found[record["GUN"]] = record["CreatedAt"]
            if len(found) > _MOST_COLLECTIONS:
                raise TooLargeError(f"the number of collections on {self._base}", _MOST_COLLECTIONS, "collections")
        return found

    def _records(self) -> Iterator[dict[str, str]]:
        """Yield the records, oldest first, page by page."""
        after = 0
        for _ in range(_MOST_PAGES):
            page = self._page(after)
            if not page:
                return
            for number, record in page:
                if number <= after:
                    raise self._fault(200, "its change feed goes round in circles")
                after = number
                yield record
        raise TooLargeError(f"the change feed of {self._base}", _MOST_PAGES * _PAGE, "changes")

    def _page(self, after: int) -> list[tuple[int, dict[str, str]]]:
        import orjson

        # Always a number of records and an id to begin behind: some servers fail where one of them is missing.
        query = f"records={_PAGE}&change_id={after}"
        url = self._base._replace(path=f"{self._base.path}/v2/_trust/changefeed", query=query)
        server = self._base.authority
        login = f"log in as a user who may see all collections ({_CATALOG}), or name the collections"
        reply = self._auth.get(url, Access(_CATALOG, lambda: self._logins(server), login), limit=_LONGEST_PAGE)
        if reply.status in {404, 405}:
            raise self._fault(reply.status, "it has no change feed, so nobody says which collections there are")
        if reply.status != 200:
            raise refusal(reply, _NAME_THEM)
        try:
            records = orjson.loads(reply.body)["records"] or []  # null where there are none
            page = [(int(record["ID"]), {name: record[name] for name in _RECORD}) for record in records]
        except (ValueError, TypeError, LookupError) as exc:
            raise self._fault(200, "what it sends is no change feed") from exc
        if not all(isinstance(text, str) for _, record in page for text in record.values()):
            raise self._fault(200, "what it sends is no change feed")
        return page

    def _logins(self, server: str) -> Iterator[Credential]:
        for found in (self._credentials.trust_server(server), self._credentials.find(server, "")):
            if found:
                yield found

    def _fault(self, status: int, problem: str) -> ServerError:
        return ServerError(str(self._base), status, problem, _NAME_THEM)


def multipart(files: Mapping[str, bytes]) -> tuple[bytes, str]:
    """Return *files* by role as a form upload, and its media type; the same bytes for the same files."""
    import hashlib

    parts = [(role, files[role]) for role in sorted(files)]
    boundary = hashlib.sha256(b"".join(content for _, content in parts)).hexdigest()  # no file holds its own digest
    body = b"".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="{role}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n".encode()
        + content
        + b"\r\n"
        for role, content in parts
    )
    return body + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def _base(text: str) -> Url:
    """Return the URL of a server without a slash at the end; raise :class:`SettingError` where it is none."""
    try:
        url = Url.parse(text)
    except ValueError as exc:
        raise SettingError(f"trust server {without_secrets(text)}", str(exc)) from exc
    if url.query:
        raise SettingError(f"trust server {url}", "the URL of a server has no query")
    return url._replace(path=url.path.rstrip("/"))


def _fault(detail: Any) -> tuple[str, str]:
    """Read ``{"Name": "ErrBadRoot", "Error": {"Msg": "…"}}``, and the texts that other refusals carry."""
    if isinstance(detail, dict):
        error = detail.get("Error")
        said = error.get("Msg") if isinstance(error, dict) else None
        missing = error.get("Missing") if isinstance(error, dict) else None
        message = said or (f"{missing} is missing" if missing else "")
        return plain(detail.get("Name") or "", 80), plain(message, 400)
    return "", plain(detail, 400) if isinstance(detail, str) else ""


_NAMED = re.compile(r".+\.([0-9a-f]{64})\.json")
_NEXT_ROOT = re.compile(r"[0-9]+\.root\.json")
_SHORT = 65_536  # bytes; the server has nothing to say
_KEY = 262_144  # bytes, as the Go client allows
_CATALOG = "registry:catalog:*"
_NAME_THEM = "name the collections instead: trustreg inventory --server URL GUN..."
_RECORD = ("GUN", "CreatedAt", "Category")
_PAGE, _LONGEST_PAGE = 1000, 4 << 20  # records, bytes; one has 500 at most
_MOST_PAGES = 10_000  # each collection adds 26 records a year
_MOST_COLLECTIONS = 100_000

"""Where use cases meet their adapters: for the command line, and for programs that ``import trustreg``."""

from __future__ import annotations

import os
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, cast

from trustreg import client
from trustreg.errors import SettingError
from trustreg.names import ROOT, Gun, Reference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from trustreg.dialect import Dialect
    from trustreg.errors import TrustregError
    from trustreg.io.auth import Auth
    from trustreg.io.cache import FolderCache
    from trustreg.io.config import Config, N
    from trustreg.io.config import Site as Settings
    from trustreg.io.docker import DockerCredentials
    from trustreg.io.keystore import FileKeyStore
    from trustreg.io.passphrases import Passphrases
    from trustreg.io.registry import HttpRegistry
    from trustreg.io.stores.place import Place
    from trustreg.ports import Manifest, Repository
    from trustreg.publisher import Published
    from trustreg.publisher import Publisher as Author
    from trustreg.sign.changes import Change
    from trustreg.sign.signer import Signer


class Wiring:
    """Everything a command needs, each made when it is first asked for.

    Args:
        flags: Settings that win over environment and files, by the name that ``io.settings.FLAGS`` has for them.
        env: The environment.
        clock: Reads the time.
        trace: Is told of each request, one line each.
        warn: Is told of what was passed over: a key file that holds no key.
        hushed: Keeps everything else from writing to the terminal while a person is asked something.
    """

    def __init__(
        self,
        flags: Mapping[str, Any],
        env: Mapping[str, str],
        clock: Callable[[], datetime],
        trace: Callable[[str], None] | None = None,
        warn: Callable[[TrustregError], None] = lambda _: None,
        hushed: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._flags, self._env, self._clock = flags, env, clock
        self._trace, self._warn, self._hushed = trace, warn, hushed
        self._ways: dict[Any, Auth] = {}
        self._registries: dict[Gun, HttpRegistry] = {}
        self._lock = Lock()

    @cached_property
    def _now(self) -> datetime:
        return self._clock()

    def now(self) -> datetime:
        """Return the time of this command, which is read once."""
        return self._now

    def config(self) -> Config:
        """Return what flags, environment and files say."""
        return self._config

    @cached_property
    def _config(self) -> Config:
        from trustreg.io.config import load

        return load(self._flags, self._env, self._flags.get("config"))

    @cached_property
    def _trust_dir(self) -> Path:
        return Path(self._config.trust_dir)

    # --- reading ---

    def verifier(self, max_age: timedelta = timedelta(0)) -> client.Verifier:
        """Return the reader of all configured collections."""
        return client.Verifier(self._site, self, max_age)

    def judge_all(
        self, images: Sequence[Reference], verifier: client.Verifier, now: datetime, *, compare: bool = True
    ) -> list[client.Verdict]:
        """Judge *images* at the time *now*, several at once; the verdicts are in the order of the images."""

        def judge(image: Reference) -> client.Verdict:
            return verifier.judge(self._config.logical(image), now, compare=compare)

        if len(images) == 1:
            return [judge(images[0])]
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(max_workers=min(len(images), _AT_ONCE)) as pool:
            return list(pool.map(judge, images))

    def manifest(self, reference: Reference) -> Manifest:
        """Return what the registry of *reference* serves: this is the port ``Registry``."""
        return self._registry(reference.gun).manifest(reference)

    def collection(self, gun: Gun | None) -> Gun:
        """Return the collection that signs for *gun*; without one, the one that there is."""
        return self._config.collection(gun and self._config.logical(gun))

    def logical(self, name: N) -> N:
        """Return the name that *name* is signed under, where it is that of a copy in a mirror."""
        return self._config.logical(name)

    # --- writing ---

    def publisher(self) -> Author:
        """Return the writer of all configured collections, with the keys that are here."""
        return self._publisher

    @cached_property
    def _publisher(self) -> Author:
        from trustreg.io.stage import FileStage
        from trustreg.publisher import Publisher as Author

        def stage(gun: Gun) -> FileStage:
            return FileStage(self._trust_dir, gun)

        return Author(self._writable, self.keystore(), stage, _certify)

    def init(
        self, gun: Gun, *, root_kind: str, kind: str, use: Iterable[str] = (), hold_snapshot: bool = False
    ) -> Published:
        """Begin the collection *gun* with keys that are here, by the beginnings of their ids, or new ones."""
        from trustreg.sign.signer import LocalSigner

        if root_kind not in {"ecdsa", "rsa"} or kind not in {"ecdsa", "ed25519", "rsa"}:
            raise SettingError("kind of key", f"root {root_kind!r}, others {kind!r}: a root is ecdsa or rsa")

        def make(role: str) -> Signer:
            return LocalSigner.generate(root_kind if role == ROOT else kind)

        held = [self.keystore().find(start) for start in use]
        return self.publisher().init(gun, self.now(), make, use=held, hold_snapshot=hold_snapshot)

    def forget(self, gun: Gun) -> None:
        """Remember nothing of the collection *gun* any more."""
        cache = self._site(gun).cache
        cast("FolderCache", cache).forget()

    def keystore(self) -> FileKeyStore:
        """Return the private keys that are here."""
        return self._keystore

    @cached_property
    def _keystore(self) -> FileKeyStore:
        from trustreg.io.keystore import FileKeyStore
        from trustreg.io.trustdir import store_form

        form = store_form(self._trust_dir)
        return FileKeyStore(self._trust_dir, form, self.passphrases(), warn=self._warn)

    def passphrases(self) -> Passphrases:
        """Return where passphrases come from."""
        return self._passphrases

    @cached_property
    def _passphrases(self) -> Passphrases:
        from trustreg.io.passphrases import Passphrases, terminal_prompt

        file = self._flags.get("passphrase_file")
        return Passphrases(self._env, file=Path(file) if file else None, prompt=terminal_prompt(self._hushed))

    # --- finding the way ---

    def _site(self, gun: Gun) -> client.Site:
        return self._at(gun, write=False)

    def _writable(self, gun: Gun) -> client.Site:
        return self._at(gun, write=True)

    def _at(self, gun: Gun, *, write: bool) -> client.Site:
        from trustreg.io.cache import FileCache

        settings = self._config.site(gun)
        dialect: Dialect
        repository: Repository
        if settings.store:
            from trustreg.dialects.tuf1 import Tuf1

            gun, dialect = self._config.collection(gun), Tuf1()
            repository = self._store(settings.store, settings, write=write)
        else:
            from trustreg.dialects.notary1 import Notary1
            from trustreg.io.notary import NotaryServer

            way, named, dialect = self._way(settings), settings.named_server, Notary1()
            repository = NotaryServer(way, self._credentials, settings.server, gun, write=write, named=named)
        return client.Site(
            gun=gun,
            dialect=dialect,
            repository=repository,
            cache=FileCache(self._trust_dir, gun, dialect),
            pins=settings.pins,
            roles=settings.roles,
            offline_grace=settings.offline_grace,
        )

    def _store(self, place: Place, settings: Settings, *, write: bool) -> Repository:
        """Return what is at *place*."""
        if place.scheme == "dir":
            from trustreg.io.stores.folder import FolderStore

            return FolderStore(Path(place.rest))
        if place.scheme in {"https", "http"}:
            from trustreg.io.stores.web import WebRepository

            if write:
                raise SettingError(str(place), "a web server is for readers: name the place that it serves")
            return WebRepository(self._way(settings).http, [f"{place}/metadata"], [f"{place}/targets"])
        if place.scheme == "oci":
            from trustreg.io.stores.oci import OciStore

            home = Reference.parse(place.rest)
            return OciStore(self._registry(home.gun), home, writer=self._writer if write else None)
        from trustreg.io.stores.objects import ObjectStore

        return ObjectStore(str(place), self._env)

    def _registry(self, gun: Gun) -> HttpRegistry:
        from trustreg.io.registry import HttpRegistry

        with self._lock:
            if gun in self._registries:
                return self._registries[gun]
        settings = self._config.site(gun)
        aliases = {str(gun): f"{settings.registry}/{settings.repository}"}
        registry = HttpRegistry(
            self._way(settings), self._credentials, aliases=aliases, headers=self._credentials.headers()
        )
        with self._lock:
            return self._registries.setdefault(gun, registry)

    def _way(self, settings: Settings) -> Auth:
        """Return what carries requests to the servers of *settings*; collections with the same settings share it."""
        from trustreg.io.address import Url
        from trustreg.io.auth import Auth
        from trustreg.io.http import Http
        from trustreg.io.tls import Tls, TlsFiles

        server = Url.parse(settings.address).authority
        insecure = {server: settings.insecure_server, settings.registry: settings.insecure_registry}
        files = TlsFiles(settings.ca, settings.client_cert, settings.client_key)
        key = (server, settings.registry, files, settings.realms, *insecure.values())
        with self._lock:
            if key not in self._ways:
                shown = {server: files, settings.registry: files} if any(files) else {}
                realms = {realm: TlsFiles(ca=settings.ca) for realm in settings.realms if settings.ca}
                tls = Tls(self._env, self._home, {**realms, **shown})
                plain = [host for host, allowed in insecure.items() if allowed]
                http = Http(self._env, tls, insecure=plain, trace=self._trace)
                self._ways[key] = Auth(http, realms=dict.fromkeys((server, settings.registry), settings.realms))
            return self._ways[key]

    @cached_property
    def _credentials(self) -> DockerCredentials:
        from trustreg.io.docker import DockerCredentials

        return DockerCredentials(self._env, self._home)

    @cached_property
    def _writer(self) -> str:
        """What this process is called among those that publish to registries."""
        from trustreg.io.stores.writers import claim_writer
        from trustreg.io.trustdir import claim_store

        claim_store(self._trust_dir)
        return claim_writer(self._trust_dir / "writers")

    @cached_property
    def _home(self) -> str:
        return self._env.get("HOME") or str(Path("~").expanduser())


class Verifier:
    """Says whether images are what their publishers signed. Keep one; threads may share it.

    Settings are those of the command line: flags given here win over the environment, that over the configuration file.

    Args:
        server: The trust server, instead of the configured one.
        store: The place of a collection without a server, ``dir:/srv/trust``, instead of the configured one.
        trust_dir: Where trusted metadata is remembered.
        config: Read this configuration file and no other.
        ca: A PEM file with the CA of the trust server and the registry.
        pins: Root key ids; only a root with one of them is believed.
        first_use: Whether a root never seen before may be believed.
        roles: The roles whose word counts, in order.
        offline_grace: How old trust data may be while nobody can be reached.
        max_age: For how long a collection that was read may answer again without asking the server.
        env: The environment; by default that of the process.
        clock: Reads the time; by default that of the machine.
        trace: Is told of each request, one line each.
    """

    def __init__(
        self,
        *,
        server: str | None = None,
        store: str | None = None,
        trust_dir: str | os.PathLike[str] | None = None,
        config: str | os.PathLike[str] | None = None,
        ca: str | os.PathLike[str] | None = None,
        pins: Iterable[str] = (),
        first_use: bool | None = None,
        roles: Iterable[str] = (),
        offline_grace: timedelta | None = None,
        max_age: timedelta = timedelta(0),
        env: Mapping[str, str] | None = None,
        clock: Callable[[], datetime] | None = None,
        trace: Callable[[str], None] | None = None,
    ) -> None:
        flags = {
            **_common(
                server=server, store=store, trust_dir=trust_dir, config=config, ca=ca, pins=pins, first_use=first_use
            ),
            "roles": tuple(roles),
            "offline_grace": f"{int(offline_grace.total_seconds())}s" if offline_grace else None,
        }
        self._clock = clock or _utc_now
        self._wiring = Wiring(flags, os.environ if env is None else env, self._clock, trace)
        self._verifier = self._wiring.verifier(max_age)

    def verify(self, image: str | Reference, *, compare: bool = True) -> client.Trusted:
        """Require *image* to be what its publishers signed; see :meth:`trustreg.client.Verifier.verify`.

        Raises:
            UntrustedError: It is not.
            UnavailableError: An answer could not be had.
            InputError: The name, or a setting, cannot be used.
        """
        return self._verifier.verify(self._named(image), self._clock(), compare=compare)

    def judge(self, image: str | Reference, *, compare: bool = True) -> client.Verdict:
        """Say whether *image* is what its publishers signed: Trusted, Untrusted or Unknown.

        Raises:
            InputError: The name, or a setting, cannot be used.
        """
        return self._verifier.judge(self._named(image), self._clock(), compare=compare)

    def judge_all(self, images: Iterable[str | Reference], *, compare: bool = True) -> list[client.Verdict]:
        """Judge several images at once; the verdicts are in the order of the images."""
        references = [_reference(image) for image in images]
        return self._wiring.judge_all(references, self._verifier, self._clock(), compare=compare) if references else []

    def contents(self, gun: str | Gun) -> client.Contents:
        """Return everything that the collection *gun* says; see :meth:`trustreg.client.Verifier.contents`."""
        return self._verifier.contents(self._wiring.logical(_gun(gun)), self._clock())

    def _named(self, image: str | Reference) -> Reference:
        return self._wiring.logical(_reference(image))


class Publisher:
    """Signs and publishes. Settings are found as by :class:`Verifier`.

    Args:
        server: The trust server, instead of the configured one.
        store: The place of a collection without a server, ``dir:/srv/trust``, instead of the configured one.
        trust_dir: Where the keys are.
        config: Read this configuration file and no other.
        ca: A PEM file with the CA of the trust server and the registry.
        pins: Root key ids; only a root with one of them is believed.
        first_use: Whether a root never seen before may be believed.
        passphrase_file: A file with the passphrase of the keys.
        env: The environment; by default that of the process.
        clock: Reads the time; by default that of the machine.
        trace: Is told of each request, one line each.
    """

    def __init__(
        self,
        *,
        server: str | None = None,
        store: str | None = None,
        trust_dir: str | os.PathLike[str] | None = None,
        config: str | os.PathLike[str] | None = None,
        ca: str | os.PathLike[str] | None = None,
        pins: Iterable[str] = (),
        first_use: bool | None = None,
        passphrase_file: str | os.PathLike[str] | None = None,
        env: Mapping[str, str] | None = None,
        clock: Callable[[], datetime] | None = None,
        trace: Callable[[str], None] | None = None,
    ) -> None:
        flags = {
            **_common(
                server=server, store=store, trust_dir=trust_dir, config=config, ca=ca, pins=pins, first_use=first_use
            ),
            "passphrase_file": os.fspath(passphrase_file) if passphrase_file else None,
        }
        self._clock = clock or _utc_now
        self._wiring = Wiring(flags, os.environ if env is None else env, self._clock, trace)

    def init(
        self,
        gun: str | Gun | None = None,
        *,
        root_kind: str = "ecdsa",
        kind: str = "ed25519",
        use: Iterable[str] = (),
        hold_snapshot: bool = False,
    ) -> Published:
        """Begin a collection; see :meth:`trustreg.publisher.Publisher.init`.

        Args:
            gun: Its name; a store that is the place of one collection names it.
            root_kind: ``ecdsa`` or ``rsa``: what a new root key is.
            kind: ``ed25519``, ``ecdsa`` or ``rsa``: what the other new keys are.
            use: Ids, or how they begin, of keys that are here and are to be used for their roles.
            hold_snapshot: Keep the snapshot key here; otherwise the server holds it.
        """
        gun = self._wiring.collection(None if gun is None else _gun(gun))
        return self._wiring.init(gun, root_kind=root_kind, kind=kind, use=use, hold_snapshot=hold_snapshot)

    def sign(self, image: str | Reference) -> Published:
        """Sign what the registry serves for the tag of *image*, and publish that, after what is staged."""
        return self._publish(*self._additions(image))

    def remove(self, image: str | Reference) -> Published:
        """Take the signature off the tag of *image*, and publish that, after what is staged."""
        return self._publish(*self._removals(image))

    def stage(self, image: str | Reference) -> tuple[Change, ...]:
        """Stage what the registry serves for the tag of *image*; see :meth:`trustreg.publisher.Publisher.additions`."""
        return self._stage(*self._additions(image))

    def stage_removal(self, image: str | Reference) -> tuple[Change, ...]:
        """Stage that the tag of *image* is signed no more; see :meth:`trustreg.publisher.Publisher.removals`."""
        return self._stage(*self._removals(image))

    def publish(self, gun: str | Gun) -> Published:
        """Publish what is staged; see :meth:`trustreg.publisher.Publisher.publish`."""
        return self._publish(self._wiring.logical(_gun(gun)), self._clock(), ())

    def _additions(self, image: str | Reference) -> tuple[Gun, datetime, tuple[Change, ...]]:
        named, now = self._wiring.logical(_reference(image)), self._clock()
        return named.gun, now, self._wiring.publisher().additions(named, self._wiring, now)

    def _removals(self, image: str | Reference) -> tuple[Gun, datetime, tuple[Change, ...]]:
        named, now = self._wiring.logical(_reference(image)), self._clock()
        return named.gun, now, self._wiring.publisher().removals(named, now)

    def _publish(self, gun: Gun, now: datetime, changes: tuple[Change, ...]) -> Published:
        return self._wiring.publisher().publish(gun, now, changes)

    def _stage(self, gun: Gun, _: datetime, changes: tuple[Change, ...]) -> tuple[Change, ...]:
        self._wiring.publisher().stage(gun, changes)
        return changes


def _common(
    *,
    server: str | None,
    store: str | None,
    trust_dir: str | os.PathLike[str] | None,
    config: str | os.PathLike[str] | None,
    ca: str | os.PathLike[str] | None,
    pins: Iterable[str],
    first_use: bool | None,
) -> dict[str, Any]:
    paths = {"trust_dir": trust_dir, "config": config, "ca": ca}
    flags = {name: os.fspath(path) if path else None for name, path in paths.items()}
    return {**flags, "server": server, "store": store, "pin": tuple(pins), "first_use": first_use}


def _gun(gun: str | Gun) -> Gun:
    return Gun(gun) if isinstance(gun, str) else gun


def _reference(image: str | Reference) -> Reference:
    return Reference.parse(image) if isinstance(image, str) else image


def _certify(signer: Signer, gun: Gun, now: datetime) -> bytes:
    from trustreg.sign.certificate import root_certificate

    return root_certificate(signer, gun, now, serial=int.from_bytes(os.urandom(16), "big"))


def _utc_now() -> datetime:
    return datetime.now(UTC)


_AT_ONCE = 8  # images judged at the same time

"""Where use cases meet their adapters: for the command line, and for :mod:`trustreg.facade`."""

from __future__ import annotations

import os
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cached_property
from itertools import count
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from trustreg import client
from trustreg.errors import (
    DeadlineError,
    EquivocationError,
    KeyFileError,
    RollbackError,
    SettingError,
    TrustregError,
    UnsignedError,
)
from trustreg.io.known import NOTHING
from trustreg.names import ROOT, SNAPSHOT, TARGETS, Gun, Reference
from trustreg.policy import InCollection, leaves
from trustreg.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Future
    from contextlib import AbstractContextManager

    from trustreg.admission import Context, Decide
    from trustreg.ceremony import Ceremony
    from trustreg.dialect import Dialect
    from trustreg.forecast import Inventory
    from trustreg.inventory import Collection
    from trustreg.io.address import Url
    from trustreg.io.archive import Archive, Archived
    from trustreg.io.auth import Auth
    from trustreg.io.cache import FileCache, FolderCache
    from trustreg.io.config import Config, N
    from trustreg.io.config import Site as Settings
    from trustreg.io.docker import DockerCredentials
    from trustreg.io.download import Progress
    from trustreg.io.http import Timeouts
    from trustreg.io.keystore import FileKeyStore
    from trustreg.io.known import Known
    from trustreg.io.mirror import Pushed
    from trustreg.io.notary import NotaryServer
    from trustreg.io.passphrases import Passphrases
    from trustreg.io.registriesconf import RegistriesConf
    from trustreg.io.registry import HttpRegistry
    from trustreg.io.settings import Layer
    from trustreg.io.signatures.places import Spelled
    from trustreg.io.signatures.registriesd import RegistriesD
    from trustreg.io.stores.place import Place
    from trustreg.io.stores.writers import Writers
    from trustreg.judging import Decision, Judge
    from trustreg.metadata import Key
    from trustreg.mirroring import Original
    from trustreg.names import Digest
    from trustreg.policy import Policy
    from trustreg.ports import (
        Detached,
        HeldKey,
        Manifest,
        Message,
        ReplicaServer,
        Repository,
        SignaturePlace,
        Store,
        TargetFiles,
        WritablePlace,
    )
    from trustreg.publisher import Content, Published
    from trustreg.publisher import Publisher as Author
    from trustreg.reader import Target
    from trustreg.sign.signer import Signer
    from trustreg.survey import Seat

A = TypeVar("A")
B = TypeVar("B")


class Wiring:
    """Everything a command needs, each made when it is first asked for.

    Args:
        flags: Settings that win over environment and files, by the name that ``io.settings.FLAGS`` has for them.
        env: The environment.
        clock: Reads the time.
        trace: Is told of each request, one line each.
        warn: Is told of what was passed over: a key file that holds no key.
        hushed: Keeps everything else from writing to the terminal while a person is asked something.
        beside: Says where collections are that those here are not to be mixed up with.
    """

    def __init__(
        self,
        flags: Mapping[str, Any],
        env: Mapping[str, str],
        clock: Callable[[], datetime],
        trace: Callable[[str], None] | None = None,
        warn: Callable[[TrustregError], None] = lambda _: None,
        hushed: Callable[[], AbstractContextManager[None]] = nullcontext,
        beside: Config | None = None,
    ) -> None:
        self._flags, self._env, self._clock = flags, env, clock
        self._trace, self._warn, self._hushed = trace, warn, hushed
        self._ways: dict[Any, Auth] = {}
        self._registries: dict[Gun, HttpRegistry] = {}
        self._without_referrers: set[str] = set()
        self._with_extension: dict[str, bool] = {}
        self._lock = Lock()
        self._beside = beside
        self._timeouts: Timeouts | None = None
        self._known: Known = NOTHING

    @cached_property
    def _now(self) -> datetime:
        return self._clock()

    @property
    def env(self) -> Mapping[str, str]:
        """The environment."""
        return self._env

    def now(self) -> datetime:
        """Return the time of this command, which is read once; or the one as of which an archive is to be judged."""
        return self._flags.get("at") or self._now

    def today(self) -> datetime:
        """Return the time of this command, whatever an archive is to be judged by."""
        return self._now

    def config(self) -> Config:
        """Return what flags, environment and files say."""
        return self._config

    @cached_property
    def _config(self) -> Config:
        from trustreg.io.config import load

        found = load(self._flags, self._env, self._flags.get("config"))
        for warning in found.notary.warnings if found.notary else ():
            self._warn(warning)
        return found

    @property
    def trust_dir(self) -> Path:
        """The folder of keys, cached trust data and staged changes."""
        return self._trust_dir

    @cached_property
    def _trust_dir(self) -> Path:
        return Path(self._config.trust_dir)

    # --- reading ---

    def verifier(self, max_age: timedelta = timedelta(0)) -> client.Verifier:
        """Return the reader of all configured collections."""
        return client.Verifier(self._site, self, max_age, self._previous)

    def _previous(self, gun: Gun) -> client.Previous | None:
        found = None if self._archive or self._config.chosen else self._config.previous(gun)
        if found is None:
            return None
        return client.Previous(site=self._with(found[0]).site(gun), until=found[1])

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

    def judge(self, policy: Policy, reuse: timedelta = timedelta(0)) -> Judge:
        """Return who judges images by *policy*.

        Args:
            policy: The rules.
            reuse: How long a collection that was read may answer again at least, whatever the policy says of it.

        Raises:
            SettingError: What it says of a collection cannot be used.
        """
        from trustreg.io.gpg import Keyrings
        from trustreg.judging import Judge

        readers: dict[Any, client.Verifier] = {}

        def reader(leaf: InCollection) -> client.Verifier:
            key = replace(leaf, path="", roles=())
            if key not in readers:
                readers[key] = self._reader(leaf, Path(policy.source), reuse)
            return readers[key]

        for rule in (*policy.rules.values(), policy.default):
            for leaf in leaves(rule.require):
                if isinstance(leaf, InCollection):
                    reader(leaf)
        return Judge(policy, self, self._signature_places, Keyrings(self._env), reader, monotonic)

    def decide_all(
        self, images: Sequence[Reference], judge: Judge, now: datetime, *, platform: str | None = None
    ) -> list[Decision]:
        """Judge *images* at the time *now*, several at once; the decisions are in the order of the images."""
        if len(images) == 1:
            return [judge.judge(self.logical(images[0]), now, platform=platform)]
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(max_workers=min(len(images), _AT_ONCE)) as pool:
            return list(pool.map(lambda image: judge.judge(self.logical(image), now, platform=platform), images))

    def decide(self, judge: Judge, clock: Callable[[], datetime]) -> Decide:
        """Return what judges images for :func:`trustreg.admission.review`: several at once, in time or not at all.

        *clock* says as of when each review is judged.
        """

        def decide(images: Sequence[str], context: Context) -> list[Decision | TrustregError]:
            from concurrent.futures import ThreadPoolExecutor, wait

            now = clock()
            pool = ThreadPoolExecutor(max_workers=min(len(images), _AT_ONCE))
            named = [self.logical(Reference.parse(image)) for image in images]
            asked = [pool.submit(judge.judge, image, now) for image in named]
            left = max((context.deadline - self._clock()).total_seconds(), 0) if context.deadline else None
            wait(asked, left)
            pool.shutdown(wait=False, cancel_futures=True)
            return [_decided(image, future) for image, future in zip(images, asked, strict=True)]

        return decide

    def policy(self) -> Policy | None:
        """Return the policy that was set, if one was.

        Raises:
            PolicyError: It is none.
            FileError: It cannot be read.
        """
        if (path := self._config.policy) is None:
            return None
        from trustreg.io.policyfile import load

        return load(Path(path))

    def required_policy(self) -> Policy:
        """Return the policy that was set; raise :class:`SettingError` where none was, or what :meth:`policy` does."""
        if (found := self.policy()) is None:
            raise SettingError("policy", "no policy was named: say which with --policy, or in the configuration")
        return found

    def _signature_places(self, asked: Reference, logical: Reference) -> list[tuple[SignaturePlace, Reference]]:
        """Return where signatures of *asked* are: in the registry by that name, and elsewhere by its *logical* one."""
        named = [
            (spelled, logical if spelled.startswith("lookaside") else asked)
            for spelled in self._config.signatures(logical.gun)
        ]
        return [(self._signatures(name, spelled), name) for spelled, name in named]

    def _reader(self, leaf: InCollection, policy: Path, reuse: timedelta = timedelta(0)) -> client.Verifier:
        """Return the reader of the collections that *leaf*, of the policy at a path, is about."""
        from trustreg.io.settings import Layer, Setting, of_place

        source = f"{policy}: {leaf.path}"
        places = {name: value for name in ("server", "store") if (value := getattr(leaf, name))}
        pins = {"pins": {"keys": list(leaf.pins)}} if leaf.pins else {}
        said = dict(of_place({**places, **pins}, source, policy.parent).settings)
        if not leaf.first_use:  # and where it may be, it may still be forbidden otherwise
            said["first_use"] = Setting("first_use", value=False, source=source)
        if leaf.offline_grace is not None:
            said["offline_grace"] = Setting("offline_grace", leaf.offline_grace, source)
        layer, max_age = Layer(said), max(leaf.max_age, reuse)
        if places:
            return self._with(self._config.elsewhere(layer), beside=self._config).verifier(max_age)
        return self._with(self._config.demanding(layer), beside=self._beside).verifier(max_age)

    def manifest(self, reference: Reference) -> Manifest:
        """Return what the registry of *reference* serves: this is the port ``Registry``."""
        return self._registry(reference.gun).manifest(reference)

    def digest(self, reference: Reference) -> Digest | None:
        """Return what the registry of *reference* says it has: with this, it is the port ``Shelves``."""
        return self._registry(reference.gun).digest(reference)

    def collection(self, gun: Gun | None) -> Gun:
        """Return a name by which to ask for the collection of the repository *gun*; without one, of the one there is.

        Raises:
            SettingError: There may be many.
        """
        if gun is None and self._archive and len(guns := self._archive.guns()) == 1:
            return guns[0]
        return self._config.logical(gun) if gun else self._config.collection()

    def logical(self, name: N) -> N:
        """Return the name that *name* is signed under, where it is that of a copy in a mirror."""
        return self._config.logical(name)

    def stored(self, gun: Gun) -> bool:
        """Say whether the collection of *gun* is in a store, and not on a trust server."""
        return self._config.site(gun).store is not None

    def unplaced(self, gun: Gun) -> bool:
        """Say whether nobody has set where the collection of *gun* is, and its registry is taken for a trust server."""
        settings = self._config.site(gun)
        return settings.store is None and not settings.named_server

    def require_store(self, gun: Gun, what: str) -> None:
        """Require the collection of *gun* to be in a store, for *what*; raise :class:`SettingError`."""
        if not self.stored(gun):
            raise SettingError("store", f"{what} is for collections in a store, and {gun} is on a trust server")

    def shelf(self, gun: Gun, now: datetime) -> Shelf:
        """Return the files of the collection of *gun* as of *now*.

        Raises:
            UntrustedError: A check failed.
            UnavailableError: An answer could not be had.
        """
        return Shelf(self._site(gun), gun, now)

    def site(self, gun: Gun) -> client.Site:
        """Return where the collection lives that signs for *gun*, to be read."""
        return self._site(gun)

    def place(self, gun: Gun) -> str:
        """Return where the collection of *gun* is, as people write it."""
        return self._config.site(gun).place

    def elsewhere(self, layer: Layer) -> Wiring:
        """Return the same for a collection that is where *layer* says, and not to be mixed up with the one here.

        Keys and passphrases are the same. What is remembered and staged of a collection of the same name is not.
        """
        other = self._with(self._config.elsewhere(layer), beside=self._config)
        other.__dict__ |= {"_now": self._now, "_keystore": self._keystore, "_passphrases": self._passphrases}
        return other

    def _with(self, config: Config, beside: Config | None = None) -> Wiring:
        flags = {name: value for name, value in self._flags.items() if name not in {"archive", "at"}}
        other = Wiring(flags, self._env, self._clock, self._trace, self._warn, self._hushed, beside)
        other.__dict__ |= {"_config": config, "_timeouts": self._timeouts, "_known": self._known}
        return other

    def seats(self, gun: Gun, now: datetime) -> tuple[Seat, ...]:
        """Return who may sign what in the collection of *gun*; see :func:`trustreg.survey.seats`."""
        from trustreg.survey import seats

        return seats(self._site(gun), now)

    def archive(
        self, place: Path, guns: Sequence[Gun], now: datetime, *, dangerous_skip_expiry: bool = False
    ) -> Iterator[tuple[Gun, Archived | TrustregError]]:
        """Copy *guns* to the archive at *place*, and yield what becomes of each; see :mod:`trustreg.io.archive`.

        Without *guns* it is the one that a store is the place of, or else all that are there already. What goes wrong
        with one collection is yielded, and keeps no other from being copied.

        Raises:
            SettingError: Nobody said which collections.
            FileError: The archive cannot be written.
            DamagedError: It is no whole archive.
        """
        from trustreg.io.archive import writing

        with writing(place) as archive:
            for gun in guns or self._archivable(archive):
                try:
                    site = self._site(self.logical(gun))
                    yield gun, archive.take(site, now, dangerous_skip_expiry=dangerous_skip_expiry)
                except TrustregError as exc:
                    yield gun, exc

    def _archivable(self, archive: Archive) -> tuple[Gun, ...]:
        try:
            return (self.collection(None),)
        except SettingError:
            if not (guns := archive.guns()):
                raise
            return guns

    def inventory(
        self,
        names: Sequence[Gun | str],
        *,
        registry: bool = True,
        tell: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> Inventory:
        """Take stock of collections, several at once; what is wrong with one of them is in the result.

        Args:
            names: Collections, and the URLs of trust servers, whose change feeds say which collections they have. If
                there are none, the collection that a store is the place of.
            registry: Ask registries for the images.
            tell: Told how many of how many requests for collections are done, and then of those for images.

        Raises:
            ServerError: A server has no change feed.
            UnavailableError: It could not be read.
            SettingError: A URL is none; or there are no names, and nobody said which collection is meant.
        """
        from concurrent.futures import ThreadPoolExecutor

        from trustreg.forecast import Inventory, forecast

        guns = [self.collection(name) for name in names or (None,) if not isinstance(name, str)]
        parts = [(self, self._site, dict.fromkeys(map(str, guns), ""))]
        for url in dict.fromkeys(name for name in names if isinstance(name, str)):
            by = self._of_server(url)
            parts.append((by, by._in_passing, self._feed(url)))  # noqa: SLF001
        with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
            each = _Counting(pool.map, tell)
            stock = (by._stock(listed, sites, each, registry=registry) for by, sites, listed in parts)  # noqa: SLF001
            found = tuple(one for part in stock for one in part)
        return Inventory(at=self.now(), asked=registry, collections=found, notices=forecast(found, self.now()))

    def _stock(
        self, names: Mapping[str, str], sites: client.Sites, each: _Counting, *, registry: bool
    ) -> tuple[Collection, ...]:
        """Take stock of collections by name, with when each was published last as far as that is known."""
        from trustreg.inventory import look_up, read

        now = self.now()
        found = tuple(each(lambda name: replace(read(name, sites, now), changed=names[name]), names))
        return look_up(found, self, each) if registry else found

    def _in_passing(self, gun: Gun) -> client.Site:
        """Return where *gun* lives, to be read; what is met for the first time is not remembered.

        It was the server that named it, and it may not be where people look for that.
        """
        from trustreg.copying import Held

        site = self._site(gun)
        return site if site.cache.memory().floors else replace(site, cache=Held())

    def _of_server(self, url: str) -> Wiring:
        flags = {**self._flags, "server": url, "store": None}
        other = Wiring(flags, self._env, self.now, self._trace, self._warn, self._hushed)
        other.__dict__["_timeouts"] = self._timeouts
        return other

    def _feed(self, url: str) -> dict[str, str]:
        """Return when each collection on the trust server *url* was published last, by name."""
        from trustreg.io.notary import ChangeFeed

        by = self._of_server(url)
        return ChangeFeed(by._way(by.config().of_server(url)), by._credentials, url).collections()  # noqa: SLF001

    # --- writing ---

    def publisher(self) -> Author:
        """Return the writer of all configured collections, with the keys that are here."""
        return self._publisher

    @cached_property
    def _publisher(self) -> Author:
        from trustreg.io.stage import FileStage
        from trustreg.publisher import Publisher as Author

        def stage(gun: Gun) -> FileStage:
            return FileStage(self._apart(gun) if self._has_twin(gun) else self._trust_dir, gun)

        return Author(self._writable, self.keystore(), stage, _certify)

    def init(
        self,
        gun: Gun,
        *,
        root_kind: str | None = None,
        kind: str = "ed25519",
        use: Iterable[str] = (),
        hold_snapshot: bool = False,
        certificates: str | None = None,
    ) -> Published:
        """Begin the collection *gun* with keys that are here, by the beginnings of their ids, or new ones.

        *certificates* is a PEM file with that of the root key, and those between it and its CA.
        """
        from trustreg.sign.signer import LocalSigner

        stored = self.stored(gun)
        root_kind = root_kind or ("ed25519" if stored else "ecdsa")
        if {root_kind, kind} - _KINDS or (root_kind == "ed25519" and not stored):
            problem = f"root {root_kind!r}, others {kind!r}: the root of a collection on a trust server is ecdsa or rsa"
            raise SettingError("kind of key", problem)

        def make(role: str) -> Signer:
            return LocalSigner.generate(root_kind if role == ROOT else kind)

        held = [self.held(start) for start in use]
        chain: tuple[bytes, ...] = ()
        if certificates:
            from trustreg.io.files import read_bounded
            from trustreg.sign.keyfile import LARGEST_KEY_FILE, read_certificates

            chain = read_certificates(read_bounded(Path(certificates), LARGEST_KEY_FILE), certificates)
            if not chain:
                raise KeyFileError(certificates, "it holds no PEM certificate")
        return self.publisher().init(gun, self.now(), make, use=held, hold_snapshot=hold_snapshot, certificates=chain)

    def onlooker(self) -> Author:
        """Return a writer of all configured collections without any keys: for drafts that show what is missing."""
        from trustreg.io.stage import FileStage
        from trustreg.publisher import Publisher as Author

        return Author(self._site, _NoKeys(), lambda gun: FileStage(self._trust_dir, gun), _certify)

    def forget(self, gun: Gun) -> None:
        """Remember nothing of the collection *gun* any more."""
        cache = self._site(gun).cache
        cast("FolderCache", cache).forget()

    def read_ceremony(self, path: Path) -> Ceremony:
        """Read the file of a ceremony.

        Raises:
            FileError: There is none, or it cannot be read.
            FormatError, ThresholdError, TooLargeError: It is not one.
        """
        from trustreg.ceremony import Ceremony
        from trustreg.dialects.notary1 import Notary1
        from trustreg.dialects.tuf1 import Tuf1
        from trustreg.io.files import read_bounded

        return Ceremony.read(read_bounded(path, _LARGEST_CEREMONY), Tuf1(), Notary1())

    def knows(self, ceremony: Ceremony) -> bool:
        """Say whether the files that *ceremony* builds on are those that are trusted here; nobody is asked.

        Raises:
            EquivocationError: One is another one of the same version.
            RollbackError: One is older.
        """
        from trustreg.io.cache import FileCache

        floors = FileCache(self._trust_dir, ceremony.gun, ceremony.dialect).memory().floors
        listed = floors[SNAPSHOT].listed if SNAPSHOT in floors else {}
        known = True
        for role, digest in ceremony.digests.items():
            floor, version = floors.get(role), ceremony.dialect.decode(role, ceremony.base[role]).signed.version
            least = floor.version if floor else listed.get(role, 0)
            if version < least:
                raise RollbackError(role, least, version)
            if floor and floor.version == version and floor.sha256 != digest:
                raise EquivocationError(role, version, floor.sha256, digest)
            known = known and version == least
        return known

    def keystore(self) -> FileKeyStore:
        """Return the private keys that are here."""
        return self._keystore

    @cached_property
    def _keystore(self) -> FileKeyStore:
        from trustreg.io.keystore import FileKeyStore
        from trustreg.io.trustdir import store_form

        form = store_form(self._trust_dir)
        return FileKeyStore(self._trust_dir, form, self.passphrases(), warn=self._warn)

    def held(self, start: str) -> HeldKey:
        """Return the key that is here whose id begins with *start*, or the id that stores list it under.

        Raises:
            KeyFileError: There is none, or more than one.
        """
        try:
            return self.keystore().find(start)
        except KeyFileError:
            here = self.keystore().keys()
            found = [held for held in here if start and self.is_called(held, start)]
            if len(found) != 1:
                raise
            return found[0]

    def is_called(self, held: HeldKey, start: str) -> bool:
        """Say whether the id of *held*, or the one that stores list it under, begins with *start*."""
        ids = (held.id, self.listed(held).id if held.public else "")
        return any(keyid.startswith(start.lower()) for keyid in ids)

    def here(self) -> dict[str, HeldKey]:
        """Return the keys that are here by their ids, which are those of the plain public keys."""
        held = self.keystore().keys()
        return {each.id: each for each in held}

    def plain_id(self, key: Key) -> str:
        """Return the id that the private half of *key* goes by where it is kept."""
        from trustreg.publishing import plain_id

        return plain_id(key)

    def listed(self, held: HeldKey, gun: Gun | None = None, role: str = "") -> Key:
        """Return the key *held* as the collection of *gun* lists it for *role*, or as stores do.

        A trust server's collection lists its root keys with certificates, so one is made.
        """
        notary = gun is not None and not self.stored(gun)
        key = held if held.public and not (notary and role == ROOT) else self.keystore().open(held)
        return self._listed(key, gun if notary else None, role)

    def _listed(self, key: HeldKey | Signer, gun: Gun | None, role: str) -> Key:
        """Return *key* as *gun* lists it, which is on a trust server, or as stores do."""
        if gun is None:
            from trustreg.dialects.tuf1 import Tuf1

            return Tuf1().key(key.kind, key.public)
        from trustreg.dialects.notary1 import Notary1

        certified = (_certify(cast("Signer", key), gun, self.now()),) if role == ROOT else ()
        return Notary1().key(key.kind, key.public, certified)

    def public_key(self, text: str, gun: Gun | None = None, role: str = "") -> Key:
        """Return a public key as the collection of *gun* lists it for *role*, or as stores do.

        Args:
            text: A PEM file with it, or with a certificate where *gun* is on a trust server; or how the id of a key
                begins that is here.
            gun: The collection.
            role: What it is to sign.

        Raises:
            KeyFileError: It is neither.
        """
        from trustreg.io.files import is_there, read_bounded

        if not is_there(text):
            try:
                found = self.held(text)
            except KeyFileError as exc:
                exc.add_note(f"or name a file that is there: {text} is none")
                raise
            return self.listed(found, gun, role)
        from trustreg.dialects.notary1 import Notary1
        from trustreg.dialects.tuf1 import Tuf1
        from trustreg.sign.keyfile import LARGEST_KEY_FILE, read_certificates, read_public
        from trustreg.sign.signer import describe

        raw, stored = read_bounded(Path(text), LARGEST_KEY_FILE), gun is None or self.stored(gun)
        certificates = () if stored else read_certificates(raw, text)
        if role == ROOT and not stored and not certificates:
            raise KeyFileError(text, "a root key of a collection on a trust server has to be a certificate for it")
        kind, public = describe(read_public(raw, text))
        return Tuf1().key(kind, public) if stored else Notary1().key(kind, public, certificates)

    def new_key(self, role: str, gun: Gun, kind: str | None = None) -> Key:
        """Make a key that is to sign *role* in the collection of *gun*, keep it here, and return it as that lists it.

        Raises:
            SettingError: There is no such *kind*.
            PassphraseError: There is none to encrypt it under.
        """
        from trustreg.sign.signer import LocalSigner

        stored = self.stored(gun)
        kind = kind or ("ecdsa" if role == ROOT and not stored else "ed25519")
        if kind not in _KINDS:
            raise SettingError("kind of key", f"{kind!r} is none of {', '.join(sorted(_KINDS))}")
        home, signer = self._config.collection(gun), LocalSigner.generate(kind)
        listed = self._listed(signer, None if stored else home, role)
        self.keystore().add(signer, role, None if role == ROOT else str(home))
        return listed

    def forget_key(self, key: Key) -> None:
        """Remove the private half of *key*, which was made here a moment ago."""
        self.keystore().remove(self.here()[self.plain_id(key)])

    def passphrases(self) -> Passphrases:
        """Return where passphrases come from."""
        return self._passphrases

    @cached_property
    def _passphrases(self) -> Passphrases:
        from trustreg.io.passphrases import Passphrases, terminal_prompt

        file = self._flags.get("passphrase_file")
        return Passphrases(self._env, file=Path(file) if file else None, prompt=terminal_prompt(self._hushed))

    # --- attached signatures ---

    def signature_places(self, image: Reference, texts: Sequence[str] = ()) -> tuple[WritablePlace, ...]:
        """Return where signatures of *image* are to be looked for, in that order. Nobody is asked anything yet.

        They are the places that *texts* name, or those that are set.

        Raises:
            SettingError: What is configured is no place.
            FileError: The configuration of containers cannot be read.
        """
        named = texts or self._config.signatures(image.gun)
        return tuple(self._signatures(image, spelled) for spelled in named)

    def signature_place(self, image: Reference, text: str) -> WritablePlace:
        """Return the place of signatures of *image* that *text* names, to be written to; raises the same."""
        return self._signatures(image, text, write=True)

    def default_place(self, image: Reference, kind: type[Message | Detached]) -> WritablePlace:
        """Return where a new signature of *image*, one of this *kind*, is to go if nobody says where.

        That is the first of the places where they are looked for that takes such a one: cosign's tag, if nobody has set
        any, and for OpenPGP messages what ``registries.d`` says.

        Raises:
            SettingError: Nobody has said where.
            FileError: The configuration of containers cannot be read.
        """
        for spelled in self._config.signatures(image.gun):
            place = self._signatures(image, spelled, write=True)
            if kind in place.holds:
                return place
        raise SettingError("signatures", f"none of the places that are set for {image.repository} takes such a one")

    def _signatures(self, image: Reference, text: str, *, write: bool = False) -> WritablePlace:
        """Return the place *text*; a lookaside without a base is that of ``registries.d``."""
        from trustreg.io.signatures import places

        spelled = places.parse(text)
        if spelled.kind == "tag":
            from trustreg.io.signatures.tag import TagPlace

            return TagPlace(self._registry(image.gun))
        if spelled.kind == "referrers":
            from trustreg.io.signatures.referrers import ReferrersPlace

            return ReferrersPlace(self._registry(image.gun), without=self._without_referrers)
        if spelled.kind == "extension":
            from trustreg.io.signatures.extension import ExtensionPlace

            return ExtensionPlace(self._registry(image.gun), offered=self._with_extension)
        if not spelled.base:
            from trustreg.io.signatures.registriesd import default_lookaside

            found = self._registries_d.lookaside(image, write=write)
            if found is None and write:
                problem = f"nobody has said where signatures of {image.repository} beside the registry are to go"
                failed = SettingError("signatures", problem)
                failed.add_note("name a place, or set lookaside-staging or lookaside in registries.d")
                raise failed
            spelled = found or default_lookaside(self._home)
        return self._lookaside(spelled, image.gun)

    def _lookaside(self, spelled: Spelled, gun: Gun) -> WritablePlace:
        from trustreg.io.address import Url
        from trustreg.io.signatures.lookaside import Lookaside
        from trustreg.io.signatures.numbered import BucketFiles, FolderFiles, WebFiles

        if spelled.is_folder:
            return Lookaside(FolderFiles(Path(spelled.base)))
        settings = self._config.site(gun)
        ends = settings.lookaside_ends_at_403
        if not spelled.base.startswith(("https:", "http:")):
            from trustreg.io.stores.objects import ObjectStore

            return Lookaside(BucketFiles(ObjectStore(spelled.base, self._env, key=str), ends_at_403=ends))
        from trustreg.io.auth import Access

        base = Url.parse(spelled.base)
        access = Access(
            scope="",
            credentials=lambda: filter(None, [self._credentials.find(base.authority, base.path.strip("/"))]),
            login=f"log in: docker login {base.authority}",
        )
        return Lookaside(WebFiles(self._lookasides(base, settings.registry_tls.ca), base, access, ends_at_403=ends))

    def _lookasides(self, base: Url, ca: str | None) -> Auth:
        """Return what carries requests to the web server of signatures at *base*, which is no registry."""
        from trustreg.io.auth import Auth
        from trustreg.io.http import Http
        from trustreg.io.tls import Tls, TlsFiles

        key = ("lookaside", base.authority, ca)
        with self._lock:
            if key not in self._ways:
                tls = Tls(self._env, self._home, {base.authority: TlsFiles(ca=ca)} if ca else {})
                self._ways[key] = Auth(Http(self._env, tls, trace=self._trace))
            return self._ways[key]

    @cached_property
    def _registries_d(self) -> RegistriesD:
        from trustreg.io.signatures.registriesd import default_folder, read

        said = self._config.registries_d
        return read(Path(said) if said else default_folder(self._home))

    # --- mirroring ---

    def mirror(self, gun: Gun, to: str, *, as_: Gun | None = None, images: Path | None = None) -> Mirrored:
        """Copy the collection *gun*, and before it its images, to the place or trust server *to*.

        Args:
            gun: The collection.
            to: The URL of a trust server, for a collection of Notary, or a place.
            as_: The name that it gets there; by default its own.
            images: An OCI image layout. What of it the collection signs is pushed to the repository *as_*, or to where
                images of *gun* are configured to be.

        Raises:
            MirrorRefusedError: Who has read what is there would not follow.
            SettingError: Such a collection cannot be had there.
            UntrustedError: The collection, or an image, failed a check.
            UnavailableError: An answer could not be had.
        """
        from trustreg.io import mirror
        from trustreg.io.stores.place import Place
        from trustreg.mirroring import original, signed, to_server, to_store

        site, now, home, place = self._site(gun), self.now(), as_ or gun, Place.parse(to, "--to")
        if place.scheme == "dir":
            place = place._replace(rest=str(Path(place.rest).expanduser()))
        notary, server = not site.dialect.rules.tree, place.scheme in {"https", "http"}
        if as_ and (server or not notary):
            by = "the name that its certificates bear" if notary else "its place: name that with --to"
            raise SettingError("--as", f"it is found there by {by}")
        source, pushed, carried = original(site, now), None, tuple[str, ...]()
        if notary and server:
            there: Repository = self._replica(gun, place)
        else:
            place = place.of(home, "--to")
            there = mirror.served(place, home, self._env) if notary else self._store(place, None, write=True)

        def first() -> None:
            nonlocal pushed, carried
            if images:
                tags = signed(source.copied, site.roles, now)
                pushed = mirror.push(images, tags, home, self._registry(home))
            if notary and not server:
                mirror.answer(place, self._env)
            if not (notary or self._archive):  # which has no target files
                files = cast("TargetFiles", site.repository)
                carried = mirror.carry(source.copied, files, cast("Store", there))

        if notary and server:
            written = to_server(source, cast("ReplicaServer", there), now, first)
        else:
            written = to_store(source, cast("Store", there), now, first)
        written = (*carried, *written)
        return Mirrored(gun=gun, home=home, where=there.where, written=written, source=source, images=pushed)

    def _replica(self, gun: Gun, place: Place) -> NotaryServer:
        from trustreg.io.address import Url
        from trustreg.io.notary import NotaryServer

        loopback = Url.parse(str(place)).loopback
        if place.scheme == "http" and not loopback:
            raise SettingError("--to", "plain http is for this machine only: nothing proves who answers")
        settings = self._config.site(gun)._replace(store=None, server=str(place), insecure_server=loopback)
        return NotaryServer(self._way(settings), self._credentials, str(place), gun, write=True, copies=True)

    # --- finding the way ---

    def within(self, timeouts: Timeouts) -> Wiring:
        """Return the same for who waits no longer than *timeouts* for a server."""
        other = self._with(self._config, self._beside)
        other.__dict__ |= {"_now": self._now, "_timeouts": timeouts}
        return other

    def serving(self, env: Mapping[str, str], timeouts: Timeouts, known: Known) -> Wiring:
        """Return the same for who judges for others: with the logins in *env*, in time, and with what is *known*."""
        other = Wiring(self._flags, env, self._clock, self._trace, self._warn)
        other._timeouts, other._known = timeouts, known
        return other

    def credentials(self) -> DockerCredentials:
        """Return the logins that are here."""
        return self._credentials

    def registry_of(self, gun: Gun) -> HttpRegistry:
        """Return the registry that has the images of *gun*."""
        return self._registry(gun)

    def route(self, gun: Gun | str) -> Route:
        """Return what leads to the collection of *gun* and to its images, or to the server with this URL, in pieces.

        Raises:
            SettingError, FileError: What was set for it cannot be used.
        """
        if isinstance(gun, str):
            by = self._of_server(gun)
            settings = by.config().of_server(gun)
            return Route(settings, by._way(settings), self._credentials, by._in_passing)  # noqa: SLF001
        settings = self._config.site(gun)
        return Route(settings, self._way(settings), self._credentials, self._in_passing)

    def _site(self, gun: Gun) -> client.Site:
        return self._archived(self._archive, gun) if self._archive else self._at(gun, write=False)

    @cached_property
    def _archive(self) -> Archive | None:
        """What is read instead of trust servers and stores."""
        if not (path := self._flags.get("archive")):
            return None
        from trustreg.io.archive import Archive

        return Archive(Path(path))

    def _archived(self, archive: Archive, gun: Gun) -> client.Site:
        from trustreg.copying import Held, Secondhand

        home, at = self._config.collection(gun), self._flags.get("at")
        found = archive.collection(home, at)
        pins, roles = self._config.demands(home)
        return client.Site(
            gun=home,
            dialect=found.dialect,
            repository=found,
            # As of a time that was chosen, what is known today is no reason to refuse, and nothing is learnt for today.
            cache=Held() if at else Secondhand(self._cache(gun, home, found.dialect)),
            pins=pins,
            roles=roles,
            taken=found.state.taken,
        )

    def _writable(self, gun: Gun) -> client.Site:
        return self._at(gun, write=True)

    def _cache(self, asked: Gun, gun: Gun, dialect: Dialect) -> FileCache:
        """Return what is remembered of the collection *gun*, which signs for *asked*."""
        from trustreg.io.cache import FileCache

        twin = self._has_twin(asked)
        if twin or (self._trust_dir / _ELSEWHERE).is_dir():
            apart = FileCache(self._apart(asked), gun, dialect)
            if twin or apart.begun():
                return apart
        return FileCache(self._trust_dir, gun, dialect)

    def _apart(self, gun: Gun) -> Path:
        """Return where it is kept what is remembered of the collection of *gun* where there is another of its name."""
        from trustreg.io.cache import file_name

        return self._trust_dir / _ELSEWHERE / file_name(self.place(gun))

    def _has_twin(self, gun: Gun) -> bool:
        """Say whether a collection of the same name is elsewhere, which this one comes after."""
        mine, previous = self._config, self._config.previous(gun)
        others = (self._beside, previous[0] if previous else None)
        return any(o and o.home(gun) == mine.home(gun) and o.site(gun).place != mine.site(gun).place for o in others)

    def _at(self, gun: Gun, *, write: bool) -> client.Site:
        settings, asked = self._config.site(gun), gun
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
            repository = NotaryServer(
                way,
                self._credentials,
                settings.server,
                settings.served_as,
                write=write,
                named=named,
                known=self._known,
            )
        return client.Site(
            gun=gun,
            dialect=dialect,
            repository=repository,
            cache=self._cache(asked, gun, dialect),
            pins=settings.pins,
            roles=settings.roles,
            offline_grace=settings.offline_grace,
        )

    def _store(self, place: Place, settings: Settings | None, *, write: bool) -> Repository:
        """Return what is at *place*; *settings* are for who reads."""
        if place.scheme == "dir":
            from trustreg.io.stores.folder import FolderStore

            return FolderStore(Path(place.rest))
        if place.scheme in {"https", "http"}:
            from trustreg.io.stores.web import WebRepository

            if write or settings is None:
                raise SettingError(str(place), "a web server is for readers: name the place that it serves")
            return WebRepository(self._way(settings).http, [f"{place}/metadata"], [f"{place}/targets"])
        if place.scheme == "oci":
            from trustreg.io.stores.oci import OciStore

            home = Reference.parse(place.rest)
            return OciStore(self._registry(home.gun), home, writers=self._writers if write else None)
        from trustreg.io.stores.objects import ObjectStore

        return ObjectStore(str(place), self._env)

    def _registry(self, gun: Gun) -> HttpRegistry:
        from trustreg.io.registry import HttpRegistry

        with self._lock:
            if gun in self._registries:
                return self._registries[gun]
        settings = self._located(gun)
        aliases = {str(gun): f"{settings.registry}/{settings.repository}"}
        registry = HttpRegistry(
            self._way(settings),
            self._credentials,
            aliases=aliases,
            headers=self._credentials.headers(),
            known=self._known,
        )
        with self._lock:
            return self._registries.setdefault(gun, registry)

    def _located(self, gun: Gun) -> Settings:
        """Return what holds for *gun*, with where its images really are by ``registries.conf``, if we do not say so."""
        from trustreg.io.address import Url

        settings, there = self._config.site(gun), self._registries_conf.place(str(gun))
        if there == str(gun) or f"{settings.registry}/{settings.repository}" != str(gun):
            return settings
        host, _, path = there.partition("/")
        return settings._replace(
            registry=host, repository=path, insecure_registry=Url.parse(f"https://{host}").loopback
        )

    @cached_property
    def _registries_conf(self) -> RegistriesConf:
        from trustreg.io.registriesconf import read

        return read(self._home, self._env)

    def _way(self, settings: Settings) -> Auth:
        """Return what carries requests to the servers of *settings*; collections with the same settings share it."""
        from trustreg.io.address import Url
        from trustreg.io.auth import Auth
        from trustreg.io.http import Http
        from trustreg.io.tls import Tls, TlsFiles

        server = Url.parse(settings.address).authority
        insecure = {server: settings.insecure_server, settings.registry: settings.insecure_registry}
        files = {settings.registry: settings.registry_tls, server: settings.tls}
        key = (server, settings.registry, *files.values(), settings.realms, *insecure.values())
        with self._lock:
            if key not in self._ways:
                shown = {host: each for host, each in files.items() if any(each)}
                ca = settings.tls.ca
                realms = {realm: TlsFiles(ca=ca) for realm in settings.realms if ca}
                tls = Tls(self._env, self._home, {**realms, **shown})
                plain = [host for host, allowed in insecure.items() if allowed]
                http = Http(self._env, tls, insecure=plain, timeouts=self._timeouts, trace=self._trace)
                self._ways[key] = Auth(http, realms=dict.fromkeys((server, settings.registry), settings.realms))
            return self._ways[key]

    @cached_property
    def _credentials(self) -> DockerCredentials:
        from trustreg.io.docker import DockerCredentials

        return DockerCredentials(self._env, self._home)

    @cached_property
    def _writers(self) -> Writers:
        """What those are called who publish to registries from here."""
        from trustreg.io.stores.writers import Writers
        from trustreg.io.trustdir import claim_store

        claim_store(self._trust_dir)
        return Writers(self._trust_dir / "writers")

    @cached_property
    def _home(self) -> str:
        return self._env.get("HOME") or str(Path("~").expanduser())


class Route(NamedTuple):
    """What leads to a collection: ``sites`` is how to read it without remembering who is met for the first time."""

    settings: Settings
    auth: Auth
    credentials: DockerCredentials
    sites: client.Sites


class Shelf:
    """The files of one collection as of one moment: look them up, and fetch them.

    Args:
        site: The collection.
        gun: On whose behalf it is asked.
        now: The time.

    Raises:
        UntrustedError: A check failed.
        UnavailableError: An answer could not be had.
    """

    def __init__(self, site: client.Site, gun: Gun, now: datetime) -> None:
        from trustreg.reader import Reader

        self._site, self._gun = site, gun
        where = site.repository.where
        self._reader = Reader(site.gun, site.dialect, where=where, pins=site.pins, limits=site.limits, roles=site.roles)
        client.drive(self._reader.refresh(now), site.repository, site.cache)

    @property
    def root_keyids(self) -> tuple[str, ...]:
        """Ids of the keys that vouched for the root, where it was believed because it came first; else nothing."""
        workflow = self._reader.workflow
        return workflow.root.keyids if workflow.first_use else ()

    def find(self, name: str) -> Target:
        """Look the target *name* up.

        Raises:
            UnsignedError: No role that may lists it.
        """
        found = client.drive(self._reader.find(name), self._site.repository, self._site.cache)
        if found is None:
            raise UnsignedError(str(self._gun), name, (TARGETS,))
        return found

    def fetch(self, target: Target, path: Path, progress: Progress | None = None) -> bool:
        """Have *target* at *path*; return whether it had to be fetched; see :func:`trustreg.io.download.download`.

        Raises:
            SettingError: The collection is on a trust server, which keeps no files.
        """
        if not self._site.dialect.rules.tree:
            raise SettingError("store", f"{self._gun} is on a trust server, which keeps no files: only check them")
        from trustreg.io.download import download

        return download(cast("TargetFiles", self._site.repository), target, path, progress)


@dataclass(frozen=True, kw_only=True)
class Mirrored:
    """The collection ``gun`` is *where*, as ``home``, now; ``written`` is what was not there before."""

    gun: Gun
    home: Gun
    where: str
    written: tuple[str, ...]
    source: Original
    images: Pushed | None


def gather(paths: Sequence[str | os.PathLike[str]], name: str = "", custom: Any = None) -> tuple[Content, ...]:
    """Return the files at *paths*, and those in folders among them, as targets to be.

    A file is called by its last name, one in a folder by its path from that folder on. *name* stands in front where it
    ends in a slash, and otherwise instead: there may be one file only then.

    Raises:
        SettingError: Two files would have the same name, or there are none.
        FileError: One cannot be read.
    """
    from trustreg.io.content import content_of

    found: dict[str, Path] = {}
    alone = bool(name) and not name.endswith("/")
    for given in map(Path, paths):
        top = given.resolve() if given.name in {"", ".."} else given
        files = sorted(path for path in top.rglob("*") if path.is_file()) if top.is_dir() else [top]
        for path in files:
            called = name if alone else f"{name}{path.relative_to(top.parent).as_posix()}"
            if called in found:
                raise SettingError(str(path), f"{found[called]} is to be called {called} already")
            found[called] = path
    if not found:
        raise SettingError(", ".join(map(str, paths)), "there are no files")
    return tuple(content_of(path, called, custom) for called, path in found.items())


class _Counting:
    """Applies a function to many values with *spread*, and tells how many are done."""

    def __init__(self, spread: Callable[..., Iterable[Any]], tell: Callable[[int, int], None]) -> None:
        self._spread, self._tell, self._lock = spread, tell, Lock()

    def __call__(self, function: Callable[[A], B], values: Iterable[A]) -> Iterable[B]:
        values, done = list(values), count(1)

        def counting(value: A) -> B:
            result = function(value)
            with self._lock:
                self._tell(next(done), len(values))
            return result

        return self._spread(counting, values)


class _NoKeys:
    """A key store with nothing in it."""

    def keys(self) -> tuple[HeldKey, ...]:
        return ()

    def open(self, held: HeldKey) -> Signer:
        raise AssertionError(held)

    def add(self, signer: Signer, role: str, gun: str | None) -> HeldKey:
        raise AssertionError(signer, role, gun)

    def remove(self, held: HeldKey) -> None:
        raise AssertionError(held)


def _certify(signer: Signer, gun: Gun, now: datetime) -> bytes:
    from trustreg.sign.certificate import root_certificate

    return root_certificate(signer, gun, now, serial=int.from_bytes(os.urandom(16), "big"))


def _decided(image: str, future: Future[Decision]) -> Decision | TrustregError:
    """Return what *future* has come to."""
    if future.cancelled() or not future.done():
        return DeadlineError(image)
    error = future.exception()
    if isinstance(error, TrustregError):
        return error
    return future.result()


_KINDS = {"ed25519", "ecdsa", "rsa"}
_LARGEST_CEREMONY = 256 << 20  # bytes
_ELSEWHERE = "elsewhere"  # the folder of what is remembered of collections that have a namesake
_AT_ONCE = 8  # images judged at the same time

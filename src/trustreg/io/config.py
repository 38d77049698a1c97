"""Which trust server or store, pins and certificates go with which collection, and who says so.

A flag wins over an environment variable, that over a configuration file, that over the default. In the files the most
specific ``[[registry]]`` entry that has the key wins, then ``[defaults]``; where two are alike, the user's file stands
above the machine's. Last comes what Notary's own client was told, whose pins hold beside those of the files. Every
value remembers where it was found. ``docs/reference/configuration.md`` lists the keys.

All of it is checked when it is loaded, used or not, so that a misspelt pin is never merely ignored. Only the
certificates that pins name are read later, for the collection that needs them.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeVar, cast

from trustreg.errors import FileError, SettingError
from trustreg.io.address import Url
from trustreg.io.files import read_bounded
from trustreg.io.settings import DEFAULTS, EVERYWHERE, Layer, Setting, is_host, read_unspoilt, spelled, spoken, written
from trustreg.io.tls import TlsFiles
from trustreg.names import RELEASES, TARGETS, Gun, Reference

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from trustreg.io.notaryconfig import NotaryConfig
    from trustreg.io.settings import Flag
    from trustreg.io.stores.place import Place
    from trustreg.verify.pinning import Pins

N = TypeVar("N", Gun, Reference)


class Site(NamedTuple):
    """Where the trust data and the images of one collection are, and what it takes to believe them.

    ``store`` is the place of one's own that it is kept in instead of on the trust server ``server``. ``named_server``
    says whether somebody set the server; if not, it follows from the name of the collection.
    ``registry`` is the ``host[:port]`` to ask for images and ``repository`` their name there: the collection's own, or
    those of its mirror. An insecure one may be asked over plain http; a certificate is checked wherever there is one.
    ``tls`` is what was set for the trust server, ``registry_tls`` for the registry. ``realms`` are hosts besides the
    two that may get their credentials. ``served_as`` is the name under which the trust server has the collection: its
    own, most often. ``lookaside_ends_at_403`` is whether web servers and buckets with signatures say 403 for what is
    not there.
    """

    store: Place | None
    server: str
    served_as: Gun
    named_server: bool
    insecure_server: bool
    registry: str
    repository: str
    insecure_registry: bool
    tls: TlsFiles
    registry_tls: TlsFiles
    pins: Pins
    roles: tuple[str, ...]
    offline_grace: timedelta
    realms: tuple[str, ...]
    lookaside_ends_at_403: bool

    @property
    def place(self) -> str:
        """Where the collection is: the URL of its server, or its store, a folder by its whole path."""
        if self.store and self.store.scheme == "dir":
            return str(self.store._replace(rest=str(Path(self.store.rest).absolute())))
        return str(self.store or self.server)

    @property
    def address(self) -> str:
        """The URL of who is asked for the collection; that of its registry, where nobody else is."""
        if self.store is None:
            return self.server
        if self.store.scheme in {"http", "https"}:
            return str(self.store)
        return f"https://{self.store.rest.partition('/')[0] if self.store.scheme == 'oci' else self.registry}"


class Config(NamedTuple):
    """What was set, by anybody: ``layers``, the first that says something of a collection wins.

    ``path`` is the file to edit, there or not; ``files`` are those that were read. What Notary's own client was told is
    the last layer, but for its pins.
    """

    path: str | None
    files: tuple[str, ...]
    layers: tuple[Layer, ...]
    notary: NotaryConfig | None = None

    @property
    def trust_dir(self) -> str:
        """The folder of keys, cached trust data and staged changes.

        Raises:
            SettingError: Nobody named one, and no home is known to put it in.
        """
        if (folder := self._find("trust_dir").value) is None:
            raise SettingError("HOME", "no home folder is known to keep anything in; name a folder with --trust-dir")
        return str(folder)

    @property
    def registries_d(self) -> str | None:
        """The folder that says where signatures beside registries are, if it is not that of containers' tools."""
        return cast("str | None", self._find("registries_d").value)

    def signatures(self, gun: Gun) -> tuple[str, ...]:
        """Return the places of signatures of *gun*, as :mod:`trustreg.io.signatures.places` reads them."""
        return cast("tuple[str, ...]", self._find("signatures", gun).value)

    def site(self, gun: Gun) -> Site:
        """Return what holds for *gun*.

        Raises:
            SettingError: No trust server is known, or only one over plain http; or a file holds no certificate.
            FileError: A file with a pinned certificate cannot be read.
        """
        found = {name: self._find(name, gun) for name in DEFAULTS}
        server, insecure, store = found["server"], found["insecure_server"].value, self._store(gun)
        if store:
            store, server = store.of(gun, found["store"].source), server._replace(value="")
        elif server.value is None:
            problem = f"{gun} does not begin with the host of a registry: name its trust server with --server"
            raise SettingError("server", problem)
        if server.value.startswith("http:") and not insecure:
            raise SettingError(server.source, "plain http is for this machine only: nothing proves who answers")
        pins, roles = self.demands(gun)
        registry, _, repository = self._renamed("mirror", gun).value.partition("/")
        return Site(
            store=store,
            server=server.value,
            served_as=Gun(self._renamed("served_as", gun).value),
            named_server=server.source != _UNSAID,
            insecure_server=insecure,
            registry=registry,
            repository=repository,
            insecure_registry=found["insecure_registry"].value,
            tls=_tls(found),
            registry_tls=_tls({name: self._find(name, gun, notarys=False) for name in ("ca", "client")}),
            pins=pins,
            roles=roles,
            offline_grace=found["offline_grace"].value,
            realms=found["realms"].value,
            lookaside_ends_at_403=found["lookaside_ends_at_403"].value,
        )

    def demands(self, gun: Gun) -> tuple[Pins, tuple[str, ...]]:
        """Return what it takes to believe *gun*, wherever it is read: pins, and the roles whose word counts.

        Raises:
            SettingError: A file holds no certificate.
            FileError: A file with a pinned certificate cannot be read.
        """
        pins = _pins(self._find("pins", gun), self._notarys("pins", gun), first_use=self._first_use(gun).value)
        return pins, self._find("roles", gun).value

    def of_server(self, url: str) -> Site:
        """Return what holds for the trust server *url* itself: what is said of collections that it has, or of its host.

        Raises:
            SettingError, FileError: As :meth:`site` does.
        """
        parts = (layer.match for layer in self.layers if layer.match and not layer.match.wild and _names(layer, url))
        part = next(parts, None)
        return self.site(Gun(str(part) if part else Url.parse(url).authority))

    def elsewhere(self, layer: Layer, *, notarys: bool = False) -> Config:
        """Return these settings for a collection that is elsewhere, where *layer* says.

        What it takes to believe this one, and whether this one may be asked over plain http, says nothing of that one;
        what Notary's own client was told of it does, where *notarys*.
        """
        said = layer.settings
        address = str((said.get("server") or said["store"]).value)
        own = {"pins": {}, "previous": {}, "insecure_server": _is_loopback(address), "served_as": None}
        apart = {name: Setting(name, value, _UNSAID) for name, value in own.items()}
        first = layer._replace(settings={**apart, **said})  # and only flags, which come first, silence Notary's pins
        return self._replace(layers=(*([Layer({})] if notarys else ()), first, *self.layers))

    def demanding(self, layer: Layer) -> Config:
        """Return these settings for who demands of collections what *layer* says, whatever else was set.

        Where that or a flag says which root is meant, the collection that another one comes after does not count.
        """
        alone = {"previous": Setting("previous", {}, _UNSAID)} if self.chosen or "pins" in layer.settings else {}
        return self._replace(layers=(layer._replace(settings={**alone, **layer.settings}), *self.layers))

    @property
    def policy(self) -> str | None:
        """The policy file by which images are judged; ``None`` where there is none."""
        found: str | None = self._find("policy").value
        return found

    @property
    def chosen(self) -> bool:
        """Whether a flag says which collection is meant: where it is, or what its root has to be."""
        said = self.layers[0].settings
        return any(name in said and said[name].source.startswith("--") for name in ("server", "store", "pins"))

    def previous(self, gun: Gun) -> tuple[Config, datetime] | None:
        """Return the settings of the collection that *gun* had before, and until when the word of that counts."""
        setting = self._find("previous", gun)
        if not setting.value:
            return None
        said = {name: value for name, value in setting.value.items() if name != "until"}
        layer = Layer({name: Setting(name, value, f"{setting.source}.{name}") for name, value in said.items()})
        return self.elsewhere(layer, notarys=True), setting.value["until"]

    def collection(self, gun: Gun | None = None) -> Gun:
        """Return the collection that signs for *gun*, or the one there is where *gun* is ``None``.

        Raises:
            SettingError: A place for many collections was set, or none, and *gun* does not say which.
        """
        store = self._store(gun)
        if store and not store.shared:
            return store.gun
        if gun is None:
            raise SettingError("store" if store else "GUN", "say which collection: name its repository")
        return gun

    def home(self, gun: Gun) -> tuple[bool, Gun]:
        """Return whether the collection that signs for *gun* is in a store, and what it is called."""
        return self._store(gun) is not None, self.collection(gun)

    def logical(self, name: N) -> N:
        """Return *name* as it is signed: another one where it names a copy in a mirror.

        Raises:
            SettingError: It may be a copy of more than one.
        """
        text = str(name) if isinstance(name, Gun) else name.repository
        copies: dict[int, set[str]] = {}
        for layer in self.layers:
            if "mirror" in layer.settings and (mirror := layer.settings["mirror"].value).covers(text):
                original = f"{layer.match}{text[len(str(mirror)) :]}"
                copies.setdefault(len(mirror.path), set()).add(original)
        originals = copies[max(copies)] if copies else {text}
        if len(originals) > 1:
            raise SettingError(text, f"this may be a copy of {' or of '.join(sorted(originals))}: say which")
        found = originals.pop()
        if isinstance(name, Gun):
            return Gun(found)
        domain, _, path = found.partition("/")
        return replace(name, domain=domain, path=path) if path else name

    def explain(self, gun: Gun | None = None) -> tuple[Setting, ...]:
        """Return what holds for *gun*, spelled, and where it comes from; without one, whatever anybody set."""
        if gun:
            others = (self._find(name, gun) for name in DEFAULTS if name not in {"server", "store"})
            rows = [self._renamed("mirror", gun), *others]
            rows = [
                *self._explain_home(gun),
                *(self._first_use(gun) if row.name == "first_use" else row for row in rows),
            ]
            if pins := self._notarys("pins", gun):
                rows.append(pins._replace(name="notary.pins"))
        else:
            own = [layer for layer in self.layers if self.notary is None or layer is not self.notary.layer]
            said = ((layer.prefix, setting) for layer in own for setting in layer.settings.values())
            rows = [s._replace(name=f"{prefix}{s.name}") for prefix, s in said if s.name not in EVERYWHERE]
            rows += self.notary.settings() if self.notary else ()
        general = [self._find("trust_dir")]
        if self.notary:
            named = self._find("notary_config")
            general.append(named if named.value else Setting("notary_config", self.notary.path, "trust_dir"))
        general += filter(lambda row: row.value, map(self._find, ("policy", "registries_d")))
        return tuple(row for setting in (*general, *rows) for row in spelled(setting))

    def _explain_home(self, gun: Gun) -> Iterator[Setting]:
        """Yield where the trust data of *gun* is: of server and store only the one that is asked."""
        server, store, place = self._find("server", gun), self._find("store", gun), self._store(gun)
        if place is None:
            yield server
            yield from (row for row in (self._renamed("served_as", gun),) if row.source != _UNSAID)
            yield store._replace(value=None)
            return
        yield server._replace(value=None)
        yield store._replace(value=str(place.of(gun, store.source)))
        yield Setting("collection", str(self.collection(gun)), store.source)

    def _first_use(self, gun: Gun) -> Setting:
        found = self._find("first_use", gun)
        return (self._notarys("first_use", gun) or found) if found.value else found

    def _notarys(self, name: str, gun: Gun) -> Setting | None:
        """Return what Notary's client was told of *name*, pins or first use; flags and variables overrule it."""
        if self.notary is None or name in self.layers[0].settings or self._store(gun):
            return None
        return self.notary.pins(str(gun)) if name == "pins" else self.notary.first_use

    def _find(self, name: str, gun: Gun | None = None, *, notarys: bool = True) -> Setting:
        layer = self._saying(name, gun)
        if layer and self.notary and layer is self.notary.layer and gun and name in {"ca", "client"}:
            asked = self.notary.server in {None, self._find("server", gun).value} and not self._store(gun)
            layer = layer if notarys and asked else None
        return layer.settings[name] if layer else Setting(name, self._default(name, gun), _UNSAID)

    def _store(self, gun: Gun | None) -> Place | None:
        """Return the store that was set for *gun*: by who has more to say there than whoever set a trust server."""
        saying = {name: self._saying(name, gun) for name in ("store", "server")}
        first = next((layer for layer in self.layers if any(layer is said for said in saying.values())), None)
        if first is None or "store" not in first.settings:
            return None
        store, server = first.settings["store"], first.settings.get("server")
        if server is None or (store.source.startswith("--") and not server.source.startswith("--")):
            return cast("Place", store.value)
        if server.source.startswith("--") and not store.source.startswith("--"):
            return None
        raise SettingError(
            store.source, f"a collection is in a store or on a trust server, and {server.source} names one"
        )

    def _saying(self, name: str, gun: Gun | None) -> Layer | None:
        return next((layer for layer in self.layers if name in layer.settings and layer.speaks_of(gun)), None)

    def _renamed(self, name: str, gun: Gun) -> Setting:
        """Return what becomes of *gun* where the setting *name* takes the place of what its entry matches."""
        layer = self._saying(name, gun)
        if layer is None or layer.match is None:  # or it says that nothing does
            return Setting(name, str(gun), _UNSAID)
        other = layer.settings[name]
        return other._replace(value=f"{other.value}{str(gun)[len(str(layer.match)) :]}")

    def _default(self, name: str, gun: Gun | None) -> Any:
        if name == "trust_dir":
            return _users("data")
        if name in EVERYWHERE:
            return None
        if name == "server" and gun:
            return _dockers_server(_host(gun))
        if name == "insecure_server" and gun:
            return _is_loopback(self._find("server", gun).value)
        if name == "insecure_registry" and gun:
            return _is_loopback(f"https://{self._renamed('mirror', gun).value.partition('/')[0]}")
        return _DEFAULTS[name]


def load(flags: Mapping[str, Flag], env: Mapping[str, str], path: str | None = None) -> Config:
    """Read what was set where.

    Args:
        flags: Options by parameter name; see ``settings.FLAGS``. ``None`` and ``()`` are options that were not given,
            and options that are no settings are passed over.
        env: The environment. An empty variable is one that is not set.
        path: The file that ``--config`` names. It, or else ``TRUSTREG_CONFIG``, is then the only one that is read.

    Raises:
        SettingError: Something is not what it has to be.
        FileError: A file cannot be read, or anybody may write to it.
    """
    chosen = path if path is not None else env.get("TRUSTREG_CONFIG") or None
    users = None if chosen else _users("config")
    candidates = [chosen] if chosen is not None else [users and f"{users}/config.toml", MACHINE]
    read = {file: written(file) for file in candidates if file is not None}
    if chosen is not None and read[chosen] is None:
        raise FileError(chosen, "there is no such file")
    layers = [layer for found in read.values() for layer in found or ()]
    layers.sort(key=lambda layer: layer.specificity, reverse=True)  # stable: of two alike the user's stays first
    layers.insert(0, spoken(flags, env))
    notary = _notary(layers)
    return Config(
        path=candidates[0],
        files=(*(file for file, found in read.items() if found is not None), *((notary.path,) if notary else ())),
        layers=(*layers, *((notary.layer,) if notary else ())),
        notary=notary,
    )


def _notary(layers: list[Layer]) -> NotaryConfig | None:
    """Read the configuration of Notary's own client that was named, or that lies in its own trust directory."""

    def said(name: str) -> Setting | None:
        return next((layer.settings[name] for layer in layers if name in layer.settings), None)

    named, trust_dir = said("notary_config"), said("trust_dir")
    folder = Path(trust_dir.value) if trust_dir else None
    if not named and (folder is None or ".notary" not in {folder.absolute().name, folder.resolve().name}):
        return None
    from trustreg.io.notaryconfig import read_notary_config

    found = read_notary_config(named.value if named else f"{folder}/config.json")
    if named and not found:
        raise FileError(named.value, "there is no such file", f"{named.source} names it")
    return found


def _tls(found: Mapping[str, Setting]) -> TlsFiles:
    return TlsFiles(found["ca"].value, found["client"].value.get("cert"), found["client"].value.get("key"))


def _pins(setting: Setting, notarys: Setting | None, *, first_use: bool) -> Pins:
    from trustreg.verify.pinning import Pins

    def certificates(name: str) -> tuple[bytes, ...]:
        paths = setting.value.get(name, ())
        return tuple(der for path in paths for der in _certificates(path, f"{setting.source}.{name}"))

    return Pins(
        keys=setting.value.get("keys", ()),
        certificates=certificates("certificates"),
        authorities=certificates("authorities"),
        root=next((read_bounded(Path(path), 4 << 20) for path in setting.value.get("root", ())), None),
        first_use=first_use,
        also=_pins(notarys, None, first_use=first_use) if notarys else None,
    )


def _certificates(path: str, source: str) -> list[bytes]:
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509 import InvalidVersion, load_pem_x509_certificates

    raw = read_unspoilt(path)
    if raw is None:
        raise FileError(path, "there is no such file", f"{source} names it")
    try:
        return [certificate.public_bytes(Encoding.DER) for certificate in load_pem_x509_certificates(raw)]
    except (ValueError, InvalidVersion) as exc:
        raise SettingError(source, f"{path} holds no certificate in PEM form that can be read") from exc


def _users(kind: Literal["config", "data"]) -> str | None:
    """Return this user's folder for our files of some *kind*; ``None`` for a user without a home."""
    from platformdirs import user_config_path, user_data_path

    try:
        path = (user_config_path if kind == "config" else user_data_path)("trustreg", appauthor=False)
    except RuntimeError:
        return None
    return str(path) if path.is_absolute() else None  # older ones answer "~/…" instead


def _names(layer: Layer, server: str) -> bool:
    return "server" in layer.settings and layer.settings["server"].value == server


def _host(gun: Gun) -> str:
    return str(gun).partition("/")[0].lower()


def _dockers_server(host: str) -> str | None:
    """Return the trust server that Docker asks where none is set."""
    if host == "docker.io":
        return "https://notary.docker.io"
    try:
        return Url.parse(f"https://{host}").origin if is_host(host) else None
    except ValueError:
        return None


def _is_loopback(url: str | None) -> bool:
    try:
        return url is not None and Url.parse(url).loopback
    except ValueError:
        return False


MACHINE: Final = "/etc/trustreg/config.toml"  # holds for everybody on this machine
_UNSAID: Final = "default"  # the source of what nobody set
_DEFAULTS: Mapping[str, Any] = {
    "store": None,
    "ca": None,
    "client": {},
    "pins": {},
    "first_use": True,
    "roles": (RELEASES, TARGETS),
    "offline_grace": timedelta(0),
    "realms": (),
    "previous": {},
    "signatures": ("tag", "lookaside", "referrers", "extension"),
    "lookaside_ends_at_403": False,
}

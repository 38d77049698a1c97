"""What programs that ``import trustreg`` begin with: the settings of the command line, and a few lines."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from trustreg.errors import SettingError, TrustregError
from trustreg.names import Gun, Reference
from trustreg.wire import Wiring, gather

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from trustreg import client
    from trustreg.admission import Context
    from trustreg.ceremony import Ceremony
    from trustreg.forecast import Inventory
    from trustreg.io.archive import Archived
    from trustreg.io.download import Progress
    from trustreg.judging import Decision
    from trustreg.lint import Finding
    from trustreg.metadata import Key
    from trustreg.publisher import Published, Renewed
    from trustreg.publisher import Publisher as Author
    from trustreg.reader import Target
    from trustreg.sign.changes import Change
    from trustreg.signing import Signed
    from trustreg.survey import Seat


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
        archive: Read this archive, and ask no trust server; see :meth:`archive`.
        at: With *archive*: judge as of this time. What is remembered in *trust_dir* plays no part then.
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
        archive: str | os.PathLike[str] | None = None,
        at: datetime | None = None,
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
            "archive": os.fspath(archive) if archive else None,
            "at": at,
        }
        if at and not archive:
            raise SettingError("at", "only an archive is judged as of another time than now")
        self._clock: Callable[[], datetime] = (lambda: at) if at else clock or _utc_now
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

    def contents(self, gun: str | Gun | None = None) -> client.Contents:
        """Return everything that is said of the repository *gun*; see :meth:`trustreg.client.Verifier.contents`.

        Without *gun*, everything that the collection says that a store is the place of.
        """
        return self._verifier.contents(_home(self._wiring, gun), self._clock())

    def inventory(self, *names: str | Gun, registry: bool = True) -> Inventory:
        """Take stock of collections; see :meth:`trustreg.wire.Wiring.inventory`. What fails is in the result.

        Args:
            names: Names of collections, and URLs of trust servers, which stand for all collections there.
            registry: Ask registries whether they still hold what is signed.

        Raises:
            UnavailableError: A server does not say which collections it has.
            InputError: A name, or a setting, cannot be used.
        """
        asked = [name if isinstance(name, Gun) or "://" in name else Gun(name) for name in names]
        return self._wiring.inventory(asked, registry=registry)

    def find(self, name: str, gun: str | Gun | None = None) -> Target:
        """Look the target *name* up in the collection of *gun*, or the one that a store is the place of.

        Raises:
            UntrustedError: A check failed, or no role that may lists it.
            UnavailableError: An answer could not be had.
            InputError: The collection is on a trust server, which keeps no files; or nobody said which it is.
        """
        return self._wiring.shelf(_home(self._wiring, gun), self._clock()).find(name)

    def fetch(
        self,
        name: str,
        path: str | os.PathLike[str],
        gun: str | Gun | None = None,
        progress: Progress | None = None,
    ) -> Target:
        """Have the file of the target *name* at *path*, verified; one that is there already is not fetched again.

        Args:
            name: Its name.
            path: Where to; what is there is replaced once the file is whole.
            gun: Whose collection it is in; by default the one that a store is the place of.
            progress: Told how many bytes of how many are there.

        Raises:
            UntrustedError: It is not listed, or what came is not what was signed.
            UnavailableError: It cannot be had, or not to the end; the next attempt goes on from there.
        """
        shelf = self._wiring.shelf(_home(self._wiring, gun), self._clock())
        target = shelf.find(name)
        shelf.fetch(target, Path(path), progress)
        return target

    def archive(
        self, place: str | os.PathLike[str], gun: str | Gun | None = None, *, dangerous_skip_expiry: bool = False
    ) -> Archived:
        """Add a complete, verified copy of a collection to an archive; what that has of it is not asked for again.

        Args:
            place: The archive, which is made if there is none: a folder, or a file that is called ``.zip``.
            gun: The collection; by default the one that a store is the place of.
            dangerous_skip_expiry: Copy what has expired, too.

        Raises:
            UntrustedError: A check failed, or this does not follow what is archived of it.
            UnavailableError: An answer could not be had, or the archive cannot be written.
        """
        home = _home(self._wiring, gun)
        ((_, result),) = self._wiring.archive(
            Path(place), [home], self._clock(), dangerous_skip_expiry=dangerous_skip_expiry
        )
        if isinstance(result, TrustregError):
            raise result
        return result

    def _named(self, image: str | Reference) -> Reference:
        return self._wiring.logical(_reference(image))


class Judge:
    """Judges images by a policy. Keep one; threads may share it.

    Settings are found as by :class:`Verifier`: they say where collections and signatures are, and what roots have to be
    where the policy does not.

    Args:
        policy: The file, YAML or ``policy.json``; by default the configured one.
        trust_dir: Where trusted metadata is remembered.
        config: Read this configuration file and no other.
        ca: A PEM file with the CA of the trust server and the registry.
        env: The environment; by default that of the process.
        clock: Reads the time; by default that of the machine.
        trace: Is told of each request, one line each.

    Raises:
        PolicyError: It is no policy, or there is none.
        FileError: It, or a key that it names, cannot be read.
        SettingError: No policy was named.
    """

    def __init__(
        self,
        policy: str | os.PathLike[str] | None = None,
        *,
        trust_dir: str | os.PathLike[str] | None = None,
        config: str | os.PathLike[str] | None = None,
        ca: str | os.PathLike[str] | None = None,
        env: Mapping[str, str] | None = None,
        clock: Callable[[], datetime] | None = None,
        trace: Callable[[str], None] | None = None,
    ) -> None:
        flags = {
            **_common(trust_dir=trust_dir, config=config, ca=ca),
            "policy": os.fspath(policy) if policy else None,
        }
        self._clock = clock or _utc_now
        self._wiring = Wiring(flags, os.environ if env is None else env, self._clock, trace)
        self.policy = self._wiring.required_policy()
        self._judge = self._wiring.judge(self.policy)

    def judge(self, image: str | Reference, *, platform: str | None = None, whole: bool = False) -> Decision:
        """Say whether *image* may be used, and why; see :meth:`trustreg.judging.Judge.judge`.

        Raises:
            InputError: The name, or a setting, cannot be used.
        """
        return self._judge.judge(self._named(image), self._clock(), platform=platform, whole=whole)

    def judge_all(self, images: Iterable[str | Reference], *, platform: str | None = None) -> list[Decision]:
        """Judge several images at once; the decisions are in the order of the images."""
        references = [_reference(image) for image in images]
        return self._wiring.decide_all(references, self._judge, self._clock(), platform=platform) if references else []

    def decide(self, images: Sequence[str], context: Context) -> Sequence[Decision | TrustregError]:
        """Judge images for a review of admission: hand this to :func:`trustreg.admission.review`.

        What could not be judged by ``context.deadline`` is not known; what is still asked for then goes on.
        """
        return self._wiring.decide(self._judge, self._clock)(images, context)

    def require(self, image: str | Reference, *, platform: str | None = None) -> Decision:
        """Require that *image* may be used, by the mode of its rule too.

        Raises:
            UntrustedError: It is refused.
            UnavailableError: It could not be found out.
            InputError: The name, or a setting, cannot be used.
        """
        decision = self.judge(image, platform=platform)
        if decision.error and not decision.allowed:
            raise decision.error
        return decision

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
        root_kind: str | None = None,
        kind: str = "ed25519",
        use: Iterable[str] = (),
        hold_snapshot: bool = False,
    ) -> Published:
        """Begin a collection; see :meth:`trustreg.publisher.Publisher.init`.

        Args:
            gun: Its name; a store that is the place of one collection names it.
            root_kind: What a new root key is: ``ecdsa`` or ``rsa``, in a store also ``ed25519``, which is the default.
            kind: ``ed25519``, ``ecdsa`` or ``rsa``: what the other new keys are.
            use: Ids, or how they begin, of keys that are here and are to be used for their roles.
            hold_snapshot: Keep the snapshot key here; otherwise the server holds it. In a store it is always here.
        """
        return self._wiring.init(
            _home(self._wiring, gun), root_kind=root_kind, kind=kind, use=use, hold_snapshot=hold_snapshot
        )

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

    def publish(self, gun: str | Gun | None = None) -> Published:
        """Publish what is staged; see :meth:`trustreg.publisher.Publisher.publish`."""
        return self._publish(self._at(gun), self._clock(), ())

    def staged(self, gun: str | Gun | None = None) -> tuple[Change, ...]:
        """Return what waits for the next :meth:`publish`."""
        return tuple(change for _, change in self._author.staged(self._at(gun)))

    def unstage(self, gun: str | Gun | None = None) -> None:
        """Forget all that is staged."""
        at = self._at(gun)
        self._author.unstage(at, [name for name, _ in self._author.staged(at)])

    # --- collections ---

    def change(self, *changes: Change, gun: str | Gun | None = None) -> Published:
        """Publish *changes* after what is staged: of keys, delegations, expiry, or anything else."""
        return self._publish(self._at(gun), self._clock(), changes)

    def stage_changes(self, *changes: Change, gun: str | Gun | None = None) -> None:
        """Stage *changes*."""
        self._stage(self._at(gun), self._clock(), changes)

    def add(
        self, *paths: str | os.PathLike[str], name: str = "", custom: Any = None, gun: str | Gun | None = None
    ) -> Published:
        """Upload files, and publish them as targets.

        Args:
            paths: Files, and folders with files.
            name: What to put in front of their names, ending in a slash; or what to call the one file.
            custom: What to say of them besides, as JSON.
            gun: The collection; by default the one that a store is the place of.
        """
        at, now = self._at(gun), self._clock()
        return self._publish(at, now, self._author.add_files(at, gather(paths, name, custom), now))

    def remove_file(self, name: str, gun: str | Gun | None = None) -> Published:
        """Take the target *name* out of every role that lists it, and publish that; its content stays in the store."""
        at, now = self._at(gun), self._clock()
        return self._publish(at, now, self._author.removals_of(at, name, now))

    def seats(self, gun: str | Gun | None = None) -> tuple[Seat, ...]:
        """Return who may sign what; see :func:`trustreg.survey.seats`."""
        return self._wiring.seats(self._at(gun), self._clock())

    def key(self, text: str, gun: str | Gun | None = None, role: str = "") -> Key:
        """Return a public key for a change: that in the PEM file *text*, or of the key here whose id begins so.

        Collections on trust servers list keys in another way than those in stores, and a root key with a certificate:
        there *gun* and *role* have to be named.
        """
        return self._wiring.public_key(text, Gun(gun) if isinstance(gun, str) else gun, role)

    def new_key(self, role: str, kind: str | None = None, gun: str | Gun | None = None) -> Key:
        """Make a key that is to sign *role*, keep it here, and return it for a change."""
        return self._wiring.new_key(role, self._at(gun), kind)

    def server_key(self, role: str, gun: str | Gun | None = None) -> Key:
        """Have the trust server make a key for *role*, snapshot or timestamp, and return it for a change."""
        return self._author.offered_key(self._at(gun), role)

    def delete(self, gun: str | Gun) -> None:
        """Remove the collection *gun* from its trust server."""
        self._author.delete(self._at(gun))

    def prepare(self, *changes: Change, gun: str | Gun | None = None, whole: bool = False) -> Ceremony:
        """Return a ceremony that brings *changes* about; see :meth:`trustreg.publisher.Publisher.prepare`."""
        return self._author.prepare(self._at(gun), self._clock(), changes, whole=whole)

    def read_ceremony(self, path: str | os.PathLike[str]) -> Ceremony:
        """Read the file of a ceremony; nobody is asked."""
        return self._wiring.read_ceremony(Path(path))

    def co_sign(self, ceremony: Ceremony) -> Ceremony:
        """Return *ceremony* with the signatures of all keys that are here; nobody else is asked."""
        return self._author.co_sign(ceremony)

    def finish(self, ceremony: Ceremony, gun: str | Gun | None = None) -> Published:
        """Publish *ceremony*; see :meth:`trustreg.publisher.Publisher.finish`."""
        return self._author.finish(self._at(gun), ceremony, self._clock())

    def add_signature(self, role: str, gun: str | Gun | None = None) -> Published:
        """Add the signatures of the keys that are here to the published version of *role*."""
        return self._author.add_signature(self._at(gun), role, self._clock())

    def renew(self, within: timedelta, gun: str | Gun | None = None, *, dangerous_skip_expiry: bool = False) -> Renewed:
        """Sign again what expires *within* that time; see :meth:`trustreg.publisher.Publisher.renew`."""
        home, now = self._at(gun), self._clock()
        return self._author.renew(home, now, within, dangerous_skip_expiry=dangerous_skip_expiry)

    def prune(self, keep: int = 2, gun: str | Gun | None = None) -> tuple[str, ...]:
        """Remove old metadata files; see :meth:`trustreg.publisher.Publisher.prune`."""
        return self._author.prune(self._at(gun), self._clock(), keep)

    def lint(self, within: timedelta = timedelta(days=14), gun: str | Gun | None = None) -> tuple[Finding, ...]:
        """Return what is odd about the collection, errors first."""
        return self._author.lint(self._at(gun), self._clock(), within)

    @property
    def _author(self) -> Author:
        return self._wiring.publisher()

    def _at(self, gun: str | Gun | None) -> Gun:
        return _home(self._wiring, gun)

    def _additions(self, image: str | Reference) -> tuple[Gun, datetime, tuple[Change, ...]]:
        named, now = self._wiring.logical(_reference(image)), self._clock()
        return named.gun, now, self._author.additions(named, self._wiring, now)

    def _removals(self, image: str | Reference) -> tuple[Gun, datetime, tuple[Change, ...]]:
        named, now = self._wiring.logical(_reference(image)), self._clock()
        return named.gun, now, self._author.removals(named, now)

    def _publish(self, gun: Gun, now: datetime, changes: tuple[Change, ...]) -> Published:
        return self._author.publish(gun, now, changes)

    def _stage(self, gun: Gun, _: datetime, changes: tuple[Change, ...]) -> tuple[Change, ...]:
        self._author.stage(gun, changes)
        return changes


class Signer:
    """Signs images by one key, without a collection or a trust server; use ``with``, or close it.

    Settings are found as by :class:`Verifier`.

    Args:
        key: A file with a private key, how the id of a key begins that is here, or a securesystemslib signer URI.
        public: A file with the public key, for a URI.
        gpg: Instead: a GPG key, by its fingerprint, key id, name or address.
        gpg_home: The home of ``gpg`` that has it; by default its own.
        to: The place of the signatures, ``tag`` or ``lookaside:/srv/signatures``; by default that of the settings.
        trust_dir: Where the keys are.
        config: Read this configuration file and no other.
        ca: A PEM file with the CA of the registry.
        passphrase_file: A file with the passphrase of the key.
        env: The environment; by default that of the process.
        clock: Reads the time; by default that of the machine.
        trace: Is told of each request, one line each.

    Raises:
        InputError: No key is named, or two are; or it cannot be used.
        UnavailableError: gpg does not work, or what holds the key cannot be reached.
    """

    def __init__(
        self,
        *,
        key: str | os.PathLike[str] | None = None,
        public: str | os.PathLike[str] | None = None,
        gpg: str | None = None,
        gpg_home: str | os.PathLike[str] | None = None,
        to: str | None = None,
        trust_dir: str | os.PathLike[str] | None = None,
        config: str | os.PathLike[str] | None = None,
        ca: str | os.PathLike[str] | None = None,
        passphrase_file: str | os.PathLike[str] | None = None,
        env: Mapping[str, str] | None = None,
        clock: Callable[[], datetime] | None = None,
        trace: Callable[[str], None] | None = None,
    ) -> None:
        from trustreg.attaching import Attaching, By

        flags = {
            **_common(trust_dir=trust_dir, config=config, ca=ca),
            "passphrase_file": os.fspath(passphrase_file) if passphrase_file else None,
        }
        self._clock = clock or _utc_now
        wiring = Wiring(flags, os.environ if env is None else env, self._clock, trace)
        by = By(
            key=os.fspath(key) if key is not None else None,
            public=Path(public) if public else None,
            gpg=gpg,
            gpg_home=Path(gpg_home) if gpg_home else None,
        )
        self._work = Attaching(wiring, by, to)

    @property
    def key(self) -> str:
        """The fingerprint of the GPG key, or the sha256 of the public key: what policies call it."""
        return self._work.key

    def sign(self, image: str | Reference, *, identity: str | None = None, recursive: bool = True) -> Signed:
        """Sign what the registry serves for *image*; a good signature that is there already is not added again.

        Args:
            image: With tag and digest both, the tag has to be that digest.
            identity: What to sign it as, if not by its own name.
            recursive: Of an index, sign each image that it lists, too.

        Raises:
            UntrustedError: There is no such image, or not under that tag.
            UnavailableError: An answer could not be had, or the signature not be kept; try again.
            InputError: A name, or a setting, cannot be used.
        """
        return self._work.sign(_reference(image), self._clock(), identity, recursive=recursive)

    def close(self) -> None:
        """Remove what it took to verify GPG signatures."""
        self._work.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _common(
    *,
    trust_dir: str | os.PathLike[str] | None,
    config: str | os.PathLike[str] | None,
    ca: str | os.PathLike[str] | None,
    server: str | None = None,
    store: str | None = None,
    pins: Iterable[str] = (),
    first_use: bool | None = None,
) -> dict[str, Any]:
    paths = {"trust_dir": trust_dir, "config": config, "ca": ca}
    flags = {name: os.fspath(path) if path else None for name, path in paths.items()}
    return {**flags, "server": server, "store": store, "pin": tuple(pins), "first_use": first_use}


def _home(wiring: Wiring, gun: str | Gun | None) -> Gun:
    return wiring.collection(Gun(gun) if isinstance(gun, str) else gun)


def _reference(image: str | Reference) -> Reference:
    return Reference.parse(image) if isinstance(image, str) else image


def _utc_now() -> datetime:
    return datetime.now(UTC)

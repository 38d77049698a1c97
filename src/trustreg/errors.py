"""What went wrong, as facts.

Three families, because a script must be able to tell them apart:

* :class:`UntrustedError`: the answer is no. Something was checked and did not hold.
* :class:`UnavailableError`: there is no answer. Something could not be reached, read or written.
* :class:`InputError`: the question was wrong. What the caller handed over cannot be used.

Every error has a stable ``code``, carries its facts as fields and says them in one sentence;
``remedy`` is what a person can do about it, or ``None``. Branch on the type or the code, never on the text.
"""

from collections.abc import Callable
from dataclasses import fields
from datetime import datetime
from functools import wraps
from typing import Any, ClassVar, Final

from trustreg.values import dataclass

_LONGEST: Final = 2000  # characters of a sentence; the facts have the rest


def _on_one_line(sentence: Callable[[Any], str]) -> Callable[[Any], str]:
    @wraps(sentence)
    def printable(error: Any) -> str:
        text = sentence(error)
        if len(text) > _LONGEST:
            text = text[:_LONGEST] + "…"
        return shown(text)

    return printable


def shown(text: str) -> str:
    """Return *text* on one line that a terminal shows and does not obey: what cannot be printed is escaped."""
    return text if text.isprintable() else "".join(map(_shown, text))


def _shown(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode("ascii")


class TrustregError(Exception):
    """Anything trustreg raises on purpose."""

    code: ClassVar[str] = "error"

    def __init_subclass__(cls) -> None:
        """Keep every sentence on one line that can be printed, whatever a server put into the facts."""
        super().__init_subclass__()
        if "__str__" in vars(cls):
            cls.__str__ = _on_one_line(cls.__str__)  # type: ignore[method-assign]

    @property
    def remedy(self) -> str | None:
        """What a person can do about it, in one sentence."""
        return None

    def facts(self) -> dict[str, Any]:
        """Return the fields of this error by name, ready for JSON."""
        named = ((f.name, getattr(self, f.name)) for f in fields(self))  # type: ignore[arg-type]
        return {name: _plain(value) for name, value in named}


class UntrustedError(TrustregError):
    """No: what was offered is not what its publishers signed."""

    code = "untrusted"


class UnavailableError(TrustregError):
    """Don't know: an answer could not be had."""

    code = "unavailable"


class InputError(TrustregError):
    """The request itself cannot be carried out as it stands."""

    code = "input"


# --- untrusted: the shape of what was received -------------------------------------------------


@dataclass(eq=False)
class FormatError(UntrustedError):
    """Metadata is not what its format demands; ``path`` names the member, ``signed.version``."""

    code = "format"
    role: str
    path: str
    problem: str

    def __str__(self) -> str:
        where = f" at {self.path}" if self.path else ""
        return f"{self.role} metadata is malformed{where}: {self.problem}"


@dataclass(eq=False)
class TooLargeError(UntrustedError):
    """More was offered than may be read; ``limit`` counts what ``unit`` says."""

    code = "too-large"
    what: str
    limit: int
    unit: str = "bytes"

    def __str__(self) -> str:
        return f"{self.what} exceeds the limit of {self.limit} {self.unit}"


@dataclass(eq=False)
class ContentError(UntrustedError):
    """Bytes do not have the digest or length that trusted metadata lists for them."""

    code = "content"
    what: str
    expected: str
    actual: str

    def __str__(self) -> str:
        return f"{self.what} is not what was signed: expected {self.expected}, got {self.actual}"


# --- untrusted: who signed it ------------------------------------------------------------------


@dataclass(eq=False)
class ThresholdError(UntrustedError):
    """Fewer distinct keys signed than the role demands; ``why`` says what became of the others."""

    code = "threshold"
    role: str
    needed: int
    valid: int
    why: tuple[str, ...] = ()

    def __str__(self) -> str:
        because = f" ({'; '.join(self.why)})" if self.why else ""
        return f"{self.role} needs {self.needed} valid signatures and has {self.valid}{because}"


@dataclass(eq=False)
class PinError(UntrustedError):
    """The root is not one that the caller pinned."""

    code = "pin"
    gun: str
    problem: str
    offered: tuple[str, ...] = ()

    def __str__(self) -> str:
        ids = f" (offered: {', '.join(self.offered)})" if self.offered else ""
        return f"the root of {self.gun} is refused: {self.problem}{ids}"


@dataclass(eq=False)
class FirstUseError(UntrustedError):
    """Nothing is known of this collection yet, and trusting on first use is forbidden."""

    code = "first-use"
    gun: str
    offered: tuple[str, ...]

    def __str__(self) -> str:
        keys = f" (offered root keys: {', '.join(self.offered)})" if self.offered else ""
        return f"{self.gun} has no pinned root and first use is forbidden{keys}"

    @property
    def remedy(self) -> str:
        """What a person can do about it."""
        return "ask the publishers for their root key id and pin it with --pin or in the configuration"


# --- untrusted: when -----------------------------------------------------------------------------


@dataclass(eq=False)
class ExpiredError(UntrustedError):
    """Valid once, not any more."""

    code = "expired"
    role: str
    version: int
    expires: datetime
    now: datetime

    def __str__(self) -> str:
        return f"{self.role} v{self.version} expired at {_time(self.expires)}; it is now {_time(self.now)}"

    @property
    def remedy(self) -> str:
        """What a person can do about it."""
        return "if the clock is right, the publishers have to sign this role again"


@dataclass(eq=False)
class ExpiredCopyError(ExpiredError):
    """A copy was judged as of a time by which it had expired; it was taken at ``taken``."""

    code = "expired-copy"
    taken: datetime

    def __str__(self) -> str:
        return (
            f"{self.role} v{self.version} expired at {_time(self.expires)}; this copy of it was taken at "
            f"{_time(self.taken)}, and is judged as of {_time(self.now)}"
        )

    @property
    def remedy(self) -> str:
        """What a person can do about it."""
        return f"say as of when it is to be judged: --at {_time(self.taken)}"


@dataclass(eq=False)
class StaleError(UntrustedError):
    """A collection that is to be signed anew has expired, and may be an old one that somebody put back.

    ``later`` is a later version of its snapshot that its keys signed; 0 where there is none.
    """

    code = "stale"
    gun: str
    role: str
    version: int
    expires: datetime
    later: int = 0

    def __str__(self) -> str:
        exists = f"snapshot v{self.later} exists, so what is served is older than what was signed"
        why = exists if self.later else "nothing is remembered here that tells whether it is the latest"
        return f"{self.role} v{self.version} of {self.gun} expired at {_time(self.expires)}, and {why}"

    @property
    def remedy(self) -> str:
        """What a person can do about it."""
        return "renew it from where it was read or published before; if nobody can, see `trustreg renew --help`"


@dataclass(eq=False)
class RollbackError(UntrustedError):
    """An older version was offered than one already trusted."""

    code = "rollback"
    role: str
    floor: int
    offered: int

    def __str__(self) -> str:
        return f"{self.role} v{self.offered} is older than trusted v{self.floor}"


@dataclass(eq=False)
class EquivocationError(UntrustedError):
    """A version already trusted was offered again with other bytes."""

    code = "equivocation"
    role: str
    version: int
    trusted: str
    offered: str

    def __str__(self) -> str:
        return (
            f"{self.role} v{self.version} was trusted with sha256 {self.trusted} and is now offered with {self.offered}"
        )


@dataclass(eq=False)
class VersionError(UntrustedError):
    """Another version was offered than the one that had to follow."""

    code = "version"
    role: str
    expected: int
    offered: int

    def __str__(self) -> str:
        return f"{self.role} v{self.expected} was due and v{self.offered} was offered"


@dataclass(eq=False)
class RemovedError(UntrustedError):
    """A role that was listed, and is still delegated, has gone missing."""

    code = "removed"
    role: str

    def __str__(self) -> str:
        return f"{self.role} was published before, is still delegated, and is missing now"


@dataclass(eq=False)
class UnlistedError(UntrustedError):
    """A role is delegated to that the snapshot does not list."""

    code = "unlisted"
    role: str
    delegator: str

    def __str__(self) -> str:
        return f"{self.delegator} delegates to {self.role}, which the snapshot does not list"


@dataclass(eq=False)
class AbsentError(UntrustedError):
    """Trusted metadata lists a file that the repository does not have."""

    code = "absent"
    role: str
    path: str

    def __str__(self) -> str:
        return f"the repository has no {self.path}, and a {self.role} it has to have"


# --- untrusted: what is signed -------------------------------------------------------------------


@dataclass(eq=False)
class NoTrustDataError(UntrustedError):
    """The trust server answers, and has nothing for this collection."""

    code = "no-trust-data"
    gun: str
    server: str

    def __str__(self) -> str:
        return f"{self.server} has no trust data for {self.gun}"


@dataclass(eq=False)
class UnsignedError(UntrustedError):
    """No role that counts has signed this tag; ``elsewhere`` lists roles that did and do not count."""

    code = "unsigned"
    gun: str
    tag: str
    roles: tuple[str, ...]
    elsewhere: tuple[str, ...] = ()

    def __str__(self) -> str:
        also = f" (signed only in {', '.join(self.elsewhere)})" if self.elsewhere else ""
        return f"{self.gun}:{self.tag} is not signed in {' or '.join(self.roles)}{also}"


@dataclass(eq=False)
class MovedError(UntrustedError):
    """The registry serves other bytes under a tag than those that were signed."""

    code = "moved"
    gun: str
    tag: str
    signed: str
    served: str

    def __str__(self) -> str:
        return f"{self.gun}:{self.tag} is signed as {self.signed}, but the registry serves {self.served}"


@dataclass(eq=False)
class DigestUnsignedError(UntrustedError):
    """No tag of the collection has this digest."""

    code = "digest-unsigned"
    gun: str
    digest: str
    roles: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.gun}@{self.digest} is not signed in {' or '.join(self.roles)}"


@dataclass(eq=False)
class GpgSignatureError(UntrustedError):
    """A GPG signature is not good; ``key`` is the id or fingerprint of the key that it names."""

    code = "gpg-signature"
    key: str
    problem: str

    def __str__(self) -> str:
        return f"the signature by GPG key {self.key} is refused: {self.problem}"


@dataclass(eq=False)
class NoSignatureError(UntrustedError):
    """None of the keys that are asked for signed a manifest; ``others`` is how many other signatures there are."""

    code = "no-signature"
    image: str
    digest: str
    keys: tuple[str, ...]
    places: tuple[str, ...]
    others: int = 0

    def __str__(self) -> str:
        others = f" ({self.others} other{'s are' if self.others > 1 else ' is'} there)" if self.others else ""
        looked = f", in {' or '.join(self.places)}" if self.places else ""
        return f"{self.image} ({self.digest}) has no signature by {' or '.join(self.keys)}{others}{looked}"

    @property
    def remedy(self) -> str:
        """What a person can do about it."""
        return (
            "if it is to be trusted, somebody who has one of these keys signs it; see also `trustreg signatures list`"
        )


@dataclass(eq=False)
class SignatureError(UntrustedError):
    """A signature at ``where``, of which ``key`` may be the one, does not hold."""

    code = "signature"
    where: str
    key: str
    problem: str

    def __str__(self) -> str:
        return f"the signature at {self.where} is refused for {self.key}: {self.problem}"


@dataclass(eq=False)
class IdentityError(UntrustedError):
    """A good signature by ``key`` bears the name ``signed``, which does not do for the image."""

    code = "identity"
    image: str
    key: str
    signed: str
    wanted: str

    def __str__(self) -> str:
        return f"{self.key} signed this manifest as {self.signed}, and {self.image} was asked for ({self.wanted})"

    @property
    def remedy(self) -> str:
        """What a person can do about it."""
        return "use the name that was signed, or have the image signed under this one"


@dataclass(eq=False)
class SignedDigestError(UntrustedError):
    """A good signature by ``key`` is kept with a manifest that it is not about."""

    code = "signed-digest"
    where: str
    key: str
    expected: str
    signed: str

    def __str__(self) -> str:
        return f"the signature by {self.key} at {self.where} is of {self.signed}, and kept with {self.expected}"


@dataclass(eq=False)
class PolicyRefusedError(UntrustedError):
    """An image is not as a rule of the policy demands; ``codes`` and ``reasons`` say what did not hold."""

    code = "policy-refused"
    image: str
    rule: str
    where: str
    codes: tuple[str, ...]
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.image} is refused by the rule {self.rule} ({self.where}): {'; '.join(self.reasons)}"

    @property
    def remedy(self) -> str:
        """What a person can do about it."""
        return "see `trustreg policy explain` for each requirement of the rule"


@dataclass(eq=False)
class NeitherError(UntrustedError):
    """Neither the collection that is in use nor the one before says yes; both were asked."""

    code = "neither"
    image: str
    new_code: str
    new: str
    old_code: str
    old: str

    def __str__(self) -> str:
        return f"{self.new}; and the collection before: {self.old}"


@dataclass(eq=False)
class NotInRegistryError(UntrustedError):
    """The registry answers, and has no such image."""

    code = "not-in-registry"
    image: str

    def __str__(self) -> str:
        return f"the registry has no {self.image}"


# --- untrusted: copies -----------------------------------------------------------------------------


@dataclass(eq=False)
class DamagedError(UntrustedError):
    """An archive is not as it was written; ``file`` is the part of it that is not."""

    code = "damaged"
    archive: str
    file: str
    problem: str

    def __str__(self) -> str:
        return f"the archive {self.archive} is damaged: {self.file} {self.problem}"

    @property
    def remedy(self) -> str:
        """What a person can do about it."""
        return "use another copy of this archive, or archive the collection anew, in another place"


@dataclass(eq=False)
class MirrorRefusedError(UntrustedError):
    """A place has something that the copy of a collection may not replace; ``where`` is the place."""

    code = "mirror-refused"
    gun: str
    where: str
    problem: str

    def __str__(self) -> str:
        return f"{self.gun} is not mirrored to {self.where}, whose readers would not follow: {self.problem}"

    @property
    def remedy(self) -> str:
        """What a person can do about it."""
        return "if the source is right and the place is not, remove the collection there and mirror it again"


# --- unavailable -----------------------------------------------------------------------------------


@dataclass(eq=False)
class OfflineError(UnavailableError):
    """The network failed: no route, no name, refused, reset, timed out. Nobody answered."""

    code = "offline"
    where: str
    problem: str

    def __str__(self) -> str:
        return f"{self.where} cannot be reached: {self.problem}"


@dataclass(eq=False)
class TlsError(UnavailableError):
    """The other side could not prove who it is, or did not accept who we are."""

    code = "tls"
    where: str
    problem: str
    hint: str | None = None

    def __str__(self) -> str:
        return f"no trusted TLS connection to {self.where}: {self.problem}"

    @property
    def remedy(self) -> str | None:
        """What a person can do about it."""
        return self.hint


@dataclass(eq=False)
class ServerError(UnavailableError):
    """Somebody answered, and not with what was asked for; ``status`` is the HTTP status, 0 if it was not HTTP."""

    code = "server"
    where: str
    status: int
    problem: str
    hint: str | None = None

    def __str__(self) -> str:
        return f"{self.where} answered {self.status or 'something that is not HTTP'}: {self.problem}"

    @property
    def remedy(self) -> str | None:
        """What a person can do about it."""
        return self.hint


@dataclass(eq=False)
class UnauthorizedError(UnavailableError):
    """The server wants credentials, other credentials, or more rights than these have."""

    code = "unauthorized"
    where: str
    status: int
    problem: str
    hint: str | None = None

    def __str__(self) -> str:
        return f"{self.where} refused access ({self.status}): {self.problem}"

    @property
    def remedy(self) -> str | None:
        """What a person can do about it."""
        return self.hint or "check the credentials (docker login), and the clocks of both machines"


@dataclass(eq=False)
class HelperError(UnavailableError):
    """A credential helper failed or did not answer; ``helper`` is the program."""

    code = "helper"
    helper: str
    problem: str

    def __str__(self) -> str:
        return f"the credential helper {self.helper} failed: {self.problem}"


@dataclass(eq=False)
class FileError(UnavailableError):
    """A file of ours could not be read or written."""

    code = "file"
    path: str
    problem: str
    hint: str | None = None

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}"

    @property
    def remedy(self) -> str | None:
        """What a person can do about it."""
        return self.hint


@dataclass(eq=False)
class UnresolvedError(UnavailableError):
    """What image a manifest means is decided elsewhere: by a variable, or another file."""

    code = "unresolved"
    text: str
    problem: str

    def __str__(self) -> str:
        return f"{self.text}: {self.problem}"

    @property
    def remedy(self) -> str:
        """What a person can do about it."""
        return "judge what is deployed in the end, as `docker compose config`, kustomize or helm print it, by -f -"


@dataclass(eq=False)
class NotArchivedError(UnavailableError):
    """An archive has no copy of a collection, or none that old; ``has`` is what it has, ``first`` its oldest copy."""

    code = "not-archived"
    archive: str
    gun: str
    has: tuple[str, ...] = ()
    at: datetime | None = None
    first: datetime | None = None

    def __str__(self) -> str:
        if self.at and self.first:
            return f"{self.archive} has no copy of {self.gun} as of {_time(self.at)}: it begins at {_time(self.first)}"
        return f"{self.archive} has no copy of {self.gun}; it has {', '.join(self.has) or 'nothing at all'}"


@dataclass(eq=False)
class SignerError(UnavailableError):
    """A key that lives elsewhere, in an HSM or a key service, did not sign; ``uri`` says where."""

    code = "signer"
    uri: str
    problem: str

    def __str__(self) -> str:
        return f"the signer {self.uri} failed: {self.problem}"


@dataclass(eq=False)
class NeitherKnownError(UnavailableError):
    """Neither the collection that is in use nor the one before says yes, and one of them gave no answer."""

    code = "neither-known"
    image: str
    new_code: str
    new: str
    old_code: str
    old: str

    def __str__(self) -> str:
        return f"{self.new}; and the collection before: {self.old}"


@dataclass(eq=False)
class PolicyUnknownError(UnavailableError):
    """Whether an image is as a rule of the policy demands could not be found out; ``reasons`` say why."""

    code = "policy-unknown"
    image: str
    rule: str
    where: str
    codes: tuple[str, ...]
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        return f"the rule {self.rule} ({self.where}) gives no answer for {self.image}: {'; '.join(self.reasons)}"


@dataclass(eq=False)
class GpgError(UnavailableError):
    """``gpg`` is not there, or did not do what it was asked to."""

    code = "gpg"
    problem: str

    def __str__(self) -> str:
        return f"gpg: {self.problem}"


@dataclass(eq=False)
class DeadlineError(UnavailableError):
    """Whether an image may be used was not found out in the time that there was."""

    code = "deadline"
    image: str

    def __str__(self) -> str:
        return f"whether {self.image} may be used was not found out in time"

    @property
    def remedy(self) -> str:
        """What a person can do about it."""
        return "try again: what was learned by then is remembered; if it stays, see what is slow, with -v"


@dataclass(eq=False)
class InternalError(UnavailableError):
    """Judging ended in a way that nobody foresaw; ``problem`` is the kind of error."""

    code = "internal"
    problem: str

    def __str__(self) -> str:
        return f"judging failed, which is a bug: {self.problem}"


@dataclass(eq=False)
class SignaturePlaceError(UnavailableError):
    """A place of signatures does not do what is asked of it, or has more than anybody keeps there."""

    code = "signature-place"
    where: str
    problem: str
    hint: str | None = None

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}"

    @property
    def remedy(self) -> str | None:
        """What a person can do about it."""
        return self.hint


@dataclass(eq=False)
class ConflictError(UnavailableError):
    """Another publisher was faster, more than once."""

    code = "conflict"
    gun: str
    problem: str

    def __str__(self) -> str:
        return f"{self.gun} was changed by another publisher at the same time: {self.problem}"

    @property
    def remedy(self) -> str:
        """What a person can do about it."""
        return "publish again"


@dataclass(eq=False)
class TakenError(UnavailableError):
    """A file that was to be written has become another one meanwhile; ``path`` is its name in the store."""

    code = "taken"
    where: str
    path: str

    def __str__(self) -> str:
        return f"{self.where} has another {self.path} than expected: somebody else has published"

    @property
    def remedy(self) -> str:
        """What a person can do about it."""
        return "publish again"


@dataclass(eq=False)
class PublishRefusedError(UnavailableError):
    """The trust server does not accept what was published; nothing was changed."""

    code = "publish-refused"
    gun: str
    reason: str
    detail: str

    def __str__(self) -> str:
        return f"the trust server refused to publish {self.gun} ({self.reason}): {self.detail}"


@dataclass(eq=False)
class UnprovenError(UnavailableError):
    """It was published, and reading it back did not show what was meant."""

    code = "unproven"
    gun: str
    problem: str

    def __str__(self) -> str:
        return f"{self.gun} was published, but reading it back does not prove it: {self.problem}"


# --- input -------------------------------------------------------------------------------------------


@dataclass(eq=False)
class NameFormError(InputError):
    """A reference, digest, GUN or role name does not parse."""

    code = "name"
    text: str
    kind: str
    problem: str

    def __str__(self) -> str:
        return f"{self.text!r} is not a valid {self.kind}: {self.problem}"


@dataclass(eq=False)
class SettingError(InputError):
    """A setting or option cannot be used; ``source`` names the file, variable or flag."""

    code = "setting"
    source: str
    problem: str

    def __str__(self) -> str:
        return f"{self.source}: {self.problem}"


@dataclass(eq=False)
class PolicyError(InputError):
    """A policy cannot be used: line ``line``, 0 where it is not known, of ``source``, at ``path``."""

    code = "policy"
    source: str
    line: int
    path: str
    problem: str

    def __str__(self) -> str:
        line = f":{self.line}" if self.line else ""
        where = f" {self.path}:" if self.path else ""
        return f"{self.source}{line}:{where} {self.problem}"

    @property
    def remedy(self) -> str:
        """What a person can do about it."""
        return "correct the file; until then nothing is judged by it"


@dataclass(eq=False)
class ReviewError(InputError):
    """What was sent for review is no question that could be answered."""

    code = "review"
    problem: str

    def __str__(self) -> str:
        return f"this is no review: {self.problem}"


@dataclass(eq=False)
class ManifestError(InputError):
    """A manifest cannot be read as what it is: line ``line`` of ``source``."""

    code = "manifest"
    source: str
    line: int
    problem: str

    def __str__(self) -> str:
        return f"{self.source}:{self.line}: {self.problem}"


@dataclass(eq=False)
class KeyFileError(InputError):
    """A key file cannot be read as a key."""

    code = "key-file"
    source: str
    problem: str

    def __str__(self) -> str:
        return f"{self.source}: {self.problem}"


@dataclass(eq=False)
class KeyKindError(InputError):
    """A key is of a kind that cannot do what it is wanted for; ``key`` is a key id or what names the key."""

    code = "key-kind"
    key: str
    kind: str
    problem: str

    def __str__(self) -> str:
        return f"key {self.key} ({self.kind}) cannot be used: {self.problem}"


@dataclass(eq=False)
class PassphraseError(InputError):
    """A passphrase is missing or wrong; ``key`` is a key id or a file, never a secret."""

    code = "passphrase"
    key: str
    problem: str
    hint: str | None = None

    def __str__(self) -> str:
        return f"key {self.key}: {self.problem}"

    @property
    def remedy(self) -> str | None:
        """What a person can do about it."""
        return self.hint


@dataclass(eq=False)
class NoKeyError(InputError):
    """None of the private keys that may sign for this role is here."""

    code = "no-key"
    role: str
    wanted: tuple[str, ...]

    def __str__(self) -> str:
        if not self.wanted:
            return f"no key may sign {self.role}: none is listed for it"
        return f"no private key for {self.role} is here (any of: {', '.join(self.wanted)})"


@dataclass(eq=False)
class AmbiguousKeyError(InputError):
    """Several keys would do, and nobody said which."""

    code = "ambiguous-key"
    role: str
    held: tuple[str, ...]

    def __str__(self) -> str:
        return f"several {self.role} keys are here: {', '.join(self.held)}"

    @property
    def remedy(self) -> str:
        """What a person can do about it."""
        return "say which with --use, of `trustreg init` or `convert`"


@dataclass(eq=False)
class ExistsError(InputError):
    """What was to be made is there already."""

    code = "exists"
    what: str

    def __str__(self) -> str:
        return f"{self.what} exists already"


@dataclass(eq=False)
class KnownError(InputError):
    """A collection was to be begun that is known already, though the server has it no more."""

    code = "known"
    gun: str
    server: str

    def __str__(self) -> str:
        return f"{self.gun} is known with a root that {self.server} does not have; whoever knows it refuses another one"

    @property
    def remedy(self) -> str:
        """What a person can do about it."""
        return f"if it was deleted on purpose, begin with: trustreg forget {self.gun}"


@dataclass(eq=False)
class ChangeError(InputError):
    """A staged change cannot be applied to the collection as it stands."""

    code = "change"
    role: str
    path: str
    problem: str

    def __str__(self) -> str:
        return f"the change of {self.path or 'the role'} in {self.role} cannot be applied: {self.problem}"


@dataclass(eq=False)
class IncompleteError(InputError):
    """Signatures of others are missing; ``by`` says who demands them, ``waiting`` which keys could give them."""

    code = "incomplete"
    role: str
    by: str
    needed: int
    valid: int
    waiting: tuple[str, ...]

    def __str__(self) -> str:
        ids = ", ".join(keyid[:12] for keyid in self.waiting)
        return (
            f"{self.role} needs {self.needed} signatures for {self.by} and has {self.valid} (waiting for any of: {ids})"
        )

    @property
    def remedy(self) -> str:
        """What a person can do about it."""
        return "hand the file of the ceremony to those who have one of these keys"


@dataclass(eq=False)
class MismatchError(InputError):
    """Two files of a ceremony, or such a file and a collection, do not belong together."""

    code = "mismatch"
    gun: str
    problem: str

    def __str__(self) -> str:
        return f"these files of a ceremony for {self.gun} do not belong together: {self.problem}"


@dataclass(eq=False)
class OutdatedError(InputError):
    """What a ceremony builds on is not what is published any more; versions are 0 where there is none."""

    code = "outdated"
    gun: str
    role: str
    built_on: int
    published: int

    def __str__(self) -> str:
        return (
            f"the ceremony for {self.gun} builds on {self.role} v{self.built_on}, and v{self.published} was published "
            "meanwhile, or is about to be"
        )

    @property
    def remedy(self) -> str:
        """What a person can do about it."""
        return "prepare it anew"


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return _time(value)
    return list(value) if isinstance(value, tuple) else value

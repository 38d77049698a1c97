"""Which root to begin with, and which roots may follow it.

Sources: TUF 1.0.34 sections 5.2 and 5.3; notary ``trustpinning/certs.go``. Pins hold on every refresh, with a warm
cache and across rotations.
"""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from trustreg.errors import FirstUseError, PinError, ThresholdError
from trustreg.metadata import Envelope, Key, Role, Root
from trustreg.names import ROOT, Gun
from trustreg.values import dataclass, field
from trustreg.verify import certificates
from trustreg.verify.certificates import Leaf
from trustreg.verify.signatures import Verified, load, verify

if TYPE_CHECKING:
    from cryptography.x509 import Certificate


@dataclass(frozen=True, kw_only=True)
class Pins:
    """What the caller knows of a root beforehand.

    Any of these suffices: ``keys`` are root key ids as listed, ``certificates`` DER certificates of root keys,
    ``authorities`` DER certificates of CAs that issue root certificates. ``root`` is the file of a root: what follows
    it is believed (TUF 1.0.34 section 5.2). With none of them, ``first_use`` decides whether the first root that is
    met is believed. Where somebody else knows more, ``also``, a root key has to be known to both.
    """

    keys: tuple[str, ...] = ()
    certificates: tuple[bytes, ...] = ()
    authorities: tuple[bytes, ...] = ()
    root: bytes | None = field(default=None, repr=False)
    first_use: bool = True
    also: "Pins | None" = None

    @property
    def given(self) -> bool:
        """Whether anything is known of the keys of the root beforehand."""
        return bool(self.keys or self.certificates or self.authorities or (self.also and self.also.given))


def succeed(claim: Envelope[Root], old: Verified[Root], gun: Gun) -> Verified[Root]:
    """Believe *claim* because the keys of *old* signed it, and its own; expiry is not looked at.

    Raises:
        ThresholdError: Too few keys of the old root, or of the new one, signed.
        PinError: A root key is no certificate for *gun*.
    """
    verify(claim, old.signed.roles[ROOT], old.signed.keys)
    return _by_its_own(claim, gun, lambda _key, _leaf: None)


def anchor(claim: Envelope[Root], gun: Gun) -> Verified[Root]:
    """Check *claim* against itself only: for a root whose bytes were trusted before."""
    return _by_its_own(claim, gun, lambda _key, _leaf: None)


def admit(
    claim: Envelope[Root], gun: Gun, pins: Pins, now: datetime, *, known: bool, dangerous_skip_expiry: bool = False
) -> Verified[Root]:
    """Require the current root to be one that the caller trusts at *now*.

    Args:
        claim: The root, whether just met or trusted before.
        gun: Whose root it has to be.
        pins: What the caller knows beforehand.
        now: The time of this refresh.
        known: Some root of this collection was trusted before, and *claim* is or follows it.
        dangerous_skip_expiry: For who is about to replace certificates that have expired.

    Raises:
        FirstUseError: Nothing is pinned, nothing known, and first use is forbidden.
        PinError: The keys that match the pins and are valid now do not meet the root's threshold.
        ThresholdError: The root is not signed by its own keys.
    """
    offered = claim.signed.roles[ROOT].keyids
    if not (pins.given or known or pins.first_use):
        raise FirstUseError(str(gun), offered)

    def fault(key: Key, leaf: Leaf | None) -> str | None:
        dated = None if dangerous_skip_expiry else leaf
        late = certificates.out_of_date(dated.begins, dated.ends, now) if dated else None
        return late or _unpinned(key, pins, now)

    return _by_its_own(claim, gun, fault)


def _by_its_own(claim: Envelope[Root], gun: Gun, fault: "_Fault") -> Verified[Root]:
    """Verify *claim* by those of its own root keys that are without fault."""
    root = claim.signed
    role = root.roles[ROOT]
    faults = {keyid: _fault(root, root.keys.get(keyid), gun, fault) for keyid in role.keyids}
    sound = tuple(keyid for keyid, found in faults.items() if found is None)
    found = "; ".join(f"key {keyid[:12]} {why}" for keyid, why in faults.items() if why)
    if len(sound) < role.threshold:
        raise PinError(str(gun), found or "it lists fewer keys than its threshold", role.keyids)
    try:
        return verify(claim, Role(name=ROOT, keyids=sound, threshold=role.threshold), root.keys)
    except ThresholdError as exc:
        raise ThresholdError(exc.role, exc.needed, exc.valid, (*exc.why, found) if found else exc.why) from exc


def _fault(root: Root, key: Key | None, gun: Gun, fault: "_Fault") -> str | None:
    if key is None:
        return "is not listed"
    if not root.certified:
        return fault(key, None)
    if not key.certificates:
        return "is no certificate"
    if load(key) is None:
        return "cannot be used"
    try:
        leaf = certificates.read(key.certificates[0])
        return _not_for(leaf, gun) or fault(key, leaf)
    except ValueError:
        return "has a certificate that cannot be read"


def _not_for(leaf: Leaf, gun: Gun) -> str | None:
    if leaf.authority:
        return "has a certificate of a CA, and a CA does not sign metadata"
    if not _names(leaf.name or "", str(gun)):
        return f"has a certificate for {leaf.name or ''!r}, not for {gun}"
    if leaf.digest in {"md5", "sha1"}:
        return f"has a certificate signed with {leaf.digest}"
    return None


def _names(common_name: str, gun: str) -> bool:
    """A name ending in ``*`` stands for all that begin alike; ``*`` alone stands for nothing."""
    if common_name.endswith("*"):
        return len(common_name) > 1 and gun.startswith(common_name[:-1])
    return common_name == gun


def _unpinned(key: Key, pins: Pins, now: datetime) -> str | None:
    if pins.also and (why := _unpinned(key, pins.also, now)):
        return why
    if not (pins.keys or pins.certificates or pins.authorities) or (key.id in pins.keys and key.derived):
        return None
    if key.certificates and key.certificates[0] in pins.certificates:
        return None
    if pins.authorities and key.certificates:
        return _not_issued(key.certificates, pins.authorities, now)
    return "is not pinned"


def _not_issued(chain: tuple[bytes, ...], authorities: tuple[bytes, ...], now: datetime) -> str | None:
    """Look for a way from the leaf over the listed intermediates to a pinned CA."""
    leaf, *between = (certificates.load(der) for der in chain[:_LONGEST_CHAIN])
    trusted = [certificates.load(der) for der in authorities]
    at, below = leaf, 0
    for _ in range(_LONGEST_CHAIN):
        if any(_issues(ca, at, below, now) for ca in trusted):
            return None
        above = next((c for c in between if c is not at and _issues(c, at, below, now)), None)
        if above is None:
            break
        between.remove(above)
        at, below = above, below + 1
    return "is issued by none of the pinned CAs"


def _issues(issuer: "Certificate", subject: "Certificate", below: int, now: datetime) -> bool:
    """Say whether *issuer*, a CA valid at *now*, signed *subject*, with *below* CAs between it and the leaf."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.x509 import BasicConstraints, ExtensionNotFound, KeyUsage

    odd: tuple[type[Exception], ...] = (*certificates.unreadable(), InvalidSignature, ExtensionNotFound, TypeError)
    try:
        subject.verify_directly_issued_by(issuer)
        constraints = issuer.extensions.get_extension_for_class(BasicConstraints).value
        try:
            may_sign = issuer.extensions.get_extension_for_class(KeyUsage).value.key_cert_sign
        except ExtensionNotFound:
            may_sign = True
    except odd:
        return False
    deep_enough = constraints.path_length is None or below <= constraints.path_length
    dated = certificates.out_of_date(issuer.not_valid_before_utc, issuer.not_valid_after_utc, now)
    return constraints.ca and may_sign and deep_enough and dated is None


_Fault = Callable[[Key, Leaf | None], str | None]
_LONGEST_CHAIN = 6  # certificates in one bundle

"""Files before and after they are signed."""

from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from trustreg.dialect import Dialect
from trustreg.errors import NoKeyError
from trustreg.metadata import Key, Role, Signature, Signed
from trustreg.sign.signer import Signer
from trustreg.values import dataclass, field

Authority: TypeAlias = tuple[Role, Mapping[str, Key]]
"""Who may sign a role, and the keys of its delegator."""

Find: TypeAlias = Callable[[Key], Signer | None]
"""Returns the signer for a listed key, or ``None`` where its private half is not here."""


@dataclass(frozen=True, kw_only=True)
class Page:
    """A file that is to be signed: ``signed`` as ``payload``.

    Each of ``authorities`` has to be met. Those whom ``also`` names sign as well where they are here: a reader who
    knows the root of before goes by them.
    """

    role: str
    signed: Signed
    payload: bytes = field(repr=False)
    authorities: tuple[Authority, ...]
    also: tuple[Authority, ...] = ()


@dataclass(frozen=True, kw_only=True)
class File:
    """A page and the file that became of it when it was signed."""

    page: Page
    raw: bytes = field(repr=False)


def seal(dialect: Dialect, page: Page, find: Find) -> File:
    """Sign *page* with all keys that are here.

    Raises:
        NoKeyError: They are not enough.
    """
    signatures = {signature.keyid: signature for signature in stamp(page, find)}
    for role, keys in page.authorities:
        if sum(keyid in signatures for keyid in role.keyids if keyid in keys) < role.threshold:
            raise NoKeyError(page.role, role.keyids)
    return File(page=page, raw=dialect.encode(page.payload, signatures.values()))


def stamp(page: Page, find: Find) -> tuple[Signature, ...]:
    """Return a signature of *page* by each key that may sign it and is here."""
    signatures: dict[str, Signature] = {}
    for authority in (*page.authorities, *page.also):
        for key, signer in held(authority, find):
            if key.id not in signatures:
                signatures[key.id] = signer.sign(page.payload, key.id, key.scheme)
    return tuple(signatures.values())


def suffices(authority: Authority, find: Find) -> bool:
    """Say whether as many keys of *authority* are here as it takes."""
    return sum(1 for _ in held(authority, find)) >= authority[0].threshold


def held(authority: Authority, find: Find) -> Iterator[tuple[Key, Signer]]:
    """Yield the keys of *authority* that are here."""
    role, keys = authority
    for keyid in role.keyids:
        if (key := keys.get(keyid)) and (signer := find(key)):
            yield key, signer

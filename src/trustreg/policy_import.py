"""A policy that was read from a ``policy.json``, written as the policy file of trustreg.

What that cannot say is never made wider: it is left out where it covers no image, and rejects else; and a comment says
so.
"""

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

from trustreg.errors import shown
from trustreg.identity import Identity, scope_problem
from trustreg.policy import (
    AcceptAnything,
    AllOf,
    GpgKey,
    PlainKey,
    Policy,
    Reject,
    Requirement,
    Rule,
    SignedByGpg,
    SignedByKey,
    leaves,
)
from trustreg.sign.keyfile import public_pem


class Imported(NamedTuple):
    """The text of a policy file, and what it could not take over, which its comments say, too."""

    text: str
    lost: tuple[str, ...]


def write(policy: Policy, elsewhere: Mapping[str, tuple[str, ...]], place: Callable[[str], str]) -> Imported:
    """Write *policy*, as :func:`trustreg.dialects.policyjson.read` made it.

    Args:
        policy: It.
        elsewhere: The scopes that the file has for other transports, by transport.
        place: Returns where a key file is, for the new file to say, by what the old one called it.
    """
    writing = _Writing(policy, place)
    lines = [f"# Made from {shown(policy.source)} by trustreg policy import."]
    lines += [writing.lost(f"what it says of {shown(transport)}: {_ELSEWHERE}") for transport in elsewhere]
    lines += ["version: 1", *writing.keys()]
    rules = []
    for scope, rule in policy.rules.items():
        if problem := scope_problem(scope) if scope else "":
            lines.append(writing.lost(f"{_quoted(scope)}, which covers no image: {shown(problem)}"))
        elif scope:
            rules += [f"  - match: {_scalar(scope)}", f"    of: {rule.of}", *writing.require(rule, "    ")]
    lines += ["rules:", *rules] if rules else []
    default = policy.rules.get("", policy.default)
    if default is not policy.default:
        lines.append("# This is what it had for all images of docker. Its own default was for other transports only.")
    lines += ["default:", f"  of: {default.of}", *writing.require(default, "  ")]
    return Imported("\n".join((*lines, "")), tuple(writing.all_lost))


class _Writing:
    """The keys of a policy, what the new file calls them, and what is lost on the way."""

    def __init__(self, policy: Policy, place: Callable[[str], str]) -> None:
        self.all_lost: list[str] = []
        self._place = place
        self._names: dict[tuple[type, str], str] = {}
        self._known: dict[str, tuple[GpgKey | PlainKey, bool]] = {}
        for rule in (*policy.rules.values(), policy.default):
            for leaf in leaves(rule.require):
                if isinstance(leaf, SignedByGpg | SignedByKey):
                    for key in leaf.keys:
                        self._add(key, inline=key.name.startswith(f"{leaf.path}.keyData"))

    def lost(self, what: str) -> str:
        """Note what is not taken over, and return the comment that says so."""
        self.all_lost.append(what)
        return f"# Not taken over: {what}"

    def keys(self) -> Iterator[str]:
        if self._known:
            yield "keys:"
        for name, (key, inline) in self._known.items():
            kind = "gpg" if isinstance(key, GpgKey) else "key"
            if not inline:
                yield f"  {name}: {{{kind}: {_quoted(self._place(key.name))}}}"
                continue
            yield f"  {name}:"
            yield f"    {kind}: |"
            text = _armour(key.raw) if isinstance(key, GpgKey) else public_pem(key.key.kind, key.key.public).decode()
            yield from (f"      {line}" for line in text.splitlines())

    def require(self, rule: Rule, indent: str) -> Iterator[str]:
        lines = list(self._requirement(rule.require))
        if len(lines) == 1 and not lines[0].startswith(("gpg:", "key:")):
            yield f"{indent}require: {lines[0]}"
            return
        yield f"{indent}require:"
        yield from (f"{indent}  {line}" for line in lines)

    def _requirement(self, requirement: Requirement) -> Iterator[str]:
        """Yield the lines of a mapping, or the one word that says it all."""
        if isinstance(requirement, AcceptAnything):
            yield "dangerous_accept_anything"
        elif isinstance(requirement, SignedByGpg | SignedByKey):
            yield from self._signed(requirement)
        elif isinstance(requirement, AllOf):
            yield "all:"
            for part in _nested(requirement.parts):
                first, *others = self._requirement(part)
                yield f"  - {first}"
                yield from (f"    {line}" for line in others)
        else:
            problem = requirement.problem if isinstance(requirement, Reject) else "a policy.json has no such thing"
            yield f"reject  {self.lost(f'{requirement.path}: {shown(problem)}')}" if problem else "reject"

    def _signed(self, requirement: SignedByGpg | SignedByKey) -> Iterator[str]:
        identity, comment = requirement.identity, ""
        if identity.way == "remap":
            if scope_problem(identity.name):
                lost = self.lost(f"{requirement.path}: a prefix that no image has, {shown(identity.name)}")
                identity, comment = Identity(), f"  {lost}"
            elif problem := scope_problem(identity.by):
                lost = self.lost(f"{requirement.path}: the prefix {shown(identity.by)}: {shown(problem)}")
                yield f"reject  {lost}"
                return
        names = tuple(dict.fromkeys(self._names[type(key), _mark(key)] for key in requirement.keys))
        kind = "gpg" if isinstance(requirement, SignedByGpg) else "key"
        several = ", ".join(names)
        yield f"{kind}: {several if len(names) == 1 else f'[{several}]'}{comment}"
        if identity.way == "remap":
            yield f"identity: {{remap: {{prefix: {_quoted(identity.name)}, signed_prefix: {_quoted(identity.by)}}}}}"
        elif identity.name:
            yield f"identity: {{{identity.way.replace('-', '_')}: {_quoted(identity.name)}}}"
        elif identity != Identity():
            yield f"identity: {identity.way.replace('-', '_')}"

    def _add(self, key: GpgKey | PlainKey, *, inline: bool) -> None:
        mark = type(key), _mark(key)
        if mark in self._names:
            return
        stem = key.name.replace("\\", "/").rpartition("/")[2].rpartition(".")
        base = "inline" if inline else _UNFIT.sub("-", stem[0] or stem[2]).strip("-.")[:48] or "key"
        name, count = base, 1
        while name in self._known:
            count += 1
            name = f"{base}-{count}"
        self._names[mark], self._known[name] = name, (key, inline)


def _mark(key: GpgKey | PlainKey) -> str:
    """Return what tells keys apart: two that are called the same are the same file."""
    return f"{key.name} {','.join(key.fingerprints) if isinstance(key, GpgKey) else key.fingerprint}"


def _nested(parts: tuple[Requirement, ...]) -> tuple[Requirement, ...]:
    """Return *parts* in groups, where there are more than one list may have."""
    while len(parts) > _MOST_PARTS:
        cut = (parts[at : at + _MOST_PARTS] for at in range(0, len(parts), _MOST_PARTS))
        parts = tuple(AllOf(path="", parts=group) for group in cut)
    return parts


def _armour(raw: bytes) -> str:
    """Return exported GPG keys as text.

    Source: RFC 4880 section 6.
    """
    check = 0xB704CE
    for byte in raw:
        check ^= byte << 16
        for _ in range(8):
            check = check << 1 ^ (0x1864CFB if check & 0x800000 else 0)
    text = base64.b64encode(raw).decode()
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    end = base64.b64encode((check & 0xFFFFFF).to_bytes(3, "big")).decode()
    return "\n".join((f"-----BEGIN {_PGP}-----", "", *lines, f"={end}", f"-----END {_PGP}-----"))


def _scalar(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else _quoted(text)


def _quoted(text: str) -> str:
    spelled = json.dumps(text, ensure_ascii=False)
    return "".join(one if one.isprintable() else f"\\U{ord(one):08x}" for one in spelled)


_MOST_PARTS = 16  # of one list, in the policy file
_PGP: Final = "PGP PUBLIC KEY BLOCK"
_UNFIT = re.compile(r"[^A-Za-z0-9._-]+")
_PLAIN = re.compile(r"[a-z][a-z0-9-]*(?:\.[a-z0-9.-]+)?(?::[0-9]+)?(?:/[\w./-]+)?(?:(?::|@sha256:)[\w.-]+)?", re.ASCII)
_ELSEWHERE: Final = "only images in registries are judged here"

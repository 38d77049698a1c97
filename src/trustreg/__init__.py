"""Content trust for container registries: sign tags, verify them, refuse what moved.

>>> import trustreg
>>> verifier = trustreg.Verifier()
>>> verifier.verify("registry.example/app:1.0").pinned
'registry.example/app@sha256:…'

:class:`Verifier`, :class:`Publisher` and :class:`Signer` read the same configuration as the command line does. What
fails raises one of three families: :class:`UntrustedError` is a no, :class:`UnavailableError` a don't know,
:class:`InputError` a question that cannot be answered as it stands.
"""

from importlib import import_module

from trustreg._version import __version__

TYPE_CHECKING = False  # importing it from typing takes as long as starting Python does
if TYPE_CHECKING:
    from typing import Any

    from trustreg import admission
    from trustreg.agreement import Agreed
    from trustreg.aio import AsyncClient
    from trustreg.ceremony import Ceremony
    from trustreg.client import Contents, Entry, RoleState, Trusted, Unknown, Untrusted, Verdict
    from trustreg.errors import InputError, TrustregError, UnavailableError, UntrustedError
    from trustreg.facade import Judge, Publisher, Signer, Verifier
    from trustreg.forecast import Inventory, Notice
    from trustreg.inventory import CertificateLine, Collection, Holding, KeyLine, RoleLine, RootLine, TagLine
    from trustreg.io.archive import Archived, ArchivedState
    from trustreg.judging import Decision, Judged
    from trustreg.lint import Finding
    from trustreg.maps import AsyncMap, Map
    from trustreg.names import Digest, Gun, Reference
    from trustreg.policy import Policy, Rule
    from trustreg.publisher import Left, Published, Renewed
    from trustreg.reader import Target
    from trustreg.sign.changes import (
        AddTarget,
        Amend,
        Delegate,
        DelegateBins,
        Purge,
        RemoveTarget,
        SetExpiry,
        SetKeys,
        Undelegate,
        Witness,
    )
    from trustreg.signing import Signed, SignedManifest
    from trustreg.survey import Seat
    from trustreg.tuf import Client, trust
    from trustreg.verify.policy import Answer

__all__ = [
    "AddTarget",
    "Agreed",
    "Amend",
    "Answer",
    "Archived",
    "ArchivedState",
    "AsyncClient",
    "AsyncMap",
    "Ceremony",
    "CertificateLine",
    "Client",
    "Collection",
    "Contents",
    "Decision",
    "Delegate",
    "DelegateBins",
    "Digest",
    "Entry",
    "Finding",
    "Gun",
    "Holding",
    "InputError",
    "Inventory",
    "Judge",
    "Judged",
    "KeyLine",
    "Left",
    "Map",
    "Notice",
    "Policy",
    "Published",
    "Publisher",
    "Purge",
    "Reference",
    "RemoveTarget",
    "Renewed",
    "RoleLine",
    "RoleState",
    "RootLine",
    "Rule",
    "Seat",
    "SetExpiry",
    "SetKeys",
    "Signed",
    "SignedManifest",
    "Signer",
    "TagLine",
    "Target",
    "Trusted",
    "TrustregError",
    "UnavailableError",
    "Undelegate",
    "Unknown",
    "Untrusted",
    "UntrustedError",
    "Verdict",
    "Verifier",
    "Witness",
    "__version__",
    "admission",
    "trust",
]

_HOMES = {
    "agreement": ("Agreed",),
    "aio": ("AsyncClient",),
    "ceremony": ("Ceremony",),
    "client": ("Contents", "Entry", "RoleState", "Trusted", "Unknown", "Untrusted", "Verdict"),
    "forecast": ("Inventory", "Notice"),
    "inventory": ("CertificateLine", "Collection", "Holding", "KeyLine", "RoleLine", "RootLine", "TagLine"),
    "errors": ("InputError", "TrustregError", "UnavailableError", "UntrustedError"),
    "io.archive": ("Archived", "ArchivedState"),
    "lint": ("Finding",),
    "maps": ("AsyncMap", "Map"),
    "names": ("Digest", "Gun", "Reference"),
    "publisher": ("Left", "Published", "Renewed"),
    "sign.changes": (
        "AddTarget",
        "Amend",
        "Delegate",
        "DelegateBins",
        "Purge",
        "RemoveTarget",
        "SetExpiry",
        "SetKeys",
        "Undelegate",
        "Witness",
    ),
    "reader": ("Target",),
    "signing": ("Signed", "SignedManifest"),
    "survey": ("Seat",),
    "tuf": ("Client", "trust"),
    "facade": ("Judge", "Publisher", "Signer", "Verifier"),
    "judging": ("Decision", "Judged"),
    "policy": ("Policy", "Rule"),
    "verify.policy": ("Answer",),
}


def __getattr__(name: str) -> "Any":
    """Import a public name when it is first used: ``import trustreg`` does no work."""
    if name == "admission":
        return import_module("trustreg.admission")
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"trustreg.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__

"""The reference explains every error, in the part that its family belongs to, and none that there is not."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import trustreg.server  # noqa: F401 # it has errors of its own
from tests.docs.pages import ROOT
from trustreg.errors import InputError, TrustregError, UnavailableError, UntrustedError

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_every_code_is_explained_once_and_in_its_place() -> None:
    """
    Exit codes go by family, so an error in the wrong part would mislead.
    """
    text = (ROOT / "docs/reference/errors.md").read_text()
    parts = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
    said = {part: re.findall(r"^### `([\w-]+)`$", body, re.MULTILINE) for part, body in parts.items()}

    families = {"Untrusted": UntrustedError, "Unavailable": UnavailableError, "Input": InputError}
    due = {part: sorted(error.code for error in _below(family)) for part, family in families.items()}
    due["Input"] = sorted([*due["Input"], "version-taken"])  # of the server, which belongs to no family

    assert {part: sorted(codes) for part, codes in said.items()} == due


def test_every_error_belongs_to_a_family() -> None:
    """
    What belongs to none would get an exit code by accident.
    """
    families = (UntrustedError, UnavailableError, InputError)
    strays = {error.code for error in _below(TrustregError) if not issubclass(error, families)}

    assert strays == {"version-taken"}


def _below(error: type[TrustregError]) -> Iterator[type[TrustregError]]:
    for below in error.__subclasses__():
        if below.__module__.startswith("trustreg.") and below not in {UntrustedError, UnavailableError, InputError}:
            yield below
        yield from _below(below)

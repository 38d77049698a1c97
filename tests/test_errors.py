"""Every error: a code of its own, facts for JSON, and one sentence on one line whatever a server put into it."""

from __future__ import annotations

import importlib
import json
import pkgutil
from dataclasses import MISSING, fields
from datetime import UTC, datetime
from typing import Any

import pytest

import trustreg
from trustreg.errors import InputError, TrustregError, UnavailableError, UntrustedError

FAMILIES = (UntrustedError, UnavailableError, InputError)


def _kinds(family: type[TrustregError]) -> set[type[TrustregError]]:
    return {family}.union(*map(_kinds, family.__subclasses__()))


for module in pkgutil.walk_packages(trustreg.__path__, "trustreg."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
KINDS = sorted((k for k in _kinds(TrustregError) if k.__module__.startswith("trustreg.")), key=lambda k: k.__name__)
CONCRETE = [kind for kind in KINDS if kind not in {TrustregError, *FAMILIES}]


def sample(kind: type[TrustregError], text: str) -> TrustregError:
    """Make an error whose every text is *text*."""
    return kind(**{f.name: _value(str(f.type), text) for f in fields(kind) if f.default is MISSING})  # type: ignore[arg-type]


def _value(declared: str, text: str) -> Any:
    plain = declared.replace("<class '", "").replace("'>", "").removesuffix(" | None")
    made: dict[str, Any] = {
        "str": text,
        "int": 3,
        "bool": True,
        "datetime.datetime": datetime(2026, 5, 1, 12, tzinfo=UTC),
        "datetime": datetime(2026, 5, 1, 12, tzinfo=UTC),
        "tuple[str, ...]": (text, text),
    }
    return made[plain]


TEXTS = ["something", "two\nlines", "\x1b[31mred", "\u202eback", "\u2028", "\ud800", "\u200b", "x" * 9000]


def test_there_are_errors_to_look_at() -> None:
    """
    Walking the package found them.
    """
    assert len(CONCRETE) > 30


def test_a_code_belongs_to_one_kind() -> None:
    """
    Scripts branch on it. A kind that states none is its parent to them.
    """
    codes = [kind.code for kind in KINDS if "code" in vars(kind)]

    assert sorted(codes) == sorted(set(codes))
    assert all(code == code.lower() and code.replace("-", "").isalnum() for code in codes)


@pytest.mark.parametrize("kind", CONCRETE, ids=lambda kind: kind.__name__)
def test_facts_are_json(kind: type[TrustregError]) -> None:
    """
    They go into ``--format json`` and admission messages as they are.
    """
    facts = sample(kind, "something").facts()

    assert json.loads(json.dumps(facts)) == facts
    assert set(facts) == {f.name for f in fields(kind)}  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", CONCRETE, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("text", TEXTS)
def test_a_sentence_stays_on_its_line(kind: type[TrustregError], text: str) -> None:
    """
    Names, ids and messages come from servers: none may start a line of its own, colour it, turn it round or fill a log.
    """
    error = sample(kind, text)

    assert str(error).isprintable()
    assert len(str(error)) <= 8 * 2001
    assert str(error).strip() == str(error) != ""
    assert not str(error).endswith((".", ".)"))
    assert error.facts() == sample(kind, text).facts()  # the facts are what they were


@pytest.mark.parametrize("kind", CONCRETE, ids=lambda kind: kind.__name__)
def test_a_remedy_is_a_sentence_or_none(kind: type[TrustregError]) -> None:
    """
    It never says how to weaken a check.
    """
    remedy = sample(kind, "something").remedy

    assert remedy is None or remedy.isprintable()
    assert "dangerous" not in (remedy or "")
    assert "skip" not in (remedy or "")

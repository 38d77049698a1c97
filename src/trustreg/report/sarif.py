"""Images in manifests as SARIF, for what shows findings beside the code.

Source: Static Analysis Results Interchange Format (SARIF) 2.1.0, OASIS Standard.
"""

from collections.abc import Sequence
from typing import Any, Final

from trustreg.errors import shown
from trustreg.manifests import Finding, Problem

UNPINNED: Final = "unpinned"


def sarif(found: Sequence[Finding], problems: Sequence[Problem], version: str, *, check: bool) -> dict[str, Any]:
    """Return a log of what is wrong with *found*, and of *problems*; with *check*, also of what is to be pinned."""
    results = []
    for one in found:
        place, error = one.place, one.result.error
        where = _location(place.file, place.line, place.column)
        if error is not None:
            level = "error" if not one.result.allowed else "warning" if one.result.mode == "warn" else "note"
            results.append(_result(error.code, level, f"{place.text}: {one.result.verdict}: {error}", where))
        if check and one.change:
            results.append(_result(UNPINNED, "error", f"{place.text} can be pinned: {one.change}", where))
    results += [_result(bad.error.code, "error", str(bad.error), _location(bad.file, bad.line, 1)) for bad in problems]
    rules = list(dict.fromkeys(result["ruleId"] for result in results))
    for result in results:
        result["ruleIndex"] = rules.index(result["ruleId"])
    driver = {"name": "trustreg", "version": version, "rules": [{"id": code, "name": _title(code)} for code in rules]}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "invocations": [{"executionSuccessful": not problems}],
        "results": results,
    }
    schema = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
    return {"$schema": schema, "version": "2.1.0", "runs": [run]}


def _result(code: str, level: str, message: str, where: dict[str, Any]) -> dict[str, Any]:
    return {"ruleId": code, "level": level, "message": {"text": shown(message)}, "locations": [where]}


def _location(file: str, line: int, column: int) -> dict[str, Any]:
    region = {"startLine": line, "startColumn": column}
    return {"physicalLocation": {"artifactLocation": {"uri": _uri(file)}, "region": region}}


def _uri(file: str) -> str:
    if file == "-":
        return "stdin"
    quoted = "".join(
        char if char.isascii() and (char.isalnum() or char in "/._~-") else _escaped(char) for char in file
    )
    return f"file://{quoted}" if file.startswith("/") else quoted.removeprefix("./")


def _escaped(char: str) -> str:
    return "".join(f"%{byte:02X}" for byte in char.encode("utf-8", "surrogateescape"))


def _title(code: str) -> str:
    return "".join(word.capitalize() for word in code.split("-"))

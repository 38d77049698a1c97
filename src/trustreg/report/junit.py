"""Images in manifests as JUnit has test cases, for what shows those of a pipeline.

Source: the schema that Jenkins and GitLab read, https://github.com/testmoapp/junitxml.
"""

from collections.abc import Sequence

from trustreg.errors import TrustregError
from trustreg.manifests import Finding, Problem
from trustreg.report.markup import Markup, element


def junit(found: Sequence[Finding], problems: Sequence[Problem], *, check: bool) -> str:
    """Return one test case for each of *found*, by file, and for each of *problems*.

    What is refused is a failure, and what could not be found out an error. With *check*, it is also a failure where
    something is to be pinned.
    """
    suites: dict[str, list[tuple[str, Markup]]] = {}
    for one in found:
        suites.setdefault(one.place.file, []).append(_case(one, check=check))
    for bad in problems:
        case = element("testcase", _wrong("error", bad.error), name=f"line {bad.line}", classname=bad.file)
        suites.setdefault(bad.file, []).append(("error", case))
    spelled = [
        element(
            "testsuite",
            *(part for _, case in cases for part in (_NEWLINE, case)),
            _NEWLINE,
            name=file,
            tests=len(cases),
            failures=sum(outcome == "failure" for outcome, _ in cases),
            errors=sum(outcome == "error" for outcome, _ in cases),
            skipped=0,
        )
        for file, cases in suites.items()
    ]
    lines = [part for suite in spelled for part in (_NEWLINE, suite)]
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{element("testsuites", *lines, name="trustreg")}\n'


def _case(one: Finding, *, check: bool) -> tuple[str, Markup]:
    place, result = one.place, one.result
    name = " ".join(filter(None, (place.object, place.container, place.text, f"(line {place.line})")))
    outcome, inside = "", Markup()
    if result.error is not None and not result.allowed:
        outcome = "failure" if result.verdict == "untrusted" else "error"
        inside = _wrong(outcome, result.error)
    elif check and one.change:
        outcome = "failure"
        inside = element("failure", type="unpinned", message=f"it can be pinned: {one.change}")
    elif result.error is not None:
        inside = element("system-out", f"{result.verdict}, and not enforced: {result.error}")
    return outcome, element("testcase", inside, name=name, classname=place.file)


def _wrong(kind: str, error: TrustregError) -> Markup:
    return element(kind, error.remedy or "", type=error.code, message=str(error))


_NEWLINE = Markup("\n")

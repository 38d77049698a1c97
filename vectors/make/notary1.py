"""Write vectors/notary1: whole collections in the Notary v1 spelling, at most one fault in each.

Nothing here asks trustreg what to expect. Collections come from :mod:`vectors.make.collection`; what has to come of
them, and every request on the way, is written down in ``scenarios/`` or follows from the simple order in
:mod:`vectors.make.scenario`. Keys, certificates and times are fixed, so a rerun changes nothing. What the Go client
made is in ``vectors/notary1/recorded``; :mod:`vectors.make.record_notary1` wrote it, once.

    python -m vectors.make.notary1 [FOLDER]
"""

import json
import sys
from pathlib import Path
from typing import Final

from vectors.make.scenario import Vector
from vectors.make.scenarios import (
    certificates,
    contents,
    delegations,
    documents,
    good,
    keys,
    members,
    pins,
    roots,
    signatures,
    versions,
)

FOLDER: Final = Path(__file__).parent.parent / "notary1"
SCENARIOS: Final = (
    good,
    keys,
    signatures,
    versions,
    contents,
    roots,
    certificates,
    pins,
    delegations,
    documents,
    members,
)


def make() -> dict[str, Vector]:
    """Return the vectors by name."""
    every = [named for scenarios in SCENARIOS for named in scenarios.make()]
    made = dict(sorted(every))
    if len(made) != len(every):
        raise ValueError("two vectors have one name")
    return made


def text(vector: Vector) -> str:
    """Return *vector* as its file has it."""
    return json.dumps(vector, indent=2, ensure_ascii=False) + "\n"


def main(folder: Path) -> None:
    """Write the vectors into *folder*, and remove those that are made no more."""
    vectors = make()
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob("*.json"):
        if stale.stem not in vectors:
            stale.unlink()
    for name, vector in vectors.items():
        (folder / f"{name}.json").write_text(text(vector), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else FOLDER)

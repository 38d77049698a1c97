"""Write vectors/tuf1: whole repositories in the TUF 1.0 spelling, at most one fault in each.

Nothing here asks trustreg what to expect. Repositories come from :mod:`vectors.make.tuf.repository`; what has to come
of them, and every request on the way, is written down in the modules of :mod:`vectors.make.tuf` or follows from the
simple order in :mod:`vectors.make.tuf.scenario`. Keys and times are fixed, so a rerun changes nothing.

    python -m vectors.make.tuf1 [FOLDER]
"""

import sys
from pathlib import Path
from typing import Final

from vectors.make.notary1 import text
from vectors.make.scenario import Vector
from vectors.make.tuf import contents, delegations, documents, good, kinds, roots, signatures, versions

FOLDER: Final = Path(__file__).parent.parent / "tuf1"
SCENARIOS: Final = (good, roots, kinds, signatures, versions, contents, delegations, documents)


def make() -> dict[str, Vector]:
    """Return the vectors by name."""
    every = [named for scenarios in SCENARIOS for named in scenarios.make()]
    names = [name for name, _ in every]
    if doubles := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"two vectors have one name: {sorted(doubles)}")
    return dict(sorted(every))


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

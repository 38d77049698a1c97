"""Ask skopeo 1.9.3 about vectors/simple-signing, and record what it says.

It says so at its own clock. It is run by hand, after vectors were added or changed; the interop tests compare.

    python -m vectors.make.record_skopeo
"""

import json

from tests.peers import docker_registry
from tests.vectors.signed import load
from tests.vectors.skopeo import reader
from vectors.make.simple_signing import FOLDER, RECORDED
from vectors.make.simple_signing import main as make


def main() -> None:
    """Record, and write the vectors with that."""
    make(FOLDER)
    with docker_registry() as registry, reader(registry) as people:
        text = json.dumps(people.verdicts(load()), indent=2)
    (RECORDED / "skopeo.json").write_text(text + "\n", "utf-8")
    make(FOLDER)


if __name__ == "__main__":
    main()

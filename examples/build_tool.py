"""A build tool that lets no unsigned base image in.

It reads a Dockerfile, asks trustreg what each FROM stands for, and writes the file again with the images pinned to the
digests that their publishers signed:

    python build_tool.py Dockerfile > Dockerfile.pinned

Stages that build on earlier ones, and ``scratch``, are left alone. Where a base image is refused, or an answer cannot
be had, nothing is written. Exit codes: 0 pinned, 1 refused, 2 the file or a name cannot be used, 3 could not find out.
"""

import re
import sys
from pathlib import Path

import trustreg


def pin(dockerfile: str, verifier: trustreg.Verifier) -> str:
    """Return *dockerfile* with every base image pinned to its signed digest.

    Raises:
        trustreg.UntrustedError: A base image is not what its publishers signed.
        trustreg.UnavailableError: An answer could not be had.
    """
    stages: set[str] = {"scratch"}

    def pinned(line: re.Match[str]) -> str:
        image, stage = line["image"], line["stage"]
        known = image in stages
        stages.add(stage or image)
        return line[0] if known else f"{line['before']}{verifier.verify(image).pinned}{line['after']}"

    return FROM.sub(pinned, dockerfile)


def main(arguments: list[str]) -> int:
    """Pin the Dockerfile that the arguments name."""
    if len(arguments) != 1:
        print("usage: build_tool.py DOCKERFILE", file=sys.stderr)
        return 2
    try:
        text = Path(arguments[0]).read_text()
        print(pin(text, trustreg.Verifier()), end="")
    except OSError as exc:
        print(f"build_tool: {exc}", file=sys.stderr)
        return 2
    except trustreg.TrustregError as exc:
        print(f"build_tool: {exc}", file=sys.stderr)
        refused = isinstance(exc, trustreg.UntrustedError)
        return 1 if refused else 2 if isinstance(exc, trustreg.InputError) else 3
    return 0


FROM = re.compile(
    r"^(?P<before>FROM\s+(?:--platform=\S+\s+)?)(?P<image>\S+)(?P<after>(?:\s+AS\s+(?P<stage>\S+))?\s*)$",
    re.MULTILINE | re.IGNORECASE,
)

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

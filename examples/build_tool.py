#!/usr/bin/env python3
"""
Pin the base images of a Dockerfile to the digests that their publishers signed, or refuse to build.

    python3 build_tool.py Dockerfile | docker build -f - .
    python3 build_tool.py --output Dockerfile.pinned Dockerfile

Nothing is written unless every image of a FROM line is trusted. Build arguments in them are filled in with their
defaults. ``--from=`` may only name a stage: an image that is fetched on the side has to have a FROM line of its own.

Exit codes: 1 an image is refused, 2 the Dockerfile is not understood, 3 it could not be found out.
Trust servers, pins and logins are those that the command ``trustreg`` uses; ``trustreg config show`` lists them.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

import trustreg


def main() -> int:
    parser = argparse.ArgumentParser(description="Pin the base images of a Dockerfile to signed digests.")
    parser.add_argument("dockerfile", type=Path)
    parser.add_argument("--output", type=Path, metavar="FILE", help="write there, not to stdout")
    options = parser.parse_args()
    try:
        text = options.dockerfile.read_text()
        names = base_images(text)
        verdicts = trustreg.Verifier().judge_all(names.values())
    except (OSError, ValueError, trustreg.InputError) as error:
        print(f"{options.dockerfile}: {error}", file=sys.stderr)
        return 2

    pinned = {}
    for at, verdict in zip(names, verdicts, strict=True):
        if isinstance(verdict, trustreg.Trusted):
            pinned[at] = verdict.pinned
            continue
        word = "refused" if isinstance(verdict, trustreg.Untrusted) else "could not find out"
        print(f"{options.dockerfile}: {word}: {verdict.error}", file=sys.stderr)
    if len(pinned) < len(names):
        return 1 if any(isinstance(verdict, trustreg.Untrusted) for verdict in verdicts) else 3

    for begin, end in sorted(pinned, reverse=True):
        text = text[:begin] + pinned[begin, end] + text[end:]
    if options.output:
        options.output.write_text(text)
    else:
        print(text, end="")
    return 0


def base_images(text: str) -> dict[tuple[int, int], str]:
    """Return the image of each FROM line by its place in *text*, without those that name an earlier stage."""
    defaults = dict(re.findall(r"(?im)^[ \t]*ARG[ \t]+(\w+)=[\"']?([^\s\"']+)", text))
    found, stages = {}, {"scratch"}
    for line in re.finditer(r"(?im)^[ \t]*FROM\b.*$", text):
        parts = _FROM.fullmatch(line[0])
        if not parts:
            raise ValueError(f"this line is not understood: {line[0]}")
        name = re.sub(r"\$\{?(\w+)\}?", lambda argument: defaults.get(argument[1], argument[0]), parts["image"])
        if name.lower() not in stages:
            found[line.start() + parts.start("image"), line.start() + parts.end("image")] = name
        stages |= {(parts["stage"] or "scratch").lower()}
    for side in re.finditer(r"--(?:from=|mount=\S*\bfrom=)([^\s,]+)", text):
        if side[1].lower() not in stages and not side[1].isdecimal():
            raise ValueError(f"give {side[1]} a FROM line and a stage of its own, and name that stage")
    return found


_FROM = re.compile(
    r"(?i)[ \t]*FROM[ \t]+(?:--platform=\S+[ \t]+)?(?P<image>[^\s#]+)(?:[ \t]+AS[ \t]+(?P<stage>[\w.-]+))?[ \t\r]*"
)

if __name__ == "__main__":
    sys.exit(main())

"""Write vectors/names: image references, digests, GUNs and role names, and what is none.

python -m vectors.make.names [FOLDER]
"""

import json
import sys
from pathlib import Path
from typing import Any, Final, TypeAlias

Table: TypeAlias = dict[str, Any]

FOLDER: Final = Path(__file__).parent.parent / "names"
HEX: Final = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
DIGEST: Final = f"sha256:{HEX}"
HEX512: Final = "ab" * 64


def make() -> dict[str, Table]:
    """Return the tables by name."""
    return {
        "references": {
            "comment": "image references, and the parts they have once they are normalised",
            "source": "distribution/reference: reference.go, normalize.go",
            "cases": [*_references(), *_refused(NO_REFERENCES)],
        },
        "digests": {
            "comment": "content digests",
            "source": "OCI image specification, descriptor, section Digests",
            "cases": [{"text": text, "expect": text} for text in (DIGEST, f"sha512:{HEX512}")] + _refused(NO_DIGESTS),
        },
        "guns": {
            "comment": "names of collections: one spelling in a URL, and safe as a folder",
            "source": "notary server/handlers/default.go; trustreg",
            "cases": [{"text": text, "expect": text} for text in GUNS] + _refused(NO_GUNS),
        },
        "roles": {
            "comment": "role names: true for a delegation, false for a top-level role",
            "source": "notary tuf/data/roles.go",
            "cases": [
                *({"text": text, "expect": False} for text in ("root", "targets", "snapshot", "timestamp")),
                *({"text": text, "expect": True} for text in ROLES),
                *_refused(NO_ROLES),
            ],
        },
    }


def text(table: Table) -> str:
    """Return *table* as its file has it."""
    return json.dumps(table, indent=2, ensure_ascii=True) + "\n"


def main(folder: Path) -> None:
    """Write the tables into *folder*, and remove those that are made no more."""
    tables = make()
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob("*.json"):
        if stale.stem not in tables:
            stale.unlink()
    for name, table in tables.items():
        (folder / f"{name}.json").write_text(text(table), "utf-8")


def _references() -> list[dict[str, Any]]:
    return [
        {
            "text": text,
            "expect": {
                "domain": domain,
                "path": path,
                "tag": tag,
                "digest": digest,
                "familiar": f"{domain}/{path}" + (f":{tag}" if tag else "") + (f"@{digest}" if digest else ""),
            },
        }
        for text, domain, path, tag, digest in REFERENCES
    ]


def _refused(cases: tuple[tuple[str, str], ...]) -> list[dict[str, Any]]:
    return [{"comment": comment, "text": text, "expect": {"error": "name"}} for text, comment in cases]


HUB: Final = "docker.io"
REFERENCES: Final = (
    ("alpine", HUB, "library/alpine", "latest", None),
    ("alpine:3.20", HUB, "library/alpine", "3.20", None),
    (f"alpine@{DIGEST}", HUB, "library/alpine", None, DIGEST),
    (f"alpine:3.20@{DIGEST}", HUB, "library/alpine", "3.20", DIGEST),
    (f"alpine@sha512:{HEX512}", HUB, "library/alpine", None, f"sha512:{HEX512}"),
    ("library/alpine", HUB, "library/alpine", "latest", None),
    ("docker.io/alpine", HUB, "library/alpine", "latest", None),
    ("docker.io/library/alpine:edge", HUB, "library/alpine", "edge", None),
    ("index.docker.io/alpine", HUB, "library/alpine", "latest", None),
    ("index.docker.io/team/app", HUB, "team/app", "latest", None),
    ("team/app", HUB, "team/app", "latest", None),
    ("a/b/c/d", HUB, "a/b/c/d", "latest", None),
    ("localhost/app", "localhost", "app", "latest", None),
    ("localhost:5000/app:v1", "localhost:5000", "app", "v1", None),
    ("localhost", HUB, "library/localhost", "latest", None),
    ("app:5000", HUB, "library/app", "5000", None),
    ("registry.example/team/app:v1", "registry.example", "team/app", "v1", None),
    ("registry.example:443/app", "registry.example:443", "app", "latest", None),
    ("REGISTRY.example/app", "REGISTRY.example", "app", "latest", None),
    ("Registry/app", "Registry", "app", "latest", None),
    ("registry/app", HUB, "registry/app", "latest", None),
    ("127.0.0.1:5000/app", "127.0.0.1:5000", "app", "latest", None),
    ("[::1]/app", "[::1]", "app", "latest", None),
    ("[::1]:5000/team/app:v1", "[::1]:5000", "team/app", "v1", None),
    ("[2001:db8::1]:5000/app", "[2001:db8::1]:5000", "app", "latest", None),
    ("xn--n3h.example/app", "xn--n3h.example", "app", "latest", None),
    ("a.b/c", "a.b", "c", "latest", None),
    ("x/a-b_c.d__e/f--g", HUB, "x/a-b_c.d__e/f--g", "latest", None),
    ("0/1:2", HUB, "0/1", "2", None),
    ("app:UPPER_lower.0-9", HUB, "library/app", "UPPER_lower.0-9", None),
    ("app:_", HUB, "library/app", "_", None),
    ("app:" + "t" * 128, HUB, "library/app", "t" * 128, None),
    (f"{HEX}:tag", HUB, f"library/{HEX}", "tag", None),
    (f"team/{HEX}", HUB, f"team/{HEX}", "latest", None),
    (HEX[:63], HUB, f"library/{HEX[:63]}", "latest", None),
    ("registry.example/" + "a" * 238, "registry.example", "a" * 238, "latest", None),
)
NO_REFERENCES: Final = (
    ("", "nothing"),
    (" ", "a blank"),
    (" alpine", "a blank before"),
    ("alpine ", "a blank after"),
    ("alpine\n", "a line break after"),
    ("al\u0000pine", "a zero byte"),
    ("Alpine", "a repository name is lower case"),
    ("library/Alpine", "a repository name is lower case"),
    ("registry.example/Team/app", "a repository name is lower case"),
    ("/alpine", "a slash before"),
    ("alpine/", "a slash after"),
    ("a//b", "two slashes"),
    ("registry.example/", "no repository"),
    ("registry.example/team/", "no repository"),
    ("localhost:5000/", "no repository"),
    ("-alpine", "a separator before"),
    ("alpine-", "a separator after"),
    ("al..pine", "two dots"),
    ("al___pine", "three underscores"),
    ("al.-pine", "two kinds of separators"),
    ("a/../b", "a step up"),
    ("./a", "a step nowhere"),
    ("../a", "a step up"),
    (":tag", "no repository before the tag"),
    (f"@{DIGEST}", "no repository before the digest"),
    ("alpine:", "an empty tag"),
    ("alpine@", "an empty digest"),
    ("alpine:-tag", "a tag begins with a letter, digit or underscore"),
    ("alpine:.tag", "a tag begins with a letter, digit or underscore"),
    ("alpine:tag:tag", "two tags"),
    ("alpine:ta g", "a blank in a tag"),
    ("alpine:t\u00e4g", "a letter that is not ASCII"),
    ("alpine:" + "t" * 129, "a tag of 129 characters"),
    ("\u00e4lpine", "a letter that is not ASCII"),
    ("alpine\uff0fapp", "a slash that is none"),
    (f"alpine@{DIGEST}@{DIGEST}", "two digests"),
    (f"alpine@{DIGEST}:tag", "the tag after the digest"),
    (f"alpine@{HEX}", "a digest without its algorithm"),
    (f"alpine@md5:{'0' * 32}", "an algorithm that binds nothing"),
    (f"alpine@sha256:{HEX[:63]}", "a digest that is too short"),
    (f"alpine@sha256:{HEX}0", "a digest that is too long"),
    (f"alpine@sha256:{HEX.upper()}", "a digest in capitals"),
    (HEX, "64 hex digits name an image id"),
    ("https://registry.example/app", "a URL"),
    ("user@registry.example/app", "a user"),
    ("registry.example:port/app", "a port that is no number"),
    ("registry.example:123456/app", "a port of six digits"),
    ("-registry.example/app", "a host begins with a letter or digit"),
    ("registry-.example/app", "a label ends with a letter or digit"),
    ("registry..example/app", "an empty label"),
    ("regi_stry.example/app", "an underscore in a host"),
    ("[::1/app", "a bracket that does not close"),
    ("[::g]/app", "a letter that is no hex digit"),
    ("registry.example/" + "a" * 239, "a name of 256 characters"),
    ("a/" * 2000 + "a", "a name that never ends"),
)
NO_DIGESTS: Final = (
    ("", "nothing"),
    ("sha256", "no colon"),
    ("sha256:", "no digits"),
    (HEX, "no algorithm"),
    (f"SHA256:{HEX}", "an algorithm in capitals"),
    (f"sha256:{HEX.upper()}", "digits in capitals"),
    (f"sha256:{HEX[:-1]}", "a digit missing"),
    (f"sha256:{HEX}0", "a digit more"),
    (f"sha256:{HEX[:-1]}g", "a letter that is no digit"),
    (f"sha256:{HEX}\n", "a line break after"),
    (f" sha256:{HEX}", "a blank before"),
    (f"sha256:{HEX[:-1]}\u0660", "a digit that is not ASCII"),
    (f"sha512:{HEX}", "too short for sha512"),
    (f"sha256:{HEX512}", "too long for sha256"),
    (f"sha1:{'0' * 40}", "an algorithm that is broken"),
    (f"sha256:sha256:{HEX}", "the algorithm twice"),
)
GUNS: Final = (
    "docker.io/library/alpine",
    "localhost:5000/app",
    "a",
    "Team/App",
    "team/\u00fcber",
    "app_with-all.of+them~",
    "a:b",
    "a@b",
    "...",
    "a/.b",
    "trust/_trusted",
    "g" * 255,
)
NO_GUNS: Final = (
    ("", "nothing"),
    ("/", "empty parts"),
    ("/a", "an empty part"),
    ("a/", "an empty part"),
    ("a//b", "an empty part"),
    (".", "a step nowhere"),
    ("..", "a step up"),
    ("a/../b", "a step up"),
    ("a/./b", "a step nowhere"),
    ("_trust", "the server's own part"),
    ("a/_trust/tuf", "the server's own part"),
    ("a*", "a pattern"),
    ("a\\b", "a backslash"),
    ("a%2Fb", "an escape"),
    ("a?b", "a query"),
    ("a#b", "a fragment"),
    ("a b", "a blank"),
    ("a\tb", "a tab"),
    ("a\nb", "a line break"),
    ("a\u0000", "a zero byte"),
    ("a\u007f", "a control character"),
    ("a\u202eb", "a mark that turns text round"),
    ("a\u00a0b", "a blank that does not break"),
    ("a\ud800", "half a character"),
    ("g" * 256, "256 bytes"),
    ("\u00fc" * 128, "256 bytes"),
)
ROLES: Final = (
    "targets/releases",
    "targets/a/b/c",
    "targets/0",
    "targets/-",
    "targets/_",
    "targets/a-b_c",
    "targets/root",
    "targets/targets",
    "targets/" + "a" * 247,
)
NO_ROLES: Final = (
    ("", "nothing"),
    ("Root", "in capitals"),
    ("targets/", "an empty part"),
    ("targets//a", "an empty part"),
    ("targets/a/", "an empty part"),
    ("/targets/a", "an empty part"),
    ("targets/A", "in capitals"),
    ("targets/.", "a step nowhere"),
    ("targets/..", "a step up"),
    ("targets/a.json", "a dot"),
    ("targets/a b", "a blank"),
    ("targets/a\n", "a line break after"),
    ("targets/\u00e4", "a letter that is not ASCII"),
    ("targets\\a", "a backslash"),
    ("targets%2Fa", "an escape"),
    ("root/a", "below another role"),
    ("snapshot/a", "below another role"),
    ("releases", "below none"),
    ("targets/*", "a pattern"),
    ("targets/" + "a" * 248, "256 bytes"),
)

if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else FOLDER)

"""The main job on real images: pushed by skopeo into a real registry behind a password, signed, verified, refused."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped,unused-ignore]

import trustreg
from tests.interop.conftest import TRUST_SERVERS
from tests.peers import DOCKER, OCI, Skopeo, docker_registry, image, index, notary_server, write_docker_config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from scripts.images import Family, Image
    from tests.peers import Authority, Peer, RegistryPeer, Trustreg
    from tests.peers.command import Result

    People = Callable[..., Trustreg]


class Shop:
    """A repository of a registry, the person who signs in it, and skopeo to push to it."""

    def __init__(self, registry: RegistryPeer, person: Trustreg, path: str) -> None:
        self.registry, self.person, self.path = registry, person, path
        self.gun = f"{registry.host}/{path}"
        self.skopeo = Skopeo(registry)
        write_docker_config(person.docker_config, registry.login())

    def push(self, tag: str, what: Image | None = None) -> Image:
        """Push *what*, or an image that is only called *tag*."""
        what = what or image(tag)
        self.skopeo.push(what, f"{self.path}:{tag}")
        return what

    def signed(self, tag: str, what: Image | None = None) -> Image:
        """Push and sign."""
        what = self.push(tag, what)
        self.person.run("sign", f"{self.gun}:{tag}")
        return what

    def verify(self, *names: str, options: tuple[str, ...] = ()) -> Result:
        """Verify what *names* say of the repository: ``:tag``, ``@digest`` or both."""
        return self.person.run("verify", *options, *(f"{self.gun}{name}" for name in names), check=False)


@pytest.fixture
def shop(trust_server: Peer, registry: RegistryPeer, people: People, gun: str) -> Shop:
    """A repository whose collection has begun."""
    shop = Shop(registry, people(trust_server), gun.partition("/")[2])
    shop.person.run("init", shop.gun)
    return shop


def refused(result: Result, sentence: str) -> None:
    """Require exit 1, nothing on stdout, and one sentence on stderr."""
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == f"trustreg: refused: {sentence}\n"


def unknown(result: Result, *words: str) -> None:
    """Require exit 3, nothing on stdout, and one sentence on stderr, with perhaps a remedy."""
    assert (result.returncode, result.stdout) == (3, "")
    first, *rest = result.stderr.splitlines()
    assert first.startswith("trustreg: could not find out: ")
    assert all(word in first for word in words), first
    assert all(line.startswith("  remedy: ") for line in rest)
    assert len(rest) <= 1


def test_signed_verified_moved_refused(shop: Shop) -> None:
    """
    By tag, by digest, by both; refused once the tag moves, though the digest that was signed is still good.
    """
    first = shop.push("1.0")
    refused(shop.verify(":1.0"), f"{shop.gun}:1.0 is not signed in targets/releases or targets")

    shop.person.run("sign", f"{shop.gun}:1.0")

    for name in (":1.0", f"@{first.digest}", f":1.0@{first.digest}"):
        result = shop.verify(name)
        assert (result.returncode, result.stderr) == (0, "")
        assert result.stdout.startswith(f"{shop.gun}@{first.digest}  tag 1.0 signed by targets (key ")

    moved = shop.push("1.0", image("other bytes"))
    served = f"but the registry serves {moved.digest}"
    refused(shop.verify(":1.0"), f"{shop.gun}:1.0 is signed as {first.digest}, {served}")
    refused(shop.verify(f":1.0@{moved.digest}"), f"{shop.gun}:1.0 is signed as {first.digest}, {served}")
    refused(shop.verify(f"@{moved.digest}"), f"{shop.gun}@{moved.digest} is not signed in targets/releases or targets")
    assert shop.verify(f"@{first.digest}").returncode == 0
    assert shop.verify(":1.0", options=("--no-registry",)).stdout.startswith(f"{shop.gun}@{first.digest}  ")

    shop.person.run("sign", f"{shop.gun}:1.0")
    assert shop.verify(":1.0").stdout.startswith(f"{shop.gun}@{moved.digest}  ")
    refused(shop.verify(f"@{first.digest}"), f"{shop.gun}@{first.digest} is not signed in targets/releases or targets")


def test_signing_what_the_digest_says(shop: Shop) -> None:
    """
    A tag that moved between build and signing is not signed when the digest that was built is given, too.
    """
    built, moved = image("built"), shop.push("1.0", image("moved"))

    result = shop.person.run("sign", f"{shop.gun}:1.0@{built.digest}", check=False)

    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == (
        f"trustreg: {shop.gun}:1.0 is signed as {built.digest}, but the registry serves {moved.digest}\n"
    )
    refused(shop.verify(":1.0"), f"{shop.gun}:1.0 is not signed in targets/releases or targets")


@pytest.mark.parametrize("family", [OCI, DOCKER], ids=["oci", "docker"])
@pytest.mark.parametrize("make", [image, index], ids=["manifest", "index"])
def test_all_families_of_media_types(shop: Shop, family: Family, make: Callable[[str, Family], Image]) -> None:
    """
    OCI and Docker, manifests and indexes: what is signed is the digest of the very bytes that the registry has.
    """
    pushed = shop.signed("1.0", make("seed", family))

    found = shop.person.verifier().verify(f"{shop.gun}:1.0")

    assert (str(found.digest), found.length, found.compared) == (pushed.digest, pushed.size, True)
    assert shop.skopeo.raw_manifest(f"{shop.path}@{found.digest}") == pushed.manifest.raw
    for part in pushed.images:  # one platform of a signed index is not signed by itself
        refused(
            shop.verify(f"@{part.digest}"), f"{shop.gun}@{part.digest} is not signed in targets/releases or targets"
        )


def test_an_image_that_is_signed_and_gone(shop: Shop) -> None:
    """
    Deleted from the registry, a signed tag is refused; the digest that was signed is still what was signed.
    """
    pushed = shop.signed("1.0")
    shop.skopeo.delete(f"{shop.path}:1.0")

    refused(shop.verify(":1.0"), f"the registry has no {shop.gun}:1.0")
    assert shop.verify(f"@{pushed.digest}").returncode == 0


def test_a_collection_that_nobody_began(trust_server: Peer, registry: RegistryPeer, people: People, gun: str) -> None:
    """
    A trust server that answers and knows nothing of the repository is a no.
    """
    shop = Shop(registry, people(trust_server), gun.partition("/")[2])
    shop.push("1.0")

    refused(shop.verify(":1.0"), f"{trust_server.url} has no trust data for {shop.gun}")


def test_a_registry_that_is_down(people: People, trust_server: Peer, gun: str) -> None:
    """
    A registry that is down is a don't know by tag; by digest, and without the registry, it is not needed.
    """
    with docker_registry(htpasswd={"alice": "pw"}) as registry:
        shop = Shop(registry, people(trust_server), gun.partition("/")[2])
        shop.person.run("init", shop.gun)
        pushed = shop.signed("1.0")
        with registry.down():
            unknown(shop.verify(":1.0"), registry.host, "cannot be reached")
            assert shop.verify(f"@{pushed.digest}").returncode == 0
            assert shop.verify(":1.0", options=("--no-registry",)).returncode == 0
            unsigned = shop.verify(":2.0")
        assert shop.verify(":1.0").returncode == 0
    refused(unsigned, f"{shop.gun}:2.0 is not signed in targets/releases or targets")


@pytest.mark.parametrize("make", TRUST_SERVERS.values(), ids=TRUST_SERVERS)
def test_a_trust_server_that_is_down(make: Callable[[], Any], registry: RegistryPeer, people: People, gun: str) -> None:
    """
    A trust server that is down is a don't know, unless a grace was allowed; which is said, ends, and covers neither
    what was never read nor what moved.
    """
    with make() as server:
        shop = Shop(registry, people(server), gun.partition("/")[2])
        shop.person.run("init", shop.gun)
        pushed, moved = shop.signed("1.0"), shop.signed("2.0")
        shop.push("2.0", image("other"))
        assert shop.verify(":1.0").returncode == 0
        stranger = people(server)
        server.stop()  # it is not to come back: a notary-server would have forgotten everything
        grace = ("--offline-grace", "2h")

        unknown(shop.verify(":1.0"), server.url, "cannot be reached")
        allowed = shop.verify(":1.0", f"@{pushed.digest}", options=grace)
        assert allowed.returncode == 0
        assert [line.partition("  ")[0] for line in allowed.stdout.splitlines()] == [f"{shop.gun}@{pushed.digest}"] * 2
        assert f"the trust server of {shop.gun} cannot be reached; this is as of 20" in allowed.stderr
        refused_line = f"trustreg: refused: {shop.gun}:2.0 is signed as {moved.digest}"
        still = shop.verify(":2.0", options=grace)
        assert (still.returncode, still.stdout) == (1, "")
        assert still.stderr.startswith(refused_line)
        unknown(shop.verify(":1.0", options=("--offline-grace", "0s")), server.url)
        never_read = stranger.run("verify", "--no-registry", *grace, f"{shop.gun}:1.0", check=False)
        unknown(never_read, server.url, "cannot be reached")

        for later, ends in ((timedelta(hours=1), False), (timedelta(hours=3), True)):
            clock = datetime.now(UTC) + later
            verifier = shop.person.verifier(offline_grace=timedelta(hours=2), clock=lambda clock=clock: clock)
            verdict = verifier.judge(f"{shop.gun}:1.0")
            assert isinstance(verdict, trustreg.Unknown) is ends


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get("TRUSTREG_FULL"), reason="waits for a timeout; TRUSTREG_FULL=1 runs it")
def test_a_trust_server_that_hangs(registry: RegistryPeer, people: People, gun: str) -> None:
    """
    A trust server that accepts and says nothing is unreachable, in bounded time.
    """
    with notary_server() as server:
        shop = Shop(registry, people(server), gun.partition("/")[2])
        shop.person.run("init", shop.gun)
        shop.signed("1.0")
        with server.paused():
            unknown(shop.verify(":1.0"), server.url)
        assert shop.verify(":1.0").returncode == 0


@pytest.mark.parametrize(
    "login",
    [("alice", "n0t-hers"), ("mallory", "correct horse"), None],
    ids=["password", "user", "none"],
)
def test_wrong_credentials(shop: Shop, login: tuple[str, str] | None) -> None:
    """
    A registry that lets us not in is a don't know, with the remedy; no password is ever shown.
    """
    shop.signed("1.0")
    write_docker_config(shop.person.docker_config, {shop.registry.host: login} if login else {})

    result = shop.verify(":1.0", options=("-v",))

    assert (result.returncode, result.stdout) == (3, "")
    *requests, sentence, remedy = result.stderr.splitlines()
    assert all(line.startswith(("GET ", "  ")) for line in requests)
    assert sentence.startswith("trustreg: could not find out: ")
    assert shop.registry.host in sentence
    assert remedy.startswith("  remedy: ")
    assert "docker login" in remedy
    assert "n0t-hers" not in result.stderr
    assert "correct horse" not in result.stderr
    assert shop.person.run("sign", f"{shop.gun}:1.0", check=False).returncode == 3


def test_no_secret_is_printed(shop: Shop) -> None:
    """
    ``-v`` shows each request and its outcome, and neither the password nor its base64.
    """
    shop.push("1.0")
    said = [
        shop.person.run(*words).stderr
        for words in (
            ("sign", "-v", f"{shop.gun}:1.0"),
            ("verify", "-v", f"{shop.gun}:1.0"),
            ("list", "-v", shop.gun),
        )
    ]

    (user, password) = shop.registry.login()[shop.registry.host]
    auth = json.loads((shop.person.docker_config / "config.json").read_text())["auths"][shop.registry.host]["auth"]
    assert user
    for text in said:
        assert password not in text
        assert auth not in text
        assert all(line.startswith(("GET http", "POST http")) for line in text.splitlines())
    assert f"http://{shop.registry.host}/v2/{shop.path}/manifests/1.0: 401" in said[1]
    assert f"http://{shop.registry.host}/v2/{shop.path}/manifests/1.0: 200" in said[1]
    assert "POST " in said[0]


def test_several_images_at_once(shop: Shop, people: People, trust_server: Peer) -> None:
    """
    Verdicts come in the order of the images, whatever takes how long; a refusal is exit 1 even beside a don't know.
    """
    tags = [f"1.{number}" for number in range(6)]
    digests = {tag: shop.push(tag).digest for tag in tags}
    shop.person.run("sign", *(f"{shop.gun}:{tag}" for tag in tags))
    down = f"127.0.0.1:9/{shop.path}:1.0"  # the discard port: nobody listens
    good = [f"{shop.gun}:{tag}" for tag in tags]

    result = shop.person.run("verify", *good)
    assert [line.split("  ")[0] for line in result.stdout.splitlines()] == [f"{shop.gun}@{digests[t]}" for t in tags]
    assert result.stderr == ""

    mixed = [good[3], f"{shop.gun}:none", good[0], down, good[5]]
    result = shop.person.run("verify", "--format", "json", *mixed, check=False)
    verdicts = json.loads(result.stdout)["verdicts"]
    assert [each["image"] for each in verdicts] == mixed
    assert [each["verdict"] for each in verdicts] == ["trusted", "untrusted", "trusted", "untrusted", "trusted"]
    assert result.returncode == 1

    other = people(trust_server)
    other.config.write_text(
        shop.person.config.read_text() + '\n[[registry]]\nmatch = "127.0.0.1:9"\nserver = "http://127.0.0.1:9"\n'
    )
    write_docker_config(other.docker_config, shop.registry.login())
    for names, code in ((mixed, 1), ([good[0], down], 3), ([down, good[0]], 3), (good, 0)):
        assert other.run("verify", *names, check=False).returncode == code
    verdicts = other.json("verify", *mixed, check=False)["verdicts"]
    assert [each["verdict"] for each in verdicts] == ["trusted", "untrusted", "trusted", "unknown", "trusted"]


def test_json_has_the_published_form(shop: Shop) -> None:
    """
    What each command prints as JSON is what its schema says, for each kind of outcome.
    """
    pushed, person = shop.signed("1.0"), shop.person
    shop.push("1.0", image("other"))
    shop.push("2.0")

    staged = person.json("sign", "--no-publish", f"{shop.gun}:2.0")
    assert staged["staged"][0] == {
        "gun": shop.gun,
        "action": "add",
        "role": "targets",
        "tag": "2.0",
        "length": image("2.0").size,
        "hashes": {"sha256": image("2.0").manifest.hex},
    }
    published = person.json("publish", shop.gun)
    schema("published", published)
    assert published["published"][0]["versions"]["targets"] == 3
    schema("published", person.json("publish", shop.gun))  # nothing to publish
    mixed = person.json(
        "verify",
        *(f"{shop.gun}{name}" for name in (":2.0", ":1.0", ":none", f"@{pushed.digest}")),
        "127.0.0.1:9/nobody/there:1",
        "--server",
        shop_server(person),
        check=False,
    )
    schema("verify", mixed)
    assert [each.get("error", {}).get("code") for each in mixed["verdicts"]] == [
        None,
        "moved",
        "unsigned",
        None,
        "no-trust-data",
    ]
    trusted = mixed["verdicts"][0]
    assert trusted["pinned"] == f"{shop.gun}@{image('2.0').digest}"
    assert (trusted["firstUse"], trusted["registryCompared"], trusted["staleSince"]) == (False, True, None)
    for command, name, tags in (("list", shop.gun, {"1.0", "2.0"}), ("inspect", f"{shop.gun}:1.0", {"1.0"})):
        found = person.json(command, name)
        schema("contents", found)
        assert {tag["tag"] for tag in found["tags"]} == tags
    schema("published", staged)
    schema("published", person.json("remove", f"{shop.gun}:1.0"))


@contextmanager
def private_hosts(authority: Authority, make: Callable[..., Any]) -> Iterator[tuple[Peer, RegistryPeer]]:
    """Run a trust server and a registry whose certificates no system knows."""
    with make(tls=authority) as server, docker_registry(htpasswd={"alice": "pw"}, tls=authority) as registry:
        yield server, registry


@pytest.mark.parametrize("make", TRUST_SERVERS.values(), ids=TRUST_SERVERS)
def test_private_certificate_authorities(
    make: Callable[..., Any], authority: Authority, people: People, gun: str, tmp_path: Path
) -> None:
    """
    Registry and trust server of a private CA: refused as unknown; then trusted by Docker's and podman's folders, by
    ``--ca``, and by a configuration file. ``DOCKER_CONTENT_TRUST_SERVER`` names the server as it does for Docker.
    """
    with private_hosts(authority, make) as (server, registry):
        shop = Shop(registry, people(server), gun.partition("/")[2])
        person = shop.person
        shop.person.run("init", shop.gun)  # by the configuration file
        pushed = shop.signed("1.0")
        assert shop.verify(":1.0").stdout.startswith(f"{shop.gun}@{pushed.digest}  ")

        person.config.write_text(f'trust_dir = "{person.trust_dir}"')
        person.env["DOCKER_CONTENT_TRUST_SERVER"] = server.url
        person.env["DOCKER_CONFIG"] = str(person.docker_config)
        unknown(shop.verify(":1.0"), server.url, "no trusted TLS connection")

        assert shop.verify(":1.0", options=("--ca", str(authority.ca_file))).returncode == 0
        docker = person.docker_config / "tls"
        put(authority.ca_file, docker / server.host)
        unknown(shop.verify(":1.0"), registry.host, "no trusted TLS connection")
        assert shop.verify(f"@{pushed.digest}").returncode == 0

        containers = person.home / ".config" / "containers" / "certs.d"
        put(authority.ca_file, containers / registry.host)
        assert shop.verify(":1.0").returncode == 0
        shutil.rmtree(containers)
        put(authority.ca_file, docker / registry.host)
        assert shop.verify(":1.0").returncode == 0

        stranger = type(authority)(tmp_path / "stranger").ca_file
        unknown(shop.verify(":1.0", options=("--ca", str(stranger))), server.url, "no trusted TLS connection")


def put(ca_file: Path, folder: Path) -> None:
    """Put a CA where Docker and podman look for it."""
    folder.mkdir(parents=True)
    shutil.copy(ca_file, folder / "ca.crt")


def schema(name: str, document: Any) -> None:
    """Require *document* to be as the schema *name* of the package says."""
    found = json.loads(files("trustreg").joinpath("schemas", f"{name}.schema.json").read_text())
    Draft202012Validator.check_schema(found)
    Draft202012Validator(found).validate(document)


def shop_server(person: Trustreg) -> str:
    """Give the trust server that *person* has configured."""
    return next(line.split('"')[1] for line in person.config.read_text().splitlines() if line.startswith("server"))

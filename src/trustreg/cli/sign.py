"""``trustreg sign``: into a collection, or by one key and without any."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trustreg.cli.finish import finish, no_publish_option
from trustreg.cli.options import IMAGE, as_format, gpg_home_option, roles_option, writing
from trustreg.cli.progress import progress
from trustreg.cli.render import complain, print_json, say, spell_error

if TYPE_CHECKING:
    from trustreg.attaching import Attaching, By
    from trustreg.names import Reference
    from trustreg.signing import Signed, SignedManifest
    from trustreg.wire import Wiring


@click.command(short_help="Sign what the registry holds under a tag.")
@click.argument("images", type=IMAGE, nargs=-1, required=True, metavar="IMAGE...")
@click.option("--gpg", metavar="KEY", help="Sign with this GPG key: fingerprint, key id, or the name or address in it.")
@gpg_home_option
@click.option("--key", metavar="KEY", help="Sign with this key: a file, an id as `key list` shows it, or a signer URI.")
@click.option(
    "--public", type=click.Path(path_type=Path), metavar="FILE", help="The public key, PEM, of the URI of --key."
)
@click.option("--to", metavar="PLACE", help="With a key: where the signature goes, tag, referrers, lookaside:DIR, ...")
@click.option("--identity", metavar="NAME", help="With a key: sign as this name, not as that of IMAGE.")
@click.option("--index-only", is_flag=True, help="With a key: of an index, do not sign the images that it lists.")
@click.option("--recursive", type=bool, default=True, metavar="BOOLEAN", help="The same, as --recursive=false.")
@roles_option
@no_publish_option
@as_format
@writing
def sign(
    wiring: Wiring, /, images: tuple[Reference, ...], roles: tuple[str, ...], as_: str, *, no_publish: bool, **by: Any
) -> None:
    """Sign what the registry holds under the tag of each IMAGE now.

    Without a key it is signed into the collection of the repository, and that is published: on a trust server in every
    delegation of targets whose key is here, or else in targets, as Docker does.

    With --gpg or --key there is no collection and no trust server: a signature of the digest is kept beside the image,
    as other tools know it. That of a GPG key goes where registries.d says, that of another key into the registry, in
    cosign's place and form. Each image that an index lists is signed along with it. A good signature that is there
    already is not added again.

    \b
    Examples:
      trustreg sign registry.example/team/app:1.0
      trustreg sign --no-publish registry.example/team/app:1.0 registry.example/team/app:latest
      trustreg sign --key release.pem registry.example/team/app:1.0
      trustreg sign --gpg release@team.example --to lookaside:/srv/signatures registry.example/team/app:1.0
    """
    if by["gpg"] is None and by["key"] is None:
        if any((by["gpg_home"], by["public"], by["to"], by["identity"], by["index_only"], not by["recursive"])):
            raise click.UsageError("Say which key signs, with --gpg or --key; a collection needs none of that.")
        _into_collection(wiring, images, roles, as_, no_publish=no_publish)
        return
    if by["gpg"] is not None and by["key"] is not None:
        raise click.UsageError("One key signs: --gpg or --key. For signatures of both, sign twice.")
    if roles or no_publish:
        raise click.UsageError("--role and --no-publish are for collections: with a key there is none.")
    _beside(wiring, images, as_, **by)


def _into_collection(
    wiring: Wiring, images: tuple[Reference, ...], roles: tuple[str, ...], as_: str, *, no_publish: bool
) -> None:
    publisher, now = wiring.publisher(), wiring.now()
    with progress(_signing(images)):
        named = [wiring.logical(image) for image in images]
        changes = [(image.gun, change) for image in named for change in publisher.additions(image, wiring, now, roles)]
    finish(wiring, changes, as_, no_publish=no_publish)


def _beside(
    wiring: Wiring,
    images: tuple[Reference, ...],
    as_: str,
    *,
    to: str | None,
    identity: str | None,
    index_only: bool,
    recursive: bool,
    **by: Any,
) -> None:
    from trustreg.attaching import Attaching, By

    done: list[Signed] = []
    try:
        with progress(_signing(images)), Attaching(wiring, By(**by), to) as work:
            _tell(work, By(**by))
            for image in images:
                signed = work.sign(image, wiring.now(), identity, recursive=recursive and not index_only)
                done.append(signed)
    finally:  # what was signed was signed, whatever became of the rest
        if as_ == "json" and done:
            print_json({"signed": [_spell(each) for each in done]})
        for each in done:
            _print(each, as_)


def _tell(work: Attaching, by: By) -> None:
    """Say which GPG key was taken, where it was not named by its fingerprint."""
    if by.gpg and by.gpg.replace(" ", "").upper() != work.called.partition(" ")[0]:
        say(f"trustreg: signing with GPG key {work.called}", err=True)


def _print(signed: Signed, as_: str) -> None:
    by = f"by GPG key {signed.key}" if signed.gpg else f"by key {signed.key[:12]}"
    repository = signed.pinned.partition("@")[0]
    for one in signed.manifests if as_ == "text" else ():
        word = "signed" if one.added else "signed already"
        say(f"{repository}@{one.digest}  {word} as {one.name} {by}, in {one.where}")
    if signed.problem:
        complain(signed.problem, "trustreg: meanwhile")


def _spell(signed: Signed) -> dict[str, Any]:
    """Return *signed* as ``schemas/signed.schema.json`` has it."""
    return {
        "image": signed.image,
        "pinned": signed.pinned,
        "digest": str(signed.digest),
        "key": signed.key,
        "keyKind": "gpg" if signed.gpg else "plain",
        "place": signed.place,
        "manifests": [_spell_manifest(one) for one in signed.manifests],
        "problem": spell_error(signed.problem) if signed.problem else None,
    }


def _spell_manifest(one: SignedManifest) -> dict[str, Any]:
    return {"digest": str(one.digest), "name": one.name, "where": one.where, "added": one.added}


def _signing(images: tuple[Reference, ...]) -> str:
    return f"signing {len(images)} image{'s' * (len(images) > 1)}"

"""People write down where a collection is kept, and it is clear what they mean or why not."""

from __future__ import annotations

import pytest

from trustreg.errors import SettingError
from trustreg.io.stores.place import Place
from trustreg.names import Gun

APP = Gun("registry.example/team/äpp")


@pytest.mark.parametrize(
    ("text", "of", "gun"),
    [
        ("dir:/srv/trust", "dir:/srv/trust", "dir:/srv/trust"),
        ("dir:/srv//trust/", "dir:/srv//trust/", "dir:/srv/trust"),
        ("dir:/srv/{gun}/tuf", "dir:/srv/registry.example/team/äpp/tuf", None),
        ("https://repo.example/tuf/", "https://repo.example/tuf", "https:repo.example/tuf"),
        ("https://repo.example:8443/{gun}", "https://repo.example:8443/registry.example/team/%C3%A4pp", None),
        ("http://127.0.0.1:80", "http://127.0.0.1:80", "http:127.0.0.1:80"),
        ("s3://bucket", "s3://bucket", "s3:bucket"),
        ("s3://bucket/a/{gun}", "s3://bucket/a/registry.example/team/äpp", None),
        ("gs://bucket/a", "gs://bucket/a", "gs:bucket/a"),
        ("az://container/a", "az://container/a", "az:container/a"),
        (
            "oci:registry.example:5000/trust/app",
            "oci:registry.example:5000/trust/app",
            "oci:registry.example:5000/trust/app",
        ),
        ("oci:alpine", "oci:docker.io/library/alpine", "oci:docker.io/library/alpine"),
    ],
)
def test_a_place_is_what_it_says(text: str, of: str, gun: str | None) -> None:
    """For one collection, with a name of its own, or for any number of them."""
    place = Place.parse(text)

    assert str(place.of(APP)) == of
    assert place.shared is (gun is None)
    if gun:
        assert str(place.gun) == gun
        return
    with pytest.raises(SettingError, match="many"):
        _ = place.gun


def test_a_collection_may_be_kept_with_its_images() -> None:
    """That is what ``oci:`` alone means, and what a name that is none in a registry cannot be."""
    place = Place.parse("oci:")

    assert place == Place.parse("oci:{gun}")
    assert str(place.of(Gun("registry.example:5000/app"))) == "oci:registry.example:5000/app"
    with pytest.raises(SettingError, match="lower case"):
        place.of(Gun("registry.example/App"))


def test_a_relative_folder_is_named_after_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """From elsewhere the same words mean another one."""
    monkeypatch.chdir("/tmp")
    assert str(Place.parse("dir:trust").gun) == "dir:/tmp/trust"


@pytest.mark.parametrize(
    "text",
    [
        *("", "trust", "/srv/trust", "dir:", "dir:a\nb", "dir:{gun", "dir:{name}", "ftp://host/x", "file:///x"),
        *("s3:bucket", "s3://", "s3:///x", "https:host", "https://", "https://u:p@host/x", "https://ho st/"),
        *("https://host/a//b", "https://host/../x", "https://host/x?y", "https://host/x#y"),
        *("oci:App", "oci:a:1", "oci:r/a@sha256:0", "oci://r/a"),
    ],
)
def test_anything_else_is_no_place(text: str) -> None:
    """It says what it should be, and shows no password."""
    with pytest.raises(SettingError) as caught:
        Place.parse(text, "--store")

    assert caught.value.source == "--store"
    assert "u:p" not in str(caught.value)


def test_not_every_place_makes_a_name() -> None:
    """Then somebody has to name the collection."""
    with pytest.raises(SettingError, match="named after"):
        _ = Place.parse("dir:/srv/our trust").gun

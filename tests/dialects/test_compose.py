"""Images in Compose files."""

from __future__ import annotations

from typing import Any

import pytest

from trustreg.dialects.compose import Elsewhere, images, is_compose
from trustreg.dialects.kubernetes import Found
from trustreg.errors import FormatError


def test_what_services_name() -> None:
    """
    The image of each service, image volumes too, with variables as they stand; what is built is no image yet.
    """
    file = {
        "services": {
            "web": {"image": "app:${TAG}", "volumes": ["a:/b", {"type": "image", "source": "data:1", "target": "/c"}]},
            "a/b": {"image": "db:2", "build": "."},
            "built": {"build": {"context": "."}},
            "override": {"ports": ["80"]},
            "same": {"extends": "web"},
            "also": {"extends": {"service": "web"}},
            "null": None,
        }
    }

    assert is_compose(file)
    assert (
        (
            Found(pointer="/services/web/image", image="app:${TAG}", group="services", name="web"),
            Found(pointer="/services/web/volumes/1/source", image="data:1", group="volumes", name="web"),
            Found(pointer="/services/a~1b/image", image="db:2", group="services", name="a/b"),
        ),
        (),
    ) == images(file)


def test_what_other_files_decide() -> None:
    """
    Is said to be unknown, and not passed over.
    """
    file = {
        "include": ["other.yaml"],
        "services": {
            "a": {"extends": {"service": "b", "file": "c.yaml"}},
            "b": {"extends": "gone"},
            "c": {"extends": {"service": "b", "file": "c.yaml"}, "image": "own"},
        },
    }

    found, elsewhere = images(file)

    assert ["/services/c/image"] == [one.pointer for one in found]
    assert (
        Elsewhere(pointer="/include", what="include", problem="other files belong to this one"),
        Elsewhere(
            pointer="/services/a/extends", what="service a", problem="what it extends, b of c.yaml, is not in this file"
        ),
        Elsewhere(
            pointer="/services/b/extends",
            what="service b",
            problem="what it extends, gone of nothing, is not in this file",
        ),
    ) == elsewhere


@pytest.mark.parametrize(
    ("file", "path"),
    [
        ({"services": []}, "/services"),
        ({"services": {"a": "b"}}, "/services/a"),
        ({"services": {"a": {"image": 1.0}}}, "/services/a/image"),
        ({"services": {"a": {"volumes": [{"type": "image"}]}}}, "/services/a/volumes/0/source"),
    ],
)
def test_what_is_no_compose_file(file: dict[str, Any], path: str) -> None:
    """
    Is refused, with where.
    """
    with pytest.raises(FormatError) as refused:
        images(file)

    assert path == refused.value.path


@pytest.mark.parametrize("value", [None, [], "services", {"services": {}, "kind": "x"}, {"image": "a"}])
def test_what_looks_like_something_else(value: Any) -> None:
    """
    Is not taken for a Compose file.
    """
    assert not is_compose(value)

"""A report shows what is there, stands alone, and obeys nobody who wrote into it."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from tests.inventories import HOSTILE, collection, inventory, role
from tests.world import NOW
from trustreg.errors import ServerError
from trustreg.inventory import Collection
from trustreg.report.markup import Markup, element, joined
from trustreg.report.page import page
from trustreg.report.picture import picture
from trustreg.report.sheet import COLUMNS, sheet

if TYPE_CHECKING:
    from trustreg.forecast import Inventory

GUN = "registry.example/team/app"
REFUSED = Collection(gun=HOSTILE, where=HOSTILE, state="unknown", error=ServerError(HOSTILE, 500, HOSTILE))


class Read(HTMLParser):
    """A page as it was understood: what opens and does not close, every attribute, every text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.handle_startendtag(tag, attrs)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def hostile() -> Inventory:
    """Give an inventory in which whatever a publisher or a server can name is hostile."""
    seen = collection(GUN, 3, 3)
    tags = tuple(replace(tag, tag=HOSTILE, roles=(HOSTILE,), signers=(HOSTILE,)) for tag in seen.tags)
    roles = tuple(
        replace(one, name=f"{one.name}{HOSTILE}", signer=HOSTILE, paths=(HOSTILE,))
        if one.delegator == "targets"
        else one
        for one in seen.roles
    )
    return inventory(replace(seen, gun=HOSTILE, where=HOSTILE, tags=tags, roles=roles, changed=HOSTILE), REFUSED)


# --- the page ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "made",
    [
        inventory(),
        inventory(REFUSED),
        inventory(collection(GUN, 1, 1)),
        inventory(collection(GUN, 20, 12), collection("registry.example/other", 3, 0, state="expired")),
        inventory(collection(GUN, 2000, 5)),
        hostile(),
    ],
    ids=["nothing", "refused", "one", "several", "many", "hostile"],
)
def test_a_page_is_well_formed_and_stands_alone(made: Inventory) -> None:
    """
    All that is opened is closed; nothing is loaded, nothing runs, and nothing points elsewhere.
    """
    text = page(made)
    read = Read(text.removeprefix("<!DOCTYPE html>\n"))

    assert read.open == []
    assert {"script", "link", "img", "iframe", "object", "base", "form", "image", "use"}.isdisjoint(read.tags)
    names = {name for _, name, _ in read.attributes}
    assert not {name for name in names if name.startswith("on")} | names & {"src", "style", "srcset"}
    assert all(value.startswith("#c") for _, name, value in read.attributes if name == "href")
    assert not re.search(r"url\(|@import", text)


def test_the_policy_of_a_page_allows_its_style_and_nothing_else() -> None:
    """
    By the digest of what stands in it.
    """
    text = page(inventory(collection(GUN, 1, 1)))
    style = text.split("<style>")[1].split("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()

    (policy,) = (value for _, name, value in Read(text).attributes if value.startswith("default-src"))
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert text.index("Content-Security-Policy") < text.index("<style>")


def test_a_page_shows_all_there_is() -> None:
    """
    Each tag with its digest, each key with its id, each notice with what to do, and what a collection failed with.
    """
    made = inventory(collection(GUN, 20, 12), REFUSED)
    texts = set(Read(page(made)).texts)

    assert {str(tag.digest) for tag in made.tags} <= texts
    assert {key.id for one in made.collections for line in one.roles for key in line.keys} <= texts
    assert {notice.remedy for notice in made.notices} <= texts
    assert any("<script>" in text and "500" in text for text in texts)


def test_tags_are_counted_once_in_each_collection() -> None:
    """
    However many roles sign them, and whatever those of other collections are called.
    """
    seen = collection(GUN, 17, 3)
    twice = replace(seen, tags=(*seen.tags, *(replace(tag, state="expired") for tag in seen.tags)))
    texts = Read(page(inventory(twice, replace(seen, gun="registry.example/other")))).texts

    assert texts[texts.index("Tags") + 1] == "34"


def test_nothing_that_was_written_into_names_gets_out() -> None:
    """
    Neither as markup, nor to whoever prints the page to a terminal.
    """
    text = page(hostile())

    assert "alert(1)" in text
    assert "<script" not in text
    assert text.replace("\n", "").isprintable()


def test_markup_is_made_of_elements_only() -> None:
    """
    What is not markup is text, wherever it stands.
    """
    made = element("p", "<b>", Markup("<i>"), None, 5, title='"', class_="a b", data_x="<", hidden=None)

    assert made == '<p title="&quot;" class="a b" data-x="&lt;">&lt;b&gt;<i>5</p>'
    assert joined("&", element("br/")) == "&amp;<br/>"


# --- the picture -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delegations", [0, 1, 5, 12])
def test_a_picture_has_a_box_for_each_role_and_none_upon_another(delegations: int) -> None:
    """
    All within the frame, with a line to each but the root.
    """
    seen = collection(GUN, 1, delegations)
    svg = ET.fromstring(picture(seen, NOW))  # noqa: S314 # it is ours
    boxes = svg.findall("{*}g")
    rects = [{name: int(box[0].attrib[name]) for name in ("x", "y", "width", "height")} for box in boxes]

    assert len(boxes) == len(seen.roles) == 4 + delegations
    assert len(svg.findall("{*}path")) == 3 + delegations
    width, height = int(svg.attrib["width"]), int(svg.attrib["height"])
    assert all(r["x"] >= 0 and r["y"] >= 0 for r in rects)
    assert all(r["x"] + r["width"] <= width and r["y"] + r["height"] <= height for r in rects)
    for number, one in enumerate(rects):
        for other in rects[number + 1 :]:
            beside = one["x"] + one["width"] <= other["x"] or other["x"] + other["width"] <= one["x"]
            below = one["y"] + one["height"] <= other["y"] or other["y"] + other["height"] <= one["y"]
            assert beside or below
    said = "".join(svg.itertext())
    assert all(line.keys[0].id[:12] in said for line in seen.roles)


def test_a_picture_has_an_end() -> None:
    """
    Where roles delegate to each other, or to more than anybody can look at.
    """
    top = collection(GUN, 0, 0).roles
    circle = (role("a", "targets"), role("b", "a"), role("a", "b"))
    many = tuple(role(f"targets/{number}", keys=20 if number else 1) for number in range(500))

    for roles in (circle, many):
        svg = ET.fromstring(picture(replace(collection(GUN, 0, 0), roles=(*top, *roles)), NOW))  # noqa: S314
        assert len(svg.findall("{*}g")) < 110
    assert "more roles" in "".join(svg.itertext())
    assert "more keys" in "".join(svg.itertext())


# --- the sheet ---------------------------------------------------------------------------------------------------


def test_a_sheet_has_a_line_for_each_tag_and_role() -> None:
    """
    Keys are those that signed; a collection without tags has a line, too.
    """
    made = inventory(collection(GUN, 20, 12), REFUSED)
    head, *rows = csv.reader(io.StringIO(sheet(made)))
    table = [dict(zip(head, row, strict=True)) for row in rows]

    assert tuple(head) == COLUMNS
    assert len(rows) == sum(len(tag.roles) for tag in made.tags) + 1
    first = table[1]
    alice = made.collections[0].role("targets/alice")
    assert alice
    assert (first["tag"], first["role"], first["signer"], first["counts"]) == ("v0.0", "targets/alice", "alice", "no")
    assert first["digest"] == str(made.collections[0].tags[0].digest)
    assert (first["key_ids"], first["algorithms"]) == (alice.signed_by[0], "ecdsa-P-256")
    assert (first["registry"], first["registry_digest"]) == ("held", first["digest"])
    assert [row["registry"] for row in table[::4][:4]] == ["held", "held", "held", "moved"]
    assert (table[-1]["state"], table[-1]["tag"]) == ("unknown", "")
    assert "500" in table[-1]["problem"]


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "'x", "\uff1d1", "\t=1", "\r=1"])
def test_a_sheet_computes_nothing(name: str) -> None:
    """
    What a spreadsheet would take for a formula is text there; what a terminal obeys is spelled.
    """
    seen = collection(GUN, 1, 0)
    _, row = csv.reader(io.StringIO(sheet(inventory(replace(seen, gun=name)))))

    assert row[0] == (f"'{name}" if name.isprintable() else repr(name)[1:-1])
    assert row[0][0] in "'\\"

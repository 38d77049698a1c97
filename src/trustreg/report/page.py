"""An inventory as one page that needs nothing else: no script, no picture from elsewhere, no style from elsewhere."""

import base64
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime

from trustreg._version import __version__
from trustreg.forecast import BREAKS, BROKEN, NOTE, Inventory, Notice
from trustreg.inventory import HELD, TRUSTED, Collection, KeyLine, RoleLine, RootLine, TagLine
from trustreg.report.markup import Markup, element, joined
from trustreg.report.picture import picture


def page(inventory: Inventory) -> str:
    """Return *inventory* as an HTML page; whatever publishers and servers wrote is shown as text."""
    digest = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    head = element(
        "head",
        element("meta/", charset="utf-8"),
        element("meta/", http_equiv="Content-Security-Policy", content=policy),
        element("meta/", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta/", name="color-scheme", content="light dark"),
        element("title", f"Inventory of {_title(inventory)}"),
        element("style", Markup(_STYLE)),
    )
    several = len(inventory.collections) > 1
    body = element(
        "body",
        element(
            "header",
            element("h1", "Inventory of ", element("span", _title(inventory), class_="name")),
            element("p", f"As of {_moment(inventory.at)}, by trustreg {__version__}", class_="faint"),
        ),
        element(
            "main",
            _summary(inventory),
            _notices(inventory, several=several),
            _index(inventory) if several else None,
            *(_collection(each, number, inventory.at) for number, each in enumerate(inventory.collections)),
        ),
    )
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"


def _title(inventory: Inventory) -> str:
    if len(inventory.collections) == 1:
        return inventory.collections[0].gun
    places = list(dict.fromkeys(each.where for each in inventory.collections if each.where))
    return f"{len(inventory.collections)} collections" + (f" at {places[0]}" if len(places) == 1 else "")


# --- what there is in all ----------------------------------------------------------------------------------------


def _summary(inventory: Inventory) -> Markup:
    states = Counter(each.state for each in inventory.collections)
    tags = list(inventory.tags)
    held = Counter(tag.holding.state for tag in tags if tag.holding)
    levels = Counter(notice.level for notice in inventory.notices)
    first = next((notice for notice in inventory.notices if notice.level == BREAKS), None)
    registry = ("not asked", "") if not inventory.asked else (f"{held[HELD]} of {held.total()}", _counted(held, HELD))
    tiles = [
        ("Collections", str(len(inventory.collections)), _counted(states), states.keys() <= {TRUSTED}),
        (
            "Tags",
            str(sum(len({tag.tag for tag in each.tags}) for each in inventory.collections)),
            _signed_by(tags),
            True,
        ),
        ("Held by the registry", *registry, held.keys() <= {HELD}),
        ("Broken now", str(levels[BROKEN]), "", not levels[BROKEN]),
        (
            "Next to break",
            f"{first.when:%Y-%m-%d}" if first and first.when else "nothing",
            _about(first, inventory),
            True,
        ),
    ]
    return element(
        "section",
        *(
            element(
                "div",
                element("span", name, class_="label"),
                element("b", value),
                element("span", more, class_="faint") if more else None,
                class_="tile" if good else "tile bad",
            )
            for name, value, more, good in tiles
        ),
        class_="tiles",
    )


def _counted(counts: Counter[str], without: str = "") -> str:
    return ", ".join(f"{number} {state}" for state, number in counts.items() if state != without)


def _signed_by(tags: list[TagLine]) -> str:
    people = {signer for tag in tags for signer in tag.signers}
    return f"{len(people)} signer{'s' * (len(people) != 1)}" if people else ""


def _about(notice: Notice | None, inventory: Inventory) -> str:
    return f"{notice.role or notice.gun}, {_away(notice.when, inventory.at)}" if notice and notice.when else ""


def _notices(inventory: Inventory, *, several: bool) -> Markup:
    parts = []
    for level, title in ((BROKEN, "Broken now"), (BREAKS, "Will break"), (NOTE, "Worth knowing")):
        found = [notice for notice in inventory.notices if notice.level == level]
        if found:
            head = ["When", *(["Collection"] if several else []), "What", "What to do"]
            rows = [_notice(notice, inventory.at, several=several) for notice in found]
            parts += [
                element("h3", f"{title} ({len(found)})", class_=level),
                _table(head, rows, "notices several" if several else "notices"),
            ]
    return element("section", element("h2", "What breaks, and when"), *(parts or [element("p", "Nothing.")]))


def _notice(notice: Notice, now: datetime, *, several: bool) -> list[object]:
    when: object = "now" if notice.level == BROKEN else "-"
    if notice.when:
        day = element("time", f"{notice.when:%Y-%m-%d}", datetime=_moment(notice.when), title=_moment(notice.when))
        when = joined(day, element("div", _away(notice.when, now), class_="faint"))
    what = joined(str(notice), " ", element("code", notice.code, class_="tag"))
    return [when, *([element("span", notice.gun, class_="name")] if several else []), what, notice.remedy]


def _index(inventory: Inventory) -> Markup:
    rows = [
        [
            element("a", each.gun, href=f"#c{number}", class_="name"),
            _badge(each.state),
            len(each.tags),
            _day(min((role.expires for role in each.roles if role.expires), default=None)),
            str(each.error or ""),
        ]
        for number, each in enumerate(inventory.collections)
    ]
    head = ("Collection", "State", "Tags", "First expiry", "Problem")
    return element("section", element("h2", "Collections"), _table(head, rows))


# --- one collection ----------------------------------------------------------------------------------------------


def _collection(seen: Collection, number: int, now: datetime) -> Markup:
    return element(
        "section",
        element("h2", element("span", seen.gun, class_="name"), " ", _badge(seen.state)),
        _facts(seen),
        *(_keys_and_roles(seen, now) if seen.roles else ()),
        *_tags(seen),
        id=f"c{number}",
        class_="collection",
    )


def _facts(seen: Collection) -> Markup:
    facts: list[tuple[str, object]] = [("Store" if seen.stored else "Server", seen.where or "-")]
    if seen.error:
        facts.append(("Problem", joined(str(seen.error), " ", element("code", seen.error.code, class_="tag"))))
        facts += [("What to do", seen.error.remedy)] if seen.error.remedy else []
    if seen.changed:
        facts.append(("Last published", seen.changed[:19].replace("T", " ")))
    if seen.first_use:
        facts.append(("Root", "trusted on first use, not pinned"))
    if seen.stale_since:
        facts.append(("Nobody answers", f"this is as of {_moment(seen.stale_since)}"))
    return element("dl", *(joined(element("dt", name), element("dd", value)) for name, value in facts))


def _keys_and_roles(seen: Collection, now: datetime) -> Iterator[Markup]:
    yield element("h3", "Keys")
    yield element("div", picture(seen, now), class_="picture")
    yield element("h3", "Roles")
    head = ("Role", "State", "Version", "Expires", "Needs", "Keys (✓ signed)", "May speak for")
    yield _table(head, map(_role, seen.roles), "roles")
    first = next(line.version for line in seen.roots if line.served)
    rows = (_root(line, first) for line in reversed(seen.roots))
    yield element("h3", "Roots")
    yield _table(("Version", "State", "Expires", "Needs", "Keys that may sign the root"), rows)


def _role(line: RoleLine) -> list[object]:
    name = joined(
        element("span", line.name, class_="name"),
        element("div", f"{line.bins} bins", class_="faint") if line.bins else None,
        element("div", f"signer {line.signer}", class_="faint") if line.signer else None,
    )
    state = joined(_badge(line.state), element("div", str(line.error), class_="faint") if line.error else None)
    keys = joined(*(_key(key, signed=key.id in line.signed_by) for key in line.keys))
    paths = ", ".join("all" if path == "*" else path for path in line.paths[:_PATHS]) + (
        f" and {len(line.paths) - _PATHS} more" if len(line.paths) > _PATHS else ""
    )
    return [name, state, line.version or "-", _day(line.expires), f"{line.threshold} of {len(line.keys)}", keys, paths]


def _root(line: RootLine, first: int) -> list[object]:
    state = "the first that is served" if line.version == first else "not signed by the keys before it"
    state = "follows the one before" if line.follows else state
    keys = joined(*(_key(key) for key in line.keys))
    if not line.served:
        return [line.version, "not served", "-", "-", "-"]
    return [line.version, state, _day(line.expires), f"{line.threshold} of {len(line.keys)}", keys]


def _key(key: KeyLine, *, signed: bool = False) -> Markup:
    certificate = key.certificate
    what = f"{key.algorithm}{' ✓' * signed}"
    if certificate:
        what += f", certificate of {certificate.subject} until {certificate.ends:%Y-%m-%d}"
    plain = joined("key file ", element("code", key.plain_id)) if key.plain_id != key.id else None
    return element(
        "div",
        element("code", key.id),
        element("div", what, class_="faint"),
        element("div", plain, class_="faint") if plain else None,
        class_="key",
    )


def _tags(seen: Collection) -> Iterator[Markup]:
    for state in dict.fromkeys(tag.state for tag in seen.tags):
        tags = [tag for tag in seen.tags if tag.state == state]
        yield element("h3", f"Tags ({len(tags)})", joined(" ", _badge(state)) if state != TRUSTED else None)
        if state != TRUSTED:
            yield element("p", f"These are {state}: nobody should rely on them.", class_="faint")
        yield _table(("Tag", "Digest", "Size", "Signed by", "Registry"), map(_tag, tags), "tags")


def _tag(tag: TagLine) -> list[object]:
    roles = ", ".join(role for role in tag.roles if role.removeprefix("targets/") not in tag.signers)
    signed = joined(
        ", ".join(tag.signers) or roles,
        element("div", roles, class_="faint") if tag.signers and roles else None,
        None if tag.counts else element("div", "does not count", class_="warn"),
    )
    return [element("span", tag.tag, class_="name"), element("code", tag.digest), f"{tag.length:,}", signed, _held(tag)]


def _held(tag: TagLine) -> object:
    holding = tag.holding
    if holding is None:
        return "" if tag.image else element("span", "no image", class_="faint")
    return joined(
        _badge(holding.state),
        element("div", "serves ", element("code", str(holding.serves)[:19] + "…"), class_="faint")
        if holding.serves and holding.serves != tag.digest
        else None,
        element("div", str(holding.error), class_="faint") if holding.error else None,
    )


# --- pieces ------------------------------------------------------------------------------------------------------


def _table(head: Iterable[str], rows: Iterable[Iterable[object]], kind: str | None = None) -> Markup:
    return element(
        "div",
        element(
            "table",
            element("thead", element("tr", *(element("th", name, scope="col") for name in head))),
            element("tbody", *(element("tr", *(element("td", cell) for cell in row)) for row in rows)),
            class_=kind,
        ),
        class_="wide",
    )


def _badge(state: str) -> Markup:
    return element("span", state, class_=f"badge {state}")


def _day(moment: datetime | None) -> object:
    return element("time", f"{moment:%Y-%m-%d}", datetime=_moment(moment), title=_moment(moment)) if moment else "-"


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _away(when: datetime | None, now: datetime) -> str:
    """Say how far away *when* is, as people do."""
    if when is None:
        return ""
    days = abs((when - now).days) if when >= now else (now - when).days
    number, unit = (days, "day") if days < 60 else (days // 30, "month") if days < 730 else (days // 365, "year")
    text = f"{number} {unit}{'s' * (number != 1)}" if number else "less than a day"
    return f"{text} ago" if when < now else f"in {text}"


_PATHS = 8
_STYLE = """
:root{--back:#f6f7f9;--panel:#fff;--ink:#1b2430;--faint:#5d6b7c;--line:#d9dfe6;--link:#0b57b7;--good:#1a7f4b;
--warn:#9a6100;--bad:#b42318;--good-back:#e3f4ea;--warn-back:#fdf0d8;--bad-back:#fde7e4;--other-back:#e9edf2}
@media(prefers-color-scheme:dark){:root{--back:#11161d;--panel:#1a212b;--ink:#e4e9ef;--faint:#98a6b6;--line:#303b48;
--link:#7db4ff;--good:#5fd394;--warn:#f0b85a;--bad:#ff8b7d;--good-back:#173625;--warn-back:#3d2f12;--bad-back:#47201c;
--other-back:#28323e}}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--ink);font:15px/1.5 system-ui,"Segoe UI",Roboto,Arial,sans-serif}
header,main{max-width:1180px;margin:0 auto;padding:0 24px}
header{padding-top:28px}
h1{font-size:1.7rem;line-height:1.25;margin:0}
h2{font-size:1.25rem;margin:0 0 12px}
h3{font-size:.95rem;margin:22px 0 8px}
h3.broken{color:var(--bad)}h3.breaks{color:var(--warn)}
p{margin:4px 0 12px}
a{color:var(--link)}
section{background:var(--panel);border:1px solid var(--line);border-radius:12px;padding:20px 24px;margin:18px 0}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(180px,1fr));gap:12px}
.tiles{background:none;border:0;padding:0}
.tile{background:var(--panel);border:1px solid var(--line);border-radius:12px;padding:14px 16px}
.tile{display:flex;flex-direction:column}
.tile b{font-size:1.45rem;line-height:1.3}
.tile.bad b{color:var(--bad)}
.tile .faint{font-size:.85rem}
.label{font-size:.8rem;color:var(--faint)}
.faint{color:var(--faint)}td .faint{font-size:.85em}
.warn{color:var(--warn);font-size:.85em}
.name{overflow-wrap:break-word}
dl{display:grid;grid-template-columns:max-content 1fr;gap:4px 18px;margin:0}
dt{color:var(--faint)}dd{margin:0;overflow-wrap:anywhere}
.wide,.picture{overflow-x:auto}
table{border-collapse:collapse;width:100%;min-width:44rem;font-size:.88rem}
th{text-align:left;color:var(--faint);font-weight:600;white-space:nowrap}
th,td{padding:7px 14px 7px 0;border-bottom:1px solid var(--line);vertical-align:top}
tr:last-child td{border-bottom:0}
tbody tr:nth-child(even){background:color-mix(in srgb,var(--line) 18%,transparent)}
td:first-child,th:first-child{padding-left:8px}
time{white-space:nowrap;font-variant-numeric:tabular-nums}
code{font:.82em/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;overflow-wrap:anywhere}
code.tag{color:var(--faint);border:1px solid var(--line);border-radius:4px;padding:0 4px;white-space:nowrap}
.notices{table-layout:fixed;overflow-wrap:anywhere}.notices th:first-child{width:8.5em}.notices th:last-child{width:28%}
.several th:nth-child(2){width:19%}
.roles td:first-child{min-width:10.5em}
.tags td:nth-child(3){white-space:nowrap;font-variant-numeric:tabular-nums}
.key code{white-space:nowrap}.key+.key{margin-top:4px}
.badge{display:inline-block;border-radius:999px;padding:1px 10px;font-size:.78rem;font-weight:600}
.badge{background:var(--other-back)}
h2 .badge{vertical-align:3px;margin-left:6px}
.badge.trusted,.badge.held{background:var(--good-back);color:var(--good)}
.badge.expired,.badge.unconfirmed,.badge.moved,.badge.untagged{background:var(--warn-back);color:var(--warn)}
.badge.refused,.badge.unknown,.badge.gone{background:var(--bad-back);color:var(--bad)}
svg{display:block;font:12.5px system-ui,"Segoe UI",Roboto,Arial,sans-serif;margin:4px 0}
svg text{fill:var(--ink);white-space:pre}
svg .strong{font-weight:650;font-size:13.5px}
svg .when,svg .faint{fill:var(--faint)}
svg .code{font:11.5px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}
.edge{fill:none;stroke:var(--faint);stroke-width:1.4;opacity:.6}
.box rect{fill:var(--panel);stroke:var(--line)}
.box .bar{stroke:none;fill:var(--faint)}
.box.trusted .bar{fill:var(--good)}
.box.expired .bar,.box.unconfirmed .bar{fill:var(--warn)}.box.expired .when,.box.unconfirmed .when{fill:var(--warn)}
.box.refused .bar,.box.unknown .bar{fill:var(--bad)}.box.refused .when,.box.unknown .when{fill:var(--bad)}
@media(max-width:640px){header,main{padding:0 12px}section{padding:14px}}
@media print{table{min-width:0}:root{--back:#fff;--panel:#fff;--ink:#000;--faint:#444;--line:#bbb;--link:#000}
body{font-size:10pt}header,main{max-width:none;padding:0}section{border:0;padding:0}.tile{border-radius:0}
thead{display:table-header-group}tr,.tile,svg{break-inside:avoid}h2,h3{break-after:avoid}
.wide,.picture{overflow:visible}svg{max-width:100%;max-height:200mm;height:auto}
.collection{break-before:page}}
"""

"""Markup that cannot be broken out of: whatever is not markup already is text, and is escaped."""

from html import escape

from trustreg.errors import shown


class Markup(str):
    """Text that is markup; only :func:`element` and :func:`joined` make it."""

    __slots__ = ()


def element(name: str, /, *children: object, **attributes: object) -> Markup:
    """Return the element *name* with *children*; texts among them are escaped.

    Args:
        name: Its name; one that ends in a slash has no end tag.
        children: Markup, and anything else as text; ``None`` is nothing.
        attributes: A trailing underscore is left out of names, one inside is a hyphen; ``None`` is no attribute.
    """
    spelled = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_text(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name.endswith("/"):
        return Markup(f"<{name[:-1]}{spelled}/>")
    return Markup(f"<{name}{spelled}>{joined(*children)}</{name}>")


def joined(*children: object) -> Markup:
    """Return *children* as markup, one after the other."""
    return Markup(
        "".join(child if isinstance(child, Markup) else _text(child) for child in children if child is not None)
    )


def _text(value: object) -> str:
    return escape(shown(str(value)))

"""HTML and SVG as text in which only what is meant to be a tag is one."""

from __future__ import annotations

import html

VOID = ("meta", "br")
"""Elements of HTML that have no end."""


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def join(*children: object) -> Markup:
    """The children one after the other: Markup as it is, all else as text."""
    return Markup("".join(child if isinstance(child, Markup) else html.escape(str(child)) for child in children))


def element(name: str, *children: object, **attributes: object) -> Markup:
    """An element. Of the names of attributes `_` is `-`, and dropped at the end; those that are None are left out."""
    start = f"<{name}"
    for attribute, value in attributes.items():
        if value is not None:
            start += f' {attribute.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"'
    if name in VOID:
        return Markup(f"{start}>")
    return Markup(f"{start}>{join(*children)}</{name}>")

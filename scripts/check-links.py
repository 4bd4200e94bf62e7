#!/usr/bin/env python3
"""Checks the relative links of all pages: that the file is there, and the heading that an anchor names.

    scripts/check-links.py [FOLDER]           FOLDER is that of this checkout by default
    scripts/check-links.py --list [FOLDER]    prints the pages and the files that they link to, for scripts/docs.sh

Needs no network: addresses with a scheme are not looked up. Exit status: 0, or 1 with a line for each broken link.
"""

import os
import pathlib
import re
import sys
import urllib.parse

_FENCE = re.compile(r"^( *)(```+|~~~+).*?(?:^\1\2[`~]* *$|\Z)", re.M | re.S)
_CODE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)", re.S)
_LINK = re.compile(r"\]\(\s*<?([^\s)>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
_REFERENCE = re.compile(r"^ {0,3}\[[^\]]+\]:\s*<?([^\s>]+)", re.M)
_HEADING = re.compile(r"^ {0,3}#{1,6}[ \t]+(.+?)(?:[ \t]+#+)?[ \t]*$", re.M)
_PLACE = re.compile(r"<a\s+(?:id|name)=\"([^\"]+)\"")


def pages(root):
    """All Markdown files below the folder but those of builds and of hidden folders."""
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "build")) and name != "dist")
        for name in sorted(files):
            if name.endswith(".md"):
                yield pathlib.Path(folder, name)


def _blank(match):
    # Lines stay where they are, for messages.
    return re.sub(r"[^\n]", " ", match[0])


def anchors(text):
    """The anchors of a page as code hosts name them: in lower case, without punctuation, a hyphen for each space, and
    a number where a heading comes again."""
    found = set(_PLACE.findall(text))
    for heading in _HEADING.findall(_FENCE.sub(_blank, text)):
        heading = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        name = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        numbered, count = name, 0
        while numbered in found:
            count += 1
            numbered = f"{name}-{count}"
        found.add(numbered)
    return found


def links(text):
    """The line and the target of each link that is relative."""
    text = _CODE.sub(_blank, _FENCE.sub(_blank, text))
    for pattern in (_LINK, _REFERENCE):
        for match in pattern.finditer(text):
            if not re.match(r"[A-Za-z][A-Za-z0-9+.-]*:|//", match[1]):
                yield text.count("\n", 0, match.start()) + 1, match[1]


def check(root):
    """The files that links lead to, what is wrong with links, and how many there are."""
    targets, wrong, count = set(), [], 0
    for page in pages(root):
        for line, link in links(page.read_text(encoding="utf-8")):
            count += 1
            path, _, anchor = urllib.parse.unquote(link).partition("#")
            target = pathlib.Path(os.path.normpath(page.parent / path)) if path else page
            where = f"{page.relative_to(root)}:{line}: {link}"
            if not target.is_relative_to(root):
                wrong.append(f"{where}: leads out of the checkout, which pages on a code host cannot")
            elif not target.exists():
                wrong.append(f"{where}: there is no {target.relative_to(root)}")
            elif anchor and (target.suffix != ".md" or anchor not in anchors(target.read_text(encoding="utf-8"))):
                wrong.append(f"{where}: {target.relative_to(root)} has no heading with the anchor {anchor}")
            else:
                targets.add(target)
    return targets, wrong, count


def main():
    arguments = sys.argv[1:]
    lists = arguments[:1] == ["--list"]
    folder = arguments[lists:]
    root = pathlib.Path(folder[0] if folder else pathlib.Path(__file__).parents[1]).resolve()
    targets, wrong, count = check(root)
    if wrong:
        sys.exit("\n".join(wrong))
    found = sorted(pages(root))
    if not found:
        sys.exit(f"there are no pages in {root}")
    if lists:
        print("\n".join(str(path.relative_to(root)) for path in sorted(targets.union(found))))
    else:
        print(f"{len(found)} pages, {count} relative links, all of them lead somewhere")


if __name__ == "__main__":
    main()

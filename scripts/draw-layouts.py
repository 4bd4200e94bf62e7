#!/usr/bin/env python3
"""Draws the pictures of docs/layouts.md anew: each ```text block whose first line is `$ build/bin/sfa-layout ...` gets what that prints.

    scripts/draw-layouts.py                   writes the page
    scripts/draw-layouts.py --check           prints how the page differs from what it should be, for test/Docs/layouts.test

`--page` and `--tool` name another page and another sfa-layout. Exit status: 0, or 1 where the page differs or a command fails.
"""

import argparse
import difflib
import pathlib
import re
import shlex
import subprocess
import sys

_ROOT = pathlib.Path(__file__).resolve().parent.parent
_PICTURE = re.compile(r"^```text\n\$ build/bin/sfa-layout ?(.*)\n(?:.*\n)*?```$", re.M)


class CannotDraw(Exception):
    """Says which command failed, and why."""


def draw(page, tool):
    """The page with new pictures, and their number."""

    def picture(match):
        result = subprocess.run([tool, *shlex.split(match[1])], capture_output=True, text=True, check=False)
        if result.returncode:
            raise CannotDraw(f"sfa-layout {match[1]}: {result.stderr.strip()}")
        command = f"$ build/bin/sfa-layout {match[1]}".rstrip()
        return f"```text\n{command}\n{result.stdout}```"

    return _PICTURE.subn(picture, page)


def main():
    parser = argparse.ArgumentParser(description="Draws the pictures of docs/layouts.md anew.")
    parser.add_argument("--check", action="store_true", help="print differences in place of writing")
    parser.add_argument("--page", type=pathlib.Path, default=_ROOT / "docs/layouts.md")
    parser.add_argument("--tool", default=_ROOT / "build/bin/sfa-layout")
    options = parser.parse_args()
    old = options.page.read_text(encoding="utf-8")
    try:
        new, number = draw(old, options.tool)
    except (CannotDraw, OSError) as error:
        print(f"draw-layouts: error: {error}", file=sys.stderr)
        return 1
    if not options.check:
        options.page.write_text(new, encoding="utf-8")
    elif new != old:
        sys.stdout.writelines(difflib.unified_diff(old.splitlines(True), new.splitlines(True), str(options.page), "drawn anew"))
        print("scripts/draw-layouts.py writes the page anew")
        return 1
    print(f"{number} pictures, all as they are drawn")
    return 0


if __name__ == "__main__":
    sys.exit(main())

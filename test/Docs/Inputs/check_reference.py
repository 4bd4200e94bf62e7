"""Checks that every entry of generated reference pages says enough: see reference.test."""

import re
import sys

missing = []
for path in sys.argv[1:]:
    with open(path) as file:
        text = file.read()
    for chapter in re.split(r"^## ", text, flags=re.M)[1:]:
        kind = chapter.splitlines()[0].strip()
        for entry in re.split(r"^### ", chapter, flags=re.M)[1:]:
            name, body = entry.split("\n", 1)
            prose = re.sub(r"^```.*?^```$", "", body, flags=re.M | re.S)
            words = re.sub(r"^(Syntax:|Traits:|Interfaces:|Effects:|#).*$", "", prose, flags=re.M)
            if len(words.split()) < 8:
                missing.append(f"{path}: {name} has no description")
            if kind in ("Operations", "Attributes") and "```mlir" not in body and "eturn" not in name:
                missing.append(f"{path}: {name} has no example")
print("\n".join(missing))
sys.exit(bool(missing))

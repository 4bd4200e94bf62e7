#!/usr/bin/env python3
"""Checks what a wheel of FlashSFA has inside: no file of the package is missing, and there is none beside.

    scripts/check-wheel.py WHEEL [--tag TAG] [--notices] [--modules]

--tag: the tag that the wheel has to have, such as py3-none-manylinux_2_28_x86_64. --notices: it has the licences of what is
linked into libsfa.so. --modules: it has the modules alone, without the library and its headers. Prints what is wrong; exit status
1 then.
"""

import argparse
import email
import pathlib
import sys
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILT = ("sfa/libsfa.so", "sfa/include/sfa/jit.h", "sfa/include/sfa/runtime.h", "sfa/include/sfa/runtime.hpp")
METADATA = {"Name": "flashsfa", "License-Expression": "Apache-2.0 WITH LLVM-exception", "Requires-Python": ">=3.10"}


def wanted_files(version, options):
    package = ROOT / "python/sfa"
    for path in package.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            yield f"sfa/{path.relative_to(package).as_posix()}"
    if not options.modules:
        yield from BUILT
    about = f"flashsfa-{version}.dist-info"
    yield from (f"{about}/{name}" for name in ("METADATA", "WHEEL", "RECORD", "licenses/LICENSE"))
    if options.notices:
        yield f"{about}/licenses/THIRD-PARTY-NOTICES"


def complaints(options):
    version = (ROOT / "runtime/VERSION").read_text().strip()
    with zipfile.ZipFile(options.wheel) as wheel:
        names = {name for name in wheel.namelist() if not name.endswith("/")}
        wanted = set(wanted_files(version, options))
        for name in sorted(wanted - names):
            yield f"there is no {name}"
        for name in sorted(names - wanted):
            yield f"{name} does not belong into the wheel"
        if not wanted <= names:
            return
        about = f"flashsfa-{version}.dist-info"
        metadata = email.message_from_bytes(wheel.read(f"{about}/METADATA"))
        for field, value in {**METADATA, "Version": version}.items():
            if metadata[field] != value:
                yield f"{field} is {metadata[field]}, not {value}"
        tags = email.message_from_bytes(wheel.read(f"{about}/WHEEL")).get_all("Tag")
        if options.tag and tags != [options.tag]:
            yield f"its tags are {', '.join(tags)}, not {options.tag}"
        given = wheel.read("sfa/VERSION").decode().strip()
        if given != version:
            yield f"sfa/VERSION says {given}, not {version}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", metavar="WHEEL")
    parser.add_argument("--tag")
    parser.add_argument("--notices", action="store_true")
    parser.add_argument("--modules", action="store_true")
    options = parser.parse_args()
    found = list(complaints(options))
    for complaint in found:
        print(f"{options.wheel}: {complaint}", file=sys.stderr)
    sys.exit(1 if found else 0)


main()

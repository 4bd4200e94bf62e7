#!/usr/bin/env python3
"""Checks a wheel of FlashSFA: check-wheel.py WHEEL VERSION

Its record has to name every file with its hash and its size, and the package has to be whole: modules, library, headers
and licences. Prints what is wrong; exit status 1 then.
"""

import base64
import csv
import hashlib
import io
import sys
import zipfile

NEEDED = ("sfa/__init__.py", "sfa/api.py", "sfa/bench/__main__.py", "sfa/libsfa.so", "sfa/include/sfa/jit.h",
          "sfa/include/sfa/runtime.h", "sfa/include/sfa/runtime.hpp")
NEEDED_ABOUT = ("METADATA", "WHEEL", "LICENSE", "THIRD-PARTY-NOTICES")


def complaints(wheel, version):
    about = f"flashsfa-{version}.dist-info"
    record = f"{about}/RECORD"
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        for name in (*NEEDED, *(f"{about}/{name}" for name in NEEDED_ABOUT), record):
            if name not in names:
                yield f"there is no {name}"
        if record not in names:
            return
        rows = {name: (digest, size) for name, digest, size in csv.reader(io.StringIO(archive.read(record).decode()))}
        for name in sorted(names ^ set(rows)):
            yield f"{name} is only in {'the wheel' if name in names else 'its record'}"
        for name in sorted(names & set(rows) - {record}):
            data = archive.read(name)
            digest = "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            if rows[name] != (digest, str(len(data))):
                yield f"{name} is not what the record says"
            if "__pycache__" in name or not name.startswith(("sfa/", about)):
                yield f"{name} does not belong into the wheel"


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    found = list(complaints(*sys.argv[1:]))
    for complaint in found:
        print(f"{sys.argv[1]}: {complaint}", file=sys.stderr)
    sys.exit(1 if found else 0)


main()

"""What two builds of the compiler keep in one cache, on a driver without a GPU: builds.py FOLDER"""

import os
import pathlib
import shutil
import subprocess
import sys

from sfa import _library, _module

WORK = "from sfa import _library, _module; _library.jit_program(_module.densify(4, 64, 'f16', 8), 0)"


def entries(library, cache):
    """The entries of the cache after a process with this library has asked for a program."""
    subprocess.run([sys.executable, "-c", WORK], check=True,
                   env={**os.environ, "SFA_LIBRARY": str(library), "SFA_CACHE_DIR": str(cache)})
    return len(list(cache.iterdir()))


def change_build_id(content):
    """The library with another build id, which is all that tells a rebuilt one apart here."""
    note = content.find(b"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0")
    if note < 0:
        sys.exit("the library has no build id of 20 bytes")
    return content[:note + 16] + bytes(byte ^ 255 for byte in content[note + 16:note + 36]) + content[note + 36:]


folder = pathlib.Path(sys.argv[1])
cache, copy, other = folder / "cache", folder / "copy.so", folder / "other.so"
shutil.copyfile(_library.path(), copy)
other.write_bytes(change_build_id(copy.read_bytes()))
print("one build:", entries(_library.path(), cache))
print("a copy of it:", entries(copy, cache))
print("another build:", entries(other, cache))

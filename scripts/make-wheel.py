#!/usr/bin/env python3
"""Makes the Python wheel of FlashSFA: the package sfa, libsfa.so and the headers. Used by scripts/package.sh.

    scripts/make-wheel.py --version 0.1.0 --library libsfa.so --notices FILE --out dist

Prints the path of the wheel. Nothing in it depends on a version of CPython, since the package calls the library through
ctypes; so a wheel is a zip archive with three files about it, and needs no build tool. The same inputs give the same
bytes.
"""

import argparse
import ast
import base64
import hashlib
import pathlib
import stat
import sys
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "python" / "sfa"
HEADERS = (
    ROOT / "include/sfa/jit.h",
    ROOT / "runtime/include/sfa/runtime.h",
    ROOT / "runtime/include/sfa/runtime.hpp",
)
# glibc 2.28 is what libsfa.so may need; scripts/package.sh checks it.
TAG = "py3-none-manylinux_2_28_x86_64"
TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that zip can say

METADATA = """\
Metadata-Version: 2.1
Name: flashsfa
Version: {version}
Summary: Sparse feature attention: a compiler and its kernels, for CPUs and GPUs
License: Apache-2.0 WITH LLVM-exception
License-File: LICENSE
License-File: THIRD-PARTY-NOTICES
Classifier: License :: OSI Approved :: Apache Software License
Classifier: Operating System :: POSIX :: Linux
Classifier: Programming Language :: Python :: 3 :: Only
Classifier: Topic :: Software Development :: Compilers
Requires-Python: >=3.10
Provides-Extra: torch
Requires-Dist: torch; extra == "torch"
Description-Content-Type: text/markdown

{description}"""

WHEEL = f"""\
Wheel-Version: 1.0
Generator: flashsfa
Root-Is-Purelib: false
Tag: {TAG}
"""

# Where the tree has no package yet, the library is still of use: ctypes.CDLL(sfa.library).
MINIMAL_INIT = '''\
"""FlashSFA: sparse feature attention. `library` is the path of libsfa.so; its C interface is in `include`."""

import pathlib

__version__ = "{version}"
library = pathlib.Path(__file__).parent / "libsfa.so"
include = pathlib.Path(__file__).parent / "include"
'''


def version_in(text):
    """The __version__ that the text of a module sets to a string, or None."""
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            if any(isinstance(target, ast.Name) and target.id == "__version__" for target in node.targets):
                return node.value.value
    return None


def package_files(version):
    """The modules, as pairs of a path in the wheel and its bytes."""
    files = {}
    for path in sorted(PACKAGE.rglob("*")):
        inside = path.relative_to(PACKAGE)
        if path.is_file() and "__pycache__" not in inside.parts and path.suffix in (".py", ".pyi", ".typed"):
            files[f"sfa/{inside.as_posix()}"] = path.read_bytes()
    if "sfa/__init__.py" not in files:
        files["sfa/__init__.py"] = MINIMAL_INIT.format(version=version).encode()
    given = version_in(files["sfa/__init__.py"].decode())
    if given not in (None, version):
        sys.exit(f"make-wheel: error: python/sfa/__init__.py says version {given}, runtime/VERSION {version}")
    return files


def record_line(name, data):
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(data)}\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", required=True, help="of the project")
    parser.add_argument("--library", required=True, type=pathlib.Path, help="libsfa.so")
    parser.add_argument("--notices", required=True, type=pathlib.Path, help="licences of what is inside libsfa.so")
    parser.add_argument("--out", required=True, type=pathlib.Path, help="folder for the wheel")
    options = parser.parse_args()

    files = package_files(options.version)
    files["sfa/libsfa.so"] = options.library.read_bytes()
    for header in HEADERS:
        files[f"sfa/include/sfa/{header.name}"] = header.read_bytes()
    about = f"flashsfa-{options.version}.dist-info"
    files[f"{about}/METADATA"] = METADATA.format(
        version=options.version, description=(ROOT / "README.md").read_text()).encode()
    files[f"{about}/WHEEL"] = WHEEL.encode()
    files[f"{about}/LICENSE"] = (ROOT / "LICENSE").read_bytes()
    files[f"{about}/THIRD-PARTY-NOTICES"] = options.notices.read_bytes()
    record = f"{about}/RECORD"
    files[record] = ("".join(record_line(name, data) for name, data in files.items()) + f"{record},,\n").encode()

    options.out.mkdir(parents=True, exist_ok=True)
    wheel = options.out / f"flashsfa-{options.version}-{TAG}.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, data in files.items():
            info = zipfile.ZipInfo(name, TIME)
            mode = 0o755 if name.endswith(".so") else 0o644
            info.external_attr = (stat.S_IFREG | mode) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, data, compresslevel=9)
    print(wheel)


main()

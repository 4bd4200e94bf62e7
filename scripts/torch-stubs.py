#!/usr/bin/env python3
"""Stubs in the place of CUDA libraries that torch is linked with but does not call on a CPU: torch-stubs.py SITE_PACKAGES

The wheel of torch needs some gigabytes of CUDA libraries before it can be imported, on machines without a GPU too. This
makes a library of the same name for each one that is missing under SITE_PACKAGES. Each function in it returns 1, which
is an error to its callers. Needs readelf, of LLVM or GNU, and a C compiler.
"""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile


def find_tool(*names):
    for name in names:
        if found := shutil.which(name):
            return found
    sys.exit(f"none of {', '.join(names)} is on PATH")


def read(file, *options):
    return subprocess.run([READELF, "--wide", *options, str(file)], capture_output=True, text=True, check=True).stdout


def symbols(file):
    """Names of undefined symbols with their version or "", and names of those that are defined."""
    undefined, defined = set(), set()
    for line in read(file, "--dyn-syms").splitlines():
        fields = line.split()
        if len(fields) < 8 or not fields[0].endswith(":"):
            continue
        name, _, version = fields[7].partition("@")
        if fields[6] == "UND":
            if fields[4] != "WEAK":
                undefined.add((name, version))
        else:
            defined.add(name)
    return undefined, defined


def versions(file):
    """The library that each version of an undefined symbol belongs to."""
    libraries, library = {}, None
    for line in read(file, "--version-info").splitlines():
        if found := re.search(r"Version: \d+\s+File: (\S+)", line):
            library = found[1]
        elif library and (found := re.search(r"Name: (\S+)", line)):
            libraries[found[1]] = library
    return libraries


def make_stub(file, functions, compiler):
    """functions: a set of names for each version; those of the version "" have none."""
    names = sorted(set().union(*functions.values()))
    nodes = "".join(f"{version} {{ global: {'; '.join(sorted(functions[version]))}; }};\n"
                    for version in functions if version)
    with tempfile.TemporaryDirectory() as folder:
        source, script = pathlib.Path(folder, "stub.c"), pathlib.Path(folder, "versions")
        source.write_text("".join(f"long {name}(void) {{ return 1; }}\n" for name in names))
        script.write_text(nodes)
        subprocess.run([compiler, "-shared", "-fPIC", "-fno-builtin", "-w", "-nostdlib", f"-Wl,-soname,{file.name}",
                        *([f"-Wl,--version-script={script}"] if nodes else []), "-o", str(file), str(source)], check=True)


def main(site_packages):
    torch = site_packages / "torch/lib"
    # What opens the driver does so by itself, where there is one.
    theirs = {file.name: file for file in torch.glob("*.so*") if file.name != "libcaffe2_nvrtc.so"}
    present = {file.name: file for file in (site_packages / "nvidia").rglob("*.so*")}
    missing, functions, loose, known = set(), {}, set(), set()
    for file in theirs.values():
        missing.update(re.findall(r"Shared library: \[(libcu\S+|libn[cv]\S+)\]", read(file, "--dynamic")))
        undefined, defined = symbols(file)
        known |= defined
        libraries = versions(file)
        for name, version in undefined:
            if not version:
                loose.add(name)
            elif version in libraries:
                functions.setdefault(libraries[version], {}).setdefault(version, set()).add(name)
    missing -= {*theirs, *present}
    for file in present.values():
        known |= symbols(file)[1]
    compiler = find_tool("clang-22", "clang", "cc")
    # Names without a version are looked up in all libraries: one of the stubs has them.
    loose = {name for name in loose - known if not name.startswith("_")}
    for name in sorted(missing):
        own = functions.get(name, {})
        if not own and loose:
            own, loose = {"": loose}, set()
        make_stub(torch / name, own or {"": set()}, compiler)
        print(f"stub of {name}: {sum(map(len, own.values()))} functions")
    if loose:
        sys.exit(f"no stub has {', '.join(sorted(loose))}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    READELF = find_tool("llvm-readelf-22", "llvm-readelf", "readelf")
    main(pathlib.Path(sys.argv[1]))

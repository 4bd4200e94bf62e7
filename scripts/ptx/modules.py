"""The modules whose GPU code is compared: of the examples, of the tests without a GPU and of those with one."""

import re
import sys
from pathlib import Path

from . import gpu_tests

ROOT = Path(__file__).resolve().parents[2]
# An operation of the two dialects that are compiled, outside of comments.
_OPERATION = re.compile(r"^(?!\s*//).*\bsfa(_tile)?\.[a-z]\w*", re.MULTILINE)


def _functions(text):
    """The functions of a part of a file as modules of their own, so that one that is refused hides no other; the part as
    it is where they belong together."""
    found = re.findall(r"^func\.func .*?^}$", text, re.MULTILINE | re.DOTALL)
    if len(found) < 2 or re.search(r"\bcall @|^func\.func private|^module", text, re.MULTILINE):
        return [text]
    aliases = "".join(re.findall(r"^[#!].*\n", text, re.MULTILINE))
    return [aliases + function + "\n" for function in found]


def _files():
    """The functions of .mlir files that have an operation. Tests of messages are to be refused."""
    for folder in ("examples", "test"):
        for file in sorted((ROOT / folder).rglob("*.mlir")):
            text, name = file.read_text(), str(file.relative_to(ROOT))
            if "-verify-diagnostics" in text:
                continue
            parts = [function for part in re.split(r"^// -----.*$", text, flags=re.MULTILINE)
                     for function in _functions(part)]
            for number, part in enumerate(parts, 1):
                if _OPERATION.search(part):
                    yield (f"{name}:{number}" if len(parts) > 1 else name), part


def _kernels():
    """Those that test/Target/CUDA assembles."""
    sys.path.insert(0, str(ROOT / "test/Target/CUDA/Inputs"))
    try:
        import kernels
    finally:
        del sys.path[0]
    for chip in ("sm_80", "sm_90a"):
        for name, text in kernels.modules(chip).items():
            yield f"assemble/{name}", text


def collect(pattern="", is_quick=False):
    """Name to text of the modules whose name matches, each text once, and a line on where they come from. Where
    `is_quick`, of the GPU tests only the random problems."""
    recorded, formed, ended = gpu_tests.modules()
    found, names = {}, {}
    for name, text in [*_files(), *_kernels(), *((name, text) for text, name in recorded.items())]:
        found.setdefault(text, name)
    for text, name in found.items():
        alike = sum(other == name or other.startswith(f"{name} #") for other in names)
        names[f"{name} #{alike + 1}" if alike else name] = text
    chosen = {name: text for name, text in names.items() if re.search(pattern, name)
              and not (is_quick and name.startswith("gpu-tests/") and not name.startswith("gpu-tests/random/"))}
    origins = {}
    for name in chosen:
        origin = name.partition("/")[0]
        origins[origin] = origins.get(origin, 0) + 1
    return chosen, (", ".join(f"{count} of {origin}" for origin, count in origins.items())
                    + f"; {ended} of {formed + ended} cases of the GPU tests need the contents of tensors and end early")

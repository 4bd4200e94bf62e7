"""Holds what the package chooses for a call against what the compiler chooses for a module of the same, static sizes:
few_queries.py SFA_OPT PYTHON_FOLDER"""

import itertools
import re
import subprocess
import sys

sfa_opt, package = sys.argv[1:]
sys.path.insert(0, package)
from sfa import _packing, _schedule, _splits

D, CHIP, MULTIPROCESSORS = 128, "sm_90a", 132
# Of more than 64 heads the compiler packs up to 128, the package 64.
GROUPS = ((1, 1), (1, 16), (2, 4), (3, 5), (4, 8), (5, 8), (6, 2), (7, 4), (8, 1), (12, 2), (16, 2), (64, 1))
QUERIES, KEYS = (0, 1, 2, 5, 8, 9, 16, 17, 33, 64, 65, 129, 1000), (100, 1500, 9000, 65536)
CASES = list(itertools.product(GROUPS, QUERIES, KEYS, (None, 1, 3, 100)))


def module(number, group, kv_heads, queries, keys, sequences):
    count = sequences or 1
    q, k = f"tensor<1x{group * kv_heads}x{queries * count}x{D}xbf16>", f"tensor<1x{kv_heads}x{keys * count}x{D}xbf16>"
    offsets = f"tensor<{count + 1}xi32>"
    taken, argument = (f"sequences(%c, %c : {offsets}, {offsets})", f", %c: {offsets}") if sequences else ("", "")
    return (f"func.func @f{number}(%q: {q}, %k: {k}{argument}) -> {q} {{\n"
            f"  %o = sfa.attention %q, %k, %k {taken} : {q}, {k}, {k} -> {q}\n  return %o : {q}\n}}\n")


def of_package(group, kv_heads, queries, keys, sequences):
    count = sequences or 1
    schedule, packed = _packing.complete(None, group, queries)
    splits = _splits.choose(count * group * kv_heads, queries, keys, None, None, MULTIPROCESSORS, packed, is_uneven=count > 1)
    return packed, _schedule.given(schedule, "q_tile") or 128, splits


def of_compiler(schedule):
    packed, rows, splits = (_schedule.given(schedule, name) or 1 for name in ("packed_heads", "q_tile", "splits"))
    # The package rounds down to a power of two.
    return packed, rows, 1 << splits.bit_length() - 1


text = "".join(module(number, *group, *case) for number, (group, *case) in enumerate(CASES))
compiled = subprocess.run([sfa_opt, "-", f"-sfa-assign-schedule=chip={CHIP}"], input=text, capture_output=True, text=True)
if compiled.returncode:
    sys.exit(compiled.stderr)
schedules = re.findall(r"schedule <(.*?)>", compiled.stdout)
wrong = [f"{case}: {ours}, the compiler {theirs}" for (group, *case), schedule in zip(CASES, schedules, strict=True)
         if (ours := of_package(*group, *case)) != (theirs := of_compiler(schedule))]
print(*wrong[:10], sep="\n")
print(f"{len(CASES) - len(wrong)} of {len(CASES)} calls get heads, rows and splits as the compiler chooses them")

"""Holds what the compiler chooses by the sizes of a call against what it chooses for a module of the same, static sizes: the
same but for splits, which are a power of two where a program serves other sizes, too. few_queries.py SFA_OPT PYTHON_FOLDER"""

import itertools
import re
import subprocess
import sys

sfa_opt, package = sys.argv[1:]
sys.path.insert(0, package)
from sfa import _library, _module

GROUPS = ((1, 1), (1, 16), (2, 4), (3, 5), (5, 8), (8, 1), (12, 2), (64, 1), (128, 1))
QUERIES, KEYS = (0, 1, 2, 5, 8, 9, 17, 33, 64, 65, 129, 193, 1000), (100, 1500, 9000, 65536)
CASES = list(itertools.product(GROUPS, QUERIES, KEYS, (None, 1, 3, 100)))


def static_module(number, d, group, kv_heads, queries, keys, sequences):
    count = sequences or 1
    q, k = f"tensor<1x{group * kv_heads}x{queries * count}x{d}xbf16>", f"tensor<1x{kv_heads}x{keys * count}x{d}xbf16>"
    offsets = f"tensor<{count + 1}xi32>"
    taken, argument = (f"sequences(%c, %c : {offsets}, {offsets})", f", %c: {offsets}") if sequences else ("", "")
    return (f"func.func @f{number}(%q: {q}, %k: {k}{argument}) -> {q} {{\n"
            f"  %o = sfa.attention %q, %k, %k {taken} : {q}, {k}, {k} -> {q}\n  return %o : {q}\n}}\n")


def schedule_of_call(chip, d, group, kv_heads, queries, keys, sequences):
    """By the module that the package makes, and the shapes of a call."""
    count = sequences or 1
    text = _module.attention(q_heads=group * kv_heads, kv_heads=kv_heads, d=d, dv=d, dtype="bf16", sequences=sequences is not None)
    k = (1, kv_heads, keys * count, d)
    shapes = [(1, group * kv_heads, queries * count, d), k, k, *[(count + 1,)] * 2 * (sequences is not None)]
    return _library.jit_schedules(text, chip, shapes)


def rounded(schedule):
    """With splits rounded down to a power of two; without the parameter where that is 1."""
    found = re.search(r", splits = (\d+)", schedule)
    return schedule.replace(found[0], f", splits = {1 << int(found[1]).bit_length() - 1}") if found else schedule


for chip, d in (("sm_90a", 64), ("sm_90a", 128), ("sm_80", 128), ("sm_80", 256)):
    text = "".join(static_module(number, d, *group, *case) for number, (group, *case) in enumerate(CASES))
    compiled = subprocess.run([sfa_opt, "-", f"-sfa-assign-schedule=chip={chip}"], input=text, capture_output=True, text=True)
    if compiled.returncode:
        sys.exit(compiled.stderr)
    static = [rounded(schedule) for schedule in re.findall(r"schedule <(.*?)>", compiled.stdout)]
    wrong = [f"{chip}: {case}: {ours}, for static sizes {theirs}\n" for (group, *case), theirs in zip(CASES, static, strict=True)
             if (ours := schedule_of_call(chip, d, *group, *case)) != theirs]
    print(*wrong[:10], sep="", end="")
    print(f"{chip}, d = {d}: {len(CASES) - len(wrong)} of {len(CASES)} calls get the schedule of static sizes")

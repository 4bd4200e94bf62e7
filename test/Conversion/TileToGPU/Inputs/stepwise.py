"""Runs the passes from sfa to PTX each in a process of its own, with the program as text between them: every program can
be printed and parsed again, and what comes out is the PTX of one run of all passes.

stepwise.py SFA_OPT [--full]        without --full: some of the kernels
"""

import re
import subprocess
import sys

# Each line: chip, what follows the shapes of queries, keys and values, and the attributes of the attention.
KERNELS = [
    ("sm_90a", 64, "bf16", False, "schedule <softmax = online>"),
    ("sm_90a", 64, "f16", True, "mask <causal>"),
    ("sm_90a", 128, "bf16", True, "mask <causal>"),
    ("sm_90a", 128, "bf16", False, "mask <window, left = 100, right = 0> schedule <softmax = online, queries = shared>"),
    ("sm_90a", 128, "f16", False, "schedule <lookahead = 0>"),
    ("sm_90a", 256, "bf16", True, "mask <causal> schedule <softmax = lazy>"),
    ("sm_90a", 64, "bf16", False, "schedule <splits = 4>"),
    ("sm_90a", 128, "bf16", False, "schedule <packed_heads = 4>"),
    ("sm_90a", 128, "bf16", False, "schedule <grid = tiles, turns = ping_pong>"),
    ("sm_80", 64, "bf16", True, "mask <causal>"),
    ("sm_80", 128, "f16", False, "schedule <stages = 3>"),
    ("sm_80", 256, "bf16", False, "mask <causal> schedule <softmax = online, stages = 1>"),
]
# A lazy and an online one with shared queries, splits with a second kernel, turns; both chips.
ORDINARY = [5, 6, 8, 10]


def module(d, element, has_lse, attributes):
    def tensor(heads, width):
        return f"tensor<1x{heads}x?x{width}x{element}>"

    results = [tensor(8, d)] + (["tensor<1x8x?xf32>"] if has_lse else [])
    names = "%o, %lse" if has_lse else "%o"
    return f"""func.func @attention(%q: {tensor(8, d)}, %k: {tensor(2, d)}, %v: {tensor(2, d)}) -> ({", ".join(results)}) {{
  {names} = sfa.attention %q, %k, %v {attributes}
    : {tensor(8, d)}, {tensor(2, d)}, {tensor(2, d)} -> {", ".join(results)}
  return {names} : {", ".join(results)}
}}
"""


def run(sfa_opt, arguments, text):
    done = subprocess.run([sfa_opt, *arguments], input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"sfa-opt {' '.join(arguments)} failed:\n{done.stderr[:2000]}")
    return done


def passes_of(sfa_opt, chip):
    """The top-level passes of --sfa-to-ptx, as texts of pass pipelines."""
    text = run(sfa_opt, [f"--sfa-to-ptx=chip={chip}", "--dump-pass-pipeline"], "").stderr
    inner = re.search(r"builtin\.module\((.*)\)\s*$", " ".join(text.split())).group(1)
    passes, depth, start = [], 0, 0
    for i, character in enumerate(inner):
        depth += (character in "({") - (character in ")}")
        if character == "," and depth == 0:
            passes.append(inner[start:i])
            start = i + 1
    return [name.strip() for name in passes + [inner[start:]]]


def main():
    sfa_opt = sys.argv[1]
    kernels = KERNELS if "--full" in sys.argv else [KERNELS[number] for number in ORDINARY]
    for chip, *problem in kernels:
        source = module(*problem)
        at_once = run(sfa_opt, [f"--sfa-to-ptx=chip={chip}"], source).stdout
        names, text = passes_of(sfa_opt, chip), source
        assert ".version" in at_once, at_once[:500]
        for name in names:
            text = run(sfa_opt, [f"--pass-pipeline=builtin.module({name})"], text).stdout
        print(f"{chip} {problem}: {len(names)} passes one by one")
        if text != at_once:
            sys.exit(f"{chip} {problem}: passes one by one give another PTX")
    print(f"{len(kernels)} kernels: the same PTX")
    return 0


sys.exit(main())

"""Compiles attention in its default schedules and sparsify for a chip and assembles them: no spills, no warnings.

    assemble.py SFA_COMPILE PTXAS CHIP

One line for each configuration that is not as it should be, then a summary.
"""

import itertools
import re
import subprocess
import sys
import tempfile
from pathlib import Path

MASKS = {"none": "", "causal": "mask <causal>", "window": "mask <window, left = 100, right = 30>"}


def module(dtype, d, dv, mask, softmax, has_sequences=False):
    b = "1" if has_sequences else "?"
    q, k, v = f"tensor<{b}x4x?x{d}x{dtype}>", f"tensor<{b}x2x?x{d}x{dtype}>", f"tensor<{b}x2x?x{dv}x{dtype}>"
    o, lse, c = f"tensor<{b}x4x?x{dv}x{dtype}>", f"tensor<{b}x4x?xf32>", "tensor<?xi32>"
    offsets = f", %c: {c}" if has_sequences else ""
    sequences = f"sequences(%c, %c : {c}, {c})" if has_sequences else ""
    return (f"func.func @f(%q: {q}, %k: {k}, %v: {v}{offsets}) -> ({o}, {lse}) {{\n"
            f"  %o, %l = sfa.attention %q, %k, %v {sequences} {MASKS[mask]} schedule <softmax = {softmax}>\n"
            f"    : {q}, {k}, {v} -> {o}, {lse}\n  return %o, %l : {o}, {lse}\n}}\n")


def sparsify(d, k, form):
    x, codes = f"tensor<?x4x?x{d}xbf16>", f"tensor<?x4x?x{d}xbf16, #sfa.codes<k = {k}{form}>>"
    return (f"func.func @f(%x: {x}) -> {codes} {{\n  %c = sfa.sparsify %x : {x} -> {codes}\n"
            f"  return %c : {codes}\n}}\n")


def complaint(compiler, ptxas, chip, text, folder):
    """What is wrong with the code of a module, or None."""
    source, ptx = folder / "f.mlir", folder / "f.ptx"
    source.write_text(text)
    compiled = subprocess.run([compiler, source, f"--chip={chip}", "--emit=ptx", "-o", ptx], capture_output=True, text=True)
    if compiled.returncode:
        return compiled.stderr
    assembled = subprocess.run([ptxas, f"-arch={chip}", "-v", ptx, "-o", folder / "f.cubin"], capture_output=True, text=True)
    if assembled.returncode:
        return assembled.stderr
    # C7510 to C7520: warpgroup products that wait for each other.
    bad = [line for line in assembled.stderr.splitlines() if re.search(r"C75\d\d|warning|[1-9]\d* bytes spill", line)]
    return "\n".join(bad) or None


def main():
    compiler, ptxas, chip = sys.argv[1:]
    modules = {}
    with tempfile.TemporaryDirectory() as folder:
        widths = [(64, 64), (128, 128), (256, 256), (64, 256), (256, 64)]
        # Every pair of values of two parameters; all of the widest on warpgroups, which are short of registers.
        is_scarce = chip == "sm_90a"
        kernels = [((d, dv), mask, softmax, False)
                   for (i, (d, dv)), (j, mask), softmax in itertools.product(
                       enumerate(widths), enumerate(MASKS), ["online", "lazy"])
                   if (i + j) % 2 == (softmax == "lazy") or (is_scarce and (d, dv) == (256, 256))]
        kernels.append(((128, 128), "causal", "lazy", True))
        for (d, dv), mask, softmax, has_sequences in kernels:
            # Types differ in the instructions' names only.
            dtype = "f16" if mask == "none" else "bf16"
            name = f"{dtype} d={d} dv={dv} {mask} {softmax}{' sequences' * has_sequences}"
            modules[name] = module(dtype, d, dv, mask, softmax, has_sequences)
        for d, k, form in [(64, 8, ""), (128, 32, ""), (256, 32, ""), (256, 100, ""), (128, 8, ", two_four")]:
            modules[f"sparsify d={d} k={k}{form}"] = sparsify(d, k, form)
        wrong = {name: complaint(compiler, ptxas, chip, text, Path(folder)) for name, text in modules.items()}
        for name, text in wrong.items():
            if text:
                print(f"{chip} {name}: {text}")
    count, failed = len(wrong), sum(text is not None for text in wrong.values())
    print(f"{count - failed} of {count} kernels for {chip} assemble without spills and warnings")
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()

"""Compiles attention in its default schedules and sparsify for a chip and assembles them: no spills, no warnings.

    assemble.py SFA_COMPILE PTXAS CHIP [CUOBJDUMP]

One line for each configuration that is not as it should be, then a summary. With cuobjdump of the CUDA Toolkit only
attention is assembled, and the registers that warpgroup products read while they are under way are looked at, too.
"""

import itertools
import re
import subprocess
import sys
import tempfile
from pathlib import Path

MASKS = {"none": "", "causal": "mask <causal>", "window": "mask <window, left = 100, right = 30>"}


def module(dtype, d, dv, mask, softmax, has_sequences=False, splits=1, has_lse=True, packed_heads=1):
    b = "1" if has_sequences else "?"
    heads, kv = 2 * max(packed_heads, 2), 2
    q, k, v = f"tensor<{b}x{heads}x?x{d}x{dtype}>", f"tensor<{b}x{kv}x?x{d}x{dtype}>", f"tensor<{b}x{kv}x?x{dv}x{dtype}>"
    o, lse, c = f"tensor<{b}x{heads}x?x{dv}x{dtype}>", f"tensor<{b}x{heads}x?xf32>", "tensor<?xi32>"
    offsets = f", %c: {c}" if has_sequences else ""
    sequences = f"sequences(%c, %c : {c}, {c})" if has_sequences else ""
    results, types = ("%o, %l", f"{o}, {lse}") if has_lse else ("%o", o)
    return (f"func.func @f(%q: {q}, %k: {k}, %v: {v}{offsets}) -> ({types}) {{\n"
            f"  {results} = sfa.attention %q, %k, %v {sequences} {MASKS[mask]} schedule <softmax = {softmax}, splits = {splits}, packed_heads = {packed_heads}>\n"
            f"    : {q}, {k}, {v} -> {types}\n  return {results} : {types}\n}}\n")


def sparsify(d, k, form, results="%codes"):
    x, codes = f"tensor<?x4x?x{d}xbf16>", f"tensor<?x4x?x{d}xbf16, #sfa.codes<k = {k}{form}>>"
    types = {"%codes": codes, "%dense": x, "%codes, %dense": f"{codes}, {x}"}[results]
    return (f"func.func @f(%x: {x}) -> ({types}) {{\n  %codes, %dense = sfa.sparsify %x : {x} -> {codes}, {x}\n"
            f"  return {results} : {types}\n}}\n")


def complaint(compiler, ptxas, disassembler, chip, text, folder):
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
    if disassembler:
        sass = subprocess.run([disassembler, "-sass", folder / "f.cubin"], capture_output=True, text=True, check=True)
        bad += overwritten_operands(sass.stdout)
    return "\n".join(bad) or None


def overwritten_operands(sass):
    """Instructions of the main loop that write registers which products under way read as left operands: ptxas does not
    keep them; see keepUntilHere in Wgmma.h."""
    code = [(int(at, 16), text) for at, text in re.findall(r"/\*([0-9a-f]{4,})\*/\s+(.*?);", sass)]
    places = {at: number for number, (at, _) in enumerate(code)}
    loops = []
    for end, (at, text) in enumerate(code):
        target = re.search(r"BRA(?:\.\w+)* .*?0x([0-9a-f]+)", text)
        start = places.get(int(target[1], 16), end) if target else end
        if start < end and sum("HGMMA" in text for _, text in code[start:end]) >= 8:
            loops.append((start, end))
    if not loops:
        return ["no loop with products was found"]
    start, end = loops[0]
    operands, last = set(), start
    for number in range(start, end + 1):
        # The product with the values: its left operand is in registers.
        product = re.search(r"HGMMA\S* R\d+, R(\d+), gdesc\S*tnspB", code[number][1])
        if product:
            operands.update(range(int(product[1]), int(product[1]) + 4))
            last = number
    found = []
    for number in [*range(last + 1, end + 1), *range(start, last)]:
        text = code[number][1]
        if "DEPBAR.LE gsb0, 0x0" in text:
            return found
        written = re.match(r"(?:@!?U?P\w+ )?(?!ST|BAR|SYNCS|R2UR|HGMMA|.?ISETP|.?FSETP)\w\S* (?:P\w+, )*R(\d+)", text)
        if written and int(written[1]) in operands:
            found.append(f"writes an operand under way: {text.strip()}")
    return ["the loop does not wait for its products"]


def main():
    compiler, ptxas, chip, *more = sys.argv[1:]
    disassembler = more[0] if more else None
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
            # Without the log-sum-exp the lazy softmax has no sums in lanes.
            for has_lse in (True, False) if softmax == "lazy" and d == dv else (True,):
                name = f"{dtype} d={d} dv={dv} {mask} {softmax}{' sequences' * has_sequences}{' lse' * has_lse}"
                modules[name] = module(dtype, d, dv, mask, softmax, has_sequences, has_lse=has_lse)
        for (d, dv), softmax in itertools.product(widths[:3], ["online", "lazy"]):
            mask, splits = ("window", 100) if softmax == "lazy" else ("causal", 4)
            modules[f"bf16 d={d} dv={dv} {mask} {softmax} {splits} splits"] = module(
                "bf16", d, dv, mask, softmax, splits=splits)
        for (d, dv), packed_heads, softmax in itertools.product(widths[:3], [4, 8, 7], ["online", "lazy"]):
            # 8 heads have tiles of their own, 7 leave rows over; with splits there is a log-sum-exp in any case.
            mask, splits = ("window", 5) if (packed_heads == 8) == (softmax == "lazy") else ("causal", 1)
            modules[f"bf16 d={d} dv={dv} {mask} {softmax} {packed_heads} packed heads {splits} splits"] = module(
                "bf16", d, dv, mask, softmax, splits=splits, packed_heads=packed_heads)
        for (d, dv), packed_heads, softmax in itertools.product(widths[:3], [1, 16], ["online", "lazy"]):
            # Few queries: warps with rows of several heads.
            mask, splits = ("window", 5) if (packed_heads == 1) == (softmax == "lazy") else ("causal", 1)
            modules[f"bf16 d={d} dv={dv} {mask} {softmax} {packed_heads} packed heads of few queries {splits} splits"] = module(
                "bf16", d, dv, mask, f"{softmax}, q_tile = 64", splits=splits, packed_heads=packed_heads)
        for (d, dv), (packed_heads, tile), softmax in itertools.product(widths[:3], [(4, ""), (5, ", q_tile = 64")], ["online", "lazy"]):
            mask, splits = ("window", 1) if (packed_heads == 4) == (softmax == "online") else ("causal", 4)
            modules[f"bf16 d={d} dv={dv} {mask} {softmax}{tile} {packed_heads} packed heads of sequences {splits} splits"] = module(
                "bf16", d, dv, mask, softmax + tile, has_sequences=True, splits=splits, packed_heads=packed_heads)
        for d, k, form in [(64, 8, ""), (128, 32, ""), (256, 32, ""), (256, 100, ""), (128, 8, ", two_four")]:
            modules[f"sparsify d={d} k={k}{form}"] = sparsify(d, k, form)
        for d, k, form, results in [(64, 8, "", "%dense"), (128, 8, "", "%codes, %dense"),
                                    (256, 32, "", "%codes, %dense"), (256, 100, ", two_four", "%dense")]:
            modules[f"sparsify d={d} k={k}{form} {results}"] = sparsify(d, k, form, results)
        wrong = {name: complaint(compiler, ptxas, disassembler, chip, text, Path(folder)) for name, text in modules.items()
                 if not disassembler or "sfa.attention" in text}
        for name, text in wrong.items():
            if text:
                print(f"{chip} {name}: {text}")
    count, failed = len(wrong), sum(text is not None for text in wrong.values())
    print(f"{count - failed} of {count} kernels for {chip} assemble without spills and warnings"
          + ", and keep what products read" * bool(disassembler))
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()

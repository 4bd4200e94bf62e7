"""Compiles attention in its default schedules, sparsify and quantize for a chip and assembles them: no spills, no warnings.

    assemble.py SFA_COMPILE PTXAS CHIP [--full] [--cuobjdump CUOBJDUMP]

One line for each configuration that is not as it should be, then a summary. Without --full only
some of the configurations are assembled, see `in_ordinary_run`. With cuobjdump of the CUDA Toolkit only
attention is assembled, and the registers that warpgroup products read while they are under way are looked at, too.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from kernels import in_ordinary_run, modules


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
        if start < end and sum("HGMMA" in text for _, text in code[start:end]) >= 4:
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
    parser = argparse.ArgumentParser()
    for name in ("compiler", "ptxas", "chip", "--cuobjdump"):
        parser.add_argument(name)
    parser.add_argument("--full", action="store_true")
    options = parser.parse_args()
    compiler, ptxas, chip, disassembler = options.compiler, options.ptxas, options.chip, options.cuobjdump
    chosen = modules(chip) if options.full else in_ordinary_run(modules(chip))
    with tempfile.TemporaryDirectory() as folder:
        wrong = {name: complaint(compiler, ptxas, disassembler, chip, text, Path(folder)) for name, text in chosen.items()
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

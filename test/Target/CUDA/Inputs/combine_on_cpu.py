"""Runs the GPU code that combines splits of the keys on this CPU and compares it with the definition.

    combine_on_cpu.py SFA_COMPILE CLANG

The LLVM IR of the kernel becomes that of a function of this machine, with warps.c in the place of what only a GPU has.
"""

import ctypes
import math
import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from topk_on_cpu import Memory, number

CONFIGURATIONS = [  # dtype, dv, splits, chip, heads whose splits are side by side
    ("bf16", 64, 2, "sm_90a", 1), ("f16", 128, 3, "sm_90a", 3), ("bf16", 256, 8, "sm_80", 2), ("f16", 64, 31, "sm_90a", 1),
    ("bf16", 128, 32, "sm_90a", 6), ("f16", 192, 33, "sm_90a", 1), ("bf16", 64, 40, "sm_90a", 3),
    ("f16", 256, 100, "sm_80", 1), ("bf16", 128, 256, "sm_90a", 1)]
BATCHES, HEADS = 2, 6
REPLACED = [
    (r" addrspace\(\d\)", ""), (r"ptx_kernel ", ""), (r"(?m)^target .*$", ""), (r"(?m)^(declare .*) #\d+$", r"\1"),
    (r"llvm\.nvvm\.read\.ptx\.sreg\.(\w+)\.(\w)", r"read_\1_\2"),
    (r"llvm\.nvvm\.shfl\.sync\.(\w+)\.(\w+)", r"shfl_\1_\2"),
    (r"llvm\.nvvm\.(ex2|lg2|rcp)\.approx\.ftz\.f(32)?\b", r"\1"),
    (r"llvm\.nvvm\.ff2(bf16|f16)x2\.rn", r"pack_\1"), (r"<2 x (bfloat|half)>", "i32")]


def module(dtype, dv, splits, heads):
    def tensor(heads, *sizes):
        return "x".join(["?", str(heads), "?", *map(str, sizes)])

    shapes = [tensor(HEADS * splits, dv, "f32"), tensor(HEADS * splits, "f32"), tensor(HEADS, dv, dtype),
              tensor(HEADS, "f32")]
    outputs, sums, o, lse = (f"tensor<{shape}>" for shape in shapes)
    memories = [f"memref<{shape}, strided<[{'?, ' * (shape.count('x') - 1)}1], offset: ?>>" for shape in shapes]
    return f"""
sfa_tile.kernel @combine(%outputs: {memories[0]}, %sums: {memories[1]}, %o: {memories[2]}, %l: {memories[3]}) grid(%b, %h, %t) {{
  %c4 = arith.constant 4 : index
  %row = arith.muli %t, %c4 : index
  %output, %lse = sfa_tile.combine %outputs, %sums[%b, %h, %row] of {splits} splits heads {heads}
    : {memories[0]}, {memories[1]} -> !sfa_tile.tile<4x{dv}xf32>, !sfa_tile.tile<4xf32>
  sfa_tile.store %lse, %l[%b, %h, %row] : !sfa_tile.tile<4xf32>, {memories[3]}
  sfa_tile.store %output, %o[%b, %h, %row] : !sfa_tile.tile<4x{dv}xf32>, {memories[2]}
}}
func.func @f(%outputs: {outputs}, %sums: {sums}) -> ({o}, {lse}) {{
  %c0 = arith.constant 0 : index
  %c2 = arith.constant 2 : index
  %c4 = arith.constant 4 : index
  %heads = arith.constant {HEADS} : index
  %b = tensor.dim %outputs, %c0 : {outputs}
  %n = tensor.dim %outputs, %c2 : {outputs}
  %tiles = arith.ceildivui %n, %c4 : index
  %o = tensor.empty(%b, %n) : {o}
  %l = tensor.empty(%b, %n) : {lse}
  %r:2 = sfa_tile.launch @combine grid(%b, %heads, %tiles) ins(%outputs, %sums : {outputs}, {sums})
    outs(%o, %l : {o}, {lse}) -> {o}, {lse}
  return %r#0, %r#1 : {o}, {lse}
}}
"""


def build(compiler, clang, folder, dtype, dv, splits, chip, heads):
    source, ir, library = (folder / f"f{len(list(folder.iterdir()))}{end}" for end in (".mlir", ".ll", ".so"))
    source.write_text(module(dtype, dv, splits, heads))
    text = subprocess.run([compiler, source, f"--chip={chip}", "--emit=llvm"], check=True, capture_output=True,
                          text=True).stdout
    for pattern, replacement in REPLACED:
        text = re.sub(pattern, replacement, text)
    ir.write_text(text)
    subprocess.run([clang, "-O1", "-w", "-shared", "-fPIC", "-x", "ir", ir, "-x", "c",
                    Path(__file__).with_name("warps.c"), "-lm", "-o", library], check=True)
    return ctypes.CDLL(str(library))


def make_row(kind, dv, splits, source):
    """Log-sum-exps and outputs of the splits: ordinary, far apart, some or all without keys, not finite."""
    spread, offset = ((1, 0), (30, 0), (3, 1000), (3, -1000), (5, 0), (5, 0), (5, 0), (5, 0))[kind]
    sums = [offset + source.gauss(0, spread) for _ in range(splits)]
    outputs = [[source.gauss(0, 1) for _ in range(dv)] for _ in range(splits)]
    for split in range(splits):
        if (kind == 4 and source.random() < 0.5) or kind == 5:
            sums[split], outputs[split] = -math.inf, [0.0] * dv
    if kind == 6:
        sums[source.randrange(splits)] = math.nan
    if kind == 7:
        outputs[source.randrange(splits)][dv // 2] = math.inf
    return sums, outputs


def combined(sums, outputs):
    """The output and the log-sum-exp of a row."""
    if any(map(math.isnan, sums)):
        return [math.nan] * len(outputs[0]), math.nan
    most = max(sums)
    if most == -math.inf:
        return [0.0] * len(outputs[0]), most
    weights = [math.exp(x - most) for x in sums]
    total = sum(weights)
    return [sum(w * o for w, o in zip(weights, column)) / total for column in zip(*outputs)], most + math.log(total)


def is_near(actual, expected, tolerance):
    if math.isfinite(expected):
        return abs(actual - expected) <= tolerance * max(1, abs(expected))
    return actual == expected or (math.isnan(actual) and math.isnan(expected))


def aligned(kind, values):
    """An array that begins at a multiple of 16 bytes, which ctypes does not promise, and what keeps it alive."""
    size = ctypes.sizeof(kind)
    buffer = (kind * (len(values) + 16 // size))()
    shift = -ctypes.addressof(buffer) % 16 // size
    buffer[shift:shift + len(values)] = values
    return ctypes.addressof(buffer) + shift * size, buffer


def check(library, source, dtype, dv, splits, heads, rows, gap):
    """`gap`: elements between rows of the result, which stay as they are."""
    problem = [[[make_row(source.randrange(8) if rows > 1 else 0, dv, splits, source) for _ in range(rows)]
                for _ in range(HEADS)] for _ in range(BATCHES)]
    places = [(b, first + h, s, row) for b in range(BATCHES) for first in range(0, HEADS, heads)
              for s in range(splits) for h in range(heads) for row in range(rows)]
    sums, keep_sums = aligned(ctypes.c_float, [problem[b][h][row][0][s] for b, h, s, row in places])
    outputs, keep_outputs = aligned(
        ctypes.c_float, [value for b, h, s, row in places for value in problem[b][h][row][1][s]])
    stride, count = dv + gap, BATCHES * HEADS * rows
    o, keep_o = aligned(ctypes.c_uint16, [0xEEEE] * (count * stride))
    lse = (ctypes.c_float * (count * 2))(*[7.0] * (count * 2))
    library.launch(
        BATCHES, HEADS, Memory(outputs, rows, HEADS * splits * rows * dv, rows * dv, dv),
        Memory(sums, rows, HEADS * splits * rows, rows, 1), Memory(o, rows, HEADS * rows * stride, rows * stride, stride),
        Memory(ctypes.addressof(lse), rows, HEADS * rows * 2, rows * 2, 2))
    actual = (ctypes.c_uint16 * (count * stride)).from_address(o)
    # Half a unit in the last place of a number in [1, 2), and a little for f32.
    rounding = 1.01 * (2**-8 if dtype == "bf16" else 2**-11)
    for place in range(count):
        b, h, row = place // (HEADS * rows), place // rows % HEADS, place % rows
        expected, expected_lse = combined(*problem[b][h][row])
        mine = actual[place * stride:(place + 1) * stride]
        if mine[dv:] != [0xEEEE] * gap or lse[2 * place + 1] != 7:
            return False
        if not is_near(lse[2 * place], expected_lse, 1e-6):
            return False
        if not all(is_near(number(dtype, bits), value, rounding) for bits, value in zip(mine, expected)):
            return False
    return True


def main():
    compiler, clang = sys.argv[1:]
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for dtype, dv, splits, chip, heads in CONFIGURATIONS:
            library = build(compiler, clang, Path(folder), dtype, dv, splits, chip, heads)
            source = random.Random(dv + splits)
            for rows, gap in ((1, 0), (7, 8)):
                if not check(library, source, dtype, dv, splits, heads, rows, gap):
                    failed += 1
                    print(f"{chip} {dtype} dv={dv} {splits} splits, {rows} rows: not what the definition gives")
    print(f"{len(CONFIGURATIONS)} kernels, {failed} wrong results")
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()

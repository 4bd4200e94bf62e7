"""Runs the GPU code of sfa.sparsify with 8-bit values on this CPU and compares what it gives, bit for bit, with that of
sfa.quantize on the values that are kept, and with the definition.

    integers_on_cpu.py SFA_COMPILE CLANG
"""

import ctypes
import itertools
import math
import random
import sys
import tempfile
from pathlib import Path

import numpy

from topk_on_cpu import Memory, Rows, assemble, kept, make_row, number

CONFIGURATIONS = [  # dtype, d, k, two_four, scales, chip; what is written takes turns
    ("bf16", 128, 8, False, "token", "sm_90a"), ("bf16", 128, 8, False, "tile", "sm_90a"),
    ("f16", 64, 16, False, "token", "sm_80"), ("f16", 64, 4, True, "tile", "sm_80"),
    ("bf16", 256, 32, False, "token", "sm_90a"), ("bf16", 256, 32, False, "tile", "sm_90a"),
    ("bf16", 40, 7, False, "tile", "sm_90a"), ("f16", 24, 24, False, "token", "sm_90a"),
    ("bf16", 200, 1, False, "token", "sm_80"), ("bf16", 80, 20, True, "tile", "sm_90a")]
RESULTS = (("%rows",), ("%rows", "%codes"), ("%codes",))
TOKENS_OF_SCALE = 128
UNTOUCHED = 0xEE


def build(compiler, clang, folder, results, dtype, d, k, two_four, scales, chip):
    """The kernel that selects and rounds, and the one that rounds only."""
    if len(results) == 1:
        x = f"tensor<?x2x?x{d}x{dtype}>"
        codes, rows = (f"{x[:-1]}, #sfa.{form}values = i8, scales = {scales}>>" for form in (
            f"codes<k = {k}{', two_four' if two_four else ''}, ", "dense<"))
        type = {"%codes": codes, "%rows": rows}[results[0]]
        module = (f"func.func @f(%x: {x}) -> {type} {{\n  %codes, %rows = sfa.sparsify %x : {x} -> {codes}, {rows}\n"
                  f"  return {results[0]} : {type}\n}}\n")
    else:
        module = both(dtype, d, k, two_four, scales)
    memories = 2 + ("%rows" in results) + 2 * ("%codes" in results)
    return (assemble(compiler, clang, folder, module, chip, memories),
            assemble(compiler, clang, folder, alone(dtype, k, scales), chip, 3))


def tile_program(body, shapes, tiles_of_last):
    """A kernel of tiles, whose memories are m0, m1, ...: one array that is read, and the others."""
    tensors = [f"tensor<{shape}>" for shape in shapes]
    memories = [f"memref<{shape}, strided<[{'?, ' * (shape.count('x') - 1)}1], offset: ?>>" for shape in shapes]
    for number, memory in enumerate(memories):
        body = body.replace(f"!m{number}", memory)
    parameters = ", ".join(f"%m{number}: {memory}" for number, memory in enumerate(memories))
    types, outputs = ", ".join(tensors[1:]), [f"%out{number}" for number in range(1, len(tensors))]
    tokens = ["%n"] * (len(outputs) - 1) + ["%tiles" if tiles_of_last else "%n"]
    empty = "\n".join(f"  {name} = tensor.empty(%b, {n}) : {tensor}" for name, n, tensor in zip(outputs, tokens, tensors[1:]))
    return f"""
sfa_tile.kernel @kernel_of_tiles({parameters}) grid(%b, %h, %t) {{
{body}}}
func.func @f(%x: {tensors[0]}) -> ({types}) {{
  %c0 = arith.constant 0 : index
  %c2 = arith.constant 2 : index
  %c128 = arith.constant 128 : index
  %b = tensor.dim %x, %c0 : {tensors[0]}
  %n = tensor.dim %x, %c2 : {tensors[0]}
  %tiles = arith.ceildivui %n, %c128 : index
{empty}
  %r:{len(outputs)} = sfa_tile.launch @kernel_of_tiles grid(%b, %c2, %tiles) ins(%x : {tensors[0]})
    outs({', '.join(outputs)} : {types}) -> {types}
  return {', '.join(f'%r#{number}' for number in range(len(outputs)))} : {types}
}}
"""


def alone(dtype, k, scales):
    """A program of the kernel of sfa.quantize."""
    body = f"  sfa_tile.quantize %m0[%b, %h, %t] to %m1, %m2 shared_by {scales} : !m0, !m1, !m2\n"
    return tile_program(body, (f"?x2x?x{k}x{dtype}", f"?x2x?x{k}xi8", "?x2x?xf32"), scales == "tile")


def both(dtype, d, k, two_four, scales):
    """The kernel of sfa.sparsify with codes and rows, which share their scales: no function gives back both."""
    padded = -(-d // 16) * 16
    tile, codes = f"!sfa_tile.tile<128x{d}x{dtype}>", f"!sfa_tile.codes<128x{d}x{dtype}, k = {k}>"
    integers, rows = f"!sfa_tile.codes<128x{padded}xi8, k = {k}>", f"!sfa_tile.tile<128x{padded}xi8>"
    body = f"""  %c128 = arith.constant 128 : index
  %row = arith.muli %t, %c128 : index
  %tile = sfa_tile.load %m0[%b, %h, %row] : !m0 -> {tile}
  %codes = sfa_tile.topk %tile {'two_four' if two_four else ''} : {tile} -> {codes}
  %integers, %scales = sfa_tile.quantize_codes %codes shared_by {scales} : {codes} -> {integers}, !sfa_tile.tile<128xf32>
  %rows = sfa_tile.expand %integers : {integers} -> {rows}
  sfa_tile.store %rows, %m1[%b, %h, %row] : {rows}, !m1
  sfa_tile.store_codes %integers, %m2, %m3[%b, %h, %row] : {integers}, !m2, !m3
  sfa_tile.store_scales %scales, %m4[%b, %h, %row] shared_by {scales} : !sfa_tile.tile<128xf32>, !m4
"""
    return tile_program(body, (f"?x2x?x{d}x{dtype}", f"?x2x?x{padded}xi8", f"?x2x?x{k}xi8", f"?x2x?x{k}xi8", "?x2x?xf32"),
                        scales == "tile")


def make_rows(dtype, d, rows, source):
    """Bits of 4 * rows rows: of the first head finite, of the second one zeros, then tiny values and some larger ones, of the
    others anything."""
    finite, tiny, anything = (0, 1, 2, 3, 5, 8, 9), (3, 5), range(11)
    kinds = [[finite[row % 7] for row in range(rows)],
             [3 if row < TOKENS_OF_SCALE else tiny[row % 2] for row in range(rows)],
             [anything[row % 11] for row in range(rows)],
             # Not finite is one row of the first tile.
             [10 if row == 3 else finite[row % 7] for row in range(rows)]]
    return [make_row(dtype, d, kind, source) for head in kinds for kind in head]


def launch(library, *memories):
    library.launch(2, 2, (Memory * len(memories))(*(memory.memory() for memory in memories)))


def signed(byte):
    return byte - 256 if byte > 127 else byte


def is_defined(values, integers, bits, is_token):
    """Whether integers and the scale of these bits are what sfa.quantize defines for the values that share it, [rows, k]."""
    scale = numpy.uint32(bits).view(numpy.float32)
    if not numpy.isfinite(values).all():
        return bits == 0x7FC00000 and not integers.any()
    largest, least_normal = numpy.abs(values).max(), numpy.finfo(numpy.float32).tiny
    if largest == 0:
        return scale == 1 and not integers.any()
    candidates = largest / numpy.arange(127, 95, -1, dtype=numpy.float32)
    if candidates[0] < least_normal:
        if scale not in (least_normal, *candidates):
            return False
    elif is_token:
        # The search is free in the last bits: where errors are 0.1 steps they are exact to 1e-3.
        exact = values.astype(numpy.float64)[..., None]
        errors = ((numpy.rint(values[..., None] / candidates) * candidates.astype(numpy.float64) - exact) ** 2).sum((0, 1))
        if scale not in candidates or errors[list(candidates).index(scale)] > errors.min() * (1 + 1e-3) + largest**2 * 1e-12:
            return False
    elif scale != candidates[0]:
        return False
    return numpy.array_equal(integers, numpy.rint(values / scale))


def check(fused, separate, source, results, dtype, d, k, two_four, scales, rows, gap):
    """What is wrong, or None. `gap`: elements between rows of the results, which stay as they are; 16 times as many of rows."""
    x, given = Rows(ctypes.c_uint16, rows, d, 0), Rows(ctypes.c_uint16, rows, k, 0)
    rows_of_x = make_rows(dtype, d, rows, source)
    features = [kept(dtype, row, k, two_four) for row in rows_of_x]
    for place, row in enumerate(rows_of_x):
        x.array[x.place(place)] = row
        given.array[given.place(place)] = [row[i] for i in features[place]]
    of_scale = TOKENS_OF_SCALE if scales == "tile" else 1
    num_scales = -(-rows // of_scale)
    padded = -(-d // 16) * 16
    written = {name: Rows(element, number_of_rows, width, more) for name, element, number_of_rows, width, more in (
        ("rows", ctypes.c_uint8, rows, padded, 16 * gap), ("values", ctypes.c_uint8, rows, k, gap),
        ("indices", ctypes.c_uint8, rows, k, gap), ("scales", ctypes.c_uint32, num_scales, 1, gap))}
    names = ["rows"] * ("%rows" in results) + ["values", "indices"] * ("%codes" in results) + ["scales"]
    launch(fused, x, *(written[name] for name in names))
    integers, same_scales = Rows(ctypes.c_uint8, rows, k, 0), Rows(ctypes.c_uint32, num_scales, 1, 0)
    launch(separate, given, integers, same_scales)

    for place in range(4 * num_scales):
        one, other = written["scales"], same_scales
        if one.array[one.place(place)] != other.array[other.place(place)] + [UNTOUCHED] * gap:
            return "another scale than that of sfa.quantize"
    for place in range(4 * rows):
        expected = list(integers.array[integers.place(place)])
        row = [0] * padded
        for feature, integer in zip(features[place], expected):
            row[feature] = integer
        for name, of_row in (("rows", row), ("values", expected), ("indices", features[place])):
            result = written[name]
            if name in names and result.array[result.place(place)] != of_row + [UNTOUCHED] * (result.stride - len(of_row)):
                return f"other {name} than of sfa.quantize"
    values = numpy.array([[number(dtype, bits) for bits in given.array[given.place(place)]] for place in range(4 * rows)],
                         numpy.float32)
    numbers = numpy.array([[signed(byte) for byte in integers.array[integers.place(place)]] for place in range(4 * rows)])
    for head, place in itertools.product(range(4), range(num_scales)):
        shared = slice(head * rows + place * of_scale, head * rows + min(rows, (place + 1) * of_scale))
        bits = same_scales.array[same_scales.place(head * num_scales + place)][0]
        if not is_defined(values[shared], numbers[shared], bits, scales == "token"):
            return f"not what sfa.quantize defines, scale {place} of head {head}"
    return None


def main():
    numpy.seterr(all="ignore")
    compiler, clang = sys.argv[1:]
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for configuration, results in zip(CONFIGURATIONS, itertools.cycle(RESULTS)):
            kernels = build(compiler, clang, Path(folder), results, *configuration)
            source = random.Random(math.prod(configuration[1:3]))
            for rows, gap in ((1, 0), (70, 0), (139, 3)):
                problem = check(*kernels, source, results, *configuration[:-1], rows, gap)
                if problem:
                    failed += 1
                    print(f"{' '.join(map(str, configuration))} {' '.join(results)}, {rows} rows: {problem}")
    print(f"{len(CONFIGURATIONS)} kernels, {failed} wrong results")
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()

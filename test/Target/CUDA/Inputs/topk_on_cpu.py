"""Runs the GPU code of sfa.sparsify on this CPU and compares it with the oracle, bit for bit.

    topk_on_cpu.py SFA_COMPILE CLANG

The LLVM IR of the kernel becomes that of a function of this machine, with threads.c in the place of
what only a GPU has.
"""

import ctypes
import itertools
import math
import random
import re
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

CONFIGURATIONS = [  # dtype, d, k, two_four, chip; what is written takes turns
    ("bf16", 64, 8, False, "sm_90a"), ("f16", 128, 16, False, "sm_90a"), ("bf16", 256, 32, False, "sm_90a"),
    ("bf16", 128, 3, False, "sm_80"), ("bf16", 64, 1, False, "sm_90a"), ("f16", 64, 33, False, "sm_90a"),
    ("bf16", 128, 128, False, "sm_90a"), ("bf16", 128, 8, True, "sm_90a"), ("f16", 64, 32, True, "sm_90a"),
    ("f16", 256, 40, True, "sm_90a"), ("bf16", 64, 32, False, "sm_90a"), ("bf16", 128, 4, False, "sm_90a"),
    ("f16", 64, 16, False, "sm_80"), ("bf16", 40, 8, False, "sm_90a"), ("f16", 200, 16, False, "sm_90a")]
RESULTS = (("%codes", "%dense"), ("%codes",), ("%dense",))
REPLACED = [
    (r" addrspace\(\d\)", ""), (r"ptx_kernel void @\w+", "void @kernel"), (r"(?m)^target .*$", ""),
    (r"llvm\.nvvm\.read\.ptx\.sreg\.(\w+)\.(\w)", r"read_\1_\2"),
    (r"llvm\.nvvm\.cp\.async\.cg\.shared\.global\.16\.s", "cp_async_s"),
    (r"llvm\.nvvm\.cp\.async\.cg\.shared\.global\.16", "cp_async"),
    (r"llvm\.nvvm\.cp\.async\.commit\.group", "cp_async_commit"),
    (r"llvm\.nvvm\.cp\.async\.wait\.group", "cp_async_wait"), (r"(@cp_async_wait\(i32) immarg", r"\1"),
    (r"llvm\.nvvm\.bar\.warp\.sync", "bar_warp_sync"), (r"llvm\.nvvm\.prmt", "prmt"),
    (r"llvm\.nvvm\.idp4a\.s\.s", "dp4a"), (r"llvm\.nvvm\.shfl\.sync\.bfly\.i32", "shfl_bfly_i32"),
    (r"llvm\.nvvm\.barrier\.cta\.sync\.aligned\.all", "barrier")]


class Memory(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p)] + [
        (name, ctypes.c_int64) for name in ("rows", "batch_stride", "head_stride", "row_stride")]


def assemble(compiler, clang, folder, module, chip, memories):
    """The kernel of a module, with so many memories, as a function of this machine."""
    source, ir, library = (folder / f"f{len(list(folder.iterdir()))}{end}" for end in (".mlir", ".ll", ".so"))
    source.write_text(module)
    text = subprocess.run([compiler, source, f"--chip={chip}", "--emit=llvm"], check=True, capture_output=True,
                          text=True).stdout
    for pattern, replacement in REPLACED:
        text = re.sub(pattern, replacement, text)
    ir.write_text(text)
    subprocess.run([clang, "-O1", "-w", "-shared", "-fPIC", "-x", "ir", ir, "-x", "c", f"-DNUM_MEMORIES={memories}",
                    Path(__file__).with_name("threads.c"), "-lm", "-o", library], check=True)
    return ctypes.CDLL(str(library))


def build(compiler, clang, folder, results, dtype, d, k, two_four, chip):
    dense = f"tensor<?x2x?x{d}x{dtype}>"
    codes = f"tensor<?x2x?x{d}x{dtype}, #sfa.codes<k = {k}{', two_four' if two_four else ''}>>"
    types = ", ".join({"%codes": codes, "%dense": dense}[name] for name in results)
    module = (f"func.func @f(%x: {dense}) -> ({types}) {{\n"
              f"  %codes, %dense = sfa.sparsify %x : {dense} -> {codes}, {dense}\n"
              f"  return {', '.join(results)} : {types}\n}}\n")
    return assemble(compiler, clang, folder, module, chip, 1 + 2 * ("%codes" in results) + ("%dense" in results))


def number(dtype, bits):
    """What the bits stand for."""
    if dtype == "f16":
        return struct.unpack("<e", struct.pack("<H", bits))[0]
    return struct.unpack("<f", struct.pack("<I", bits << 16))[0]


def normal(dtype, source):
    """The bits of a normal number."""
    if dtype == "f16":
        return struct.unpack("<H", struct.pack("<e", source.gauss(0, 1)))[0]
    return struct.unpack("<I", struct.pack("<f", source.gauss(0, 1)))[0] >> 16


def make_row(dtype, d, kind, source):
    """Bits of a row: normal, ties, few distinct values, zeros, denormals, anything, NaN of all payloads."""
    one, infinity = (0x3C00, 0x7C00) if dtype == "f16" else (0x3F80, 0x7F80)
    row = []
    for _ in range(d):
        anything, usual, is_rare = source.getrandbits(16), normal(dtype, source), source.random() < 0.12
        sign = anything & 0x8000
        row.append((usual, one | sign, sign | one * (anything % 3 == 0), sign, anything, anything & 0x807F,
                    anything | infinity | 1 if is_rare else usual, (anything & 0x8001) | infinity if is_rare else usual,
                    (anything & 0x8001) | one, usual if is_rare else sign, anything | infinity | 1)[kind % 11])
    return row


def kept(dtype, row, k, two_four):
    """The features that topk_k keeps, from its definition."""
    values = [number(dtype, bits) for bits in row]
    order = sorted(range(len(row)),
                   key=lambda i: (-1, 0, i) if math.isnan(values[i]) else (0, -abs(values[i]), i))
    if two_four:
        taken = [0] * len(row)
        eligible = []
        for feature in order:
            taken[feature // 4] += 1
            if taken[feature // 4] <= 2:
                eligible.append(feature)
        order = eligible
    return sorted(order[:k])


class Rows:
    """An array [2, 2, rows, width] with `gap` elements between rows, at a multiple of 16 bytes, which cp.async and
    whole vectors need and ctypes does not promise."""

    def __init__(self, element, rows, width, gap):
        self.rows, self.stride = rows, width + gap
        self.bytes = ctypes.sizeof(element)
        self.array = (element * (4 * rows * self.stride + 16))(*[0xEE] * (4 * rows * self.stride + 16))
        self.first = -ctypes.addressof(self.array) % 16 // self.bytes

    def memory(self):
        per_head = self.rows * self.stride
        return Memory(ctypes.addressof(self.array) + self.first * self.bytes, self.rows, 2 * per_head, per_head,
                      self.stride)

    def place(self, row):
        start = self.first + row * self.stride
        return slice(start, start + self.stride)


def check(library, source, results, dtype, d, k, two_four, rows, gap):
    """`gap`: elements between rows of the results, which stay as they are; of dense rows 8 times as many."""
    x = Rows(ctypes.c_uint16, rows, d, 0)
    rows_of_x = [make_row(dtype, d, row, source) for row in range(4 * rows)]
    for number_of_row, row in enumerate(rows_of_x):
        x.array[x.place(number_of_row)] = row
    written = []  # with what has to be there, from a row and the features that are kept
    if "%codes" in results:
        written.append((Rows(ctypes.c_uint16, rows, k, gap), lambda row, features: [row[i] for i in features]))
        written.append((Rows(ctypes.c_uint8, rows, k, gap), lambda row, features: features))
    if "%dense" in results:
        # A zero has no sign in rows that are written out.
        written.append((Rows(ctypes.c_uint16, rows, d, 8 * gap), lambda row, features: [
            row[i] if i in features and row[i] & 0x7FFF else 0 for i in range(d)]))
    memories = [x.memory(), *(result.memory() for result, _ in written)]
    library.launch(2, 2, (Memory * len(memories))(*memories))
    for number_of_row, row in enumerate(rows_of_x):
        features = kept(dtype, row, k, two_four)
        for result, expect in written:
            expected = expect(row, features)
            if result.array[result.place(number_of_row)] != expected + [0xEE] * (result.stride - len(expected)):
                return False
    return True


def main():
    compiler, clang = sys.argv[1:]
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for (dtype, d, k, two_four, chip), results in zip(CONFIGURATIONS, itertools.cycle(RESULTS)):
            library = build(compiler, clang, Path(folder), results, dtype, d, k, two_four, chip)
            source = random.Random(d + k)
            for rows, gap in ((1, 0), (70, 0), (139, 3)):
                if not check(library, source, results, dtype, d, k, two_four, rows, gap):
                    failed += 1
                    print(f"{chip} {dtype} d={d} k={k} two_four={two_four} {' '.join(results)}, {rows} rows: not what the "
                          "oracle keeps")
    print(f"{len(CONFIGURATIONS)} kernels, {failed} wrong results")
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()

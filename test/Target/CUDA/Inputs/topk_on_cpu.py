"""Runs the GPU code of sfa.sparsify on this CPU and compares it with the oracle, bit for bit.

    topk_on_cpu.py SFA_COMPILE CLANG ORACLE_FOLDER

The LLVM IR of the kernel becomes that of a function of this machine, with threads.c in the place of
what only a GPU has.
"""

import ctypes
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy

CONFIGURATIONS = [  # dtype, d, k, two_four, chip
    ("bf16", 64, 8, False, "sm_90a"), ("f16", 128, 16, False, "sm_90a"), ("bf16", 256, 32, False, "sm_90a"),
    ("bf16", 128, 3, False, "sm_80"), ("bf16", 64, 1, False, "sm_90a"), ("f16", 64, 33, False, "sm_90a"),
    ("bf16", 128, 128, False, "sm_90a"), ("bf16", 128, 8, True, "sm_90a"), ("f16", 64, 32, True, "sm_90a"),
    ("f16", 256, 40, True, "sm_90a")]
REPLACED = [
    (r" addrspace\(\d\)", ""), (r"ptx_kernel ", ""), (r"(?m)^target .*$", ""),
    (r"llvm\.nvvm\.read\.ptx\.sreg\.(\w+)\.(\w)", r"read_\1_\2"),
    (r"llvm\.nvvm\.cp\.async\.cg\.shared\.global\.16", "cp_async"),
    (r"llvm\.nvvm\.cp\.async\.commit\.group", "cp_async_commit"),
    (r"llvm\.nvvm\.cp\.async\.wait\.group", "cp_async_wait"), (r"(@cp_async_wait\(i32) immarg", r"\1"),
    (r"llvm\.nvvm\.bar\.warp\.sync", "bar_warp_sync"), (r"llvm\.nvvm\.prmt", "prmt"),
    (r"llvm\.nvvm\.idp4a\.s\.s", "dp4a")]


class Memory(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p)] + [
        (name, ctypes.c_int64) for name in ("rows", "batch_stride", "head_stride", "row_stride")]

    def __init__(self, array):
        strides = [stride // array.itemsize for stride in array.strides[:3]]
        super().__init__(array.ctypes.data, array.shape[2], *strides)


def build(compiler, clang, folder, dtype, d, k, two_four, chip):
    dense = f"tensor<?x2x?x{d}x{dtype}>"
    codes = f"tensor<?x2x?x{d}x{dtype}, #sfa.codes<k = {k}{', two_four' if two_four else ''}>>"
    source, ir, library = (folder / f"f{len(list(folder.iterdir()))}{end}" for end in (".mlir", ".ll", ".so"))
    source.write_text(f"func.func @f(%x: {dense}) -> {codes} {{\n  %c = sfa.sparsify %x : {dense} -> {codes}\n"
                      f"  return %c : {codes}\n}}\n")
    text = subprocess.run([compiler, source, f"--chip={chip}", "--emit=llvm"], check=True, capture_output=True,
                          text=True).stdout
    for pattern, replacement in REPLACED:
        text = re.sub(pattern, replacement, text)
    ir.write_text(text)
    subprocess.run([clang, "-O1", "-w", "-shared", "-fPIC", "-x", "ir", ir, "-x", "c",
                    Path(__file__).with_name("threads.c"), "-o", library], check=True)
    return ctypes.CDLL(str(library))


def make_rows(random, dtype, shape):
    """Bits of rows of every kind: normal, ties, few distinct values, zeros, anything, NaN of all payloads."""
    one, infinity = (0x3C00, 0x7C00) if dtype == "f16" else (0x3F80, 0x7F80)
    normal = random.standard_normal(shape).astype(numpy.float32)
    bits = normal.astype(numpy.float16).view(numpy.uint16) if dtype == "f16" else (
        (normal.view(numpy.uint32) >> 16).astype(numpy.uint16))
    anything = random.integers(0, 2**16, shape, numpy.uint16)
    sign, rare = anything & 0x8000, random.random(shape) < 0.12
    kinds = [bits, one | sign, sign | one * (anything % 3 == 0), sign, anything, anything & 0x807F,
             numpy.where(rare, anything | infinity | 1, bits), numpy.where(rare, (anything & 0x8001) | infinity, bits),
             (anything & 0x8001) | one, numpy.where(rare, bits, sign), anything | infinity | 1]
    kind = numpy.arange(shape[2])[:, None] % len(kinds)
    return numpy.select([kind == i for i in range(len(kinds))], kinds).astype(numpy.uint16)


def check(library, random, oracle, dtype, d, k, two_four, rows, gap):
    """`gap`: elements between rows of the result."""
    x = make_rows(random, dtype, (2, 2, rows, d))
    values = numpy.full((2, 2, rows, k + gap), 0xEEEE, numpy.uint16)
    indices = numpy.full(values.shape, 0xEE, numpy.uint8)
    library.launch(2, 2, Memory(x), Memory(values), Memory(indices))
    numbers = x.view(numpy.float16) if dtype == "f16" else (x.astype(numpy.uint32) << 16).view(numpy.float32)
    expected = oracle.topk(numbers, k, two_four)
    return (numpy.array_equal(indices[..., :k], expected) and (indices[..., k:] == 0xEE).all()
            and numpy.array_equal(values[..., :k], numpy.take_along_axis(x, expected, -1))
            and (values[..., k:] == 0xEEEE).all())


def main():
    compiler, clang, oracle_folder = sys.argv[1:]
    sys.path.insert(0, oracle_folder)
    import oracle
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for dtype, d, k, two_four, chip in CONFIGURATIONS:
            library = build(compiler, clang, Path(folder), dtype, d, k, two_four, chip)
            random = numpy.random.default_rng(d + k)
            for rows, gap in ((1, 0), (139, 3)):
                if not check(library, random, oracle, dtype, d, k, two_four, rows, gap):
                    failed += 1
                    print(f"{chip} {dtype} d={d} k={k} two_four={two_four}, {rows} rows: not what the oracle keeps")
    print(f"{len(CONFIGURATIONS)} kernels, {failed} wrong results")
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()

"""Runs the GPU code of sfa.cache_append on this CPU and compares what is written with copies token by token.

    append_on_cpu.py SFA_COMPILE CLANG

The LLVM IR of the kernel becomes that of a function of this machine, with append.c in the place of what only a GPU has.
"""

import ctypes
import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path

CONFIGURATIONS = [  # dtype, d, dv, k (None for dense pages), tokens of a page, whether there are slots, chip
    ("bf16", 128, 128, 8, 64, True, "sm_90a"), ("bf16", 128, 128, 8, 64, False, "sm_90a"),
    ("f16", 64, 64, 2, 16, True, "sm_80"), ("f16", 64, 72, 3, 16, False, "sm_90a"), ("bf16", 256, 256, 16, 128, True, "sm_90a"),
    ("bf16", 256, 16, 32, 32, False, "sm_80"), ("bf16", 128, 128, None, 64, True, "sm_90a"),
    ("f16", 72, 200, None, 16, False, "sm_90a"), ("bf16", 32, 256, 5, 16, True, "sm_90a"),
    ("bf16", 64, 128, 4, 64, True, "sm_80"), ("bf16", 128, 64, 1, 16, False, "sm_90a"), ("f16", 16, 16, 16, 16, True, "sm_90a"),
    ("f16", 96, 96, 12, 128, False, "sm_90a"), ("bf16", 128, 128, 64, 64, False, "sm_90a")]
HEADS, BATCHES, PAGES, TABLE = 2, 5, 7, 3
REPLACED = [
    (r" addrspace\(\d\)", ""), (r"ptx_kernel void @\w+", "void @kernel"), (r"(?m)^target .*$", ""),
    (r"llvm\.nvvm\.read\.ptx\.sreg\.(\w+)\.(\w)", r"read_\1_\2")]


def module(dtype, d, dv, k, page_size, has_slots):
    encoding = "" if k is None else f", #sfa.codes<k = {k}>"
    batch = "1" if has_slots else "?"
    key, value = f"tensor<{batch}x{HEADS}x?x{d}x{dtype}{encoding}>", f"tensor<{batch}x{HEADS}x?x{dv}x{dtype}>"
    keys, values = f"tensor<?x{HEADS}x{page_size}x{d}x{dtype}{encoding}>", f"tensor<?x{HEADS}x{page_size}x{dv}x{dtype}>"
    if has_slots:
        places, names = "slots(%s : tensor<?xi64>)", "%s: tensor<?xi64>"
    else:
        places, names = "pages(%t, %n : tensor<?x?xi32>, tensor<?xi32>)", "%t: tensor<?x?xi32>, %n: tensor<?xi32>"
    return (f"func.func @f(%k: {key}, %v: {value}, {names}, %keys: {keys}, %values: {values}) {{\n"
            f"  sfa.cache_append %k, %v to %keys, %values {places} : {key}, {value}, {keys}, {values}\n  return\n}}\n")


def build(compiler, clang, folder, text, chip, words):
    source, ir, library = (folder / f"f{len(list(folder.iterdir()))}{end}" for end in (".mlir", ".ll", ".so"))
    source.write_text(text)
    llvm = subprocess.run([compiler, source, f"--chip={chip}", "--emit=llvm"], check=True, capture_output=True, text=True).stdout
    for pattern, replacement in REPLACED:
        llvm = re.sub(pattern, replacement, llvm)
    ir.write_text(llvm)
    call = f"kernel({', '.join(f'words[{i}]' for i in range(words))})"
    subprocess.run([clang, "-O1", "-w", "-shared", "-fPIC", "-x", "ir", ir, "-x", "c", f"-DCALL={call}",
                    Path(__file__).with_name("append.c"), "-lm", "-o", library], check=True)
    return ctypes.CDLL(str(library))


class Rows:
    """Random elements [batches, heads, rows, width]. They begin `shift` elements after a multiple of 16 bytes, and `gap` elements
    are between rows."""

    def __init__(self, element, batches, rows, width, source, gap=0, shift=0):
        self.shape, self.width, self.stride = (batches, HEADS, rows), width, width + gap
        self.bytes = ctypes.sizeof(element)
        count = batches * HEADS * rows * self.stride + 16 + shift
        self.array = (element * count)(*(source.getrandbits(8 * self.bytes) for _ in range(count)))
        self.first = -ctypes.addressof(self.array) % 16 // self.bytes + shift

    def words(self):
        per_head = self.shape[2] * self.stride
        return [ctypes.addressof(self.array) + self.first * self.bytes, self.shape[2], HEADS * per_head, per_head, self.stride]

    def place(self, batch, head, row):
        start = self.first + ((batch * HEADS + head) * self.shape[2] + row) * self.stride
        return slice(start, start + self.width)


def check(library, source, configuration, tokens, gap, shift):
    _, d, dv, k, page_size, has_slots, _ = configuration
    batches = 1 if has_slots else BATCHES
    parts = [(ctypes.c_uint16, d)] if k is None else [(ctypes.c_uint16, k), (ctypes.c_uint8, k)]
    parts.append((ctypes.c_uint16, dv))
    rows = [Rows(element, batches, tokens, width, source, gap, shift) for element, width in parts]
    pools = [Rows(element, PAGES, page_size, width, source, gap, shift) for element, width in parts]
    places = {}
    if has_slots:
        free = source.sample(range(PAGES * page_size), tokens)
        wild = (-1, PAGES * page_size, 2**62, -2**63)
        slots = (ctypes.c_int64 * max(tokens, 1))(*(source.choice(wild) if source.random() < 0.2 else slot for slot in free))
        words = [ctypes.addressof(slots), tokens, 0, 0, 1]
        for token, slot in enumerate(slots[:tokens]):
            if 0 <= slot < PAGES * page_size:
                places[0, token] = divmod(slot, page_size)
    else:
        # Sequence 0 has a page of its own for each entry, and the others share what is left: one page each.
        order = source.sample(range(PAGES), PAGES)
        numbers = [order[:3], [order[3], -1, PAGES], [order[4], 2**31 - 1, -2**31], [order[5], -1, -1], [order[6], -1, -1]]
        table = (ctypes.c_int32 * (BATCHES * TABLE))(*(page for row in numbers for page in row))
        lengths = (ctypes.c_int32 * BATCHES)(3 * page_size + 1, page_size + 3, max(tokens - 2, 0), 0, -2**31)
        words = [ctypes.addressof(table), TABLE, TABLE, 0, 1, ctypes.addressof(lengths), BATCHES, 0, 0, 1]
        for sequence in range(BATCHES):
            for token in range(tokens):
                at = lengths[sequence] - tokens + token
                if 0 <= at < TABLE * page_size and 0 <= numbers[sequence][at // page_size] < PAGES:
                    places[sequence, token] = numbers[sequence][at // page_size], at % page_size
    expected = [list(pool.array) for pool in pools]
    for (batch, token), (page, place) in places.items():
        for head in range(HEADS):
            for pool, row, array in zip(pools, rows, expected):
                array[pool.place(page, head, place)] = row.array[row.place(batch, head, token)]
    every = [word for memory in rows for word in memory.words()] + words
    every += [word for memory in pools for word in memory.words()] + [PAGES] * len(pools)
    library.launch(-(-tokens // 16), HEADS, batches, (ctypes.c_int64 * len(every))(*every))
    return all(list(pool.array) == array for pool, array in zip(pools, expected))


def main():
    compiler, clang = sys.argv[1:]
    failed, source = 0, random.Random(1)
    with tempfile.TemporaryDirectory() as folder:
        for configuration in CONFIGURATIONS:
            dtype, d, dv, k, page_size, has_slots, chip = configuration
            parts = 2 if k is None else 3
            words = 5 * (2 * parts + (1 if has_slots else 2)) + parts
            library = build(compiler, clang, Path(folder), module(dtype, d, dv, k, page_size, has_slots), chip, words)
            for tokens, gap, shift in ((1, 0, 0), (37, 16, 0), (20, 3, 0), (16, 0, 1)):
                if not check(library, source, configuration, tokens, gap, shift):
                    failed += 1
                    print(f"{configuration}, {tokens} tokens, gap {gap}, shift {shift}: not what copies give")
    print(f"{len(CONFIGURATIONS)} kernels, {failed} wrong results")
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()

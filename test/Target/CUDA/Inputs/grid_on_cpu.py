"""Runs the producers of a persistent grid on this CPU: every tile of queries has to be worked on once, with all the keys
that it sees, blocks have to end at about the same time, and those that work at the same time are to read few heads' keys.

    grid_on_cpu.py SFA_COMPILE CLANG [--full]        without --full: a third of the grids that have no mask

The LLVM IR of the kernel becomes that of a function of this machine, with grid.c in the place of what only a GPU has;
consumers are there, but none of their threads runs.
"""

import collections
import ctypes
import functools
import re
import subprocess
import sys
import tempfile
from pathlib import Path

TILE = 128
REPLACED = [
    (r"(?m)^target .*$", ""), (r"ptx_kernel ", ""), (r" addrspace\(\d\)", ""), (r"addrspacecast", "bitcast"),
    (r"byval\(\[128 x i8\]\) ", ""), (r"(?m)^  call void asm .*$", ""),
    (r'(?m)call \w+ asm sideeffect "// operands", "=r,0"\((.*)\)( #\d+)?$', r"freeze \1"),
    (r"(?m)call (\{[^}]*\}) asm .*$", r"freeze \1 zeroinitializer"),
    (r"llvm\.nvvm\.read\.ptx\.sreg\.(\w+)\.(\w)", r"read_\1_\2"), (r"llvm\.nvvm\.shfl\.sync\.idx\.i32", "shuffle"),
    (r"llvm\.nvvm\.vote\.ballot\.sync", "ballot"), (r"llvm\.nvvm\.cp\.async\.bulk\.tensor\.g2s\.tile\.4d", "copy_box"),
    (r"(i1|i32) immarg( range\([^)]*\))?", r"\1")]
SHAPES = [  # blocks, heads, batches, queries, keys; under a causal mask how much more the last block may
    # have, and how many heads may be worked on in a round
    (132, 16, 1, 16384, 16384, 1.01, 2), (132, 8, 8, 4096, 4096, 1.01, 8), (132, 16, 1, 8192, 8192, 1.01, 4),
    (114, 32, 1, 11000, 11000, 1.01, 8), (132, 7, 5, 8300, 8300, 1.02, 9), (132, 25, 1, 16384, 16384, 1.02, 4), (132, 5, 15, 4096, 4096, 1.03, 15),
    (132, 33, 1, 10900, 10900, 1.01, 33), (132, 5, 1, 4000, 4000, 1.01, 5),
    (132, 16, 32, 512, 512, 1.04, 64), (132, 11, 13, 140, 1500, 1.4, 132), (64, 3, 1, 700, 700, 1.01, 3), (132, 1, 1, 33000, 500, 1.01, 1),
    (132, 17, 1, 16600, 200, 1.12, 4)]


class Box(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int32) for name in ("map", "column", "row", "head", "batch")]


def build(compiler, clang, folder, mask, heads):
    tensor = f"tensor<?x{heads}x?x128xbf16>"
    source, ir, library = (folder / f"{mask}{heads}{end}" for end in (".mlir", ".ll", ".so"))
    source.write_text(f"func.func @f(%q: {tensor}, %k: {tensor}, %v: {tensor}) -> {tensor} {{\n"
                      f"  %o = sfa.attention %q, %k, %v mask <{mask}> schedule <softmax = online, q_tile = {TILE}, "
                      f"k_tile = {TILE}, grid = persistent> : {tensor}, {tensor}, {tensor} -> {tensor}\n"
                      f"  return %o : {tensor}\n}}\n")
    text = subprocess.run([compiler, source, "--chip=sm_90a", "--emit=llvm"], check=True, capture_output=True,
                          text=True).stdout
    kernel = re.search(r"define ptx_kernel void @(\w+)", text)[1]
    for pattern, replacement in REPLACED:
        text = re.sub(pattern, replacement, text)
    # Of the rest nothing is called.
    text = re.sub(r"(?m)^  call void @llvm\.nvvm\..*$", "", text)
    text = re.sub(r"(?m)call (i64|float|i32|\{[^}]*\}|<[^>]*>) @llvm\.nvvm\.[\w.]+\(.*\)", r"freeze \1 poison", text)
    ir.write_text(text)
    subprocess.run([clang, "-O1", "-w", "-std=gnu11", "-shared", "-fPIC", "-x", "ir", ir, "-x", "c", f"-DKERNEL={kernel}",
                    Path(__file__).with_name("grid.c"), "-o", library], check=True)
    return ctypes.CDLL(str(library))


def copies(library, number, block, blocks, heads, batches, queries, keys):
    """What a thread copies, without the second half of each row."""
    tiles, most = -(-queries // TILE), 1 << 16
    written = (Box * most)()
    run = library.run
    run.restype = ctypes.c_int64
    count = run(number, block, blocks, ctypes.c_int64(queries), ctypes.c_int64(keys), tiles, heads, batches, written,
                ctypes.c_int64(most))
    assert count <= most, f"{count} boxes"
    return [box for box in written[:count] if box.column == 0]


def check(library, mask, blocks, heads, batches, queries, keys, most_behind, most_heads):
    points, loads, longest, rounds = collections.Counter(), [], 0, collections.defaultdict(set)
    for block in range(blocks):
        arguments = (library, block, blocks, heads, batches, queries, keys)
        tiles = copies(library, 64, *arguments[1:])
        expected = []
        for number, box in enumerate(tiles):
            rounds[number].add((box.head, box.batch))
            points[box.row // TILE, box.head, box.batch] += 1
            seen = keys if mask == "none" else min(keys, max(0, min(box.row + TILE, queries) + keys - queries))
            expected += [(first, box.head, box.batch) for first in range(0, seen, TILE)]
            longest = max(longest, -(-seen // TILE) + 1)
        loads.append(len(expected) + len(tiles))
        for producer in (0, 32):
            found = [(box.row, box.head, box.batch) for box in copies(library, producer, *arguments[1:])]
            if found != expected:
                return f"block {block}: keys or values {found[:4]}..., {len(found)} tiles, not {expected[:4]}..., {len(expected)}"
    wanted = {(tile, head, batch) for tile in range(-(-queries // TILE)) for head in range(heads) for batch in range(batches)}
    if set(points) != wanted or set(points.values()) != {1}:
        return f"{len(points)} points of {len(wanted)}, of which some {max(points.values())} times"
    if max(map(len, rounds.values())) > most_heads:
        return f"{max(map(len, rounds.values()))} heads are worked on at the same time"
    # Who has the longest tile has no less than that.
    behind = max(loads) / max(sum(loads) / blocks, longest)
    return f"the last block has {behind:.3f} of what it should" if behind > most_behind else None


def main():
    compiler, clang, *more = sys.argv[1:]
    failed = count = 0
    built = functools.cache(build)
    with tempfile.TemporaryDirectory() as folder:
        for mask in ("causal", "none"):
            shapes = SHAPES if mask == "causal" or more == ["--full"] else SHAPES[::3]
            for blocks, heads, batches, queries, keys, most_behind, most_heads in shapes:
                library = built(compiler, clang, Path(folder), mask, heads)
                # Without a mask blocks differ by one tile.
                limits = (most_behind, most_heads) if mask == "causal" else (float("inf"), float("inf"))
                wrong = check(library, mask, blocks, heads, batches, queries, keys, *limits)
                count += 1
                failed += wrong is not None
                if wrong:
                    print(f"{mask}, {blocks} blocks, {batches} x {heads} heads, {queries} queries, {keys} keys: {wrong}")
    print(f"{count} grids, {failed} wrong")
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()

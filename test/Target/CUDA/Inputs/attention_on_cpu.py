"""Runs the GPU code of the strategies gather and scatter on this CPU, for sm_80, and compares it with the definition.

    attention_on_cpu.py gather|scatter SFA_COMPILE CLANG [SEED]

The LLVM IR of the two kernels, which write keys as tiles and attend, becomes that of functions of this machine, with
block.c in the place of what only a GPU has.
"""

import ctypes
import math
import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from topk_on_cpu import Memory, Rows, normal, number

# dtype, d, dv, k, heads, mask, schedule, what keys are, and sizes of queries and keys. Keys are rows, or codes: with any
# features, with one that all tokens have, or all with the same.
CONFIGURATIONS = {
    "gather": [
        ("bf16", 64, 64, 4, (2, 2), "", "softmax = online, q_tile = 64, k_tile = 64", "any", [(70, 150), (1, 64)]),
        ("f16", 128, 64, 8, (2, 1), "mask <causal>", "softmax = online, q_tile = 64, k_tile = 128", "any", [(130, 130), (3, 129)]),
        ("bf16", 64, 128, 5, (4, 2), "mask <window, left = 40, right = 3>", "softmax = lazy, q_tile = 128, consumers = 1, k_tile = 64", "rows", [(140, 150)]),
        ("f16", 24, 40, 1, (1, 1), "mask <causal>", "softmax = lazy, q_tile = 64, k_tile = 192", "rows", [(65, 193), (5, 3)]),
        ("bf16", 256, 64, 13, (1, 1), "", "softmax = online, q_tile = 128, consumers = 1, k_tile = 64, stages = 1", "any", [(129, 65)]),
        ("f16", 80, 80, 32, (8, 2), "mask <causal>", "softmax = online, packed_heads = 4, q_tile = 64, k_tile = 64", "any", [(9, 77), (16, 16)]),
        ("bf16", 64, 64, 3, (6, 2), "mask <causal>", "softmax = lazy, packed_heads = 3, q_tile = 128, consumers = 1, k_tile = 64", "rows", [(31, 200)])],
    "scatter": [
        ("bf16", 64, 64, 4, (2, 2), "", "softmax = online, q_tile = 64, k_tile = 64", "any", [(70, 150), (1, 64)]),
        ("f16", 128, 64, 8, (2, 1), "mask <causal>", "softmax = online, q_tile = 64, k_tile = 128", "shared", [(130, 130), (3, 129)]),
        ("bf16", 64, 128, 5, (4, 2), "mask <window, left = 40, right = 3>", "softmax = lazy, q_tile = 128, consumers = 1, k_tile = 64", "same", [(140, 150)]),
        ("f16", 24, 40, 1, (1, 1), "mask <causal>", "softmax = lazy, q_tile = 64, k_tile = 144", "same", [(65, 193), (5, 3)]),
        ("bf16", 256, 64, 13, (1, 1), "", "softmax = online, q_tile = 128, consumers = 1, k_tile = 64, stages = 1", "shared", [(129, 65)]),
        ("f16", 80, 80, 32, (8, 2), "mask <causal>", "softmax = online, packed_heads = 4, q_tile = 64, k_tile = 32", "any", [(9, 77), (16, 16)]),
        ("f16", 16, 16, 16, (2, 2), "", "softmax = online, q_tile = 64, k_tile = 16", "same", [(17, 33)]),
        ("bf16", 64, 64, 3, (6, 2), "mask <causal>", "softmax = lazy, packed_heads = 3, q_tile = 128, consumers = 1, k_tile = 64", "any", [(31, 200)])]}
SCALE = 0.25
REPLACED = [
    (r" addrspace\(\d\)", ""), (r"ptx_kernel ", ""), (r"(?m)^target .*$", ""), (r"(?m)^(declare .*) #\d+$", r"\1"),
    (r'"// operands", "=[rf]', '"", "=r'), (r"@attention_(gather|scatter)_\w+", "@attention"),
    (r"@(feature_major|postings)\b", "@prepare"),
    (r"llvm\.nvvm\.read\.ptx\.sreg\.(\w+)\.(\w)", r"read_\1_\2"),
    (r"llvm\.nvvm\.shfl\.sync\.(\w+)\.(\w+)", r"shfl_\1_\2"), (r"llvm\.nvvm\.vote\.ballot\.sync", "ballot"),
    (r"llvm\.nvvm\.(ex2|lg2|rcp)\.approx\.ftz\.f(32)?\b", r"\1"),
    (r"llvm\.nvvm\.ff2(bf16|f16)x2\.rn", r"pack_\1"), (r"llvm\.nvvm\.bar\.warp\.sync", "bar_warp_sync"),
    (r"llvm\.nvvm\.cp\.async\.cg\.shared\.global\.16\.s\b", "cp_async_s"),
    (r"llvm\.nvvm\.cp\.async\.cg\.shared\.global\.16", "cp_async"),
    (r"llvm\.nvvm\.cp\.async\.commit\.group", "cp_async_commit"),
    (r"llvm\.nvvm\.cp\.async\.wait\.group", "cp_async_wait"), (r"(@cp_async_wait\(i32) immarg", r"\1"),
    (r"llvm\.nvvm\.barrier\.cta\.sync\.aligned\.all", "barrier"),
    (r"llvm\.nvvm\.barrier\.cta\.red\.or\.aligned\.all", "barrier_or"),
    (r"llvm\.nvvm\.ldmatrix\.sync\.aligned\.m8n8\.x4\.trans\.b16\.p3", "load_trans"),
    (r"llvm\.nvvm\.ldmatrix\.sync\.aligned\.m8n8\.x4\.b16\.p3", "load"),
    (r"llvm\.nvvm\.mma\.m16n8k16\.row\.col\.bf16", "multiply_bf16"),
    (r"llvm\.nvvm\.mma\.m16n8k16\.row\.col\.f32\.f32", "multiply_f16")]


def wrappers(text):
    """Functions that return what C does not return as IR does: vectors of halves, four registers."""
    defined = []
    for dtype, element in (("bf16", "bfloat"), ("f16", "half")):
        defined.append((f"pack_{dtype}", f"""
declare i32 @bits_of_{dtype}(float, float)
define <2 x {element}> @pack_{dtype}(float %high, float %low) {{
  %bits = call i32 @bits_of_{dtype}(float %high, float %low)
  %pair = bitcast i32 %bits to <2 x {element}>
  ret <2 x {element}> %pair
}}
"""))

    def four(kind):
        lines = ["  %p0 = getelementptr i8, ptr %results, i64 0"]
        for i in range(4):
            lines += [f"  %a{i} = getelementptr i8, ptr %results, i64 {4 * i}", f"  %v{i} = load {kind}, ptr %a{i}"]
        last = "undef"
        for i in range(4):
            lines.append(f"  %s{i} = insertvalue {{ {', '.join([kind] * 4)} }} {last}, {kind} %v{i}, {i}")
            last = f"%s{i}"
        return "\n".join(lines + [f"  ret {{ {', '.join([kind] * 4)} }} {last}"])

    for name in ("", "_trans"):
        defined.append((f"load{name}", f"""
declare void @ldmatrix_x4{name}(ptr, ptr)
define {{ i32, i32, i32, i32 }} @load{name}(ptr %address) {{
  %results = alloca [4 x i32]
  call void @ldmatrix_x4{name}(ptr %results, ptr %address)
{four("i32")}
}}
"""))
    for dtype, kind in (("bf16", "i32"), ("f16", "<2 x half>")):
        kinds = [kind] * 6 + ["float"] * 4
        stores = "\n".join(f"  %q{i} = getelementptr i8, ptr %operands, i64 {4 * i}\n  store {kind} %x{i}, ptr %q{i}"
                           for i, kind in enumerate(kinds))
        defined.append((f"multiply_{dtype}", f"""
declare void @mma_{dtype}(ptr, ptr)
define {{ float, float, float, float }} @multiply_{dtype}({', '.join(f"{kind} %x{i}" for i, kind in enumerate(kinds))}) {{
  %operands = alloca [10 x i32]
  %results = alloca [4 x float]
{stores}
  call void @mma_{dtype}(ptr %results, ptr %operands)
{four("float")}
}}
"""))
    for name, definition in defined:
        declaration = re.compile(rf"(?m)^declare .*@{name}\(.*$")
        if declaration.search(text):
            text = declaration.sub("", text) + definition
    return text


def build(strategy, compiler, clang, folder, dtype, d, dv, k, heads, mask, schedule, keys_form):
    source, ir, library = (folder / f"f{len(list(folder.iterdir()))}{end}" for end in (".mlir", ".ll", ".so"))
    codes = f", #sfa.codes<k = {k}>"
    q = f"tensor<?x{heads[0]}x?x{d}x{dtype}{codes}>"
    key, v = (f"tensor<?x{heads[1]}x?x{columns}x{dtype}{form}>" for columns, form in ((d, codes if keys_form != "rows" else ""), (dv, "")))
    o, lse = f"tensor<?x{heads[0]}x?x{dv}x{dtype}>", f"tensor<?x{heads[0]}x?xf32>"
    source.write_text(f"func.func @f(%q: {q}, %k: {key}, %v: {v}) -> ({o}, {lse}) {{\n"
                      f"  %o, %l = sfa.attention %q, %k, %v {mask} scale {SCALE} schedule <strategy = {strategy}, {schedule}>\n"
                      f"    : {q}, {key}, {v} -> {o}, {lse}\n  return %o, %l : {o}, {lse}\n}}\n")
    text = subprocess.run([compiler, source, "--chip=sm_80", "--emit=llvm"], check=True, stdout=subprocess.PIPE,
                          text=True).stdout
    for pattern, replacement in REPLACED:
        text = re.sub(pattern, replacement, text)
    ir.write_text(wrappers(text))
    subprocess.run([clang, "-O1", "-w", "-shared", "-fPIC", "-x", "ir", ir, "-x", "c", f"-DARE_KEYS_CODES={int(keys_form != 'rows')}",
                    Path(__file__).with_name("block.c"), "-lm", "-o", library], check=True)
    k_tile = int(re.search(r"k_tile = (\d+)", schedule).group(1))
    return ctypes.CDLL(str(library)), int(re.search(r"q_tile = (\d+)", schedule).group(1)), k_tile


def visible(mask, query, key, queries, keys):
    at = query + keys - queries
    if "causal" in mask:
        return key <= at
    if "window" in mask:
        left, right = map(int, re.findall(r"= (\d+)", mask))
        return at - left <= key <= at + right
    return True


def main():
    strategy, compiler, clang = sys.argv[1:4]
    seed = int(sys.argv[4]) if len(sys.argv) > 4 else random.randrange(1 << 32)
    source = random.Random(seed)
    wrong = calls = 0
    with tempfile.TemporaryDirectory() as folder:
        for *options, keys_form, sizes in CONFIGURATIONS[strategy]:
            built = build(strategy, compiler, clang, Path(folder), *options, keys_form)
            for queries, keys in sizes:
                calls += 1
                if not check(*built, strategy, source, *options, keys_form, queries, keys):
                    wrong += 1
                    print(f"wrong: {options}, {queries} queries, {keys} keys, seed {seed}")
    print(f"{calls} calls, {wrong} wrong results")


def make_codes(dtype, d, k, rows, source, support):
    """Values and features of rows of codes. With any features some have fewer than k non-zeros and anything as their features."""
    values, features = [], []
    for _ in range(rows):
        if support == "same":
            kept = [i * d // k for i in range(k)]
        elif support == "shared":
            kept = sorted([d // 2, *source.sample([i for i in range(d) if i != d // 2], k - 1)])
        else:
            kept = sorted(source.sample(range(d), k))
        row = [normal(dtype, source) for _ in kept]
        for i in range(k):
            if support in ("any", "rows") and source.random() < 0.1:
                row[i], kept[i] = 0x8000 * source.getrandbits(1), source.getrandbits(8)
        values.append(row)
        features.append(kept)
    return values, features


def rows_of_codes(dtype, d, codes):
    dense = []
    for values, features in zip(*codes):
        row = [0.0] * d
        for value, feature in zip(values, features):
            if value & 0x7FFF:
                row[feature] += number(dtype, value)
        dense.append(row)
    return dense


def fill(rows, contents):
    for place, row in enumerate(contents):
        start = rows.place(place).start
        rows.array[start:start + len(row)] = row


# An array of Rows has two batches of two heads; here is one batch of any number of heads.
class Heads(Rows):
    def __init__(self, element, heads, rows, width, gap=0):
        self.heads = heads
        super().__init__(element, -(-heads * rows // 4) if rows else 0, width, gap)
        self.rows = rows

    def memory(self):
        return Memory(ctypes.addressof(self.array) + self.first * self.bytes, self.rows, 0, self.rows * self.stride,
                      self.stride)


def check(library, q_tile, k_tile, strategy, source, dtype, d, dv, k, heads, mask, schedule, keys_form, queries, keys):
    half, byte = ctypes.c_uint16, ctypes.c_uint8
    q_codes = make_codes(dtype, d, k, heads[0] * queries, source, keys_form)
    q = rows_of_codes(dtype, d, q_codes)
    memories = {}
    for name, element, contents in (("values", half, q_codes[0]), ("features", byte, q_codes[1])):
        memories[name] = Heads(element, heads[0], queries, k)
        fill(memories[name], contents)
    if keys_form != "rows":
        key_codes = make_codes(dtype, d, k, heads[1] * keys, source, keys_form)
        key = rows_of_codes(dtype, d, key_codes)
        sources = [Heads(half, heads[1], keys, k), Heads(byte, heads[1], keys, k)]
        for rows, contents in zip(sources, key_codes):
            fill(rows, contents)
    else:
        bits = [[normal(dtype, source) for _ in range(d)] for _ in range(heads[1] * keys)]
        key = [[number(dtype, x) for x in row] for row in bits]
        sources = [Heads(half, heads[1], keys, d, gap=8)]
        fill(sources[0], bits)
    tiles = -(-keys // k_tile)
    if strategy == "gather":
        arranged = Heads(half, heads[1], tiles, d * k_tile)
    else:
        header = -(-2 * (d + 1) // 16) * 16
        arranged = Heads(byte, heads[1], tiles, 2 * header + 4 * k * k_tile)
    arguments = [*sources, arranged]
    library.launch(False, 1, heads[1], tiles, (Memory * len(arguments))(*(rows.memory() for rows in arguments)))
    value_bits = [[normal(dtype, source) for _ in range(dv)] for _ in range(heads[1] * keys)]
    values = Heads(half, heads[1], keys, dv)
    fill(values, value_bits)
    value = [[number(dtype, x) for x in row] for row in value_bits]
    output, lse = Heads(half, heads[0], queries, dv), Heads(ctypes.c_float, heads[0], queries, 1)
    packed = int(*re.findall(r"packed_heads = (\d+)", schedule) or "1")
    rows_of_head = q_tile // packed if q_tile % packed == 0 else q_tile // (1 << (packed - 1).bit_length())
    arguments = [memories["values"], memories["features"], arranged, values, output, lse]
    described = [rows.memory() for rows in arguments]
    described[-1] = Memory(described[-1].data, queries, 0, queries, 1)
    library.launch(True, 1, heads[0] // packed, -(-queries // rows_of_head), (Memory * 6)(*described))

    step = 2.0 ** (-7 if dtype == "bf16" else -10)
    for head in range(heads[0]):
        of_key = head // (heads[0] // heads[1]) * keys
        for query in range(queries):
            row = q[head * queries + query]
            seen = [j for j in range(keys) if visible(mask, query, j, queries, keys)]
            scores = [SCALE * sum(x * y for x, y in zip(row, key[of_key + j]) if x) for j in seen]
            most = max(scores, default=-math.inf)
            weights = [math.exp(score - most) for score in scores]
            total = sum(weights)
            number_of_row = head * queries + query
            expected = most + math.log(total) if seen else -math.inf
            actual = lse.array[lse.first + number_of_row]
            if not (actual == expected or abs(actual - expected) <= 2e-6 * (1 + abs(most))):
                print(actual, expected, head, query, len(seen))
                return False
            found = output.array[output.place(number_of_row)]
            for column in range(dv):
                expected = sum(w * value[of_key + j][column] for w, j in zip(weights, seen)) / total if seen else 0.0
                if not abs(number(dtype, found[column]) - expected) <= step * (1 + abs(expected)):
                    return False
    return True


if __name__ == "__main__":
    main()

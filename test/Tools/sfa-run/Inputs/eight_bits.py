"""Checks codes with 8-bit values on CPUs against numpy: `attention` (fp64), `quantize`, `sparsify` and `densify`.

    eight_bits.py SFA_RUN FOLDER attention|quantize|sparsify|densify [FLAG...]

The flags are those of sfa-run. Prints a line for each program, `right` or what is wrong, and ends with status 1 where
one is wrong.
Inputs are random and new in each run; SFA_TEST_SEED repeats those of an earlier one.
"""

import itertools
import os
import subprocess
import sys
from dataclasses import dataclass

import numpy as np

GRANULARITIES = ("tile", "token", "head")
TOKENS_OF_SCALE = 128

sfa_run, folder, what, *flags = sys.argv[1:]
seed = int(os.environ.get("SFA_TEST_SEED") or np.random.SeedSequence().entropy % 2**32)
random = np.random.default_rng(seed)
wrong = False


def report(name, problem):
    global wrong
    wrong |= problem is not None
    print(f"{name}: {problem or 'right'}" + (f" (SFA_TEST_SEED={seed})" if problem else ""))


def run(program, arguments, num_results):
    """What sfa-run gives for a program."""
    path = os.path.join(folder, "program.mlir")
    with open(path, "w") as file:
        file.write(program)
    command = [sfa_run, path, "--target=cpu", *flags]
    for number, array in enumerate(arguments):
        name = os.path.join(folder, f"argument{number}.npy")
        np.save(name, array)
        command += ["--arg", name]
    results = [os.path.join(folder, f"result{number}.npy") for number in range(num_results)]
    for name in results:
        command += ["--out", name]
    subprocess.run(command, check=True)
    return [np.load(name) for name in results]


#===----------------------------------------------------------------------===#
# Codes
#===----------------------------------------------------------------------===#

def scale_of_tokens(scales, shared_by, n):
    """[b, h, n]: the scale of each token."""
    tokens = np.arange(n)
    places = {"tile": tokens // TOKENS_OF_SCALE, "token": tokens, "head": 0 * tokens}[shared_by]
    return scales[:, :, places]


def num_scales(shared_by, n):
    return {"tile": -(-n // TOKENS_OF_SCALE), "token": n, "head": 1}[shared_by]


@dataclass
class Codes:
    """Random codes of n tokens; every fourth one is padded: the last place repeats the first feature with the value 0."""
    heads: int
    n: int
    d: int
    k: int
    shared_by: str
    batch: int = 1

    def __post_init__(self):
        shape = (self.batch, self.heads, self.n, self.k)
        self.values = random.integers(-127, 128, shape, dtype=np.int8)
        order = np.argsort(random.random(shape[:3] + (self.d,)), axis=-1)
        self.indices = np.sort(order[..., :self.k], axis=-1).astype(np.uint8 if self.d <= 256 else np.uint16)
        self.indices[:, :, ::4, -1] = self.indices[:, :, ::4, 0]
        self.values[:, :, ::4, -1] = 0
        count = num_scales(self.shared_by, self.n)
        self.scales = random.uniform(0.2, 3.0, (self.batch, self.heads, count)).astype(np.float32) / 127

    @property
    def arrays(self):
        return [self.values, self.indices, self.scales]

    def type(self, element="bf16", n="?"):
        return (f"tensor<{self.batch}x{self.heads}x{n}x{self.d}x{element}, "
                f"#sfa.codes<k = {self.k}, values = i8, scales = {self.shared_by}>>")

    def integers(self):
        """[b, h, n, d]: the integers as dense rows."""
        rows = np.zeros(self.values.shape[:3] + (self.d,), np.int64)
        b, h, n, _ = np.ogrid[tuple(map(slice, self.values.shape))]
        np.add.at(rows, (b, h, n, self.indices.astype(int)), self.values)
        return rows

    def rows(self):
        """The rows that the codes stand for, in fp64."""
        scales = scale_of_tokens(self.scales, self.shared_by, self.n)
        return self.integers() * scales.astype(np.float64)[..., None]


#===----------------------------------------------------------------------===#
# Attention
#===----------------------------------------------------------------------===#

def attend(q, k, v, mask):
    """Attention and log-sum-exp in fp64; the last query is aligned to the last key."""
    group = q.shape[1] // k.shape[1]
    k, v = (np.repeat(x, group, axis=1) for x in (k, v))
    n, m = q.shape[2], k.shape[2]
    scores = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
    distance = np.arange(m)[None, :] - (np.arange(n)[:, None] + m - n)
    if mask != "none":
        scores[..., distance > 0] = -np.inf
    if mask.startswith("window"):
        scores[..., distance < -int(mask.split()[-1])] = -np.inf
    largest = scores.max(axis=-1, keepdims=True, initial=-np.inf)
    weights = np.exp(scores - np.where(np.isinf(largest), 0, largest))
    sums = weights.sum(axis=-1, keepdims=True)
    with np.errstate(divide="ignore"):
        lse = np.log(sums) + largest
    return weights @ v / np.where(sums == 0, 1, sums), lse[..., 0]


def difference(name, result, expected):
    """What is wrong with a result; f32 arithmetic, on results of f32, of sums of 128 features and some hundred keys."""
    if not np.array_equal(np.isinf(result), np.isinf(expected)) or np.isnan(result).any():
        return f"{name}: other infinities, or a NaN"
    finite = np.isfinite(expected)
    error = np.abs(result[finite] - expected[finite]) / (1 + np.abs(expected[finite]))
    return f"{name}: error {error.max():.1e}" if error.max(initial=0) > 2e-5 else None


@dataclass
class Case:
    """A program of attention."""
    strategy: str
    softmax: str = "online"
    mask: str = "none"
    d: int = 64
    k: int = 8
    n: int = 150
    m: int = 150
    heads: tuple = (2, 2)
    scales: tuple = ("token", "tile")
    sequences: tuple = ()
    schedule: str = ""

    def name(self):
        parts = [self.strategy, self.softmax, self.mask, f"d = {self.d}", " and ".join(self.scales)]
        parts += [f"{self.heads[0]} heads of {self.heads[1]}"] if self.heads[0] != self.heads[1] else []
        parts += [self.schedule.strip(", ")] if self.schedule else []
        parts += ["sequences"] if self.sequences else []
        return ", ".join(parts)

    def check(self):
        q = Codes(self.heads[0], self.n, self.d, self.k, self.scales[0])
        k = Codes(self.heads[1], self.m, self.d, self.k, self.scales[1])
        v = random.standard_normal((1, self.heads[1], self.m, 48)).astype(np.float32)
        types = (f"{q.type('f32')}, {k.type('f32')}, tensor<1x{self.heads[1]}x?x48xf32>"
                 f" -> tensor<1x{self.heads[0]}x?x48xf32>, tensor<1x{self.heads[0]}x?xf32>")
        arguments, extra, operand = q.arrays + k.arrays + [v], "", ""
        if self.sequences:
            arguments += [np.array(offsets, np.int32) for offsets in self.sequences]
            extra = ", %offsetsQ: tensor<?xi32>, %offsetsK: tensor<?xi32>"
            operand = " sequences(%offsetsQ, %offsetsK : tensor<?xi32>, tensor<?xi32>)"
        mask = "" if self.mask == "none" else f" mask <{self.mask}>"
        program = f"""
func.func @attention(%q: {q.type('f32')}, %k: {k.type('f32')}, %v: tensor<1x{self.heads[1]}x?x48xf32>{extra})
    -> (tensor<1x{self.heads[0]}x?x48xf32>, tensor<1x{self.heads[0]}x?xf32>) {{
  {self.rows('q', q)}
  {self.rows('k', k)}
  %o, %lse = sfa.attention %{self.operand()}q, %{self.operand()}k, %v{operand}{mask}
    schedule <strategy = {self.strategy.split()[0]}, softmax = {self.softmax}{self.schedule}> : {self.operand_types(types)}
  return %o, %lse : tensor<1x{self.heads[0]}x?x48xf32>, tensor<1x{self.heads[0]}x?xf32>
}}
"""
        output, lse = run(program, arguments, 2)
        expected, expected_lse = self.expected(q.rows(), k.rows(), v.astype(np.float64))
        report(self.name(), difference("output", output, expected) or difference("lse", lse, expected_lse))

    def writes_rows(self):
        """Whether codes are written out as 8-bit rows first."""
        return self.strategy.endswith("of integers")

    def operand(self):
        return "rows_" if self.writes_rows() else ""

    def operand_types(self, types):
        if not self.writes_rows():
            return types
        return types.replace("#sfa.codes", "#sfa.dense").replace(f"k = {self.k}, ", "")

    def rows(self, name, codes):
        return f"%rows_{name} = sfa.densify %{name} quantized : {codes.type('f32')}" if self.writes_rows() else ""

    def expected(self, q, k, v):
        if not self.sequences:
            return attend(q, k, v, self.mask)
        ends = [list(zip(offsets, offsets[1:])) for offsets in self.sequences]
        parts = [attend(q[:, :, a:b], k[:, :, c:d], v[:, :, c:d], self.mask) for (a, b), (c, d) in zip(*ends)]
        return (np.concatenate(part, axis=2) for part in zip(*parts))


def attention():
    dense = "dense of integers"
    cases = [
        # Every strategy with every granularity.
        Case("dense", scales=("token", "tile")),
        Case("gather", scales=("tile", "head"), mask="causal", d=40),
        Case("scatter", scales=("head", "token"), mask="window, right = 0, left = 70", d=128, softmax="lazy"),
        Case("sparse_mma", scales=("tile", "tile"), mask="causal", n=130, m=300, softmax="lazy"),
        Case(dense, scales=("token", "tile"), mask="causal", n=300, m=300),
        Case(dense, scales=("tile", "token"), mask="window, right = 0, left = 70", d=40, softmax="lazy"),
        Case(dense, scales=("head", "head"), n=5, m=260, d=128, k=16),
        # Blocks of rows, with factors of their own; splits.
        Case(dense, n=300, m=300, mask="causal", schedule=", q_tile = 256, k_tile = 64"),
        Case("gather", n=300, m=300, mask="causal", schedule=", q_tile = 256, k_tile = 48"),
        Case("dense", n=9, m=300, d=300, schedule=", splits = 3"),
        # Several heads that read the same keys, one tile after the other or in one.
        Case("scatter", heads=(6, 2), mask="causal"),
        Case("gather", heads=(8, 2), n=3, m=200, schedule=", q_tile = 32, packed_heads = 4"),
        Case("sparse_mma", heads=(4, 2), n=7, m=200, mask="causal", scales=("tile", "token"),
             schedule=", q_tile = 32, packed_heads = 2"),
        Case(dense, heads=(6, 2), n=3, m=200, mask="causal", schedule=", q_tile = 32, packed_heads = 3"),
        # Sequences, one of them without tokens, which begin in the midst of tokens that share a scale.
        Case("gather", n=200, m=340, mask="causal", scales=("tile", "token"),
             sequences=((0, 50, 50, 200), (0, 140, 140, 340))),
        Case(dense, n=200, m=340, heads=(4, 2), softmax="lazy", sequences=((0, 150, 200), (0, 290, 340))),
    ]
    for case in cases:
        case.check()
    from_rows()


def from_rows():
    """Codes made in the program itself: of rows, with a NaN in one that shows in the output."""
    n, q_type, k_type = 260, "scales = token>>", "scales = tile>>"
    codes = "tensor<1x2x?x64xf32, #sfa.codes<k = 8"
    rows = "tensor<1x2x?x64xf32>"
    quantized_q, quantized_k = f"{codes}, values = i8, {q_type}", f"{codes}, values = i8, {k_type}"
    program = f"""
func.func @from_rows(%q: {rows}, %k: {rows}) -> ({rows}, {quantized_q}, {quantized_k}) {{
  %codes_q = sfa.sparsify %q : {rows} -> {codes}>>
  %codes_k = sfa.sparsify %k : {rows} -> {codes}>>
  %small_q = sfa.quantize %codes_q : {codes}>> -> {quantized_q}
  %small_k = sfa.quantize %codes_k : {codes}>> -> {quantized_k}
  %o = sfa.attention %small_q, %small_k, %k mask <causal> : {quantized_q}, {quantized_k}, {rows} -> {rows}
  return %o, %small_q, %small_k : {rows}, {quantized_q}, {quantized_k}
}}
"""
    q, k = random.standard_normal((2, 1, 2, n, 64)).astype(np.float32)
    q[0, 1, 7, 3] = np.nan
    output, *made = run(program, [q, k], 7)
    small_q, small_k = Codes(2, n, 64, 8, "token"), Codes(2, n, 64, 8, "tile")
    for small, arrays in ((small_q, made[:3]), (small_k, made[3:])):
        small.values, small.indices, small.scales = arrays
    expected, _ = attend(np.nan_to_num(small_q.rows()), small_k.rows(), k.astype(np.float64), "causal")
    has_nan = np.isnan(output).all(axis=-1)
    problem = None
    if has_nan.sum() != 1 or not has_nan[0, 1, 7]:
        problem = f"NaNs in the rows {np.argwhere(has_nan).tolist()}"
    output[0, 1, 7] = expected[0, 1, 7] = 0
    report("from rows", problem or difference("output", output, expected))


#===----------------------------------------------------------------------===#
# Quantize
#===----------------------------------------------------------------------===#

def scale_of(values, shared_by):
    """The scale of the values [..., k] that share it, by the definition of sfa.quantize."""
    largest = np.abs(values).max(initial=np.float32(0))
    least_normal = np.finfo(np.float32).tiny
    if not np.isfinite(values).all():
        return np.float32(np.nan)
    if largest == 0:
        return np.float32(1)
    if largest / np.float32(127) < least_normal:
        return least_normal
    candidates = largest / np.arange(127, 95, -1, dtype=np.float32)
    if shared_by != "token":
        return candidates[0]
    errors = [((values.astype(np.float64) - np.rint(values / scale) * np.float64(scale))**2).sum()
              for scale in candidates]
    return candidates[np.argmin(errors)]


def check_quantized(name, values, shared_by, integers, scales):
    b, h, n, k = values.shape
    tokens = {"tile": TOKENS_OF_SCALE, "token": 1, "head": n}[shared_by]
    if scales.shape != (b, h, num_scales(shared_by, n)):
        return f"scales are {scales.shape}"
    for batch, head, place in np.ndindex(*scales.shape):
        rows = slice(place * tokens, (place + 1) * tokens)
        shared, scale = values[batch, head, rows].astype(np.float32), scales[batch, head, place]
        expected = scale_of(shared, shared_by)
        if not np.array_equal(scale, expected, equal_nan=True):
            return f"scale {(batch, head, place)} is {scale}, not {expected}"
        rounded = np.zeros(shared.shape) if np.isnan(scale) else np.rint(shared / scale)
        if not np.array_equal(integers[batch, head, rows], rounded):
            return f"integers that share scale {(batch, head, place)}"
    return None


def special_values(values):
    """Puts values in that scales have rules for: zeros, small ones, infinities and NaNs."""
    tiny = np.finfo(np.float32).tiny
    values[0, 0, :130] = 0
    values[0, 1, 131:] *= np.float32(100 * tiny)
    values[0, 2, 3] = [[tiny / 2**20, -0.0, tiny / 3, -tiny][t % 4] for t in range(values.shape[-1])]
    values[0, 2, 5] = 127.5 * np.float32(tiny)
    values[1, 0, 140, 1] = np.inf
    values[1, 1, 7, 0] = np.nan
    values[1, 2] *= np.float32(1e30)


def quantize():
    for shared_by, element, k, n in [("tile", "f32", 8, 300), ("token", "f32", 7, 257), ("head", "f32", 16, 150),
                                     ("tile", "f16", 3, 128), ("token", "f16", 16, 60)]:
        values = random.standard_normal((2, 3, n, k)).astype(np.float32)
        if element == "f32":
            special_values(values)
        values = values.astype({"f32": np.float32, "f16": np.float16}[element])
        indices = np.broadcast_to(np.arange(k, dtype=np.uint8) * 2, values.shape)
        codes = f"tensor<2x3x?x40x{element}, #sfa.codes<k = {k}"
        program = f"""
func.func @quantize(%codes: {codes}>>) -> {codes}, values = i8, scales = {shared_by}>> {{
  %quantized = sfa.quantize %codes : {codes}>> -> {codes}, values = i8, scales = {shared_by}>>
  return %quantized : {codes}, values = i8, scales = {shared_by}>>
}}
"""
        integers, same, scales = run(program, [values, np.ascontiguousarray(indices)], 3)
        problem = None if np.array_equal(same, indices) else "other indices"
        report(f"quantize, {shared_by}, {element}, {n} tokens",
               problem or check_quantized("scale", values, shared_by, integers, scales))


def sparsify():
    """Selected and rounded in one pass, as by the three operations."""
    for shared_by, element, d, k, form, n in [("tile", "f32", 64, 8, "", 300), ("token", "f32", 300, 7, "", 257),
                                             ("token", "f16", 40, 16, ", two_four", 130), ("tile", "f16", 24, 100, "", 129)]:
        x = random.standard_normal((2, 3, n, d)).astype(np.float32)
        if element == "f32":
            special_values(x)
        x = x.astype({"f32": np.float32, "f16": np.float16}[element])
        rows = f"tensor<2x3x?x{d}x{element}"
        codes = f"{rows}, #sfa.codes<k = {k}{form}"
        small, dense = f"{codes}, values = i8, scales = {shared_by}>>", f"{rows}, #sfa.dense<values = i8, scales = {shared_by}>>"
        types = f"{small}, {dense}"
        program = f"""
func.func @sparsify(%x: {rows}>) -> ({types}, {types}, {dense}) {{
  %codes, %rows = sfa.sparsify %x : {rows}> -> {types}
  %unused, %alone = sfa.sparsify %x : {rows}> -> {types}
  %selected = sfa.sparsify %x : {rows}> -> {codes}>>
  %other = sfa.quantize %selected : {codes}>> -> {small}
  %other_rows = sfa.densify %other quantized : {small}
  return %codes, %rows, %other, %other_rows, %alone : {types}, {types}, {dense}
}}
"""
        results = run(program, [x], 12)
        same = all(np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in zip(results, results[5:10]))
        alone = all(np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in zip(results[3:5], results[10:]))
        report(f"sparsify, {shared_by}, {element}, d = {d}, k = {k}",
               "other results than of the three operations" if not same else None if alone else "other rows without codes")


#===----------------------------------------------------------------------===#
# Densify
#===----------------------------------------------------------------------===#

def densify():
    for shared_by, d, n in [("tile", 40, 200), ("token", 128, 5), ("head", 300, 130)]:
        codes = Codes(heads=2, n=n, d=d, k=8, shared_by=shared_by, batch=2)
        rows = codes.type("f32").replace("#sfa.codes<k = 8", "#sfa.dense<").replace("<, ", "<")
        dense = f"tensor<2x2x?x{d}xf32>"
        program = f"""
func.func @densify(%codes: {codes.type('f32')}) -> ({dense}, {rows}) {{
  %dense = sfa.densify %codes : {codes.type('f32')}
  %rows = sfa.densify %codes quantized : {codes.type('f32')}
  return %dense, %rows : {dense}, {rows}
}}
"""
        dense, integers, scales = run(program, codes.arrays, 3)
        padded = np.zeros(codes.values.shape[:3] + (-(-d // 16) * 16,), np.int64)
        padded[..., :d] = codes.integers()
        problem = None
        if integers.dtype != np.int8 or not np.array_equal(integers, padded):
            problem = f"other integers, {integers.dtype} {integers.shape}"
        elif not np.array_equal(scales, codes.scales):
            problem = "other scales"
        elif not np.array_equal(dense, codes.rows().astype(np.float32)):
            problem = "other rows of numbers"
        report(f"densify, {shared_by}, d = {d}", problem)


{"attention": attention, "quantize": quantize, "sparsify": sparsify, "densify": densify}[what]()
sys.exit(wrong)

"""`sfa.decode` on the CPU against attention in fp64 over keys that are gathered from the pages."""

import math
import unittest

try:
    import torch
except ImportError as error:
    raise unittest.SkipTest(f"no torch: {error}")

from sfa import errors
from sfa._plan import CPU, Plan, View

DTYPES = {torch.float32: "f32", torch.float16: "f16", torch.bfloat16: "bf16", torch.uint8: "u8", torch.int32: "i32"}
# Of the relative Frobenius norm.
TOLERANCE = {torch.float32: 2e-6, torch.float16: 1e-3, torch.bfloat16: 8e-3}
FILLS = {torch.float32: math.nan, torch.float16: math.nan, torch.bfloat16: math.nan, torch.uint8: 255}
_plans: dict = {}


def module(heads, kv_heads, n_q, d, dv, page_size, max_pages, dtype, k, left, scale):
    """The module of a call, with an output and a log-sum-exp."""
    encoding = "" if k is None else f", #sfa.codes<k = {k}>"
    q, o = (f"tensor<?x{heads}x{n_q}x{x}x{dtype}>" for x in (d, dv))
    keys, values = f"tensor<?x{kv_heads}x{page_size}x{d}x{dtype}{encoding}>", f"tensor<?x{kv_heads}x{page_size}x{dv}x{dtype}>"
    table, lse = f"tensor<?x{max_pages}xi32>", f"tensor<?x{heads}x{n_q}xf32>"
    window = "" if left is None else f" left {left}"
    factor = "" if scale is None else f" scale {scale}"
    return (f"func.func @decode(%q: {q}, %k: {keys}, %v: {values}, %t: {table}, %n: tensor<?xi32>) -> ({o}, {lse}) {{\n"
            f"  %o, %l = sfa.decode %q, %k, %v pages(%t, %n : {table}, tensor<?xi32>){window}{factor}\n"
            f"    : {q}, {keys}, {values} -> {o}, {lse}\n  return %o, %l : {o}, {lse}\n}}\n")


def run(text, arguments, heads, n_q, dv):
    """The output and the log-sum-exp of a call; both hold NaN before."""
    q = arguments[0]
    shapes = (q.shape[0], heads, n_q, dv), (q.shape[0], heads, n_q)
    results = torch.full(shapes[0], math.nan, dtype=q.dtype), torch.full(shapes[1], math.nan)
    views = [View(tuple(x.shape), None, DTYPES[x.dtype], CPU) for x in (*arguments, *results)]
    key = text, tuple(view.shape for view in views)
    if key not in _plans:
        count = len(arguments)
        _plans[key] = Plan.of_module(text, CPU, [f"argument {i}" for i in range(count)], views[:count], views[count:])
    _plans[key].run([x.data_ptr() for x in (*arguments, *results)])
    return results


class Cache:
    """Sequences of random keys and values, dense, [sequence][head, token, feature], and what is made of them: pages, whose
    other places hold NaN and features that do not exist."""

    def __init__(self, lengths, heads, d, dv, page_size, dtype, k, seed):
        self.lengths, self.page_size, self.k = lengths, page_size, k
        self.source = torch.Generator().manual_seed(seed)
        self.keys = [self.normal(heads, n, d).to(dtype) for n in lengths]
        self.values = [self.normal(heads, n, dv).to(dtype) for n in lengths]
        self.heads, self.d, self.dv, self.dtype = heads, d, dv, dtype
        self.codes = []
        for number, dense in enumerate(self.keys if k is not None else []):
            features = dense.abs().float().topk(k, -1).indices.sort(-1).values
            kept = dense.gather(-1, features)
            self.codes.append((kept, features.to(torch.uint8)))
            self.keys[number] = torch.zeros_like(dense).scatter_(-1, features, kept)

    def normal(self, *shape):
        return torch.randn(*shape, generator=self.source)

    def pages(self, shared=0, spare=3, max_pages=None):
        """(key parts, values, table): pages in a random order. The first `shared` pages are those of sequence 0 for all."""
        counts = [-(-n // self.page_size) for n in self.lengths]
        total = sum(counts) + spare
        parts = [[x[number] for x in self.codes] for number in range(2)] if self.codes else [self.keys]
        parts.append(self.values)
        pools = [torch.full((total, self.heads, self.page_size, rows[0].shape[-1]), FILLS[rows[0].dtype], dtype=rows[0].dtype)
                 for rows in parts]
        order = torch.randperm(total, generator=self.source).tolist()
        max_pages = max_pages or max(counts) + 1
        # Entries behind the last page are wild.
        table = torch.randint(-2**31, 2**31 - 1, (len(counts), max_pages), generator=self.source).to(torch.int32)
        for sequence, count in enumerate(counts):
            for number in range(count):
                page = int(table[0, number]) if sequence and number < shared else order.pop()
                table[sequence, number] = page
                first, last = number * self.page_size, min((number + 1) * self.page_size, self.lengths[sequence])
                for pool, rows in zip(pools, parts):
                    pool[page, :, :last - first] = rows[sequence][:, first:last]
        return pools, table

    def share_prefix(self, pages):
        """Makes the first pages of all sequences equal."""
        tokens = pages * self.page_size
        for rows in (self.keys, self.values, *([[x[i] for x in self.codes] for i in range(2)] if self.codes else [])):
            for other in rows[1:]:
                other[:, :tokens] = rows[0][:, :tokens]

    def expected(self, q, left, scale):
        """Output and log-sum-exp, fp64."""
        n_q, group = q.shape[2], q.shape[1] // self.heads
        outs, sums = [], []
        for sequence, n in enumerate(self.lengths):
            keys, values = (x[sequence].double().repeat_interleave(group, 0) for x in (self.keys, self.values))
            position, query = torch.arange(n)[None], torch.arange(n_q)[:, None] + n - n_q
            seen = position <= query
            if left is not None:
                seen &= position >= query - left
            scores = (q[sequence].double() @ keys.transpose(1, 2) * scale).masked_fill(~seen, -math.inf)
            sums.append(torch.logsumexp(scores, -1) if n else torch.full(scores.shape[:-1], -math.inf, dtype=torch.float64))
            outs.append(torch.softmax(scores, -1).nan_to_num(0.0) @ values)
        return torch.stack(outs), torch.stack(sums)


class DecodeTest(unittest.TestCase):
    def check(self, lengths, heads, kv_heads, d=64, dv=64, page_size=64, k=8, n_q=1, dtype=torch.float32, left=None,
              scale=None, shared=0, seed=1):
        cache = Cache(lengths, kv_heads, d, dv, page_size, dtype, k, seed)
        if shared:
            cache.share_prefix(shared)
        q = cache.normal(len(lengths), heads, n_q, d).to(dtype)
        factor = scale or 1 / math.sqrt(d)
        expected, expected_lse = cache.expected(q, left, factor)
        max_pages = max(-(-n // page_size) for n in lengths) + 1
        text = module(heads, kv_heads, n_q, d, dv, page_size, max_pages, DTYPES[dtype], k, left, scale)
        sizes = torch.tensor(lengths, dtype=torch.int32)
        pools, table = cache.pages(shared, max_pages=max_pages)
        out, lse = run(text, [q, *pools, table, sizes], heads, n_q, dv)
        with self.subTest(lengths=lengths[:5], heads=heads, k=k, n_q=n_q, dtype=dtype, page_size=page_size):
            error = (out.double() - expected).norm() / expected.norm().clamp_min(1e-30)
            self.assertLess(error, TOLERANCE[dtype])
            blind = expected_lse == -math.inf
            self.assertTrue((lse[blind] == -math.inf).all())
            self.assertTrue((out[blind] == 0).all())
            torch.testing.assert_close(lse[~blind].double(), expected_lse[~blind], rtol=1e-5,
                                       atol=1e-5 if dtype == torch.float32 else 1e-4)
            # In another order of pages, and alone, the bits are the same.
            others, other_table = cache.pages(max_pages=max_pages)
            again, again_lse = run(text, [q, *others, other_table, sizes], heads, n_q, dv)
            self.assertTrue(torch.equal(again, out) and torch.equal(again_lse, lse))
            longest = max(range(len(lengths)), key=lengths.__getitem__)
            one = slice(longest, longest + 1)
            alone, alone_lse = run(text, [q[one].clone(), *pools, table[one].clone(), sizes[one].clone()], heads, n_q, dv)
            self.assertTrue(torch.equal(alone, out[one]) and torch.equal(alone_lse, lse[one]))
        return out

    def test_lengths(self):
        self.check([0, 1, 15, 16, 17, 255, 256, 257, 600], 4, 1, page_size=16)
        self.check([63, 64, 65, 0, 511, 512, 513], 4, 4)
        self.check([127, 128, 129, 3], 2, 2, page_size=128)
        self.check([0, 0], 2, 1)

    def test_both_sizes_of_shares(self):
        self.check([4095, 4096, 4097, 5000, 10], 8, 2, d=32, dv=32, page_size=128, k=4)

    def test_long(self):
        self.check([70000, 20000], 2, 1, d=16, dv=16, k=2)

    def test_groups_and_new_tokens(self):
        for heads, kv_heads in ((2, 2), (4, 1), (5, 1), (7, 1)):
            for n_q in range(1, 6):
                self.check([300, 2, 65], heads, kv_heads, d=32, dv=48, k=4, n_q=n_q, page_size=16)

    def test_encodings_and_dtypes(self):
        for dtype in (torch.float32, torch.float16, torch.bfloat16):
            for k in (2, 8, 16, 32, None):
                self.check([300, 64], 4, 2, k=k, dtype=dtype)

    def test_window_and_scale(self):
        self.check([5000, 70, 600, 3], 8, 2, d=32, dv=32, k=4, n_q=2, left=100)
        self.check([700, 1], 2, 1, k=None, left=0, scale=0.3)

    def test_shared_pages(self):
        self.check([300, 400, 192], 4, 1, shared=3)

    def test_more_pages_in_the_table(self):
        """Bits do not depend on how many splits there is room for."""
        cache = Cache([4500, 9], 1, 32, 32, 64, torch.float32, 4, seed=3)
        q, lengths = cache.normal(2, 2, 1, 32), torch.tensor([4500, 9], dtype=torch.int32)
        outs = []
        for max_pages in (71, 80, 700):
            pools, table = cache.pages(max_pages=max_pages)
            text = module(2, 1, 1, 32, 32, 64, max_pages, "f32", 4, None, None)
            outs.append(run(text, [q, *pools, table, lengths], 2, 1, 32)[0])
        self.assertTrue(torch.equal(outs[0], outs[1]) and torch.equal(outs[0], outs[2]))

    def test_wild_numbers(self):
        """Lengths and pages that name nothing read nothing outside."""
        cache = Cache([64, 64, 64], 1, 32, 32, 16, torch.float32, 4, seed=4)
        q = cache.normal(3, 2, 1, 32)
        pools, table = cache.pages(spare=0, max_pages=4)
        text = module(2, 1, 1, 32, 32, 16, 4, "f32", 4, None, None)
        expected, _ = cache.expected(q, None, 1 / math.sqrt(32))
        out, lse = run(text, [q, *pools, table, torch.tensor([2**31 - 1, -7, 64], dtype=torch.int32)], 2, 1, 32)
        torch.testing.assert_close(out[[0, 2]].double(), expected[[0, 2]], rtol=1e-5, atol=1e-5)
        self.assertTrue((out[1] == 0).all() and (lse[1] == -math.inf).all())
        # The first and the last page stand for numbers below and above.
        clamped, wild = table.clone(), table.clone()
        clamped[0, 1], clamped[0, 2], wild[0, 1], wild[0, 2] = 0, len(pools[0]) - 1, -2**31, 2**31 - 1
        lengths = torch.full((3,), 64, dtype=torch.int32)
        first, second = (run(text, [q, *pools, x, lengths], 2, 1, 32)[0] for x in (clamped, wild))
        self.assertTrue(torch.equal(first, second))

    def test_features_that_do_not_exist(self):
        """They are left out, and the caller's pool is not looked through for them."""
        cache = Cache([20], 1, 32, 32, 16, torch.float32, 4, seed=5)
        q, lengths = cache.normal(1, 2, 1, 32), torch.tensor([20], dtype=torch.int32)
        text = module(2, 1, 1, 32, 32, 16, 3, "f32", 4, None, None)
        pools, table = cache.pages(max_pages=3)
        before = run(text, [q, *pools, table, lengths], 2, 1, 32)[0]
        page = int(table[0, 0])
        left_out = pools[0].clone()
        left_out[page, 0, 3, 2] = 0
        pools[1][page, 0, 3, 2] = 32
        other = pools[1].clone()
        other[page, 0, 3, 2] = 0
        mine = run(text, [q, *pools, table, lengths], 2, 1, 32)[0]
        self.assertTrue(torch.equal(mine, run(text, [q, left_out, other, pools[2], table, lengths], 2, 1, 32)[0]))
        self.assertFalse(torch.equal(mine, before))

    def test_wrong_sizes(self):
        cache = Cache([20, 9], 1, 32, 32, 16, torch.float32, 4, seed=6)
        q = cache.normal(2, 2, 1, 32)
        pools, table = cache.pages(max_pages=3)
        text = module(2, 1, 1, 32, 32, 16, 3, "f32", 4, None, None)
        lengths = torch.tensor([20, 9], dtype=torch.int32)
        for arguments in ([q, *pools, table[:1].clone(), lengths], [q, *pools, table, lengths[:1].clone()],
                          [q, pools[0], pools[1][1:].clone(), pools[2], table, lengths],
                          [q, *pools[:2], pools[2][1:].clone(), table, lengths]):
            with self.assertRaisesRegex(errors.Error, "dimension 0 is .*, it has to be .* as in dimension 0 of argument"):
                run(text, arguments, 2, 1, 32)


if __name__ == "__main__":
    unittest.main()

"""`sfa.cache_append` on the CPU against copies token by token."""

import unittest

try:
    import torch
except ImportError as error:
    raise unittest.SkipTest(f"no torch: {error}")

from sfa import errors
from sfa._plan import CPU, Plan, View

DTYPES = {torch.float32: "f32", torch.float16: "f16", torch.bfloat16: "bf16", torch.uint8: "u8", torch.int32: "i32",
          torch.int64: "i64"}


def module(heads, d, dv, page_size, dtype, k, is_dense, has_slots):
    """The module of a call with keys that are dense or codes, and pages of codes where k is given."""
    encoding = "" if k is None else f", #sfa.codes<k = {k}>"
    batch = "1" if has_slots else "?"
    key, value = f"tensor<{batch}x{heads}x?x{d}x{dtype}{'' if is_dense else encoding}>", f"tensor<{batch}x{heads}x?x{dv}x{dtype}>"
    keys, values = f"tensor<?x{heads}x{page_size}x{d}x{dtype}{encoding}>", f"tensor<?x{heads}x{page_size}x{dv}x{dtype}>"
    if has_slots:
        places, names = "slots(%s : tensor<?xi64>)", "%s: tensor<?xi64>"
    else:
        places, names = "pages(%t, %n : tensor<?x?xi32>, tensor<?xi32>)", "%t: tensor<?x?xi32>, %n: tensor<?xi32>"
    return (f"func.func @append(%k: {key}, %v: {value}, {names}, %keys: {keys}, %values: {values}) {{\n"
            f"  sfa.cache_append %k, %v to %keys, %values {places} : {key}, {value}, {keys}, {values}\n  return\n}}\n")


def run(text, arguments):
    views = [View(tuple(x.shape), None, DTYPES[x.dtype], CPU) for x in arguments]
    plan = Plan.of_module(text, CPU, [f"argument {i}" for i in range(len(arguments))], views, [])
    plan.run([x.data_ptr() for x in arguments])


def topk(rows, k):
    """Values and features, in the order of the features; of equal magnitudes the lower features."""
    order = torch.sort(rows.abs().float(), dim=-1, descending=True, stable=True).indices[..., :k]
    features = order.sort(-1).values
    return rows.gather(-1, features), features.to(torch.uint8)


def appended(pools, rows, places):
    """What the pools are after the rows [batch, head, token, ...] went to `places`, {(batch, token): (page, place)}."""
    pools = [pool.clone() for pool in pools]
    for (batch, token), (page, place) in places.items():
        for pool, row in zip(pools, rows):
            pool[page, :, place] = row[batch, :, token]
    return pools


class AppendTest(unittest.TestCase):
    def problem(self, batch, heads, n, d, dv, page_size, pages, dtype, k, is_dense, seed):
        """Arguments for keys and values, the rows that have to be written, and pools of random numbers."""
        source = torch.Generator().manual_seed(seed)
        key, value = (torch.randn(batch, heads, n, x, generator=source).to(dtype) for x in (d, dv))
        written = [key] if k is None else list(topk(key, k))
        given = [key] if is_dense else written
        pools = [torch.randn(pages, heads, page_size, d if k is None else k, generator=source).to(dtype)]
        if k is not None:
            pools.append(torch.randint(0, 256, pools[0].shape, generator=source).to(torch.uint8))
        pools.append(torch.randn(pages, heads, page_size, dv, generator=source).to(dtype))
        return [*given, value], [*written, value], pools, source

    def check(self, pools, expected):
        for pool, wanted in zip(pools, expected):
            self.assertTrue(torch.equal(pool, wanted))

    def test_slots(self):
        for number, (dtype, k, is_dense, page_size) in enumerate((
                (torch.float32, 4, True, 16), (torch.float32, 8, False, 64), (torch.bfloat16, 8, True, 64),
                (torch.float16, 3, False, 32), (torch.bfloat16, None, True, 128), (torch.float32, 16, True, 16))):
            for n in (1, 16, 37):
                given, written, pools, source = self.problem(1, 3, n, 64, 40, page_size, 5, dtype, k, is_dense, number)
                slots = torch.randperm(5 * page_size, generator=source)[:n]
                if n > 4:  # no place, beyond the pool, far beyond
                    slots[:4] = torch.tensor([-1, 5 * page_size, 2**62, -2**63])
                places = {(0, i): divmod(int(slot), page_size) for i, slot in enumerate(slots) if 0 <= slot < 5 * page_size}
                expected = appended(pools, written, places)
                with self.subTest(dtype=dtype, k=k, is_dense=is_dense, n=n):
                    run(module(3, 64, 40, page_size, DTYPES[dtype], k, is_dense, True), [*given, slots, *pools])
                    self.check(pools, expected)

    def test_pages(self):
        for number, (dtype, k, is_dense, page_size, n) in enumerate((
                (torch.float32, 4, True, 16, 1), (torch.bfloat16, 8, False, 16, 20), (torch.bfloat16, 8, True, 64, 3),
                (torch.float32, None, True, 16, 5))):
            given, written, pools, source = self.problem(6, 2, n, 32, 32, page_size, 20, dtype, k, is_dense, number)
            table = torch.randperm(20, generator=source)[:18].view(6, 3).to(torch.int32)
            # The last sequences have a page that is none, fewer tokens than there are new ones, and more than pages.
            lengths = torch.tensor([n, page_size + 1, 3 * page_size, 2 * page_size, max(n - 2, 0), 3 * page_size + 2],
                                   dtype=torch.int32)
            table[3, 1], table[2, 2] = -1, 20
            places = {}
            for sequence in range(6):
                for token in range(n):
                    at = int(lengths[sequence]) - n + token
                    if 0 <= at < 3 * page_size and 0 <= table[sequence, at // page_size] < 20:
                        places[sequence, token] = int(table[sequence, at // page_size]), at % page_size
            expected = appended(pools, written, places)
            with self.subTest(dtype=dtype, k=k, is_dense=is_dense, n=n):
                run(module(2, 32, 32, page_size, DTYPES[dtype], k, is_dense, False), [*given, table, lengths, *pools])
                self.check(pools, expected)

    def test_wild_lengths(self):
        given, _, pools, _ = self.problem(2, 2, 4, 32, 32, 16, 3, torch.float32, 4, True, 9)
        table, lengths = torch.zeros(2, 3, dtype=torch.int32), torch.tensor([-2**31, 2**31 - 1], dtype=torch.int32)
        expected = [pool.clone() for pool in pools]
        run(module(2, 32, 32, 16, "f32", 4, True, False), [*given, table, lengths, *pools])
        self.check(pools, expected)

    def test_nothing_to_write(self):
        given, _, pools, _ = self.problem(1, 2, 0, 32, 32, 16, 3, torch.float32, 4, True, 9)
        expected = [pool.clone() for pool in pools]
        run(module(2, 32, 32, 16, "f32", 4, True, True), [*given, torch.zeros(0, dtype=torch.int64), *pools])
        self.check(pools, expected)
        given, _, pools, _ = self.problem(1, 2, 3, 32, 32, 16, 0, torch.float32, 4, True, 9)
        run(module(2, 32, 32, 16, "f32", 4, True, True), [*given, torch.zeros(3, dtype=torch.int64), *pools])

    def test_not_a_number(self):
        """It is kept as the largest magnitude, as everywhere."""
        given, _, pools, _ = self.problem(1, 1, 1, 32, 32, 16, 1, torch.float32, 2, True, 9)
        given[0][0, 0, 0, 5] = torch.nan
        run(module(1, 32, 32, 16, "f32", 2, True, True), [*given, torch.tensor([7]), *pools])
        self.assertIn(5, pools[1][0, 0, 7])
        self.assertTrue(pools[0][0, 0, 7].isnan().any())

    def test_wrong_sizes(self):
        given, _, pools, _ = self.problem(1, 2, 3, 32, 32, 16, 4, torch.float32, 4, False, 9)
        text, slots = module(2, 32, 32, 16, "f32", 4, False, True), torch.arange(3)
        for arguments in ([*given, slots[1:].clone(), *pools], [*given, slots, *pools[:2], pools[2][1:].clone()]):
            with self.assertRaisesRegex(errors.Error, "dimension 0 is .*, it has to be .* as in dimension"):
                run(text, arguments)
        # Features of pages may be anything, those of new codes may not.
        given[1][0, 1, 2, 3] = 32
        with self.assertRaisesRegex(errors.Error, "it holds the feature index 32"):
            run(text, [*given, slots, *pools])


if __name__ == "__main__":
    unittest.main()

"""The paged cache on the CPU: layout, pages of sequences, append and decode, the operators; skipped without torch."""

import math
import random
import unittest

try:
    import torch
except ImportError as error:
    raise unittest.SkipTest(f"no torch: {error}")

import sfa
from sfa import _library, _module, errors


def _int32(values):
    return torch.tensor(values, dtype=torch.int32)


def _keep(x, k):
    """x in fp64 with all but the k features of largest magnitude 0; equal ones keep the lower feature."""
    x = x.double()
    if k is None:
        return x
    order = x.abs().argsort(dim=-1, descending=True, stable=True)[..., :k]
    return torch.zeros_like(x).scatter(-1, order, x.gather(-1, order))


def _attention(q, k, v, scale=None, left=None):
    """Of the last tokens of one sequence in fp64: q [h_q, n_q, d], k [h_kv, n, d], v [h_kv, n, dv]."""
    group, tokens, keys = q.shape[0] // k.shape[0], q.shape[1], k.shape[1]
    k, v = (x.double().repeat_interleave(group, 0) for x in (k, v))
    distance = torch.arange(tokens)[:, None] + keys - tokens - torch.arange(keys)
    seen = (distance >= 0) & (distance <= (keys if left is None else left))
    scores = q.double() @ k.mT * (q.shape[-1] ** -0.5 if scale is None else scale)
    scores = scores.masked_fill(~seen, -math.inf)
    lse = scores.logsumexp(-1)
    return torch.exp(scores - lse[..., None]).nan_to_num(0) @ v, lse


class Problem:
    """Sequences in pages in random order; all that no token is in, and the rest of the table, is poison."""

    def __init__(self, lengths, *, h_kv=2, d=32, dv=24, topk=4, page_size=16, dtype=torch.float32, seed=1, spare=3):
        self.generator = torch.Generator().manual_seed(seed)
        self.lengths, self.topk, self.dtype, self.d = lengths, topk, dtype, d
        counts = [-(-length // page_size) for length in lengths]
        pages = torch.randperm(sum(counts) + spare, generator=self.generator).tolist()
        self.cache = sfa.KVCache(len(pages), h_kv, d, dv, topk=topk, page_size=page_size, dtype=dtype, device="cpu")
        self.cache.pages.fill_(255)  # NaN, and features that there are not
        self.table = torch.full((len(lengths), max(counts) + 1), -2**31, dtype=torch.int32)
        for row, count in zip(self.table, counts):
            row[:count] = _int32([pages.pop() for _ in range(count)])
        self.seqlens = _int32(lengths)
        self.keys = [self.random(h_kv, length, d) for length in lengths]
        self.values = [self.random(h_kv, length, dv) for length in lengths]

    def random(self, *shape):
        return torch.randn(*shape, generator=self.generator).to(self.dtype)

    def fill(self, step=7):
        """Appends each sequence in pieces."""
        for i, (k, v, length) in enumerate(zip(self.keys, self.values, self.lengths)):
            for begin in range(0, length, step):
                end = min(begin + step, length)
                self.cache.append(k[None, :, begin:end], v[None, :, begin:end], self.table[i:i + 1], _int32([end]), check=True)
        return self

    def slots(self, sequence, begin, end):
        size = self.cache.page_size
        return torch.tensor([int(self.table[sequence, i // size]) * size + i % size for i in range(begin, end)])


class LayoutTest(unittest.TestCase):
    def test_blocks(self):
        # d = dv, topk, page size: bytes of a block, of a token and head
        for d, topk, size, block, token in ((64, 4, 16, 2304, 140), (64, 4, 64, 8960, 140), (128, 2, 16, 4224, 262),
                                            (128, 8, 64, 17920, 280), (128, 32, 128, 45056, 352), (256, 16, 64, 35840, 560),
                                            (128, None, 64, 32768, 512)):
            cache = sfa.KVCache(3, 2, d, topk=topk, page_size=size, device="cpu")
            self.assertEqual((cache.block_bytes, cache.bytes_per_token), (block, token))
            self.assertEqual((cache.pages.shape, cache.pages.dtype), ((3, 2, block), torch.uint8))
            self.assertEqual(cache.nbytes, 6 * block)

    def test_views(self):
        cache = sfa.KVCache(3, 2, 128, topk=8, device="cpu")
        self.assertEqual(cache.key_values.shape, (3, 2, 64, 8))
        self.assertEqual(cache.values.shape, (3, 2, 64, 128))
        self.assertEqual((cache.key_values.dtype, cache.key_indices.dtype), (torch.bfloat16, torch.uint8))
        begin = cache.pages.data_ptr() + 17920 * 3  # page 1, head 1
        for view, offset in ((cache.key_values, 0), (cache.key_indices, 1024), (cache.values, 1536)):
            self.assertEqual(view[1, 1].data_ptr() - begin, offset)
            self.assertTrue(view[1, 1].is_contiguous())
        padded = sfa.KVCache(1, 1, 64, topk=4, page_size=16, device="cpu")  # 128 and 64 bytes, and 64 of padding
        self.assertEqual(padded.values.data_ptr() - padded.pages.data_ptr(), 256)
        dense = sfa.KVCache(1, 1, 32, 16, topk=None, page_size=16, device="cpu")
        self.assertIsNone(dense.key_indices)
        self.assertEqual(dense.key_values.shape, (1, 1, 16, 32))

    def test_pool_of_somebody(self):
        block = 17920
        pool = torch.zeros(4, 3, block + 256, dtype=torch.uint8)
        part = pool[1:, 1:, 128:128 + block]
        cache = sfa.KVCache(3, 2, 128, topk=8, pages=part)
        cache.values.fill_(1)
        self.assertEqual(int((pool != 0).sum()), 3 * 2 * 64 * 128 * 2)
        for wrong, message in ((pool, "it has to be"), (part.int(), "uint8"), (part[:2], r"\[3, 2, 17920\]"),
                               (torch.zeros(3, 2, block + 8, dtype=torch.uint8)[..., :block], "multiples of 128"),
                               (torch.zeros(6 * block + 8, dtype=torch.uint8)[8:].view(3, 2, block), "multiple of 16"),
                               ([1], "torch tensor")):
            with self.assertRaisesRegex(sfa.Error, message):
                sfa.KVCache(3, 2, 128, topk=8, pages=wrong)

    def test_options(self):
        for options, kind, message in (
                (dict(topk=0), ValueError, "topk is 0"), (dict(topk=33), ValueError, "1 to 32"),
                (dict(topk=4, page_size=48), ValueError, "16, 32, 64 or 128"), (dict(topk=4.0), TypeError, "integer"),
                (dict(topk=4, dtype=torch.float64), TypeError, "dtype is torch.float64"),
                (dict(topk=4, key_dtype="int8"), NotImplementedError, "key_dtype is 'int8'"),
                (dict(topk=4, value_dtype="int8"), NotImplementedError, "not supported yet")):
            with self.assertRaisesRegex(kind, message) as caught:
                sfa.KVCache(2, 1, 32, **options, device="cpu")
            self.assertIsInstance(caught.exception, sfa.Error)


class AllocatorTest(unittest.TestCase):
    def test_against_copies(self):
        """Random operations on forked sequences, with a pool of tokens; each sequence against a list of its own."""
        generator, size = random.Random(1), 16
        pages = sfa.PageAllocator(24, size)
        pool, texts, refused = {}, {}, 0
        for step in range(4000):
            sequence = generator.choice(list(texts) or [None])
            action = generator.choice(("allocate", "extend", "extend", "extend", "fork", "crop", "free"))
            before = pages.table(texts), pages.num_free, pages.sequences
            try:
                if action == "allocate":
                    texts[pages.allocate()] = []
                elif sequence is None:
                    continue
                elif action == "extend":
                    chosen = generator.sample(list(texts), generator.randint(1, len(texts)))
                    lengths = {each: len(texts[each]) + generator.randint(0, 20) for each in chosen}
                    for source, target in pages.extend_all(lengths):
                        pool.update({(target, place): pool.get((source, place)) for place in range(size)})
                    for each, length in lengths.items():
                        for place in range(len(texts[each]), length):
                            texts[each].append((step, each, place))
                            pool[pages.pages(each)[place // size], place % size] = texts[each][-1]
                elif action == "fork":
                    texts[pages.fork(sequence)] = list(texts[sequence])
                elif action == "crop":
                    length = generator.randint(0, len(texts[sequence]))
                    pages.crop(sequence, length)
                    del texts[sequence][length:]
                elif action == "free" and len(texts) > 3:
                    pages.free(sequence)
                    del texts[sequence]
            except MemoryError:
                refused += 1
                self.assertEqual((pages.table(texts), pages.num_free, pages.sequences), before)
                for each in list(texts)[2:]:
                    pages.free(each)
                    del texts[each]
            for each, text in texts.items():
                found = [pool[pages.pages(each)[i // size], i % size] for i in range(len(text))]
                self.assertEqual((found, pages.length(each)), (text, len(text)))
            used = {page for each in texts for page in pages.pages(each)}
            self.assertEqual(pages.num_free, 24 - len(used))
        self.assertGreater(refused, 10)

    def test_last_owner_keeps_the_page(self):
        pages = sfa.PageAllocator(8, 16)
        first = pages.allocate(5)
        second = pages.fork(first)
        self.assertEqual(len(pages.extend_all({first: 6, second: 6})), 1)
        self.assertEqual(pages.num_free, 6)

    def test_sequences(self):
        pages = sfa.PageAllocator(4, 16)
        first = pages.allocate(20)
        second = pages.fork(first)
        self.assertEqual(pages.num_free, 2)
        self.assertEqual(pages.extend(second, 20), [])
        source, target = pages.extend(second, 21)[0]
        self.assertEqual((pages.pages(first)[1], pages.pages(second)[1]), (source, target))
        self.assertEqual(pages.extend(first, 32), [])
        table = pages.block_table([first, second], 3)
        self.assertEqual((table.dtype, table.tolist()), (torch.int32, [pages.pages(first) + [0], pages.pages(second) + [0]]))
        self.assertEqual(pages.seqlens([second, first]).tolist(), [21, 32])
        with self.assertRaisesRegex(MemoryError, "2 pages are needed and 1 of 4 are free"):
            pages.allocate(17)
        for call, message in ((lambda: pages.extend(first, 3), "at least 32"), (lambda: pages.crop(first, 33), "0 to 32"),
                              (lambda: pages.free(7), "no sequence 7"), (lambda: sfa.PageAllocator(0), "at least 1")):
            with self.assertRaisesRegex(ValueError, message):
                call()
        pages.grow(6)
        self.assertEqual((pages.num_pages, pages.num_free), (6, 3))


class AppendTest(unittest.TestCase):
    def check(self, problem):
        cache, size = problem.cache, problem.cache.page_size
        for k, v, row, length in zip(problem.keys, problem.values, problem.table, problem.lengths):
            page, place = [row[i // size] for i in range(length)], torch.arange(length) % size
            if not length:
                continue
            values = cache.key_values[page, :, place].transpose(0, 1)
            if problem.topk is None:
                self.assertTrue(torch.equal(values, k))
            else:
                indices = cache.key_indices.to(torch.int64)[page, :, place].transpose(0, 1)
                self.assertTrue((indices.diff(dim=-1) > 0).all())
                dense = torch.zeros(k.shape, dtype=torch.float64).scatter(-1, indices, values.double())
                self.assertTrue(torch.equal(dense, _keep(k, problem.topk)))
            self.assertTrue(torch.equal(cache.values[page, :, place].transpose(0, 1), v))

    def test_table(self):
        for topk, dtype, d, size in ((4, torch.float32, 32, 16), (None, torch.float16, 20, 32), (8, torch.bfloat16, 128, 64),
                                     (3, torch.float32, 300, 16)):
            problem = Problem([0, 1, 15, 16, 17, 50], topk=topk, dtype=dtype, d=d, page_size=size).fill()
            self.check(problem)
            # Nothing else was written.
            self.assertEqual(int((~problem.cache.values.isnan()).sum()), sum(problem.lengths) * 2 * 24)

    def test_slots(self):
        problem = Problem([40, 3])
        slots = torch.cat([problem.slots(0, 0, 40), problem.slots(1, 0, 3)])
        order = torch.randperm(43, generator=problem.generator)
        k, v = torch.cat(problem.keys, 1)[:, order], torch.cat(problem.values, 1)[:, order]
        outside = torch.tensor([-1, problem.cache.num_pages * 16, -2**62])
        slots, poison = torch.cat([outside[:2], slots[order], outside[2:]]), torch.full((2, 2, 32), 9.0)
        k = torch.cat([poison, k, poison[:, :1]], 1)
        v = torch.cat([poison[..., :24], v, poison[:, :1, :24]], 1)
        problem.cache.append(k[None], v[None], slots)
        self.check(problem)
        self.assertFalse((problem.cache.values == 9).any())
        before = problem.cache.pages.clone()
        problem.cache.append(k[None, :, :2], v[None, :, :2], outside[:2])
        self.assertTrue(torch.equal(problem.cache.pages, before))

    def test_codes(self):
        problem, other = Problem([30]), Problem([30]).fill()
        codes = sfa.sparsify(problem.keys[0][None], 4)
        problem.cache.append(codes, problem.values[0][None], problem.table, problem.seqlens)
        self.assertTrue(torch.equal(problem.cache.pages, other.cache.pages))

    def test_places_that_are_not_there(self):
        """Tokens before the first place, behind the table and in pages that are not in the pool."""
        problem = Problem([5])
        cache, before = problem.cache, problem.cache.pages.clone()
        k, v = problem.random(3, 2, 8, 32), problem.random(3, 2, 8, 24)
        page = int(problem.table[0, 0])
        cache.append(k, v, _int32([[page], [cache.num_pages], [-1]]), _int32([3, 8, 8]))
        self.assertTrue(torch.equal(cache.values[page, :, :3], v[0, :, 5:]))
        before[page] = cache.pages[page]
        self.assertTrue(torch.equal(cache.pages, before))
        self.assertTrue(cache.values[page, :, 3:].isnan().all())
        cache.append(k[:1], v[:1], _int32([[page]]), _int32([100]))
        self.assertTrue(torch.equal(cache.pages, before))

    def test_copies(self):
        problem = Problem([60])
        pages = problem.cache.pages.random_(0, 256, generator=problem.generator)
        before = pages.clone()
        problem.cache.copy_pages(_int32([1, 2, -1, 0]), _int32([2, 3, 0, 99]))
        self.assertTrue(torch.equal(pages[[2, 3]], before[[1, 2]]))
        self.assertTrue(torch.equal(pages[[0, 1, 4]], before[[0, 1, 4]]))
        after = pages.clone()
        problem.cache.copy_pages(_int32([-1]), _int32([0]))
        problem.cache.copy_pages(_int32([]), _int32([]))
        self.assertTrue(torch.equal(pages, after))

    def test_errors(self):
        problem = Problem([20])
        cache, table, lengths = problem.cache, problem.table, problem.seqlens
        k, v = problem.keys[0][None], problem.values[0][None]
        slots = problem.slots(0, 0, 20)
        for arguments, kind, message in (
                ((k.half(), v, slots), TypeError, "k has dtype f16 and the cache f32"),
                ((k[..., :31], v, slots), ValueError, "31 features"),
                ((k, v[:, :, 1:], slots), ValueError, "have to be the same"), ((k[:, :1], v, slots), ValueError, "2, tokens, 32"),
                ((k, v, slots[1:]), ValueError, "every token has one"), ((k, v, slots.int()), TypeError, "int64"),
                ((k, v, table.long(), lengths), TypeError, "block_table has dtype torch.int64"),
                ((k, v, table, lengths[None]), ValueError, r"seqlens has shape \[1, 1\]"),
                ((k, v, table.repeat(2, 1), lengths), ValueError, "there are 1 sequences"),
                ((k, v, table.repeat(1, 2)[:, ::2], lengths), ValueError, r"block_table.contiguous\(\)"),
                ((sfa.sparsify(k, 5), v, slots), ValueError, "codes of 5 features"), ((k.numpy(), v, slots), TypeError, "ndarray"),
                ((sfa.sparsify(k, 4, values="int8"), v, slots), TypeError, "8-bit")):
            with self.assertRaisesRegex(kind, message) as caught:
                cache.append(*arguments)
            self.assertIsInstance(caught.exception, sfa.Error)


class DecodeTest(unittest.TestCase):
    def check(self, problem, tokens, h_q=4, query_topk="same", tolerance=1e-5, left=None, **options):
        q = problem.random(len(problem.lengths), h_q, tokens, problem.d)
        window = None if left is None else (left, 0)
        out, lse = sfa.decode(q, problem.cache, problem.table, problem.seqlens, query_topk=query_topk, window=window,
                              return_lse=True, **options)
        self.assertEqual((out.dtype, lse.dtype, out.is_contiguous()), (problem.dtype, torch.float32, True))
        kept = problem.topk if query_topk == "same" else query_topk
        for i, (k, v) in enumerate(zip(problem.keys, problem.values)):
            expected, sums = _attention(_keep(q[i], kept), _keep(k, problem.topk), v, left=left, **options)
            torch.testing.assert_close(out[i].double(), expected, rtol=tolerance, atol=tolerance)
            torch.testing.assert_close(lse[i].double(), sums, rtol=tolerance, atol=tolerance)

    def test_lengths(self):
        problem = Problem([1, 0, 16, 15, 33, 200, 2]).fill(50)
        for tokens in (1, 2, 5, 16, 40):
            self.check(problem, tokens)

    def test_forms(self):
        for h_kv, h_q in ((1, 1), (2, 2), (1, 5), (2, 14)):
            for topk in (2, 16, None):
                self.check(Problem([37, 64], h_kv=h_kv, topk=topk, page_size=32).fill(64), 2, h_q)
        for dtype, tolerance in ((torch.float16, 4e-3), (torch.bfloat16, 3e-2)):
            for topk in (8, None):
                self.check(Problem([70, 129], d=64, dv=48, topk=topk, page_size=64, dtype=dtype).fill(64), 3, tolerance=tolerance)
        self.check(Problem([40], d=300, topk=5).fill(64), 1)

    def test_options(self):
        problem = Problem([50, 3, 17]).fill(50)
        for left in (0, 1, 20, 1000):
            self.check(problem, 3, left=left)
        for scale in (0.5, -0.3, 0.0):
            self.check(problem, 2, scale=scale)
        for query_topk in (1, 32, None):
            self.check(problem, 2, query_topk=query_topk)

    def test_pages_do_not_matter(self):
        """The same bits alone and in a batch, with other pages, with a wider table, with a copied page."""
        problem, other = (Problem([50, 90, 7], spare=spare).fill(100) for spare in (1, 9))
        q = problem.random(3, 4, 2, 32)
        out = sfa.decode(q, problem.cache, problem.table, problem.seqlens)
        other.keys, other.values = problem.keys, problem.values
        other.fill(100)
        self.assertTrue(torch.equal(out, sfa.decode(q, other.cache, other.table, other.seqlens)))
        for i in range(3):
            rows = slice(i, i + 1)
            alone = sfa.decode(q[rows], problem.cache, problem.table[rows], problem.seqlens[rows])
            self.assertTrue(torch.equal(out[rows], alone))
        wide = torch.cat([problem.table, torch.full((3, 5), 99, dtype=torch.int32)], 1)
        self.assertTrue(torch.equal(out, sfa.decode(q, problem.cache, wide, problem.seqlens)))
        used = set(problem.table[problem.table >= 0].tolist())
        (spare,) = set(range(problem.cache.num_pages)) - used
        moved = problem.table.clone()
        problem.cache.copy_pages(moved[1, 2:3].clone(), _int32([spare]))
        problem.cache.pages[int(moved[1, 2])] = 255
        moved[1, 2] = spare
        self.assertTrue(torch.equal(out, sfa.decode(q, problem.cache, moved, problem.seqlens)))

    def test_wild_lengths_and_pages(self):
        problem = Problem([32, 16], spare=2).fill(32)
        problem.cache.pages[problem.cache.pages == 255] = 0
        q = problem.random(2, 4, 1, 32)
        table, last = problem.table[:, :2].clone(), problem.cache.num_pages - 1
        table[1] = _int32([2**31 - 1, -2**31])
        out = sfa.decode(q, problem.cache, table, _int32([2**31 - 1, 32]))
        table[1] = _int32([last, 0])
        self.assertTrue(torch.equal(out, sfa.decode(q, problem.cache, table, _int32([32, 32]))))
        out, lse = sfa.decode(q, problem.cache, table, _int32([-5, -2**31]), return_lse=True)
        self.assertTrue((out == 0).all() and (lse == -math.inf).all())

    def test_strides_and_empty(self):
        problem = Problem([20, 30]).fill(30)
        q = problem.random(2, 3, 4, 32).transpose(1, 2)
        out = sfa.decode(q, problem.cache, problem.table, problem.seqlens)
        self.assertTrue(torch.equal(out, sfa.decode(q.contiguous(), problem.cache, problem.table, problem.seqlens)))
        out, lse = sfa.decode(q[:0], problem.cache, problem.table[:0], problem.seqlens[:0], return_lse=True)
        self.assertEqual((out.shape, lse.shape), ((0, 4, 3, 24), (0, 4, 3)))

    def test_errors(self):
        problem = Problem([20]).fill()
        q, table, lengths = problem.random(1, 4, 1, 32), problem.table, problem.seqlens

        def refuse(kind, message, q=q, table=table, lengths=lengths, cache=problem.cache, **options):
            with self.assertRaisesRegex(kind, message) as caught:
                sfa.decode(q, cache, table, lengths, **options)
            self.assertIsInstance(caught.exception, sfa.Error)

        refuse(TypeError, "q has dtype f16", q.half())
        refuse(ValueError, "4 heads|3 heads", q[:, :3])
        refuse(ValueError, "new tokens, 32", q[..., :31])
        refuse(ValueError, "there are 1 sequences", lengths=_int32([20, 20]))
        refuse(TypeError, "int32", table=table.float())
        refuse(TypeError, "a sfa.KVCache", cache=problem.cache.pages)
        refuse(TypeError, "ndarray", q.numpy())
        refuse(NotImplementedError, "cu_seqlens_q", cu_seqlens_q=_int32([0, 1]))
        refuse(ValueError, "right = 3", window=(1, 3))
        refuse(ValueError, "it has to be \"same\"", query_topk="all")
        refuse(ValueError, "1 to 32", query_topk=33)
        refuse(ValueError, "dense keys", cache=sfa.KVCache(2, 2, 32, topk=None, device="cpu", dtype=torch.float32), query_topk=4)
        refuse(TypeError, "nested", torch.nested.nested_tensor([q[0]]))

    def test_check(self):
        problem = Problem([20, 20]).fill()
        q, pages = problem.random(2, 4, 2, 32), problem.cache.num_pages
        sfa.decode(q, problem.cache, problem.table, problem.seqlens, check=True)
        wrong = problem.table.clone()
        wrong[1, 1] = pages
        for table, lengths, message in (
                (problem.table, [20, 1], "1 for sequence 1; with 2 new tokens and 3 pages of 16 tokens it has to be 2 to 48"),
                (problem.table, [49, 20], "49 for sequence 0"), (wrong, [20, 20], f"{pages} for sequence 1 at position 1")):
            with self.assertRaisesRegex(ValueError, message):
                sfa.decode(q, problem.cache, table, _int32(lengths), check=True)
        sfa.decode(q, problem.cache, wrong, _int32([20, 16]), check=True)
        k, v = problem.random(1, 2, 3, 32), problem.random(1, 2, 3, 24)
        for slots, message in (([0, 5, 0], "0 for token 0 and for token 2"), ([0, -2, 1], "-2 for token 1"),
                               ([0, 1, 16 * pages], "token 2")):
            with self.assertRaisesRegex(ValueError, message):
                problem.cache.append(k, v, torch.tensor(slots), check=True)
        problem.cache.append(k, v, torch.tensor([-1, -1, 0]), check=True)


class OperatorTest(unittest.TestCase):
    def test_schemas(self):
        problem = Problem([20, 7]).fill()
        cache, q = problem.cache, problem.random(2, 4, 2, 32)
        k, v = problem.random(2, 2, 2, 32), problem.random(2, 2, 2, 24)
        slots = torch.cat([problem.slots(0, 18, 20), problem.slots(1, 5, 7)])
        flat = [x.transpose(0, 1).reshape(1, 2, 4, -1) for x in (k, v)]
        for arguments in ((cache.pages, k, None, v, None, problem.table, problem.seqlens, 32, 4, 16),
                          (cache.pages, flat[0], None, flat[1], slots, None, None, 32, 4, 16)):
            torch.library.opcheck(torch.ops.sfa.cache_append.default, arguments)
        for lse in (False, True):
            torch.library.opcheck(torch.ops.sfa.decode.default,
                                  (q, cache.pages, problem.table, problem.seqlens, 24, 4, 16, 4, None, None, lse))

    def test_compile(self):
        def step(cache, q, k, v, table, lengths):
            cache.append(k, v, table, lengths)
            out, lse = sfa.decode(q, cache, table, lengths, scale=0.2, window=(9, 0), return_lse=True)
            return out * 2, lse

        compiled = torch.compile(step, fullgraph=True, backend="aot_eager")
        one, two = (Problem([20, 33]).fill() for _ in range(2))
        for _ in range(3):
            q, k, v = one.random(2, 4, 1, 32), one.random(2, 2, 1, 32), one.random(2, 2, 1, 24)
            results = [f(problem.cache, q, k, v, problem.table, problem.seqlens) for f, problem in ((step, one), (compiled, two))]
            self.assertTrue(torch.equal(one.cache.pages, two.cache.pages))
            for eager, traced in zip(*results):
                self.assertTrue(torch.equal(eager, traced))
            for problem in (one, two):
                problem.seqlens += 1

    def test_compile_refuses_check(self):
        problem = Problem([20]).fill()
        compiled = torch.compile(lambda q: sfa.decode(q, problem.cache, problem.table, problem.seqlens, check=True),
                                 fullgraph=True, backend="aot_eager")
        with self.assertRaises(Exception):
            compiled(problem.random(1, 4, 1, 32))

    def test_gradients(self):
        problem = Problem([20]).fill()
        q = problem.random(1, 4, 1, 32).requires_grad_()
        with self.assertRaisesRegex(RuntimeError, "forward only"):
            sfa.decode(q, problem.cache, problem.table, problem.seqlens).sum().backward()
        k = problem.keys[0][None].clone().requires_grad_()
        problem.cache.append(k, problem.values[0][None], problem.table, problem.seqlens)
        self.assertFalse(problem.cache.pages.requires_grad)


class ModuleTest(unittest.TestCase):
    def test_programs_of_a_gpu(self):
        """The modules that a GPU gets are taken by the compiler."""
        common = dict(q_heads=8, kv_heads=2, tokens=1, d=64, dv=64, dtype="bf16", page_size=64, max_pages=4)
        for options in (dict(k=8, q_topk=8, left=100, takes_scale=True, lse=True), dict(scale=-0.5),
                        dict(k=8, tokens=4, dtype="f16")):
            module = _module.decode(**{**common, **options})
            self.assertIn(b"decode", _library.jit_compile(module, "sm_90a"))
        common = dict(heads=2, d=64, dv=32, dtype="f16", page_size=16)
        for options in (dict(k=8), dict(k=8, slots=True), dict(k=8, given_codes=True), dict(), dict(slots=True)):
            module = _module.append(**common, **options)
            for chip in ("sm_80", "sm_90a"):
                self.assertIn(b"append", _library.jit_compile(module, chip))


if __name__ == "__main__":
    unittest.main()

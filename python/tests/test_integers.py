"""Codes of 8-bit values with scales: what sparsify, quantize, densify and attention make of them, against fp64, and what
they refuse; on numpy arrays, and on torch tensors where there is torch."""

import copy
import io
import itertools
import pickle
import unittest
from unittest import mock

import numpy

import oracle
import sfa
from sfa import _library, _numpy, _operations, errors
from sfa._plan import CPU, View

try:
    import torch
    from sfa import _torch
except ImportError:
    torch = None

LIBRARIES = ("numpy", "torch") if torch else ("numpy",)
GRANULARITIES = ("tile", "token", "head")
TOLERANCE = {"float32": 1e-5, "float16": 2e-3, "bfloat16": 2e-2}
# numpy has no bfloat16 of its own.
KINDS = [("numpy", "float32"), ("numpy", "float16")] + [("torch", dtype) for dtype in TOLERANCE if torch]


def _normal(*shape, seed=0, spread=True):
    """Rows of magnitudes that differ, so that granularities do."""
    generator = numpy.random.default_rng(seed)
    x = generator.standard_normal(shape, dtype=numpy.float32)
    return x * numpy.exp2(generator.integers(-3, 3, (*shape[:-1], 1))).astype(numpy.float32) if spread else x


def _as(x, library, dtype="float32"):
    return x.astype(dtype) if library == "numpy" else torch.from_numpy(x).to(getattr(torch, dtype))


def _host(x):
    """As a numpy array; bf16 as f32, which holds it."""
    if isinstance(x, numpy.ndarray):
        return x
    return (x.float() if x.dtype == torch.bfloat16 else x).numpy()


def _arrays(codes):
    return [_host(x) for x in (codes.values, codes.indices, codes.scales)]


def _written_out(codes):
    values, indices, scales = _arrays(codes)
    return oracle.write_out(values, indices, codes.d, scales, codes.granularity)


def _name(dtype):
    return str(dtype).removeprefix("torch.")


class PoisonedTest(unittest.TestCase):
    """Results hold NaN, or -1, before they are computed."""

    def setUp(self):
        allocate = _numpy.allocate

        def poisoned(shape, dtype):
            return numpy.full(shape, numpy.nan if numpy.dtype(dtype).kind == "f" else -1 if dtype == numpy.int8 else 255, dtype)

        self.addCleanup(setattr, _numpy, "allocate", allocate)
        _numpy.allocate = poisoned
        if torch:
            make = _torch.allocate
            self.addCleanup(setattr, _torch, "allocate", make)
            _torch.allocate = lambda *size, **options: make(*size, **options).fill_(
                float("nan") if options["dtype"].is_floating_point else 77)


class QuantizeTest(PoisonedTest):
    def check(self, codes, integers, granularity):
        """`integers` are the codes in 8 bits."""
        values, q, scales = _host(codes.values).astype(numpy.float64), _host(integers.values), _host(integers.scales)
        numpy.testing.assert_array_equal(_host(integers.indices), _host(codes.indices))
        self.assertEqual((q.dtype, scales.dtype), (numpy.int8, numpy.float32))
        self.assertEqual((integers.granularity, integers.dtype, integers.shape, integers.two_four),
                         (granularity, codes.dtype, codes.shape, codes.two_four))
        largest = oracle.largest_of_scales(values, granularity)
        self.assertEqual(scales.shape, largest.shape)
        if granularity != "token":
            numpy.testing.assert_allclose(scales, numpy.where(largest == 0, 1, largest / 127), rtol=2e-7)
        shared = oracle.repeat_scales(scales.astype(numpy.float64), granularity, values.shape[2])[..., None]
        # Where the quotient is rounded to f32 first, halves may go either way.
        self.assertLessEqual(numpy.abs(q - values / shared).max(initial=0), 0.5 + 1e-4)
        self.assertLessEqual(numpy.abs(q.astype(int)).max(initial=0), 127)
        if granularity == "token":
            self.check_search(values, scales)

    def check_search(self, values, scales):
        for row in numpy.ndindex(values.shape[:3]):
            if not values[row].any():
                self.assertEqual(scales[row], 1)
                continue
            candidates, squares = oracle.errors_of_candidates(values[row])
            chosen = numpy.abs(candidates / scales[row] - 1).argmin()
            self.assertLess(abs(candidates[chosen] / scales[row] - 1), 2e-7)
            self.assertLessEqual(squares[chosen], squares.min() * (1 + 1e-5) + 1e-12 * candidates[0] ** 2)

    def test_sizes_and_dtypes(self):
        sizes = itertools.product((1, 8, 17), (40, 64, 128))
        for number, ((k, d), (library, dtype), granularity) in enumerate(itertools.product(sizes, KINDS, GRANULARITIES)):
            tokens = (1, 127, 128, 129, 300)[number % 5]
            with self.subTest(k=k, d=d, library=library, dtype=dtype, granularity=granularity, tokens=tokens):
                x = _normal(1 + number % 2, 2, tokens, d, seed=number)
                x[0, 1, tokens // 2:] = 0  # rows, and of the last tile all
                x[0, 0, 0, ::3] = 0
                x = _as(x, library, dtype)
                codes = sfa.sparsify(x, k)
                self.check(codes, sfa.quantize(codes, granularity), granularity)
                self.check(codes, sfa.sparsify(x, k, values="int8", scales=granularity), granularity)

    def test_two_four_and_wide_indices(self):
        for library, granularity in itertools.product(LIBRARIES, GRANULARITIES):
            x = _as(_normal(1, 2, 130, 64), library)
            codes = sfa.sparsify(x, 9, two_four=True)
            self.check(codes, sfa.sparsify(x, 9, two_four=True, values="int8", scales=granularity), granularity)
            self.check(codes, sfa.quantize(codes, granularity), granularity)
            wide = _as(_normal(1, 1, 5, 300), library)
            self.check(sfa.sparsify(wide, 4), sfa.sparsify(wide, 4, values="int8", scales=granularity), granularity)

    def test_defaults(self):
        x = _normal(1, 1, 130, 64)
        self.assertEqual(sfa.sparsify(x, 4, values="int8").granularity, "tile")
        self.assertEqual(sfa.quantize(sfa.sparsify(x, 4)).granularity, "tile")
        self.assertIsNone(sfa.sparsify(x, 4).granularity)
        self.assertIsNone(sfa.sparsify(x, 4).scales)

    def test_what_is_not_finite_or_tiny(self):
        for library, granularity, odd in itertools.product(LIBRARIES, GRANULARITIES, (numpy.nan, numpy.inf, -numpy.inf)):
            x = _normal(1, 1, 130, 16)
            x[0, 0, 3, 5] = odd
            scales = _host(sfa.sparsify(_as(x, library), 4, values="int8", scales=granularity).scales)
            self.assertTrue(numpy.isnan(scales[0, 0, 3 if granularity == "token" else 0]))
            self.assertEqual(numpy.isnan(scales).sum(), 1)
        tiny = sfa.sparsify(numpy.full((1, 1, 2, 16), 1e-40, numpy.float32), 4, values="int8")
        self.assertEqual(tiny.scales.tolist(), [[[2.0**-126]]])

    def test_empty(self):
        for library, granularity in itertools.product(LIBRARIES, GRANULARITIES):
            x = _as(_normal(2, 3, 0, 64), library)
            for codes in (sfa.sparsify(x, 8, values="int8", scales=granularity), sfa.quantize(sfa.sparsify(x, 8), granularity)):
                self.assertEqual(tuple(codes.scales.shape), (2, 3, int(granularity == "head")))
                self.assertTrue((_host(codes.scales) == 1).all())
                self.assertEqual(tuple(codes.dense().shape), (2, 3, 0, 64))

    def test_dense(self):
        for (library, dtype), granularity in itertools.product(KINDS, GRANULARITIES):
            with self.subTest(library=library, dtype=dtype, granularity=granularity):
                x = _as(_normal(2, 2, 131, 40), library, dtype)
                codes, dense = sfa.sparsify(x, 8, return_dense=True, values="int8", scales=granularity)
                expected = _written_out(codes).astype(numpy.float32)
                if dtype == "bfloat16":
                    expected = oracle.bfloat16(expected)
                for rows in (dense, sfa.densify(codes), codes.dense()):
                    self.assertEqual(_name(rows.dtype), dtype)
                    numpy.testing.assert_allclose(_host(rows), expected.astype(_host(rows).dtype),
                                                  rtol=1e-6 if dtype == "float32" else 0)
                # At most half a step of the scale from what was kept, and the rounding of the dtype.
                scales = oracle.repeat_scales(_host(codes.scales), granularity, 131)[..., None]
                kept = oracle.keep(_host(x).astype(numpy.float32), 8)
                self.assertTrue((numpy.abs(_host(dense) - kept) <= 0.51 * scales + TOLERANCE[dtype] * numpy.abs(kept)).all())


class AttentionTest(PoisonedTest):
    def check(self, library, dtype, q_granularity, k_granularity, *, heads=(2, 2), n_q=33, n_k=33, d=64, dv=32, k=8, batch=1,
              **options):
        q, key, v = (_as(_normal(batch, *shape, seed=i, spread=i < 2), library, dtype) for i, shape in enumerate(
            ((heads[0], n_q, d), (heads[1], n_k, d), (heads[1], n_k, dv))))
        codes = [sfa.sparsify(x, k, values="int8", scales=scales) for x, scales in ((q, q_granularity), (key, k_granularity))]
        out, lse = sfa.attention(*codes, v, return_lse=True, **options)
        self.assertEqual((_name(out.dtype), _name(lse.dtype)), (dtype, "float32"))
        options.pop("schedule", None)
        window = options.pop("window", None) or (None, None)
        expected, expected_lse = oracle.attention(*map(_written_out, codes), _host(v), window=window, **options)
        numpy.testing.assert_allclose(_host(out), expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
        numpy.testing.assert_allclose(_host(lse), expected_lse, rtol=1e-5, atol=1e-5)

    def test_granularities_masks_heads_and_sizes(self):
        masks = (dict(), dict(causal=True), dict(window=(9, 4)), dict(causal=True, window=(7, None)), dict(scale=0.3))
        sizes = ((1, 1), (17, 300), (129, 128), (130, 65))
        for number, (pair, (n_q, n_k)) in enumerate(itertools.product(itertools.product(GRANULARITIES, repeat=2), sizes)):
            library, dtype = KINDS[number % len(KINDS)]
            mask, heads = masks[number % 5], ((2, 2), (4, 2), (3, 1))[number % 3]
            with self.subTest(library=library, dtype=dtype, pair=pair, n_q=n_q, n_k=n_k, mask=mask, heads=heads):
                self.check(library, dtype, *pair, n_q=n_q, n_k=n_k, heads=heads, batch=1 + number % 2, **mask)

    def test_k_and_widths(self):
        for number, (k, d, (library, dtype)) in enumerate(itertools.product((1, 8, 17), (40, 64, 128), KINDS)):
            with self.subTest(k=k, d=d, library=library, dtype=dtype):
                self.check(library, dtype, "token", GRANULARITIES[number % 3], k=k, d=d, dv=(16, 40)[number % 2], n_q=20,
                           n_k=150, causal=True)

    def test_schedules(self):
        for schedule, granularity in itertools.product(
                ("strategy = dense", "strategy = dense, softmax = lazy", "strategy = gather", "strategy = scatter, q_tile = 32",
                 "strategy = sparse_mma", "splits = 3, k_tile = 16", "packed_heads = 2"), GRANULARITIES):
            with self.subTest(schedule=schedule, granularity=granularity):
                self.check("numpy", "float32", "token", granularity, heads=(4, 2), n_q=40, n_k=270, schedule=schedule)
                self.check("numpy", "float32", granularity, "tile", heads=(4, 2), n_q=140, n_k=30, schedule=schedule)

    def test_sequences(self):
        """Scales of tiles are those of 128 tokens of the tensor, wherever a sequence begins."""
        for library, (q_granularity, k_granularity) in itertools.product(LIBRARIES, itertools.product(GRANULARITIES, repeat=2)):
            lengths = numpy.array([5, 0, 130, 1, 64])
            offsets = numpy.concatenate(([0], lengths.cumsum())).astype(numpy.int32)
            q, key, v = (_as(_normal(1, heads, 200, 64, seed=heads), library) for heads in (4, 2, 2))
            codes = [sfa.sparsify(x, 8, values="int8", scales=scales)
                     for x, scales in ((q, q_granularity), (key, k_granularity))]
            out, lse = sfa.attention(*codes, v, causal=True, return_lse=True,
                                     cu_seqlens=offsets if library == "numpy" else torch.from_numpy(offsets))
            dense = [*map(_written_out, codes), _host(v)]
            for begin, end in zip(offsets, offsets[1:]):
                expected, sums = oracle.attention(*(x[:, :, begin:end] for x in dense), causal=True)
                numpy.testing.assert_allclose(_host(out)[:, :, begin:end], expected, rtol=1e-5, atol=1e-5)
                numpy.testing.assert_allclose(_host(lse)[:, :, begin:end], sums, rtol=1e-5, atol=1e-5)

    def test_topk(self):
        for (library, dtype), scales in itertools.product(KINDS, (None, *GRANULARITIES)):
            q, k, v = (_as(_normal(1, heads, 140, 64, seed=heads), library, dtype) for heads in (4, 2, 2))
            codes = sfa.sparsify(q, 8, values="int8", scales="token"), sfa.sparsify(k, 8, values="int8", scales=scales)
            expected = _host(sfa.attention(*codes, v, causal=True))
            inside = sfa.attention(q, k, v, topk=8, values="int8", scales=scales, causal=True)
            numpy.testing.assert_array_equal(_host(inside), expected)
            # Keys that are codes already, as those of a cache are.
            numpy.testing.assert_array_equal(_host(sfa.attention(q, codes[1], v, topk=8, values="int8", causal=True)), expected)
            self.assertFalse(numpy.array_equal(_host(sfa.attention(q, k, v, topk=8, causal=True)), expected))

    def test_rows_that_see_no_key(self):
        for granularity in GRANULARITIES:
            self.check("numpy", "float32", "token", granularity, n_q=9, n_k=4, causal=True)
            self.check("numpy", "float32", granularity, "tile", n_q=9, n_k=0)
            self.check("numpy", "float32", granularity, "tile", n_q=0, n_k=9)

    def test_zeros(self):
        x, v = numpy.zeros((1, 2, 40, 64), numpy.float32), _normal(1, 2, 40, 64)
        codes = sfa.sparsify(x, 8, values="int8")
        self.assertTrue((codes.scales == 1).all() and (codes.values == 0).all())
        numpy.testing.assert_allclose(sfa.attention(codes, codes, v), v.mean(2, keepdims=True).repeat(40, 2), atol=1e-5)

    def test_nan_shows(self):
        for library, granularity in itertools.product(LIBRARIES, GRANULARITIES):
            q, k, v = (_normal(1, 1, 140, 16, seed=i) for i in range(3))
            q[0, 0, 3, 5] = numpy.nan
            q, k, v = (_as(x, library) for x in (q, k, v))
            codes = sfa.sparsify(q, 16, values="int8", scales=granularity), sfa.sparsify(k, 16, values="int8")
            out = _host(sfa.attention(*codes, v))
            rows = {"tile": slice(0, 128), "token": slice(3, 4), "head": slice(0, 140)}[granularity]
            self.assertTrue(numpy.isnan(out[0, 0, rows]).all())
            self.assertEqual(numpy.isnan(out).all(-1).sum(), rows.stop - rows.start)
            out = _host(sfa.attention(q, k, v, topk=16, values="int8"))
            self.assertTrue(numpy.isnan(out[0, 0, 3]).all() and not numpy.isnan(out[0, 0, 4]).any())


class CodesTest(unittest.TestCase):
    """What Codes of 8-bit values can do."""

    def same(self, a, b):
        self.assertEqual((a.d, a.two_four, a.dtype, a.granularity), (b.d, b.two_four, b.dtype, b.granularity))
        for one, other in zip((a.values, a.indices, a.scales), (b.values, b.indices, b.scales)):
            self.assertIs(type(one), type(other))
            numpy.testing.assert_array_equal(_host(one), _host(other))

    def each(self, function):
        """Calls the function below with codes of each library, dtype and granularity."""
        for (library, dtype), granularity in itertools.product(KINDS, GRANULARITIES):
            with self.subTest(library=library, dtype=dtype, granularity=granularity):
                x = _as(_normal(2, 2, 300, 64), library, dtype)
                function(library, sfa.sparsify(x, 4, values="int8", scales=granularity))

    def test_attributes(self):
        @self.each
        def _(library, codes):
            again = sfa.Codes(codes.values, codes.indices, 64, codes.scales, codes.granularity, codes.dtype)
            self.same(again, codes)
            count = {"tile": 3, "token": 300, "head": 1}[codes.granularity]
            self.assertEqual(codes.nbytes, 4 * 300 * (4 + 4) + 4 * count * 4)
            self.assertEqual(repr(codes), f"Codes(2x2x300x64, k=4, values=int8, scales={codes.granularity}, dtype={codes.dtype}, "
                                          "device=cpu)")
            for name in ("scales", "granularity"):
                with self.assertRaises(errors.ReadOnlyError):
                    setattr(codes, name, None)

    def test_slices(self):
        @self.each
        def _(library, codes):
            dense = _host(codes.dense())
            keys = [(slice(1, 2),), (slice(None), slice(0, 1)), (Ellipsis,), (slice(None), slice(None), slice(128, None)),
                    (Ellipsis, slice(256, 290)), (Ellipsis, slice(0, 5)), (Ellipsis, slice(7, 7)), (Ellipsis, slice(-44, None))]
            if codes.granularity != "tile":
                keys += [(Ellipsis, slice(3, 150, 2)), (slice(0, 1), Ellipsis, slice(-3, None))]
            for key in keys:
                part = codes[key if len(key) > 1 else key[0]]
                expected = dense[(*key, slice(None))] if Ellipsis in key else dense[key]
                numpy.testing.assert_array_equal(_host(part.dense()), expected)
                self.assertEqual((part.granularity, part.dtype), (codes.granularity, codes.dtype))
            for key in (slice(1, None), slice(0, 256, 2), slice(-1, None)):
                if codes.granularity == "tile":
                    with self.assertRaisesRegex(errors.ArgumentValueError, "128 tokens share a scale"):
                        codes[:, :, key]

    def test_join(self):
        @self.each
        def _(library, codes):
            self.same(sfa.cat([codes[:1], codes[1:]], 0), codes)
            self.same(sfa.cat([codes[:, :1], codes[:, 1:]], 1), codes)
            self.same(sfa.cat([codes]), codes)
            if codes.granularity == "head":
                with self.assertRaisesRegex(errors.ArgumentValueError, "scales of heads.* along tokens"):
                    sfa.cat([codes, codes])
                return
            self.same(sfa.cat([codes[:, :, :128], codes[:, :, 128:256], codes[:, :, 256:]]), codes)
            if codes.granularity == "tile":
                with self.assertRaisesRegex(errors.ArgumentValueError, "part 0 of cat has 300 tokens, and 128 tokens share"):
                    sfa.cat([codes, codes])
            for other in (sfa.sparsify(codes.dense(), 4), sfa.sparsify(codes.dense(), 4, values="int8", scales="head")):
                with self.assertRaisesRegex(errors.ArgumentValueError, "part 1 of cat.*of one granularity"):
                    sfa.cat([codes[:, :, :256], other])

    def test_to(self):
        @self.each
        def _(library, codes):
            half = numpy.dtype("float16") if library == "numpy" else torch.float16
            for moved in (codes.to(dtype=half), codes.to(half), codes.to("cpu", half)):
                self.assertEqual((moved.dtype, moved.granularity), (half, codes.granularity))
                self.assertIs(moved.values, codes.values)
                self.assertEqual(moved.dense().dtype, half)
            self.same(codes.to("cpu"), codes)
            with self.assertRaisesRegex(errors.ArgumentTypeError, "float64"):
                codes.to(dtype=numpy.float64 if library == "numpy" else torch.float64)

    def test_copies_and_files(self):
        @self.each
        def _(library, codes):
            for again in (copy.copy(codes), copy.deepcopy(codes), pickle.loads(pickle.dumps(codes))):
                self.same(again, codes)
            if library == "torch":
                file = io.BytesIO()
                torch.save({"keys": codes}, file)
                file.seek(0)
                self.same(torch.load(file, weights_only=True)["keys"], codes)
                file.seek(0)
                self.assertEqual(torch.load(file, map_location="meta")["keys"].scales.device.type, "meta")

    def test_what_is_no_codes(self):
        for library in LIBRARIES:
            codes = sfa.sparsify(_as(_normal(1, 2, 130, 64), library), 4, values="int8")
            values, indices, scales, dtype = codes.values, codes.indices, codes.scales, codes.dtype
            unsigned = values.astype(numpy.uint8) if library == "numpy" else values.to(torch.uint8)
            more = scales, "tile", dtype
            wide = scales.astype(numpy.float64) if library == "numpy" else scales.double()
            for kind, part, arguments in (
                    (TypeError, "codes.values has dtype i8; .*int8 values have scales", (values, indices, 64)),
                    (TypeError, "scales is given without granularity", (values, indices, 64, scales)),
                    (TypeError, "scales is given without dtype", (values, indices, 64, scales, "tile")),
                    (TypeError, "granularity is given without scales", (values, indices, 64, None, "tile")),
                    (TypeError, "dtype is given without scales", (values, indices, 64, None, None, dtype)),
                    (TypeError, "codes.values has dtype u8; with scales it has to be int8", (unsigned, indices, 64, *more)),
                    (TypeError, "codes.values has dtype f32; with scales", (codes.dense(), indices, 64, *more)),
                    (TypeError, "scales has dtype float64; it has to be float32", (values, indices, 64, wide, "tile", dtype)),
                    (TypeError, "the dtype of codes is i8; .*one of f32, f16, bf16",
                     (values, indices, 64, scales, "tile", values.dtype)),
                    (TypeError, "dtype is 3; ", (values, indices, 64, scales, "tile", 3)),
                    (TypeError, "scales a list; .*of one kind", (values, indices, 64, [1], "tile", dtype)),
                    (ValueError, "granularity of codes is 'row'; .*\"token\"", (values, indices, 64, scales, "row", dtype)),
                    (TypeError, "granularity of codes is 1; ", (values, indices, 64, scales, 1, dtype)),
                    (ValueError, r"shape \[1, 2, 2\]; for 130 tokens .*\[1, 2, 130\]",
                     (values, indices, 64, scales, "token", dtype)),
                    (ValueError, r"scales has shape \[1, 2, 1\]; .* \[1, 2, 2\]",
                     (values, indices, 64, scales[:, :, :1], "tile", dtype)),
                    (ValueError, r"scales has -0.* at \(0, 0, 0\); .*positive", (values, indices, 64, -scales, "tile", dtype))):
                with self.subTest(library=library, part=part), self.assertRaisesRegex(kind, part) as caught:
                    sfa.Codes(*arguments)
                self.assertIsInstance(caught.exception, sfa.Error)

    def test_by_hand(self):
        values = numpy.array([100, -127], numpy.int8).reshape(1, 1, 1, 2)
        codes = sfa.Codes(values, numpy.array([1, 3], numpy.uint8).reshape(1, 1, 1, 2), 4,
                          numpy.full((1, 1, 1), 0.5, numpy.float32), "token", "float16")
        self.assertEqual(codes.dense().tolist(), [[[[0, 50, 0, -63.5]]]])
        self.assertEqual(codes.dense().dtype, numpy.float16)


class RefusedTest(unittest.TestCase):
    def test_arguments(self):
        for library in LIBRARIES:
            q, k, v = (_as(_normal(1, 2, 40, 64, seed=i), library) for i in range(3))
            half = _as(_normal(1, 2, 40, 64), library, "float16")
            codes, small = sfa.sparsify(k, 4), sfa.sparsify(k, 4, values="int8")
            other, other_half = sfa.sparsify(half, 4, values="int8"), sfa.sparsify(half, 4)
            for kind, part, call in (
                    (ValueError, "scales is 'tile' without values; .*values=\"int8\"", lambda: sfa.sparsify(q, 4, scales="tile")),
                    (ValueError, "values is 'int4'; .*\"int8\", or None", lambda: sfa.sparsify(q, 4, values="int4")),
                    (TypeError, "values is 8; ", lambda: sfa.sparsify(q, 4, values=8)),
                    (ValueError, "scales is 'row'; .*\"tile\", \"token\" or \"head\"",
                     lambda: sfa.sparsify(q, 4, values="int8", scales="row")),
                    (TypeError, "scales is 3; ", lambda: sfa.sparsify(q, 4, values="int8", scales=3)),
                    (ValueError, "has 8-bit values already", lambda: sfa.quantize(small)),
                    (TypeError, "codes is a .*sfa.Codes", lambda: sfa.quantize(q)),
                    (ValueError, "scales is 'all'; ", lambda: sfa.quantize(codes, "all")),
                    (TypeError, "scales is None; ", lambda: sfa.quantize(codes, None)),
                    (ValueError, "q has 8-bit values and k f32; .*neither: pass sfa.quantize\\(k\\)",
                     lambda: sfa.attention(small, codes, v)),
                    (ValueError, "k has 8-bit values and q f32; .*neither: .*sfa.sparsify\\(q",
                     lambda: sfa.attention(q, small, v)),
                    (ValueError, "k has 8-bit values and q f32; .*values=\"int8\"", lambda: sfa.attention(q, small, v, topk=4)),
                    (ValueError, "k gets 8-bit values and q f32; ", lambda: sfa.attention(codes, k, v, topk=4, values="int8")),
                    (ValueError, "values is 'int8' without topk", lambda: sfa.attention(q, k, v, values="int8")),
                    (ValueError, "scales is 'tile' without values", lambda: sfa.attention(q, k, v, topk=4, scales="tile")),
                    (ValueError, "scales is 'tile', but k is codes",
                     lambda: sfa.attention(q, small, v, topk=4, values="int8", scales="tile")),
                    (ValueError, "codes already", lambda: sfa.attention(small, small, v, topk=4, values="int8")),
                    (TypeError, "q is codes of .*float16 and v has .*float32", lambda: sfa.attention(other, small, v)),
                    (TypeError, "k is codes of .*float16 and v has .*float32", lambda: sfa.attention(small, other, v)),
                    (TypeError, "one dtype", lambda: sfa.attention(other_half, other_half, v))):
                with self.subTest(library=library, part=part), self.assertRaisesRegex(kind, part) as caught:
                    call()
                self.assertIsInstance(caught.exception, sfa.Error)

    def test_too_many_features(self):
        x = _normal(1, 1, 1, 2000)
        for call in (lambda: sfa.sparsify(x, 1041, values="int8"), lambda: sfa.quantize(sfa.sparsify(x, 1041)),
                     lambda: sfa.attention(x, x, x, topk=1041, values="int8")):
            with self.assertRaisesRegex(errors.ArgumentValueError, "k is 1041 .*1 to 1040"):
                call()
        self.assertEqual(sfa.sparsify(x, 1040, values="int8").k, 1040)

    def test_scales_that_do_not_fit(self):
        """What is no Codes can still come through an operator."""
        for library in LIBRARIES:
            x = _as(_normal(1, 2, 140, 64), library)
            codes = sfa.sparsify(x, 4, values="int8")
            for broken in (codes.scales[:, :, :1], codes.scales[:, :1]):
                wrong = copy.copy(codes)
                wrong._scales = broken
                for call in (wrong.dense, lambda: sfa.attention(codes, wrong, x), lambda: sfa.attention(wrong, codes, x)):
                    with self.subTest(library=library), self.assertRaisesRegex(errors.ArgumentValueError, "scales has shape"):
                        call()

    def test_the_library_looks_at_scales(self):
        """Also where the package did not."""
        from sfa import _module, _plan
        views = [_plan.View(shape, None, dtype, _plan.CPU) for shape, dtype in (
            ((1, 2, 140, 4), "i8"), ((1, 2, 140, 4), "u8"), ((1, 2, 1), "f32"))]
        result = _plan.View((1, 2, 140, 64), None, "f32", _plan.CPU)
        plan = _plan.Plan.of_module(_module.densify(2, 64, "f32", 4, "tile"), _plan.CPU, ["values", "indices", "scales"], views,
                                    [result])
        arrays = [numpy.ones(view.shape, dtype) for view, dtype in zip((*views, result), ("i1", "u1", "f4", "f4"))]
        with self.assertRaisesRegex(errors.ArgumentValueError, "it has to be 2"):
            plan.run([array.__array_interface__["data"][0] for array in arrays])


class GpuTest(unittest.TestCase):
    """What is looked at before a call on a GPU, which needs none."""

    def operand(self, name="codes", d=64, dtype="bf16", **views):
        shapes = {"values": ((1, 2, 300, 8), None, "i8"), "indices": ((1, 2, 300, 8), None, "u8"),
                  "scales": ((1, 2, 3), None, "f32")}
        values, indices, scales = (View(*views.get(part, shape), 0) for part, shape in shapes.items())
        return _operations.Operand(name, values, indices, d, scales, "tile", dtype)

    def test_codes(self):
        _operations.check_codes(self.operand())
        for kind, part, operand in (
                (TypeError, "the dtype of codes is f32; on cuda:0 .* f16, bf16", self.operand(dtype="f32")),
                (ValueError, r"scales has shape \[1, 2, 2\]", self.operand(scales=((1, 2, 2), None, "f32"))),
                (ValueError, "codes of 65 features; on a GPU", self.operand(d=65)),
                (ValueError, "values has strides", self.operand(values=((1, 2, 300, 8), (4800, 2400, 8, 2), "i8")))):
            with self.subTest(part=part), self.assertRaisesRegex(kind, part):
                _operations.check_codes(operand)
        scales = self.operand().scales
        scales.device = CPU
        with self.assertRaisesRegex(errors.ArgumentValueError, "values on cuda:0 and scales on cpu"):
            operand = self.operand()
            operand.scales = scales
            _operations.check_codes(operand)

    def test_arguments_of_a_program(self):
        v = View((1, 2, 300, 64), None, "bf16", 0)
        with mock.patch.object(_operations, "Plan", mock.Mock()) as plan:
            _operations.attention_plan(self.operand("q"), self.operand("k"), v, None, None, False, None, None, False, None)
        module, device, names, views, results, _ = plan.of_module.call_args.args
        self.assertIn("(%q: tensor<?x2x?x64xbf16, #sfa.codes<k = 8, values = i8, scales = tile>>", module)
        self.assertEqual(names, ["q.values", "q.indices", "q.scales", "k.values", "k.indices", "k.scales", "v"])
        self.assertEqual([view.dtype for view in views], ["i8", "u8", "f32"] * 2 + ["bf16"])
        self.assertEqual([(view.dtype, view.shape) for view in results], [("bf16", (1, 2, 300, 64))])


class PlansTest(unittest.TestCase):
    def test_options_have_plans_of_their_own(self):
        for library in LIBRARIES:
            q, k, v = (_as(_normal(1, 2, 140, 64, seed=i), library) for i in range(3))
            forms = [None, *GRANULARITIES]

            def results():
                for form in forms:
                    options = {} if form is None else dict(values="int8", scales=form)
                    yield _host(sfa.attention(q, k, v, topk=4, **options))
                    codes = sfa.sparsify(k, 4, **options)
                    yield _host(codes.values), _host(codes.dense())
                    if form is not None:
                        yield _host(sfa.quantize(sfa.sparsify(k, 4), form).scales)
                        yield _host(sfa.attention(codes, codes, v))

            first = list(results())
            with mock.patch.object(_library, "jit_cpu_function", side_effect=AssertionError("compiled again")):
                for one, other in zip(first, results()):
                    for a, b in zip(one, other):
                        numpy.testing.assert_array_equal(a, b)
            outputs = [_host(sfa.attention(q, k, v, topk=4, **({} if form is None else dict(values="int8", scales=form))))
                       for form in forms]
            for a, b in itertools.combinations(outputs, 2):
                self.assertFalse(numpy.array_equal(a, b))

    def test_the_dtype_of_densify_counts(self):
        for library in LIBRARIES:
            codes = sfa.sparsify(_as(_normal(1, 2, 40, 64), library), 4, values="int8")
            half = numpy.dtype("float16") if library == "numpy" else torch.float16
            for each in (codes, codes.to(half), codes, codes.to(half)):
                self.assertEqual(each.dense().dtype, each.dtype)

    def test_byte_orders_and_strides(self):
        x = _normal(1, 2, 140, 64)
        codes = sfa.sparsify(x, 4, values="int8")
        swapped = sfa.sparsify(x.astype(x.dtype.newbyteorder()), 4, values="int8")
        numpy.testing.assert_array_equal(swapped.dense(), codes.dense())
        numpy.testing.assert_array_equal(sfa.attention(swapped, codes, x), sfa.attention(codes, codes, x))
        strided = sfa.Codes(*(numpy.asfortranarray(y) for y in (codes.values, codes.indices)), 64,
                            numpy.asfortranarray(codes.scales), "tile", codes.dtype)
        numpy.testing.assert_array_equal(strided.dense(), codes.dense())


if __name__ == "__main__":
    unittest.main()

"""The CPU target through numpy, against fp64."""

import itertools
import os
import subprocess
import sys
import threading
import unittest

import numpy

import oracle
import sfa
from sfa import _library, _numpy, errors

# Output errors in units of the dtype's rounding step, for values of about 1.
_TOLERANCE = {numpy.float32: 2e-6, numpy.float16: 2e-3}


def _normal(*shape, dtype=numpy.float32, seed=0):
    return numpy.random.default_rng(seed).standard_normal(shape).astype(dtype)


def _problem(heads=(2, 2), n_q=33, n_k=33, d=32, dv=32, batch=1, dtype=numpy.float32):
    return (_normal(batch, heads[0], n_q, d, dtype=dtype, seed=1),
            _normal(batch, heads[1], n_k, d, dtype=dtype, seed=2),
            _normal(batch, heads[1], n_k, dv, dtype=dtype, seed=3))


class PoisonedTest(unittest.TestCase):
    """Results hold NaN before they are computed."""

    def setUp(self):
        self.allocate = _numpy.allocate

        def poisoned(shape, dtype):
            return numpy.full(shape, numpy.nan if numpy.dtype(dtype).kind == "f" else 255, dtype)

        _numpy.allocate = poisoned

    def tearDown(self):
        _numpy.allocate = self.allocate


class AttentionTest(PoisonedTest):
    def check(self, q, k, v, topk=None, window=None, **options):
        out, lse = sfa.attention(q, k, v, topk=topk, window=window, return_lse=True, **options)
        dense = [x if topk is None else oracle.keep(x, topk) for x in (q, k)]
        options.pop("schedule", None)
        expected, expected_lse = oracle.attention(*dense, v, window=window or (None, None), **options)
        tolerance = _TOLERANCE[q.dtype.type]
        self.assertEqual(out.dtype, q.dtype)
        self.assertEqual(lse.dtype, numpy.float32)
        numpy.testing.assert_allclose(out, expected, rtol=tolerance, atol=tolerance)
        numpy.testing.assert_allclose(lse, expected_lse, rtol=1e-5, atol=1e-5)

    def test_masks_heads_and_sizes(self):
        masks = (dict(), dict(causal=True), dict(window=(9, 4)), dict(window=(None, 3)),
                 dict(window=(5, None)), dict(causal=True, window=(7, None)))
        sizes = ((1, 1), (17, 17), (65, 130), (130, 65))
        heads = ((2, 2), (4, 2), (3, 1))
        for number, (mask, (n_q, n_k)) in enumerate(itertools.product(masks, sizes)):
            with self.subTest(mask=mask, n_q=n_q, n_k=n_k):
                self.check(*_problem(heads[number % 3], n_q, n_k, batch=1 + number % 2),
                           topk=(None, 4, 8)[number // 2 % 3], **mask)

    def test_dtypes_widths_and_k(self):
        for dtype, d, dv, topk in ((numpy.float16, 64, 16, 8), (numpy.float32, 24, 40, 3),
                                   (numpy.float16, 48, 80, None), (numpy.float32, 300, 8, 5),
                                   (numpy.float32, 16, 16, 16)):
            with self.subTest(dtype=dtype, d=d, dv=dv, topk=topk):
                self.check(*_problem(d=d, dv=dv, dtype=dtype), topk=topk, causal=True)

    def test_schedules(self):
        for schedule in ("strategy = dense", "strategy = gather, softmax = lazy",
                         "strategy = scatter, q_tile = 32, k_tile = 64", "strategy = sparse_mma",
                         "splits = 3, k_tile = 16"):
            with self.subTest(schedule=schedule):
                self.check(*_problem(), topk=4, schedule=schedule)
        for schedule in ("packed_heads = 2", "packed_heads = 3, splits = 2, softmax = lazy, q_tile = 24"):
            with self.subTest(schedule=schedule):
                self.check(*_problem((6, 1)), topk=4, causal=True, schedule=schedule)

    def test_scales(self):
        for scale in (1, 0.3, -0.5, numpy.float64(0.1)):
            with self.subTest(scale=scale):
                self.check(*_problem(), scale=scale)

    def test_rows_that_see_no_key(self):
        q, k, v = _problem(n_q=9, n_k=4)
        out, lse = sfa.attention(q, k, v, causal=True, return_lse=True)
        self.assertTrue((out[:, :, :5] == 0).all())
        self.assertTrue((lse[:, :, :5] == -numpy.inf).all())
        self.check(q, k, v, causal=True)
        out, lse = sfa.attention(q, k[:, :, :0], v[:, :, :0], topk=2, return_lse=True)
        self.assertTrue((out == 0).all() and (lse == -numpy.inf).all())
        self.assertEqual(sfa.attention(q[:, :, :0], k, v).shape, (1, 2, 0, 32))

    def test_codes_are_the_same_as_topk(self):
        q, k, v = _problem(heads=(4, 2))
        codes = [sfa.sparsify(x, 4) for x in (q, k)]
        expected = sfa.attention(q, k, v, topk=4, causal=True)
        self.assertTrue(numpy.array_equal(sfa.attention(*codes, v, causal=True), expected))
        self.assertTrue(numpy.array_equal(sfa.attention(codes[0], k, v, topk=4, causal=True), expected))

    def test_codes_on_one_side(self):
        q, k, v = _problem()
        for left, right in ((True, False), (False, True)):
            out = sfa.attention(sfa.sparsify(q, 4) if left else q, sfa.sparsify(k, 4) if right else k, v)
            expected, _ = oracle.attention(oracle.keep(q, 4) if left else q,
                                           oracle.keep(k, 4) if right else k, v)
            numpy.testing.assert_allclose(out, expected, rtol=2e-6, atol=2e-6)

    def test_any_strides_and_byte_orders(self):
        q, k, v = _problem(d=16, dv=16)
        expected = sfa.attention(q, k, v)
        fortran = [numpy.asfortranarray(x) for x in (q, k, v)]
        self.assertTrue(numpy.array_equal(sfa.attention(*fortran), expected))
        swapped = [x.astype(x.dtype.newbyteorder()) for x in (q, k, v)]
        self.assertTrue(numpy.array_equal(sfa.attention(*swapped), expected))

    def test_many_threads(self):
        q, k, v = _problem(n_q=100, n_k=100)
        expected, wrong = sfa.attention(q, k, v, causal=True), []

        def work():
            for _ in range(20):
                if not numpy.array_equal(sfa.attention(q, k, v, causal=True), expected):
                    wrong.append(1)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertFalse(wrong)


class SequencesTest(PoisonedTest):
    """Sequences of several lengths in one tensor, each against attention of its own."""

    def check(self, q_lengths, k_lengths, topk=None, codes=False, **options):
        cu_q, cu_k = (numpy.concatenate(([0], numpy.cumsum(lengths))).astype(numpy.int32)
                      for lengths in (q_lengths, k_lengths))
        q, k, v = _problem((4, 2), cu_q[-1], cu_k[-1])
        same = q_lengths == k_lengths
        operands = (sfa.sparsify(q, topk), sfa.sparsify(k, topk)) if codes else (q, k)
        out, lse = sfa.attention(*operands, v, topk=None if codes else topk, return_lse=True,
                                 cu_seqlens=cu_q if same else (cu_q, cu_k), **options)
        for s in range(len(q_lengths)):
            rows, keys = slice(*cu_q[s:s + 2]), slice(*cu_k[s:s + 2])
            alone = sfa.attention(q[:, :, rows], k[:, :, keys], v[:, :, keys], topk=topk,
                                  return_lse=True, **options)
            numpy.testing.assert_allclose(out[:, :, rows], alone[0], rtol=2e-6, atol=2e-6)
            numpy.testing.assert_allclose(lse[:, :, rows], alone[1], rtol=1e-5, atol=1e-5)

    def test_lengths(self):
        for q_lengths, k_lengths in (([5, 0, 130, 1], [5, 0, 130, 1]), ([3, 7, 0], [9, 0, 4]),
                                     ([200], [100]), ([0, 0], [0, 0]), ([127, 129], [255, 1])):
            for options in (dict(), dict(causal=True), dict(window=(9, 2)),
                            dict(topk=4, causal=True), dict(topk=8, codes=True)):
                with self.subTest(q=q_lengths, k=k_lengths, options=options):
                    self.check(q_lengths, k_lengths, **options)

    def test_errors(self):
        q, k, v = _problem()
        good = numpy.array([0, 10, 33], numpy.int32)
        for kind, part, cu_seqlens in (
                (TypeError, "cu_seqlens_q is a int", [0, 3]),
                (TypeError, "tuple of 3", (good, good, good)),
                (TypeError, "int64", good.astype(numpy.int64)),
                (ValueError, "shape \\[1, 3\\]", good[None]),
                (ValueError, "shape \\[1\\]", good[:1]),
                (ValueError, "3 offsets and cu_seqlens_k has 2", (good, good[[0, 2]])),
                (ValueError, "cu_seqlens_q goes from 1 to 33", good | 1),
                (ValueError, "cu_seqlens_k goes from 0 to 10", (good[[0, 2]], good[:2])),
                (ValueError, "descends from 40 to 33 at sequence 1", numpy.array([0, 40, 33], numpy.int32))):
            with self.subTest(part=part), self.assertRaisesRegex(kind, part):
                sfa.attention(q, k, v, cu_seqlens=cu_seqlens)
        with self.assertRaisesRegex(ValueError, "batch of 2"):
            sfa.attention(*(x.repeat(2, axis=0) for x in (q, k, v)), cu_seqlens=good)


class CodesTest(PoisonedTest):
    def test_sparsify_is_exact(self):
        for dtype, d, k, two_four in (
                (numpy.float32, 16, 4, False), (numpy.float16, 64, 8, False),
                (numpy.float32, 300, 7, False), (numpy.float32, 8, 8, False),
                (numpy.float16, 33, 1, False), (numpy.float32, 16, 4, True),
                (numpy.float16, 64, 32, True)):
            with self.subTest(dtype=dtype, d=d, k=k, two_four=two_four):
                x = _normal(2, 3, 5, d, dtype=dtype)
                x[0, 1] = numpy.round(x[0, 1])
                x[0, 2, :, ::2] = 0
                x[1, 0, 0, 1], x[1, 0, 1, 3], x[1, 0, 2, 5] = numpy.nan, numpy.inf, -numpy.inf
                codes = sfa.sparsify(x, k, two_four)
                kept = oracle.topk(x, k, two_four)
                self.assertEqual(codes.indices.dtype, numpy.uint8 if d <= 256 else numpy.uint16)
                numpy.testing.assert_array_equal(codes.indices, kept)
                numpy.testing.assert_array_equal(codes.values, numpy.take_along_axis(x, kept, -1))
                numpy.testing.assert_array_equal(codes.dense(), oracle.keep(x, k, two_four))
                again, dense = sfa.sparsify(x, k, two_four, return_dense=True)
                numpy.testing.assert_array_equal(again.values, codes.values)
                numpy.testing.assert_array_equal(again.indices, codes.indices)
                self.assertEqual((again.two_four, dense.dtype), (two_four, x.dtype))
                numpy.testing.assert_array_equal(dense, codes.dense())
                self.assertEqual((codes.shape, codes.k, codes.d, codes.two_four),
                                 (x.shape, k, d, two_four))

    def test_two_four(self):
        x = _normal(1, 1, 40, 16, dtype=numpy.float32)
        codes = sfa.sparsify(x, 6, two_four=True)
        self.assertEqual(repr(codes), "Codes(1x1x40x16, k=6, two_four, dtype=float32, device=cpu)")
        self.assertLessEqual((codes.dense() != 0).reshape(40, 4, 4).sum(-1).max(), 2)
        # Codes that satisfy 2:4 are codes.
        numpy.testing.assert_array_equal(sfa.attention(codes, x, x), sfa.attention(codes.dense(), x, x))
        for kind, part, arguments in ((ValueError, "k = 9 of d = 16", (x, 9, True)),
                                      (ValueError, "k = 2 of d = 6", (x[..., :6], 2, True)),
                                      (ValueError, "k is 0", (x, 0, True))):
            with self.subTest(part=part), self.assertRaisesRegex(kind, part):
                sfa.sparsify(*arguments)

    def test_k_above_d_is_the_identity(self):
        x = _normal(1, 1, 3, 8)
        codes = sfa.sparsify(x, 100)
        self.assertEqual(codes.k, 8)
        numpy.testing.assert_array_equal(sfa.densify(codes), x)

    def test_codes_by_hand(self):
        values = numpy.array([1, -2], numpy.float32).reshape(1, 1, 1, 2)
        codes = sfa.Codes(values, numpy.array([1, 3], numpy.uint8).reshape(1, 1, 1, 2), 4)
        self.assertEqual(codes.dense().tolist(), [[[[0, 1, 0, -2]]]])
        self.assertEqual(repr(codes), "Codes(1x1x1x4, k=2, dtype=float32, device=cpu)")
        self.assertEqual(codes.nbytes, 10)

    def test_wrong_codes(self):
        values, indices = numpy.ones((1, 1, 2, 2), numpy.float32), numpy.ones((1, 1, 2, 2), numpy.uint8)
        for kind, part, arguments in (
                (ValueError, "feature 1", (values, indices, 1)),
                (ValueError, "below 4", (values, indices + 3, 4)),
                (ValueError, "the same", (values, indices[:, :, :1], 4)),
                (TypeError, "u8", (values, indices.astype(numpy.uint16), 4)),
                (TypeError, "u16", (values, indices, 300)),
                (TypeError, "float64", (values.astype(numpy.float64), indices, 4)),
                (TypeError, "integer", (values, indices, 4.0)),
                (TypeError, "list", ([1], indices, 4)),
                (TypeError, "of one kind", (values, [1], 4))):
            with self.subTest(part=part), self.assertRaisesRegex(kind, part if part != "feature 1" else "k = 2"):
                sfa.Codes(*arguments)


class ErrorsTest(unittest.TestCase):
    def test_arguments(self):
        q, k, v = _problem(heads=(4, 2))
        codes = sfa.sparsify(q, 4)
        cases = (
            (TypeError, "q is a list", lambda: sfa.attention([1], k, v)),
            (TypeError, "k is a list", lambda: sfa.attention(q, [1], v)),
            (TypeError, "float64", lambda: sfa.attention(q.astype(float), k.astype(float), v)),
            (TypeError, "one dtype", lambda: sfa.attention(q, k.astype(numpy.float16), v)),
            (ValueError, "3 dimensions", lambda: sfa.attention(q[0], k, v)),
            (ValueError, "multiple", lambda: sfa.attention(q[:, :3], k, v)),
            (ValueError, "as many", lambda: sfa.attention(q[..., :8], k, v)),
            (ValueError, "those of k", lambda: sfa.attention(q, k, v[:, :, :5])),
            (ValueError, "topk is 0", lambda: sfa.attention(q, k, v, topk=0)),
            (TypeError, "topk is 2.5", lambda: sfa.attention(q, k, v, topk=2.5)),
            (TypeError, "topk is True", lambda: sfa.attention(q, k, v, topk=True)),
            (ValueError, "codes already",
             lambda: sfa.attention(codes, sfa.sparsify(k, 4), v, topk=4)),
            (TypeError, "pair", lambda: sfa.attention(q, k, v, window=3)),
            (ValueError, "window left is -2", lambda: sfa.attention(q, k, v, window=(-2, 0))),
            (ValueError, "2147483647", lambda: sfa.attention(q, k, v, window=(0, 2**31))),
            (ValueError, "finite", lambda: sfa.attention(q, k, v, scale=float("nan"))),
            (TypeError, "scale is 'x'", lambda: sfa.attention(q, k, v, scale="x")),
            (TypeError, "schedule is 3", lambda: sfa.attention(q, k, v, schedule=3)),
            (RuntimeError, "unknown strategy 'best'",
             lambda: sfa.attention(q, k, v, schedule="strategy = best")),
            (TypeError, "sfa.Codes", lambda: sfa.densify(q)),
            (ValueError, "at least 1", lambda: sfa.sparsify(q, 0)),
        )
        for kind, part, call in cases:
            with self.subTest(part=part):
                with self.assertRaisesRegex(kind, part) as caught:
                    call()
                self.assertIsInstance(caught.exception, sfa.Error)

    def test_an_error_of_the_compiler_has_the_module(self):
        with self.assertRaises(errors.CompileError) as caught:
            sfa.attention(*_problem(), schedule="strategy = best")
        self.assertIn("func.func @attention", caught.exception.module)

    def test_no_library(self):
        done = subprocess.run(
            [sys.executable, "-c", "import sfa, numpy\n"
             "try: sfa.sparsify(numpy.ones((1, 1, 1, 4), 'f4'), 2)\n"
             "except RuntimeError as error: print(type(error).__name__, error)"],
            env={**os.environ, "SFA_LIBRARY": "/nowhere/libsfa.so"}, stdout=subprocess.PIPE, text=True)
        self.assertIn("LibraryError there is no /nowhere/libsfa.so", done.stdout)
        self.assertIn("SFA_LIBRARY", done.stdout)


class CompileTest(unittest.TestCase):
    """Modules of the package compile for GPUs, which needs none."""

    def test_chips(self):
        from sfa import _module
        for chip, softmax in itertools.product(("sm_80", "sm_90a"), ("online", "lazy")):
            text = _module.attention(q_heads=4, kv_heads=2, d=64, dv=128, dtype="bf16", q_topk=8,
                                     k_k=8, mask="causal", schedule=f"softmax = {softmax}", lse=True,
                                     sequences=softmax == "lazy")
            self.assertIn(b"flashsfa-program", _library.jit_compile(text, chip))

    def test_unknown_chip(self):
        from sfa import _module
        with self.assertRaisesRegex(RuntimeError, "sm_12345"):
            _library.jit_compile(_module.sparsify(1, 64, "f16", 8), "sm_12345")


class DlpackTest(unittest.TestCase):
    class Foreign:
        """An array of a library that nobody knows, with the memory of a numpy array."""

        def __init__(self, array):
            self.array = array

        def __dlpack__(self, **options):
            return self.array.__dlpack__(**options)

        def __dlpack_device__(self):
            return self.array.__dlpack_device__()

    def test_foreign_arrays(self):
        q, k, v = _problem()
        expected = sfa.attention(q, k, v, topk=4)
        out = sfa.attention(*(self.Foreign(x) for x in (q, k, v)), topk=4)
        numpy.testing.assert_array_equal(numpy.asarray(out), expected)
        codes, dense = sfa.sparsify(self.Foreign(q), 4, return_dense=True)
        numpy.testing.assert_array_equal(numpy.asarray(dense), sfa.sparsify(q, 4).dense())
        self.assertEqual(codes.k, 4)

    def test_integers_of_foreign_arrays(self):
        q, _, v = _problem()
        expected = sfa.sparsify(q, 4, values="int8")
        plain = sfa.sparsify(q, 4)
        for codes in (sfa.sparsify(self.Foreign(q), 4, values="int8"),
                      sfa.quantize(sfa.Codes(self.Foreign(plain.values), self.Foreign(plain.indices), 32)),
                      sfa.Codes(*(self.Foreign(x) for x in (expected.values, expected.indices)), 32,
                                self.Foreign(expected.scales), "tile", numpy.dtype("float32"))):
            self.assertEqual(str(codes.dtype).removeprefix("torch."), "float32")
            numpy.testing.assert_array_equal(numpy.asarray(codes.dense()), expected.dense())
        out = sfa.attention(codes, codes, self.Foreign(v))
        numpy.testing.assert_array_equal(numpy.asarray(out), sfa.attention(expected, expected, v))


class InfoTest(unittest.TestCase):
    def test_report(self):
        done = subprocess.run([sys.executable, "-m", "sfa.info"], stdout=subprocess.PIPE, text=True,
                              check=True)
        for part in ("flashsfa:", "LLVM 22", "knobs:", "cache:"):
            self.assertIn(part, done.stdout)
        self.assertRegex(done.stdout, "self check, cpu: +right")


if __name__ == "__main__":
    unittest.main()

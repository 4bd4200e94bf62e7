"""One program for all scales, on numpy arrays, and on torch tensors where there is torch."""

import itertools
import math
import threading
import unittest
from unittest import mock

import numpy

import oracle
import sfa
from sfa import _library, _numpy, _operations, errors
from sfa._plan import CPU, View

try:
    import torch
except ImportError:
    torch = None


def _arrays(tokens, d=32):
    generator = numpy.random.default_rng(7)
    return [generator.standard_normal((1, 2, tokens, d), dtype=numpy.float32) for _ in range(3)]


def _constant(q, k, v, scale, schedule, lse):
    """The results of a program that has the scale as a constant."""
    operands = [_operations.Operand(name, View(x.shape, None, "f32", CPU)) for name, x in (("q", q), ("k", k))]
    with mock.patch.object(_operations, "SCALE_ARGUMENT", object()):
        plan = _operations.attention_plan(*operands, View(v.shape, None, "f32", CPU), None, None, True, None, scale, lse,
                                          schedule)
    return _numpy._execute(plan, [q, k, v])


class ScalesTest(unittest.TestCase):
    def test_many_scales_share_a_program(self):
        q, k, v = _arrays(9, 24)
        kinds = [("numpy", (q, k, v))]
        if torch is not None:
            kinds.append(("torch", tuple(map(torch.from_numpy, (q, k, v)))))
        for kind, tensors in kinds:
            with self.subTest(kind=kind), mock.patch.object(_library, "jit_cpu_function",
                                                            wraps=_library.jit_cpu_function) as compiled:
                for i in range(1000):
                    scale = 0.01 + i / 500
                    out = sfa.attention(*tensors, scale=scale)
                    if i % 100 == 0:
                        expected, _ = oracle.attention(q, k, v, scale=scale)
                        numpy.testing.assert_allclose(out, expected, rtol=2e-6, atol=2e-6)
                self.assertEqual(compiled.call_count, 1)

    def test_the_bits_are_those_of_a_constant(self):
        q, k, v = _arrays(65)
        for softmax, scale in itertools.product(("online", "lazy"), (0.3, 1 / 3, 1.0, 32**-0.5, 2.0**-126, 1e20)):
            with self.subTest(softmax=softmax, scale=scale):
                schedule = f"strategy = dense, softmax = {softmax}"
                given = sfa.attention(q, k, v, causal=True, scale=scale, return_lse=True, schedule=schedule)
                for a, b in zip(given, _constant(q, k, v, scale, schedule, True)):
                    self.assertEqual(a.tobytes(), b.tobytes())

    def test_scales_with_programs_of_their_own(self):
        q, k, v = _arrays(17)
        for scale in (0.0, -0.0, -0.25, 1e-40, 5e-324, 2.0**-126 * (1 - 2.0**-52)):
            with self.subTest(scale=scale):
                self.assertEqual(_operations.split_scale(scale), (scale, None))
                out, lse = sfa.attention(q, k, v, scale=scale, return_lse=True)
                expected, sums = oracle.attention(q, k, v, scale=scale)
                numpy.testing.assert_allclose(out, expected, rtol=2e-6, atol=2e-6)
                numpy.testing.assert_allclose(lse, sums, rtol=1e-5, atol=1e-5)

    def test_each_call_has_its_scale_on_threads(self):
        q, k, v = _arrays(33)
        scales = [0.05 * (i + 1) for i in range(8)]
        expected = [sfa.attention(q, k, v, scale=scale) for scale in scales]
        wrong = []

        def work(i):
            for _ in range(50):
                if not numpy.array_equal(sfa.attention(q, k, v, scale=scales[i]), expected[i]):
                    wrong.append(scales[i])

        threads = [threading.Thread(target=work, args=(i,)) for i in range(len(scales))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])

    def test_with_codes_and_sequences(self):
        q, k, v = _arrays(40)
        offsets = numpy.array([0, 15, 40], numpy.int32)
        codes = sfa.sparsify(q, 8), sfa.sparsify(k, 8)
        dense = [oracle.keep(x, 8) for x in (q, k)]
        for scale in (0.2, 0.9):
            out = sfa.attention(*codes, v, scale=scale, cu_seqlens=offsets)
            for begin, end in ((0, 15), (15, 40)):
                part = slice(begin, end)
                expected, _ = oracle.attention(*(x[:, :, part] for x in (*dense, v)), scale=scale)
                numpy.testing.assert_allclose(out[:, :, part], expected, rtol=2e-6, atol=2e-6)

    def test_tensors_are_refused(self):
        q, k, v = _arrays(9)
        tensors = [numpy.array(0.5), numpy.array([0.5])]
        if torch is not None:
            tensors += [torch.tensor(0.5), torch.tensor(0.5, requires_grad=True), torch.nn.Parameter(torch.ones(1))]
        for scale in tensors:
            for arrays in [(q, k, v)] + ([tuple(map(torch.from_numpy, (q, k, v)))] if torch is not None else []):
                with self.subTest(scale=type(scale), of=type(arrays[0])):
                    with self.assertRaisesRegex(errors.ArgumentTypeError, r"multiply q by the tensor, pass q \* scale as q"):
                        sfa.attention(*arrays, scale=scale)
        for scale in (numpy.float64(0.5), numpy.float32(0.5)):
            self.assertTrue(numpy.array_equal(sfa.attention(q, k, v, scale=scale), sfa.attention(q, k, v, scale=0.5)))

    def test_the_range_is_that_of_the_library(self):
        """What Python passes as an argument the library takes, and no more."""
        q, k, v = _arrays(9)
        plan = _operations.attention_plan(
            *(_operations.Operand(name, View(x.shape, None, "f32", CPU)) for name, x in (("q", q), ("k", k))),
            View(v.shape, None, "f32", CPU), None, None, False, None, _operations.SCALE_ARGUMENT, False, None)
        low, high = _operations.MIN_SCALE, _operations.MAX_SCALE
        for scale in (low, high, 1.0):
            _numpy._execute(plan, [q, 0 * k, v], scale)
        for scale in (low * (1 - 2.0**-20), 0.0, -1.0, high * (1 + 2.0**-23), math.inf, math.nan):
            with self.subTest(scale=scale), self.assertRaisesRegex(errors.ArgumentValueError, "given is the scale"):
                _numpy._execute(plan, [q, k, v], scale)


if __name__ == "__main__":
    unittest.main()

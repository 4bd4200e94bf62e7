"""What the plans of calls are remembered by: options that change, that are equal to others of another type, or that
are out of range; on numpy arrays, and on torch tensors where there is torch."""

import fractions
import math
import unittest

import numpy

import sfa
from sfa import errors

try:
    import torch
except ImportError:
    torch = None


def _kinds():
    generator = numpy.random.default_rng(1)
    arrays = [generator.standard_normal((1, 2, 40, 64), dtype=numpy.float32) for _ in range(3)]
    yield "numpy", *arrays
    if torch is not None:
        yield "torch", *map(torch.from_numpy, arrays)


def _equal(a, b):
    return numpy.array_equal(numpy.asarray(a), numpy.asarray(b))


class KeysTest(unittest.TestCase):
    def each(self, function):
        """Calls the function below with the tensors of each kind."""
        for kind, *tensors in _kinds():
            with self.subTest(kind=kind):
                function(*tensors)

    def test_flags_that_change(self):
        @self.each
        def _(q, k, v):
            for make in (numpy.array, *([torch.tensor] if torch else [])):
                flag = make(True)
                self.assertTrue(_equal(sfa.attention(q, k, v, causal=flag), sfa.attention(q, k, v, causal=True)))
                flag[...] = False
                self.assertTrue(_equal(sfa.attention(q, k, v, causal=flag), sfa.attention(q, k, v)))
                _, lse = sfa.attention(q, k, v, return_lse=make(True))
                self.assertEqual(tuple(lse.shape), (1, 2, 40))

    def test_flags_without_a_truth(self):
        @self.each
        def _(q, k, v):
            for name in ("causal", "return_lse"):
                with self.assertRaisesRegex(errors.ArgumentTypeError, f"{name} is .*True or False"):
                    sfa.attention(q, k, v, **{name: numpy.array([True, False])})

    def test_equal_to_an_option_of_another_type(self):
        @self.each
        def _(q, k, v):
            sfa.attention(q, k, v, topk=1)
            sfa.attention(q, k, v, topk=2)
            sfa.attention(q, k, v, window=(1, 0))
            sfa.attention(q, k, v, scale=1.0)
            sfa.sparsify(q, 1)
            sfa.sparsify(q, 2)
            for part, call in (
                    ("topk is 2.0", lambda: sfa.attention(q, k, v, topk=2.0)),
                    ("topk is True", lambda: sfa.attention(q, k, v, topk=True)),
                    ("window left is True", lambda: sfa.attention(q, k, v, window=(True, 0))),
                    ("window right is 0.0", lambda: sfa.attention(q, k, v, window=(1, 0.0))),
                    ("window left is -1.0", lambda: sfa.attention(q, k, v, window=(-1.0, 0))),
                    ("scale is True", lambda: sfa.attention(q, k, v, scale=True)),
                    ("k is 2.0", lambda: sfa.sparsify(q, 2.0)),
                    ("k is True", lambda: sfa.sparsify(q, True)),
                    ("schedule is b'dense'", lambda: sfa.attention(q, k, v, schedule=b"dense"))):
                with self.subTest(part=part), self.assertRaisesRegex(errors.ArgumentTypeError, part):
                    call()

    def test_options_of_other_types_that_are_allowed(self):
        @self.each
        def _(q, k, v):
            expected = sfa.attention(q, k, v, topk=2, window=(3, 0), scale=0.5)
            self.assertTrue(_equal(expected, sfa.attention(
                q, k, v, topk=numpy.int64(2), window=[numpy.int32(3), 0], scale=fractions.Fraction(1, 2))))
            self.assertTrue(_equal(sfa.attention(q, k, v, window=(3, -1)), sfa.attention(q, k, v, window=(3, None))))
            self.assertEqual(sfa.sparsify(q, numpy.int64(2)).k, 2)

    def test_scales_beyond_f32(self):
        largest = 3.4028234663852886e38 / math.log2(math.e)
        @self.each
        def _(q, k, v):
            for scale in (3e38, -3e38, 1e60, numpy.float64(2.4e38), 10**400, largest * (1 + 1e-9)):
                with self.assertRaisesRegex(errors.ArgumentValueError, "scale is .*(f32|finite)"):
                    sfa.attention(q, k, v, scale=scale)
            # The largest scale that there is: the keys are 0, and so are the scores.
            out = sfa.attention(q, 0 * k, v, scale=largest)
            numpy.testing.assert_allclose(out, numpy.asarray(v).mean(2, keepdims=True).repeat(40, 2), atol=1e-5)

    def test_codes_cannot_lose_a_tensor(self):
        @self.each
        def _(q, _k, v):
            codes = sfa.sparsify(q, 4)
            sfa.densify(codes)
            for name, value in (("indices", codes.indices[:, :, :2]), ("values", codes.values[:, :, :2]), ("d", 128),
                                ("two_four", True), ("k", 2), ("shape", (1,)), ("dtype", None)):
                with self.subTest(name=name), self.assertRaises(AttributeError) as caught:
                    setattr(codes, name, value)
                if name in ("indices", "values", "d", "two_four"):
                    self.assertIsInstance(caught.exception, errors.ReadOnlyError)
            self.assertEqual(tuple(sfa.densify(codes).shape), (1, 2, 40, 64))

    def test_shapes_of_indices_count(self):
        """What is no Codes can still come through an operator."""
        @self.each
        def _(q, _k, _v):
            codes = sfa.sparsify(q, 4)
            sfa.densify(codes)
            codes._indices = codes.indices[:, :, :2]
            with self.assertRaisesRegex(errors.ArgumentValueError, "both have to be the same"):
                sfa.densify(codes)


if __name__ == "__main__":
    unittest.main()

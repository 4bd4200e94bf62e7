"""What Codes can do besides being an argument: checks of their features, moving, slicing, joining, files; and data at
odd addresses and under masks. On numpy arrays, and on torch tensors where there is torch."""

import copy
import io
import pickle
import subprocess
import sys
import unittest

import numpy

import sfa
from sfa import errors

try:
    import torch
except ImportError:
    torch = None

LIBRARIES = ("numpy", "torch") if torch else ("numpy",)


def _array(library, x):
    return x if library == "numpy" else torch.from_numpy(x)


def _dense(library, d=64, tokens=12, batch=2):
    x = numpy.random.default_rng(1).standard_normal((batch, 2, tokens, d), dtype=numpy.float32)
    return _array(library, x)


def _codes(library, d=64, two_four=False):
    return sfa.sparsify(_dense(library, d), 4, two_four)


class CodesTest(unittest.TestCase):
    def same(self, a, b):
        self.assertEqual((a.d, a.two_four, a.dtype), (b.d, b.two_four, b.dtype))
        for one, other in ((a.values, b.values), (a.indices, b.indices)):
            self.assertIs(type(one), type(other))
            self.assertEqual(one.dtype, other.dtype)
            numpy.testing.assert_array_equal(numpy.asarray(one), numpy.asarray(other))

    def each(self, function):
        """Calls the function below for each library, with narrow and with wide indices."""
        for library in LIBRARIES:
            for d in (64, 300):
                with self.subTest(library=library, d=d):
                    function(library, _codes(library, d))

    def test_slices(self):
        @self.each
        def _(library, codes):
            dense = numpy.asarray(codes.dense())
            for key in ((slice(1, 2),), (slice(None), slice(0, 1)), (slice(None), slice(None), slice(3, 9, 2)), (Ellipsis,),
                        (Ellipsis, slice(4, 5)), (slice(0, 1), Ellipsis, slice(-3, None)), (slice(5, 5),)):
                part = codes[key if len(key) > 1 else key[0]]
                padded = key if Ellipsis not in key else tuple(
                    y for x in key for y in ([slice(None)] * (4 - len(key)) if x is Ellipsis else [x]))
                numpy.testing.assert_array_equal(numpy.asarray(part.dense()), dense[padded])
                self.assertEqual((part.d, part.k), (codes.d, 4))
            # Views, not copies.
            codes[:, :, 2:3].values[...] = 0
            self.assertEqual(numpy.count_nonzero(numpy.asarray(codes.values)[:, :, 2]), 0)
            self.assertEqual(len(codes), 2)

    def test_keys_that_are_no_slices(self):
        @self.each
        def _(library, codes):
            for key in (0, (slice(None), 1), (slice(None),) * 4, [0], None, "x", (Ellipsis, Ellipsis)):
                with self.assertRaisesRegex(errors.ArgumentTypeError, "up to three slices"):
                    codes[key]
            with self.assertRaisesRegex(errors.ArgumentValueError, "step of a slice of codes is -1"):
                codes[::-1]

    def test_join(self):
        @self.each
        def _(library, codes):
            self.same(sfa.cat([codes[:, :, :5], codes[:, :, 5:6], codes[:, :, 6:]]), codes)
            self.same(sfa.cat([codes[:1], codes[1:]], dim=0), codes)
            self.same(sfa.cat((codes[:, :1], codes[:, 1:]), 1), codes)
            self.same(sfa.cat([codes]), codes)
            two_four = _codes(library, codes.d, two_four=True)
            self.assertTrue(sfa.cat([two_four, two_four]).two_four)
            self.assertFalse(sfa.cat([two_four, codes]).two_four)

    def test_what_cannot_be_joined(self):
        @self.each
        def _(library, codes):
            other = sfa.sparsify(codes.dense(), 3)
            for kind, part, call in (
                    (ValueError, "no codes to join", lambda: sfa.cat([])),
                    (TypeError, "part 1 of cat is a ", lambda: sfa.cat([codes, codes.values])),
                    (ValueError, "k=3.* all but dimension 2", lambda: sfa.cat([codes, other])),
                    (ValueError, "all but dimension 2", lambda: sfa.cat([codes, codes[:1]])),
                    (TypeError, "float16.* of one kind and dtype", lambda: sfa.cat([codes, codes.to(dtype=_half(library))])),
                    (ValueError, "dim is 3", lambda: sfa.cat([codes], 3)),
                    (TypeError, "dim is True", lambda: sfa.cat([codes], True))):
                with self.subTest(part=part), self.assertRaisesRegex(kind, part) as caught:
                    call()
                self.assertIsInstance(caught.exception, sfa.Error)

    def test_to(self):
        @self.each
        def _(library, codes):
            half = _half(library)
            for moved in (codes.to(dtype=half), codes.to(half), codes.to("cpu", half)):
                self.assertEqual((moved.dtype, moved.indices.dtype), (half, codes.indices.dtype))
                numpy.testing.assert_allclose(numpy.asarray(moved.dense()), numpy.asarray(codes.dense()), rtol=1e-3)
            self.assertIs(codes.to("cpu").values, codes.values)
            with self.assertRaisesRegex(errors.ArgumentTypeError, "float64"):
                codes.to(dtype=torch.float64 if library == "torch" else numpy.float64)
        with self.assertRaisesRegex(errors.ArgumentValueError, "numpy arrays have to be on"):
            _codes("numpy").to("cuda")

    def test_copies_and_pickles(self):
        @self.each
        def _(library, codes):
            for again in (copy.copy(codes), copy.deepcopy(codes), pickle.loads(pickle.dumps(codes))):
                self.same(again, codes)
            two_four = _codes(library, codes.d, two_four=True)
            self.same(pickle.loads(pickle.dumps(two_four)), two_four)

    def test_pickles_are_checked(self):
        text = pickle.dumps(_codes("numpy"))
        codes = pickle.loads(text)
        codes.indices[...] = 200
        with self.assertRaisesRegex(errors.ArgumentValueError, "feature 200"):
            pickle.loads(pickle.dumps(codes))

    @unittest.skipUnless(torch, "no torch")
    def test_torch_load(self):
        for d, two_four in ((64, False), (64, True), (300, False)):
            codes, file = _codes("torch", d, two_four), io.BytesIO()
            torch.save({"keys": codes}, file)
            file.seek(0)
            self.same(torch.load(file, weights_only=True)["keys"], codes)
            file.seek(0)
            self.assertEqual(torch.load(file, map_location="meta")["keys"].device.type, "meta")

    @unittest.skipUnless(torch, "no torch")
    def test_in_a_compiled_graph(self):
        def block(codes, x):
            codes = sfa.cat([codes[:, :, 1:], sfa.sparsify(x * 2, 4)])
            return codes.dense(), codes.values

        codes, x = _codes("torch"), _dense("torch")
        for one, other in zip(torch.compile(block, backend="aot_eager", fullgraph=True)(codes, x), block(codes, x)):
            self.assertTrue(torch.equal(one, other))


def _half(library):
    return torch.float16 if library == "torch" else numpy.dtype(numpy.float16)


class FeaturesTest(unittest.TestCase):
    def make(self, library, features, values, d=8):
        shape = (1, 1, len(features), len(features[0]))
        return sfa.Codes(_array(library, numpy.array(values, numpy.float32).reshape(shape)),
                         _array(library, numpy.array(features, numpy.uint8 if d <= 256 else numpy.uint16).reshape(shape)), d)

    def test_features_ascend(self):
        good = [1, 3, 5]
        for library in LIBRARIES:
            for d in (8, 300):
                for features, values in (([1, 1, 5], [1, 2, 3]), ([3, 1, 5], [1, 2, 3]), ([1, 5, 1], [1, 0, 2]),
                                         ([0, 5, 0], [float("nan"), 2, 3])):
                    with (self.subTest(library=library, d=d, features=features),
                          self.assertRaisesRegex(errors.ArgumentValueError, r"row \(0, 0, 1\) has the features .*ascend")):
                        self.make(library, [good, features], [[1, 2, 3], values], d)

    def test_padding_may_be_anywhere(self):
        for library in LIBRARIES:
            for features, values, dense in (([1, 1, 5], [0, 2, 3], [0, 2, 0, 0, 0, 3, 0, 0]),
                                            ([3, 0, 0], [4, 0, 0], [0, 0, 0, 4, 0, 0, 0, 0]),
                                            ([0, 0, 0], [0, 0, 0], [0] * 8)):
                with self.subTest(library=library, features=features):
                    self.assertEqual(self.make(library, [features], [values]).dense().tolist(), [[[dense]]])


class MemoryTest(unittest.TestCase):
    """CPU data may be at any address, and nothing is dropped in silence."""

    def test_odd_addresses(self):
        for dtype in (numpy.float16, numpy.float32):
            tensors = [numpy.random.default_rng(i).standard_normal((1, 2, 20, 64)).astype(dtype) for i in range(3)]
            expected, odd = sfa.attention(*tensors, topk=4), []
            for x in tensors:
                memory = numpy.empty(x.nbytes + 1, numpy.uint8)
                odd.append(memory[1:].view(dtype).reshape(x.shape))
                odd[-1][...] = x
                self.assertEqual(odd[-1].__array_interface__["data"][0] % 2, 1)
            numpy.testing.assert_array_equal(sfa.attention(*odd, topk=4), expected)
            numpy.testing.assert_array_equal(sfa.sparsify(odd[0], 4).dense(), sfa.sparsify(tensors[0], 4).dense())
            if torch:
                out = sfa.attention(*map(torch.from_numpy, odd), topk=4)
                numpy.testing.assert_array_equal(out.numpy(), expected)

    def test_masked_arrays_are_refused(self):
        x = _dense("numpy")
        masked, codes = numpy.ma.masked_less(x, 0), sfa.sparsify(x, 4)
        for name, call in (("q", lambda: sfa.attention(masked, x, x)), ("k", lambda: sfa.attention(x, masked, x)),
                           ("v", lambda: sfa.attention(x, x, masked)), ("x", lambda: sfa.sparsify(masked, 4)),
                           ("values", lambda: sfa.Codes(numpy.ma.array(codes.values), codes.indices, 64)),
                           ("indices", lambda: sfa.Codes(codes.values, numpy.ma.array(codes.indices), 64))):
            with self.subTest(name=name), self.assertRaisesRegex(errors.ArgumentTypeError, f"^{name} is a masked array.*filled"):
                call()
        # Other subclasses have nothing to lose.
        self.assertTrue(numpy.array_equal(sfa.sparsify(x.view(numpy.memmap), 4).values, codes.values))


class ImportTest(unittest.TestCase):
    def test_without_numpy_ma(self):
        """Masked arrays are known by the module that makes them, which need not be there."""
        done = subprocess.run(
            [sys.executable, "-c", "import sys, numpy, sfa\nsys.modules.pop('numpy.ma', None)\n"
             "print(sfa.sparsify(numpy.ones((1, 1, 1, 4), 'f4'), 2))"], stdout=subprocess.PIPE, text=True, check=True)
        self.assertIn("Codes(1x1x1x4, k=2", done.stdout)


if __name__ == "__main__":
    unittest.main()

"""Tensors whose memory is not their value, and those that somebody watches: tracing, derivatives, vmap, layouts; after
a call with the same shapes that has made a plan. Skipped without torch."""

import unittest
import warnings

try:
    import torch
except ImportError as error:
    raise unittest.SkipTest(f"no torch: {error}")

import sfa
from sfa import errors
from torch.autograd import forward_ad


def _dense(q, k, v):
    return sfa.attention(q, k, v, topk=4, causal=True)


def _codes(q, k, v):
    return sfa.attention(sfa.sparsify(q, 4), sfa.sparsify(k, 4), v, causal=True)


def _densified(q, k, v):
    return sfa.densify(sfa.sparsify(q, 4))


def _both(q, k, v):
    return sfa.sparsify(q, 4, return_dense=True)[1]


def _integers(q, k, v):
    return sfa.attention(sfa.sparsify(q, 4, values="int8", scales="token"), sfa.quantize(sfa.sparsify(k, 4)), v, causal=True)


def _dense_integers(q, k, v):
    return sfa.attention(q, k, v, topk=4, causal=True, values="int8")


def _densified_integers(q, k, v):
    return sfa.densify(sfa.sparsify(q, 4, values="int8", scales="token"))


def _both_of_integers(q, k, v):
    return sfa.sparsify(q, 4, return_dense=True, values="int8", scales="token")[1]


FORMS = (_dense, _codes, _densified, _both, _integers, _dense_integers, _densified_integers, _both_of_integers)


def _operator(q, k, v):
    return torch.ops.sfa.attention.default(q, None, None, k, None, None, v)[0]


class WatchedTest(unittest.TestCase):
    def setUp(self):
        generator = torch.Generator().manual_seed(1)
        self.q, self.k, self.v = (torch.randn(1, 2, 40, 64, generator=generator) for _ in range(3))
        for form in FORMS:
            form(self.q, self.k, self.v)

    def each(self, forms=FORMS):
        """Calls the function below with each form and each place of a tensor in it."""
        def call(function):
            for form in forms:
                for place in range(3 if form in (_dense, _codes, _integers, _dense_integers, _operator) else 1):
                    with self.subTest(form=form.__name__, place=place):
                        function(form, place)
        return call

    def test_traces_compute_on_new_inputs(self):
        @self.each()
        def _(form, place):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # of torch.jit.trace itself
                warnings.simplefilter("error", torch.jit.TracerWarning)
                traced = torch.jit.trace(lambda a: form(a, a, a), self.q, check_trace=False)
            for x in (self.k, torch.cat([self.v, self.k], 2)):
                self.assertTrue(torch.equal(traced(x), form(x, x, x)))

    def test_tangents_are_refused(self):
        @self.each((*FORMS, _operator))
        def _(form, place):
            tensors = [self.q, self.k, self.v]
            with forward_ad.dual_level():
                tensors[place] = forward_ad.make_dual(tensors[place], torch.ones_like(self.q))
                with self.assertRaisesRegex(errors.RunError, "no forward-mode derivative"):
                    form(*tensors)
                # Of a call without a tangent there is nothing to lose.
                self.assertTrue(torch.equal(_dense(self.q, self.k, self.v), self.expected_dense()))

    def expected_dense(self):
        return torch.ops.sfa.attention.default(self.q, None, None, self.k, None, None, self.v, 4, True)[0]

    def test_jvp_is_refused(self):
        @self.each()
        def _(form, place):
            with self.assertRaisesRegex(errors.RunError, "no forward-mode derivative"):
                torch.func.jvp(lambda a: form(a, self.k, self.v), (self.q,), (self.q,))

    def test_grad_is_refused(self):
        @self.each()
        def _(form, place):
            with self.assertRaisesRegex(RuntimeError, "forward only"):
                torch.func.grad(lambda a: form(a, self.k, self.v).sum())(self.q)

    def test_vmap(self):
        batch = torch.stack([self.q, self.k, -self.v])
        @self.each()
        def _(form, place):
            tensors = [self.q, self.k, self.v]

            def call(x):
                return form(*tensors[:place], x, *tensors[place + 1:])

            expected = torch.stack([call(x) for x in batch])
            for dim in (0, 2):
                self.assertTrue(torch.equal(torch.vmap(call, in_dims=dim)(batch.movedim(0, dim)), expected))
                self.assertTrue(torch.equal(torch.vmap(call, out_dims=1)(batch), expected.movedim(0, 1)))

    def test_vmap_of_all_results(self):
        """Of batches of 2, of sequences, and within another vmap."""
        q, k, v = (torch.cat([x, 2 * x]) for x in (self.q, self.k, self.v))
        batch = torch.stack([q, -q, k])
        out, lse = torch.vmap(lambda x: sfa.attention(x, k, v, causal=True, return_lse=True))(batch)
        offsets = torch.tensor([[0, 3, 40], [0, 30, 40], [0, 0, 40]], dtype=torch.int32)

        def packed(x, offsets):
            return sfa.attention(x, self.k, self.v, cu_seqlens=offsets)

        sequences = torch.vmap(packed)(batch[:, :1], offsets)
        for i, x in enumerate(batch):
            expected = sfa.attention(x, k, v, causal=True, return_lse=True)
            self.assertTrue(torch.equal(out[i], expected[0]) and torch.equal(lse[i], expected[1]))
            self.assertTrue(torch.equal(sequences[i], packed(x[:1], offsets[i])))
        twice = torch.vmap(torch.vmap(lambda x, y: _dense(x, y, v), in_dims=(0, None)), in_dims=(None, 0))(batch, batch)
        self.assertTrue(torch.equal(twice[2, 1], _dense(batch[1], batch[2], v)))
        self.assertEqual(torch.vmap(lambda x: _dense(x, k, v))(batch[:, :, :, :0]).shape, (3, 2, 2, 0, 64))

    def test_negative_bit(self):
        @self.each()
        def _(form, place):
            tensors = [self.q, self.k, self.v]
            expected = form(*(-x if i == place else x for i, x in enumerate(tensors)))
            tensors[place] = torch._neg_view(tensors[place])
            self.assertTrue(torch.equal(form(*tensors), expected))

    def test_imaginary_part_of_a_conjugate(self):
        x = torch.complex(self.q, self.k).conj().imag
        self.assertTrue(x.is_neg())
        # Its stride of 2 is none of a GPU's; a CPU copies.
        self.assertTrue(torch.equal(_dense(self.q, x, self.v), _dense(self.q, -self.k, self.v)))

    def test_zeros_without_memory(self):
        zeros = torch._efficientzerotensor(self.q.shape)
        @self.each()
        def _(form, place):
            tensors, expected = [self.q, self.k, self.v], [self.q, self.k, self.v]
            tensors[place], expected[place] = zeros, torch.zeros_like(self.q)
            self.assertTrue(torch.equal(form(*tensors), form(*expected)))

    def test_layouts_are_refused(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # nested and sparse tensors are in beta
            others = ((self.q.to_sparse(), "layout torch.sparse_coo; .*to_dense"),
                      (self.q.to_mkldnn(), "layout torch._mkldnn; .*to_dense"),
                      (torch.nested.nested_tensor([self.q[0], self.q[0]]), "nested tensor; .*cu_seqlens"),
                      (torch.nested.nested_tensor([self.q[0], self.q[0]], layout=torch.jagged), "nested tensor"))
        @self.each()
        def _(form, place):
            for other, part in others:
                tensors = [self.q, self.k, self.v]
                tensors[place] = other
                with self.assertRaisesRegex(errors.ArgumentTypeError, f"^[qkvx] (has|is a) {part}"):
                    form(*tensors)
        with self.assertRaisesRegex(errors.ArgumentTypeError, "values has layout torch.sparse_coo"):
            sfa.Codes(self.q.to_sparse(), self.q.to(torch.uint8), 64)

    def test_memory_that_is_gone(self):
        @self.each()
        def _(form, place):
            tensors = [self.q, self.k, self.v]
            tensors[place] = torch.randn(1, 2, 40, 64)
            tensors[place].untyped_storage().resize_(0)
            with self.assertRaisesRegex(errors.ArgumentValueError, "[qkvx] has no memory"):
                form(*tensors)

    def test_subclasses_are_seen(self):
        class Counting(torch.Tensor):
            seen = []

            @classmethod
            def __torch_function__(cls, function, types, arguments=(), keywords=None):
                cls.seen.append(function)
                return super().__torch_function__(function, types, arguments, keywords)

        for place in range(3):
            tensors = [self.q, self.k, self.v]
            tensors[place] = tensors[place].as_subclass(Counting)
            Counting.seen.clear()
            _dense(*tensors)
            self.assertIn(torch.ops.sfa.attention.default, Counting.seen)


if __name__ == "__main__":
    unittest.main()

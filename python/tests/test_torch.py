"""torch tensors on the CPU, the operators and torch.compile; skipped without torch."""

import unittest

try:
    import torch
except ImportError as error:
    raise unittest.SkipTest(f"no torch: {error}")

import sfa


def _problem(dtype=torch.float32, n=50):
    generator = torch.Generator().manual_seed(1)
    return tuple(torch.randn(2, heads, n, 64, generator=generator).to(dtype) for heads in (4, 2, 2))


def _reference(q, k, v):
    """Ordinary causal attention in f32."""
    k, v = (x.float().repeat_interleave(q.shape[1] // k.shape[1], 1) for x in (k, v))
    return torch.nn.functional.scaled_dot_product_attention(q.float(), k, v, is_causal=True)


class TensorTest(unittest.TestCase):
    def test_dtypes(self):
        for dtype, tolerance in ((torch.float32, 1e-5), (torch.float16, 2e-3), (torch.bfloat16, 2e-2)):
            q, k, v = _problem(dtype)
            out, lse = sfa.attention(q, k, v, causal=True, return_lse=True)
            self.assertEqual((out.dtype, lse.dtype), (dtype, torch.float32))
            torch.testing.assert_close(out.float(), _reference(q, k, v), rtol=tolerance, atol=tolerance)
            q, k = sfa.sparsify(q, 8), sfa.sparsify(k, 8)
            expected = _reference(q.dense(), k.dense(), v)
            torch.testing.assert_close(sfa.attention(q, k, v, causal=True).float(), expected,
                                       rtol=tolerance, atol=tolerance)

    def test_codes(self):
        q, _, _ = _problem(torch.bfloat16)
        codes = sfa.sparsify(q, 8)
        kept = q.abs().float().topk(8).values.min(-1, keepdim=True).values
        self.assertTrue((codes.values.abs().float().min(-1, keepdim=True).values == kept).all())
        self.assertEqual(codes.indices.dtype, torch.uint8)
        sparse, dense = sfa.sparsify(q, 32, two_four=True, return_dense=True)
        self.assertTrue(sparse.two_four)
        self.assertEqual((dense.dtype, dense.shape), (q.dtype, q.shape))
        self.assertTrue(torch.equal(dense, sparse.dense()))
        self.assertTrue((sparse.dense().unflatten(-1, (16, 4)).count_nonzero(-1) == 2).all())
        self.assertEqual(repr(codes), "Codes(2x4x50x64, k=8, dtype=torch.bfloat16, device=cpu)")
        with self.assertRaisesRegex(ValueError, "below 64"):
            sfa.Codes(codes.values, codes.indices + 64, 64)

    def test_strides(self):
        q, k, v = (x.transpose(1, 2).contiguous().transpose(1, 2) for x in _problem())
        self.assertFalse(q.is_contiguous())
        self.assertTrue(torch.equal(sfa.attention(q, k, v),
                                    sfa.attention(*(x.contiguous() for x in (q, k, v)))))

    def test_sequences(self):
        for dtype, tolerance in ((torch.float32, 1e-5), (torch.bfloat16, 2e-2)):
            q, k, v = (x[:1] for x in _problem(dtype))
            offsets = torch.tensor([0, 0, 17, 50], dtype=torch.int32)
            expected = torch.cat([_reference(*(x[:, :, begin:end] for x in (q, k, v)))
                                  for begin, end in zip(offsets.tolist(), offsets.tolist()[1:])], 2)
            for cu_seqlens in (offsets, (offsets, offsets.repeat_interleave(2)[::2])):
                out = sfa.attention(q, k, v, causal=True, cu_seqlens=cu_seqlens)
                torch.testing.assert_close(out.float(), expected, rtol=tolerance, atol=tolerance)

    def test_errors(self):
        q, k, v = _problem()
        one, offsets = [x[:1] for x in (q, k, v)], torch.tensor([0, 50], dtype=torch.int32)
        for kind, part, call in (
                (TypeError, "float64", lambda: sfa.attention(q.double(), k.double(), v.double())),
                (TypeError, "ndarray beside", lambda: sfa.attention(q, k.numpy(), v)),
                (ValueError, "meta", lambda: sfa.sparsify(q.to("meta"), 8)),
                (TypeError, "int64", lambda: sfa.attention(*one, cu_seqlens=offsets.long())),
                (TypeError, "ndarray beside", lambda: sfa.attention(*one, cu_seqlens=offsets.numpy())),
                (ValueError, "meta", lambda: sfa.attention(*one, cu_seqlens=offsets.to("meta"))),
                (ValueError, "from 0 to 51", lambda: sfa.attention(
                    *one, cu_seqlens=offsets + torch.tensor([0, 1], dtype=torch.int32))),
                (TypeError, "topk is \\[3\\]", lambda: sfa.attention(q, k, v, topk=[3])),
                (TypeError, "topk is \\[3\\]",
                 lambda: sfa.attention(q.clone().requires_grad_(), k, v, topk=[3]))):
            with self.subTest(part=part), self.assertRaisesRegex(kind, part):
                call()


class OperatorTest(unittest.TestCase):
    def test_operators_are_what_torch_expects(self):
        q, k, v = _problem()
        codes = sfa.sparsify(q, 8)
        small, keys = (sfa.sparsify(x, 8, values="int8", scales=scales) for x, scales in ((q, "token"), (k, "tile")))
        no_options = (None, False, None, None, None, True, None, None, None)
        for name, arguments in (
                ("sparsify", (q, 8)), ("sparsify", (q, 8, True)), ("sparsify_and_densify", (q, 8)),
                ("sparsify_and_quantize", (q, 8, "tile")), ("sparsify_and_quantize", (q, 8, "token", True)),
                ("quantize", (codes.values, codes.indices, 64, "head")),
                ("densify", (codes.values, codes.indices, 64)),
                ("densify", (small.values, small.indices, 64, small.scales, "token", torch.float16)),
                ("attention", (small.values, small.indices, 64, keys.values, keys.indices, 64, v, *no_options, small.scales,
                               "token", keys.scales, "tile")),
                ("attention", (q, None, None, k, None, None, v, 8, *no_options[1:], None, None, None, None, "head")),
                ("attention", (q, None, None, k, None, None, v, 8, True, None, None, None, True)),
                ("attention", (codes.values, codes.indices, 64, k, None, None, v)),
                ("attention", (q[:1], None, None, k[:1], None, None, v[:1], 8, True, None, None, None,
                               True, None, *2 * [torch.tensor([0, 20, 50], dtype=torch.int32)]))):
            with self.subTest(name=name):
                torch.library.opcheck(getattr(torch.ops.sfa, name).default, arguments)

    def test_forward_only(self):
        q, k, v = _problem()
        out = sfa.attention(q.requires_grad_(), k, v, topk=8)
        with self.assertRaisesRegex(RuntimeError, "forward only"):
            out.sum().backward()
        with torch.no_grad():
            self.assertFalse(sfa.attention(q, k, v, topk=8).requires_grad)

    def test_scales_with_a_gradient(self):
        q, _, v = _problem()
        codes = sfa.sparsify(v, 8, values="int8")
        scales = codes.scales.clone().requires_grad_()
        learned = sfa.Codes(codes.values, codes.indices, 64, scales, "tile", torch.float32)
        for call in (learned.dense, lambda: sfa.attention(learned, codes, v), lambda: sfa.attention(codes, learned, v)):
            out = call()
            with self.assertRaisesRegex(RuntimeError, "forward only"):
                out.sum().backward()
            with torch.no_grad():
                self.assertFalse(call().requires_grad)

    def test_granularities_that_operators_refuse(self):
        q, k, v = _problem()
        codes = sfa.sparsify(q, 8)
        for call in (lambda: torch.ops.sfa.sparsify_and_quantize(q, 8, "row"),
                     lambda: torch.ops.sfa.quantize(codes.values, codes.indices, 64, "row"),
                     lambda: torch.ops.sfa.attention(q, None, None, k, None, None, v, 8, topk_granularity="row")):
            with self.assertRaisesRegex(ValueError, "granularity is 'row'"):
                call()

    def test_operators_with_and_without_a_gradient(self):
        q, k, v = _problem()
        attention = torch.ops.sfa.attention.default

        def call(q):
            return attention(q, None, None, k, None, None, v, 8)

        out, sums = call(q)
        recorded, recorded_sums = call(q.clone().requires_grad_())
        self.assertTrue(torch.equal(out, recorded))
        self.assertEqual((sums.shape, sums.dtype), (recorded_sums.shape, recorded_sums.dtype))
        with self.assertRaisesRegex(RuntimeError, "forward only"):
            recorded.sum().backward()
        # The empty result that calls without a gradient share is none that torch has recorded.
        for result in call(q):
            self.assertFalse(result.requires_grad)
        from torch.utils._python_dispatch import TorchDispatchMode

        class Recorder(TorchDispatchMode):
            seen = []

            def __torch_dispatch__(self, function, types, args=(), kwargs=None):
                self.seen.append(function)
                return function(*args, **(kwargs or {}))

        with Recorder() as recorder:
            call(q)
        self.assertIn(attention, recorder.seen)

    def test_shapes_without_data(self):
        from torch._subclasses.fake_tensor import FakeTensorMode
        with FakeTensorMode():
            q, k, v = (torch.empty(2, heads, 9, 64) for heads in (4, 2, 2))
            out, lse = sfa.attention(q, k, v, topk=8, return_lse=True)
            self.assertEqual((out.shape, lse.shape), ((2, 4, 9, 64), (2, 4, 9)))
            self.assertEqual(sfa.sparsify(q, 8).indices.shape, (2, 4, 9, 8))
            self.assertEqual(sfa.sparsify(q, 8, two_four=True).indices.shape, (2, 4, 9, 8))
            codes, dense = sfa.sparsify(q, 8, return_dense=True)
            self.assertEqual((codes.values.shape, dense.shape), ((2, 4, 9, 8), (2, 4, 9, 64)))
            for scales, count in (("tile", 1), ("token", 9), ("head", 1)):
                for small in (sfa.sparsify(q, 8, values="int8", scales=scales), sfa.quantize(codes, scales)):
                    self.assertEqual((small.values.shape, small.values.dtype), ((2, 4, 9, 8), torch.int8))
                    self.assertEqual((small.scales.shape, small.scales.dtype), ((2, 4, count), torch.float32))
                    self.assertEqual((small.dense().shape, small.dense().dtype), ((2, 4, 9, 64), torch.float32))
                    self.assertEqual(sfa.attention(small, small, q.to(torch.float32)).dtype, torch.float32)
            for return_dense in (False, True):
                with self.assertRaisesRegex(ValueError, "k = 33 of d = 64"):
                    sfa.sparsify(q, 33, two_four=True, return_dense=return_dense)

    def test_compile_of_sequences(self):
        def block(q, k, v, offsets):
            return sfa.attention(q + 1, k, v, causal=True, cu_seqlens=offsets) * 3

        compiled = torch.compile(block, backend="aot_eager", fullgraph=True)
        for lengths in ([0, 50], [0, 3, 50]):
            arguments = *(x[:1] for x in _problem()), torch.tensor(lengths, dtype=torch.int32)
            self.assertTrue(torch.equal(compiled(*arguments), block(*arguments)))

    def test_compile_of_integers(self):
        def block(q, k, v, codes):
            small = sfa.quantize(codes, "token")
            keys = sfa.sparsify(k * 2, 8, values="int8")
            inside = sfa.attention(q + 1, k, v, topk=8, causal=True, values="int8", scales="head")
            return sfa.attention(small, keys, v, causal=True) * 3, inside, keys.dense(), small[:1].scales, keys.to(torch.float16)

        compiled = torch.compile(block, backend="aot_eager", fullgraph=True)
        for n in (150, 31, 32):
            q, k, v = _problem(n=n)
            arguments = q, k, v, sfa.sparsify(q, 8)
            *tensors, codes = compiled(*arguments)
            *expected, other = block(*arguments)
            for one, two in zip((*tensors, codes.values, codes.scales), (*expected, other.values, other.scales)):
                self.assertTrue(torch.equal(one, two))
            self.assertEqual((codes.dtype, codes.granularity), (torch.float16, "tile"))

    def test_compile(self):
        def block(q, k, v):
            codes, dense = sfa.sparsify(k * 2, 8, return_dense=True)
            return sfa.attention(q + 1, codes, v, topk=8, causal=True, window=(20, 0)) * 3, codes, dense

        # Traced, not compiled further: that needs a C++ compiler.
        compiled = torch.compile(block, backend="aot_eager", fullgraph=True)
        for n in (50, 31, 32):
            arguments = _problem(n=n)
            expected, _, expected_dense = block(*arguments)
            out, codes, dense = compiled(*arguments)
            self.assertTrue(torch.equal(out, expected))
            self.assertTrue(torch.equal(dense, expected_dense))
            self.assertEqual(codes.k, 8)


if __name__ == "__main__":
    unittest.main()

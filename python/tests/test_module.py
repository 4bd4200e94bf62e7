"""The text of modules, and how those of the package import each other; needs no library."""

import ast
import graphlib
import pathlib
import unittest

import sfa
from sfa import _module, errors


class ModuleTest(unittest.TestCase):
    def test_sparsify(self):
        self.assertEqual(
            _module.sparsify(4, 128, "bf16", 8),
            "func.func @sparsify(%x: tensor<?x4x?x128xbf16>) -> (tensor<?x4x?x128xbf16, #sfa.codes<k = 8>>) {\n"
            "  %codes = sfa.sparsify %x : tensor<?x4x?x128xbf16> -> tensor<?x4x?x128xbf16, #sfa.codes<k = 8>>\n"
            "  return %codes : tensor<?x4x?x128xbf16, #sfa.codes<k = 8>>\n"
            "}\n")
        self.assertIn(
            "  %codes, %dense = sfa.sparsify %x : tensor<?x4x?x128xbf16> -> "
            "tensor<?x4x?x128xbf16, #sfa.codes<k = 8, two_four>>, tensor<?x4x?x128xbf16>\n",
            _module.sparsify(4, 128, "bf16", 8, two_four=True, return_dense=True))

    def test_attention(self):
        text = _module.attention(q_heads=4, kv_heads=2, d=64, dv=128, dtype="f16", k_k=8, q_topk=8,
                                 mask="causal", scale=0.5, schedule="softmax = lazy", lse=True)
        self.assertEqual(
            text,
            "func.func @attention(%q: tensor<?x4x?x64xf16>, %k: tensor<?x2x?x64xf16, #sfa.codes<k = 8>>, "
            "%v: tensor<?x2x?x128xf16>) -> (tensor<?x4x?x128xf16>, tensor<?x4x?xf32>) {\n"
            "  %qs = sfa.sparsify %q : tensor<?x4x?x64xf16> -> tensor<?x4x?x64xf16, #sfa.codes<k = 8>>\n"
            "  %o, %lse = sfa.attention %qs, %k, %v mask <causal> scale 5.00000000000000000e-01 "
            "schedule <softmax = lazy>\n"
            "    : tensor<?x4x?x64xf16, #sfa.codes<k = 8>>, tensor<?x2x?x64xf16, #sfa.codes<k = 8>>, "
            "tensor<?x2x?x128xf16> -> tensor<?x4x?x128xf16>, tensor<?x4x?xf32>\n"
            "  return %o, %lse : tensor<?x4x?x128xf16>, tensor<?x4x?xf32>\n"
            "}\n")

    def test_integers(self):
        codes = "tensor<?x4x?x128xbf16, #sfa.codes<k = 8, two_four>>"
        integers = "tensor<?x4x?x128xbf16, #sfa.codes<k = 8, two_four, values = i8, scales = head>>"
        self.assertEqual(
            _module.sparsify(4, 128, "bf16", 8, two_four=True, granularity="head"),
            f"func.func @sparsify(%x: tensor<?x4x?x128xbf16>) -> {integers} {{\n"
            f"  %codes = sfa.sparsify %x : tensor<?x4x?x128xbf16> -> {codes}\n"
            f"  %integers = sfa.quantize %codes : {codes} -> {integers}\n"
            f"  return %integers : {integers}\n"
            "}\n")
        self.assertIn("(%codes: tensor<?x4x?x64xf16, #sfa.codes<k = 8>>) -> tensor<?x4x?x64xf16, #sfa.codes<k = 8, values = i8, "
                      "scales = token>> {\n", _module.quantize(4, 64, "f16", 8, "token"))
        self.assertIn("sfa.densify %codes : tensor<?x4x?x64xf16, #sfa.codes<k = 8, values = i8, scales = tile>>\n",
                      _module.densify(4, 64, "f16", 8, "tile"))
        text = _module.attention(q_heads=4, kv_heads=2, d=64, dv=64, dtype="f16", k_k=8, k_granularity="tile", q_topk=8,
                                 topk_granularity="head")
        self.assertIn(
            "  %qs = sfa.sparsify %q : tensor<?x4x?x64xf16> -> tensor<?x4x?x64xf16, #sfa.codes<k = 8>>\n"
            "  %qi = sfa.quantize %qs : tensor<?x4x?x64xf16, #sfa.codes<k = 8>> -> "
            "tensor<?x4x?x64xf16, #sfa.codes<k = 8, values = i8, scales = token>>\n"
            "  %o = sfa.attention %qi, %k, %v\n"
            "    : tensor<?x4x?x64xf16, #sfa.codes<k = 8, values = i8, scales = token>>, "
            "tensor<?x2x?x64xf16, #sfa.codes<k = 8, values = i8, scales = tile>>, tensor<?x2x?x64xf16> -> ", text)
        both = _module.attention(q_heads=4, kv_heads=2, d=64, dv=64, dtype="f16", q_topk=8, k_topk=8, topk_granularity="head")
        self.assertIn("%ki = sfa.quantize %ks : tensor<?x2x?x64xf16, #sfa.codes<k = 8>> -> "
                      "tensor<?x2x?x64xf16, #sfa.codes<k = 8, values = i8, scales = head>>", both)

    def test_sequences(self):
        text = _module.attention(q_heads=4, kv_heads=2, d=64, dv=64, dtype="f16", lse=True, sequences=True)
        self.assertEqual(
            text,
            "func.func @attention(%q: tensor<1x4x?x64xf16>, %k: tensor<1x2x?x64xf16>, "
            "%v: tensor<1x2x?x64xf16>, %cu_q: tensor<?xi32>, %cu_k: tensor<?xi32>) "
            "-> (tensor<1x4x?x64xf16>, tensor<1x4x?xf32>) {\n"
            "  %o, %lse = sfa.attention %q, %k, %v sequences(%cu_q, %cu_k : tensor<?xi32>, tensor<?xi32>)\n"
            "    : tensor<1x4x?x64xf16>, tensor<1x2x?x64xf16>, tensor<1x2x?x64xf16> "
            "-> tensor<1x4x?x64xf16>, tensor<1x4x?xf32>\n"
            "  return %o, %lse : tensor<1x4x?x64xf16>, tensor<1x4x?xf32>\n"
            "}\n")

    def test_masks(self):
        for causal, window, text in ((False, None, None), (True, None, "causal"),
                                     (False, (None, None), None), (True, (None, 7), "causal"),
                                     (False, (3, 0), "window, left = 3, right = 0"),
                                     (True, (3, 9), "window, left = 3, right = 0"),
                                     (False, (None, 2), "window, right = 2"),
                                     (False, (2, None), "window, left = 2")):
            self.assertEqual(_module.mask_text(causal, window), text)

    def test_a_schedule_is_nothing_but_a_schedule(self):
        for text in ("strategy = dense> : x", "a\nb", "x {y}"):
            with self.assertRaisesRegex(errors.ArgumentValueError, "schedule is"):
                _module.attention(q_heads=1, kv_heads=1, d=4, dv=4, dtype="f32", schedule=text)

    def test_scales_keep_their_bits(self):
        for scale in (0.1, -1e-30, 1.0, 3e8):
            self.assertEqual(float(_module.scale_text(scale)), scale)


class ImportsTest(unittest.TestCase):
    def test_no_circle(self):
        """Nor one by an import inside of a function. `_arrays` finds the implementations by their names."""
        folder, graph = pathlib.Path(sfa.__file__).parent, {"_arrays": {"_torch", "_numpy"}}
        for file in folder.glob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.ImportFrom) and node.level == 1:
                    names = [node.module] if node.module else [alias.name for alias in node.names]
                    graph.setdefault(file.stem, set()).update(name for name in names if (folder / f"{name}.py").is_file())
        self.assertIn("codes", graph["api"])
        graphlib.TopologicalSorter(graph).prepare()


if __name__ == "__main__":
    unittest.main()

"""`python -m sfa.bench --device cpu` on tiny sizes; skipped without torch."""

import contextlib
import io
import json
import pathlib
import tempfile
import unittest
from unittest import mock

try:
    import torch
except ImportError as error:
    raise unittest.SkipTest(f"no torch: {error}")

import sfa
from sfa.bench import __main__ as bench

SMALL = ["--device", "cpu", "--n", "48", "--d", "16", "--heads-total", "32", "--k", "4", "--repeats", "2", "--causal"]


def _run(*arguments):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        status = bench.main([*SMALL, *arguments])
    return status, out.getvalue()


class CpuBenchTest(unittest.TestCase):
    def test_all_are_measured_and_right(self):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder, "out.json")
            status, text = _run("--dtype", "f16", "--json", str(file))
            record, = json.loads(file.read_text())["results"]
        self.assertEqual(status, 0, text)
        self.assertIn("2 heads, 48 tokens, d = dv = 16, f16, causal, codes of 4", text)
        self.assertEqual(len(record["rows"]), 8)
        for row in record["rows"]:
            with self.subTest(name=row["name"]):
                self.assertGreater(row["ms"], 0)
                self.assertLess(row["error"], 2e-3)
                self.assertEqual(len(row["samples"]), 2)
        self.assertEqual(record["rows"][-1]["sdpa"], 1)

    def test_integers(self):
        for scales in ("tile", "token", "head"):
            with self.subTest(scales=scales), tempfile.TemporaryDirectory() as folder:
                file = pathlib.Path(folder, "out.json")
                status, text = _run("--n", "150", "--values", "int8", "--scales", scales, "--json", str(file))
                record, = json.loads(file.read_text())["results"]
                self.assertEqual(status, 0, text)
                self.assertIn("of int8", text)
                self.assertEqual((record["values"], record["scales"], len(record["rows"])), ("int8", scales, 10))
                for row in record["rows"]:
                    self.assertLess(row["error"], 1e-5)
                    if "int8" in row["name"]:
                        # Of 8 bits at most some tenths of a percent are lost, but not nothing.
                        self.assertGreater(row["quantization"], 5e-4)
                        self.assertLess(row["quantization"], 2e-2)
                    else:
                        self.assertIsNone(row["quantization"])
                self.assertEqual(len({row["quantization"] for row in record["rows"] if row["name"].endswith("as chosen")}), 2)

    def test_a_wrong_result_is_no_figure(self):
        right = sfa.attention

        def wrong(*arguments, **options):
            out = right(*arguments, **options)
            return 1.1 * out if options.get("schedule") == "strategy = gather" else out

        with mock.patch.object(sfa, "attention", wrong):
            status, text = _run()
        self.assertEqual(status, 1)
        self.assertRegex(text, r"sfa codes, gather +n/a \(its result is wrong")
        self.assertIn("1 of 8 could not be measured or are wrong", text)

    def test_arguments(self):
        for part, arguments in (("--op attention and strategies only, not decode", ["--device", "cpu", "--op", "decode"]),
                                ("f32 is for --device cpu", ["--dtype", "f32"]),
                                ("--op attention only, not decode", ["--op", "decode", "--values", "int8"]),
                                ("give --values int8 as well", ["--scales", "head"])):
            with self.subTest(part=part), contextlib.redirect_stderr(io.StringIO()) as text, self.assertRaises(SystemExit):
                bench.parse(arguments)
            self.assertIn(part, text.getvalue())
        self.assertEqual((bench.parse([]).n, bench.parse([]).dtype), ([4096, 16384], "bf16"))
        self.assertEqual(bench.parse(["--values", "int8"]).scales, "tile")


if __name__ == "__main__":
    unittest.main()

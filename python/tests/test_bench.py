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
        for part, arguments in (("--op attention only, not decode", ["--device", "cpu", "--op", "decode"]),
                                ("f32 is for --device cpu", ["--dtype", "f32"])):
            with self.subTest(part=part), contextlib.redirect_stderr(io.StringIO()) as text, self.assertRaises(SystemExit):
                bench.parse(arguments)
            self.assertIn(part, text.getvalue())
        self.assertEqual((bench.parse([]).n, bench.parse([]).dtype), ([4096, 16384], "bf16"))


if __name__ == "__main__":
    unittest.main()

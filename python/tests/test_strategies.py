"""`python -m sfa.bench --op strategies`: its data, rows and arguments on tiny sizes, and its plots; skipped without torch."""

import contextlib
import functools
import importlib.util
import io
import json
import pathlib
import sys
import tempfile
import unittest
from unittest import mock

try:
    import torch
except ImportError as error:
    raise unittest.SkipTest(f"no torch: {error}")

import sfa
from sfa.bench import __main__ as bench, peers, plots, strategies, supports, timing

SMALL = ["--op", "strategies", "--device", "cpu", "--n", "48", "--d", "16", "--heads-total", "32", "--k", "4", "--repeats", "2"]
SCRIPTS = pathlib.Path(__file__).resolve().parents[2] / "scripts"


def setUpModule():
    """Problems are so small that waiting for threads would take most of the time."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    unittest.addModuleCleanup(torch.set_num_threads, threads)


def _run(*arguments):
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        status = bench.main([*SMALL, *arguments])
    return status, out.getvalue()


def _tables(*arguments):
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "out.json")
        status, text = _run("--json", str(file), *arguments)
        document = json.loads(file.read_text())
    return status, text, document


def _rows(table):
    return {row["label"]: row for row in table["rows"]}


def _patched(change):
    """sfa.attention, of whose results `change(out, schedule)` makes others."""
    right = sfa.attention

    def attention(*arguments, schedule=None, **options):
        return change(functools.partial(right, *arguments, **options), schedule)
    return mock.patch.object(sfa, "attention", attention)


class SupportsTest(unittest.TestCase):
    SHAPE = (2, 3, 200, 32)

    def _codes(self, kind, k=4, two_four=False):
        generator = torch.Generator().manual_seed(3)
        return [supports.codes_of_rankings(ranking, k, torch.float32, generator, two_four)
                for ranking in supports.rankings(kind, self.SHAPE, generator)]

    def _counts(self, codes):
        """How many tokens of each head have each feature, and that no value is 0."""
        self.assertTrue((codes.values != 0).all())
        return torch.zeros(*self.SHAPE[:2], self.SHAPE[3]).scatter_add_(2, codes.indices.long().flatten(2), torch.ones(
            codes.indices.flatten(2).shape))

    def test_uniform(self):
        q, k = self._codes("uniform")
        for codes in (q, k):
            self.assertEqual((codes.k, codes.shape, codes.two_four), (4, self.SHAPE, False))
            # 200 of 32 features, 4 each: 25 in the mean, and 4.7 is the standard deviation of each of the 192 counts.
            counts = self._counts(codes)
            self.assertTrue(((counts > 4) & (counts < 46)).all(), counts)
        self.assertFalse(torch.equal(q.indices, k.indices))

    def test_same(self):
        q, k = self._codes("same")
        self.assertEqual(len(torch.unique(q.indices.flatten(0, 2), dim=0)), 1)
        self.assertTrue(torch.equal(q.indices, k.indices))
        self.assertFalse(torch.equal(q.values, k.values))
        self.assertGreater(len(torch.unique(q.values)), 1000)

    def test_one(self):
        q, k = self._codes("one")
        common = [(self._counts(codes) == 200).all(0).all(0) for codes in (q, k)]
        self.assertEqual([int(each.sum()) for each in common], [1, 1])
        self.assertTrue(torch.equal(*common))
        others = self._counts(q)[..., ~common[0]]
        self.assertTrue(((others > 1) & (others < 46)).all(), others)

    def test_two_four(self):
        for kind in supports.SYNTHETIC:
            with self.subTest(kind=kind):
                for codes in self._codes(kind, 8, two_four=True):
                    self.assertTrue(codes.two_four)
                    # Nothing was lost to the rule: 8 values, and at most two of each four features.
                    self.assertTrue((codes.values != 0).all())
                    filled = (codes.dense() != 0).unflatten(-1, (-1, 4)).sum(-1)
                    self.assertEqual((filled.max(), filled.flatten(0, 2).sum(-1).unique().tolist()), (2, [8]))

    def test_scores_are_moderate(self):
        for kind in supports.SYNTHETIC:
            for k in (2, 8):
                with self.subTest(kind=kind, k=k):
                    q, keys = (codes.dense() for codes in self._codes(kind, k))
                    scores = q @ keys.transpose(-1, -2) * 32 ** -0.5
                    common = ((q != 0).float() @ (keys != 0).float().transpose(-1, -2)).mean()
                    self.assertAlmostEqual((scores.square().mean() / common).item(), 1, delta=0.1)
                    self.assertLess(scores.abs().max(), 40)

    def test_real(self):
        import numpy
        with tempfile.TemporaryDirectory() as folder:
            rows = {}
            for layer, name in ((layer, name) for layer in (1, 2) for name in "qkv"):
                rows[layer, name] = numpy.random.default_rng(ord(name) + layer).standard_normal((2, 5, 8)).astype("f2")
                numpy.save(pathlib.Path(folder, f"layer{layer}_{name}.npy"), rows[layer, name])
            q, k, v = supports.real_rows(folder, (2, 3, 12, 8), torch.float32, "cpu")
            for found, name in ((q, "q"), (k, "k"), (v, "v")):
                heads = torch.from_numpy(numpy.concatenate([rows[1, name], rows[2, name]]))
                self.assertEqual(found.shape, (2, 3, 12, 8))
                # Four heads of five tokens, repeated.
                for place, head in enumerate((0, 1, 2, 3, 0, 1)):
                    for token in range(12):
                        self.assertTrue(torch.equal(found.flatten(0, 1)[place, token], heads[head, token % 5].float()))
            wide, narrow = (supports.real_rows(folder, (1, 2, 4, d), torch.float32, "cpu")[0] for d in (12, 6))
            self.assertTrue(torch.equal(narrow, q[:1, :2, :4, :6]))
            # Features beyond a head are those of the next one.
            self.assertTrue(torch.equal(wide, torch.cat([q[:1, :2, :4], q[:1, 1:3, :4, :4]], -1)))
            with self.assertRaisesRegex(ValueError, "has 4 heads of 8 features; 40 features take 5 heads"):
                supports.real_rows(folder, (1, 1, 4, 40), torch.float32, "cpu")
            with self.assertRaisesRegex(FileNotFoundError, r"no file \*_q.npy"):
                supports.real_rows(pathlib.Path(folder, "none"), (1, 1, 4, 8), torch.float32, "cpu")

    def test_no_such_supports(self):
        with self.assertRaisesRegex(ValueError, "no supports 'some'; there are uniform, same, one"):
            supports.rankings("some", self.SHAPE, torch.Generator())


class ReferenceTest(unittest.TestCase):
    def test_rows(self):
        q, k, v = (torch.randn(1, heads, 30, 16) for heads in (4, 2, 2))
        rows = torch.tensor([0, 3, 17, 29])
        for causal in (True, False):
            whole = torch.nn.functional.scaled_dot_product_attention(q.double(), k.double(), v.double(), is_causal=causal,
                                                                     enable_gqa=True)
            found = timing.attention_of_rows(q, k, v, rows, causal)
            torch.testing.assert_close(found, whole[:, :, rows])
            torch.testing.assert_close(timing.last_rows(q, k, v, 5)(causal), whole[:, :, -5:])

    def test_each_row_counts(self):
        expected = torch.ones(1, 1, 4, 8, dtype=torch.float64)
        expected[:, :, 0] *= 1e3
        out = expected.clone()
        out[:, :, 3] *= 1.1
        self.assertAlmostEqual(strategies.error_of_rows(out, expected), 0.05)
        rows = strategies.sampled_rows(100, torch.Generator().manual_seed(1))
        self.assertEqual((len(rows.unique()), rows.max().item()), (32, 99))
        self.assertEqual(strategies.sampled_rows(3, torch.Generator()).tolist(), [0, 1, 2])
        self.assertEqual(strategies.sampled_rows(1, torch.Generator()).tolist(), [0])


class SweepTest(unittest.TestCase):
    def test_all_are_measured_and_right(self):
        status, text, document = _tables("--k", "4", "8", "--data", "uniform", "same", "one")
        self.assertEqual(status, 0, text)
        self.assertIn("0 of 54 rows are wrong or failed; 0 are refused", text)
        self.assertEqual([(table["data"], table["k"]) for table in document["results"]],
                         [(kind, k) for kind in ("uniform", "same", "one") for k in (4, 8)])
        self.assertIn("torch", document["versions"])
        self.assertIn("processor", document["machine"])
        for table in document["results"]:
            rows = _rows(table)
            self.assertEqual(list(rows), [*bench.STRATEGIES, peers.SDPA])
            for name, row in rows.items():
                with self.subTest(data=table["data"], k=table["k"], name=name):
                    self.assertEqual((row["status"], row["remark"]), ("ok", None))
                    self.assertGreater(row["ms"], 0)
                    self.assertLess(row["error"], 1e-5)
                    self.assertEqual(len(row["samples"]), 2)
                    is_prepared = name in ("dense", "int8", "sparse_mma", "sparse_mma-2:4")
                    self.assertEqual(len(row["prepared_samples"]), 2 * is_prepared)
                    self.assertTrue(row["prepared_note"].startswith("without" if is_prepared else "none: "))
            self.assertIn(rows["auto"]["choice"], strategies.CHOICES)
            self.assertEqual(rows["auto"]["name"], f"auto ({rows['auto']['choice']})")

    def test_the_names_are_the_same_everywhere(self):
        self.assertEqual(bench.STRATEGIES, tuple(strategies.STRATEGIES))
        self.assertEqual(bench.DATA, tuple(supports.KINDS))
        self.assertLessEqual(set(strategies.GPU_PEERS), set(peers.PEERS))
        self.assertLessEqual(set(plots.PEERS), set(strategies.GPU_PEERS))

    def test_refused(self):
        """9 features of 16 are more than 2:4 codes have, and a compiler may not have a strategy."""
        def refuse(attend, schedule):
            if schedule == "strategy = scatter":
                raise sfa.errors.CompileError("cannot compile for cuda:0: the compiler failed:\n-:2:8: error: 'sfa_tile.kernel' op "
                                              "has strategy = scatter\n-:2:8: note: more", "module")
            return attend(schedule=schedule)
        with _patched(refuse):
            status, text, document = _tables("--k", "9", "--data", "uniform", "--strategies", "sparse_mma-2:4", "scatter", "gather")
        self.assertEqual(status, 0, text)
        rows = _rows(document["results"][0])
        self.assertEqual([row["status"] for row in rows.values()], ["refused", "refused", "ok", "ok"])
        self.assertEqual(rows["scatter"]["reason"], "'sfa_tile.kernel' op has strategy = scatter")
        self.assertRegex(text, r"scatter +refused: 'sfa_tile.kernel' op has strategy = scatter\n")
        self.assertRegex(text, r"sparse_mma-2:4 +refused: sparsify has two_four with k = 9 of d = 16")
        self.assertIn("0 of 4 rows are wrong or failed; 2 are refused", text)

    def test_wrong(self):
        for factor in (1.1, float("nan")):
            with self.subTest(factor=factor), _patched(
                    lambda attend, schedule: attend(schedule=schedule) * (factor if schedule == "strategy = gather" else 1)):
                status, text, document = _tables("--data", "uniform", "--strategies", "dense", "gather")
                self.assertEqual(status, 1)
                rows = _rows(document["results"][0])
                self.assertEqual([row["status"] for row in rows.values()], ["ok", "WRONG", "ok"])
                self.assertRegex(text, r"gather .* WRONG\n")
                self.assertIn("1 of 3 rows are wrong or failed", text)
                self.assertGreater(rows["gather"]["ms"], 0)

    def test_wrong_where_prepared_only(self):
        """Dense rows are what `dense` has prepared."""
        right = sfa.attention
        with mock.patch.object(sfa, "attention", lambda q, *others, **options: right(q, *others, **options) * (
                1 if isinstance(q, sfa.Codes) else 2)):
            status, text, document = _tables("--data", "uniform", "--strategies", "dense")
        row = _rows(document["results"][0])["dense"]
        self.assertEqual((status, row["status"], row["prepared_status"]), (1, "ok", "WRONG"))
        self.assertRegex(text, r"dense .*prepared: WRONG: error 1.0e\+00\n")

    def test_failed(self):
        def fail(attend, schedule):
            raise RuntimeError("an illegal memory access\nand more")
        with _patched(fail):
            status, text, document = _tables("--data", "uniform", "--strategies", "dense")
        self.assertEqual((status, _rows(document["results"][0])["dense"]["status"]), (1, "failed"))
        self.assertRegex(text, r"dense +failed: an illegal memory access\n")

    def test_a_problem_that_cannot_be_made(self):
        with mock.patch.object(supports, "rankings", side_effect=MemoryError("no memory left")):
            status, text = _run("--data", "uniform")
        self.assertEqual(status, 1)
        self.assertIn("  failed: no memory left\n", text)

    def test_a_missing_peer_says_why_once(self):
        def missing(q, k, v, causal):
            raise RuntimeError("cannot import some_peer")
        with mock.patch.dict(peers.CPU_PEERS, {"peer": missing}):
            status, text = _run("--data", "uniform", "same", "--strategies", "dense")
        self.assertEqual(status, 0, text)
        self.assertEqual((text.count("cannot import some_peer"), text.count("n/a (as above)")), (1, 1))

    def test_what_a_gpu_prints(self):
        """Without one: its tensors are on the CPU, whose times are taken, and the kernels are the CPU's."""
        generator, measure = torch.Generator, timing.measure
        with (mock.patch.object(torch.cuda, "is_available", return_value=True),
              mock.patch.object(torch.cuda, "get_device_name", return_value="a GPU"),
              mock.patch.object(torch.cuda, "get_device_capability", return_value=(9, 0)),
              mock.patch.object(torch, "Generator", lambda device=None: generator("cpu")),
              mock.patch.object(strategies, "measure", lambda who, repeats, on_cpu: measure(who, repeats, on_cpu=True)),
              mock.patch.dict(peers.PEERS, {"FA3": peers.CPU_PEERS[peers.SDPA]})):
            status, text, document = _tables("--device", "cuda", "--d", "64", "--heads-total", "128", "--data", "uniform", "same",
                                             "--dtype", "bf16", "--strategies", "dense", "auto", "--chip", "sm_90a", "sm_80")
        self.assertEqual(status, 0, text)
        self.assertIn("a GPU, torch", text)
        self.assertRegex(text, "ms +prepared +x cuDNN +x FA3 +x best peer +error\n")
        rows = _rows(document["results"][0])
        self.assertEqual(list(rows), ["dense, sm_90a", "auto, sm_90a", "dense, sm_80", "auto, sm_80", *strategies.GPU_PEERS])
        self.assertEqual((rows["FA3"]["fa3"], rows["FA3"]["status"], rows["FA4"]["status"]), (1, "ok", "n/a"))
        self.assertEqual(rows["auto, sm_90a"]["name"], "auto, sm_90a (dense)")
        for name in list(rows)[:4]:
            self.assertEqual(rows[name]["status"], "ok")
            self.assertAlmostEqual(rows[name]["fa3"], rows["FA3"]["ms"] / rows[name]["ms"])
        # Why a peer is not there is said for the first problem only.
        self.assertEqual(text.count("cannot import flash_attn.cute"), 1)

    def test_real(self):
        import numpy
        with tempfile.TemporaryDirectory() as folder:
            for name in "qkv":
                numpy.save(pathlib.Path(folder, f"layer1_{name}.npy"), torch.randn(2, 32, 16).half().numpy())
            status, text, document = _tables("--real", folder)
        self.assertEqual((status, [table["data"] for table in document["results"]]), (0, list(bench.DATA)), text)


class ArgumentsTest(unittest.TestCase):
    def test_defaults(self):
        options = bench.parse(["--op", "strategies"])
        self.assertEqual((options.k, options.d, options.n, options.causal, options.heads_total, options.data, options.strategies),
                         ([2, 4, 8, 16, 32], [64, 128, 256], [16384], [True], 2048, ["uniform", "same", "one"],
                          list(bench.STRATEGIES)))
        self.assertEqual((bench.parse([]).k, bench.parse(["--k", "4"]).k), (8, 4))
        self.assertEqual(bench.parse(["--op", "strategies", "--no-causal", "--k", "3"]).causal, [False])

    def test_errors(self):
        for part, arguments in (("takes one --k, given are 4 8; --op strategies takes several", ["--k", "4", "8"]),
                                ("--k has to be at least 1", ["--op", "strategies", "--k", "4", "0"]),
                                ("--data is for --op strategies, not attention", ["--data", "same"]),
                                ("--plots is for --op strategies, not decode", ["--op", "decode", "--plots", "out"]),
                                ("--data real needs --real", ["--op", "strategies", "--data", "real"]),
                                ("there is no folder /nowhere", ["--op", "strategies", "--real", "/nowhere"]),
                                ("--from is for drawing: give --plots DIR", ["--from", "a.json"]),
                                ("invalid choice: 'many'", ["--op", "strategies", "--data", "many"]),
                                ("invalid choice: 'sparse'", ["--op", "strategies", "--strategies", "sparse"])):
            with self.subTest(part=part), contextlib.redirect_stderr(io.StringIO()) as text, self.assertRaises(SystemExit):
                bench.parse(arguments)
            self.assertIn(part, text.getvalue())


def _synthetic():
    """What `--json` writes, of made-up times: `scatter` takes k ms, twice that on the same features, and is refused for 32."""
    results = []
    for d, data, k in ((d, data, k) for d in (64, 128) for data in ("uniform", "same") for k in (2, 8, 32)):
        about = {"dense": (1.0, "ok"), "scatter": (k * (2.0 if data == "same" else 1.0), "ok"), "gather": (9.0, "WRONG")}
        if k == 32:
            about["scatter"] = None, "refused"
        cudnn = 2.0 + k / 100
        rows = [dict(name=name, label=name, group="sfa", strategy=name, chip="sm_90a", ms=ms, status=status,
                     ratios={plots.PEERS[0]: cudnn / ms} if ms else {}) for name, (ms, status) in about.items()]
        rows += [dict(name=name, label=name, group="peer", strategy=None, chip=None, ms=ms, status=status, ratios={})
                 for name, ms, status in ((plots.PEERS[0], cudnn, "ok"), ("FA3", None, "n/a"))]
        results.append(dict(op="strategies", device="cuda", data=data, k=k, batch=1, heads=2048 // d, n=16384, d=d, causal=True,
                            dtype="bf16", rows=rows, failure=None))
    return dict(machine={}, versions={}, results=results)


class PlotsTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.file = self.folder / "figures.json"
        self.file.write_text(json.dumps(_synthetic()))

    def _main(self, *arguments):
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            status = bench.main([*arguments])
        return status, out.getvalue()

    def test_curves(self):
        tables = plots.read([self.file])
        self.assertEqual(tables, _synthetic()["results"])
        uniform = [table for table in tables if table["d"] == 64 and table["data"] == "uniform"]
        # Neither what is refused nor what is wrong is a point.
        self.assertEqual(plots.times(uniform), ({"dense": {2: 1, 8: 1, 32: 1}, "scatter": {2: 2, 8: 8}}, {plots.PEERS[0]: 2.08}))
        self.assertEqual(plots.ratios(uniform, plots.PEERS[0])["scatter"], {2: 1.01, 8: 0.26})
        self.assertEqual(plots.ratios(uniform, "FA3"), {})
        both = [table for table in tables if table["d"] == 64]
        self.assertEqual(plots.times_by_data(both, "scatter"), {"uniform": {2: 2, 8: 8}, "same": {2: 4, 8: 16}})

    def test_figures(self):
        try:
            import matplotlib  # noqa: F401
        except ImportError as error:
            self.skipTest(f"no matplotlib: {error}")
        status, text = self._main("--from", str(self.file), "--plots", str(self.folder / "plots"))
        self.assertEqual(status, 0, text)
        end = "cuda-b1-n16384-causal-bf16.png"
        self.assertEqual({file.name for file in (self.folder / "plots").iterdir()},
                         {f"{name}-{end}" for name in ("time-uniform", "time-same", "ratio-uniform", "ratio-same", "data")})
        for file in (self.folder / "plots").iterdir():
            self.assertEqual(file.read_bytes()[:8], b"\x89PNG\r\n\x1a\n")
            self.assertGreater(file.stat().st_size, 10000)

    def test_what_was_measured_can_be_drawn(self):
        try:
            import matplotlib  # noqa: F401
        except ImportError as error:
            self.skipTest(f"no matplotlib: {error}")
        status, text = _run("--data", "uniform", "--plots", str(self.folder / "own"))
        self.assertEqual(status, 0, text)
        self.assertEqual(len(list((self.folder / "own").iterdir())), 3)

    def test_without_matplotlib(self):
        with mock.patch.dict(sys.modules, {"matplotlib": None}):
            status, text = self._main("--from", str(self.file), "--plots", str(self.folder / "plots"))
        self.assertEqual(status, 1)
        self.assertIn("plots need matplotlib", text)
        self.assertIn("pip install 'flashsfa[bench]'", text)

    def test_files_that_cannot_be_drawn(self):
        for text, part in (("{}", "has no tables of strategies"), ("[1]", "has no tables of strategies"), ("no", "Expecting value"),
                           (json.dumps(dict(results=[dict(op="decode")])), "it has to come from --op strategies --json FILE")):
            self.file.write_text(text)
            status, found = self._main("--from", str(self.file), "--plots", str(self.folder / "plots"))
            self.assertEqual(status, 1)
            self.assertIn(part, found)
        status, found = self._main("--from", "/nowhere.json", "--plots", str(self.folder / "plots"))
        self.assertEqual(status, 1)
        self.assertIn("/nowhere.json", found)


class GateTest(unittest.TestCase):
    """The part `strategies` of scripts/gpu-bench.py."""

    def setUp(self):
        with mock.patch.object(sys, "path", [str(SCRIPTS), *sys.path]):
            spec = importlib.util.spec_from_file_location("gate", SCRIPTS / "gpu-bench.py")
            self.module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(self.module)

    def _checks(self, changes):
        rows = [dict(name=name, strategy=name, ms=ms, status="ok", reason=None, remark=None, error=1e-3, prepared_status=None,
                     cudnn=2.0 / ms) for name, ms in (
                         ("dense", 1.0), ("sparse_mma", 1.2), ("int8", 0.1), ("scatter", 3.0), ("auto", 1.02))]
        for row in rows:
            row.update(changes.get(row["name"], {}))
        gate = self.module.Gate()
        gate.begin("strategies")
        with contextlib.redirect_stdout(io.StringIO()):
            gate.compare_strategies("d=64", rows, 1.5)
        return [(check["name"], check["result"]) for check in gate.checks]

    def test_checks(self):
        both = ("d=64, auto / cuDNN", "d=64, auto / best")
        self.assertEqual(self._checks({}), list(zip(both, ("pass", "pass"))))
        self.assertEqual(self._checks({"dense": dict(ms=0.9)}), list(zip(both, ("pass", "FAIL"))))
        self.assertEqual(self._checks({"auto": dict(cudnn=1.4)}), list(zip(both, ("FAIL", "pass"))))
        self.assertEqual(self._checks({"auto": dict(cudnn=None)}), list(zip(both, ("skipped", "pass"))))
        # What is wrong is not the fastest.
        wrong = {"sparse_mma": dict(ms=0.1, status="WRONG", remark="WRONG", error=0.1)}
        self.assertEqual(self._checks(wrong), [("d=64, sparse_mma", "FAIL"), *zip(both, ("pass", "pass"))])
        refused = {"scatter": dict(ms=None, status="refused", reason="only dense is there")}
        self.assertEqual(self._checks(refused), [("d=64, scatter", "skipped"), *zip(both, ("pass", "pass"))])
        self.assertEqual(self._checks({"auto": dict(ms=None, status="refused", reason="none")}), [("d=64, auto", "FAIL")])

    def test_arguments(self):
        """Those that the gate gives the sweep are right."""
        options = bench.parse(["--op", "strategies", "--d", "64", "--k", str(self.module.STRATEGIES_K), "--data", "same"])
        self.assertEqual((options.n, options.d, options.k, options.data), ([16384], [64], [8], ["same"]))


if __name__ == "__main__":
    unittest.main()

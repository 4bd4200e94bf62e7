"""sfa.explain, sfa.record and sfa.tune, on this CPU and on a driver without a GPU."""

import contextlib
import dataclasses
import io
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from unittest import mock

import numpy

import sfa
from sfa import _library, _numpy, _recorded, _tuning, errors

try:
    import torch
except ImportError:
    torch = None

LIBRARY = _library.path().resolve()
FAKE_DRIVER = LIBRARY.parent.parent / "test/unittests/Runtime/libsfa_fake_driver.so"


def _problem(heads=(4, 2), n_q=33, n_k=33, d=40, dv=24, batch=1, dtype=numpy.float32):
    return (numpy.ones((batch, heads[0], n_q, d), dtype), numpy.ones((batch, heads[1], n_k, d), dtype),
            numpy.ones((batch, heads[1], n_k, dv), dtype))


def _described(problem):
    """The key of a problem as the compiler describes it (lib/Schedule/ProblemKey.cpp)."""
    def bucket(size):
        return 1 << (size - 1).bit_length()
    text = f"{problem['dtype']} {problem['form']}"
    if problem["k"]:
        text += f" k={problem['k']}"
    text += f" d={problem['d']} dv={problem['dv']} {problem['mask']}"
    if problem["mask"] == "window":
        text += f"<={bucket(problem['left'] + problem['right'] + 1)}"
    if problem["lse"]:
        text += " lse"
    if problem["query_heads"] != problem["key_heads"]:
        text += f" group={problem['query_heads'] // problem['key_heads']}"
    return (f"{text} queries<={bucket(problem['queries'])} keys<={bucket(problem['keys'])} "
            f"batch*heads<={bucket(problem['batch'] * problem['query_heads'])}")


def _run(code, **environment):
    """The output of a program of its own, without torch, which takes seconds to load, unless it names that."""
    if "torch" not in code:
        code = "import sys; sys.modules['torch'] = None\n" + code
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, **environment}, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, cwd=pathlib.Path(__file__).parent)
    if done.returncode:
        raise AssertionError(f"status {done.returncode}: {done.stderr}")
    return done.stdout


CALLS = (dict(), dict(causal=True), dict(topk=4), dict(topk=8, causal=True, return_lse=True), dict(window=(9, 4), topk=3),
         dict(window=(5, 7), causal=True), dict(topk=4, values="int8"), dict(topk=4, values="int8", scales="token"),
         dict(topk=4, values="int8", scales="head"), dict(window=(None, 0)), dict(window=(-1, None)), dict(scale=0.5),
         dict(scale=0.0, topk=100), dict(topk=40, schedule="strategy = dense"), dict(topk=40, schedule="strategy = gather"),
         dict(topk=40, values="int8"), dict(schedule="softmax = lazy"))


class ExplainTest(unittest.TestCase):
    def test_a_problem_that_nobody_has_measured(self):
        choice = sfa.explain(*_problem(), topk=4, causal=True)
        self.assertIsInstance(choice, sfa.Explanation)
        self.assertEqual(choice.ground, "estimated")
        self.assertIn("strategy = ", choice.schedule)
        self.assertIn("cost model's choice for f32 codes k=4 d=40 dv=24 causal group=2 queries<=64", choice.reason)
        self.assertEqual(str(choice), f'The schedule is "{choice.schedule}" (estimated): {choice.reason}.')
        with self.assertRaises(dataclasses.FrozenInstanceError):
            choice.ground = "measured"

    def test_a_schedule_that_is_given_stays(self):
        choice = sfa.explain(*_problem(), schedule="softmax = lazy, k_tile = 96")
        self.assertIn("softmax = lazy", choice.schedule)
        self.assertIn("k_tile = 96", choice.schedule)

    def test_nothing_is_compiled_or_run(self):
        plans = dict(_numpy._plans.plans)
        with (mock.patch.object(_library, "jit_cpu_function", side_effect=AssertionError),
              mock.patch.object(_numpy, "allocate", side_effect=AssertionError)):
            sfa.explain(*_problem(d=56))
        self.assertEqual(_numpy._plans.plans, plans)

    def test_all_kinds_of_operands(self):
        q, k, v = _problem()
        codes = [sfa.sparsify(x, 4) for x in (q, k)]
        integers = [sfa.sparsify(x, 4, values="int8", scales="head") for x in (q, k)]
        offsets = numpy.array([0, 10, 33], numpy.int32)
        for part, operands, options in (
                ("codes k=4", codes, dict()), ("int8 head k=4", integers, dict()), ("f32 dense", (q, codes[1]), dict()),
                ("int8 head k=4", (q, integers[1]), dict(topk=4, values="int8")), ("f16 dense", None, dict()),
                ("sequences", (q, k), dict(cu_seqlens=offsets)), ("sequences", codes, dict(cu_seqlens=(offsets, offsets)))):
            with self.subTest(part=part):
                arrays = (*operands, v) if operands else _problem(dtype=numpy.float16)
                self.assertIn(part, sfa.explain(*arrays, **options).reason)

    def test_foreign_arrays(self):
        class Foreign:
            def __init__(self, array):
                self.array = array
                self.__dlpack__, self.__dlpack_device__ = array.__dlpack__, array.__dlpack_device__

        self.assertEqual(sfa.explain(*map(Foreign, _problem())), sfa.explain(*_problem()))

    @unittest.skipIf(torch is None, "no torch")
    def test_torch(self):
        tensors = [torch.from_numpy(x) for x in _problem()]
        for options in CALLS:
            with self.subTest(options=options):
                expected = sfa.explain(*_problem(), **options)
                self.assertEqual(sfa.explain(*tensors, **options), expected)
                self.assertEqual(sfa.explain(*(x.clone().requires_grad_() for x in tensors), **options), expected)
        codes = sfa.sparsify(tensors[1], 4)
        self.assertIn("codes k=4", sfa.explain(sfa.sparsify(tensors[0], 4), codes, tensors[2]).reason)

    def test_errors_are_those_of_attention(self):
        q, k, v = _problem()
        for operands, options in (
                ((q[0], k, v), {}), ((q, k, v[:, :, :5]), {}), ((q.astype(float), k, v), {}), (([1], k, v), {}),
                ((q, k, v), dict(topk=0)), ((q, k, v), dict(window=3)), ((q, k, v), dict(scale="x")),
                ((q, k, v), dict(values="int8")), ((q, k, v), dict(scales="tile")), ((q, k, v), dict(schedule=3)),
                ((q, k, v), dict(schedule="strategy = best")), ((q, k, v), dict(cu_seqlens=[0, 33])),
                ((q, sfa.sparsify(k, 4), v), dict(topk=4, values="int8", scales="tile"))):
            with self.subTest(options=options):
                with self.assertRaises(sfa.Error) as expected:
                    sfa.attention(*operands, **options)
                with self.assertRaises(type(expected.exception)) as found:
                    sfa.explain(*operands, **options)
                if "compile" not in str(expected.exception):
                    self.assertEqual(str(found.exception), str(expected.exception))

    def test_databases(self):
        """A process reads those of SFA_TUNING_DATABASE once; the first one counts before the second one."""
        with tempfile.TemporaryDirectory() as folder:
            code = "import numpy, sfa\nq = numpy.ones((1, 3, {n}, 40), 'f4')\nprint(sfa.explain(q, q, q))"
            name = _run(code.format(n=1000)).partition("not measured on ")[2].partition(" (cpu)")[0]
            threads = os.cpu_count()
            for number, milliseconds in ((1, 0.5), (2, 0.125)):
                pathlib.Path(folder, f"{number}.json").write_text(json.dumps(_database(name, threads, milliseconds)))
            paths = [str(pathlib.Path(folder, f"{number}.json")) for number in (1, 2)]
            cores = _cores(paths[0], code.format(n=1000), threads)
            if cores is None:
                self.skipTest(f"no number of cores up to {threads} is that of this CPU")
            for path in paths:
                document = json.loads(pathlib.Path(path).read_text())
                document["entries"][0]["device"]["multiprocessors"] = cores
                pathlib.Path(path).write_text(json.dumps(document))
            for n, given, ground, part in (
                    (1000, paths, "measured", "0.5000 ms"), (1000, paths[::-1], "measured", "0.1250 ms"),
                    (1000, ["", paths[1]], "measured", "0.1250 ms"), (2000, paths, "nearby", "factors of two away"),
                    (50000, paths, "estimated", "not measured")):
                with self.subTest(n=n, given=given):
                    text = _run(code.format(n=n), SFA_TUNING_DATABASE=":".join(given))
                    self.assertIn(f"({ground})", text)
                    self.assertIn(part, text)
                    if ground != "estimated":
                        self.assertIn("k_tile = 48", text)
            code = ("import numpy, sfa\nq = numpy.ones((1, 1, 8, 40), 'f4')\n"
                    "try: sfa.explain(q, q, q)\nexcept sfa.Error as error: print(error)")
            for path, part in (("/nowhere/database.json", "cannot read /nowhere/database.json"), (__file__, "no tuning database")):
                text = _run(code, SFA_TUNING_DATABASE=path)
                self.assertIn("SFA_TUNING_DATABASE", text)
                self.assertIn(part, text)
            self.assertIn("SFA_SCHEDULE is 'best'", _run(code, SFA_SCHEDULE="best"))


def _database(name, cores, milliseconds):
    """One entry for 1000 tokens of 3 heads with 40 features."""
    def measured(time, **more):
        return dict(schedule=dict(strategy="dense", softmax="lazy", q_tile=64, **more), ms=[time, time, time])
    key = dict(operation="attention", dtype="f32", form="dense", mask="none", data="any", d=40, dv=40, k=0, window=0, group=1,
               queries=1024, keys=1024, batch_heads=4, lse=False, sequences=False)
    entry = dict(key=key, device=dict(chip="cpu", name=name, multiprocessors=cores, watts=0),
                 measured=dict(batch=1, query_heads=3, queries=1000, keys=1000), winner=measured(milliseconds, k_tile=48),
                 model=measured(2 * milliseconds, k_tile=64), others=[], ties=0, compiler="FlashSFA", driver="", date="2026-11-27",
                 clock_mhz=0, throttle=0)
    return dict(format="sfa-tuning-database", version=1, entries=[entry])


def _cores(path, code, most):
    """The number of cores by which the compiler knows this CPU."""
    document = json.loads(pathlib.Path(path).read_text())
    entry, = document["entries"]
    document["entries"] = [dict(entry, device=dict(entry["device"], multiprocessors=cores),
                                winner=dict(entry["winner"], ms=[float(cores)])) for cores in range(1, most + 1)]
    file = pathlib.Path(path).with_name("cores.json")
    file.write_text(json.dumps(document))
    text = _run(code, SFA_TUNING_DATABASE=str(file))
    return int(float(text.partition("(measured): ")[2].partition(" ms")[0])) if "(measured)" in text else None


class RecordTest(unittest.TestCase):
    def test_problems_are_those_of_the_compiler(self):
        for options in CALLS:
            with self.subTest(options=options), sfa.record() as problems:
                sfa.attention(*_problem(), **options)
                reason = sfa.explain(*_problem(), **options).reason
            if options.get("window") == (-1, None):
                options = {}
            self.assertEqual(len(problems), 1, problems.left_out)
            self.assertEqual(reason.partition("choice for ")[2], _described(problems[0]))
        self.assertEqual(problems.devices, ("cpu",))

    def test_each_different_problem_once(self):
        arrays, others = _problem(), _problem(n_k=34)
        sfa.attention(*arrays, topk=4)
        with sfa.record() as problems:
            for _ in range(3):
                sfa.attention(*arrays, topk=4)
                sfa.attention(*arrays, topk=4, scale=2.0)
                sfa.attention(*others, causal=True)
            sfa.sparsify(arrays[0], 4)
            with self.assertRaises(sfa.Error):
                sfa.attention(*arrays, schedule="strategy = best")
        sfa.attention(*_problem(n_k=35))
        common = dict(batch=1, query_heads=4, key_heads=2, queries=33, d=40, dv=24, dtype="f32", lse=False)
        self.assertEqual(list(problems), [dict(common, keys=33, form="codes", k=4, mask="none"),
                                          dict(common, keys=34, form="dense", k=0, mask="causal")])
        self.assertEqual(problems[:1], [problems[0]])
        self.assertEqual(problems.left_out, ())

    def test_what_is_not_tuned(self):
        q, k, v = _problem()
        with sfa.record() as problems:
            sfa.attention(q, k, v, cu_seqlens=numpy.array([0, 10, 33], numpy.int32))
            sfa.attention(q, k, v, window=(3, None))
            sfa.attention(q, k, v, window=(None, 3), causal=False)
            sfa.attention(q[:, :, :0], k, v)
        self.assertEqual(len(problems), 0)
        self.assertEqual(len(problems.left_out), 3)
        for part, text in zip(("cu_seqlens", "one side", "queries is 0"), problems.left_out):
            self.assertIn(part, text)

    def test_blocks_within_blocks_and_threads(self):
        arrays = _problem()
        before = _numpy._plans
        with sfa.record() as outer:
            sfa.attention(*arrays)
            with sfa.record() as inner:
                sfa.attention(*arrays)
                thread = threading.Thread(target=sfa.attention, args=_problem(n_q=9))
                thread.start()
                thread.join()
            self.assertEqual(_recorded.recorders, (outer,))
            sfa.attention(*arrays, causal=True)
        self.assertEqual([len(outer), len(inner)], [3, 2])
        self.assertIs(_numpy._plans, before)
        with self.assertRaises(KeyError), sfa.record():
            raise KeyError
        self.assertEqual(_recorded.recorders, ())
        # Blocks of two threads that overlap.
        first, second = sfa.record(), sfa.record()
        one, two = first.__enter__(), second.__enter__()
        first.__exit__(None, None, None)
        sfa.attention(*arrays, topk=5)
        second.__exit__(None, None, None)
        self.assertEqual([len(one), len(two)], [0, 1])
        self.assertIs(_numpy._plans, before)

    def test_outside_of_a_block_plans_are_found(self):
        arrays = _problem()
        sfa.attention(*arrays)
        with sfa.record():
            sfa.attention(*arrays)
        with mock.patch.object(_library, "jit_cpu_function", side_effect=AssertionError):
            sfa.attention(*arrays)

    @unittest.skipIf(torch is None, "no torch")
    def test_torch(self):
        tensors = [torch.from_numpy(x) for x in _problem()]
        sfa.attention(*tensors, topk=4)
        with sfa.record() as problems:
            sfa.attention(*tensors, topk=4)
            sfa.attention(*_problem(), topk=4)
            torch.ops.sfa.attention(tensors[0], None, None, tensors[1], None, None, tensors[2], 5)
        self.assertEqual([problem["k"] for problem in problems], [4, 5])

    def test_files(self):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder, "cases.json")
            with sfa.record() as problems:
                for options in CALLS:
                    sfa.attention(*_problem(), **options)
            problems.save(file)
            self.assertEqual(json.loads(file.read_text()), list(problems))
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                status = _dry_run(self, file)
        self.assertEqual(status, 0, out.getvalue())
        self.assertIn("f32 int8 token k=4 d=40 dv=24 none b=1 h=4/2 n=33", out.getvalue())
        self.assertIn("f32 codes k=3 d=40 dv=24 window 9+4 b=1 h=4/2 n=33", out.getvalue())
        self.assertEqual(out.getvalue().count("cost model's choice"), len(problems))


@unittest.skipUnless(FAKE_DRIVER.is_file(), f"there is no {FAKE_DRIVER}")
class DriverTest(unittest.TestCase):
    """A driver without a GPU takes programs as one with a GPU does. Nobody has measured rows of 72 features."""

    CODE = """
import json, sys
import sfa
from sfa import _operations, _tuning
from sfa._plan import View

def call(make, n_q, n_k, dtype="bf16", codes=None, sequences=False, topk=None, causal=False, window=None, lse=False, kind=None):
    views = [View((2, heads, n, 72), None, dtype, 0) for heads, n in ((8, n_q), (2, n_k), (2, n_k))]
    operands = [_operations.Operand(name, view) for name, view in zip("qk", views)]
    if codes is not None:
        operands = [_operations.Operand(name, *[View((*view.shape[:3], codes), None, t, 0) for t in (dtype, "u8")], 72)
                    for name, view in zip("qk", views)]
    return make(*operands, views[2], None, topk, causal, window, None, lse, None, kind)

def calls(make):
    call(make, 100, 100); call(make, 100, 300, "f16", topk=8, causal=True); call(make, 1, 5000, codes=6, lse=True)
    call(make, 64, 64, window=(7, 3)); call(make, 64, 64, window=(7, 3), causal=True); call(make, 9, 9, window=(None, 0))
    call(make, 64, 64, window=(7, None)); call(make, 64, 0)
    for kind in ("tile", "token", "head"):
        call(make, 64, 64, topk=8, kind=kind)
"""

    def test_records_of_the_library(self):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder, "problems.json")
            text = _run(self.CODE + "with sfa.record() as problems: calls(_operations.attention_plan)\n"
                        "print(json.dumps([list(problems), problems.devices, problems.left_out]))",
                        SFA_CUDA_DRIVER=str(FAKE_DRIVER), SFA_CACHE_DIR=folder, SFA_RECORD_PROBLEMS=str(file))
            problems, devices, left_out = json.loads(text)
            self.assertEqual(problems, [json.loads(line) for line in file.read_text().splitlines()])
        self.assertEqual(set(devices), {"cuda:0"})
        self.assertEqual((len(problems), len(left_out)), (9, 2))

    def test_explanations(self):
        text = _run(self.CODE + "call(lambda *a: print(_tuning.explain_request(_operations.attention_request(*a))), 64, 64)\n"
                    "call(lambda *a: print(_tuning.explain_request(_operations.attention_request(*a), 'sm_80')), 64, 64)",
                    SFA_CUDA_DRIVER=str(FAKE_DRIVER))
        self.assertIn("bf16 dense d=72 dv=72 none group=4 queries<=64 keys<=64 batch*heads<=16", text)
        self.assertIn("NVIDIA A100-SXM4-80GB (sm_80)", text)

    @unittest.skipIf(torch is None, "no torch")
    def test_tensors(self):
        text = _run("""
import sfa, torch
from torch._subclasses.fake_tensor import FakeTensorMode
with FakeTensorMode():
    q = torch.empty(1, 16, 4096, 72, dtype=torch.bfloat16, device="cuda:0")
    codes = sfa.sparsify(q, 8)
    print(sfa.explain(q, q, q, topk=8, causal=True), sfa.explain(codes, codes, q), sep="\\n")
""", SFA_CUDA_DRIVER=str(FAKE_DRIVER))
        for line, mask in zip(text.splitlines(), ("causal", "none")):
            self.assertIn(f"bf16 codes k=8 d=72 dv=72 {mask} queries<=4096 keys<=4096 batch*heads<=16", line)

    def test_no_device(self):
        text = _run(self.CODE + "try: call(lambda *a: _tuning.explain_request(_operations.attention_request(*a)), 64, 64)\n"
                    "except sfa.errors.DeviceError as error: print(error)", SFA_CUDA_DRIVER="/nowhere/libcuda.so")
        self.assertIn("cannot choose schedules for cuda:0", text)


def _dry_run(test, *files):
    try:
        return _tuning.run_tuner(["--dry-run", "--target", "cpu", *[f"--cases={file}" for file in files]])
    except errors.LibraryError as error:
        test.skipTest(str(error))


TUNER = """#!{python}
import json, sys
print("arguments", json.dumps(sys.argv[1:]))
print("cases", open(sys.argv[sys.argv.index("--cases") + 1]).read())
print("to stderr", file=sys.stderr)
sys.exit({status})
"""


class TuneTest(unittest.TestCase):
    """On a program that says what it is given."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.database = self.folder / "database.json"
        self._tuner(0)
        patch = mock.patch.object(_tuning, "find_tuner", return_value=[str(self.folder / "sfa-tune")])
        patch.start()
        self.addCleanup(patch.stop)

    def _tuner(self, status):
        file = self.folder / "sfa-tune"
        file.write_text(TUNER.format(python=sys.executable, status=status))
        file.chmod(0o755)

    def _tune(self, what, **options):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            path = sfa.tune(what, database=self.database, **options)
        self.assertEqual(path, self.database)
        lines = dict(line.split(" ", 1) for line in out.getvalue().splitlines() if line.startswith(("arguments", "cases")))
        self.assertIn("to stderr", out.getvalue())
        return json.loads(lines["arguments"]), json.loads(lines["cases"]), out.getvalue()

    def test_a_function(self):
        arguments, cases, text = self._tune(lambda: sfa.attention(*_problem(), topk=4), budget="2min")
        self.assertEqual(arguments[:2] + arguments[4:],
                         ["--database", str(self.database), "--target", "cpu", "--budget", "2min"])
        self.assertEqual([case["form"] for case in cases], ["codes"])
        self.assertIn(f"SFA_TUNING_DATABASE={self.database}", text)

    def test_problems(self):
        with sfa.record() as problems:
            sfa.attention(*_problem())
        for what in (problems, list(problems), tuple(problems)):
            self.assertEqual(self._tune(what, target="cpu", budget=1.5)[1], list(problems))
        self.assertEqual(self._tune(list(problems))[0][4:], ["--target", "cuda"])
        self.assertEqual(self._tune(list(problems), target="cuda:3")[0][4:], ["--target", "cuda", "--device", "3"])
        with mock.patch.dict(os.environ, {"SFA_TUNING_DATABASE": f"/other:{self.database}"}):
            self.assertNotIn("They count", self._tune(problems)[2])

    def test_problems_of_several_devices(self):
        problems, call = sfa.Problems(), dict(
            batch=1, query_heads=1, key_heads=1, queries=1, dv=16, d=16, dtype="bf16", query_codes=None, key_codes=None,
            key_granularity=None, left=None, right=None, lse=False, sequences=False)
        for keys, device in ((1, "cpu"), (2, "cuda:0"), (3, "cuda:1")):
            problems._add(dict(call, keys=keys), device)
        for target, keys in (("cpu", [1]), ("cuda", [2, 3]), ("cuda:1", [3])):
            self.assertEqual([case["keys"] for case in self._tune(problems, target=target)[1]], keys)
        with self.assertRaisesRegex(ValueError, "on cpu and cuda:0 and cuda:1; say with target"):
            self._tune(problems)
        with self.assertRaisesRegex(ValueError, "no problem on cuda:7 .* 3 on cpu, cuda:0, cuda:1"):
            self._tune(problems, target="cuda:7")

    def test_errors(self):
        one = [dict(queries=1)]
        for kind, part, what, options in (
                (ValueError, "budget is '2 days'.*10min", one, dict(budget="2 days")), (ValueError, "positive", one, dict(budget=0)),
                (ValueError, "budget is -1", one, dict(budget=-1)), (TypeError, "budget is True", one, dict(budget=True)),
                (ValueError, "target is 'tpu'.*cuda", one, dict(target="tpu")), (ValueError, "'cpu:1'", one, dict(target="cpu:1")),
                (ValueError, "'cuda:x'", one, dict(target="cuda:x")), (ValueError, "target is 3", one, dict(target=3)),
                (TypeError, "what is a str", "cases.json", {}), (TypeError, "what is a int", 3, {}),
                (TypeError, "what is a dict", one[0], {}), (ValueError, "at least 1", [], {}),
                (ValueError, "no problem on cuda .* 0 on any device; a window that is", lambda: sfa.attention(
                    *_problem(), window=(3, None)), {})):
            with self.subTest(part=part), self.assertRaisesRegex(kind, part) as caught:
                self._tune(what, **options)
            self.assertIsInstance(caught.exception, sfa.Error)
        self._tuner(1)
        with self.assertRaisesRegex(errors.RunError, "status 1"):
            self._tune(one)


class FindTunerTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name).resolve()
        (self.folder / "lib").mkdir()
        self.library = self.folder / "lib" / "libsfa.so"
        for patch in (mock.patch.object(_library, "path", lambda: self.library),
                      mock.patch.object(_library, "load", lambda: mock.Mock(spec=["sfa_free"]))):
            patch.start()
            self.addCleanup(patch.stop)

    def _program(self, folder):
        file = self.folder / folder / "sfa-tune"
        file.parent.mkdir(exist_ok=True)
        file.write_text("#!/bin/sh\n")
        file.chmod(0o755)
        return str(file)

    def test_order(self):
        with mock.patch.dict(os.environ, {"PATH": str(self.folder / "path")}):
            with self.assertRaisesRegex(errors.LibraryError, "there is no sfa-tune: .*neither .*bin/sfa-tune nor in PATH; it comes"):
                _tuning.find_tuner()
            in_path = self._program("path")
            self.assertEqual(_tuning.find_tuner(), [in_path])
            with mock.patch.object(_library, "load", lambda: mock.Mock(spec=["sfa_tool_main"])):
                self.assertEqual(_tuning.find_tuner()[-2:], [str(self.library), "tune"])
                beside = self._program("bin")
                self.assertEqual(_tuning.find_tuner(), [beside])

    def test_the_one_inside_of_the_library(self):
        compiler = shutil.which("cc") or shutil.which("clang") or shutil.which("clang-22")
        if compiler is None:
            self.skipTest("no C compiler")
        source = self.folder / "tool.c"
        source.write_text('#include <stdio.h>\nint sfa_tool_main(const char *name, int argc, char **argv) {\n'
                          '  printf("%s", name);\n  for (int i = 0; i < argc; ++i)\n    printf(" %s", argv[i]);\n'
                          '  puts(argv[argc] ? "!" : ".");\n  return 3;\n}\n')
        subprocess.run([compiler, "-shared", "-fPIC", "-o", str(self.library), str(source)], check=True)
        out = io.StringIO()
        with (mock.patch.object(_library, "load", lambda: mock.Mock(spec=["sfa_tool_main"])), contextlib.redirect_stdout(out)):
            status = _tuning.run_tuner(["show", "a b.json"])
        self.assertEqual((status, out.getvalue()), (3, "tune sfa-tune show a b.json.\n"))


class ProgramTest(unittest.TestCase):
    """python -m sfa.tune, and the real tuner for a second."""

    def test_arguments_are_passed_on(self):
        try:
            _tuning.find_tuner()
        except errors.LibraryError as error:
            self.skipTest(str(error))
        done = subprocess.run([sys.executable, "-m", "sfa.tune", "--target", "tpu"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("tpu", done.stderr)
        self.assertNotIn("Warning", done.stderr)

    def test_a_database_is_found_again(self):
        try:
            _tuning.find_tuner()
        except errors.LibraryError as error:
            self.skipTest(str(error))
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
            started = time.monotonic()
            path = sfa.tune(lambda: sfa.attention(*_problem(heads=(2, 1), d=8, dv=8)), database=pathlib.Path(folder, "cpu.json"),
                            budget=60)
            self.assertLess(time.monotonic() - started, 120)
            entry, = json.loads(path.read_text())["entries"]
            self.assertEqual((entry["key"]["d"], entry["key"]["group"], entry["device"]["chip"]), (8, 2, "cpu"))
            text = _run("import numpy, sfa\nq = numpy.ones((1, 2, 33, 8), 'f4')\nprint(sfa.explain(q, q[:, 1:], q[:, 1:]))",
                        SFA_TUNING_DATABASE=str(path))
        self.assertIn("(measured)", text)

    def test_importing_the_program_leaves_the_function(self):
        self.assertEqual(_run("import sfa, sfa.tune\nfrom sfa import tune\nprint(sfa.tune.__name__, tune is sfa.tune)").strip(),
                         "tune True")

    def test_no_library(self):
        done = subprocess.run([sys.executable, "-m", "sfa.tune", "show"], stderr=subprocess.PIPE, text=True,
                              env={**os.environ, "SFA_LIBRARY": "/nowhere/libsfa.so"})
        self.assertEqual(done.returncode, 1)
        self.assertIn("sfa.tune: there is no /nowhere/libsfa.so", done.stderr)


if __name__ == "__main__":
    unittest.main()

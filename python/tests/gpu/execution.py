"""Large tensors, races, streams, graphs, torch.compile, errors, compute-sanitizer."""

import gc
import itertools
import os
import shutil
import subprocess
import sys
import threading
import unittest.mock

import torch

import sfa
from correctness import _problem, judge
from harness import Failure, Judge, group, normal, poisoned, require, same_bits
from oracle import keep, topk

SCHEDULES = ("softmax = online", "softmax = lazy", "softmax = online, splits = 5")


#===--- Large ----------------------------------------------------------------------------------===#

@group("large", shared=False)
def large(run):
    for schedule in SCHEDULES:
        run.case(f"1,048,576 tokens, causal, {schedule}", _check_million, schedule)
    free, _ = torch.cuda.mem_get_info()
    if free < 30 * 2**30:
        run.note(f"large: {free / 2**30:.0f} GiB are free; tensors of 2^31 elements need 30: skipped")
        return
    run.case("queries of more than 2^31 elements", _check_many_queries)
    run.case("keys and values of more than 2^31 elements", _check_many_keys)
    run.case("sparsify and densify of more than 2^31 elements", _check_many_rows)
    torch.cuda.empty_cache()


def _check_rows(rows, out, lse, q, k, v, causal):
    """Some rows against fp64, under the bound of dense attention in the dtype."""
    judged = Judge()
    for row in rows:
        # The last query of the keys that the row sees: the same mask, aligned at the bottom right.
        seen = row + 1 + k.shape[2] - q.shape[2] if causal else k.shape[2]
        judged.add(out[:, :, row:row + 1], lse[:, :, row:row + 1], q[:, :, row:row + 1],
                   k[:, :, :seen], v[:, :, :seen])
    judged.verdict()


def _check_million(schedule):
    n = 2**20
    q, k, v = (normal(1, 1, n, 64, dtype=torch.bfloat16, seed=seed) for seed in range(3))
    with poisoned():
        out, lse = sfa.attention(q, k, v, topk=8, causal=True, schedule=schedule, return_lse=True)
    require(bool(out.isfinite().all()), "the output has values that are not finite")
    rows = [0, 1, 127, 128, n // 2, n - 2, n - 1] + torch.randint(n, (40,)).tolist()
    _check_rows(rows, out, lse, keep(q, 8), keep(k, 8), v, True)


def _check_many_queries():
    n = 2**24 + 100
    q = normal(1, 1, n, 128, dtype=torch.bfloat16, seed=1)
    k, v = (normal(1, 1, 200, 128, dtype=torch.bfloat16, seed=seed) for seed in (2, 3))
    out, lse = sfa.attention(q, k, v, return_lse=True)
    _check_rows([0, n // 2, *range(n - 130, n, 3)], out, lse, q, k, v, False)


def _check_many_keys():
    n = 2**24 + 100
    q = normal(1, 1, 17, 128, dtype=torch.bfloat16, seed=1)
    k, v = (normal(1, 1, n, 128, dtype=torch.bfloat16, seed=seed) for seed in (2, 3))
    # The last queries see the last keys only: a wrong offset is another result.
    out, lse = sfa.attention(q, k, v, window=(50, 0), return_lse=True)
    judged = Judge()
    judged.add(out, lse, q, k[:, :, -80:], v[:, :, -80:], left=50, right=0)
    judged.verdict()


def _check_many_rows():
    n = 2**24 + 100
    x = normal(1, 1, n, 128, dtype=torch.bfloat16, seed=1)
    codes = sfa.sparsify(x, 8)
    dense = sfa.densify(codes)
    for first in (0, n // 2, n - 200):
        rows = slice(first, first + 200)
        require(torch.equal(codes.indices[:, :, rows].long(), topk(x[:, :, rows], 8)),
                f"the features of the rows from {first} are wrong")
        require(torch.equal(dense[:, :, rows], keep(x[:, :, rows], 8)),
                f"the dense rows from {first} are wrong")


#===--- Races and streams ----------------------------------------------------------------------===#

@group("races")
def races(run):
    configurations = [
        (dtype, d, dv, dict(schedule=schedule, **mask))
        for schedule, (d, dv), dtype, mask in itertools.product(
            SCHEDULES, ((64, 64), (128, 128), (256, 256), (128, 64)),
            (torch.bfloat16, torch.float16),
            (dict(), dict(causal=True), dict(window=(300, 50))))]
    configurations += [
        (torch.bfloat16, d, d, dict(schedule=f"softmax = {softmax}, packed_heads = 2", causal=True))
        for softmax, d in itertools.product(("online", "lazy"), (64, 128, 256))]
    run.compile_ahead([lambda c=c: _attend(_problem(c[0], (8, 4), c[1], c[2], 1, 1, 7), **c[3])
                       for c in configurations])
    for dtype, d, dv, options in configurations:
        run.case(f"50 repeats, d {d} dv {dv} {dtype} {options}", _check_repeats, dtype, d, dv,
                 **options)
    run.case("50 repeats, sparsify and densify, in one pass and in two", _check_codes_repeats)


def _attend(problem, **options):
    return sfa.attention(*problem, topk=8, return_lse=True, **options)


def _check_repeats(dtype, d, dv, **options):
    problem = _problem(dtype, (8, 4), d, dv, 999, 1111, 7)
    first = None
    for number in range(50):
        with poisoned():
            results = _attend(problem, **options)
        first = first or results
        require(all(same_bits(a, b) for a, b in zip(first, results)),
                f"repeat {number} differs from the first")


def _check_codes_repeats():
    x = normal(2, 4, 3000, 128, dtype=torch.float16, seed=1)
    first = sfa.sparsify(x, 8)
    for number in range(50):
        with poisoned():
            codes = sfa.sparsify(x, 8)
            dense = codes.dense()
            again, rows = sfa.sparsify(x, 8, return_dense=True)
        require(all(same_bits(c.values, first.values) and same_bits(c.indices, first.indices)
                    for c in (codes, again)) and same_bits(dense, keep(x, 8)) and same_bits(rows, dense),
                f"repeat {number} differs from the first")


@group("streams", shared=False)
def streams(run):
    for form in (None, 8):
        run.case(f"two streams at once, topk {form}", _check_two_streams, form)
        run.case(f"four threads with a stream each, topk {form}", _check_threads, form)
    run.case("the current stream of torch is used", _check_order)


def _check_two_streams(features):
    problems = [_problem(torch.bfloat16, (8, 8), 128, 128, 1500, 1500, seed) for seed in (1, 2)]
    expected = [sfa.attention(*problem, topk=features, causal=True) for problem in problems]
    both = [torch.cuda.Stream() for _ in problems]
    torch.cuda.synchronize()
    for _ in range(20):
        results = []
        for stream, problem in zip(both, problems):
            with torch.cuda.stream(stream):
                results.append(sfa.attention(*problem, topk=features, causal=True))
        torch.cuda.synchronize()
        require(all(same_bits(a, b) for a, b in zip(expected, results)),
                "a result differs from that of one stream")


def _check_threads(features):
    problems = [_problem(torch.float16, (4, 2), 64, 128, 700, 700, seed) for seed in range(4)]
    expected = [sfa.attention(*problem, topk=features) for problem in problems]
    torch.cuda.synchronize()
    wrong = []

    def work(problem, right):
        try:
            with torch.cuda.stream(torch.cuda.Stream()):
                for _ in range(30):
                    out = sfa.attention(*problem, topk=features)
                    torch.cuda.current_stream().synchronize()
                    if not same_bits(out, right):
                        raise Failure("a result differs from that of one thread")
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=pair) for pair in zip(problems, expected)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if wrong:
        raise wrong[0]


def _check_order():
    """Inputs that a slow kernel of the same stream writes just before, and overwrites just after."""
    q, k, v = _problem(torch.bfloat16, (4, 4), 64, 64, 500, 500, 1)
    expected = sfa.attention(q, k, v)
    late = torch.zeros_like(q)
    torch.cuda.synchronize()
    with torch.cuda.stream(torch.cuda.Stream()):
        torch.cuda._sleep(20_000_000)
        late.copy_(q)
        out = sfa.attention(late, k, v)
        late.zero_()
    torch.cuda.synchronize()
    require(same_bits(out, expected), "the launch did not wait for its stream")


#===--- Graphs and torch.compile ---------------------------------------------------------------===#

@group("graphs", shared=False)
def graphs(run):
    for features, schedule in itertools.product((None, 8), SCHEDULES):
        run.case(f"capture and replay, topk {features}, {schedule}", _check_graph, features, schedule)
    run.case("capture and replay, codes", _check_codes_graph)
    for schedule in SCHEDULES:
        run.case(f"capture and replay, sequences that change their lengths, {schedule}",
                 _check_sequences_graph, schedule)
        run.case(f"scales of one program, {schedule}", _check_scales, schedule)
        run.case(f"a graph keeps its scale, {schedule}", _check_scale_graph, schedule)
    run.case("a graph outlives the plan of its program", _check_graph_after_evictions)


def _replay(function, inputs, changed):
    """Captures a function of tensors; replays it on changed inputs. Both results, and the eager one."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        function(*inputs)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = function(*inputs)
    for values in (*changed, inputs):
        expected = function(*values)
        for tensor, value in zip(inputs, values):
            tensor.copy_(value)
        out.fill_(float("nan"))
        graph.replay()
        torch.cuda.synchronize()
        require(same_bits(out, expected), "a replay differs from a call")


def _check_graph(features, schedule):
    problems = [_problem(torch.bfloat16, (4, 2), 128, 128, 600, 600, seed) for seed in (1, 5, 9)]
    _replay(lambda q, k, v: sfa.attention(q, k, v, topk=features, causal=True, schedule=schedule),
            problems[0], problems[1:])


def _check_codes_graph():
    problems = [_problem(torch.float16, (4, 2), 64, 128, 300, 600, seed) for seed in (1, 5, 9)]
    _replay(lambda q, k, v: sfa.attention(sfa.sparsify(q, 8), sfa.sparsify(k, 8), v),
            problems[0], problems[1:])


def _check_sequences_graph(schedule):
    problems = [[x[:1] for x in _problem(torch.bfloat16, (4, 2), 128, 128, 600, 600, seed)]
                + [torch.tensor(offsets, dtype=torch.int32, device="cuda")]
                for seed, offsets in ((1, [0, 100, 600]), (5, [0, 0, 600]), (9, [0, 511, 600]))]
    _replay(lambda q, k, v, offsets: sfa.attention(q, k, v, topk=8, causal=True, schedule=schedule,
                                                   cu_seqlens=offsets), problems[0], problems[1:])


def _check_scales(schedule):
    q, k, v = _problem(torch.bfloat16, (4, 2), 128, 128, 600, 600, 1)
    table = sfa._plan.PlanTable()
    with sfa._torch.use_plans(table):
        for i, scale in enumerate((0.3, 1 / 3, 128**-0.5, 2.0, 1e-20, 0.011)):
            given = sfa.attention(q, k, v, scale=scale, causal=True, return_lse=True, schedule=schedule)
            require(len(table.plans) == 1, f"{len(table.plans)} plans for {i + 1} scales")
            # The program of the constant.
            with unittest.mock.patch.object(sfa._operations, "split_scale", lambda scale: (scale, None)):
                with sfa._torch.use_plans(sfa._plan.PlanTable()):
                    constant = sfa.attention(q, k, v, scale=scale, causal=True, return_lse=True, schedule=schedule)
            for a, b in zip(given, constant):
                require(same_bits(a, b), f"scale {scale} as an argument differs from the constant")


def _check_scale_graph(schedule):
    problems = [_problem(torch.bfloat16, (4, 2), 128, 128, 600, 600, seed) for seed in (1, 5)]
    _replay(lambda q, k, v: sfa.attention(q, k, v, scale=0.3, schedule=schedule), problems[0], problems[1:])
    inputs, graph = problems[0], torch.cuda.CUDAGraph()
    expected = sfa.attention(*inputs, scale=0.3, schedule=schedule)
    with torch.cuda.graph(graph):
        out = sfa.attention(*inputs, scale=0.3, schedule=schedule)
    require(not same_bits(sfa.attention(*inputs, scale=0.7, schedule=schedule), expected), "the scale has no effect")
    graph.replay()
    torch.cuda.synchronize()
    require(same_bits(out, expected), "a call with another scale has changed what a graph computes")


def _check_graph_after_evictions():
    inputs, graph = _problem(torch.bfloat16, (4, 2), 128, 128, 300, 300, 1), torch.cuda.CUDAGraph()
    table = sfa._plan.PlanTable()
    with unittest.mock.patch.object(sfa._library, "max_programs", lambda: 2), sfa._torch.use_plans(table):
        expected = sfa.attention(*inputs, scale=0.3)
        with torch.cuda.graph(graph):
            out = sfa.attention(*inputs, scale=0.3)
        (key,) = table.plans
        for left in range(8):
            sfa.attention(*inputs, window=(left, 0))
        require(key not in table.plans, "the plan of the graph is still there")
        gc.collect()
        out.fill_(float("nan"))
        graph.replay()
        torch.cuda.synchronize()
        require(same_bits(out, expected), "a replay after evictions differs")
        require(same_bits(sfa.attention(*inputs, scale=0.3), expected), "a call after its eviction differs")


class _Block(torch.nn.Module):
    """Projections around a sparse attention."""

    def __init__(self, heads, d):
        super().__init__()
        self.heads, self.d = heads, d
        self.qkv = torch.nn.Linear(heads * d, 3 * heads * d)
        self.out = torch.nn.Linear(heads * d, heads * d)

    def forward(self, x):
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, self.d)).permute(2, 0, 3, 1, 4)
        attended = sfa.attention(q, sfa.sparsify(k, 8), v, topk=8, causal=True)
        return self.out(attended.transpose(1, 2).flatten(2))


@group("compile", each_chip=False, shared=False)
def compiled(run):
    for mode in ("default", "reduce-overhead"):
        run.case(f"torch.compile, mode {mode}", _check_compile, mode)
    for name in ("sparsify", "sparsify_and_densify", "densify", "attention"):
        run.case(f"opcheck of sfa::{name}", _check_operator, name)
    run.case("backward is refused", _check_backward)


def _check_compile(mode):
    block = _Block(4, 64).to("cuda", torch.bfloat16)
    function = torch.compile(block, mode=mode, fullgraph=True)
    with torch.no_grad():
        for seed in range(3):
            x = normal(2, 200, 256, dtype=torch.bfloat16, seed=seed)
            expected, out = block(x), function(x).clone()
            error = (expected.float() - out.float()).abs().max().item()
            require(error <= 0.02, f"the compiled module is off by {error:.3e}")


def _check_operator(name):
    q, k, v = _problem(torch.bfloat16, (4, 2), 64, 64, 100, 100, 1)
    codes = sfa.sparsify(q, 8)
    arguments = {"sparsify": (q, 8), "sparsify_and_densify": (q, 8),
                 "densify": (codes.values, codes.indices, 64),
                 "attention": (q, None, None, k, None, None, v, 8, True, None, None, None, True)}
    torch.library.opcheck(getattr(torch.ops.sfa, name).default, arguments[name])


def _check_backward():
    q, k, v = _problem(torch.bfloat16, (2, 2), 64, 64, 100, 100, 1)
    out = sfa.attention(q.requires_grad_(), k, v)
    _expect(RuntimeError, "forward only", lambda: out.sum().backward())


#===--- Errors ---------------------------------------------------------------------------------===#

def _expect(kind, part, function):
    try:
        function()
    except kind as error:
        require(part in str(error), f"the message lacks {part!r}: {error}")
    else:
        raise Failure(f"no {kind.__name__}")


@group("errors", each_chip=False, shared=False)
def errors(run):
    q, k, v = _problem(torch.bfloat16, (4, 2), 64, 64, 32, 32, 1)
    offset = torch.zeros(q.numel() + 8, dtype=q.dtype, device="cuda")[1:q.numel() + 1].view(q.shape)
    cases = (
        ("f32", TypeError, "bf16", lambda: sfa.attention(q.float(), k.float(), v.float())),
        ("two dtypes", TypeError, "one dtype", lambda: sfa.attention(q, k.half(), v)),
        ("two devices", ValueError, "one device", lambda: sfa.attention(q, k.cpu(), v)),
        ("rank", ValueError, "4", lambda: sfa.attention(q[0], k, v)),
        ("heads", ValueError, "multiple", lambda: sfa.attention(q[:, :3], k, v)),
        ("100 features", ValueError, "a multiple of 8 from 16 to 256",
         lambda: sfa.sparsify(torch.zeros(1, 1, 4, 100, dtype=q.dtype, device="cuda"), 8)),
        ("8 features", ValueError, "a multiple of 8 from 16 to 256",
         lambda: sfa.sparsify(torch.zeros(1, 1, 4, 8, dtype=q.dtype, device="cuda"), 8)),
        ("264 features of v", ValueError, "a multiple of 8 from 16 to 256",
         lambda: sfa.attention(q, k, torch.zeros(*v.shape[:3], 264, dtype=q.dtype, device="cuda"))),
        ("k above d", ValueError, "1 to 64", lambda: sfa.sparsify(q, 65)),
        ("k of 0", ValueError, "1 to 64", lambda: sfa.sparsify(q, 0)),
        ("last stride", ValueError, "contiguous",
         lambda: sfa.attention(q.repeat(1, 1, 1, 2)[..., ::2], k, v)),
        ("odd row stride", ValueError, "16 bytes",
         lambda: sfa.attention(torch.zeros(2, 4, 32, 65, dtype=q.dtype, device="cuda")[..., :64], k, v)),
        ("alignment", ValueError, "clone", lambda: sfa.attention(offset, k, v)),
        ("window", ValueError, "window", lambda: sfa.attention(q, k, v, window=(2**31, 0))),
        ("schedule", RuntimeError, "strategy",
         lambda: sfa.attention(q, k, v, schedule="strategy = best")),
        *_wrong_offsets(q, k, v),
    )
    for name, kind, part, function in cases:
        run.case(name, _expect, kind, part, function)
    # A refused call leaves the device as it was.
    run.case("a call after all these", lambda: sfa.attention(q, k, v))


def _wrong_offsets(q, k, v):
    one, offsets = [x[:1] for x in (q, k, v)], torch.tensor([0, 8, 32], dtype=torch.int32, device="cuda")
    for name, kind, part, wrong in (
            ("dtype", TypeError, "int64", offsets.long()),
            ("device", ValueError, "one device", offsets.cpu()),
            ("rank", ValueError, "1 dimension", offsets[None]),
            ("one offset", ValueError, "at least 1 sequence", offsets[:1]),
            ("stride", ValueError, "contiguous", offsets.repeat_interleave(2)[::2]),
            ("alignment", ValueError, "clone", offsets[1:]),
            ("number", ValueError, "one more", (offsets, offsets[:2]))):
        yield f"cu_seqlens, {name}", kind, part, lambda wrong=wrong: sfa.attention(*one, cu_seqlens=wrong)
    yield "cu_seqlens, batch", ValueError, "batch of 2", lambda: sfa.attention(q, k, v, cu_seqlens=offsets)


#===--- compute-sanitizer ----------------------------------------------------------------------===#

SANITIZED = "--sanitized"


@group("sanitizer", shared=False)
def sanitizer(run):
    program = shutil.which("compute-sanitizer")
    if program is None:
        run.note("sanitizer: compute-sanitizer is not on PATH; skipped")
        return
    for tool in ("memcheck", "racecheck"):
        run.case(tool, _check_sanitizer, program, tool)


def _check_sanitizer(program, tool):
    main = os.path.join(os.path.dirname(__file__), "run.py")
    done = subprocess.run(
        [program, "--tool", tool, "--error-exitcode", "9", "--report-api-errors", "no", sys.executable, main, SANITIZED],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=150,
        env={**os.environ, "PYTORCH_NO_CUDA_MEMORY_CACHING": "1"})
    lines = [line for line in done.stdout.splitlines() if line.strip("= ")]
    require(done.returncode == 0, f"exit status {done.returncode}: {' | '.join(lines[:4])} ... "
            f"{lines[-1] if lines else ''}")


def run_sanitized():
    """What compute-sanitizer watches: a few small problems, allocations of their own."""
    for schedule, d, causal in (("softmax = online", 64, True), ("softmax = lazy", 128, False),
                                ("softmax = lazy", 64, True), ("splits = 3", 64, True),
                                ("packed_heads = 2", 128, True), ("packed_heads = 2, splits = 3", 64, False)):
        problem = _problem(torch.bfloat16, (2, 1), d, d, 150, 200, 1)
        _attend(problem, schedule=schedule, causal=causal)
        for offsets in ([0, 0, 70, 71, 150], [-9, 200, 100, 50, 2**31 - 1]):
            # More keys than queries: the last sequence has a part of them only.
            _attend([x[:1] for x in problem], schedule=schedule, causal=causal,
                    cu_seqlens=torch.tensor(offsets, dtype=torch.int32, device="cuda"))
    # Heads that leave rows of a tile over, and warps with rows of several heads.
    for heads, n_q in (((5, 1), 3), ((5, 1), 12), ((16, 1), 2)):
        _attend(_problem(torch.bfloat16, heads, 64, 64, n_q, 200, 1), causal=True)
    for d, k in ((64, 32), (128, 8), (256, 16)):
        sfa.sparsify(normal(1, 2, 150, d, dtype=torch.bfloat16, seed=d), k, return_dense=True)
    torch.cuda.synchronize()

"""What a call costs besides the work: in Python, in the C library, and for the compiler."""

import ctypes
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

from sfa import _library, _module
from sfa._plan import CPU, Plan, PlanTable, View

# What the fresh processes run; prints a line of JSON.
_PROBE = """
import json, sys, time
from sfa import _library
text, device = sys.stdin.read(), int(sys.argv[1])
_library.load()
if device >= 0:
    import torch
    torch.zeros(1, device=f"cuda:{device}")
make = (lambda: _library.jit_program(text, device)) if device >= 0 else (
    lambda: _library.jit_cpu_function(text))
times = []
for _ in range(2):
    start = time.perf_counter()
    make()
    times.append(1e3 * (time.perf_counter() - start))
print(json.dumps(times))
"""


def per_call(function, calls=500, batches=15, between=lambda: None):
    """Microseconds of a call: the median over batches."""
    samples = []
    for _ in range(batches):
        between()
        start = time.perf_counter()
        for _ in range(calls):
            function()
        samples.append((time.perf_counter() - start) / calls * 1e6)
    return statistics.median(samples)


class _FakePlans(PlanTable):
    """Plans whose launch is a function of libc that returns 0: all of a call but the launch, on tensors
    of the CPU."""

    __slots__ = ()

    def add(self, key, plan):
        launch = ctypes.CDLL(None).labs
        launch.restype, launch.argtypes = ctypes.c_int, _library.argument_types("sfa_program_launch")
        views = [View(shape, None, dtype, 0) for shape, dtype in plan.results]
        fake = Plan(0, plan.names, plan.arguments, views, launch, ctypes.c_void_p(0))
        device, results, _ = plan.extra
        fake.extra = device, results, lambda device: 0
        return super().add(key, fake)


def _fake_rows():
    """The Python side of a warm call, with no GPU needed."""
    import torch
    import sfa
    from sfa import _torch

    tensors = [torch.zeros(1, 16, 128, 128, dtype=torch.bfloat16) for _ in range(3)]

    def call():
        return sfa.attention(*tensors, causal=True)

    def dispatched():
        return torch.ops.sfa.attention.default(
            tensors[0], None, None, tensors[1], None, None, tensors[2], None, True)

    with _torch.use_plans(_FakePlans()) as table:
        call()
        plan = next(iter(table.plans.values()))
        addresses = [t.data_ptr() for t in (*tensors, tensors[0])]
        yield "Python, a call of sfa.attention, the launch a fake", per_call(call), "us"
        yield "Python, the same as torch.ops.sfa.attention", per_call(dispatched), "us"
        yield "of these, memory for the result", per_call(lambda: _torch.allocate(
            (1, 16, 128, 128), (2**18, 2**14, 2**7, 1), dtype=torch.bfloat16,
            device=tensors[0].device)), "us"
        yield "of these, ctypes", per_call(lambda: plan.launch(addresses, None, 0)), "us"


def _gpu_rows():
    """The same with a kernel behind it: 1 token, so that the GPU is not what is waited for."""
    import torch
    import sfa
    from sfa import _torch
    tensors = [torch.zeros(1, 16, 1, 128, dtype=torch.bfloat16, device="cuda") for _ in range(3)]
    q, k, v = tensors
    q_codes, k_codes = sfa.sparsify(q, 8), sfa.sparsify(k, 8)
    with _torch.use_plans(PlanTable()) as table:
        out = sfa.attention(*tensors, causal=True)
    plan = next(iter(table.plans.values()))
    stream = torch.cuda.current_stream().cuda_stream
    addresses = [t.data_ptr() for t in (*tensors, out)]
    for name, function in (
            ("a call of sfa.attention", lambda: sfa.attention(*tensors, causal=True)),
            ("the same as torch.ops.sfa.attention", lambda: torch.ops.sfa.attention.default(
                tensors[0], None, None, tensors[1], None, None, tensors[2], None, True)),
            ("of the first, ctypes and the C launch", lambda: plan.launch(addresses, None, stream)),
            ("a call on codes", lambda: sfa.attention(q_codes, k_codes, v, causal=True)),
            ("a call of sfa.sparsify", lambda: sfa.sparsify(tensors[0], 8)),
            ("torch SDPA, for comparison", lambda: torch.nn.functional.scaled_dot_product_attention(
                q, k, v, is_causal=True))):
        function()
        yield f"GPU, {name}", per_call(function, calls=100, between=torch.cuda.synchronize), "us"
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        sfa.attention(*tensors, causal=True)
    yield "GPU, a CUDA graph of one call, replayed", per_call(
        graph.replay, calls=100, between=torch.cuda.synchronize), "us"
    torch.cuda.synchronize()


def _compile_rows(device):
    """Cold, from the cache on disk, and in a process that has it."""
    heads, dtype = 16, "bf16" if device != CPU else "f32"
    text = _module.attention(q_heads=heads, kv_heads=heads, d=128, dv=128, dtype=dtype,
                             mask="causal")
    where = "CPU" if device == CPU else "GPU"
    with tempfile.TemporaryDirectory() as cache:
        for name in ("compiled", "from the cache on disk") if device != CPU else ("compiled",):
            done = subprocess.run([sys.executable, "-c", _PROBE, str(device)], input=text, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  env={**os.environ, "SFA_CACHE_DIR": cache})
            if done.returncode:
                raise RuntimeError((done.stderr.strip().splitlines() or ["no message"])[-1])
            first, second = json.loads(done.stdout)
            yield f"{where}, program {name}", first, "ms"
    yield f"{where}, program that the process has", 1e3 * second, "us"


def table():
    """Rows of a name, a number and its unit; where something cannot be measured, the reason."""
    try:
        import torch
        has_gpu = torch.cuda.is_available()
    except ImportError:
        has_gpu = False
    parts = [("Python", _fake_rows), ("CPU", lambda: _compile_rows(CPU))]
    parts += [("GPU", _gpu_rows), ("GPU", lambda: _compile_rows(0))] if has_gpu else []
    rows = []
    for name, part in parts:
        try:
            for row, number, unit in part():
                rows.append(dict(name=row, value=number, unit=unit, reason=None))
        except Exception as error:
            rows.append(dict(name=name, value=None, unit="", reason=" ".join(str(error).split())[:200]))
    if not has_gpu:
        rows.append(dict(name="GPU", value=None, unit="", reason="no GPU, or no torch that can use it"))
    return rows

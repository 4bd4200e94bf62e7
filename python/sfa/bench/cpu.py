"""The measurement on this CPU: attention on codes, by strategy, and on dense operands against torch."""

import torch

from .peers import CPU_PEERS
from .problem import Problem
from .timing import Contestant, measure

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}
STRATEGIES = ("dense", "gather", "scatter", "sparse_mma")


def attention(options):
    """Yields a table for each n, d and mask: title, record, rows."""
    for d in options.d:
        for n in options.n:
            for causal in options.causal:
                yield _table(options, max(1, options.heads_total // d), n, d, causal)


def _table(options, heads, n, d, causal):
    dtype, k_features = DTYPES[options.dtype], min(options.k, d)
    generator = torch.Generator().manual_seed(options.seed)
    title = (f"attention, batch {options.batch}, {heads} heads, {n} tokens, d = dv = {d}, "
             f"{options.dtype}, {'causal' if causal else 'no mask'}, codes of {k_features}")
    record = dict(op="attention", device="cpu", batch=options.batch, heads=heads, n=n, d=d, causal=causal,
                  k=k_features, dtype=options.dtype, values=options.values, scales=options.scales)
    raw = [torch.randn(options.batch, heads, n, d, generator=generator).to(dtype) for _ in range(3)]
    problem = Problem(raw, k_features, causal, options.scales)
    contestants: list[Contestant] = []

    def add(name, form, schedule=None):
        contestants.append(Contestant(f"sfa {name}", lambda: lambda: problem.attend(form, schedule),
                                      problem.check(f"sfa {name}", form), "sfa"))

    codes = "codes" if options.values is None else f"{options.values} codes"
    for strategy in STRATEGIES:
        add(f"{codes}, {strategy}", codes, f"strategy = {strategy}")
    for form in problem.forms:
        add(f"{form}, as chosen", form)
    for name, make in CPU_PEERS.items():
        contestants.append(Contestant(name, lambda m=make: m(problem.q, problem.k, problem.v, causal), problem.check(name)))
    measure(contestants, options.repeats, on_cpu=True)
    flops = 4 * options.batch * heads * n * n * d / (2 if causal else 1)
    peer = contestants[-1].milliseconds
    rows = []
    for c in contestants:
        error, quantization = problem.errors.get(c.name, (None, None))
        rows.append(dict(name=c.name, group=c.group, ms=c.milliseconds, reason=c.reason, error=error, quantization=quantization,
                         gflops=c.milliseconds and flops / c.milliseconds / 1e6,
                         sdpa=c.milliseconds and peer and peer / c.milliseconds, samples=c.samples))
    return title, record, rows

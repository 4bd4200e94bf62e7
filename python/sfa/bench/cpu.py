"""The measurement on this CPU: attention on codes, by strategy, and on dense operands against torch."""

import functools
from collections.abc import Callable
from typing import Any

import torch

import sfa
from .timing import Contestant, last_rows, make_check, measure

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}
STRATEGIES = ("dense", "gather", "scatter", "sparse_mma")
SDPA = "torch SDPA, dense"


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
                  k=k_features, dtype=options.dtype)
    raw = [torch.randn(options.batch, heads, n, d, generator=generator).to(dtype) for _ in range(3)]
    q_codes, k_codes = (sfa.sparsify(x, k_features) for x in raw[:2])
    q, k, v = q_codes.dense(), k_codes.dense(), raw[2]
    expected, found = last_rows(q, k, v)(causal), {}
    check = make_check(expected)

    def checking(name):
        def look(out):
            found[name] = ((out[:, :, -expected.shape[2]:].double() - expected).norm() / expected.norm()).item()
            check(out)
        return look

    calls: list[tuple[str, Callable[[], Any]]] = [
        (f"codes, {strategy}",
         functools.partial(sfa.attention, q_codes, k_codes, v, causal=causal, schedule=f"strategy = {strategy}"))
        for strategy in STRATEGIES]
    calls += [("codes, as chosen", lambda: sfa.attention(q_codes, k_codes, v, causal=causal)),
              ("topk, as chosen", lambda: sfa.attention(raw[0], raw[1], v, topk=k_features, causal=causal)),
              ("dense, as chosen", lambda: sfa.attention(q, k, v, causal=causal))]
    contestants = [Contestant(f"sfa {name}", lambda f=call: f, checking(f"sfa {name}"), "sfa") for name, call in calls]
    contestants.append(Contestant(
        SDPA, lambda: lambda: torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal), checking(SDPA)))
    measure(contestants, options.repeats, on_cpu=True)
    flops = 4 * options.batch * heads * n * n * d / (2 if causal else 1)
    peer = contestants[-1].milliseconds
    rows = [dict(name=c.name, group=c.group, ms=c.milliseconds, reason=c.reason, error=found.get(c.name),
                 gflops=c.milliseconds and flops / c.milliseconds / 1e6,
                 sdpa=c.milliseconds and peer and peer / c.milliseconds, samples=c.samples) for c in contestants]
    return title, record, rows

"""Times of functions on a GPU, by CUDA events, or on this CPU: interleaved repeats, medians."""

import math
import statistics
import time

import torch

SAMPLE_MS = 4.0
"""Short functions are called several times a sample."""
ERROR_BOUND = 0.02
"""A result with a larger relative error is wrong. This is no test of a kernel, but a wrong contestant has no time."""


class Contestant:
    """Something to measure. make() returns the function, or raises where it cannot be had; check(out)
    raises where its result is wrong."""

    def __init__(self, name, make, check=None, group="peer"):
        self.name, self.make, self.check, self.group = name, make, check, group
        self.function, self.reason, self.calls, self.samples = None, None, 1, []
        self.error: Exception | None = None
        self.read: int | None = None  # bytes that a call reads, where they differ from those of the others

    @property
    def milliseconds(self):
        return statistics.median(self.samples) if self.samples else None

    def give_up(self, error):
        text = " ".join(str(error).split()) or type(error).__name__
        self.function, self.samples, self.error = None, [], error
        self.reason = text if len(text) <= 90 else text[:87] + "..."


def _elapsed_on_cpu(function, calls):
    start = time.perf_counter()
    for _ in range(calls):
        function()
    return 1e3 * (time.perf_counter() - start) / calls


def _elapsed(function, calls):
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    for _ in range(calls):
        function()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / calls


def measure(contestants, repeats, rest=0.0, on_cpu=False):
    """Fills in the samples, in ms a call; those that fail get a reason instead. Before each the GPU rests
    for `rest` seconds: at its limit of power it is slower after long work than at first. On a CPU nothing is
    cleared between samples: what fits into its caches is there, as for a caller."""
    elapsed = _elapsed_on_cpu if on_cpu else _elapsed
    for contestant in contestants:
        try:
            contestant.function = contestant.make()
            out = contestant.function()
            if not on_cpu:
                torch.cuda.synchronize()
            if contestant.check is not None:
                contestant.check(out)
            del out
            contestant.function()
            once = elapsed(contestant.function, 2)
            contestant.calls = max(1, math.ceil(SAMPLE_MS / max(once, 1e-3)))
        except Exception as error:
            contestant.give_up(error)
    # Between samples nothing of the one before is left in the L2 cache.
    flush = None if on_cpu else torch.empty(2**27, dtype=torch.uint8, device="cuda")
    for _ in range(repeats):
        for contestant in contestants:
            if contestant.function is not None:
                try:
                    if rest:
                        torch.cuda.synchronize()
                        time.sleep(rest)
                    if flush is not None:
                        flush.zero_()
                    contestant.samples.append(elapsed(contestant.function, contestant.calls))
                except Exception as error:
                    contestant.give_up(error)
    return contestants


def relative_error(out, expected):
    """The error of the last rows in the root mean square, relative to what is expected of them."""
    return ((out[:, :, -expected.shape[2]:].double() - expected).norm() / expected.norm()).item()


def make_check(expected):
    """Raises where a result is far from fp64 on some rows."""
    def check(out):
        error = relative_error(out, expected)
        if not error < ERROR_BOUND:
            raise RuntimeError(f"its result is wrong: relative error {error:.1e}")
    return check


def attention_of_rows(q, k, v, rows, causal):
    """The output in fp64 of the queries at `rows`, an int64 tensor: [batch, heads, len(rows), features]."""
    # [batch, heads of k, heads of a group, tokens, features]
    queries, keys, values = (x.double() for x in (q[:, :, rows].unflatten(1, (k.shape[1], -1)), k.unsqueeze(2), v.unsqueeze(2)))
    scores = queries @ keys.transpose(-1, -2) * q.shape[3] ** -0.5
    if causal:
        last_seen = rows + k.shape[2] - q.shape[2]
        hidden = torch.arange(k.shape[2], device=q.device) > last_seen.unsqueeze(1)
        scores.masked_fill_(hidden, -float("inf"))
    return (scores.softmax(-1) @ values).flatten(1, 2)


def last_rows(q, k, v, rows=16):
    """The output of the last rows in fp64; they see all keys, but for those of the diagonal."""
    n = min(rows, q.shape[2])
    return lambda causal: attention_of_rows(q, k, v, torch.arange(q.shape[2] - n, q.shape[2], device=q.device), causal)

"""Times of functions on a GPU: interleaved repeats, CUDA events, medians."""

import math
import statistics
import time

import torch

SAMPLE_MS = 4.0
"""Short functions are called several times a sample."""


class Contestant:
    """Something to measure. make() returns the function, or raises where it cannot be had; check(out)
    raises where its result is wrong."""

    def __init__(self, name, make, check=None, group="peer"):
        self.name, self.make, self.check, self.group = name, make, check, group
        self.function, self.reason, self.calls, self.samples = None, None, 1, []

    @property
    def milliseconds(self):
        return statistics.median(self.samples) if self.samples else None

    def give_up(self, error):
        text = " ".join(str(error).split()) or type(error).__name__
        self.function, self.samples = None, []
        self.reason = text if len(text) <= 90 else text[:87] + "..."


def _elapsed(function, calls):
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    for _ in range(calls):
        function()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / calls


def measure(contestants, repeats, rest=0.0):
    """Fills in the samples, in ms a call; those that fail get a reason instead. Before each the GPU rests
    for `rest` seconds: at its limit of power it is slower after long work than at first."""
    for contestant in contestants:
        try:
            contestant.function = contestant.make()
            out = contestant.function()
            torch.cuda.synchronize()
            if contestant.check is not None:
                contestant.check(out)
            del out
            contestant.function()
            once = _elapsed(contestant.function, 2)
            contestant.calls = max(1, math.ceil(SAMPLE_MS / max(once, 1e-3)))
        except Exception as error:
            contestant.give_up(error)
    # Between samples nothing of the one before is left in the L2 cache.
    flush = torch.empty(2**27, dtype=torch.uint8, device="cuda")
    for _ in range(repeats):
        for contestant in contestants:
            if contestant.function is not None:
                try:
                    if rest:
                        torch.cuda.synchronize()
                        time.sleep(rest)
                    flush.zero_()
                    contestant.samples.append(_elapsed(contestant.function, contestant.calls))
                except Exception as error:
                    contestant.give_up(error)
    return contestants

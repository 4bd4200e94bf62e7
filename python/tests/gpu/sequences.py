"""Sequences of several lengths in one tensor."""

import itertools
import random

import torch

import sfa
from correctness import FORMS, HEADS, compute
from harness import Judge, bounds, group, normal, poisoned, require, same_bits

MASKS = (dict(), dict(causal=True), dict(window=(50, 10)), dict(causal=True, window=(90, None)))
# (queries, keys) around the tiles of both code paths; empty ones at the ends and side by side.
LENGTHS = (
    ((0, 0), (1, 1), (0, 7), (63, 63), (64, 64), (65, 65), (127, 128), (129, 127), (5, 0), (191, 193),
     (300, 40), (0, 0), (0, 0), (40, 300), (1, 500), (192, 96), (4, 0)),
    ((700, 700),), ((1, 1),) * 40, ((0, 9), (0, 0)), ((9, 0), (140, 0)))
# Few queries in the mean: heads share tiles, and the keys are cut into shares, longer and shorter ones.
FEW_QUERIES = (
    ((1, 5000), (1, 3), (1, 0), (2, 700), (0, 40), (1, 1), (1, 9000)), ((1, 700),) * 40,
    ((3, 20000), (0, 0), (1, 100)), ((1, 2000), (150, 1000), *((1, 3000),) * 30), ((20, 900),) * 3)


class Packed:
    """Sequences one after the other, tokens before heads as a projection writes them."""

    def __init__(self, lengths, dtype, heads, d, dv, seed):
        self.lengths = lengths
        self.ends = [[0], [0]]
        for pair in lengths:
            for ends, length in zip(self.ends, pair):
                ends.append(ends[-1] + length)
        shapes = ((self.ends[0][-1], heads[0], d), (self.ends[1][-1], heads[1], d),
                  (self.ends[1][-1], heads[1], dv))
        self.q, self.k, self.v = (
            normal(*shape, dtype=dtype, seed=seed + number).transpose(0, 1).unsqueeze(0)
            for number, shape in enumerate(shapes))

    def offsets(self):
        """One tensor where queries and keys are of the same lengths, else a pair."""
        first, second = (torch.tensor(ends, dtype=torch.int32, device="cuda") for ends in self.ends)
        return first if self.ends[0] == self.ends[1] else (first, second)

    def rows(self, s):
        """The tokens of sequence s, of queries and of keys."""
        return [slice(*ends[s:s + 2]) for ends in self.ends]

    def spoil(self, s):
        queries, keys = self.rows(s)
        self.q[:, :, queries] = float("nan")
        self.k[:, :, keys] = float("inf")
        self.v[:, :, keys] = float("nan")

    def judge(self, judged, form, which, features=8, causal=False, window=None, **options):
        """Computes all, and holds the sequences `which` against the oracle."""
        with poisoned():
            (out, lse), q, k = compute(form, self.q, self.k, self.v, features, causal=causal,
                                       window=window, return_lse=True, cu_seqlens=self.offsets(),
                                       **options)
        left, right = bounds(causal, window)
        for s in which:
            queries, keys = self.rows(s)
            judged.add(out[:, :, queries], lse[:, :, queries], q[:, :, queries], k[:, :, keys],
                       self.v[:, :, keys], left=left, right=right)


def _configurations():
    product = itertools.product(((64, 64), (128, 128), (256, 256), (128, 64), (64, 256)),
                                (torch.bfloat16, torch.float16), ("online", "lazy"))
    for number, ((d, dv), dtype, softmax) in enumerate(product):
        heads = HEADS[(number + number // 3) % 3]
        yield dict(dtype=dtype, d=d, dv=dv, heads=heads,
                   form=FORMS[(number + number // 7) % len(FORMS)],
                   schedule=f"softmax = {softmax}" + ", splits = 3" * (number % 3 == 0)
                            + f", packed_heads = {heads[0] // heads[1]}" * (number % 4 < 2),
                   **MASKS[(number + number // 4) % len(MASKS)])


def _compile(dtype, heads, d, dv, form, **options):
    packed = Packed(((1, 1),), dtype, heads, d, dv, 1)
    compute(form, packed.q, packed.k, packed.v, 8, return_lse=True, cu_seqlens=packed.offsets(), **options)


def _name(options):
    return ", ".join(f"{key} {value}" for key, value in options.items())


@group("varlen")
def varlen(run):
    configurations = list(_configurations())
    run.compile_ahead([lambda options=options: _compile(**options) for options in configurations])
    product = itertools.product((64, 128, 256), ((8, 2), (5, 1), (3, 3), (16, 1)), ("online", "lazy"))
    few = [dict(dtype=(torch.bfloat16, torch.float16)[number % 3 == 2], d=d, dv=d, heads=heads, form=FORMS[number % len(FORMS)],
                schedule=f"softmax = {softmax}", **MASKS[(number + number // 4) % len(MASKS)])
           for number, (d, heads, softmax) in enumerate(product)]
    for options in few:
        run.case("few queries as chosen, " + _name(options), _check_lengths, FEW_QUERIES, **options)
    source = random.Random(run.seed)
    for options in configurations:
        name = _name(options)
        seed = source.randrange(2**32)
        run.case(name, _check_lengths, LENGTHS, **options)
        run.case(f"random lengths of seed {seed}, {name}", _check_lengths, _random_lengths(seed), **options)
        run.case(f"neighbours of NaN, {name}", _check_neighbours, **options)
    for schedule in ("softmax = online", "softmax = lazy", "splits = 3", "packed_heads = 2",
                     "packed_heads = 2, splits = 3"):
        for d in (64, 128, 256):
            run.case(f"wrong offsets, d {d}, {schedule}", _check_wrong_offsets, d, schedule)
            run.case(f"20 repeats, d {d}, {schedule}", _check_repeats, d, schedule)


def _random_lengths(seed):
    source = random.Random(seed)
    return [tuple((source.randrange(source.choice((3, 70, 400))), source.randrange(source.choice((3, 70, 400))))
                  for _ in range(source.randrange(1, 20))) for _ in range(2)] + [((150, 150),)]


def _check_lengths(problems, dtype, heads, d, dv, form, **options):
    judged = Judge()
    for number, lengths in enumerate(problems):
        packed = Packed(lengths, dtype, heads, d, dv, 10 * number)
        packed.judge(judged, form, range(len(lengths)), **options)
    judged.verdict()


def _check_neighbours(dtype, heads, d, dv, form, **options):
    judged = Judge()
    for first in (0, 1):
        packed = Packed(LENGTHS[0], dtype, heads, d, dv, 3)
        for s in range(first, len(packed.lengths), 2):
            packed.spoil(s)
        packed.judge(judged, form, range(1 - first, len(packed.lengths), 2), **options)
    judged.verdict()


def _check_wrong_offsets(d, schedule):
    """Nothing beside the results is written, and the device goes on. What can be said of the results is
    that offsets outside of the tokens count as their ends."""
    packed = Packed(((50, 50), (0, 0), (130, 130)), torch.bfloat16, (4, 2), d, d, 1)

    def attend(*offsets):
        with poisoned():
            return sfa.attention(packed.q, packed.k, packed.v, causal=True, schedule=schedule,
                                 cu_seqlens=torch.tensor(offsets, dtype=torch.int32, device="cuda"))

    n, largest = packed.q.shape[2], 2**31 - 1
    expected = attend(0, 50, 50, n)
    require(same_bits(attend(-7, 50, 50, largest), expected), "offsets beyond the ends are not the ends")
    for wrong in ((largest,) * 4, (-largest - 1,) * 4, (largest, 60, 20, -largest), (0, n, 0, n),
                  (100, 50, 20, 0), (n + 1, n + 2, n + 3, n + 4), (5, 10, 15, 20)):
        attend(*wrong)
        torch.cuda.synchronize()
    source = random.Random(d)
    for _ in range(20):
        attend(*(source.randrange(-2**31, 2**31) >> source.randrange(32) for _ in range(9)))
    torch.cuda.synchronize()
    require(same_bits(attend(0, 50, 50, n), expected), "a call after wrong offsets differs")


def _check_repeats(d, schedule):
    """Several warpgroups make the same rows of a value tile zero."""
    packed = Packed(LENGTHS[0], torch.bfloat16, (8, 4), d, d, 5)
    first = None
    for number in range(20):
        with poisoned():
            results = sfa.attention(packed.q, packed.k, packed.v, topk=8, causal=True, return_lse=True,
                                    schedule=schedule, cu_seqlens=packed.offsets())
        first = first or results
        require(all(same_bits(a, b) for a, b in zip(first, results)),
                f"repeat {number} differs from the first")

"""Attention, sparsify and densify against the oracle."""

import itertools
import os
import pathlib
import random

import torch

import sfa
from harness import Judge, bounds, group, normal, poisoned, read_npy, require, same_bits
from oracle import dequantized, keep, step_of, topk

HEADS = ((4, 4), (4, 2), (4, 1))
MASKS = (dict(), dict(causal=True), dict(window=(100, 20)), dict(window=(33, 0)),
         dict(window=(None, 5)), dict(causal=True, window=(64, None)))
FORMS = ("dense", "codes", "topk", "codes of q", "codes of k")
SIZES = ((1, 1), (17, 17), (255, 255), (257, 257), (64, 300), (300, 64), (1, 513), (2048, 2048))


EIGHT_BITS = "codes of 8 bits"


def eight_bits(q, k, features):
    """Codes of 8-bit values; which values share a scale depends on their number."""
    scales = (("token", "tile"), ("tile", "token"), ("head", "head"), ("token", "token"))[(features + q.shape[3]) % 4]
    return [sfa.sparsify(x, features, values="int8", scales=each) for x, each in zip((q, k), scales)]


def compute(form, q, k, v, features, **options):
    """The results of an attention in one of the forms, and the dense q and k that it is of."""
    if form == EIGHT_BITS:
        q, k = eight_bits(q, k, features)
        return sfa.attention(q, k, v, **options), dequantized(q), dequantized(k)
    sparse_q, sparse_k = keep(q, features), keep(k, features)
    if form == "dense":
        return sfa.attention(q, k, v, **options), q, k
    if form == "topk":
        return sfa.attention(q, k, v, topk=features, **options), sparse_q, sparse_k
    if form == "codes":
        results = sfa.attention(sfa.sparsify(q, features), sfa.sparsify(k, features), v, **options)
        return results, sparse_q, sparse_k
    if form == "codes of q":
        return sfa.attention(sfa.sparsify(q, features), k, v, **options), sparse_q, k
    return sfa.attention(q, sfa.sparsify(k, features), v, **options), q, sparse_k


def kernels_of(schedule):
    """Values of return_lse that give different kernels: without the log-sum-exp the guard of a lazy
    softmax is another one."""
    return (True, False) if schedule and "lazy" in schedule else (True,)


def judge(judged, form, q, k, v, features=8, causal=False, window=None, scale=None, schedule=None):
    alone = None
    for return_lse in kernels_of(schedule):
        with poisoned():
            results, dense_q, dense_k = compute(
                form, q, k, v, features, causal=causal, window=window, scale=scale, schedule=schedule,
                return_lse=return_lse)
        if return_lse:
            out, lse = results
        else:
            alone = results
    left, right = bounds(causal, window)
    step = step_of(*eight_bits(q, k, features), scale) if form == EIGHT_BITS else 0.0
    judged.add(out, lse, dense_q, dense_k, v, scale=scale, left=left, right=right, alone=alone, step=step)


def _problem(dtype, heads, d, dv, n_q, n_k, seed):
    batch = 2 if n_q < 1000 else 1
    return (normal(batch, heads[0], n_q, d, dtype=dtype, seed=seed),
            normal(batch, heads[1], n_k, d, dtype=dtype, seed=seed + 1),
            normal(batch, heads[1], n_k, dv, dtype=dtype, seed=seed + 2))


def check_sizes(sizes, dtype, heads, d, dv, form, **options):
    judged = Judge()
    for seed, (n_q, n_k) in enumerate(sizes):
        judge(judged, form, *_problem(dtype, heads, d, dv, n_q, n_k, 10 * seed), **options)
    judged.verdict()


def _configurations():
    """All d, dv, dtypes and softmax forms; heads, masks and forms of the operands in rotation, so
    that each meets each of the others."""
    product = itertools.product((64, 128, 256), (64, 128, 256), (torch.bfloat16, torch.float16),
                                ("online", "lazy"), range(3))
    for number, (d, dv, dtype, softmax, turn) in enumerate(product):
        yield dict(dtype=dtype, d=d, dv=dv, heads=HEADS[(number + number // 3) % 3],
                   form=FORMS[(number + number // 7) % len(FORMS)],
                   schedule=f"softmax = {softmax}", **MASKS[(2 * number + turn) % len(MASKS)])


# Sizes of heads whose panels are not full: those of models in use, the smallest, and others.
PARTS_OF_PANELS = ((80, 80), (96, 96), (112, 112), (192, 128), (192, 192), (16, 16), (24, 40), (72, 200), (248, 256), (256, 136))


def _configurations_of_parts():
    product = itertools.product(PARTS_OF_PANELS, (torch.bfloat16, torch.float16), ("online", "lazy"))
    for number, ((d, dv), dtype, softmax) in enumerate(product):
        splits = ", splits = 3" if number % 3 == 2 else ""
        yield dict(dtype=dtype, d=d, dv=dv, heads=HEADS[(number + number // 3) % 3], form=FORMS[(number + number // 7) % len(FORMS)],
                   schedule=f"softmax = {softmax}{splits}", **MASKS[(2 * number + number // 4) % len(MASKS)])


def _name(options):
    return ", ".join(f"{key} {str(value).removeprefix('torch.')}" for key, value in options.items())



@group("correctness")
def correctness(run):
    configurations = [*_configurations(), *_configurations_of_parts()]
    configurations += [dict(dtype=torch.float16, d=128, dv=128, heads=(4, 2), form=form, causal=True,
                            scale=0.3) for form in FORMS]
    run.compile_ahead([lambda options=options: _compile(**options) for options in configurations])
    for options in configurations:
        run.case(_name(options), check_sizes, SIZES, **options)


def _compile(dtype, heads, d, dv, form, features=8, **options):
    q, k, v = _problem(dtype, heads, d, dv, 1, 1, 0)
    for return_lse in kernels_of(options.get("schedule")):
        compute(form, q, k, v, features, return_lse=return_lse, **options)


@group("sparsify")
def sparsify(run):
    configurations = [(dtype, d, k, two_four) for dtype in (torch.bfloat16, torch.float16)
                      for d in (64, 128, 256)
                      for k, two_four in ((1, False), (2, False), (3, False), (4, False), (8, False),
                                          (16, False), (32, False), (40, False), (d, False),
                                          (8, True), (16, True), (d // 2, True))]
    configurations += [(dtype, d, k, two_four) for dtype in (torch.bfloat16, torch.float16) for d in (16, 24, 80, 96, 200)
                       for k, two_four in ((1, False), (8, False), (16, False), (d, False), (d // 2, True))]
    run.compile_ahead([lambda c=c: sfa.sparsify(normal(2, 3, 1, c[1], dtype=c[0], seed=0),
                                                c[2], c[3]).dense()
                       for c in configurations])
    run.compile_ahead([lambda c=c: sfa.sparsify(normal(2, 3, 1, c[1], dtype=c[0], seed=0),
                                                c[2], c[3], return_dense=True)
                       for c in configurations])
    for dtype, d, k, two_four in configurations:
        for n in (1, 129, 1000):
            run.case(f"{dtype} d {d} k {k} n {n}" + (" 2:4" if two_four else ""), _check_sparsify,
                     dtype, d, k, n, two_four)


def _rows(dtype, d, n):
    """Rows that are hard: ties, zeros of both signs, denormals, infinities, NaN, all equal."""
    x = normal(2, 3, n, d, dtype=dtype, seed=d + n)
    x[0, 1] = (x[0, 1] * 2).round()
    x[0, 2] = torch.where(x[0, 2].abs() > 1.5, x[0, 2], torch.zeros_like(x[0, 2]) * -1)
    x[1, 0] = torch.where(x[1, 0] > 1.8, float("nan"), x[1, 0])
    x[1, 0] = torch.where(x[1, 0] < -1.5, -float("inf"), x[1, 0])
    x[1, 0] = torch.where((x[1, 0] > 1.5) & (x[1, 0] < 1.8), float("inf"), x[1, 0])
    x[1, 1] = x[1, 1].sign()
    x[1, 2] = x[1, 2] * torch.finfo(dtype).tiny / 4
    x[1, 2, 0] = 0
    # NaN of many payloads, which all tie.
    infinity = 0x7c00 if dtype == torch.float16 else 0x7f80
    payloads = torch.arange(d, device="cuda", dtype=torch.int16) % 50 + infinity + 1
    nans = torch.rand(n, d, device="cuda") < 0.1
    nans[::2] = False
    x[0, 0] = torch.where(nans, payloads.view(dtype), x[0, 0])
    return x


def _check_sparsify(dtype, d, k, n, two_four):
    x = _rows(dtype, d, n)
    strided = torch.empty(2, n, 3, d + 64, dtype=dtype, device="cuda")[..., :d].transpose(1, 2)
    strided.copy_(x)
    features = topk(x, k, two_four)
    values = x.gather(-1, features)
    expected = torch.zeros_like(x).scatter_(-1, features, values)
    for source in (x, strided):
        with poisoned():
            codes = sfa.sparsify(source, k, two_four)
        require(codes.indices.dtype == torch.uint8, f"indices are {codes.indices.dtype}")
        wrong = codes.indices.long() != features
        require(not bool(wrong.any()), f"{int(wrong.sum())} features are not those of the oracle, "
                f"first at {wrong.nonzero()[:1].tolist()}")
        require(_same_or_nan(codes.values, values), "values are not those of the source")
        with poisoned():
            dense = sfa.densify(codes)
        # A zero has no sign in rows that were written out.
        require(_same_or_nan(dense + 0, expected + 0), "densify is not exact")
        with poisoned():
            again, rows = sfa.sparsify(source, k, two_four, return_dense=True)
        for name, ours, other in (("indices", again.indices, codes.indices),
                                  ("values", again.values, codes.values), ("rows", rows, dense)):
            require(same_bits(ours, other), f"{name} in one pass are not those of two")


def _same_or_nan(a, b):
    nan = b.isnan()
    return bool((a.isnan() == nan).all()) and torch.equal(
        a.masked_fill(nan, 0).view(torch.int16), b.masked_fill(nan, 0).view(torch.int16))


@group("densify")
def densify(run):
    for dtype, d, k in itertools.product((torch.bfloat16, torch.float16), (24, 64, 80, 128, 200, 256), (3, 8, 16)):
        run.case(f"{dtype} d {d} k {k}", _check_densify, dtype, d, k)


def _check_densify(dtype, d, k):
    """Codes that no sparsify has made: any features, values 0 among them."""
    features = torch.rand(2, 3, 333, d, device="cuda").topk(k).indices.sort().values
    values = normal(2, 3, 333, k, dtype=dtype, seed=k)
    values[..., 0] = 0
    with poisoned():
        dense = sfa.Codes(values, features.to(torch.uint8), d).dense()
    expected = torch.zeros(2, 3, 333, d, dtype=dtype, device="cuda").scatter_(-1, features, values)
    require(torch.equal(dense, expected), "densify is not exact")


@group("strided")
def strided(run):
    for schedule, d in itertools.product(("softmax = online", "softmax = lazy"), (64, 128)):
        for form in ("dense", "topk"):
            run.case(f"{schedule} d {d} {form}", _check_strided, schedule, d, form)


def _check_strided(schedule, d, form):
    judged = Judge()
    for n in (33, 300):
        # Tokens before heads, as a projection writes them.
        q, k, v = (normal(2, n, 4, d, dtype=torch.bfloat16, seed=seed).transpose(1, 2)
                   for seed in range(3))
        judge(judged, form, q, k, v, causal=True, schedule=schedule)
        # All three in one tensor.
        q, k, v = normal(2, n, 3, 4, d, dtype=torch.bfloat16, seed=n).permute(2, 0, 3, 1, 4)
        judge(judged, form, q, k, v, causal=True, schedule=schedule)
        # Rows that are part of longer ones, and tokens that are part of more.
        wide = normal(2, 4, n + 10, 2 * d, dtype=torch.bfloat16, seed=n + 1)
        judge(judged, form, wide[:, :, 5:n + 5, d:], k, v, causal=True, schedule=schedule)
        # One sequence of keys for all of the batch.
        judge(judged, form, q, k[:1].expand(2, -1, -1, -1), v[:1].expand(2, -1, -1, -1),
              causal=True, schedule=schedule)
    judged.verdict()


@group("masked")
def masked(run):
    cases = (("more queries than keys, causal", 300, 100, dict(causal=True)),
             ("one key, causal", 130, 1, dict(causal=True)),
             ("window left of all keys", 400, 64, dict(window=(10, 0))),
             ("no keys", 70, 0, dict()), ("no keys, causal", 70, 0, dict(causal=True)),
             ("no queries", 0, 70, dict()))
    run.compile_ahead([
        lambda c=c: _compile(torch.bfloat16, (4, 2), c[0], c[0], c[1], schedule=f"softmax = {c[2]}",
                             **c[3])
        for c in itertools.product((64, 128, 256), ("dense", "topk"), ("online", "lazy"),
                                   (dict(), dict(causal=True), dict(window=(10, 0))))])
    for softmax, d in itertools.product(("online", "lazy"), (64, 128, 256)):
        for name, n_q, n_k, options in cases:
            run.case(f"{name}, {softmax}, d {d}", _check_masked, d, n_q, n_k,
                     schedule=f"softmax = {softmax}", **options)


def _check_masked(d, n_q, n_k, **options):
    for form in ("dense", "topk"):
        q, k, v = _problem(torch.bfloat16, (4, 2), d, d, n_q, n_k, 3)
        # A second problem, so that there is an error to compare with.
        judged = Judge()
        judge(judged, form, q, k, v, **options)
        judge(judged, form, *_problem(torch.bfloat16, (4, 2), d, d, 200, 200, 4), **options)
        judged.verdict()


# Few queries and many keys, ends of tiles and of shares, rows that see no key, no keys.
SPLIT_SIZES = ((1, 5000), (16, 4097), (64, 700), (130, 1000), (300, 100), (1, 1), (70, 0))


@group("splits")
def splits(run):
    """The keys in shares: fewer and more than there are key tiles."""
    numbers = (2, 3, 8, 31, 32, 33, 100, 256)
    configurations = []
    for number, ((d, dv), dtype, softmax, turn) in enumerate(itertools.product(
            ((64, 64), (128, 128), (256, 256), (128, 64), (64, 256)), (torch.bfloat16, torch.float16),
            ("online", "lazy"), range(2))):
        configurations.append(dict(
            dtype=dtype, d=d, dv=dv, heads=HEADS[(number + number // 3) % 3],
            form=FORMS[(number + number // 7) % len(FORMS)],
            schedule=f"softmax = {softmax}, splits = {numbers[(number + number // 8) % len(numbers)]}",
            **MASKS[(2 * number + turn) % len(MASKS)]))
    run.compile_ahead([lambda options=options: _compile(**options) for options in configurations])
    for options in configurations:
        run.case(_name(options), check_sizes, SPLIT_SIZES, **options)
    for n_q, d, options in itertools.product((1, 64), (64, 128, 256), (dict(), dict(causal=True))):
        run.case(f"{n_q} queries, 100,000 keys, as many splits as the call chooses, d {d} {options}",
                 _check_many_keys, n_q, d, **options)


def _check_many_keys(n_q, d, heads=(4, 2), **options):
    judged = Judge()
    # The worst of a few elements is a matter of luck.
    for seed in range(max(3, 80 // (heads[0] * n_q))):
        q, k, v = (normal(1, h, n, d, dtype=torch.bfloat16, seed=3 * seed + number)
                   for number, (h, n) in enumerate(((heads[0], n_q), *2 * ((heads[1], 100_000),))))
        judge(judged, "dense", q, k, v, **options)
    judged.verdict()


# Batch, heads of queries and of keys, queries, keys: more query tiles than multiprocessors, in one round or two and in
# many, whole and not; few heads, many, an odd number; queries that see no key. With 132 multiprocessors the last three come
# in groups of heads: of 4, of 1, and of 2, of which the last group has 1.
GRIDS = ((1, 6, 3, 4000, 4000), (3, 15, 5, 1000, 1000), (2, 40, 40, 513, 700), (3, 33, 33, 300, 100),
         (1, 1, 1, 33_000, 500), (13, 11, 1, 140, 1500), (1, 8, 2, 9000, 9000),
         (1, 8, 2, 17_000, 300), (5, 7, 7, 8300, 150))


@group("grid", each_chip=False)
def grid(run):
    """Blocks that stay, against a block for each tile: the same bits. And against the oracle."""
    kernels = itertools.product(
        (64, 128, 256), ("online", "lazy", "online, turns = ping_pong", "lazy, turns = ping_pong", "lazy, lookahead = 0"),
        (dict(causal=True), dict(), dict(window=(700, 30))))
    # Two sizes for each kernel, all for those that the compiler chooses most.
    cases = []
    for number, kernel in enumerate(kernels):
        chosen = kernel[:2] in ((64, "lazy"), (128, "lazy"), (128, "online")) and "window" not in kernel[2]
        cases += [(kernel, sizes) for place, sizes in enumerate(GRIDS) if chosen or (place < 4 and (place - number) % 4 < 2)]
    run.compile_ahead([lambda kernel=kernel, sizes=sizes, name=name, lse=lse: _attend_grid(
                           kernel, name, _problem_of((*sizes[:3], 1, 1), kernel[0], 8), lse)
                       for kernel, sizes in cases for name in ("tiles", "persistent") for lse in (True, False)])
    for kernel, sizes in cases:
        run.case(f"{sizes}, d {kernel[0]}, {kernel[1]}, {kernel[2]}", _check_grid, kernel, sizes)
    for d, softmax in itertools.product((64, 128, 256), ("lazy", "lazy, lookahead = 0")):
        run.case(f"some points twice, d {d}, {softmax}", _check_second_pass, d, softmax)


def _problem_of(sizes, d, seed):
    batch, h_q, h_kv, n_q, n_k = sizes
    return (normal(batch, h_q, n_q, d, dtype=torch.bfloat16, seed=seed),
            normal(batch, h_kv, n_k, d, dtype=torch.bfloat16, seed=seed + 1),
            normal(batch, h_kv, n_k, d, dtype=torch.bfloat16, seed=seed + 2))


# Both grids are to have the same tiles, on which bits depend: what is chosen depends on the grid.
_TILES_OF_GRID = "q_tile = 128, k_tile = 64, consumers = 2"


def _attend_grid(kernel, grid_name, problem, return_lse):
    _, softmax, mask = kernel
    with poisoned():
        results = sfa.attention(*problem, return_lse=return_lse, **mask,
                                schedule=f"splits = 1, grid = {grid_name}, softmax = {softmax}, {_TILES_OF_GRID}")
    return results if return_lse else (results,)


def _check_grid(kernel, sizes):
    problem = _problem_of(sizes, kernel[0], sizes[3])
    for return_lse in (True, False):
        expected = _attend_grid(kernel, "tiles", problem, return_lse)
        for _ in range(3):
            results = _attend_grid(kernel, "persistent", problem, return_lse)
            require(all(same_bits(a, b) for a, b in zip(expected, results)), "other results than with a block for each tile")
    if sizes[3] < 2000:
        judged = Judge()
        judge(judged, "dense", *problem, schedule=f"grid = persistent, softmax = {kernel[1]}", **kernel[2])
        judged.verdict()


def _check_second_pass(d, softmax):
    """Scores of some heads rise so late and so fast that their rows are computed again."""
    judged = Judge()
    for causal in (False, True):
        q, k, v = _problem_of((3, 20, 20, 900, 900), d, d)
        for batch, head in ((0, 3), (1, 0), (2, 19)):
            q[batch, head] = 1
            k[batch, head, 500:] += (40 * torch.arange(400, device="cuda") / d ** 0.5)[:, None].to(k.dtype)
        judge(judged, "dense", q, k, v, causal=causal, schedule=f"grid = persistent, softmax = {softmax}")
        kernel = (d, softmax, dict(causal=causal))
        for return_lse in (True, False):
            a, b = (_attend_grid(kernel, name, (q, k, v), return_lse) for name in ("tiles", "persistent"))
            require(all(same_bits(x, y) for x, y in zip(a, b)), "other results than with a block for each tile")
    judged.verdict()


# Fewer queries than a head has rows in a tile, as many, some more, several tiles; rows that see no key.
PACKED_SIZES = ((1, 700), (3, 300), (16, 257), (17, 1000), (40, 40), (130, 300), (300, 100), (1, 1), (7, 0))


@group("packed")
def packed(run):
    """Query heads of a group that share a tile: as chosen and as given, with and without splits."""
    configurations = []
    # All widths with all ways to pack, and each of these with both types and both softmaxes.
    for number, ((i, (d, dv)), (j, (heads, given))) in enumerate(itertools.product(
            enumerate(((64, 64), (128, 128), (256, 256), (128, 64), (64, 256))),
            enumerate((((8, 1), "packed_heads = 8"), ((8, 4), "packed_heads = 2"), ((8, 2), "packed_heads = 4"),
                       ((16, 2), "packed_heads = 4, splits = 3"), ((16, 2), "packed_heads = 8, splits = 5"),
                       ((4, 2), "packed_heads = 2, splits = 33"), ((16, 1), ""),
                       ((10, 2), "packed_heads = 5"), ((21, 3), "packed_heads = 7, splits = 3"), ((6, 2), ""))))):
        dtype = (torch.bfloat16, torch.float16)[(i + j) % 2]
        softmax = ("online", "lazy")[(i // 2 + j) % 2]
        configurations.append(dict(
            dtype=dtype, d=d, dv=dv, heads=heads, form=FORMS[(number + number // 7) % len(FORMS)],
            schedule=", ".join(filter(None, (f"softmax = {softmax}", given))),
            **MASKS[(number + number // 6) % len(MASKS)]))
    # Tiles that are given; warps with rows of several heads, with rows of all and rows left over.
    for number, (softmax, (tile, heads)) in enumerate(itertools.product(("online", "lazy"), (
            ("q_tile = 64, consumers = 1, packed_heads = 4", (8, 2)),
            ("q_tile = 128, consumers = 2, packed_heads = 4", (12, 3)),
            ("q_tile = 192, consumers = 3, packed_heads = 3", (6, 2)),
            ("q_tile = 64, packed_heads = 8", (16, 2)), ("q_tile = 64, packed_heads = 64, splits = 3", (64, 1)),
            ("q_tile = 64, packed_heads = 7", (14, 2)), ("q_tile = 128, packed_heads = 24", (24, 1))))):
        configurations.append(dict(dtype=torch.bfloat16, d=64, dv=64, heads=heads, form="dense",
                                   schedule=f"softmax = {softmax}, {tile}", **MASKS[1 + number % 3]))
    run.compile_ahead([lambda options=options: _compile(**options) for options in configurations])
    for options in configurations:
        run.case(_name(options), check_sizes, PACKED_SIZES, **options)
    for n_q, d, options in itertools.product((1, 16), (64, 128, 256), (dict(), dict(causal=True))):
        for heads in ((16, 2), (5, 1)):
            run.case(f"{n_q} queries of {heads} heads, 100,000 keys, as the call chooses, d {d} {options}",
                     _check_many_keys, n_q, d, heads=heads, **options)


@group("softmax")
def softmax(run):
    """Scores for which lazy has to raise its reference, or finds none in the first tile."""
    for dtype, kind in itertools.product((torch.bfloat16, torch.float16),
                                         ("online", "lazy", "online, splits = 5", "lazy, splits = 5")):
        schedule = f"softmax = {kind}"
        for growth in (0.02, 0.1, 0.5, 3., 20., -0.1, -20.):
            run.case(f"scores grow by {growth} a key, {dtype}, {kind}", _check_growing, dtype, growth,
                     schedule)
        for amount in (20., 80., 100., 130., 300., 5000.):
            run.case(f"one key {amount} above all, {dtype}, {kind}", _check_spike, dtype, amount,
                     schedule)
        run.case(f"first tile masked, {dtype}, {kind}", _check_first_tile_masked, dtype, schedule)
        for special in (float("nan"), float("inf"), -float("inf")):
            for where in ("q", "k"):
                run.case(f"{special} in {where}, {dtype}, {kind}", _check_special, dtype, special,
                         where, schedule)


def _with_scores(dtype, scores, n, seed):
    """q, k and v of d = 128 where key j has the score scores[j] for all queries, and noise."""
    d = 128
    q = torch.ones(1, 2, n, d, dtype=dtype, device="cuda")
    k = (scores.view(1, 1, n, 1) / d ** 0.5).expand(1, 2, n, d).to(dtype)
    k = k + normal(1, 2, n, d, dtype=dtype, seed=seed) * 0.1
    return q, k, normal(1, 2, n, d, dtype=dtype, seed=seed + 1)


def _check_growing(dtype, growth, schedule):
    judged = Judge()
    for n in (300, 1500):
        scores = growth * torch.arange(n, device="cuda", dtype=torch.float64)
        for causal in (False, True):
            judge(judged, "dense", *_with_scores(dtype, scores, n, n), causal=causal,
                  schedule=schedule)
    judged.verdict()


def _check_spike(dtype, amount, schedule):
    judged = Judge()
    n = 700
    for position in (0, 130, 400, 699):
        scores = torch.zeros(n, device="cuda", dtype=torch.float64)
        scores[position] = amount
        for causal in (False, True):
            judge(judged, "dense", *_with_scores(dtype, scores, n, position), causal=causal,
                  schedule=schedule)
    judged.verdict()


def _check_first_tile_masked(dtype, schedule):
    judged = Judge()
    for n_q, n_k, left in ((700, 700, 3), (700, 900, 130), (900, 700, 64)):
        q, k, v = _problem(dtype, (4, 2), 128, 128, n_q, n_k, left)
        judge(judged, "dense", q * 4, k, v, window=(left, 0), schedule=schedule)
    judged.verdict()


def _check_special(dtype, special, where, schedule):
    """In rows of queries, or in keys that the queries after them see."""
    judged = Judge()
    q, k, v = _problem(dtype, (2, 2), 64, 64, 500, 500, 5)
    target = q if where == "q" else k
    target[0, 0, 333, 7] = special
    target[1, 1, 200, 63] = special
    for causal in (False, True):
        judge(judged, "dense", q, k, v, causal=causal, schedule=schedule)
    judged.verdict()


#===--- Strategies -----------------------------------------------------------------------------===#

STRATEGIES = ("sparse_mma", "gather", "scatter")
CODES = ("codes", "topk", "codes of q")


def _forms_of(strategy):
    return CODES[:2] if strategy == "scatter" else CODES  # it reads codes of the keys, too


def check_strategy(run, strategy):
    """All numbers of features, supports that are not uniform."""
    configurations = list(_configurations_of(strategy))
    run.compile_ahead([lambda options=options: _compile(**options) for options in configurations])
    for options in configurations:
        run.case(_name(options), check_sizes, SIZES, **options)
    for d, softmax_form in itertools.product((64, 128, 256), ("online", "lazy")):
        schedule = f"strategy = {strategy}, softmax = {softmax_form}"
        run.case(f"supports, d {d}, {schedule}", _check_supports, d, schedule)
        run.case(f"two_four, d {d}, {schedule}", _check_two_four, d, schedule)
        run.case(f"20 repeats, d {d}, {schedule}", _check_repeats, d, schedule)


@group("strategies")
def strategies(run):
    check_strategy(run, "sparse_mma")


@group("gather")
def gather(run):
    check_strategy(run, "gather")


@group("scatter")
def scatter(run):
    check_strategy(run, "scatter")


def _configurations_of(strategy):
    # Processes take every few of the cases, and kernels of many features take long to assemble.
    forms = _forms_of(strategy)
    product = itertools.product((1, 2, 4, 8, 13, 16, 32), (64, 128, 256, 16, 80, 112, 192), (torch.bfloat16, torch.float16),
                                ("online", "lazy"))
    for number, (features, d, dtype, softmax_form) in enumerate(product):
        dv = (64, 128, 256, 96)[(number + number // 5) % 4]
        heads = HEADS[(number + number // 3) % 3]
        more = ("", "splits = 3", "packed_heads = 2" if heads[0] // heads[1] % 2 == 0 else "", "grid = tiles")[number // 2 % 4]
        yield dict(dtype=dtype, d=d, dv=dv, heads=heads, form=forms[(number + number // 7) % len(forms)],
                   features=min(features, d),
                   schedule=", ".join(filter(None, (f"strategy = {strategy}", f"softmax = {softmax_form}", more))),
                   **MASKS[(2 * number + number // 6) % len(MASKS)])


def _on_features(x, features):
    """x, but its largest elements are those of `features`."""
    loud = torch.zeros(x.shape[-1], device=x.device)
    loud[list(features)] = 1
    return (x * (1 + 100 * loud)).to(x.dtype) / 100


def _check_supports(d, schedule):
    judged = Judge()
    for seed, features in enumerate((range(8), range(d - 8, d), range(0, 8 * (d // 8), d // 8),
                                     (0, 1, 2, 3, d // 2, d // 2 + 1, d // 2 + 2, d // 2 + 3), (5,), (d - 1,))):
        for dtype in (torch.bfloat16, torch.float16):
            q, k, v = _problem(dtype, (4, 2), d, 64, 300, 300, seed)
            judge(judged, "codes", _on_features(q, features), _on_features(k, features), v, causal=seed % 2 == 0,
                  schedule=schedule)
    judged.verdict()


def _check_two_four(d, schedule):
    judged = Judge()
    for seed, features in enumerate((2, 8, 31)):
        q, k, v = _problem(torch.bfloat16, (4, 2), d, 128, 300, 300, seed)
        codes = sfa.sparsify(q, features, two_four=True)
        with poisoned():
            out, lse = sfa.attention(codes, sfa.sparsify(k, features), v, causal=True, return_lse=True, schedule=schedule)
        judged.add(out, lse, sfa.densify(codes), keep(k, features), v, right=0)
    judged.verdict()


def _check_repeats(d, schedule):
    problem = _problem(torch.bfloat16, (8, 4), d, d, 999, 1111, 7)
    first = None
    for number in range(20):
        with poisoned():
            results = sfa.attention(*problem, topk=8, causal=True, return_lse=True, schedule=schedule)
        first = first or results
        require(all(same_bits(a, b) for a, b in zip(first, results)), f"repeat {number} differs from the first")


@group("random")
def random_configurations(run):
    source = random.Random(run.seed)
    run.note(f"random: seed {run.seed}, {run.count} configurations")
    kernels = [_random_kernel(source) for _ in range(min(run.count, 16 + run.count // 20))]
    run.compile_ahead([lambda options=options: _compile(**options) for options in kernels])
    for number in range(run.count):
        options = kernels[number % len(kernels)]
        sizes = [(source.choice((1, 2, 63, 64, 65, 127, 128, 129, source.randint(1, 700))),
                  source.choice((1, 2, 63, 64, 65, 127, 128, 129, source.randint(1, 700))))
                 for _ in range(2)] + [(150, 150)]
        run.case(f"seed {run.seed}, number {number}: {_name(options)}, sizes {sizes}", check_sizes,
                 sizes, **options)


def _random_kernel(source):
    h_kv = source.choice((1, 2, 3))
    schedule = [source.choice(("", "softmax = online", "softmax = lazy")),
                source.choice(("", "", "grid = tiles", "grid = persistent")),
                f"splits = {source.randint(1, 12)}" if source.random() < 0.3 else ""]
    group = source.choice((1, 2, 4, 5, 7, 8, 16))
    if source.random() < 0.3:
        # 1 is as good as none; others divide the group.
        heads = source.choice([heads for heads in range(1, group + 1) if group % heads == 0])
        schedule.append(f"packed_heads = {heads}")
    d = source.choice((64, 128, 256, source.randrange(16, 257, 8)))
    form = source.choice((*FORMS, EIGHT_BITS))
    features = source.choice((1, 2, 3, 4, 8, 13, 16, 32, 64))
    if form in CODES and source.random() < 0.7:
        strategy = source.choice([strategy for strategy in STRATEGIES if form in _forms_of(strategy)])
        schedule.append(f"strategy = {strategy}")
        if strategy == "gather":
            features = min(features, 32)  # the most that it has registers for
    options = dict(
        dtype=source.choice((torch.bfloat16, torch.float16)), d=d, dv=source.choice((64, 128, 256, source.randrange(16, 257, 8))),
        heads=(h_kv * group, h_kv),
        form=form, features=min(features, d),
        schedule=", ".join(filter(None, schedule)) or None,
        causal=source.random() < 0.4)
    if source.random() < 0.4:
        options["window"] = (source.choice((None, 0, 1, source.randint(0, 400))),
                             source.choice((None, 0, 1, source.randint(0, 400))))
    if source.random() < 0.3:
        options["scale"] = source.choice((0.01, 0.25, -0.1, source.random()))
    return options


@group("real")
def real(run):
    """Queries, keys and values of a trained model: supports that are not uniform."""
    root = pathlib.Path(__file__).resolve().parents[3]
    folders = [root / "test/data"] + [pathlib.Path(folder)
                                      for folder in [os.environ.get("SFA_REAL_DATA")] if folder]
    found = [(folder, layer) for folder in folders
             for layer in sorted({file.name.partition("_")[0] for file in folder.glob("*_q.npy")})]
    if not found:
        run.note(f"real: no data in {folders[0]} and none in the folder SFA_REAL_DATA; skipped")
    for folder, layer in found:
        for softmax_form, form in itertools.product(("online", "lazy"), ("topk", "codes", "dense")):
            run.case(f"{folder.name} {layer} {form} {softmax_form}", _check_real, folder, layer, form,
                     f"softmax = {softmax_form}")


def _read_sample(file):
    """An f16 array; a batch axis is put in front where it has three axes."""
    array = read_npy(file)
    require(array.dtype == torch.float16, f"{file} has elements of {array.dtype}; they have to be f16")
    return (array if array.dim() == 4 else array.unsqueeze(0)).cuda()


def _check_real(folder, layer, form, schedule):
    q, k, v = (_read_sample(folder / f"{layer}_{name}.npy") for name in "qkv")
    for dtype in (torch.float16, torch.bfloat16):
        judged = Judge()
        judge(judged, form, q.to(dtype), k.to(dtype), v.to(dtype), causal=True, schedule=schedule)
        judged.verdict()

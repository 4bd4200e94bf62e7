"""Codes of 8-bit values: how they are made, written out, and attention on them."""

import itertools

import torch

import sfa
from correctness import HEADS, MASKS, SIZES, kernels_of
from harness import Judge, bounds, group, normal, poisoned, require, same_bits
from oracle import TOKENS_OF_SCALE, dequantized, step_of
from sequences import FEW_QUERIES, LENGTHS, Packed

GRANULARITIES = ("tile", "token", "head")


#===--- Making codes ---------------------------------------------------------------------------===#

def largest_of_scales(values, granularity):
    """The largest magnitude of the values that share a scale."""
    rows = values.float().abs().amax(-1)
    if granularity == "token":
        return rows
    if granularity == "head":
        return rows.amax(-1, keepdim=True)
    missing = -rows.shape[-1] % TOKENS_OF_SCALE
    return torch.nn.functional.pad(rows, (0, missing)).unflatten(-1, (-1, TOKENS_OF_SCALE)).amax(-1)


def _check_quantize(dtype, d, k, n, granularity):
    x = normal(2, 3, n, d, dtype=dtype, seed=n + k)
    x[:, 1, ::7] = 0
    if n > 130:
        x[0, 2, :130] = 0
    codes = sfa.sparsify(x, k)
    with poisoned():
        small = sfa.quantize(codes, scales=granularity)
    require(torch.equal(small.indices, codes.indices), "indices have changed")
    largest = largest_of_scales(codes.values, granularity)
    require(small.scales.shape == largest.shape, f"scales of shape {tuple(small.scales.shape)}")
    # By a tensor: a division by a number would multiply with its inverse.
    whole = torch.where(largest == 0, 1.0, largest / torch.full_like(largest, 127))
    if granularity == "token":
        # The search is free in the last bits: its error is the least one but for these.
        values = codes.values.double()
        candidates = largest.double().unsqueeze(-1) / torch.arange(127, 95, -1, device=x.device)
        rounded = (values.unsqueeze(-2) / candidates.clamp_min(1e-30).unsqueeze(-1)).round()
        errors = (rounded * candidates.unsqueeze(-1) - values.unsqueeze(-2)).square().sum(-1)
        ours = (small.values.double() * small.scales.double().unsqueeze(-1) - values).square().sum(-1)
        least = errors.amin(-1)
        require(bool((ours <= least * (1 + 1e-4) + 1e-12).all()), "another scale has a smaller error")
        require(bool((small.scales[largest == 0] == 1).all()), "rows of zeros have another scale than 1")
    else:
        require(torch.equal(small.scales, whole), "scales differ from the largest magnitude / 127")
    tokens = n if granularity == "token" else None
    scales = small.scales if tokens else (
        small.scales.repeat_interleave(TOKENS_OF_SCALE, -1)[..., :n] if granularity == "tile"
        else small.scales.expand(*x.shape[:2], n))
    expected = (codes.values.float() / scales.unsqueeze(-1)).round()
    require(torch.equal(small.values.float(), expected), "integers are not values / scales, rounded")
    with poisoned():
        dense = sfa.densify(small)
    require(same_bits(dense, dequantized(small).to(dtype)), "densify differs from integers times scales")


@group("quantize")
def quantize(run):
    cases = [(dtype, d, k, n, granularity) for dtype in (torch.bfloat16, torch.float16)
             for d, k in ((64, 8), (128, 1), (40, 17), (256, 32)) for n in (1, 127, 500)
             for granularity in GRANULARITIES]
    for case in cases:
        run.case(", ".join(map(str, case)), _check_quantize, *case)
    for case in cases:
        run.case("in one pass, " + ", ".join(map(str, case)), _check_one_pass, *case)
    run.case("no tokens", _check_empty)
    run.case("a NaN and an infinity", _check_not_finite)


def _check_one_pass(dtype, d, k, n, granularity):
    """Values that are rounded where they are selected have the bits of those that are rounded afterwards."""
    x = normal(2, 3, n, d, dtype=dtype, seed=n + k)
    x[:, 1, ::7] = 0
    x[:, 0, ::50] *= 1e-30 if dtype == torch.bfloat16 else 1e-6
    x[0, 2, n // 2, d // 3] = float("nan")
    with poisoned():
        one, other = sfa.sparsify(x, k, values="int8", scales=granularity), sfa.quantize(sfa.sparsify(x, k), granularity)
    for name in ("values", "indices", "scales"):
        require(same_bits(getattr(one, name), getattr(other, name)), f"other {name} than of sfa.quantize")


def _check_empty():
    for granularity in GRANULARITIES:
        codes = sfa.sparsify(normal(1, 2, 0, 64, dtype=torch.bfloat16, seed=1), 8, values="int8", scales=granularity)
        require(codes.values.shape == (1, 2, 0, 8), "no tokens give some")


def _check_not_finite():
    for bad, granularity in itertools.product((float("nan"), float("inf")), GRANULARITIES):
        q, k, v = (normal(1, 1, 300, 64, dtype=torch.bfloat16, seed=s) for s in range(3))
        k[0, 0, 140, 3] = bad
        codes = sfa.sparsify(k, 8, values="int8", scales=granularity)
        out = sfa.attention(sfa.sparsify(q, 8, values="int8", scales="token"), codes, v, causal=True)
        first = {"tile": 128, "token": 140, "head": 0}[granularity]
        # Rows that see the key, or one that shares its scale.
        require(bool(out[0, 0, max(first, 140):].isnan().all()), f"{bad} does not show with scales of a {granularity}")
        require(bool(out[0, 0, :first].isfinite().all()), f"{bad} shows in rows that do not see it ({granularity})")


#===--- Attention ------------------------------------------------------------------------------===#

def judge(judged, q, k, v, scales, features=8, causal=False, window=None, schedule=None, **options):
    """Attention on codes whose values are rounded to 8 bits, against the oracle of these very codes."""
    q_codes = sfa.sparsify(q, features, values="int8", scales=scales[0])
    k_codes = sfa.sparsify(k, features, values="int8", scales=scales[1])
    alone = None
    for return_lse in kernels_of(schedule):
        with poisoned():
            results = sfa.attention(q_codes, k_codes, v, causal=causal, window=window, schedule=schedule,
                                    return_lse=return_lse, **options)
        if return_lse:
            out, lse = results
        else:
            alone = results
    left, right = bounds(causal, window)
    judged.add(out, lse, dequantized(q_codes), dequantized(k_codes), v, left=left, right=right, alone=alone,
               step=step_of(q_codes, k_codes))


def _problem(dtype, heads, d, dv, n_q, n_k, seed):
    batch = 2 if n_q < 1000 else 1
    return (normal(batch, heads[0], n_q, d, dtype=dtype, seed=seed), normal(batch, heads[1], n_k, d, dtype=dtype, seed=seed + 1),
            normal(batch, heads[1], n_k, dv, dtype=dtype, seed=seed + 2))


def check(sizes, dtype, heads, d, dv, scales, **options):
    judged = Judge()
    for seed, (n_q, n_k) in enumerate(sizes):
        judge(judged, *_problem(dtype, heads, d, dv, n_q, n_k, 10 * seed), scales, **options)
    judged.verdict()


# Of the query and of the key.
PAIRS = (("token", "tile"), ("token", "token"), ("head", "head"), ("tile", "tile"), ("tile", "token"), ("token", "head"))
SHAPES = ((64, 64), (128, 128), (256, 256), (128, 64), (256, 64), (64, 256), (40, 40), (80, 80), (24, 72), (248, 136), (192, 128))


def _configurations():
    product = itertools.product(SHAPES, (torch.bfloat16, torch.float16), ("online", "lazy"), range(2))
    for number, ((d, dv), dtype, softmax, turn) in enumerate(product):
        heads = HEADS[(number + number // 3) % 3]
        more = ("", ", splits = 3", f", packed_heads = {heads[0] // heads[1]}", ", k_tile = 48", ", k_tile = 64")[(number + number // 5) % 5]
        yield dict(dtype=dtype, d=d, dv=dv, heads=heads, scales=PAIRS[(number + number // 4 + turn) % len(PAIRS)],
                   schedule=f"softmax = {softmax}{more}", features=(8, 3, 16)[number % 3], **MASKS[(2 * number + turn) % len(MASKS)])


def _name(options):
    return ", ".join(f"{key} {str(value).removeprefix('torch.')}" for key, value in options.items())


def _compile(dtype, heads, d, dv, scales, features, schedule, **options):
    q, k, v = _problem(dtype, heads, d, dv, 1, 1, 0)
    for return_lse in kernels_of(schedule):
        sfa.attention(sfa.sparsify(q, features, values="int8", scales=scales[0]),
                      sfa.sparsify(k, features, values="int8", scales=scales[1]), v, schedule=schedule, return_lse=return_lse,
                      **options)


@group("integers")
def integers(run):
    configurations = [*_configurations()]
    run.compile_ahead([lambda options=options: _compile(**options) for options in configurations])
    for options in configurations:
        run.case(_name(options), check, SIZES, **options)
    for d, scales in itertools.product((64, 128, 256), PAIRS[:3]):
        run.case(f"as the compiler chooses, d {d}, scales {scales}", check, SIZES, torch.bfloat16, (4, 2), d, d, scales, causal=True)
    for lengths in (*LENGTHS, *FEW_QUERIES):
        for d, scales in itertools.product((64, 128), PAIRS[:2]):
            run.case(f"sequences {lengths[:4]}, d {d}, scales {scales}", _check_sequences, lengths, d, scales)
    run.case("topk and codes have the same bits", _check_topk)
    for d in (64, 128, 256):
        run.case(f"the same bits in 50 calls, d {d}", _check_repeats, d)


def _check_sequences(lengths, d, scales):
    packed = Packed(lengths, torch.bfloat16, (4, 2), d, d, seed=d)
    q_codes = sfa.sparsify(packed.q, 8, values="int8", scales=scales[0])
    k_codes = sfa.sparsify(packed.k, 8, values="int8", scales=scales[1])
    with poisoned():
        out, lse = sfa.attention(q_codes, k_codes, packed.v, causal=True, cu_seqlens=packed.offsets(), return_lse=True)
    q, k = dequantized(q_codes), dequantized(k_codes)
    judged = Judge()
    for s in range(len(lengths)):
        queries, keys = packed.rows(s)
        judged.add(out[:, :, queries], lse[:, :, queries], q[:, :, queries], k[:, :, keys], packed.v[:, :, keys], right=0,
                   step=step_of(q_codes, k_codes))
    judged.verdict()


def _check_topk():
    q, k, v = _problem(torch.bfloat16, (4, 2), 128, 128, 700, 700, 5)
    whole = sfa.attention(q, k, v, topk=8, values="int8", causal=True)
    codes = sfa.attention(sfa.sparsify(q, 8, values="int8", scales="token"), sfa.sparsify(k, 8, values="int8", scales="tile"), v,
                          causal=True)
    require(same_bits(whole, codes), "attention with topk and on codes differ")


def _check_repeats(d):
    q, k, v = _problem(torch.bfloat16, (4, 4), d, d, 3000, 3000, 7)
    codes = [sfa.sparsify(x, 8, values="int8", scales=s) for x, s in ((q, "token"), (k, "tile"))]
    first = sfa.attention(*codes, v, causal=True)
    for _ in range(49):
        require(same_bits(sfa.attention(*codes, v, causal=True), first), "a call has other bits")

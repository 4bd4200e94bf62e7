"""The paged cache: append, decode, copies of pages, graphs."""

import itertools
import math

import torch

import sfa
from harness import Judge, group, normal, poisoned, require, same_bits

WILD = -2**31


def _codes_of(x, k):
    """x in its dtype with all but the k features of largest magnitude 0; equal ones keep the lower feature."""
    if k is None:
        return x
    order = x.double().abs().argsort(dim=-1, descending=True, stable=True)[..., :k]
    return torch.zeros_like(x).scatter(-1, order, x.gather(-1, order))


class Cached:
    """Sequences in pages in random order. What no token is in is NaN, and the rest of the table is wild."""

    def __init__(self, lengths, *, h_kv=2, d=128, dv=None, topk=8, page_size=64, dtype=torch.bfloat16, seed=1, step=4096):
        self.lengths, self.topk, self.seed = lengths, topk, seed
        dv = dv or d
        counts = [-(-length // page_size) for length in lengths]
        order = torch.randperm(sum(counts) + 3, generator=torch.Generator().manual_seed(seed)).tolist()
        self.cache = sfa.KVCache(len(order), h_kv, d, dv, topk=topk, page_size=page_size, dtype=dtype)
        self.cache.pages.fill_(255)
        table = torch.full((len(lengths), max(counts) + 1), WILD, dtype=torch.int32)
        for row, count in zip(table, counts):
            row[:count] = torch.tensor([order.pop() for _ in range(count)], dtype=torch.int32)
        self.table = table.cuda()
        self.seqlens = torch.tensor(lengths, dtype=torch.int32, device="cuda")
        self.keys = [normal(1, h_kv, n, d, dtype=dtype, seed=seed + 2 * i) for i, n in enumerate(lengths)]
        self.values = [normal(1, h_kv, n, dv, dtype=dtype, seed=seed + 2 * i + 1) for i, n in enumerate(lengths)]
        for i, length in enumerate(lengths):
            for begin in range(0, length, step):
                end = min(begin + step, length)
                self.cache.append(self.keys[i][:, :, begin:end], self.values[i][:, :, begin:end], self.table[i:i + 1],
                                  torch.tensor([end], dtype=torch.int32, device="cuda"))
        self.q_shape = (d, dtype)

    def queries(self, heads, tokens):
        d, dtype = self.q_shape
        return normal(len(self.lengths), heads, tokens, d, dtype=dtype, seed=self.seed + 1000)


def _check(lengths, heads, tokens=1, window=None, schedule=None, **options):
    problem = Cached(lengths, **options)
    q = problem.queries(heads, tokens)
    left = None if window is None else window[0]
    attend = lambda which=slice(None): sfa.decode(
        q[which].clone(), problem.cache, problem.table[which].clone(), problem.seqlens[which].clone(), window=window, return_lse=True)
    with poisoned():
        out, lse = attend()
        without = sfa.decode(q, problem.cache, problem.table, problem.seqlens, window=window)
    require(same_bits(out, without), "other results without the log-sum-exp")
    judged = Judge()
    for i, length in enumerate(lengths):
        if length == 0:
            require(bool((out[i] == 0).all()) and bool((lse[i] == -math.inf).all()), "an empty sequence gives no zeros")
            continue
        judged.add(out[i:i + 1], lse[i:i + 1], _codes_of(q[i:i + 1], problem.topk), _codes_of(problem.keys[i], problem.topk),
                   problem.values[i], left=left, right=0)
    judged.verdict()
    for _ in range(3):
        require(same_bits(out, attend()[0]), "other bits in another run")
    longest = max(range(len(lengths)), key=lambda i: lengths[i])
    require(same_bits(attend(slice(longest, longest + 1))[0][0], out[longest]), "other bits alone than in a batch")
    require(same_bits(attend(torch.arange(len(lengths) - 1, -1, -1, device="cuda"))[0].flip(0), out),
            "other bits in another order of the batch")


EDGES = [1, 15, 16, 17, 63, 64, 65, 127, 128, 129, 0, 300, 1000, 4095, 4096]
CASES = [
    *(dict(lengths=EDGES, heads=4, h_kv=1, page_size=size) for size in (16, 32, 64, 128)),
    *(dict(lengths=[1777, 64, 2, 600], heads=8, topk=k, page_size=size) for k, size in
      itertools.product((1, 2, 3, 4, 16, 32, None), (16, 64))),
    *(dict(lengths=[1777, 64, 2], heads=8, d=d, dv=dv) for d, dv in
      ((16, 16), (64, 64), (80, 96), (64, 128), (128, 64), (256, 256), (192, 128))),
    *(dict(lengths=[900, 64], heads=group, h_kv=1, d=64) for group in (1, 2, 3, 5, 7, 12, 16, 17, 24, 32, 64)),
    *(dict(lengths=[1777, 64, 2], heads=heads, tokens=tokens, h_kv=2) for heads, tokens in
      ((8, 2), (8, 4), (8, 5), (2, 16), (32, 3), (10, 7))),
    dict(lengths=[1777, 64, 2], heads=8, dtype=torch.float16), dict(lengths=[1777, 64], heads=8, d=256, topk=None),
    dict(lengths=[5000, 4097, 513, 16385], heads=4), dict(lengths=[70000, 3], heads=4, h_kv=1),
    dict(lengths=[140000, 65537], heads=2, h_kv=1, d=64, page_size=16), dict(lengths=[20000, 70000, 16384], heads=24, h_kv=2, d=64),
    dict(lengths=[5000, 70, 600], heads=8, window=(100, 0), tokens=2), dict(lengths=[70000], heads=8, window=(9000, 0), tokens=3),
    dict(lengths=[100] * 300 + [1500], heads=4, h_kv=1, d=64), dict(lengths=[33] * 2500 + [150], heads=2, h_kv=1, d=64, page_size=16),
]


@group("cache")
def cache(run):
    """Decoding from pages against fp64; the same bits in each run, batch and order."""
    for case in CASES:
        name = ", ".join(f"{key} = {value if not isinstance(value, list) or len(value) < 9 else f'{len(value)} lengths'}"
                         for key, value in case.items())
        run.case(name, _check, **case)
    run.case("a million keys", _check_million)
    run.case("a graph with other lengths and tables", _check_graph)
    run.case("wild lengths, tables and pages stay within the pool", _check_wild)
    run.case("append in place of tokens one by one", _check_append)


def _check_million():
    _check([1_000_000], heads=2, h_kv=1, d=64, topk=4)


def _check_graph():
    problem = Cached([500, 64, 1300], h_kv=2, d=64)
    q = problem.queries(8, 1)
    k, v = (normal(3, 2, 1, 64, dtype=torch.bfloat16, seed=seed) for seed in (5, 6))
    table, seqlens = problem.table.clone(), problem.seqlens.clone()
    step = lambda: (problem.cache.append(k, v, table, seqlens), sfa.decode(q, problem.cache, table, seqlens))[1]
    seqlens.sub_(1)
    step()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = step()
    for change in (lambda: None, lambda: seqlens.sub_(37), lambda: (table.copy_(problem.table.flip(0)), seqlens.copy_(problem.seqlens.flip(0) - 1))):
        change()
        graph.replay()
        require(same_bits(out, sfa.decode(q, problem.cache, table, seqlens)), "a replay differs from a call")


def _check_wild():
    problem = Cached([500, 64], h_kv=1, d=64)
    q = problem.queries(4, 1)
    for lengths, table in itertools.product(([2**31 - 1, -5], [10**6, 3]), (WILD, 2**31 - 1, 0)):
        sfa.decode(q, problem.cache, torch.full_like(problem.table, table),
                   torch.tensor(lengths, dtype=torch.int32, device="cuda"))
    torch.cuda.synchronize()


def _check_append():
    """Tokens one by one, by slots and by tables, give the bytes of one append."""
    whole = Cached([129, 40], h_kv=2, d=128, page_size=16)
    parts = Cached([129, 40], h_kv=2, d=128, page_size=16, step=1)
    require(torch.equal(whole.cache.pages, parts.cache.pages), "other bytes token by token")
    slots = Cached([129, 40], h_kv=2, d=128, page_size=16)
    slots.cache.pages.fill_(255)
    for i, length in enumerate(slots.lengths):
        at = torch.arange(length, device="cuda")
        where = slots.table[i].long()[at // 16] * 16 + at % 16
        slots.cache.append(slots.keys[i], slots.values[i], where)
    require(torch.equal(whole.cache.pages, slots.cache.pages), "other bytes by slots")

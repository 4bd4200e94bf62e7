"""The paged cache: all ways to append, options of decode, forks, a graph that goes on to another page, torch.compile."""

import torch

import sfa
from harness import Judge, group, normal, poisoned, require, same_bits
from oracle import keep

LENGTHS = [1, 0, 63, 64, 65, 300, 1000, 5000, 17]


class Paged:
    """Sequences in pages in random order; all that no token is in, and the rest of the table, is poison."""

    def __init__(self, lengths, *, h_kv=2, d=128, dv=128, topk=8, page_size=64, dtype=torch.bfloat16, seed=1, spare=5):
        self.lengths, self.topk, self.seed, self.dtype = lengths, topk, seed, dtype
        counts = [-(-length // page_size) for length in lengths]
        generator = torch.Generator().manual_seed(seed)
        pages = torch.randperm(sum(counts) + spare, generator=generator).tolist()
        self.cache = sfa.KVCache(len(pages), h_kv, d, dv, topk=topk, page_size=page_size, dtype=dtype)
        self.cache.pages.fill_(255)
        table = torch.full((len(lengths), max(counts) + 1), -2**31, dtype=torch.int32)
        for row, count in zip(table, counts):
            row[:count] = torch.tensor([pages.pop() for _ in range(count)], dtype=torch.int32)
        self.table = table.cuda()
        self.seqlens = torch.tensor(lengths, dtype=torch.int32, device="cuda")
        self.keys = [normal(1, h_kv, n, d, dtype=dtype, seed=seed + 2 * i) for i, n in enumerate(lengths)]
        self.values = [normal(1, h_kv, n, dv, dtype=dtype, seed=seed + 2 * i + 1) for i, n in enumerate(lengths)]

    def fill(self, step=None, codes=False, slots=False):
        """Appends each sequence, in pieces of `step` tokens."""
        size = self.cache.page_size
        for row, k, v, length in zip(range(len(self.lengths)), self.keys, self.values, self.lengths):
            for begin in range(0, length, step or max(length, 1)):
                end = min(begin + (step or length), length)
                new, values = k[:, :, begin:end], v[:, :, begin:end]
                if codes:
                    new = sfa.sparsify(new, self.topk)
                if slots:
                    places = torch.arange(begin, end, device="cuda")
                    self.cache.append(new, values, self.table[row].long()[places // size] * size + places % size)
                else:
                    ends = torch.tensor([end], dtype=torch.int32, device="cuda")
                    self.cache.append(new, values, self.table[row:row + 1], ends)
        return self

    def kept_keys(self, i):
        return self.keys[i] if self.topk is None else keep(self.keys[i], self.topk)

    def q(self, heads, tokens, seed=77):
        return normal(len(self.lengths), heads, tokens, self.cache.d, dtype=self.dtype, seed=seed)

    def judge(self, heads, tokens, query_topk="same", left=None, scale=None):
        q = self.q(heads, tokens)
        window = None if left is None else (left, 0)
        options = dict(query_topk=query_topk, scale=scale, window=window)
        with poisoned():
            out, lse = sfa.decode(q, self.cache, self.table, self.seqlens, return_lse=True, **options)
            alone = sfa.decode(q, self.cache, self.table, self.seqlens, **options)
        kept = self.topk if query_topk == "same" else query_topk
        judge = Judge()
        for i, v in enumerate(self.values):
            part = slice(i, i + 1)
            rows = q[part] if kept is None else keep(q[part], kept)
            judge.add(out[part], lse[part], rows, self.kept_keys(i), v, scale=scale, left=left, right=0, alone=alone[part])
        judge.verdict()


@group("paged")
def paged(run):
    for topk in (8, 16, 2, None):
        for size in (16, 32, 64, 128):
            run.case(f"append, topk {topk}, pages of {size}", _check_append, topk, size)
    for tokens in (16, 40):
        run.case(f"{tokens} new tokens", _check_options, tokens=tokens)
    for left in (0, 100, 9000):
        run.case(f"decode, window {left}", _check_options, left=left)
    for query_topk in (1, 32, None):
        run.case(f"decode, queries of {query_topk}", _check_options, query_topk=query_topk)
    for scale in (0.3, -0.2):
        run.case(f"decode, scale {scale}", _check_options, scale=scale)
    run.case("places that are not there", _check_outside)
    run.case("forks", _check_forks)
    run.case("capture and replay", _check_graph)
    run.case("torch.compile", _check_compile)


def _check_options(tokens=2, **options):
    Paged(LENGTHS).fill().judge(8, tokens, **options)


def _check_append(topk, size):
    """All ways to append write the same bytes, those of the oracle, and nothing else."""
    first = Paged([1, 0, 70, 64, 129], topk=topk, page_size=size).fill()
    ways = [dict(step=1), dict(step=37), dict(slots=True), dict(slots=True, step=5)]
    if topk is not None:
        ways += [dict(codes=True), dict(codes=True, slots=True)]
    for way in ways:
        other = Paged(first.lengths, topk=topk, page_size=size).fill(**way)
        require(torch.equal(first.cache.pages, other.cache.pages), f"append by {way} writes other bytes")
    places = torch.arange(129, device="cuda")
    for i, length in enumerate(first.lengths):
        page, place = first.table[i].long()[places[:length] // size], places[:length] % size
        values = first.cache.key_values[page, :, place].transpose(0, 1)[None]
        if topk is None:
            require(same_bits(values, first.keys[i]), "keys are not those that were given")
        else:
            features = first.cache.key_indices[page, :, place].transpose(0, 1)[None].long()
            dense = torch.zeros_like(first.keys[i]).scatter_(-1, features, values)
            require(torch.equal(dense, keep(first.keys[i], topk)), "codes are not those of the keys")
        require(same_bits(first.cache.values[page, :, place].transpose(0, 1)[None], first.values[i]), "values are wrong")
    written = int((~first.cache.values.isnan()).any(-1).sum())
    require(written == 2 * sum(first.lengths), f"{written} rows were written, not {2 * sum(first.lengths)}")


def _check_outside():
    problem = Paged([5], page_size=16)
    cache, before = problem.cache, problem.cache.pages.clone()
    k, v = (normal(3, 2, 8, 128, dtype=torch.bfloat16, seed=seed) for seed in (1, 2))
    page = int(problem.table[0, 0])

    def int32(values):
        return torch.tensor(values, dtype=torch.int32, device="cuda")

    cache.append(k, v, int32([[page], [cache.num_pages], [-1]]), int32([3, 8, 8]))
    require(same_bits(cache.values[page, :, :3], v[0, :, 5:]), "tokens with a place were not written")
    before[page] = cache.pages[page]
    require(torch.equal(cache.pages, before), "tokens without a place were written")
    cache.append(k[:1], v[:1], torch.tensor([-1, -2**62, 16 * cache.num_pages, 2**62, -1, -1, -1, -1], device="cuda"))
    require(torch.equal(cache.pages, before), "slots without a place were written")
    cache.pages.zero_()
    out = sfa.decode(problem.q(4, 1), cache, int32([[2**31 - 1, -5]]), int32([2**31 - 1]))
    require(bool((out == 0).all()), "a wild table")
    out, lse = sfa.decode(problem.q(4, 1), cache, int32([[0]]), int32([-9]), return_lse=True)
    require(bool((out == 0).all()) and bool((lse == -float("inf")).all()), "a negative length")


def _check_forks():
    problem = Paged([1000, 70, 4000]).fill()
    q = problem.q(8, 1)
    out = sfa.decode(q, problem.cache, problem.table, problem.seqlens)
    for i in range(3):
        part = slice(i, i + 1)
        alone = sfa.decode(q[part], problem.cache, problem.table[part].contiguous(), problem.seqlens[part])
        require(same_bits(out[part], alone), "other bits alone than in a batch")
    used = set(problem.table[problem.table >= 0].tolist())
    spare = [page for page in range(problem.cache.num_pages) if page not in used][:2]
    target = torch.tensor(spare, dtype=torch.int32, device="cuda")
    source = problem.table[2, 3:5].clone()
    problem.cache.copy_pages(source, target)
    problem.cache.pages[source.long()] = 255
    problem.table[2, 3:5] = target
    require(same_bits(out, sfa.decode(q, problem.cache, problem.table, problem.seqlens)), "other bits from copied pages")


def _step(problem, q, k, v):
    problem.cache.append(k, v, problem.table, problem.seqlens)
    return sfa.decode(q, problem.cache, problem.table, problem.seqlens, return_lse=True)


def _new(problem, seed):
    batch = len(problem.lengths)
    return [normal(batch, heads, 1, 128, dtype=torch.bfloat16, seed=seed + heads) for heads in (8, 2, 2)]


def _check_graph():
    """One capture serves lengths that grow, beyond a page too."""
    one, two = (Paged([66, 1000, 13]).fill() for _ in range(2))
    for problem in (one, two):
        problem.seqlens -= torch.tensor([4, 0, 8], dtype=torch.int32, device="cuda")
    inputs = _new(one, 5)
    for problem in (one, two):
        _step(problem, *inputs)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        results = _step(one, *inputs)
    for step in range(4):
        for target, source in zip(inputs, _new(one, 100 + step)):
            target.copy_(source)
        for problem in (one, two):
            problem.seqlens += torch.tensor([1, 0, 2], dtype=torch.int32, device="cuda")
        graph.replay()
        for replayed, eager in zip(results, _step(two, *inputs)):
            require(same_bits(replayed, eager), f"step {step} of a graph has other bits")


def _check_compile():
    one, two = (Paged([60, 1000, 5]).fill() for _ in range(2))
    compiled = torch.compile(_step, fullgraph=True)
    for step in range(2):
        inputs = _new(one, step)
        for eager, traced in zip(_step(one, *inputs), compiled(two, *inputs)):
            require(same_bits(eager, traced), "torch.compile has other bits")
        require(torch.equal(one.cache.pages, two.cache.pages), "torch.compile writes other bytes")

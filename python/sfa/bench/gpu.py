"""The measurements on a GPU: attention, its schedules, sequences of several lengths, decoding, sparsify."""

import contextlib
import itertools
import math
import os
import random

import torch

import sfa
from sfa._plan import PlanTable
from sfa._torch import use_plans
from .peers import CUDNN, PEERS, flash2_of_sequences
from .problem import Problem
from .timing import Contestant, last_rows, make_check, measure

DTYPES = {"bf16": torch.bfloat16, "f16": torch.float16}


class Chip:
    """The package as it is when it compiles for `name`; plans of one chip are of no use to another."""

    def __init__(self, name):
        self.name, self.plans = name, PlanTable()

    @contextlib.contextmanager
    def __call__(self):
        knob = os.environ.get("SFA_CHIP")
        os.environ["SFA_CHIP"] = self.name
        try:
            with use_plans(self.plans):
                yield
        finally:
            if knob is None:
                del os.environ["SFA_CHIP"]
            else:
                os.environ["SFA_CHIP"] = knob

    def bound(self, function):
        """`function` under this chip. The switch takes a microsecond, and that on the host."""
        def call():
            with self():
                return function()
        return call


def native_chips():
    """The chip of this device, and sm_80, whose PTX runs on all later ones."""
    return ["sm_90a", "sm_80"] if torch.cuda.get_device_capability() == (9, 0) else ["sm_80"]


def _each_size(options, make_table):
    """Yields what `make_table` makes of each n, d and mask."""
    chips = [Chip(name) for name in options.chip or native_chips()]
    for d in options.d:
        heads = max(1, options.heads_total // d)
        for n in options.n:
            for causal in options.causal:
                yield make_table(options, chips, heads, n, d, causal)
                torch.cuda.empty_cache()


def attention(options):
    """Yields a table for each n, d and mask."""
    return _each_size(options, _attention_table)


def _attention_table(options, chips, heads, n, d, causal):
    dtype, k_features = DTYPES[options.dtype], min(options.k, d)
    generator = torch.Generator("cuda").manual_seed(options.seed)
    title = (f"attention, batch {options.batch}, {heads} heads, {n} tokens, d = dv = {d}, "
             f"{options.dtype}, {'causal' if causal else 'no mask'}, codes of {k_features}")
    record = dict(op="attention", batch=options.batch, heads=heads, n=n, d=d, causal=causal,
                  k=k_features, dtype=options.dtype, values=options.values, scales=options.scales)
    try:
        raw = [torch.randn(options.batch, heads, n, d, generator=generator, device="cuda").to(dtype)
               for _ in range(3)]
        problem = Problem(raw, k_features, causal, options.scales)
    except Exception as error:
        return title, record, [], f"n/a ({' '.join(str(error).split())[:200]})"
    contestants = []
    for chip, softmax, form in itertools.product(chips, options.softmax, problem.forms):
        call = lambda f=form, s=f"softmax = {softmax}": problem.attend(f, s)
        name = f"sfa {form}, {softmax}, {chip.name}"
        contestants.append(Contestant(name, lambda c=chip, f=call: c.bound(f), problem.check(name, form), "sfa"))
    for name, make in PEERS.items():
        contestants.append(Contestant(name, lambda m=make: m(problem.q, problem.k, problem.v, causal), problem.check(name)))
    measure(contestants, options.repeats)
    flops = 4 * options.batch * heads * n * n * d / (2 if causal else 1)
    peers = [c for c in contestants if c.group == "peer" and c.milliseconds]
    best = min((c.milliseconds for c in peers), default=None)
    cudnn = next((c.milliseconds for c in peers if c.name == CUDNN), None)
    rows = []
    for contestant in contestants:
        time = contestant.milliseconds
        own, quantization = problem.errors.get(contestant.name, (None, None))
        rows.append(dict(
            name=contestant.name, group=contestant.group, ms=time, reason=contestant.reason, error=own,
            quantization=quantization, tflops=time and flops / time / 1e9, best_peer=time and best and best / time,
            cudnn=time and cudnn and cudnn / time,
            samples=contestant.samples))
    return title, record, rows, None


def schedules(options):
    """Yields a table for each n, d and mask: what the compiler chooses against the schedules given, on dense
    operands, to tell what a technique is worth."""
    return _each_size(options, _schedules_table)


def _schedules_table(options, chips, heads, n, d, causal):
    dtype = DTYPES[options.dtype]
    title = (f"schedules, batch {options.batch}, {heads} heads, {n} tokens, d = dv = {d}, "
             f"{options.dtype}, {'causal' if causal else 'no mask'}, dense")
    record = dict(op="schedules", batch=options.batch, heads=heads, n=n, d=d, causal=causal, dtype=options.dtype)
    try:
        generator = torch.Generator("cuda").manual_seed(options.seed)
        q, k, v = (torch.randn(options.batch, heads, n, d, generator=generator, device="cuda").to(dtype)
                   for _ in range(3))
        check = make_check(last_rows(q, k, v)(causal))
    except Exception as error:
        return title, record, [], f"n/a ({' '.join(str(error).split())[:200]})"
    contestants = []
    for chip in chips:
        for schedule in ["", *options.schedule]:
            call = lambda s=schedule or None: sfa.attention(q, k, v, causal=causal, schedule=s)
            contestants.append(Contestant(f"{schedule or 'as chosen'}, {chip.name}",
                                          lambda c=chip, f=call: c.bound(f), check, chip.name))
    contestants.append(Contestant(CUDNN, lambda: PEERS[CUDNN](q, k, v, causal), check))
    measure(contestants, options.repeats)
    flops = 4 * options.batch * heads * n * n * d / (2 if causal else 1)
    chosen = {c.group: c.milliseconds for c in reversed(contestants)}
    rows = [dict(name=c.name, ms=c.milliseconds, reason=c.reason, samples=c.samples,
                 tflops=c.milliseconds and flops / c.milliseconds / 1e9,
                 chosen=c.milliseconds and c.group != "peer" and chosen[c.group] and chosen[c.group] / c.milliseconds or None,
                 cudnn=c.milliseconds and chosen["peer"] and chosen["peer"] / c.milliseconds) for c in contestants]
    return title, record, rows, None


def varlen(options):
    """Yields a table for each n, d and mask: sequences of log-uniform lengths in one tensor, against
    ones of equal lengths that are as much work."""
    return _each_size(options, _varlen_table)


def _log_uniform_lengths(n, seed):
    """Lengths from 16 to n / 4 that add up to n."""
    source = random.Random(seed)
    lengths: list[int] = []
    while (rest := n - sum(lengths)) > 0:
        lengths.append(min(rest, round(math.exp(source.uniform(math.log(16), math.log(max(16, n // 4)))))))
    return lengths


def _equal_lengths(lengths):
    """As many tokens, in sequences whose squares add up to the same but for rounding."""
    n = sum(lengths)
    count = max(1, round(n * n / sum(length * length for length in lengths)))
    return [n // count + (number < n % count) for number in range(count)]


def _varlen_table(options, chips, heads, n, d, causal):
    dtype, k_features = DTYPES[options.dtype], min(options.k, d)
    lengths = _log_uniform_lengths(n, options.seed)
    kinds = {"log-uniform": lengths, "equal": _equal_lengths(lengths)}
    title = (f"varlen, {heads} heads, {n} tokens in " + " or ".join(
        f"{len(kind)} sequences of {name} lengths up to {max(kind)}" for name, kind in kinds.items())
        + f", d = dv = {d}, {options.dtype}, {'causal' if causal else 'no mask'}, codes of {k_features}")
    record = dict(op="varlen", heads=heads, n=n, d=d, causal=causal, k=k_features, dtype=options.dtype,
                  lengths=lengths)
    try:
        generator = torch.Generator("cuda").manual_seed(options.seed)
        q, k, v = (torch.randn(1, heads, n, d, generator=generator, device="cuda").to(dtype)
                   for _ in range(3))
        q_codes, k_codes = sfa.sparsify(q, k_features), sfa.sparsify(k, k_features)
        offsets = {name: torch.tensor([0, *itertools.accumulate(kind)], dtype=torch.int32, device="cuda")
                   for name, kind in kinds.items()}
    except Exception as error:
        return title, record, [], f"n/a ({' '.join(str(error).split())[:200]})"
    contestants = []
    for chip, softmax, kind in itertools.product(chips, options.softmax, kinds):
        call = lambda s=f"softmax = {softmax}", o=offsets[kind]: sfa.attention(
            q_codes, k_codes, v, causal=causal, schedule=s, cu_seqlens=o)
        contestants.append((kind, Contestant(f"{kind}, {softmax}, {chip.name}",
                                             lambda c=chip, f=call: c.bound(f), group="sfa")))
    measure([contestant for _, contestant in contestants], options.repeats)
    rows = []
    for kind, contestant in contestants:
        pairs = sum(length * length for length in kinds[kind])
        time = contestant.milliseconds
        rows.append(dict(name=contestant.name, ms=time, reason=contestant.reason, samples=contestant.samples,
                         tflops=time and 4 * heads * pairs * d / (2 if causal else 1) / time / 1e9))
    for uneven, even in zip(rows[::2], rows[1::2]):
        uneven["equal"] = uneven["ms"] and even["ms"] and uneven["tflops"] / even["tflops"]
        even["equal"] = None
    return title, record, rows, None


def decode(options):
    """Yields a table for each d, n and number of queries: a few new queries against n keys, by the number
    of splits of the keys. What bounds it is reading keys and values."""
    chips = [Chip(name) for name in options.chip or native_chips()]
    make_table = _uneven_decode_table if options.uneven else _decode_table
    for d, n, queries in itertools.product(options.d, options.n, options.queries):
        # As many heads of keys as there are whole groups.
        kv_heads = max(1, options.heads_total // d // options.group)
        yield make_table(options, chips, kv_heads * options.group, kv_heads, n, d, queries)
        torch.cuda.empty_cache()


def _cache_of(k, v, lengths, page_size, topk):
    """The keys and values of sequences, each [1, heads, n, d], in pages in random order: a cache, its table and lengths."""
    counts = [-(-n // page_size) for n in lengths]
    cache = sfa.KVCache(sum(counts), k[0].shape[1], k[0].shape[3], v[0].shape[3], topk=topk, page_size=page_size, dtype=k[0].dtype)
    order = torch.randperm(sum(counts), generator=torch.Generator().manual_seed(0)).to(torch.int32)
    table = torch.zeros(len(lengths), max(counts), dtype=torch.int32)
    for row, pages in zip(table, order.split(counts)):
        row[:len(pages)] = pages
    table, seqlens = table.cuda(), torch.tensor(lengths, dtype=torch.int32, device="cuda")
    for i, (keys, values) in enumerate(zip(k, v)):
        cache.append(keys, values, table[i:i + 1], seqlens[i:i + 1])
    return cache, table, seqlens


def _cache_contestants(chips, q, k, v, topk):
    """Decoding from pages: q [sequences, heads, queries, d], k and v lists of [1, heads, n, d]. Keys and queries are codes; what they
    should give is attention in fp64 on these written out."""
    lengths = [x.shape[2] for x in k]
    written = lambda x: sfa.sparsify(x, topk).dense()
    expected = torch.cat([last_rows(written(q[i:i + 1]), written(k[i]), v[i])(True) for i in range(len(k))])
    contestants = []
    for page_size, keep in ((64, topk), (16, topk), (64, None)):
        check = make_check(expected) if keep else None
        cache, table, seqlens = _cache_of(k, v, lengths, page_size, keep)
        read = sum(lengths) * cache.h_kv * cache.bytes_per_token
        for chip in chips:
            name = f"sfa cache, {f'codes of {keep}' if keep else 'dense keys'}, pages of {page_size}, {chip.name}"
            call = lambda cache=cache, table=table, seqlens=seqlens: sfa.decode(q, cache, table, seqlens)
            contestant = Contestant(name, lambda c=chip, f=call: c.bound(f), check, "sfa")
            contestant.read = read
            contestants.append(contestant)
    return contestants


def _copy_contestant():
    """What a copy of the device reaches."""
    source = torch.empty(2**29, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    contestant = Contestant("copy of memory", lambda: lambda: target.copy_(source), None, "copy")
    contestant.read = 2 * source.numel()
    return contestant


def _decode_table(options, chips, heads, kv_heads, n, d, queries):
    dtype = DTYPES[options.dtype]
    title = (f"decode, batch {options.batch}, {heads} heads, {kv_heads} of keys, {queries} queries, {n} keys, "
             f"d = dv = {d}, {options.dtype}, no mask, dense; the cache: codes of {options.k}, causal")
    record = dict(op="decode", batch=options.batch, heads=heads, kv_heads=kv_heads, n=n, queries=queries, d=d,
                  dtype=options.dtype)
    try:
        generator = torch.Generator("cuda").manual_seed(options.seed)
        q, k, v = (torch.randn(options.batch, h, tokens, d, generator=generator, device="cuda").to(dtype)
                   for h, tokens in ((heads, queries), (kv_heads, n), (kv_heads, n)))
        check = make_check(last_rows(q, k, v)(False))
    except Exception as error:
        return title, record, [], f"n/a ({' '.join(str(error).split())[:200]})"
    # Those that take another number of queries than of keys.
    peers = {name: lambda make=PEERS[name]: make(q, k, v, False) for name in (CUDNN, "FA2 (torch)", "FA3", "FlashInfer")}
    rows = _measure_decode(options, chips, lambda schedule: sfa.attention(q, k, v, schedule=schedule), peers, check, k, v,
                           lambda: _cache_contestants(chips, q, k.split(1), v.split(1), min(options.k, d)))
    return title, record, rows, None


def _uneven_decode_table(options, chips, heads, kv_heads, n, d, queries):
    dtype, count = DTYPES[options.dtype], options.batch
    source = random.Random(options.seed)
    lengths = [round(n * 32 ** -source.random()) for _ in range(count)]
    title = (f"decode, {count} sequences, {heads} heads, {kv_heads} of keys, {queries} queries, {min(lengths)} to "
             f"{max(lengths)} keys, {sum(lengths)} together, d = dv = {d}, {options.dtype}, no mask, dense")
    record = dict(op="decode", lengths=lengths, heads=heads, kv_heads=kv_heads, n=n, queries=queries, d=d,
                  dtype=options.dtype)
    try:
        generator = torch.Generator("cuda").manual_seed(options.seed)
        # Tokens before heads, as a projection writes them.
        q, k, v = (torch.randn(1, tokens, h, d, generator=generator, device="cuda").to(dtype).transpose(1, 2)
                   for h, tokens in ((heads, count * queries), (kv_heads, sum(lengths)), (kv_heads, sum(lengths))))
        ends = [[0, *itertools.accumulate(each)] for each in ([queries] * count, lengths)]
        offsets = tuple(torch.tensor(each, dtype=torch.int32, device="cuda") for each in ends)
        expected = []
        for s in range(count):
            q_tokens, k_tokens = slice(*ends[0][s:s + 2]), slice(*ends[1][s:s + 2])
            expected.append(last_rows(q[:, :, q_tokens], k[:, :, k_tokens], v[:, :, k_tokens], queries)(False))
        check = make_check(torch.cat(expected, 2))
    except Exception as error:
        return title, record, [], f"n/a ({' '.join(str(error).split())[:200]})"
    rows = _measure_decode(
        options, chips, lambda schedule: sfa.attention(q, k, v, schedule=schedule, cu_seqlens=offsets),
        {"FA2 (torch)": lambda: flash2_of_sequences(q, k, v, offsets, (queries, max(lengths)))}, check, k, v,
        lambda: _cache_contestants(chips, torch.cat(q.split(queries, 2)), k.split(lengths, 2), v.split(lengths, 2), min(options.k, d)))
    return title, record, rows, None


def _measure_decode(options, chips, attend, peers, check, k, v, caches):
    """The rows of a table: what `caches` gives, attend(schedule) by its schedules, and peers, from names to what makes them."""
    read = (k.numel() + v.numel()) * 2
    contestants = [*caches(), _copy_contestant()]
    # As chosen; a tile for each query head; the smallest query tile; and splits that the schedule gives.
    forms = ["", *["packed_heads = 1"] * (options.group > 1), "q_tile = 64", *(f"splits = {splits}" for splits in (1, 2, 4, 8, 16, 32))]
    for chip, softmax, form in itertools.product(chips, options.softmax, forms):
        call = lambda schedule=f"softmax = {softmax}" + (form and f", {form}"): attend(schedule)
        contestants.append(Contestant(f"sfa {softmax}, {form or 'as chosen'}, {chip.name}",
                                      lambda c=chip, f=call: c.bound(f), check, "sfa"))
    contestants += [Contestant(name, make, check) for name, make in peers.items()]
    measure(contestants, options.repeats)
    best = min((c.milliseconds for c in contestants if c.group == "peer" and c.milliseconds), default=None)
    copy = next((c.read / c.milliseconds for c in contestants if c.group == "copy" and c.milliseconds), None)
    rate = lambda c: c.milliseconds and (c.read or read) / c.milliseconds
    return [dict(name=c.name, group=c.group, ms=c.milliseconds, reason=c.reason, samples=c.samples,
                 gbytes=c.milliseconds and rate(c) / 1e6, copy=c.milliseconds and copy and rate(c) / copy,
                 best_peer=c.milliseconds and best and best / c.milliseconds) for c in contestants]


def sparsify(options):
    """Yields a table for each n and d: bytes read and written a second, against a copy."""
    chip = Chip((options.chip or native_chips())[0])
    for d in options.d:
        heads = max(1, options.heads_total // d)
        for n in options.n:
            yield _sparsify_table(options, chip, heads, n, d)
            torch.cuda.empty_cache()


def _sparsify_table(options, chip, heads, n, d):
    dtype, k = DTYPES[options.dtype], min(options.k, d)
    title = (f"sparsify, batch {options.batch}, {heads} heads, {n} tokens, d = {d}, {options.dtype}, "
             f"k = {k}, {chip.name}")
    record = dict(op="sparsify", batch=options.batch, heads=heads, n=n, d=d, k=k, dtype=options.dtype)
    try:
        x = torch.randn(options.batch, heads, n, d, device="cuda").to(dtype)
        target = torch.empty_like(x)
        with chip():
            codes = sfa.sparsify(x, k)
    except Exception as error:
        return title, record, [], f"n/a ({' '.join(str(error).split())[:200]})"
    row_bytes = x.numel() // d
    dense, coded = row_bytes * d * 2, row_bytes * k * 3
    measured = {
        "copy": (2 * dense, lambda: target.copy_(x)),
        "sfa sparsify": (dense + coded, chip.bound(lambda: sfa.sparsify(x, k))),
        "sfa both at once": (2 * dense + coded, chip.bound(lambda: sfa.sparsify(x, k, return_dense=True))),
        "sfa densify": (dense + coded, chip.bound(lambda: sfa.densify(codes))),
        # Its indices have 8 bytes, and are not in order.
        "torch.topk": (dense + coded, lambda: x.abs().topk(k)),
    }
    contestants = [Contestant(name, lambda f=function: f) for name, (_, function) in measured.items()]
    measure(contestants, options.repeats)
    copy = contestants[0].milliseconds
    speed = {c.name: c.milliseconds and measured[c.name][0] / c.milliseconds / 1e6 for c in contestants}
    rows = [dict(name=c.name, ms=c.milliseconds, reason=c.reason, gbytes=speed[c.name],
                 copy=copy and speed[c.name] and speed[c.name] / speed["copy"], samples=c.samples)
            for c in contestants]
    return title, record, rows, None

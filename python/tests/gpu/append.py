"""`sfa.cache_append`: pages after it, bit for bit, and nothing else of the pool changed."""

import itertools

import torch

import sfa
from harness import group, normal, require, same_bits
from sfa._plan import Plan, View

DTYPES = {torch.float16: "f16", torch.bfloat16: "bf16", torch.uint8: "u8", torch.int32: "i32", torch.int64: "i64"}


def module(heads, d, dv, page_size, dtype, k, is_dense, has_slots):
    encoding = "" if k is None else f", #sfa.codes<k = {k}>"
    batch = "1" if has_slots else "?"
    key, value = f"tensor<{batch}x{heads}x?x{d}x{dtype}{'' if is_dense else encoding}>", f"tensor<{batch}x{heads}x?x{dv}x{dtype}>"
    keys, values = f"tensor<?x{heads}x{page_size}x{d}x{dtype}{encoding}>", f"tensor<?x{heads}x{page_size}x{dv}x{dtype}>"
    if has_slots:
        places, names = "slots(%s : tensor<?xi64>)", "%s: tensor<?xi64>"
    else:
        places, names = "pages(%t, %n : tensor<?x?xi32>, tensor<?xi32>)", "%t: tensor<?x?xi32>, %n: tensor<?xi32>"
    return (f"func.func @append(%k: {key}, %v: {value}, {names}, %keys: {keys}, %values: {values}) {{\n"
            f"  sfa.cache_append %k, %v to %keys, %values {places} : {key}, {value}, {keys}, {values}\n  return\n}}\n")


def plan_of(text, arguments):
    device = arguments[0].device.index
    views = [View(tuple(x.shape), tuple(x.stride()), DTYPES[x.dtype], device) for x in arguments]
    return Plan.of_module(text, device, [f"argument {i}" for i in range(len(arguments))], views, [])


def launcher(text, arguments):
    """A function that puts the call into the current stream."""
    plan = plan_of(text, arguments)
    workspace = torch.empty(plan.workspace_bytes, dtype=torch.uint8, device=arguments[0].device)
    addresses = [x.data_ptr() for x in arguments]
    return lambda: plan.launch(addresses, workspace.data_ptr() if plan.workspace_bytes else None,
                               torch.cuda.current_stream().cuda_stream)


def pool_of(pages, heads, page_size, d, dv, dtype, k, gap):
    """One tensor of bytes, random, and its views: key parts and values of each page and head. `gap` bytes, a multiple of 16, are
    behind each."""
    def padded(size):
        return -(-size // 128) * 128

    width = torch.finfo(dtype).bits // 8
    parts = [(d if k is None else k, width, dtype)] + ([(k, 1, torch.uint8)] if k is not None else [])
    offsets, end = [], 0
    for columns, size, _ in parts:
        offsets.append(end)
        end += page_size * columns * size
    parts.append((dv, width, dtype))
    offsets.append(padded(end))
    block = offsets[-1] + page_size * dv * width + gap
    pool = torch.randint(0, 256, (pages, heads, block), dtype=torch.uint8, device="cuda")

    def views(pool):
        found = []
        for (columns, size, kind), offset in zip(parts, offsets):
            rows = pool[:, :, offset:offset + page_size * columns * size]
            found.append(rows.view(kind).unflatten(-1, (page_size, columns)) if size > 1
                         else rows.unflatten(-1, (page_size, columns)))
        return found
    return pool, views


@group("append")
def append(run):
    for dtype, (d, dv, k), page_size in itertools.product(
            (torch.bfloat16, torch.float16), ((128, 128, 8), (64, 64, 2), (256, 256, 16), (128, 64, None), (80, 96, 3)), (16, 64, 128)):
        for has_slots, is_dense in itertools.product((True, False), (True, False)):
            run.case(f"{dtype} d {d} dv {dv} k {k} pages of {page_size} {'slots' if has_slots else 'table'} "
                     f"{'dense' if is_dense else 'codes'}", _check, dtype, d, dv, k, page_size, has_slots, is_dense)
    run.case("speed", _measure, run)


def _check(dtype, d, dv, k, page_size, has_slots, is_dense):
    heads, pages = 3, 40
    for n, gap in ((1, 0), (3, 16), (100, 0), (1000, 48)):
        batch = 1 if has_slots else 4
        n = n if has_slots else min(n, 3 * page_size)
        pool, views = pool_of(pages, heads, page_size, d, dv, dtype, k, gap)
        # Tokens before heads, as a projection writes them.
        key, value = (normal(batch, n, heads, x, dtype=dtype, seed=n + x).transpose(1, 2) for x in (d, dv))
        codes = None if k is None else sfa.sparsify(key, k)
        written = [key] if k is None else [codes.values, codes.indices]
        given = [key] if is_dense or k is None else list(written)
        written.append(value)
        expected = pool.clone()
        if has_slots:
            slots = torch.randperm(pages * page_size, device="cuda")[:n]
            slots = torch.cat((slots, slots.new_full((max(0, n - len(slots)),), -1)))
            slots[::7] = -1
            slots[3::11] = pages * page_size
            places = [slots]
            kept = (slots >= 0) & (slots < pages * page_size)
            page, place = slots[kept] // page_size, slots[kept] % page_size
            for target, rows in zip(views(expected), written):
                target[page, :, place] = rows[0].transpose(0, 1)[kept]
        else:
            table = torch.randperm(pages, device="cuda")[:4 * 5].view(4, 5).to(torch.int32)
            lengths = torch.tensor([n, 5 * page_size, max(n - 1, 0), 3 * page_size + 1], dtype=torch.int32, device="cuda")
            table[1, 4] = -1
            places = [table, lengths]
            for sequence in range(4):
                at = torch.arange(n, device="cuda") + lengths[sequence] - n
                page = table[sequence, (at // page_size).clamp(0, 4)].long()
                kept = (at >= 0) & (at < 5 * page_size) & (page >= 0)
                for target, rows in zip(views(expected), written):
                    target[page[kept], :, at[kept] % page_size] = rows[sequence].transpose(0, 1)[kept]
        text = module(heads, d, dv, page_size, DTYPES[dtype], k, is_dense or k is None, has_slots)
        launcher(text, [*given, value, *places, *views(pool)])()
        require(same_bits(pool, expected), f"{n} tokens: the pool is not what copies give")


def _milliseconds(call, repeats=20):
    times = []
    for _ in range(repeats):
        # What the call before left in the cache goes, and the device is busy while the host gets on.
        torch.empty(2**28, dtype=torch.uint8, device="cuda").zero_()
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        call()
        end.record()
        times.append((start, end))
    torch.cuda.synchronize()
    return sorted(start.elapsed_time(end) for start, end in times)[repeats // 2]


def _measure(run):
    """Says how fast it is; fails only where it does not run."""
    heads, d, k, page_size, dtype = 8, 128, 8, 64, torch.bfloat16
    for n, is_dense in ((4096, True), (4096, False), (64, True)):
        pool, views = pool_of(4096, heads, page_size, d, d, dtype, k, 0)
        key, value = (normal(1, heads, n, d, dtype=dtype, seed=x) for x in (1, 2))
        codes = sfa.sparsify(key, k)
        given = [key] if is_dense else [codes.values, codes.indices]
        slots = torch.randperm(4096 * page_size, device="cuda")[:n]
        call = launcher(module(heads, d, d, page_size, "bf16", k, is_dense, True), [*given, value, slots, *views(pool)])
        # What a row of keys and one of values has, read and written.
        half = n * heads * ((2 * d if is_dense else 3 * k) + 3 * k + 4 * d) // 2
        source, target = (torch.empty(half, dtype=torch.uint8, device="cuda") for _ in range(2))
        copy = _milliseconds(lambda: target.copy_(source))
        run.note(f"append of {n} tokens x {heads} heads, {'dense keys' if is_dense else 'codes'}: "
                 f"{1000 * _milliseconds(call):.1f} us, a copy of as many bytes {1000 * copy:.1f} us")

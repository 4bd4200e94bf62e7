"""The operations on a paged cache of torch tensors: the operators `sfa::cache_append` and `sfa::decode`. Both take the pool,
uint8 [pages, KV heads, block], and never a slice of it, so that whoever follows what is written sees one tensor."""

import torch
from torch import Tensor

from . import _operations, _torch, errors
from ._pages import ALIGNMENT, BYTES, Layout
from ._plan import View
from ._watched import is_watched, refuse_layouts

MAX_TOKENS = 16
"""New tokens of a sequence that one program reads the pages for."""
dtype_name = _torch._dtype_name


#===--- Pools ----------------------------------------------------------------------------------===#

def new_pool(num_pages, h_kv, layout, device):
    return torch.zeros((num_pages, h_kv, layout.block_bytes), dtype=torch.uint8, device=device)


def check_pool(pages, shape):
    """A pool of somebody else."""
    if not isinstance(pages, Tensor):
        raise errors.ArgumentTypeError(f"pages is a {type(pages).__name__}; it has to be a torch tensor of uint8")
    refuse_layouts(("pages",), (pages,))
    if pages.dtype is not torch.uint8:
        raise errors.ArgumentTypeError(f"pages has dtype {pages.dtype}; it has to be uint8: pass pages.view(torch.uint8)")
    if tuple(pages.shape) != shape:
        raise errors.ArgumentValueError(
            f"pages has shape {list(pages.shape)}; it has to be {list(shape)}: [num_pages, h_kv, bytes of a block]")
    strides = pages.stride()
    if strides[2] != 1 or any(stride % ALIGNMENT for size, stride in zip(shape[:2], strides[:2]) if size > 1):
        raise errors.ArgumentValueError(
            f"pages has strides {list(strides)}; the last has to be 1 and the others multiples of {ALIGNMENT} bytes")
    # Memory of torch begins at multiples of 64 bytes on a CPU.
    unit = ALIGNMENT if pages.is_cuda else 16
    if not pages.is_meta and pages.data_ptr() % unit:
        raise errors.ArgumentValueError(
            f"pages is at {pages.data_ptr():#x}; it has to be at a multiple of {unit} bytes, as what torch allocates is")


def views_of(pages, layout):
    """The keys, their features or None, and the values, each [pages, heads, page_size, .]."""
    def part(offset, width, dtype):
        end = offset + layout.page_size * width * BYTES[dtype]
        return pages[..., offset:end].view(_torch._DTYPES[dtype]).unflatten(-1, (layout.page_size, width))

    indices = None if layout.topk is None else part(layout.indices_offset, layout.topk, layout.index_dtype)
    return (part(0, layout.key_width, layout.dtype), indices, part(layout.values_offset, layout.dv, layout.dtype))


#===--- Checks ---------------------------------------------------------------------------------===#

def _check_same_device(name, tensor, pages):
    if tensor.device != pages.device:
        raise errors.ArgumentValueError(
            f"{name} is on {tensor.device} and the cache on {pages.device}; all have to be on one device")


def _check_integers(name, tensor, dtype, shape, pages):
    """`shape` is text; its commas count the dimensions."""
    if tensor.dtype is not dtype:
        raise errors.ArgumentTypeError(f"{name} has dtype {tensor.dtype}; it has to be {str(dtype).removeprefix('torch.')}")
    if tensor.dim() != shape.count(",") + 1:
        raise errors.ArgumentValueError(f"{name} has shape {list(tensor.shape)}; it has to be {shape}")
    _check_same_device(name, tensor, pages)


def check_table(table, lengths, batch, pages):
    _check_integers("block_table", table, torch.int32, "[batch, pages of a sequence]", pages)
    _check_integers("seqlens", lengths, torch.int32, "[batch]", pages)
    if table.shape[0] != batch or lengths.shape[0] != batch or table.shape[1] < 1:
        raise errors.ArgumentValueError(
            f"there are {batch} sequences, block_table has shape {list(table.shape)} and seqlens {list(lengths.shape)}; they "
            "have to have as many rows, and block_table at least 1 column")
    for name, tensor in (("block_table", table), ("seqlens", lengths)):
        if not tensor.is_contiguous():
            raise errors.ArgumentValueError(
                f"{name} has strides {list(tensor.stride())}; it has to be contiguous: pass {name}.contiguous()")


def check_append(pages, k, k_indices, v, slots, table, lengths, layout):
    heads, name = pages.shape[1], "k" if k_indices is None else "k.values"
    for what, x, features in ((name, k, None), ("v", v, layout.dv)):
        _check_same_device(what, x, pages)
        if dtype_name(x.dtype) != layout.dtype:
            raise errors.ArgumentTypeError(
                f"{what} has dtype {dtype_name(x.dtype)} and the cache {layout.dtype}; both have to have one dtype")
        if x.dim() != 4 or x.shape[1] != heads or (features is not None and x.shape[3] != features):
            raise errors.ArgumentValueError(
                f"{what} has shape {list(x.shape)}; it has to be [batch, {heads}, tokens, {features or layout.d}]")
    if k_indices is None and k.shape[3] != layout.d:
        raise errors.ArgumentValueError(f"k has {k.shape[3]} features and the cache {layout.d}; they have to have as many")
    if k_indices is not None and (layout.topk is None or k.shape[3] != layout.topk):
        kept = "dense keys" if layout.topk is None else f"codes of {layout.topk} features"
        raise errors.ArgumentValueError(f"k has codes of {k.shape[3]} features and the cache {kept}; pass k dense")
    if k.shape[:3] != v.shape[:3]:
        raise errors.ArgumentValueError(
            f"k and v have shapes {list(k.shape)} and {list(v.shape)}; batch, heads and tokens have to be the same")
    if slots is None:
        check_table(table, lengths, k.shape[0], pages)
        return
    _check_integers("slot_mapping", slots, torch.int64, "[tokens]", pages)
    if k.shape[0] != 1 or slots.shape[0] != k.shape[2]:
        raise errors.ArgumentValueError(
            f"k has shape {list(k.shape)} and slot_mapping {list(slots.shape)}; with slots the batch is 1, and every token has one")


def check_decode(q, pages, table, lengths, layout):
    _check_same_device("q", q, pages)
    if dtype_name(q.dtype) != layout.dtype:
        raise errors.ArgumentTypeError(
            f"q has dtype {dtype_name(q.dtype)} and the cache {layout.dtype}; both have to have one dtype")
    if q.dim() != 4 or q.shape[3] != layout.d:
        raise errors.ArgumentValueError(f"q has shape {list(q.shape)}; it has to be [batch, heads, new tokens, {layout.d}]")
    if q.shape[1] < 1 or q.shape[1] % pages.shape[1]:
        raise errors.ArgumentValueError(
            f"q has {q.shape[1]} heads and the cache {pages.shape[1]}; the heads of q have to be a multiple of those of the cache")
    check_table(table, lengths, q.shape[0], pages)


def check_contents(pages, layout, new_tokens, slots=None, table=None, lengths=None):
    """Looks at slots, or at lengths and the entries of the table that they use. Waits for the device."""
    if pages.is_cuda and torch.cuda.is_current_stream_capturing():
        raise errors.RunError("check=True waits for the device, which a captured CUDA graph cannot do; leave it out there")
    num_pages, size = pages.shape[0], layout.page_size
    if slots is not None:
        seen: dict[int, int] = {}
        for token, slot in enumerate(slots.tolist()):
            if not -1 <= slot < num_pages * size:
                raise errors.ArgumentValueError(
                    f"slot_mapping has {slot} for token {token}; slots are 0 to {num_pages * size - 1}, and -1 skips a token")
            if slot >= 0 and seen.setdefault(slot, token) != token:
                raise errors.ArgumentValueError(
                    f"slot_mapping has {slot} for token {seen[slot]} and for token {token}; each needs a slot of its own")
        return
    rows, most = table.tolist(), table.shape[1] * size
    for sequence, (row, length) in enumerate(zip(rows, lengths.tolist())):
        if not new_tokens <= length <= most:
            raise errors.ArgumentValueError(
                f"seqlens has {length} for sequence {sequence}; with {new_tokens} new tokens and {table.shape[1]} pages of {size} "
                f"tokens it has to be {new_tokens} to {most}")
        for position, page in enumerate(row[:-(-length // size)]):
            if not 0 <= page < num_pages:
                raise errors.ArgumentValueError(
                    f"block_table has {page} for sequence {sequence} at position {position}; pages are 0 to {num_pages - 1}")


#===--- Programs that read or write pages ------------------------------------------------------===#

def _view(x):
    return View(tuple(x.shape), x.stride(), "i64" if x.dtype is torch.int64 else dtype_name(x.dtype), x.device.index)


def _page_views(pages, layout):
    return [_view(x) for x in views_of(pages, layout) if x is not None]


def _aligned(x):
    """x at a multiple of 16 bytes, as a program of a GPU takes it: a row of a table may be anywhere."""
    return x.clone() if x.data_ptr() % 16 else x


def _page_addresses(pages, layout):
    base = pages.data_ptr()
    features = [] if layout.topk is None else [base + layout.indices_offset]
    return [base, *features, base + layout.values_offset]


def _launch(plan, addresses, number=None):
    """Puts a plan into the current stream of its GPU; its results as a list."""
    device, specs, current_stream = plan.extra
    results = [_torch.allocate(shape, strides, dtype=dtype, device=device) for shape, strides, dtype in specs]
    # Back to the allocator after the launch: it hands it out again in the order of the stream.
    workspace = _torch.allocate((plan.workspace_bytes,), (1,), dtype=torch.uint8, device=device) if plan.workspace_bytes else None
    plan.launch([*addresses, *map(Tensor.data_ptr, results)], None if workspace is None else workspace.data_ptr(),
                current_stream(plan.device), number)
    return results


#===--- Append ---------------------------------------------------------------------------------===#

def slots_of(table, lengths, new_tokens, num_pages, page_size):
    """The slots of the last new_tokens places of each sequence, [batch, new_tokens]; -1 where there is none."""
    positions = lengths.long()[:, None] - new_tokens + torch.arange(new_tokens, device=table.device)
    columns = positions.div(page_size, rounding_mode="floor")
    inside = (positions >= 0) & (columns < table.shape[1])
    page = table.long().gather(1, columns.clamp(0, table.shape[1] - 1))
    inside &= (page >= 0) & (page < num_pages)
    return torch.where(inside, page * page_size + positions % page_size, -1)


def _redirect(valid):
    """For each row one that is valid, itself where it is, as a list of rows; and whether there is any. A row that must not
    be written is written as a copy of one that is, so that nobody has to know on the host how many there are."""
    rows = torch.arange(valid.shape[0], device=valid.device)
    return torch.where(valid, rows, valid.to(torch.uint8).argmax()), valid.any()


def _append(pages, k, k_indices, v, slots, table, lengths, layout):
    check_append(pages, k, k_indices, v, slots, table, lengths, layout)
    batch, heads, tokens, _ = v.shape
    if not batch * tokens:
        return
    if pages.is_cuda:
        return _append_by_program(pages, k, k_indices, v, slots, table, lengths, layout)
    if layout.topk is not None and k_indices is None:
        k, k_indices = _torch._sparsify(k, layout.topk, False, False)
    if slots is None:
        slots = slots_of(table, lengths, tokens, pages.shape[0], layout.page_size).flatten()
    source, is_any = _redirect((slots >= 0) & (slots < pages.shape[0] * layout.page_size))
    slots = torch.where(is_any, slots.index_select(0, source), 0)
    page, place = slots.div(layout.page_size, rounding_mode="floor"), slots % layout.page_size
    for view, new in zip(views_of(pages, layout), (k, k_indices, v)):
        if new is None:
            continue
        # Few functions of torch take uint16.
        view, new = _torch.pack_indices(view), _torch.pack_indices(new)
        rows = new.transpose(1, 2).reshape(batch * tokens, heads, new.shape[3]).index_select(0, source)
        view[page, :, place] = torch.where(is_any, rows, view[page, :, place])


def _append_by_program(pages, k, k_indices, v, slots, table, lengths, layout):
    rows = [x if x.stride(3) == 1 or x.shape[3] == 1 else x.contiguous() for x in _torch._given(k, k_indices, v)]
    where = [table, lengths] if slots is None else [slots.contiguous()]
    tensors = [_aligned(x) for x in rows + where]
    key = ("append", layout, pages.shape, pages.stride(), pages.device,
           *[(x.shape, x.stride(), x.dtype) for x in tensors])
    plan = _torch._plans.plans.get(key)
    if plan is None:
        views = [_view(x) for x in tensors]
        if k_indices is None:
            _operations.check_dense("k", views[0])
        plan = _torch._add_plan(key, _operations.append_plan(
            views[:len(rows) - 1], views[len(rows) - 1], views[len(rows):], _page_views(pages, layout), layout), pages.device)
    _launch(plan, [*map(Tensor.data_ptr, tensors), *_page_addresses(pages, layout)])


def copy_pages(pages, src, dst):
    for name, numbers in (("src", src), ("dst", dst)):
        if not isinstance(numbers, Tensor):
            raise errors.ArgumentTypeError(f"{name} is a {type(numbers).__name__}; it has to be a torch tensor of int32")
        _check_integers(name, numbers, torch.int32, "[pages]", pages)
    if src.shape != dst.shape:
        raise errors.ArgumentValueError(f"src has {src.shape[0]} pages and dst {dst.shape[0]}; they have to have as many")
    if not src.shape[0]:
        return
    source, is_any = _redirect((src >= 0) & (src < pages.shape[0]) & (dst >= 0) & (dst < pages.shape[0]))
    src, dst = (torch.where(is_any, x.long().index_select(0, source), 0) for x in (src, dst))
    pages.index_copy_(0, dst, pages.index_select(0, src))


#===--- Decode ---------------------------------------------------------------------------------===#

def _decode_with_pages(q, pages, table, lengths, layout, query_topk, left, scale, lse):
    """By a program that reads the pages."""
    number = None
    if scale is not None:
        scale, number = _operations.split_scale(scale)
    table, lengths = _aligned(table), _aligned(lengths)
    key = ("decode", q.shape, q.stride(), q.dtype, q.device, pages.shape, pages.stride(), table.shape, layout, query_topk, left,
           scale, lse)
    plan = _torch._plans.plans.get(key)
    if plan is None:
        _operations.check_dense("q", _torch._view("q", q))
        plan = _torch._add_plan(key, _operations.decode_plan(
            _torch._view("q", q), _page_views(pages, layout), _torch._view("block_table", table),
            _torch._view("seqlens", lengths), layout, query_topk, left, scale, lse), q.device)
    return _launch(plan, [q.data_ptr(), *_page_addresses(pages, layout), table.data_ptr(), lengths.data_ptr()], number)


def _decode_used_pages(q, pages, table, lengths, layout, query_topk, left, scale, lse):
    """By a program for the CPU, which takes contiguous memory only: it gets copies of the pages that are used."""
    number = None
    if scale is not None:
        scale, number = _operations.split_scale(scale)
    lengths = lengths.clamp(0, table.shape[1] * layout.page_size)
    counts = (lengths + layout.page_size - 1) // layout.page_size
    most = max(int(counts.max()), 1)
    # The width is part of a program: there are few of them.
    width = 1 << (most - 1).bit_length()
    is_used = torch.arange(most) < counts[:, None]
    numbers, places = torch.where(is_used, table[:, :most].clamp(0, pages.shape[0] - 1), 0).unique(return_inverse=True)
    table = torch.zeros(table.shape[0], width, dtype=torch.int32)
    table[:, :most] = places
    parts = [_torch.unpack_indices(_torch.pack_indices(view).index_select(0, numbers))
             for view in views_of(pages, layout) if view is not None]
    key = ("decode", q.shape, q.dtype, q.device, len(numbers), pages.shape[1], width, layout, query_topk, left, scale, lse)
    plan = _torch._plans.plans.get(key)
    if plan is None:
        plan = _torch._add_plan(key, _operations.decode_plan(
            _torch._view("q", q), [_torch._view("pages", x) for x in parts], _torch._view("block_table", table),
            _torch._view("seqlens", lengths), layout, query_topk, left, scale, lse), q.device)
    return _torch._execute(plan, [q, *parts, table, lengths], number)


def _decode_by_copy(q, pages, table, lengths, layout, query_topk, left, scale, lse):
    """Copies the pages into sequences of `table.shape[1]` pages each, and computes ordinary attention over them. What is behind
    the last token of a sequence becomes a sequence of its own, which has no queries."""
    (batch, q_heads, new_tokens, _), size = q.shape, layout.page_size
    lengths = lengths.long().clamp(0, table.shape[1] * size)
    if pages.device.type == "cpu":  # where looking at the lengths is free
        table = table[:, :max(-(-int(lengths.max()) // size), 1)]
    tokens = table.shape[1] * size
    is_token = torch.arange(tokens, device=q.device) < lengths[:, None]
    page = table.clamp(0, pages.shape[0] - 1).flatten().long()

    def gather(view):
        x = _torch.pack_indices(view).index_select(0, page)
        x = x.masked_fill(~is_token.view(batch * table.shape[1], 1, size, 1), 0)
        return _torch.unpack_indices(x.transpose(0, 1).reshape(1, x.shape[1], batch * tokens, x.shape[3]))

    begins = torch.arange(batch, device=q.device)
    ends = torch.tensor([batch], device=q.device) if q.device.type == "cpu" else begins[-1:] + 1

    def offsets(count, inner):
        x = torch.stack([begins * count, begins * count + inner], 1).flatten()
        return torch.cat([x, ends * count]).int()

    cu_seqlens = offsets(new_tokens, new_tokens), offsets(tokens, lengths)
    keys, indices, values = (None if view is None else gather(view) for view in views_of(pages, layout))
    rows = q.transpose(0, 1).reshape(1, q_heads, batch * new_tokens, layout.d)
    out, *sums = _torch._attention(
        rows, None, None, None, None, keys, indices, None, None if indices is None else layout.d, None, values, cu_seqlens,
        query_topk, None, True, None if left is None else (left, None), scale, lse, None)
    return [x.reshape(q_heads, batch, new_tokens, *x.shape[3:]).transpose(0, 1).contiguous() for x in (out, *sums)]


def _decode(q, pages, table, lengths, layout, query_topk, left, scale, lse):
    check_decode(q, pages, table, lengths, layout)
    batch, heads, tokens, _ = q.shape
    if not batch * tokens:
        sums = [q.new_empty((batch, heads, tokens), dtype=torch.float32)] if lse else []
        return [q.new_empty((batch, heads, tokens, layout.dv)), *sums]
    run = _decode_by_copy
    if tokens <= MAX_TOKENS:
        run = _decode_with_pages if q.is_cuda else _decode_used_pages
    return run(q, pages, table, lengths, layout, query_topk, left, scale, lse)


#===--- Operators ------------------------------------------------------------------------------===#

_library = _torch._operators
_library.define(
    "cache_append(Tensor(a!) pages, Tensor k, Tensor? k_indices, Tensor v, Tensor? slots, Tensor? table, Tensor? lengths, "
    "int d, int? topk, int page_size) -> ()")
_library.define(
    "decode(Tensor q, Tensor pages, Tensor table, Tensor lengths, int dv, int? topk, int page_size, int? query_topk=None, "
    "int? left=None, float? scale=None, bool return_lse=False) -> (Tensor, Tensor)")


def _append_operator(pages, k, k_indices, v, slots, table, lengths, d, topk, page_size):
    _append(pages, k, k_indices, v, slots, table, lengths, Layout(d, v.shape[3], topk, page_size, dtype_name(v.dtype)))


def _append_fake(pages, k, k_indices, v, slots, table, lengths, d, topk, page_size):
    torch._check(k.dim() == 4 and v.dim() == 4, lambda: "k and v have to have 4 dimensions: [batch, heads, tokens, features]")


def _decode_operator(q, pages, table, lengths, dv, topk, page_size, query_topk=None, left=None, scale=None, return_lse=False):
    results = _decode(q, pages, table, lengths, Layout(q.shape[3], dv, topk, page_size, dtype_name(q.dtype)), query_topk, left,
                      scale, return_lse)
    return (results[0], results[1] if return_lse else q.new_empty(0, dtype=torch.float32))


def _decode_fake(q, pages, table, lengths, dv, topk, page_size, query_topk=None, left=None, scale=None, return_lse=False):
    torch._check(q.dim() == 4, lambda: "q has to have 4 dimensions: [batch, heads, new tokens, features]")
    return (q.new_empty((*q.shape[:3], dv)), q.new_empty(q.shape[:3] if return_lse else (0,), dtype=torch.float32))


for _name, _implementation, _fake in (("cache_append", _append_operator, _append_fake),
                                      ("decode", _decode_operator, _decode_fake)):
    for _key in ("CPU", "CUDA"):
        _library.impl(_name, _implementation, _key)
    torch.library.register_fake(f"sfa::{_name}", _fake, lib=_library)
torch.library.register_autograd("sfa::decode", _torch._refuse_backward, lib=_library)
_append_op, _decode_op = torch.ops.sfa.cache_append.default, torch.ops.sfa.decode.default


def append(pages, k, k_indices, v, slots, table, lengths, layout):
    tensors = _torch._given(pages, k, k_indices, v, slots, table, lengths)
    if not _torch.is_compiling():
        refuse_layouts(("k", "k.indices", "v"), (k, k_indices, v))
        check_append(pages, k, k_indices, v, slots, table, lengths, layout)
        if not _torch._num_modes() and not is_watched(tensors):
            with torch.no_grad():
                return _append(pages, k, k_indices, v, slots, table, lengths, layout)
    # There is no gradient of what is in a cache.
    return _append_op(pages, k.detach(), k_indices, v.detach(), slots, table, lengths, layout.d, layout.topk, layout.page_size)


def decode(q, pages, table, lengths, layout, query_topk, left, scale, lse):
    if not _torch.is_compiling():
        refuse_layouts(("q",), (q,))
        check_decode(q, pages, table, lengths, layout)
        if (not _torch._num_modes() and not is_watched((q, pages, table, lengths))
                and not (q.requires_grad and torch.is_grad_enabled())):
            return _decode(q, pages, table, lengths, layout, query_topk, left, scale, lse)
    return _decode_op(q, pages, table, lengths, layout.dv, layout.topk, layout.page_size, query_topk, left, scale, lse)

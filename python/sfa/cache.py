"""A paged cache of keys and values, and attention of new tokens against it. For torch tensors."""

from __future__ import annotations

import importlib
from typing import Any, Literal, overload

from . import _arrays, _operations, errors
from ._pages import Layout, PageAllocator, check_page_size
from .codes import Codes

__all__ = ["KVCache", "PageAllocator", "decode"]


def _load() -> Any:
    """The implementation for torch."""
    if _arrays.torch is None:
        raise errors.DeviceError(f"a KVCache holds torch tensors, and torch is {_arrays.torch_missing}: pip install torch")
    return importlib.import_module("._cache", __package__)


def _tensor(name: str, x: Any) -> Any:
    if not _arrays.is_tensor(x):
        raise errors.ArgumentTypeError(f"{name} is a {type(x).__name__}; it has to be a torch tensor")
    return x


class KVCache:
    """Keys and values of past tokens in pages, the keys as codes.

    num_pages    pages in the pool
    h_kv         heads of keys and values
    d, dv        features of a key and of a value; dv is d where None
    topk         features that a key keeps; None keeps all of them, for layers that stay dense. Layers of different topk
                 may share a block table
    page_size    tokens of a page: 16, 32, 64 or 128
    dtype        of q, k, v and the output: torch.bfloat16 (the default), float16 or, on a CPU, float32
    key_dtype, value_dtype   8-bit forms, which are not there yet
    device       where the pool is made
    pages        a pool that somebody has: uint8 [num_pages, h_kv, block_bytes], the last stride 1, the others and
                 the address multiples of 128. `device` is then that of the pool

    A page holds page_size tokens of all heads; a block is what it holds of one head: the values of the keys [page_size, topk],
    their features [page_size, topk], padding to a multiple of 128 bytes, and the values [page_size, dv]. Token t of a sequence is in the
    page that entry t // page_size of its row in the block table names, at place t % page_size.

    Raises TypeError (dtype, kind), ValueError (sizes, a pool of another shape, with other strides or elsewhere),
    NotImplementedError (8-bit forms), RuntimeError (no torch).
    """

    def __init__(self, num_pages: int, h_kv: int, d: int, dv: int | None = None, *, topk: int | None, page_size: int = 64,
                 dtype: Any = None, key_dtype: Any = None, value_dtype: Any = None, device: Any = "cuda",
                 pages: Any = None) -> None:
        self._torch = _load()
        num_pages = _operations.integer("num_pages", num_pages, 1)
        h_kv, d = _operations.integer("h_kv", h_kv, 1), _operations.integer("d", d, 1, 65536)
        dv = d if dv is None else _operations.integer("dv", dv, 1)
        if topk is not None:
            topk = _operations.integer("topk", topk, 1, d)
        for name, given in (("key_dtype", key_dtype), ("value_dtype", value_dtype)):
            if given is not None:
                raise errors.UnsupportedError(
                    f"{name} is {given!r}; a cache in 8 bits is not supported yet: leave it out, which keeps {name[:-6]}s in dtype")
        if pages is not None:
            device = _tensor("pages", pages).device
        name = "bf16" if dtype is None else self._torch.dtype_name(dtype)
        self._layout = Layout(d, dv, topk, check_page_size(page_size), name)
        pool = self._torch.new_pool(0, h_kv, self._layout, device) if name in _operations.CPU_DTYPES and pages is None else pages
        is_cuda = pool is not None and pool.is_cuda
        allowed = _operations.GPU_DTYPES if is_cuda else _operations.CPU_DTYPES
        if name not in allowed:
            raise errors.ArgumentTypeError(f"dtype is {dtype}; it has to be one of {', '.join(allowed)} on {device}")
        if is_cuda and not {d, dv} <= set(_operations.GPU_FEATURES):
            raise errors.ArgumentValueError(
                f"d is {d} and dv {dv}; on a GPU each has to be a multiple of 8 from 16 to 256: pad with zeros, and give scale")
        shape = (num_pages, h_kv, self._layout.block_bytes)
        if pages is None:
            pages = self._torch.new_pool(num_pages, h_kv, self._layout, device)
        else:
            self._torch.check_pool(pages, shape)
        self._pages = pages

    @property
    def pages(self) -> Any:
        """The pool, uint8 [num_pages, h_kv, block_bytes]."""
        return self._pages

    @property
    def num_pages(self) -> int:
        return self._pages.shape[0]

    @property
    def h_kv(self) -> int:
        return self._pages.shape[1]

    @property
    def d(self) -> int:
        return self._layout.d

    @property
    def dv(self) -> int:
        return self._layout.dv

    @property
    def topk(self) -> int | None:
        return self._layout.topk

    @property
    def page_size(self) -> int:
        return self._layout.page_size

    @property
    def block_bytes(self) -> int:
        """Bytes that a page has for one head, padding included."""
        return self._layout.block_bytes

    @property
    def dtype(self) -> Any:
        return self.values.dtype

    @property
    def device(self) -> Any:
        return self._pages.device

    @property
    def bytes_per_token(self) -> int:
        """Bytes that a token takes in one head, without padding."""
        return self._layout.bytes_per_token

    @property
    def nbytes(self) -> int:
        """Bytes of all pages."""
        return self._pages.numel()

    @property
    def key_values(self) -> Any:
        """[num_pages, h_kv, page_size, topk]: what is kept of the keys, or whole keys where topk is None; a view."""
        return self._torch.views_of(self._pages, self._layout)[0]

    @property
    def key_indices(self) -> Any:
        """[num_pages, h_kv, page_size, topk]: the features of `key_values`; a view, or None where topk is."""
        return self._torch.views_of(self._pages, self._layout)[1]

    @property
    def values(self) -> Any:
        """[num_pages, h_kv, page_size, dv]: a view."""
        return self._torch.views_of(self._pages, self._layout)[2]

    def __repr__(self) -> str:
        return (f"KVCache({self.num_pages} pages of {self.page_size}, h_kv={self.h_kv}, d={self.d}, dv={self.dv}, "
                f"topk={self.topk}, dtype={self.dtype}, device={self.device})")

    @overload
    def append(self, k: Any, v: Any, slot_mapping: Any, /, *, check: bool = False) -> None: ...

    @overload
    def append(self, k: Any, v: Any, block_table: Any, seqlens: Any, /, *, check: bool = False) -> None: ...

    def append(self, k: Any, v: Any, where: Any, seqlens: Any = None, /, *, check: bool = False) -> None:
        """Writes new tokens: `append(k, v, slot_mapping)` or `append(k, v, block_table, seqlens)`.

        k             [batch, h_kv, tokens, d], dense, of which topk features are kept, or Codes of topk features
        v             [batch, h_kv, tokens, dv]
        slot_mapping  int64 [tokens], with a batch of 1: the place of each token, page * page_size + place. A token
                      whose slot is not in the pool, such as -1, is skipped
        block_table   int32 [batch, pages of a sequence]: the pages of each sequence
        seqlens       int32 [batch]: the length of each sequence, the new tokens included. They are its last ones; those
                      that would be before its first place, or in a page that is not in the pool, are skipped
        check         look at slots, lengths and used entries of the table first, and raise ValueError where one is wrong;
                      waits for the device. Two tokens must not have one slot: which of them it holds is not defined

        It writes in place, in the order of torch's current stream, and waits for nobody: a CUDA graph may hold it.

        Raises TypeError (dtype, kind), ValueError (shapes, devices, strides), RuntimeError (compiler, check while a
        graph is captured).
        """
        indices = None
        if isinstance(k, Codes):
            if k._scales is not None:
                raise errors.ArgumentTypeError(
                    "k is codes of 8-bit values, which a cache does not hold yet; pass them in its dtype")
            if k._d != self.d:
                raise errors.ArgumentValueError(
                    f"k is codes of {k._d} features and the cache has {self.d}; they have to have as many")
            k, indices = k._values, k._indices
        for name, x in (("k", k), ("v", v), ("slot_mapping" if seqlens is None else "block_table", where)):
            _tensor(name, x)
        slots, table = (where, None) if seqlens is None else (None, where)
        if table is not None:
            _tensor("seqlens", seqlens)
        if check:
            self._torch.check_append(self._pages, k, indices, v, slots, table, seqlens, self._layout)
            self._torch.check_contents(self._pages, self._layout, k.shape[2], slots, table, seqlens)
        self._torch.append(self._pages, k, indices, v, slots, table, seqlens, self._layout)

    def copy_pages(self, src: Any, dst: Any) -> None:
        """Copies pages: page src[i] to page dst[i], for forked sequences. All are read before one is written.

        src, dst    int32 [pages], on the device of the cache. A pair with a number that is not in the pool, such as -1, is
                    skipped; no page may be twice in dst. A CUDA graph may hold it.

        Raises TypeError (dtype, kind), ValueError (shapes, devices)."""
        self._torch.copy_pages(self._pages, src, dst)


@overload
def decode(q: Any, cache: KVCache, block_table: Any, seqlens: Any, *, query_topk: int | None | Literal["same"] = "same",
           scale: float | None = None, window: tuple[int | None, int | None] | None = None, return_lse: Literal[False] = False,
           cu_seqlens_q: Any = None, check: bool = False) -> Any: ...


@overload
def decode(q: Any, cache: KVCache, block_table: Any, seqlens: Any, *, query_topk: int | None | Literal["same"] = "same",
           scale: float | None = None, window: tuple[int | None, int | None] | None = None, return_lse: Literal[True],
           cu_seqlens_q: Any = None, check: bool = False) -> tuple[Any, Any]: ...


def decode(q: Any, cache: KVCache, block_table: Any, seqlens: Any, *, query_topk: int | None | Literal["same"] = "same",
           scale: float | None = None, window: tuple[int | None, int | None] | None = None, return_lse: bool = False,
           cu_seqlens_q: Any = None, check: bool = False) -> Any:
    """Attention of the last tokens of sequences against their keys and values in a cache.

    q            [batch, h_q, n_q, d]: the queries of the last n_q tokens of each sequence; h_q is a multiple of the heads of
                 the cache. Their keys and values have to be in the cache: append them first
    cache        the KVCache
    block_table  int32 [batch, pages of a sequence], contiguous: the pages of each sequence. What is behind those that its
                 length needs is not looked at
    seqlens      int32 [batch]: the length of each sequence, the new tokens included
    query_topk   features that a query keeps: "same" as the keys, a number, or None for all
    scale        1 / sqrt(d) where None
    window       (left, right): a query sees `left` keys before its own; None or -1 is unbounded. It sees none behind its own, so
                 right is 0, -1 or None
    return_lse   also the log-sum-exp of the scores of each row, natural
    cu_seqlens_q sequences with different numbers of new tokens, which are not there yet
    check        look at lengths and used entries of the table first, and raise ValueError where one is wrong; waits for
                 the device

    Returns the output [batch, h_q, n_q, dv], contiguous, of the dtype of q; with return_lse also the log-sum-exp,
    [batch, h_q, n_q] in f32. A query before the first token of its sequence has output 0 and log-sum-exp -inf.

    On a GPU up to 16 new tokens are computed from the pages; more of them, and any number on a CPU, from a copy of the pages that
    the table names. Nothing outside of the pool is read whatever lengths and table hold: a length below 0 counts as 0, one
    beyond the table as all of it, and a number that names no page as the first or the last one. No host
    synchronisation on a GPU: a CUDA graph may be replayed with other lengths and tables.

    Raises TypeError (dtype, kind), ValueError (shapes, heads, window, scale, strides, devices), NotImplementedError
    (cu_seqlens_q), RuntimeError (library, driver, compiler; check while a graph is captured).
    """
    if not isinstance(cache, KVCache):
        raise errors.ArgumentTypeError(f"cache is a {type(cache).__name__}; it has to be a sfa.KVCache")
    if cu_seqlens_q is not None:
        raise errors.UnsupportedError(
            "cu_seqlens_q is not supported yet; call decode once for each number of new tokens, with q [batch, heads, tokens, d]")
    for name, x in (("q", q), ("block_table", block_table), ("seqlens", seqlens)):
        _tensor(name, x)
    if isinstance(query_topk, str):
        if query_topk != "same":
            raise errors.ArgumentValueError(f"query_topk is {query_topk!r}; it has to be \"same\", a number or None")
        query_topk = cache.topk
    elif query_topk is not None:
        if cache.topk is None:
            raise errors.ArgumentValueError(f"query_topk is {query_topk!r}, but the cache holds dense keys; leave it out")
        query_topk = _operations.integer("query_topk", query_topk, 1, cache.d)
    left, right = _operations.window_bounds(window) or (None, None)
    if right not in (None, 0):
        raise errors.ArgumentValueError(
            f"window has right = {right}; new tokens see nothing behind their own: it has to be 0, -1 or None")
    if scale is not None:
        scale = _operations.scale_value(scale)
    implementation = cache._torch
    if check:
        implementation.check_decode(q, cache._pages, block_table, seqlens, cache._layout)
        implementation.check_contents(cache._pages, cache._layout, q.shape[2], None, block_table, seqlens)
    results = implementation.decode(q, cache._pages, block_table, seqlens, cache._layout, query_topk, left, scale,
                                    _operations.flag("return_lse", return_lse))
    return (results[0], results[1]) if return_lse else results[0]

"""The functions of the package."""

from __future__ import annotations

from typing import Any, Literal, TypeVar, overload

from . import _arrays, _operations, errors
from .codes import Codes, Granularity, cat, densify, make, quantize

_torch, _is_tensor = _arrays.torch, _arrays.is_tensor

__all__ = ["attention", "cat", "densify", "quantize", "sparsify"]

# torch.Tensor, numpy.ndarray, or a type with __dlpack__.
Array = TypeVar("Array")


@overload
def sparsify(x: Array, k: int, two_four: bool = False, return_dense: Literal[False] = False, *,
             values: Literal["int8"] | None = None, scales: Granularity | None = None) -> Codes: ...


@overload
def sparsify(x: Array, k: int, two_four: bool = False, *, return_dense: Literal[True],
             values: Literal["int8"] | None = None, scales: Granularity | None = None) -> tuple[Codes, Array]: ...


@overload
def sparsify(x: Array, k: int, two_four: bool, return_dense: Literal[True], *,
             values: Literal["int8"] | None = None, scales: Granularity | None = None) -> tuple[Codes, Array]: ...


def sparsify(x: Any, k: int, two_four: bool = False, return_dense: bool = False, *,
             values: Literal["int8"] | None = None, scales: Granularity | None = None) -> Any:
    """The k features of largest magnitude of every row: `topk_k(x)`.

    x             [batch, heads, tokens, d], dense: a torch tensor (CUDA: bf16, f16 and d a multiple
                  of 8 from 16 to 256; CPU: f32, f16, bf16 and any d), a numpy array, or an object with `__dlpack__`
    k             1 to d; on a CPU more than d is d
    two_four      keep two of every aligned group of four features at most: the k largest that do, as
                  sparse tensor cores take them. d is then a multiple of 4, and k at most d / 2
    return_dense  also what `densify` makes of the codes, without another pass over memory unless values are 8-bit
    values        "int8": values of 8 bits with scales, as `sfa.quantize` makes them of codes, in the same pass; None
                  keeps them as they are
    scales        with values="int8": which values share a scale, "tile" (the default), "token" or "head"; see
                  `sfa.quantize`

    Returns Codes with tensors of the kind of x. Ties keep the lower feature; NaN ranks as the largest
    magnitude. Values come in ascending order of their features. With return_dense the codes and the
    rows written out, [batch, heads, tokens, d], contiguous, of the dtype of x.

    Raises TypeError (dtype, kind), ValueError (rank, k, d, stride, alignment, values, scales), RuntimeError (library,
    driver, compiler).
    """
    granularity = None
    if values is not None or scales is not None:
        granularity = _operations.quantization(values, scales)
    if type(two_four) is not bool or type(return_dense) is not bool:
        two_four, return_dense = _operations.flag("two_four", two_four), _operations.flag("return_dense", return_dense)
    # The rows of 8-bit codes are written out by another program.
    writes_dense = return_dense and granularity is None
    if _is_tensor(x):
        array, results = x, _torch.sparsify(x, k, two_four, writes_dense, granularity)
        d = _torch.feature_count(x)
    else:
        array = _arrays.convert("x", x)
        results = _arrays.call("sparsify", ("x",), (array,), k, two_four, writes_dense, granularity)
        results = results if array is x else [_arrays.export(y, x) for y in results]
        d = array.shape[3]
    kept, indices, *others = results
    if granularity is None:
        codes = make(kept, indices, d, two_four)
        return (codes, *others) if return_dense else codes
    codes = make(kept, indices, d, two_four, others[0], granularity, _arrays.logical_dtype(x, array, kept))
    return (codes, densify(codes)) if return_dense else codes


@overload
def attention(q: Array | Codes, k: Array | Codes, v: Array, *, topk: int | None = None, causal: bool = False,
              window: tuple[int | None, int | None] | None = None, scale: float | None = None,
              cu_seqlens: Array | tuple[Array, Array] | None = None, return_lse: Literal[False] = False,
              schedule: str | None = None, values: Literal["int8"] | None = None,
              scales: Granularity | None = None) -> Array: ...


@overload
def attention(q: Array | Codes, k: Array | Codes, v: Array, *, topk: int | None = None, causal: bool = False,
              window: tuple[int | None, int | None] | None = None, scale: float | None = None,
              cu_seqlens: Array | tuple[Array, Array] | None = None, return_lse: Literal[True],
              schedule: str | None = None, values: Literal["int8"] | None = None,
              scales: Granularity | None = None) -> tuple[Array, Array]: ...


@overload
def attention(q: Array | Codes, k: Array | Codes, v: Array, *, topk: int | None = None, causal: bool = False,
              window: tuple[int | None, int | None] | None = None, scale: float | None = None,
              cu_seqlens: Array | tuple[Array, Array] | None = None, return_lse: bool,
              schedule: str | None = None, values: Literal["int8"] | None = None,
              scales: Granularity | None = None) -> Any: ...


def attention(q: Any, k: Any, v: Any, *, topk: int | None = None, causal: bool = False,
              window: tuple[int | None, int | None] | None = None, scale: float | None = None,
              cu_seqlens: Any = None, return_lse: bool = False, schedule: str | None = None,
              values: Literal["int8"] | None = None, scales: Granularity | None = None) -> Any:
    """Exact softmax attention, `softmax(scale * q k^T + mask) v`, over codes or dense operands.

    q           [batch, h_q, n_q, d], dense or Codes
    k           [batch, h_kv, n_k, d], dense or Codes; h_q is a multiple of h_kv (MHA, GQA, MQA)
    v           [batch, h_kv, n_k, dv], dense
    topk        None: q and k as they are, which is ordinary attention where they are dense; a number:
                those of them that are dense are sparsified first, inside the program
    causal      query i sees the keys up to i + n_k - n_q (aligned at the bottom right)
    window      (left, right): query i sees the keys from i + n_k - n_q - left to i + n_k - n_q +
                right; None or -1 is an unbounded side. Together with causal, right is 0
    scale       1 / sqrt(d) where None; a number of at most 2.35e38 in magnitude, where scale * log2(e) ends in f32.
                One program serves all that are positive. No tensor: pass q * scale as q, and scale=1
    cu_seqlens  sequences of several lengths, one after the other in a batch of 1: int32 [s + 1], the
                offsets at which they begin, first 0 and last the number of tokens; one tensor for q,
                k and v, or a pair for q and for k and v. A query sees keys of its own sequence only,
                and n_q, n_k in masks are lengths of the sequence, either of which may be 0
    return_lse  also the log-sum-exp of the scores of each row, natural
    schedule    how to compute it, such as "strategy = dense, softmax = lazy, k_tile = 64"; the
                compiler chooses what is not given, on a GPU by the sizes of the call. There, the
                keys of few queries are cut into shares, and query heads of a group share a tile,
                where not said otherwise, as "splits = 1, packed_heads = 1" does

    Returns the output [batch, h_q, n_q, dv], contiguous, of the kind and dtype of q; with return_lse
    also the log-sum-exp, [batch, h_q, n_q] in f32. A row that sees no key has output 0 and
    log-sum-exp -inf.

    CUDA tensors have bf16 or f16 and d and dv that are multiples of 8 from 16 to 256; all strides
    that are multiples of 16 bytes are taken without a copy as long as the last is 1. It runs on torch's current stream, with
    memory of torch's allocator and without synchronisation. On the CPU f32, f16, bf16 and any d, dv;
    what is not contiguous, or not at a multiple of the size of an element, is copied.

    Offsets are looked at on a CPU only: on a GPU that would wait for it. There, those that are not as
    they should be lead to no access outside of the tensors, but rows that no sequence covers are left
    as they are in fresh memory.

    Raises TypeError (dtype, kind, layout), ValueError (shapes, heads, topk, window, scale, offsets, stride,
    alignment, devices), RuntimeError (library, driver, compiler; `sfa.errors.CompileError` has the module;
    a derivative is asked for).
    """
    q_indices = q_scales = q_d = q_granularity = k_indices = k_scales = k_d = k_granularity = None
    offsets_q = offsets_k = topk_granularity = None
    if values is not None or scales is not None:
        topk_granularity = _operations.quantization(values, scales)
        if scales is not None and isinstance(k, Codes):
            raise errors.ArgumentValueError(
                f"scales is {scales!r}, but k is codes already; it is for a dense k: leave it out")
    if isinstance(q, Codes):
        _check_dtype("q", q, v)
        q, q_indices, q_scales, q_d, q_granularity = q._values, q._indices, q._scales, q._d, q._granularity
    if isinstance(k, Codes):
        _check_dtype("k", k, v)
        k, k_indices, k_scales, k_d, k_granularity = k._values, k._indices, k._scales, k._d, k._granularity
    if cu_seqlens is not None:
        offsets_q, offsets_k = _operations.sequence_offsets(cu_seqlens)
    if _is_tensor(q):
        results = _torch.attention(q, q_indices, q_scales, k, k_indices, k_scales, v, offsets_q, offsets_k, q_d, k_d,
                                   q_granularity, k_granularity, topk, topk_granularity, causal, window, scale, return_lse,
                                   schedule)
    else:
        names = ("q" if q_d is None else "q.values", "q.indices", "q.scales", "k" if k_d is None else "k.values", "k.indices",
                 "k.scales", "v", *_operations.OFFSET_NAMES)
        results = _arrays.call("attention", names,
                               (q, q_indices, q_scales, k, k_indices, k_scales, v, offsets_q, offsets_k), q_d, k_d,
                               q_granularity, k_granularity, topk, topk_granularity, causal, window, scale, return_lse,
                               schedule)
    return (results[0], results[1]) if return_lse else results[0]


def _check_dtype(name: str, codes: Codes, v: Any) -> None:
    """The values of 8-bit codes do not say what they stand for; v does for those of other codes."""
    if codes._scales is None or not isinstance(v, type(codes._values)) or not hasattr(v, "dtype"):
        return
    # Those of numpy are the same in any byte order.
    if getattr(codes._dtype, "name", codes._dtype) != getattr(v.dtype, "name", v.dtype):
        raise errors.ArgumentTypeError(
            f"{name} is codes of {codes._dtype} and v has {v.dtype}; both have to have one dtype: pass {name}.to(dtype=v.dtype)")

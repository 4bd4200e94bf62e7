"""What the operations take: the checks of their arguments, and their plans."""

import math
import numbers
import re
from typing import Any, NamedTuple

from . import _module, _recorded, errors
from ._plan import CPU, Plan, View, device_name

GPU_FEATURES = range(16, 257, 8)
_GPU_FEATURES_TEXT = "a multiple of 8 from 16 to 256"
GPU_DTYPES = ("f16", "bf16")
CPU_DTYPES = ("f32", "f16", "bf16")
MAX_WINDOW = 2**31 - 1
MIN_SCALE, MAX_SCALE = 2.0**-126, (2 - 2**-23) * 2.0**127 / math.log2(math.e)
"""Kernels take exp2 of scores that are multiplied by scale * log2(e), an f32: one program serves the scales
between the two."""
SCALE_ARGUMENT = "argument"
_OTHER_STRATEGY = re.compile(r"\bstrategy\s*=\s*(?!dense\b)\w")
_BYTES = {"f32": 4, "f16": 2, "bf16": 2}
GRANULARITIES = ("tile", "token", "head")
"""Which values of 8-bit codes share a scale: those of TOKENS_OF_SCALE tokens, of a token, or of a head."""
TOKENS_OF_SCALE = 128
MAX_INTEGER_FEATURES = 1040
"""Dot products of that many 8-bit values are exact in f32."""


class Operand:
    """A dense tensor, or codes: then `indices` is given, `d` is the number of features that they
    are of, and `values` has k of them a row. Codes of 8-bit values have scales besides, their granularity, and the
    dtype that their values had."""

    __slots__ = ("name", "values", "indices", "d", "scales", "granularity", "_dtype")

    def __init__(self, name, values, indices=None, d=None, scales=None, granularity=None, dtype=None):
        self.name, self.values, self.indices = name, values, indices
        self.d, self.scales, self.granularity, self._dtype = d, scales, granularity, dtype

    @property
    def is_integer(self):
        """Whether the values have 8 bits, or are meant to have."""
        return self.scales is not None or self.granularity is not None

    @property
    def dtype(self):
        """That of the numbers which the values stand for."""
        return self._dtype if self.is_integer else self.values.dtype

    @property
    def k(self):
        return None if self.indices is None else self.values.shape[3]

    @property
    def _parts(self):
        parts = (("values", self.values), ("indices", self.indices), ("scales", self.scales))
        return [(f"{self.name}.{part}", view) for part, view in parts if view is not None]

    @property
    def views(self):
        return [self.values] if self.indices is None else [view for _, view in self._parts]

    @property
    def names(self):
        return [self.name] if self.indices is None else [name for name, _ in self._parts]


def index_dtype(d):
    return "u8" if d <= 256 else "u16"


def _listed(values):
    return ", ".join(str(value) for value in values)


def check_granularity(name, granularity):
    if granularity not in GRANULARITIES:
        kind = errors.ArgumentValueError if isinstance(granularity, str) else errors.ArgumentTypeError
        raise kind(f"{name} is {granularity!r}; it has to be \"tile\", \"token\" or \"head\"")
    return granularity


def quantization(values, scales):
    """The granularity of scales that the options `values` and `scales` ask for; None for values as they are."""
    if values is None:
        if scales is not None:
            raise errors.ArgumentValueError(
                f"scales is {scales!r} without values; scales are those of 8-bit values: give values=\"int8\" as well, or "
                "leave scales out")
        return None
    if not isinstance(values, str) or values != "int8":
        kind = errors.ArgumentValueError if isinstance(values, str) else errors.ArgumentTypeError
        raise kind(f"values is {values!r}; it has to be \"int8\", or None for values as they are")
    return check_granularity("scales", "tile" if scales is None else scales)


def count_scales(granularity, tokens):
    """How many scales a head has."""
    if granularity == "head":
        return 1
    return tokens if granularity == "token" else (tokens + TOKENS_OF_SCALE - 1) // TOKENS_OF_SCALE


def integer(name, value, low, high=None):
    """`value` as an int within [low, high]."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise errors.ArgumentTypeError(f"{name} is {value!r}; it has to be an integer")
    if value < low or (high is not None and value > high):
        allowed = f"at least {low}" if high is None else f"{low} to {high}"
        raise errors.ArgumentValueError(f"{name} is {value}; it has to be {allowed}")
    return int(value)


def check_dense(name, view):
    """A dense [batch, heads, tokens, features] tensor that the device of the view can read."""
    on_gpu = view.device != CPU
    allowed = GPU_DTYPES if on_gpu else CPU_DTYPES
    if view.dtype not in allowed:
        raise errors.ArgumentTypeError(
            f"{name} has dtype {view.dtype}; on {device_name(view.device)} it has to be one of "
            f"{_listed(allowed)}")
    if len(view.shape) != 4:
        raise errors.ArgumentValueError(
            f"{name} has {len(view.shape)} dimensions, shape {list(view.shape)}; it has to have 4: "
            "[batch, heads, tokens, features]")
    heads, features = view.shape[1], view.shape[3]
    if heads < 1 or features < 1:
        raise errors.ArgumentValueError(
            f"{name} has {heads} heads and {features} features; both have to be at least 1")
    if not on_gpu:
        return
    if features not in GPU_FEATURES:
        raise errors.ArgumentValueError(
            f"{name} has {features} features; on a GPU it has to be {_GPU_FEATURES_TEXT}: "
            "pad with zeros, and give scale for q and k")
    check_strides(name, view, 16 // _BYTES[view.dtype])


def check_strides(name, view, unit):
    """The last stride is 1 and the others are multiples of `unit` elements."""
    if view.strides is None:
        return
    if view.shape[3] > 1 and view.strides[3] != 1:
        raise errors.ArgumentValueError(
            f"{name} has strides {list(view.strides)}; the last has to be 1: pass "
            f"{name}.contiguous()")
    for size, stride in zip(view.shape[:3], view.strides[:3]):
        if size > 1 and stride % unit:
            raise errors.ArgumentValueError(
                f"{name} has strides {list(view.strides)}; on a GPU all but the last have to be "
                f"multiples of {unit} elements, 16 bytes: pass {name}.contiguous()")


def check_range(largest, d):
    """The largest index of codes of d features."""
    if largest >= d:
        raise errors.ArgumentValueError(
            f"indices has the feature {largest}; codes of {d} features have those below {d}")


def refuse_row(row, features):
    """The first row of codes whose features do not ascend, as (batch, head, token), and the features of its
    values that are not 0, as list of int."""
    raise errors.ArgumentValueError(
        f"indices of row {tuple(row)} has the features {_listed(features)} for values that are not 0; they have to "
        "ascend in a row, each at most once")


def _check_dtype_of_codes(codes):
    """The dtype of the values, and of 8-bit values the one that they stand for."""
    device = codes.values.device
    allowed = GPU_DTYPES if device != CPU else CPU_DTYPES
    if codes.is_integer and codes.values.dtype != "i8":
        raise errors.ArgumentTypeError(
            f"{codes.name}.values has dtype {codes.values.dtype}; with scales it has to be int8")
    if codes.dtype not in allowed:
        what = f"the dtype of {codes.name} is" if codes.is_integer else f"{codes.name}.values has dtype"
        hint = "; int8 values have scales" if codes.dtype == "i8" else ""
        raise errors.ArgumentTypeError(
            f"{what} {codes.dtype}; on {device_name(device)} it has to be one of {_listed(allowed)}{hint}")


def _check_scales(codes):
    """The scales of 8-bit codes, whose values are as they should be."""
    name, scales, (batch, heads, tokens, k) = codes.name, codes.scales, codes.values.shape
    if scales is None or codes.granularity is None:
        missing = "scales" if scales is None else "the granularity of its scales"
        raise errors.ArgumentTypeError(f"{name} lacks {missing}; codes of 8-bit values have both")
    check_granularity(f"the granularity of {name}", codes.granularity)
    if scales.dtype != "f32":
        raise errors.ArgumentTypeError(f"{name}.scales has dtype {scales.dtype}; it has to be float32")
    wanted = (batch, heads, count_scales(codes.granularity, tokens))
    if tuple(scales.shape) != wanted:
        raise errors.ArgumentValueError(
            f"{name}.scales has shape {list(scales.shape)}; for {tokens} tokens and scales of \"{codes.granularity}\" it "
            f"has to be {list(wanted)}")
    if scales.device != codes.values.device:
        raise errors.ArgumentValueError(
            f"{name} has values on {device_name(codes.values.device)} and scales on {device_name(scales.device)}; both "
            "have to be on one device")
    if k > MAX_INTEGER_FEATURES:
        raise errors.ArgumentValueError(
            f"{name} has k = {k}; codes of 8-bit values keep at most {MAX_INTEGER_FEATURES} features, so that their dot "
            "products are exact")


def check_codes(codes):
    """The tensors of codes, an operand."""
    name, values, indices = codes.name, codes.values, codes.indices
    d = integer(f"d of {name}", codes.d, 1)
    _check_dtype_of_codes(codes)
    if indices.dtype != index_dtype(d):
        raise errors.ArgumentTypeError(
            f"{name}.indices has dtype {indices.dtype}; for codes of {d} features it has to be "
            f"{index_dtype(d)}")
    if len(values.shape) != 4 or tuple(values.shape) != tuple(indices.shape):
        raise errors.ArgumentValueError(
            f"{name} has values of shape {list(values.shape)} and indices of shape "
            f"{list(indices.shape)}; both have to be the same [batch, heads, tokens, k]")
    if values.device != indices.device:
        raise errors.ArgumentValueError(
            f"{name} has values on {device_name(values.device)} and indices on "
            f"{device_name(indices.device)}; both have to be on one device")
    k = values.shape[3]
    if not 1 <= k <= d or d > 65536:
        raise errors.ArgumentValueError(
            f"{name} has k = {k} of d = {d} features; 1 <= k <= d <= 65536 is needed")
    if values.shape[1] < 1:
        raise errors.ArgumentValueError(f"{name} has no heads; it has to have at least 1")
    if codes.is_integer:
        _check_scales(codes)
    if values.device == CPU:
        return
    if d not in GPU_FEATURES:
        raise errors.ArgumentValueError(
            f"{name} has codes of {d} features; on a GPU it has to be {_GPU_FEATURES_TEXT}")
    for part, view in (("values", values), ("indices", indices)):
        check_strides(f"{name}.{part}", view, 1)


def refuse_scale(place, scale):
    """The first scale of codes that is not positive, at (batch, head, number)."""
    raise errors.ArgumentValueError(f"scales has {scale} at {tuple(place)}; scales have to be positive")


def clamp_k(k, d, device):
    """k of a sparsify: on a CPU more than d is d."""
    return min(integer("k", k, 1, d if device != CPU else None), d)


def check_two_four(name, k, d):
    """k of d features can be at most two of every aligned group of four."""
    if d % 4 or not 1 <= k <= d // 2:
        raise errors.ArgumentValueError(
            f"{name} has two_four with k = {k} of d = {d} features; it needs whole groups of four "
            "features and at most two of each: d a multiple of 4 and k 1 to d / 2")


def _check_features_of_integers(k):
    if k > MAX_INTEGER_FEATURES:
        raise errors.ArgumentValueError(
            f"k is {k} with 8-bit values; it has to be 1 to {MAX_INTEGER_FEATURES}, so that dot products are exact")


def _integer_views(rows, k, d, granularity, device):
    """Values, indices and scales of 8-bit codes, as results."""
    shape = (*rows, k)
    return [View(shape, None, "i8", device), View(shape, None, index_dtype(d), device),
            View((*rows[:2], count_scales(granularity, rows[2])), None, "f32", device)]


def sparsify_plan(x, k, two_four=False, return_dense=False, granularity=None):
    """x: a dense view. Results: values and indices, [b, h, n, k], and, where `return_dense`, the rows
    that they stand for, [b, h, n, d]. With a granularity the values have 8 bits, and scales come behind the indices."""
    check_dense("x", x)
    batch, heads, tokens, d = x.shape
    if two_four:
        check_two_four("sparsify", integer("k", k, 1), d)
    k = clamp_k(k, d, x.device)
    if granularity is not None:
        _check_features_of_integers(k)
        results = _integer_views((batch, heads, tokens), k, d, granularity, x.device)
    else:
        shape = (batch, heads, tokens, k)
        results = [View(shape, None, x.dtype, x.device), View(shape, None, index_dtype(d), x.device)]
    if return_dense:
        results.append(View(x.shape, None, x.dtype, x.device))
    return Plan.of_module(_module.sparsify(heads, d, x.dtype, k, two_four, return_dense, granularity), x.device, ["x"],
                          [x], results)


def quantize_plan(codes, granularity):
    """codes: an operand on a CPU. Results: values, indices and scales."""
    check_codes(codes)
    batch, heads, tokens, k = codes.values.shape
    _check_features_of_integers(k)
    device = codes.values.device
    return Plan.of_module(_module.quantize(heads, codes.d, codes.dtype, k, granularity), device, codes.names, codes.views,
                          _integer_views((batch, heads, tokens), k, codes.d, granularity, device))


def densify_plan(codes):
    """codes: an operand. Result: dense rows, [b, h, n, d]."""
    check_codes(codes)
    batch, heads, tokens, k = codes.values.shape
    device = codes.values.device
    return Plan.of_module(_module.densify(heads, codes.d, codes.dtype, k, codes.granularity), device, codes.names,
                          codes.views, [View((batch, heads, tokens, codes.d), None, codes.dtype, device)])


def flag(name, value):
    """`value` as a bool."""
    try:
        return bool(value)
    except Exception as error:  # whatever a type of someone else raises
        raise errors.ArgumentTypeError(f"{name} is {value!r}; it has to be True or False: {error}") from None


def plain_options(topk, causal, window, scale, lse, schedule):
    """The options of a call as None, bool, int, float, str and a tuple of int and None: as keys of plans
    they do not change, and those that are equal mean the same."""
    if not isinstance(schedule, (str, type(None))):
        raise errors.ArgumentTypeError(
            f"schedule is {schedule!r}; it has to be text such as \"strategy = dense, softmax = "
            "lazy\"")
    return (None if topk is None else integer("topk", topk, 1), flag("causal", causal), window_bounds(window),
            scale_value(scale), flag("return_lse", lse), None if schedule is None else str(schedule))


def window_bounds(window):
    """(left, right) with None where a side is unbounded, or None without a window."""
    if window is None:
        return None
    try:
        left, right = window
        if type(left) is int and type(right) is int and 0 <= left <= MAX_WINDOW and 0 <= right <= MAX_WINDOW:
            return left, right
    except (TypeError, ValueError):
        raise errors.ArgumentTypeError(
            f"window is {window!r}; it has to be a pair (left, right) of integers, None or -1 for "
            "an unbounded side") from None
    bounds = []
    for name, bound in (("left", left), ("right", right)):
        # Only an integer is -1 here: -1.0 is refused like all that is no integer.
        if bound is not None:
            bound = None if isinstance(bound, numbers.Integral) and bound == -1 else integer(
                f"window {name}", bound, 0, MAX_WINDOW)
        bounds.append(bound)
    return tuple(bounds)


def sequence_offsets(cu_seqlens):
    """The offsets of the sequences of q and of those of k."""
    if not isinstance(cu_seqlens, (tuple, list)):
        return cu_seqlens, cu_seqlens
    if len(cu_seqlens) != 2:
        raise errors.ArgumentTypeError(
            f"cu_seqlens is a {type(cu_seqlens).__name__} of {len(cu_seqlens)}; it has to be a tensor of "
            "int32, or a pair of them for q and for k")
    return tuple(cu_seqlens)


OFFSET_NAMES = ("cu_seqlens_q", "cu_seqlens_k")


def check_offsets(views, device):
    """The offsets of sequences, of q and of k, without their contents."""
    for name, view in zip(OFFSET_NAMES, views):
        if view.dtype != "i32":
            raise errors.ArgumentTypeError(f"{name} has dtype {view.dtype}; it has to be int32")
        if len(view.shape) != 1 or view.shape[0] < 2:
            raise errors.ArgumentValueError(
                f"{name} has shape {list(view.shape)}; s sequences have s + 1 offsets, in 1 dimension, "
                "and at least 1 sequence is needed")
        if view.device != device:
            raise errors.ArgumentValueError(
                f"{name} is on {device_name(view.device)} and q on {device_name(device)}; all have to "
                "be on one device")
        if view.strides is not None and view.strides[0] != 1:
            raise errors.ArgumentValueError(
                f"{name} has stride {view.strides[0]}; it has to be 1: pass {name}.contiguous()")
    if views[0].shape != views[1].shape:
        raise errors.ArgumentValueError(
            f"cu_seqlens_q has {views[0].shape[0]} offsets and cu_seqlens_k has {views[1].shape[0]}; both "
            "have to have one more than there are sequences")


def check_offset_values(offsets, totals):
    """Offsets as lists of int, where looking at them is free: on a CPU."""
    for name, values, total, tokens in zip(OFFSET_NAMES, offsets, totals, "qk"):
        if values[0] != 0 or values[-1] != total:
            raise errors.ArgumentValueError(
                f"{name} goes from {values[0]} to {values[-1]}; it has to go from 0 to the {total} "
                f"tokens of {tokens}")
        for sequence, (begin, end) in enumerate(zip(values, values[1:])):
            if end < begin:
                raise errors.ArgumentValueError(
                    f"{name} descends from {begin} to {end} at sequence {sequence}; it has to ascend")


def split_scale(scale):
    """What of a scale, a float, is part of a program, and the number that each call passes to it:
    SCALE_ARGUMENT and the scale; or the scale itself, where it is 0, negative or tiny, and None.
    (Calls that give no scale, which are most, have nothing to pass: 1 / sqrt(d) is part of their
    program.)"""
    return (SCALE_ARGUMENT, scale) if MIN_SCALE <= scale <= MAX_SCALE else (scale, None)


def scale_value(scale):
    if scale is None:
        return None
    if hasattr(scale, "__array__") and not isinstance(scale, numbers.Real):
        raise errors.ArgumentTypeError(
            f"scale is a {type(scale).__name__}; it has to be a number, which gets no gradient and makes no "
            "synchronisation: multiply q by the tensor, pass q * scale as q and scale=1, or pass float(scale)")
    if isinstance(scale, bool) or not isinstance(scale, numbers.Real):
        raise errors.ArgumentTypeError(f"scale is {scale!r}; it has to be a number")
    try:
        scale = float(scale)
    except OverflowError:  # an int beyond f64
        scale = math.inf if scale > 0 else -math.inf
    if not math.isfinite(scale):
        raise errors.ArgumentValueError(f"scale is {scale}; it has to be finite")
    if abs(scale) > MAX_SCALE:
        raise errors.ArgumentValueError(
            f"scale is {scale}; it has to be within {MAX_SCALE:.6g} and -{MAX_SCALE:.6g}: scores are "
            "multiplied by scale * log2(e) in f32, which ends there")
    return scale


def refuse_dtype(dtype, name, other):
    raise errors.ArgumentTypeError(f"q has dtype {dtype} and {name} has {other}; all have to have one dtype")


def _check_integers(q, k, topk, topk_granularity):
    """8-bit values are those of q and k or of neither."""
    if topk_granularity is not None and topk is None:
        raise errors.ArgumentValueError(
            "values is 'int8' without topk; it is for dense q and k that topk sparsifies: give topk as well, or leave "
            "values out")
    both = [operand.is_integer or (operand.indices is None and topk_granularity is not None) for operand in (q, k)]
    if both[0] == both[1]:
        return
    one, other = (q, k) if both[0] else (k, q)
    hint = (f"pass topk=... and values=\"int8\", or sfa.sparsify({other.name}, ..., values=\"int8\")" if other.indices is None
            else f"pass sfa.quantize({other.name})")
    what = "has 8-bit values" if one.is_integer else "gets 8-bit values"
    raise errors.ArgumentValueError(
        f"{one.name} {what} and {other.name} {other.dtype}; both have to be 8-bit codes or neither: {hint}")


class AttentionRequest(NamedTuple):
    """A call of attention that was checked: what its plan is made of, and what `_recorded.describe` takes."""

    module: str
    device: int
    names: list[str]
    arguments: list[View]
    results: list[View]
    takes_scale: bool
    problem: dict[str, Any]


def attention_plan(*call, **options):
    """The plan of what `attention_request` takes."""
    request = attention_request(*call, **options)
    plan = Plan.of_module(*request[:-1])
    if _recorded.recorders:
        _recorded.add(request.problem, device_name(request.device))
    return plan


def attention_request(q, k, v, offsets, topk, causal, window, scale, lse, schedule, topk_granularity=None):
    """q, k: operands; v: a dense view; offsets: a pair of views or None; window: a pair or None.
    Results: output [b, h_q, n_q, dv] and, where `lse`, [b, h_q, n_q] in f32. `scale` is
    None, or of `split_scale` what is part of the program. With `topk_granularity` what topk sparsifies gets 8-bit
    values."""
    for operand in (q, k):
        if operand.indices is None:
            check_dense(operand.name, operand.values)
            operand.d = operand.values.shape[3]
        else:
            check_codes(operand)
    check_dense("v", v)
    _check_integers(q, k, topk, topk_granularity)
    device, dtype = q.values.device, q.dtype
    for name, view, other in (("k", k.values, k.dtype), ("v", v, v.dtype)):
        if view.device != device:
            raise errors.ArgumentValueError(
                f"q is on {device_name(device)} and {name} on {device_name(view.device)}; all have "
                "to be on one device")
        if other != dtype:
            refuse_dtype(dtype, name, other)
    if k.d != q.d:
        raise errors.ArgumentValueError(
            f"q has {q.d} features and k has {k.d}; they have to have as many")
    batch, q_heads, q_tokens, _ = q.values.shape
    kv_heads = k.values.shape[1]
    if k.values.shape[0] != batch or tuple(v.shape[:3]) != tuple(k.values.shape[:3]):
        raise errors.ArgumentValueError(
            f"q, k and v have shapes {list(q.values.shape)}, {list(k.values.shape)} and "
            f"{list(v.shape)}; batches have to be the same, and heads and tokens of v those of k")
    if q_heads % kv_heads:
        raise errors.ArgumentValueError(
            f"q has {q_heads} heads and k has {kv_heads}; the heads of q have to be a multiple of "
            "those of k")
    if offsets is not None:
        check_offsets(offsets, device)
        if batch != 1:
            raise errors.ArgumentValueError(
                f"q has a batch of {batch}; with cu_seqlens it has to be 1, with the tokens of all "
                "sequences one after the other")
    topks = [None, None]
    if topk is not None:
        topk = clamp_topk(topk, q, k, device)
        topks = [topk if operand.indices is None else None for operand in (q, k)]
        if topk_granularity is not None:
            _check_features_of_integers(topk)
    bounds, takes_scale = window_bounds(window), scale == SCALE_ARGUMENT
    module = _module.attention(
        q_heads=q_heads, kv_heads=kv_heads, d=q.d, dv=v.shape[3], dtype=dtype, q_k=q.k, k_k=k.k,
        q_granularity=q.granularity, k_granularity=k.granularity, q_topk=topks[0], k_topk=topks[1],
        topk_granularity=topk_granularity,
        mask=_module.mask_text(bool(causal), bounds), scale=None if takes_scale else scale_value(scale),
        takes_scale=takes_scale, schedule=schedule, lse=bool(lse), sequences=offsets is not None)
    results = [View((batch, q_heads, q_tokens, v.shape[3]), None, dtype, device)]
    if lse:
        results.append(View((batch, q_heads, q_tokens), None, "f32", device))
    names, views = q.names + k.names + ["v"], q.views + k.views + [v]
    if offsets is not None:
        names, views = names + list(OFFSET_NAMES), views + list(offsets)
    left, right = bounds or (None, None)
    # The compiler takes rows that keep all features as they are, unless a strategy that is given needs codes.
    if topk == q.d and topk_granularity is None and not _OTHER_STRATEGY.search(schedule or ""):
        topks = [None, None]
    problem = dict(
        batch=batch, query_heads=q_heads, key_heads=kv_heads, queries=q_tokens, keys=v.shape[2], d=q.d, dv=v.shape[3],
        dtype=dtype, query_codes=q.k or topks[0], key_codes=k.k or topks[1],
        key_granularity=k.granularity if k.is_integer else topk_granularity, left=left, right=0 if causal else right,
        lse=bool(lse), sequences=offsets is not None)
    return AttentionRequest(module, device, names, views, results, takes_scale, problem)


def clamp_topk(topk, q, k, device):
    if q.indices is not None and k.indices is not None:
        raise errors.ArgumentValueError(
            f"topk is {topk}, but q and k are codes already; leave it out")
    return min(integer("topk", topk, 1, q.d if device != CPU else None), q.d)


def decode_plan(q, parts, table, lengths, layout, query_topk, left, scale, lse):
    """q: a view; parts: views of the keys, of their features where there are codes, and of the values in their pages; `layout`
    is that of the pages. `scale` as in `attention_request`. Results: output [b, h_q, n_q, dv] and, where `lse`, [b, h_q, n_q] in
    f32."""
    batch, q_heads, tokens, d = q.shape
    takes_scale = scale == SCALE_ARGUMENT
    module = _module.decode(
        q_heads=q_heads, kv_heads=parts[0].shape[1], tokens=tokens, d=d, dv=layout.dv, dtype=q.dtype,
        page_size=layout.page_size, max_pages=table.shape[1], k=layout.topk, q_topk=query_topk, left=left,
        scale=None if takes_scale else scale, takes_scale=takes_scale, lse=lse)
    results = [View((batch, q_heads, tokens, layout.dv), None, q.dtype, q.device)]
    if lse:
        results.append(View((batch, q_heads, tokens), None, "f32", q.device))
    names = ["q", *["pages of the cache"] * len(parts), "block_table", "seqlens"]
    return Plan.of_module(module, q.device, names, [q, *parts, table, lengths], results, takes_scale)


def append_plan(key, value, where, parts, layout):
    """key: views of the new keys, or of their values and features; `where`: of the slots, or of the table and the lengths; `parts`
    as in `decode_plan`, which the program writes. There are no results."""
    module = _module.append(
        heads=value.shape[1], d=layout.d, dv=layout.dv, dtype=value.dtype, page_size=layout.page_size, k=layout.topk,
        given_codes=len(key) > 1, slots=len(where) == 1)
    names = [*(["k"] if len(key) == 1 else ["k.values", "k.indices"]), "v",
             *(["slot_mapping"] if len(where) == 1 else ["block_table", "seqlens"]), *["pages of the cache"] * len(parts)]
    return Plan.of_module(module, value.device, names, [*key, value, *where, *parts], [])

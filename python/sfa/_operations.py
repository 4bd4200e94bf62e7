"""What the operations take: the checks of their arguments, and their plans."""

import math
import numbers

from . import _module, errors
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
_BYTES = {"f32": 4, "f16": 2, "bf16": 2}


class Operand:
    """A dense tensor, or codes: then `indices` is given, `d` is the number of features that they
    are of, and `values` has k of them a row."""

    __slots__ = ("name", "values", "indices", "d")

    def __init__(self, name, values, indices=None, d=None):
        self.name, self.values, self.indices = name, values, indices
        self.d = d

    @property
    def k(self):
        return None if self.indices is None else self.values.shape[3]

    @property
    def views(self):
        return [self.values] if self.indices is None else [self.values, self.indices]

    @property
    def names(self):
        if self.indices is None:
            return [self.name]
        return [f"{self.name}.values", f"{self.name}.indices"]


def index_dtype(d):
    return "u8" if d <= 256 else "u16"


def _listed(values):
    return ", ".join(str(value) for value in values)


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


def check_codes(name, values, indices, d):
    """The two tensors of codes of d features."""
    d = integer(f"d of {name}", d, 1)
    allowed = GPU_DTYPES if values.device != CPU else CPU_DTYPES
    if values.dtype not in allowed:
        raise errors.ArgumentTypeError(
            f"{name}.values has dtype {values.dtype}; on {device_name(values.device)} it has to be "
            f"one of {_listed(allowed)}")
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
    if values.device == CPU:
        return
    if d not in GPU_FEATURES:
        raise errors.ArgumentValueError(
            f"{name} has codes of {d} features; on a GPU it has to be {_GPU_FEATURES_TEXT}")
    for part, view in (("values", values), ("indices", indices)):
        check_strides(f"{name}.{part}", view, 1)


def clamp_k(k, d, device):
    """k of a sparsify: on a CPU more than d is d."""
    return min(integer("k", k, 1, d if device != CPU else None), d)


def check_two_four(name, k, d):
    """k of d features can be at most two of every aligned group of four."""
    if d % 4 or not 1 <= k <= d // 2:
        raise errors.ArgumentValueError(
            f"{name} has two_four with k = {k} of d = {d} features; it needs whole groups of four "
            "features and at most two of each: d a multiple of 4 and k 1 to d / 2")


def sparsify_plan(x, k, two_four=False, return_dense=False):
    """x: a dense view. Results: values and indices, [b, h, n, k], and, where `return_dense`, the rows
    that they stand for, [b, h, n, d]."""
    check_dense("x", x)
    batch, heads, tokens, d = x.shape
    if two_four:
        check_two_four("sparsify", integer("k", k, 1), d)
    k = clamp_k(k, d, x.device)
    shape = (batch, heads, tokens, k)
    results = [View(shape, None, x.dtype, x.device), View(shape, None, index_dtype(d), x.device)]
    if return_dense:
        results.append(View(x.shape, None, x.dtype, x.device))
    return Plan.of_module(_module.sparsify(heads, d, x.dtype, k, two_four, return_dense), x.device, ["x"],
                          [x], results)


def densify_plan(codes):
    """codes: an operand. Result: dense rows, [b, h, n, d]."""
    check_codes(codes.name, codes.values, codes.indices, codes.d)
    batch, heads, tokens, k = codes.values.shape
    dtype, device = codes.values.dtype, codes.values.device
    return Plan.of_module(_module.densify(heads, codes.d, dtype, k), device, codes.names, codes.views,
                          [View((batch, heads, tokens, codes.d), None, dtype, device)])


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


def attention_plan(q, k, v, offsets, topk, causal, window, scale, lse, schedule):
    """q, k: operands; v: a dense view; offsets: a pair of views or None; window: a pair or None.
    Results: output [b, h_q, n_q, dv] and, where `lse`, [b, h_q, n_q] in f32. `scale` is
    None, or of `split_scale` what is part of the program."""
    for operand in (q, k):
        if operand.indices is None:
            check_dense(operand.name, operand.values)
            operand.d = operand.values.shape[3]
        else:
            check_codes(operand.name, operand.values, operand.indices, operand.d)
    check_dense("v", v)
    device, dtype = q.values.device, q.values.dtype
    for name, view in (("k", k.values), ("v", v)):
        if view.device != device:
            raise errors.ArgumentValueError(
                f"q is on {device_name(device)} and {name} on {device_name(view.device)}; all have "
                "to be on one device")
        if view.dtype != dtype:
            raise errors.ArgumentTypeError(
                f"q has dtype {dtype} and {name} has {view.dtype}; all have to have one dtype")
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
    bounds, takes_scale = window_bounds(window), scale == SCALE_ARGUMENT
    module = _module.attention(
        q_heads=q_heads, kv_heads=kv_heads, d=q.d, dv=v.shape[3], dtype=dtype, q_k=q.k, k_k=k.k,
        q_topk=topks[0], k_topk=topks[1],
        mask=_module.mask_text(bool(causal), bounds), scale=None if takes_scale else scale_value(scale),
        takes_scale=takes_scale, schedule=schedule, lse=bool(lse), sequences=offsets is not None)
    results = [View((batch, q_heads, q_tokens, v.shape[3]), None, dtype, device)]
    if lse:
        results.append(View((batch, q_heads, q_tokens), None, "f32", device))
    names, views = q.names + k.names + ["v"], q.views + k.views + [v]
    if offsets is not None:
        names, views = names + list(OFFSET_NAMES), views + list(offsets)
    return Plan.of_module(module, device, names, views, results, takes_scale)


def clamp_topk(topk, q, k, device):
    if q.indices is not None and k.indices is not None:
        raise errors.ArgumentValueError(
            f"topk is {topk}, but q and k are codes already; leave it out")
    return min(integer("topk", topk, 1, q.d if device != CPU else None), q.d)

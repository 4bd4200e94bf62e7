"""The operations on numpy arrays: this CPU, in the calling thread and those of the library."""

import sys

import numpy

from . import _operations, errors
from ._plan import CPU, PlanTable, View

_DTYPES = {"float32": "f32", "float16": "f16", "bfloat16": "bf16", "int8": "i8", "uint8": "u8",
           "uint16": "u16", "int32": "i32"}
_OTHERS = {"f32": numpy.float32, "i8": numpy.int8, "u8": numpy.uint8, "u16": numpy.uint16}
_plans = PlanTable()


def allocate(shape, dtype):
    """Makes every result; tests put their own in its place."""
    return numpy.empty(shape, dtype)


def is_array(x):
    return isinstance(x, numpy.ndarray)


def _refuse_mask(name, array):
    masked = sys.modules.get("numpy.ma")
    if masked is not None and isinstance(array, masked.MaskedArray):
        raise errors.ArgumentTypeError(
            f"{name} is a masked array, whose mask no operation takes; pass {name}.filled(0), or {name}.data where the "
            "mask does not matter")


def _dtype_name(dtype):
    return _DTYPES.get(dtype.name, str(dtype))


def _view(array):
    return View(array.shape, None, _dtype_name(array.dtype), CPU)


def _operand(name, parts, d, granularity, dtype):
    """Of the array of a dense operand, or of the arrays of codes: values, indices and, of 8-bit values, which stand for
    numbers of `dtype`, scales."""
    values, indices, scales = (*map(_view, parts), None, None)[:3]
    return _operations.Operand(name, values, indices, d, scales, granularity, _dtype_name(dtype))


def _contiguous(name, array):
    """Row-major, in the byte order of this machine, at a multiple of the size of an element; a copy only where
    that is needed."""
    if not isinstance(array, numpy.ndarray):
        raise errors.ArgumentTypeError(
            f"{name} is a {type(array).__name__} beside numpy arrays; all have to be of one kind")
    _refuse_mask(name, array)
    array = numpy.ascontiguousarray(array, array.dtype.newbyteorder("="))
    return array if array.flags.aligned else array.copy()


def _execute(plan, arrays, number=None, dtype=None):
    """Runs a plan; the results as a list. Those of numbers have `dtype`, that of the first array where it is None."""
    dtype = arrays[0].dtype if dtype is None else dtype
    results = [allocate(shape, _OTHERS.get(kind, dtype)) for shape, kind in plan.results]
    plan.run([array.__array_interface__["data"][0] for array in (*arrays, *results)], number)
    return results


def as_dtype(dtype):
    """The dtype that 8-bit codes stand for, as one of numpy, in the byte order of this machine."""
    try:
        return numpy.dtype(dtype).newbyteorder("=")
    except TypeError:
        raise errors.ArgumentTypeError(
            f"dtype is {dtype!r}; codes of 8-bit values need that of the numbers which they stand for, such as "
            "numpy.float32") from None


def check_codes(parts, d, granularity, dtype):
    """`parts` are values, indices and, of 8-bit values, scales."""
    for name, array in zip(("values", "indices", "scales"), parts):
        _refuse_mask(name, array)
    values, indices, *scales = parts
    _operations.check_codes(_operand("codes", parts, d, granularity, dtype or values.dtype))
    if not indices.size:
        return
    _operations.check_range(int(indices.max()), d)
    counting = values != 0
    features = numpy.where(counting, indices.astype(numpy.int32), -1)
    before = numpy.maximum.accumulate(features, -1)[..., :-1]
    wrong = (counting[..., 1:] & (features[..., 1:] <= before)).any(-1)
    if wrong.any():
        row = tuple(int(i) for i in numpy.argwhere(wrong)[0])
        _operations.refuse_row(row, features[row][counting[row]].tolist())
    for array in scales:
        for place in numpy.argwhere(array <= 0).tolist():
            _operations.refuse_scale(place, array[tuple(place)])


def move(parts, d, granularity, current, device, dtype, non_blocking):
    if dtype is None and device is not None and device != "cpu":
        # As of a torch tensor, the dtype may come first.
        try:
            device, dtype = None, numpy.dtype(device)
        except TypeError:
            pass
    if device not in (None, "cpu"):
        raise errors.ArgumentValueError(f"device is {device!r}; numpy arrays have to be on \"cpu\"")
    if dtype is not None:
        current = as_dtype(dtype)
        if granularity is None:
            parts = [parts[0].astype(current, copy=False), *parts[1:]]
        _operations.check_codes(_operand("codes", parts, d, granularity, current))
    return parts, current


def concatenate(parts, dim):
    return numpy.concatenate(parts, dim)


def sparsify(x, k, two_four, return_dense, granularity):
    x, k = _contiguous("x", x), _operations.integer("k", k, 1)
    key = ("sparsify", x.shape, x.dtype, k, two_four, return_dense, granularity)
    plan = _plans.plans.get(key) or _plans.add(
        key, _operations.sparsify_plan(_view(x), k, two_four, return_dense, granularity))
    return _execute(plan, [x])


def quantize(values, indices, d, granularity):
    values, indices = arrays = _flatten("codes", values, indices, None)
    key = ("quantize", values.shape, values.dtype, indices.shape, indices.dtype, d, granularity)
    plan = _plans.plans.get(key)
    if plan is None:
        operand = _operand("codes", arrays, d, None, values.dtype)
        plan = _plans.add(key, _operations.quantize_plan(operand, granularity))
    return _execute(plan, arrays)


def densify(values, indices, scales, d, granularity, dtype):
    arrays = _flatten("codes", values, indices, scales)
    dtype = arrays[0].dtype if dtype is None else as_dtype(dtype)
    key = ("densify", *((array.shape, array.dtype) for array in arrays), d, granularity, dtype)
    plan = _plans.plans.get(key)
    if plan is None:
        plan = _plans.add(key, _operations.densify_plan(_operand("codes", arrays, d, granularity, dtype)))
    return _execute(plan, arrays, dtype=dtype)


def _flatten(name, values, indices, scales):
    """The arrays of a dense operand, or of codes."""
    if indices is None:
        return [_contiguous(name, values)]
    parts = (("values", values), ("indices", indices), ("scales", scales))
    return [_contiguous(f"{name}.{part}", array) for part, array in parts if array is not None]


def attention_request(q, q_indices, q_scales, k, k_indices, k_scales, v, offsets_q, offsets_k, q_d, k_d, q_granularity,
                      k_granularity, topk, topk_granularity, causal, window, scale, lse, schedule):
    """What `attention` would make a plan of."""
    v, offsets = _contiguous("v", v), None
    queries = _operand("q", _flatten("q", q, q_indices, q_scales), q_d, q_granularity, v.dtype)
    keys = _operand("k", _flatten("k", k, k_indices, k_scales), k_d, k_granularity, v.dtype)
    topk, causal, window, scale, lse, schedule = _operations.plain_options(topk, causal, window, scale, lse, schedule)
    if offsets_q is not None:
        offsets = [_view(_contiguous(name, x)) for name, x in zip(_operations.OFFSET_NAMES, (offsets_q, offsets_k))]
    if scale is not None:
        scale, _ = _operations.split_scale(scale)
    return _operations.attention_request(queries, keys, _view(v), offsets, topk, causal, window, scale, lse, schedule,
                                         topk_granularity)


def attention(q, q_indices, q_scales, k, k_indices, k_scales, v, offsets_q, offsets_k, q_d, k_d, q_granularity, k_granularity,
              topk, topk_granularity, causal, window, scale, lse, schedule):
    operands = [("q", _flatten("q", q, q_indices, q_scales), q_d, q_granularity),
                ("k", _flatten("k", k, k_indices, k_scales), k_d, k_granularity)]
    v, offsets = _contiguous("v", v), None
    topk, causal, window, scale, lse, schedule = _operations.plain_options(topk, causal, window, scale, lse, schedule)
    arrays = [array for _, parts, _, _ in operands for array in parts] + [v]
    if offsets_q is not None:
        offsets = [_contiguous(name, x) for name, x in zip(_operations.OFFSET_NAMES, (offsets_q, offsets_k))]
        arrays += offsets
    number = None
    if scale is not None:
        scale, number = _operations.split_scale(scale)
    key = ("attention", *((array.shape, array.dtype) for array in arrays), q_d, k_d, q_granularity, k_granularity, topk,
           topk_granularity, causal, window, scale, lse, schedule)
    plan = _plans.plans.get(key)
    if plan is None:
        queries, keys = [_operand(name, parts, d, granularity, v.dtype) for name, parts, d, granularity in operands]
        plan = _plans.add(key, _operations.attention_plan(
            queries, keys, _view(v), offsets and [_view(x) for x in offsets], topk, causal, window, scale,
            lse, schedule, topk_granularity))
    if offsets is not None:
        _operations.check_offset_values([x.tolist() for x in offsets],
                                        [parts[0].shape[2] for _, parts, _, _ in operands])
    return _execute(plan, arrays, number, v.dtype)

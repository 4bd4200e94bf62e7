"""The operations on numpy arrays: this CPU, in the calling thread and those of the library."""

import sys

import numpy

from . import _operations, errors
from ._plan import CPU, PlanTable, View

_DTYPES = {"float32": "f32", "float16": "f16", "bfloat16": "bf16", "uint8": "u8", "uint16": "u16",
           "int32": "i32"}
_INDICES = {"u8": numpy.uint8, "u16": numpy.uint16}
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


def _view(array):
    return View(array.shape, None, _DTYPES.get(array.dtype.name, str(array.dtype)), CPU)


def _contiguous(name, array):
    """Row-major, in the byte order of this machine, at a multiple of the size of an element; a copy only where
    that is needed."""
    if not isinstance(array, numpy.ndarray):
        raise errors.ArgumentTypeError(
            f"{name} is a {type(array).__name__} beside numpy arrays; all have to be of one kind")
    _refuse_mask(name, array)
    array = numpy.ascontiguousarray(array, array.dtype.newbyteorder("="))
    return array if array.flags.aligned else array.copy()


def _execute(plan, arrays, number=None):
    dtype = arrays[0].dtype
    results = [allocate(shape, numpy.float32 if kind == "f32" else _INDICES.get(kind, dtype))
               for shape, kind in plan.results]
    plan.run([array.__array_interface__["data"][0] for array in (*arrays, *results)], number)
    return results


def check_codes(values, indices, d):
    _refuse_mask("values", values)
    _refuse_mask("indices", indices)
    _operations.check_codes("codes", _view(values), _view(indices), d)
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


def move(values, indices, d, device, dtype, non_blocking):
    if dtype is None and device is not None and device != "cpu":
        # As of a torch tensor, the dtype may come first.
        try:
            device, dtype = None, numpy.dtype(device)
        except TypeError:
            pass
    if device not in (None, "cpu"):
        raise errors.ArgumentValueError(f"device is {device!r}; numpy arrays have to be on \"cpu\"")
    if dtype is not None:
        values = values.astype(dtype, copy=False)
        _operations.check_codes("codes", _view(values), _view(indices), d)
    return values, indices


def concatenate(parts, dim):
    return numpy.concatenate(parts, dim)


def sparsify(x, k, two_four, return_dense):
    x, k = _contiguous("x", x), _operations.integer("k", k, 1)
    key = ("sparsify", x.shape, x.dtype, k, two_four, return_dense)
    plan = _plans.plans.get(key) or _plans.add(
        key, _operations.sparsify_plan(_view(x), k, two_four, return_dense))
    return _execute(plan, [x])


def densify(values, indices, d):
    values = _contiguous("codes.values", values)
    indices = _contiguous("codes.indices", indices)
    key = ("densify", values.shape, values.dtype, indices.shape, indices.dtype, d)
    plan = _plans.plans.get(key)
    if plan is None:
        operand = _operations.Operand("codes", _view(values), _view(indices), d)
        plan = _plans.add(key, _operations.densify_plan(operand))
    return _execute(plan, [values, indices])


def _flatten(name, values, indices):
    """The arrays of a dense operand, or of codes."""
    if indices is None:
        return [_contiguous(name, values)]
    return [_contiguous(f"{name}.values", values), _contiguous(f"{name}.indices", indices)]


def attention(q, q_indices, k, k_indices, v, offsets_q, offsets_k, q_d, k_d, topk, causal, window, scale,
              lse, schedule):
    operands = [("q", _flatten("q", q, q_indices), q_d), ("k", _flatten("k", k, k_indices), k_d)]
    v, offsets = _contiguous("v", v), None
    topk, causal, window, scale, lse, schedule = _operations.plain_options(topk, causal, window, scale, lse, schedule)
    arrays = [array for _, parts, _ in operands for array in parts] + [v]
    if offsets_q is not None:
        offsets = [_contiguous(name, x) for name, x in zip(_operations.OFFSET_NAMES, (offsets_q, offsets_k))]
        arrays += offsets
    number = None
    if scale is not None:
        scale, number = _operations.split_scale(scale)
    key = ("attention", *((array.shape, array.dtype) for array in arrays), q_d, k_d, topk, causal, window, scale, lse,
           schedule)
    plan = _plans.plans.get(key)
    if plan is None:
        queries, keys = [_operations.Operand(name, _view(parts[0]), _view(parts[1]) if d else None, d)
                         for name, parts, d in operands]
        plan = _plans.add(key, _operations.attention_plan(
            queries, keys, _view(v), offsets and [_view(x) for x in offsets], topk, causal, window, scale,
            lse, schedule))
    if offsets is not None:
        _operations.check_offset_values([x.tolist() for x in offsets],
                                        [parts[0].shape[2] for _, parts, _ in operands])
    return _execute(plan, arrays, number)

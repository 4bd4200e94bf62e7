"""The operations on numpy arrays: this CPU, in the calling thread and those of the library."""

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


def _view(array):
    return View(array.shape, None, _DTYPES.get(array.dtype.name, str(array.dtype)), CPU)


def _contiguous(name, array):
    """Row-major, in the byte order of this machine; a copy only where that is needed."""
    if not isinstance(array, numpy.ndarray):
        raise errors.ArgumentTypeError(
            f"{name} is a {type(array).__name__} beside numpy arrays; all have to be of one kind")
    return numpy.ascontiguousarray(array, array.dtype.newbyteorder("="))


def _execute(plan, arrays):
    dtype = arrays[0].dtype
    results = [allocate(shape, numpy.float32 if kind == "f32" else _INDICES.get(kind, dtype))
               for shape, kind in plan.results]
    plan.run([array.__array_interface__["data"][0] for array in (*arrays, *results)])
    return results


def check_codes(values, indices, d):
    _operations.check_codes("codes", _view(values), _view(indices), d)
    if indices.size:
        _operations.check_range(int(indices.max()), d)


def sparsify(x, k, two_four, return_dense):
    x = _contiguous("x", x)
    key = ("sparsify", x.shape, x.dtype, k, two_four, return_dense)
    plan = _plans.plans.get(key) or _plans.add(
        key, _operations.sparsify_plan(_view(x), k, two_four, return_dense))
    return _execute(plan, [x])


def densify(values, indices, d):
    values = _contiguous("codes.values", values)
    indices = _contiguous("codes.indices", indices)
    key = ("densify", values.shape, values.dtype, d)
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
    arrays = [array for _, parts, _ in operands for array in parts] + [v]
    if offsets_q is not None:
        offsets = [_contiguous(name, x) for name, x in zip(_operations.OFFSET_NAMES, (offsets_q, offsets_k))]
        arrays += offsets
    key = ("attention", *((array.shape, array.dtype) for array in arrays), q_d, k_d, repr(topk), bool(causal),
           repr(window), repr(scale), bool(lse), repr(schedule))
    plan = _plans.plans.get(key)
    if plan is None:
        views = [_operations.Operand(name, _view(parts[0]), _view(parts[1]) if d else None, d)
                 for name, parts, d in operands]
        plan = _plans.add(key, _operations.attention_plan(
            *views, _view(v), offsets and [_view(x) for x in offsets], topk, causal, window, scale,
            lse, schedule))
    if offsets is not None:
        _operations.check_offset_values([x.tolist() for x in offsets],
                                        [parts[0].shape[2] for _, parts, _ in operands])
    return _execute(plan, arrays)

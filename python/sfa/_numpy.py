"""The operations on numpy arrays: this CPU, in the calling thread and those of the library."""

import numpy

from . import _operations, codes as _codes, errors
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
        _codes.check_range(int(indices.max()), d)


def sparsify(x, k, two_four, return_dense):
    x = _contiguous("x", x)
    key = ("sparsify", x.shape, x.dtype, k, two_four, return_dense)
    plan = _plans.plans.get(key) or _plans.add(
        key, _operations.sparsify_plan(_view(x), k, two_four, return_dense))
    values, indices, *dense = _execute(plan, [x])
    codes = _codes.make(values, indices, x.shape[3], two_four)
    return (codes, *dense) if return_dense else codes


def densify(codes):
    values = _contiguous("codes.values", codes.values)
    indices = _contiguous("codes.indices", codes.indices)
    key = ("densify", values.shape, values.dtype, codes.d)
    plan = _plans.plans.get(key)
    if plan is None:
        operand = _operations.Operand("codes", _view(values), _view(indices), codes.d)
        plan = _plans.add(key, _operations.densify_plan(operand))
    return _execute(plan, [values, indices])[0]


def _flatten(name, x):
    """The arrays of a dense operand or of codes, and d of codes."""
    if isinstance(x, _codes.Codes):
        return [_contiguous(f"{name}.values", x.values),
                _contiguous(f"{name}.indices", x.indices)], x.d
    return [_contiguous(name, x)], None


def attention(q, k, v, offsets, topk, causal, window, scale, lse, schedule):
    operands = [(name, *_flatten(name, x)) for name, x in (("q", q), ("k", k))]
    arrays = [array for _, parts, _ in operands for array in parts] + [_contiguous("v", v)]
    if offsets is not None:
        offsets = [_contiguous(name, x) for name, x in zip(_operations.OFFSET_NAMES, offsets)]
        arrays += offsets
    key = ("attention", *((array.shape, array.dtype) for array in arrays),
           operands[0][2], operands[1][2], repr(topk), bool(causal), repr(window), repr(scale), bool(lse),
           repr(schedule))
    plan = _plans.plans.get(key)
    if plan is None:
        views = [_operations.Operand(name, _view(parts[0]), _view(parts[1]) if d else None, d)
                 for name, parts, d in operands]
        v = arrays[sum(len(parts) for _, parts, _ in operands)]
        plan = _plans.add(key, _operations.attention_plan(
            *views, _view(v), offsets and [_view(x) for x in offsets], topk, causal, window, scale,
            lse, schedule))
    if offsets is not None:
        _operations.check_offset_values([x.tolist() for x in offsets],
                                        [parts[0].shape[2] for _, parts, _ in operands])
    results = _execute(plan, arrays)
    return tuple(results) if lse else results[0]

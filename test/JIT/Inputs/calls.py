"""Calls of the C interface on the CPU, without numpy: f32 arrays of ctypes, all of one shape."""

import array
import ctypes

from sfa import _library, _module


def compile(text):
    """The function of a module."""
    function = ctypes.c_void_p()
    text = text.encode()
    status = _library.load().sfa_jit_cpu_function(text, len(text), None, ctypes.byref(function))
    _library.check(status, "cannot compile")
    return function


def attention(heads=1, d=16, schedule=None):
    """(q, k, v) -> output."""
    return compile(_module.attention(q_heads=heads, kv_heads=heads, d=d, dv=d, dtype="f32", schedule=schedule))


def filled(shape, value):
    """An array of as many elements."""
    size = 1
    for extent in shape:
        size *= extent
    return array.array("f", [value]) * size


def run(function, shape, arguments, result, result_shape=None):
    """The status of a call."""
    def tensors(arrays, extents):
        sizes = (ctypes.c_int64 * len(extents))(*extents)
        made = (_library.Tensor * len(arrays))()
        for tensor, memory in zip(made, arrays):
            tensor.data, tensor.dtype = memory.buffer_info()[0], _library.F32
            tensor.rank, tensor.shape = len(extents), sizes
        return made, sizes
    given, _sizes = tensors(arguments, shape)
    wanted, _sizes_of_result = tensors([result], result_shape or shape)
    return _library.load().sfa_cpu_function_run(function, given, len(arguments), wanted, 1)


def status_name(status):
    return _library.load().sfa_status_name(status).decode()

"""libsfa.so through ctypes: the functions of sfa/jit.h and sfa/runtime.h that the package calls."""

import ctypes
import functools
import os
import pathlib
import threading

from . import errors

SUCCESS, INVALID_ARGUMENT, INVALID_PROGRAM, NO_DRIVER, NO_DEVICE, UNSUPPORTED_DEVICE, DRIVER, \
    OUT_OF_MEMORY, INVALID_KNOB, NOT_FOUND, INTERNAL = range(11)

# sfa_dtype
F16, BF16, F32, U8, U16, I32, I64, F64, I8 = 1, 2, 3, 4, 5, 6, 7, 8, 9
MAX_RANK = 4


class Tensor(ctypes.Structure):
    """sfa_tensor."""
    _fields_ = [
        ("data", ctypes.c_void_p),
        ("dtype", ctypes.c_int32),
        ("rank", ctypes.c_int32),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
    ]


class DeviceProperties(ctypes.Structure):
    """sfa_device_properties."""
    _fields_ = [
        ("name", ctypes.c_char * 256),
        ("capability_major", ctypes.c_int32),
        ("capability_minor", ctypes.c_int32),
        ("multiprocessors", ctypes.c_int32),
        ("driver_version", ctypes.c_int32),
        ("memory_bytes", ctypes.c_int64),
        ("max_shared_bytes_per_block", ctypes.c_int64),
    ]


class ProgramProperties(ctypes.Structure):
    """sfa_program_properties."""
    _fields_ = [
        ("compiler", ctypes.c_char_p),
        ("chip", ctypes.c_char_p),
        ("num_arguments", ctypes.c_int32),
        ("num_results", ctypes.c_int32),
        ("num_temporaries", ctypes.c_int32),
        ("num_launches", ctypes.c_int32),
        ("is_ptx", ctypes.c_int32),
    ]


# The address of the first: converting it takes less time than an array does.
_TENSORS = ctypes.c_void_p
_FUNCTIONS = {
    "sfa_last_error": (ctypes.c_char_p, []),
    "sfa_status_name": (ctypes.c_char_p, [ctypes.c_int]),
    "sfa_runtime_version": (ctypes.c_char_p, []),
    "sfa_jit_llvm_version": (ctypes.c_char_p, []),
    "sfa_free": (None, [ctypes.c_void_p]),
    "sfa_driver_status": (ctypes.c_int, []),
    "sfa_device_count": (ctypes.c_int, [ctypes.POINTER(ctypes.c_int32)]),
    "sfa_device_info": (ctypes.c_int, [ctypes.c_int32, ctypes.POINTER(DeviceProperties)]),
    "sfa_jit_compile": (ctypes.c_int, [
        ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_char_p, _TENSORS, ctypes.c_int32,
        ctypes.POINTER(ctypes.c_void_p), ctypes.POINTER(ctypes.c_size_t)]),
    "sfa_jit_schedules": (ctypes.c_int, [
        ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_char_p, _TENSORS, ctypes.c_int32,
        ctypes.POINTER(ctypes.c_void_p)]),
    "sfa_jit_explain": (ctypes.c_int, [
        ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int32, _TENSORS, ctypes.c_int32,
        ctypes.POINTER(ctypes.c_void_p)]),
    "sfa_jit_program": (ctypes.c_int, [
        ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_int32, _TENSORS, ctypes.c_int32,
        ctypes.POINTER(ctypes.c_void_p)]),
    "sfa_jit_cpu_function": (ctypes.c_int, [
        ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.POINTER(ctypes.c_void_p)]),
    "sfa_cpu_function_destroy": (None, [ctypes.c_void_p]),
    "sfa_get_max_programs": (ctypes.c_int, [ctypes.POINTER(ctypes.c_int32)]),
    "sfa_cpu_function_run": (ctypes.c_int, [
        ctypes.c_void_p, _TENSORS, ctypes.c_int32, _TENSORS, ctypes.c_int32]),
    "sfa_set_num_threads": (ctypes.c_int, [ctypes.c_int32]),
    "sfa_get_num_threads": (ctypes.c_int, [ctypes.POINTER(ctypes.c_int32)]),
    "sfa_program_info": (ctypes.c_int, [ctypes.c_void_p, ctypes.POINTER(ProgramProperties)]),
    "sfa_program_workspace_bytes": (ctypes.c_int, [
        ctypes.c_void_p, _TENSORS, ctypes.c_int32, ctypes.POINTER(ctypes.c_size_t)]),
    "sfa_program_launch": (ctypes.c_int, [
        ctypes.c_void_p, ctypes.c_int32, ctypes.c_void_p, _TENSORS, ctypes.c_int32, _TENSORS,
        ctypes.c_int32, ctypes.c_void_p, ctypes.c_size_t]),
}


def argument_types(name):
    """What ctypes is told of a function of the library."""
    return _FUNCTIONS[name][1]


_library = None
_lock = threading.Lock()


def path():
    """Where the library is taken from: the knob SFA_LIBRARY, or else the folder of the package."""
    knob = os.environ.get("SFA_LIBRARY")
    return pathlib.Path(knob) if knob else pathlib.Path(__file__).parent / "libsfa.so"


def load():
    """The library, opened at the first call. Raises errors.LibraryError."""
    global _library
    if _library is not None:
        return _library
    with _lock:
        if _library is None:
            _library = _open(path())
    return _library


def _open(file):
    if not file.is_file():
        raise errors.LibraryError(
            f"there is no {file}; it comes with the wheel of flashsfa, and in a build tree it is "
            "build/lib/libsfa.so: name it in the environment variable SFA_LIBRARY")
    try:
        library = ctypes.CDLL(str(file))
        for name, (result, arguments) in _FUNCTIONS.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError) as error:
        raise errors.LibraryError(
            f"{file} cannot be used as libsfa.so of this package: {error}; name one of the same "
            "version in the environment variable SFA_LIBRARY") from error
    return library


def last_error():
    """What the last call that failed in this thread has to say."""
    return load().sfa_last_error().decode("utf-8", "replace")


def check(status, what, module=""):
    """Raises the error of a status that is not success; `what` was being done, such as
    "cannot compile". The message ends with that of the library."""
    if status == SUCCESS:
        return
    name = load().sfa_status_name(status).decode()
    message = f"{what}: {last_error()} [{name}]"
    if status in (NO_DRIVER, NO_DEVICE, UNSUPPORTED_DEVICE):
        raise errors.DeviceError(message)
    if status == OUT_OF_MEMORY:
        raise errors.MemoryExhaustedError(message)
    if status == INVALID_KNOB:
        raise errors.KnobError(message)
    if module and status in (INVALID_ARGUMENT, INVALID_PROGRAM):
        raise errors.CompileError(message, module)
    raise errors.RunError(message)


def shapes_of_call(shapes):
    """Tensors that have nothing but these shapes, as jit_program and its like take them: the address of
    the first, their number, and what has to stay alive."""
    tensors = (Tensor * len(shapes))()
    keep: list[object] = [tensors]
    for tensor, shape in zip(tensors, shapes):
        sizes = (ctypes.c_int64 * MAX_RANK)(*shape)
        keep.append(sizes)
        tensor.rank, tensor.shape = len(shape), ctypes.cast(sizes, ctypes.POINTER(ctypes.c_int64))
    return ctypes.addressof(tensors), len(shapes), keep


def jit_program(text, device, arguments=None, num_arguments=0):
    """The program of a module on GPU `device`, as an address. Compiles it where it is in no cache.
    `arguments` is the address of the tensors of a call, whose shapes are hints for the compiler."""
    module, program = text.encode(), ctypes.c_void_p()
    status = load().sfa_jit_program(module, len(module), None, device, arguments, num_arguments,
                                    ctypes.byref(program))
    check(status, f"cannot compile for cuda:{device}", text)
    return program.value


def jit_cpu_function(text):
    """The function of a module for this CPU, as an address that `sfa_cpu_function_destroy` frees."""
    module, function = text.encode(), ctypes.c_void_p()
    status = load().sfa_jit_cpu_function(module, len(module), None, ctypes.byref(function))
    check(status, "cannot compile for the CPU", text)
    return function.value


def max_programs():
    """How many programs are kept: the knob SFA_MAX_PROGRAMS."""
    count = ctypes.c_int32()
    check(load().sfa_get_max_programs(ctypes.byref(count)), "cannot keep a program")
    return count.value


def jit_schedules(text, chip, shapes):
    """The schedules that the compiler chooses for a call with arguments of these shapes on `chip`, such
    as "sm_90a", or None for this CPU; needs no GPU. Calls with the same text share a program."""
    library, (arguments, count, _keep) = load(), shapes_of_call(shapes)
    module, address = text.encode(), ctypes.c_void_p()
    status = library.sfa_jit_schedules(module, len(module), None, chip and chip.encode(), arguments,
                                       count, ctypes.byref(address))
    check(status, f"cannot choose schedules for {chip or 'the CPU'}", text)
    try:
        return ctypes.string_at(address).decode()
    finally:
        library.sfa_free(address)


def jit_explain(text, chip, device, shapes):
    """What the compiler chooses for a call with arguments of these shapes, and why, as the JSON text that sfa/jit.h describes:
    on GPU `device`; where that is -1, for `chip`, or for this CPU where `chip` is None."""
    library, (arguments, count, _keep) = load(), shapes_of_call(shapes)
    module, address = text.encode(), ctypes.c_void_p()
    status = library.sfa_jit_explain(module, len(module), None, chip and chip.encode(), device, arguments, count,
                                     ctypes.byref(address))
    check(status, f"cannot choose schedules for {chip or (f'cuda:{device}' if device >= 0 else 'the CPU')}", text)
    try:
        return ctypes.string_at(address).decode()
    finally:
        library.sfa_free(address)


def jit_compile(text, chip, shapes=()):
    """The document of a module's program for `chip`, such as "sm_90a", as bytes; needs no GPU. `shapes`
    are those of the arguments of a call, where they are known."""
    library, (arguments, count, _keep) = load(), shapes_of_call(shapes)
    module, address, size = text.encode(), ctypes.c_void_p(), ctypes.c_size_t()
    status = library.sfa_jit_compile(module, len(module), None, chip.encode(), arguments, count,
                                     ctypes.byref(address), ctypes.byref(size))
    check(status, f"cannot compile for {chip}", text)
    try:
        return ctypes.string_at(address, size.value)
    finally:
        library.sfa_free(address)


@functools.cache
def device_properties(device):
    """The properties of GPU `device`. Raises errors.DeviceError without a driver or that GPU."""
    properties = DeviceProperties()
    check(load().sfa_device_info(device, ctypes.byref(properties)),
          f"cannot ask for the properties of cuda:{device}")
    return properties


def devices():
    """The properties of each GPU. Raises errors.DeviceError without a driver or a GPU."""
    count = ctypes.c_int32()
    check(load().sfa_device_count(ctypes.byref(count)), "no GPU can be used")
    return [device_properties(device) for device in range(count.value)]

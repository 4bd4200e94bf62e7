"""Programs that were made beforehand (scripts/gpu-test-programs.sh): the runtime loads and launches them, and what they compute
is held against the oracle. All are examples/dense-attention.mlir, in f16 or bf16."""

import contextlib
import ctypes
import json
import pathlib

import torch

import sfa._torch
from sfa import _library
from sfa._torch import _DTYPES, _NAMES, _contiguous_strides
from harness import Judge, group, normal, poisoned, require

NAMES = ("dense-stages", "dense-turns", "toy-bf16-sm_80", "toy-bf16-sm_90a", "toy-f16-sm_80", "toy-f16-sm_90a")
# Queries and keys: around the tiles of both code paths, more of one than of the other, rows that see no key.
SIZES = ((1, 1), (17, 17), (127, 129), (128, 128), (129, 127), (64, 300), (300, 64), (1, 513), (385, 385), (1000, 1500))
HEADS, FEATURES = 2, 128


@group("programs", each_chip=False)
def programs(run):
    if run.programs is None:
        run.note("SKIPPED: programs: --programs DIR names no folder (ninja -C build gpu-test-programs)")
        return
    files = sorted(pathlib.Path(run.programs).glob("*.json"))
    run.case("all programs are there", require, tuple(file.stem for file in files) == NAMES,
             f"{run.programs} has {[file.stem for file in files]}, not {list(NAMES)}")
    for file in files:
        document = json.loads(file.read_text())
        if document["chip"] == "sm_90a" and torch.cuda.get_device_capability() != (9, 0):
            run.note(f"SKIPPED: programs: {file.stem} is for sm_90a")
            continue
        run.case(file.stem, check_program, file.read_bytes(), document)


def check_program(text, document):
    """Launches on all sizes; the errors are judged together."""
    dtype = _DTYPES[document["arguments"][0]["type"]]
    judged = Judge()
    with loaded(text) as program:
        for seed, (n_q, n_k) in enumerate(SIZES):
            q, k, v = (normal(1, HEADS, n, FEATURES, dtype=dtype, seed=3 * seed + number)
                       for number, n in enumerate((n_q, n_k, n_k)))
            with poisoned():
                out, lse = (sfa._torch.allocate(shape, _contiguous_strides(shape), dtype=of, device=q.device)
                            for shape, of in ((q.shape, dtype), (q.shape[:3], torch.float32)))
                launch(program, (q, k, v), (out, lse))
                torch.cuda.synchronize()
            judged.add(out, lse, q, k, v, right=0)
    judged.verdict()


#===--- The C interface of the runtime ---------------------------------------------------------===#

def library():
    """The library, with the functions that load programs, which the package has no need of."""
    functions = _library.load()
    functions.sfa_program_load.restype = ctypes.c_int
    functions.sfa_program_load.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.POINTER(ctypes.c_void_p)]
    functions.sfa_program_destroy.restype = None
    functions.sfa_program_destroy.argtypes = [ctypes.c_void_p]
    return functions


@contextlib.contextmanager
def loaded(text):
    program = ctypes.c_void_p()
    _library.check(library().sfa_program_load(text, len(text), ctypes.byref(program)), "cannot load the program")
    try:
        yield program
    finally:
        torch.cuda.synchronize()
        library().sfa_program_destroy(program)


def describe(tensors):
    """An array of sfa_tensor, and what has to stay alive with it."""
    described, keep = (_library.Tensor * len(tensors))(), []
    numbers = {"f16": _library.F16, "bf16": _library.BF16, "f32": _library.F32}
    for place, tensor in zip(described, tensors):
        sizes, strides = ((ctypes.c_int64 * tensor.dim())(*values) for values in (tensor.shape, tensor.stride()))
        keep += [sizes, strides]
        place.data, place.rank = tensor.data_ptr(), tensor.dim()
        place.dtype = numbers[_NAMES[tensor.dtype]]
        place.shape, place.strides = (ctypes.cast(array, ctypes.POINTER(ctypes.c_int64)) for array in (sizes, strides))
    return described, keep


def launch(program, arguments, results):
    functions = library()
    (inputs, _first), (outputs, _second) = describe(arguments), describe(results)
    size = ctypes.c_size_t()
    _library.check(functions.sfa_program_workspace_bytes(program, ctypes.addressof(inputs), len(inputs), ctypes.byref(size)),
                   "the program does not take these arguments")
    workspace = torch.empty(size.value, dtype=torch.uint8, device=arguments[0].device)
    _library.check(functions.sfa_program_launch(
        program, arguments[0].device.index, torch.cuda.current_stream().cuda_stream, ctypes.addressof(inputs), len(inputs),
        ctypes.addressof(outputs), len(outputs), workspace.data_ptr() if size.value else None, size.value),
        "cannot launch the program")

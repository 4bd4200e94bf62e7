"""Which implementation an argument belongs to: torch, numpy, or either through DLPack."""

import importlib
import importlib.util
import sys
from typing import Any

from . import errors

torch_missing = ""
"""Why there is no torch; empty where there is."""
torch: Any = None
"""The module _torch of this package, or None."""
numpy: Any = None


def _load(name):
    """The implementation for a package, or None and why."""
    if importlib.util.find_spec(name) is None:
        return None, "not installed"
    try:
        return importlib.import_module(f"._{name}", __package__), ""
    except Exception as error:  # a broken installation of theirs is not ours to judge
        return None, f"cannot be used: {type(error).__name__}: {error}"


torch, torch_missing = _load("torch")
numpy, numpy_missing = _load("numpy")


def _import_dlpack(name, x):
    """A torch tensor or numpy array of the same memory."""
    if not hasattr(x, "__dlpack__"):
        raise errors.ArgumentTypeError(
            f"{name} is a {type(x).__name__}; it has to be a torch tensor, a numpy array, an object "
            "with __dlpack__, or sfa.Codes where codes are taken")
    if torch is not None:
        return sys.modules["torch"].from_dlpack(x)
    if numpy is not None:
        return sys.modules["numpy"].from_dlpack(x)
    raise errors.ArgumentTypeError(
        f"{name} is a {type(x).__name__}, and neither torch ({torch_missing}) nor numpy "
        f"({numpy_missing}) is there to take it: install one of them")


def export(x, like):
    """x as an array of the library that `like` is of; x itself where that has no from_dlpack."""
    library = type(like).__module__.partition(".")[0]
    # jaxlib holds the arrays of jax.
    library = {"jaxlib": "jax"}.get(library, library)
    for name in (library, f"{library}.dlpack"):
        module: Any = sys.modules.get(name)
        if hasattr(module, "from_dlpack"):
            return module.from_dlpack(x)
    return x


is_tensor = torch.is_tensor if torch is not None else lambda x: False


def _implementation(x):
    """_torch, _numpy, or None for others."""
    if is_tensor(x):
        return torch
    if numpy is not None and numpy.is_array(x):
        return numpy
    return None


def convert(name, x):
    """x itself, or an array of the same memory that an implementation takes; `name` is what messages
    call it."""
    return x if _implementation(x) is not None else _import_dlpack(name, x)


def ask(operation, names, arrays, *others):
    """What `operation` of the implementation that the first array belongs to returns. All but the first may be None."""
    implementation = _implementation(arrays[0])
    if implementation is not None:
        return getattr(implementation, operation)(*arrays, *others)
    converted = [x if x is None else convert(name, x) for name, x in zip(names, arrays)]
    return getattr(_implementation(converted[0]), operation)(*converted, *others)


def call(operation, names, arrays, *others):
    """The same of an operation that returns arrays, which become arrays of the kind of the first."""
    first = arrays[0]
    implementation = _implementation(first)
    if implementation is not None:
        return getattr(implementation, operation)(*arrays, *others)
    return [export(x, first) for x in ask(operation, names, arrays, *others)]


def logical_dtype(x, array, values):
    """The dtype that 8-bit `values`, exported for x, stand for; `array` is what an implementation took for x."""
    implementation = _implementation(values)
    return x.dtype if implementation is None else implementation.as_dtype(array.dtype)


def _known(x):
    implementation = _implementation(x)
    if implementation is None:
        raise errors.ArgumentTypeError(
            f"these codes are of {type(x).__name__}; only codes of torch tensors and numpy arrays can be moved or joined")
    return implementation


def move(parts, d, granularity, current, device, dtype, non_blocking):
    """The tensors of codes on another device, and their dtype, which is `current`, in another one; None leaves one as
    it is."""
    return _known(parts[0]).move(parts, d, granularity, current, device, dtype, non_blocking)


def concatenate(parts, dim):
    return _known(parts[0]).concatenate(parts, dim)


def pack_indices(indices):
    """Indices as files have them: torch cannot unpickle its u16, but i16 of the same bits."""
    return torch.pack_indices(indices) if is_tensor(indices) else indices


def unpack_indices(indices):
    return torch.unpack_indices(indices) if is_tensor(indices) else indices


def allow_in_files(functions):
    """Has torch.load take what is made by these functions."""
    if torch is not None:
        torch.allow_in_files(functions)


def check_codes(values, indices, scales, d, granularity, dtype):
    """Checks the tensors of codes. Returns the dtype that 8-bit values stand for, which is None where there are no scales."""
    given = {"values": values, "indices": indices, **({} if scales is None else {"scales": scales})}
    implementation, parts = _implementation(values), list(given.values())
    if implementation is None:
        parts = [_import_dlpack(name, x) for name, x in given.items()]
        implementation = _implementation(parts[0])
    for name, x in zip(given, parts):
        if _implementation(x) is not implementation:
            raise errors.ArgumentTypeError(
                f"values is a {type(values).__name__} and {name} a {type(x).__name__}; all have to be of one kind")
    _check_scaled(scales, granularity, dtype)
    logical = None if scales is None else implementation.as_dtype(dtype)
    implementation.check_codes(parts, d, granularity, logical)
    return logical if implementation is _implementation(values) else dtype


def _check_scaled(scales, granularity, dtype):
    """Scales, their granularity and the dtype come together."""
    for name, other in (("granularity", granularity), ("dtype", dtype)):
        if scales is None and other is not None:
            raise errors.ArgumentTypeError(f"{name} is given without scales; it is for codes of 8-bit values")
        if scales is not None and other is None:
            raise errors.ArgumentTypeError(
                f"scales is given without {name}; codes of 8-bit values need both granularity, \"tile\", \"token\" or "
                "\"head\", and dtype, that of the numbers which the values stand for")

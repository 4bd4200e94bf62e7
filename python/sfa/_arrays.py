"""Which implementation an argument belongs to: torch, numpy, or either through DLPack."""

import importlib
import importlib.util
import sys

from . import codes as _codes, errors

torch_missing = ""
"""Why there is no torch; empty where there is."""
torch = None
"""The module _torch of this package, or None."""
numpy = None


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


def _export_dlpack(x, like):
    """x as an array of the library that `like` is of; x itself where that has no from_dlpack."""
    library = type(like).__module__.partition(".")[0]
    # jaxlib holds the arrays of jax.
    library = {"jaxlib": "jax"}.get(library, library)
    for name in (library, f"{library}.dlpack"):
        module = sys.modules.get(name)
        if hasattr(module, "from_dlpack"):
            return module.from_dlpack(x)
    return x


def _implementation(x):
    """_torch, _numpy, or None for others."""
    if isinstance(x, _codes.Codes):
        x = x.values
    if torch is not None and torch.is_tensor(x):
        return torch
    if numpy is not None and numpy.is_array(x):
        return numpy
    return None


def _convert(name, x):
    if name == "cu_seqlens":
        return x and tuple(_convert(f"{name}_{part}", offsets) for part, offsets in zip("qk", x))
    if isinstance(x, _codes.Codes):
        return _codes.make(_import_dlpack(f"{name}.values", x.values),
                           _import_dlpack(f"{name}.indices", x.indices), x.d, x.two_four)
    return x if _implementation(x) is not None else _import_dlpack(name, x)


def _back(x, like):
    if isinstance(x, _codes.Codes):
        return _codes.make(_export_dlpack(x.values, like), _export_dlpack(x.indices, like), x.d,
                           x.two_four)
    if isinstance(x, tuple):
        return tuple(_back(part, like) for part in x)
    return _export_dlpack(x, like)


def call(operation, names, arguments, *others):
    """Calls `operation` of the implementation that the first argument belongs to. Results are of the
    same kind as that."""
    first = arguments[0]
    implementation = _implementation(first)
    if implementation is not None:
        return getattr(implementation, operation)(*arguments, *others)
    converted = [_convert(name, x) for name, x in zip(names, arguments)]
    result = getattr(_implementation(converted[0]), operation)(*converted, *others)
    return _back(result, first.values if isinstance(first, _codes.Codes) else first)


def check_codes(values, indices, d):
    implementation = _implementation(values)
    if implementation is None:
        values = _import_dlpack("values", values)
        indices = _import_dlpack("indices", indices)
        implementation = _implementation(values)
    if _implementation(indices) is not implementation:
        raise errors.ArgumentTypeError(
            f"values is a {type(values).__name__} and indices a {type(indices).__name__}; both have "
            "to be of one kind")
    implementation.check_codes(values, indices, d)

"""`python -m sfa.info`: what a report of a bug needs."""

import os
import pathlib
import platform
import sys


def _attempt(function):
    """What a function says, or why it cannot."""
    try:
        return function()
    except Exception as error:  # whatever is broken is what the report is for
        return f"no ({type(error).__name__}: {error})"


def _version(name):
    import importlib
    return getattr(importlib.import_module(name), "__version__", "of no version")


def _cuda_of_torch():
    import torch
    return f"built for CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"


def _library_version():
    from . import _library
    library = _library.load()
    return f"{library.sfa_runtime_version().decode()}, LLVM {library.sfa_jit_llvm_version().decode()}"


def processor():
    """Name and threads of this CPU."""
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return f"{line.partition(':')[2].strip()}, {len(os.sched_getaffinity(0))} threads"
    return platform.processor()


def cache_directory():
    """Where compiled programs are kept (docs/knobs.md), or None."""
    if directory := os.environ.get("SFA_CACHE_DIR"):
        return pathlib.Path(directory)
    base = os.environ.get("XDG_CACHE_HOME", "")
    if base.startswith("/"):
        return pathlib.Path(base) / "flashsfa"
    home = os.environ.get("HOME")
    return pathlib.Path(home) / ".cache/flashsfa" if home else None


def _cache():
    directory = cache_directory()
    if directory is None:
        return "none: neither SFA_CACHE_DIR nor HOME is set"
    if not directory.is_dir():
        return f"{directory}, not there yet"
    files = [file for file in directory.rglob("*") if file.is_file()]
    return f"{directory}, {len(files)} files, {sum(f.stat().st_size for f in files) / 2**20:.1f} MiB"


def _cpu_check():
    """Three queries, two of whose keys are masked for the first: exact by hand."""
    import numpy
    from . import attention
    q = numpy.zeros((1, 1, 3, 4), numpy.float32)
    v = numpy.arange(12, dtype=numpy.float32).reshape(1, 1, 3, 4)
    out = attention(q, q, v, topk=2, causal=True)
    expected = numpy.stack([v[0, 0, :i + 1].mean(0) for i in range(3)])
    return "right" if numpy.abs(out[0, 0] - expected).max() < 1e-5 else f"WRONG: {out.tolist()}"


def _gpu_check(device):
    import torch
    from . import attention
    q = torch.zeros(1, 1, 3, 64, dtype=torch.float16, device=f"cuda:{device}")
    v = torch.arange(3., device=q.device, dtype=q.dtype).repeat_interleave(64).view(1, 1, 3, 64)
    out = attention(q, q, v, topk=2, causal=True)[0, 0, :, 0].tolist()
    return "right" if out == [0, 0.5, 1] else f"WRONG: {out}"


def lines():
    """The report, as pairs of a name and a text."""
    from . import __version__, _library
    yield "flashsfa", __version__
    yield "library", str(_library.path())
    yield "library version", _attempt(_library_version)
    yield "python", f"{platform.python_version()} ({sys.executable})"
    yield "system", _attempt(lambda: f"{platform.platform()}, {' '.join(platform.libc_ver())}")
    yield "processor", _attempt(processor)
    yield "numpy", _attempt(lambda: _version("numpy"))
    yield "torch", _attempt(lambda: f"{_version('torch')}, {_cuda_of_torch()}")
    devices = _attempt(_library.devices)
    if isinstance(devices, str):
        yield "GPUs", devices
        devices = []
    for number, device in enumerate(devices):
        driver = device.driver_version
        yield f"cuda:{number}", (
            f"{device.name.decode()}, compute capability {device.capability_major}."
            f"{device.capability_minor}, {device.multiprocessors} multiprocessors, "
            f"{device.memory_bytes / 2**30:.1f} GiB, driver for CUDA {driver // 1000}."
            f"{driver % 1000 // 10}")
    yield "cache", _attempt(_cache)
    knobs = sorted(name for name in os.environ if name.startswith("SFA_"))
    yield "knobs", ", ".join(f"{name}={os.environ[name]}" for name in knobs) or "none set"
    yield "self check, cpu", _attempt(_cpu_check)
    for number, _ in enumerate(devices):
        yield f"self check, cuda:{number}", _attempt(lambda: _gpu_check(number))


def main():
    for name, text in lines():
        print(f"{name + ':':20} {text}", flush=True)


if __name__ == "__main__":
    main()

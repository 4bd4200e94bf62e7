"""Groups of cases, poisoned memory, and the yardstick of errors."""

import ast
import concurrent.futures
import contextlib
import math
import os
import pathlib
import struct

import torch

import sfa._torch
from oracle import attention64, attention_in_dtype

GROUPS = {}
"""Name to (function, whether it depends on the chip, whether its cases may be shared among processes), in the order
of definition."""


def group(name, each_chip=True, shared=True):
    def register(function):
        GROUPS[name] = function, each_chip, shared
        return function
    return register


class Failure(AssertionError):
    """A case is wrong."""


def require(condition, message):
    if not condition:
        raise Failure(message)


class Run:
    """Counts the cases of one group. count and seed are for random cases, tools is the folder of an unpacked
    archive or None, programs that of programs made beforehand or None. Of share (i, n) every n-th case runs here, the
    others in other processes."""

    def __init__(self, count, seed, tools=None, share=(0, 1), programs=None):
        self.count, self.seed, self.tools, self.share, self.programs = count, seed, tools, share, programs
        self.passed, self.failures, self.notes, self.number = 0, [], [], -1

    def case(self, name, function, *arguments, **options):
        self.number += 1
        if self.number % self.share[1] != self.share[0]:
            return
        try:
            function(*arguments, **options)
        except Exception as error:
            text = " ".join(f"{type(error).__name__}: {error}".split())
            self.failures.append(f"{name}: {text[:400]}")
        else:
            self.passed += 1
        if torch.cuda.memory_reserved() > 2**31:
            torch.cuda.empty_cache()  # other processes may need it

    def note(self, text):
        self.notes.append(text)

    def compile_ahead(self, calls):
        """Makes the kernels of many calls on all cores; their errors come up again in the cases. The driver
        assembles one kernel at a time for each process, so processes that share the cases need none of this."""
        if self.share[1] > 1:
            return

        def attempt(call):
            with contextlib.suppress(Exception):
                call()
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(attempt, calls))
        torch.cuda.synchronize()


#===--- Poison ---------------------------------------------------------------------------------===#

_GUARD = 256
_plain_allocate = sfa._torch.allocate
_guarded = []


def _poison(tensor):
    if tensor.is_floating_point():
        return tensor.fill_(float("nan"))
    tensor.view(torch.uint8).fill_(255)
    return tensor


def _allocate(shape, strides, *, dtype, device):
    """Memory full of NaN, with guards on both sides that have to stay as they are."""
    size = math.prod(shape)
    if size > 2**28:
        return _poison(_plain_allocate(shape, strides, dtype=dtype, device=device))
    whole = _poison(torch.empty(size + 2 * _GUARD, dtype=dtype, device=device))
    _guarded.append((whole, size))
    return whole[_GUARD:_GUARD + size].view(shape)


@contextlib.contextmanager
def poisoned():
    """Results and workspaces made within hold NaN, and nothing is written beside them."""
    _guarded.clear()
    sfa._torch.allocate = _allocate
    try:
        yield
    finally:
        sfa._torch.allocate = _plain_allocate
        guards = list(_guarded)
        _guarded.clear()
    for whole, size in guards:
        for guard in (whole[:_GUARD], whole[_GUARD + size:]):
            untouched = guard.isnan() if guard.is_floating_point() else guard.view(torch.uint8) == 255
            require(bool(untouched.all()), "memory beside a result was written")


#===--- Judge ----------------------------------------------------------------------------------===#

class Judge:
    """Pools the errors of several problems, so that the error that dense attention has on them is no
    matter of luck. Right is at most 1.5 times that, in the Frobenius norm and at the worst element, for
    its size: an error counts there in parts of what is rounded on the way to that element, since else the
    worst is that of the few rows that one key dominates."""

    limit = 1.5
    # Of the worst element that of dense attention in tiles of so many keys counts, too.
    tiles = 64, 128

    def __init__(self):
        self.square = self.base_square = 0.0
        self.worst = self.base_worst = self.lse_worst = self.lse_base = self.lse_size = 0.0

    def add(self, out, lse, q, k, v, *, scale=None, left=None, right=None, alone=None, step=0.0):
        """q and k are dense: densified codes. Rows that are NaN in fp64 have to be NaN here. `alone` is the
        output of another kernel, the one without the log-sum-exp, which has to be right, too. `step` is what a kernel
        may be off in a score, and so in a log-sum-exp, besides."""
        expected, expected_lse, size = attention64(q, k, v, scale, left, right)
        base, base_lse = attention_in_dtype(q, k, v, scale, left, right)
        tiled = [attention_in_dtype(q, k, v, scale, left, right, tile)[0] for tile in self.tiles]
        for output in (out, alone):
            if output is not None:
                self._add_output(output, expected, base, tiled, size)
        if not out.numel():
            return
        infinite = expected_lse == -float("inf")
        require(bool((lse[infinite] == -float("inf")).all()),
                "the log-sum-exp of a row that sees no key is not -inf")
        for output in (out, alone):
            require(output is None or bool((output[infinite] == 0).all()), "a row that sees no key is not 0")
        seen = expected_lse.isfinite()
        if bool(seen.any()):
            error = max(0.0, (lse.double() - expected_lse)[seen].abs().max().item() - step)
            self.lse_worst = max(self.lse_worst, error if error == error else float("inf"))
            self.lse_base = max(self.lse_base,
                                (base_lse.double() - expected_lse)[seen].abs().max().item())
            self.lse_size = max(self.lse_size, expected_lse[seen].abs().max().item())

    def _add_output(self, out, expected, base, tiled, size):
        ours = out.double()
        require(out.shape == expected.shape, f"shape {tuple(out.shape)}, not {tuple(expected.shape)}")
        if not out.numel():
            return
        wrong = ours.isnan() != expected.isnan()
        if bool(wrong.any()):
            first = wrong.nonzero()[0].tolist()
            raise Failure(f"{int(wrong.sum())} elements of {out.numel()} are NaN or not against fp64, "
                          f"first {first}: {float(ours[tuple(first)])}, fp64 "
                          f"{float(expected[tuple(first)])}")
        require(bool((ours.isinf() == expected.isinf()).all()), "infinities where fp64 has none, or none "
                "where it has some")
        self._pool(ours - expected, base.double() - expected, size)
        for other in tiled:
            error = (other.double() - expected).abs() / size.clamp_min(1e-300)
            finite = error.isfinite() & base.isfinite()
            if bool(finite.any()):
                self.base_worst = max(self.base_worst, error[finite].max().item())

    def _pool(self, error, base, size):
        finite = error.isfinite() & base.isfinite()
        error, base, size = error[finite], base[finite], size[finite].clamp_min(1e-300)
        if error.numel():
            self.square += error.square().sum().item()
            self.base_square += base.square().sum().item()
            self.worst = max(self.worst, (error.abs() / size).max().item())
            self.base_worst = max(self.base_worst, (base.abs() / size).max().item())

    def verdict(self):
        norm, base_norm = self.square ** 0.5, self.base_square ** 0.5
        require(norm <= self.limit * base_norm + 1e-30,
                f"error {norm:.3e}, {norm / max(base_norm, 1e-30):.2f} times that of dense attention")
        require(self.worst <= self.limit * self.base_worst + 1e-30,
                f"worst error for its size {self.worst:.3e}, {self.worst / max(self.base_worst, 1e-30):.2f} "
                "times that of dense attention")
        allowed = max(self.limit * self.lse_base, 8 * 2**-23 * max(1, self.lse_size))
        require(self.lse_worst <= allowed,
                f"log-sum-exp off by {self.lse_worst:.3e}, allowed {allowed:.3e}")


def bounds(causal, window):
    """left and right of the oracle."""
    left, right = window if window is not None else (None, None)
    return left, 0 if causal else right


def same_bits(a, b):
    """Equal bit for bit."""
    return a.shape == b.shape and torch.equal(a.contiguous().view(torch.uint8),
                                              b.contiguous().view(torch.uint8))


def normal(*shape, dtype, seed):
    generator = torch.Generator("cuda").manual_seed(seed)
    return torch.randn(shape, generator=generator, device="cuda").to(dtype)


NPY_DTYPES = {"<f2": torch.float16, "<f4": torch.float32, "|u1": torch.uint8, "<u2": torch.uint16}


def read_npy(file):
    """A row-major array of a .npy file."""
    data = pathlib.Path(file).read_bytes()
    require(data[:7] == b"\x93NUMPY\x01", f"{file} is no .npy file of version 1")
    length, = struct.unpack("<H", data[8:10])
    header = ast.literal_eval(data[10:10 + length].decode())
    dtype = NPY_DTYPES.get(header["descr"])
    require(dtype is not None and not header["fortran_order"],
            f"{file} has {header['descr']}; it has to be row-major, of {', '.join(NPY_DTYPES)}")
    return torch.frombuffer(bytearray(data[10 + length:]), dtype=dtype).view(header["shape"])

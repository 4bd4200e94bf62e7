"""Modules of the GPU tests, without torch and without a GPU: the tests of python/tests/gpu run on tensors that have a
shape and a dtype only, and what they ask of the package is written down instead of computed.

Schedules are those that a test gives: what the package chooses from the sizes of a call is left to the compiler. A case
that does more with its tensors ends there, with the modules that it has asked for until then.
"""

import contextlib
import importlib
import sys
import types
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "python"
# The files of the tests, and the groups that are used; None for all of them.
TESTS = {"correctness": None, "sequences": None, "execution": ("races",)}
SEED, COUNT = 1, 1000


class Tensor:
    """[batch, heads, tokens, features]. Batch and tokens are no part of a module."""

    def __init__(self, shape, dtype, k=None):
        self.shape, self.dtype, self.k = tuple(shape), dtype, k

    def transpose(self, a, b):
        shape = list(self.shape)
        shape[a], shape[b] = shape[b], shape[a]
        return Tensor(shape, self.dtype)

    def unsqueeze(self, axis):
        return Tensor((*self.shape[:axis], 1, *self.shape[axis:]), self.dtype)

    def __setitem__(self, place, value):
        pass

    def dense(self):
        return sys.modules["sfa"].densify(self)


class Result(Tensor):
    """A result, which tests only look at."""

    def __getitem__(self, place):
        return self


class Recorder:
    """The functions of the package: adds a module for each call."""

    def __init__(self, builder):
        self.builder, self.group, self.modules = builder, "", {}

    def add(self, name, text):
        self.modules.setdefault(text, f"gpu-tests/{self.group}/{name}")

    def sparsify(self, x, k, two_four=False, return_dense=False):
        _, heads, _, d = x.shape
        self.add(f"sparsify {x.dtype} heads={heads} d={d} k={k}{' two_four' * two_four}{' dense' * return_dense}",
                 self.builder.sparsify(heads, d, x.dtype, k, two_four, return_dense))
        codes = Tensor(x.shape, x.dtype, k)
        return (codes, Result(x.shape, x.dtype)) if return_dense else codes

    def densify(self, codes):
        _, heads, _, d = codes.shape
        self.add(f"densify {codes.dtype} heads={heads} d={d} k={codes.k}",
                 self.builder.densify(heads, d, codes.dtype, codes.k))
        return Result(codes.shape, codes.dtype)

    def attention(self, q, k, v, *, topk=None, causal=False, window=None, scale=None, cu_seqlens=None,
                  return_lse=False, schedule=None):
        (_, q_heads, _, d), (_, kv_heads, _, dv) = q.shape, v.shape
        q_topk, k_topk = (None if topk is None or x.k is not None else min(topk, d) for x in (q, k))
        mask = self.builder.mask_text(causal, window)
        has_sequences = cu_seqlens is not None
        text = self.builder.attention(
            q_heads=q_heads, kv_heads=kv_heads, d=d, dv=dv, dtype=q.dtype, q_k=q.k, k_k=k.k, q_topk=q_topk,
            k_topk=k_topk, mask=mask, scale=scale, schedule=schedule, lse=return_lse, sequences=has_sequences)
        parts = [q.dtype, f"d={d} dv={dv} heads={q_heads}:{kv_heads}"]
        parts += [f"{name}={value}" for name, value in (
            ("q codes", q.k), ("k codes", k.k), ("q topk", q_topk), ("k topk", k_topk), ("mask", mask), ("scale", scale),
            ("schedule", schedule)) if value is not None]
        self.add(" ".join(parts) + " sequences" * has_sequences + " lse" * return_lse, text)
        out = Result((*q.shape[:3], dv), q.dtype)
        return (out, Result(q.shape[:3], "f32")) if return_lse else out


class Run:
    """Runs the cases of a group and counts those that end early."""

    def __init__(self):
        self.count, self.seed, self.formed, self.ended = COUNT, SEED, 0, 0

    def case(self, name, function, *arguments, **options):
        try:
            function(*arguments, **options)
            self.formed += 1
        except Exception:  # whatever it needs that these tensors do not have
            self.ended += 1

    def compile_ahead(self, calls):
        for number, call in enumerate(calls):
            self.case(number, call)

    def note(self, text):
        pass


class Judge:
    def add(self, *arguments, **options):
        pass

    def verdict(self):
        pass


def _stand_ins(recorder, groups):
    """What the tests import, by name."""

    def group(name, **options):
        def register(function):
            groups[name] = function
            return function
        return register

    def refuse(*arguments, **options):
        raise NotImplementedError("needs the contents of tensors")

    contents = {
        "torch": dict(bfloat16="bf16", float16="f16", int32="i32", tensor=lambda *arguments, **options: object(),
                      nn=types.SimpleNamespace(Module=object)),
        "sfa": dict(attention=recorder.attention, sparsify=recorder.sparsify, densify=recorder.densify, Codes=refuse),
        "oracle": dict(keep=lambda x, k: x, topk=refuse, dequantized=refuse, step_of=refuse),
        "harness": dict(
            group=group, Judge=Judge, Failure=AssertionError, poisoned=contextlib.nullcontext, read_npy=refuse,
            normal=lambda *shape, dtype, seed: Tensor(shape, dtype), require=lambda condition, message: None,
            same_bits=lambda a, b: True,
            bounds=lambda causal, window: window or (None, None))}
    modules = {name: types.ModuleType(name) for name in contents}
    for name, values in contents.items():
        vars(modules[name]).update(values)
    return modules


def modules():
    """Text to name of each module, and how many cases were formed as a whole and how many ended early."""
    sys.path[:0] = [str(FOLDER), str(FOLDER / "tests/gpu")]
    recorder, run, groups = Recorder(importlib.import_module("sfa._module")), Run(), {}
    replaced = {name: sys.modules.get(name) for name in (*TESTS, "torch", "sfa", "oracle", "harness")}
    sys.modules.update(_stand_ins(recorder, groups))
    try:
        for file, chosen in TESTS.items():
            before = set(groups)
            importlib.import_module(file)
            for name in chosen or [name for name in groups if name not in before]:
                recorder.group = name
                run.case(name, groups[name], run)
    finally:
        del sys.path[:2]
        for name, module in replaced.items():
            sys.modules.pop(name, None)
            if module is not None:
                sys.modules[name] = module
    return recorder.modules, run.formed, run.ended

#!/usr/bin/env python3
"""Checks a libsfa.so through its C interface, as the Python package uses it: compiles attention for GPUs, and compiles and
runs it on this CPU, on random data whose attention is computed here once more; refuses broken programs. Needs CPython alone. Used by
scripts/package.sh and scripts/test-bare.sh.

    scripts/check-library.py libsfa.so
"""

import ctypes
import json
import math
import random
import struct
import sys
import threading

INVALID_PROGRAM = 2  # sfa_status
HEADS, TOKENS, FEATURES, KEPT = 2, 24, 128, 8
CHIPS = ("sm_80", "sm_90a")
DENSE = f"tensor<1x{HEADS}x?x{FEATURES}xf16>"
CODES = f"tensor<1x{HEADS}x?x{FEATURES}xf16, #sfa.codes<k = {KEPT}>>"
LSE = f"tensor<1x{HEADS}x?xf32>"
MODULE = f"""
func.func @attention(%q: {DENSE}, %k: {DENSE}, %v: {DENSE}) -> ({DENSE}, {LSE}) {{
  %qs = sfa.sparsify %q : {DENSE} -> {CODES}
  %ks = sfa.sparsify %k : {DENSE} -> {CODES}
  %o, %lse = sfa.attention %qs, %ks, %v mask <causal> : {CODES}, {CODES}, {DENSE} -> {DENSE}, {LSE}
  return %o, %lse : {DENSE}, {LSE}
}}
""".encode()


class Tensor(ctypes.Structure):
    """sfa_tensor."""
    _fields_ = [("data", ctypes.c_void_p), ("dtype", ctypes.c_int32), ("rank", ctypes.c_int32),
                ("shape", ctypes.POINTER(ctypes.c_int64)), ("strides", ctypes.POINTER(ctypes.c_int64))]


def tensor(memory, dtype, shape):
    return Tensor(ctypes.cast(memory, ctypes.c_void_p), dtype, len(shape), (ctypes.c_int64 * len(shape))(*shape), None)


def aligned(size):
    """Memory at a multiple of 64, and what keeps it alive."""
    owner = ctypes.create_string_buffer(size + 64)
    start = -ctypes.addressof(owner) % 64
    return (ctypes.c_char * size).from_buffer(owner, start)


def sparsify(row):
    """The features of largest magnitude; the first of equal ones."""
    kept = sorted(range(len(row)), key=lambda feature: (-abs(row[feature]), feature))[:KEPT]
    return {feature: row[feature] for feature in kept}


def attend(queries, keys, values):
    """Causal attention of one head in double precision: outputs and log-sum-exps."""
    outputs, sums = [], []
    keys = [sparsify(row) for row in keys]
    for token, row in enumerate(queries):
        query = sparsify(row)
        scores = [sum(value * key.get(feature, 0.0) for feature, value in query.items()) / math.sqrt(FEATURES)
                  for key in keys[:token + 1]]
        weights = [math.exp(score - max(scores)) for score in scores]
        total = sum(weights)
        outputs.append([sum(weight * value[column] for weight, value in zip(weights, values)) / total
                        for column in range(FEATURES)])
        sums.append(max(scores) + math.log(total))
    return outputs, sums


class Library:
    def __init__(self, path):
        self.library = ctypes.CDLL(path)
        for name in ("sfa_last_error", "sfa_runtime_version", "sfa_jit_llvm_version"):
            getattr(self.library, name).restype = ctypes.c_char_p

    def call(self, name, *arguments):
        if getattr(self.library, name)(*arguments) != 0:
            sys.exit(f"check-library: error: {name}: {self.library.sfa_last_error().decode()}")

    def compile(self, chip):
        """The program for a chip."""
        memory, size = ctypes.c_void_p(), ctypes.c_size_t()
        self.call("sfa_jit_compile", MODULE, ctypes.c_size_t(len(MODULE)), None, chip.encode(), None, 0,
                  ctypes.byref(memory), ctypes.byref(size))
        document = ctypes.string_at(memory, size.value)
        self.library.sfa_free(memory)
        return document

    def refuses_broken_programs(self, count):
        """Whether it does that `count` times; inside, an exception is thrown and caught each time."""
        program, document = ctypes.c_void_p(), b'{"format": '
        return all(self.library.sfa_program_load(document, ctypes.c_size_t(len(document)), ctypes.byref(program))
                   == INVALID_PROGRAM for _ in range(count))

    def run(self, data):
        """Output and log-sum-exp of flat queries, keys and values, computed on the CPU."""
        function = ctypes.c_void_p()
        self.call("sfa_jit_cpu_function", MODULE, ctypes.c_size_t(len(MODULE)), None, ctypes.byref(function))
        shape = (1, HEADS, TOKENS, FEATURES)
        size = HEADS * TOKENS * FEATURES
        inputs = []
        for numbers in data:
            inputs.append(aligned(2 * size))
            inputs[-1].raw = struct.pack(f"{size}e", *numbers)
        output, sums = aligned(2 * size), aligned(4 * HEADS * TOKENS)
        arguments = (Tensor * 3)(*(tensor(memory, 1, shape) for memory in inputs))
        results = (Tensor * 2)(tensor(output, 1, shape), tensor(sums, 3, shape[:3]))
        self.call("sfa_cpu_function_run", function, arguments, 3, results, 2)
        return struct.unpack(f"{size}e", output.raw), struct.unpack(f"{HEADS * TOKENS}f", sums.raw)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    library = Library(sys.argv[1])

    for chip in CHIPS:
        document = library.compile(chip)
        text = json.dumps(json.loads(document))
        if f".target {chip}" not in text:
            sys.exit(f"check-library: error: the program for {chip} holds no PTX for it")
        print(f"{chip}: program of {len(document)} bytes")

    generator = random.Random(1)
    size = HEADS * TOKENS * FEATURES
    data = [struct.unpack(f"{size}e", struct.pack(f"{size}e", *(generator.gauss(0, 1) for _ in range(size))))
            for _ in range(3)]
    output, sums = library.run(data)
    worst = 0.0
    for head in range(HEADS):
        rows = [[numbers[(head * TOKENS + token) * FEATURES:][:FEATURES] for token in range(TOKENS)]
                for numbers in data]
        expected, expected_sums = attend(*rows)
        for token in range(TOKENS):
            position = head * TOKENS + token
            given = output[position * FEATURES:][:FEATURES]
            worst = max(worst, abs(sums[position] - expected_sums[token]),
                        *(abs(a - b) for a, b in zip(given, expected[token])))
    if not worst < 1e-2:
        sys.exit(f"check-library: error: attention on the CPU is off by {worst}")
    print(f"cpu: attention right, largest difference {worst:.1e}")
    refused = []
    threads = [threading.Thread(target=lambda: refused.append(library.refuses_broken_programs(100))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if refused != [True] * len(threads):
        sys.exit("check-library: error: broken programs are not refused in several threads")
    print("broken programs: refused")
    print(f"version {library.library.sfa_runtime_version().decode()}, LLVM "
          f"{library.library.sfa_jit_llvm_version().decode()}")


main()

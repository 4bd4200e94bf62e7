"""What works in a process that was forked after its parent has used the library: fork.py

Each child ends as a Python program does, with the destructors of all libraries. A child that hangs is killed after a
minute, and the test fails.
"""

import multiprocessing
import os
import signal
import sys

import calls
import sfa
from sfa import _library, _module


def compute(heads):
    """Whether a call is right that several threads work on: values that are all the same stay so."""
    shape = (1, heads, 300, 64)
    keys, values, output = calls.filled(shape, 0.5), calls.filled(shape, 3), calls.filled(shape, 0)
    return calls.run(calls.attention(heads, 64), shape, [keys, keys, values], output) == 0 and output == values


def in_child(name, body):
    """Says how a forked child ends that runs `body`."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        if body() is False:
            sys.exit(3)
        sys.exit(0)
    _, status = os.waitpid(child, 0)
    print(f"{name}: {'hangs' if status == signal.SIGALRM else f'status {status}'}")


def use_cuda():
    try:
        _library.jit_program(_module.densify(4, 64, "f16", 8), 0)
    except sfa.Error as error:
        print(str(error).split(": ", 1)[1].split(";")[0], flush=True)


print("the parent:", compute(4))
in_child("a child that only ends", lambda: None)
in_child("a child that computes", lambda: compute(4))
in_child("a child that compiles", lambda: compute(3))
in_child("a child of a child", lambda: in_child("inside", lambda: compute(4)))
with multiprocessing.get_context("fork").Pool(2) as pool:
    print("pool:", pool.map_async(compute, [4, 4, 4]).get(timeout=60))
print("the parent:", compute(4))
_library.jit_program(_module.densify(4, 64, "f16", 8), 0)
in_child("a child that uses CUDA", use_cuda)

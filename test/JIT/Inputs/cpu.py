"""Calls on the CPU: threads, messages, results in memory of the caller, and no memory for them: cpu.py"""

import ctypes
import os
import resource

import calls
from sfa import _library, errors

library = _library.load()
library.sfa_set_num_threads.argtypes = [ctypes.c_int32]
library.sfa_get_num_threads.argtypes = [ctypes.POINTER(ctypes.c_int32)]


def num_threads():
    count = ctypes.c_int32()
    _library.check(library.sfa_get_num_threads(ctypes.byref(count)), "cannot ask")
    return count.value


def say(name, status, success):
    print(f"{name}: {success if status == 0 else f'{calls.status_name(status)}: {_library.last_error()}'}")


print("of the environment:", num_threads())
for number in (3, 1024, 0):
    library.sfa_set_num_threads(number)
    print(f"set {number}:", num_threads())
for number in (-1, 1025):
    say(f"set {number}", library.sfa_set_num_threads(number), "")
print("after that:", num_threads())

try:
    calls.attention(schedule="strategy = dense, q_tile = 4088, k_tile = 4096")
except errors.Error as error:
    print(error)

function = calls.attention(schedule="strategy = dense, splits = 64")


def run(name, tokens, sizes=None, shared=False):
    """Says how a call ends whose result has other `sizes`, or shares memory with the queries."""
    shape = (1, 1, tokens, 16)
    rows = calls.filled(shape, 1)
    result = rows if shared else calls.filled(shape, 0)
    say(name, calls.run(function, shape, [rows] * 3, result, sizes), result == rows)


run("results", 70)
run("other sizes", 70, sizes=(1, 1, 71, 16))
run("shared memory", 70, shared=True)
# 64 partial results of 50000 rows: 200 MB, where the process may have 100 MB more than it has.
with open("/proc/self/statm", encoding="ascii") as statm:
    used = int(statm.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
resource.setrlimit(resource.RLIMIT_AS, (used + (100 << 20), resource.RLIM_INFINITY))
run("no memory for the splits", 50000)
run("afterwards", 70)

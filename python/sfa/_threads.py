"""How many threads a call on this CPU takes: what set_num_threads says, or else SFA_NUM_THREADS, torch where it has been
told a number, OMP_NUM_THREADS, and one for each core. The library does all of it but torch."""

from __future__ import annotations

import ctypes
import functools
import os
import pathlib
import re
import threading
from collections.abc import Callable

from . import _library, errors

_MOST = 1024
_lock = threading.Lock()
_own = 0
"""What set_num_threads says; 0 for nothing."""
_of_torch_first = 0

# A call compares these two, see follow.
of_torch: Callable[[], int] = int
"""The number that torch has now; 0 without torch."""
followed: int | None = None
"""The number of torch that the library has been told of."""


def watch(number: Callable[[], int]) -> None:
    """Has calls follow the number of torch: `number` is torch.get_num_threads."""
    global of_torch, _of_torch_first
    of_torch, _of_torch_first = number, number()


def _physical_cores() -> int:
    """Those that this process may use: what the library takes, and torch where nobody has told it."""
    threads = os.sched_getaffinity(0)
    try:
        folder = pathlib.Path("/sys/devices/system/cpu")
        return len({(folder / f"cpu{thread}/topology/thread_siblings_list").read_text() for thread in threads})
    except OSError:
        return len(threads)


@functools.cache
def _environment() -> tuple[bool, int]:
    """Whether SFA_NUM_THREADS is set, and the number of OMP_NUM_THREADS, or 0: as they are at the first call, when the
    library reads them, too."""
    # OMP_NUM_THREADS may be a list, for loops within loops.
    told = re.match(r"\s*\+?(\d+)\s*(,|$)", os.environ.get("OMP_NUM_THREADS", ""))
    return bool(os.environ.get("SFA_NUM_THREADS")), int(told[1]) if told else 0


def _told_to_torch(number: int) -> int:
    """What somebody has told torch, whose number is `number`; 0 where it may be the one that torch has by itself: there is
    no other way to tell the two apart."""
    is_set, openmp = _environment()
    if is_set or number == 0:
        return 0
    cores = _physical_cores()
    # What torch makes of OMP_NUM_THREADS is one for each core at most.
    is_told = number < min(cores, openmp or cores) or number != _of_torch_first
    return min(number, _MOST) if is_told else 0


def follow() -> None:
    """Tells the library the number of threads, where that of torch is not `followed`."""
    global followed
    with _lock:
        number = of_torch()
        _library.check(_library.load().sfa_set_num_threads(_own or _told_to_torch(number)), "cannot set the number of threads")
        followed = number


def set_num_threads(number: int | None) -> None:
    """How many threads calls on CPUs take that begin from now on, in the whole process, the calling thread included.

    number  1 to 1024; None goes back to SFA_NUM_THREADS, torch.set_num_threads, OMP_NUM_THREADS or the cores,
            whichever is first to say one

    Results are the same for any number. Raises TypeError (no int), ValueError (other numbers), RuntimeError (library)."""
    global _own
    if number is not None and (not isinstance(number, int) or isinstance(number, bool)):
        raise errors.ArgumentTypeError(
            f"the number of threads is {number!r}; it has to be an int from 1 to {_MOST}, or None for what the environment says")
    if number is not None and not 1 <= number <= _MOST:
        raise errors.ArgumentValueError(
            f"the number of threads is {number}; it has to be from 1 to {_MOST}, or None for what the environment says")
    with _lock:
        _own = number or 0
    follow()


def get_num_threads() -> int:
    """How many threads a call on this CPU would take now. Raises ValueError where SFA_NUM_THREADS holds no number from 1
    to 1024 and set_num_threads has said none, RuntimeError (library)."""
    follow()
    number = ctypes.c_int32()
    _library.check(_library.load().sfa_get_num_threads(ctypes.byref(number)), "cannot tell the number of threads")
    return number.value

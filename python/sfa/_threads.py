"""How many threads the CPU target takes where SFA_NUM_THREADS does not say it: as many as torch and OpenMP are told."""

import os
import pathlib
import re
import sys
import threading

_KNOB, _MOST = "SFA_NUM_THREADS", 1024
_lock = threading.Lock()
_is_fixed = False


def _physical_cores():
    """Those that this process may use: what the library takes, and torch where nobody has told it."""
    threads = os.sched_getaffinity(0)
    try:
        folder = pathlib.Path("/sys/devices/system/cpu")
        return len({(folder / f"cpu{thread}/topology/thread_siblings_list").read_text() for thread in threads})
    except OSError:
        return len(threads)


def wanted():
    """A number of threads, or None where the library is to choose. torch.set_num_threads counts where it asks for
    less than there are cores, since the number that torch has otherwise is not one that anybody has asked for."""
    if os.environ.get(_KNOB):
        return None
    # OMP_NUM_THREADS may be a list, for loops within loops.
    told = re.match(r"\s*\+?(\d+)\s*(,|$)", os.environ.get("OMP_NUM_THREADS", ""))
    number = int(told[1]) if told else 0
    torch = sys.modules.get("torch")
    if torch is not None:
        cores, threads = _physical_cores(), torch.get_num_threads()
        # What it makes of OMP_NUM_THREADS is one for each core at most.
        if threads < min(cores, number or cores):
            number = threads
    return min(number, _MOST) or None


def fix(library):
    """Before the first kernel of the process: the library keeps the number that it then finds in its knob."""
    global _is_fixed
    if _is_fixed:
        return
    with _lock:
        number = None if _is_fixed else wanted()
        if number is not None:
            before = os.environ.get(_KNOB)
            os.environ[_KNOB] = str(number)
            try:
                # A loop over nothing: it looks at the knob, and that is all.
                library.sfa_cpu_parallel_for(0, 0, None, None)
            finally:
                # Not for the processes that this one starts.
                if before is None:
                    del os.environ[_KNOB]
                else:
                    os.environ[_KNOB] = before
        _is_fixed = True

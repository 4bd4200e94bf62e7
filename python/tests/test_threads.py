"""How many threads a kernel has on this CPU, each case in a process of its own: threads
that have started do not end."""

import importlib.util
import os
import subprocess
import sys
import unittest

import numpy  # noqa: F401 - the processes need it

import sfa
from sfa import _threads

def _run(code, environment):
    """What the program `code` prints. Loading torch takes seconds: only those that name it get it."""
    if "torch" not in code:
        code = "import sys\nsys.modules['torch'] = None\n" + code
    inherited = {name: value for name, value in os.environ.items() if name not in ("SFA_NUM_THREADS", "OMP_NUM_THREADS")}
    return subprocess.run([sys.executable, "-c", code], env={**inherited, **environment}, stdout=subprocess.PIPE,
                          text=True, check=True).stdout.strip()


def _count(code="", **environment):
    """How many threads the kernels have started, the calling one included, and the knob after that; `code` comes
    before the first kernel."""
    probe = """
import os, numpy, sfa
x = numpy.ones((1, 64, 64, 16), numpy.float32)
count = lambda: len(os.listdir("/proc/self/task"))
{}
before = count()
for _ in range(20):
    sfa.attention(x, x, x)
print(1 + count() - before, repr(os.environ.get("SFA_NUM_THREADS")))
""".format(code)
    number, knob = _run(probe, environment).split()
    return int(number), knob


def _tell(code, **environment):
    """What the last line of `code` is, as text; `x` is an array."""
    *before, last = code.splitlines()
    probe = "\n".join(["import numpy, sfa", "x = numpy.ones((1, 4, 64, 16), numpy.float32)", *before, f"print({last})"])
    return _run(probe, environment)


class ThreadsTest(unittest.TestCase):
    def test_openmp(self):
        self.assertEqual(_count(OMP_NUM_THREADS="3"), (3, "None"))
        self.assertEqual(_count(OMP_NUM_THREADS=" 4,2"), (4, "None"))

    def test_the_knob_comes_first(self):
        self.assertEqual(_count(OMP_NUM_THREADS="3", SFA_NUM_THREADS="5"), (5, "'5'"))
        self.assertEqual(_count(OMP_NUM_THREADS="3", SFA_NUM_THREADS=""), (3, "''"))

    def test_what_is_no_number(self):
        usual = _count()
        for text in ("many", "0", "3.5"):
            with self.subTest(text=text):
                self.assertEqual(_count(OMP_NUM_THREADS=text), usual)

    def test_the_environment_is_read_at_the_first_kernel(self):
        code = "sfa.attention(*3 * [numpy.ones((1, 1, 1, 4), 'f4')])\nos.environ['OMP_NUM_THREADS'] = '6'"
        self.assertEqual(_count(code, OMP_NUM_THREADS="3"), (3, "None"))

    @unittest.skipIf(_threads._physical_cores() < 2, "one core: torch has one thread whether told or not")
    @unittest.skipUnless(importlib.util.find_spec("torch"), "no torch")
    def test_torch(self):
        code = "import torch\ntorch.set_num_threads(1)"
        self.assertEqual(_count(code), (1, "None"))
        self.assertEqual(_count(code, OMP_NUM_THREADS="3"), (1, "None"))
        self.assertEqual(_count("import torch", OMP_NUM_THREADS="3"), (3, "None"))

    def test_set_and_get(self):
        self.assertEqual(_count("sfa.set_num_threads(4)", SFA_NUM_THREADS="2", OMP_NUM_THREADS="3"), (4, "'2'"))
        self.assertEqual(_count("sfa.attention(x, x, x)\nsfa.set_num_threads(5)", SFA_NUM_THREADS="1"), (5, "'1'"))
        code = "sfa.set_num_threads(7)\ntold = sfa.get_num_threads()\nsfa.set_num_threads(None)\ntold, sfa.get_num_threads()"
        self.assertEqual(_tell(code, OMP_NUM_THREADS="6"), "7 6")

    def test_refuses(self):
        for number, error in ((0, ValueError), (-1, ValueError), (1025, ValueError), (2.0, TypeError), (True, TypeError)):
            with self.subTest(number=number), self.assertRaisesRegex(error, "1 to 1024"):
                sfa.set_num_threads(number)
        self.assertIn("KnobError", _tell("try: sfa.get_num_threads()\nexcept sfa.Error as error: told = error\nrepr(told)",
                                         SFA_NUM_THREADS="many"))

    @unittest.skipUnless(importlib.util.find_spec("torch"), "no torch")
    def test_calls_follow_torch(self):
        """Also a call with a plan that is there already, on tensors and on arrays."""
        code = """
import ctypes, torch
library, number = sfa._library.load(), ctypes.c_int32()
def taken(y):
    sfa.attention(y, y, y)
    library.sfa_get_num_threads(ctypes.byref(number))
    return number.value
first, told = torch.get_num_threads(), []
for y in (x, torch.from_numpy(x)):
    usual = taken(y)
    for threads in (1, 5, 1, 3):
        torch.set_num_threads(threads)
        told.append(taken(y))
    torch.set_num_threads(first)
    told.append(taken(y) == usual)
sfa.set_num_threads(2)
torch.set_num_threads(7)
told += [taken(x), taken(y)]
told"""
        self.assertEqual(_tell(code), "[1, 5, 1, 3, True, 1, 5, 1, 3, True, 2, 2]")
        self.assertEqual(_tell("import torch\nsfa.get_num_threads()\ntorch.set_num_threads(1)\nsfa.get_num_threads()",
                               SFA_NUM_THREADS="4"), "4")


if __name__ == "__main__":
    unittest.main()

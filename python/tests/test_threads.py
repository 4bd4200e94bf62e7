"""How many threads a kernel has on this CPU, each case in a process of its own: the number is fixed by the first."""

import importlib.util
import os
import subprocess
import sys
import unittest

import numpy  # noqa: F401 - the processes need it

from sfa import _threads

def _count(code="", **environment):
    """How many threads the kernels have started, the calling one included, and the knob after that; `code` comes
    before the first kernel."""
    probe = """
import os, numpy, sfa
{}
count = lambda: len(os.listdir("/proc/self/task"))
x = numpy.ones((1, 64, 64, 16), numpy.float32)
before = count()
for _ in range(20):
    sfa.attention(x, x, x)
print(1 + count() - before, repr(os.environ.get("SFA_NUM_THREADS")))
""".format(code)
    inherited = {name: value for name, value in os.environ.items() if name not in ("SFA_NUM_THREADS", "OMP_NUM_THREADS")}
    done = subprocess.run([sys.executable, "-c", probe], env={**inherited, **environment}, stdout=subprocess.PIPE,
                          text=True, check=True)
    number, knob = done.stdout.split()
    return int(number), knob


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

    def test_fixed_by_the_first_kernel(self):
        code = "sfa.attention(*3 * [numpy.ones((1, 1, 1, 4), 'f4')])\nos.environ['OMP_NUM_THREADS'] = '6'"
        self.assertEqual(_count(code, OMP_NUM_THREADS="3"), (3, "None"))

    @unittest.skipIf(_threads._physical_cores() < 2, "one core: torch has one thread whether told or not")
    @unittest.skipUnless(importlib.util.find_spec("torch"), "no torch")
    def test_torch(self):
        code = "import torch\ntorch.set_num_threads(1)"
        self.assertEqual(_count(code), (1, "None"))
        self.assertEqual(_count(code, OMP_NUM_THREADS="3"), (1, "None"))
        self.assertEqual(_count("import torch", OMP_NUM_THREADS="3"), (3, "None"))


if __name__ == "__main__":
    unittest.main()

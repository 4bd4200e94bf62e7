"""The bounds of the tables of plans and programs."""

import os
import subprocess
import sys
import unittest
import weakref
from unittest import mock

from sfa import _library
from sfa._plan import PlanTable


class _Plan:
    def __init__(self, module, last_use):
        self.module, self.last_use = module, last_use


def _in_a_process(program, bound):
    """What a Python program prints that may keep `bound` programs."""
    environment = {**os.environ, "SFA_MAX_PROGRAMS": str(bound), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    return done.stdout


_PREAMBLE = """
import sys
sys.modules["torch"] = None  # it takes seconds to load, and these are arrays
import itertools, threading, numpy, sfa, oracle
from sfa import _numpy

arrays = [numpy.random.default_rng(1).standard_normal((1, 2, 20, 16), dtype=numpy.float32) for _ in range(3)]
problems = [(topk, dict(window=(left, None))) for topk in range(1, 7) for left in range(5)]

def check(topk, options):
    expected, _ = oracle.attention(*(oracle.keep(x, topk) for x in arrays[:2]), arrays[2], **options)
    numpy.testing.assert_allclose(sfa.attention(*arrays, topk=topk, **options), expected, rtol=2e-6, atol=2e-6)

def code_bytes():
    # Of memory that is executable and of no file.
    total = 0
    with open("/proc/self/maps") as maps:
        for line in maps:
            words = line.split()
            if words[1] == "r-xp" and len(words) == 5:
                begin, end = (int(address, 16) for address in words[0].split("-"))
                total += end - begin
    return total
"""


class PlanTableTest(unittest.TestCase):
    def setUp(self):
        patch = mock.patch.object(_library, "max_programs", return_value=3)
        patch.start()
        self.addCleanup(patch.stop)

    def test_modules_used_longest_ago_go_first(self):
        table = PlanTable()
        for key, (module, use) in enumerate((("a", 0), ("b", 1), ("c", 2), ("a", 3))):
            table.add(key, _Plan(module, use))
        self.assertEqual(set(table.plans), {0, 1, 2, 3})
        table.plans[1].last_use = 4
        table.add(4, _Plan("d", 5))
        self.assertEqual(set(table.plans), {0, 1, 3, 4})
        table.add(5, _Plan("e", 6))
        self.assertEqual(set(table.plans), {1, 4, 5})

    def test_plans_used_longest_ago_go_first(self):
        table = PlanTable(limit=16)
        for key in range(16):
            table.add(key, _Plan("a", key))
        table.plans[0].last_use = 100
        table.add(16, _Plan("a", 101))
        self.assertEqual(set(table.plans), {0, *range(4, 17)})
        for key in range(17, 500):
            table.add(key, _Plan("a", 101 + key))
            self.assertLessEqual(len(table.plans), 16)

    def test_a_plan_that_is_replaced(self):
        table = PlanTable()
        table.add(0, _Plan("a", 0))
        table.add(0, _Plan("a", 1))
        for use, module in enumerate("bcd", 2):
            table.add(use, _Plan(module, use))
        self.assertEqual(set(table.plans), {2, 3, 4})

    def test_plans_that_go_are_freed(self):
        table, plans = PlanTable(), []
        for use in range(10):
            plan = _Plan(str(use), use)
            plans.append(weakref.ref(plan))
            table.add(use, plan)
            del plan
        self.assertEqual([plan() is not None for plan in plans], [False] * 7 + [True] * 3)


class ProgramsTest(unittest.TestCase):
    def test_the_bound_holds_and_programs_come_back(self):
        program = _PREAMBLE + """
before = code_bytes()
for topk, options in problems:
    check(topk, options)
print(code_bytes() - before)
for topk, options in problems[::-1]:
    check(topk, options)
    modules = {plan.module for plan in _numpy._plans.plans.values()}
    assert len(modules) <= BOUND, len(modules)
"""
        few, many = (int(_in_a_process(program.replace("BOUND", str(bound)), bound)) for bound in (4, 256))
        self.assertLess(4 * few, many)
        self.assertGreater(few, 0)

    def test_threads(self):
        output = _in_a_process(_PREAMBLE + """
failures = []
def work(first):
    try:
        for topk, options in problems[first:] + problems[:first]:
            for _ in range(3):
                check(topk, options)
    except BaseException as error:
        failures.append(error)
threads = [threading.Thread(target=work, args=(5 * i,)) for i in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert not failures, failures
assert len({plan.module for plan in _numpy._plans.plans.values()}) <= 2
print("right")
""", 2)
        self.assertEqual(output, "right\n")

    def test_a_wrong_knob(self):
        output = _in_a_process(_PREAMBLE + """
try:
    sfa.attention(*arrays)
except sfa.errors.KnobError as error:
    print(error)
""", 0)
        self.assertIn("SFA_MAX_PROGRAMS is '0'; it has to be a number from 1 to 1000000", output)


if __name__ == "__main__":
    unittest.main()

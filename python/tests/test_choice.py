"""What the compiler chooses for a call: it knows the sizes, and a program serves many of them."""

import unittest
from unittest import mock

from sfa import _library, _operations, _plan
from sfa._plan import CPU, View


def _shapes(n_q, n_k, q_heads, kv_heads, d=128, sequences=None):
    offsets = [] if sequences is None else [(sequences + 1,)] * 2
    return [(1, q_heads, n_q, d), (1, kv_heads, n_k, d), (1, kv_heads, n_k, d), *offsets]


def _module_of_call(shapes, device, schedule=None, causal=False, window=None):
    """The module that a call with these shapes asks a program of."""
    q, k, v, *offsets = (View(shape, None, "bf16" if len(shape) == 4 else "i32", device) for shape in shapes)
    operands = [_operations.Operand(name, view) for name, view in (("q", q), ("k", k))]
    with mock.patch.object(_operations, "Plan", mock.Mock()) as plan:
        _operations.attention_plan(*operands, v, offsets or None, None, causal, window, None, False, schedule)
    return plan.of_module.call_args.args[0]


def _choose(n_q, n_k, chip="sm_90a", q_heads=16, kv_heads=4, d=128, sequences=None, **options):
    shapes = _shapes(n_q, n_k, q_heads, kv_heads, d, sequences)
    return _library.jit_schedules(_module_of_call(shapes, 0, **options), chip, shapes)


def _numbers(schedule):
    """Packed heads, rows of a tile and splits."""
    parameters = dict(part.split(" = ") for part in schedule.split(", "))
    return tuple(int(parameters.get(name, 1)) for name in ("packed_heads", "q_tile", "splits"))


class ChoiceTest(unittest.TestCase):
    def test_sizes_of_the_call(self):
        for n_q, n_k, numbers in (
                (1, 65536, (4, 64, 32)), (40, 1000, (1, 64, 2)), (4096, 65536, (1, 128, 1)), (1, 1023, (4, 64, 2)),
                (1, 1024, (4, 64, 4)), (1, 511, (4, 64, 1)), (0, 65536, (4, 64, 1))):
            with self.subTest(n_q=n_q, n_k=n_k):
                self.assertEqual(_numbers(_choose(n_q, n_k)), numbers)

    def test_larger_tiles_where_blocks_have_many_keys(self):
        """Otherwise more heads in a tile leave multiprocessors idle, or blocks of few keys with many rows."""
        for d, q_heads, kv_heads, n_q, n_k, numbers in (
                (64, 16, 4, 40, 32768, (4, 192, 32)), (64, 6, 2, 64, 9000, (1, 64, 16)), (64, 128, 1, 1, 32768, (64, 64, 64)),
                (128, 16, 4, 40, 9000, (1, 64, 8)), (128, 16, 4, 40, 32768, (2, 128, 16))):
            with self.subTest(d=d, q_heads=q_heads, n_q=n_q, n_k=n_k):
                self.assertEqual(_numbers(_choose(n_q, n_k, q_heads=q_heads, kv_heads=kv_heads, d=d)), numbers)

    def test_what_a_caller_gives_stays(self):
        for schedule, numbers in (
                ("splits = 3", (4, 64, 3)), ("packed_heads = 1", (1, 64, 8)), ("packed_heads = 2", (2, 64, 16)),
                ("q_tile = 128", (4, 128, 32)), ("packed_heads = 1, splits = 1", (1, 64, 1))):
            with self.subTest(schedule=schedule):
                self.assertEqual(_numbers(_choose(1, 65536, schedule=schedule)), numbers)
        self.assertIn("softmax = online, q_tile = 64", _choose(1, 65536, schedule="softmax = online"))

    def test_a_window_is_what_a_query_sees(self):
        self.assertEqual(_numbers(_choose(1, 65536, causal=True, window=(2000, 7))), (4, 64, 4))
        self.assertEqual(_numbers(_choose(1, 65536, window=(2000, None))), (4, 64, 32))

    def test_the_mean_of_sequences_counts(self):
        for sequences, n_q, n_k, numbers in (
                (4, 4, 65536, (4, 64, 32)), (64, 64, 64 * 65536, (4, 64, 16)), (64, 4096, 65536, (2, 128, 1)),
                (4, 4096, 65536, (1, 128, 1))):
            with self.subTest(sequences=sequences, n_q=n_q, n_k=n_k):
                self.assertEqual(_numbers(_choose(n_q, n_k, sequences=sequences)), numbers)

    def test_no_more_than_a_schedule_can_say(self):
        self.assertEqual(_numbers(_choose(4, 10**8, q_heads=1, kv_heads=1, sequences=2)), (1, 64, 256))

    def test_few_programs_while_sizes_grow(self):
        """Splits are powers of two, and rows and heads of a tile are few."""
        n_k = [*range(1, 2000), *range(2000, 100001, 97)]
        n_q = [*range(1, 300), *range(300, 100001, 997)]
        for chip, d in (("sm_90a", 64), ("sm_90a", 128), ("sm_80", 128), ("sm_80", 256)):
            with self.subTest(chip=chip, d=d):
                # 1, 2, ... 32 splits of one query's keys for 4 tiles and 132 multiprocessors.
                self.assertLessEqual(len({_choose(1, n, chip, d=d) for n in n_k}), 6)
                # Besides splits, as many heads in a tile as the group has divisors, 3, each in up to two sizes of a tile.
                forms = {_numbers(_choose(n, 65536, chip, d=d)) for n in n_q}
                self.assertLessEqual(len({form[:2] for form in forms}), 6)
                self.assertLessEqual(len(forms), 12)

    def test_cpu(self):
        """Hints are not used on a CPU: one program serves all sizes."""
        shapes = _shapes(1, 65536, 16, 4)
        library = mock.Mock(sfa_cpu_function_run=None)
        with (mock.patch.object(_plan._library, "jit_cpu_function", return_value=1) as made,
              mock.patch.object(_plan._library, "load", return_value=library)):
            views = [View(shape, None, "bf16", CPU) for shape in shapes]
            _operations.attention_plan(*(_operations.Operand(name, view) for name, view in zip("qk", views)), views[2],
                                       None, None, False, None, None, False, None)
        made.assert_called_once_with(_module_of_call(shapes, 0))

    def test_errors(self):
        module = _module_of_call(_shapes(1, 1, 1, 1), 0)
        for chip, shapes, part in (("sm_12345", _shapes(1, 1, 1, 1), "sm_12345"), (None, [(1, 1, 1, 128)], "argument 2"),
                                   (None, [(1,)] * 3, "dimension 0|dimension 2")):
            with self.subTest(part=part), self.assertRaisesRegex(RuntimeError, part):
                _library.jit_schedules(module, chip, shapes)


if __name__ == "__main__":
    unittest.main()

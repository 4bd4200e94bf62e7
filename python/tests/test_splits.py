"""Into how many shares a GPU cuts the keys; needs no library and no GPU."""

import types
import unittest
from unittest import mock

from sfa import _operations, _splits
from sfa._plan import CPU, View


class SplitsTest(unittest.TestCase):
    def test_query_tiles_fill_the_multiprocessors(self):
        for heads, n_q, n_k, splits in (
                (16, 1, 65536, 8), (16, 128, 65536, 8), (16, 129, 65536, 4), (1, 1, 65536, 128),
                (66, 1, 65536, 2), (67, 1, 65536, 1), (16, 65536, 65536, 1), (1, 1, 10**8, 128)):
            with self.subTest(heads=heads, n_q=n_q, n_k=n_k):
                self.assertEqual(_splits.choose(heads, n_q, n_k, None, None, 132), splits)

    def test_each_split_keeps_512_keys(self):
        for n_k, splits in ((0, 1), (1, 1), (1023, 1), (1024, 2), (2047, 2), (2048, 4), (65536, 128)):
            with self.subTest(n_k=n_k):
                self.assertEqual(_splits.choose(1, 1, n_k, None, None, 132), splits)

    def test_a_window_is_what_counts(self):
        self.assertEqual(_splits.choose(1, 1, 65536, 1000, 0, 132), 2)
        self.assertEqual(_splits.choose(1, 1, 65536, 1000, None, 132), 128)
        self.assertEqual(_splits.choose(1, 1, 65536, None, 0, 132), 128)

    def test_nothing_to_do(self):
        self.assertEqual(_splits.choose(16, 0, 65536, None, None, 132), 1)
        self.assertEqual(_splits.choose(0, 5, 65536, None, None, 132), 1)

    def test_more_than_a_schedule_can_say(self):
        self.assertEqual(_splits.choose(1, 1, 10**8, None, None, 1000), 256)

    def test_schedules(self):
        for schedule, splits, text in (
                (None, 1, None), (None, 4, "splits = 4"), ("", 4, "splits = 4"),
                ("softmax = lazy", 1, "softmax = lazy"),
                ("softmax = lazy", 4, "softmax = lazy, splits = 4"),
                ("splits = 1", 4, "splits = 1"), ("splits=2, softmax = lazy", 4, "splits=2, softmax = lazy")):
            with self.subTest(schedule=schedule, splits=splits):
                self.assertEqual(_splits.add_to(schedule, splits), text)

    def schedule_of(self, n_q, n_k, device=0, offsets=None, **options):
        """What the module of a call says behind the word schedule, or None."""
        q, k = (View((1, heads, n, 128), None, "bf16", device) for heads, n in ((16, n_q), (4, n_k)))
        operands = [_operations.Operand(name, view) for name, view in (("q", q), ("k", k))]
        arguments = dict(topk=None, causal=False, window=None, scale=None, lse=False, schedule=None)
        with (mock.patch.object(_operations, "Plan", lambda module, *rest: module),
              mock.patch.object(_operations._library, "device_properties",
                                lambda device: types.SimpleNamespace(multiprocessors=132))):
            module = _operations.attention_plan(*operands, k, offsets, **{**arguments, **options})
        _, found, rest = module.partition("schedule <")
        return rest.partition(">")[0] if found else None

    def test_calls(self):
        self.assertEqual(self.schedule_of(1, 65536), "splits = 8")
        self.assertEqual(self.schedule_of(1, 65536, schedule="softmax = lazy"), "softmax = lazy, splits = 8")
        self.assertEqual(self.schedule_of(1, 65536, schedule="splits = 3"), "splits = 3")
        self.assertEqual(self.schedule_of(1, 65536, causal=True, window=(2000, 7)), "splits = 4")
        self.assertIsNone(self.schedule_of(4096, 65536))
        self.assertIsNone(self.schedule_of(1, 65536, device=CPU))
        offsets = [View((2,), None, "i32", 0)] * 2
        self.assertIsNone(self.schedule_of(1, 65536, offsets=offsets))


if __name__ == "__main__":
    unittest.main()

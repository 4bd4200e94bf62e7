"""Into how many shares a GPU cuts the keys, and how many query heads share a tile; needs no library and no
GPU."""

import types
import unittest
from unittest import mock

from sfa import _operations, _packing, _schedule, _splits
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

    def test_uneven_keys_are_cut_smaller(self):
        for heads, n_q, n_k, packed, splits in (
                (16, 1, 65536, 1, 128), (132, 1, 65536, 1, 32), (133, 1, 65536, 1, 16), (2113, 1, 65536, 1, 1),
                (2113, 1, 65536, 4, 4), (16, 32, 65536, 1, 128), (16, 33, 65536, 1, 64), (16, 128, 65536, 1, 32),
                (16, 16, 65536, 4, 64), (16, 129, 65536, 1, 4), (16, 1, 1500, 1, 2)):
            with self.subTest(heads=heads, n_q=n_q, n_k=n_k, packed=packed):
                self.assertEqual(_splits.choose(heads, n_q, n_k, None, None, 132, packed, is_uneven=True), splits)

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
                self.assertEqual(_schedule.add(schedule, "splits", splits), text)

    def test_packed_heads_are_few_tiles(self):
        for packed, n_q, splits in ((1, 1, 4), (4, 1, 16), (8, 16, 32), (8, 17, 16), (5, 16, 16), (5, 17, 8)):
            with self.subTest(packed=packed, n_q=n_q):
                self.assertEqual(_splits.choose(32, n_q, 65536, None, None, 132, packed), splits)

    def test_heads_that_share_a_tile(self):
        for group, n_q, heads in ((1, 1, 1), (2, 1, 2), (2, 64, 2), (2, 65, 1), (3, 1, 3), (3, 32, 3), (3, 33, 1), (4, 32, 4),
                                  (4, 33, 2), (5, 16, 5), (5, 17, 1), (6, 17, 3), (7, 1, 7), (8, 1, 8), (8, 16, 8), (8, 17, 4),
                                  (16, 1, 16), (16, 8, 16), (16, 9, 8), (12, 1, 12), (10, 16, 5), (64, 2, 64), (64, 3, 32),
                                  (128, 1, 64), (71, 1, 1), (8, 0, 8)):
            with self.subTest(group=group, n_q=n_q):
                self.assertEqual(_packing.choose(group, n_q), heads)

    def test_rows_of_a_tile(self):
        for schedule, group, n_q, text, heads in (
                (None, 8, 8, "packed_heads = 8, q_tile = 64", 8), (None, 8, 9, "packed_heads = 8", 8),
                (None, 5, 8, "packed_heads = 5, q_tile = 64", 5), (None, 1, 64, "q_tile = 64", 1), (None, 1, 65, None, 1),
                ("softmax = lazy", 8, 1, "softmax = lazy, packed_heads = 8, q_tile = 64", 8),
                ("packed_heads = 2", 8, 1, "packed_heads = 2, q_tile = 64", 2),
                ("packed_heads = 2", 8, 33, "packed_heads = 2", 2),
                ("q_tile = 128", 8, 1, "q_tile = 128", 1), ("consumers = 1", 8, 1, "consumers = 1", 1),
                ("k_tile = 64, packed_heads = 4", 8, 1, "k_tile = 64, packed_heads = 4", 4)):
            with self.subTest(schedule=schedule, group=group, n_q=n_q):
                self.assertEqual(_packing.complete(schedule, group, n_q), (text, heads))

    def test_packed_heads_of_a_schedule(self):
        for schedule, heads in ((None, None), ("splits = 4", None), ("packed_heads = 4", 4),
                                ("splits = 2, packed_heads=16", 16)):
            with self.subTest(schedule=schedule):
                self.assertEqual(_schedule.given(schedule, "packed_heads"), heads)

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
        for schedule, text in (
                (None, "packed_heads = 4, q_tile = 64, splits = 32"),
                ("softmax = lazy", "softmax = lazy, packed_heads = 4, q_tile = 64, splits = 32"),
                ("splits = 3", "splits = 3, packed_heads = 4, q_tile = 64"),
                ("packed_heads = 1", "packed_heads = 1, q_tile = 64, splits = 8"),
                ("packed_heads = 2", "packed_heads = 2, q_tile = 64, splits = 16"),
                ("q_tile = 64", "q_tile = 64, splits = 8"),
                ("packed_heads = 1, splits = 1", "packed_heads = 1, splits = 1, q_tile = 64")):
            with self.subTest(schedule=schedule):
                self.assertEqual(self.schedule_of(1, 65536, schedule=schedule), text)
        self.assertEqual(self.schedule_of(1, 65536, causal=True, window=(2000, 7)), "packed_heads = 4, q_tile = 64, splits = 2")
        self.assertEqual(self.schedule_of(40, 1000), "packed_heads = 2")
        self.assertIsNone(self.schedule_of(4096, 65536))
        self.assertIsNone(self.schedule_of(1, 65536, device=CPU))

    def test_calls_with_sequences(self):
        """The mean of their lengths counts."""
        for sequences, n_q, n_k, text in (
                (1, 1, 65536, "packed_heads = 4, q_tile = 64, splits = 32"),
                (4, 4, 65536, "packed_heads = 4, q_tile = 64, splits = 32"),
                (4, 1, 65536, "packed_heads = 4, q_tile = 64, splits = 32"),
                (4, 4, 2049, "packed_heads = 4, q_tile = 64"), (64, 64, 65536, "packed_heads = 4, q_tile = 64, splits = 2"),
                (64, 64, 64 * 65536, "packed_heads = 4, q_tile = 64, splits = 16"),
                (64, 1025, 65536, "packed_heads = 4"), (64, 4096, 65536, "packed_heads = 2"),
                (4, 4096, 65536, None)):
            with self.subTest(sequences=sequences, n_q=n_q, n_k=n_k):
                offsets = [View((sequences + 1,), None, "i32", 0)] * 2
                self.assertEqual(self.schedule_of(n_q, n_k, offsets=offsets), text)
        offsets = [View((5,), None, "i32", CPU)] * 2
        self.assertIsNone(self.schedule_of(4, 65536, device=CPU, offsets=offsets))


if __name__ == "__main__":
    unittest.main()

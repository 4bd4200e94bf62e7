"""Into how many shares a GPU cuts the keys; needs no library."""

import unittest

from sfa import _splits


class SplitsTest(unittest.TestCase):
    def test_query_tiles_fill_the_multiprocessors(self):
        for heads, n_q, n_k, splits in (
                (16, 1, 65536, 8), (16, 128, 65536, 8), (16, 129, 65536, 4), (1, 1, 65536, 128),
                (66, 1, 65536, 2), (67, 1, 65536, 1), (16, 65536, 65536, 1), (1, 1, 10**8, 128)):
            with self.subTest(heads=heads, n_q=n_q, n_k=n_k):
                self.assertEqual(_splits.choose(heads, n_q, n_k, None, None, 132), splits)

    def test_each_split_keeps_four_key_tiles(self):
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


if __name__ == "__main__":
    unittest.main()

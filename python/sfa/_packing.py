"""How many query heads of a group share a query tile on a GPU, and how many rows it has. Kernels serve
any number of queries, so the compiler cannot know; here it is known."""

import re

from . import _schedule

# What lib/Schedule/CostModel.cpp says, which does the same for modules of static sizes.
_FEW_ROWS, _ROWS, _MOST_HEADS = 64, 128, 64

_TILE_IS_GIVEN = re.compile(r"\b(q_tile|k_tile|stages|consumers)\b")


def rows_of_head(heads, rows=_ROWS):
    """Of the rows of a tile those of each of `heads` heads: as many as if these were the next power of two."""
    return rows >> (heads - 1).bit_length()


def choose(group, n_q):
    """The most heads of a group of `group` whose queries all fit into one tile, so that they read the
    keys once; 1 for none."""
    return next((heads for heads in range(_MOST_HEADS, 1, -1) if group % heads == 0 and n_q <= rows_of_head(heads)), 1)


def complete(schedule, group, n_q):
    """`schedule`, a text or None, with the heads that share a tile and the rows of one for few queries, and
    the number of these heads. Not where it says how large tiles are: that is for it to say, too."""
    if schedule and _TILE_IS_GIVEN.search(schedule):
        return schedule, _schedule.given(schedule, "packed_heads") or 1
    heads = _schedule.given(schedule, "packed_heads")
    if heads is None:
        heads = choose(group, n_q)
        schedule = _schedule.add(schedule, "packed_heads", heads)
    # Few rows leave most time for reading the keys, which is what bounds few queries.
    if n_q <= rows_of_head(heads, _FEW_ROWS):
        schedule = _schedule.add(schedule, "q_tile", _FEW_ROWS)
    return schedule, heads

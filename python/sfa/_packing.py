"""How many query heads of a group share a query tile on a GPU. Kernels serve any number of queries, so
the compiler cannot know; here it is known."""

import re

# What lib/Schedule/CostModel.cpp says, which does the same for modules of static sizes: a tile with
# room for packed heads has 128 rows, and a warp 16 rows of one head.
_Q_TILE = 128
_MOST = 8

_TILE_IS_GIVEN = re.compile(r"\b(q_tile|k_tile|stages|consumers)\b")


def rows_of_head(heads):
    """The rows of a tile that each of `heads` heads has: as many as if they were the next power of two."""
    return max(_Q_TILE >> (heads - 1).bit_length(), 1)


def choose(group, n_q, schedule):
    """The most heads of a group of `group` whose queries all fit into one tile, so that they read the
    keys once; 1 for none. Not where a schedule says how large tiles are: that is for it to say, too."""
    if group == 1 or (schedule and _TILE_IS_GIVEN.search(schedule)):
        return 1
    return next((heads for heads in range(_MOST, 1, -1) if group % heads == 0 and n_q <= rows_of_head(heads)), 1)

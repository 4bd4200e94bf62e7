"""Into how many shares a GPU cuts the keys of a call. Kernels serve any number of tokens, so the
compiler cannot know; here the sizes are known."""

from . import _packing

# What lib/Schedule/CostModel.cpp says, which does the same for modules of static sizes.
_LEAST_KEYS = 512
_SHARES_OF_UNEVEN_KEYS, _LEAST_KEYS_OF_ROW = 32, 16
_MOST = 256


def choose(num_heads, n_q, n_k, left, right, multiprocessors, packed_heads=1, is_uneven=False):
    """Splits that keep all multiprocessors busy where the query tiles would leave half of them idle;
    1 for none. `num_heads` is batch times heads, of which `packed_heads` share a query tile; left and
    right are the bounds of the window, None where unbounded. `is_uneven`: n_q and n_k are means of
    sequences, each with heads of its own. A power of two, so that few kernels are compiled while n_k
    grows."""
    queries = max(_packing.rows_of_head(packed_heads), 1)
    query_tiles = -(-num_heads // packed_heads) * -(-n_q // queries)
    if left is not None and right is not None:
        n_k = min(n_k, left + right + queries)
    if query_tiles == 0:
        return 1
    shares, least_keys = multiprocessors, _LEAST_KEYS
    if is_uneven and n_q <= queries:
        # The longest sequence would be the last to end.
        shares *= _SHARES_OF_UNEVEN_KEYS
        least_keys = max(least_keys, _LEAST_KEYS_OF_ROW * n_q * packed_heads)
    most = min(shares // query_tiles, n_k // least_keys, _MOST)
    return 1 << max(most, 1).bit_length() - 1

"""FlashSFA: sparse feature attention for torch tensors and arrays.

    import sfa
    out = sfa.attention(q, k, v, topk=8, causal=True)

`python -m sfa.info` says what a report of a bug needs, `python -m sfa.bench` measures, `python -m sfa.tune` finds the fastest
schedules of a device, and `python -m sfa.report` shows what it has found.
"""

import pathlib

from . import errors
from ._recorded import Problems
from ._threads import get_num_threads, set_num_threads
from ._tuning import Explanation, explain, record, tune
from .api import attention, cat, densify, quantize, sparsify
from .cache import KVCache, PageAllocator, decode
from .codes import Codes
from .errors import Error

__version__ = (pathlib.Path(__file__).parent / "VERSION").read_text().strip()
__all__ = ["Codes", "Error", "Explanation", "KVCache", "PageAllocator", "Problems", "attention", "cat", "decode", "densify", "errors",
           "explain", "get_num_threads", "quantize", "record", "set_num_threads", "sparsify", "tune", "__version__"]

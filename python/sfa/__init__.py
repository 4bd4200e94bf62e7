"""FlashSFA: sparse feature attention for torch tensors and arrays.

    import sfa
    out = sfa.attention(q, k, v, topk=8, causal=True)

`python -m sfa.info` says what a report of a bug needs, `python -m sfa.bench` measures.
"""

import pathlib

from . import errors
from ._threads import get_num_threads, set_num_threads
from .api import attention, cat, densify, quantize, sparsify
from .codes import Codes
from .errors import Error

__version__ = (pathlib.Path(__file__).parent / "VERSION").read_text().strip()
__all__ = ["Codes", "Error", "attention", "cat", "densify", "errors", "get_num_threads", "quantize",
           "set_num_threads", "sparsify", "__version__"]

"""The problems that `sfa.record` collects. A call whose plan is at hand passes nothing here: while somebody records, tables of
plans are new ones, so that each different call makes its plan once more."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Sequence
from typing import Any, overload

_MOST_SIZE = 2**24
"""What sfa-tune takes of batch, heads and tokens."""


def describe(*, batch: int, query_heads: int, key_heads: int, queries: int, keys: int, d: int, dv: int, dtype: str,
             query_codes: int | None, key_codes: int | None, key_granularity: str | None, left: int | None, right: int | None,
             lse: bool, sequences: bool) -> dict[str, Any]:
    """A problem as sfa-tune takes it. Raises ValueError, which says why it takes none of this kind: what the compiler has no
    key for is not tuned (lib/Schedule/ProblemKey.cpp)."""
    if sequences:
        raise ValueError("sequences of several lengths (cu_seqlens) are not tuned")
    if (left is None) != (right is None) and not (left is None and right == 0):
        raise ValueError("a window that is bounded on one side is not tuned")
    sizes = dict(batch=batch, query_heads=query_heads, key_heads=key_heads, queries=queries, keys=keys)
    for name, size in sizes.items():
        if not 1 <= size <= _MOST_SIZE:
            raise ValueError(f"{name} is {size}; what is tuned has 1 to 2^24")
    is_codes = query_codes is not None and key_codes is not None
    form = "dense" if not is_codes else "codes" if key_granularity is None else f"int8 {key_granularity}"
    mask = "none" if right is None else "causal" if left is None else "window"
    problem = dict(sizes, d=d, dv=dv, dtype=dtype, form=form, k=query_codes if is_codes else 0, mask=mask, lse=lse)
    return dict(problem, left=left, right=right) if mask == "window" else problem


class Problems(Sequence[dict[str, Any]]):
    """The different attention problems that were asked for within `with sfa.record() as problems`, in the order of the first
    call of each: dictionaries such as

      {"batch": 1, "query_heads": 16, "key_heads": 16, "queries": 4096, "keys": 4096, "d": 128, "dv": 128, "dtype": "bf16",
       "form": "codes", "k": 8, "mask": "causal", "lse": False}

    as `sfa-tune --cases` reads them. `form` is "dense", "codes" or, of 8-bit values, "int8 tile", "int8 token" or "int8 head",
    by the scales of keys. `mask` is "none", "causal" or "window", which has its bounds in "left" and "right".
    """

    def __init__(self) -> None:
        self._problems: list[dict[str, Any]] = []
        self._devices: list[str] = []
        self._left_out: list[str] = []
        self._seen: set[object] = set()
        self._lock = threading.Lock()

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...

    @overload
    def __getitem__(self, index: slice) -> list[dict[str, Any]]: ...

    def __getitem__(self, index: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        """A problem, or a list of them."""
        return self._problems[index]

    def __len__(self) -> int:
        return len(self._problems)

    def __repr__(self) -> str:
        return f"Problems({self._problems!r})"

    @property
    def devices(self) -> tuple[str, ...]:
        """Where each problem was asked for: "cpu", "cuda:0", ... The same problem on two devices counts twice."""
        return tuple(self._devices)

    @property
    def left_out(self) -> tuple[str, ...]:
        """Why calls are not among the problems, a sentence for each different reason: sequences of several lengths, windows that
        are bounded on one side, and sizes of 0 are not tuned."""
        return tuple(self._left_out)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes them as a JSON array, for `sfa-tune --cases`; the same problem on two devices once. Raises OSError."""
        lines = list(dict.fromkeys(json.dumps(problem) for problem in self._problems))
        with open(path, "w", encoding="utf-8") as file:
            file.write("[" + ",\n ".join(lines) + "]\n")

    def _add(self, call: dict[str, Any], device: str) -> None:
        try:
            problem, reason = describe(**call), None
        except ValueError as error:
            problem, reason = {}, str(error)
        key = reason if reason is not None else (device, *problem.items())
        with self._lock:
            if key in self._seen:
                return
            self._seen.add(key)
            if reason is not None:
                self._left_out.append(reason)
                return
            self._problems.append(problem)
            self._devices.append(device)


recorders: tuple[Problems, ...] = ()
"""Those that collect at the moment."""


def add(call: dict[str, Any], device: str) -> None:
    """`call` is what `describe` takes."""
    for problems in recorders:
        problems._add(call, device)

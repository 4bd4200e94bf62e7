"""Databases of tuned schedules: what lib/Schedule/TuningDatabase.cpp writes, and what follows from it."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import os
import statistics
from collections.abc import Callable
from typing import Any

from .. import errors

FORMAT, VERSION = "sfa-tuning-database", 1
WIDE_SPREAD = 0.03
"""Half of the samples lie within this part of their median, or the time is uncertain."""


@dataclasses.dataclass(frozen=True)
class Peaks:
    """Of a chip, as lib/Support/Chip.cpp has them: multiply-adds of 16-bit matrices a clock of a multiprocessor, the clock, and
    the memory of the product that is most in use."""

    products_of_clock: float
    clock_ghz: float
    gigabytes_per_second: float

    def tflops(self, multiprocessors: int) -> float:
        return 2 * self.products_of_clock * multiprocessors * self.clock_ghz / 1e3


PEAKS = {
    "sm_80": Peaks(1024, 1.41, 2039),
    "sm_86": Peaks(512, 1.74, 696),
    "sm_87": Peaks(512, 1.3, 204),
    "sm_89": Peaks(512, 2.52, 864),
    "sm_90": Peaks(1024, 1.755, 3350),
    "sm_90a": Peaks(2048, 1.755, 3350),
    "sm_100": Peaks(1024, 1.85, 8000),
    "sm_120": Peaks(256, 2.41, 1792),
}


@dataclasses.dataclass(frozen=True)
class Device:
    chip: str
    name: str
    multiprocessors: int
    watts: int

    def __str__(self) -> str:
        units = "cores" if self.chip == "cpu" else "multiprocessors"
        power = f", {self.watts} W" if self.watts else ""
        return f"{self.name} ({self.chip}, {self.multiprocessors} {units}{power})"


@dataclasses.dataclass(frozen=True)
class Measured:
    """A schedule, its parameters by name, and its times in milliseconds."""

    schedule: dict[str, str | int]
    milliseconds: tuple[float, ...]

    @functools.cached_property
    def median(self) -> float:
        return statistics.median(self.milliseconds)

    @functools.cached_property
    def spread(self) -> float:
        """The distance of the quartiles as a part of the median."""
        if len(self.milliseconds) < 2:
            return 0.0
        low, _, high = statistics.quantiles(self.milliseconds, n=4, method="inclusive")
        return (high - low) / self.median

    def __str__(self) -> str:
        first = [name for name in ("strategy", "softmax", "q_tile", "k_tile") if name in self.schedule]
        return ", ".join(f"{name} = {self.schedule[name]}" for name in dict.fromkeys([*first, *self.schedule]))


def _causal_pairs(queries: int, keys: int) -> int:
    """How many keys the queries of a head see together, where the last one sees all."""
    if keys <= 0:
        return 0
    rows = min(queries, keys)
    return rows * (2 * keys - rows + 1) // 2


@dataclasses.dataclass(frozen=True)
class Entry:
    """The best schedule for a problem on a device. `key` has the fields of lib/Schedule/ProblemKey.h; sizes beside it are those
    that were measured."""

    file: str
    key: dict[str, Any]
    device: Device
    batch: int
    query_heads: int
    queries: int
    keys: int
    winner: Measured
    model: Measured
    others: tuple[Measured, ...]
    ties: int
    compiler: str
    driver: str
    date: str
    clock: int
    throttle: int

    @property
    def name(self) -> str:
        key = self.key
        parts = [key["dtype"], key["form"], *([f"k={key['k']}"] if key["k"] else []), f"d={key['d']}"]
        if key["dv"] != key["d"]:
            parts.append(f"dv={key['dv']}")
        parts.append(f"{key['mask']}<={key['window']}" if key["window"] else key["mask"])
        parts += [name for name in ("lse", "sequences") if key[name]]
        if key["group"] > 1:
            parts.append(f"group={key['group']}")
        if key["data"] != "any":
            parts.append(key["data"])
        return " ".join([*parts, f"batch={self.batch} heads={self.query_heads} n={self.tokens}"])

    @property
    def tokens(self) -> str:
        return str(self.keys) if self.queries == self.keys else f"{self.queries}x{self.keys}"

    @property
    def of_model(self) -> float:
        """The time as a part of that of the cost model's choice."""
        return self.winner.median / self.model.median

    @property
    def second(self) -> Measured | None:
        """The fastest of those that did not win."""
        others = [*self.others, *([] if self.model.schedule == self.winner.schedule else [self.model])]
        return min(others, key=lambda other: other.median, default=None)

    @property
    def of_second(self) -> float | None:
        """The time as a part of that of the second. Among ties it may be above 1: there a rule prefers the winner."""
        second = self.second
        return None if second is None else self.winner.median / second.median

    @property
    def flops(self) -> float | None:
        """What dense operands take: two products for each pair of a query and a key that it sees. Of a window only the bucket of
        its size is known; of sequences nothing is."""
        key = self.key
        if key["sequences"]:
            return None
        pairs = self.queries * self.keys if key["mask"] == "none" else _causal_pairs(self.queries, self.keys)
        if key["mask"] == "window":
            pairs -= _causal_pairs(self.queries, self.keys - key["window"])
        return 2.0 * pairs * (key["d"] + key["dv"]) * self.batch * self.query_heads

    @property
    def bytes(self) -> float:
        """Of operands and results, each once."""
        key = self.key
        element = 4 if key["dtype"] == "f32" else 2
        row = key["d"] * element
        if key["k"]:
            row = key["k"] * ((1 if key["form"].startswith("int8") else element) + (1 if key["d"] <= 256 else 2))
        output = key["dv"] * element + 4 * key["lse"]
        return self.batch * self.query_heads * (
            self.queries * (row + output) + self.keys * (row + key["dv"] * element) / key["group"])

    @property
    def tflops(self) -> float | None:
        return None if self.flops is None else self.flops / self.winner.median / 1e9

    @property
    def gigabytes_per_second(self) -> float:
        return self.bytes / self.winner.median / 1e6

    def doubts(self, compiler: str) -> list[str]:
        """Why the choice, or its time, is uncertain, for the build `compiler`."""
        doubts = []
        if self.ties:
            doubts.append(f"{self.ties} other{'s are' if self.ties > 1 else ' is'} not known to be slower")
        if self.winner.spread > WIDE_SPREAD:
            doubts.append(f"samples spread over {self.winner.spread:.1%}")
        if self.throttle:
            doubts.append(f"clocks were held down (bits {self.throttle:#x})")
        if self.compiler != compiler:
            doubts.append(f"of another build, {self.compiler}")
        return doubts


#===--- Reading --------------------------------------------------------------------------------===#

class _Wrong(Exception):
    """What is not as it should be, and where."""


def _field(value: Any, place: str, name: str, wanted: str, is_right: Callable[[Any], bool]) -> Any:
    """A field of an object of the document."""
    if not isinstance(value, dict):
        raise _Wrong(f"{place or 'the document'} has to be an object")
    place = f"{place}.{name}" if place else name
    if name not in value:
        raise _Wrong(f"{place} is missing; it has to be {wanted}")
    if not is_right(value[name]):
        text = json.dumps(value[name])
        raise _Wrong(f"{place} is {text if len(text) <= 60 else text[:57] + '...'}; it has to be {wanted}")
    return value[name]


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_size(value: Any) -> bool:
    return _is_count(value) and value > 0


def _are_times(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(
        isinstance(time, (int, float)) and not isinstance(time, bool) and math.isfinite(time) and time > 0 for time in value)


def _is_schedule(value: Any) -> bool:
    return isinstance(value, dict) and all(_is_text(part) or _is_count(part) for part in value.values())


_KEY_FIELDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    **{name: ("text", _is_text) for name in ("operation", "dtype", "form", "mask", "data")},
    **{name: ("a positive integer", _is_size) for name in ("d", "dv", "group", "queries", "keys", "batch_heads")},
    **{name: ("an integer from 0 on", _is_count) for name in ("k", "window")},
    **{name: ("true or false", lambda value: isinstance(value, bool)) for name in ("lse", "sequences")},
}


def _measured(value: Any, place: str) -> Measured:
    schedule = _field(value, place, "schedule", "an object of parameters", _is_schedule)
    times = _field(value, place, "ms", "a list of positive numbers", _are_times)
    return Measured(schedule, tuple(float(time) for time in times))


def _entry(value: Any, place: str, file: str) -> Entry:
    def field(name: str, wanted: str, is_right: Callable[[Any], bool], part: str | None = None) -> Any:
        if part is None:
            return _field(value, place, name, wanted, is_right)
        return _field(_field(value, place, part, "an object", _is_object), f"{place}.{part}", name, wanted, is_right)

    def text(name: str, part: str | None = None) -> str:
        return field(name, "text", _is_text, part)

    def count(name: str, part: str | None = None) -> int:
        return field(name, "an integer from 0 on", _is_count, part)

    def size(name: str, part: str | None = None) -> int:
        return field(name, "a positive integer", _is_size, part)

    key = {name: field(name, *kind, part="key") for name, kind in _KEY_FIELDS.items()}
    device = Device(text("chip", "device"), text("name", "device"), size("multiprocessors", "device"), count("watts", "device"))
    batch, heads, queries, keys = (size(name, "measured") for name in ("batch", "query_heads", "queries", "keys"))
    winner, model = (_measured(field(name, "an object", _is_object), f"{place}.{name}") for name in ("winner", "model"))
    others = tuple(_measured(other, f"{place}.others[{number}]") for number, other in enumerate(
        field("others", "a list", lambda x: isinstance(x, list))))
    ties = field("ties", f"a number of others, 0 to {len(others)}", lambda x: _is_count(x) and x <= len(others))
    return Entry(file, key, device, batch, heads, queries, keys, winner, model, others, ties, text("compiler"), text("driver"),
                 text("date"), count("clock_mhz"), count("throttle"))


def read(file: str | os.PathLike[str]) -> list[Entry]:
    """The entries of a database. Raises OSError, and ArgumentValueError where it is none, which says at which place."""
    try:
        with open(file, encoding="utf-8") as stream:
            document = json.load(stream)
        _field(document, "", "format", f"\"{FORMAT}\"", lambda value: value == FORMAT)
        _field(document, "", "version", f"{VERSION}, the one that this version of flashsfa knows",
               lambda value: value == VERSION and not isinstance(value, bool))
        entries = _field(document, "", "entries", "a list", lambda value: isinstance(value, list))
        return [_entry(entry, f"entries[{number}]", os.fspath(file)) for number, entry in enumerate(entries)]
    except (_Wrong, ValueError, RecursionError) as error:
        raise errors.ArgumentValueError(f"{os.fspath(file)} is no tuning database: {error}") from None

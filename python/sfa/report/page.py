"""The page: its sections and tables."""

from __future__ import annotations

import collections
import math
import os
from collections.abc import Callable, Hashable, Iterable, Sequence

from . import charts
from .database import PEAKS, WIDE_SPREAD, Device, Entry
from .markup import Markup, element, join

_MOST_BARS = 24
_TEXTS = ("winner", "second", "why", "doubts")
"""Columns that hold sentences."""

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; padding: 1rem; max-width: 75rem; overflow-wrap: break-word; }
h1, h2, h3 { line-height: 1.2; }
.wide { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: 0.875rem; }
caption { text-align: start; font-weight: bold; padding: 0.25rem 0; }
th, td { border: 1px solid #8888; padding: 0.25rem 0.5rem; text-align: start; vertical-align: top; }
td.number { text-align: end; font-variant-numeric: tabular-nums; white-space: nowrap; }
th[scope=row], td.text { min-width: 13rem; font-weight: normal; }
svg { display: block; height: auto; font: 13px system-ui, sans-serif; fill: currentColor; }
"""

# No script runs and nothing is loaded, whatever a database holds.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def _mean(ratios: Iterable[float]) -> float:
    """Of ratios: the geometric one."""
    logarithms = [math.log(ratio) for ratio in ratios]
    return math.exp(sum(logarithms) / len(logarithms))


def _count(number: int, one: str, more: str) -> str:
    return f"{number} {one if number == 1 else more}"


def _table(title: str, names: Sequence[str], rows: Iterable[Sequence[object]], numbers: Sequence[str]) -> Markup:
    """A table whose first column has the names of its rows. `numbers` are those of the columns that hold numbers."""
    head = element("tr", *[element("th", name, scope="col") for name in names])
    body = [element("tr", element("th", row[0], scope="row"), *[
        element("td", cell, class_="number" if name in numbers else "text" if name in _TEXTS else None)
        for name, cell in zip(names[1:], row[1:])]) for row in rows]
    return element("div", element("table", element("caption", title), element("thead", head), element("tbody", *body)),
                   class_="wide", tabindex="0", role="region", aria_label=title)


def newest_compiler(entries: Sequence[Entry]) -> str:
    """The build of the newest entries, of several that of most."""
    newest = max(entry.date for entry in entries)
    return collections.Counter(entry.compiler for entry in entries if entry.date == newest).most_common(1)[0][0]


def _kind(entry: Entry) -> str:
    """What won: the parameters that change how attention is computed."""
    schedule = entry.winner.schedule
    return ", ".join(str(schedule[name]) for name in ("strategy", "softmax") if name in schedule) or "any"


def _summary(entries: Sequence[Entry]) -> Markup:
    faster = sum(entry.of_model < 0.99 for entry in entries)
    mean, best = _mean(entry.of_model for entry in entries), min(entries, key=lambda entry: entry.of_model)
    return element("p", f"{_count(len(entries), 'problem', 'problems')}: {faster} {'is' if faster == 1 else 'are'} faster by more "
                   f"than 1% than with the cost model's choice. On the average the time is {mean:.3f} of that; the most is gained "
                   f"for {best.name}: {best.of_model:.3f}.")


def _winners(entries: Sequence[Entry], name: str) -> Markup:
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(_kind(entry), []).append(entry)
    rows = []
    for kind, group in sorted(groups.items(), key=lambda item: -len(item[1])):
        seconds = [entry.of_second for entry in group if entry.of_second is not None]
        gains = [entry.of_model for entry in group]
        rows.append((kind, len(group), f"{_mean(gains):.3f}", f"{min(gains):.3f}", f"{_mean(seconds):.3f}" if seconds else "none"))
    ordered = sorted(entries, key=lambda entry: entry.of_model)[:_MOST_BARS]
    title = "Where most time is saved" if len(entries) > _MOST_BARS else "What time is saved"
    names = ("strategy, softmax", "problems", "of the cost model's", "at best", "of the second's")
    return join(
        _table("What won, and its time as a part of others' times", names, rows, names[1:]),
        charts.bars(f"{name}-gain", title, [(entry.name, entry.of_model, entry.of_second) for entry in ordered]))


def _of_second(entry: Entry) -> str:
    return "none" if entry.of_second is None else f"{entry.of_second:.3f}"


def _uncertain(entries: Sequence[Entry], compiler: str) -> Markup:
    rows = [(entry.name, "; ".join(doubts), f"{entry.winner.spread:.1%}", _of_second(entry), entry.second or "none")
            for entry in entries if (doubts := entry.doubts(compiler))]
    if not rows:
        return element("p", "Nothing: no ties, no wide spreads, no clocks that were held down, and all of one build.")
    return join(
        element("p", f"{len(rows)} of {_count(len(entries), 'entry', 'entries')}. Samples are wide where their quartiles are more "
                f"than {WIDE_SPREAD:.0%} of the median apart. Entries of other builds than {compiler} are to be verified: "
                "sfa-tune verify."),
        _table("What is uncertain", ("problem", "why", "spread", "of the second's", "second"), rows,
               ("spread", "of the second's")))


def _heat_map(entries: Sequence[Entry], name: str, title: str, rows_name: str, columns_name: str,
              row: Callable[[Entry], tuple[Hashable, ...]], column: Callable[[Entry], tuple[Hashable, ...]]) -> Markup:
    """`row` and `column` give what an entry is sorted by, and last its label."""
    cells: dict[tuple[Hashable, Hashable], list[float]] = {}
    for entry in entries:
        cells.setdefault((row(entry)[-1], column(entry)[-1]), []).append(entry.of_model)
    labels: list[list[Hashable]] = []
    for of in (row, column):
        places: set[tuple] = {of(entry) for entry in entries}
        labels.append(list(dict.fromkeys(place[-1] for place in sorted(places))))
    return charts.heat_map(name, title, rows_name, columns_name, labels[0], labels[1],
                           {place: (_mean(ratios), len(ratios)) for place, ratios in cells.items()})


def _heat_maps(entries: Sequence[Entry], name: str) -> Markup:
    def k(entry: Entry) -> tuple[Hashable, ...]:
        return entry.key["k"], str(entry.key["k"]) if entry.key["k"] else "dense"

    def d(entry: Entry) -> tuple[Hashable, ...]:
        return entry.key["d"], str(entry.key["d"])

    def n(entry: Entry) -> tuple[Hashable, ...]:
        queries, keys = entry.key["queries"], entry.key["keys"]
        return keys, queries, str(keys) if queries == keys else f"{queries}x{keys}"

    def heads(entry: Entry) -> tuple[Hashable, ...]:
        return entry.key["batch_heads"], str(entry.key["batch_heads"])

    return join(
        element("p", "The time of the winner as a part of that of the cost model's choice: the geometric mean of the entries of a "
                "cell. Darker cells gain more; there is no cell where nothing was measured."),
        _heat_map(entries, f"{name}-kd", "Gain by k and d", "k", "d", k, d),
        _heat_map(entries, f"{name}-nh", "Gain by n and batch x heads", "n", "batch x heads", n, heads))


def _roofline(entries: Sequence[Entry], device: Device, name: str) -> Markup:
    points = [(entry.key["form"], entry.flops / entry.bytes, entry.tflops,
               f"{entry.name}: {entry.tflops:.1f} TFLOP/s, {entry.gigabytes_per_second:.0f} GB/s")
              for entry in entries if entry.flops is not None and entry.tflops is not None]
    peaks = PEAKS.get(device.chip)
    if peaks is None:
        return element("p", f"The peaks of {device.chip} are not known here.")
    if not points:
        return element("p", "Of no entry the number of FLOP is known.")
    return join(
        element("p", "FLOP are those of dense operands, also of codes, so that codes of 8 bits or on sparse tensor cores may be "
                "above the roof of 16-bit products, as may a device at a higher clock. Bytes are those of operands and results, each "
                f"once. The roof is that of the data sheet at a clock of {peaks.clock_ghz} GHz."),
        charts.roofline(f"{name}-roof", "Roofline", peaks.tflops(device.multiprocessors), peaks.gigabytes_per_second, points))


def _all_entries(entries: Sequence[Entry], compiler: str, files: Sequence[str]) -> Markup:
    names = ["problem", "winner", "ms", "of the cost model's", "of the second's", "ties", "spread", "samples", "TFLOP/s", "GB/s",
             "date", "doubts", *(["file"] if len(files) > 1 else [])]
    rows = []
    for entry in entries:
        rows.append([
            entry.name, entry.winner, f"{entry.winner.median:.4f}", f"{entry.of_model:.3f}", _of_second(entry), entry.ties,
            f"{entry.winner.spread:.1%}",
            len(entry.winner.milliseconds), "unknown" if entry.tflops is None else f"{entry.tflops:.1f}",
            f"{entry.gigabytes_per_second:.0f}", entry.date, "; ".join(entry.doubts(compiler)) or "none",
            *([os.path.basename(entry.file)] if len(files) > 1 else [])])
    return _table("All entries", names, rows, names[2:10])


def render(entries: Sequence[Entry], files: Sequence[str], compiler: str | None = None) -> str:
    """The page of entries of the databases `files`; entries of other builds than `compiler` are uncertain, than that of the newest
    entries where it is None."""
    title = "Tuned schedules"
    body = [element("h1", title), element("p", f"Of {', '.join(os.path.basename(file) for file in files)}.")]
    devices: dict[Device, list[Entry]] = {}
    for entry in entries:
        devices.setdefault(entry.device, []).append(entry)
    if not entries:
        body.append(element("p", "There are no entries: sfa-tune adds them."))
    else:
        compiler = compiler or newest_compiler(entries)
    for number, (device, group) in enumerate(devices.items()):
        assert compiler is not None
        name = f"device{number}"
        dates, drivers = sorted({entry.date for entry in group}), sorted({entry.driver for entry in group if entry.driver})
        clocks = sorted({entry.clock for entry in group if entry.clock})
        about = f"Measured {' to '.join(dict.fromkeys((dates[0], dates[-1])))}"
        if drivers:
            about += f", driver {', '.join(drivers)}"
        if clocks:
            about += f", at {' to '.join(str(clock) for clock in dict.fromkeys((clocks[0], clocks[-1])))} MHz"
        body += [
            element("h2", device), element("p", f"{about}."), _summary(group),
            element("h3", "What won, and by how much"), _winners(group, name),
            element("h3", "What is uncertain"), _uncertain(group, compiler),
            element("h3", "Where the cost model is left behind"), _heat_maps(group, name),
            element("h3", "How far it is to the peaks of the device"), _roofline(group, device, name),
            element("h3", "All entries"), _all_entries(group, compiler, files)]
    head = element("head", element("meta", charset="utf-8"), element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
                   element("meta", name_="viewport", content="width=device-width, initial-scale=1"), element("title", title),
                   element("style", Markup(_STYLE)))
    return "<!DOCTYPE html>\n" + element("html", head, element("body", element("main", *body)), lang="en") + "\n"

"""Plots of the sweep of strategies, from what `--json` wrote: they can be drawn on another machine than the one that measured."""

from __future__ import annotations

import json
import pathlib
import statistics
from typing import Any

PEERS = ("cuDNN (torch)", "FA3")
"""Those that strategies are divided by; on a CPU all that there are."""
BY_DATA = ("scatter", "sparse_mma")

# The milliseconds of points of a curve by k.
Curves = dict[str, dict[int, float]]


class NoMatplotlib(Exception):
    """Plots cannot be drawn here."""


def _pyplot():
    try:
        import matplotlib
        matplotlib.use("Agg")
        from matplotlib import pyplot
    except Exception as error:
        raise NoMatplotlib(f"plots need matplotlib, which cannot be imported: {error}; install it with pip install "
                           "'flashsfa[bench]', or draw them on another machine: write the figures with --json FILE, and give "
                           "that file there: python -m sfa.bench --from FILE --plots DIR") from None
    return pyplot


def read(files):
    """The tables of strategies in files that `--json` wrote."""
    results = []
    for file in files:
        with open(file, encoding="utf-8") as stream:
            document = json.load(stream)
        found = document.get("results") if isinstance(document, dict) else None
        tables = [table for table in found or [] if isinstance(table, dict) and table.get("op") == "strategies"]
        if not tables:
            raise ValueError(f"{file} has no tables of strategies; it has to come from --op strategies --json FILE")
        results += tables
    return results


def _groups(results):
    """Tables that one figure shows together, by the end of its file's name: they differ in d, k and supports."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for table in results:
        parts = [table["device"], f"b{table['batch']}", f"n{table['n']}", "causal" if table["causal"] else "full", table["dtype"]]
        groups.setdefault("-".join(parts), []).append(table)
    return groups


def _measured(table):
    """Rows with a time that counts."""
    return [row for row in table["rows"] if row["ms"] is not None and row["status"] == "ok"]


def times(tables):
    """Milliseconds by k of each strategy, and of each peer the median of all."""
    strategies: Curves = {}
    peers: dict[str, list[float]] = {}
    for table in tables:
        for row in _measured(table):
            if row["group"] == "peer":
                peers.setdefault(row["name"], []).append(row["ms"])
            else:
                strategies.setdefault(row["label"], {})[table["k"]] = row["ms"]
    return strategies, {name: statistics.median(all_ms) for name, all_ms in peers.items()}


def ratios(tables, peer):
    """By k, how often as fast as a peer in the same run each strategy is."""
    found: Curves = {}
    for table in tables:
        for row in _measured(table):
            if row["group"] != "peer" and peer in row["ratios"]:
                found.setdefault(row["label"], {})[table["k"]] = row["ratios"][peer]
    return found


def times_by_data(tables, strategy):
    """Milliseconds by k of one strategy on each kind of supports."""
    found: Curves = {}
    for table in tables:
        for row in _measured(table):
            if row["strategy"] == strategy:
                name = table["data"] + row["label"].removeprefix(strategy)
                found.setdefault(name, {})[table["k"]] = row["ms"]
    return found


def _draw_curves(axis, curves, colors):
    for name, points in curves.items():
        color = colors.setdefault(name, f"C{len(colors) % 10}")
        axis.plot(*zip(*sorted(points.items())), marker="o", label=name, color=color)
    if not curves:
        axis.text(0.5, 0.5, "not measured", ha="center", va="center", transform=axis.transAxes)
    ks = sorted({k for points in curves.values() for k in points})
    if ks:
        axis.set_xscale("log", base=2)
        axis.set_xticks(ks, [str(k) for k in ks])
    axis.set_xlabel("features kept, k")


def _finish(axis, title, unit):
    """The axis begins at 0: how far curves are from each other is what counts."""
    axis.set(title=title, ylabel=unit)
    if axis.has_data():
        axis.set_ylim(0, 1.08 * axis.dataLim.ymax)


def _figure(pyplot, rows, columns):
    return pyplot.subplots(rows, columns, figsize=(4.5 * columns, 3.8 * rows), squeeze=False)


def _save(pyplot, figure, axes, file, title):
    handles = {name: handle for axis in axes.flat for handle, name in zip(*axis.get_legend_handles_labels())}
    if handles:
        figure.legend(list(handles.values()), list(handles), loc="outside right upper", fontsize="small")
    figure.suptitle(title)
    figure.savefig(file, dpi=150)
    pyplot.close(figure)


def draw(results, folder):
    """Draws all figures into a folder, and returns their files. Raises NoMatplotlib."""
    pyplot = _pyplot()
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    with pyplot.rc_context({"figure.constrained_layout.use": True}):
        for name, tables in _groups(results).items():
            sizes = sorted({table["d"] for table in tables})
            by_data = {(kind, d): [table for table in tables if (table["data"], table["d"]) == (kind, d)]
                       for kind in dict.fromkeys(table["data"] for table in tables) for d in sizes}
            for kind in dict.fromkeys(table["data"] for table in tables):
                files.append(folder / f"time-{kind}-{name}.png")
                figure, axes = _figure(pyplot, 1, len(sizes))
                colors: dict[str, str] = {}
                for axis, d in zip(axes[0], sizes):
                    curves, peers = times(by_data[kind, d])
                    _draw_curves(axis, curves, colors)
                    for (peer, ms), style in zip(peers.items(), ("--", "-.", ":", (0, (5, 1)))):
                        axis.axhline(ms, color="black", linestyle=style, label=peer)
                    _finish(axis, f"d = {d}", "ms")
                _save(pyplot, figure, axes, files[-1], f"time, {kind} supports, {name}")
                seen = dict.fromkeys(peer for d in sizes for table in by_data[kind, d] for peer in times([table])[1])
                peers_shown = [peer for peer in PEERS if peer in seen] or list(seen)
                if peers_shown:
                    files.append(folder / f"ratio-{kind}-{name}.png")
                    figure, axes = _figure(pyplot, len(peers_shown), len(sizes))
                    colors = {}
                    for line, peer in zip(axes, peers_shown):
                        for axis, d in zip(line, sizes):
                            _draw_curves(axis, ratios(by_data[kind, d], peer), colors)
                            axis.axhline(1, color="black", linewidth=0.8)
                            _finish(axis, f"d = {d}", f"x {peer}")
                    _save(pyplot, figure, axes, files[-1], f"speed against peers, {kind} supports, {name}")
            files.append(folder / f"data-{name}.png")
            figure, axes = _figure(pyplot, len(BY_DATA), len(sizes))
            colors = {}
            for line, strategy in zip(axes, BY_DATA):
                for axis, d in zip(line, sizes):
                    _draw_curves(axis, times_by_data([table for table in tables if table["d"] == d], strategy), colors)
                    _finish(axis, f"{strategy}, d = {d}", "ms")
            _save(pyplot, figure, axes, files[-1], f"time by supports, {name}")
    return files

"""Charts as SVG. Numbers are written beside colours and lengths, and each chart says in words what it shows."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence

from .markup import Markup, element

_BLUE, _GREY = (8, 81, 156), (238, 238, 238)
COLOURS = ("#0b62a8", "#c2410c", "#15803d", "#7e22ce", "#a16207", "#be185d")
MARKS = ("circle", "square", "diamond", "triangle")


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _text(x: float, y: float, text: object, anchor: str = "middle", **attributes: object) -> Markup:
    return element("text", text, x=_number(x), y=_number(y), text_anchor=anchor, **attributes)


def _line(x1: float, y1: float, x2: float, y2: float, **attributes: object) -> Markup:
    return element("line", x1=_number(x1), y1=_number(y1), x2=_number(x2), y2=_number(y2), **attributes)


def chart(name: str, title: str, description: str, width: float, height: float, *children: object) -> Markup:
    """`name` is unique on the page."""
    return element(
        "div", element(
            "svg", element("title", title, id=f"{name}-title"), element("desc", description, id=f"{name}-text"), *children,
            viewBox=f"0 0 {_number(width)} {_number(height)}", width=_number(width), role="img",
            aria_labelledby=f"{name}-title {name}-text"),
        class_="wide", tabindex="0", role="region", aria_label=title)


def heat_map(name: str, title: str, rows_name: str, columns_name: str, rows: Sequence[Hashable], columns: Sequence[Hashable],
             values: dict[tuple[Hashable, Hashable], tuple[float, int]]) -> Markup:
    """`values` has a ratio and a count of entries by row and column; there is no cell where it has none. Darker is less."""
    left, top, cell, high = 110, 46, 92, 50
    width, height = left + cell * len(columns) + 10, top + high * len(rows) + 10
    parts = [_text(left + cell * len(columns) / 2, 16, columns_name, font_weight="bold"),
             _text(8, top - 8, rows_name, "start", font_weight="bold")]
    for number, column in enumerate(columns):
        parts.append(_text(left + cell * (number + 0.5), top - 8, column))
    for row_number, row in enumerate(rows):
        y = top + high * row_number
        parts.append(_text(left - 8, y + high / 2 + 4, row, "end"))
        for column_number, column in enumerate(columns):
            if (row, column) not in values:
                continue
            ratio, count = values[row, column]
            x = left + cell * column_number
            # Half of the time is as dark as it gets.
            depth = min(max((1 - ratio) / 0.5, 0), 1)
            colour = [round(a + (b - a) * depth) for a, b in zip(_GREY, _BLUE)]
            ink = "#ffffff" if depth > 0.45 else "#111111"
            entries = f"{count} entr{'y' if count == 1 else 'ies'}"
            parts.append(element(
                "g", element("rect", x=x + 1, y=y + 1, width=cell - 2, height=high - 2, rx=4,
                             fill=f"rgb({','.join(map(str, colour))})"),
                _text(x + cell / 2, y + 22, f"{ratio:.3f}", fill=ink, font_weight="bold"),
                _text(x + cell / 2, y + 39, entries, fill=ink, font_size=11),
                element("title", f"{rows_name} {row}, {columns_name} {column}: {ratio:.3f}, {entries}")))
    words = "; ".join(f"{row}, {column}: {ratio:.3f}" for (row, column), (ratio, _) in values.items())
    return chart(name, title, f"{rows_name}, {columns_name}: the time as a part of that of the cost model's choice. {words}.",
                 max(width, 300), height, *parts)


def bars(name: str, title: str, items: Sequence[tuple[str, float, float | None]]) -> Markup:
    """For each item a name, its time as a part of the cost model's, and of the second's: bars are what it saves."""
    line, top, left, length = 48, 8, 10, 340
    most = max([0.01, *[1 - value for _, *values in items for value in values if value is not None]])
    parts = []
    for number, (label, of_model, of_second) in enumerate(items):
        y = top + line * number
        parts.append(_text(left, y + 12, label, "start", font_size=12))
        for place, (value, what) in enumerate(((of_model, "the cost model's choice"), (of_second, "the second"))):
            if value is None:
                continue
            saved = length * max(1 - value, 0) / most
            difference = f"{abs(1 - value):.1%}"
            words = f"as long as {what}" if difference == "0.0%" else f"{difference} {'less' if value < 1 else 'more'} than {what}"
            parts.append(element("rect", x=left, y=y + 17 + 13 * place, width=_number(saved + 1), height=10, fill=COLOURS[place]))
            parts.append(_text(left + saved + 7, y + 26 + 13 * place, words, "start", font_size=11))
    words = "; ".join(f"{label}: {of_model:.3f}" for label, of_model, _ in items)
    return chart(name, title, f"The time of the winner as a part of that of the cost model's choice. {words}.",
                 left + length + 260, top + line * len(items), *parts)


def _points(points: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{_number(x)},{_number(y)}" for x, y in points)


def _mark(kind: str, x: float, y: float, colour: str, tip: str) -> Markup:
    points = {"square": ((-5, -5), (5, -5), (5, 5), (-5, 5)), "diamond": ((0, -7), (7, 0), (0, 7), (-7, 0)),
              "triangle": ((0, -7), (7, 5), (-7, 5))}
    title = element("title", tip)
    common = dict(fill=colour, fill_opacity="0.75", stroke="#ffffff", stroke_width=1)
    if kind == "circle":
        return element("circle", title, cx=_number(x), cy=_number(y), r=5.5, **common)
    return element("polygon", title, points=_points((x + dx, y + dy) for dx, dy in points[kind]), **common)


def _ticks(low: float, high: float) -> list[float]:
    """Powers of ten, with 2 and 5 between them where there are few."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1,) if len(decades) > 4 else (1, 2, 5)
    return [factor * 10.0**decade for decade in decades for factor in factors if low <= factor * 10.0**decade <= high]


def roofline(name: str, title: str, peak_tflops: float, gigabytes_per_second: float,
             points: Sequence[tuple[str, float, float, str]]) -> Markup:
    """For each point its class, FLOP a byte, TFLOP/s and what it is."""
    width, height, left, right, top, bottom = 640, 430, 70, 20, 20, 60
    knee = peak_tflops * 1e3 / gigabytes_per_second
    all_x, all_y = [knee, *[x for _, x, _, _ in points]], [peak_tflops, *[y for _, _, y, _ in points]]
    low_x, high_x, low_y, high_y = min(all_x) / 2, max(all_x) * 2, min(all_y) / 2, max(all_y) * 2

    def place(x: float, y: float) -> tuple[float, float]:
        part_x = math.log(x / low_x) / math.log(high_x / low_x)
        part_y = math.log(y / low_y) / math.log(high_y / low_y)
        return left + part_x * (width - left - right), height - bottom - part_y * (height - top - bottom)

    grid = dict(stroke="currentColor", stroke_opacity="0.2")
    parts = []
    for tick in _ticks(low_x, high_x):
        x, _ = place(tick, low_y)
        parts += [_line(x, top, x, height - bottom, **grid), _text(x, height - bottom + 18, f"{tick:g}", font_size=12)]
    for tick in _ticks(low_y, high_y):
        _, y = place(low_x, tick)
        parts += [_line(left, y, width - right, y, **grid), _text(left - 6, y + 4, f"{tick:g}", "end", font_size=12)]
    start = max(low_x, low_y * 1e3 / gigabytes_per_second)
    roof = [place(start, start * gigabytes_per_second / 1e3), place(knee, peak_tflops), place(high_x, peak_tflops)]
    parts.append(element("polyline", points=_points(roof), fill="none", stroke="currentColor", stroke_width=2))
    parts.append(_text(roof[1][0] - 8, roof[1][1] - 6, f"{peak_tflops:.0f} TFLOP/s", "end", font_size=12))
    slope = [(a + b) / 2 for a, b in zip(roof[0], roof[1])]
    parts.append(_text(slope[0] - 10, slope[1] - 4, f"{gigabytes_per_second:.0f} GB/s", "end", font_size=12))
    classes = list(dict.fromkeys(kind for kind, *_ in points))
    for kind, x, y, tip in points:
        number = classes.index(kind)
        parts.append(_mark(MARKS[number % len(MARKS)], *place(x, y), COLOURS[number % len(COLOURS)], tip))
    parts.append(_text((left + width - right) / 2, height - 24, "FLOP of dense operands for each byte of operands and results"))
    parts.append(_text(left, 13, "TFLOP/s of dense operands", "start"))
    x = float(left)
    for number, kind in enumerate(classes):
        parts.append(_mark(MARKS[number % len(MARKS)], x + 6, height - 8, COLOURS[number % len(COLOURS)], kind))
        parts.append(_text(x + 16, height - 4, kind, "start", font_size=12))
        x += 30 + 7 * len(kind)
    best = max(points, key=lambda point: point[2])
    roof_text = f"a roof of {peak_tflops:.0f} TFLOP/s and {gigabytes_per_second:.0f} GB/s"
    return chart(name, title, f"{len(points)} entries and {roof_text}. The fastest is {best[3]}.", width, height, *parts)

"""Plots as inline SVG, drawn for cards that are 360 units wide; the page's CSS has the colors."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence

import numpy as np
from attrs import frozen
from markupsafe import Markup

from tf2spark.report.numbers import number_text, tick_labels, ticks
from tf2spark.worker.statistics.value_sketch import ValueSketch

_WIDTH, _HEIGHT = 360, 208
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 12, 10, 40
_BINS = 40
_MAX_SINGLE_VALUES = 24
_ROW_HEIGHT = 22
# What a name may take of a horizontal plot's width.
_NAME_UNITS = 120


@frozen
class Plot:
    """A plot and the words around it.

    Attributes:
        title: What it shows.
        svg: The drawing.
        note: What isn't drawn; empty if all is.
    """

    title: str
    svg: Markup
    note: str = ""


@frozen
class Point:
    """The distribution of one group: its median, and the quantiles 0.1 and 0.9."""

    name: str
    low: float
    middle: float
    high: float
    rows: int


def histogram(title: str, sketch: ValueSketch, unit: str, of: str) -> Plot | None:
    """Draw how often values occur; None if there are none, or from one end of doubles to the other.

    Args:
        title: The plot's title.
        sketch: The values.
        unit: The plural of what is counted.
        of: What the values are, for the axis.
    """
    if not sketch.count:
        return None
    values = sketch.values() if sketch.distinct is not None else []
    if 0 < len(values) <= _MAX_SINGLE_VALUES and all(map(_is_small_integer, values)):
        low, high = values[0][0] - 0.5, values[-1][0] + 0.5
        if high - low <= 2 * _MAX_SINGLE_VALUES:
            edges = np.arange(low, high + 0.75)
            return _bars(title, edges, sketch.histogram(edges), unit, of, "")
    if not math.isfinite(sketch.maximum - sketch.minimum):
        return None  # no axis reaches that far
    low, high, note = _range(sketch, unit)
    edges = np.linspace(low, high, min(_BINS, max(8, len(values) or _BINS)) + 1)
    return _bars(title, edges, sketch.histogram(edges), unit, of, note)


def _is_small_integer(counted: tuple[float, int]) -> bool:
    value, _ = counted
    return value == round(value) and abs(value) < 1e9


def _range(sketch: ValueSketch, unit: str) -> tuple[float, float, str]:
    """Return from where to where to draw; far outliers are left out, and the note says so."""
    low, high = sketch.minimum, sketch.maximum
    if low == high:
        margin = abs(low) * 0.1 or 0.5
        return low - margin, high + margin, ""
    inner_low, inner_high = sketch.quantile(0.005), sketch.quantile(0.995)
    if inner_high > inner_low and high - low > 5 * (inner_high - inner_low):
        drawn = sketch.histogram(np.array([inner_low, inner_high]))[0]
        left_out = round(sketch.count - drawn)
        note = (
            f"Not drawn: {left_out:,} {unit} farther out, from {number_text(low)} to "
            f"{number_text(high)}."
        )
        return inner_low, inner_high, note
    return low, high, ""


def _bars(title: str, edges: np.ndarray, counts: np.ndarray, unit: str, of: str, note: str) -> Plot:
    top = max(1.0, float(counts.max()))
    x = _Scale(float(edges[0]), float(edges[-1]), _LEFT, _WIDTH - _RIGHT)
    y = _Scale(0.0, top, _HEIGHT - _BOTTOM, _TOP)
    bars = []
    for left, right, count in zip(edges, edges[1:], counts, strict=False):
        width = max(0.5, x(right) - x(left) - 1)
        tip = f"{number_text(float(left))} to {number_text(float(right))}: {round(count):,} {unit}"
        if count > 0:
            bars.append(
                Markup(
                    '<rect class="bar" x="{}" y="{}" width="{}" height="{}"><title>{}</title>'
                ).format(_n(x(left)), _n(y(count)), _n(width), _n(y(0) - y(count)), tip)
                + Markup("</rect>")
            )
    return Plot(title, _frame(title, [_y_axis(y, top, unit), *bars, _x_axis(x, of)]), note)


def counts_over_time(title: str, named: Sequence[tuple[str, int]], unit: str, by: str) -> Plot:
    """Draw counts over time as bars."""
    top = max(1, *(count for _, count in named))
    y = _Scale(0.0, top, _HEIGHT - _BOTTOM, _TOP)
    x = _Scale(-0.5, len(named) - 0.5, _LEFT, _WIDTH - _RIGHT)
    bars = [
        Markup(
            '<rect class="bar" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>'
        ).format(
            _n(x(index - 0.5)),
            _n(y(count)),
            _n(max(0.5, x(1) - x(0) - 1)),
            _n(y(0) - y(count)),
            f"{name}: {count:,} {unit}",
        )
        for index, (name, count) in enumerate(named)
    ]
    names = _names_below(x, [name for name, _ in named], by)
    return Plot(title, _frame(title, [_y_axis(y, top, unit), *bars, names]))


def over_time(title: str, points: Sequence[Point], of: str, by: str) -> Plot:
    """Draw medians over time, with a band from quantile 0.1 to 0.9."""
    low = min(point.low for point in points)
    high = max(point.high for point in points)
    low, high = (low, high) if high > low else (low - 0.5, high + 0.5)
    x = _Scale(0, max(1, len(points) - 1), _LEFT + 8, _WIDTH - _RIGHT - 8)
    y = _Scale(low, high, _HEIGHT - _BOTTOM, _TOP)
    upper = [f"{_n(x(i))},{_n(y(point.high))}" for i, point in enumerate(points)]
    lower = [f"{_n(x(i))},{_n(y(point.low))}" for i, point in enumerate(points)]
    middle = " ".join(f"{_n(x(i))},{_n(y(point.middle))}" for i, point in enumerate(points))
    band = " ".join([*upper, *reversed(lower)])
    marks = [
        Markup('<polygon class="band" points="{}"/>').format(band),
        Markup('<polyline class="line" points="{}"/>').format(middle),
        *(
            Markup('<circle class="dot" cx="{}" cy="{}" r="2.5"><title>{}</title></circle>').format(
                _n(x(i)), _n(y(point.middle)), _tip(point)
            )
            for i, point in enumerate(points)
        ),
    ]
    axis = _y_axis_of(y, low, high, of)
    return Plot(
        title, _frame(title, [axis, *marks, _names_below(x, [point.name for point in points], by)])
    )


def by_name(title: str, points: Sequence[Point], of: str) -> Plot:
    """Draw the median of each group, with a line from quantile 0.1 to 0.9."""
    low = min(point.low for point in points)
    high = max(point.high for point in points)
    low, high = (low, high) if high > low else (low - 0.5, high + 0.5)
    height = _TOP + _ROW_HEIGHT * len(points) + _BOTTOM
    x = _Scale(low, high, _NAME_UNITS + 8, _WIDTH - _RIGHT - 4)
    marks = []
    for index, point in enumerate(points):
        middle = _TOP + _ROW_HEIGHT * (index + 0.5)
        marks += [
            _name(point.name, middle),
            Markup(
                '<line class="range" x1="{}" x2="{}" y1="{}" y2="{}"/>'
                '<circle class="dot" cx="{}" cy="{}" r="4"><title>{}</title></circle>'
            ).format(
                *(_n(x(value)) for value in (point.low, point.high)),
                _n(middle),
                _n(middle),
                _n(x(point.middle)),
                _n(middle),
                _tip(point),
            ),
        ]
    return Plot(title, _frame(title, [_x_axis(x, of, height), *marks], height))


def counts(title: str, named: Sequence[tuple[str, int]], unit: str) -> Plot:
    """Draw counts as horizontal bars, in the order given."""
    height = _TOP + _ROW_HEIGHT * len(named) + _BOTTOM
    top = max(1, *(count for _, count in named)) if named else 1
    x = _Scale(0, top, _NAME_UNITS + 8, _WIDTH - _RIGHT - 4)
    marks = []
    for index, (name, count) in enumerate(named):
        start = _TOP + _ROW_HEIGHT * index
        marks += [
            _name(name, start + _ROW_HEIGHT / 2),
            Markup(
                '<rect class="bar" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>'
            ).format(
                _n(x(0)),
                _n(start + 3),
                _n(max(1, x(count) - x(0))),
                _n(_ROW_HEIGHT - 6),
                f"{name}: {count:,} {unit}",
            ),
        ]
    return Plot(title, _frame(title, [_x_axis(x, unit, height, whole=True), *marks], height))


def _tip(point: Point) -> str:
    low, middle, high = map(number_text, (point.low, point.middle, point.high))
    return f"{point.name}: median {middle}, 10 % below {low}, 10 % above {high}, {point.rows:,}"


def _name(text: str, y: float) -> Markup:
    short = _fit(text, _NAME_UNITS)
    return Markup('<text class="name" x="{}" y="{}" dy="0.32em">{}<title>{}</title></text>').format(
        _NAME_UNITS, _n(y), short, text
    )


@frozen
class _Scale:
    """Maps values to units of the drawing."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        part = (value - self.low) / (self.high - self.low)
        return self.start + part * (self.end - self.start)


def _n(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".")


def _frame(title: str, parts: Sequence[Markup], height: float = _HEIGHT) -> Markup:
    head = Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">').format(
        _WIDTH, _n(height), title
    )
    return head + Markup("").join(parts) + Markup("</svg>")


def _y_axis(y: _Scale, top: float, unit: str) -> Markup:
    return _y_lines(y, ticks(0, top, 4), unit, whole=True)


def _y_axis_of(y: _Scale, low: float, high: float, of: str) -> Markup:
    return _y_lines(y, ticks(low, high, 4), of, whole=False)


def _y_lines(y: _Scale, values: list[float], label: str, *, whole: bool) -> Markup:
    if whole:
        values = [value for value in values if value == round(value)] or [0.0]
    lines = [
        Markup(
            '<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>'
            '<text class="tick" x="{}" y="{}" dy="0.32em" text-anchor="end">{}</text>'
        ).format(_LEFT, _WIDTH - _RIGHT, _n(y(value)), _n(y(value)), _LEFT - 6, _n(y(value)), text)
        for value, text in zip(values, _short(values), strict=True)
    ]
    middle = (_TOP + _HEIGHT - _BOTTOM) / 2
    lines.append(
        Markup('<text class="axis" transform="translate(11 {}) rotate(-90)">{}</text>').format(
            _n(middle), _fit(label, 150)
        )
    )
    return Markup("").join(lines)


def _x_axis(x: _Scale, label: str, height: float = _HEIGHT, *, whole: bool = False) -> Markup:
    values = ticks(x.low, x.high, 4)
    if whole:
        values = [value for value in values if value == round(value)] or [0.0]
    base = height - _BOTTOM
    parts = [
        Markup('<line class="base" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(
            _n(x.start), _n(x.end), _n(base), _n(base)
        )
    ]
    parts += [
        Markup('<text class="tick" x="{}" y="{}" text-anchor="{}">{}</text>').format(
            _n(x(value)), _n(base + 15), _anchor(x(value), x), text
        )
        for value, text in zip(values, _short(values), strict=True)
    ]
    parts.append(_label_below(x, label, height))
    return Markup("").join(parts)


def _label_below(x: _Scale, label: str, height: float) -> Markup:
    return Markup('<text class="axis" x="{}" y="{}">{}</text>').format(
        _n((x.start + x.end) / 2), _n(height - 7), _fit(label, x.end - x.start)
    )


def _anchor(position: float, x: _Scale) -> str:
    return "end" if position > x.end - 12 else "middle"


def _short(values: list[float]) -> list[str]:
    """Write ticks; large ones in thousands, millions or billions."""
    top = max(map(abs, values), default=0.0)
    for limit, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if limit <= top < 1e13:
            unit = 1e3 if letter == "k" else limit
            texts = tick_labels([value / unit for value in values])
            return [text if text == "0" else f"{text} {letter}" for text in texts]
    return tick_labels(values)


def _names_below(x: _Scale, names: Sequence[str], label: str) -> Markup:
    """Write the first, the last and the middle name, as far as there is room."""
    base = _HEIGHT - _BOTTOM
    has_room = len(names) > 2 and max(map(len, names)) <= 10
    places = sorted({0, len(names) - 1} | ({len(names) // 2} if has_room else set()))
    parts = [
        Markup('<line class="base" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(
            _LEFT, _WIDTH - _RIGHT, _n(base), _n(base)
        )
    ]
    for index in places:
        last = index == len(names) - 1 and index > 0
        anchor = "end" if last else "start" if index == 0 and len(names) > 1 else "middle"
        edge = x.end if last else x.start if anchor == "start" else x(index)
        parts.append(
            Markup('<text class="tick" x="{}" y="{}" text-anchor="{}">{}</text>').format(
                _n(edge), _n(base + 15), anchor, names[index]
            )
        )
    parts.append(_label_below(x, label, _HEIGHT))
    return Markup("").join(parts)


def _fit(text: str, units: float) -> str:
    """Return a text, shortened to about a width; the font isn't known before a browser has it."""
    width = 0.0
    for index, character in enumerate(text):
        width += _character_units(character)
        if width > units:
            return f"{text[: max(1, index - 1)]}…"
    return text


def _character_units(character: str) -> float:
    if unicodedata.east_asian_width(character) in "WF":
        return 12.5
    if character in "mwMW@%":
        return 11.0
    return 8.5 if character.isupper() else 7.0

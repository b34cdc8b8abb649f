"""Bars of how long each peer takes relative to tf2spark, grouped by job, as an SVG.

It is as wide as a phone, has its own background, and follows the reader's color scheme.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from benchmarks.reports import Ratio

OURS = "tf2spark"
"""How the names of our own variants begin."""

HEADLINES = {
    "dense rows, id kept": (
        "predict_batch_udf",
        "MLflow spark_udf",
        "TensorFlow Java 1.1.0 in the JVM",
    ),
    "string rows": ("predict_batch_udf", "MLflow spark_udf"),
    "sparse rows": (
        "predict_batch_udf, vectors unpacked by hand",
        "TensorFlow Java 1.1.0 in the JVM",
    ),
    "DeepFM": ("cross join and predict_batch_udf", "TensorFlow Java 1.1.0 in the JVM"),
    "two towers": ("ALS.recommendForAllUsers", "tensorflow-recommenders BruteForce"),
}
"""What the first plot of README.md shows: the peers of each job that most people come from."""

_WIDTH, _MARGIN, _VALUE_WIDTH = 360, 12, 52
_BAR_HEIGHT, _ROW_HEIGHT, _JOB_HEIGHT, _HEAD_HEIGHT = 9, 33, 36, 56
_STYLE = """
text { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; fill: #1f2328 }
.title { font-size: 15px; font-weight: 600 } .job { font-weight: 600 } .note { fill: #59636e }
.back { fill: #ffffff } .faster { fill: #2a78b8 } .slower { fill: #c8553d } .ours { fill: #8c959f }
.range { stroke: #59636e } .equal { stroke: #8c959f }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .note { fill: #9198a1 } .back { fill: #131416 }
.faster { fill: #4c9bdb } .slower { fill: #e07a5f } .range { stroke: #9198a1 }
}
"""


def headlines(ratios: Sequence[Ratio]) -> list[Ratio]:
    """Return the ratios of `HEADLINES`, in its order, as far as they were measured."""
    found = {(ratio.job, ratio.peer): ratio for ratio in ratios}
    keys = [(job, peer) for job, peers in HEADLINES.items() for peer in peers]
    return [found[key] for key in keys if key in found]


def draw(ratios: Sequence[Ratio], title: str, note: str) -> str:
    """Return an SVG with a heading for each job and a bar for each of its peers.

    A bar is as long as the logarithm of the ratio, from 1, where both are equally fast; its line
    spans the rounds.
    """
    low = min([1.0, *(min(ratio.times, ratio.low) for ratio in ratios)])
    high = max([2.0, *(max(ratio.times, ratio.high) for ratio in ratios)])
    scale = (_WIDTH - 2 * _MARGIN - _VALUE_WIDTH) / math.log(high / low)

    def x_of(times: float) -> float:
        return round(_MARGIN + scale * math.log(times / low), 1)

    parts, y = [], _HEAD_HEIGHT
    for job in dict.fromkeys(ratio.job for ratio in ratios):
        parts.append(f'<text class="job" x="{_MARGIN}" y="{y + 14}">{escape(job)}</text>')
        y += _JOB_HEIGHT
        for ratio in (ratio for ratio in ratios if ratio.job == job):
            parts += _bar(ratio, x_of(1), x_of(ratio.times), x_of(ratio.low), x_of(ratio.high), y)
            y += _ROW_HEIGHT
        y += 4
    height = y + 4
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'width="{_WIDTH}" height="{height}" role="img" aria-label="{escape(title)}">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style>",
        f'<rect class="back" width="{_WIDTH}" height="{height}" rx="6"/>',
        f'<text class="title" x="{_MARGIN}" y="26">{escape(title)}</text>',
        f'<text class="note" x="{_MARGIN}" y="46">{escape(note)}</text>',
    ]
    return "\n".join([*head, *parts, "</svg>"]) + "\n"


def _bar(ratio: Ratio, one: float, end: float, low: float, high: float, y: int) -> list[str]:
    """Return the peer's name and under it its bar, the range across rounds and the ratio."""
    kind = "ours" if ratio.peer.startswith(OURS) else "faster" if ratio.times >= 1 else "slower"
    left, middle = min(one, end), y + 6 + _BAR_HEIGHT / 2
    width = round(max(abs(end - one), 1), 1)
    digits = f"{ratio.times:,.0f}" if ratio.times >= 9.95 else f"{ratio.times:.1f}"
    return [
        f'<text x="{_MARGIN}" y="{y}">{escape(ratio.peer)}</text>',
        f'<rect class="{kind}" x="{left}" y="{y + 6}" width="{width}" height="{_BAR_HEIGHT}"/>',
        f'<path class="equal" d="M{one} {y + 4}v{_BAR_HEIGHT + 4}"/>',
        f'<path class="range" d="M{low} {middle}H{high}"/>',
        f'<text x="{max(high, end) + 6}" y="{y + 15}">{digits} x</text>',
    ]

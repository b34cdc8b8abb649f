"""What a case reports: Markdown for people, numbers for the plots, and whether answers agreed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import define, field, frozen

from benchmarks.timed import Timed


@frozen
class Ratio:
    """How many times as long a peer takes as we do, with the range from round to round."""

    job: str
    peer: str
    times: float
    low: float
    high: float
    core_seconds: float

    @property
    def spread(self) -> str:
        """How far it lies from round to round, as text."""
        return (
            f", {self.low:.2f} to {self.high:.2f} by round, {self.core_seconds:.2f} in core-seconds"
        )


@frozen
class Growth:
    """How something grows: a plot of lines over `x`, which is drawn with logarithms of both.

    Attributes:
        name: Its file, and what it is of.
        x: What `xs` are, with their unit.
        y: What the lines are, with their unit.
        xs: The places that were measured.
        lines: For each line a value at each place.
    """

    name: str
    x: str
    y: str
    xs: tuple[float, ...]
    lines: Mapping[str, tuple[float, ...]]


@define
class Report:
    """What a case prints, in Markdown, whether the answers agreed, and how often it ran what, where
    that isn't as in the other cases."""

    title: str
    runs: str | None = None
    parts: list[str] = field(factory=list)
    agreed: bool = True
    targets: list[tuple[str, float, float]] = field(factory=list)
    ratios: list[Ratio] = field(factory=list)
    growths: list[Growth] = field(factory=list)
    versions: dict[str, str] = field(factory=dict)

    @property
    def name(self) -> str:
        """The case, as the command line calls it."""
        return self.title.partition(":")[0]

    def add(self, text: str) -> None:
        self.parts.append(text)

    def target(self, what: str, wanted: float, ratio: float, spread: str = "") -> None:
        """Print a ratio beside the one that is asked for."""
        self.targets.append((what, ratio, wanted))
        verdict = "met" if ratio >= wanted else "**missed**"
        self.add(f"{what}: **{ratio:.2f} x**{spread} (asked: {wanted:g} x, {verdict}).")

    def ratio(self, job: str, peer: str, slow: Timed, fast: Timed, *rows: int) -> Ratio:
        """Note a ratio for the plot, and return it. `rows`: the peer's and ours, if not equal."""
        self.ratios.append(ratio_of(job, peer, slow, fast, *rows))
        return self.ratios[-1]

    def text(self) -> str:
        return "\n\n".join([f"## {self.title}", *self.parts])


def ratio_of(job: str, peer: str, slow: Timed, fast: Timed, *rows: int) -> Ratio:
    """Return how many times as long `slow` takes a row. `rows`: of both, if they aren't equal."""
    scale = rows[1] / rows[0] if rows else 1.0
    pairs = [a / b * scale for a, b in zip(slow.seconds, fast.seconds, strict=True)]
    core_seconds = slow.cores / max(fast.cores, 1e-9) * scale
    times = slow.median / fast.median * scale
    return Ratio(job, peer, times, min(pairs), max(pairs), core_seconds)


def compare(
    report: Report,
    found: Mapping[str, npt.NDArray[Any]],
    *,
    tolerance: float = 1e-5,
) -> None:
    """Say how far the answers lie apart; over `tolerance` (scores are about 1), the case fails."""
    names = list(found)
    first = found[names[0]]
    for name in names[1:]:
        same_rows = len(first) == len(found[name])
        apart = float(np.abs(first - found[name]).max()) if same_rows else float("inf")
        equal = int((first == found[name]).sum()) if same_rows else 0
        fine = apart <= tolerance and bool(np.isfinite(first).all())
        report.agreed &= fine
        report.add(
            f"Answers of {names[0]} and {name}: {'agree' if fine else '**DIFFER**'} in "
            f"{len(first):,} rows; largest difference {apart:.1e}, scores from {first.min():.3f} "
            f"to {first.max():.3f}, {equal / max(len(first), 1):.1%} equal to the bit."
        )


def times_table(found: Mapping[str, Timed], rows: Mapping[str, int] | int) -> str:
    """Write medians, ranges, rows a second and private memory as a table."""
    lines = []
    for name, one in found.items():
        count = rows if isinstance(rows, int) else rows[name]
        lines.append(
            [
                name,
                f"{one.median:.2f}",
                f"{min(one.seconds):.2f} to {max(one.seconds):.2f}",
                f"{count:,}",
                f"{count / one.median:,.0f}",
                f"{one.cores / one.median:.2f}",
                f"{one.cores / count * 1e6:.2f}",
                one.peak,
            ]
        )
    head = ["", "median s", "range s", "rows", "rows/s", "cores used", "core-s a million"]
    return markdown_table([*head, "peak private MB of a worker"], lines)


def markdown_table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Write a Markdown table, aligned so that it reads well as plain text too."""
    rows = [list(head), *[list(line) for line in lines]]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]

    def written(row: Sequence[str]) -> str:
        first, *rest = [
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return "| " + " | ".join([first, *rest]) + " |"

    rule = "|" + "|".join(
        "-" * (width + 2) if i == 0 else "-" * (width + 1) + ":" for i, width in enumerate(widths)
    )
    return "\n".join([written(rows[0]), rule + "|", *map(written, rows[1:])])

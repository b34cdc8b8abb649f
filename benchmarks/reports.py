"""A case's report: Markdown for people, numbers for the plots, and whether the answers agreed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import define, field, frozen

from benchmarks.timing import Timing


@frozen
class Ratio:
    """How many times as long a peer takes as we do, with the range across rounds."""

    job: str
    peer: str
    times: float
    low: float
    high: float
    core_seconds: float

    @property
    def spread(self) -> str:
        """The range across rounds and the ratio of core-seconds, as text."""
        return (
            f", {self.low:.2f} to {self.high:.2f} across rounds, "
            f"{self.core_seconds:.2f} in core-seconds"
        )


@frozen
class Growth:
    """A plot of lines over `x`; both axes are logarithmic.

    Attributes:
        name: The plot's name, and that of its file.
        x: Label and unit of `xs`.
        y: Label and unit of the lines.
        xs: The points that were measured.
        lines: The values of each line, one per point.
    """

    name: str
    x: str
    y: str
    xs: tuple[float, ...]
    lines: Mapping[str, tuple[float, ...]]


@define
class Report:
    """What a case prints, in Markdown, and whether the answers agreed.

    `runs` says how often each contender ran, where that differs from the other cases; `figures` are
    what the manual cites.
    """

    title: str
    runs: str | None = None
    parts: list[str] = field(factory=list)
    agreed: bool = True
    targets: list[tuple[str, float, float]] = field(factory=list)
    ratios: list[Ratio] = field(factory=list)
    growths: list[Growth] = field(factory=list)
    versions: dict[str, str] = field(factory=dict)
    figures: dict[str, float] = field(factory=dict)

    @property
    def name(self) -> str:
        """The case, as it is called on the command line."""
        return self.title.partition(":")[0]

    def add(self, text: str) -> None:
        self.parts.append(text)

    def target(self, what: str, goal: float, ratio: float, spread: str = "") -> None:
        """Print a ratio together with its goal."""
        self.targets.append((what, ratio, goal))
        verdict = "met" if ratio >= goal else "**missed**"
        self.add(f"{what}: **{ratio:.2f} x**{spread} (goal: {goal:g} x, {verdict}).")

    def ratio(self, job: str, peer: str, slow: Timing, fast: Timing, *rows: int) -> Ratio:
        """Keep a ratio for the plot and return it; for `rows`, see `ratio_of`."""
        self.ratios.append(ratio_of(job, peer, slow, fast, *rows))
        return self.ratios[-1]

    def text(self) -> str:
        return "\n\n".join([f"## {self.title}", *self.parts])


def ratio_of(job: str, peer: str, slow: Timing, fast: Timing, *rows: int) -> Ratio:
    """Return how many times as long `slow` takes per row.

    `rows` are the numbers of rows of `slow` and `fast`, where these differ.
    """
    scale = rows[1] / rows[0] if rows else 1.0
    rounds = [
        slow_seconds / fast_seconds * scale
        for slow_seconds, fast_seconds in zip(slow.seconds, fast.seconds, strict=True)
    ]
    core_seconds = slow.cores / max(fast.cores, 1e-9) * scale
    times = slow.median / fast.median * scale
    return Ratio(job, peer, times, min(rounds), max(rounds), core_seconds)


def compare(
    report: Report,
    answers: Mapping[str, npt.NDArray[Any]],
    *,
    tolerance: float = 1e-5,
) -> None:
    """Report how far the answers differ from the first; above `tolerance`, the case fails.

    Scores are about 1, so the tolerance is absolute.
    """
    (reference_name, reference), *others = answers.items()
    for name, scores in others:
        same_rows = len(reference) == len(scores)
        difference = float(np.abs(reference - scores).max()) if same_rows else float("inf")
        equal = int((reference == scores).sum()) if same_rows else 0
        agrees = difference <= tolerance and bool(np.isfinite(reference).all())
        report.agreed &= agrees
        report.add(
            f"Answers of {reference_name} and {name}: {'agree' if agrees else '**DIFFER**'} in "
            f"{len(reference):,} rows; largest difference {difference:.1e}, scores from "
            f"{reference.min():.3f} to {reference.max():.3f}, "
            f"{equal / max(len(reference), 1):.1%} bit-identical."
        )


def times_table(timings: Mapping[str, Timing], rows: Mapping[str, int] | int) -> str:
    """Return a table of medians, ranges, rows per second and private memory."""
    lines = []
    for name, timing in timings.items():
        count = rows if isinstance(rows, int) else rows[name]
        lines.append(
            [
                name,
                f"{timing.median:.2f}",
                f"{min(timing.seconds):.2f} to {max(timing.seconds):.2f}",
                f"{count:,}",
                f"{count / timing.median:,.0f}",
                f"{timing.cores / timing.median:.2f}",
                f"{timing.cores / count * 1e6:.2f}",
                timing.peak,
            ]
        )
    head = ["", "median s", "range s", "rows", "rows/s", "cores used", "core-s per million rows"]
    return markdown_table([*head, "peak private MB of a worker"], lines)


def markdown_table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table, aligned so that it also reads well as plain text."""
    rows = [list(head), *[list(line) for line in lines]]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]

    def markdown(row: Sequence[str]) -> str:
        first, *rest = [
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return "| " + " | ".join([first, *rest]) + " |"

    rule = "|" + "|".join(
        "-" * (width + 2) if i == 0 else "-" * (width + 1) + ":" for i, width in enumerate(widths)
    )
    return "\n".join([markdown(rows[0]), rule + "|", *map(markdown, rows[1:])])

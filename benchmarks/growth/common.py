"""Shared by the growth cases: timing at each point, the table, and the plots."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from benchmarks.harness import Bench, Contender, alternate, end
from benchmarks.reports import Growth, Report, markdown_table
from benchmarks.timing import Timing

Points = list[tuple[float, Mapping[str, Timing]]]
"""The points that were measured, each with the timings by contender."""


def runs_text(bench: Bench) -> str:
    """Say how often each contender runs."""
    return f"{bench.runs} runs of each after a warm-up, alternating, at each point"


def grow(
    bench: Bench,
    report: Report,
    xs: Sequence[int],
    contenders_at: Callable[[int], Sequence[Contender]],
) -> Points:
    """Time the contenders of each point alternately; small runs leave out the peers."""
    points: Points = []
    for x in xs:
        contenders = [
            contender
            for contender in contenders_at(x)
            if contender.peer is None or bench.scale == "full"
        ]
        try:
            points.append((x, alternate(bench, contenders, report)))
        finally:
            end(contenders)
    return points


def add_times(
    report: Report, name: str, x: str, points: Points, rows: Callable[[int], int]
) -> None:
    """Add a table, and a plot of the wall-clock time per million rows."""
    names = list(points[0][1])
    columns = ("s per million rows", "core-s", "MB")
    head = [x, *(f"{contender}: {column}" for contender in names for column in columns)]
    lines = [
        [f"{at:,g}", *_cells([timings[name] for name in names], rows(int(at)))]
        for at, timings in points
    ]
    report.add(markdown_table(head, lines))
    xs = tuple(at for at, _ in points)
    times = {
        name: tuple(timings[name].median / rows(int(at)) * 1e6 for at, timings in points)
        for name in names
    }
    report.growths.append(Growth(name, x, "seconds per million rows", xs, times))


def add_memory(report: Report, name: str, x: str, points: Points) -> None:
    """Add a plot of the peak private memory of a worker."""
    names = [contender for contender, timing in points[0][1].items() if timing.peak_bytes]
    lines = {
        contender: tuple(timings[contender].peak_bytes / 1e6 for _, timings in points)
        for contender in names
    }
    xs = tuple(at for at, _ in points)
    report.growths.append(Growth(name, x, "peak private MB of a worker", xs, lines))


def _cells(timings: Sequence[Timing], rows: int) -> list[str]:
    cells = []
    for timing in timings:
        cells += [f"{seconds / rows * 1e6:.4g}" for seconds in (timing.median, timing.cores)]
        cells.append(timing.peak)
    return cells

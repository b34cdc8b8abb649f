"""Growth of `recommend`: users at a fixed number of items, and items at a fixed number of users.

The time starts with the call of `recommend`, and every point has new workers.
"""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.cases.recommend_scale import cold_run, towers
from benchmarks.harness import Bench
from benchmarks.reports import Growth, Report, markdown_table

RUNS = "One cold run at each point, end to end; the first one also warms up Spark and TensorFlow"


def users(bench: Bench) -> Report:
    """A thousand items and a growing number of users."""
    report = Report("growth-users: two towers, 1,000 items, top 10", runs=RUNS)
    _grow(bench, report, "users", lambda x: (x, 1_000))
    return report


def items(bench: Bench) -> Report:
    """A thousand users and a growing number of items."""
    report = Report("growth-items: two towers, 1,000 users, top 10", runs=RUNS)
    _grow(bench, report, "items", lambda x: (1_000, x))
    return report


def _grow(bench: Bench, report: Report, side: str, sizes: Callable[[int], tuple[int, int]]) -> None:
    xs = (1_000, 10_000, 100_000, 1_000_000)[: 3 if bench.scale == "small" else 4]
    points = [_measure(bench, *sizes(x)) for x in xs]
    keys = (
        "total s",
        "call s",
        "core-s per million pairs",
        "peak private MB of a worker, without mapped files",
        "peak private MB of the driver",
    )
    lines = [
        [f"{x:,}", *(f"{point[key]:,.4g}" for key in keys)]
        for x, point in zip(xs, points, strict=True)
    ]
    report.add(markdown_table([side, *keys], lines))
    for name, y, plotted in (
        (f"growth-{side}", "seconds", keys[:2]),
        (f"growth-{side}-memory", "peak private MB", keys[3:]),
    ):
        values = {key: tuple(point[key] for point in points) for key in plotted}
        report.growths.append(Growth(name, side, y, xs, values))


def _measure(bench: Bench, users: int, items: int) -> dict[str, float]:
    cold = cold_run(bench, towers(bench, items), users)
    written, driver = cold.peaks.largest_written("worker"), cold.peaks.largest("driver")
    return {
        "total s": cold.seconds,
        "call s": cold.call_seconds,
        "core-s per million pairs": cold.core_seconds / (users * items) * 1e6,
        "peak private MB of a worker, without mapped files": written / 1e6,
        "peak private MB of the driver": driver / 1e6,
    }

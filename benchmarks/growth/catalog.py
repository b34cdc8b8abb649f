"""Growth of `recommend`: users at a fixed number of items, and items at a fixed number of users.

The time is all of it, from the call of `recommend` on, and each place is new: workers that start.
"""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.cases.recommend_scale import towers, whole_job
from benchmarks.harness import Bench
from benchmarks.reports import Growth, Report, markdown_table

RUNS = "one run at each place, all of it, nothing warm; the first warms up Spark and TensorFlow too"


def users(bench: Bench) -> Report:
    """A thousand items, and more and more users."""
    report = Report("growth-users: two towers, 1,000 items, top 10", runs=RUNS)
    _grow(bench, report, "users", lambda x: (x, 1_000))
    return report


def items(bench: Bench) -> Report:
    """A thousand users, and more and more items."""
    report = Report("growth-items: two towers, 1,000 users, top 10", runs=RUNS)
    _grow(bench, report, "items", lambda x: (1_000, x))
    return report


def _grow(bench: Bench, report: Report, what: str, sizes: Callable[[int], tuple[int, int]]) -> None:
    xs = (1_000, 10_000, 100_000, 1_000_000)[: 3 if bench.scale == "small" else 4]
    found = [_one(bench, *sizes(x)) for x in xs]
    keys = (
        "s, all",
        "s, the call",
        "core-s a million pairs",
        "peak private MB of a worker, without mapped files",
        "of the driver",
    )
    lines = [
        [f"{x:,}", *(f"{one[key]:,.4g}" for key in keys)] for x, one in zip(xs, found, strict=True)
    ]
    report.add(markdown_table([what, *keys], lines))
    for name, y, chosen in (
        (f"growth-{what}", "seconds", keys[:2]),
        (f"growth-{what}-memory", "peak private MB", keys[3:]),
    ):
        values = {key: tuple(one[key] for one in found) for key in chosen}
        report.growths.append(Growth(name, what, y, xs, values))


def _one(bench: Bench, users: int, items: int) -> dict[str, float]:
    whole = whole_job(bench, towers(bench, items), users)
    written, driver = whole.peaks.most_written("worker"), whole.peaks.largest("driver")
    return {
        "s, all": whole.seconds,
        "s, the call": whole.called_seconds,
        "core-s a million pairs": whole.core_seconds / (users * items) * 1e6,
        "peak private MB of a worker, without mapped files": written / 1e6,
        "of the driver": driver / 1e6,
    }

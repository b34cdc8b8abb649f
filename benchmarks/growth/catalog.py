"""Growth of `recommend`: users at a fixed number of items, and items at a fixed number of users.

The time is all of it, from the call of `recommend` on, and each place is new: workers that start.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from benchmarks import catalogs, models
from benchmarks.cases.recommend_common import US, Catalog, ours
from benchmarks.harness import Bench
from benchmarks.machine import cpu_seconds_of_tree
from benchmarks.peaks import Peaks
from benchmarks.pools import pool
from benchmarks.recommender_models import FEATURES
from benchmarks.reports import Growth, Report, markdown_table

K = 10
FEED = {"user": "user", "item": "item"}
RUNS = "one run at each place, all of it, nothing warm"


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
    keys = ("s, all", "s, the call", "core-s a million pairs")
    keys += ("peak private MB of a worker, without mapped files", "of the driver")
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
    path = models.path_of(bench.folder, "catalog-towers")
    catalog = Catalog(
        lambda rows: catalogs.vectors(bench.spark, bench.folder, "user", rows, FEATURES),
        catalogs.vectors(bench.spark, bench.folder, "item", items, FEATURES),
        items,
    )
    recommend, table = ours(path, catalog, K, FEED), catalog.users(users)
    start, cpu = time.perf_counter(), cpu_seconds_of_tree()
    with Peaks() as peaks, pool(bench.spark, f"{US} growth {users} x {items}"):
        found = recommend(table)
        called = time.perf_counter() - start
        found.write.format("noop").mode("overwrite").save()
    seconds, cores = time.perf_counter() - start, cpu_seconds_of_tree() - cpu
    return {
        "s, all": seconds,
        "s, the call": called,
        "core-s a million pairs": cores / (users * items) * 1e6,
        "peak private MB of a worker, without mapped files": peaks.most_written("worker") / 1e6,
        "of the driver": peaks.largest("driver") / 1e6,
    }

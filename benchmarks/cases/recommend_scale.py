"""Two towers at both extremes, many items and many users: total time and peak memory.

The time starts with the call of `recommend`. Private memory (USS) is what the kernel would free if
only that process ended; it includes a file that a worker maps while no other process maps it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from attrs import frozen
from pyspark.sql import DataFrame

from benchmarks import catalogs, models
from benchmarks.cases.recommend_bounds import add_product_bottleneck
from benchmarks.cases.recommend_common import CHECKED_USERS, US, Catalog, our_recommend, plan_text
from benchmarks.harness import Bench
from benchmarks.machine import cpu_seconds_of_tree
from benchmarks.memory_watch import MemoryPeaks
from benchmarks.peers import seed_recipe
from benchmarks.pools import pool
from benchmarks.recommendations import compare_recommendations, read_recommendations
from benchmarks.recommender_models import FEATURES
from benchmarks.reports import Report, markdown_table

K = 10
FEED = {"user": "user", "item": "item"}


def run(bench: Bench) -> Report:
    small = bench.scale == "small"
    report = Report(
        "recommend-scale: two towers of 64, many items and many users, top 10",
        runs="One cold run, end to end",
    )
    sizes = (
        [(2_000, 100_000), (100_000, 1_000)] if small else [(10_000, 1_000_000), (1_000_000, 1_000)]
    )
    for users, items in sizes:
        _add_size(bench, report, users, items)
    return report


@frozen
class ColdRun:
    """A whole job in new workers, timed from the call of `recommend`.

    `call_seconds` are those of the call alone.
    """

    seconds: float
    call_seconds: float
    core_seconds: float
    peaks: MemoryPeaks


def cold_run(bench: Bench, catalog: Catalog, users: int) -> ColdRun:
    """Recommend to that many users, and watch the memory of all processes."""
    recommend = our_recommend(models.path_of(bench.folder, "catalog-towers"), catalog, K, FEED)
    table = catalog.users(users)
    start, cpu = time.perf_counter(), cpu_seconds_of_tree()
    with MemoryPeaks() as peaks, pool(bench.spark, f"{users} x {catalog.count}"):
        recommended = recommend(table)
        call_seconds = time.perf_counter() - start
        recommended.write.format("noop").mode("overwrite").save()
    seconds, cores = time.perf_counter() - start, cpu_seconds_of_tree() - cpu
    return ColdRun(seconds, call_seconds, cores, peaks)


def towers(bench: Bench, items: int) -> Catalog:
    """Return a catalog of that many items for the two towers."""
    return Catalog(
        lambda rows: catalogs.vectors(bench.spark, bench.folder, "user", rows, FEATURES),
        catalogs.vectors(bench.spark, bench.folder, "item", items, FEATURES),
        items,
    )


def _add_size(bench: Bench, report: Report, users: int, items: int) -> None:
    path = models.path_of(bench.folder, "catalog-towers")
    models.package_of(bench.folder, "catalog-towers")  # for the check, before memory is watched
    catalog = towers(bench, items)
    cold = cold_run(bench, catalog, users)
    report.add(f"### {users:,} users x {items:,} items")
    report.add(_table(users * items, cold))
    report.add(plan_text(path, catalog, K, FEED))
    add_product_bottleneck(bench, report, cold.core_seconds, users * items, K)
    _check(bench, report, our_recommend(path, catalog, K, FEED), catalog)


def _table(pairs: int, cold: ColdRun) -> str:
    peaks, seconds = cold.peaks, cold.seconds
    line = [
        US,
        f"{seconds:.1f}",
        f"{cold.call_seconds:.1f}",
        f"{pairs / seconds / 1e6:,.0f}",
        f"{cold.core_seconds / seconds:.2f}",
        f"{cold.core_seconds / pairs * 1e6:.5f}",
        *(f"{peaks.largest(kind) / 1e6:,.0f}" for kind in ("worker", "driver", "JVM")),
        f"{peaks.largest_written('worker') / 1e6:,.0f}",
        f"{peaks.totals.get('worker', 0) / 1e6:,.0f}",
    ]
    head = ["", "total s", "call s", "million pairs/s", "cores used", "core-s per million pairs"]
    head += [f"peak private MB: {process}" for process in ("worker", "driver", "JVM")]
    head += ["worker, without mapped files", "all workers"]
    return markdown_table(head, [line])


def _check(
    bench: Bench, report: Report, recommend: Callable[[DataFrame], DataFrame], catalog: Catalog
) -> None:
    """Compare the results of a few users with those of the whole graph on all items."""
    few = catalog.users(CHECKED_USERS)
    package = models.package_of(bench.folder, "catalog-towers")
    expected = seed_recipe.best(
        package,
        few,
        catalog.items,
        K,
        read_users=_read_user,
        read_items=_read_item,
        output="score",
    )
    compare_recommendations(
        report,
        US,
        read_recommendations(recommend(few)),
        "the whole graph",
        read_recommendations(expected),
    )


def _read_user(table: Any) -> Mapping[str, np.ndarray]:
    return {"user": _floats(table, "user"), "item": np.zeros((table.num_rows, 0), np.float32)}


def _read_item(table: Any) -> Mapping[str, np.ndarray]:
    return {"user": np.zeros((table.num_rows, 0), np.float32), "item": _floats(table, "item")}


def _floats(table: Any, name: str) -> np.ndarray:
    column = table.column(name)
    column = column.combine_chunks() if hasattr(column, "combine_chunks") else column
    return column.flatten().to_numpy().reshape(table.num_rows, -1)

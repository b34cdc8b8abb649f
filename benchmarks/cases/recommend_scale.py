"""Two towers at both ends of scale: many items, and many users. Time, and the most memory.

The time is all of it, from the call of `recommend` on. Private memory (USS): what the kernel would
free if that one process ended; a file that a worker maps is in it while no other maps it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from attrs import frozen
from pyspark.sql import DataFrame

from benchmarks import catalogs, models
from benchmarks.cases.recommend_bounds import bound_by_product
from benchmarks.cases.recommend_common import CHECKED, US, Catalog, ours, planned
from benchmarks.harness import Bench
from benchmarks.machine import cpu_seconds_of_tree
from benchmarks.peaks import Peaks
from benchmarks.peers import seed_recipe
from benchmarks.pools import pool
from benchmarks.recommended import agree, recommended
from benchmarks.recommender_models import FEATURES
from benchmarks.reports import Report, markdown_table

K = 10
FEED = {"user": "user", "item": "item"}


def run(bench: Bench) -> Report:
    small = bench.scale == "small"
    report = Report(
        "recommend-scale: two towers of 64, many items and many users, top 10",
        runs="one run, nothing warm",
    )
    sizes = (
        [(2_000, 100_000), (100_000, 1_000)] if small else [(10_000, 1_000_000), (1_000_000, 1_000)]
    )
    for users, items in sizes:
        _one(bench, report, users, items)
    return report


@frozen
class Whole:
    """A whole job, from the call of `recommend` on, in new workers."""

    seconds: float
    called_seconds: float
    core_seconds: float
    peaks: Peaks


def whole_job(bench: Bench, catalog: Catalog, users: int) -> Whole:
    """Recommend to so many users, all of it, and watch the memory of everyone."""
    recommend = ours(models.path_of(bench.folder, "catalog-towers"), catalog, K, FEED)
    table = catalog.users(users)
    start, cpu = time.perf_counter(), cpu_seconds_of_tree()
    with Peaks() as peaks, pool(bench.spark, f"{users} x {catalog.count}"):
        found = recommend(table)
        called = time.perf_counter() - start
        found.write.format("noop").mode("overwrite").save()
    seconds, cores = time.perf_counter() - start, cpu_seconds_of_tree() - cpu
    return Whole(seconds, called, cores, peaks)


def towers(bench: Bench, items: int) -> Catalog:
    """Return a catalog of so many items for the two towers."""
    return Catalog(
        lambda rows: catalogs.vectors(bench.spark, bench.folder, "user", rows, FEATURES),
        catalogs.vectors(bench.spark, bench.folder, "item", items, FEATURES),
        items,
    )


def _one(bench: Bench, report: Report, users: int, items: int) -> None:
    path = models.path_of(bench.folder, "catalog-towers")
    models.package_of(bench.folder, "catalog-towers")  # for the check; not while memory is watched
    catalog = towers(bench, items)
    whole = whole_job(bench, catalog, users)
    report.add(f"### {users:,} users x {items:,} items")
    report.add(_table(users * items, whole))
    report.add(planned(path, catalog, K, FEED))
    bound_by_product(bench, report, whole.core_seconds, users * items, K)
    _check(bench, report, ours(path, catalog, K, FEED), catalog)


def _table(pairs: int, whole: Whole) -> str:
    peaks, seconds = whole.peaks, whole.seconds
    line = [
        US,
        f"{seconds:.1f}",
        f"{whole.called_seconds:.1f}",
        f"{pairs / seconds / 1e6:,.0f}",
        f"{whole.core_seconds / seconds:.2f}",
        f"{whole.core_seconds / pairs * 1e6:.5f}",
        *(f"{peaks.largest(kind) / 1e6:,.0f}" for kind in ("worker", "driver", "JVM")),
        f"{peaks.most_written('worker') / 1e6:,.0f}",
        f"{peaks.together.get('worker', 0) / 1e6:,.0f}",
    ]
    head = ["", "s, all", "s, the call", "million pairs/s", "cores used", "core-s a million pairs"]
    head += [f"peak private MB, {what}" for what in ("a worker", "driver", "JVM")]
    head += ["of a worker, without files that it maps", "of all workers together"]
    return markdown_table(head, [line])


def _check(
    bench: Bench, report: Report, recommend: Callable[[DataFrame], DataFrame], catalog: Catalog
) -> None:
    """Hold a few users against the whole graph on all items."""
    few = catalog.users(CHECKED)
    package = models.package_of(bench.folder, "catalog-towers")
    whole = seed_recipe.best(
        package,
        few,
        catalog.items,
        K,
        read_users=_read_user,
        read_items=_read_item,
        output="score",
    )
    agree(report, US, recommended(recommend(few)), "the whole graph", recommended(whole))


def _read_user(table: Any) -> Mapping[str, np.ndarray]:
    return {"user": _floats(table, "user"), "item": np.zeros((table.num_rows, 0), np.float32)}


def _read_item(table: Any) -> Mapping[str, np.ndarray]:
    return {"user": np.zeros((table.num_rows, 0), np.float32), "item": _floats(table, "item")}


def _floats(table: Any, name: str) -> np.ndarray:
    column = table.column(name)
    column = column.combine_chunks() if hasattr(column, "combine_chunks") else column
    return column.flatten().to_numpy().reshape(table.num_rows, -1)

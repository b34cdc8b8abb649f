"""A million users x 5,000 items with the DeepFM of `recommend-deepfm`, on two executors.

Is the rate that of few users, does memory stay, and what does a worker cost that is killed in the
middle? The job writes Parquet; the driver is a process of its own (`benchmarks.million_driver`).
"""

from __future__ import annotations

import statistics
import tempfile
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from attrs import frozen
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from benchmarks import catalogs, data, models
from benchmarks.cases.recommend_common import US, Catalog, our_recommend
from benchmarks.cases.recommend_deepfm import FEED, ITEMS, K
from benchmarks.harness import Bench
from benchmarks.own_process import run_module
from benchmarks.recommendations import (
    Recommendations,
    compare_recommendations,
    read_recommendations,
)
from benchmarks.reports import Report, markdown_table

_TASKS, _FEW_TASKS = 200, 4
_SAMPLED_USERS = 1_000
GOAL_RATE, GOAL_GROWTH = 0.9, 1.05


@frozen
class Tables:
    """The tables of the job; `few` are users in tasks of the same size."""

    users: int
    few: int
    all_users: DataFrame
    few_users: DataFrame
    items: DataFrame


def run(bench: Bench) -> Report:
    tables = _tables(bench, bench.choose_rows(small=20_000, full=1_000_000))
    report = Report(
        f"recommend-million: {tables.users:,} users, DeepFM, {ITEMS:,} items, top {K}",
        runs="One run; few users once before and once after it",
    )
    path = models.path_of(bench.folder, "catalog-deepfm")
    with tempfile.TemporaryDirectory(dir=bench.folder, prefix="million-") as output:
        names = (tables.all_users, tables.few_users, tables.items)
        result = run_module(
            "benchmarks.million_driver",
            path,
            *map(data.folder_of, names),
            output,
            str(_TASKS),
            action="the driver of many users",
        )
        _add_rates(report, tables, result)
        _add_memory(report, result["memory"])
        _add_kill(report, result)
        _check_users(report, output, tables.users)
        _compare_sample(bench, report, path, tables, output)
    return report


def _tables(bench: Bench, users: int) -> Tables:
    few = users * _FEW_TASKS // _TASKS
    return Tables(
        users,
        few,
        catalogs.fields(bench.spark, bench.folder, "user", users, _TASKS),
        catalogs.fields(bench.spark, bench.folder, "user", few, _FEW_TASKS),
        catalogs.fields(bench.spark, bench.folder, "item", ITEMS),
    )


def _add_rates(report: Report, tables: Tables, result: dict[str, Any]) -> None:
    before, after = result["few"]
    rows = [
        ("few users, before", tables.few, before),
        ("all users, a worker killed", tables.users, result),
        ("few users, after", tables.few, after),
    ]
    lines = [
        [
            name,
            f"{users:,}",
            f"{run['seconds']:,.1f}",
            f"{_rate(users, run) / 1e6:.2f}",
            f"{run['core_seconds'] / run['seconds']:.2f}",
            f"{_core_seconds_per_million(users, run):.3f}",
        ]
        for name, users, run in rows
    ]
    head = ["", "users", "s", "million pairs/s", "cores used", "core-s per million pairs"]
    report.add(markdown_table(head, lines))
    few_rate = statistics.mean(_rate(tables.few, run) for run in (before, after))
    rate = _rate(tables.users, result)
    report.target(f"Rate of {tables.users:,} users relative to that of {tables.few:,}",
                  GOAL_RATE, rate / few_rate)  # fmt: skip
    report.add(
        f"The call of `recommend`, which plans and checks, took {result['call_seconds']:.1f} s."
    )
    report.figures |= {
        "users": tables.users,
        "few_users": tables.few,
        "items": ITEMS,
        "core_seconds": result["core_seconds"],
        "few_core_seconds": statistics.mean(run["core_seconds"] for run in (before, after)),
        "seconds": result["seconds"],
        "cores": 2,
    }


def _rate(users: int, run: dict[str, float]) -> float:
    return users * ITEMS / run["seconds"]


def _core_seconds_per_million(users: int, run: dict[str, float]) -> float:
    return run["core_seconds"] / (users * ITEMS) * 1e6


def _add_memory(report: Report, samples: dict[str, list[int]]) -> None:
    """Report the first and last tenth of the samples; the run's first seconds are part of it."""
    lines, growths = [], {}
    for kind, values in samples.items():
        tenth = max(len(values) // 10, 1)
        first, last = statistics.median(values[:tenth]), statistics.median(values[-tenth:])
        growths[kind] = last / first
        lines.append([kind, *(f"{size / 1e6:,.0f}" for size in (first, last, max(values)))])
    head = ["RSS MB of the largest", "first tenth", "last tenth", "peak"]
    report.add(markdown_table(head, lines))
    for kind in ("worker", "driver", "JVM"):
        what = f"RSS of the first tenth relative to that of the last ({kind})"
        report.target(what, 1 / GOAL_GROWTH, 1 / growths[kind])
    report.figures["worker_bytes"] = max(samples["worker"])


def _add_kill(report: Report, result: dict[str, Any]) -> None:
    happened = result["killed"] == 1 and result["failed_tasks"] == 1
    report.agreed &= happened
    report.add(
        f"Python workers killed by SIGKILL after half of the tasks: {result['killed']}; tasks that "
        f"failed and were repeated: {result['failed_tasks']}{'' if happened else ' **(NOT 1)**'}."
    )


def _check_users(report: Report, output: str, users: int) -> None:
    ids = pq.read_table(output, columns=["user_id"])["user_id"].to_numpy()
    counts = np.bincount(ids, minlength=users)
    missing, doubled = int((counts == 0).sum()), int((counts > 1).sum())
    report.agreed &= missing == doubled == 0 and len(ids) == users
    report.add(f"Users in the result: {len(ids):,}; missing: {missing:,}; twice: {doubled:,}.")


def _compare_sample(bench: Bench, report: Report, path: str, tables: Tables, output: str) -> None:
    """Compare with an undisturbed run; every task, so the repeated one too, has users in it."""
    step = tables.users // _SAMPLED_USERS
    is_sampled = F.col("user_id") % step == 0
    catalog = Catalog(lambda _: tables.all_users.where(is_sampled), tables.items, ITEMS)
    undisturbed = our_recommend(path, catalog, K, FEED)(catalog.users(0))
    disturbed = bench.spark.read.parquet(output).where(is_sampled)
    results = [read_recommendations(table) for table in (disturbed, undisturbed)]
    compare_recommendations(report, US, results[0], "an undisturbed run", results[1])
    report.add(
        f"Users with bit-identical scores: {_equal_users(*results):,} of {len(results[1]):,}."
    )


def _equal_users(ours: Recommendations, theirs: Recommendations) -> int:
    return sum(
        np.array_equal(ids, theirs[user][0]) and np.array_equal(scores, theirs[user][1])
        for user, (ids, scores) in ours.items()
    )

"""Users in thousands of small partitions: what a task of `recommend` takes more than an empty one.

Each task has one user, or, in a second table, nearly all have none. The floor is `mapInArrow` with
a function that passes batches on, over the same partitions. Both run in turns after a warm-up. One
run of far more partitions, of us alone, shows that nothing adds up.
"""

from __future__ import annotations

import statistics
import time
from functools import partial

from pyspark.sql import DataFrame

import tf2spark
from benchmarks import catalogs, models
from benchmarks.cases.recommend_scale import FEED
from benchmarks.harness import Bench
from benchmarks.machine import cpu_seconds_of_tree
from benchmarks.recommender_models import FEATURES
from benchmarks.reports import Report, markdown_table

_ITEMS, _K = 1_000, 10
_MORE = 20
"""How many times as many partitions the last run has."""
GOAL_MS = 10.0
# So few of the partitions have a user that a task is an empty one, for all that a mean tells.
_SHARE_WITH_USERS = 0.05
Times = list[tuple[float, float]]
"""Of each run, the milliseconds and the CPU milliseconds of a task."""


def run(bench: Bench) -> Report:
    partitions = bench.choose_rows(small=50, full=5_000)
    report = Report(f"recommend-partitions: users in {partitions:,} partitions, two towers")
    lines = []
    users = int(partitions * _SHARE_WITH_USERS)
    for name, rows in (("one user in each", partitions), ("most without users", users)):
        ours, floor = _measured(bench, partitions, rows)
        for contender, times in (("tf2spark", ours), ("mapInArrow, passing rows on", floor)):
            lines.append([name, contender, *(f"{value:.1f}" for value in _medians(times))])
        excess = [mine - least for mine, least in zip(_medians(ours), _medians(floor), strict=True)]
        report.target(f"10 ms relative to the CPU time more a task, {name}", 1, GOAL_MS / excess[1])
        key = "user" if rows == partitions else "empty"
        report.figures[f"{key}_cpu_ms"] = excess[1]
    many = _MORE * partitions
    of_many = _timed(_recommended(bench, _users(bench, many, many)), many)
    report.figures |= {
        "partitions": partitions, "many_partitions": many, "many_cpu_ms": of_many[1]
    }  # fmt: skip
    lines.append([f"{many:,}, one user in each", "tf2spark", *(f"{ms:.1f}" for ms in of_many)])
    report.add(markdown_table(["partitions", "", "ms a task", "CPU ms a task"], lines))
    return report


def _measured(bench: Bench, partitions: int, rows: int) -> tuple[Times, Times]:
    """Return the times of `recommend` and of the floor, after one of each that isn't counted."""
    users = _users(bench, partitions, rows)
    ours = partial(_timed, _recommended(bench, users), partitions)
    # A function of this module would have workers import the benchmarks, and collect their garbage.
    floor = partial(_timed, users.mapInArrow(lambda batches: batches, users.schema), partitions)
    times = [(ours(), floor()) for _ in range(bench.runs + 1)][1:]
    return [each for each, _ in times], [each for _, each in times]


def _users(bench: Bench, partitions: int, rows: int) -> DataFrame:
    vector = f"array_repeat(cast(id as float), {FEATURES})"
    ids = bench.spark.range(0, partitions, 1, partitions).where(f"id < {rows}")
    return ids.selectExpr("id as user_id", f"{vector} as user")


def _recommended(bench: Bench, users: DataFrame) -> DataFrame:
    items = catalogs.vectors(bench.spark, bench.folder, "item", _ITEMS, width=FEATURES)
    model = tf2spark.SavedModel(models.path_of(bench.folder, "catalog-towers"))
    return model.recommend(users, items, _K, feed=FEED)


def _timed(table: DataFrame, tasks: int) -> tuple[float, float]:
    start, cpu = time.perf_counter(), cpu_seconds_of_tree()
    table.write.format("noop").mode("overwrite").save()
    seconds, cpu_seconds = time.perf_counter() - start, cpu_seconds_of_tree() - cpu
    return 1000 * seconds / tasks, 1000 * cpu_seconds / tasks


def _medians(times: Times) -> list[float]:
    return [statistics.median(values) for values in zip(*times, strict=True)]

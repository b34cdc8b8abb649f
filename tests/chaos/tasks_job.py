"""A driver program: very many tasks, empty partitions, a very long one.

Run as ``python tasks_job.py FOLDER PARTITIONS TASKS ROWS``. Of the partitions, all and then all but
ten are empty. The last line on stdout is JSON.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

import tf2spark
from cases.models import case, path_of
from chaos import faults
from chaos.processes import loaded_workers
from chaos.sessions import start_session

_FILLED = 10
# Tasks with and without a model take turns, as a JVM is slow with its first thousands.
_TASKS_A_TURN = 1000


def features(rows: DataFrame) -> DataFrame:
    """Give rows eight features that differ from row to row."""
    values = [((F.col("id") + number) % 97).cast("float") for number in range(8)]
    return rows.select("id", F.array(*values).alias("features"))


def passed_on(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Do nothing, in a Python worker: what a task takes without a model."""
    for batch in batches:
        yield batch.select(["id"])


def in_partitions(spark: SparkSession, rows: int, partitions: int) -> DataFrame:
    return features(spark.range(0, rows, 1, partitions))


def timed(table: DataFrame, expected: DataFrame) -> tuple[int, float]:
    """Return how many rows a table has, which are those of another, and the seconds it took."""
    sums = F.count("id"), F.sum("id"), F.sum(F.hash("id").cast("bigint"))
    started = time.monotonic()
    got = table.agg(*sums).collect()[0]
    seconds = time.monotonic() - started
    assert tuple(got) == tuple(expected.agg(*sums).collect()[0])
    return int(got[0]), seconds


def main(folder: Path, partitions: int, tasks: int, rows: int) -> None:
    orders = folder / "faults"
    orders.mkdir()
    os.environ.update(faults.environment(orders))
    spark = start_session("local[2]", faults.settings(orders))
    model = tf2spark.SavedModel(path_of(case("keras_mlp")))

    def score(table: DataFrame) -> tuple[int, float]:
        return timed(model.score(table, keep=["id"], read="spark"), table)

    report: dict[str, Any] = {}
    sparse = in_partitions(spark, partitions, partitions)
    report["rows_of_empty"], _ = score(sparse.where("id < 0"))
    report["opened_for_empty"] = len(faults.opened(orders))
    report["rows_of_filled"], _ = score(sparse.where(f"id % {partitions // _FILLED} = 0"))
    turns = max(2, tasks // _TASKS_A_TURN)
    many = in_partitions(spark, tasks // turns, tasks // turns)
    seconds: list[float] = []
    for turn in range(turns):
        empty_first = turn % 2 == 0
        if empty_first:
            _, without_seconds = timed(many.mapInArrow(passed_on, "id long"), many)
        task_rows, with_seconds = score(many)
        if not empty_first:
            _, without_seconds = timed(many.mapInArrow(passed_on, "id long"), many)
        report["rows_of_tasks"] = report.get("rows_of_tasks", 0) + task_rows
        seconds.append(with_seconds - without_seconds)
    report["task_overhead_ms"] = 1000 * 2 * statistics.median(seconds) / (tasks // turns)
    report["rows_of_long"], report["long_seconds"] = score(in_partitions(spark, rows, 1))
    report["opened"] = len(faults.opened(orders))
    report["workers"] = len(set(faults.opened(orders)))
    report["running_workers"] = len(loaded_workers())
    spark.stop()
    print(json.dumps(report))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))

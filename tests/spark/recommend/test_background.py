"""Jobs beside the driver's own work."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from functools import partial
from typing import Any, cast

import pyarrow as pa
import pyspark
import pytest
from pyspark.errors import AnalysisException, PySparkException
from pyspark.ml.functions import array_to_vector
from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F

from tf2spark.errors import ContractError, RowError, SetupError
from tf2spark.spark.jvm.access import JavaError
from tf2spark.spark.jvm.queries import first_rows
from tf2spark.spark.recommend import background
from tf2spark.spark.recommend.background import (
    collect,
    collect_first,
    in_background,
    is_about_the_way,
)
from tf2spark.spark.recommend.tables import SparkTables


def test_threads_have_the_callers_properties(spark: SparkSession) -> None:
    """The job group, pool and tags among them."""
    spark.sparkContext.setLocalProperty("tf2spark.test", "here")
    try:
        read = partial(spark.sparkContext.getLocalProperty, "tf2spark.test")
        assert in_background(spark, read)() == "here"
    finally:
        spark.sparkContext.setLocalProperty("tf2spark.test", cast(Any, None))


def test_what_fails_meanwhile_fails_where_it_is_needed(spark: SparkSession) -> None:
    """With the error that it would have had there."""
    wait = in_background(spark, lambda: SparkTables(spark.range(1), cast(Any, None)))
    with pytest.raises(ContractError, match="both must be"):
        wait()


def test_first_rows_come_from_as_few_partitions_as_have_them(spark: SparkSession) -> None:
    """One of two hundred; more, where the first has too few; vectors and texts as they are."""
    table = spark.range(0, 800, 1, 200).select(
        "id", F.array(F.col("id")).alias("ids"), array_to_vector(F.array(F.lit(1.0))).alias("v"),
        F.current_timestamp().alias("t"),
    )  # fmt: skip
    for rows, most_tasks in ((3, 10), (5, 20)):
        name = uuid.uuid4().hex
        spark.sparkContext.setJobGroup(name, "")
        first = collect_first(table, rows)
        tasks = _tasks(spark, name)
        assert 0 < tasks < most_tasks
        assert first["id"].to_pylist() == list(range(rows))
        assert first.drop(["t"]).equals(collect(table.where(F.col("id") < rows).drop("t")))
    spark.sparkContext.setLocalProperty("spark.jobGroup.id", cast(Any, None))


def _tasks(spark: SparkSession, group: str) -> int:
    """Count the tasks of a group's jobs."""
    tracker = spark.sparkContext.statusTracker()
    jobs = [tracker.getJobInfo(number) for number in tracker.getJobIdsForGroup(group)]
    stages = [tracker.getStageInfo(stage) for job in jobs if job for stage in job.stageIds]
    return sum(stage.numTasks for stage in stages if stage)


def test_a_cancelled_job_is_not_repeated(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither for the first rows nor for a whole catalog."""
    name = uuid.uuid4().hex
    spark.sparkContext.setJobGroup(name, "", interruptOnCancel=True)
    canceller = threading.Thread(target=_cancel_once_it_runs, args=(spark, name), daemon=True)
    canceller.start()
    try:
        with pytest.raises(Exception, match="cancelled"):
            collect_first(spark.range(5).mapInArrow(_sleep, "id long"), 5)
        assert len(spark.sparkContext.statusTracker().getJobIdsForGroup(name)) == 1
    finally:
        canceller.join()
        spark.sparkContext.setLocalProperty("spark.jobGroup.id", cast(Any, None))


def _cancel_once_it_runs(spark: SparkSession, group: str) -> None:
    tracker = spark.sparkContext.statusTracker()
    while set(tracker.getJobIdsForGroup(group)).isdisjoint(tracker.getActiveJobsIds()):
        time.sleep(0.05)
    spark.sparkContext.cancelJobGroup(group)


def _sleep(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Take longer than the test waits."""
    time.sleep(60)
    yield from batches


def test_rows_that_spark_does_not_take_back_are_read_all_the_same(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From all partitions, as on Spark Connect."""

    def refuse(*_: object) -> None:
        raise SetupError("no JVM")

    monkeypatch.setattr(background, "first_rows", refuse)
    assert collect_first(spark.range(9), 2)["id"].to_pylist() == [0, 1]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (SetupError("no JVM"), True),
        (TypeError("'JavaPackage' object is not callable"), True),
        (AnalysisException("[INVALID]"), True),
        (JavaError("method takeAsList does not exist"), True),
        (PySparkException("[UNSUPPORTED_DATA_TYPE] void"), True),
        (PySparkException("bigger than spark.driver.maxResultSize (1 GiB)"), True),
        (PySparkException("[SPARK_JOB_CANCELLED] Job 5 cancelled"), False),
        (PySparkException("[USER_RAISED_EXCEPTION] no"), False),
        (RowError("row 3 can't be scored"), False),
    ],
)
def test_only_errors_about_the_way_lead_to_another_one(error: Exception, expected: bool) -> None:
    """A query's own error would come again."""
    assert is_about_the_way(error) is expected


def test_a_thread_that_spark_ends_is_not_waited_for_forever(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PySpark may fail in the thread before the call begins."""

    class Ended(threading.Thread):
        def __init__(self, target: object, session: object = None) -> None:
            super().__init__()

    monkeypatch.setattr(pyspark, "InheritableThread", Ended)
    with pytest.raises(SetupError, match="was stopped while"):
        in_background(spark, int)()


def test_a_dataset_of_numbers_has_rows_as_well(spark: SparkSession) -> None:
    """As `spark.range` gives, whose elements are no rows."""
    assert first_rows(spark.range(5), 2).collect() == [Row(id=0), Row(id=1)]

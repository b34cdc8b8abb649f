"""What Spark's status store says of a stage."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from pyspark.sql import SparkSession

from tf2spark.spark.facts import status_store


def _newest_stage(spark: SparkSession) -> Any:
    return max(status_store.stages_of(spark), key=lambda stage: stage.stageId())


def test_the_slowest_task_and_the_middle_one(spark: SparkSession) -> None:
    """The slowest isn't faster than the middle one; none has written rows."""

    def wait(index: int, rows: Iterable[int]) -> Iterator[int]:
        import time

        time.sleep(0.5 if index == 1 else 0)
        yield from rows

    spark.sparkContext.parallelize(range(6), 3).mapPartitionsWithIndex(wait).count()
    stage = _newest_stage(spark)
    slowest, median = (
        status_store.slowest_task(spark, stage),
        status_store.median_task(spark, stage),
    )
    assert slowest is not None
    assert median is not None
    assert slowest.partitionId() in range(3)
    assert slowest.taskMetrics().get().executorRunTime() / 1000 >= median[0]
    assert median[1] == 0


def test_why_attempts_failed(spark: SparkSession) -> None:
    """In the words of the error."""

    def fail(number: int) -> int:
        raise ValueError(f"this is number {number}")

    with pytest.raises(Exception, match="number"):
        spark.sparkContext.parallelize([7], 1).map(fail).count()
    stage = _newest_stage(spark)
    (message,) = status_store.failure_messages(spark, stage)
    assert "this is number 7" in message
    assert status_store.slowest_task(spark, stage) is None

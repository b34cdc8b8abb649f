"""What Spark keeps for its web page (`AppStatusStore`): stages, tasks and executors.

All functions assume methods of its classes in ``org.apache.spark.status.api.v1``, and raise:

    SetupError: The session has no JVM that can be reached this way.
    JavaError: This Spark has no such methods.
"""

from __future__ import annotations

from typing import Any

from pyspark.sql import SparkSession

from tf2spark.spark.jvm.access import java_doubles, jvm, scala_items
from tf2spark.spark.jvm.status import application_store

_MOST_FAILURES = 1_000


def executor_heap_peaks(spark: SparkSession) -> list[int]:
    """Return the peak heap of each executor but the driver, in bytes, where Spark knows it."""
    peaks = []
    for executor in scala_items(application_store(spark).executorList(False)):
        metrics = executor.peakMemoryMetrics()
        if str(executor.id()) != "driver" and metrics.isDefined():
            peaks.append(int(metrics.get().getMetricValue("JVMHeapMemory")))
    return [peak for peak in peaks if peak > 0]


def lost_executors(spark: SparkSession) -> int:
    """Return how many executors have gone."""
    executors = scala_items(application_store(spark).executorList(False))
    return sum(not executor.isActive() for executor in executors)


def stages_of(spark: SparkSession) -> list[Any]:
    """Return what Spark knows of all stages (`StageData`)."""
    everything = None, False, False, java_doubles(spark), jvm(spark).java.util.ArrayList()
    return list(scala_items(application_store(spark).stageList(*everything)))


def slowest_task(spark: SparkSession, stage: Any) -> Any | None:
    """Return the task of a stage (`TaskData`) that ran longest, of those that succeeded."""
    return next(iter(_tasks(spark, stage, "SUCCESS", 1)), None)


def failure_messages(spark: SparkSession, stage: Any) -> list[str]:
    """Return why attempts of tasks of a stage failed; of at most 1,000 of them."""
    failed = _tasks(spark, stage, "FAILED", _MOST_FAILURES)
    messages = (task.errorMessage() for task in failed)
    return [str(message.get()) for message in messages if message.isDefined()]


def median_task(spark: SparkSession, stage: Any) -> tuple[float, int] | None:
    """Return the medians of a stage's tasks that succeeded: seconds, and rows that they wrote."""
    quantiles = stage.stageId(), stage.attemptId(), java_doubles(spark, 0.5)
    summary = application_store(spark).taskSummary(*quantiles)
    if not summary.isDefined():
        return None
    seconds, rows = (
        next(scala_items(values))
        for values in (
            summary.get().executorRunTime(),
            summary.get().outputMetrics().recordsWritten(),
        )
    )
    return float(seconds) / 1000, int(rows)


def _tasks(spark: SparkSession, stage: Any, status: str, most: int) -> list[Any]:
    """Return the tasks of a stage that have a status, the slowest first."""
    v1 = jvm(spark).org.apache.spark.status.api.v1
    statuses = jvm(spark).java.util.ArrayList()
    statuses.add(v1.TaskStatus.valueOf(status))
    order = v1.TaskSorting.DECREASING_RUNTIME
    number, attempt = stage.stageId(), stage.attemptId()
    tasks = application_store(spark).taskList(number, attempt, 0, most, order, statuses)
    return list(scala_items(tasks))

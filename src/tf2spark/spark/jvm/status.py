"""What Spark knows of its jobs and executors, as its web page shows it."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from pyspark.sql import SparkSession

from tf2spark.errors import SetupError
from tf2spark.spark.jvm.access import JavaError, private_attribute


def status_store(spark: SparkSession) -> Any | None:
    """Return where Spark keeps the metrics of its queries for the web page.

    Assumes `SparkSession._jsparkSession`, and Spark's `SharedState.statusStore`. None where this
    PySpark lacks one of them.
    """
    try:
        return private_attribute(spark, "_jsparkSession").sharedState().statusStore()
    except (SetupError, JavaError):
        return None


def is_stopped(spark: SparkSession) -> bool:
    """Say whether the context of a classic session was stopped.

    Assumes that `SparkContext._jsc` is then None. False where this PySpark has no such attribute.
    """
    return getattr(spark.sparkContext, "_jsc", True) is None


def executor_count(spark: SparkSession) -> int | None:
    """Return how many executors are registered, which PySpark has no public way to tell.

    Assumes `SparkContext._jsc`, and Spark's `SparkContext.getExecutorMemoryStatus`, which counts
    the driver as well. None where this PySpark lacks one of them.
    """
    try:
        status = private_attribute(spark.sparkContext, "_jsc").sc().getExecutorMemoryStatus()
        return int(status.size()) - 1
    except (SetupError, JavaError):
        return None


def application_store(spark: SparkSession) -> Any:
    """Return Spark's `AppStatusStore`, which has the stages, tasks and executors for the web page.

    Assumes `SparkContext._jsc`, and Spark's `SparkContext.statusStore`.

    Raises:
        SetupError: The context has no JVM that can be reached this way.
        JavaError: This Spark has no such store.
    """
    return private_attribute(spark.sparkContext, "_jsc").sc().statusStore()


def wait_for_listeners(spark: SparkSession, seconds: float) -> None:
    """Wait until Spark has told its listeners what has happened, but not longer than this.

    What `application_store` has comes from such a listener. Assumes `SparkContext._jsc`, and
    Spark's `LiveListenerBus.waitUntilEmpty`; without them, nothing is waited for.
    """
    with suppress(SetupError, JavaError):  # a timeout is one of Java's errors
        bus = private_attribute(spark.sparkContext, "_jsc").sc().listenerBus()
        bus.waitUntilEmpty(int(seconds * 1000))

"""The accumulator in which workers count the models that they open."""

from __future__ import annotations

import threading
from typing import Any

from pyspark.sql import SparkSession

from tf2spark.spark.recognize import is_connect
from tf2spark.worker.openings import ByHost, OpeningsParam

_lock = threading.Lock()
# By the id of an application; of this process's last one only.
_accumulators: dict[str, Any] = {}


def openings_accumulator(spark: SparkSession) -> Any | None:
    """Return the accumulator of a session's application; Connect has none.

    There is one for all of an application, because Spark keeps accumulators as long as it runs.
    """
    if is_connect(spark):
        return None
    context = spark.sparkContext
    with _lock:
        if context.applicationId not in _accumulators:
            _accumulators.clear()
            param: Any = OpeningsParam()
            _accumulators[context.applicationId] = context.accumulator({}, param)
        return _accumulators[context.applicationId]


def openings_so_far(spark: SparkSession) -> ByHost:
    """Return the models that the tasks that have succeeded opened, by host and TensorFlow."""
    accumulator = openings_accumulator(spark)
    return {} if accumulator is None else dict(accumulator.value)

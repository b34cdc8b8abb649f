"""Has one executor fetch broadcast variables from the driver, and all others from executors.

An executor asks any of those that have a piece for it, and the driver is one of them. With N
executors, the driver sends each piece at least 1 + 1/2 + ... + 1/N times on average (2.7 times for
8), and far more if they all start at once, because then only the driver has the first pieces.

Here a first small job has one executor fetch everything. Then, while Spark doesn't know that the
driver has the pieces too, further jobs have 4, 16, 64 executors fetch them, and at last all. So the
driver sends a model once, however many executors there are, and nobody is asked by all at once.

It only saves time: executors that weren't reached, and those that start later, fetch what they lack
with their first task.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pyspark.sql import SparkSession

from tf2spark.errors import SetupError
from tf2spark.shown_text import shown
from tf2spark.spark.jvm.access import JOB_ERRORS
from tf2spark.spark.jvm.blocks import broadcast_id, driver_without_blocks
from tf2spark.spark.jvm.status import executor_count

FEWEST_EXECUTORS = 4
"""With fewer, the driver sends at most three copies in any case."""
_GROWTH = 4
_DESCRIPTION = "tf2spark: the model goes to the executors"
_KEY = "spark.job.description"
_log = logging.getLogger("tf2spark.shipping")


def seed(spark: SparkSession, chunks: Sequence[Any]) -> bool:
    """Bring broadcast variables to all executors that are there and idle; say whether it was done.

    Args:
        spark: The session.
        chunks: The broadcast variables.
    """
    executors = executor_count(spark)
    if executors is None or executors < FEWEST_EXECUTORS:
        return False
    if spark.sparkContext.statusTracker().getActiveJobsIds():
        return False  # the two jobs would wait for others
    try:
        first, *others = waves(executors)
        _fetch(spark, chunks, first)
        with driver_without_blocks(spark, [broadcast_id(chunk) for chunk in chunks]):
            for tasks in others:
                _fetch(spark, chunks, tasks)
    except (*JOB_ERRORS, SetupError) as error:
        _log.info("executors fetch the model with their first tasks: %s", shown(str(error)))
        return False
    return True


def waves(executors: int) -> list[int]:
    """Return how many executors fetch at once, in one job after the other."""
    sizes = [1]
    while sizes[-1] * _GROWTH < executors:
        sizes.append(sizes[-1] * _GROWTH)
    return [*sizes, executors]


def _fetch(spark: SparkSession, chunks: Sequence[Any], tasks: int) -> None:
    """Run tasks that need the variables: idle executors get one each."""
    context = spark.sparkContext
    before = context.getLocalProperty(_KEY)
    context.setLocalProperty(_KEY, _DESCRIPTION)
    try:
        context.parallelize(range(tasks), tasks).foreachPartition(_needing(chunks))
    finally:
        context.setLocalProperty(_KEY, before)  # type: ignore[arg-type]


def _needing(chunks: Sequence[Any]) -> Callable[[Iterable[int]], None]:
    """Return a function of which Spark knows that it needs the variables."""

    def need(_: Iterable[int]) -> None:
        assert chunks

    return need

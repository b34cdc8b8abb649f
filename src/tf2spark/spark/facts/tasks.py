"""What became of the tasks of an application: how many, what failed, the slowest, models opened."""

from __future__ import annotations

from typing import Any

from attrs import evolve, frozen
from pyspark.sql import SparkSession

from tf2spark.errors import SetupError
from tf2spark.spark.facts import status_store
from tf2spark.spark.facts.openings import openings_so_far
from tf2spark.spark.jvm.access import JavaError
from tf2spark.spark.jvm.status import wait_for_listeners
from tf2spark.spark.recognize import is_connect

# How Spark says that a Python worker ended, however it did.
_WORKER_ENDED = "Python worker exited unexpectedly"
# For Spark to tell what has happened; on a cluster that is busy, some of it may be missing then.
_MOST_WAIT_SECONDS = 5.0


@frozen(kw_only=True)
class TaskFacts:
    """What became of the tasks of an application so far.

    Attributes:
        tasks: How many have succeeded.
        failed: How many attempts have failed.
        workers_lost: In how many of them the Python worker ended.
        executors_lost: How many executors have gone.
        slowest_seconds: How long the slowest task ran, of the stage with the most work.
        slowest_partition: Its partition; None if no task has succeeded.
        slowest_rows: How many rows it wrote; 0 where the stage wrote none.
        slowest_host: Where it ran.
        median_seconds: How long the middle one ran.
        median_rows: How many rows the middle one wrote.
        models_opened: How often a worker opened a model.
        opening_seconds: How long the slowest opening took, with copying the model to its host.
    """

    tasks: int = 0
    failed: int = 0
    workers_lost: int = 0
    executors_lost: int = 0
    slowest_seconds: float = 0.0
    slowest_partition: int | None = None
    slowest_rows: int = 0
    slowest_host: str = ""
    median_seconds: float = 0.0
    median_rows: int = 0
    models_opened: int = 0
    opening_seconds: float = 0.0

    @property
    def skew(self) -> float | None:
        """How many times as long as the middle task the slowest ran; None if that isn't known."""
        return self.slowest_seconds / self.median_seconds if self.median_seconds else None

    def __str__(self) -> str:
        return "; ".join(filter(None, (self._attempts(), self._durations(), self._openings())))

    def pairs(self) -> list[tuple[str, str]]:
        """Return the same for a table: names and values."""
        slowest = f"{self._slowest()}, {self.slowest_host}"
        median = f"{self.median_seconds:.1f} s{_rows(self.median_rows)}"
        listed = {
            "done": f"{self.tasks:,}",
            "attempts that failed": f"{self.failed:,}",
            "Python workers lost": f"{self.workers_lost:,}",
            "executors lost": f"{self.executors_lost:,}",
            "slowest": slowest if self.slowest_partition is not None else "",
            "middle": median if self.slowest_partition is not None else "",
            "skew (slowest / middle)": f"{self.skew:.1f}" if self.skew else "",
            "models opened": f"{self.models_opened:,}" if self.models_opened else "",
            "slowest opening": f"{self.opening_seconds:.1f} s" if self.models_opened else "",
        }
        return [(name, value) for name, value in listed.items() if value]

    def _attempts(self) -> str:
        ended = f" ({self.workers_lost:,} with a Python worker that ended)"
        failed = f"{_count(self.failed, 'attempt')} failed{ended if self.workers_lost else ''}"
        lost = f", {_count(self.executors_lost, 'executor')} lost" if self.executors_lost else ""
        return f"{self.tasks:,} done, {failed}{lost}"

    def _durations(self) -> str:
        if self.slowest_partition is None:
            return ""
        if self.slowest_seconds == self.median_seconds:
            return f"the slowest took {self._slowest()}"
        times = f", {self.skew:.1f} times as long" if self.skew else ""
        median = f"the middle one took {self.median_seconds:.1f} s{_rows(self.median_rows)}"
        return f"{median}, the slowest {self._slowest()}{times}"

    def _slowest(self) -> str:
        where = f"partition {self.slowest_partition}"
        return f"{self.slowest_seconds:.1f} s{_rows(self.slowest_rows)} ({where})"

    def _openings(self) -> str:
        if not self.models_opened:
            return ""
        took = f"{self.opening_seconds:.1f} s"
        if self.models_opened == 1:
            return f"1 model opened, in {took}"
        return f"models opened {self.models_opened:,} times, the slowest in {took}"


def _rows(count: int) -> str:
    return f" for {_count(count, 'row')}" if count else ""


def _count(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def next_stage(spark: SparkSession) -> int:
    """Return the number of the application's next stage; 0 where Spark can't be asked."""
    if is_connect(spark):
        return 0
    wait_for_listeners(spark, _MOST_WAIT_SECONDS)
    try:
        return max((stage.stageId() + 1 for stage in status_store.stages_of(spark)), default=0)
    except (SetupError, JavaError, TypeError):  # of another Spark
        return 0


def task_facts(spark: SparkSession, first_stage: int = 0) -> TaskFacts | None:
    """Return what became of an application's tasks; None where Spark can't be asked.

    Args:
        spark: The session.
        first_stage: The tasks of earlier stages don't count. Models and executors always do.
    """
    if is_connect(spark):
        return None
    wait_for_listeners(spark, _MOST_WAIT_SECONDS)
    openings = openings_so_far(spark).values()
    try:
        stages = status_store.stages_of(spark)
        facts = _facts_of_stages(spark, [each for each in stages if each.stageId() >= first_stage])
    except (SetupError, JavaError, TypeError):  # of another Spark
        return None
    return evolve(
        facts,
        models_opened=sum(each.count for each in openings),
        opening_seconds=max((each.longest_seconds for each in openings), default=0.0),
    )


def _facts_of_stages(spark: SparkSession, stages: list[Any]) -> TaskFacts:
    failing = [stage for stage in stages if stage.numFailedTasks()]
    messages = (each for stage in failing for each in status_store.failure_messages(spark, stage))
    facts = TaskFacts(
        tasks=sum(stage.numCompleteTasks() for stage in stages),
        failed=sum(stage.numFailedTasks() for stage in stages),
        workers_lost=sum(_WORKER_ENDED in message for message in messages),
        executors_lost=status_store.lost_executors(spark),
    )
    longest = max(stages, key=lambda stage: stage.executorRunTime(), default=None)
    return facts if longest is None else _with_durations(spark, facts, longest)


def _with_durations(spark: SparkSession, facts: TaskFacts, stage: Any) -> TaskFacts:
    slowest, median = (
        status_store.slowest_task(spark, stage),
        status_store.median_task(spark, stage),
    )
    if slowest is None or median is None or not slowest.taskMetrics().isDefined():
        return facts
    metrics = slowest.taskMetrics().get()
    median_seconds, median_rows = median
    return evolve(
        facts,
        slowest_seconds=metrics.executorRunTime() / 1000,
        slowest_partition=int(slowest.partitionId()),
        slowest_rows=int(metrics.outputMetrics().recordsWritten()),
        slowest_host=str(slowest.host()),
        median_seconds=median_seconds,
        median_rows=median_rows,
    )

"""How far the running job is, from what Spark itself counts."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from attrs import frozen
from pyspark.sql import SparkSession

from tf2spark.spark.jvm.access import scala_items
from tf2spark.spark.jvm.status import status_store

if TYPE_CHECKING:
    from pyspark import SparkContext
    from rich.console import Console
    from rich.progress import Progress, TaskID

_POLL_SECONDS = 0.2


@frozen
class JobProgress:
    """What is done of a job.

    Attributes:
        finished_tasks: How many tasks have ended.
        tasks: How many there are in the stages that have started; 0 before the first has.
        rows: How many rows have come back from Python, as far as Spark knows.
    """

    finished_tasks: int
    tasks: int
    rows: int


@contextmanager
def watch(
    spark: SparkSession, report: Callable[[JobProgress], None], every_seconds: float
) -> Iterator[None]:
    """Call `report` from another thread, again and again, while the body runs.

    Executors report the rows of running tasks with their heartbeats.
    """
    ended = threading.Event()
    poller = threading.Thread(
        target=_poll, args=(spark, report, every_seconds, ended), name="progress", daemon=True
    )
    poller.start()
    try:
        yield
    finally:
        ended.set()
        poller.join(timeout=5)


@contextmanager
def show_bar(spark: SparkSession, text: str, rows: str) -> Iterator[None]:
    """Show a progress bar on stderr while the body runs: finished tasks, and rows so far.

    Args:
        spark: The session whose jobs are shown.
        text: The text in front of the bar.
        rows: What the rows are: "users".
    """
    # A duplicate descriptor, so that the bar shows even where the body redirects stderr.
    with os.fdopen(os.dup(sys.stderr.fileno()), "w") as stderr:
        from rich.console import Console

        with _progress_bar(text, Console(file=stderr)) as bar:
            task = bar.add_task("", total=None)
            with watch(spark, lambda done: _update(bar, task, done, rows), _POLL_SECONDS):
                yield


def _update(bar: Progress, task: TaskID, done: JobProgress, rows: str) -> None:
    if done.tasks:
        text = f"{done.rows:,} {rows}" if done.rows else ""
        bar.update(task, completed=done.finished_tasks, total=done.tasks, description=text)


def _progress_bar(text: str, console: Console) -> Progress:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn(text),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("tasks"),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )


def _poll(
    spark: SparkSession,
    report: Callable[[JobProgress], None],
    every_seconds: float,
    ended: threading.Event,
) -> None:
    stages: dict[int, tuple[int, int]] = {}
    before = _last_query(spark)
    while not ended.wait(every_seconds):
        try:
            stages.update(_active_stages(spark.sparkContext))
            row_count = rows_done(spark, before)
        except Exception:  # the context is being stopped, so there is nothing left to show
            return
        finished, total = (sum(column) for column in zip((0, 0), *stages.values(), strict=True))
        report(JobProgress(finished, total, row_count))


def _active_stages(context: SparkContext) -> dict[int, tuple[int, int]]:
    """Return the finished and all tasks of each running stage, by its id."""
    tracker = context.statusTracker()
    infos = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
    return {
        info.stageId: (info.numCompletedTasks, info.numTasks) for info in infos if info is not None
    }


def _last_query(spark: SparkSession) -> int:
    """Return the id of the session's newest query; -1 where there is none, or none is known."""
    store = status_store(spark)
    if store is None:
        return -1
    queries = scala_items(store.executionsList())
    return max((int(query.executionId()) for query in queries), default=-1)


def rows_done(spark: SparkSession, before: int = -1) -> int:
    """Return how many rows the newest query has back from Python, as far as Spark knows.

    Args:
        spark: A session.
        before: Queries up to this id don't count.

    Returns:
        0 where Spark's metrics can't be read, so that only tasks are shown.
    """
    newest, store = _last_query(spark), status_store(spark)
    if newest <= before or store is None:
        return 0
    values = store.executionMetrics(newest)
    counts = [
        values.get(metric.accumulatorId())
        for node in scala_items(store.planGraph(newest).allNodes())
        if "Arrow" in node.name()
        for metric in scala_items(node.metrics())
        if metric.name() == "number of output rows"
    ]
    # Metrics come as the web page shows them: "1,024".
    return sum(int(count.get().replace(",", "")) for count in counts if count.isDefined())

"""How far the running job is, from what Spark itself counts."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pyspark import SparkContext
from pyspark.sql import SparkSession

_EVERY_SECONDS = 0.2


@contextmanager
def shown_progress(spark: SparkSession, text: str, rows: str, *, show: bool) -> Iterator[None]:
    """Show a bar on stderr, a step a finished task, and the rows done, while the body runs.

    Executors report the rows of running tasks with their heartbeats.

    Args:
        spark: The session whose jobs are shown.
        text: What stands before the bar.
        rows: What the rows are: "users".
        show: False for no bar at all (stderr is no terminal, say).
    """
    if not show:
        yield
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn(text), BarColumn(), MofNCompleteColumn(), TextColumn("tasks"))
    done = TextColumn("{task.description}")
    # A descriptor of its own: what the body does to stderr doesn't concern the bar.
    with os.fdopen(os.dup(sys.stderr.fileno()), "w") as stderr:
        console = Console(file=stderr)
        bar = Progress(*columns, done, TimeElapsedColumn(), console=console, transient=True)
        ended = threading.Event()
        with bar:
            thread = threading.Thread(
                target=_poll, args=(spark, bar, rows, ended), name="progress", daemon=True
            )
            thread.start()
            try:
                yield
            finally:
                ended.set()
                thread.join(timeout=5)


def _poll(spark: SparkSession, bar: Any, rows: str, ended: threading.Event) -> None:
    task = bar.add_task("", total=None)
    stages: dict[int, tuple[int, int]] = {}
    before = _last_query(spark)
    while not ended.wait(_EVERY_SECONDS):
        try:
            stages.update(_active_stages(spark.sparkContext))
            done = rows_done(spark, before)
        except Exception:  # the context is being stopped: nothing is left to show
            return
        if stages:
            finished, total = (sum(column) for column in zip(*stages.values(), strict=True))
            text = f"{done:,} {rows}" if done else ""
            bar.update(task, completed=finished, total=total, description=text)


def _active_stages(context: SparkContext) -> dict[int, tuple[int, int]]:
    """Return finished and all tasks of each stage that runs."""
    tracker = context.statusTracker()
    infos = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
    return {
        info.stageId: (info.numCompletedTasks, info.numTasks) for info in infos if info is not None
    }


def _last_query(spark: SparkSession) -> int:
    """Return the id of the newest query of a session; -1 where there is none."""
    store: Any = spark._jsparkSession.sharedState().statusStore()
    return max((int(one.executionId()) for one in _each(store.executionsList())), default=-1)


def rows_done(spark: SparkSession, before: int = -1) -> int:
    """Return how many rows the newest query has back from Python, as far as Spark has heard.

    Args:
        spark: A session.
        before: Queries up to this id don't count.
    """
    newest = _last_query(spark)
    if newest <= before:
        return 0
    store: Any = spark._jsparkSession.sharedState().statusStore()
    values = store.executionMetrics(newest)
    counts = [
        values.get(metric.accumulatorId())
        for node in _each(store.planGraph(newest).allNodes())
        if "Arrow" in node.name()
        for metric in _each(node.metrics())
        if metric.name() == "number of output rows"
    ]
    # As the web page shows them: "1,024".
    return sum(int(one.get().replace(",", "")) for one in counts if one.isDefined())


def _each(sequence: Any) -> Iterator[Any]:
    """Iterate over a sequence of Scala's."""
    return (sequence.apply(place) for place in range(sequence.size()))

"""How far the running job is, from Spark's own status tracker."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from pyspark import SparkContext
from pyspark.sql import SparkSession

_EVERY_SECONDS = 0.2


@contextmanager
def shown_progress(spark: SparkSession, text: str, *, show: bool) -> Iterator[None]:
    """Show a bar on stderr, one step a finished task, while the body runs.

    Args:
        spark: The session whose jobs are shown.
        text: What stands before the bar.
        show: False for no bar at all (stderr is no terminal, say).
    """
    if not show:
        yield
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn(text), BarColumn(), MofNCompleteColumn(), TextColumn("tasks"))
    bar = Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True)
    ended = threading.Event()
    with bar:
        thread = threading.Thread(
            target=_poll, args=(spark.sparkContext, bar, ended), name="progress", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join(timeout=5)


def _poll(context: SparkContext, bar: object, ended: threading.Event) -> None:
    from rich.progress import Progress

    assert isinstance(bar, Progress)
    task = bar.add_task("", total=None)
    stages: dict[int, tuple[int, int]] = {}
    while not ended.wait(_EVERY_SECONDS):
        try:
            stages.update(_active_stages(context))
        except Exception:  # the context is being stopped: nothing is left to show
            return
        if stages:
            done, total = (sum(column) for column in zip(*stages.values(), strict=True))
            bar.update(task, completed=done, total=total)


def _active_stages(context: SparkContext) -> dict[int, tuple[int, int]]:
    """Return finished and all tasks of each stage that runs."""
    tracker = context.statusTracker()
    infos = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
    return {
        info.stageId: (info.numCompletedTasks, info.numTasks) for info in infos if info is not None
    }

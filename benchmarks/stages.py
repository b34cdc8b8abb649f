"""CPU timers around the stages of our worker's loop, in this process, on one thread, no Spark."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any
from unittest import mock

import pyarrow as pa
from pyspark.sql import DataFrame

import tf2spark
from benchmarks.reports import markdown_table
from tf2spark.binding.bind import bind
from tf2spark.binding.options import make_options
from tf2spark.conversion.from_arrow import feeder
from tf2spark.conversion.to_arrow import columns_builder
from tf2spark.plan.score import Plan
from tf2spark.spark.scan.parquet_scan import plan_scan
from tf2spark.tensorflow_c.session import CApiSession
from tf2spark.worker import run_conversion, score_loop
from tf2spark.worker.model_session import session_of
from tf2spark.worker.reading.parquet_reader import ParquetTask, read_batches

READING, TO_TENSORS, RUNNING = "reading Parquet", "columns to tensors", "running TensorFlow"
TO_COLUMNS, LOOP = "tensors to columns", "loop overhead"
Stages = dict[str, float]
"""CPU seconds per million rows, by stage."""


def measure_stages(path: str, df: DataFrame, rows: int, **options: Any) -> Stages:
    """Read and score about `rows` rows of the table in this process; return the CPU time by stage.

    Args:
        path: The SavedModel.
        df: A table that the workers could read themselves.
        rows: How many rows to read, up to the end of a batch.
        options: `keep`, `feed` and `fetch` of `score`.
    """
    tasks = plan_scan(df, 4096, verify=False).tasks
    reads = (_read(tasks, rows) for _ in range(3))
    seconds, batches = min(reads, key=lambda read: read[0])
    count = sum(batch.num_rows for batch in batches)
    stages = {READING: seconds} | _time_stages(_plan(path, batches[0].schema, **options), batches)
    return {name: seconds / count * 1e6 for name, seconds in stages.items()}


def _read(tasks: Sequence[ParquetTask], rows: int) -> tuple[float, list[pa.RecordBatch]]:
    """Read about `rows` rows; return the CPU seconds and the batches."""
    batches: list[pa.RecordBatch] = []
    start = time.process_time()
    for batch in itertools.chain.from_iterable(map(read_batches, tasks)):
        batches.append(batch)
        if sum(batch.num_rows for batch in batches) >= rows:
            break
    return time.process_time() - start, batches


def stages_table(stages: Stages) -> str:
    """Return the stages as a Markdown table."""
    total = sum(stages.values())
    lines = [
        [name, f"{seconds * 1e3:,.0f}", f"{seconds / total:.0%}"]
        for name, seconds in [*stages.items(), ("total", total)]
    ]
    head = ["stages of our worker (one thread, no Spark)", "CPU ms per million rows", "share"]
    return markdown_table(head, lines)


def _time_stages(
    plan: Plan, batches: Sequence[pa.RecordBatch], repeats: int = 7
) -> dict[str, float]:
    """Return the seconds of each stage in the fastest of `repeats` runs over the batches."""
    runs = [_time_once(plan, batches) for _ in range(repeats)]
    return min(runs, key=lambda stages: sum(stages.values()))


def _plan(
    path: str,
    schema: pa.Schema,
    *,
    keep: Sequence[str] = ("id",),
    feed: Any = None,
    fetch: Any = None,
) -> Plan:
    model = tf2spark.SavedModel(path)
    options = make_options(
        keep=keep, batch_rows=None, mode="failfast", error_column=None, reproducible=False
    )
    request = model._runnable.request(None, feed, fetch)
    return bind(request, schema, options, model._runnable.reference_for(request, threads=1))


def _time_once(plan: Plan, batches: Sequence[pa.RecordBatch]) -> dict[str, float]:
    """Run the loop once, with timers around the functions of the stages."""
    clock: Counter[str] = Counter()
    prepare = CApiSession.prepare

    def timed_feeder(*arguments: Any) -> Any:
        return _timed(clock, TO_TENSORS, feeder(*arguments))

    def timed_prepare(self: CApiSession, feeds: Sequence[str], fetches: Sequence[str]) -> Any:
        return _timed(clock, RUNNING, prepare(self, feeds, fetches))

    def timed_builder(*arguments: Any) -> Any:
        return _timed(clock, TO_COLUMNS, columns_builder(*arguments))

    with (
        mock.patch.object(run_conversion, "feeder", timed_feeder),
        mock.patch.object(run_conversion, "columns_builder", timed_builder),
        mock.patch.object(CApiSession, "prepare", timed_prepare),
    ):
        session = session_of(plan.model)
        start = time.process_time()
        for _ in score_loop.score_batches(plan, session, batches):
            pass
        total = time.process_time() - start
    stages = {name: clock[name] for name in (TO_TENSORS, RUNNING, TO_COLUMNS)}
    return stages | {LOOP: total - sum(clock.values())}


def _timed(clock: Counter[str], name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def timed(*arguments: Any) -> Any:
        start = time.process_time()
        try:
            return function(*arguments)
        finally:
            clock[name] += time.process_time() - start  # type: ignore[assignment]

    return timed

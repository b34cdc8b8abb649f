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
from tf2spark.conversion.to_arrow import column_builder
from tf2spark.plan.score import Plan
from tf2spark.spark.parquet_scan import plan_tasks
from tf2spark.tensorflow_c.session import CApiSession
from tf2spark.worker import score_loop
from tf2spark.worker.model_session import session_of
from tf2spark.worker.parquet_reader import ParquetTask, read_batches

READING, LOOP = "reading Parquet", "the loop around them"
STAGES = ("columns to tensors", "TensorFlow's run", "tensors to columns")
Stages = dict[str, float]
"""CPU seconds a million rows, by stage."""


def stages_of(path: str, df: DataFrame, rows: int, **options: Any) -> Stages:
    """Read and score about `rows` rows of the table here and say where the CPU time went."""
    tasks = plan_tasks(df, 4096, verify=False)
    read, batches = min((_read(tasks, rows) for _ in range(3)), key=lambda found: found[0])
    count = sum(one.num_rows for one in batches)
    found = {READING: read} | measure(_plan(path, batches[0].schema, **options), batches)
    return {name: seconds / count * 1e6 for name, seconds in found.items()}


def _read(tasks: Sequence[ParquetTask], rows: int) -> tuple[float, list[pa.RecordBatch]]:
    """Read about so many rows, and say what CPU time that took."""
    batches: list[pa.RecordBatch] = []
    start = time.process_time()
    for batch in itertools.chain.from_iterable(map(read_batches, tasks)):
        batches.append(batch)
        if sum(one.num_rows for one in batches) >= rows:
            break
    return time.process_time() - start, batches


def stages_table(found: Stages) -> str:
    """Write the stages as a table."""
    whole = sum(found.values())
    lines = [
        [name, f"{seconds * 1e3:,.0f}", f"{seconds / whole:.0%}"]
        for name, seconds in [*found.items(), ("together", whole)]
    ]
    head = ["our worker's stages (one thread, no Spark)", "CPU ms a million rows", "share"]
    return markdown_table(head, lines)


def measure(plan: Plan, batches: Sequence[pa.RecordBatch], repeats: int = 7) -> dict[str, float]:
    """Return the seconds of each stage in the fastest of `repeats` runs over the batches."""
    timed = [_once(plan, batches) for _ in range(repeats)]
    return min(timed, key=lambda found: sum(found.values()))


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


def _once(plan: Plan, batches: Sequence[pa.RecordBatch]) -> dict[str, float]:
    """Time the loop once, with timers in place of the stages' own functions."""
    clock: Counter[str] = Counter()
    prepare = CApiSession.prepare

    def feed(*given: Any) -> Any:
        return _timed(clock, STAGES[0], feeder(*given))

    def prepared(self: CApiSession, feeds: Sequence[str], fetches: Sequence[str]) -> Any:
        return _timed(clock, STAGES[1], prepare(self, feeds, fetches))

    def column(*given: Any) -> Any:
        return _timed(clock, STAGES[2], column_builder(*given))

    with (
        mock.patch.object(score_loop, "feeder", feed),
        mock.patch.object(score_loop, "column_builder", column),
        mock.patch.object(CApiSession, "prepare", prepared),
    ):
        session = session_of(plan.model)
        start = time.process_time()
        for _ in score_loop.score_batches(plan, session, batches):
            pass
        whole = time.process_time() - start
    rest = whole - sum(clock.values())
    return {name: clock[name] for name in STAGES} | {LOOP: rest}


def _timed(clock: Counter[str], name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def timed(*given: Any) -> Any:
        start = time.process_time()
        try:
            return function(*given)
        finally:
            clock[name] += time.process_time() - start  # type: ignore[assignment]

    return timed

"""CPU timers around the stages of our worker's loop, in this process, on one thread, no Spark."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any
from unittest import mock

import pyarrow as pa
from pyspark.sql import DataFrame

import tf2spark
from benchmarks.reports import markdown_table
from tf2spark.binding.bind import bind, make_options
from tf2spark.plan import Plan
from tf2spark.runtime import scorer
from tf2spark.runtime.session import CApiSession
from tf2spark.runtime.worker_session import session_of

STAGES = ("columns to tensors", "TensorFlow's run", "tensors to columns")


def stages_table(path: str, df: DataFrame, rows: int, **options: Any) -> str:
    """Score up to `rows` rows of the table here and say where the time went."""
    table = df.limit(rows).toArrow().combine_chunks()
    batches = table.to_batches(max_chunksize=10_000)  # as many rows as Spark sends at once
    found = measure(_plan(path, table.schema, **options), batches)
    whole = sum(found.values())
    lines = [
        [name, f"{seconds / table.num_rows * 1e9:,.0f}", f"{seconds / whole:.0%}"]
        for name, seconds in [*found.items(), ("together", whole)]
    ]
    head = ["our worker's stages (one thread, no Spark)", "CPU ms a million rows", "share"]
    return markdown_table(head, lines)


def measure(plan: Plan, batches: Sequence[pa.RecordBatch], repeats: int = 7) -> dict[str, float]:
    """Return the seconds of each stage in the fastest of `repeats` runs over the batches."""
    timed = [_once(plan, batches) for _ in range(repeats)]
    return min(timed, key=lambda found: sum(found.values()))


def _plan(path: str, schema: pa.Schema, *, feed: Any = None, fetch: Any = None) -> Plan:
    model = tf2spark.SavedModel(path)
    options = make_options(
        keep=["id"], batch_rows=None, mode="failfast", error_column=None, reproducible=False
    )
    request = model._request(None, feed, fetch)
    return bind(request, schema, options, model._reference(request, threads=1))


def _once(plan: Plan, batches: Sequence[pa.RecordBatch]) -> dict[str, float]:
    """Time the loop once, with timers in place of the stages' own functions."""
    clock: Counter[str] = Counter()
    feeder, columner, prepare = scorer.feeder, scorer.columner, CApiSession.prepare

    def feed(*given: Any) -> Any:
        return _timed(clock, STAGES[0], feeder(*given))

    def prepared(self: CApiSession, feeds: Sequence[str], fetches: Sequence[str]) -> Any:
        return _timed(clock, STAGES[1], prepare(self, feeds, fetches))

    def column(*given: Any) -> Any:
        return _timed(clock, STAGES[2], columner(*given))

    with (
        mock.patch.object(scorer, "feeder", feed),
        mock.patch.object(scorer, "columner", column),
        mock.patch.object(CApiSession, "prepare", prepared),
    ):
        session = session_of(plan.model)
        start = time.process_time()
        for _ in scorer.score_batches(plan, session, batches):
            pass
        whole = time.process_time() - start
    rest = whole - sum(clock.values())
    return {name: clock[name] for name in STAGES} | {"the loop around them": rest}


def _timed(clock: Counter[str], name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def timed(*given: Any) -> Any:
        start = time.process_time()
        try:
            return function(*given)
        finally:
            clock[name] += time.process_time() - start  # type: ignore[assignment]

    return timed

"""Timers around the stages of our scorer, in this process, on one thread, without Spark."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any
from unittest import mock

import pyarrow as pa
from pyspark.sql import DataFrame

import tf2spark
from benchmarks.harness import markdown_table
from tf2spark.runtime import scorer
from tf2spark.runtime.session import CApiSession


def stages_table(path: str, df: DataFrame, rows: int, **options: Any) -> str:
    """Score up to `rows` rows of the table's files here and say where the time went."""
    found, scored = measure(path, df, rows, **options)
    head = ["our worker's stages (one thread, no Spark)", "ms a million rows", "share"]
    whole = sum(found.values())
    lines = [
        [name, f"{seconds / scored * 1e9:,.0f}", f"{seconds / whole:.0%}"]
        for name, seconds in found.items()
    ]
    lines.append(["together", f"{whole / scored * 1e9:,.0f}", "100%"])
    return markdown_table(head, lines)


def measure(
    path: str, df: DataFrame, rows: int, *, feed: Any = None, repeats: int = 5, **options: Any
) -> tuple[dict[str, float], int]:
    """Return the seconds of each stage of the fastest of `repeats` runs, and the rows scored."""
    model = tf2spark.SavedModel(path)
    table = _arrow_of(df, rows)
    threads = mock.patch("tf2spark.model._cores", return_value=1)
    best: dict[str, float] = {}
    with threads:
        model.score(table, feed=feed, keep=["id"], **options)
        for _ in range(repeats):
            found = _once(lambda: model.score(table, feed=feed, keep=["id"], **options))
            if not best or sum(found.values()) < sum(best.values()):
                best = found
    return best, table.num_rows


def _arrow_of(df: DataFrame, rows: int) -> pa.Table:
    table = df.limit(rows).toArrow()
    return pa.Table.from_batches(table.combine_chunks().to_batches(max_chunksize=10_000))


def _once(score: Callable[[], Any]) -> dict[str, float]:
    """Time one call of `score` with timers in place of the stages' own functions."""
    clock: Counter[str] = Counter()
    feeder, columner, prepare = scorer.feeder, scorer.columner, CApiSession.prepare

    def feed(*given: Any) -> Any:
        return _timed(clock, "columns to tensors", feeder(*given))

    def column(*given: Any) -> Any:
        return _timed(clock, "tensors to columns", columner(*given))

    def prepared(self: CApiSession, feeds: Sequence[str], fetches: Sequence[str]) -> Any:
        return _timed(clock, "TensorFlow's run", prepare(self, feeds, fetches))

    with (
        mock.patch.object(scorer, "feeder", feed),
        mock.patch.object(scorer, "columner", column),
        mock.patch.object(CApiSession, "prepare", prepared),
    ):
        start = time.perf_counter()
        score()
        whole = time.perf_counter() - start
    rest = whole - sum(clock.values())
    order = ["columns to tensors", "TensorFlow's run", "tensors to columns"]
    return {name: clock[name] for name in order} | {"the loop around them": rest}


def _timed(clock: Counter[str], name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def timed(*given: Any) -> Any:
        start = time.perf_counter()
        try:
            return function(*given)
        finally:
            clock[name] += time.perf_counter() - start  # type: ignore[assignment]

    return timed

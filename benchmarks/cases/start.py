"""From the start of a fresh Spark Python worker to its first scored batch.

Every run gets a new pool of workers, so a new worker process, forked by Spark's daemon as on a
cluster. The worker reads the system's clock when its first batch is scored, and how long ago the
kernel started the process; model and libraries are in the page cache. Both score the same 4,096
rows of the case `dense`.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa
from pyspark.ml.functions import predict_batch_udf
from pyspark.sql import DataFrame
from pyspark.sql.types import FloatType

from benchmarks import data, models
from benchmarks.cases.common import PEER, US
from benchmarks.harness import Bench, Report, markdown_table
from benchmarks.pools import pool
from benchmarks.scoring import scored
from tf2spark.spark import score as scoring

WIDTH = 128
ROWS = 4096
STAGES = ("called", "imported", "loaded", "scored")


def run(bench: Bench) -> Report:
    report = Report("start: from a worker's start to its first scored batch")
    df = data.dense(bench.spark, bench.folder, ROWS).coalesce(1)
    path = models.path_of(bench.folder, f"mlp-{WIDTH}")
    marks: dict[str, list[dict[str, float]]] = {US: [], PEER: []}
    for turn in range(-1, bench.runs):
        for name, job in ((US, _ours), (PEER, _theirs)):
            found = _fresh_worker(bench, f"start {name} {turn}", df, path, job)
            if turn >= 0:
                marks[name].append(found)
    report.add(_table(marks))
    pairs = [b["scored"] / a["scored"] for a, b in zip(marks[US], marks[PEER], strict=True)]
    medians = {name: statistics.median(m["scored"] for m in marks[name]) for name in marks}
    spread = f", {min(pairs):.2f} to {max(pairs):.2f} by round"
    report.target("Sooner than predict_batch_udf", 4, medians[PEER] / medians[US], spread)
    report.add(_bound(marks))
    return report


def _fresh_worker(
    bench: Bench,
    name: str,
    df: DataFrame,
    path: str,
    job: Callable[[DataFrame, str, str], DataFrame],
) -> dict[str, float]:
    file = bench.folder / "start.json"
    file.unlink(missing_ok=True)
    with pool(bench.spark, name):
        job(df, path, str(file)).write.format("noop").mode("overwrite").save()
    return dict(json.loads(file.read_text()))


def _ours(df: DataFrame, path: str, file: str) -> DataFrame:
    original = scoring.partition_scorer

    def partition_scorer(plan: Any) -> Any:
        score = original(plan)

        def timed(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            from tf2spark.runtime.worker_session import session_of

            marks = {"called": seconds_alive()}
            _ = [marks.setdefault("imported", seconds_alive())]
            session_of(plan.model)
            marks["loaded"] = seconds_alive()
            for batch in score(batches):
                mark_first(file, marks)
                yield batch

        return timed

    with mock.patch.object(scoring, "partition_scorer", partition_scorer):
        return scored(path, df, ["id"], carrier="map_in_arrow", batch_rows=ROWS)


def _theirs(df: DataFrame, path: str, file: str) -> DataFrame:
    def make_predict_fn() -> Callable[[np.ndarray], np.ndarray]:
        marks = {"called": seconds_alive()}
        import tensorflow as tf

        marks["imported"] = seconds_alive()
        model = tf.saved_model.load(path)
        score = model.signatures["serving_default"]
        marks["loaded"] = seconds_alive()

        def predict(features: np.ndarray) -> np.ndarray:
            found = score(features=tf.constant(features))["output_0"].numpy()
            mark_first(file, marks)
            return found

        predict.model = model  # type: ignore[attr-defined]
        return predict

    udf = predict_batch_udf(
        make_predict_fn, return_type=FloatType(), batch_size=ROWS, input_tensor_shapes=[[WIDTH]]
    )
    return df.select("id", udf("features").alias("score"))


def seconds_alive() -> float:
    """Return the age of this process, to 10 ms. Source: proc(5), stat, field 22 in clock ticks."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    started = int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started


def mark_first(file: str, marks: dict[str, float]) -> None:
    """Write the marks down when the first batch has been scored."""
    if "scored" not in marks:
        marks["scored"] = seconds_alive()
        Path(file).write_text(json.dumps(marks))


def _table(marks: dict[str, list[dict[str, float]]]) -> str:
    head = ["seconds after the worker's start", *STAGES, "range of scored"]
    lines = []
    for name, found in marks.items():
        scored_at = [one["scored"] for one in found]
        medians = [f"{statistics.median(one[stage] for one in found):.2f}" for stage in STAGES]
        lines.append([name, *medians, f"{min(scored_at):.2f} to {max(scored_at):.2f}"])
    return markdown_table(head, lines)


def _bound(marks: dict[str, list[dict[str, float]]]) -> str:
    at = {stage: statistics.median(one[stage] for one in marks[US]) for stage in STAGES}
    return (
        f"Ours: {at['called']:.2f} s until Spark calls the function (its own imports and the "
        f"unpickling of ours), {at['loaded'] - at['called']:.2f} s to open TensorFlow's library "
        f"and load the model, {at['scored'] - at['loaded']:.2f} s for the first batch."
    )

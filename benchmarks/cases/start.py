"""From the start of a fresh Spark Python worker to its first scored batch.

Every run gets a new pool of workers, so a new worker process, forked by Spark's daemon as on a
cluster. The worker reads the system's clock when its first batch is scored, and how long ago the
kernel started the process; model and libraries are in the page cache. Both score the same 4,096
rows of the case `dense`.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa
from pyspark.ml.functions import predict_batch_udf
from pyspark.sql import DataFrame
from pyspark.sql.types import FloatType

from benchmarks import data, models
from benchmarks.cases.rows import PEER, US
from benchmarks.harness import Bench
from benchmarks.inside import mark_first, seconds_alive
from benchmarks.pools import pool
from benchmarks.reports import Report, markdown_table
from benchmarks.scoring import scored
from tf2spark.spark import score as scoring
from tf2spark.worker import spark_tasks

WIDTH = 128
ROWS = 4096
STAGES = ("called", "loaded", "scored")


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
    report.target("Sooner after the worker's start", 4, *_sooner(marks, since=None))
    report.target("Sooner after Spark called the function", 4, *_sooner(marks, since="called"))
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
    original = spark_tasks.partition_scorer

    def partition_scorer(plan: Any, *how: Any) -> Any:
        score = original(plan, *how)

        def timed(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            from tf2spark.worker.model_session import session_of

            marks = {"called": seconds_alive()}
            session_of(plan.model)
            marks["loaded"] = seconds_alive()
            for batch in score(iter(batches)):
                mark_first(file, marks)
                yield batch

        return timed

    with mock.patch.object(scoring, "partition_scorer", partition_scorer):
        return scored(path, df, ["id"], carrier="map_in_arrow", batch_rows=ROWS)


def _theirs(df: DataFrame, path: str, file: str) -> DataFrame:
    def make_predict_fn() -> Callable[[np.ndarray], np.ndarray]:
        marks = {"called": seconds_alive()}
        import tensorflow as tf

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


def _sooner(marks: dict[str, list[dict[str, float]]], since: str | None) -> tuple[float, str]:
    """Return the ratio of the medians, and its spread as text."""
    took = {
        name: [one["scored"] - (one[since] if since else 0) for one in found]
        for name, found in marks.items()
    }
    pairs = [theirs / ours for ours, theirs in zip(took[US], took[PEER], strict=True)]
    medians = {name: statistics.median(found) for name, found in took.items()}
    return medians[PEER] / medians[US], f", {min(pairs):.2f} to {max(pairs):.2f} by round"


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

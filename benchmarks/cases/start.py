"""From the start of a fresh Spark Python worker to its first scored batch.

Every run gets a new pool of workers and so a new worker process, forked by Spark's daemon as on a
cluster. When its first batch is scored, the worker records how long ago the kernel started the
process. Model and libraries are in the page cache. Both contenders score the same 4,096 rows of the
case `dense`.
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
from benchmarks.pools import pool
from benchmarks.reports import Report, markdown_table
from benchmarks.scoring import score_table
from benchmarks.worker_probes import mark_first, seconds_alive
from tf2spark.spark import score as scoring
from tf2spark.worker import spark_tasks

WIDTH = 128
ROWS = 4096
STAGES = ("called", "loaded", "scored")
Marks = dict[str, list[dict[str, float]]]
"""By contender and run: the worker's age in seconds at each stage."""


def run(bench: Bench) -> Report:
    report = Report("start: from a worker's start to its first scored batch")
    df = data.dense(bench.spark, bench.folder, ROWS).coalesce(1)
    path = models.path_of(bench.folder, f"mlp-{WIDTH}")
    marks: Marks = {US: [], PEER: []}
    for turn in range(-1, bench.runs):
        for name, job in ((US, _ours), (PEER, _theirs)):
            worker_marks = _run_in_new_worker(bench, f"start {name} {turn}", df, path, job)
            if turn >= 0:
                marks[name].append(worker_marks)
    report.add(_table(marks))
    for start, since in (("the worker's start", None), ("Spark's call of the function", "called")):
        report.target(f"First batch scored sooner, from {start}", 4, *_speedup(marks, since))
    report.add(_our_stages(marks))
    return report


def _run_in_new_worker(
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

    def partition_scorer(plan: Any, *arguments: Any) -> Any:
        score = original(plan, *arguments)

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
        return score_table(path, df, ["id"], carrier="map_in_arrow", batch_rows=ROWS)


def _theirs(df: DataFrame, path: str, file: str) -> DataFrame:
    def make_predict_fn() -> Callable[[np.ndarray], np.ndarray]:
        marks = {"called": seconds_alive()}
        import tensorflow as tf

        model = tf.saved_model.load(path)
        score = model.signatures["serving_default"]
        marks["loaded"] = seconds_alive()

        def predict(features: np.ndarray) -> np.ndarray:
            scores = score(features=tf.constant(features))["output_0"].numpy()
            mark_first(file, marks)
            return scores

        predict.model = model  # type: ignore[attr-defined]
        return predict

    udf = predict_batch_udf(
        make_predict_fn, return_type=FloatType(), batch_size=ROWS, input_tensor_shapes=[[WIDTH]]
    )
    return df.select("id", udf("features").alias("score"))


def _speedup(marks: Marks, since: str | None) -> tuple[float, str]:
    """Return the ratio of the medians, and its range across rounds as text.

    Times are from the mark `since`, or from the worker's start.
    """
    seconds = {
        name: [run["scored"] - (run[since] if since else 0) for run in runs]
        for name, runs in marks.items()
    }
    ratios = [theirs / ours for ours, theirs in zip(seconds[US], seconds[PEER], strict=True)]
    ratio = statistics.median(seconds[PEER]) / statistics.median(seconds[US])
    return ratio, f", {min(ratios):.2f} to {max(ratios):.2f} across rounds"


def _table(marks: Marks) -> str:
    head = ["seconds since the worker started", *STAGES, "range of scored"]
    lines = []
    for name, runs in marks.items():
        scored = [run["scored"] for run in runs]
        medians = [f"{statistics.median(run[stage] for run in runs):.2f}" for stage in STAGES]
        lines.append([name, *medians, f"{min(scored):.2f} to {max(scored):.2f}"])
    return markdown_table(head, lines)


def _our_stages(marks: Marks) -> str:
    at = {stage: statistics.median(run[stage] for run in marks[US]) for stage in STAGES}
    return (
        f"Ours: {at['called']:.2f} s until Spark calls the function (Spark's own imports and "
        f"unpickling our function), {at['loaded'] - at['called']:.2f} s to open TensorFlow's "
        f"library and load the model, {at['scored'] - at['loaded']:.2f} s for the first batch."
    )

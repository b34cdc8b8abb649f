"""How long a micro-batch of a streaming query takes, from the query's own progress.

Every batch has the same number of rows (Spark's source ``rate-micro-batch``), starts when the one
before it has ended, and goes to the sink ``noop``. Its time is that of the whole micro-batch:
Spark's planning, its log of offsets and commits, and the job.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from attrs import frozen
from pyspark.sql import DataFrame

from benchmarks import floors, models
from benchmarks.cases.rows import FLOOR, PEER, US
from benchmarks.harness import Bench, session_conf
from benchmarks.peers import predict_batch_udf
from benchmarks.pools import pool
from benchmarks.reports import Report, compare, markdown_table
from benchmarks.scoring import score_table

PEERS = (PEER,)
WIDTH = 128
SPARK_ONLY = "no scoring"
# Workers start and the JVM warms up in these.
_FIRST_BATCHES = 5
_PARTITIONS = 2
_WAIT_SECONDS = 600
Job = Callable[[DataFrame], DataFrame]


@frozen
class BatchTimes:
    """The times of a query's micro-batches, in milliseconds.

    Attributes:
        first: The first one, in which workers start and open the model.
        later: Those after the warm-up.
        jobs: The part of `later` in which the job ran (``addBatch``).
    """

    first: float
    later: Sequence[float]
    jobs: Sequence[float]


def run(bench: Bench) -> Report:
    batches = 20 if bench.scale == "small" else 1_000
    sizes = (bench.rows,) if bench.rows else (100, 10_000)
    jobs = _jobs(models.path_of(bench.folder, f"mlp-{WIDTH}"), bench.peer)
    report = Report(
        f"stream: {batches:,} micro-batches of a streaming query",
        runs="each query ran once, one after the other",
    )
    lines = []
    for rows in sizes:
        times = {
            name: _batch_times(bench, f"{name} {rows}", job, rows, batches)
            for name, job in jobs.items()
        }
        lines += [[name, f"{rows:,}", *_cells(of_query)] for name, of_query in times.items()]
    head = ["", "rows per batch", "first ms", "median ms", "p99 ms", "longest ms", "job median ms"]
    report.add(markdown_table(head, lines))
    compare(report, _answers(bench, jobs))
    return report


def _jobs(path: str, peer: str | None) -> Mapping[str, Job]:
    def theirs(df: DataFrame) -> DataFrame:
        return df.select("id", predict_batch_udf.dense_udf(path, WIDTH)("features").alias("score"))

    return {
        US: lambda df: score_table(path, df, ["id"], fetch={"score": "output_0"}),
        **({PEER: theirs} if peer in (None, PEER) else {}),
        FLOOR: lambda df: floors.map_in_arrow(df, ["id"]),
        SPARK_ONLY: lambda df: df,
    }


def _houses(df: DataFrame, value: str) -> DataFrame:
    """Return rows with an id and features that follow from it."""
    number = f"CAST((({value} * 7 + n * n) % 31) / 31 AS FLOAT)"
    features = f"transform(sequence(1, {WIDTH}), n -> {number}) AS features"
    return df.selectExpr(f"{value} AS id", features)


def _batch_times(bench: Bench, name: str, job: Job, rows: int, batches: int) -> BatchTimes:
    """Run a query until it has done its micro-batches, and return their times."""
    source = bench.spark.readStream.format("rate-micro-batch").options(
        rowsPerBatch=rows, numPartitions=_PARTITIONS
    )
    wanted = _FIRST_BATCHES + batches
    kept = {"spark.sql.streaming.numRecentProgressUpdates": str(wanted + batches)}
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as checkpoint,
        pool(bench.spark, f"stream {name}"),
        session_conf(bench.spark, kept),
    ):
        writer = job(_houses(source.load(), "value")).writeStream.format("noop")
        query = writer.option("checkpointLocation", checkpoint).start()
        deadline = time.monotonic() + _WAIT_SECONDS
        try:
            while (last := query.lastProgress) is None or last["batchId"] < wanted - 1:
                if query.exception() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"the query {name} stopped at {last}: {query.exception()}")
                time.sleep(0.05)
            progress = [each["durationMs"] for each in query.recentProgress[:wanted]]
        finally:
            query.stop()
    later = progress[_FIRST_BATCHES:]
    seconds = sum(each["triggerExecution"] for each in progress) / 1e3
    print(f"  {name}: {len(progress)} micro-batches in {seconds:.1f} s", file=sys.stderr)
    return BatchTimes(
        progress[0]["triggerExecution"],
        [each["triggerExecution"] for each in later],
        [each["addBatch"] for each in later],
    )


def _cells(times: BatchTimes) -> list[str]:
    ninety_ninth = float(np.percentile(times.later, 99))
    values = (
        times.first,
        statistics.median(times.later),
        ninety_ninth,
        max(times.later),
        statistics.median(times.jobs),
    )
    return [f"{value:,.0f}" for value in values]


def _answers(bench: Bench, jobs: Mapping[str, Job]) -> dict[str, npt.NDArray[np.float32]]:
    """Return the scores of a table, by those that compute them."""
    houses = _houses(bench.spark.range(1_000), "id")
    scores = {}
    for name in (US, PEER):
        if name in jobs:
            with pool(bench.spark, f"stream {name}"):
                arrow = jobs[name](houses).toArrow().sort_by("id")
            scores[name] = arrow["score"].to_numpy()
    return scores

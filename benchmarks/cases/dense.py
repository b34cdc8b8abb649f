"""Rows of 128 floats through a small MLP, with and without the features in the result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyspark.sql import DataFrame

from benchmarks import data, floors, models
from benchmarks.cases.rows import (
    FLOOR,
    PEER,
    READ,
    START_UP,
    UDF_FLOOR,
    US,
    US_SPARK_READS,
    describe_bottlenecks,
    run_rows,
)
from benchmarks.contenders import JAVA, MLFLOW, peer_contender
from benchmarks.harness import Bench, Contender
from benchmarks.peers import predict_batch_udf as peer
from benchmarks.reports import Report
from benchmarks.scoring import describe_carrier, score_table
from benchmarks.stages import Stages, measure_stages, stages_table

WIDTH = 128
PEERS = ("predict_batch_udf", "mlflow", "tensorflow-java", "tensorflow", "onnx", "ray")


def run(bench: Bench) -> Report:
    rows = bench.choose_rows(small=100_000, full=1_000_000)
    report = Report(f"dense: array<float> {WIDTH} wide, MLP {WIDTH} - 64 - 1, {rows:,} rows")
    df = data.dense(bench.spark, bench.folder, rows)
    path = models.path_of(bench.folder, f"mlp-{WIDTH}")
    udf = peer.dense_udf(path, WIDTH)
    few = data.dense(bench.spark, bench.folder, 1_000)
    start_up = Contender(
        START_UP, lambda: score_table(path, few, ["id"], fetch={"score": "output_0"})
    )
    more = [*_peer_contenders(bench, df, path), start_up]
    for keep, others in ((["id"], more), (["id", "features"], [])):
        stages = measure_stages(
            path, df, min(rows, 200_000), keep=keep, fetch={"score": "output_0"}
        )
        _run_keeping(bench, report, df, path, udf, keep, others, stages)
    return report


def _peer_contenders(bench: Bench, df: DataFrame, path: str) -> list[Contender]:
    arguments = {"model": path, "table": data.folder_of(df), "kind": "dense"}
    return [peer_contender(bench, name, arguments) for name in PEERS[1:]]


def _run_keeping(
    bench: Bench,
    report: Report,
    df: DataFrame,
    path: str,
    udf: Any,
    keep: Sequence[str],
    others: Sequence[Contender],
    stages: Stages,
) -> None:
    fetch = {"score": "output_0"}
    ours = Contender(US, lambda: score_table(path, df, keep, fetch=fetch))
    theirs = Contender(PEER, lambda: df.select(*keep, udf("features").alias("score")), peer=PEER)
    contenders = [
        ours,
        Contender(US_SPARK_READS, lambda: score_table(path, df, keep, read="spark", fetch=fetch)),
        theirs,
        *others,
        Contender(FLOOR, lambda: floors.map_in_arrow(df, keep)),
        Contender(UDF_FLOOR, lambda: floors.arrow_udf(df, keep, ["features"])),
        Contender(READ, lambda: df, python=False),
    ]
    kept = " and ".join(keep)
    report.add(f"### {kept} kept (our carrier: {describe_carrier(score_table(path, df, keep))})")
    rows = df.count()
    counts = {contender.name: rows for contender in contenders} | {START_UP: 1_000}
    goals = {PEER: 1.4, MLFLOW: 1.5, JAVA: 1.0}
    timings = run_rows(bench, report, f"dense rows, {kept} kept", contenders, counts, goals)
    report.add(describe_bottlenecks(timings, rows, stages))
    report.add(stages_table(stages))

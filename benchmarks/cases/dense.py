"""Rows of 128 floats through a small MLP, with and without the features in the result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyspark.sql import DataFrame

from benchmarks import data, floors, models
from benchmarks.cases.common import COLUMN_FLOOR, FLOOR, PEER, READ, US, bound
from benchmarks.harness import (
    Bench,
    Contender,
    Report,
    alternate,
    answers,
    compare,
    ratio,
    times_table,
)
from benchmarks.peers import predict_batch_udf as peer
from benchmarks.scoring import chosen_carrier, scored
from benchmarks.stages import stages_table

WIDTH = 128


def run(bench: Bench) -> Report:
    rows = bench.choose_rows(small=100_000, full=1_000_000)
    report = Report(f"dense: array<float> {WIDTH} wide, MLP {WIDTH} - 64 - 1, {rows:,} rows")
    df = data.dense(bench.spark, bench.folder, rows)
    path = models.path_of(bench.folder, f"mlp-{WIDTH}")
    udf = peer.dense_udf(path, WIDTH)
    for keep in (["id"], ["id", "features"]):
        _with_kept(bench, report, df, path, udf, keep)
    report.add(stages_table(path, df, min(rows, 200_000), fetch={"score": "output_0"}))
    return report


def _with_kept(
    bench: Bench, report: Report, df: DataFrame, path: str, udf: Any, keep: Sequence[str]
) -> None:
    ours = Contender(US, lambda: scored(path, df, keep, fetch={"score": "output_0"}))
    theirs = Contender(PEER, lambda: df.select(*keep, udf("features").alias("score")))
    contenders = [
        ours,
        theirs,
        Contender(FLOOR, lambda: floors.map_in_arrow(df, keep)),
        Contender(COLUMN_FLOOR, lambda: floors.arrow_udf(df, keep, ["features"])),
        Contender(READ, lambda: df, python=False),
    ]
    found = alternate(bench, contenders)
    report.add(f"### {' and '.join(keep)} kept (ours by {chosen_carrier(ours.job())})")
    report.add(times_table(found, df.count()))
    report.target(
        f"Faster than {PEER}, {' and '.join(keep)} kept", 1.4, *ratio(found[PEER], found[US])
    )
    compare(
        report, {one.name: answers(bench, one, by="id", score="score") for one in contenders[:2]}
    )
    report.add(bound(found))

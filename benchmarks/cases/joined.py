"""Dense and sparse rows after a join, so that Spark has to read: packed and plain transport.

Each row is joined with one of a thousand groups, which Spark sends to every task: the join costs
little, and what is compared is how rows get from the JVM to the model.
"""

from __future__ import annotations

from typing import Any

from pyspark.sql import DataFrame

from benchmarks import data, models
from benchmarks.cases import dense, sparse
from benchmarks.cases.rows import FLOOR, READ, US, run_rows
from benchmarks.contenders import JAVA, peer_contender
from benchmarks.floors import map_in_arrow
from benchmarks.harness import Bench, Contender
from benchmarks.reports import Report
from benchmarks.scoring import describe_carrier, score_table
from tf2spark.spark.packed.transport import SETTING

PEERS = ("tensorflow-java",)
PLAIN = "tf2spark, values one by one"


def run(bench: Bench) -> Report:
    rows = bench.choose_rows(small=100_000, full=1_000_000)
    report = Report(f"joined: the rows of dense and sparse after a broadcast join, {rows:,} rows")
    mlp = models.path_of(bench.folder, f"mlp-{dense.WIDTH}")
    table = data.dense(bench.spark, bench.folder, rows)
    _run_kind(bench, report, "dense", table, mlp, rows, fetch={"score": "output_0"})
    embedding = models.path_of(bench.folder, "sparse")
    table = data.sparse(bench.spark, bench.folder, rows)
    _run_kind(bench, report, "sparse", table, embedding, rows, feed=sparse.FEED)
    return report


def _run_kind(
    bench: Bench, report: Report, kind: str, table: DataFrame, path: str, rows: int, **names: Any
) -> None:
    df = data.with_groups(bench.spark, table)

    def score() -> DataFrame:
        return score_table(path, df, ["id"], **names)

    arguments = {"model": path, "table": data.folder_of(table), "kind": kind, "joined": True}
    contenders = [
        Contender(US, score),
        Contender(PLAIN, score, {SETTING: "false"}),
        *(peer_contender(bench, name, arguments) for name in PEERS),
        Contender(FLOOR, lambda: map_in_arrow(df, ["id"])),
        Contender(READ, lambda: df, python=False),
    ]
    report.add(f"### {kind}, id kept (our carrier: {describe_carrier(score())})")
    run_rows(bench, report, f"joined {kind} rows", contenders, rows, {PLAIN: 1.2, JAVA: 1.0})

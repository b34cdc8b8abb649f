"""Dense and sparse rows after a join, which Spark has to run.

Each row is joined with one of a thousand groups, which Spark sends to every task: the join costs
little, and what is compared is how rows get to the model. By default the workers read the features
of joined rows themselves; with read="spark" they pass through the JVM, packed or value by value.
"""

from __future__ import annotations

from typing import Any

from pyspark.sql import DataFrame

from benchmarks import data, models
from benchmarks.cases import dense, sparse
from benchmarks.cases.rows import FLOOR, READ, US, US_SPARK_READS, run_rows
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

    def score(read: str = "auto") -> DataFrame:
        return score_table(path, df, ["id"], read=read, **names)

    def score_by_spark() -> DataFrame:
        return score("spark")

    arguments = {"model": path, "table": data.folder_of(table), "kind": kind, "joined": True}
    contenders = [
        Contender(US, score),
        Contender(US_SPARK_READS, score_by_spark),
        Contender(PLAIN, score_by_spark, {SETTING: "false"}),
        *(peer_contender(bench, name, arguments) for name in PEERS),
        Contender(FLOOR, lambda: map_in_arrow(df, ["id"])),
        Contender(READ, lambda: df, python=False),
    ]
    report.add(f"### {kind}, id kept (our carrier: {describe_carrier(score())})")
    run_rows(bench, report, f"joined {kind} rows", contenders, rows, {PLAIN: 1.2, JAVA: 1.0})

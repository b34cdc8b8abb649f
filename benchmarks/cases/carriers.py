"""`mapInArrow` and `arrow_udf` on the same job with various schemas: the basis of `score`'s choice.

The model is small, so that the carrier dominates the time. The columns that the model doesn't need
are doubles or one string column.
"""

from __future__ import annotations

from collections.abc import Callable
from unittest import mock

from attrs import frozen
from pyspark.sql import DataFrame

from benchmarks import data, models
from benchmarks.harness import Bench, Contender, alternate
from benchmarks.reports import Report, markdown_table, ratio_of
from benchmarks.scoring import describe_carrier, score_table
from tf2spark.spark import score


@frozen
class Table:
    """A schema: the width of the feature column, other columns, and whether features are kept."""

    width: int
    doubles: int = 0
    text_chars: int = 0
    features_kept: bool = False

    def keep(self) -> list[str]:
        others = [f"c{number}" for number in range(self.doubles)]
        text = ["text"] if self.text_chars else []
        return ["id", *(["features"] if self.features_kept else []), *others, *text]


TABLES = [
    *(Table(width, features_kept=kept) for width in (4, 128, 512) for kept in (False, True)),
    *(Table(32, doubles=count) for count in (0, 5, 20, 100)),
    Table(32, doubles=20, features_kept=True),
    Table(128, doubles=20),
    Table(128, doubles=20, features_kept=True),
    Table(32, text_chars=200),
    Table(32, text_chars=2_000),
]

MAP, UDF, UDF_COLUMNAR = "mapInArrow", "arrow_udf", "arrow_udf, columnar input"


def run(bench: Bench) -> Report:
    rows = bench.choose_rows(small=50_000, full=300_000)
    report = Report(f"carriers: mapInArrow and arrow_udf, {rows:,} rows, a small MLP")
    report.add(
        "Seconds, with core-seconds per million rows in parentheses; Spark reads. *Columnar input* "
        "is what Spark 4.3 does by default for Arrow UDFs directly on a scan; `score` avoids it."
    )
    lines = [_line(bench, report, table, rows) for table in TABLES]
    head = ["feature column", "kept in addition to id", MAP, UDF, UDF_COLUMNAR]
    head += ["mapInArrow / arrow_udf", "chosen by score"]
    report.add(markdown_table(head, lines))
    return report


def _line(bench: Bench, report: Report, table: Table, rows: int) -> list[str]:
    row_bytes = table.width * 4 + table.doubles * 8 + table.text_chars
    rows = rows if row_bytes < 2_000 else rows // 3
    df = data.dense(
        bench.spark,
        bench.folder,
        rows,
        width=table.width,
        doubles=table.doubles,
        text_chars=table.text_chars,
    )
    path = models.path_of(bench.folder, f"mlp-{table.width}")
    timings = alternate(bench, _contenders(df, path, table.keep()), report)
    ratio = ratio_of("", MAP, timings[MAP], timings[UDF])
    kept = [
        *(["features"] if table.features_kept else []),
        *([f"{table.doubles} doubles"] if table.doubles else []),
        *([f"a {table.text_chars}-character string"] if table.text_chars else []),
    ]
    return [
        f"{table.width} floats",
        ", ".join(kept) or "nothing",
        *(f"{timing.median:.2f} ({timing.cores / rows * 1e6:.1f})" for timing in timings.values()),
        f"{ratio.times:.2f}{ratio.spread}",
        describe_carrier(score_table(path, df, table.keep(), read="spark")),
    ]


def _contenders(df: DataFrame, path: str, keep: list[str]) -> list[Contender]:
    def job(carrier: str) -> Callable[[], DataFrame]:
        return lambda: score_table(path, df, keep, carrier=carrier)

    def columnar() -> DataFrame:
        with mock.patch.object(score, "_as_rows", side_effect=lambda table: table):
            return score_table(path, df, keep, carrier="arrow_udf")

    pool = "carriers"
    return [
        Contender(MAP, job("map_in_arrow"), pool=pool),
        Contender(UDF, job("arrow_udf"), pool=pool),
        Contender(UDF_COLUMNAR, columnar, pool=pool),
    ]

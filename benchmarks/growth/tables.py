"""Growth of `score`: rows, columns passed through, vector width, rows per batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import evolve
from pyspark.sql import Column, DataFrame

from benchmarks import data, floors, models
from benchmarks.cases.rows import FLOOR, PEER, US
from benchmarks.growth.common import add_memory, add_times, grow, runs_text
from benchmarks.harness import Bench, Contender
from benchmarks.peers import predict_batch_udf as peer
from benchmarks.reports import Report
from benchmarks.scoring import score_table

_RUNS = 3


def rows(bench: Bench) -> Report:
    """The time per row must level off, and memory must not grow."""
    width, bench = 16, _fewer_runs(bench)
    sizes = (10_000, 100_000, 1_000_000, 10_000_000)
    xs = sizes[:3] if bench.scale == "small" else sizes
    report = Report(f"growth-rows: rows of {width} floats, id kept", runs=runs_text(bench))
    points = grow(bench, report, xs, lambda x: _contenders(bench, x, width))
    add_times(report, "growth-rows", "rows", points, lambda x: x)
    add_memory(report, "growth-rows-memory", "rows", points)
    return report


def columns(bench: Bench) -> Report:
    """Columns that the model doesn't need and the result keeps."""
    count, width, bench = bench.choose_rows(small=30_000, full=300_000), 32, _fewer_runs(bench)
    report = Report(
        f"growth-columns: columns of doubles passed through, {count:,} rows of {width} floats",
        runs=runs_text(bench),
    )
    xs = _points(bench, 1, 5, 20, 50, 100, 200)
    points = grow(bench, report, xs, lambda x: _contenders(bench, count, width, doubles=x))
    add_times(report, "growth-columns", "columns passed through", points, lambda _: count)
    return report


def widths(bench: Bench) -> Report:
    """Floats per row; the total number of floats is the same at each width."""
    floats, bench = bench.choose_rows(small=4_000_000, full=64_000_000), _fewer_runs(bench)
    report = Report(
        f"growth-width: floats per row, {floats:,} in total, id kept", runs=runs_text(bench)
    )

    def row_count(width: int) -> int:
        return min(floats // width, 1_000_000)

    xs = _points(bench, 4, 16, 64, 256, 1024, 4096)
    points = grow(bench, report, xs, lambda x: _contenders(bench, row_count(x), x))
    add_times(report, "growth-width", "floats per row", points, row_count)
    add_memory(report, "growth-width-memory", "floats per row", points)
    return report


def batches(bench: Bench) -> Report:
    """Rows per run of the model, and rows that Spark puts into an Arrow batch."""
    count, bench = bench.choose_rows(small=50_000, full=500_000), _fewer_runs(bench)
    report = Report(f"growth-batch: rows per batch, {count:,} rows, id kept", runs=runs_text(bench))
    for table in ("dense", "strings") if bench.scale == "full" else ("dense",):
        xs = _points(bench, 64, 256, 1024, 4096, 16384)
        points = grow(bench, report, xs, _model_batches(bench, table, count))
        report.add(f"### {table}: rows per run of the model; Arrow batches of 16,384 rows")
        add_times(report, f"growth-batch-{table}", "rows per run", points, lambda _: count)
        xs = _points(bench, 256, 1024, 10_000, 50_000, 200_000)
        points = grow(bench, report, xs, _arrow_batches(bench, table, count))
        report.add(f"### {table}: rows per Arrow batch; runs of our default size")
        name = f"growth-arrow-batch-{table}"
        add_times(report, name, "rows per Arrow batch", points, lambda _: count)
    return report


def _model_batches(bench: Bench, table: str, count: int) -> Callable[[int], Sequence[Contender]]:
    df, path = _table_and_model(bench, table, count)
    conf = {"spark.sql.execution.arrow.maxRecordsPerBatch": "16384"}
    return lambda x: [
        Contender(US, lambda: score_table(path, df, ["id"], batch_rows=x), conf),
        Contender(PEER, lambda: df.select("id", _peer_column(table, path, x)), conf, peer=PEER),
    ]


def _arrow_batches(bench: Bench, table: str, count: int) -> Callable[[int], Sequence[Contender]]:
    df, path = _table_and_model(bench, table, count)

    def contenders(x: int) -> Sequence[Contender]:
        conf = {"spark.sql.execution.arrow.maxRecordsPerBatch": str(x)}
        return [
            Contender(US, lambda: score_table(path, df, ["id"]), conf),
            Contender(FLOOR, lambda: floors.map_in_arrow(df, ["id"]), conf),
        ]

    return contenders


def _table_and_model(bench: Bench, table: str, count: int) -> tuple[DataFrame, str]:
    if table == "dense":
        return data.dense(bench.spark, bench.folder, count), models.path_of(bench.folder, "mlp-128")
    return data.strings(bench.spark, bench.folder, count), models.path_of(bench.folder, "strings")


def _peer_column(table: str, path: str, batch_rows: int) -> Column:
    if table == "dense":
        return peer.dense_udf(path, 128, batch_rows=batch_rows)("features").alias("score")
    return peer.strings_udf(path, batch_rows=batch_rows)(*models.WORDS).alias("score")


def _contenders(bench: Bench, count: int, width: int, *, doubles: int = 0) -> list[Contender]:
    df = data.dense(bench.spark, bench.folder, count, width=width, doubles=doubles)
    path = models.path_of(bench.folder, f"mlp-{width}")
    keep = ["id", *(f"c{number}" for number in range(doubles))]
    udf = peer.dense_udf(path, width)
    return [
        Contender(US, lambda: score_table(path, df, keep)),
        Contender(PEER, lambda: df.select(*keep, udf("features").alias("score")), peer=PEER),
        Contender(FLOOR, lambda: floors.map_in_arrow(df, keep)),
    ]


def _points(bench: Bench, *xs: int) -> Sequence[int]:
    """Return all points for a full run; the first, a middle one and the last for a small one."""
    return xs if bench.scale == "full" else (xs[0], xs[len(xs) // 2], xs[-1])


def _fewer_runs(bench: Bench) -> Bench:
    return evolve(bench, runs=min(bench.runs, _RUNS), rows=None)

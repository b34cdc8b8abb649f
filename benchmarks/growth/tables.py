"""Growth of tables that are scored: rows, columns passed through, vector width, batch rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import evolve
from pyspark.sql import Column, DataFrame

from benchmarks import data, floors, models
from benchmarks.cases.rows import FLOOR, PEER, US
from benchmarks.growth.common import grow, said, tell, tell_memory
from benchmarks.harness import Bench, Contender
from benchmarks.peers import predict_batch_udf as peer
from benchmarks.reports import Report
from benchmarks.scoring import scored

_RUNS = 3


def rows(bench: Bench) -> Report:
    """Time a row must level off, memory must not grow."""
    width, bench = 16, _fewer_runs(bench)
    sizes = (10_000, 100_000, 1_000_000, 10_000_000)
    xs = sizes[:3] if bench.scale == "small" else sizes
    report = Report(f"growth-rows: rows of {width} floats, id kept", runs=said(bench))
    found = grow(bench, report, xs, lambda x: _contenders(bench, x, width))
    tell(report, "growth-rows", "rows", found, lambda x: x)
    tell_memory(report, "growth-rows-memory", "rows", found)
    return report


def columns(bench: Bench) -> Report:
    """Columns that the model doesn't need and the result keeps."""
    many, width, bench = bench.choose_rows(small=30_000, full=300_000), 32, _fewer_runs(bench)
    report = Report(
        f"growth-columns: columns of doubles passed through, {many:,} rows of {width} floats",
        runs=said(bench),
    )
    xs = _places(bench, 1, 5, 20, 50, 100, 200)
    found = grow(bench, report, xs, lambda x: _contenders(bench, many, width, doubles=x))
    tell(report, "growth-columns", "columns passed through", found, lambda _: many)
    return report


def widths(bench: Bench) -> Report:
    """Floats of the vector; as many floats in all at each width."""
    floats, bench = bench.choose_rows(small=4_000_000, full=64_000_000), _fewer_runs(bench)
    report = Report(
        f"growth-width: floats of a row's vector, {floats:,} in all, id kept", runs=said(bench)
    )

    def many(width: int) -> int:
        return min(floats // width, 1_000_000)

    xs = _places(bench, 4, 16, 64, 256, 1024, 4096)
    found = grow(bench, report, xs, lambda x: _contenders(bench, many(x), x))
    tell(report, "growth-width", "floats a row", found, many)
    tell_memory(report, "growth-width-memory", "floats a row", found)
    return report


def batches(bench: Bench) -> Report:
    """Rows of a run of the model, and rows that Spark puts in an Arrow batch."""
    many, bench = bench.choose_rows(small=50_000, full=500_000), _fewer_runs(bench)
    report = Report(f"growth-batch: batch rows, {many:,} rows, id kept", runs=said(bench))
    for what in ("dense", "strings") if bench.scale == "full" else ("dense",):
        xs = _places(bench, 64, 256, 1024, 4096, 16384)
        found = grow(bench, report, xs, _runs_of(bench, what, many))
        report.add(f"### {what}: rows a run of the model; Arrow batches of 16,384 rows")
        tell(report, f"growth-batch-{what}", "rows a run", found, lambda _: many)
        xs = _places(bench, 256, 1024, 10_000, 50_000, 200_000)
        found = grow(bench, report, xs, _arrow_rows_of(bench, what, many))
        report.add(f"### {what}: rows an Arrow batch; runs of our own default size")
        tell(report, f"growth-arrow-batch-{what}", "rows an Arrow batch", found, lambda _: many)
    return report


def _runs_of(bench: Bench, what: str, many: int) -> Callable[[int], Sequence[Contender]]:
    df, path = _job(bench, what, many)
    conf = {"spark.sql.execution.arrow.maxRecordsPerBatch": "16384"}
    return lambda x: [
        Contender(US, lambda: scored(path, df, ["id"], batch_rows=x), conf),
        Contender(PEER, lambda: df.select("id", _udf(what, path, x)), conf, peer=PEER),
    ]


def _arrow_rows_of(bench: Bench, what: str, many: int) -> Callable[[int], Sequence[Contender]]:
    df, path = _job(bench, what, many)

    def contenders(x: int) -> Sequence[Contender]:
        conf = {"spark.sql.execution.arrow.maxRecordsPerBatch": str(x)}
        return [
            Contender(US, lambda: scored(path, df, ["id"]), conf),
            Contender(FLOOR, lambda: floors.map_in_arrow(df, ["id"]), conf),
        ]

    return contenders


def _job(bench: Bench, what: str, many: int) -> tuple[DataFrame, str]:
    if what == "dense":
        return data.dense(bench.spark, bench.folder, many), models.path_of(bench.folder, "mlp-128")
    return data.strings(bench.spark, bench.folder, many), models.path_of(bench.folder, "strings")


def _udf(what: str, path: str, batch_rows: int) -> Column:
    if what == "dense":
        return peer.dense_udf(path, 128, batch_rows=batch_rows)("features").alias("score")
    return peer.strings_udf(path, batch_rows=batch_rows)(*models.WORDS).alias("score")


def _contenders(bench: Bench, many: int, width: int, *, doubles: int = 0) -> list[Contender]:
    df = data.dense(bench.spark, bench.folder, many, width=width, doubles=doubles)
    path = models.path_of(bench.folder, f"mlp-{width}")
    keep = ["id", *(f"c{number}" for number in range(doubles))]
    udf = peer.dense_udf(path, width)
    return [
        Contender(US, lambda: scored(path, df, keep)),
        Contender(PEER, lambda: df.select(*keep, udf("features").alias("score")), peer=PEER),
        Contender(FLOOR, lambda: floors.map_in_arrow(df, keep)),
    ]


def _places(bench: Bench, *xs: int) -> Sequence[int]:
    """Return all of them, or the first, a middle one and the last where the run is a small one."""
    return xs if bench.scale == "full" else (xs[0], xs[len(xs) // 2], xs[-1])


def _fewer_runs(bench: Bench) -> Bench:
    return evolve(bench, runs=min(bench.runs, _RUNS), rows=None)

"""The best settings of `predict_batch_udf`: its batch size, and TensorFlow's threads per worker."""

from __future__ import annotations

from benchmarks import data, models
from benchmarks.harness import Bench, Contender, alternate
from benchmarks.peers import predict_batch_udf as peer
from benchmarks.reports import Report, times_table

WIDTH = 128
BATCH_ROWS = (1_000, 4_096, 10_000)


def run(bench: Bench) -> Report:
    rows = bench.choose_rows(small=100_000, full=500_000)
    report = Report(f"peer-settings: predict_batch_udf at its best, {rows:,} rows")
    settings = [(batch_rows, 0) for batch_rows in BATCH_ROWS] + [(4_096, 1)]
    for table in ("dense", "strings"):
        contenders = [_contender(bench, table, rows, *setting) for setting in settings]
        report.add(f"### {table}, id kept")
        report.add(times_table(alternate(bench, contenders, report), rows))
    return report


def _contender(bench: Bench, table: str, rows: int, batch_rows: int, threads: int) -> Contender:
    name = f"{batch_rows:,} rows per call, {threads or 'all'} threads"
    if table == "dense":
        df = data.dense(bench.spark, bench.folder, rows)
        path = models.path_of(bench.folder, f"mlp-{WIDTH}")
        udf = peer.dense_udf(path, WIDTH, batch_rows=batch_rows, threads=threads)
        return Contender(name, lambda: df.select("id", udf("features")))
    df = data.strings(bench.spark, bench.folder, rows)
    path = models.path_of(bench.folder, "strings")
    udf = peer.strings_udf(path, batch_rows=batch_rows, threads=threads)
    return Contender(name, lambda: df.select("id", udf(*models.WORDS)))

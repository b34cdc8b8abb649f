"""How many rows a run of the model takes, and how many rows Spark puts in an Arrow batch."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks import data, models
from benchmarks.harness import Bench, Contender, alternate
from benchmarks.reports import Report, markdown_table
from benchmarks.scoring import scored
from benchmarks.timed import Timed

WIDTH = 128
BATCH_ROWS = (256, 1024, 2048, 4096, 8192, 16384)
ARROW_ROWS = (1_000, 4_096, 10_000, 50_000, 200_000)


def run(bench: Bench) -> Report:
    rows = bench.choose_rows(small=100_000, full=500_000)
    report = Report(f"batches: rows a run, and rows an Arrow batch, {rows:,} rows")
    for what in ("dense", "strings"):
        if what == "dense":
            df, path = data.dense(bench.spark, bench.folder, rows), f"mlp-{WIDTH}"
        else:
            df, path = data.strings(bench.spark, bench.folder, rows), "strings"
        path = models.path_of(bench.folder, path)

        def contender(
            name: str, batch_rows: int | None, arrow_rows: int, df=df, path=path
        ) -> Contender:
            conf = {"spark.sql.execution.arrow.maxRecordsPerBatch": str(arrow_rows)}
            how = {"batch_rows": batch_rows} if batch_rows else {}
            return Contender(name, lambda: scored(path, df, ["id"], **how), conf)

        report.add(f"### {what}, id kept")
        runs = [contender(f"{n:,} rows a run", n, 16_384) for n in BATCH_ROWS]
        report.add("Arrow batches of 16,384 rows:")
        report.add(_table(alternate(bench, runs, report), rows))
        batches = [contender(f"{n:,} rows an Arrow batch", None, n) for n in ARROW_ROWS]
        report.add("Runs of 4,096 rows (the default):")
        report.add(_table(alternate(bench, batches, report), rows))
    return report


def _table(found: dict[str, Timed], rows: int) -> str:
    lines: Sequence[Sequence[str]] = [
        [
            name,
            f"{one.median:.2f}",
            f"{min(one.seconds):.2f} to {max(one.seconds):.2f}",
            f"{rows / one.median:,.0f}",
            f"{one.private_mb:.0f}",
        ]
        for name, one in found.items()
    ]
    return markdown_table(["", "median s", "range s", "rows/s", "private MB of a worker"], lines)

"""Private memory (USS) of Spark's Python workers after scoring the tables of the other cases.

USS is what the kernel would free if only that worker ended: Private_Clean + Private_Dirty of
smaps_rollup. It excludes the code of TensorFlow's library, which both workers of a contender map.
"""

from __future__ import annotations

from benchmarks import data, floors, models
from benchmarks.cases.rows import FLOOR, PEER, US
from benchmarks.harness import Bench, Contender, alternate
from benchmarks.peers import predict_batch_udf as peer
from benchmarks.reports import Report, markdown_table
from benchmarks.scoring import score_table
from benchmarks.timing import Timing

WIDTH = 128


def run(bench: Bench) -> Report:
    rows = bench.choose_rows(small=100_000, full=500_000)
    report = Report(f"memory: private memory of a worker after scoring {rows:,} rows twice")
    tables = (("dense", _dense(bench, rows)), ("strings", _strings(bench, rows)))
    for table, contenders in tables:
        timings = alternate(_twice(bench), contenders, report)
        report.add(f"### {table}")
        report.add(_memory_table(timings))
        for name, imported in ((US, False), (PEER, True)):
            for worker in timings[name].memory:
                assert worker["tensorflow_mapped"], name
                assert worker["tensorflow_imported"] is imported, name
        ratio = timings[PEER].private_mb / timings[US].private_mb
        report.target(f"Less memory than {PEER} ({table})", 1.5, ratio)
        report.add(
            f"A worker that does nothing takes {timings[FLOOR].private_mb:.0f} of our "
            f"{timings[US].private_mb:.0f} MB (Python, PySpark, Arrow, NumPy and one Arrow batch); "
            "the rest is TensorFlow's: relocated data of its library, the session, the buffers of "
            "a run."
        )
    return report


def _twice(bench: Bench) -> Bench:
    return Bench(bench.spark, bench.folder, bench.scale, runs=2, rows=bench.rows)


def _dense(bench: Bench, rows: int) -> list[Contender]:
    df = data.dense(bench.spark, bench.folder, rows)
    path = models.path_of(bench.folder, f"mlp-{WIDTH}")
    udf = peer.dense_udf(path, WIDTH)
    return [
        Contender(US, lambda: score_table(path, df, ["id"])),
        Contender(PEER, lambda: df.select("id", udf("features"))),
        Contender(FLOOR, lambda: floors.map_in_arrow(df, ["id"])),
    ]


def _strings(bench: Bench, rows: int) -> list[Contender]:
    df = data.strings(bench.spark, bench.folder, rows)
    path = models.path_of(bench.folder, "strings")
    udf = peer.strings_udf(path)
    return [
        Contender(US, lambda: score_table(path, df, ["id"])),
        Contender(PEER, lambda: df.select("id", udf(*models.WORDS))),
        Contender(FLOOR, lambda: floors.map_in_arrow(df, ["id"])),
    ]


def _memory_table(timings: dict[str, Timing]) -> str:
    lines = []
    for name, timing in timings.items():
        private = [worker["private_bytes"] / 1e6 for worker in timing.memory]
        shared = [worker["shared_bytes"] / 1e6 for worker in timing.memory]
        lines.append(
            [
                name,
                f"{max(private):.0f}",
                ", ".join(f"{size:.0f}" for size in private),
                f"{max(shared):.0f}",
            ]
        )
    return markdown_table(["", "largest private MB", "private MB per worker", "shared MB"], lines)

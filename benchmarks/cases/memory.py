"""Private memory (USS) of Spark's Python workers after they scored the tables of the other cases.

USS is what the kernel would free if that one worker ended: Private_Clean + Private_Dirty of
smaps_rollup. Code of TensorFlow's library that both workers of a contender map is not in it.
"""

from __future__ import annotations

from benchmarks import data, floors, models
from benchmarks.cases.rows import FLOOR, PEER, US
from benchmarks.harness import Bench, Contender, alternate
from benchmarks.peers import predict_batch_udf as peer
from benchmarks.reports import Report, markdown_table
from benchmarks.scoring import scored
from benchmarks.timed import Timed

WIDTH = 128


def run(bench: Bench) -> Report:
    rows = bench.choose_rows(small=100_000, full=500_000)
    report = Report(f"memory: private memory of a worker after scoring {rows:,} rows, twice")
    for what, contenders in (("dense", _dense(bench, rows)), ("strings", _strings(bench, rows))):
        found = alternate(_twice(bench), contenders, report)
        report.add(f"### {what}")
        report.add(_table(found))
        for name, imported in ((US, False), (PEER, True)):
            assert all(one["tensorflow_mapped"] for one in found[name].memory), name
            assert all(one["tensorflow_imported"] is imported for one in found[name].memory), name
        smaller = found[PEER].private_mb / found[US].private_mb
        report.target(f"Smaller than {PEER}, {what}", 1.5, smaller)
        empty = found[FLOOR].private_mb
        report.add(
            f"{empty:.0f} of our {found[US].private_mb:.0f} MB are what a worker takes that does "
            "nothing (Python, PySpark, Arrow, NumPy, and one Arrow batch); the rest is "
            "TensorFlow's: relocated data of its library, the session, buffers of a run."
        )
    return report


def _twice(bench: Bench) -> Bench:
    return Bench(bench.spark, bench.folder, bench.scale, runs=2, rows=bench.rows)


def _dense(bench: Bench, rows: int) -> list[Contender]:
    df = data.dense(bench.spark, bench.folder, rows)
    path = models.path_of(bench.folder, f"mlp-{WIDTH}")
    udf = peer.dense_udf(path, WIDTH)
    return [
        Contender(US, lambda: scored(path, df, ["id"])),
        Contender(PEER, lambda: df.select("id", udf("features"))),
        Contender(FLOOR, lambda: floors.map_in_arrow(df, ["id"])),
    ]


def _strings(bench: Bench, rows: int) -> list[Contender]:
    df = data.strings(bench.spark, bench.folder, rows)
    path = models.path_of(bench.folder, "strings")
    udf = peer.strings_udf(path)
    return [
        Contender(US, lambda: scored(path, df, ["id"])),
        Contender(PEER, lambda: df.select("id", udf(*models.WORDS))),
        Contender(FLOOR, lambda: floors.map_in_arrow(df, ["id"])),
    ]


def _table(found: dict[str, Timed]) -> str:
    lines = []
    for name, one in found.items():
        private = [each["private_bytes"] / 1e6 for each in one.memory]
        shared = [each["shared_bytes"] / 1e6 for each in one.memory]
        lines.append(
            [
                name,
                f"{max(private):.0f}",
                ", ".join(f"{each:.0f}" for each in private),
                f"{max(shared):.0f}",
            ]
        )
    return markdown_table(["", "private MB, largest", "of each worker", "shared MB"], lines)

"""Three string columns, each looked up in the model's own table and embedded."""

from __future__ import annotations

from benchmarks import data, floors, models
from benchmarks.cases.rows import (
    FLOOR,
    PEER,
    READ,
    UDF_FLOOR,
    US,
    US_SPARK_READS,
    describe_bottlenecks,
    run_rows,
)
from benchmarks.contenders import MLFLOW, peer_contender
from benchmarks.harness import Bench, Contender
from benchmarks.peers import predict_batch_udf as peer
from benchmarks.reports import Report
from benchmarks.scoring import describe_carrier, score_table
from benchmarks.stages import measure_stages, stages_table

PEERS = ("predict_batch_udf", "mlflow", "tensorflow")


def run(bench: Bench) -> Report:
    rows = bench.choose_rows(small=100_000, full=3_000_000)
    sizes = ", ".join(f"{size:,}" for size in models.WORDS.values())
    report = Report(f"strings: three columns, vocabularies of {sizes} words, {rows:,} rows")
    df = data.strings(bench.spark, bench.folder, rows)
    path = models.path_of(bench.folder, "strings")
    keep, names, fetch = ["id"], list(models.WORDS), {"score": "output_0"}
    arguments = {"model": path, "table": data.folder_of(df), "kind": "strings"}
    udf = peer.strings_udf(path)
    contenders = [
        Contender(US, lambda: score_table(path, df, keep, fetch=fetch)),
        Contender(US_SPARK_READS, lambda: score_table(path, df, keep, read="spark", fetch=fetch)),
        Contender(PEER, lambda: df.select("id", udf(*names).alias("score")), peer=PEER),
        *(peer_contender(bench, name, arguments) for name in PEERS[1:]),
        Contender(FLOOR, lambda: floors.map_in_arrow(df, keep)),
        Contender(UDF_FLOOR, lambda: floors.arrow_udf(df, keep, names)),
        Contender(READ, lambda: df, python=False),
    ]
    report.add(f"id kept (our carrier: {describe_carrier(score_table(path, df, keep))})")
    timings = run_rows(bench, report, "string rows", contenders, rows, {PEER: 2, MLFLOW: 1.5})
    stages = measure_stages(path, df, min(rows, 200_000), fetch=fetch)
    report.add(describe_bottlenecks(timings, rows, stages))
    report.add(stages_table(stages))
    return report

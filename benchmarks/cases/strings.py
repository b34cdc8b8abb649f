"""Three string columns, each looked up in the model's own table and embedded."""

from __future__ import annotations

from benchmarks import data, floors, models
from benchmarks.cases.rows import COLUMN_FLOOR, FLOOR, PEER, READ, US, US_BY_SPARK, bound, run_rows
from benchmarks.contenders import MLFLOW, apart
from benchmarks.harness import Bench, Contender
from benchmarks.peers import predict_batch_udf as peer
from benchmarks.reports import Report
from benchmarks.scoring import chosen_carrier, scored
from benchmarks.stages import stages_of, stages_table

PEERS = ("predict_batch_udf", "mlflow", "tensorflow")


def run(bench: Bench) -> Report:
    rows = bench.choose_rows(small=100_000, full=3_000_000)
    sizes = ", ".join(f"{size:,}" for size in models.WORDS.values())
    report = Report(f"strings: three columns, vocabularies of {sizes} words, {rows:,} rows")
    df = data.strings(bench.spark, bench.folder, rows)
    path = models.path_of(bench.folder, "strings")
    keep, names, fetch = ["id"], list(models.WORDS), {"score": "output_0"}
    given = {"model": path, "table": data.folder_of(df), "kind": "strings"}
    udf = peer.strings_udf(path)
    contenders = [
        Contender(US, lambda: scored(path, df, keep, fetch=fetch)),
        Contender(US_BY_SPARK, lambda: scored(path, df, keep, read="spark", fetch=fetch)),
        Contender(PEER, lambda: df.select("id", udf(*names).alias("score")), peer=PEER),
        *(apart(bench, name, given) for name in PEERS[1:]),
        Contender(FLOOR, lambda: floors.map_in_arrow(df, keep)),
        Contender(COLUMN_FLOOR, lambda: floors.arrow_udf(df, keep, names)),
        Contender(READ, lambda: df, python=False),
    ]
    report.add(f"id kept (ours by {chosen_carrier(scored(path, df, keep))})")
    found = run_rows(bench, report, "string rows", contenders, rows, {PEER: 2, MLFLOW: 1.5})
    stages = stages_of(path, df, min(rows, 200_000), fetch=fetch)
    report.add(bound(found, rows, stages))
    report.add(stages_table(stages))
    return report

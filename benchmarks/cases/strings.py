"""Three string columns, each looked up in the model's own table and embedded."""

from __future__ import annotations

from benchmarks import data, floors, models
from benchmarks.cases.common import COLUMN_FLOOR, FLOOR, PEER, READ, US, bound
from benchmarks.harness import (
    Bench,
    Contender,
    Report,
    alternate,
    answers,
    compare,
    ratio,
    times_table,
)
from benchmarks.peers import predict_batch_udf as peer
from benchmarks.scoring import chosen_carrier, scored
from benchmarks.stages import stages_table


def run(bench: Bench) -> Report:
    rows = bench.choose_rows(small=100_000, full=3_000_000)
    sizes = ", ".join(f"{size:,}" for size in models.WORDS.values())
    report = Report(f"strings: three columns, vocabularies of {sizes} words, {rows:,} rows")
    df = data.strings(bench.spark, bench.folder, rows)
    path = models.path_of(bench.folder, "strings")
    keep, names, fetch = ["id"], list(models.WORDS), {"score": "output_0"}
    udf = peer.strings_udf(path)
    contenders = [
        Contender(US, lambda: scored(path, df, keep, fetch=fetch)),
        Contender(PEER, lambda: df.select("id", udf(*names).alias("score"))),
        Contender(FLOOR, lambda: floors.map_in_arrow(df, keep)),
        Contender(COLUMN_FLOOR, lambda: floors.arrow_udf(df, keep, names)),
        Contender(READ, lambda: df, python=False),
    ]
    found = alternate(bench, contenders)
    report.add(f"id kept (ours by {chosen_carrier(contenders[0].job())})")
    report.add(times_table(found, rows))
    report.target(f"Faster than {PEER}", 2, *ratio(found[PEER], found[US]))
    compare(
        report, {one.name: answers(bench, one, by="id", score="score") for one in contenders[:2]}
    )
    report.add(bound(found))
    report.add(stages_table(path, df, min(rows, 200_000), fetch=fetch))
    return report

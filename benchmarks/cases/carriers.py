"""`mapInArrow` against `arrow_udf` for the same scoring job, over schemas: what `score` chooses by.

A small model, so that the carrier is what is timed. The columns that the model doesn't need are
doubles or one string column.
"""

from __future__ import annotations

from attrs import frozen

from benchmarks import data, models
from benchmarks.harness import Bench, Contender, Report, alternate, markdown_table, ratio
from benchmarks.scoring import CARRIERS, chosen_carrier, scored


@frozen
class Table:
    """One schema: floats of the needed column, other columns, and whether features are kept."""

    width: int
    doubles: int = 0
    text_chars: int = 0
    features_kept: bool = False

    def keep(self) -> list[str]:
        others = [f"c{number}" for number in range(self.doubles)]
        text = ["text"] if self.text_chars else []
        return ["id", *(["features"] if self.features_kept else []), *others, *text]


TABLES = [
    *(Table(width, features_kept=kept) for width in (4, 32, 128, 512) for kept in (False, True)),
    *(
        Table(32, doubles=count, features_kept=kept)
        for count in (20, 100)
        for kept in (False, True)
    ),
    Table(4, doubles=20),
    Table(4, doubles=100),
    Table(512, doubles=20),
    Table(32, text_chars=200),
    Table(32, text_chars=2_000),
]


def run(bench: Bench) -> Report:
    rows = bench.choose_rows(small=50_000, full=300_000)
    report = Report(f"carriers: mapInArrow against arrow_udf, {rows:,} rows, a small MLP")
    lines = [_line(bench, table, rows) for table in TABLES]
    head = [
        "needed",
        "kept besides id",
        *CARRIERS,
        "mapInArrow / arrow_udf",
        "by round",
        "in core-seconds",
        "chosen",
    ]
    report.add(markdown_table(head, lines))
    return report


def _line(bench: Bench, table: Table, rows: int) -> list[str]:
    df = data.dense(
        bench.spark,
        bench.folder,
        rows if table.width * 4 + table.doubles * 8 + table.text_chars < 2_000 else rows // 3,
        width=table.width,
        doubles=table.doubles,
        text_chars=table.text_chars,
    )
    path = models.path_of(bench.folder, f"mlp-{table.width}")

    def contender(carrier: str) -> Contender:
        return Contender(
            carrier, lambda: scored(path, df, table.keep(), carrier=carrier), pool="carriers"
        )

    found = alternate(bench, [contender(carrier) for carrier in CARRIERS])
    times, spread = ratio(found["map_in_arrow"], found["arrow_udf"])
    kept = [
        *(["features"] if table.features_kept else []),
        *([f"{table.doubles} doubles"] if table.doubles else []),
        *([f"a string of {table.text_chars}"] if table.text_chars else []),
    ]
    return [
        f"{table.width} floats",
        ", ".join(kept) or "nothing",
        *(f"{found[one].median:.2f} s" for one in CARRIERS),
        f"{times:.2f}",
        spread.removeprefix(", ").partition(" by round")[0],
        spread.rpartition("round, ")[2].partition(" ")[0],
        chosen_carrier(scored(path, df, table.keep())),
    ]

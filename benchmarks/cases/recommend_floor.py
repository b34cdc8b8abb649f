"""The pair loop on one core, in one process, compared with TensorFlow's GEMM of the pair layers.

The floor runs only those layers, through the same C API, on a block that is already in memory: it
doesn't add halves and keeps no best k.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame

from benchmarks import catalogs, models
from benchmarks.cases import recommend_deepfm, recommend_wide_deep
from benchmarks.gemm_floor import floor
from benchmarks.harness import Bench
from benchmarks.recommend_opener import Job, users_per_second
from benchmarks.recommender_models import UNITS
from benchmarks.reports import Report, markdown_table

BLOCKS = (1024, 2048, 4096, 8192, 16384)


def run(bench: Bench) -> Report:
    report = Report(
        "recommend-floor: the pair loop and TensorFlow's GEMM of the layers that run per pair"
    )
    many = bench.choose_rows(small=300, full=1_000)
    with tempfile.TemporaryDirectory() as folder:
        _compare_with_floor(
            *(bench, report, "catalog-deepfm", UNITS),
            _job(bench, Path(folder), "catalog-deepfm", catalogs.fields, recommend_deepfm, many),
        )
        _compare_with_floor(
            *(bench, report, "catalog-wide-deep", (256, 128, 1)),
            _job(bench, Path(folder), "catalog-wide-deep", catalogs.ids, recommend_wide_deep, many),
        )
    return report


def _job(bench: Bench, folder: Path, name: str, tables: Any, case: Any, many: int) -> Job:
    users = tables(bench.spark, bench.folder, "user", many)
    items = tables(bench.spark, bench.folder, "item", case.ITEMS)
    return Job(
        models.path_of(bench.folder, name),
        case.FEED,
        case.K,
        _file(folder / f"{name}-users.arrow", users),
        _file(folder / f"{name}-items.arrow", items),
        few=many // 10,
        many=many,
        runs=bench.runs,
    )


def _file(path: Path, df: DataFrame) -> str:
    table = df.toArrow()
    with pa.ipc.new_file(path, table.schema) as file:
        file.write_table(table)
    return str(path)


def _compare_with_floor(
    bench: Bench, report: Report, name: str, widths: Sequence[int], job: Job
) -> None:
    before = _floors(bench, widths)
    rates = [users * recommend_deepfm.ITEMS for users in users_per_second(job)]
    after = _floors(bench, widths)
    floors = {rows: max(before[rows], after[rows]) for rows in before}
    ours, best = statistics.median(rates), max(floors.values())
    report.add(f"### {name}: layers {' - '.join(map(str, widths))} run per pair")
    report.add(_table(floors, rates, widths))
    spread = f", {min(rates) / best:.2f} to {max(rates) / best:.2f} across rounds"
    report.target(f"{name}, relative to the floor's best block", 0.85, ours / best, spread)


def _floors(bench: Bench, widths: Sequence[int]) -> Mapping[int, float]:
    """Return pairs per second, by the pairs per block."""
    path = models.path_of(bench.folder, "rest-" + "-".join(map(str, widths)))
    blocks = BLOCKS if bench.scale == "full" else BLOCKS[2:3]
    return {rows: rows / floor(path, {"x": [rows, widths[0]]}).median for rows in blocks}


def _table(floors: Mapping[int, float], rates: Sequence[float], widths: Sequence[int]) -> str:
    flops = 2 * sum(inputs * units for inputs, units in pairwise(widths))
    rows = {f"floor, blocks of {block:,} pairs": rate for block, rate in floors.items()}
    rows["tf2spark, without the fixed cost of a call"] = statistics.median(rates)
    lines = [
        [name, f"{rate / 1e6:.2f}", f"{rate * flops / 1e9:.0f}", f"{1e6 / rate:.3f}"]
        for name, rate in rows.items()
    ]
    head = ["one core", "million pairs/s", "GFLOP/s", "core-s per million pairs"]
    return markdown_table(head, lines)

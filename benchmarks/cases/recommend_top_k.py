"""What keeping the best k of two towers costs beside their matrix product, on one core."""

from __future__ import annotations

import statistics

from benchmarks import models
from benchmarks.harness import Bench
from benchmarks.pair_loop import Job, time_pair_loop
from benchmarks.recommender_models import TOWER
from benchmarks.reports import Report, markdown_table

ITEMS = 20_000
KS = (10, 100)


def run(bench: Bench) -> Report:
    report = Report(
        f"recommend-top-k: {TOWER} wide, 1,024 users x {ITEMS:,} items, TensorFlow's GEMM alone "
        "and with the best k kept"
    )
    path = models.path_of(bench.folder, "catalog-gemm")
    lines, ratios = [], {}
    for k in KS:
        seconds = time_pair_loop(Job(path, ITEMS, k, max(bench.runs, 5)))
        gemm, loop = (
            statistics.median(times) / seconds.pairs * 1e9 for times in (seconds.gemm, seconds.loop)
        )
        rounds = [ours / floor for floor, ours in zip(seconds.gemm, seconds.loop, strict=True)]
        ratios[k] = gemm / loop, f", {1 / max(rounds):.2f} to {1 / min(rounds):.2f} across rounds"
        block = f"{seconds.block_users} x {seconds.block_items:,}"
        lines.append([str(k), block, f"{gemm:.3f}", f"{loop:.3f}", f"{loop / gemm:.2f}"])
    head = ["k", "users x items in a block", "GEMM alone, ns a pair", "pair loop, ns a pair"]
    report.add(markdown_table([*head, "pair loop / GEMM"], lines))
    for k, (ratio, spread) in ratios.items():
        report.target(f"Best {k}: speed of the pair loop relative to its GEMM", 0.67, ratio, spread)
    return report

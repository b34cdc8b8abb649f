"""Inner products scanned in bfloat16, and the same by float32 alone, on one core."""

from __future__ import annotations

import statistics

from benchmarks import models
from benchmarks.coarse_layers import ITEMS, WIDTHS, K, time_layers
from benchmarks.harness import Bench
from benchmarks.reports import Report, markdown_table
from benchmarks.scan_loop import Job, time_scan
from tf2spark.worker.ranking.coarse_scan import multiplies_bfloat16

# Pairs of a run: enough for some batches of users.
USERS = {20_000: 4096, 100_000: 2048}
SIZES = [(64, 10, 20_000), (64, 100, 20_000), (64, 10, 100_000), (64, 100, 100_000),
         (256, 10, 20_000), (256, 100, 20_000)]  # fmt: skip


def run(bench: Bench) -> Report:
    report = Report(
        "recommend-scan: inner products of normally distributed vectors, in float32 and scanned in "
        "bfloat16"
    )
    if not multiplies_bfloat16():
        report.add("This processor has no units that multiply bfloat16 (AMX, AVX-512 BF16).")
        return report
    lines, ratios = [], {}
    for width, k, items in SIZES:
        users = USERS[items]
        path = models.path_of(bench.folder, f"dot-{width}")
        seconds = time_scan(Job(path, width, users, items, k, max(bench.runs, 5)))
        nanoseconds = [
            statistics.median(times) / users / items * 1e9
            for times in (seconds.product, seconds.loop, seconds.coarse_product, seconds.scan)
        ]
        rounds = [loop / scan for loop, scan in zip(seconds.loop, seconds.scan, strict=True)]
        spread = f", {min(rounds):.2f} to {max(rounds):.2f} across rounds"
        ratios[width, k, items] = statistics.median(rounds), spread
        shares = [f"{seconds.candidates}", f"{seconds.unproven / users:.2%}"]
        numbers = [f"{number:.2f}" for number in nanoseconds]
        lines.append([f"{width}", f"{k}", f"{items:,}", *numbers, *shares])
    head = [
        "width",
        "k",
        "items",
        "GEMM float32, ns a pair",
        "all of float32, ns",
        "GEMM bfloat16, ns",
    ]
    report.add(markdown_table([*head, "all of the scan, ns", "candidates", "without proof"], lines))
    report.add(
        "*All* is what a worker does with a batch: the users' columns read, pairs scored, the best "
        "k kept, the column of results built; with the scan also candidates scored in float32 and "
        "users without a proof ranked again. Bound by finding the few scores that pass, as in "
        "float32, and by scoring candidates."
    )
    for (width, k, items), (ratio, spread) in ratios.items():
        label = f"{width} wide, best {k} of {items:,}: speed of the scan relative to float32"
        if (k, items) == (10, 100_000):
            report.target(label, 1.5, ratio, spread)
        else:
            report.add(f"{label}: **{ratio:.2f} x**{spread}.")
    _add_layers(report)
    return report


def _add_layers(report: Report) -> None:
    """Report what a scan would bring to layers that run per pair; it isn't built."""
    layers = time_layers()
    widths = " - ".join(map(str, WIDTHS))
    report.add(
        f"Layers behind the sum of two halves ({widths}), which aren't scanned: "
        f"{layers.float32_ns:.0f} ns a pair in float32, {layers.bfloat16_ns:.0f} in bfloat16, "
        f"{layers.mixed_ns:.0f} with only the layers in bfloat16 "
        f"({layers.float32_ns / layers.mixed_ns:.2f} x). A bound by spectral norms would leave "
        f"{layers.share_left:.1%} of {ITEMS:,} items to be scored in float32 for the best {K}: it "
        f"allows for {layers.bound:.2f} where {layers.seen:.3f} is the largest error seen, and "
        f"scores deviate by {layers.spread:.2f}."
    )

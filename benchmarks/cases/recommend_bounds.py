"""The bottleneck of `recommend`: TensorFlow alone on the layers that run per pair."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from benchmarks import models
from benchmarks.gemm_floor import floor
from benchmarks.harness import Bench
from benchmarks.recommender_models import TOWER
from benchmarks.reports import Report
from benchmarks.timing import Timing


def fastest_block(bench: Bench, widths: Sequence[int]) -> tuple[int, float]:
    """Return the pairs per block at which TensorFlow runs layers fastest, and its pairs per second.

    On one core, with the layers alone.
    """
    path = models.path_of(bench.folder, "rest-" + "-".join(map(str, widths)))
    blocks = (1024, 2048, 4096, 8192)
    rates = {rows: rows / floor(path, {"x": [rows, widths[0]]}).median for rows in blocks}
    fastest = max(rates, key=lambda rows: rates[rows])
    return fastest, rates[fastest]


def add_layers_bottleneck(
    bench: Bench, report: Report, us: Timing, pairs: int, widths: Sequence[int]
) -> None:
    """Report which share of our CPU time the layers in the pair loop take."""
    rows, rate = fastest_block(bench, widths)
    flops = 2 * sum(inputs * units for inputs, units in pairwise(widths))
    floor_seconds, seconds = 1e6 / rate, us.cores / pairs * 1e6
    report.add(
        f"Bottleneck: the layers {' - '.join(map(str, widths))}, which run per pair. TensorFlow "
        f"alone takes {floor_seconds:.3f} core-s per million pairs for them "
        f"({rate * flops / 1e9:.0f} GFLOP/s on one core, blocks of {rows:,} pairs), "
        f"{floor_seconds / seconds:.0%} of our {seconds:.3f}; the rest is adding the two halves, "
        "keeping the best k, and Spark."
    )


def add_product_bottleneck(
    bench: Bench,
    report: Report,
    core_seconds: float,
    pairs: int,
    k: int,
    no_op_core_seconds: float = 0.0,
) -> None:
    """Report which shares of our CPU time the towers' product and the transport of rows take.

    `no_op_core_seconds` are those of the floor that scores nothing.
    """
    path = models.path_of(bench.folder, "catalog-gemm")
    blocks = ((256, 1024), (256, 4096), (512, 2048))
    rates = {
        (users, items): users * items / floor(path, _tower_shapes(users, items)).median
        for users, items in blocks
    }
    users, items = max(rates, key=lambda block: rates[block])
    rate = rates[users, items]
    floor_seconds, seconds = 1e6 / rate, core_seconds / pairs * 1e6
    carrying = (
        f"carrying users and results takes {no_op_core_seconds / core_seconds:.0%}; "
        if no_op_core_seconds
        else ""
    )
    report.add(
        f"Bottleneck: TensorFlow's GEMM alone takes {floor_seconds:.5f} core-s per million pairs "
        f"({rate * 2 * TOWER / 1e9:.0f} GFLOP/s on one core, {users} users x {items:,} items), "
        f"{floor_seconds / seconds:.0%} of our {seconds:.5f}; {carrying}"
        f"the rest is reading every score again to keep the best {k}, and sorting those."
    )


def _tower_shapes(users: int, items: int) -> dict[str, tuple[int, int]]:
    return {"user": (users, TOWER), "item": (items, TOWER)}

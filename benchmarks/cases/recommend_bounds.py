"""What bounds `recommend`: TensorFlow alone on what remains a pair."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from benchmarks import models
from benchmarks.gemm_floor import floor
from benchmarks.harness import Bench
from benchmarks.recommender_models import TOWER
from benchmarks.reports import Report
from benchmarks.timed import Timed


def best_floor(bench: Bench, widths: Sequence[int]) -> tuple[int, float]:
    """Return the block (in pairs) at which TensorFlow runs layers fastest, and its pairs/s.

    On one core, the layers alone.
    """
    path = models.path_of(bench.folder, "rest-" + "-".join(map(str, widths)))
    blocks = (1024, 2048, 4096, 8192)
    rates = {rows: rows / floor(path, {"x": [rows, widths[0]]}).median for rows in blocks}
    best = max(rates, key=lambda rows: rates[rows])
    return best, rates[best]


def bound(bench: Bench, report: Report, us: Timed, pairs: int, widths: Sequence[int]) -> None:
    """Say which share of our CPU time the layers take that remain in the pair loop."""
    rows, rate = best_floor(bench, widths)
    flops = 2 * sum(a * b for a, b in pairwise(widths))
    ideal, took = 1e6 / rate, us.cores / pairs * 1e6
    report.add(
        f"What bounds us: the layers {' - '.join(map(str, widths))} that remain a pair. TensorFlow "
        f"alone takes {ideal:.3f} core-s a million pairs for them ({rate * flops / 1e9:.0f} "
        f"GFLOP/s on one core, blocks of {rows:,} pairs), {ideal / took:.0%} of our {took:.3f}; "
        "the rest adds the two halves up, keeps the best k, and is Spark's."
    )


def bound_by_product(
    bench: Bench, report: Report, core_seconds: float, pairs: int, k: int, carried: float = 0.0
) -> None:
    """Say which shares of our CPU time the product of the towers and the carrying take.

    `carried` is what the floor that scores nothing takes, in core-seconds.
    """
    path = models.path_of(bench.folder, "catalog-gemm")
    blocks = ((256, 1024), (256, 4096), (512, 2048))
    rates = {
        (users, items): users * items / floor(path, _towers(users, items)).median
        for users, items in blocks
    }
    (users, items), rate = max(rates.items(), key=lambda one: one[1])
    ideal, took = 1e6 / rate, core_seconds / pairs * 1e6
    report.add(
        f"What bounds us: TensorFlow's GEMM alone takes {ideal:.5f} core-s a million pairs "
        f"({rate * 2 * TOWER / 1e9:.0f} GFLOP/s on one core, {users} users x {items:,} items), "
        f"{ideal / took:.0%} of our {took:.5f}; "
        + (f"carrying users and results, {carried / core_seconds:.0%}; " if carried else "")
        + f"the rest reads every score once more to keep the best {k}, and sorts them."
    )


def _towers(users: int, items: int) -> dict[str, tuple[int, int]]:
    return {"user": (users, TOWER), "item": (items, TOWER)}

"""What the cases of `recommend` have in common: contenders, the table of times, agreement."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from attrs import field, frozen
from pyspark.sql import DataFrame

import tf2spark
from benchmarks import models
from benchmarks.gemm_floor import floor
from benchmarks.harness import (
    Bench,
    Contender,
    Report,
    Timed,
    alternate,
    markdown_table,
    ratio,
    settings,
)
from benchmarks.pools import pool
from benchmarks.recommended import Recommended, agree, recommended
from benchmarks.recommender_models import TOWER

US = "tf2spark"
CHECKED = 24


@frozen
class Way:
    """One way to recommend.

    Attributes:
        name: As it is printed.
        make: From a table of users to their recommendations.
        users: How many users it is timed on.
        conf: Settings of the session meanwhile.
        python: Whether it runs in Python workers.
        scores: Whether it recommends at all; a floor doesn't.
    """

    name: str
    make: Callable[[DataFrame], DataFrame]
    users: int
    conf: Mapping[str, str] = field(factory=dict)
    python: bool = True
    scores: bool = True


@frozen
class Catalog:
    """The users (a table of so many), the items and the number of these."""

    users: Callable[[int], DataFrame]
    items: DataFrame
    count: int


def ours(path: str, catalog: Catalog, k: int, feed: Mapping[str, Any]) -> Callable[..., DataFrame]:
    """Return our own `make`; `path` is a SavedModel or a package."""
    model = tf2spark.SavedModel(path)

    def make(users: DataFrame) -> DataFrame:
        found: DataFrame = model.recommend(users, catalog.items, k, feed=feed)
        return found

    return make


def run_ways(
    bench: Bench, report: Report, catalog: Catalog, ways: Sequence[Way]
) -> dict[str, Timed]:
    """Time the ways in turns, print their times, and check that all agree with the first."""
    calls: dict[str, float] = {}

    def job(way: Way) -> Callable[[], DataFrame]:
        def make() -> DataFrame:
            start = time.perf_counter()
            table = way.make(catalog.users(way.users))
            calls[way.name] = time.perf_counter() - start
            return table

        return make

    found = alternate(
        bench, [Contender(way.name, job(way), way.conf, python=way.python) for way in ways]
    )
    report.add(pairs_table(found, {way.name: way.users for way in ways}, catalog.count))
    report.add(
        f"Not in these times: the call of `recommend`, which plans and checks, "
        f"{calls[ways[0].name]:.1f} s once; users and items are read from Parquet in each run."
    )
    us = ways[0].name
    answers = {way.name: _answers(bench, way, catalog) for way in ways if way.scores}
    for name in answers.keys() - {us}:
        agree(report, us, answers[us], name, answers[name])
    return found


def _answers(bench: Bench, way: Way, catalog: Catalog) -> Recommended:
    with pool(bench.spark, f"{way.name} checked"), settings(bench.spark, way.conf):
        return recommended(way.make(catalog.users(CHECKED)))


def pairs_table(found: Mapping[str, Timed], users: Mapping[str, int], items: int) -> str:
    """Write medians, ranges, pairs a second and what they cost as a table."""
    lines = []
    for name, one in found.items():
        pairs = users[name] * items
        lines.append(
            [
                name,
                f"{users[name]:,}",
                f"{one.median:.2f}",
                f"{min(one.seconds):.2f} to {max(one.seconds):.2f}",
                f"{pairs / one.median / 1e6:,.2f}",
                f"{one.cores / one.median:.2f}",
                f"{one.cores / pairs * 1e6:.4g}",
                f"{one.private_mb:.0f}" if one.memory else "-",
            ]
        )
    head = ["", "users", "median s", "range s", "million pairs/s", "cores used"]
    head += ["core-s a million pairs", "private MB of a worker"]
    return markdown_table(head, lines)


def ask(report: Report, wanted: float, slow: Way, fast: Way, found: Mapping[str, Timed]) -> None:
    """Print the ratio in pairs a second beside the one that is asked for."""
    times = ratio(found[slow.name], found[fast.name], slow.users, fast.users)
    report.target(f"More pairs a second than {slow.name}", wanted, *times)


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


def planned(path: str, catalog: Catalog, k: int, feed: Mapping[str, Any]) -> str:
    """Return the plan as `recommend` prints it."""
    plan = tf2spark.SavedModel(path).plan(catalog.users(CHECKED), catalog.items, k, feed=feed)
    return f"The plan:\n\n```\n{plan}\n```"

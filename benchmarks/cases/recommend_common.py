"""What the cases of `recommend` have in common: contenders, the table of times, agreement."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import field, frozen
from pyspark.sql import DataFrame

import tf2spark
from benchmarks import contenders, data
from benchmarks.harness import Bench, Contender, alternate, answers_apart, end, settings
from benchmarks.pools import pool
from benchmarks.recommended import Recommended, agree, recommended
from benchmarks.reports import Report, markdown_table
from benchmarks.timed import Timed

US = "tf2spark"
CHECKED = 24


@frozen
class Way:
    """One way to recommend.

    Attributes:
        name: As it is printed.
        make: From a table of users to their recommendations; None for a peer that lives apart.
        users: How many users it is timed on.
        conf: Settings of the session meanwhile.
        python: Whether it runs in Python workers.
        scores: Whether it recommends at all; a floor doesn't.
        peer: What ``--peer`` calls it; None for us and what always runs.
        given: What a peer that lives apart is given besides the tables.
    """

    name: str
    make: Callable[[DataFrame], DataFrame] | None
    users: int
    conf: Mapping[str, str] = field(factory=dict)
    python: bool = True
    scores: bool = True
    peer: str | None = None
    given: Mapping[str, Any] = field(factory=dict)


def apart(peer: str, users: int, **given: Any) -> Way:
    """Return the way of a peer that lives apart."""
    return Way(contenders.APART[peer].title, None, users, peer=peer, given=given)


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
    bench: Bench,
    report: Report,
    catalog: Catalog,
    ways: Sequence[Way],
    *,
    job: str,
    asked: Mapping[str, float],
) -> dict[str, Timed]:
    """Time the ways in turns, ours first; report times, ratios, what was asked, and agreement."""
    calls: dict[str, float] = {}
    made = {way.name: _contender(bench, catalog, way, calls) for way in ways}
    try:
        found = alternate(bench, list(made.values()), report)
        report.add(pairs_table(found, {way.name: way.users for way in ways}, catalog.count))
        report.add(
            f"Not in these times: the call of `recommend`, which plans and checks, "
            f"{calls[US]:.1f} s once; users and items are read from Parquet in each run."
        )
        us, *others = [way for way in ways if way.scores and way.name in found]
        for way in others:
            one = report.ratio(job, way.name, found[way.name], found[US], way.users, us.users)
            what = f"More pairs a second than {way.name}"
            if way.name in asked:
                report.target(what, asked[way.name], one.times, one.spread)
            else:
                report.add(f"{what}: {one.times:.2f} x{one.spread}.")
        for way in others:
            mine, theirs = _both_answers(bench, catalog, us, way, made[way.name])
            agree(report, US, mine, way.name, theirs)
    finally:
        end(list(made.values()))
    return found


def _contender(bench: Bench, catalog: Catalog, way: Way, calls: dict[str, float]) -> Contender:
    if way.make is None:
        assert way.peer is not None
        users = data.folder_of(catalog.users(way.users))
        tables = {"users": users, "items": data.folder_of(catalog.items), "kind": "recommend"}
        return contenders.apart(bench, way.peer, tables | dict(way.given))

    def job() -> DataFrame:
        assert way.make is not None
        start = time.perf_counter()
        table = way.make(catalog.users(way.users))
        calls[way.name] = time.perf_counter() - start
        return table

    return Contender(way.name, job, way.conf, python=way.python, peer=way.peer)


def _both_answers(
    bench: Bench, catalog: Catalog, us: Way, way: Way, contender: Contender
) -> tuple[Recommended, Recommended]:
    """Return ours and the peer's on the same few users; a peer apart has its own table."""
    if contender.apart is None:
        few = catalog.users(CHECKED)
        return _answers(bench, us, few), _answers(bench, way, few)
    found = answers_apart(contender.apart)
    arrays = zip(found["user_id"], found["item_id"], found["score"], strict=True)
    theirs = {int(user): (ids, scores) for user, ids, scores in arrays if user < CHECKED}
    few = catalog.users(way.users).where(f"user_id < {CHECKED}")
    return _answers(bench, us, few), theirs


def _answers(bench: Bench, way: Way, users: DataFrame) -> Recommended:
    assert way.make is not None
    with pool(bench.spark, f"{way.name} checked"), settings(bench.spark, way.conf):
        return recommended(way.make(users))


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
                one.peak,
            ]
        )
    head = ["", "users", "median s", "range s", "million pairs/s", "cores used"]
    head += ["core-s a million pairs", "peak private MB of a worker"]
    return markdown_table(head, lines)


def planned(path: str, catalog: Catalog, k: int, feed: Mapping[str, Any]) -> str:
    """Return the plan as `recommend` prints it."""
    plan = tf2spark.SavedModel(path).plan(catalog.users(CHECKED), catalog.items, k, feed=feed)
    return f"The plan:\n\n```\n{plan}\n```"

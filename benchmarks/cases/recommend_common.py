"""Shared by the cases of `recommend`: contenders, the table of times, and agreement."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import field, frozen
from pyspark.sql import DataFrame

import tf2spark
from benchmarks import data
from benchmarks.contenders import PEER_PROCESSES, peer_contender
from benchmarks.harness import Bench, Contender, alternate, end, peer_answers, session_conf
from benchmarks.pools import pool
from benchmarks.recommendations import (
    Recommendations,
    compare_recommendations,
    read_recommendations,
)
from benchmarks.reports import Report, markdown_table
from benchmarks.timing import Timing

US = "tf2spark"
CHECKED_USERS = 24


@frozen
class Recommender:
    """A contender that recommends.

    Attributes:
        name: Its name in tables.
        recommend: From a table of users to their recommendations; None for a peer that has a
            process of its own.
        users: The number of users that it is timed on.
        conf: Settings of the session while it runs.
        python: Whether it runs in Python workers.
        scores: Whether it really recommends; a floor doesn't.
        peer: Its name for ``--peer``; None for us and whatever always runs.
        arguments: The arguments, in addition to the tables, of a peer that has its own process.
    """

    name: str
    recommend: Callable[[DataFrame], DataFrame] | None
    users: int
    conf: Mapping[str, str] = field(factory=dict)
    python: bool = True
    scores: bool = True
    peer: str | None = None
    arguments: Mapping[str, Any] = field(factory=dict)


def peer_recommender(peer: str, users: int, **arguments: Any) -> Recommender:
    """Return a peer that has a process of its own."""
    title = PEER_PROCESSES[peer].title
    return Recommender(title, None, users, peer=peer, arguments=arguments)


@frozen
class Catalog:
    """The users (a table of the given size), the items, and the number of items."""

    users: Callable[[int], DataFrame]
    items: DataFrame
    count: int


def our_recommend(
    path: str, catalog: Catalog, k: int, feed: Mapping[str, Any]
) -> Callable[[DataFrame], DataFrame]:
    """Return our own `recommend`; `path` is a SavedModel or a package."""
    model = tf2spark.SavedModel(path)

    def recommend(users: DataFrame) -> DataFrame:
        table: DataFrame = model.recommend(users, catalog.items, k, feed=feed)
        return table

    return recommend


def run_recommenders(
    bench: Bench,
    report: Report,
    catalog: Catalog,
    recommenders: Sequence[Recommender],
    *,
    job: str,
    goals: Mapping[str, float],
) -> dict[str, Timing]:
    """Time the recommenders alternately, ours first; report times, ratios, goals and agreement.

    `goals` are the smallest acceptable ratios, by recommender.
    """
    call_seconds: dict[str, float] = {}
    contenders = {
        recommender.name: _contender(bench, catalog, recommender, call_seconds)
        for recommender in recommenders
    }
    try:
        timings = alternate(bench, list(contenders.values()), report)
        users = {recommender.name: recommender.users for recommender in recommenders}
        report.add(pairs_table(timings, users, catalog.count))
        report.add(
            "These times exclude the call of `recommend`, which plans and checks: "
            f"{call_seconds[US]:.1f} s, once. Every run reads users and items from Parquet."
        )
        us, *peers = [
            recommender
            for recommender in recommenders
            if recommender.scores and recommender.name in timings
        ]
        _add_ratios(report, job, us, peers, timings, goals)
        for peer in peers:
            ours, theirs = _both_answers(bench, catalog, us, peer, contenders[peer.name])
            compare_recommendations(report, US, ours, peer.name, theirs)
    finally:
        end(list(contenders.values()))
    return timings


def _add_ratios(
    report: Report,
    job: str,
    us: Recommender,
    peers: Sequence[Recommender],
    timings: Mapping[str, Timing],
    goals: Mapping[str, float],
) -> None:
    for peer in peers:
        name = peer.name
        ratio = report.ratio(job, name, timings[name], timings[US], peer.users, us.users)
        what = f"More pairs per second than {name}"
        if name in goals:
            report.target(what, goals[name], ratio.times, ratio.spread)
        else:
            report.add(f"{what}: {ratio.times:.2f} x{ratio.spread}.")


def _contender(
    bench: Bench, catalog: Catalog, recommender: Recommender, call_seconds: dict[str, float]
) -> Contender:
    recommend = recommender.recommend
    if recommend is None:
        assert recommender.peer is not None
        users = data.folder_of(catalog.users(recommender.users))
        tables = {"users": users, "items": data.folder_of(catalog.items), "kind": "recommend"}
        return peer_contender(bench, recommender.peer, tables | dict(recommender.arguments))

    def job() -> DataFrame:
        start = time.perf_counter()
        table = recommend(catalog.users(recommender.users))
        call_seconds[recommender.name] = time.perf_counter() - start
        return table

    return Contender(
        recommender.name,
        job,
        recommender.conf,
        python=recommender.python,
        peer=recommender.peer,
    )


def _both_answers(
    bench: Bench, catalog: Catalog, us: Recommender, peer: Recommender, contender: Contender
) -> tuple[Recommendations, Recommendations]:
    """Return our answers and the peer's for the same few users.

    A peer with a process of its own answers for all of its users.
    """
    if contender.process is None:
        few = catalog.users(CHECKED_USERS)
        return _answers(bench, us, few), _answers(bench, peer, few)
    answer = peer_answers(contender.process)
    rows = zip(answer["user_id"], answer["item_id"], answer["score"], strict=True)
    theirs = {int(user): (ids, scores) for user, ids, scores in rows if user < CHECKED_USERS}
    few = catalog.users(peer.users).where(f"user_id < {CHECKED_USERS}")
    return _answers(bench, us, few), theirs


def _answers(bench: Bench, recommender: Recommender, users: DataFrame) -> Recommendations:
    assert recommender.recommend is not None
    pool_name = f"{recommender.name} checked"
    with pool(bench.spark, pool_name), session_conf(bench.spark, recommender.conf):
        return read_recommendations(recommender.recommend(users))


def pairs_table(timings: Mapping[str, Timing], users: Mapping[str, int], items: int) -> str:
    """Return a table of medians, ranges, pairs per second and their cost."""
    lines = []
    for name, timing in timings.items():
        pairs = users[name] * items
        lines.append(
            [
                name,
                f"{users[name]:,}",
                f"{timing.median:.2f}",
                f"{min(timing.seconds):.2f} to {max(timing.seconds):.2f}",
                f"{pairs / timing.median / 1e6:,.2f}",
                f"{timing.cores / timing.median:.2f}",
                f"{timing.cores / pairs * 1e6:.4g}",
                timing.peak,
            ]
        )
    head = ["", "users", "median s", "range s", "million pairs/s", "cores used"]
    head += ["core-s per million pairs", "peak private MB of a worker"]
    return markdown_table(head, lines)


def plan_text(path: str, catalog: Catalog, k: int, feed: Mapping[str, Any]) -> str:
    """Return the plan of `recommend` as Markdown."""
    plan = tf2spark.SavedModel(path).plan(catalog.users(CHECKED_USERS), catalog.items, k, feed=feed)
    return f"The plan:\n\n```\n{plan}\n```"

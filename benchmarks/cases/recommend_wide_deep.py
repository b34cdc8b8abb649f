"""Wide-and-deep on five ids of the user and five of the item, every user against 5,000 items."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from benchmarks import catalogs, models
from benchmarks.cases.recommend_bounds import add_layers_bottleneck
from benchmarks.cases.recommend_common import (
    US,
    Catalog,
    Recommender,
    our_recommend,
    peer_recommender,
    plan_text,
    run_recommenders,
)
from benchmarks.harness import Bench
from benchmarks.peers import seed_recipe
from benchmarks.reports import Report

ITEMS, K = 5_000, 10
FEED = {"ids": ["user_ids", "item_ids"]}
SEED = "one user x all items, hand-written in Python"
PEERS = ("onnx",)


def run(bench: Bench) -> Report:
    users = bench.choose_rows(small=400, full=4_000)
    report = Report(f"recommend-wide-deep: layers of 160 - 256 - 128 - 1, {ITEMS:,} items, top {K}")
    catalog = Catalog(
        lambda rows: catalogs.ids(bench.spark, bench.folder, "user", rows),
        catalogs.ids(bench.spark, bench.folder, "item", ITEMS),
        ITEMS,
    )
    path = models.path_of(bench.folder, "catalog-wide-deep")
    package = models.package_of(bench.folder, "catalog-wide-deep")
    us = Recommender(US, our_recommend(path, catalog, K, FEED), users)
    seed = Recommender(
        SEED,
        lambda table: seed_recipe.best(
            package,
            table,
            catalog.items,
            K,
            read_users=_reader("user_ids"),
            read_items=_reader("item_ids"),
            output="score",
        ),
        max(users // 2, 50),
    )
    onnx = peer_recommender("onnx", max(users // 10, 20), model=path, k=K)
    recommenders, goals = [us, seed, onnx], {SEED: 1.8}
    timings = run_recommenders(
        bench, report, catalog, recommenders, job="wide-and-deep", goals=goals
    )
    report.add(plan_text(path, catalog, K, FEED))
    add_layers_bottleneck(bench, report, timings[US], users * ITEMS, [256, 128, 1])
    return report


def _reader(name: str) -> Callable[[Any], Mapping[str, np.ndarray]]:
    def read(table: Any) -> Mapping[str, np.ndarray]:
        column = table.column(name)
        column = column.combine_chunks() if hasattr(column, "combine_chunks") else column
        return {"ids": column.flatten().to_numpy().reshape(table.num_rows, -1)}

    return read

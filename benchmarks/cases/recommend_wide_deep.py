"""Wide-and-deep on five ids of the user and five of the item, every user against 5,000 items."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from benchmarks import catalogs, models
from benchmarks.cases.recommend_bounds import bound
from benchmarks.cases.recommend_common import US, Catalog, Way, apart, ours, planned, run_ways
from benchmarks.harness import Bench
from benchmarks.peers import seed_recipe
from benchmarks.reports import Report

ITEMS, K = 5_000, 10
FEED = {"ids": ["user_ids", "item_ids"]}
SEED = "one user x all items, by hand in Python"
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
    us = Way(US, ours(path, catalog, K, FEED), users)
    seed = Way(
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
    onnx = apart("onnx", max(users // 10, 20), model=path, k=K)
    asked = {SEED: 1.8}
    found = run_ways(bench, report, catalog, [us, seed, onnx], job="wide-and-deep", asked=asked)
    report.add(planned(models.path_of(bench.folder, "catalog-wide-deep"), catalog, K, FEED))
    bound(bench, report, found[US], users * ITEMS, [256, 128, 1])
    return report


def _reader(name: str) -> Callable[[Any], Mapping[str, np.ndarray]]:
    def read(table: Any) -> Mapping[str, np.ndarray]:
        column = table.column(name)
        column = column.combine_chunks() if hasattr(column, "combine_chunks") else column
        return {"ids": column.flatten().to_numpy().reshape(table.num_rows, -1)}

    return read

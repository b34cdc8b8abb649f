"""DeepFM with 40 fields embedded 16 wide, every user against 5,000 items.

This is the shape of model that the project started from.
"""

from __future__ import annotations

from collections.abc import Mapping
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
from benchmarks.peers import cross_join, seed_recipe
from benchmarks.recommender_models import FIELDS, UNITS
from benchmarks.reports import Report

ITEMS, K = 5_000, 10
FEED = {
    "feat_ids": ["user:features.indices", "item:features.indices"],
    "feat_vals": ["user:features.values", "item:features.values"],
}
SEED = "one user x all items, hand-written in Python"
CROSS = "cross join and predict_batch_udf"
PEERS = ("predict_batch_udf", "tensorflow-java")


def run(bench: Bench) -> Report:
    users = bench.choose_rows(small=400, full=4_000)
    report = Report(
        f"recommend-deepfm: 40 fields x 16, layers of {UNITS[:-1]}, {ITEMS:,} items, top {K}"
    )
    catalog = Catalog(
        lambda rows: catalogs.fields(bench.spark, bench.folder, "user", rows),
        catalogs.fields(bench.spark, bench.folder, "item", ITEMS),
        ITEMS,
    )
    recommenders = _recommenders(bench, catalog, users)
    goals = {CROSS: 20, SEED: 4}
    timings = run_recommenders(bench, report, catalog, recommenders, job="DeepFM", goals=goals)
    report.add(plan_text(models.path_of(bench.folder, "catalog-deepfm"), catalog, K, FEED))
    add_layers_bottleneck(bench, report, timings[US], users * ITEMS, UNITS)
    return report


def _recommenders(bench: Bench, catalog: Catalog, users: int) -> list[Recommender]:
    path = models.path_of(bench.folder, "catalog-deepfm")
    package = models.package_of(bench.folder, "catalog-deepfm")
    udf_of = cross_join.fields_udf
    return [
        Recommender(US, our_recommend(path, catalog, K, FEED), users),
        Recommender(
            SEED,
            lambda table: seed_recipe.best(
                package,
                table,
                catalog.items,
                K,
                read_users=read_fields,
                read_items=read_fields,
                output="ctr",
            ),
            max(users // 8, 50),
        ),
        Recommender(
            CROSS,
            lambda table: cross_join.best_of_vectors(table, catalog.items, udf_of(path, FIELDS), K),
            max(users // 40, 20),
            cross_join.CONF,
            peer="predict_batch_udf",
        ),
        peer_recommender("tensorflow-java", max(users // 8, 50), model=path, k=K),
    ]


def read_fields(table: Any) -> Mapping[str, np.ndarray]:
    """Read vectors that all have the same number of ids."""
    column = table.column("features")
    column = column.combine_chunks() if hasattr(column, "combine_chunks") else column
    shape = (table.num_rows, FIELDS // 2)
    ids, values = (column.field(name).flatten().to_numpy() for name in ("indices", "values"))
    return {
        "feat_ids": ids.reshape(shape).astype(np.int64),
        "feat_vals": values.reshape(shape).astype(np.float32),
    }

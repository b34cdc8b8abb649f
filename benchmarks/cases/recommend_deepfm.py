"""DeepFM, 40 fields 16 wide, every user against 5,000 items: the seed shape of models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks import catalogs, models
from benchmarks.cases.recommend_bounds import bound
from benchmarks.cases.recommend_common import US, Catalog, Way, apart, ours, planned, run_ways
from benchmarks.harness import Bench
from benchmarks.peers import cross_join, seed_recipe
from benchmarks.recommender_models import FIELDS, UNITS
from benchmarks.reports import Report

ITEMS, K = 5_000, 10
FEED = {
    "feat_ids": ["user:features.indices", "item:features.indices"],
    "feat_vals": ["user:features.values", "item:features.values"],
}
SEED = "one user x all items, by hand in Python"
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
    ways = _ways(bench, catalog, users)
    asked = {CROSS: 20, SEED: 4}
    found = run_ways(bench, report, catalog, ways, job="DeepFM", asked=asked)
    report.add(planned(models.path_of(bench.folder, "catalog-deepfm"), catalog, K, FEED))
    bound(bench, report, found[US], users * ITEMS, UNITS)
    return report


def _ways(bench: Bench, catalog: Catalog, users: int) -> list[Way]:
    path = models.path_of(bench.folder, "catalog-deepfm")
    package = models.package_of(bench.folder, "catalog-deepfm")
    udf_of = cross_join.fields_udf
    return [
        Way(US, ours(path, catalog, K, FEED), users),
        Way(
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
        Way(
            CROSS,
            lambda table: cross_join.best_of_vectors(table, catalog.items, udf_of(path, FIELDS), K),
            max(users // 40, 20),
            cross_join.CONF,
            peer="predict_batch_udf",
        ),
        apart("tensorflow-java", max(users // 8, 50), model=path, k=K),
    ]


def read_fields(table: Any) -> Mapping[str, np.ndarray]:
    """Read vectors that all have as many ids."""
    column = table.column("features")
    column = column.combine_chunks() if hasattr(column, "combine_chunks") else column
    shape = (table.num_rows, FIELDS // 2)
    ids, values = (column.field(name).flatten().to_numpy() for name in ("indices", "values"))
    return {
        "feat_ids": ids.reshape(shape).astype(np.int64),
        "feat_vals": values.reshape(shape).astype(np.float32),
    }

"""Inner products of 64 floats, the best 100 of 20,000 items, against Spark's ALS.

Both read the same Parquet files of factors; the model is fed them, as ALS is.
"""

from __future__ import annotations

from pyspark.sql import DataFrame

from benchmarks import catalogs, floors, models
from benchmarks.cases.common import FLOOR
from benchmarks.cases.recommend_common import (
    US,
    Catalog,
    Way,
    ask,
    bound_by_product,
    ours,
    run_ways,
)
from benchmarks.harness import Bench, Report
from benchmarks.peers import als
from benchmarks.recommender_models import TOWER

ITEMS, K = 20_000, 100
ALS = "ALS.recommendForAllUsers"


def run(bench: Bench) -> Report:
    users = bench.choose_rows(small=5_000, full=50_000)
    report = Report(f"recommend-towers: {TOWER} wide, {users:,} users x {ITEMS:,} items, top {K}")
    catalog = Catalog(
        lambda rows: catalogs.vectors(bench.spark, bench.folder, "user", rows, TOWER),
        catalogs.vectors(bench.spark, bench.folder, "item", ITEMS, TOWER),
        ITEMS,
    )
    path = models.path_of(bench.folder, "catalog-dot")

    def by_als(table: DataFrame) -> DataFrame:
        return als.model(table, catalog.items, TOWER).recommendForAllUsers(K)

    us = Way(US, ours(path, catalog, K, {"user": "user", "item": "item"}), users)
    them = Way(ALS, by_als, max(users // 5, 2_000), python=False)
    nothing = Way(FLOOR, lambda table: floors.recommendations(table, K), users, scores=False)
    found = run_ways(bench, report, catalog, [us, them, nothing])
    ask(report, 20, them, us, found)
    bound_by_product(bench, report, found[US].cores, users * ITEMS, K, found[FLOOR].cores)
    return report

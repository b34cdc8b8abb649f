"""Inner products of 64 floats, the best 100 of 20,000 items: ALS's own job, and others'.

All read the same Parquet files of factors; the model is fed them, as ALS is.
"""

from __future__ import annotations

from pyspark.sql import DataFrame

from benchmarks import catalogs, floors, models
from benchmarks.cases.recommend_bounds import bound_by_product
from benchmarks.cases.recommend_common import US, Catalog, Way, apart, ours, run_ways
from benchmarks.cases.rows import FLOOR
from benchmarks.harness import Bench
from benchmarks.peers import als, cross_join
from benchmarks.recommender_models import TOWER
from benchmarks.reports import Report

ITEMS, K = 20_000, 100
ALS, CROSS = "ALS.recommendForAllUsers", "cross join and predict_batch_udf"
PEERS = ("als", "predict_batch_udf", "implicit", "tfrs")


def run(bench: Bench) -> Report:
    users = bench.choose_rows(small=5_000, full=50_000)
    few = max(users // 5, 2_000)
    report = Report(f"recommend-towers: {TOWER} wide, {users:,} users x {ITEMS:,} items, top {K}")
    catalog = Catalog(
        lambda rows: catalogs.vectors(bench.spark, bench.folder, "user", rows, TOWER),
        catalogs.vectors(bench.spark, bench.folder, "item", ITEMS, TOWER),
        ITEMS,
    )
    path = models.path_of(bench.folder, "catalog-dot")

    def by_als(table: DataFrame) -> DataFrame:
        return als.model(table, catalog.items, TOWER).recommendForAllUsers(K)

    def by_cross_join(table: DataFrame) -> DataFrame:
        udf = cross_join.towers_udf(path, TOWER)
        return cross_join.best_of_towers(table, catalog.items, udf, K)

    ways = [
        Way(US, ours(path, catalog, K, {"user": "user", "item": "item"}), users),
        Way(ALS, by_als, few, python=False, peer="als"),
        Way(CROSS, by_cross_join, max(few // 100, 20), cross_join.CONF, peer="predict_batch_udf"),
        apart("implicit", users, k=K),
        apart("tfrs", users, k=K),
        Way(FLOOR, lambda table: floors.recommendations(table, K), users, scores=False),
    ]
    found = run_ways(bench, report, catalog, ways, job="two towers", asked={ALS: 20})
    bound_by_product(bench, report, found[US].cores, users * ITEMS, K, found[FLOOR].cores)
    return report

"""Inner products of 64 floats, the best 100 of 20,000 items: the job of ALS and of others.

All contenders read the same Parquet files of factors.
"""

from __future__ import annotations

from pyspark.sql import DataFrame

from benchmarks import catalogs, floors, models
from benchmarks.cases.recommend_bounds import add_product_bottleneck
from benchmarks.cases.recommend_common import (
    US,
    Catalog,
    Recommender,
    our_recommend,
    peer_recommender,
    run_recommenders,
)
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

    recommenders = [
        Recommender(US, our_recommend(path, catalog, K, {"user": "user", "item": "item"}), users),
        Recommender(ALS, by_als, few, python=False, peer="als"),
        Recommender(
            CROSS, by_cross_join, max(few // 100, 20), cross_join.CONF, peer="predict_batch_udf"
        ),
        peer_recommender("implicit", users, k=K),
        peer_recommender("tfrs", users, k=K),
        Recommender(FLOOR, lambda table: floors.recommendations(table, K), users, scores=False),
    ]
    timings = run_recommenders(
        bench, report, catalog, recommenders, job="two towers", goals={ALS: 20}
    )
    add_product_bottleneck(bench, report, timings[US].cores, users * ITEMS, K, timings[FLOOR].cores)
    return report

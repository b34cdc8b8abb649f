"""Inner products of 64 floats, the best 100 of 20,000 items, against Spark's ALS.

Both read the same Parquet files of factors; the model is fed them, as ALS is.
"""

from __future__ import annotations

from pyspark.sql import DataFrame

from benchmarks import catalogs, models
from benchmarks.cases.recommend_common import US, Catalog, Way, ask, ours, run_ways
from benchmarks.gemm_floor import floor
from benchmarks.harness import Bench, Report, Timed
from benchmarks.peers import als
from benchmarks.recommender_models import TOWER

ITEMS, K = 20_000, 100
ALS = "ALS.recommendForAllUsers"
_BLOCK = 512


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
    found = run_ways(bench, report, catalog, [us, them])
    ask(report, 20, them, us, found)
    _bound(bench, report, found[US], users)
    return report


def _bound(bench: Bench, report: Report, us: Timed, users: int) -> None:
    path = models.path_of(bench.folder, "catalog-gemm")
    alone = floor(path, {"user": [_BLOCK, TOWER], "item": [4096, TOWER]}).median
    rate = _BLOCK * 4096 / alone
    ideal, took = 1e6 / rate, us.cores / (users * ITEMS) * 1e6
    report.add(
        f"What bounds us: TensorFlow's GEMM alone takes {ideal:.5f} core-s a million pairs "
        f"({rate * 2 * TOWER / 1e9:.0f} GFLOP/s on one core, {_BLOCK} users x 4,096 items), "
        f"{ideal / took:.0%} of our {took:.5f}; the rest reads every score once more to keep the "
        f"best {K}, sorts them, and is Spark's."
    )

"""Dense and sparse rows on HDFS and S3: read by the workers, by Spark, and with TensorFlow Java.

The servers are those of the tests, on this machine; their own CPU time isn't counted.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from pyspark.ml.linalg import VectorUDT
from pyspark.sql import DataFrame
from pyspark.sql.types import LongType, StructField, StructType

from benchmarks import data, models
from benchmarks.cases.rows import READ, US, US_SPARK_READS, run_rows
from benchmarks.cases.sparse import FEED
from benchmarks.contenders import JAVA, peer_contender
from benchmarks.harness import Bench, Contender, session_conf
from benchmarks.remote_stores import Store, remote_stores
from benchmarks.reports import Report
from benchmarks.scoring import describe_carrier, score_table
from tf2spark.spark import hadoop

PEERS = ("tensorflow-java",)
_KINDS: dict[str, tuple[str, dict[str, Any], float]] = {
    "dense": ("mlp-128", {"fetch": {"score": "output_0"}}, 2.0),
    "sparse": ("sparse", {"feed": FEED}, 1.6),
}
_VECTORS = StructType([StructField("id", LongType()), StructField("features", VectorUDT())])


def run(bench: Bench) -> Report:
    rows = bench.choose_rows(small=50_000, full=1_000_000)
    report = Report(f"remote: dense and sparse rows on HDFS and S3, {rows:,} rows")
    with remote_stores() as stores:
        for store in stores:
            for kind in _KINDS:
                _run_on(bench, report, store, kind, rows)
    return report


def _run_on(bench: Bench, report: Report, store: Store, kind: str, rows: int) -> None:
    name, options, goal = _KINDS[kind]
    path = models.path_of(bench.folder, name)
    with session_conf(bench.spark, store.conf):
        url = _upload(bench, store, kind, rows)
    table = partial(_table, bench, kind, url)

    def score(read: str) -> DataFrame:
        return score_table(path, table(), ["id"], read=read, **options)

    arguments = {"model": path, "table": url, "kind": kind, "conf": dict(store.conf)}
    contenders = [
        Contender(US, partial(score, "auto"), store.conf),
        Contender(US_SPARK_READS, partial(score, "spark"), store.conf),
        peer_contender(bench, "tensorflow-java", arguments),
        Contender(READ, table, store.conf, python=False),
    ]
    with session_conf(bench.spark, store.conf):
        carrier = describe_carrier(score("auto"))
    report.add(f"### {kind} rows on {store.name} (our carrier: {carrier})")
    job = f"{kind} rows on {store.name}"
    timings = run_rows(bench, report, job, contenders, rows, {JAVA: 1.3})
    ours, spark_reads = timings[US].cores, timings[US_SPARK_READS].cores
    report.target(
        f'Core-seconds of read="spark" relative to ours ({job})', goal, spark_reads / ours
    )


def _table(bench: Bench, kind: str, url: str) -> DataFrame:
    reader = bench.spark.read
    return (reader.schema(_VECTORS) if kind == "sparse" else reader).parquet(url)


def _upload(bench: Bench, store: Store, kind: str, rows: int) -> str:
    """Copy a table's files to a store as they are, and return its URL."""
    make = data.sparse if kind == "sparse" else data.dense
    local = Path(data.folder_of(make(bench.spark, bench.folder, rows)))
    url = f"{store.url.rstrip('/')}/{kind}"
    for file in sorted(local.glob("*.parquet")):
        hadoop.upload(bench.spark, file, f"{url}/{file.name}")
    return url

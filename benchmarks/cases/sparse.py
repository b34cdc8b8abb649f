"""MLlib vectors, 30 non-zeros in 100,000, through a weighted sum of embeddings.

`predict_batch_udf` takes arrays of one fixed length, so it gets ``vector_to_array(features)``, as
documented: 100,000 floats per row. It can then feed the whole vector to the model's signature for
that, or search for the non-zeros; both are timed. A third contender goes beyond the documentation,
and needs rows that all have about as many non-zeros: Spark's `unwrap_udt` unpacks the vector, SQL
pads its ids and values to one length, and `predict_batch_udf` gets two short arrays. Contenders
have different numbers of rows; ratios are per row.
"""

from __future__ import annotations

import functools
from typing import Any

from pyspark.ml.functions import vector_to_array
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from benchmarks import data, floors, models
from benchmarks.cases.rows import (
    FLOOR,
    PEER,
    READ,
    US,
    US_SPARK_READS,
    describe_bottlenecks,
    run_rows,
)
from benchmarks.contenders import JAVA, peer_contender
from benchmarks.harness import Bench, Contender
from benchmarks.peers import predict_batch_udf as peer
from benchmarks.reports import Report
from benchmarks.scoring import describe_carrier, score_table
from benchmarks.stages import measure_stages, stages_table

PEERS = ("predict_batch_udf", "tensorflow-java", "tensorflow")
FEED = {"ids": "features.indices", "values": "features.values"}
VECTOR = "predict_batch_udf, dense signature"
NONZERO = "predict_batch_udf, np.nonzero"
PAIRS = "predict_batch_udf, vectors unpacked by hand"
# Spark 4.3.0 can't run any Arrow UDF directly on a Parquet scan with vectors ("Unsupported data
# type UDT") unless this is off. `score` uses mapInArrow for vectors, which isn't affected.
ROW_INPUT = {"spark.sql.execution.arrow.pythonUDF.columnarInput.enabled": "false"}
# 64 rows of 100,000 floats are 26 MB. 10,000 would be 4 GB per batch, in the JVM and in Python.
DENSE_INPUT = {**ROW_INPUT, "spark.sql.execution.arrow.maxRecordsPerBatch": "64"}


def run(bench: Bench) -> Report:
    rows = bench.choose_rows(small=50_000, full=1_000_000)
    few = max(rows // 125, 1_000)
    report = Report(
        f"sparse: MLlib vectors, {data.NON_ZEROS} non-zeros in {models.SPARSE_WIDTH:,}, "
        f"embedding sum; {rows:,} rows ({few:,} for the peers that densify)"
    )
    path = models.path_of(bench.folder, "sparse")
    df = data.sparse(bench.spark, bench.folder, rows)
    small = data.sparse(bench.spark, bench.folder, few)
    keep = ["id"]
    arguments = {"model": path, "table": data.folder_of(df), "kind": "sparse"}
    dense = [
        Contender(name, functools.partial(_dense, small, udf), DENSE_INPUT, peer=PEER)
        for name, udf in (
            (VECTOR, peer.vector_udf(path, models.SPARSE_WIDTH)),
            (NONZERO, peer.nonzero_udf(path, models.SPARSE_WIDTH)),
        )
    ]
    contenders = [
        Contender(US, lambda: score_table(path, df, keep, feed=FEED)),
        Contender(US_SPARK_READS, lambda: score_table(path, df, keep, read="spark", feed=FEED)),
        *dense,
        Contender(PAIRS, lambda: _pairs(df, path), ROW_INPUT, peer=PEER),
        *(peer_contender(bench, name, arguments) for name in PEERS[1:]),
        Contender(FLOOR, lambda: floors.map_in_arrow(df, keep)),
        Contender(READ, lambda: df, python=False),
    ]
    counts = {contender.name: few if contender in dense else rows for contender in contenders}
    on_few = Contender(US, lambda: score_table(path, small, keep, feed=FEED))
    others = [contender for contender in contenders if contender not in dense]
    report.add(f"id kept (our carrier: {describe_carrier(score_table(path, df, keep, feed=FEED))})")
    goals = {VECTOR: 10, NONZERO: 10, JAVA: 1}
    groups = [others, [on_few, *dense]]
    timings = run_rows(bench, report, "sparse rows", contenders, counts, goals, groups)
    stages = measure_stages(path, df, min(rows, 200_000), feed=FEED)
    report.add(describe_bottlenecks(timings, rows, stages))
    report.add(stages_table(stages))
    return report


def _dense(df: DataFrame, udf: Any) -> DataFrame:
    return df.select("id", udf(vector_to_array(F.col("features"), "float32")).alias("score"))


def _pairs(df: DataFrame, path: str) -> DataFrame:
    vector = F.unwrap_udt("features")
    ids = _pad(vector["indices"], F.lit(0))
    values = _pad(vector["values"], F.lit(0.0))
    udf = peer.pairs_udf(path, data.NON_ZEROS)
    return df.select("id", udf(ids, values).alias("score"))


def _pad(array: Column, value: Column) -> Column:
    missing = F.lit(data.NON_ZEROS) - F.size(array)
    return F.concat(array, F.array_repeat(value, missing))

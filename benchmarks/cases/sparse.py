"""MLlib vectors, 30 non-zeros in 100,000, through a weighted sum of embeddings.

`predict_batch_udf` takes arrays of one fixed length, so it gets ``vector_to_array(features)``, the
documented way: 100,000 floats a row. Of the two things that it can then do (feed the whole vector
to the model's signature for that, or look for the non-zeros), the faster is the peer. A third row
shows a way outside of its documentation, for rows that all have about as many non-zeros: Spark's
`unwrap_udt` opens the vector, SQL pads its ids and values to one length, and `predict_batch_udf`
gets two short arrays. Peer and we time different numbers of rows; the ratios are per row.
"""

from __future__ import annotations

import functools
from typing import Any

from pyspark.ml.functions import vector_to_array
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from benchmarks import data, floors, models
from benchmarks.cases.rows import FLOOR, PEER, READ, US, US_BY_SPARK, bound, run_rows
from benchmarks.contenders import JAVA, apart
from benchmarks.harness import Bench, Contender
from benchmarks.peers import predict_batch_udf as peer
from benchmarks.reports import Report
from benchmarks.scoring import chosen_carrier, scored
from benchmarks.stages import stages_of, stages_table

PEERS = ("predict_batch_udf", "tensorflow-java", "tensorflow")
FEED = {"ids": "features.indices", "values": "features.values"}
VECTOR = "predict_batch_udf, dense signature"
NONZERO = "predict_batch_udf, np.nonzero"
PAIRS = "predict_batch_udf, vectors opened by hand"
# Spark 4.3.0 can't run any Arrow UDF straight on a Parquet scan that holds vectors ("Unsupported
# data type UDT"), unless this is off. `score` uses mapInArrow for vectors, which isn't concerned.
ROWS_IN = {"spark.sql.execution.arrow.pythonUDF.columnarInput.enabled": "false"}
# 64 rows of 100,000 floats are 26 MB; 10,000 would be 4 GB a batch in the JVM and again in Python.
DENSE_IN = {**ROWS_IN, "spark.sql.execution.arrow.maxRecordsPerBatch": "64"}


def run(bench: Bench) -> Report:
    rows = bench.choose_rows(small=50_000, full=1_000_000)
    few = max(rows // 125, 1_000)
    report = Report(
        f"sparse: MLlib vectors, {data.NON_ZEROS} non-zeros in {models.SPARSE_WIDTH:,}, "
        f"embedding sum; {rows:,} rows ({few:,} for those who densify)"
    )
    path = models.path_of(bench.folder, "sparse")
    df = data.sparse(bench.spark, bench.folder, rows)
    small = data.sparse(bench.spark, bench.folder, few)
    keep = ["id"]
    given = {"model": path, "table": data.folder_of(df), "kind": "sparse"}
    dense = [
        Contender(name, functools.partial(_dense, small, udf), DENSE_IN, peer=PEER)
        for name, udf in (
            (VECTOR, peer.vector_udf(path, models.SPARSE_WIDTH)),
            (NONZERO, peer.nonzero_udf(path, models.SPARSE_WIDTH)),
        )
    ]
    contenders = [
        Contender(US, lambda: scored(path, df, keep, feed=FEED)),
        Contender(US_BY_SPARK, lambda: scored(path, df, keep, read="spark", feed=FEED)),
        *dense,
        Contender(PAIRS, lambda: _pairs(df, path), ROWS_IN, peer=PEER),
        *(apart(bench, name, given) for name in PEERS[1:]),
        Contender(FLOOR, lambda: floors.map_in_arrow(df, keep)),
        Contender(READ, lambda: df, python=False),
    ]
    counts = {one.name: few if one in dense else rows for one in contenders}
    on_few = Contender(US, lambda: scored(path, small, keep, feed=FEED))
    groups = [[one for one in contenders if one not in dense], [on_few, *dense]]
    report.add(f"id kept (ours by {chosen_carrier(scored(path, df, keep, feed=FEED))})")
    asked = {VECTOR: 10, NONZERO: 10, JAVA: 1}
    found = run_rows(bench, report, "sparse rows", contenders, counts, asked, groups)
    stages = stages_of(path, df, min(rows, 200_000), feed=FEED)
    report.add(bound(found, rows, stages))
    report.add(stages_table(stages))
    return report


def _dense(df: DataFrame, udf: Any) -> DataFrame:
    return df.select("id", udf(vector_to_array(F.col("features"), "float32")).alias("score"))


def _pairs(df: DataFrame, path: str) -> DataFrame:
    vector = F.unwrap_udt("features")
    ids = _padded(vector["indices"], F.lit(0))
    values = _padded(vector["values"], F.lit(0.0))
    udf = peer.pairs_udf(path, data.NON_ZEROS)
    return df.select("id", udf(ids, values).alias("score"))


def _padded(array: Column, value: Column) -> Column:
    missing = F.lit(data.NON_ZEROS) - F.size(array)
    return F.concat(array, F.array_repeat(value, missing))

"""Parquet tables scored both ways: read by the workers, and by Spark."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

import tf2spark

ROWS = 300
FEATURES = pa.list_(pa.float32())


def features(rows: int = ROWS, seed: int = 1) -> pa.Array:
    """Return rows for a model that takes 8 floats."""
    values = np.random.default_rng(seed).standard_normal((rows, 8), np.float32)
    return pa.array(list(values), FEATURES)


def write_file(path: Path, columns: dict[str, Any] | None = None, **options: Any) -> str:
    """Write one more file into a folder, with features, an id and the columns given."""
    path.mkdir(exist_ok=True)
    table = {"features": features(), "id": np.arange(ROWS)} | (columns or {})
    number = len(list(path.iterdir()))
    pq.write_table(pa.table(table), path / f"part-{number}.parquet", **options)
    return str(path)


def reader_of(scored: DataFrame) -> Literal["worker", "spark"]:
    """Return who reads the files of a scored table, from its plan."""
    plan = scored._jdf.queryExecution().executedPlan().toString()
    assert ("score_files" in plan) != ("Scan" in plan)
    return "worker" if "score_files" in plan else "spark"


def rows_of(scored: DataFrame) -> list[str]:
    """Return the rows in order, with each one's partition; as text, which shows NaN and -0.0."""
    numbered = scored.toDF(*(f"c{n}" for n in range(len(scored.columns))))
    rows = numbered.select("*", F.spark_partition_id()).collect()
    return [repr(row) for row in rows]


def assert_same_rows(model: tf2spark.SavedModel, df: DataFrame, **options: Any) -> DataFrame:
    """Score both ways and assert that schema, partitions, order and bits are the same."""
    by_worker = model.score(df, reproducible=True, batch_rows=64, **options)
    by_spark = model.score(df, reproducible=True, batch_rows=64, read="spark", **options)
    assert (reader_of(by_worker), reader_of(by_spark)) == ("worker", "spark")
    assert by_worker.schema == by_spark.schema
    metadata = [[field.metadata for field in scored.schema] for scored in (by_worker, by_spark)]
    assert metadata[0] == metadata[1]
    assert rows_of(by_worker) == rows_of(by_spark)
    return by_worker


class settings:
    """Change settings of the session within a block."""

    def __init__(self, spark: SparkSession, conf: dict[str, str]) -> None:
        self._spark, self._conf = spark, conf

    def __enter__(self) -> None:
        self._before = {name: self._spark.conf.get(name, None) for name in self._conf}
        for name, value in self._conf.items():
            self._spark.conf.set(name, value)

    def __exit__(self, *_: object) -> None:
        for name, value in self._before.items():
            if value is None:
                self._spark.conf.unset(name)
            else:
                self._spark.conf.set(name, value)

"""Parquet tables scored both ways: read by the workers, and by Spark."""

from __future__ import annotations

import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.ml.linalg import Vectors, VectorUDT
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as t

import tf2spark

ROWS = 300
FEATURES = pa.list_(pa.float32())


_STRUCT = t.StructType(
    [t.StructField("i", t.IntegerType()), t.StructField("l", t.ArrayType(t.StringType()))]
)
_VALUES: dict[str, tuple[t.DataType, list[Any]]] = {
    "bool": (t.BooleanType(), [True, None, False]),
    "byte": (t.ByteType(), [-128, None, 127]),
    "short": (t.ShortType(), [-(2**15), None, 2**15 - 1]),
    "int": (t.IntegerType(), [-(2**31), None, 2**31 - 1]),
    "long": (t.LongType(), [-(2**63), None, 2**63 - 1]),
    "float": (t.FloatType(), [float("nan"), None, -0.0, float("inf"), 1e-45]),
    "double": (t.DoubleType(), [float("nan"), None, -0.0, float("-inf"), 5e-324]),
    "string": (t.StringType(), ["", None, "ä\0𝄞"]),
    "binary": (t.BinaryType(), [bytearray(b""), None, bytearray(b"\xff\0")]),
    "array": (t.ArrayType(t.DoubleType()), [[], None, [1.5, None]]),
    "arrays": (t.ArrayType(t.ArrayType(t.LongType())), [[], None, [[1], None, []]]),
    "struct": (_STRUCT, [(1, ["a", None]), None, (None, None), (2, [])]),
    "structs": (t.ArrayType(_STRUCT), [[(1, ["a"]), None], None, []]),
    "nested": (
        t.StructType([t.StructField("s", _STRUCT), t.StructField("b", t.BooleanType())]),
        [((1, ["x"]), True), None, (None, None)],
    ),
    "vector": (
        VectorUDT(),
        [Vectors.dense([1.0, 2.0]), None, Vectors.sparse(5, [1, 3], [1.0, -2.0])],
    ),
    "a.b`c": (t.StringType(), ["x", None]),
    "date": (t.DateType(), [datetime.date(1583, 1, 1), None, datetime.date(2026, 1, 2)]),
    "time": (t.TimestampType(), [datetime.datetime(2026, 3, 29, 2, 30), None]),
    "ntz": (t.TimestampNTZType(), [datetime.datetime(1, 1, 1), None]),
    "decimal": (t.DecimalType(38, 10), [Decimal("-1.5"), None, Decimal("1e20")]),
    "map": (t.MapType(t.StringType(), t.DateType()), [{"a": datetime.date(1583, 1, 1)}, None, {}]),
}


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


def write_all_types(spark: SparkSession, path: Path) -> None:
    """Write several files with columns of all types that workers read, by Spark."""
    rows = [
        (number, row.as_py(), *(values[number % len(values)] for _, values in _VALUES.values()))
        for number, row in enumerate(features())
    ]
    schema = t.StructType(
        [
            t.StructField("id", t.LongType(), False, {"note": "kept"}),
            t.StructField("features", t.ArrayType(t.FloatType(), False)),
            *(t.StructField(name, data_type) for name, (data_type, _) in _VALUES.items()),
        ]
    )
    df = spark.createDataFrame(spark.sparkContext.parallelize(rows, 3), schema)
    df.write.option("parquet.block.size", "4096").parquet(str(path))


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

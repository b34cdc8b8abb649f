"""Arrow tables as Spark DataFrames, MLlib vectors as real vectors."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from pyspark.ml.linalg import Vectors, VectorUDT
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_type
from pyspark.sql.types import DataType, StructField, StructType

from tf2spark.binding.messages import is_vector


def frame(spark: SparkSession, table: pa.Table, partitions: int = 1) -> DataFrame:
    """Return the rows as a DataFrame with this number of partitions, in their order."""
    schema = StructType([StructField(f.name, spark_type(f.type)) for f in table.schema])
    columns = [
        [spark_value(value, column.type) for value in column.to_pylist()]
        for column in table.columns
    ]
    rows = spark.sparkContext.parallelize(list(zip(*columns, strict=True)), partitions)
    return spark.createDataFrame(rows, schema)


def spark_type(kind: pa.DataType) -> DataType:
    """Return the Spark type that a column of this Arrow type has in real tables."""
    if is_vector(kind):
        return VectorUDT()
    if pa.types.is_struct(kind):
        return StructType([StructField(f.name, spark_type(f.type)) for f in kind])
    return from_arrow_type(kind)


def spark_value(value: Any, kind: pa.DataType) -> Any:
    """Return a value as PySpark represents it."""
    if value is None:
        return None
    if is_vector(kind):
        if value["type"] == 1:
            return Vectors.dense(value["values"])
        return Vectors.sparse(value["size"], value["indices"], value["values"])
    if pa.types.is_struct(kind):
        return tuple(spark_value(value[f.name], f.type) for f in kind)
    if pa.types.is_map(kind):
        return dict(value)
    return value

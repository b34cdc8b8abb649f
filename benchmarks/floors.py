"""The same jobs with Python functions that do nothing: a lower bound for any scorer in Python.

They make their nulls without `pa.array`, which imports pandas (0.2 s and 40 MB per worker).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql.types import FloatType, StructField, StructType

SCORE = "score"


def map_in_arrow(df: DataFrame, keep: Sequence[str]) -> DataFrame:
    """Send every column through `mapInArrow`, and return those in `keep` and a column of nulls."""
    keep = list(keep)
    fields = [df.schema[name] for name in keep]

    def no_op(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            columns = [
                *(batch.column(name) for name in keep),
                pa.nulls(batch.num_rows, pa.float32()),
            ]
            yield pa.RecordBatch.from_arrays(columns, names=[*keep, SCORE])

    return df.mapInArrow(no_op, StructType([*fields, StructField(SCORE, FloatType())]))


def arrow_udf(df: DataFrame, keep: Sequence[str], arguments: Sequence[str]) -> DataFrame:
    """Send the columns `arguments` through an `arrow_udf` that returns nulls.

    The other columns stay in the JVM.
    """
    from tf2spark.spark.arrow_udfs import arrow_udf_of

    def no_op(batches: Iterable[Any]) -> Iterator[pa.Array]:
        for batch in batches:
            first = batch if isinstance(batch, pa.Array) else batch[0]
            yield pa.nulls(len(first), pa.float32())

    nulls = arrow_udf_of(no_op, FloatType())(*arguments)
    return df.withColumn(SCORE, nulls).select(*keep, SCORE)


def recommendations(users: DataFrame, k: int) -> DataFrame:
    """Send users through `mapInArrow`, and return the same `k` recommendations for each."""
    schema = "user_id long, recommendations array<struct<item_id: long, score: float>>"

    def no_op(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            ids = np.tile(np.arange(k), batch.num_rows)
            scores = np.zeros(len(ids), np.float32)
            structs = pa.StructArray.from_arrays(
                [_array(pa.int64(), ids), _array(pa.float32(), scores)],
                names=["item_id", "score"],
            )
            offsets = pa.py_buffer(np.arange(batch.num_rows + 1, dtype=np.int32) * k)
            lists = pa.Array.from_buffers(
                pa.list_(structs.type), batch.num_rows, [None, offsets], children=[structs]
            )
            columns = [batch.column("user_id"), lists]
            yield pa.RecordBatch.from_arrays(columns, names=["user_id", "recommendations"])

    return users.mapInArrow(no_op, schema)


def _array(dtype: pa.DataType, values: np.ndarray) -> pa.Array:
    return pa.Array.from_buffers(dtype, len(values), [None, pa.py_buffer(values)])

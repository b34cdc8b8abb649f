"""The same jobs with Python functions that do nothing: what is left for a scorer to lose.

They make their nulls without `pa.array`, which imports pandas (0.2 s and 40 MB of a worker).
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
    """Send every column through `mapInArrow`; the kept ones and a column of nulls come back."""
    keep = list(keep)
    fields = [df.schema[name] for name in keep]

    def nothing(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            columns = [
                *(batch.column(name) for name in keep),
                pa.nulls(batch.num_rows, pa.float32()),
            ]
            yield pa.RecordBatch.from_arrays(columns, names=[*keep, SCORE])

    return df.mapInArrow(nothing, StructType([*fields, StructField(SCORE, FloatType())]))


def arrow_udf(df: DataFrame, keep: Sequence[str], used: Sequence[str]) -> DataFrame:
    """Send the columns `used` through an `arrow_udf` that returns nulls; others stay in the JVM."""
    from tf2spark.spark.arrow_udfs import arrow_udf_of

    def nothing(arrays: Iterable[Any]) -> Iterator[pa.Array]:
        for one in arrays:
            first = one if isinstance(one, pa.Array) else one[0]
            yield pa.nulls(len(first), pa.float32())

    nulls = arrow_udf_of(nothing, FloatType())(*used)
    return df.withColumn(SCORE, nulls).select(*keep, SCORE)


def recommendations(users: DataFrame, k: int) -> DataFrame:
    """Send users through `mapInArrow`; the same `k` recommendations for each come back."""
    schema = "user_id long, recommendations array<struct<item_id: long, score: float>>"

    def nothing(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            ids = np.tile(np.arange(k), batch.num_rows)
            parts = [pa.Array.from_buffers(pa.int64(), len(ids), [None, pa.py_buffer(ids)])]
            scores = pa.py_buffer(np.zeros(len(ids), np.float32))
            parts.append(pa.Array.from_buffers(pa.float32(), len(ids), [None, scores]))
            offsets = pa.py_buffer(np.arange(batch.num_rows + 1, dtype=np.int32) * k)
            structs = pa.StructArray.from_arrays(parts, names=["item_id", "score"])
            lists = pa.Array.from_buffers(
                pa.list_(structs.type), batch.num_rows, [None, offsets], children=[structs]
            )
            columns = [batch.column("user_id"), lists]
            yield pa.RecordBatch.from_arrays(columns, names=["user_id", "recommendations"])

    return users.mapInArrow(nothing, schema)

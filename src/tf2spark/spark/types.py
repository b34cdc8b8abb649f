"""Spark's types and Arrow's, in both directions."""

from __future__ import annotations

import pyarrow as pa
from pyspark.sql.pandas.types import from_arrow_type, to_arrow_type
from pyspark.sql.types import DataType, StructType

# Stands for any type that Spark can't send to Python; calendar intervals are such a type.
_OUT_OF_REACH = pa.month_day_nano_interval()


def arrow_schema(schema: StructType) -> pa.Schema:
    """Return the columns as Arrow has them in a Python worker.

    A column that Spark can't send to Python gets a type that no input takes; `score` passes it by.
    """
    return pa.schema([pa.field(one.name, _arrow_type(one.dataType)) for one in schema.fields])


def _arrow_type(kind: DataType) -> pa.DataType:
    try:
        return to_arrow_type(kind)
    except Exception:  # each release of Spark has its own exception for it
        return _OUT_OF_REACH


def can_reach_python(schema: StructType) -> bool:
    """Say whether every column can be sent to a Python worker and back."""
    return all(_arrow_type(one.dataType) != _OUT_OF_REACH for one in schema.fields)


def spark_type(kind: pa.DataType) -> DataType:
    """Return the Spark type of an output column."""
    return from_arrow_type(kind)

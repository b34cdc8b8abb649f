"""Spark's types and Arrow's, in both directions.

PySpark's own conversion is used, because it is what batches are converted by. It isn't documented,
but `pyspark.sql.pandas.types` has had these two functions since 2.4.
"""

from __future__ import annotations

import inspect
from typing import Any

import pyarrow as pa
from pyspark.sql.pandas.types import from_arrow_type, to_arrow_type
from pyspark.sql.types import DataType, StructType

# Some releases convert a timestamp only for a time zone. Any will do: no input takes timestamps.
_ZONE: dict[str, Any] = (
    {"timezone": "UTC"} if "timezone" in inspect.signature(to_arrow_type).parameters else {}
)
# Stands for any type that Spark can't send to Python; calendar intervals are such a type.
_UNREACHABLE = pa.month_day_nano_interval()


def arrow_schema(schema: StructType) -> pa.Schema:
    """Return a table's columns as Arrow has them in a Python worker.

    A column that Spark can't send to Python gets a type that no input takes. `score` can keep it,
    but not feed it.
    """
    return pa.schema([pa.field(field.name, _arrow_type(field.dataType)) for field in schema.fields])


def _arrow_type(data_type: DataType) -> pa.DataType:
    try:
        return to_arrow_type(data_type, **_ZONE)
    except Exception:  # each release of Spark raises another exception
        return _UNREACHABLE


def can_reach_python(schema: StructType) -> bool:
    """Say whether every column can be sent to a Python worker and back."""
    return all(_arrow_type(field.dataType) != _UNREACHABLE for field in schema.fields)


def spark_type(arrow_type: pa.DataType) -> DataType:
    """Return the Spark type of an output column."""
    return from_arrow_type(arrow_type)

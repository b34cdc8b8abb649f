"""Spark's types and Arrow's, in both directions."""

from __future__ import annotations

import pyarrow as pa
from pyspark.sql.pandas.types import from_arrow_type, to_arrow_type
from pyspark.sql.types import DataType, StructType


def arrow_schema(schema: StructType) -> pa.Schema:
    """Return the columns as Arrow has them in a Python worker.

    A column that Spark can't send to Python becomes Arrow's null type: it can't feed an input,
    and `score` passes it by.
    """
    return pa.schema([pa.field(one.name, _arrow_type(one.dataType)) for one in schema.fields])


def _arrow_type(kind: DataType) -> pa.DataType:
    try:
        return to_arrow_type(kind)
    except Exception:  # each release of Spark has its own exception for it
        return pa.null()


def can_reach_python(schema: StructType) -> bool:
    """Say whether every column can be sent to a Python worker and back."""
    return all(
        not pa.types.is_null(_arrow_type(one.dataType)) or one.dataType.typeName() == "void"
        for one in schema.fields
    )


def spark_type(kind: pa.DataType) -> DataType:
    """Return the Spark type of an output column."""
    return from_arrow_type(kind)

"""Spark's types and Arrow's, in both directions.

PySpark's own conversion is used, because it is what batches are converted by. It isn't documented,
but `pyspark.sql.pandas.types` has had these two functions since 2.4.
"""

from __future__ import annotations

import inspect
from typing import Any

import pyarrow as pa
from pyspark.sql.pandas.types import from_arrow_type, to_arrow_type
from pyspark.sql.types import (
    ArrayType,
    DataType,
    MapType,
    NullType,
    StructField,
    StructType,
    UserDefinedType,
)

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
    for each in (data_type, nullable_type(data_type)):
        if (arrow_type := _converted(each)) is not None:
            return arrow_type
    return _UNREACHABLE


def _converted(data_type: DataType) -> pa.DataType | None:
    try:
        return to_arrow_type(data_type, **_ZONE)
    except Exception:  # each release of Spark raises another exception
        return None


def can_reach_python(schema: StructType) -> bool:
    """Say whether every column can be sent to a Python worker and back."""
    return all(_converted(field.dataType) is not None for field in schema.fields)


def can_be_read(data_type: DataType) -> bool:
    """Say whether a column can be sent to a Python worker, be it not back."""
    return not _arrow_type(data_type).equals(_UNREACHABLE)


def nullable_type(data_type: DataType) -> DataType:
    """Return a type all of whose fields and elements may be null; one of SQL for a user's own."""
    match data_type:
        case UserDefinedType():
            return nullable_type(data_type.sqlType())
        case ArrayType():
            return ArrayType(nullable_type(data_type.elementType))
        case MapType():
            key, value = nullable_type(data_type.keyType), nullable_type(data_type.valueType)
            return MapType(key, value)
        case StructType():
            fields = [
                StructField(field.name, nullable_type(field.dataType)) for field in data_type.fields
            ]
            return StructType(fields)
    return data_type


def has_required_fields(data_type: DataType) -> bool:
    """Say whether pyarrow refuses some values of a type that PySpark casts them to.

    That are a null in place of a struct some of whose fields are never null, as MLlib's vectors
    are, and the elements of ``array()``, which are null as well as never null.
    """
    match data_type:
        case UserDefinedType():
            return has_required_fields(data_type.sqlType())
        case ArrayType(elementType=element):
            is_never = not data_type.containsNull and isinstance(element, NullType)
            return is_never or has_required_fields(element)
        case MapType():
            return has_required_fields(data_type.keyType) or has_required_fields(
                data_type.valueType
            )
        case StructType():
            return any(
                not field.nullable or has_required_fields(field.dataType)
                for field in data_type.fields
            )
    return False


def spark_type(arrow_type: pa.DataType) -> DataType:
    """Return the Spark type of an output column."""
    return from_arrow_type(arrow_type)

"""Values that stand in Spark's plans, as Spark holds them inside, and as Arrow does."""

from __future__ import annotations

import decimal
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from pyspark.sql import types as t

_AS_THEY_ARE = (
    t.BooleanType, t.ByteType, t.ShortType, t.IntegerType, t.LongType, t.FloatType, t.DoubleType,
)  # fmt: skip


def is_supported(data_type: t.DataType) -> bool:
    """Say whether values of a type are understood here."""
    others = (t.StringType, t.BinaryType, t.DateType, t.TimestampType, t.TimestampNTZType)
    return type(data_type) in (*_AS_THEY_ARE, *others, t.DecimalType)


def array_of(values: Sequence[Any], data_type: t.DataType, arrow_type: pa.DataType) -> pa.Array:
    """Return values of Catalyst, as py4j has them, as an array; None is null.

    Strings are UTF8String, dates days and timestamps microseconds since 1970.

    Raises:
        TypeError: The type is not a supported one.
    """
    if isinstance(data_type, _AS_THEY_ARE):
        return pa.array(values, arrow_type)
    if isinstance(data_type, t.DateType):
        return pa.array(values, pa.int32()).cast(arrow_type)
    if isinstance(data_type, (t.TimestampType, t.TimestampNTZType)):
        return pa.array(values, pa.int64()).cast(arrow_type)
    if isinstance(data_type, t.BinaryType):
        return pa.array([None if value is None else bytes(value) for value in values], arrow_type)
    texts = [None if value is None else value.toString() for value in values]
    if isinstance(data_type, t.StringType):
        return pa.array(texts, arrow_type)
    if isinstance(data_type, t.DecimalType):
        numbers = [None if text is None else decimal.Decimal(text) for text in texts]
        return pa.array(numbers, arrow_type)
    raise TypeError(f"{data_type.simpleString()} is not a type whose values are understood")

"""Which column types can feed which dtypes.

A float feeds any float and is rounded, an integer feeds a float and is converted, an integer feeds
a narrower integer and is checked value by value in the worker. No other conversion is made.
"""

from __future__ import annotations

import pyarrow as pa

from tf2spark.dtypes import DType


def fits(leaf: pa.DataType, dtype: DType) -> bool:
    """Return whether values of type `leaf` can feed a tensor of `dtype`.

    A column of nothing but nulls fits everything that can be fed: each of its rows is refused.
    """
    types = pa.types
    if spark_name(dtype) is None:
        return False
    if types.is_null(leaf):
        return True
    if dtype.name == "string":
        return is_text(leaf)
    if dtype.name == "bool":
        return bool(types.is_boolean(leaf))
    if dtype.is_floating:
        return bool(types.is_integer(leaf) or types.is_floating(leaf))
    return bool(types.is_integer(leaf))


def is_text(leaf: pa.DataType) -> bool:
    """Return whether values of this type are strings or bytes."""
    types = pa.types
    return any(
        is_text_type(leaf)
        for is_text_type in (
            types.is_string, types.is_binary, types.is_large_string, types.is_large_binary,
            types.is_string_view, types.is_binary_view, types.is_fixed_size_binary,
        )
    )  # fmt: skip


def spark_name(dtype: DType) -> str | None:
    """Return the SQL type to feed a dtype with, or None if no column can feed it."""
    if dtype.name == "string" or dtype.name == "bool":
        return "string" if dtype.name == "string" else "boolean"
    if dtype.is_floating:
        return "double" if dtype.name == "float64" else "float"
    if dtype.is_integer:
        return "bigint" if dtype.name in ("int64", "uint32", "uint64") else "int"
    return None


def is_text_bytes(leaf: pa.DataType) -> bool:
    """Return whether values of this type are bytes, which Spark can cast only to strings."""
    return is_text(leaf) and "binary" in str(leaf)

"""Which column types can feed which dtypes, and the cast that mends what can't.

A float into any float rounds, an integer into a float converts, an integer into a narrower
integer is checked value by value in the worker; nothing else changes its kind.
"""

from __future__ import annotations

import pyarrow as pa

from tf2spark.binding.messages import type_text
from tf2spark.dtypes import DType


def fits(leaf: pa.DataType, dtype: DType) -> bool:
    """Say whether values of type `leaf` can feed a tensor of `dtype`.

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
    """Say whether values of this type are strings or bytes."""
    types = pa.types
    return any(
        is_one(leaf)
        for is_one in (
            types.is_string, types.is_binary, types.is_large_string, types.is_large_binary,
            types.is_string_view, types.is_binary_view, types.is_fixed_size_binary,
        )
    )  # fmt: skip


def spark_name(dtype: DType) -> str | None:
    """Return the SQL type that feeds a dtype best, or None where no column can."""
    if dtype.name == "string" or dtype.name == "bool":
        return "string" if dtype.name == "string" else "boolean"
    if dtype.is_floating:
        return "double" if dtype.name == "float64" else "float"
    if dtype.is_integer:
        return "bigint" if dtype.name in ("int64", "uint32", "uint64") else "int"
    return None


def cast_text(column: str, leaf: pa.DataType, depth: int, dtype: DType) -> str | None:
    """Return the PySpark expression that makes a column of `leaf` feed a `dtype`.

    Args:
        column: An expression for the column: ``df["x"]``.
        leaf: The type of its values.
        depth: Levels of arrays around them.
        dtype: What the input takes.

    Returns:
        The expression, or None where Spark has no cast between the two.
    """
    types, to = pa.types, spark_name(dtype)
    if to is None or (to == "boolean" and (types.is_temporal(leaf) or is_text_bytes(leaf))):
        return None
    if types.is_date(leaf) and to != "string":
        # Spark casts no date to a number: days since 1970 are what a model is trained on.
        return f"F.unix_date({column})" if depth == 0 else f"F.transform({column}, F.unix_date)"
    steps = [to]
    if types.is_timestamp(leaf) and to != "string":
        # Seconds since 1970 outgrow an int in 2038.
        steps = ["bigint" if to == "int" else to]
        steps = steps if leaf.tz else ["timestamp", *steps]
    if is_text_bytes(leaf) and to != "string":
        steps = ["string", to]
    return column + "".join(f'.cast("{"array<" * depth}{one}{">" * depth}")' for one in steps)


def is_text_bytes(leaf: pa.DataType) -> bool:
    """Say whether values of this type are bytes, which Spark casts to strings only."""
    return is_text(leaf) and "binary" in type_text(leaf)

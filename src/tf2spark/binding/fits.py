"""Which column types can feed which dtypes.

A float into any float rounds, an integer into a float converts, an integer into a narrower
integer is checked value by value in the worker; nothing else changes its kind.
"""

from __future__ import annotations

import pyarrow as pa

from tf2spark.binding.messages import type_text
from tf2spark.dtypes import DType


def cast_problem(leaf: pa.DataType, dtype: DType, column: str) -> str | None:
    """Say why values of type `leaf` can't feed a tensor of `dtype`, and what to write; or None."""
    if pa.types.is_null(leaf) or _fits(leaf, dtype):
        return None
    got, name, to = type_text(leaf), column.partition(".")[0], spark_name(dtype)
    if to is None:
        return f"{dtype} tensors can't be fed from a column"
    if pa.types.is_boolean(leaf) and dtype.name == "string":
        to = "string"
    return (
        f"its values are {got} and the input takes {dtype}; cast them first: "
        f'df.withColumn("{name}", df["{name}"].cast("{to}"))'
    )


def _fits(leaf: pa.DataType, dtype: DType) -> bool:
    types = pa.types
    if dtype.name == "string":
        return is_text(leaf)
    if dtype.name == "bool":
        return bool(types.is_boolean(leaf))
    if dtype.is_floating:
        return bool(types.is_integer(leaf) or types.is_floating(leaf))
    return bool(types.is_integer(leaf) and dtype.is_integer)


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

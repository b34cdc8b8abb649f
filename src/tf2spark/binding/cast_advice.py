"""Advice to cast a column: in PySpark, in Spark SQL for the command line, in pandas, in pyarrow."""

from __future__ import annotations

import pyarrow as pa

from tf2spark.binding.expressions import (
    arrow_column,
    pandas_column,
    pyspark_column,
    quoted,
    sql_column,
    sql_name,
)
from tf2spark.binding.feed_advice import feed_advice
from tf2spark.binding.feeds import Column
from tf2spark.binding.row_shapes import FedColumn
from tf2spark.binding.type_rules import is_text_bytes, spark_name
from tf2spark.dtypes import DType
from tf2spark.errors import Advice


def cast_advice(fed: FedColumn, input_name: str, dtype: DType) -> Advice | None:
    """Say how to cast a column so that it can feed an input, or None where Spark has no cast.

    A field inside a column becomes a column of its own, so the advice ends with the feed for it.
    """
    python = pyspark_cast(fed, dtype)
    if python is None:
        return None
    name = "_".join(fed.path)
    sql, pandas, arrow = sql_cast(fed, dtype), pandas_cast(fed, dtype), arrow_cast(fed, dtype)
    convert = f"convert them to {dtype} first"
    call = "append_column(" if len(fed.path) > 1 else f"set_column({fed.source.column}, "
    advice = Advice(
        f"cast them first: df.withColumn({quoted(name)}, {python})",
        f"cast them first, in Spark SQL: {sql} AS {sql_name(name)}" if sql else convert,
        f"cast them first: df[{quoted(name)}] = {pandas}" if pandas else convert,
        f"cast them first: table.{call}{quoted(name)}, {arrow})" if arrow else convert,
    )
    if len(fed.path) == 1:
        return advice
    return advice + ", " + feed_advice({input_name: Column(name)})


def pyspark_cast(fed: FedColumn, dtype: DType) -> str | None:
    """Return the PySpark expression for the cast, or None where Spark has none."""
    column, target = pyspark_column(fed.path), spark_name(dtype)
    match fed.source.layout:
        case "vector":
            return f'vector_to_array({column}).cast("array<{target}>")'
        case "map":
            return f'F.transform_values({column}, lambda _, value: value.cast("{target}"))'
        case "pairs":
            values = f'{pyspark_column((*fed.path, "values"))}.cast("array<{target}>")'
            return f'{column}.withField("values", {values})'
        case _:
            pass
    leaf, depth = fed.source.leaf, fed.source.depth
    steps = _cast_steps(leaf, dtype)
    if steps is None:
        return None
    if steps == ["unix_date"]:
        return f"F.unix_date({column})" if depth == 0 else f"F.transform({column}, F.unix_date)"
    return column + "".join(f'.cast("{_array_of(step, depth)}")' for step in steps)


def sql_cast(fed: FedColumn, dtype: DType) -> str | None:
    """Return the Spark SQL expression for the cast, or None where SQL has none."""
    column, target = sql_column(fed.path), (spark_name(dtype) or "").upper()
    match fed.source.layout:
        case "vector":
            return None  # only PySpark has vector_to_array
        case "map":
            return f"transform_values({column}, (key, value) -> CAST(value AS {target}))"
        case "pairs":
            size = f", 'size', {column}.size" if fed.kind.get_field_index("size") >= 0 else ""
            values = f"CAST({column}.values AS ARRAY<{target}>)"
            return f"named_struct('indices', {column}.indices, 'values', {values}{size})"
        case _:
            pass
    leaf, depth = fed.source.leaf, fed.source.depth
    steps = _cast_steps(leaf, dtype)
    if steps is None:
        return None
    if steps == ["unix_date"]:
        dates = f"transform({column}, day -> unix_date(day))"
        return f"unix_date({column})" if depth == 0 else dates
    for step in steps:
        column = f"CAST({column} AS {_array_of(step, depth).upper()})"
    return column


def pandas_cast(fed: FedColumn, dtype: DType) -> str | None:
    """Return the pandas expression for the usual casts, None for the others."""
    leaf, depth, types = fed.source.leaf, fed.source.depth, pa.types
    name = _numpy_name(dtype)
    if fed.source.layout != "list" or depth > 1 or (depth and types.is_temporal(leaf)):
        return None
    column = pandas_column(fed.path)
    if depth:
        return f'{column}.map(lambda row: np.asarray(row, "{name}"))'
    if types.is_date(leaf) and name != "str":
        return f"(pd.to_datetime({column}) - pd.Timestamp(0)).dt.days"
    if types.is_timestamp(leaf) and name != "str":
        return f'{column}.map(pd.Timestamp.timestamp).astype("{_wide(name)}")'
    if is_text_bytes(leaf):
        column += '.str.decode("utf-8")'
    return f'{column}.astype("{name}")'


def arrow_cast(fed: FedColumn, dtype: DType) -> str | None:
    """Return the pyarrow expression for the usual casts, None for the others."""
    leaf, depth, types = fed.source.leaf, fed.source.depth, pa.types
    name = {"str": "string", "bool": "bool_"}.get(_numpy_name(dtype), _numpy_name(dtype))
    if fed.source.layout != "list" or (depth and types.is_temporal(leaf)):
        return None
    column = arrow_column(fed.path)
    if types.is_date(leaf) and name != "string":
        return f"{column}.cast(pa.int32())"
    if types.is_timestamp(leaf) and name != "string":
        return f'{column}.cast(pa.timestamp("s"), safe=False).cast(pa.int64())'
    if is_text_bytes(leaf):
        column += f".cast({_arrow_list('string', depth)})"
    unsafe = dtype.is_integer and (types.is_floating(leaf) or types.is_decimal(leaf))
    return f"{column}.cast({_arrow_list(name, depth)}{', safe=False' if unsafe else ''})"


def _cast_steps(leaf: pa.DataType, dtype: DType) -> list[str] | None:
    """Return the Spark types to cast to in turn, ``["unix_date"]`` for days, None if impossible."""
    types, target = pa.types, spark_name(dtype)
    if target is None:
        return None
    if target == "boolean" and (types.is_temporal(leaf) or is_text_bytes(leaf)):
        return None
    if types.is_date(leaf) and target != "string":
        # Spark can't cast a date to a number, and models are trained on days since 1970.
        return ["unix_date"]
    if types.is_timestamp(leaf) and target != "string":
        # Seconds since 1970 overflow an int in 2038.
        wide = "bigint" if target == "int" else target
        return [wide] if leaf.tz else ["timestamp", wide]
    if is_text_bytes(leaf) and target != "string":
        return ["string", target]
    return [target]


def _array_of(name: str, depth: int) -> str:
    return "array<" * depth + name + ">" * depth


def _arrow_list(name: str, depth: int) -> str:
    return "pa.list_(" * depth + f"pa.{name}()" + ")" * depth


def _numpy_name(dtype: DType) -> str:
    """Return the NumPy name of the type to feed a dtype with: ``float32`` for bfloat16."""
    if dtype.name == "string":
        return "str"
    return "float32" if dtype.name in ("bfloat16", "half") else dtype.name


def _wide(name: str) -> str:
    return "int64" if "int" in name else name

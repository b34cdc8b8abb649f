"""Advice to cast a column: in PySpark, in Spark SQL for the command line, in pandas, in pyarrow."""

from __future__ import annotations

import pyarrow as pa
from attrs import evolve

from tf2spark.binding.advice.expressions import (
    arrow_column,
    pandas_column,
    pyspark_column,
    sql_column,
)
from tf2spark.binding.advice.feeds import feed_advice
from tf2spark.binding.feeds import Column, Feed
from tf2spark.binding.row_shapes import FedColumn, new_name, set_column
from tf2spark.binding.type_rules import is_text, is_text_bytes, spark_name
from tf2spark.dtypes import Dims, DType
from tf2spark.errors import Advice


def cast_advice(
    fed: FedColumn, input_name: str, dtype: DType, feed: Feed | None = None
) -> Advice | None:
    """Say how to cast a column so that it can feed an input, or None where Spark has no cast.

    A field inside a column becomes a column of its own, so the advice ends with the feed for it:
    `feed`, or that column alone.
    """
    python = pyspark_cast(fed, dtype)
    if python is None:
        return None
    sql, pandas, arrow = sql_cast(fed, dtype), pandas_cast(fed, dtype), arrow_cast(fed, dtype)
    otherwise = f"convert them to {dtype} first"
    advice = set_column(fed, "cast them first", python, sql, pandas, arrow, otherwise=otherwise)
    # A vector becomes a list, which has no parts.
    if len(fed.path) == 1 and not (fed.source.part and fed.source.layout == "vector"):
        return advice
    return advice + _then_feed(fed, input_name, feed)


def split_advice(fed: FedColumn, input_name: str, dtype: DType) -> Advice | None:
    """Say how a column of text becomes one of lists that can feed an input; None for other types.

    The text is taken to have the values of a row, between commas.
    """
    if not is_text(fed.source.leaf) or is_text_bytes(fed.source.leaf) or fed.depth:
        return None
    python, sql = pyspark_column(fed.path), sql_column(fed.path)
    target = spark_name(dtype)
    pandas = None
    if dtype.name != "bool":
        array = f'np.asarray(row, "{_numpy_name(dtype)}")'
        split = f'{pandas_column(fed.path)}.str.split(",")'
        pandas = f'{split}.map(lambda row: {array}, na_action="ignore")'
    names = {"str": "string", "bool": "bool_"}
    lists = _arrow_list(names.get(_numpy_name(dtype), _numpy_name(dtype)), 1)
    arrow = f'pc.split_pattern({arrow_column(fed.path)}, ",").cast({lists})'
    purpose = "if each is a row's values between commas, split it first"
    advice = set_column(
        fed,
        purpose,
        f'F.split({python}, ",").cast("array<{target}>")',
        f"CAST(split({sql}, ',') AS ARRAY<{str(target).upper()}>)",
        pandas,
        arrow,
        otherwise=purpose,
    )
    return advice if len(fed.path) == 1 else advice + _then_feed(fed, input_name)


def image_advice(fed: FedColumn, dims: Dims) -> Advice | None:
    """Say how bytes become the pixels of an image; None for other columns and inputs.

    The bytes are taken to be image files, as tables of them have.
    """
    if not is_text_bytes(fed.source.leaf) or len(dims) != 3:
        return None
    column, channels = pandas_column(fed.path), dims[-1] or 0
    file = f"tf.io.decode_image(file, channels={channels}).numpy()"
    pandas = f'{column}.map(lambda file: {file}, na_action="ignore")'
    purpose = "decode image files first"
    advice = set_column(fed, purpose, None, None, pandas, None, otherwise=purpose)
    in_model = ", or export a model that takes their bytes and decodes them (tf.io.decode_image)"
    spark = 'spark.read.format("image") reads a folder of them, BGR'
    return evolve(
        advice,
        python=f"{purpose}: {spark}{in_model}",
        command_line=f"{purpose}: --input-format image reads a folder of them, BGR{in_model}",
        arrow=f"{purpose}{in_model}",
        sql=f"{purpose}: {spark}{in_model}",
    )


def _then_feed(fed: FedColumn, input_name: str, feed: Feed | None = None) -> Advice:
    then_feed = "; then " + feed_advice({input_name: feed or Column(new_name(fed))})
    # In a query, the field's own value can be the argument.
    return evolve(then_feed, sql="")


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
    """Return the pandas expression for the usual casts, None for the others.

    Missing values stay missing: integers and bools get pandas' nullable dtypes.
    """
    leaf, depth, types = fed.source.leaf, fed.source.depth, pa.types
    if fed.source.layout != "list" or depth > 1:
        return None
    column, to_text = pandas_column(fed.path), dtype.name == "string"
    if depth:
        if types.is_temporal(leaf) or to_text or (dtype.name == "bool" and is_text(leaf)):
            return None
        array = f'np.asarray(row, "{_numpy_name(dtype)}")'
        return f'{column}.map(lambda row: {array}, na_action="ignore")'
    if to_text:
        return f'{column}.astype("string")'
    if types.is_temporal(leaf):
        return None if dtype.name == "bool" else _pandas_time(column, leaf, dtype)
    if is_text_bytes(leaf):
        column += '.str.decode("utf-8")'
    if dtype.name == "bool":
        if is_text(leaf):
            return f'{column}.str.lower().map({{"true": True, "false": False}})'
        return f'{column}.astype("Float64") != 0'
    if dtype.is_floating:
        name = "float64" if types.is_decimal(leaf) else _numpy_name(dtype)
        return f'{column}.astype("{name}")'
    if types.is_decimal(leaf):
        # Not through floats, which would change the digits of a long id.
        column += '.map(round, na_action="ignore")'
    elif types.is_floating(leaf):
        column += ".round()"
    return f'{column}.astype("{_nullable_name(dtype)}")'


def _pandas_time(column: str, leaf: pa.DataType, dtype: DType) -> str | None:
    """Return the pandas expression for days or seconds since 1970, or for a number of seconds."""
    types = pa.types
    if types.is_time(leaf) or types.is_interval(leaf):
        return None
    if types.is_date(leaf):
        return f'(pd.to_datetime({column}) - pd.Timestamp(0)).dt.days.astype("Int64")'
    if types.is_duration(leaf):
        span = f"pd.to_timedelta({column})"
    else:
        span = f'(pd.to_datetime({column}, utc=True) - pd.Timestamp(0, tz="UTC"))'
    if dtype.is_floating:
        return f"{span}.dt.total_seconds()"
    # Seconds since 1970 overflow an int32 in 2038.
    return f'({span} // pd.Timedelta(seconds=1)).astype("Int64")'


def arrow_cast(fed: FedColumn, dtype: DType) -> str | None:
    """Return the pyarrow expression for the usual casts, None for the others."""
    leaf, depth, types = fed.source.leaf, fed.source.depth, pa.types
    name = {"str": "string", "bool": "bool_"}.get(_numpy_name(dtype), _numpy_name(dtype))
    if fed.source.layout != "list" or (depth and types.is_temporal(leaf)):
        return None
    column = arrow_column(fed.path)
    if types.is_temporal(leaf) and name != "string":
        return _arrow_time(column, leaf, name)
    if is_text_bytes(leaf):
        column += f".cast({_arrow_list('string', depth)})"
    if types.is_decimal(leaf) and name == "bool_":
        column += f".cast({_arrow_list('float64', depth)})"
    rounds = dtype.is_integer and (types.is_floating(leaf) or types.is_decimal(leaf))
    if rounds and not depth:
        # Without rounding, the cast refuses fractions; with safe=False, it turns NaN into a number.
        if types.is_float16(leaf):
            column += ".cast(pa.float32())"
        return f"pc.round({column}).cast(pa.{name}())"
    return f"{column}.cast({_arrow_list(name, depth)}{', safe=False' if rounds else ''})"


def _arrow_time(column: str, leaf: pa.DataType, name: str) -> str | None:
    """Return the pyarrow expression for days or seconds since 1970, or for a number of seconds."""
    types = pa.types
    if name == "bool_" or types.is_time(leaf) or types.is_interval(leaf):
        return None
    if types.is_date(leaf):
        return f"{column}.cast(pa.date32()).cast(pa.int32())"
    seconds = "duration" if types.is_duration(leaf) else "timestamp"
    return f'{column}.cast(pa.{seconds}("s"), safe=False).cast(pa.int64())'


def _cast_steps(leaf: pa.DataType, dtype: DType) -> list[str] | None:
    """Return the Spark types to cast to in turn, ``["unix_date"]`` for days, None if impossible."""
    types, target = pa.types, spark_name(dtype)
    if target is None:
        return None
    if target == "boolean" and (types.is_temporal(leaf) or is_text_bytes(leaf)):
        return None
    # Of intervals, Spark sends only those of days and seconds to Python.
    if (types.is_time(leaf) or types.is_interval(leaf)) and target != "string":
        return None
    if types.is_duration(leaf) and target != "string":
        # Only an interval of a single unit is a number.
        seconds = ["interval second", "bigint"]
        return [*seconds, target] if dtype.is_floating else seconds
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
    return "float32" if dtype.name in ("bfloat16", "float16") else dtype.name


def _nullable_name(dtype: DType) -> str:
    """Return the name of pandas' integer dtype that has missing values: ``UInt32``."""
    return dtype.name.replace("uint", "UInt").replace("int", "Int")

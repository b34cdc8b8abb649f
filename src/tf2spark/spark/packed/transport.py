"""Which columns of a table travel packed, and the columns that carry it."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as t

from tf2spark.errors import first_line
from tf2spark.plan.packed import Transport
from tf2spark.spark.packed.expressions import NotPackable, packer_of
from tf2spark.spark.recognize import is_connect
from tf2spark.worker.spark_tasks import column_names

SETTING = "spark.tf2spark.packedArrays"
"""The session's setting that turns packing on: "true"."""
# The elements and fields whose bytes the worker reads.
_NUMBERS = (
    t.BooleanType, t.ByteType, t.ShortType, t.IntegerType, t.LongType, t.FloatType, t.DoubleType,
)  # fmt: skip
# Each packed column adds to the generated code, of which a method may have 64 KB.
_MAX_COLUMNS = 32
_BATCH_ROWS = "spark.sql.execution.arrow.maxRecordsPerBatch"
# Arrow's binary columns hold 2 GB, and their buffers grow by doubling.
_BATCH_BYTES = 1 << 30


def packed_table(df: DataFrame) -> tuple[DataFrame, Transport]:
    """Return the table that carries one whose columns are c0, c1, ..., under such names as well.

    Also returns how each column travels. Where nothing is packed, the table is `df` itself.
    """
    if not any(is_packable(field.dataType) for field in df.schema):
        return df, ()  # thousands of columns are left alone
    columns = [F.col(name) for name in df.columns]
    parts, transport = packed_parts(df, columns, df.schema)
    if not any(transport):
        return df, transport
    names = column_names(len(parts))
    named = [part.alias(name) for part, name in zip(parts, names, strict=True)]
    return df.select(*named), transport


def packed_parts(
    df: DataFrame, columns: Sequence[Column], schema: t.StructType
) -> tuple[list[Column], Transport]:
    """Return the columns that carry a table's columns, and how each of these travels.

    Args:
        df: The table.
        columns: The columns to carry.
        schema: Their types.

    Returns:
        The parts and the transport. Where nothing is packed, the parts are `columns`.
    """
    try:
        return _packed_parts(df, columns, schema)
    except NotPackable:
        return list(columns), (False,) * len(columns)


def why_not_packed(df: DataFrame) -> str | None:
    """Say why no column of a table travels packed, as a clause; None where one does."""
    try:
        _packed_parts(df, [df[name] for name in df.columns], df.schema)
    except NotPackable as reason:
        return str(reason)
    return None


def _packed_parts(
    df: DataFrame, columns: Sequence[Column], schema: t.StructType
) -> tuple[list[Column], Transport]:
    _check_session(df)
    packable = [index for index, field in enumerate(schema) if is_packable(field.dataType)]
    if not packable:
        raise NotPackable("it has no column of arrays, vectors or structs of numbers")
    if len(packable) > _MAX_COLUMNS:
        raise NotPackable(f"it has more than {_MAX_COLUMNS} columns of arrays or structs")
    max_bytes = _max_block_bytes(df.sparkSession)
    parts: list[Column] = []
    try:
        packer = packer_of(df.sparkSession)
        for index, (column, field) in enumerate(zip(columns, schema, strict=True)):
            if index in packable:
                parts += packer.parts(column, field.dataType, max_bytes)
            else:
                parts.append(column)
        # Spark resolves the expressions here, and would refuse what doesn't fit together.
        df.select(*parts)
    except NotPackable:
        raise
    except Exception as error:  # Catalyst is no interface: each release may differ
        raise NotPackable(f"this Spark can't do it ({first_line(error)})") from None
    return parts, tuple(index in packable for index in range(len(columns)))


def is_packable(data_type: t.DataType) -> bool:
    """Say whether a column can travel packed: arrays, structs and MLlib's vectors of numbers."""
    if isinstance(data_type, t.ArrayType):
        return _has_block(data_type.elementType)
    if isinstance(data_type, t.UserDefinedType):
        return isinstance(data_type.sqlType(), t.StructType) and is_packable(data_type.sqlType())
    # A struct of nothing but numbers is as fast in Arrow.
    return (
        isinstance(data_type, t.StructType)
        and all(_has_block(field.dataType) for field in data_type)
        and any(is_packable(field.dataType) for field in data_type)
    )


def _has_block(data_type: t.DataType) -> bool:
    if isinstance(data_type, t.ArrayType):
        return _has_block(data_type.elementType)
    if isinstance(data_type, t.StructType):
        return bool(data_type.fields) and all(_has_block(field.dataType) for field in data_type)
    return type(data_type) in _NUMBERS


def _check_session(df: DataFrame) -> None:
    if is_connect(df):
        raise NotPackable("a Spark Connect session has no JVM here")
    if sys.byteorder != "little":
        raise NotPackable("this machine isn't little-endian")
    if (df.sparkSession.conf.get(SETTING, "false") or "").strip().lower() != "true":
        raise NotPackable(f"{SETTING} isn't true")


def _max_block_bytes(spark: SparkSession) -> int:
    """Return how long a block may be, so that a batch fits a binary column."""
    rows = int(spark.conf.get(_BATCH_ROWS, "10000") or 0)
    if rows <= 0:
        raise NotPackable(f"{_BATCH_ROWS} sets no limit")
    return _BATCH_BYTES // rows

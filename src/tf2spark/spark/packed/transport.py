"""Which columns of a table travel packed, and the columns that carry it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as t

from tf2spark.errors import first_line
from tf2spark.plan.packed import Packing
from tf2spark.spark.comet import has_comet
from tf2spark.spark.jvm.access import JavaError, java_class, scala_items, session_state
from tf2spark.spark.jvm.queries import query_execution
from tf2spark.spark.packed.expressions import NotPackable, packer_of, struct_of
from tf2spark.spark.recognize import is_connect
from tf2spark.spark.types import arrow_schema
from tf2spark.worker.spark_tasks import column_names

SETTING = "spark.tf2spark.packedArrays"
"""The session's setting that turns packing off: "false"."""
# The elements and fields whose bytes the worker reads.
_NUMBERS = (
    t.BooleanType, t.ByteType, t.ShortType, t.IntegerType, t.LongType, t.FloatType, t.DoubleType,
)  # fmt: skip
# Each packed column adds to the generated code, of which a method may have 64 KB.
_MAX_COLUMNS = 32
_BATCH_ROWS = "spark.sql.execution.arrow.maxRecordsPerBatch"
# What Spark 4.3 writes batches with, whose size in bytes has a limit.
_BATCHES = "org.apache.spark.sql.execution.python.BatchedPythonArrowInput$"
# Arrow's binary columns hold 2 GB, and their buffers grow by doubling.
_MAX_BATCH_BYTES = 1 << 30
# The optimizer evaluates projections of such rows on the driver, where no row is an `UnsafeRow`.
_ON_DRIVER = ("LocalRelation", "OneRowRelation", "CommandResult")
_STRUCT = "_tf2spark_packed"


def packed_table(df: DataFrame) -> tuple[DataFrame, Packing | None]:
    """Return the table that carries one whose columns are c0, c1, ..., under such names as well.

    Also returns how its columns travel. Where nothing is packed, the table is `df` itself.
    """
    columns, schema = [F.col(name) for name in df.columns], df.schema
    if not any(is_packable(field.dataType) for field in schema):
        return df, None  # thousands of columns are left alone
    try:
        table, parts, packing = _packed_parts(df, columns, schema)
        names = column_names(len(parts))
        named = [part.alias(name) for part, name in zip(parts, names, strict=True)]
        return _selected(table, named), packing
    except NotPackable:
        return df, None


def packed_parts(
    df: DataFrame, columns: Sequence[Column], schema: t.StructType
) -> tuple[DataFrame, list[Column], Packing | None]:
    """Return the columns that carry a table's columns, and how these travel.

    Args:
        df: The table.
        columns: The columns to carry.
        schema: Their types.

    Returns:
        The table that has the parts, the parts and the packing. Where nothing is packed, they are
        `df`, `columns` and None.
    """
    if not any(is_packable(field.dataType) for field in schema):
        return df, list(columns), None
    try:
        return _checked_parts(df, columns, schema)
    except NotPackable:
        return df, list(columns), None


def why_not_packed(df: DataFrame) -> str | None:
    """Say why no column of a table travels packed, as a clause; None where one does."""
    try:
        _checked_parts(df, [df[name] for name in df.columns], df.schema)
    except NotPackable as reason:
        return str(reason)
    return None


def _checked_parts(
    df: DataFrame, columns: Sequence[Column], schema: t.StructType
) -> tuple[DataFrame, list[Column], Packing]:
    """Return what `packed_parts` does, once Spark has resolved it."""
    table, parts, packing = _packed_parts(df, columns, schema)
    _selected(table, parts)
    return table, parts, packing


def _packed_parts(
    df: DataFrame, columns: Sequence[Column], schema: t.StructType
) -> tuple[DataFrame, list[Column], Packing]:
    _check_session(df)
    packable = [index for index, field in enumerate(schema) if is_packable(field.dataType)]
    if not packable:
        raise NotPackable("it has no column of arrays, vectors or structs of numbers")
    if len(packable) > _MAX_COLUMNS:
        raise NotPackable(f"it has more than {_MAX_COLUMNS} columns of arrays or structs")
    packed = [index for index, field in enumerate(schema) if _has_block(field.dataType)]
    if len(packed) > _MAX_COLUMNS:
        packed = packable
    with _catalyst():
        _check_leaves(df)
        packing = _packing(df.sparkSession, schema, packed)
        struct = struct_of(
            [_plain(columns[index], schema[index].dataType).alias(f"c{index}") for index in packed]
        )
        table = df.withColumn(_STRUCT, struct)
        parts = [columns[index] for index in packing.others]
        parts += _block_parts(df.sparkSession, packing)
    return table, parts, packing


def _selected(table: DataFrame, parts: Sequence[Column]) -> DataFrame:
    """Select parts: Spark resolves them here, and would refuse what doesn't fit together."""
    with _catalyst():
        return table.select(*parts)


@contextmanager
def _catalyst() -> Iterator[None]:
    """Turn all errors into `NotPackable`: Catalyst is no interface, and each release may differ."""
    try:
        yield
    except NotPackable:
        raise
    except Exception as error:
        raise NotPackable(f"this Spark can't do it ({first_line(error)})") from None


def _packing(spark: SparkSession, schema: t.StructType, packed: Sequence[int]) -> Packing:
    fields = arrow_schema(t.StructType([schema[index] for index in packed]))
    return Packing(
        packed=tuple(packed),
        others=tuple(index for index in range(len(schema)) if index not in packed),
        block_type=pa.struct(
            [pa.field(f"c{index}", field.type) for index, field in zip(packed, fields, strict=True)]
        ),
        has_rest=not _limits_batch_bytes(spark),
    )


def _block_parts(spark: SparkSession, packing: Packing) -> list[Column]:
    block = packer_of(spark).block(_STRUCT)
    if not packing.has_rest:
        return [block]
    fits = F.octet_length(block) <= _max_block_bytes(spark)
    # An empty list costs less than a null: see docs/performance.md.
    return [F.when(fits, block), F.array_repeat(_STRUCT, F.when(fits, 0).otherwise(1))]


def _plain(column: Column, data_type: t.DataType) -> Column:
    return F.unwrap_udt(column) if isinstance(data_type, t.UserDefinedType) else column


def is_packable(data_type: t.DataType) -> bool:
    """Say whether a column is packed: arrays, structs and MLlib's vectors of numbers."""
    if isinstance(data_type, t.UserDefinedType):
        data_type = data_type.sqlType()
        return isinstance(data_type, t.StructType) and is_packable(data_type)
    if isinstance(data_type, t.StructType):
        # A struct of nothing but numbers is as fast in Arrow.
        return _has_block(data_type) and any(is_packable(field.dataType) for field in data_type)
    return isinstance(data_type, t.ArrayType) and _has_block(data_type)


def _has_block(data_type: t.DataType) -> bool:
    """Say whether the worker reads values of a type from a block."""
    if isinstance(data_type, t.UserDefinedType):
        return is_packable(data_type)
    if isinstance(data_type, t.ArrayType):
        return not _is_udt(data_type.elementType) and _has_block(data_type.elementType)
    if isinstance(data_type, t.StructType):
        kinds = [field.dataType for field in data_type]
        return bool(kinds) and all(not _is_udt(kind) and _has_block(kind) for kind in kinds)
    return type(data_type) in _NUMBERS


def _is_udt(data_type: t.DataType) -> bool:
    return isinstance(data_type, t.UserDefinedType)


def _check_session(df: DataFrame) -> None:
    if is_connect(df):
        raise NotPackable("a Spark Connect session has no JVM here")
    if sys.byteorder != "little":
        raise NotPackable("this machine isn't little-endian")
    if (df.sparkSession.conf.get(SETTING, "true") or "").strip().lower() == "false":
        raise NotPackable(f"{SETTING} is false")
    if has_comet(df.sparkSession):
        # It evaluates projections over columns of its own, where no row is an `UnsafeRow`.
        raise NotPackable("Comet is on")


def _check_leaves(df: DataFrame) -> None:
    for leaf in scala_items(query_execution(df).analyzed().collectLeaves()):
        if leaf.nodeName() in _ON_DRIVER:
            raise NotPackable("it has rows that the driver holds")


def _limits_batch_bytes(spark: SparkSession) -> bool:
    """Say whether Spark sends fewer rows at once where they are long, which 3.5 doesn't."""
    try:
        batches = java_class(spark, _BATCHES)
        limit = session_state(spark).conf().arrowMaxBytesPerBatch()
    except JavaError:  # this Spark has no such class or setting
        return False
    methods = {method.getName() for method in batches.getMethods()}
    return "writeSizedBatch" in methods and int(limit) <= _MAX_BATCH_BYTES


def _max_block_bytes(spark: SparkSession) -> int:
    """Return how long a block may be, so that a batch fits a binary column."""
    rows = int(spark.conf.get(_BATCH_ROWS, "10000") or 0)
    if rows <= 0:
        raise NotPackable(f"{_BATCH_ROWS} sets no limit")
    return _MAX_BATCH_BYTES // rows

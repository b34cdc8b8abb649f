"""Catalyst expressions for the bytes that Spark holds, made through py4j, without a jar.

Rows that pass from one operator to another are `UnsafeRow`s, each a block of bytes, and so is a
struct in one. Its ``copy()`` is a block with a ``byte[]`` of its own, wherever the original is,
also off-heap. Spark's `Invoke` calls these methods, in generated code and in interpreted mode.

So one projection makes the struct, and another takes its block. Two things keep Spark from merging
them, in which case there would be no row in between:

- The optimizer doesn't merge a projection into the next one if it isn't deterministic.
- Whole-stage code hands values on as they are made, but an expression without generated code is
  left out of it. Here that one is never evaluated.

Nothing is wrong if they are merged all the same: the class of the struct is checked, row by row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import frozen
from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F

from tf2spark.spark.jvm.access import java_class
from tf2spark.spark.jvm.catalyst import invoke, object_literal, object_type, type_object
from tf2spark.spark.jvm.expressions import catalyst_column, catalyst_expression

_CATALYST = "org.apache.spark.sql.catalyst.expressions"
_UNSAFE_ROW = f"{_CATALYST}.UnsafeRow"
_FAILS = "cast(raise_error('a struct is no UnsafeRow') as binary)"


class NotPackable(Exception):
    """This table or this Spark isn't one whose bytes are known; the text says why, as a clause."""


def struct_of(columns: Sequence[Column]) -> Column:
    """Return a struct of columns, for a projection that Spark doesn't merge with the next one."""
    # A partition has a number, but the optimizer takes it for a value that may differ at each use.
    return F.when(F.spark_partition_id() >= 0, F.struct(*columns))


@frozen
class Packer:
    """Makes the parts of a table from a column of structs, for one session."""

    spark: SparkSession

    def block(self, name: str) -> Column:
        """Return the blocks of a column of structs, given its name; another operator made them."""
        value = catalyst_expression(self.spark, F.col(name))
        copied = invoke(self.spark, value, "copy", object_type(self.spark, _UNSAFE_ROW))
        binary = type_object(self.spark, "BinaryType")
        block = self._column(invoke(self.spark, copied, "getBytes", binary))
        # Spark evaluates a branch, and the cast to the class in it, only where its condition is
        # true.
        return (
            F.when(self._is_unsafe(value), block)
            .when(_without_generated_code(name), F.lit(b""))
            .otherwise(F.expr(_FAILS))
        )

    def _is_unsafe(self, struct: Any) -> Column:
        literal = object_literal(self.spark, java_class(self.spark, _UNSAFE_ROW))
        boolean = type_object(self.spark, "BooleanType")
        return self._column(invoke(self.spark, literal, "isInstance", boolean, struct))

    def _column(self, expression: Any) -> Column:
        return catalyst_column(self.spark, expression)


def packer_of(spark: SparkSession) -> Packer:
    """Return what makes the parts of columns in a session.

    Raises:
        NotPackable: This Spark generates code for the expression that is to prevent it.
        SetupError: The session has no JVM that can be reached.
        JavaError: This Spark has no such classes.
    """
    fallback = java_class(spark, f"{_CATALYST}.codegen.CodegenFallback")
    if not fallback.isAssignableFrom(java_class(spark, f"{_CATALYST}.ZipWith")):
        raise NotPackable("this Spark generates code for zip_with")
    return Packer(spark)


def _without_generated_code(name: str) -> Column:
    """Return a condition that Spark interprets, and whose value it doesn't know beforehand."""
    # As text, because each function of PySpark asks the JVM several times.
    return F.expr(f"zip_with(array(`{name}` is null), array(true), (no, yes) -> no and yes)[0]")

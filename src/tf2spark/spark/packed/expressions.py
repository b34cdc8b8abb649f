"""Catalyst expressions for the bytes that Spark holds, made through py4j, without a jar.

Spark's `Invoke` calls a method of an object, in generated code and in interpreted mode alike.
Rows that pass from one operator to another are `UnsafeRow`s: an array in one is an
`UnsafeArrayData` and a struct an `UnsafeRow`, each a block of bytes. Their ``copy()`` is a block
with a ``byte[]`` of its own, wherever the original is, also off-heap.

Within whole-stage code, values are passed on as they are made: a columnar scan's `ColumnarArray`,
an expression's `GenericArrayData`. So the expressions hold one that Spark has no generated code
for. It is never evaluated, but the operator that has it takes its rows from another one.

Nothing depends on that: the class of every value decides whether it is packed.
"""

from __future__ import annotations

from typing import Any

from attrs import frozen
from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as t

from tf2spark.spark.jvm import (
    catalyst_column,
    catalyst_expression,
    java_class,
    jvm,
    scala_seq,
)

_CATALYST = "org.apache.spark.sql.catalyst.expressions"
_UNSAFE_ARRAY = f"{_CATALYST}.UnsafeArrayData"
_UNSAFE_ROW = f"{_CATALYST}.UnsafeRow"


class NotPackable(Exception):
    """This Spark isn't one whose bytes are known; the text says why, as a clause."""


@frozen
class Packer:
    """Makes the parts of columns, for one session."""

    spark: SparkSession

    def parts(self, column: Column, data_type: t.DataType, max_bytes: int) -> list[Column]:
        """Return the two columns that carry one of arrays or structs: see `tf2spark.plan.packed`.

        Args:
            column: The column.
            data_type: Its type.
            max_bytes: The most bytes of a block.
        """
        is_udt = isinstance(data_type, t.UserDefinedType)
        plain = F.unwrap_udt(column) if is_udt else column
        value = catalyst_expression(self.spark, plain)
        if isinstance(data_type, t.ArrayType):
            unsafe, get_bytes = _UNSAFE_ARRAY, "getBaseObject"
        else:
            unsafe, get_bytes = _UNSAFE_ROW, "getBytes"
        copied = self._invoke(value, "copy", self._object(unsafe))
        block = self._column(self._invoke(copied, get_bytes, self._type("BinaryType")))
        # The cast to the unsafe class is in a branch, which Spark evaluates where its condition is
        # true.
        is_unsafe = self._is_instance(value, unsafe)
        blocks = F.when(is_unsafe, block).when(_without_generated_code(column), F.lit(b""))
        packable = is_unsafe & (F.octet_length(blocks) <= max_bytes)
        # For a null, all conditions are null. It is neither a block nor a row of the rest, because
        # Spark 4 takes quadratic time for nulls in a list column, but not for empty lists.
        has_rest = F.coalesce(~packable, F.lit(False))
        rest = F.array_repeat(plain, F.when(has_rest, 1).otherwise(0))
        return [F.when(packable, blocks), rest]

    def _is_instance(self, expression: Any, class_name: str) -> Column:
        literal = self._expressions().Literal(
            java_class(self.spark, class_name), self._object("java.lang.Class")
        )
        return self._column(
            self._invoke(literal, "isInstance", self._type("BooleanType"), expression)
        )

    def _invoke(self, target: Any, method: str, result: Any, *arguments: Any) -> Any:
        """Return `Invoke`: null where the target or an argument is, nullable, deterministic."""
        values, types = scala_seq(self.spark, arguments), scala_seq(self.spark, [])
        invoke = self._expressions().objects.Invoke
        return invoke(target, method, result, values, types, True, True, True)

    def _column(self, expression: Any) -> Column:
        return catalyst_column(self.spark, expression)

    def _expressions(self) -> Any:
        return jvm(self.spark).org.apache.spark.sql.catalyst.expressions

    def _object(self, class_name: str) -> Any:
        types = jvm(self.spark).org.apache.spark.sql.types
        return types.ObjectType(java_class(self.spark, class_name))

    def _type(self, name: str) -> Any:
        """Return one of Spark's types that are Scala objects."""
        return getattr(getattr(jvm(self.spark).org.apache.spark.sql.types, f"{name}$"), "MODULE$")


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


def _without_generated_code(column: Column) -> Column:
    """Return a condition that Spark interprets, and whose value it doesn't know beforehand."""
    both = F.zip_with(
        F.array(column.isNull()), F.array(F.lit(True)), lambda null, true: null & true
    )
    return both[0]

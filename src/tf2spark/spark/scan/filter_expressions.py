"""Spark's filters as those that a worker applies; anything that isn't listed is left to Spark.

The optimizer has already cast both sides of a comparison to one type, and rewritten what it can:
LIKE 'a%' is a StartsWith here, BETWEEN two comparisons.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
from attrs import frozen
from pyspark.sql import types as t

from tf2spark.errors import shortened
from tf2spark.spark.jvm.access import scala_items
from tf2spark.spark.scan.catalyst_values import array_of, is_supported
from tf2spark.spark.scan.not_readable import NotReadable
from tf2spark.worker.reading.filters import (
    AllOf,
    Always,
    AnyOf,
    Comparison,
    Filter,
    Flag,
    IsNull,
    Not,
    OneOf,
    Operator,
    Text,
)

_OPERATORS: dict[str, Operator] = {
    "EqualTo": "=",
    "LessThan": "<",
    "LessThanOrEqual": "<=",
    "GreaterThan": ">",
    "GreaterThanOrEqual": ">=",
}
_SWAPPED: dict[Operator, Operator] = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
# Each costs a call of the JVM.
_MAX_VALUES = 1_000
_TEXT = {"StartsWith": "starts", "EndsWith": "ends", "Contains": "contains"}


@frozen
class FilterColumn:
    """A column that filters may use.

    Attributes:
        index: Its index for the worker.
        spark_type: Its type.
        arrow_type: The type of its values in the worker.
    """

    index: int
    spark_type: t.DataType
    arrow_type: pa.DataType


def convert(expression: Any, column_of: Callable[[Any], FilterColumn]) -> Filter:
    """Return a condition of Spark's as one that a worker applies.

    Args:
        expression: A Catalyst expression.
        column_of: Returns the column that an `AttributeReference` refers to.

    Raises:
        NotReadable: It isn't known to mean the same in a worker.
    """

    def converted(node: Any) -> Filter:
        kind = node.getClass().getSimpleName()
        children = list(scala_items(node.children()))
        match kind:
            case "And" | "Or":
                parts = tuple(map(converted, children))
                return AllOf(parts) if kind == "And" else AnyOf(parts)
            case "Not":
                return Not(converted(children[0]))
            case "IsNull":
                return IsNull(column(children[0]).index)
            case "IsNotNull":
                return Not(IsNull(column(children[0]).index))
            case "AttributeReference" if isinstance(column(node).spark_type, t.BooleanType):
                return Flag(column(node).index)
            case "Literal" if node.value() is None or isinstance(node.value(), bool):
                return Always(node.value())
            case "In":
                return one_of(column(children[0]), [literal(child) for child in children[1:]])
            case "InSet" if node.hset().size() <= _MAX_VALUES:
                return one_of(column(children[0]), list(scala_items(node.hset().toSeq())))
            case "EqualNullSafe":
                return null_safe(*children)
            case _ if kind in _OPERATORS:
                return compare(_OPERATORS[kind], *children)
            case _ if kind in _TEXT:
                return text(_TEXT[kind], *children)
        raise unknown()

    def unknown() -> NotReadable:
        return NotReadable(f"workers don't apply its filter ({shortened(expression.sql(), 200)})")

    def column(node: Any) -> FilterColumn:
        if node.getClass().getSimpleName() != "AttributeReference":
            raise unknown()
        return column_of(node)

    def compared_column(node: Any) -> FilterColumn:
        found = column(node)
        if not is_supported(found.spark_type) or _has_collation(found.spark_type):
            raise unknown()
        return found

    def literal(node: Any) -> Any:
        if node.getClass().getSimpleName() != "Literal":
            raise unknown()
        return node.value()

    def compare(operator: Operator, left: Any, right: Any) -> Filter:
        if left.getClass().getSimpleName() == "Literal":
            left, right, operator = right, left, _SWAPPED[operator]
        found, value = compared_column(left), literal(right)
        if right.dataType().json() != found.spark_type.json():
            raise unknown()
        if value is None:
            return Always(None)
        return Comparison(
            operator, found.index, array_of([value], found.spark_type, found.arrow_type)
        )

    def null_safe(left: Any, right: Any) -> Filter:
        equal = compare("=", left, right)
        if isinstance(equal, Always):
            node = right if left.getClass().getSimpleName() == "Literal" else left
            return IsNull(column(node).index)
        assert isinstance(equal, Comparison)
        # Never unknown: false where the column is null.
        return AllOf((Not(IsNull(equal.column)), equal))

    def one_of(found: FilterColumn, values: Sequence[Any]) -> Filter:
        # Sets of floats hold -0.0 and NaN in ways of their own.
        if not is_supported(found.spark_type) or _has_collation(found.spark_type):
            raise unknown()
        if isinstance(found.spark_type, (t.FloatType, t.DoubleType)):
            raise unknown()
        present = [value for value in values if value is not None]
        array = array_of(present, found.spark_type, found.arrow_type)
        return OneOf(found.index, array, len(present) < len(values))

    def text(kind: Any, left: Any, right: Any) -> Filter:
        found, value = compared_column(left), literal(right)
        if not isinstance(found.spark_type, t.StringType) or value is None:
            raise unknown()
        return Text(kind, found.index, value.toString())

    return converted(expression)


def _has_collation(data_type: t.DataType) -> bool:
    return isinstance(data_type, t.StringType) and data_type.simpleString() != "string"

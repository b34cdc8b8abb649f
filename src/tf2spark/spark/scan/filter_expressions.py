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
    return _Converter(expression, column_of).converted(expression)


@frozen
class _Converter:
    """Converts the nodes of one condition."""

    expression: Any
    column_of: Callable[[Any], FilterColumn]

    def converted(self, node: Any) -> Filter:
        kind = node.getClass().getSimpleName()
        children = list(scala_items(node.children()))
        match kind:
            case "And" | "Or":
                parts = tuple(map(self.converted, children))
                return AllOf(parts) if kind == "And" else AnyOf(parts)
            case "Not":
                return Not(self.converted(children[0]))
            case "IsNull":
                return IsNull(self._column(children[0]).index)
            case "IsNotNull":
                return Not(IsNull(self._column(children[0]).index))
            case "AttributeReference" if isinstance(self._column(node).spark_type, t.BooleanType):
                return Flag(self._column(node).index)
            case "Literal" if node.value() is None or isinstance(node.value(), bool):
                return Always(node.value())
            case "In":
                values = [self._literal(child) for child in children[1:]]
                return self._one_of(self._column(children[0]), values)
            case "InSet" if node.hset().size() <= _MAX_VALUES:
                values = list(scala_items(node.hset().toSeq()))
                return self._one_of(self._column(children[0]), values)
            case "EqualNullSafe":
                return self._null_safe(*children)
            case _ if kind in _OPERATORS:
                return self._compare(_OPERATORS[kind], *children)
            case _ if kind in _TEXT:
                return self._text(_TEXT[kind], *children)
        raise self._unknown()

    def _unknown(self) -> NotReadable:
        condition = shortened(self.expression.sql(), 200)
        return NotReadable(f"workers don't apply its filter ({condition})")

    def _column(self, node: Any) -> FilterColumn:
        if node.getClass().getSimpleName() != "AttributeReference":
            raise self._unknown()
        return self.column_of(node)

    def _compared_column(self, node: Any) -> FilterColumn:
        found = self._column(node)
        if not is_supported(found.spark_type) or _has_collation(found.spark_type):
            raise self._unknown()
        return found

    def _literal(self, node: Any) -> Any:
        if node.getClass().getSimpleName() != "Literal":
            raise self._unknown()
        return node.value()

    def _compare(self, operator: Operator, left: Any, right: Any) -> Filter:
        if left.getClass().getSimpleName() == "Literal":
            left, right, operator = right, left, _SWAPPED[operator]
        found, value = self._compared_column(left), self._literal(right)
        if right.dataType().json() != found.spark_type.json():
            raise self._unknown()
        if value is None:
            return Always(None)
        return Comparison(
            operator, found.index, array_of([value], found.spark_type, found.arrow_type)
        )

    def _null_safe(self, left: Any, right: Any) -> Filter:
        equal = self._compare("=", left, right)
        if isinstance(equal, Always):
            node = right if left.getClass().getSimpleName() == "Literal" else left
            return IsNull(self._column(node).index)
        assert isinstance(equal, Comparison)
        # Never unknown: false where the column is null.
        return AllOf((Not(IsNull(equal.column)), equal))

    def _one_of(self, found: FilterColumn, values: Sequence[Any]) -> Filter:
        # Sets of floats hold -0.0 and NaN in ways of their own.
        if not is_supported(found.spark_type) or _has_collation(found.spark_type):
            raise self._unknown()
        if isinstance(found.spark_type, (t.FloatType, t.DoubleType)):
            raise self._unknown()
        present = [value for value in values if value is not None]
        array = array_of(present, found.spark_type, found.arrow_type)
        return OneOf(found.index, array, len(present) < len(values))

    def _text(self, kind: Any, left: Any, right: Any) -> Filter:
        found, value = self._compared_column(left), self._literal(right)
        if not isinstance(found.spark_type, t.StringType) or value is None:
            raise self._unknown()
        return Text(kind, found.index, value.toString())


def _has_collation(data_type: t.DataType) -> bool:
    return isinstance(data_type, t.StringType) and data_type.simpleString() != "string"

"""Filters that a worker applies with Spark's meaning, and the row groups that they leave out.

As in SQL, a condition is true, false or unknown (null), and a row passes where it is true. Numbers
are ordered as Spark orders them: -0.0 equals 0.0, NaN equals NaN and is larger than any other.
Strings and binary are ordered by their bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, Literal

import pyarrow as pa
from attrs import frozen

from tf2spark.worker.reading.statistics import Statistics

Operator = Literal["=", "<", "<=", ">", ">="]
_FUNCTIONS = {
    "=": "equal", "<": "less", "<=": "less_equal", ">": "greater", ">=": "greater_equal",
}  # fmt: skip
_TEXT_FUNCTIONS = {"starts": "starts_with", "ends": "ends_with", "contains": "match_substring"}


@frozen
class Comparison:
    """A column compared with a value.

    Attributes:
        operator: How.
        column: The index of the column.
        value: An array of the one value, of the column's type; not null.
    """

    operator: Operator
    column: int
    value: pa.Array


@frozen
class OneOf:
    """SQL's IN, for types other than floats.

    Attributes:
        column: The index of the column.
        values: The values, of the column's type, without null.
        has_null: Null is one of them, so that no other value is known to be not among them.
    """

    column: int
    values: pa.Array
    has_null: bool


@frozen
class Text:
    """A string that starts with, ends with or contains another."""

    kind: Literal["starts", "ends", "contains"]
    column: int
    text: str


@frozen
class IsNull:
    """A column that is null."""

    column: int


@frozen
class Flag:
    """A column of bools."""

    column: int


@frozen
class Always:
    """A value: true, false or unknown."""

    value: bool | None


@frozen
class Not:
    """The opposite; unknown stays unknown."""

    part: Filter


@frozen
class AllOf:
    """SQL's AND."""

    parts: tuple[Filter, ...]


@frozen
class AnyOf:
    """SQL's OR."""

    parts: tuple[Filter, ...]


Filter = Comparison | OneOf | Text | IsNull | Flag | Always | Not | AllOf | AnyOf


def evaluate(where: Filter, columns: Sequence[pa.Array], rows: int) -> pa.Array:
    """Return for each row whether a condition is true, false or (null) unknown."""
    import pyarrow.compute as pc

    def value_of(part: Filter) -> pa.Array:
        match part:
            case Comparison():
                return _compare(part, columns[part.column])
            case OneOf(column, values, has_null):
                found = pc.is_in(columns[column], value_set=values)
                unknown = pc.invert(found) if has_null else pc.is_null(columns[column])
                return pc.if_else(pc.or_(unknown, pc.is_null(columns[column])), None, found)
            case Text(kind, column, text):
                return getattr(pc, _TEXT_FUNCTIONS[kind])(columns[column], text)
            case IsNull(column):
                return pc.is_null(columns[column])
            case Flag(column):
                return columns[column]
            case Always(value):
                return pa.array([value] * rows, pa.bool_())
            case Not(inner):
                return pc.invert(value_of(inner))
            case AllOf(parts):
                return reduce(pc.and_kleene, map(value_of, parts))
            case AnyOf(parts):
                return reduce(pc.or_kleene, map(value_of, parts))

    return value_of(where)


def _compare(comparison: Comparison, column: pa.Array) -> pa.Array:
    import pyarrow.compute as pc

    operator, value = comparison.operator, comparison.value[0]
    if not pa.types.is_floating(column.type):
        return getattr(pc, _FUNCTIONS[operator])(column, value)
    is_nan = pc.is_nan(column)
    if _is_nan(value.as_py()):
        whether = {
            "=": is_nan, ">=": is_nan, "<": pc.invert(is_nan),
            "<=": pc.or_(is_nan, pc.invert(is_nan)), ">": pc.and_(is_nan, pc.invert(is_nan)),
        }  # fmt: skip
        return whether[operator]
    compared = getattr(pc, _FUNCTIONS[operator])(column, value)
    return pc.or_(compared, is_nan) if operator in (">", ">=") else compared


def _is_nan(value: Any) -> bool:
    return bool(value != value)


def may_pass(where: Filter, statistics_of: Callable[[int], Statistics | None]) -> bool:
    """Say whether any row of a row group may pass, as far as its statistics show.

    Args:
        where: The condition.
        statistics_of: Returns those of a column by its index, in the unit of its type.
    """
    match where:
        case AllOf(parts):
            return all(may_pass(part, statistics_of) for part in parts)
        case AnyOf(parts):
            return any(may_pass(part, statistics_of) for part in parts)
        case Comparison():
            return _may_compare(where, statistics_of(where.column))
        case IsNull(column):
            known = statistics_of(column)
            return known is None or known.nulls != 0
        case Not(IsNull(column)):
            known = statistics_of(column)
            return known is None or known.nulls != known.values
        case _:
            return True


def _may_compare(comparison: Comparison, known: Statistics | None) -> bool:
    kind = comparison.value.type
    if known is None or known.minimum is None or known.maximum is None:
        return True
    if pa.types.is_floating(kind):
        value = comparison.value[0].as_py()
        # NaN is larger than any other number, and isn't counted in statistics.
        if _is_nan(value) or comparison.operator in (">", ">="):
            return True
    elif pa.types.is_integer(kind):
        value = comparison.value[0].as_py()
    elif pa.types.is_date32(kind):
        value = comparison.value.cast(pa.int32())[0].as_py()
    elif pa.types.is_timestamp(kind):
        value = comparison.value.cast(pa.int64())[0].as_py()
    else:
        return True
    match comparison.operator:
        case "=":
            return bool(known.minimum <= value <= known.maximum)
        case "<":
            return bool(known.minimum < value)
        case "<=":
            return bool(known.minimum <= value)
        case ">":
            return bool(known.maximum > value)
        case ">=":
            return bool(known.maximum >= value)

"""Filters of floats that lose rows where Spark reads, which a file's footer shows to be possible.

Spark has Parquet's reader skip what can't pass a filter, by an order of numbers that isn't SQL's:
statistics of most writers leave out NaN, which is larger than any other number to Spark, and in
dictionaries -0.0 is less than 0.0, to which it is equal. So Spark's rows depend on the writer, the
encoding and the other values. Where rows could be lost, Spark has to read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from tf2spark.worker.reading.filters import AllOf, AnyOf, Comparison, Filter, Not
from tf2spark.worker.reading.statistics import Statistics, leaf_statistics

# Parquet's Java library keeps no minimum and maximum of a column that has NaN.
_KNOWS_NAN = "parquet-mr "
_OPPOSITE = {"=": "!=", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}


def pushdown_problem(file: Any, where: Filter, columns: pa.Schema) -> str | None:
    """Say why Spark may skip rows of a file that pass a filter; None where it can't.

    Args:
        file: An open `ParquetFile`.
        where: The condition.
        columns: The columns that are read from files, which the condition names by index.
    """
    knows_nan = (file.metadata.created_by or "").startswith(_KNOWS_NAN)
    groups = [file.metadata.row_group(index) for index in range(file.num_row_groups)]
    for comparison, operator in _comparisons(where, negated=False):
        if comparison.column >= len(columns):
            continue
        field = columns.field(comparison.column)
        if pa.types.is_timestamp(field.type) and _has_milliseconds(file, field.name):
            return f'Spark may skip rows by its column "{field.name}", which is in milliseconds'
        if not pa.types.is_floating(field.type):
            continue
        value = comparison.value[0].as_py()
        known = [leaf_statistics(group, field.name) for group in groups]
        if not knows_nan and _passes_nan(operator, value) and any(map(_has_range, known)):
            return f'Spark may skip rows by its column "{field.name}" where it is NaN'
        if value == 0 and not all(_without_lost_zeros(operator, value, each) for each in known):
            return f'Spark may skip rows by its column "{field.name}" where it is -0.0'
    return None


def _comparisons(where: Filter, *, negated: bool) -> Iterator[tuple[Comparison, str]]:
    """Yield the comparisons of a condition, each with its operator after all negations."""
    match where:
        case AllOf(parts) | AnyOf(parts):
            for part in parts:
                yield from _comparisons(part, negated=negated)
        case Not(part):
            yield from _comparisons(part, negated=not negated)
        case Comparison(operator):
            yield where, _OPPOSITE[operator] if negated else operator


def _has_milliseconds(file: Any, name: str) -> bool:
    schema = file.schema_arrow
    return name in schema.names and getattr(schema.field(name).type, "unit", "us") != "us"


def _passes_nan(operator: str, value: float) -> bool:
    return operator in (">", ">=", "!=") or math.isnan(value)


def _has_range(known: Statistics | None) -> bool:
    return known is not None and known.minimum is not None


def _without_lost_zeros(operator: str, value: float, known: Statistics | None) -> bool:
    is_negative = math.copysign(1, value) < 0
    if (operator == ">=" and is_negative) or (operator == "<=" and not is_negative):
        return True
    if operator not in ("=", ">=", "<="):
        return True
    if known is None:
        return False
    if known.minimum is None or known.maximum is None:
        return known.nulls == known.values
    if operator == "=":
        return known.minimum > 0 or known.maximum < 0
    return (known.maximum if operator == ">=" else known.minimum) != 0

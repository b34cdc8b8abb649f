"""Scalars and rectangular nested lists as flat values and the dimensions of a row."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

from tf2spark.conversion.casts import converter
from tf2spark.conversion.rows import (
    Array,
    Ints,
    RowsUneven,
    child_of,
    column_of,
    numbers_or_views,
    refuse,
    refuse_nulls,
)
from tf2spark.dtypes import Dims, DType
from tf2spark.plan.score import Source

Reader = Callable[[pa.RecordBatch], tuple[Array, tuple[int, ...], object]]
"""Reads flat values of the input's dtype, the dimensions of each row, and their owner."""


def nested_reader(source: Source, dtype: DType, dims: Dims, name: str) -> Reader:
    """Choose how a column of scalars or of rectangular nested lists is read.

    Args:
        source: The column: a scalar, or lists as deep as `dims`.
        dtype: The input's dtype.
        dims: The input's dimensions of one row; a scalar fits dimensions of 1.
        name: The input's name, for messages.
    """
    take, label = column_of(source), source.label
    convert = converter(source.leaf, dtype, label)
    if not source.depth:
        return _scalar_reader(source, dtype, (1,) * len(dims))
    level_sizes = dims[: source.depth]

    def read(batch: pa.RecordBatch) -> tuple[Array, tuple[int, ...], object]:
        array, rows = take(batch), batch.num_rows
        sizes: tuple[int, ...] = ()
        # How many elements of the current level each row has: the same number in all rows.
        per_row = 1
        for expected in level_sizes:
            lengths, array = child_of(array)
            size = _size_of_level(lengths.reshape(rows, per_row), expected, label, name)
            sizes, per_row = (*sizes, size), per_row * size
            refuse_nulls(array, per_row, label)
        values, owner = numbers_or_views(array)
        return convert(values, per_row), sizes, owner

    return read


def _scalar_reader(source: Source, dtype: DType, dims: tuple[int, ...]) -> Reader:
    take, convert = column_of(source), converter(source.leaf, dtype, source.label)

    def read(batch: pa.RecordBatch) -> tuple[Array, tuple[int, ...], object]:
        values, owner = numbers_or_views(take(batch))
        return convert(values, 1), dims, owner

    return read


def _size_of_level(table: Ints, expected: int | None, label: str, name: str) -> int:
    """Return the length of all lists of one level; other rows are refused, or must run separately.

    `table` holds the lengths: [rows of the batch, lists per row].
    """
    if not table.size:
        return expected or 0
    subject = f'column "{label}" has'
    if expected is not None:
        bad = table != expected
        refuse(
            bad.any(axis=1),
            lambda row: wrong_length(subject, int(table[row][bad[row]][0]), expected, name),
        )
        return expected
    first = table[:, 0]
    if table.shape[1] > 1:
        # Within a row nothing can be regrouped: such a row fits no tensor.
        differ = (table != first[:, None]).any(axis=1)
        refuse(differ, f'column "{label}" has lists of different lengths')
    if (first != first[0]).any():
        raise RowsUneven(first)
    return int(first[0])


def wrong_length(subject: str, got: int, expected: int, name: str) -> str:
    """Say that a row has too few or too many values; `subject` is ``column "x" has``."""
    values = "1 value" if got == 1 else f"{got} values"
    return f'{subject} {values}, but input "{name}" takes {expected}'

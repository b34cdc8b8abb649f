"""Nested lists of different lengths, filled until they are rectangular.

In each row, the outermost list that is shorter than the input's dimension is filled with elements
of nothing but the pad. The lists inside it must have the input's sizes, so that a vector of the
wrong length is never taken for a short one. Dimensions that the input leaves open are filled to
the longest list of the batch, at any depth.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pyarrow as pa
from attrs import frozen

from tf2spark.conversion.casts import converter
from tf2spark.conversion.constants import constant_tensor
from tf2spark.conversion.flat_rows import refuse_too_long, refuse_wrong_lengths
from tf2spark.conversion.rows import (
    Array,
    Feeder,
    Ints,
    Mask,
    Rows,
    check_bytes,
    child_of,
    column_of,
    join,
    numbers_or_views,
    refuse,
    refuse_nulls,
    tensor,
)
from tf2spark.plan.score import InputPlan, Source
from tf2spark.tensorflow_c.tensor import Tensor

# Copying a stretch of full rows costs as much as masking this many values.
_VALUES_PER_SHORT_ROW = 256


@frozen(eq=False)
class _NestedLists:
    """A column of nested lists.

    Attributes:
        label: The column.
        lengths: For each level, outermost first, the length of every list of the batch.
        rows: For each level, the row of every list.
        values: The flat values.
        owner: Keeps the memory alive that views point to.
    """

    label: str
    lengths: list[Ints]
    rows: list[Ints]
    values: Array
    owner: object


def nested_padded_feeder(plan: InputPlan, limit_bytes: int | None) -> Feeder:
    """Choose how columns of nested lists, all as deep as the input, become one tensor."""
    readers = [_reader(plan, source) for source in plan.sources]
    fill = fill_tensor(plan)

    def feed(batch: pa.RecordBatch) -> tuple[Tensor, ...]:
        columns = [read(batch) for read in readers]
        sizes = _sizes(plan, columns)
        block = math.prod(sizes[1:])
        itemsize = columns[0].values.itemsize
        check_bytes(batch.num_rows * sizes[0] * block, itemsize, batch.num_rows, limit_bytes)
        outer = join([_filled_inside(column, sizes, fill.data) for column in columns])
        values = pad_rows(outer, sizes[0] * block, fill.data)
        return (tensor(plan.dtype, values, (batch.num_rows, *sizes), (outer.owner, fill)),)

    return feed


def fill_tensor(plan: InputPlan) -> Tensor:
    """Return the value that fills short rows."""
    empty = "" if plan.dtype.numpy is None else 0
    return constant_tensor(plan.dtype, [empty if plan.pad is None else plan.pad])


def pad_rows(rows: Rows, width: int, fill: Array) -> Array:
    """Return `width` values a row: its own, then the first of `fill` repeated."""
    short = np.flatnonzero(rows.lengths != width)
    if not len(short):
        return rows.values
    if len(short) * _VALUES_PER_SHORT_ROW <= len(rows.lengths) * width:
        return _pad_few(rows, width, fill, short)
    full = np.full((len(rows.lengths), width), fill[0], rows.values.dtype)
    # The mask runs through rows and columns in the order in which the flat values lie.
    full[np.arange(width) < rows.lengths[:, None]] = rows.values
    return full.reshape(-1)


def _pad_few(rows: Rows, width: int, fill: Array, short: Ints) -> Array:
    """Do what `pad_rows` does, a stretch of full rows at a time."""
    full = np.empty(len(rows.lengths) * width, rows.values.dtype)
    read = written = 0
    for row, length in zip(short.tolist(), rows.lengths[short].tolist(), strict=True):
        # The full rows before it, and its own values; then the padding.
        count = row * width - written + length
        full[written : written + count] = rows.values[read : read + count]
        full[written + count : (row + 1) * width] = fill[0]
        read, written = read + count, (row + 1) * width
    full[written:] = rows.values[read:]
    return full


def _reader(plan: InputPlan, source: Source) -> Callable[[pa.RecordBatch], _NestedLists]:
    take, convert = column_of(source), converter(source.leaf, plan.dtype, source.label)

    def read(batch: pa.RecordBatch) -> _NestedLists:
        array = take(batch)
        lengths: list[Ints] = []
        rows = [np.arange(batch.num_rows)]
        for _ in range(source.depth):
            level, array = child_of(array)
            lengths.append(level)
            rows.append(np.repeat(rows[-1], level))
            refuse_nulls(array, np.bincount(rows[-1], minlength=batch.num_rows), source.label)
        values, owner = numbers_or_views(array)
        values = convert(values, np.bincount(rows[-1], minlength=batch.num_rows))
        return _NestedLists(source.label, lengths, rows[:-1], values, owner)

    return read


def _sizes(plan: InputPlan, columns: list[_NestedLists]) -> tuple[int, ...]:
    """Return the dimensions that every row is filled to; rows that don't fit are refused."""
    outer = sum((column.lengths[0] for column in columns[1:]), columns[0].lengths[0])
    expected = plan.dims[0]
    if expected is not None:
        (refuse_wrong_lengths if plan.exact else refuse_too_long)(outer, expected, plan)
    # Rows whose outer list may be short take no inner list that is.
    filled = np.ones(len(outer), bool) if expected is None else outer < expected
    sizes = [_longest([outer]) if expected is None else expected]
    for level in range(1, len(plan.dims)):
        expected = plan.dims[level]
        if expected is None:
            sizes.append(_longest([column.lengths[level] for column in columns]))
            continue
        sizes.append(expected)
        short = filled.copy()
        for column in columns:
            short |= _refuse_misfits(plan, column, level, expected, filled)
        filled = short
    return tuple(sizes)


def _longest(lengths: list[Ints]) -> int:
    # At least one slot, so that no model sees a dimension of 0.
    return max(1, *(int(level.max(initial=0)) for level in lengths))


def _refuse_misfits(
    plan: InputPlan, column: _NestedLists, level: int, expected: int, filled: Mask
) -> Mask:
    """Refuse rows with a list of a level that is too long, or short where it may not be.

    Returns:
        Which rows have a short list.
    """
    lengths, rows = column.lengths[level], column.rows[level]
    is_short = lengths < expected
    if plan.exact:
        filled = np.ones_like(filled)
    bad = np.flatnonzero((lengths > expected) | (is_short & filled[rows]))
    if len(bad):
        bad_rows, first = np.unique(rows[bad], return_index=True)
        got = dict(zip(bad_rows.tolist(), lengths[bad[first]].tolist(), strict=True))
        mask = np.zeros(len(filled), bool)
        mask[bad_rows] = True
        refuse(
            mask,
            lambda row: (
                f'column "{column.label}" has an inner list of {got[row]}, but input '
                f'"{plan.name}" takes {expected}'
            ),
        )
    short = np.zeros(len(filled), bool)
    short[rows[is_short]] = True
    return short


def _filled_inside(column: _NestedLists, sizes: tuple[int, ...], fill: Array) -> Rows:
    """Fill the lists inside the outermost one, innermost first."""
    values, block = column.values, 1
    for level in range(len(sizes) - 1, 0, -1):
        lists = Rows(column.lengths[level] * block, values)
        block *= sizes[level]
        values = pad_rows(lists, block, fill)
    return Rows(column.lengths[0] * block, values, column.owner)

"""Nested lists without padding: the tensors of a ragged input, and rows of any length."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from tf2spark.conversion.arrow_buffers import bool_array, without_offset
from tf2spark.conversion.casts import cast_to, converter
from tf2spark.conversion.rows import (
    Feeder,
    Ints,
    Mask,
    Rows,
    RowsUneven,
    child_of,
    column_of,
    nullable_column_of,
    nulls_of,
    numbers_or_views,
    refuse,
    refuse_nulls,
    splits_of,
    tensor,
)
from tf2spark.dtypes import INT64, DType
from tf2spark.plan.score import InputPlan, Source
from tf2spark.tensorflow_c.tensor import Tensor


def ragged_feeder(plan: InputPlan) -> Feeder:
    """Choose how nested lists become flat values and the row splits of each ragged level.

    A row that is null has no values, like one whose list is empty.
    """
    source = plan.sources[0]
    take, convert = _nullable_lists(plan), converter(source.leaf, plan.dtype, source.label)
    splits_dtype = plan.splits_dtype or INT64
    cast_splits = cast_to(splits_dtype)

    def feed(batch: pa.RecordBatch) -> tuple[Tensor, ...]:
        array, splits, dims = take(batch), [], []
        # Row i of the batch has the elements ends[i] to ends[i + 1] - 1 of the current level: so a
        # bad value at any depth is traced back to its row.
        ends = np.arange(batch.num_rows + 1)
        for level, expected in enumerate(plan.dims):
            # Only rows themselves can be null here.
            lengths, array = _open_nullable(array) if level == 0 else child_of(array)
            if level < plan.ragged_levels:
                splits.append(splits_of(lengths))
            else:
                dims.append(_inner_size(lengths, ends, expected, source.label))
            ends = splits_of(lengths)[ends]
            refuse_nulls(array, np.diff(ends), source.label)
        values, owner = numbers_or_views(array)
        values = convert(values, np.diff(ends))
        flat = tensor(plan.dtype, values, (int(splits[-1][-1]), *dims), owner)
        return (flat, *(tensor(splits_dtype, cast_splits(level), level.shape) for level in splits))

    return feed


def _nullable_lists(plan: InputPlan) -> Callable[[pa.RecordBatch], pa.Array]:
    source = plan.sources[0]
    take = nullable_column_of(source)
    if source.depth:
        return take
    # A column of nothing but nulls has no type; it stands for lists as deep as the input's.
    kind = pa.int32()
    for _ in plan.dims:
        kind = pa.list_(kind)
    return lambda batch: pa.nulls(batch.num_rows, kind)


def _open_nullable(array: pa.Array) -> tuple[Ints, pa.Array]:
    """Open one list level as `child_of` does; nulls are empty lists."""
    if not array.null_count:
        return child_of(array)
    present = ~nulls_of(array)
    lengths = np.zeros(len(array), np.int64)
    present_lists = without_offset(array).filter(bool_array(present))
    lengths[present], children = child_of(present_lists)
    return lengths, children


def _inner_size(lengths: Ints, ends: Ints, expected: int | None, label: str) -> int:
    """Return the length that the lists of an inner, uniform level have."""
    if not len(lengths):
        return expected or 0
    if expected is not None:
        bad = _rows_with(lengths != expected, ends)
        refuse(bad, f'column "{label}" has inner lists whose length is not {expected}')
        return expected
    if (lengths == lengths[0]).all():
        return int(lengths[0])
    # A row without inner lists runs with rows of any size: it is given the first list's.
    firsts = lengths[np.minimum(ends[:-1], len(lengths) - 1)]
    firsts = np.where(np.diff(ends) > 0, firsts, lengths[0])
    differ = lengths != np.repeat(firsts, np.diff(ends))
    refuse(_rows_with(differ, ends), f'column "{label}" has inner lists of different lengths')
    raise RowsUneven(firsts)


def _rows_with(bad: Mask, ends: Ints) -> Mask:
    """Return which rows have an element where `bad` is true."""
    counts = splits_of(bad.astype(np.int64))
    return np.asarray(counts[ends[1:]] > counts[ends[:-1]])


def list_rows(source: Source, dtype: DType) -> Callable[[pa.RecordBatch], Rows]:
    """Choose how a column of flat lists is read as rows of any length."""
    take, convert = column_of(source), converter(source.leaf, dtype, source.label)

    def read(batch: pa.RecordBatch) -> Rows:
        lengths, leaf = child_of(take(batch))
        refuse_nulls(leaf, lengths, source.label)
        values, owner = numbers_or_views(leaf)
        return Rows(lengths, convert(values, lengths), owner)

    return read

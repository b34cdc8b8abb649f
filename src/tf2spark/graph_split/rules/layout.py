"""Rules of ops that lay out values without changing them: shapes, transposes, concatenations."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from tf2spark.dtypes import Dims
from tf2spark.graph_split.algebra.layout import reshape_rows, transpose_rows
from tf2spark.graph_split.algebra.parts import concat_features
from tf2spark.graph_split.forms import (
    BatchSize,
    ChannelRows,
    Const,
    NotRowWise,
    NotSplit,
    ShapeVector,
    StackedRows,
    Value,
    dims_of,
    sides_of,
    transposed,
    value_count,
)
from tf2spark.graph_split.op_call import OpCall, feature_axis
from tf2spark.graph_split.rules.shape_arithmetic import Entry, known_ints, shape_vector_of


def shape(call: OpCall) -> Value:
    """The shape of a tensor, as numbers that shape arithmetic can follow."""
    value = call.inputs[0]
    vector = shape_vector_of(value, call.dtype)
    # Its `dims` are those of one stacked row, so only the first entry differs.
    if isinstance(value, StackedRows):
        vector.values[0] = BatchSize(value.count)
    return vector


def size(call: OpCall) -> Value:
    """The number of values of a tensor: a multiple of the batch."""
    value = call.inputs[0]
    row_values = value_count(dims_of(value))
    entry = np.empty((), object)
    entry[()] = None if row_values is None else BatchSize(row_values * rows_per_pair(value))
    return ShapeVector(entry, call.dtype, sides_of(value))


def rows_per_pair(value: Value) -> int:
    return value.count if isinstance(value, StackedRows) else 1


def rank(call: OpCall) -> Value:
    """The rank of a tensor, which is always known."""
    return call.b.constant(np.int32(call.rank()))


def shape_entries(call: OpCall, index: int) -> list[Entry]:
    """Return the numbers of an input that is a shape or the bounds of a slice."""
    value = call.inputs[index]
    return list(value.values) if isinstance(value, ShapeVector) else list(call.ints(index))


def reshape(call: OpCall) -> Value:
    """``[batch, a, b]  ->  [batch, c, d]``, or stacked rows: ``[batch * a, b]``.

    Rows must stay whole and in order, with the batch as the first axis. They do if a new row has
    as many values as an old one, or if an old row is a whole number of new ones.
    """
    value = call.inputs[0]
    inner = value.inner if isinstance(value, StackedRows | ChannelRows) else value
    entries = shape_entries(call, 1)
    if len(entries) > 1 and entries[0] == 1 and isinstance(entries[1], BatchSize):
        return _to_channel_rows(call, inner, entries[1].times, entries[2:])
    # `inner` has one row per pair, so stacked rows are reshaped as the rows they came from.
    if not entries or any(isinstance(entry, BatchSize) for entry in entries[1:]):
        raise NotRowWise("it moves the batch axis")
    lead, dims = rows_after(value_count(dims_of(inner)), entries[0], entries[1:])
    if lead == 1:
        return reshape_rows(call.b, inner, dims)
    return StackedRows(reshape_rows(call.b, inner, (lead, *dims)), lead, call.dtype, dims)


def rows_after(row_values: int | None, first: Entry, rest: Sequence[Entry]) -> tuple[int, Dims]:
    """Return how many rows a pair has after a reshape, and their dimensions.

    Args:
        row_values: The values of a row before.
        first: The entry of the new shape for the batch axis.
        rest: The other entries.
    """
    if row_values is None:
        if first == BatchSize():
            raise NotSplit("it reshapes rows of unknown size")
        raise NotRowWise("it stacks rows of unknown size")
    lead: int | None = None
    if isinstance(first, BatchSize):
        lead = first.times
    elif isinstance(first, int) and first != -1:
        raise NotRowWise("it fixes the number of rows")
    sizes = [None if entry == -1 or not isinstance(entry, int) else entry for entry in rest]
    # One number may be missing: how many rows there are, or one of their sizes.
    missing = sizes.count(None)
    if missing > 1 or (missing and lead is None):
        raise NotRowWise("its shape doesn't determine the length of a row")
    # Without a remainder, no new row has values of two old ones.
    fixed = (lead or 1) * prod(size for size in sizes if size is not None)
    if not fixed or row_values % fixed:
        raise NotRowWise("it cuts through rows")
    inferred = row_values // fixed
    if lead is None:
        return inferred, tuple(sizes)
    return lead, tuple(inferred if size is None else size for size in sizes)


def _to_channel_rows(call: OpCall, inner: Value, times: int, rest: Sequence[Entry]) -> Value:
    """``[batch, ...]  ->  [1, batch * times, ...]``: rows as the channels of one image."""
    row_values, dims = value_count(dims_of(inner)), known_ints(rest)
    if row_values is None or dims is None or times * prod(dims) != row_values:
        raise NotRowWise("it moves the batch axis")
    return ChannelRows(reshape_rows(call.b, inner, (times, *dims)), times, call.dtype, dims)


def expand_dims(call: OpCall) -> Value:
    """Insert an axis of size 1 after the batch."""
    axis = feature_axis(call.ints(1)[0], call.rank() + 1)
    return _insert_axis(call, call.inputs[0], axis)


def _insert_axis(call: OpCall, value: Value, axis: int) -> Value:
    dims = dims_of(value)
    return reshape_rows(call.b, value, (*dims[: axis - 1], 1, *dims[axis - 1 :]))


def squeeze(call: OpCall) -> Value:
    """Remove axes of size 1; without a list of axes, all of them but the batch.

    TensorFlow would remove the batch axis as well where the batch has one row, which no model can
    rely on: here rows keep it.
    """
    dims = dims_of(call.inputs[0])
    axes = [axis % call.rank() for axis in call.attr("squeeze_dims").list.i]
    if 0 in axes:
        raise NotRowWise("it squeezes the batch")
    if not axes:
        axes = [axis for axis, size in enumerate(dims, start=1) if size == 1]
    new_dims = tuple(size for axis, size in enumerate(dims, start=1) if axis not in axes)
    return reshape_rows(call.b, call.inputs[0], new_dims)


def transpose(call: OpCall) -> Value:
    """Reorder the axes of rows, part by part: ``[U | I].T  ->  [U.T | I.T]``."""
    order = call.ints(1)
    # Other axes may be permuted freely: that happens within each row.
    if order[0] == 0:
        return transpose_rows(call.b, call.inputs[0], order[1:])
    if order[1] != 0:
        raise NotRowWise("it moves the batch axis")
    return transposed(transpose_rows(call.b, call.inputs[0], [order[0], *order[2:]]))


def concat_v2(call: OpCall) -> Value:
    """``concat(U, I)  ->  [U | I]``, not yet concatenated."""
    axis = feature_axis(call.ints(len(call.inputs) - 1)[0], call.rank())
    return _concat(call, call.inputs[:-1], axis)


def concat_v1(call: OpCall) -> Value:
    """``concat(U, I)  ->  [U | I]``; the older op has the axis first."""
    axis = feature_axis(call.ints(0)[0], call.rank(1))
    return _concat(call, call.inputs[1:], axis)


def _concat(call: OpCall, values: Sequence[Value], axis: int) -> Value:
    stacked = [value for value in values if isinstance(value, StackedRows)]
    if not stacked:
        return concat_features(call.b, values, axis)
    if len(stacked) < len(values) or len({value.count for value in stacked}) > 1:
        raise NotRowWise("stacked rows are combined with rows that aren't")
    # Unstacked, a row has one axis more, in front.
    inner = concat_features(call.b, [value.inner for value in stacked], axis + 1)
    return StackedRows(inner, stacked[0].count, call.dtype, dims_of(inner)[1:])


def pack(call: OpCall) -> Value:
    """``stack(U, I)  ->  [U | I]`` along a new axis; before the batch, as `TransposedRows`."""
    if call.has_input(Const):
        raise NotRowWise("a constant is concatenated with rows")
    axis = call.attr("axis").i % (call.rank() + 1)
    parts = [_insert_axis(call, value, axis or 1) for value in call.inputs]
    rows = concat_features(call.b, parts, axis or 1)
    return rows if axis else transposed(rows)

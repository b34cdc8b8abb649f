"""Rules of ops that take some entries along feature axes, and all rows of the batch."""

from __future__ import annotations

from itertools import accumulate
from types import EllipsisType

import numpy as np

from tf2spark.graph_split.algebra.layout import reshape_rows
from tf2spark.graph_split.algebra.parts import concat_features, slice_axis
from tf2spark.graph_split.forms import BatchSize, NotRowWise, Value, dims_of, require_known
from tf2spark.graph_split.op_call import OpCall, feature_axis
from tf2spark.graph_split.rules.layout import rows_per_pair, shape_entries
from tf2spark.graph_split.rules.shape_arithmetic import IndexEntry, known_ints, numpy_index


def split(call: OpCall) -> list[Value]:
    """``split([U | I], 2)  ->  U, I``: pieces of one size."""
    axis = feature_axis(call.ints(0)[0], call.rank(1))
    value, count = call.inputs[1], call.attr("num_split").i
    size = _axis_size(value, axis, "a split axis") // count
    return [slice_axis(call.b, value, axis, index * size, size) for index in range(count)]


def split_v(call: OpCall) -> list[Value]:
    """Split into pieces of given sizes, one of which may be -1: what the others leave."""
    axis = feature_axis(call.ints(2)[0], call.rank())
    value, sizes = call.inputs[0], call.ints(1)
    rest = _axis_size(value, axis, "a split axis") - sum(size for size in sizes if size != -1)
    sizes = [rest if size == -1 else size for size in sizes]
    starts = accumulate(sizes, initial=0)
    return [
        slice_axis(call.b, value, axis, start, size)
        for start, size in zip(starts, sizes, strict=False)
    ]


def _axis_size(value: Value, axis: int, subject: str) -> int:
    return require_known((dims_of(value)[axis - 1],), subject)[0]


def unpack(call: OpCall) -> list[Value]:
    """``unstack([U | I])  ->  u1, u2, i1, ...``: every entry along an axis."""
    axis = feature_axis(call.attr("axis").i, call.rank())
    return [_take_entry(call, axis, index) for index in range(call.attr("num").i)]


def _take_entry(call: OpCall, axis: int, index: int) -> Value:
    value = call.inputs[0]
    dims = dims_of(value)
    entry = slice_axis(call.b, value, axis, index, 1)
    return reshape_rows(call.b, entry, (*dims[: axis - 1], *dims[axis:]))


def slice_(call: OpCall) -> Value:
    """``slice([U | I])  ->  [u | i]``: `size` entries from `begin` on, all of them for -1."""
    value, begins, sizes = call.inputs[0], call.ints(1), shape_entries(call, 2)
    if begins[0] != 0 or sizes[0] not in (-1, BatchSize(rows_per_pair(value))):
        raise NotRowWise("it selects some of the rows")
    feature_sizes = known_ints(sizes[1:])
    if feature_sizes is None:
        raise NotRowWise("the bounds of its slice depend on the rows")
    for axis, (begin, size) in enumerate(zip(begins[1:], feature_sizes, strict=True), start=1):
        axis_size = dims_of(value)[axis - 1]
        # The whole axis can be taken even if its size is unknown.
        if begin == 0 and size in (-1, axis_size):
            continue
        if size == -1:
            size = _axis_size(value, axis, "a sliced axis") - begin
        value = slice_axis(call.b, value, axis, begin, size)
    return value


def strided_slice(call: OpCall) -> Value:
    """Index as NumPy does: ``x[:, 1:, ::2, newaxis]``, with all rows of the batch."""
    begin, end, strides = (shape_entries(call, index) for index in (1, 2, 3))
    index = list(numpy_index(call.node, begin, end, strides))
    # An ellipsis, or else the end of the index, stands for all axes that it doesn't mention.
    mentioned = sum(entry is not None and entry is not Ellipsis for entry in index)
    implied: list[IndexEntry] = [slice(None, None, 1)] * (call.rank() - mentioned)
    position = index.index(Ellipsis) if Ellipsis in index else len(index)
    index[position : position + 1] = implied
    batch, *features = index
    if _cuts_batch(call) or batch not in (slice(None, None, 1), slice(0, None, 1)):
        raise NotRowWise("it selects some of the rows")
    return _index_features(call, features)


def _cuts_batch(call: OpCall) -> bool:
    """Say whether the batch is sliced up to a number of rows that isn't all of them.

    `numpy_index` treats ``x[:batch]`` like ``x[:]``, for any multiple of the batch.
    """
    ends = shape_entries(call, 2)
    if not ends or not isinstance(ends[0], BatchSize) or call.attr("end_mask").i & 1:
        return False
    return bool(ends[0] != BatchSize(rows_per_pair(call.inputs[0])))


def _index_features(call: OpCall, index: list[IndexEntry]) -> Value:
    """Apply the entries of the index one by one; a reshape at the end adds and removes axes."""
    value, axis = call.inputs[0], 1
    dims: list[int | None] = []
    for entry in index:
        if entry is None:
            dims.append(1)
            continue
        assert not isinstance(entry, EllipsisType)
        if isinstance(entry, int):
            # One entry is taken as a slice of one, whose axis the reshape removes at the end.
            offset = _axis_size(value, axis, "a sliced axis") if entry < 0 else 0
            value = slice_axis(call.b, value, axis, entry + offset, 1)
        else:
            value = _apply_slice(call, value, axis, entry)
            dims.append(dims_of(value)[axis - 1])
        axis += 1
    return reshape_rows(call.b, value, tuple(dims))


def _apply_slice(call: OpCall, value: Value, axis: int, entry: slice) -> Value:
    if entry.start in (None, 0) and entry.stop is None and entry.step == 1:
        return value
    positions = range(*entry.indices(_axis_size(value, axis, "a sliced axis")))
    if not positions:
        raise NotRowWise("its slice is empty")
    return slice_axis(call.b, value, axis, positions[0], len(positions), positions.step)


def gather_columns(call: OpCall, axis: int) -> Value:
    """``gather([U | I], constant)  ->  [u1 | i3 | ...]``: entries along a feature axis."""
    value, positions = call.inputs[0], call.const(1)
    size = _axis_size(value, axis, "an axis that is looked up")
    # Neighbors of one side are joined again by the concatenation.
    numbers = [int(position) % size for position in np.atleast_1d(positions.value).reshape(-1)]
    parts = [slice_axis(call.b, value, axis, number, 1) for number in numbers]
    columns = parts[0] if len(parts) == 1 else concat_features(call.b, parts, axis)
    dims = dims_of(columns)
    return reshape_rows(call.b, columns, (*dims[: axis - 1], *positions.shape, *dims[axis:]))

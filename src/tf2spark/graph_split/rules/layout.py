"""Rules of ops that move values without changing them."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np

from tf2spark.graph_split.algebra.layout import concat, reshaped, taken, tiled, transposed
from tf2spark.graph_split.forms import (
    Batch,
    Beside,
    Const,
    Dims,
    Merged,
    NotRowWise,
    NotSplit,
    Sizes,
    Value,
    count,
    dims_of,
    known,
    sides_of,
)
from tf2spark.graph_split.op_call import Call, Rule, feature_axis
from tf2spark.graph_split.rules.shape_arithmetic import shape_of, slice_index


def shape(call: Call) -> Value:
    if isinstance(call.inputs[0], Merged):
        merged = call.inputs[0]
        sizes = shape_of(merged, call.dtype)
        sizes.values[0] = Batch(merged.count)
        return sizes
    return shape_of(call.inputs[0], call.dtype)


def size(call: Call) -> Value:
    whole = count(dims_of(call.inputs[0]))
    value = np.empty((), object)
    value[()] = None if whole is None else Batch(whole * _rows_of(call.inputs[0]))
    return Sizes(value, call.dtype, sides_of(call.inputs[0]))


def _rows_of(value: Value) -> int:
    """Return how many rows there are for one of the batch."""
    return value.count if isinstance(value, Merged) else 1


def rank(call: Call) -> Value:
    return call.b.constant(np.int32(call.rank()))


def reshape(call: Call) -> Value:
    """Give rows other dimensions; the batch stays first, or is merged with the axis behind it."""
    value = call.inputs[0]
    inner = value.inner if isinstance(value, Merged | Beside) else value
    size = count(dims_of(inner))
    entries = _entries(call, 1)
    if entries[:1] == [1] and len(entries) > 1 and isinstance(entries[1], Batch):
        return _beside(call, inner, entries[1].times, entries[2:])
    if not entries or any(isinstance(one, Batch) for one in entries[1:]):
        raise NotRowWise("it moves the batch")
    first, rest = entries[0], entries[1:]
    if size is None and first == Batch():
        raise NotSplit("rows of unknown size are reshaped")
    if size is None:
        raise NotRowWise("it merges rows of unknown size")
    unknown = [place for place, one in enumerate(rest) if not isinstance(one, int) or one == -1]
    if isinstance(first, Batch):
        lead: int | None = first.times
    elif first == -1 or not isinstance(first, int):
        lead = None
    else:
        raise NotRowWise("it fixes the number of rows")
    if len(unknown) > 1 or (unknown and lead is None):
        raise NotRowWise("it says nothing of the rows")
    fixed = prod(one for place, one in enumerate(rest) if place not in unknown)
    if not fixed or size % ((lead or 1) * fixed):
        raise NotRowWise("it cuts rows")
    rest = [size // ((lead or 1) * fixed) if place in unknown else one
            for place, one in enumerate(rest)]  # fmt: skip
    lead = lead or size // prod(rest)
    dims = tuple(rest)
    if lead == 1:
        return reshaped(call.b, inner, dims)
    return Merged(reshaped(call.b, inner, (lead, *dims)), lead, call.dtype, dims)


def _beside(call: Call, inner: Value, times: int, rest: list[Any]) -> Value:
    """Put rows beside each other, along the axis behind one of size 1."""
    own = count(dims_of(inner))
    if own is None or not all(isinstance(one, int) for one in rest) or times * prod(rest) != own:
        raise NotRowWise("it moves the batch")
    return Beside(reshaped(call.b, inner, (times, *rest)), times, call.dtype, tuple(rest))


def _entries(call: Call, place: int) -> list[Any]:
    value = call.inputs[place]
    if isinstance(value, Sizes):
        return list(value.values)
    return list(call.ints(place))


def expand_dims(call: Call) -> Value:
    axis = feature_axis(call.ints(1)[0], call.rank() + 1)
    dims = dims_of(call.inputs[0])
    return reshaped(call.b, call.inputs[0], (*dims[: axis - 1], 1, *dims[axis - 1 :]))


def squeeze(call: Call) -> Value:
    dims = dims_of(call.inputs[0])
    axes = [axis % call.rank() for axis in call.attr("squeeze_dims").list.i]
    if 0 in axes:
        raise NotRowWise("it squeezes the batch")
    if not axes:
        # Of any size 1: of the batch too, if it has one row. Then nothing is known of the result.
        axes = [axis for axis, size in enumerate(dims, start=1) if size == 1]
    new = tuple(size for axis, size in enumerate(dims, start=1) if axis not in axes)
    return reshaped(call.b, call.inputs[0], new)


def transpose(call: Call) -> Value:
    order = call.ints(1)
    if order[0] != 0:
        raise NotRowWise("it moves the batch")
    return transposed(call.b, call.inputs[0], order[1:])


def concat_v2(call: Call) -> Value:
    axis = feature_axis(call.ints(len(call.inputs) - 1)[0], call.rank())
    return _put_together(call, list(call.inputs[:-1]), axis)


def concat_v1(call: Call) -> Value:
    axis = feature_axis(call.ints(0)[0], call.rank(1))
    return _put_together(call, list(call.inputs[1:]), axis)


def _put_together(call: Call, values: list[Value], axis: int) -> Value:
    merged = [value for value in values if isinstance(value, Merged)]
    if not merged:
        return concat(call.b, values, axis)
    if len(merged) < len(values) or len({one.count for one in merged}) > 1:
        raise NotRowWise("rows of a merged batch stand beside others")
    inner = concat(call.b, [one.inner for one in merged], axis + 1)
    return Merged(inner, merged[0].count, call.dtype, dims_of(inner)[1:])


def pack(call: Call) -> Value:
    axis = feature_axis(call.attr("axis").i, call.rank() + 1)
    parts = []
    for value in call.inputs:
        dims = dims_of(value)
        if isinstance(value, Const):
            raise NotRowWise("a constant stands beside rows")
        parts.append(reshaped(call.b, value, (*dims[: axis - 1], 1, *dims[axis - 1 :])))
    return concat(call.b, parts, axis)


def unpack(call: Call) -> list[Value]:
    axis = feature_axis(call.attr("axis").i, call.rank())
    dims = dims_of(call.inputs[0])
    new = (*dims[: axis - 1], *dims[axis:])
    return [
        reshaped(call.b, taken(call.b, call.inputs[0], axis, place, 1), new)
        for place in range(call.attr("num").i)
    ]


def split(call: Call) -> list[Value]:
    axis = feature_axis(call.ints(0)[0], call.rank(1))
    pieces = call.attr("num_split").i
    size = known((dims_of(call.inputs[1])[axis - 1],), "what is split")[0] // pieces
    return [taken(call.b, call.inputs[1], axis, n * size, size) for n in range(pieces)]


def split_v(call: Call) -> list[Value]:
    axis = feature_axis(call.ints(2)[0], call.rank())
    sizes = call.ints(1)
    whole = known((dims_of(call.inputs[0])[axis - 1],), "what is split")[0]
    rest = whole - sum(size for size in sizes if size != -1)
    sizes = [rest if size == -1 else size for size in sizes]
    firsts = np.cumsum([0, *sizes[:-1]])
    return [
        taken(call.b, call.inputs[0], axis, int(first), size)
        for first, size in zip(firsts, sizes, strict=True)
    ]


def slice_(call: Call) -> Value:
    begins, sizes = call.ints(1), _entries(call, 2)
    value = call.inputs[0]
    if begins[0] != 0 or sizes[0] not in (-1, Batch(_rows_of(value))):
        raise NotRowWise("it takes some of the rows")
    if not all(isinstance(one, int) for one in sizes[1:]):
        raise NotRowWise("a slice is cut by what the rows hold")
    for axis, (begin, size) in enumerate(zip(begins[1:], sizes[1:], strict=True), start=1):
        whole = dims_of(value)[axis - 1]
        if begin == 0 and (size == -1 or size == whole):
            continue
        if size == -1:
            size = known((whole,), "what is sliced")[0] - begin
        value = taken(call.b, value, axis, begin, int(size))
    return value


def strided_slice(call: Call) -> Value:
    index = list(slice_index(call.node, *(np.array(_entries(call, n), object) for n in (1, 2, 3))))
    given = sum(one is not None and one is not Ellipsis for one in index)
    every = [slice(None, None, 1)] * (call.rank() - given)
    place = index.index(Ellipsis) if Ellipsis in index else len(index)
    index[place : place + 1] = every
    batch, *rest = index
    ends = _entries(call, 2)
    by_rows = bool(ends) and isinstance(ends[0], Batch) and not call.attr("end_mask").i & 1
    some = by_rows and ends[0] != Batch(_rows_of(call.inputs[0]))
    if some or batch not in (slice(None, None, 1), slice(0, None, 1)):
        raise NotRowWise("it takes some of the rows")
    return _indexed(call, rest)


def _indexed(call: Call, index: list[Any]) -> Value:
    value, axis = call.inputs[0], 1
    dims: list[int | None] = []
    for one in index:
        if one is None:
            dims.append(1)
            continue
        whole = dims_of(value)[axis - 1]
        if isinstance(one, int):
            size = known((whole,), "what is sliced")[0] if one < 0 else 0
            value = taken(call.b, value, axis, one + size, 1)
        elif one == slice(None, None, 1) or (one.start == 0 and one.stop is None and one.step == 1):
            dims.append(whole)
        else:
            places = range(*one.indices(known((whole,), "what is sliced")[0]))
            if not places:
                raise NotRowWise("a slice of rows is empty")
            value = taken(call.b, value, axis, places[0], len(places), places.step)
            dims.append(len(places))
        axis += 1
    return reshaped(call.b, value, tuple(dims))


def columns(call: Call, axis: int) -> Value:
    """Take the entries of constant places along a feature axis."""
    value, places = call.inputs[0], call.const(1)
    size = known((dims_of(value)[axis - 1],), "what is looked up")[0]
    numbers = [int(one) % size for one in np.atleast_1d(places.value).reshape(-1)]
    parts = [taken(call.b, value, axis, one, 1) for one in numbers]
    found = parts[0] if len(parts) == 1 else concat(call.b, parts, axis)
    dims = dims_of(found)
    return reshaped(call.b, found, (*dims[: axis - 1], *places.shape, *dims[axis:]))


def tile(call: Call) -> Value:
    times = _entries(call, 1)
    value = call.inputs[0]
    if not all(isinstance(one, int) for one in times[1:]):
        raise NotRowWise("it repeats values as often as there are rows")
    if isinstance(value, Const):
        return _filled(call, value, times)
    if times[0] != 1:
        raise NotRowWise("it repeats rows")
    return tiled(call.b, value, times[1:])


def _filled(call: Call, value: Const, times: list[Any]) -> Value:
    if value.shape[0] != 1 or times[0] != Batch():
        raise NotRowWise("a constant has rows of its own")
    repeated = np.tile(value.value, [1, *times[1:]])[0]
    return _same_rows(call, call.b.constant(repeated, value.dtype), 1, repeated.shape)


def _same_rows(call: Call, value: Const, place: int, dims: Dims) -> Value:
    """Give every row a constant: on the side whose rows the shape counts."""
    given = call.inputs[place]
    assert isinstance(given, Sizes)
    side = "item" if given.sides == {"item"} else "user"
    return call.b.filled(value, side, dims)  # type: ignore[arg-type]


def fill(call: Call) -> Value:
    first, *dims = _entries(call, 0)
    if not isinstance(first, Batch) or any(not isinstance(one, int) for one in dims):
        raise NotRowWise("it is filled up to another shape than the rows'")
    if first.times == 1:
        return _same_rows(call, call.const(1), 0, tuple(dims))
    inner = _same_rows(call, call.const(1), 0, (first.times, *dims))
    return Merged(inner, first.times, call.dtype, tuple(dims))


def broadcast_to(call: Call) -> Value:
    value, (first, *dims) = call.inputs[0], _entries(call, 1)
    if first != Batch() or any(not isinstance(one, int) for one in dims):
        raise NotRowWise("it is filled up to another shape than the rows'")
    if isinstance(value, Const):
        rows = len(value.shape) > len(dims)
        if rows and value.shape[0] != 1:
            raise NotRowWise("a constant has rows of its own")
        return _same_rows(call, value, 1, tuple(dims))
    if len(dims_of(value)) != len(dims):
        raise NotRowWise("rows meet columns")
    if dims_of(value) == tuple(dims):
        return value
    times = [size // own if own else 1 for size, own in
             zip(dims, known(dims_of(value), "a row"), strict=True)]  # fmt: skip
    return tiled(call.b, value, times)


RULES: Mapping[str, Rule] = {
    "BroadcastTo": broadcast_to,
    "Concat": concat_v1,
    "ConcatV2": concat_v2,
    "ExpandDims": expand_dims,
    "Fill": fill,
    "Pack": pack,
    "Rank": rank,
    "Reshape": reshape,
    "Shape": shape,
    "Size": size,
    "Slice": slice_,
    "Split": split,
    "SplitV": split_v,
    "Squeeze": squeeze,
    "StridedSlice": strided_slice,
    "Tile": tile,
    "Transpose": transpose,
    "Unpack": unpack,
}

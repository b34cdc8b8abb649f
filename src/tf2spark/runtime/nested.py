"""Lists in lists, scalars and images as flat values and the dimensions of a row."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pyarrow as pa

from tf2spark.dtypes import DType
from tf2spark.plan import InputPlan, Source
from tf2spark.runtime.casts import Check, cast_to, misfits
from tf2spark.runtime.rows import (
    Array,
    Ints,
    RowsUneven,
    child_of,
    column_of,
    numbers_or_views,
    refuse,
)

Dims = tuple[int | None, ...]
Reader = Callable[[pa.RecordBatch], tuple[Array, tuple[int, ...], object]]
"""Flat values cast to the input's dtype, the dimensions of each row, and what must stay alive."""


def nested_reader(source: Source, dtype: DType, dims: Dims, name: str) -> Reader:
    """Choose, once, how a column of scalars or of rectangular nested lists is read.

    A flat list stands for a row of several fixed dimensions where it has exactly as many values.
    """
    take, cast, check = column_of(source), cast_to(dtype), misfits(source.leaf, dtype)
    depth, label = source.depth, source.label
    flat = depth == 1 and len(dims) > 1
    wants: Dims = (math.prod(d for d in dims if d is not None),) if flat else dims

    def read(batch: pa.RecordBatch) -> tuple[Array, tuple[int, ...], object]:
        array, sizes, per_row = take(batch), [], 1
        for level in range(depth):
            lengths, array = child_of(array)
            size = _size_of_level(lengths, batch.num_rows, per_row, wants[level], label, name)
            sizes.append(size)
            per_row *= size
            _refuse_nulls(array, batch.num_rows, per_row, label)
        values, owner = numbers_or_views(array)
        if check is not None:
            _refuse_misfits(check, values, batch.num_rows, per_row, label, dtype)
        shape = tuple(d or 0 for d in dims) if flat else tuple(sizes) or (1,) * len(dims)
        return cast(values), shape, owner

    return read


def _size_of_level(
    lengths: Ints | int, rows: int, per_row: int, want: int | None, label: str, name: str
) -> int:
    """Return the length that all lists of one level have; refuse or separate the rows otherwise."""
    if isinstance(lengths, int):
        lengths = np.full(rows * per_row, lengths, np.int64)
    if not len(lengths):
        return want or 0
    if want is not None and (lengths == want).all():
        return want
    table = lengths.reshape(rows, per_row)
    first = table[:, 0]
    if want is not None:
        bad = (table != want).any(axis=1)
        odd = np.where(table[:, :] != want, table, -1).max(axis=1)
        refuse(bad, lambda row: f'column "{label}" has {odd[row]} values, input "{name}" takes {want}')
    refuse((table != first[:, None]).any(axis=1), f'column "{label}" holds lists of different lengths')
    if (first != first[0]).any():
        raise RowsUneven(first)
    return int(first[0])


def _refuse_nulls(array: pa.Array, rows: int, per_row: int, label: str) -> None:
    if array.null_count:
        nulls = array.is_null().to_numpy(zero_copy_only=False).reshape(rows, per_row)
        refuse(nulls.any(axis=1), f'column "{label}" holds a null')


def _refuse_misfits(
    check: Check, values: Array, rows: int, per_row: int, label: str, dtype: DType
) -> None:
    if (bad := check(values)) is not None:
        table = bad.reshape(rows, per_row)
        worst = values.reshape(rows, per_row)
        refuse(
            table.any(axis=1),
            lambda row: f'column "{label}" has {worst[row][table[row]][0]}, which {dtype} can\'t hold',
        )


def image_reader(source: Source, dtype: DType, dims: Dims) -> Reader:
    """Choose how Spark's image struct is read: uint8 [height, width, channels], BGR as it comes.

    Source of the layout: ``org.apache.spark.ml.image.ImageSchema``; modes are OpenCV's, of which
    CV_8U (mode % 8 == 0) is one byte a channel.
    """
    take, cast, label = column_of(source), cast_to(dtype), source.label

    def read(batch: pa.RecordBatch) -> tuple[Array, tuple[int, ...], object]:
        array = take(batch)
        shapes = np.stack(
            [
                array.field(key).to_numpy(zero_copy_only=False).astype(np.int64)
                for key in ("height", "width", "nChannels")
            ],
            axis=1,
        )
        modes = array.field("mode").to_numpy(zero_copy_only=False)
        data = array.field("data").cast(pa.large_binary())
        offsets = np.frombuffer(data.buffers()[1], np.int64, len(data) + 1, data.offset * 8)
        refuse(modes % 8 != 0, f'column "{label}" is an image that has not one byte a channel')
        refuse(
            np.diff(offsets) != shapes.prod(axis=1),
            f'column "{label}" is an image whose data is not height x width x channels long',
        )
        _refuse_shapes(shapes, dims, label)
        pixels = np.frombuffer(data.buffers()[2] or b"", np.uint8)[offsets[0] : offsets[-1]]
        shape = shapes[0] if len(shapes) else [size or 0 for size in dims]
        return cast(pixels), tuple(int(size) for size in shape), data

    return read


def _refuse_shapes(shapes: Ints, dims: Dims, label: str) -> None:
    want = np.array([-1 if size is None else size for size in dims])
    refuse(
        ((shapes != want) & (want >= 0)).any(axis=1),
        lambda row: (
            f'column "{label}" is an image of {[int(size) for size in shapes[row]]} '
            f"[height, width, channels], the input takes {list(dims)}"
        ),
    )
    if len(shapes) and (shapes != shapes[0]).any():
        raise RowsUneven(np.unique(shapes, axis=0, return_inverse=True)[1].reshape(-1))


def ragged_reader(
    plan: InputPlan,
) -> Callable[[pa.RecordBatch], tuple[Array, tuple[int, ...], list[Ints], object]]:
    """Choose how nested lists are read as they are: flat values, inner dims, lengths by level."""
    source = plan.sources[0]
    take, cast, check = column_of(source), cast_to(plan.dtype), misfits(source.leaf, plan.dtype)
    label, ragged = source.label, plan.ragged_levels

    def read(batch: pa.RecordBatch) -> tuple[Array, tuple[int, ...], list[Ints], object]:
        array, levels, sizes = take(batch), [], []
        bounds = np.arange(batch.num_rows + 1)
        per_list = 1
        for level in range(source.depth):
            elements = len(array)
            lengths, array = child_of(array)
            if isinstance(lengths, int):
                lengths = np.full(elements, lengths, np.int64)
            if level < ragged:
                levels.append(lengths)
            else:
                sizes.append(_inner_size(lengths, bounds, plan.dims[level], label))
                per_list *= sizes[-1]
            bounds = np.concatenate([[0], np.cumsum(lengths)])[bounds]
            if array.null_count:
                nulls = array.is_null().to_numpy(zero_copy_only=False)
                refuse(_rows_of(nulls, bounds), f'column "{label}" holds a null')
        values, owner = numbers_or_views(array)
        if check is not None and (bad := check(values)) is not None:
            refuse(_rows_of(bad, bounds), f'column "{label}" has a value that {plan.dtype} can\'t hold')
        return cast(values), tuple(sizes), levels, owner

    return read


def _rows_of(bad: Array, bounds: Ints) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return which rows hold a bad element: row i has the elements bounds[i] to bounds[i + 1]."""
    counts = np.concatenate([[0], np.cumsum(bad)])
    return np.asarray(counts[bounds[1:]] > counts[bounds[:-1]])


def _inner_size(lengths: Ints, bounds: Ints, want: int | None, label: str) -> int:
    if not len(lengths):
        return want or 0
    size = int(lengths[0]) if want is None else want
    refuse(
        _rows_of(lengths != size, bounds),
        f'column "{label}" holds inner lists that have not {size} values',
    )
    return size

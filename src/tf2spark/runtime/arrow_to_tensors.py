"""Arrow columns to the tensors that a session is fed; `tensors_to_arrow` is the mirror.

`feeder` looks at an `InputPlan` once and returns the function for the hot loop. It guarantees:
every tensor's first dimension is the number of rows (or of non-zeros, for sparse inputs), buffers
are passed on without a copy where type and layout allow, and a row that can't become a tensor is
named by `RowsRefused`, never fed as something else.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
from attrs import evolve

from tf2spark.dtypes import INT64, DType
from tf2spark.plan import InputPlan, Source
from tf2spark.runtime.casts import Check, cast_to, misfits
from tf2spark.runtime.nested import Reader, image_reader, nested_reader, ragged_reader
from tf2spark.runtime.rows import (
    Array,
    Rows,
    RowsUneven,
    refuse,
    view_of,
)
from tf2spark.runtime.tensor import Tensor
from tf2spark.runtime.vectors import (
    Vectors,
    assembled,
    densified,
    indices_of,
    join,
    positions_of,
    row_ids_of,
    starts_of,
    vectors_reader,
)

Feeder = Callable[[pa.RecordBatch], tuple[Tensor, ...]]


class RowsTooLarge(Exception):  # noqa: N818 - a signal of the worker loop, not an error for users
    """The tensor for these rows would be larger than a run may take: use fewer rows."""


def feeder(plan: InputPlan, batch_bytes: int) -> Feeder:
    """Choose, once, how the tensors of one input are made from a batch."""
    match plan.form:
        case "constant":
            return _constant(plan)
        case "broadcast":
            return _broadcast(plan)
        case "sparse":
            return _sparse(plan)
        case "ragged":
            return _ragged(plan)
        case "padded":
            return _padded(plan, batch_bytes)
        case _:
            return _dense(plan, batch_bytes)


def tensor(dtype: DType, values: Array, shape: tuple[int, ...], owner: object = None) -> Tensor:
    """Wrap flat values, contiguous, as a tensor of that shape."""
    return Tensor(dtype, shape, np.ascontiguousarray(values), owner)


def constant_tensor(dtype: DType, value: Any) -> Tensor:
    """Make the tensor of a constant: a number, a bool, a string or nested lists of them."""
    if dtype.numpy is None:
        texts = np.asarray(value, dtype=object)
        flat = pa.array([t if isinstance(t, bytes) else str(t).encode() for t in texts.reshape(-1)])
        views, owner = _views(flat)
        return tensor(dtype, views, texts.shape, owner)
    values = np.asarray(value)
    cast = cast_to(dtype)
    return tensor(dtype, cast(values).reshape(-1), values.shape)


def _views(flat: pa.Array) -> tuple[Array, object]:
    from tf2spark.runtime.rows import numbers_or_views

    return numbers_or_views(flat.cast(pa.binary()))


def _constant(plan: InputPlan) -> Feeder:
    made = (constant_tensor(plan.dtype, plan.value),)
    return lambda batch: made


def _broadcast(plan: InputPlan) -> Feeder:
    one = constant_tensor(plan.dtype, plan.value)

    def feed(batch: pa.RecordBatch) -> tuple[Tensor, ...]:
        return (
            tensor(
                plan.dtype,
                np.tile(one.data.reshape(-1), batch.num_rows),
                (batch.num_rows, *one.shape),
                one.owner,
            ),
        )

    return feed


def _dense(plan: InputPlan, batch_bytes: int) -> Feeder:
    readers = [_dense_reader(plan, source, batch_bytes) for source in plan.sources]
    if len(readers) == 1 and not plan.assembled:
        read, dtype = readers[0], plan.dtype

        def feed(batch: pa.RecordBatch) -> tuple[Tensor, ...]:
            values, dims, owner = read(batch)
            return (tensor(dtype, values, (batch.num_rows, *dims), owner),)

        return feed
    if all(_is_flat(source) for source in plan.sources):
        return _dense_rows(plan, batch_bytes)
    return _dense_side_by_side(plan, readers)


def _dense_reader(plan: InputPlan, source: Source, batch_bytes: int) -> Reader:
    if source.layout == "image":
        return image_reader(source, plan.dtype, plan.dims)
    if source.layout == "list":
        # Side by side, only the sum of the parts is known, not each part's own length.
        dims = plan.dims if len(plan.sources) == 1 else (None, *plan.dims[1:])
        return nested_reader(source, plan.dtype, dims, plan.name)
    rows = _rows_reader(plan, source, batch_bytes)
    return lambda batch: _rectangle(rows(batch), plan)


def _is_flat(source: Source) -> bool:
    return source.layout not in ("list", "image") or source.depth <= 1


def _dense_rows(plan: InputPlan, batch_bytes: int) -> Feeder:
    read = _joined_reader(plan, batch_bytes)

    def feed(batch: pa.RecordBatch) -> tuple[Tensor, ...]:
        values, dims, owner = _rectangle(read(batch), plan)
        return (tensor(plan.dtype, values, (batch.num_rows, *dims), owner),)

    return feed


def _dense_side_by_side(plan: InputPlan, readers: list[Reader]) -> Feeder:
    want = plan.dims[0] if plan.dims else None

    def feed(batch: pa.RecordBatch) -> tuple[Tensor, ...]:
        n, parts, owners = batch.num_rows, [], []
        for read in readers:
            values, dims, owner = read(batch)
            parts.append(values.reshape(n, *dims) if dims else values.reshape(n, 1))
            owners.append(owner)
        whole = np.concatenate(parts, axis=1)
        refuse(
            np.full(n, want is not None and whole.shape[1] != want),
            f"{_labels(plan)} have {whole.shape[1]} values side by side, "
            f'input "{plan.name}" takes {want}',
        )
        return (tensor(plan.dtype, whole, whole.shape, owners),)

    return feed


def _rectangle(rows: Rows, plan: InputPlan) -> tuple[Array, tuple[int, ...], object]:
    """Return the values of rows of equal length as [n, *dims], or say which rows don't fit."""
    width = plan.dims[0] if len(plan.dims) == 1 else _product(plan.dims)
    if width is not None:
        refuse(rows.lengths != width, lambda row: _wrong_length(plan, rows.lengths[row], width))
        return rows.values, _known(plan.dims, width), rows.owner
    if (uniform := rows.uniform) is None:
        raise RowsUneven(rows.lengths)
    return rows.values, (uniform,), rows.owner


def _padded(plan: InputPlan, batch_bytes: int) -> Feeder:
    read = _joined_reader(plan, batch_bytes)
    width = _product(plan.dims)
    fill, fill_owner = _fill(plan)

    def feed(batch: pa.RecordBatch) -> tuple[Tensor, ...]:
        rows = read(batch)
        if width is not None:
            refuse(rows.lengths > width, lambda row: _too_long(plan, rows.lengths[row], width))
        # One slot at least, so that no model sees a dimension of 0 for a batch of empty rows.
        wide = width if width is not None else max(1, int(rows.lengths.max(initial=0)))
        _bounded(len(rows.lengths) * wide, rows.values.itemsize, len(rows.lengths), batch_bytes)
        dims = _known(plan.dims, wide)
        values = _filled(rows, wide, fill)
        return (tensor(plan.dtype, values, (batch.num_rows, *dims), (rows.owner, fill_owner)),)

    return feed


def _fill(plan: InputPlan) -> tuple[Array, object]:
    if plan.dtype.numpy is None:
        return view_of("" if plan.pad is None else plan.pad)
    return cast_to(plan.dtype)(np.asarray([0 if plan.pad is None else plan.pad])), None


def _filled(rows: Rows, width: int, fill: Array) -> Array:
    if (rows.lengths == width).all():
        return rows.values
    full = np.empty(len(rows.lengths) * width, rows.values.dtype)
    full[:] = fill[0]
    at = np.arange(len(rows.lengths), dtype=np.int64) * width - starts_of(rows.lengths)
    full[np.arange(len(rows.values)) + np.repeat(at, rows.lengths)] = rows.values
    return full


def _sparse(plan: InputPlan) -> Feeder:
    read, cast = _vectors_of(plan), cast_to(plan.dtype)
    want = plan.dims[0] if plan.dims else None

    def feed(batch: pa.RecordBatch) -> tuple[Tensor, ...]:
        found = read(batch)
        size = _sparse_size(found, want, plan)
        ids = indices_of(found)
        where = np.empty((len(ids), 2), np.int64)
        where[:, 0] = row_ids_of(found.lengths)
        where[:, 1] = ids
        return (
            tensor(INT64, where, where.shape),
            tensor(plan.dtype, cast(found.values), (len(ids),), found.owner),
            tensor(INT64, np.array([batch.num_rows, size], np.int64), (2,)),
        )

    return feed


def _sparse_size(found: Vectors, want: int | None, plan: InputPlan) -> int:
    """Return the width of the batch's sparse tensor; refuse the rows that don't fit into it."""
    if want is None:
        widths = found.lengths if found.indices is None else found.indices + 1
        return int((widths if found.sizes is None else found.sizes).max(initial=0))
    if found.sizes is not None:
        refuse(found.sizes != want, lambda row: _wrong_length(plan, found.sizes[row], want))  # type: ignore[index]
    elif found.indices is not None and found.indices.max(initial=-1) >= want:
        bad = np.zeros(len(found.lengths), bool)
        bad[row_ids_of(found.lengths)[found.indices >= want]] = True
        refuse(bad, f'{_labels(plan)}: an id is not below {want}, the size of input "{plan.name}"')
    return want


def _ragged(plan: InputPlan) -> Feeder:
    read = ragged_reader(plan)
    splits_dtype = plan.splits_dtype or INT64
    cast_splits = cast_to(splits_dtype)

    def feed(batch: pa.RecordBatch) -> tuple[Tensor, ...]:
        values, dims, levels, owner = read(batch)
        splits = [cast_splits(np.concatenate([[0], np.cumsum(lengths)])) for lengths in levels]
        flat = tensor(plan.dtype, values, (int(levels[-1].sum()), *dims), owner)
        return (flat, *(tensor(splits_dtype, one, one.shape) for one in splits))

    return feed


def _vectors_of(plan: InputPlan) -> Callable[[pa.RecordBatch], Vectors]:
    """Choose how the sources are read as sparse rows; a list is the rows' values in order."""
    checks = [_value_check(source, plan) for source in plan.sources]
    readers = [
        _list_as_vectors(source, plan) if source.layout == "list" and source.depth else
        _checked_vectors(vectors_reader(source), check, source, plan)
        for source, check in zip(plan.sources, checks, strict=True)
    ]  # fmt: skip
    if not plan.assembled:
        return readers[0]
    labels = [source.label for source in plan.sources]
    return lambda batch: assembled([read(batch) for read in readers], labels)


def _list_as_vectors(source: Source, plan: InputPlan) -> Callable[[pa.RecordBatch], Vectors]:
    rows = _list_rows(source, plan)

    def read(batch: pa.RecordBatch) -> Vectors:
        found = rows(batch)
        return Vectors(found.lengths, positions_of(found.lengths), found.values, None, found.owner)

    return read


def _list_rows(source: Source, plan: InputPlan) -> Callable[[pa.RecordBatch], Rows]:
    read = ragged_reader(InputPlan(plan.name, (), "ragged", plan.dtype, (None,), (source,),
                                   ragged_levels=1))  # fmt: skip

    def rows(batch: pa.RecordBatch) -> Rows:
        values, _, levels, owner = read(batch)
        return Rows(levels[0], values, owner)

    return rows


def _value_check(source: Source, plan: InputPlan) -> Check | None:
    return None if source.part == "indices" else misfits(source.leaf, plan.dtype)


def _checked_vectors(
    read: Callable[[pa.RecordBatch], Vectors], check: Check | None, source: Source, plan: InputPlan
) -> Callable[[pa.RecordBatch], Vectors]:
    if check is None:
        return read

    def checked(batch: pa.RecordBatch) -> Vectors:
        found = read(batch)
        if (bad := check(found.values)) is not None:
            rows = np.zeros(len(found.lengths), bool)
            rows[row_ids_of(found.lengths)[bad]] = True
            refuse(rows, f'column "{source.label}" has a value that {plan.dtype} can\'t hold')
        return found

    return checked


def _rows_reader(
    plan: InputPlan, source: Source, batch_bytes: int
) -> Callable[[pa.RecordBatch], Rows]:
    """Choose how one source is read as rows of values of the input's dtype."""
    if source.layout == "list" and source.depth == 1:
        return _list_rows(source, plan)
    if source.layout == "list":
        scalar = nested_reader(source, plan.dtype, (), plan.name)

        def scalars(batch: pa.RecordBatch) -> Rows:
            values, _, owner = scalar(batch)
            return Rows(np.ones(batch.num_rows, np.int64), values, owner)

        return scalars
    read = _checked_vectors(vectors_reader(source), _value_check(source, plan), source, plan)
    return _part_reader(read, source.part, plan, batch_bytes)


def _part_reader(
    read: Callable[[pa.RecordBatch], Vectors], part: str | None, plan: InputPlan, batch_bytes: int
) -> Callable[[pa.RecordBatch], Rows]:
    cast = cast_to(plan.dtype)
    check = misfits(pa.int64(), plan.dtype)

    def indices(batch: pa.RecordBatch) -> Rows:
        found = read(batch)
        ids = indices_of(found)
        if check is not None and (bad := check(ids)) is not None:
            rows = np.zeros(len(found.lengths), bool)
            rows[row_ids_of(found.lengths)[bad]] = True
            refuse(rows, f"{_labels(plan)} has an index that {plan.dtype} can't hold")
        return Rows(found.lengths, cast(ids))

    def values(batch: pa.RecordBatch) -> Rows:
        found = read(batch)
        return Rows(found.lengths, cast(found.values), found.owner)

    def sizes(batch: pa.RecordBatch) -> Rows:
        found = read(batch)
        whole = found.sizes if found.sizes is not None else found.lengths
        return Rows(np.ones(len(whole), np.int64), cast(whole))

    def dense(batch: pa.RecordBatch) -> Rows:
        found = _sized(read(batch), plan)
        if found.sizes is not None and plan.dtype.numpy is not None:
            total = int(found.sizes.sum())
            _bounded(total, plan.dtype.numpy.itemsize, len(found.sizes), batch_bytes)
        return densified(found, cast)

    return {"indices": indices, "values": values, "size": sizes, None: dense}[part]


def _sized(found: Vectors, plan: InputPlan) -> Vectors:
    """Hold the widths of one column's rows against the input's, or take them from it."""
    want = _product(plan.dims)
    if want is None or len(plan.sources) > 1:
        return found
    _sparse_size(found, want, plan)
    return found if found.sizes is not None else evolve(
        found, sizes=np.full(len(found.lengths), want, np.int64)
    )  # fmt: skip


def _joined_reader(plan: InputPlan, batch_bytes: int) -> Callable[[pa.RecordBatch], Rows]:
    if plan.assembled:
        return _part_reader(_vectors_of(plan), plan.part, plan, batch_bytes)
    readers = [_rows_reader(plan, source, batch_bytes) for source in plan.sources]
    if len(readers) == 1:
        return readers[0]
    return lambda batch: join([read(batch) for read in readers])


def _bounded(values: int, value_bytes: int, rows: int, batch_bytes: int) -> None:
    if rows > 1 and values * value_bytes > batch_bytes:
        raise RowsTooLarge


def _product(dims: tuple[int | None, ...]) -> int | None:
    return None if any(size is None for size in dims) else math.prod(d for d in dims if d is not None)


def _known(dims: tuple[int | None, ...], width: int) -> tuple[int, ...]:
    """Fill `width` in for the one unknown dimension."""
    return tuple(width if size is None else size for size in dims)


def _labels(plan: InputPlan) -> str:
    names = [f'"{source.label}"' for source in plan.sources]
    return f"column {names[0]}" if len(names) == 1 else f"columns {', '.join(names)}"


def _wrong_length(plan: InputPlan, got: int, want: int) -> str:
    has = "has" if len(plan.sources) == 1 else "have"
    return f'{_labels(plan)} {has} {got} values, input "{plan.name}" takes {want}'


def _too_long(plan: InputPlan, got: int, width: int) -> str:
    return f'{_labels(plan)}: {got} values are too long for input "{plan.name}", which takes {width}'



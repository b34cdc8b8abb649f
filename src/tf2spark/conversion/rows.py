"""Arrow columns as flat NumPy values and the rows they belong to.

A string is one value here as well: a view onto the Arrow buffer (`strings.VIEW`), so that strings
are joined and padded as numbers are. Views don't keep the buffer alive; the `owner` next to them
does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from attrs import frozen

from tf2spark.conversion.arrow_buffers import values_of
from tf2spark.dtypes import DType
from tf2spark.plan.score import Source
from tf2spark.tensorflow_c.strings import views
from tf2spark.tensorflow_c.tensor import Tensor

Array = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Feeder = Callable[[pa.RecordBatch], tuple[Tensor, ...]]


class RowsRefused(Exception):
    """Some rows of a batch can't become tensors: their numbers, ascending, and why for each.

    A signal to the worker's loop, not an error for users; so are the two exceptions below.
    """

    def __init__(self, rows: Ints, reasons: list[str]) -> None:
        super().__init__(f"{len(rows)} rows: {reasons[0]}")
        self.rows = rows
        self.reasons = reasons


class RowsUneven(Exception):
    """Rows have different shapes; rows with equal `keys` can run together."""

    def __init__(self, keys: Ints) -> None:
        super().__init__("rows of different shapes")
        self.keys = keys


class RowsTooLarge(Exception):
    """The tensors for these rows would be larger than a run may take: use fewer rows."""


@frozen(eq=False)
class Rows:
    """Values of rows of any length: row i has the next ``lengths[i]`` of `values`.

    `owner` keeps the memory alive that views point to.
    """

    lengths: Ints
    values: Array
    owner: object = None

    @property
    def uniform(self) -> int | None:
        """The length of all rows, or None if they differ."""
        first = int(self.lengths[0]) if len(self.lengths) else 0
        return first if (self.lengths == first).all() else None


def refuse(mask: Mask, reason: str | Callable[[int], str]) -> None:
    """Raise `RowsRefused` for the rows where `mask` is true, if there are any."""
    if mask.any():
        rows = np.flatnonzero(mask)
        reason_of = (lambda _: reason) if isinstance(reason, str) else reason
        raise RowsRefused(rows, [reason_of(int(row)) for row in rows])


def refuse_values(bad: Mask, lengths: Ints | int, reason: Callable[[int, int], str]) -> None:
    """Raise `RowsRefused` for the rows with a value where `bad` is true, if there are any.

    `lengths` says how many values each row has, as one number if all have the same. `reason` is
    called with each such row and with the position of its first bad value among the flat values.
    """
    if bad.any():
        bad_positions = np.flatnonzero(bad)
        if isinstance(lengths, int):
            row_of = bad_positions // lengths
        else:
            row_of = row_ids_of(lengths)[bad_positions]
        rows, first = np.unique(row_of, return_index=True)
        first_bad = zip(rows.tolist(), bad_positions[first].tolist(), strict=True)
        raise RowsRefused(rows, [reason(row, position) for row, position in first_bad])


def refuse_nulls(array: pa.Array, lengths: Ints | int, label: str) -> None:
    """Refuse the rows with a null among their values."""
    if array.null_count:
        refuse_null_values(nulls_of(array), lengths, label)


def refuse_null_values(nulls: Mask, lengths: Ints | int, label: str) -> None:
    """Refuse the rows with a value where `nulls` is true."""
    refuse_values(nulls, lengths, lambda row, _: f'column "{label}" contains a null')


def check_bytes(values: int, value_bytes: int, rows: int, limit_bytes: int | None) -> None:
    """Raise `RowsTooLarge` if a tensor exceeds the limit and fewer rows would make it smaller."""
    if limit_bytes is not None and rows > 1 and values * value_bytes > limit_bytes:
        raise RowsTooLarge


def starts_of(lengths: Ints) -> Ints:
    """Return where each row starts in the flat values."""
    return np.cumsum(lengths) - lengths


def positions_of(lengths: Ints) -> Ints:
    """Return each flat value's position within its row: lengths [2, 3] give [0, 1, 0, 1, 2]."""
    return np.arange(int(lengths.sum()), dtype=np.int64) - np.repeat(starts_of(lengths), lengths)


def splits_of(lengths: Ints) -> Ints:
    """Return where each list begins, and where the last ends: lengths [2, 3] give [0, 2, 5]."""
    splits = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=splits[1:])
    return splits


def row_ids_of(lengths: Ints) -> Ints:
    """Return each flat value's row: lengths [2, 3] give [0, 0, 1, 1, 1]."""
    return np.repeat(np.arange(len(lengths), dtype=np.int64), lengths)


def join(parts: list[Rows]) -> Rows:
    """Put rows side by side: row i is row i of each part, one after the other."""
    if len(parts) == 1:
        return parts[0]
    # Views stay where they point: the join needs the memory of every part.
    owners = [part.owner for part in parts]
    count = len(parts[0].lengths)
    widths = [width for part in parts if (width := part.uniform) is not None]
    # Rectangular parts are one concatenation; others are scattered value by value.
    if len(widths) == len(parts):
        tables = [
            part.values.reshape(count, width) for part, width in zip(parts, widths, strict=True)
        ]
        lengths = np.full(count, sum(widths), np.int64)
        return Rows(lengths, np.concatenate(tables, axis=1).reshape(-1), owners)
    lengths = sum((part.lengths for part in parts[1:]), parts[0].lengths)
    values = np.empty(int(lengths.sum()), parts[0].values.dtype)
    start = starts_of(lengths)
    for part in parts:
        values[positions_of(part.lengths) + np.repeat(start, part.lengths)] = part.values
        start = start + part.lengths
    return Rows(lengths, values, owners)


def tensor(dtype: DType, values: Array, shape: tuple[int, ...], owner: object = None) -> Tensor:
    """Return a tensor of that shape over flat values; strided values are copied."""
    return Tensor(dtype, shape, np.ascontiguousarray(values), owner)


def column_of(source: Source) -> Callable[[pa.RecordBatch], pa.Array]:
    """Choose how the array of `source` is read from a batch; null rows are refused."""
    take_nullable = nullable_column_of(source)
    reason = f'column "{source.label}" is null'

    def take(batch: pa.RecordBatch) -> pa.Array:
        array = take_nullable(batch)
        if array.null_count:
            refuse(nulls_of(array), reason)
        return array

    return take


def nullable_column_of(source: Source) -> Callable[[pa.RecordBatch], pa.Array]:
    """Choose how the array of `source` is read from a batch; it may have nulls."""
    index, fields = source.column, source.fields
    if not fields:
        return lambda batch: plain(batch.column(index))

    def take(batch: pa.RecordBatch) -> pa.Array:
        array = plain(batch.column(index))
        for name in fields:
            array = plain(_field_of(array, name))
        return array

    return take


@contextmanager
def refused_as(rows: Ints) -> Iterator[None]:
    """Turn numbers of refused rows, which count some rows of a batch, into those of the batch.

    Args:
        rows: The number in the batch of each of the rows that are read.
    """
    try:
        yield
    except RowsRefused as refused:
        raise RowsRefused(rows[refused.rows], refused.reasons) from None


def _field_of(array: pa.StructArray, name: str) -> pa.Array:
    """Return a field of a struct, null where the struct is."""
    # Imported here: most jobs don't need it, and it is slow to import.
    import pyarrow.compute as pc

    # Unlike StructArray.field, this honors the struct's own nulls and offset. By index, since a
    # name that begins with a dot would be read as a path.
    return pc.struct_field(array, [array.type.get_field_index(name)])


# The types of nearly all columns. Checking for each wrapper would take longer than to read a value.
_PLAIN = {
    kind.id
    for kind in (
        *(pa.bool_(), pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.float32(), pa.float64()),
        *(pa.string(), pa.large_string(), pa.binary(), pa.large_binary()),
        *(pa.list_(pa.null()), pa.large_list(pa.null()), pa.struct([])),
    )
}


def plain(array: pa.Array) -> pa.Array:
    """Return the array without a dictionary, extension type or string view around its values."""
    if array.type.id in _PLAIN:
        return array
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    types, kind = pa.types, array.type
    if types.is_dictionary(kind):
        array = array.dictionary_decode()
        kind = array.type
    if types.is_string_view(kind):
        return array.cast(pa.large_string())
    if types.is_binary_view(kind):
        return array.cast(pa.large_binary())
    return array.cast(pa.int32()) if types.is_null(kind) else array


def nulls_of(array: pa.Array) -> Mask:
    """Return which values of an array are null."""
    mask: Mask = values_of(array.is_null())
    return mask


def null_mask(array: pa.Array) -> Mask | None:
    """Return which values of an array are null, None if none is."""
    return nulls_of(array) if array.null_count else None


def child_of(array: pa.Array) -> tuple[Ints, pa.Array]:
    """Open one list level without nulls: the lengths, and the children of this slice only."""
    # A fixed-size list has no offsets; flatten() cuts its children to the slice.
    if pa.types.is_fixed_size_list(array.type):
        return np.full(len(array), array.type.list_size, np.int64), plain(array.flatten())
    offsets = offsets_of(array)
    lengths = np.diff(offsets).astype(np.int64, copy=False)
    start, end = int(offsets[0]), int(offsets[-1])
    return lengths, plain(array.values.slice(start, end - start))


def offsets_of(array: pa.Array) -> npt.NDArray[np.integer[Any]]:
    """Return the offsets [n + 1] of an array of lists, maps, strings or binary."""
    # Arrow for Java sends an empty array without its one offset, and there is nothing to read.
    buffer = array.buffers()[1] if len(array) else None
    if buffer is None:
        return np.zeros(1, np.int32)
    types, kind = pa.types, array.type
    large = types.is_large_list(kind) or types.is_large_string(kind) or types.is_large_binary(kind)
    width = np.dtype(np.int64 if large else np.int32)
    # A slice shares its parent's buffers: its own offsets begin at `array.offset`.
    return np.frombuffer(buffer, width, len(array) + 1, array.offset * width.itemsize)


def numbers_or_views(leaf: pa.Array) -> tuple[Array, object]:
    """Return the values of a leaf array without nulls, and what must stay alive for them.

    Numbers are the Arrow buffer itself, and the NumPy array refers to it. Views hold bare
    addresses, so the leaf is returned as their owner.
    """
    types, kind = pa.types, leaf.type
    if types.is_primitive(kind):
        return values_of(leaf), None
    if types.is_fixed_size_binary(kind):
        offsets = np.arange(leaf.offset, leaf.offset + len(leaf) + 1) * kind.byte_width
        return views(offsets, _address(leaf.buffers()[1])), leaf
    return views(offsets_of(leaf), _address(leaf.buffers()[2])), leaf


def _address(data: pa.Buffer | None) -> int:
    # An array of empty strings may have no data buffer.
    return 0 if data is None else int(data.address)

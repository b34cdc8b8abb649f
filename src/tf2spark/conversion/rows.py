"""Arrow columns as flat NumPy values and the rows they belong to.

A string is 24 bytes here (dtype `VIEW`): a ``TF_TString`` view onto the Arrow buffer, so that
joining and padding treat strings as they treat numbers.
"""

from __future__ import annotations

from collections.abc import Callable
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

VIEW = np.dtype("V24")
Array = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Feeder = Callable[[pa.RecordBatch], tuple[Tensor, ...]]


class RowsRefused(Exception):
    """Some rows of a batch can't become tensors: their numbers, rising, and why for each.

    A signal to the worker's loop, not an error for users; so are the two below.
    """

    def __init__(self, rows: Ints, reasons: list[str]) -> None:
        super().__init__(f"{len(rows)} rows: {reasons[0]}")
        self.rows = rows
        self.reasons = reasons


class RowsUneven(Exception):
    """Rows have different shapes: rows of equal `keys` can be run together."""

    def __init__(self, keys: Ints) -> None:
        super().__init__("rows of different shapes")
        self.keys = keys


class RowsTooLarge(Exception):
    """The tensors for these rows would be larger than a run may take: use fewer rows."""


@frozen(eq=False)
class Rows:
    """Values of rows of any length: row i has the next ``lengths[i]`` of `values`.

    `owner` keeps the memory alive that string values point to.
    """

    lengths: Ints
    values: Array
    owner: object = None

    @property
    def uniform(self) -> int | None:
        """The length that all rows have, or None where they differ."""
        first = int(self.lengths[0]) if len(self.lengths) else 0
        return first if (self.lengths == first).all() else None


def refuse(mask: Mask, reason: str | Callable[[int], str]) -> None:
    """Raise `RowsRefused` for the rows where `mask` is true, if there is one."""
    if mask.any():
        rows = np.flatnonzero(mask)
        say = (lambda _: reason) if isinstance(reason, str) else reason
        raise RowsRefused(rows, [say(int(row)) for row in rows])


def refuse_values(bad: Mask, lengths: Ints | int, reason: Callable[[int, int], str]) -> None:
    """Raise `RowsRefused` for the rows that hold a value where `bad` is true, if there is one.

    `lengths` are how many values each row has, or the one number that all have. `reason` is told
    each such row and where its first bad value stands among the flat values.
    """
    if bad.any():
        places = np.flatnonzero(bad)
        row_of = places // lengths if isinstance(lengths, int) else row_ids_of(lengths)[places]
        rows, first = np.unique(row_of, return_index=True)
        said = zip(rows.tolist(), places[first].tolist(), strict=True)
        raise RowsRefused(rows, [reason(row, place) for row, place in said])


def refuse_nulls(array: pa.Array, lengths: Ints | int, label: str) -> None:
    """Refuse the rows with a null among their values."""
    if array.null_count:
        refuse_values(nulls_of(array), lengths, lambda row, _: f'column "{label}" holds a null')


def check_bytes(values: int, value_bytes: int, rows: int, limit_bytes: int | None) -> None:
    """Raise `RowsTooLarge` where a tensor passes the limit and fewer rows would make it smaller."""
    if limit_bytes is not None and rows > 1 and values * value_bytes > limit_bytes:
        raise RowsTooLarge


def starts_of(lengths: Ints) -> Ints:
    """Return where each row starts in the flat values."""
    return np.cumsum(lengths) - lengths


def positions_of(lengths: Ints) -> Ints:
    """Return each flat value's position within its row: lengths [2, 3] give [0, 1, 0, 1, 2]."""
    return np.arange(int(lengths.sum()), dtype=np.int64) - np.repeat(starts_of(lengths), lengths)


def row_ids_of(lengths: Ints) -> Ints:
    """Return each flat value's row: lengths [2, 3] give [0, 0, 1, 1, 1]."""
    return np.repeat(np.arange(len(lengths), dtype=np.int64), lengths)


def join(parts: list[Rows]) -> Rows:
    """Put rows side by side: row i is row i of each part, one after the other."""
    if len(parts) == 1:
        return parts[0]
    owners = [part.owner for part in parts]
    count = len(parts[0].lengths)
    widths = [width for part in parts if (width := part.uniform) is not None]
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
    """Wrap flat values as a tensor of that shape."""
    return Tensor(dtype, shape, np.ascontiguousarray(values), owner)


def column_of(source: Source) -> Callable[[pa.RecordBatch], pa.Array]:
    """Choose, once, how the array of `source` is taken from a batch; null rows are refused."""
    index, fields = source.column, source.fields
    reason = f'column "{source.label}" is null'

    def take(batch: pa.RecordBatch) -> pa.Array:
        array = plain(batch.column(index))
        for name in fields:
            array = plain(_field_of(array, name))
        if array.null_count:
            refuse(nulls_of(array), reason)
        return array

    return take


def _field_of(array: pa.StructArray, name: str) -> pa.Array:
    """Return a field of a struct, null where the struct is."""
    # Here, because most jobs need none of it and it is slow to import.
    import pyarrow.compute as pc

    # By number, since a name that begins with a dot would be read as a path.
    return pc.struct_field(array, [array.type.get_field_index(name)])


def plain(array: pa.Array) -> pa.Array:
    """Return the array without a dictionary, extension type or string view around its values."""
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


def child_of(array: pa.Array) -> tuple[Ints, pa.Array]:
    """Open one list level without nulls: the lengths and the children, those of a slice only."""
    if pa.types.is_fixed_size_list(array.type):
        return np.full(len(array), array.type.list_size, np.int64), plain(array.flatten())
    offsets = offsets_of(array)
    lengths = np.diff(offsets).astype(np.int64, copy=False)
    start, end = int(offsets[0]), int(offsets[-1])
    return lengths, plain(array.values.slice(start, end - start))


def offsets_of(array: pa.Array) -> npt.NDArray[np.integer[Any]]:
    """Return the offsets [n + 1] of an array of lists, maps, strings or binary."""
    # An empty array may come without offsets: its one offset is then not there to be read.
    where = array.buffers()[1] if len(array) else None
    if where is None:
        return np.zeros(1, np.int32)
    types, kind = pa.types, array.type
    large = types.is_large_list(kind) or types.is_large_string(kind) or types.is_large_binary(kind)
    width = np.dtype(np.int64 if large else np.int32)
    return np.frombuffer(where, width, len(array) + 1, array.offset * width.itemsize)


def numbers_or_views(leaf: pa.Array) -> tuple[Array, object]:
    """Return the values of a leaf array without nulls, and what must stay alive for them."""
    types, kind = pa.types, leaf.type
    if types.is_fixed_size_binary(kind):
        offsets = np.arange(leaf.offset, leaf.offset + len(leaf) + 1) * kind.byte_width
        return _views(offsets, leaf.buffers()[1]), leaf
    if types.is_primitive(kind):
        return values_of(leaf), None
    return _views(offsets_of(leaf), leaf.buffers()[2]), leaf


def _views(offsets: npt.NDArray[np.integer[Any]], data: pa.Buffer | None) -> Array:
    return views(offsets, 0 if data is None else data.address).reshape(-1).view(VIEW)


def views_of(texts: list[str | bytes]) -> tuple[Array, object]:
    """Return strings as `VIEW` values, and what must stay alive for them."""
    flat = [text if isinstance(text, bytes) else text.encode() for text in texts]
    offsets = np.cumsum([0, *map(len, flat)], dtype=np.int64)
    data = pa.py_buffer(b"".join(flat))
    return _views(offsets, data), data

"""Arrow columns as flat NumPy values and the rows they belong to.

A string is 24 bytes here (dtype `VIEW`): a ``TF_TString`` view onto the Arrow buffer, so that
joining and padding treat strings as they treat numbers.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from attrs import frozen

from tf2spark.plan import Source
from tf2spark.runtime.strings import views

VIEW = np.dtype("V24")
Array = npt.NDArray[np.generic]
Ints = npt.NDArray[np.int64]


class RowsRefused(Exception):  # noqa: N818 - a signal of the worker loop, not an error for users
    """Some rows of a batch can't become tensors: their numbers, and why for each."""

    def __init__(self, rows: Ints, reasons: list[str]) -> None:
        super().__init__(f"{len(rows)} rows")
        self.rows = rows
        self.reasons = reasons


class RowsUneven(Exception):  # noqa: N818 - a signal of the worker loop, not an error for users
    """Rows have different shapes: rows of equal `keys` can be run together."""

    def __init__(self, keys: Ints) -> None:
        super().__init__("rows of different shapes")
        self.keys = keys


def refuse(mask: npt.NDArray[np.bool_], reason: str | Callable[[int], str]) -> None:
    """Raise `RowsRefused` for the rows where `mask` is true, if there is one."""
    if mask.any():
        rows = np.flatnonzero(mask)
        say = (lambda _: reason) if isinstance(reason, str) else reason
        raise RowsRefused(rows, [say(int(row)) for row in rows])


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


def column_of(source: Source) -> Callable[[pa.RecordBatch], pa.Array]:
    """Choose, once, how the array of `source` is taken from a batch; null rows are refused."""
    index, fields = source.column, source.fields
    reason = f'column "{source.label}" is null'

    def take(batch: pa.RecordBatch) -> pa.Array:
        array = batch.column(index)
        for name in fields:
            array = pc.struct_field(array, name)
        array = plain(array)
        if array.null_count:
            refuse(array.is_null().to_numpy(zero_copy_only=False), reason)
        return array

    return take


def plain(array: pa.Array) -> pa.Array:
    """Return the array without a dictionary, extension type or string view around its values."""
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_string_view(array.type):
        array = array.cast(pa.large_string())
    if pa.types.is_binary_view(array.type):
        array = array.cast(pa.large_binary())
    if pa.types.is_null(array.type):
        array = array.cast(pa.int32())
    return array


def child_of(array: pa.Array) -> tuple[Ints | int, pa.Array]:
    """Open one list level without nulls: the lengths (one number where fixed) and the children."""
    if pa.types.is_fixed_size_list(array.type):
        return array.type.list_size, plain(array.flatten())
    offsets = array.offsets.to_numpy()
    start, end = int(offsets[0]), int(offsets[-1])
    return np.diff(offsets).astype(np.int64, copy=False), plain(array.values.slice(start, end - start))


def numbers_or_views(leaf: pa.Array) -> tuple[Array, object]:
    """Return the values of a leaf array without nulls, and what must stay alive for them."""
    if _is_bytes(leaf.type):
        return _string_views(leaf), leaf
    if pa.types.is_boolean(leaf.type):
        return leaf.to_numpy(zero_copy_only=False), None
    return leaf.to_numpy(), None


def _is_bytes(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(
        types.is_string(kind)
        or types.is_binary(kind)
        or types.is_large_string(kind)
        or types.is_large_binary(kind)
        or types.is_fixed_size_binary(kind)
    )


def _string_views(leaf: pa.Array) -> Array:
    if pa.types.is_fixed_size_binary(leaf.type):
        width = leaf.type.byte_width
        offsets = np.arange(leaf.offset, leaf.offset + len(leaf) + 1, dtype=np.int64) * width
        data = leaf.buffers()[1]
    else:
        wide = pa.types.is_large_string(leaf.type) or pa.types.is_large_binary(leaf.type)
        _, where, data = leaf.buffers()
        kind = np.dtype(np.int64 if wide else np.int32)
        offsets = (
            np.zeros(1, kind)
            if where is None or where.size == 0
            else np.frombuffer(where, kind, len(leaf) + 1, leaf.offset * kind.itemsize)
        )
    address = 0 if data is None else data.address
    return views(offsets, address).reshape(-1).view(VIEW)


def view_of(text: str | bytes) -> tuple[Array, object]:
    """Return one string as a `VIEW` scalar array of shape [1], and its owner."""
    return numbers_or_views(pa.array([text if isinstance(text, bytes) else text.encode()]))

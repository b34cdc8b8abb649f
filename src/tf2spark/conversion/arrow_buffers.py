"""Arrow arrays from NumPy values and back, over the same memory, without pandas.

`pyarrow.array` and `Array.to_numpy` import pandas if it is installed, to see whether it is needed:
a quarter of a second and 30 MB in every worker. These functions do the same without it.

A NumPy array that they return refers to the Arrow buffer that it reads, an Arrow array to the NumPy
array that it was made from. Neither may be written to.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

NUMBERS = {
    kind.id: np.dtype(kind.to_pandas_dtype())
    for kind in (
        *(pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.float16(), pa.float32()),
        *(pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64(), pa.float64()),
    )
}
"""NumPy's dtypes by the ids of Arrow's: to ask Arrow takes longer than to read a few values."""


def values_of(array: pa.Array) -> npt.NDArray[Any]:
    """Return the values of an array of numbers or bools; a null's value is undefined."""
    buffer, count, kind = array.buffers()[1], len(array), array.type
    dtype = NUMBERS.get(kind.id)
    if dtype is None:
        if pa.types.is_boolean(kind):
            return _unpacked(buffer, array.offset, count)
        dtype = np.dtype(kind.to_pandas_dtype())
    # An empty array may come without a buffer.
    if not count or buffer is None:
        return np.zeros(count, dtype)
    return np.frombuffer(buffer, dtype, count, array.offset * dtype.itemsize)


def _unpacked(buffer: pa.Buffer | None, offset: int, count: int) -> npt.NDArray[np.bool_]:
    if not count or buffer is None:
        return np.zeros(count, np.bool_)
    # A slice of bits can begin within a byte.
    first, skipped = divmod(offset, 8)
    packed = np.frombuffer(buffer, np.uint8, (skipped + count + 7) // 8, first)
    return np.unpackbits(packed, count=skipped + count, bitorder="little")[skipped:].view(np.bool_)


def without_offset(array: pa.Array) -> pa.Array:
    """Return the array, to take or filter values from: a copy where pyarrow would take others.

    Of a slice of fixed-size lists of fixed-size lists, pyarrow 26 takes what the outer array has
    in these places.
    """
    if array.offset and _has_nested_fixed_lists(array.type):
        return pa.concat_arrays([array])
    return array


def take_rows(batch: pa.RecordBatch, rows: npt.NDArray[np.int64]) -> pa.RecordBatch:
    """Return the rows with these numbers, in this order."""
    columns = [without_offset(column) for column in batch.columns]
    if any(new is not old for new, old in zip(columns, batch.columns, strict=True)):
        batch = pa.RecordBatch.from_arrays(columns, schema=batch.schema)
    return batch.take(take_indices(rows))


def _has_nested_fixed_lists(kind: pa.DataType) -> bool:
    if pa.types.is_fixed_size_list(kind):
        return pa.types.is_fixed_size_list(kind.value_type) or _has_nested_fixed_lists(
            kind.value_type
        )
    if pa.types.is_struct(kind):
        return any(_has_nested_fixed_lists(field.type) for field in kind)
    return False


def number_array(values: npt.NDArray[Any], kind: pa.DataType) -> pa.Array:
    """Return flat values, already in the layout of `kind`, as an array."""
    buffers = [None, pa.py_buffer(np.ascontiguousarray(values))]
    return pa.Array.from_buffers(kind, len(values), buffers)


def bool_array(values: npt.NDArray[np.bool_]) -> pa.Array:
    """Return bools as an Arrow array, which packs them into bits."""
    return pa.Array.from_buffers(pa.bool_(), len(values), [None, _bits(values)])


def take_indices(indices: npt.NDArray[np.int64]) -> pa.Array:
    """Return indices for `Array.take`; a negative one takes null."""
    buffers = [_bits(indices >= 0), pa.py_buffer(np.ascontiguousarray(indices, np.int64))]
    return pa.Array.from_buffers(pa.int64(), len(indices), buffers)


def repeated_text(text: str, count: int) -> pa.Array:
    """Return a string array that has the same text `count` times."""
    content = text.encode()
    offsets = np.arange(count + 1, dtype=np.int32) * np.int32(len(content))
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(content * count)]
    return pa.Array.from_buffers(pa.string(), count, buffers)


def _bits(values: npt.NDArray[np.bool_]) -> pa.Buffer:
    return pa.py_buffer(np.packbits(values, bitorder="little"))

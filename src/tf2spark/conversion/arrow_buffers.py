"""Arrow arrays from NumPy values and back, over the same memory, without pandas.

`pyarrow.array` and `Array.to_numpy` import pandas where there is one, to see whether it is asked
for: a quarter of a second and 30 MB in every worker. These do the same without asking.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def values_of(array: pa.Array) -> npt.NDArray[Any]:
    """Return the values of numbers or bools; a null's is whatever lies there."""
    where, count = array.buffers()[1], len(array)
    if pa.types.is_boolean(array.type):
        return _unpacked(where, array.offset, count)
    dtype = np.dtype(array.type.to_pandas_dtype())
    # An empty array may come without a buffer.
    if not count or where is None:
        return np.zeros(count, dtype)
    return np.frombuffer(where, dtype, count, array.offset * dtype.itemsize)


def _unpacked(where: pa.Buffer | None, offset: int, count: int) -> npt.NDArray[np.bool_]:
    if not count or where is None:
        return np.zeros(count, np.bool_)
    first, skipped = divmod(offset, 8)
    packed = np.frombuffer(where, np.uint8, (skipped + count + 7) // 8, first)
    return np.unpackbits(packed, count=skipped + count, bitorder="little")[skipped:].view(np.bool_)


def numbers(values: npt.NDArray[Any], kind: pa.DataType) -> pa.Array:
    """Return flat values of `kind`'s own layout as an array."""
    buffers = [None, pa.py_buffer(np.ascontiguousarray(values))]
    return pa.Array.from_buffers(kind, len(values), buffers)


def booleans(values: npt.NDArray[np.bool_]) -> pa.Array:
    """Return bools as an array of bits."""
    return pa.Array.from_buffers(pa.bool_(), len(values), [None, _bits(values)])


def places(where: npt.NDArray[np.int64]) -> pa.Array:
    """Return places for `Array.take`, null where one is negative."""
    buffers = [_bits(where >= 0), pa.py_buffer(np.ascontiguousarray(where, np.int64))]
    return pa.Array.from_buffers(pa.int64(), len(where), buffers)


def repeated(text: str, count: int) -> pa.Array:
    """Return a text as often as said, as strings."""
    content = text.encode()
    offsets = np.arange(count + 1, dtype=np.int32) * np.int32(len(content))
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(content * count)]
    return pa.Array.from_buffers(pa.string(), count, buffers)


def _bits(values: npt.NDArray[np.bool_]) -> pa.Buffer:
    return pa.py_buffer(np.packbits(values, bitorder="little"))

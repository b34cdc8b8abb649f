"""Protobuf's wire format for many messages at once, with Arrow and NumPy.

Messages are written from the inside out. The innermost values of all messages lie in one buffer;
everything around them is a prefix that depends on nothing but the length of what follows it, so a
prefix is computed once for each length that occurs.

Source: ``tensorflow/core/example/{example,feature}.proto`` and
https://protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from attrs import frozen

from tf2spark.conversion.arrow_buffers import take_indices
from tf2spark.conversion.rows import Array, Ints, offsets_of, splits_of
from tf2spark.dtypes import FLOAT32, STRING, DType

# Tags of length-delimited fields: the number of the field, then wire type 2.
FIRST, SECOND = 0x0A, 0x12
_LIST_TAGS = {"string": 0x0A, "float32": 0x12, "int64": 0x1A}
ABSENT = -1
"""The length of a message that isn't written."""

Prefix = Callable[[int], bytes]
"""Returns what comes before this many bytes."""


@frozen(eq=False)
class Pieces:
    """One binary value for each message: all of the same bytes if `values` is a scalar.

    Attributes:
        values: The bytes.
        lengths: How many each has.
    """

    values: pa.Array | pa.Scalar
    lengths: Ints


def field(tag: int, length: int) -> bytes:
    """Return the tag and the length of a length-delimited field."""
    return bytes([tag]) + varint(length)


def varint(number: int) -> bytes:
    """Encode one number."""
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def varints(numbers: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.uint8], Ints]:
    """Encode numbers, negative ones in ten bytes as protobuf's int64.

    Returns:
        The bytes of all numbers, and how many each has.
    """
    bits = numbers.view(np.uint64)
    lengths = np.ones(len(bits), np.int64)
    largest = int(bits.max(initial=0))
    width = max(1, -(-largest.bit_length() // 7))
    for group in range(1, width):
        lengths += bits >= np.uint64(1 << (7 * group))
    if width == 1:
        return bits.astype(np.uint8), lengths
    shifts = np.arange(width, dtype=np.uint64) * np.uint64(7)
    groups = (bits[:, None] >> shifts).astype(np.uint8) & np.uint8(0x7F)
    positions = np.arange(width)
    groups[positions < lengths[:, None] - 1] |= np.uint8(0x80)
    return groups[positions < lengths[:, None]], lengths


def list_contents(dtype: DType, counts: Ints, values: Array | pa.Array) -> Pieces:
    """Return what is inside the lists of features: packed numbers, or fields of strings.

    Args:
        dtype: float32, int64 or string.
        counts: How many values each list has.
        values: The values of all lists: NumPy's, or for strings Arrow's binary.
    """
    ends = splits_of(counts)
    if dtype is STRING:
        strings = _string_fields(values)
        return slices(strings, offsets_of(strings).astype(np.int64)[ends])
    if dtype is FLOAT32:
        return slices(np.ascontiguousarray(values).view(np.uint8), ends * 4)
    data, lengths = varints(np.ascontiguousarray(values))
    return slices(data, splits_of(lengths)[ends])


def slices(data: npt.NDArray[np.uint8] | pa.Array, offsets: Ints) -> Pieces:
    """Return consecutive slices of bytes, or of the bytes of a binary array."""
    buffer = data.buffers()[2] if isinstance(data, pa.Array) else pa.py_buffer(data)
    offsets = np.ascontiguousarray(offsets, np.int64)
    buffers = [None, pa.py_buffer(offsets), buffer or pa.py_buffer(b"")]
    values = pa.Array.from_buffers(pa.large_binary(), len(offsets) - 1, buffers)
    return Pieces(values, np.diff(offsets))


def _string_fields(strings: pa.Array) -> pa.Array:
    lengths = np.diff(offsets_of(strings)).astype(np.int64)
    return joined([prefixes(lengths, lambda length: field(FIRST, length)), strings], len(strings))


def feature_prefix(dtype: DType) -> Prefix:
    """Return the prefix that makes the contents of a list a ``Feature``."""
    tag, is_packed = _LIST_TAGS[dtype.name], dtype is not STRING

    def prefix(length: int) -> bytes:
        packed = field(FIRST, length) if is_packed and length else b""
        return field(tag, len(packed) + length) + packed

    return prefix


def inside(outer: Callable[[int], bytes], inner: Prefix) -> Prefix:
    """Return the prefix for bytes in a message that is in another message."""

    def prefix(length: int) -> bytes:
        start = inner(length)
        return outer(len(start) + length) + start

    return prefix


def nothing(length: int) -> bytes:
    """Return the prefix of bytes that are a message as they are."""
    return b""


def map_entry(key: str) -> Prefix:
    """Return the prefix that makes a message the value of a key in a map, field 1 of its owner."""
    encoded = key.encode()
    start = field(FIRST, len(encoded)) + encoded

    def prefix(length: int) -> bytes:
        value = field(SECOND, length)
        return field(FIRST, len(start) + len(value) + length) + start + value

    return prefix


def prefixes(lengths: Ints, prefix: Prefix) -> Pieces:
    """Return the prefix of each of some messages; that of an `ABSENT` one is empty."""
    if len(lengths) and (lengths == lengths[0]).all():
        known, which = lengths[:1], None
    else:
        known, which = np.unique(lengths, return_inverse=True)
    texts = [b"" if length == ABSENT else prefix(length) for length in known.tolist()]
    sizes = np.array([len(text) for text in texts], np.int64)
    data = np.frombuffer(b"".join(texts), np.uint8)
    values = slices(data, splits_of(sizes)).values
    if which is None:
        return Pieces(values[0], np.broadcast_to(sizes, len(lengths)))
    which = which.reshape(-1).astype(np.int64)
    return Pieces(values.take(take_indices(which)), sizes[which])


def joined(pieces: Sequence[Pieces | pa.Array], count: int) -> pa.Array:
    """Join the pieces of each message."""
    # Imported here: most jobs don't need it, and it is slow to import.
    import pyarrow.compute as pc

    values: list[Any] = [piece.values if isinstance(piece, Pieces) else piece for piece in pieces]
    if not any(isinstance(value, pa.Array) for value in values):
        text = b"".join(value.as_py() for value in values)
        offsets = np.arange(count + 1, dtype=np.int64) * len(text)
        return slices(np.frombuffer(text * count, np.uint8), offsets).values
    separator = pa.scalar(b"", pa.large_binary())
    return pc.binary_join_element_wise(*values, separator)

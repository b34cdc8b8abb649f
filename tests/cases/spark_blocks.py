"""Values as the blocks of bytes in which Spark's JVM holds them, written from its source.

Source: ``UnsafeArrayData`` and ``UnsafeRow`` in ``org.apache.spark.sql.catalyst.expressions``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa


def blocks_of(array: pa.Array) -> pa.Array:
    """Return a binary column with the block of each list or struct; null where it is null."""
    rows = [None if value is None else block(value, array.type) for value in array.to_pylist()]
    return pa.array(rows, pa.binary())


def block(value: Any, kind: pa.DataType) -> bytes:
    """Return the block of a list or a struct."""
    return _struct(value, kind) if pa.types.is_struct(kind) else _list(value, kind.value_type)


def _list(values: list[Any], kind: pa.DataType) -> bytes:
    header = len(values).to_bytes(8, "little") + _bits([value is None for value in values])
    if pa.types.is_nested(kind):
        return _with_children(header, values, [kind] * len(values))
    return header + _to_words(b"".join(_number(value, kind) for value in values))


def _struct(value: dict[str, Any], kind: pa.StructType) -> bytes:
    values = [value[field.name] for field in kind]
    header = _bits([each is None for each in values])
    return _with_children(header, values, [field.type for field in kind])


def _with_children(header: bytes, values: list[Any], kinds: list[pa.DataType]) -> bytes:
    """Return a header, a word per value, and the blocks that words refer to."""
    words, blocks = b"", b""
    for value, kind in zip(values, kinds, strict=True):
        if value is None:
            words += bytes(8)
        elif pa.types.is_nested(kind):
            child = block(value, kind)
            begin = len(header) + 8 * len(values) + len(blocks)
            words += len(child).to_bytes(4, "little") + begin.to_bytes(4, "little")
            blocks += child
        else:
            words += _to_words(_number(value, kind))
    return header + words + blocks


def _number(value: Any, kind: pa.DataType) -> bytes:
    dtype = np.dtype(bool if pa.types.is_boolean(kind) else kind.to_pandas_dtype())
    return np.asarray(value or 0, dtype).tobytes()


def _bits(nulls: list[bool]) -> bytes:
    return _to_words(np.packbits(np.array(nulls, bool), bitorder="little").tobytes())


def _to_words(data: bytes) -> bytes:
    return data + bytes(-len(data) % 8)

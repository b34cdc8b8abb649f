"""TensorFlow's dtypes and their counterparts in NumPy, Arrow and Spark.

Source of the numbers: ``tensorflow/core/framework/types.proto``.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from attrs import frozen

if TYPE_CHECKING:
    import numpy as np


Dims = tuple[int | None, ...]
"""Dimensions, of which an unknown one is None: of a tensor, or of one row of it."""

Shape = Dims | None
"""The dimensions of a tensor; an unknown one is None, as is a shape of unknown rank."""


@frozen
class DType:
    """One TensorFlow dtype.

    `numpy` is the dtype of the bytes that a tensor holds (bfloat16 as its 16 raw bits), or None if
    there is no such NumPy dtype. `arrow` is the type of an output column: Spark has no unsigned and
    no 16-bit floating types, so those become the next wider type that loses nothing.
    """

    name: str
    code: int
    _numpy_name: str | None
    _arrow_name: str | None

    @property
    def numpy(self) -> np.dtype[np.generic] | None:
        return None if self._numpy_name is None else _numpy_dtype(self._numpy_name)

    @property
    def itemsize(self) -> int | None:
        """The bytes of one value; None if there is no such NumPy dtype."""
        # Without NumPy, which takes longer to import than a model to read: "f4" has 4, "?" has 1.
        return None if self._numpy_name is None else int(self._numpy_name[1:] or 1)

    @property
    def arrow(self) -> Any:
        return None if self._arrow_name is None else _arrow_type(self._arrow_name)

    @property
    def is_integer(self) -> bool:
        return self.numpy is not None and self.numpy.kind in "iu" and self.name != "bfloat16"

    @property
    def is_floating(self) -> bool:
        return self.name == "bfloat16" or (self.numpy is not None and self.numpy.kind == "f")

    def __reduce__(self) -> tuple[Any, ...]:
        # On a worker too, a dtype is one of the values below, which are compared by identity.
        return from_code, (self.code,)

    def __repr__(self) -> str:
        return f"DType({self.name})"

    def __str__(self) -> str:
        return self.name


# NumPy and Arrow are imported only for columns: reading a model needs neither.
@cache
def _numpy_dtype(name: str) -> np.dtype[np.generic]:
    import numpy as np

    return np.dtype(name)


@cache
def _arrow_type(name: str) -> Any:
    import pyarrow as pa

    return pa.decimal128(20, 0) if name == "decimal" else pa.type_for_alias(name)


FLOAT32 = DType("float32", 1, "f4", "float32")
FLOAT64 = DType("float64", 2, "f8", "float64")
INT32 = DType("int32", 3, "i4", "int32")
UINT8 = DType("uint8", 4, "u1", "int16")
INT16 = DType("int16", 5, "i2", "int16")
INT8 = DType("int8", 6, "i1", "int8")
STRING = DType("string", 7, None, "string")
INT64 = DType("int64", 9, "i8", "int64")
BOOL = DType("bool", 10, "?", "bool")
BFLOAT16 = DType("bfloat16", 14, "u2", "float32")
UINT16 = DType("uint16", 17, "u2", "int32")
HALF = DType("float16", 19, "f2", "float32")
UINT32 = DType("uint32", 22, "u4", "int64")
UINT64 = DType("uint64", 23, "u8", "decimal")

_NO_COLUMN = {
    8: "complex64",
    11: "qint8",
    12: "quint8",
    13: "qint32",
    15: "qint16",
    16: "quint16",
    18: "complex128",
    20: "resource",
    21: "variant",
    24: "float8_e5m2",
    25: "float8_e4m3fn",
    29: "int4",
    30: "uint4",
}

BY_CODE: dict[int, DType] = {
    dtype.code: dtype
    for dtype in (
        FLOAT32,
        FLOAT64,
        INT32,
        UINT8,
        INT16,
        INT8,
        STRING,
        INT64,
        BOOL,
        BFLOAT16,
        UINT16,
        HALF,
        UINT32,
        UINT64,
        *(DType(name, code, None, None) for code, name in _NO_COLUMN.items()),
    )
}


def from_code(code: int) -> DType:
    """Return the dtype with this number in ``types.proto``; the base type of a TF1 reference."""
    # The code of a reference type is that of its base plus 100.
    code = code % 100
    return BY_CODE.get(code) or DType(f"dtype {code}", code, None, None)


def shape_text(shape: Shape) -> str:
    """Write a shape for messages: ``[None, 3]``, or ``unknown_rank``."""
    if shape is None:
        return "unknown_rank"
    return "[" + ", ".join("None" if size is None else str(size) for size in shape) + "]"

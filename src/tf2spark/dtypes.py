"""TensorFlow's dtypes, and what stands for them in NumPy, Arrow and Spark.

Source of the numbers: ``tensorflow/core/framework/types.proto``.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from attrs import frozen


@frozen
class DType:
    """One TensorFlow dtype.

    `numpy` is the dtype of the bytes that a tensor holds (bfloat16 as its 16 raw bits), or None
    where no NumPy dtype stands for them. `arrow` is the type of an output column: Spark has no
    unsigned and no 16-bit floating types, so those become the next wider type that loses nothing.
    """

    name: str
    code: int
    numpy: np.dtype[np.generic] | None
    arrow: pa.DataType | None

    @property
    def is_integer(self) -> bool:
        return self.numpy is not None and self.numpy.kind in "iu" and self.name != "bfloat16"

    @property
    def is_floating(self) -> bool:
        return self.name == "bfloat16" or (self.numpy is not None and self.numpy.kind == "f")

    def __repr__(self) -> str:
        return f"DType({self.name})"

    def __str__(self) -> str:
        return self.name


def _dtype(name: str, code: int, numpy: str | None, arrow: pa.DataType | None) -> DType:
    return DType(name, code, None if numpy is None else np.dtype(numpy), arrow)


FLOAT32 = _dtype("float32", 1, "f4", pa.float32())
FLOAT64 = _dtype("float64", 2, "f8", pa.float64())
INT32 = _dtype("int32", 3, "i4", pa.int32())
UINT8 = _dtype("uint8", 4, "u1", pa.int16())
INT16 = _dtype("int16", 5, "i2", pa.int16())
INT8 = _dtype("int8", 6, "i1", pa.int8())
STRING = _dtype("string", 7, None, pa.string())
INT64 = _dtype("int64", 9, "i8", pa.int64())
BOOL = _dtype("bool", 10, "?", pa.bool_())
BFLOAT16 = _dtype("bfloat16", 14, "u2", pa.float32())
UINT16 = _dtype("uint16", 17, "u2", pa.int32())
HALF = _dtype("half", 19, "f2", pa.float32())
UINT32 = _dtype("uint32", 22, "u4", pa.int64())
UINT64 = _dtype("uint64", 23, "u8", pa.decimal128(20, 0))

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
        *(_dtype(name, code, None, None) for code, name in _NO_COLUMN.items()),
    )
}


def from_code(code: int) -> DType:
    """Return the dtype with this number in ``types.proto``; a TF1 reference type gives its base."""
    code = code % 100
    return BY_CODE.get(code) or _dtype(f"dtype {code}", code, None, None)

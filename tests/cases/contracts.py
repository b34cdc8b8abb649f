"""Inputs and column types for tests of the binding, in short notation."""

from __future__ import annotations

import pyarrow as pa

from tf2spark.dtypes import FLOAT32, INT64, DType, Shape
from tf2spark.saved_model.contract import TensorSpec

N = None  # an unknown dimension

VECTOR = pa.struct(
    [
        pa.field("type", pa.int8(), nullable=False),
        ("size", pa.int32()),
        ("indices", pa.list_(pa.int32())),
        ("values", pa.list_(pa.float64())),
    ]
)
PAIRS = pa.struct([("indices", pa.list_(pa.int32())), ("values", pa.list_(pa.float32()))])
SIZED = pa.struct([*PAIRS, ("size", pa.int32())])
IMAGE = pa.struct(
    [
        ("origin", pa.string()),
        ("height", pa.int32()),
        ("width", pa.int32()),
        ("nChannels", pa.int32()),
        ("mode", pa.int32()),
        ("data", pa.binary()),
    ]
)


def dense(dtype: DType, *shape: int | None, name: str = "x") -> TensorSpec:
    """A dense input or output: ``dense(FLOAT32, N, 8)``."""
    return TensorSpec(name, dtype, shape, (f"{name}:0",))


def unknown_rank(dtype: DType, name: str = "x") -> TensorSpec:
    return TensorSpec(name, dtype, None, (f"{name}:0",))


def sparse(shape: Shape = (N, 10), dtype: DType = FLOAT32) -> TensorSpec:
    return TensorSpec("x", dtype, shape, ("indices:0", "values:0", "shape:0"), "sparse")


def ragged(*shape: int | None, dtype: DType = INT64, levels: int = 1) -> TensorSpec:
    splits = tuple(f"splits_{level}:0" for level in range(levels))
    return TensorSpec("x", dtype, shape, ("values:0", *splits), "ragged", (), INT64)


def array(inside: pa.DataType, *, depth: int = 1) -> pa.DataType:
    """A list type, nested to this depth."""
    for _ in range(depth):
        inside = pa.list_(inside)
    return inside

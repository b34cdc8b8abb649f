"""Values of a column's type as values of a tensor's dtype, chosen once for a column.

The rules (`binding.fits` holds a table to them on the driver): a float into any float rounds, an integer
into a float converts, an integer into a narrower integer is checked value by value, and nothing
else changes its kind.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tf2spark.dtypes import DType
from tf2spark.runtime.rows import Array

Check = Callable[[Array], npt.NDArray[np.bool_] | None]


def cast_to(dtype: DType) -> Callable[[Array], Array]:
    """Return the function that turns a column's values into the bytes of a tensor of `dtype`."""
    if dtype.name == "bfloat16":
        return to_bfloat16
    target = dtype.numpy
    if target is None:
        return _as_they_are

    def cast(values: Array) -> Array:
        if values.dtype == target:
            return values
        with np.errstate(over="ignore", invalid="ignore"):
            return values.astype(target)

    return cast


def _as_they_are(values: Array) -> Array:
    return values


def to_bfloat16(values: Array) -> Array:
    """Round to the nearest bfloat16, ties to even, as raw bits (uint16); NaN stays NaN."""
    bits = values.astype(np.float32).view(np.uint32)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    nan = np.isnan(bits.view(np.float32))
    return np.where(nan, (bits >> 16) | 0x40, rounded).astype(np.uint16)


def from_bfloat16(bits: Array) -> npt.NDArray[np.float32]:
    """Widen raw bfloat16 bits (uint16) to float32."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def misfits(leaf: pa.DataType, dtype: DType) -> Check | None:
    """Return the check for values that `dtype` can't hold, or None where every value fits."""
    if dtype.numpy is None or not (pa.types.is_integer(leaf) and dtype.is_integer):
        return None
    source, target = np.iinfo(leaf.to_pandas_dtype()), np.iinfo(dtype.numpy)
    low, high = int(target.min), int(target.max)
    if source.min >= low and source.max <= high:
        return None

    def check(values: Array) -> npt.NDArray[np.bool_] | None:
        # Two reductions find out that a batch is fine, which nearly all are.
        if not len(values) or (values.min() >= low and values.max() <= high):
            return None
        return np.asarray((values < low) | (values > high))

    return check

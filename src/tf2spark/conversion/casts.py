"""Values of a column's type as values of a tensor's dtype, chosen once for a column.

The rules (`binding.fits` holds a table to them on the driver): a float into any float rounds, an
integer into a float converts, an integer into a narrower integer is checked value by value, and
nothing else changes its kind.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tf2spark.conversion.rows import VIEW, Array, Ints, Mask, refuse_values
from tf2spark.dtypes import DType

Check = Callable[[Array], Mask | None]
Converter = Callable[[Array, Ints | int], Array]
"""Flat values, and the lengths of their rows or the one that all have, to values of the dtype."""


def converter(leaf: pa.DataType, dtype: DType, label: str) -> Converter:
    """Choose how values of type `leaf` become those of a tensor of `dtype`.

    The function raises `RowsRefused` for rows with a value that `dtype` can't hold.
    """
    cast, check = cast_to(dtype), misfits(leaf, dtype)
    if check is None:
        return lambda values, lengths: cast(values)

    def convert(values: Array, lengths: Ints | int) -> Array:
        bad = check(values)
        if bad is not None:
            refuse_values(
                bad,
                lengths,
                lambda _, place: f'column "{label}" has {values[place]}, which {dtype} can\'t hold',
            )
        return cast(values)

    return convert


def cast_to(dtype: DType) -> Callable[[Array], Array]:
    """Return the function that turns a column's values into the bytes of a tensor of `dtype`."""
    if dtype.name == "bfloat16":
        return to_bfloat16
    # Values of another kind are those of a list of nothing: its type says nothing either.
    target = VIEW if dtype.numpy is None else dtype.numpy

    def cast(values: Array) -> Array:
        if values.dtype == target:
            return values
        with np.errstate(over="ignore", invalid="ignore"):
            return values.astype(target)

    return cast


def to_bfloat16(values: Array) -> npt.NDArray[np.uint16]:
    """Round to the nearest bfloat16, ties to even, as raw bits (uint16); NaN stays NaN.

    Wider numbers become float32 first, as in TensorFlow's own cast.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        numbers = values.astype(np.float32)
    bits = numbers.view(np.uint32)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    return np.where(np.isnan(numbers), (bits >> 16) | 0x40, rounded).astype(np.uint16)


def from_bfloat16(bits: Array) -> npt.NDArray[np.float32]:
    """Widen raw bfloat16 bits (uint16) to float32."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def misfits(leaf: pa.DataType, dtype: DType) -> Check | None:
    """Return the check for values that `dtype` can't hold, or None where every value fits."""
    if dtype.numpy is None or not (pa.types.is_integer(leaf) and dtype.is_integer):
        return None
    (source_low, source_high), (low, high) = _range(leaf.to_pandas_dtype()), _range(dtype.numpy)
    if source_low >= low and source_high <= high:
        return None
    # Within what the column's own type holds, so that NumPy compares integers with integers.
    low, high = max(low, source_low), min(high, source_high)

    def check(values: Array) -> Mask | None:
        # Two reductions find out that a batch is fine, which nearly all are.
        if not len(values) or (values.min() >= low and values.max() <= high):
            return None
        return np.asarray((values < low) | (values > high))

    return check


def _range(dtype: npt.DTypeLike) -> tuple[int, int]:
    info = np.iinfo(np.dtype(dtype).name)
    return int(info.min), int(info.max)

"""Values of a column's type as values of a tensor's dtype, chosen once for a column.

The rules (`binding.type_rules` checks them on the driver): a float into any float rounds, an
integer into a float converts, an integer into a narrower integer is checked value by value, and
nothing else changes its kind.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tf2spark.conversion.rows import Array, Ints, Mask, refuse_values
from tf2spark.dtypes import DType
from tf2spark.tensorflow_c.strings import VIEW

Check = Callable[[Array], Mask | None]
Converter = Callable[[Array, Ints | int], Array]
"""Takes flat values and the lengths of their rows (or one length for all), and converts them."""


def converter(leaf: pa.DataType, dtype: DType, label: str) -> Converter:
    """Choose how values of type `leaf` become values of `dtype`.

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
                lambda _, position: (
                    f'column "{label}" has {values[position]}, which {dtype} can\'t hold'
                ),
            )
        return cast(values)

    return convert


def cast_to(dtype: DType) -> Callable[[Array], Array]:
    """Return the function that turns a column's values into the bytes of a tensor of `dtype`."""
    if dtype.name == "bfloat16":
        return to_bfloat16
    # A string input can be fed values of another kind only if there are none: an empty list of
    # no type. It becomes an empty array of views.
    target = VIEW if dtype.numpy is None else dtype.numpy

    def cast(values: Array) -> Array:
        # Passed on without a copy: the tensor is then the Arrow buffer itself.
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
    # bfloat16 is the upper half of a float32. Adding just under half of the last kept bit, and one
    # more if that bit is odd, carries into it exactly where rounding to even goes up. A NaN whose
    # payload is in the lower half would become infinity: a payload bit is set instead.
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    return np.where(np.isnan(numbers), (bits >> 16) | 0x40, rounded).astype(np.uint16)


def from_bfloat16(bits: Array) -> npt.NDArray[np.float32]:
    """Widen raw bfloat16 bits (uint16) to float32."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def misfits(leaf: pa.DataType, dtype: DType) -> Check | None:
    """Return the check for values that `dtype` can't hold, or None if every value fits."""
    if dtype.numpy is None or not (pa.types.is_integer(leaf) and dtype.is_integer):
        return None
    (source_low, source_high), (low, high) = _range(leaf.to_pandas_dtype()), _range(dtype.numpy)
    if source_low >= low and source_high <= high:
        return None
    # Clipped to the column's own type, so that NumPy compares integers of one type.
    low, high = max(low, source_low), min(high, source_high)

    def check(values: Array) -> Mask | None:
        # Nearly all batches are fine, and two reductions settle that.
        if not len(values) or (values.min() >= low and values.max() <= high):
            return None
        return np.asarray((values < low) | (values > high))

    return check


def _range(dtype: npt.DTypeLike) -> tuple[int, int]:
    info = np.iinfo(np.dtype(dtype).name)
    return int(info.min), int(info.max)

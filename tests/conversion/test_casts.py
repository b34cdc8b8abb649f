from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hn

from tf2spark.conversion.casts import cast_to, converter, from_bfloat16, misfits, to_bfloat16
from tf2spark.conversion.rows import RowsRefused
from tf2spark.dtypes import (
    BFLOAT16,
    BOOL,
    FLOAT32,
    FLOAT64,
    HALF,
    INT8,
    INT16,
    INT32,
    INT64,
    STRING,
    UINT8,
    UINT16,
    UINT32,
    UINT64,
    DType,
)
from tf2spark.tensorflow_c.strings import VIEW

INTEGERS = [INT8, INT16, INT32, INT64, UINT8, UINT16, UINT32, UINT64]
COLUMNS = [pa.int8(), pa.int16(), pa.int32(), pa.int64(),
           pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()]  # fmt: skip
FLOATS = [FLOAT32, FLOAT64, HALF]


def same_bits(left: Any, right: Any) -> bool:
    # A NaN has all bits of the exponent and one of the others; which one is its payload.
    nan = ((left & 0x7FFF) > 0x7F80) & ((right & 0x7FFF) > 0x7F80)
    return bool(((left == right) | nan).all())


@given(hn.arrays(np.uint32, 64))
def test_bfloat16_rounds_as_ml_dtypes_does(bits: Any) -> None:
    """Any float32, subnormals, infinities and NaN included, gets the same 16 bits."""
    values = bits.view(np.float32)
    with np.errstate(invalid="ignore"):
        expected = values.astype(ml_dtypes.bfloat16).view(np.uint16)
    assert same_bits(to_bfloat16(values), expected)


def test_ties_go_to_the_even_bfloat16() -> None:
    """Halfway between two neighbors, for every upper half there is, and just next to it."""
    upper = np.arange(1 << 16, dtype=np.uint32) << 16
    for lower in (0x7FFF, 0x8000, 0x8001):
        values = (upper | lower).view(np.float32)
        with np.errstate(invalid="ignore"):
            expected = values.astype(ml_dtypes.bfloat16).view(np.uint16)
        assert same_bits(to_bfloat16(values), expected)


@given(hn.arrays(np.float64, 16, elements=st.floats(allow_nan=True)))
def test_doubles_become_bfloat16_as_in_ml_dtypes(values: Any) -> None:
    """A double becomes a float32 first, and one that is too large becomes infinity, silently."""
    with np.errstate(over="ignore"):
        expected = values.astype(ml_dtypes.bfloat16).view(np.uint16)
    assert same_bits(to_bfloat16(values), expected)


def test_every_bfloat16_comes_back_as_it_was() -> None:
    """Widening and rounding again changes none of the 65,536 bit patterns but NaN's payload."""
    bits = np.arange(1 << 16, dtype=np.uint16)
    wide = from_bfloat16(bits)
    np.testing.assert_array_equal(wide, bits.view(ml_dtypes.bfloat16).astype(np.float32))
    assert same_bits(to_bfloat16(wide), bits)


@pytest.mark.parametrize("dtype", [*INTEGERS, *FLOATS, BOOL], ids=str)
def test_values_of_the_right_type_are_not_copied(dtype: DType) -> None:
    """If no cast is needed, none is done."""
    values = np.zeros(3, dtype.numpy)
    assert cast_to(dtype)(values) is values


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_floats_round_and_integers_convert(dtype: DType) -> None:
    """A float into a narrower float rounds to nearest, beyond its range to infinity."""
    assert dtype.numpy is not None
    values = np.array([0.1, 1e300, -1e300, np.nan, np.inf])
    with np.errstate(over="ignore"):
        expected = values.astype(dtype.numpy)
    np.testing.assert_array_equal(cast_to(dtype)(values), expected)
    numbers = cast_to(dtype)(np.array([2**53 + 1, -3], np.int64))
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(numbers, np.array([2**53 + 1, -3]).astype(dtype.numpy))


def test_a_list_of_nothing_feeds_strings() -> None:
    """An empty array of no type becomes an empty array of views."""
    assert cast_to(STRING)(np.zeros(0, np.int32)).dtype == VIEW


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
@pytest.mark.parametrize("leaf", COLUMNS, ids=str)
def test_integers_are_checked_value_by_value(leaf: pa.DataType, dtype: DType) -> None:
    """For all pairs of types, exactly the values outside of the tensor's range don't fit."""
    kind: Any = dtype.numpy
    source, target = np.iinfo(leaf.to_pandas_dtype()), np.iinfo(kind)
    edges = {int(x) + d for x in (source.min, source.max, target.min, target.max, 0)
             for d in (-1, 0, 1)}  # fmt: skip
    values = sorted(v for v in edges if source.min <= v <= source.max)
    expected = [not target.min <= v <= target.max for v in values]
    check = misfits(leaf, dtype)
    array = np.array(values, leaf.to_pandas_dtype())
    if check is None:
        assert not any(expected)
        return
    bad = check(array)
    assert (bad.tolist() if bad is not None else [False] * len(values)) == expected
    assert check(array[:0]) is None


def test_only_integers_into_narrower_integers_need_a_check() -> None:
    """Floats round, and integers always convert to floats, so no value is checked."""
    assert misfits(pa.float64(), FLOAT32) is None
    assert misfits(pa.int64(), FLOAT32) is None
    assert misfits(pa.int32(), INT64) is None
    assert misfits(pa.string(), STRING) is None
    assert misfits(pa.int64(), BFLOAT16) is None
    assert misfits(pa.null(), INT8) is None


def test_a_value_that_does_not_fit_is_named_with_its_row() -> None:
    """The reason names the column, the row's first such value, and the dtype."""
    convert = converter(pa.int64(), INT8, "age")
    np.testing.assert_array_equal(convert(np.array([1, 127]), np.array([2])), [1, 127])
    with pytest.raises(RowsRefused) as caught:
        convert(np.array([1, 128, -129, 5, 300]), np.array([3, 1, 1]))
    assert caught.value.rows.tolist() == [0, 2]
    assert caught.value.reasons == [
        'column "age" has 128, which int8 can\'t hold',
        'column "age" has 300, which int8 can\'t hold',
    ]

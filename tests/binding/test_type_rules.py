"""Which values feed which dtypes."""

from __future__ import annotations

import pyarrow as pa
import pytest

from tf2spark.binding.type_rules import fits, spark_name
from tf2spark.dtypes import (
    BFLOAT16,
    BOOL,
    BY_CODE,
    FLOAT32,
    FLOAT64,
    HALF,
    INT8,
    INT32,
    INT64,
    STRING,
    UINT8,
    UINT64,
    DType,
)

INTEGERS = [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint32(), pa.uint64()]
FLOATS = [pa.float16(), pa.float32(), pa.float64()]
TEXTS = [
    pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary(),
    pa.binary_view(), pa.binary(4),
]  # fmt: skip
OTHERS = [pa.decimal128(10, 2), pa.date32(), pa.timestamp("us"), pa.duration("us")]
EVERY = [pa.bool_(), *INTEGERS, *FLOATS, *TEXTS, *OTHERS]


@pytest.mark.parametrize(
    ("dtypes", "kinds"),
    [
        ([FLOAT32, FLOAT64, HALF, BFLOAT16], [*INTEGERS, *FLOATS]),
        ([INT8, INT32, INT64, UINT8, UINT64], INTEGERS),
        ([BOOL], [pa.bool_()]),
        ([STRING], TEXTS),
    ],
)
def test_each_dtype_takes_its_kinds_and_no_others(
    dtypes: list[DType], kinds: list[pa.DataType]
) -> None:
    """Numbers widen into floats, and nothing else changes its kind in silence."""
    for dtype in dtypes:
        assert [kind for kind in EVERY if fits(kind, dtype)] == [
            kind for kind in EVERY if kind in kinds
        ]
        assert fits(pa.null(), dtype)


@pytest.mark.parametrize("code", [8, 11, 18, 20, 21])
def test_handles_and_complex_numbers_cant_be_fed(code: int) -> None:
    """No column feeds such a tensor, not even one with only nulls."""
    assert not any(fits(kind, BY_CODE[code]) for kind in [*EVERY, pa.null()])
    assert spark_name(BY_CODE[code]) is None

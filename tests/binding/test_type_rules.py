"""Which values feed which dtypes, and the casts for the others."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from tf2spark.binding.type_rules import cast_text, fits, spark_name
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
    UINT32,
    UINT64,
    DType,
    from_code,
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
    """No column feeds such a tensor, not even one of nothing but nulls."""
    assert not any(fits(kind, BY_CODE[code]) for kind in [*EVERY, pa.null()])
    assert spark_name(BY_CODE[code]) is None


@pytest.mark.parametrize(
    ("leaf", "depth", "dtype", "text"),
    [
        (pa.string(), 0, FLOAT32, 'c.cast("float")'),
        (pa.string(), 0, FLOAT64, 'c.cast("double")'),
        (pa.float64(), 0, INT32, 'c.cast("int")'),
        (pa.float64(), 0, UINT32, 'c.cast("bigint")'),
        (pa.bool_(), 0, BFLOAT16, 'c.cast("float")'),
        (pa.int32(), 0, BOOL, 'c.cast("boolean")'),
        (pa.int32(), 0, STRING, 'c.cast("string")'),
        (pa.decimal128(5, 1), 2, FLOAT32, 'c.cast("array<array<float>>")'),
        (pa.date32(), 0, FLOAT32, "F.unix_date(c)"),
        (pa.date32(), 1, INT64, "F.transform(c, F.unix_date)"),
        (pa.date32(), 0, STRING, 'c.cast("string")'),
        (pa.date32(), 0, BOOL, None),
        (pa.timestamp("us", "UTC"), 0, FLOAT64, 'c.cast("double")'),
        (pa.timestamp("us", "UTC"), 0, INT32, 'c.cast("bigint")'),
        (pa.timestamp("us"), 0, INT64, 'c.cast("timestamp").cast("bigint")'),
        (pa.timestamp("us"), 0, BOOL, None),
        (pa.binary(), 0, FLOAT32, 'c.cast("string").cast("float")'),
        (pa.string(), 0, from_code(20), None),
    ],
)
def test_casts_to_write(leaf: pa.DataType, depth: int, dtype: DType, text: str | None) -> None:
    """A message gives the PySpark for a conversion, or nothing where Spark has none."""
    assert cast_text("c", leaf, depth, dtype) == text


@pytest.mark.parametrize(
    ("value", "kind", "leaf", "depth", "dtype", "becomes"),
    [
        ("1.5", "string", pa.string(), 0, FLOAT32, 1.5),
        (1.9, "double", pa.float64(), 0, INT32, 1),
        (True, "boolean", pa.bool_(), 0, FLOAT32, 1.0),
        (2, "int", pa.int32(), 0, BOOL, True),
        (Decimal("1.25"), "decimal(5,2)", pa.decimal128(5, 2), 0, FLOAT32, 1.25),
        ([Decimal("1.25")], "array<decimal(5,2)>", pa.decimal128(5, 2), 1, INT64, [1]),
        (date(1970, 1, 11), "date", pa.date32(), 0, FLOAT32, 10),
        ([date(1970, 1, 11)], "array<date>", pa.date32(), 1, INT64, [10]),
        (datetime(2024, 1, 1), "timestamp", pa.timestamp("us", "UTC"), 0, INT32, int),
        (datetime(2024, 1, 1), "timestamp_ntz", pa.timestamp("us"), 0, FLOAT64, float),
        (b"2.5", "binary", pa.binary(), 0, FLOAT32, 2.5),
        (["7"], "array<string>", pa.string(), 1, INT64, [7]),
    ],
)
def test_casts_run_on_spark(
    spark: SparkSession,
    value: Any,
    kind: str,
    leaf: pa.DataType,
    depth: int,
    dtype: DType,
    becomes: Any,
) -> None:
    """Each cast that a message gives is one that Spark accepts and that changes the value."""
    df = spark.createDataFrame([(value,)], f"c {kind}")
    text = cast_text('df["c"]', leaf, depth, dtype)
    assert text is not None
    cast = df.select(eval(text, {"df": df, "F": F})).first()
    assert cast is not None
    assert isinstance(cast[0], becomes) if isinstance(becomes, type) else cast[0] == becomes

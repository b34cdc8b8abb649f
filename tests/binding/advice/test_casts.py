"""Casts that messages advise: as code for each audience, and that the code runs."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyspark.ml.functions import vector_to_array
from pyspark.ml.linalg import Vectors
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructField, StructType

from cases.contracts import PAIRS, SIZED, VECTOR, array
from cases.frames import spark_type
from tf2spark.binding.advice.casts import (
    arrow_cast,
    cast_advice,
    pandas_cast,
    pyspark_cast,
    sql_cast,
)
from tf2spark.binding.columns import resolve, type_of
from tf2spark.binding.feeds import Column
from tf2spark.binding.row_shapes import FedColumn, reshape_advice
from tf2spark.dtypes import (
    BFLOAT16,
    BOOL,
    FLOAT32,
    FLOAT64,
    INT32,
    INT64,
    STRING,
    UINT32,
    DType,
    from_code,
)
from tf2spark.errors import Advice, Audience


def fed(kind: pa.DataType, path: str = "c") -> FedColumn:
    """A column of one type, or a field inside one."""
    head, *fields = path.split(".")
    for name in reversed(fields):
        kind = pa.struct([(name, kind)])
    schema = pa.schema([("id", pa.int64()), (head, kind)])
    source = resolve(Column(path), schema, 'input "x"')
    return FedColumn(source, type_of(source, schema), (head, *source.fields))


@pytest.mark.parametrize(
    ("kind", "dtype", "text"),
    [
        (pa.string(), FLOAT32, 'df["c"].cast("float")'),
        (pa.string(), FLOAT64, 'df["c"].cast("double")'),
        (pa.float64(), INT32, 'df["c"].cast("int")'),
        (pa.float64(), UINT32, 'df["c"].cast("bigint")'),
        (pa.bool_(), BFLOAT16, 'df["c"].cast("float")'),
        (pa.int32(), BOOL, 'df["c"].cast("boolean")'),
        (pa.int32(), STRING, 'df["c"].cast("string")'),
        (array(pa.decimal128(5, 1), depth=2), FLOAT32, 'df["c"].cast("array<array<float>>")'),
        (pa.date32(), FLOAT32, 'F.unix_date(df["c"])'),
        (array(pa.date32()), INT64, 'F.transform(df["c"], F.unix_date)'),
        (pa.date32(), STRING, 'df["c"].cast("string")'),
        (pa.date32(), BOOL, None),
        (pa.timestamp("us", "UTC"), FLOAT64, 'df["c"].cast("double")'),
        (pa.timestamp("us", "UTC"), INT32, 'df["c"].cast("bigint")'),
        (pa.timestamp("us"), INT64, 'df["c"].cast("timestamp").cast("bigint")'),
        (pa.timestamp("us"), BOOL, None),
        (pa.binary(), FLOAT32, 'df["c"].cast("string").cast("float")'),
        (pa.string(), from_code(20), None),
    ],
)
def test_pyspark_casts(kind: pa.DataType, dtype: DType, text: str | None) -> None:
    """A message gives the PySpark for a cast, or nothing where Spark has none."""
    assert pyspark_cast(fed(kind), dtype) == text


CASTS = [
    ("1.5", "string", pa.string(), FLOAT32, 1.5),
    (1.9, "double", pa.float64(), INT32, 1),
    (True, "boolean", pa.bool_(), FLOAT32, 1.0),
    (2, "int", pa.int32(), BOOL, True),
    (2, "int", pa.int32(), STRING, "2"),
    (Decimal("1.25"), "decimal(5,2)", pa.decimal128(5, 2), FLOAT32, 1.25),
    (Decimal("1.25"), "decimal(5,2)", pa.decimal128(5, 2), INT64, 1),
    ([Decimal("1.25")], "array<decimal(5,2)>", array(pa.decimal128(5, 2)), INT64, [1]),
    (date(1970, 1, 11), "date", pa.date32(), FLOAT32, 10),
    ([date(1970, 1, 11)], "array<date>", array(pa.date32()), INT64, [10]),
    (datetime(2024, 1, 1), "timestamp", pa.timestamp("us", "UTC"), INT32, int),
    (datetime(2024, 1, 1), "timestamp_ntz", pa.timestamp("us"), FLOAT64, float),
    (b"2.5", "binary", pa.binary(), FLOAT32, 2.5),
    (["7"], "array<string>", array(pa.string()), INT64, [7]),
    ([1.5], "array<double>", array(pa.float64()), INT64, [1]),
]
MAP = pa.map_(pa.int64(), pa.float64())
SECONDS = 1704067200  # 2024-01-01, UTC


def is_cast(value: Any, expected: Any) -> bool:
    """Say whether a cast gave a value, or one of a type."""
    return isinstance(value, expected) if isinstance(expected, type) else bool(value == expected)


@pytest.mark.parametrize(("value", "sql_type", "kind", "dtype", "expected"), CASTS)
def test_casts_run_on_spark(
    spark: SparkSession,
    value: Any,
    sql_type: str,
    kind: pa.DataType,
    dtype: DType,
    expected: Any,
) -> None:
    """Spark accepts the casts of messages, in PySpark and in SQL, and they change the value."""
    df = spark.createDataFrame([(value,)], f"c {sql_type}")
    python, sql = pyspark_cast(fed(kind), dtype), sql_cast(fed(kind), dtype)
    assert python is not None
    assert sql is not None
    cast = df.select(eval(python, {"df": df, "F": F}), F.expr(sql)).first()
    assert cast is not None
    assert is_cast(cast[0], expected)
    assert is_cast(cast[1], expected)


def test_casts_of_sparse_rows_run_on_spark(spark: SparkSession) -> None:
    """Vectors, maps and structs of indices and values are cast value by value."""
    rows = [(Vectors.dense([1.5]), {7: 2.5}, ([0], [3.5]), ([0], [4.5], 9))]
    columns = [fed(VECTOR, "v"), fed(MAP, "m"), fed(PAIRS, "p"), fed(SIZED, "s")]
    schema = StructType([StructField(col.path[0], spark_type(col.kind)) for col in columns])
    df = spark.createDataFrame(rows, schema)
    names = {"df": df, "F": F, "vector_to_array": vector_to_array}
    results: list[Any] = [[1], {7: 2}, ([0], [3]), ([0], [4], 9)]
    for column, expected in zip(columns, results, strict=True):
        python, sql = pyspark_cast(column, INT64), sql_cast(column, INT64)
        assert python is not None
        row = df.select(eval(python, names)).first()
        assert row is not None
        assert row[0] == expected
        if column.path != ("v",):
            assert sql is not None
            row = df.select(F.expr(sql)).first()
            assert row is not None
            assert row[0] == expected


@pytest.mark.parametrize(("value", "sql_type", "kind", "dtype", "expected"), CASTS)
def test_casts_run_on_pandas_and_pyarrow(
    value: Any, sql_type: str, kind: pa.DataType, dtype: DType, expected: Any
) -> None:
    """Pandas and pyarrow do what their messages say; unusual casts are only described."""
    table = pa.table({"c": pa.array([value], kind)})
    pandas, arrow = pandas_cast(fed(kind), dtype), arrow_cast(fed(kind), dtype)
    expected = SECONDS if isinstance(expected, type) else expected
    expected = 2 if value == 1.9 else expected  # rounded, where Spark truncates
    if pandas is None or arrow is None:
        assert pa.types.is_temporal(fed(kind).source.leaf)
        return
    names = {"df": table.to_pandas(), "table": table, "pd": pd, "np": np, "pa": pa, "pc": pc}
    assert is_cast(eval(pandas, names)[0], expected)
    cast = eval(arrow, names)[0].as_py()
    assert is_cast(cast, expected)


def test_fields_are_selected_in_each_language(spark: SparkSession) -> None:
    """A field inside a struct is found by the code for each audience, whatever its name."""
    kind = pa.struct([("zip code", pa.string())])
    table = pa.table({"user": pa.array([{"zip code": "7"}], kind)})
    column = fed(pa.string(), "user.zip code")
    df = spark.createDataFrame([(("7",),)], "user struct<`zip code`: string>")
    names = {"df": table.to_pandas(), "table": table, "pd": pd, "np": np, "pa": pa, "pc": pc}
    pandas, arrow, sql = (cast(column, INT64) or "" for cast in (pandas_cast, arrow_cast, sql_cast))
    assert eval(pandas, names)[0] == 7
    assert eval(arrow, names)[0].as_py() == 7
    assert df.select(F.expr(sql)).first() == (7,)


def test_reshaping_runs_in_each_language(spark: SparkSession) -> None:
    """Code that takes one element of a list, or flattens lists, does so."""
    one = reshape_advice(fed(array(pa.float64())), ())
    flat = reshape_advice(fed(array(pa.float64(), depth=2)), (None,))
    assert isinstance(one, Advice)
    assert isinstance(flat, Advice)
    names: dict[str, Any] = {"F": F, "pc": pc, "np": np}

    def result(advice: Advice, audience: Audience, value: Any, spark_type: str) -> Any:
        code = advice.text_for(audience).partition(": ")[2]
        df: Any = spark.createDataFrame([(value,)], f"c {spark_type}")
        table = pa.table({"id": [1], "c": [value]})
        if audience == "command_line":
            return df.select(F.expr(code)).collect()[0][0]
        names["df"], names["table"] = df if audience == "python" else table.to_pandas(), table
        exec(code, names)
        if audience == "python":
            return names["df"].first()["c"]
        return names["table"]["c"][0].as_py() if audience == "arrow" else names["df"]["c"][0]

    audiences: list[Audience] = ["python", "command_line", "pandas", "arrow"]
    for audience in audiences:
        assert result(one, audience, [1.5, 2.5], "array<double>") == 1.5
    for audience in audiences[:3]:
        value = [[1.5], [2.5]]
        assert list(result(flat, audience, value, "array<array<double>>")) == [1.5, 2.5]


def test_advice_names_the_column_to_set() -> None:
    """A column is replaced in place; a field becomes a column of its own, which is fed."""
    column = cast_advice(fed(pa.string()), "x", FLOAT32)
    assert column is not None
    assert column.python == 'cast them first: df = df.withColumn("c", df["c"].cast("float"))'
    assert column.command_line == "cast them first, in Spark SQL: CAST(c AS FLOAT) AS c"
    assert column.pandas == 'cast them first: df["c"] = df["c"].astype("float32")'
    assert column.arrow == (
        'cast them first: table = table.set_column(1, "c", table["c"].cast(pa.float32()))'
    )
    field = cast_advice(fed(pa.string(), "user.zip"), "x", FLOAT32)
    assert field is not None
    assert field.python.endswith('; then feed={"x": "user_zip"}')
    assert field.command_line == (
        "cast them first, in Spark SQL: CAST(user.zip AS FLOAT) AS user_zip; then --feed x=user_zip"
    )
    assert field.pandas is not None
    assert field.pandas.startswith('cast them first: df["user_zip"] = df["user"].str["zip"].astype')


def test_casts_without_a_short_form_are_described() -> None:
    """Where a language has no short expression, the advice says which type to convert to."""
    vector = cast_advice(fed(VECTOR, "v"), "x", INT64)
    assert vector is not None
    assert vector.command_line == vector.pandas == "convert them to int64 first"
    assert cast_advice(fed(pa.date32()), "x", BOOL) is None

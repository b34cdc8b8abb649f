"""Advice for columns of another type is code: run as it is written, it makes the table score."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import tensorflow as tf
from pyspark.ml.functions import vector_to_array
from pyspark.ml.linalg import Vectors
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from tf2spark import SavedModel
from tf2spark.errors import ContractError

OF_SPARK = re.compile(r"withColumn|F\.|bigint|array<|timestamp_ntz|selectExpr|decimal\(")
DAY = datetime(2024, 1, 2, 3, 4, 5)
SECONDS = 1704164645
DICTS = [[{"a": 1.5}, {"a": 2.5}], [{"a": 3.5}]]
# An index of its own shows whether the code keeps it.
INDEX = [7, 3]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> SavedModel:
    """A model with a signature for each input: what it gets is what it returns."""
    path: Path = tmp_path_factory.mktemp("models") / "identities"
    module, signatures = tf.Module(), {}
    for dtype in (tf.int64, tf.int32, tf.uint8, tf.float32, tf.bool, tf.string):
        for name, shape in ((dtype.name, [None]), (f"{dtype.name}_lists", [None, None])):
            function = tf.function(lambda x: {"y": tf.identity(x)})
            signatures[name] = function.get_concrete_function(tf.TensorSpec(shape, dtype, "x"))
    for name, spec in (
        ("float32_pairs", tf.TensorSpec([None, 2], tf.float32, "x")),
        ("uint8_images", tf.TensorSpec([None, 4, 5, 3], tf.uint8, "x")),
    ):
        function = tf.function(lambda x: {"y": tf.identity(x)})
        signatures[name] = function.get_concrete_function(spec)
    tf.saved_model.save(module, str(path), signatures)
    return SavedModel(path)


def corrected(model: SavedModel, table: Any, signature: str, column: str = "x") -> list[Any]:
    """Score a table that doesn't fit, as the message says; missing values are None."""
    with pytest.raises(ContractError) as refused:
        model.score(table, signature=signature, feed={"x": column})
    message = str(refused.value)
    audience_is_spark = not isinstance(table, pd.DataFrame | pa.Table | pa.RecordBatch)
    assert audience_is_spark or not OF_SPARK.search(message), message
    code, _, feed = message.rpartition(" first: ")[2].partition("; then ")
    names: dict[str, Any] = {"df": table, "table": table, "pd": pd, "np": np, "pa": pa, "pc": pc}
    names |= {"F": F, "tf": tf, "vector_to_array": vector_to_array}
    exec(code, names)
    call = eval(f"dict({feed})") if feed else {"feed": {"x": column}}
    table = names["table"] if isinstance(table, pa.Table | pa.RecordBatch) else names["df"]
    scored = model.score(table, signature=signature, mode="permissive", fetch=["y"], **call)
    if audience_is_spark:
        return [row["y"] for row in scored.collect()]
    if isinstance(scored, pd.DataFrame):
        assert list(scored.index) == INDEX
        scored = pa.table({"y": pa.array(scored["y"], from_pandas=True)})
    return list(scored.column("y").to_pylist())


@pytest.mark.parametrize(
    ("values", "signature", "expected"),
    [
        (pd.Series([1.0, np.nan]), "int64", [1, None]),
        (pd.Series([1.9, 2.0]), "int32", [2, 2]),
        (pd.Series([1.0, np.nan], dtype="float32"), "uint8", [1, None]),
        (pd.Series([1.0, None], dtype="double[pyarrow]"), "int64", [1, None]),
        (pd.Series([1.0, None], dtype="Float64"), "int64", [1, None]),
        (pd.Series([1.0, None]), "string", ["1.0", None]),
        (pd.Series([1.0, None]), "bool", [True, None]),
        (pd.Series([2, 0]), "bool", [True, False]),
        (pd.Series([2, 0]), "string", ["2", "0"]),
        (pd.Series([True, None]), "int64", [1, None]),
        (pd.Series([True, False]), "float32", [1.0, 0.0]),
        (pd.Series(["1.5", None]), "float32", [1.5, None]),
        (pd.Series(["7", None]), "int64", [7, None]),
        (pd.Series(["7", None], dtype="string"), "int32", [7, None]),
        (pd.Series(["7", None], dtype="category"), "int64", [7, None]),
        (pd.Series(["true", "False"]), "bool", [True, False]),
        (pd.Series(["true", None]), "bool", [True, None]),
        (pd.Series([b"7", None]), "int64", [7, None]),
        (pd.Series([Decimal("1.5"), Decimal("2.5")]), "float32", [1.5, 2.5]),
        (pd.Series([Decimal("7.00"), None]), "int64", [7, None]),
        (pd.Series([Decimal("7.00"), None]), "string", ["7.00", None]),
        (pd.Series([date(1970, 1, 11), None]), "int64", [10, None]),
        (pd.Series([date(1970, 1, 11), date(1970, 1, 12)]), "float32", [10.0, 11.0]),
        (pd.Series([DAY, None]), "int64", [SECONDS, None]),
        (pd.Series([DAY, DAY]).dt.tz_localize("UTC"), "int64", [SECONDS] * 2),
        (pd.Series([DAY, DAY]), "float32", [float(np.float32(SECONDS))] * 2),
        (pd.Series([timedelta(seconds=3), timedelta(hours=1)]), "int64", [3, 3600]),
        (pd.Series([timedelta(seconds=3), timedelta(hours=1)]), "float32", [3.0, 3600.0]),
        (pd.Series([[1.0, 2.0], [3.0]]), "int64_lists", [[1, 2], [3]]),
        (pd.Series([["7"], None]), "int64_lists", [[7], None]),
        (pd.Series([[Decimal("1.5")], [Decimal("2.5")]]), "float32_lists", [[1.5], [2.5]]),
        (pd.Series(DICTS), "float32_lists", [[1.5, 2.5], [3.5]]),
        (pd.Series([[1.5, 2.5], [3.5]]), "float32", [1.5, 3.5]),
        (pd.Series([[[1.5], [2.5]], [[3.5]]]), "float32_lists", [[1.5, 2.5], [3.5]]),
        (pd.Series(["1.5,2", None]), "float32_pairs", [[1.5, 2.0], None]),
    ],
    ids=str,
)  # fmt: skip
def test_pandas(model: SavedModel, values: Any, signature: str, expected: list[Any]) -> None:
    """A user of pandas reads pandas; missing values stay missing and the index stays as it is."""
    values.index = INDEX
    frame = pd.DataFrame({"id": values.index, "x": values}, index=INDEX)
    assert corrected(model, frame, signature) == expected


ARROW: list[tuple[Any, str, list[Any]]] = [
    (pa.array([1.0, None]), "int64", [1, None]),
    (pa.array([1.9, 2.0]), "int32", [2, 2]),
    (pa.array([1.0, 2.0]).cast(pa.float16()), "int64", [1, 2]),
    (pa.array([1.5, None]), "string", ["1.5", None]),
    (pa.array([1.5, 0.0]), "bool", [True, False]),
    (pa.array([True, None]), "float32", [1.0, None]),
    (pa.array(["1.5", None]), "float32", [1.5, None]),
    (pa.array(["7", "8"]).dictionary_encode(), "int64", [7, 8]),
    (pa.array(["true", "false"]), "bool", [True, False]),
    (pa.array([b"7", None]), "int64", [7, None]),
    (pa.array([Decimal("1.5"), None]), "float32", [1.5, None]),
    (pa.array([Decimal("7.00"), None]), "int64", [7, None]),
    (pa.array([Decimal("7.00"), Decimal("0.00")]), "bool", [True, False]),
    (pa.array([date(1970, 1, 11), None]), "int64", [10, None]),
    (pa.array([date(1970, 1, 11)] * 2, pa.date64()), "float32", [10.0, 10.0]),
    (pa.array([DAY, None]), "int64", [SECONDS, None]),
    (pa.array([DAY, None], pa.timestamp("ms", "UTC")), "int64", [SECONDS, None]),
    (pa.array([timedelta(seconds=3), None]), "int64", [3, None]),
    (pa.array([timedelta(seconds=3), None]), "float32", [3.0, None]),
    (pa.array([[1.0, 2.0], None]), "int64_lists", [[1, 2], None]),
    (pa.array([[1.5, 2.5], [3.5]]), "float32", [1.5, 3.5]),
    (pa.array(["1.5,2", None]), "float32_pairs", [[1.5, 2.0], None]),
]


@pytest.mark.parametrize("make", [pa.table, pa.record_batch], ids=["table", "batch"])
@pytest.mark.parametrize(("values", "signature", "expected"), ARROW, ids=str)
def test_pyarrow(
    model: SavedModel, make: Any, values: Any, signature: str, expected: list[Any]
) -> None:
    """A user of pyarrow reads pyarrow, with the column's own position."""
    table = make({"id": [1, 2], "x": values})
    assert corrected(model, table, signature) == expected


def test_image_files(model: SavedModel) -> None:
    """The bytes of a file are no pixels; other tables learn who decodes it."""
    pixels = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    files = [tf.io.encode_png(pixels).numpy(), None]
    frame = pd.DataFrame({"x": files}, INDEX)
    assert corrected(model, frame, "uint8_images") == [pixels.tolist(), None]
    with pytest.raises(ContractError) as refused:
        model.score(pa.table({"x": files}), signature="uint8_images")
    assert "export a model that takes their bytes and decodes them" in str(refused.value)
    assert not OF_SPARK.search(str(refused.value))


def test_not_a_number_is_not_cast(model: SavedModel) -> None:
    """Pyarrow refuses NaN for an integer, which an unchecked cast would turn into a number."""
    with pytest.raises(pa.ArrowInvalid, match="nan"):
        corrected(model, pa.table({"x": [1.0, float("nan")]}), "int64")


@pytest.mark.parametrize(
    "table", [pa.table({"user": [{"age": "7"}, {"age": "8"}]}),
              pd.DataFrame({"user": [{"age": "7"}, {"age": "8"}]}, index=INDEX)],
    ids=["pyarrow", "pandas"],
)  # fmt: skip
def test_fields(model: SavedModel, table: Any) -> None:
    """A field becomes a column of its own, and the advice feeds that."""
    assert corrected(model, table, "int64", "user.age") == [7, 8]


@pytest.mark.parametrize(
    ("value", "kind", "signature", "column", "expected"),
    [
        (1.0, "double", "int64", "x", 1),
        ("1.5", "string", "float32", "x", 1.5),
        (Decimal("1.5"), "decimal(3,1)", "float32", "x", 1.5),
        (date(1970, 1, 11), "date", "int64", "x", 10),
        (timedelta(days=1, seconds=3), "interval day to second", "int64", "x", 86403),
        (timedelta(seconds=3), "interval day to second", "float32", "x", 3.0),
        (["7"], "array<string>", "int64_lists", "x", [7]),
        ([1.5], "array<double>", "float32", "x", 1.5),
        ([(1.5,)], "array<struct<a: double>>", "float32_lists", "x", [1.5]),
        (("7",), "struct<age: string>", "int64", "x.age", 7),
        ([[1.5], [2.5]], "array<array<double>>", "float32_lists", "x", [1.5, 2.5]),
        ("1.5,2", "string", "float32_pairs", "x", [1.5, 2.0]),
        (("1.5,2",), "struct<age: string>", "float32_pairs", "x.age", [1.5, 2.0]),
    ],
)
def test_spark(
    model: SavedModel,
    spark: SparkSession,
    value: Any,
    kind: str,
    signature: str,
    column: str,
    expected: Any,
) -> None:
    """A user of Spark reads PySpark."""
    df = spark.createDataFrame([(1, value)], f"id long, x {kind}")
    assert corrected(model, df, signature, column) == [expected]


def test_vectors(model: SavedModel, spark: SparkSession) -> None:
    """A vector that is cast is a list, so the advice feeds the list, not the vector's values."""
    df = spark.createDataFrame([(Vectors.dense([1.0, 2.0]),)], ["x"])
    assert corrected(model, df, "int64_lists") == [[1, 2]]
    assert corrected(model, df, "float32") == [1.0]

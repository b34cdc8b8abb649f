"""`score` gives the same columns and messages, whether arrays travel packed or plainly."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pyspark.errors import PythonException
from pyspark.ml.linalg import Vectors, VectorUDT
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as t

import tf2spark
from cases import recommenders
from cases.frames import frame
from cases.recommenders.calls import recommended
from tf2spark.spark.packed.transport import SETTING

FEATURES: list[list[float | None] | None] = [
    [0.5] * 8, None, [1.0] * 7, [0.5, None, *[1.0] * 6], [], [math.nan] * 8, [-2.0] * 8,
]  # fmt: skip


@pytest.fixture
def joined(spark: SparkSession) -> DataFrame:
    """Features, good and bad, after a join."""
    schema = t.StructType([t.StructField("id", t.LongType())])
    schema = schema.add("features", t.ArrayType(t.DoubleType()))
    features = spark.createDataFrame(list(enumerate(FEATURES)), schema)
    return features.join(F.broadcast(spark.range(7)), "id")


@contextmanager
def plain_transport(spark: SparkSession) -> Iterator[None]:
    """Turn packing off in this block."""
    spark.conf.set(SETTING, "false")
    try:
        yield
    finally:
        spark.conf.unset(SETTING)


def is_packed(scored: DataFrame) -> bool:
    """Say whether a plan hands blocks over."""
    plan = scored._jdf.queryExecution().executedPlan().toString()
    return "getBaseObject" in plan or "getBytes" in plan


@pytest.mark.parametrize("options", [
    pytest.param({"mode": "permissive"}, marks=pytest.mark.oldest),
    {"mode": "permissive", "keep": ["id"]},
    {"mode": "permissive", "keep": ["id", "features"]},
    {"mode": "dropmalformed"},
    {"mode": "permissive", "batch_rows": 2},
], ids=str)  # fmt: skip
def test_scores_and_reasons_are_equal(
    spark: SparkSession, mlp: tf2spark.SavedModel, joined: DataFrame, options: dict[str, Any]
) -> None:
    """Each row has the same outputs, or the same reason, and what is kept is the same."""
    packed = mlp.score(joined, **options)
    with plain_transport(spark):
        plain = mlp.score(joined, **options)
    assert is_packed(packed)
    assert not is_packed(plain)
    assert packed.schema == plain.schema
    assert [str(row) for row in packed.sort("id").collect()] == [
        str(row) for row in plain.sort("id").collect()
    ]


def test_a_bad_row_is_named_alike(
    spark: SparkSession, mlp: tf2spark.SavedModel, joined: DataFrame
) -> None:
    """The message of failfast says which row it is, and why."""
    messages = []
    for table in (joined.coalesce(1), joined.coalesce(1).where("id != 1")):
        for setting in ("true", "false"):
            spark.conf.set(SETTING, setting)
            scored = mlp.score(table)
            spark.conf.unset(SETTING)
            with pytest.raises(PythonException) as caught:
                scored.collect()
            messages.append(
                next(line for line in str(caught.value).splitlines() if "RowError: " in line)
            )
    assert messages[0] == messages[1]
    assert messages[2] == messages[3]
    assert 'column "features" is null' in messages[0]


def test_vectors_are_scored_alike(spark: SparkSession, mlp: tf2spark.SavedModel) -> None:
    """Dense and sparse vectors in one column."""
    vectors = [
        Vectors.dense([0.5] * 8), Vectors.sparse(8, [1, 7], [1.0, -2.0]), None,
        Vectors.sparse(9, [8], [1.0]), Vectors.dense([1.0]),
    ]  # fmt: skip
    schema = t.StructType([t.StructField("id", t.LongType())]).add("features", VectorUDT())
    df = spark.createDataFrame(list(enumerate(vectors)), schema)
    packed = mlp.score(df, mode="permissive")
    with plain_transport(spark):
        plain = mlp.score(df, mode="permissive")
    assert is_packed(packed)
    assert packed.collect() == plain.collect()


def test_recommendations_are_equal(spark: SparkSession) -> None:
    """Users with histories, after a join, get the same items and the same bits of their scores."""
    case = recommenders.case("din_keras")
    users, items = frame(spark, case.users(29), 2), frame(spark, case.items(40))
    users = users.join(F.broadcast(users.select("user_id").distinct()), "user_id")
    packed = recommended(case, users, items)
    with plain_transport(spark):
        plain = recommended(case, users, items)
    assert is_packed(packed)
    assert not is_packed(plain)
    assert packed.sort("user_id").collect() == plain.sort("user_id").collect()


def test_a_stream_travels_packed(
    spark: SparkSession, mlp: tf2spark.SavedModel, tmp_path: Any
) -> None:
    """Streaming tables are scored as others are."""
    schema = t.StructType([t.StructField("id", t.LongType())])
    schema = schema.add("features", t.ArrayType(t.DoubleType()))
    good = [(n, row) for n, row in enumerate(FEATURES) if n in (0, 6)]
    spark.createDataFrame(good, schema).write.parquet(str(tmp_path / "in"))
    stream = spark.readStream.schema(schema).parquet(str(tmp_path / "in"))
    query = (
        mlp.score(stream, keep=["id"]).writeStream.format("memory").queryName("packed_stream")
        .trigger(availableNow=True).option("checkpointLocation", str(tmp_path / "check")).start()
    )  # fmt: skip
    query.awaitTermination()
    scored = {row["id"]: row["output_0"] for row in spark.table("packed_stream").collect()}
    table = mlp.score(spark.createDataFrame(good, schema), keep=["id"]).collect()
    assert scored == {row["id"]: row["output_0"] for row in table}

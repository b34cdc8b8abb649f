"""Columns that Spark can't send to Python, and values that pyarrow doesn't take."""

from __future__ import annotations

import pytest
from pyspark.ml.linalg import Vectors
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import LongType, StructField, StructType, YearMonthIntervalType

from cases.contracts import N, dense
from tf2spark.binding.feeds import Column
from tf2spark.binding.request import FedInput
from tf2spark.dtypes import FLOAT32
from tf2spark.errors import ContractError
from tf2spark.graph_split.forms import SideName
from tf2spark.recommend.arguments import make_arguments
from tf2spark.recommend.sides import SidedInput, SideFeed
from tf2spark.spark.recommend.background import collect
from tf2spark.spark.recommend.columns import (
    check_columns,
    select_columns,
)

SPAN = StructField("span", YearMonthIntervalType())
ID = StructField("id", LongType())


def check(side: SideName, field: StructField, *, path: str = "id", keep: str = "id") -> str:
    """Return what is wrong with a column that is fed or kept."""
    fed = FedInput(dense(FLOAT32, N, N, name="in"), Column(f"{side}:{path}"), by_name=False)
    inputs = (SidedInput(fed, (SideFeed(side, Column(path)),)),)
    schemas: dict[SideName, StructType] = {
        each: StructType([ID, field] if each == side else [ID]) for each in ("user", "item")
    }
    arguments = make_arguments(1, "id", "id", None, None, [keep], "failfast")
    with pytest.raises(ContractError) as raised:
        check_columns(schemas, inputs, arguments)
    return str(raised.value)


def test_a_kept_column_travels_both_ways() -> None:
    """It is cast, or left out."""
    assert check("user", SPAN, keep="span").endswith(
        'and back, through which the users\' columns travel; cast it, users.withColumn("span", '
        'F.col("span").cast("string")), or leave it out of keep=...'
    )


@pytest.mark.parametrize("side", ["user", "item"])
def test_a_field_beside_an_interval_is_fed_as_a_column(side: SideName) -> None:
    """Spark sends structs whole."""
    struct = StructField("s", StructType([ID, SPAN]))
    text = check(side, struct, path="s.id")
    assert f'column "s" of the {side}s is struct<id:bigint,span:interval year' in text
    assert f'make a column of the field, {side}s.withColumn("x", F.col("s.id"))' in text
    assert "make a column of numbers or strings" in check(side, SPAN, path="span")


def test_columns_that_nothing_reads_may_be_of_any_type() -> None:
    """Neither side's."""
    schema = StructType([ID, SPAN])
    arguments = make_arguments(1, "id", "id", None, None, None, "failfast")
    check_columns({"user": schema, "item": schema}, (), arguments)


def test_columns_are_told_apart_by_their_case(spark: SparkSession) -> None:
    """Spark by itself doesn't."""
    table = spark.range(1).select(F.lit(1).alias("a.b"), F.lit(2).alias("A.b"), F.lit(3).alias("c"))
    assert select_columns(table, ["c", "A.b"]).collect() == [(3, 2)]


def test_rows_may_have_nulls_in_place_of_vectors(spark: SparkSession) -> None:
    """And of structs, at any depth, none of whose fields is ever null."""
    rows = [(0, Vectors.dense([1.0])), (1, None)]
    table = spark.createDataFrame(rows, ["id", "vector"]).select(
        "vector",
        F.array("vector").alias("array"),
        F.when(F.col("id") < 1, F.struct("vector", F.lit(5).alias("n"))).alias("struct"),
        F.create_map(F.lit("key"), "vector").alias("map"),
        F.array().alias("empty"),
    )
    vector = {"type": 1, "size": None, "indices": None, "values": [1.0]}
    assert collect(table).to_pydict() == {
        "vector": [vector, None],
        "array": [[vector], [None]],
        "struct": [{"vector": vector, "n": 5}, None],
        "map": [[("key", vector)], [("key", None)]],
        "empty": [[], []],
    }

"""Users and items that are DataFrames."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from cases.contracts import N, dense
from tf2spark.binding.feeds import Column
from tf2spark.binding.request import FedInput
from tf2spark.dtypes import FLOAT32
from tf2spark.errors import SetupError
from tf2spark.graph_split.forms import SIDES
from tf2spark.recommend.arguments import RecommendArguments, make_arguments
from tf2spark.recommend.sides import SidedInput, SideFeed
from tf2spark.spark.jvm import status
from tf2spark.spark.recommend import small_catalog
from tf2spark.spark.recommend.tables import SparkTables


def arguments(item_id: str = "a.b") -> RecommendArguments:
    return make_arguments(1, "id", item_id, "seen", None, ["kept"], "failfast")


@pytest.mark.parametrize("max_items", [100, 1_000])
def test_tables_that_are_being_read_tell_what_others_do(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch, max_items: int
) -> None:
    """Whether the driver reads all items or not."""
    monkeypatch.setattr(small_catalog, "MAX_ITEMS", max_items)
    items = spark.range(300).select(F.col("id").alias("a.b"), F.lit(1).alias("c"))
    tables = SparkTables(spark.range(100), items)
    begun = tables.begin_reading((), arguments(), pack_users=False)
    assert [begun.sample(side).num_rows for side in SIDES] == [64, 64]
    assert [begun.sample(side).num_rows for side in SIDES] == [64, 64]
    assert [begun.sample(side, 80).num_rows for side in SIDES] == [80, 80]
    assert begun.schemas["item"] == pa.schema([tables.schemas["item"].field("a.b")])
    for each in (tables, begun):
        ids = each.items(["a.b"])
        assert ids.column_names == ["a.b"]
        assert sorted(ids["a.b"].to_pylist()) == np.arange(300).tolist()


@pytest.mark.parametrize(("other", "read"), [("x", ["id", "x", "x"]), ("X", ["id", "x"])])
def test_two_columns_of_a_name_stay(spark: SparkSession, other: str, read: list[str]) -> None:
    """So that the message is the one about them; others are told apart by their case."""
    items = spark.range(2).select("id", F.lit(1).alias("x"), F.lit(2).alias(other))
    fed = FedInput(dense(FLOAT32, N, N, name="in"), Column("item:x"), by_name=False)
    inputs = (SidedInput(fed, (SideFeed("item", Column("x")),)),)
    tables = SparkTables(spark.range(3), items)
    begun = tables.begin_reading(inputs, arguments("id"), pack_users=False)
    assert begun.schemas["item"].names == read
    assert begun.items(["id"])["id"].to_pylist() == [0, 1]


def test_columns_that_are_only_kept_are_not_read(spark: SparkSession) -> None:
    """They may cost a lot, and fail for some rows."""
    users = spark.range(3).withColumn("kept", F.raise_error(F.lit("no")))
    tables = SparkTables(users, spark.range(2))
    begun = tables.begin_reading((), arguments("id"), pack_users=False)
    assert begun.sample("user").to_pydict() == {"id": [0, 1, 2], "kept": [None] * 3}


def test_tables_of_a_stopped_session_are_refused(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever Spark says of them is no help."""
    monkeypatch.setattr(status, "is_stopped", lambda _: True)
    with pytest.raises(SetupError, match="was stopped; start another one"):
        SparkTables(spark.range(3), spark.range(2))


def test_users_begin_to_be_packed_before_it_is_known_what_travels(spark: SparkSession) -> None:
    """What was begun is used where it is the same, and for no other users."""
    users = spark.range(3).select(
        F.lit(1).alias("no"), F.lit(2).alias("kept"), F.array(F.lit(1.0)).alias("x"), "id",
        F.array(F.lit(5)).alias("seen"),
    )  # fmt: skip
    fed = FedInput(dense(FLOAT32, N, N, name="in"), Column("user:x"), by_name=False)
    inputs = (SidedInput(fed, (SideFeed("user", Column("x")),)),)
    items = spark.range(2)
    begun = SparkTables(users, items).begin_reading(inputs, arguments("id"), pack_users=True)
    assert begun._begun is not None
    assert begun._begun.traveling == [2, 4, 1, 3]
    expected = begun._begun.packed()
    assert begun.packed_users(users, [2, 4, 1, 3])[0] is expected[0]
    for others, columns in ((users, [2, 1]), (users.where("id > 0"), [2, 4, 1, 3])):
        table, packing = begun.packed_users(others, columns)
        assert table is not expected[0]
        assert table.count() == others.count()
        assert packing is not None

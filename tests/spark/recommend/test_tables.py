"""Users and items that are DataFrames."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from tf2spark.graph_split.forms import SIDES
from tf2spark.spark.recommend import small_catalog
from tf2spark.spark.recommend.tables import SparkTables


@pytest.mark.parametrize("max_items", [100, 1_000])
def test_tables_that_are_being_read_tell_what_others_do(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch, max_items: int
) -> None:
    """Whether the driver reads all items or not."""
    monkeypatch.setattr(small_catalog, "MAX_ITEMS", max_items)
    items = spark.range(300).select(F.col("id").alias("a.b"), F.lit(1).alias("c"))
    tables = SparkTables(spark.range(100), items)
    begun = tables.begin_reading((), "a.b")
    assert [begun.sample(side).num_rows for side in SIDES] == [64, 64]
    assert [begun.sample(side).num_rows for side in SIDES] == [64, 64]
    assert [begun.sample(side, 80).num_rows for side in SIDES] == [80, 80]
    assert begun.schemas["item"] == pa.schema([tables.schemas["item"].field("a.b")])
    for each in (tables, begun):
        ids = each.items(["a.b"])
        assert ids.column_names == ["a.b"]
        assert sorted(ids["a.b"].to_pylist()) == np.arange(300).tolist()

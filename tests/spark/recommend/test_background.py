"""Jobs beside the driver's own work."""

from __future__ import annotations

from functools import partial
from typing import Any, cast

import pytest
from pyspark.sql import SparkSession

from tf2spark.errors import ContractError
from tf2spark.spark.recommend.background import in_background
from tf2spark.spark.recommend.tables import SparkTables


def test_threads_have_the_callers_properties(spark: SparkSession) -> None:
    """The job group, pool and tags among them."""
    spark.sparkContext.setLocalProperty("tf2spark.test", "here")
    try:
        read = partial(spark.sparkContext.getLocalProperty, "tf2spark.test")
        assert in_background(spark, read)() == "here"
    finally:
        spark.sparkContext.setLocalProperty("tf2spark.test", cast(Any, None))


def test_what_fails_meanwhile_fails_where_it_is_needed(spark: SparkSession) -> None:
    """With the error that it would have had there."""
    wait = in_background(spark, lambda: SparkTables(spark.range(1), cast(Any, None)))
    with pytest.raises(ContractError, match="both must be"):
        wait()

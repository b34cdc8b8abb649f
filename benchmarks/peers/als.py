"""Spark's `ALSModel.recommendForAllUsers` on factors that are given."""

from __future__ import annotations

from pyspark.ml.recommendation import ALSModel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F


def model(users: DataFrame, items: DataFrame, width: int) -> ALSModel:
    """Make a model of two tables of vectors: `user_id` and `user`, `item_id` and `item`.

    PySpark makes one only by fitting; this is the constructor that ALS's own loader uses.
    """
    factors = [
        table.select(F.col(f"{side}_id").cast("int").alias("id"), F.col(side).alias("features"))
        for side, table in (("user", users), ("item", items))
    ]
    jvm = users.sparkSession._jvm
    assert jvm is not None
    made = jvm.org.apache.spark.ml.recommendation.ALSModel(
        "als-benchmark", width, factors[0]._jdf, factors[1]._jdf
    )
    made.setUserCol("user_id").setItemCol("item_id")
    made.set(made.getParam("blockSize"), 4096)  # ALS's own default
    return ALSModel(made)

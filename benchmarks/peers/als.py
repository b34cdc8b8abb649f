"""Spark's `ALSModel.recommendForAllUsers` on given factors."""

from __future__ import annotations

from pyspark.ml.recommendation import ALSModel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F


def model(users: DataFrame, items: DataFrame, width: int) -> ALSModel:
    """Make a model from two tables of vectors: `user_id` and `user`, `item_id` and `item`.

    PySpark can only fit models, so this calls the constructor that ALS's own loader uses.
    """
    factors = [
        table.select(F.col(f"{side}_id").cast("int").alias("id"), F.col(side).alias("features"))
        for side, table in (("user", users), ("item", items))
    ]
    jvm = users.sparkSession._jvm
    assert jvm is not None
    java_model = jvm.org.apache.spark.ml.recommendation.ALSModel(
        "als-benchmark", width, factors[0]._jdf, factors[1]._jdf
    )
    java_model.setUserCol("user_id").setItemCol("item_id")
    java_model.set(java_model.getParam("blockSize"), 4096)  # ALS's own default
    return ALSModel(java_model)

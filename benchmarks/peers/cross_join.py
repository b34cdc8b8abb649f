"""A cross join of users and items, scored by `predict_batch_udf`; a window keeps the best k."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from pyspark.ml.functions import predict_batch_udf
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.types import FloatType

from benchmarks.peers.predict_batch_udf import BATCH_ROWS

# Items are broadcast, and users keep their partitions. Unless the last setting is off, Spark 4.3.0
# can't run an Arrow UDF directly on a scan with vectors ("Unsupported data type UDT").
CONF = {
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.execution.arrow.pythonUDF.columnarInput.enabled": "false",
}


def fields_udf(path: str, fields: int) -> Any:
    """Score two array columns of `fields` ids and `fields` values."""

    def make_predict_fn() -> Callable[..., Any]:
        import tensorflow as tf

        model = tf.saved_model.load(path)
        score = model.signatures["serving_default"]

        def predict(ids: np.ndarray, values: np.ndarray) -> np.ndarray:
            feeds = {
                "feat_ids": tf.constant(ids, tf.int64),
                "feat_vals": tf.constant(values, tf.float32),
            }
            return score(**feeds)["ctr"].numpy()

        predict.model = model  # type: ignore[attr-defined] # a signature doesn't keep it alive
        return predict

    shapes: list[list[int] | None] = [[fields], [fields]]
    return predict_batch_udf(
        make_predict_fn,
        return_type=FloatType(),
        batch_size=BATCH_ROWS,
        input_tensor_shapes=shapes,
    )


def towers_udf(path: str, width: int) -> Any:
    """Score two array columns of `width` floats, which feed the inputs `user` and `item`."""

    def make_predict_fn() -> Callable[..., Any]:
        import tensorflow as tf

        model = tf.saved_model.load(path)
        score = model.signatures["serving_default"]

        def predict(user: np.ndarray, item: np.ndarray) -> np.ndarray:
            (scores,) = score(user=tf.constant(user), item=tf.constant(item)).values()
            return scores.numpy().reshape(-1)

        predict.model = model  # type: ignore[attr-defined] # a signature doesn't keep it alive
        return predict

    return predict_batch_udf(
        make_predict_fn,
        return_type=FloatType(),
        batch_size=BATCH_ROWS,
        input_tensor_shapes=[[width], [width]],
    )


def best_of_towers(users: DataFrame, items: DataFrame, udf: Any, k: int) -> DataFrame:
    """As `best_of_vectors`, with arrays: `user_id` and `user`, `item_id` and `item`."""
    pairs = users.crossJoin(F.broadcast(items))
    return _keep_best(pairs.select("user_id", "item_id", udf("user", "item").alias("score")), k)


def best_of_ids(users: DataFrame, items: DataFrame, udf: Any, k: int) -> DataFrame:
    """As `best_of_vectors`, with ids: `user_id` and `user_ids`, `item_id` and `item_ids`."""
    pairs = users.crossJoin(F.broadcast(items))
    return _keep_best(
        pairs.select("user_id", "item_id", udf(_concat_sides("ids")).alias("score")), k
    )


def best_of_vectors(users: DataFrame, items: DataFrame, udf: Any, k: int) -> DataFrame:
    """Join two tables of vectors; return rows of `user_id`, `item_id` and `score`, best first."""
    return _score_and_rank(
        _unpack(users, "user"), _unpack(items, "item"), udf, ["indices", "values"], k
    )


def _unpack(table: DataFrame, side: str) -> DataFrame:
    vector = F.unwrap_udt("features")
    return table.select(
        f"{side}_id",
        vector["indices"].alias(f"{side}_indices"),
        vector["values"].cast("array<float>").alias(f"{side}_values"),
    )


def _score_and_rank(
    users: DataFrame, items: DataFrame, udf: Any, columns: Sequence[str], k: int
) -> DataFrame:
    pairs = users.crossJoin(F.broadcast(items))
    scored = pairs.select("user_id", "item_id", udf(*map(_concat_sides, columns)).alias("score"))
    return _keep_best(scored, k)


def _keep_best(scored: DataFrame, k: int) -> DataFrame:
    order = Window.partitionBy("user_id").orderBy(F.desc("score"), "item_id")
    ranked = scored.withColumn("rank", F.row_number().over(order))
    return ranked.where(F.col("rank") <= k).drop("rank")


def _concat_sides(column: str) -> Column:
    return F.concat(f"user_{column}", f"item_{column}")

"""Every pair by a cross join, scored by `predict_batch_udf`, and a window that keeps the best k."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from pyspark.ml.functions import predict_batch_udf
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.types import FloatType

from benchmarks.peers.predict_batch_udf import BATCH_ROWS

# The items are broadcast and the users' partitions stay as they are. Spark 4.3.0 can't run an Arrow
# UDF straight on a scan that holds vectors ("Unsupported data type UDT") unless the last is off.
CONF = {
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.execution.arrow.pythonUDF.columnarInput.enabled": "false",
}


def fields_udf(path: str, fields: int) -> Any:
    """Score two array columns, `fields` ids and as many values."""

    def make_predict_fn() -> Callable[..., Any]:
        import tensorflow as tf

        model = tf.saved_model.load(path)
        score = model.signatures["serving_default"]

        def predict(ids: np.ndarray, values: np.ndarray) -> np.ndarray:
            fed = {
                "feat_ids": tf.constant(ids, tf.int64),
                "feat_vals": tf.constant(values, tf.float32),
            }
            return score(**fed)["ctr"].numpy()

        predict.model = model  # type: ignore[attr-defined] # a signature alone doesn't keep it
        return predict

    shapes: list[list[int] | None] = [[fields], [fields]]
    return predict_batch_udf(
        make_predict_fn,
        return_type=FloatType(),
        batch_size=BATCH_ROWS,
        input_tensor_shapes=shapes,
    )


def towers_udf(path: str, width: int) -> Any:
    """Score two array columns of `width` floats by the inputs `user` and `item`."""

    def make_predict_fn() -> Callable[..., Any]:
        import tensorflow as tf

        model = tf.saved_model.load(path)
        score = model.signatures["serving_default"]

        def predict(user: np.ndarray, item: np.ndarray) -> np.ndarray:
            (found,) = score(user=tf.constant(user), item=tf.constant(item)).values()
            return found.numpy().reshape(-1)

        predict.model = model  # type: ignore[attr-defined] # a signature alone doesn't keep it
        return predict

    return predict_batch_udf(
        make_predict_fn,
        return_type=FloatType(),
        batch_size=BATCH_ROWS,
        input_tensor_shapes=[[width], [width]],
    )


def best_of_towers(users: DataFrame, items: DataFrame, udf: Any, k: int) -> DataFrame:
    """Cross two tables of `user_id` and `user`, `item_id` and `item`, as `best_of_vectors`."""
    pairs = users.crossJoin(F.broadcast(items))
    return _ranked(pairs.select("user_id", "item_id", udf("user", "item").alias("score")), k)


def best_of_ids(users: DataFrame, items: DataFrame, udf: Any, k: int) -> DataFrame:
    """Cross two tables of ids: `user_id` and `user_ids`, `item_id` and `item_ids`."""
    pairs = users.crossJoin(F.broadcast(items))
    return _ranked(pairs.select("user_id", "item_id", udf(_side_by_side("ids")).alias("score")), k)


def best_of_vectors(users: DataFrame, items: DataFrame, udf: Any, k: int) -> DataFrame:
    """Cross two tables of vectors; return rows of `user_id`, `item_id` and `score`, best first."""
    return _best(_opened(users, "user"), _opened(items, "item"), udf, ["indices", "values"], k)


def _opened(table: DataFrame, side: str) -> DataFrame:
    vector = F.unwrap_udt("features")
    return table.select(
        f"{side}_id",
        vector["indices"].alias(f"{side}_indices"),
        vector["values"].cast("array<float>").alias(f"{side}_values"),
    )


def _best(
    users: DataFrame, items: DataFrame, udf: Any, columns: Sequence[str], k: int
) -> DataFrame:
    pairs = users.crossJoin(F.broadcast(items))
    scored = pairs.select("user_id", "item_id", udf(*map(_side_by_side, columns)).alias("score"))
    return _ranked(scored, k)


def _ranked(scored: DataFrame, k: int) -> DataFrame:
    order = Window.partitionBy("user_id").orderBy(F.desc("score"), "item_id")
    ranked = scored.withColumn("rank", F.row_number().over(order))
    return ranked.where(F.col("rank") <= k).drop("rank")


def _side_by_side(column: str) -> Column:
    return F.concat(f"user_{column}", f"item_{column}")

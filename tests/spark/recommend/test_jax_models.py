"""Models of JAX on Spark; nothing here has JAX."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf
from pyspark.sql import SparkSession

import tf2spark
from cases.jax_modules import HISTORY, save_attention


def test_the_best_items_are_those_of_the_whole_module(spark: SparkSession, tmp_path: Path) -> None:
    """Users are in several partitions, and every pair is compared with XLA's score."""
    serve = save_attention(tmp_path)
    rng = np.random.default_rng(2)
    histories = rng.integers(0, 300, (7, HISTORY)).astype(np.int32)
    items = rng.permutation(300)[:40].astype(np.int32)
    model = tf2spark.SavedModel(str(tmp_path))
    tables = (
        spark.createDataFrame(
            list(enumerate(histories.tolist())), "user int, history array<int>"
        ).repartition(3),
        spark.createDataFrame([(int(item),) for item in items], "item int"),
    )
    assert model.plan(*tables, user_id="user", item_id="item").why_whole is None
    recommended = model.recommend(*tables, len(items), user_id="user", item_id="item")
    best = recommended.collect()
    assert sorted(row.user for row in best) == list(range(len(histories)))
    for row in best:
        history = np.repeat(histories[row.user : row.user + 1], len(items), 0)
        scores = serve(tf.constant(history), tf.constant(items))["score"].numpy()
        got = {entry.item: entry.score for entry in row.recommendations}
        assert list(got.values()) == sorted(got.values(), reverse=True)
        np.testing.assert_allclose([got[item] for item in items], scores, rtol=1e-4, atol=1e-6)

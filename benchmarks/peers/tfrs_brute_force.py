"""tensorflow-recommenders' `BruteForce` layer on vectors that are given: one process, no Spark.

It needs Keras 2, which its package asks TensorFlow for.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from benchmarks.peers.vectors import Recommender, read_vectors
from benchmarks.served import serve

os.environ["TF_USE_LEGACY_KERAS"] = "1"

# Of 128 to 4,096 users a call, tried: larger ones make a matrix of scores that leaves the cache.
USERS = 512


class BruteForce(Recommender):
    """Recommend to a whole table of users."""

    def recommended(self) -> tuple[Any, Any, Any]:
        import tensorflow as tf
        import tensorflow_recommenders as tfrs

        item_ids, item_vectors = read_vectors(self.items, "item")
        user_ids, user_vectors = read_vectors(self.users, "user")
        layer = tfrs.layers.factorized_top_k.BruteForce(k=self.k)
        layer.index(tf.constant(item_vectors), tf.constant(item_ids))
        best = tf.function(layer)
        found = []
        for start in range(0, len(user_ids), USERS):
            scores, ids = best(tf.constant(user_vectors[start : start + USERS]))
            found.append((ids.numpy(), scores.numpy()))
        ids, scores = (np.concatenate(each) for each in zip(*found, strict=True))
        return user_ids, ids, scores


if __name__ == "__main__":
    serve(BruteForce)

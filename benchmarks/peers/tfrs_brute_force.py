"""tensorflow-recommenders' `BruteForce` layer on given vectors: one process, no Spark.

It needs Keras 2, which TensorFlow uses if an environment variable says so.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from benchmarks.peer_server import serve
from benchmarks.peers.vectors import RecommenderJob, read_vectors

os.environ["TF_USE_LEGACY_KERAS"] = "1"

# The best of 128 to 4,096 users per call; with more, the matrix of scores no longer fits the cache.
BATCH_USERS = 512


class BruteForce(RecommenderJob):
    """Recommend to a whole table of users."""

    def recommend(self) -> tuple[Any, Any, Any]:
        import tensorflow as tf
        import tensorflow_recommenders as tfrs

        item_ids, item_vectors = read_vectors(self.items, "item")
        user_ids, user_vectors = read_vectors(self.users, "user")
        layer = tfrs.layers.factorized_top_k.BruteForce(k=self.k)
        layer.index(tf.constant(item_vectors), tf.constant(item_ids))
        best = tf.function(layer)
        batches = []
        for start in range(0, len(user_ids), BATCH_USERS):
            scores, ids = best(tf.constant(user_vectors[start : start + BATCH_USERS]))
            batches.append((ids.numpy(), scores.numpy()))
        ids, scores = (np.concatenate(parts) for parts in zip(*batches, strict=True))
        return user_ids, ids, scores


if __name__ == "__main__":
    serve(BruteForce)

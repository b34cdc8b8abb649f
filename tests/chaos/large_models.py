"""A model with a large variable, of random numbers."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf


def write_large_model(path: Path, mebibytes: int, column: str) -> Path:
    """Write a model that adds up the rows of a column, and has a variable of this size."""
    module = tf.Module()
    module.weights = tf.Variable(tf.random.stateless_uniform([mebibytes << 18], seed=[1, 2]))
    spec = tf.TensorSpec([None, None], tf.float32, name=column)
    module.score = tf.function(
        lambda rows: {"sum": tf.reduce_sum(rows, axis=1) + 0 * module.weights[0]},
        input_signature=[spec],
    )
    tf.saved_model.save(module, str(path), signatures=module.score)
    return path

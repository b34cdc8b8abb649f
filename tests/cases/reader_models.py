"""The SavedModels of the reader's tests: composite inputs, a vocabulary, a TF1 graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf

tf1 = tf.compat.v1


class Composites(tf.Module):
    """Functions of sparse, ragged and dense inputs."""

    @tf.function(
        input_signature=[
            tf.SparseTensorSpec([None, 5], tf.float32),
            tf.TensorSpec([None, 2], tf.float32),
            tf.RaggedTensorSpec([None, None], tf.int64, ragged_rank=1),
            tf.RaggedTensorSpec(
                [None, None, None], tf.float32, ragged_rank=2, row_splits_dtype=tf.int32
            ),
        ]
    )
    def mixed(self, x: Any, d: Any, r: Any, r2: Any) -> Any:
        """Weigh every part differently, so that swapped tensors change the result."""
        total = tf.sparse.reduce_sum(x * tf.range(1.0, 6.0), 1) + 100 * tf.reduce_sum(d, 1)
        total += 1000 * tf.cast(tf.reduce_sum(r, 1), tf.float32)
        total += 10_000 * tf.reduce_sum(tf.reduce_max(r2, 2), 1)
        return {"total": total, "ragged": r * 2, "sparse": x}

    @tf.function(
        input_signature=[
            {
                "b": tf.SparseTensorSpec([None, None], tf.string),
                "a": tf.TensorSpec([None], tf.int32),
                "c": (
                    tf.TensorSpec([], tf.float32),
                    tf.RaggedTensorSpec([None, None, 3], tf.float32, ragged_rank=1),
                ),
            }
        ]
    )
    def nested(self, features: Any) -> Any:
        """Take a dict with a tuple in it."""
        return tf.sparse.to_dense(features["b"])

    @tf.function(
        input_signature=[
            tf.SparseTensorSpec([None, 5], tf.float32),
            tf.SparseTensorSpec([None, 5], tf.float32),
        ]
    )
    def clash(self, x: Any, x_1: Any) -> Any:
        """Have an argument whose name is also that of another's part."""
        return tf.sparse.reduce_sum(x, 1) - 2 * tf.sparse.reduce_sum(x_1, 1)


class Vocabulary(tf.Module):
    """A table that fills itself from an asset."""

    def __init__(self, path: Path):
        super().__init__()
        index = tf.lookup.TextFileIndex
        self.table = tf.lookup.StaticHashTable(
            tf.lookup.TextFileInitializer(
                str(path), tf.string, index.WHOLE_LINE, tf.int64, index.LINE_NUMBER
            ),
            -1,
        )

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "word")])
    def look_up(self, word: Any) -> Any:
        """Return the word's number."""
        return {"number": self.table.lookup(word)}


def save_tf1(path: Path, vocabulary: Path) -> None:
    """Save a TF1 graph: variable, keep_prob, a sparse placeholder, a table with its file."""
    with tf.Graph().as_default(), tf1.Session() as session:
        x = tf1.placeholder(tf.float32, [None, 3], name="x")
        keep_prob = tf1.placeholder_with_default(1.0, [], name="keep_prob")
        w = tf1.get_variable("w", [3, 1], use_resource=False)
        y = tf.identity(tf1.nn.dropout(tf.matmul(x, w), rate=1 - keep_prob), name="y")
        sparse = tf1.sparse_placeholder(tf.float32, [None, 7], name="sp")
        z = tf.sparse.reduce_sum(sparse, 1, name="z")
        word = tf1.placeholder(tf.string, [None], name="word")
        number = Vocabulary(vocabulary).table.lookup(word)
        session.run([tf1.global_variables_initializer(), tf1.tables_initializer()])
        builder = tf1.saved_model.Builder(str(path))
        define = tf1.saved_model.predict_signature_def
        builder.add_meta_graph_and_variables(
            session,
            ["serve"],
            {
                "serving_default": define({"x": x, "sp": sparse, "word": word}, {"y": y, "z": z}),
                "look_up": define({"word": word}, {"number": number}),
            },
            assets_collection=tf1.get_collection(tf1.GraphKeys.ASSET_FILEPATHS),
            main_op=tf1.tables_initializer(),
        )
        builder.add_meta_graph(["serve", "gpu"], {"other": define({"x": x}, {"y": y})})
        builder.save()

"""DeepFM as TF1 programs wrote it: the seed shape, and DeepCTR's with an input a field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from cases.models.saving import graph_session, save_graph
from cases.recommenders.case import Case
from cases.recommenders.deepfm import (
    BETWEEN,
    CUT_ITEMS,
    FACTORS,
    FIELDS,
    FM,
    IN_ORDER,
    ITEMS,
    SIZE,
    USERS,
    feed_of,
    feeds_of,
)
from cases.recommenders.tables import by_side, items_of, measures, numbers, users_of

tf1 = tf.compat.v1


def weights(name: str, shape: list[int], scale: float) -> Any:
    initializer = tf1.random_normal_initializer(stddev=scale)
    return tf1.get_variable(name, shape, initializer=initializer, use_resource=False)


def tensordot_layer(x: Any, width: int, units: int, name: str) -> Any:
    """Build a dense layer as DeepCTR does: by tensordot, which adds shape arithmetic."""
    with tf1.variable_scope(name):
        kernel = weights("kernel", [width, units], width**-0.5)
        bias = weights("bias", [units], 0.2)
        return tf.nn.bias_add(tf.tensordot(x, kernel, axes=(-1, 0)), bias)


def make_deepfm_tf1(path: Path) -> None:
    """Take feat_ids and feat_vals, reshaped as if their width weren't known."""
    with graph_session() as session:
        feat_ids = tf1.placeholder(tf.int64, [None, None], "feat_ids")
        feat_vals = tf1.placeholder(tf.float32, [None, None], "feat_vals")
        ids = tf.reshape(feat_ids, [-1, FIELDS])
        values = tf.reshape(feat_vals, [-1, FIELDS])
        first = tf.nn.embedding_lookup(weights("fm_w", [SIZE], 0.2), ids)
        linear = tf.reduce_sum(tf.multiply(first, values), 1)
        vectors = tf.nn.embedding_lookup(weights("fm_v", [SIZE, FACTORS], 0.25), ids)
        vectors = tf.multiply(vectors, tf.reshape(values, [-1, FIELDS, 1]))
        square_of_sum = tf.square(tf.reduce_sum(vectors, 1))
        sum_of_squares = tf.reduce_sum(tf.square(vectors), 1)
        pairwise = 0.5 * tf.reduce_sum(tf.subtract(square_of_sum, sum_of_squares), 1)
        x = tf.reshape(vectors, [-1, FIELDS * FACTORS])
        x = tf.nn.relu(tensordot_layer(x, FIELDS * FACTORS, 24, "deep0"))
        x = tf.nn.relu(tensordot_layer(x, 24, 12, "deep1"))
        deep = tf.reshape(tensordot_layer(x, 12, 1, "deep_out"), [-1])
        bias = weights("fm_bias", [1], 0.2) * tf.ones_like(deep, dtype=tf.float32)
        prob = tf.sigmoid(bias + linear + pairwise + deep)
        save_graph(session, path, {"feat_ids": feat_ids, "feat_vals": feat_vals}, {"prob": prob})


USER_COLUMNS = {"gender": 3, "city": 40}
ITEM_COLUMNS = {"film": 300, "genre": 20}
WIDTHS = {**USER_COLUMNS, **ITEM_COLUMNS}


def make_deepctr(path: Path) -> None:
    """Save an int32 ``[None, 1]`` input per field and one of numbers, joined as DeepCTR does."""
    with graph_session() as session:
        sparse = {name: tf1.placeholder(tf.int32, [None, 1], name) for name in WIDTHS}
        rating = tf1.placeholder(tf.float32, [None, 1], "rating")
        first, vectors = [], []
        for name, size in WIDTHS.items():
            with tf1.variable_scope(f"sparse_emb_{name}"):
                vectors.append(
                    tf.nn.embedding_lookup(
                        weights("embeddings", [size, FACTORS], 0.3), sparse[name]
                    )
                )
                first.append(
                    tf.nn.embedding_lookup(weights("linear", [size, 1], 0.3), sparse[name])
                )
        linear = tf.reduce_sum(tf.concat(first, axis=-1), axis=-1, keepdims=False)
        linear += tf.tensordot(rating, weights("linear_dense", [1, 1], 0.5), axes=(-1, 0))
        logit = linear + _fm(vectors) + _deep(vectors, rating)
        prob = tf.reshape(tf.sigmoid(logit + weights("global_bias", [1], 0.2)), (-1, 1))
        save_graph(session, path, {**sparse, "rating": rating}, {"pred": prob})


def _fm(vectors: list[Any]) -> Any:
    joined = tf.concat(vectors, axis=1)
    square_of_sum = tf.square(tf.reduce_sum(joined, axis=1, keepdims=True))
    sum_of_squares = tf.reduce_sum(joined * joined, axis=1, keepdims=True)
    return 0.5 * tf.reduce_sum(square_of_sum - sum_of_squares, axis=2, keepdims=False)


def _deep(vectors: list[Any], numbers: Any) -> Any:
    width = len(vectors) * FACTORS
    joined = tf.concat(vectors, axis=-1)
    # What tf.keras.layers.Flatten was in a graph: the batch from Shape, the rest by -1.
    flat = tf.reshape(joined, tf.stack([tf.shape(joined)[0], -1]))
    flat.set_shape([None, width])
    x = tf.concat([flat, numbers], axis=-1)
    x = tf.nn.relu(tensordot_layer(x, width + 1, 24, "dnn0"))
    x = tf.nn.relu(tensordot_layer(x, 24, 12, "dnn1"))
    return tf.tensordot(x, weights("dnn_out", [12, 1], 0.3), axes=(-1, 0))


CASES = [
    Case(
        "deepfm_tf1",
        make_deepfm_tf1,
        USERS,
        ITEMS,
        feeds_of(*IN_ORDER),
        feed_of(*IN_ORDER),
        splits=(*FM, "first dense layer"),
    ),
    Case(
        "deepfm_tf1_interleaved",
        make_deepfm_tf1,
        USERS,
        CUT_ITEMS,
        feeds_of(*BETWEEN),
        feed_of(*BETWEEN),
        splits=(*FM, "first dense layer"),
    ),
    Case(
        "deepctr",
        make_deepctr,
        users_of(gender=numbers(high=3, seed=51), city=numbers(high=40, seed=52)),
        items_of(
            film=numbers(high=300, seed=53),
            genre=numbers(high=20, seed=54),
            rating=measures(seed=55),
        ),
        by_side(
            dict.fromkeys(USER_COLUMNS, np.int32),
            {**dict.fromkeys(ITEM_COLUMNS, np.int32), "rating": np.float32},
            upright=(*WIDTHS, "rating"),
        ),
        splits=(*FM, "first dense layer"),
    ),
]

"""TF1 networks with dropout by a fed keep_prob, with a signature and without."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from cases.models.saving import graph_session, save_graph
from cases.recommenders.case import Case
from cases.recommenders.deepfm_tf1 import tensordot_layer, weights
from cases.recommenders.tables import (
    ROWS,
    by_side,
    items_of,
    joined,
    measures,
    members,
    users_of,
)

tf1 = tf.compat.v1
FACTORS = 6
Dropout = Callable[[Any, Any], Any]


def by_op(x: Any, keep_prob: Any) -> Any:
    return tf1.nn.dropout(x, keep_prob=keep_prob, seed=1)


def by_hand(x: Any, keep_prob: Any) -> Any:
    """Drop as TF1 itself did before 1.14, which old exports have in their graphs."""
    kept = tf.floor(tf1.random_uniform(tf.shape(x), seed=2) + keep_prob)
    return tf1.div(x, keep_prob) * kept


def network(dropout: Dropout) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the inputs and outputs of an MLP with dropout after the concat and in each layer."""
    user = tf1.placeholder(tf.int32, [None], "user")
    item = tf1.placeholder(tf.int32, [None], "item")
    tags = tf1.placeholder(tf.float32, [None, 4], "tags")
    keep_prob = tf1.placeholder(tf.float32, [], "keep_prob")
    embedded = [
        tf.nn.embedding_lookup(weights(name, [ROWS, FACTORS], 0.6), ids)
        for name, ids in (("user_emb", user), ("item_emb", item))
    ]
    x = dropout(tf.concat([*embedded, tags], axis=1), keep_prob)
    for i, (width, units) in enumerate(((2 * FACTORS + 4, 20), (20, 10))):
        x = dropout(tf.nn.relu(tensordot_layer(x, width, units, f"fc{i}")), keep_prob)
    prob = tf.sigmoid(tensordot_layer(x, 10, 1, "out"), name="prob")
    return {"user": user, "item": item, "tags": tags, "keep_prob": keep_prob}, {"prob": prob}


def make_dropout(path: Path) -> None:
    with graph_session() as session:
        save_graph(session, path, *network(by_op))


def make_dropout_by_hand(path: Path) -> None:
    with graph_session() as session:
        save_graph(session, path, *network(by_hand))


def make_raw(path: Path) -> None:
    """Save a network without a signature, whose one joined input has only a tensor name."""
    with graph_session() as session:
        x = tf1.placeholder(tf.float32, [None, 9], "x")
        keep_prob = tf1.placeholder(tf.float32, name="keep_prob")
        hidden = tf.nn.elu(by_op(tensordot_layer(x, 9, 16, "fc"), keep_prob))
        tf.nn.softmax(tensordot_layer(hidden, 16, 2, "out"), name="prob")
        save_graph(session, path)


USERS = users_of(user=members(seed=111), tastes=measures(5, seed=112))
ITEMS = items_of(item=members(seed=113), tags=measures(4, seed=114))
FEEDS = by_side(
    {"user": np.int32}, {"item": np.int32, "tags": np.float32}, keep_prob=np.array(1, np.float32)
)
RAW_FEEDS = joined(
    "x:0", ("user", "tastes"), ("item", "tags"), **{"keep_prob:0": np.array(1, np.float32)}
)
CASES = [
    *(
        Case(
            name,
            make,
            USERS,
            ITEMS,
            FEEDS,
            feed={"keep_prob": 1.0},
            splits=("embeddings", "dropout", "first dense layer"),
        )
        for name, make in (("dropout", make_dropout), ("dropout_by_hand", make_dropout_by_hand))
    ),
    Case(
        "raw_names",
        make_raw,
        USERS,
        ITEMS,
        RAW_FEEDS,
        feed={"x:0": ["user:tastes", "item:tags"], "keep_prob:0": 1.0},
        score="prob:0[1]",
        splits=("first dense layer",),
    ),
]

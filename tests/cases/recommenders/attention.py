"""Attention: DIN over a user's history, as TF1 wrote it and in Keras; AutoInt over the fields."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from cases.models.saving import graph_session, save_graph
from cases.recommenders.case import Case
from cases.recommenders.deepfm_tf1 import weights
from cases.recommenders.keras_parts import dense, embedding, export
from cases.recommenders.tables import (
    ROWS,
    by_side,
    histories,
    items_of,
    measures,
    members,
    numbers,
    users_of,
)

layers, ops = keras.layers, keras.ops
tf1 = tf.compat.v1
FACTORS, STEPS = 6, 5


def make_din_tf1(path: Path) -> None:
    """Attend as DIN's authors did: tile and reshape the item, mask by where, softmax, matmul."""
    with graph_session() as session:
        history = tf1.placeholder(tf.int64, [None, None], "history")
        item = tf1.placeholder(tf.int64, [None], "item")
        city = tf1.placeholder(tf.int64, [None], "city")
        table = weights("item_emb", [ROWS, FACTORS], 0.6)
        keys, target = tf.gather(table, history), tf.gather(table, item)
        taste = _attended(target, keys, tf.not_equal(history, 0))
        user = tf.gather(weights("city_emb", [30, 4], 0.5), city)
        x = tf.concat([user, taste, target, taste * target], axis=-1)
        x = tf.nn.relu(_layer(x, 4 + 3 * FACTORS, 16, "f1"))
        logit = tf.reshape(_layer(x, 16, 1, "f2"), [-1])
        bias = tf.gather(weights("item_bias", [ROWS], 0.3), item)
        inputs = {"history": history, "item": item, "city": city}
        save_graph(session, path, inputs, {"prob": tf.sigmoid(logit + bias)})


def _attended(target: Any, keys: Any, mask: Any) -> Any:
    """Return the sum [B, K] of a history [B, T, K], weighted by similarity to the item [B, K]."""
    queries = tf.tile(target, [1, tf.shape(keys)[1]])
    queries = tf.reshape(queries, [-1, tf.shape(keys)[1], FACTORS])
    both = tf.concat([queries, keys, queries - keys, queries * keys], axis=-1)
    hidden = tf.nn.sigmoid(_layer(both, 4 * FACTORS, 10, "att1"))
    scores = tf.reshape(_layer(hidden, 10, 1, "att2"), [-1, 1, tf.shape(keys)[1]])
    masked = tf.where(mask[:, None, :], scores, tf.ones_like(scores) * (-(2.0**32) + 1))
    return tf.reshape(tf.matmul(tf.nn.softmax(masked / FACTORS**0.5), keys), [-1, FACTORS])


def _layer(x: Any, width: int, units: int, name: str) -> Any:
    with tf1.variable_scope(name):
        kernel = weights("kernel", [width, units], 1.5 * width**-0.5)
        return tf.nn.bias_add(tf.tensordot(x, kernel, axes=(-1, 0)), weights("bias", [units], 0.2))


def make_din_keras(path: Path) -> None:
    keras.utils.set_random_seed(61)
    history = layers.Input((STEPS,), dtype="int64", name="history")
    item = layers.Input((), dtype="int64", name="item")
    shared = embedding(ROWS, FACTORS, scale=0.7)
    h, target = shared(history), shared(item)
    t = layers.RepeatVector(STEPS)(target)
    hidden = dense(10, "sigmoid")(layers.Concatenate()([h, t, h - t, h * t]))
    scores = ops.squeeze(dense(1)(hidden), axis=2)
    weight = ops.softmax(ops.where(history > 0, 2 * scores, -1e9), axis=1)
    taste = ops.sum(ops.expand_dims(weight, 2) * h, axis=1)
    x = dense(16, "relu")(layers.Concatenate()([taste, target]))
    export(path, [history, item], dense(1, "sigmoid")(dense(8, "relu")(x)))


def make_pooled(path: Path) -> None:
    """Average the history's embeddings, padding left out: a tower, so that a product is left."""
    keras.utils.set_random_seed(62)
    history = layers.Input((STEPS,), dtype="int64", name="history")
    item = layers.Input((), dtype="int64", name="item")
    shared = embedding(ROWS, FACTORS, scale=0.7)
    mask = ops.cast(ops.expand_dims(ops.not_equal(history, 0), 2), "float32")
    taste = ops.sum(shared(history) * mask, axis=1) / ops.sum(mask, axis=1)
    user = dense(FACTORS)(dense(16, "relu")(taste))
    export(path, [history, item], ops.sum(user * shared(item), axis=1))


def make_autoint(path: Path) -> None:
    """Let the fields of both sides attend to each other."""
    keras.utils.set_random_seed(63)
    names = ("user", "city", "item", "genre")
    inputs = [layers.Input((), dtype="int64", name=name) for name in names]
    fields = ops.stack([embedding(ROWS, 8, scale=0.7)(x) for x in inputs], axis=1)
    for _ in range(2):
        attended = layers.MultiHeadAttention(2, 4)(fields, fields)
        fields = ops.relu(attended + dense(8)(fields))
    export(path, inputs, dense(1, "sigmoid")(layers.Flatten()(fields)))


def make_self_attention(path: Path) -> None:
    """Let the steps of a history attend to each other, which involves only the user."""
    keras.utils.set_random_seed(64)
    history = layers.Input((STEPS,), dtype="int64", name="history")
    item = layers.Input((), dtype="int64", name="item")
    shared = embedding(ROWS, 8, scale=0.7)
    seen = shared(history)
    mask = ops.expand_dims(ops.not_equal(history, 0), 1)
    seen = layers.LayerNormalization()(
        seen + layers.MultiHeadAttention(2, 4)(seen, seen, attention_mask=mask)
    )
    taste = dense(8)(seen[:, 0, :])
    export(path, [history, item], layers.Dot(axes=1)([taste, shared(item)]))


HISTORY = histories(STEPS, high=ROWS, seed=101)
USERS = users_of(history=HISTORY, city=numbers(high=30, seed=103))
FIELD_USERS = users_of(
    user=members(seed=104), city=numbers(high=ROWS, seed=105), income=measures(seed=106)
)
ITEMS = items_of(item=members(seed=107), genre=numbers(high=20, seed=108))
HISTORY_FEEDS = by_side({"history": np.int64}, {"item": np.int64})
CASES = [
    Case(
        "din_tf1",
        make_din_tf1,
        USERS,
        ITEMS,
        by_side({"history": np.int64, "city": np.int64}, {"item": np.int64}),
        splits=("embeddings", "user's and item's parts of the attention's first layer"),
    ),
    Case(
        "din_keras",
        make_din_keras,
        USERS,
        ITEMS,
        HISTORY_FEEDS,
        splits=("embeddings", "user's and item's parts of the attention's first layer"),
    ),
    Case("pooled", make_pooled, USERS, ITEMS, HISTORY_FEEDS, splits=("all but the product",)),
    Case(
        "autoint",
        make_autoint,
        FIELD_USERS,
        ITEMS,
        by_side(
            dict.fromkeys(("user", "city"), np.int64), dict.fromkeys(("item", "genre"), np.int64)
        ),
        splits=("embeddings",),
    ),
    Case(
        "self_attention",
        make_self_attention,
        USERS,
        ITEMS,
        HISTORY_FEEDS,
        splits=("all but the product",),
    ),
]

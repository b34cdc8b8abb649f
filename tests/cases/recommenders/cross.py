"""Deep & Cross: v1 by TF2 and as DeepCTR wrote it for TF1, v2 by Keras."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from cases.models.saving import graph_session, save_function, save_graph
from cases.recommenders.case import Case
from cases.recommenders.deepfm import variable
from cases.recommenders.deepfm_tf1 import tensordot_layer, weights
from cases.recommenders.keras_parts import dense, embedding, export
from cases.recommenders.tables import ROWS, by_side, items_of, measures, members, users_of

layers = keras.layers
tf1 = tf.compat.v1
Spec = tf.TensorSpec
FACTORS, TASTES, TAGS = 5, 3, 4
WIDTH = 2 * FACTORS + TASTES + TAGS


def make_dcn_v1(path: Path) -> None:
    """Cross by ``x0 * (x w) + b + x``, beside a deep part."""
    kept = {name: variable(ROWS, FACTORS, seed=i, scale=0.5) for i, name in enumerate("uv")}
    for i in range(3):
        kept[f"cross_w{i}"] = variable(WIDTH, 1, seed=40 + i, scale=0.2)
        kept[f"cross_b{i}"] = variable(WIDTH, seed=50 + i, scale=0.1)
    kept["deep_w"], kept["deep_b"] = (
        variable(WIDTH, 16, seed=60, scale=0.3),
        variable(16, seed=61, scale=0.2),
    )
    kept["top"] = variable(WIDTH + 16, 1, seed=62, scale=0.2)

    def call(user: Any, tastes: Any, item: Any, tags: Any) -> Any:
        embedded = tf.gather(kept["u"], user), tf.gather(kept["v"], item)
        x0 = x = tf.concat([embedded[0], tastes, embedded[1], tags], axis=1)
        for i in range(3):
            x = x0 * tf.matmul(x, kept[f"cross_w{i}"]) + kept[f"cross_b{i}"] + x
        deep = tf.nn.relu(tf.matmul(x0, kept["deep_w"]) + kept["deep_b"])
        return {"ctr": tf.sigmoid(0.7 * tf.matmul(tf.concat([x, deep], axis=1), kept["top"]))}

    specs = [
        Spec([None], tf.int64, "user"),
        Spec([None, TASTES], tf.float32, "tastes"),
        Spec([None], tf.int64, "item"),
        Spec([None, TAGS], tf.float32, "tags"),
    ]
    save_function(path, call, *specs, keep=kept)


def make_dcn_v1_tf1(path: Path) -> None:
    """Cross on ``[B, D, 1]`` by tensordot and matmul, as DeepCTR does."""
    with graph_session() as session:
        inputs = _placeholders()
        user, tastes, item, tags = inputs.values()
        embedded = [
            tf.nn.embedding_lookup(weights(name, [ROWS, FACTORS], 0.5), ids)
            for name, ids in (("user_emb", user), ("item_emb", item))
        ]
        x = tf.concat([embedded[0], tastes, embedded[1], tags], axis=-1)
        x0 = crossed = tf.expand_dims(x, axis=2)
        for i in range(2):
            kernel, bias = weights(f"w{i}", [WIDTH, 1], 0.2), weights(f"b{i}", [WIDTH, 1], 0.1)
            dot = tf.matmul(x0, tf.tensordot(crossed, kernel, axes=(1, 0)))
            crossed = dot + bias + crossed
        crossed = tf.squeeze(crossed, axis=2)
        deep = tf.nn.relu(tensordot_layer(x, WIDTH, 16, "deep"))
        logit = tensordot_layer(tf.concat([crossed, deep], axis=-1), WIDTH + 16, 1, "top")
        save_graph(session, path, inputs, {"pred": tf.sigmoid(0.25 * logit - 0.5)})


def _placeholders() -> dict[str, Any]:
    return {
        "user": tf1.placeholder(tf.int64, [None], "user"),
        "tastes": tf1.placeholder(tf.float32, [None, TASTES], "tastes"),
        "item": tf1.placeholder(tf.int64, [None], "item"),
        "tags": tf1.placeholder(tf.float32, [None, TAGS], "tags"),
    }


def make_dcn_v2(path: Path) -> None:
    """Cross by ``x0 * (W x + b) + x``, stacked below a deep part."""
    keras.utils.set_random_seed(41)
    user, item = (layers.Input((), dtype="int64", name=name) for name in ("user", "item"))
    tastes, tags = layers.Input((TASTES,), name="tastes"), layers.Input((TAGS,), name="tags")
    parts = [embedding(ROWS, FACTORS)(user), tastes, embedding(ROWS, FACTORS)(item), tags]
    x0 = x = layers.Concatenate()(parts)
    for _ in range(2):
        x = layers.Add()([layers.Multiply()([x0, dense(WIDTH)(x)]), x])
    export(path, [user, tastes, item, tags], dense(1, "sigmoid")(dense(16, "relu")(x)))


def make_dcn_v2_low_rank(path: Path) -> None:
    """Cross by ``x0 * (U (V x) + b) + x``, with the deep part beside it."""
    keras.utils.set_random_seed(42)
    user, item = (layers.Input((), dtype="int64", name=name) for name in ("user", "item"))
    tastes, tags = layers.Input((TASTES,), name="tastes"), layers.Input((TAGS,), name="tags")
    parts = [embedding(ROWS, FACTORS)(user), tastes, embedding(ROWS, FACTORS)(item), tags]
    x0 = x = layers.Concatenate()(parts)
    for _ in range(2):
        x = x0 * dense(WIDTH)(layers.Dense(3, use_bias=False)(x)) + x
    both = layers.Concatenate()([x, dense(16, "relu")(x0)])
    logit = 0.3 * dense(1)(both)
    export(path, [user, tastes, item, tags], layers.Activation("sigmoid")(logit))


USERS = users_of(user=members(seed=81), tastes=measures(TASTES, seed=82))
ITEMS = items_of(item=members(seed=83), tags=measures(TAGS, seed=84))
FEEDS = by_side({"user": np.int64, "tastes": np.float32}, {"item": np.int64, "tags": np.float32})
CASES = [
    Case(name, make, USERS, ITEMS, FEEDS, splits=splits)
    for name, make, splits in (
        ("dcn_v1", make_dcn_v1, ("embeddings", "first dense layer", "first cross weight")),
        ("dcn_v1_tf1", make_dcn_v1_tf1, ("embeddings", "first dense layer", "first cross weight")),
        ("dcn_v2", make_dcn_v2, ("embeddings", "first cross weight")),
        (
            "dcn_v2_low_rank",
            make_dcn_v2_low_rank,
            ("embeddings", "first dense layer", "first cross weight"),
        ),
    )
]

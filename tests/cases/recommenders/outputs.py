"""Several outputs, an entry of an output's rows, doubles, a second signature."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from cases.models.saving import save_function, save_module
from cases.recommenders.case import Case
from cases.recommenders.deepfm import variable
from cases.recommenders.keras_parts import dense, embedding, export
from cases.recommenders.tables import ROWS, by_side, items_of, measures, members, users_of

layers, ops = keras.layers, keras.ops
Spec = tf.TensorSpec
FACTORS = 6


def _keras_inputs() -> tuple[list[Any], Any]:
    """Return the inputs of both sides, and their values side by side."""
    user, item = (layers.Input((), dtype="int64", name=name) for name in ("user", "item"))
    tastes, tags = layers.Input((5,), name="tastes"), layers.Input((4,), name="tags")
    parts = [embedding(ROWS, FACTORS)(user), tastes, embedding(ROWS, FACTORS)(item), tags]
    return [user, tastes, item, tags], layers.Concatenate()(parts)


def make_mmoe(path: Path) -> None:
    """Have experts that two tasks share by gates of their own: ctr, cvr and their product."""
    keras.utils.set_random_seed(71)
    inputs, x = _keras_inputs()
    experts = ops.stack([dense(8, "relu")(x) for _ in range(3)], axis=1)
    outputs = {}
    for task in ("ctr", "cvr"):
        gate = ops.expand_dims(dense(3, "softmax")(x), axis=2)
        mixed = ops.sum(gate * experts, axis=1)
        outputs[task] = dense(1, "sigmoid")(dense(8, "tanh")(mixed))
    export(path, inputs, {**outputs, "ctcvr": outputs["ctr"] * outputs["cvr"]})


def make_probs(path: Path) -> None:
    keras.utils.set_random_seed(72)
    inputs, x = _keras_inputs()
    export(path, inputs, {"probs": dense(3, "softmax")(dense(16, "relu")(x))})


def make_probs_and_more(path: Path) -> None:
    """Add outputs that can't rank: a text, and one value for the whole batch."""
    kept = two_tables()

    def call(user: Any, item: Any) -> Any:
        logits = tf.gather(kept["u"], user) * tf.gather(kept["v"], item)
        return {
            "probs": tf.nn.softmax(logits[:, :3]),
            "label": tf.gather(tf.constant(["no", "yes", "later"]), tf.argmax(logits[:, :3], 1)),
            "mean": tf.reduce_mean(logits),
        }

    save_function(path, call, *id_specs(), keep=kept)


def two_tables(dtype: Any = tf.float32) -> dict[str, Any]:
    tables = {name: variable(ROWS, FACTORS, seed=80 + i, scale=0.7) for i, name in enumerate("uv")}
    if dtype == tf.float32:
        return tables
    return {name: tf.Variable(tf.cast(table, dtype) / 3) for name, table in tables.items()}


def id_specs() -> list[Any]:
    return [Spec([None], tf.int64, name) for name in ("user", "item")]


def make_doubles(path: Path) -> None:
    """Compute in float64, by a network and a product."""
    kept = two_tables(tf.float64)
    kept["w0"] = tf.Variable(tf.random.stateless_normal([12, 10], [1, 2], dtype=tf.float64) / 2)
    kept["w1"] = tf.Variable(tf.random.stateless_normal([10, 1], [3, 4], dtype=tf.float64) / 3)

    def call(user: Any, item: Any) -> Any:
        u, v = tf.gather(kept["u"], user), tf.gather(kept["v"], item)
        hidden = tf.nn.relu(tf.concat([u, v], 1) @ kept["w0"])
        return {"score": tf.squeeze(hidden @ kept["w1"], 1) + tf.reduce_sum(u * v, 1)}

    save_function(path, call, *id_specs(), keep=kept)


def make_signatures(path: Path) -> None:
    """Add a second signature that ranks, in which the inputs swap roles."""
    kept = two_tables()

    def dot(user: Any, item: Any) -> Any:
        return tf.reduce_sum(tf.gather(kept["u"], user) * tf.gather(kept["v"], item), axis=1)

    first = tf.function(lambda user, item: {"y": dot(user, item)}, id_specs())
    second = tf.function(lambda user, item: {"y": dot(item, user) + 1}, id_specs())
    save_module(path, {"serving_default": first, "rank": second}, kept)


USERS = users_of(user=members(seed=121), tastes=measures(5, seed=122))
ITEMS = items_of(item=members(seed=123), tags=measures(4, seed=124))
IDS = by_side({"user": np.int64}, {"item": np.int64})
FEEDS = by_side({"user": np.int64, "tastes": np.float32}, {"item": np.int64, "tags": np.float32})
MMOE = ("embeddings", "experts' and gates' first layers")
CASES = [
    *(
        Case(f"mmoe_{task}", make_mmoe, USERS, ITEMS, FEEDS, score=task, splits=MMOE)
        for task in ("ctr", "cvr", "ctcvr")
    ),
    Case("probs", make_probs, USERS, ITEMS, FEEDS, score="probs[1]", splits=("first dense layer",)),
    Case(
        "probs_and_more",
        make_probs_and_more,
        USERS,
        ITEMS,
        IDS,
        score="probs[2]",
        splits=("embeddings",),
    ),
    Case("doubles", make_doubles, USERS, ITEMS, IDS, splits=("first dense layer", "product")),
    Case(
        "signature",
        make_signatures,
        USERS,
        ITEMS,
        IDS,
        kwargs={"signature": "rank"},
        splits=("all but the product",),
    ),
]

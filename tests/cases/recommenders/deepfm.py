"""FM and DeepFM on ids and values that both sides fill: the users' fields, then the items'."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from cases.models.saving import save_function
from cases.recommenders.case import Case
from cases.recommenders.keras_parts import dense, embedding, export
from cases.recommenders.tables import fields, items_of, pairs_beside, users_of

layers = keras.layers
Spec = tf.TensorSpec
USER_FIELDS, ITEM_FIELDS, WIDTH = 3, 4, 50
FIELDS = USER_FIELDS + ITEM_FIELDS
SIZE = FIELDS * WIDTH
FACTORS = 6


def variable(*shape: int, seed: int, scale: float) -> Any:
    return tf.Variable(scale * tf.random.stateless_normal(shape, [seed, 5]))


def fm_weights() -> dict[str, Any]:
    return {
        "bias": tf.Variable(-0.2),
        "linear": variable(SIZE, seed=1, scale=0.2),
        "factors": variable(SIZE, FACTORS, seed=2, scale=0.25),
    }


def fm_terms(kept: dict[str, Any], feat_ids: Any, feat_vals: Any) -> tuple[Any, Any, Any]:
    """Return the linear term [B], the FM term [B] and the fields' vectors [B, F, K]."""
    linear = tf.reduce_sum(tf.gather(kept["linear"], feat_ids) * feat_vals, axis=1)
    vectors = tf.gather(kept["factors"], feat_ids) * feat_vals[:, :, tf.newaxis]
    square_of_sum = tf.square(tf.reduce_sum(vectors, axis=1))
    sum_of_squares = tf.reduce_sum(tf.square(vectors), axis=1)
    return linear, 0.5 * tf.reduce_sum(square_of_sum - sum_of_squares, axis=1), vectors


def save_on_fields(path: Path, call: Any, kept: dict[str, Any], ids: Any = tf.int32) -> None:
    specs = [Spec([None, FIELDS], ids, "feat_ids"), Spec([None, FIELDS], tf.float32, "feat_vals")]
    save_function(path, call, *specs, keep=kept)


def make_fm(path: Path) -> None:
    kept = fm_weights()

    def call(feat_ids: Any, feat_vals: Any) -> Any:
        linear, crossed, _ = fm_terms(kept, feat_ids, feat_vals)
        return {"logit": kept["bias"] + linear + crossed}

    save_on_fields(path, call, kept)


def make_deepfm_module(path: Path) -> None:
    kept = fm_weights()
    widths = [FIELDS * FACTORS, 24, 12, 1]
    for i, (rows, units) in enumerate(pairwise(widths)):
        kept[f"w{i}"] = variable(rows, units, seed=10 + i, scale=rows**-0.5)
        kept[f"b{i}"] = variable(units, seed=20 + i, scale=0.2)

    def call(feat_ids: Any, feat_vals: Any) -> Any:
        linear, crossed, vectors = fm_terms(kept, feat_ids, feat_vals)
        x = tf.reshape(vectors, [-1, FIELDS * FACTORS])
        x = tf.nn.relu(x @ kept["w0"] + kept["b0"])
        x = tf.nn.relu(x @ kept["w1"] + kept["b1"])
        deep = tf.squeeze(x @ kept["w2"] + kept["b2"], axis=1)
        return {"ctr": tf.sigmoid(kept["bias"] + linear + crossed + deep)}

    save_on_fields(path, call, kept)


def make_deepfm_keras(path: Path) -> None:
    keras.utils.set_random_seed(11)
    ids = layers.Input((FIELDS,), dtype="int64", name="feat_ids")
    values = layers.Input((FIELDS,), name="feat_vals")
    upright = layers.Reshape((FIELDS, 1))(values)
    linear = keras.ops.sum(embedding(SIZE, 1, scale=0.2)(ids) * upright, axis=1)
    vectors = embedding(SIZE, FACTORS, scale=0.25)(ids) * upright
    square_of_sum = keras.ops.square(keras.ops.sum(vectors, axis=1))
    sum_of_squares = keras.ops.sum(keras.ops.square(vectors), axis=1)
    crossed = 0.5 * keras.ops.sum(square_of_sum - sum_of_squares, axis=1, keepdims=True)
    deep = dense(12, "relu")(dense(24, "relu")(layers.Flatten()(vectors)))
    logit = layers.Add()([linear, crossed, dense(1)(deep)])
    export(path, [ids, values], layers.Activation("sigmoid")(logit))


def make_sliced(path: Path) -> None:
    """Cut the joined inputs into fields again, by split and by slices that cross the sides."""
    kept = fm_weights()
    kept["w"] = variable(3 * FACTORS, 8, seed=30, scale=0.3)
    kept["top"] = variable(8, 1, seed=31, scale=0.4)

    def call(feat_ids: Any, feat_vals: Any) -> Any:
        parts = tf.split(feat_ids, FIELDS, axis=1)
        vectors = [tf.gather(kept["factors"], tf.squeeze(part, 1)) for part in parts]
        scaled = [vectors[i] * feat_vals[:, i, tf.newaxis] for i in (1, 2, 5)]
        hidden = tf.nn.relu(tf.concat(scaled, axis=1) @ kept["w"])
        linear = tf.gather(kept["linear"], feat_ids[:, 2:5]) * feat_vals[:, 2:5]
        product = tf.reduce_sum(vectors[0] * vectors[6], axis=1)
        return {"y": tf.squeeze(hidden @ kept["top"], 1) + tf.reduce_sum(linear, 1) + product}

    save_on_fields(path, call, kept, tf.int64)


def feed_of(*columns: str) -> dict[str, Any]:
    """Return the `feed` of vectors side by side: ``user:features``, ``item:features``."""
    return {
        "feat_ids": [f"{column}.indices" for column in columns],
        "feat_vals": [f"{column}.values" for column in columns],
    }


def feeds_of(*columns: str, dtype: Any = np.int64) -> Callable[..., Any]:
    """Return TensorFlow's own feeds of the same."""
    sides = (tuple(column.split(":")) for column in columns)
    return pairs_beside("feat_ids", "feat_vals", *sides, dtype=dtype)


USERS = users_of(features=fields(USER_FIELDS, WIDTH, size=SIZE, seed=31))
ITEMS = items_of(features=fields(ITEM_FIELDS, WIDTH, size=SIZE, start=USER_FIELDS * WIDTH, seed=41))
# The items' fields in two columns, so that the users' can come between them.
CUT_ITEMS = items_of(
    genre=fields(2, WIDTH, size=SIZE, start=USER_FIELDS * WIDTH, seed=43),
    studio=fields(2, WIDTH, size=SIZE, start=(USER_FIELDS + 2) * WIDTH, seed=45),
)
IN_ORDER = ("user:features", "item:features")
BETWEEN = ("item:genre", "user:features", "item:studio")
FM = ("embeddings", "linear term", "fm term")
CASES = [
    Case(
        "fm",
        make_fm,
        USERS,
        ITEMS,
        feeds_of(*IN_ORDER, dtype=np.int32),
        feed_of(*IN_ORDER),
        splits=FM,
    ),
    Case(
        "deepfm_module",
        make_deepfm_module,
        USERS,
        ITEMS,
        feeds_of(*IN_ORDER, dtype=np.int32),
        feed_of(*IN_ORDER),
        splits=(*FM, "first dense layer"),
    ),
    Case(
        "deepfm_keras",
        make_deepfm_keras,
        USERS,
        ITEMS,
        feeds_of(*IN_ORDER),
        feed_of(*IN_ORDER),
        splits=(*FM, "first dense layer"),
    ),
    Case(
        "deepfm_module_interleaved",
        make_deepfm_module,
        USERS,
        CUT_ITEMS,
        feeds_of(*BETWEEN, dtype=np.int32),
        feed_of(*BETWEEN),
        splits=(*FM, "first dense layer"),
    ),
    Case(
        "deepfm_keras_interleaved",
        make_deepfm_keras,
        USERS,
        CUT_ITEMS,
        feeds_of(*BETWEEN),
        feed_of(*BETWEEN),
        splits=(*FM, "first dense layer"),
    ),
    Case(
        "sliced_fields",
        make_sliced,
        USERS,
        ITEMS,
        feeds_of(*IN_ORDER),
        feed_of(*IN_ORDER),
        splits=("embeddings", "linear term", "first dense layer", "product"),
    ),
]

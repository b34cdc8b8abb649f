"""Networks of dense layers over both sides: NeuMF, normalized layers, one joined input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pyarrow as pa
import tensorflow as tf

from cases.models.saving import save_function
from cases.recommenders.case import Case
from cases.recommenders.deepfm import variable
from cases.recommenders.keras_parts import dense, embedding, export
from cases.recommenders.tables import (
    ROWS,
    by_side,
    int_ids,
    items_of,
    joined,
    measures,
    members,
    numbers,
    string_ids,
    users_of,
)

layers = keras.layers


def make_neumf(path: Path) -> None:
    """Put a product of embeddings next to a network over others, and a layer over both."""
    keras.utils.set_random_seed(51)
    user, item = (layers.Input((1,), dtype="int64", name=name) for name in ("user", "item"))
    products = [layers.Flatten()(embedding(ROWS, 8)(x)) for x in (user, item)]
    flat = [layers.Flatten()(embedding(ROWS, 8)(x)) for x in (user, item)]
    deep = dense(8, "relu")(dense(16, "relu")(layers.Concatenate()(flat)))
    both = layers.Concatenate()([layers.Multiply()(products), deep])
    export(path, [user, item], dense(1, "sigmoid")(both))


def normalized(library: Any, norm: str) -> Any:
    """Build a network, with either Keras, that normalizes the joined input and the next layer."""
    layers = library.layers
    library.utils.set_random_seed(52)
    user, item = (layers.Input((), dtype="int64", name=name) for name in ("user", "item"))
    tastes, tags = layers.Input((5,), name="tastes"), layers.Input((7,), name="tags")
    normal = library.initializers.RandomNormal(stddev=0.5)
    embedded = [
        layers.Embedding(ROWS, 6, embeddings_initializer=normal)(side) for side in (user, item)
    ]
    x = layers.Concatenate()([embedded[0], tastes, embedded[1], tags])
    for units in (24, 12):
        x = layers.Dense(units, "relu")(getattr(layers, norm)()(x))
    logit = layers.Dense(1, bias_initializer="ones")(getattr(layers, norm)()(x))
    model = library.Model([user, tastes, item, tags], layers.Activation("sigmoid")(0.5 * logit))
    for layer in model.layers:
        if type(layer).__name__ == norm:
            layer.set_weights(trained(layer))
    return model


def trained(layer: Any) -> list[Any]:
    """Return weights of a norm layer that are no longer those it starts with."""
    random = np.random.default_rng(53)
    scale, shift, *statistics = layer.get_weights()
    values = [random.uniform(0.5, 1.5, scale.shape), random.normal(0, 0.3, shift.shape)]
    if statistics:
        values += [random.normal(0, 0.3, scale.shape), random.uniform(0.3, 2, scale.shape)]
    return [value.astype(np.float32) for value in values]


def make_batch_norm(path: Path) -> None:
    normalized(keras, "BatchNormalization").export(str(path), verbose=False)


def make_layer_norm(path: Path) -> None:
    normalized(keras, "LayerNormalization").export(str(path), verbose=False)


def make_batch_norm_keras2(path: Path) -> None:
    import tf_keras

    normalized(tf_keras, "BatchNormalization").export(str(path))


def make_layer_norm_keras2(path: Path) -> None:
    import tf_keras

    normalized(tf_keras, "LayerNormalization").export(str(path))


def make_joined(path: Path) -> None:
    """Save a network with one input ``x`` [None, 12] that both sides feed."""
    kept = {
        "w0": variable(12, 20, seed=70, scale=0.3),
        "b0": variable(20, seed=71, scale=0.2),
        "w1": variable(20, 10, seed=72, scale=0.25),
        "w2": variable(10, 1, seed=73, scale=0.3),
    }

    def call(x: Any) -> Any:
        hidden = tf.nn.leaky_relu(x @ kept["w0"] + kept["b0"])
        hidden = tf.tanh(hidden @ kept["w1"])
        # A part of the input that goes around the network, from both sides of its seams.
        return {"score": hidden @ kept["w2"] + tf.reduce_mean(x[:, 2:10], axis=1, keepdims=True)}

    save_function(path, call, tf.TensorSpec([None, 12], tf.float32, "x"), keep=kept)


USERS = users_of(user=members(seed=91), tastes=measures(5, seed=92))
ITEMS = items_of(item=members(seed=93), tags=measures(7, seed=94))
FEEDS = by_side({"user": np.int64, "tastes": np.float32}, {"item": np.int64, "tags": np.float32})
JOINED_USERS = users_of(b=measures(5, seed=95), income=measures(seed=96, kind=pa.float64()))
JOINED_ITEMS = items_of(
    int_ids(pa.int16()),
    a=measures(3, seed=97),
    c=measures(2, seed=98, kind=pa.float64()),
    year=numbers(low=-2, high=3, seed=99, kind=pa.int16()),
)
ORDER = ["item:a", "user:b", "item:year", "user:income", "item:c"]
CASES = [
    Case(
        "neumf",
        make_neumf,
        users_of(string_ids("u"), user=members(seed=91)),
        items_of(int_ids(pa.int32()), item=members(seed=93)),
        by_side({"user": np.int64}, {"item": np.int64}, upright=("user", "item")),
        splits=("embeddings", "first dense layer", "product part of the last layer"),
    ),
    *(
        Case(name, make, USERS, ITEMS, FEEDS, splits=splits)
        for name, make, splits in (
            ("mlp_batch_norm", make_batch_norm, ("embeddings", "first dense layer")),
            ("mlp_batch_norm_keras2", make_batch_norm_keras2, ("embeddings", "first dense layer")),
            ("mlp_layer_norm", make_layer_norm, ("embeddings",)),
            ("mlp_layer_norm_keras2", make_layer_norm_keras2, ("embeddings",)),
        )
    ),
    Case(
        "joined_interleaved",
        make_joined,
        JOINED_USERS,
        JOINED_ITEMS,
        joined("x", *(tuple(column.split(":")) for column in ORDER)),
        feed={"x": ORDER},
        splits=("first dense layer", "mean of the slice"),
    ),
]

"""The demo's model: a small Keras network that predicts how many stars a user gives a film.

It imports TensorFlow's Python package, but only when it trains.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tf2spark.compile.quiet import silence
from tf2spark.errors import SetupError

EPOCHS = 6
_BATCH_ROWS = 512
_WIDTH = 16
# The model's input columns and their dtypes; a table may have wider ones.
_INPUTS = {
    "user": "int32",
    "film": "int32",
    "age": "float32",
    "gender": "string",
    "occupation": "string",
    "genres": "float32",
    "year": "float32",
}
# Ids count from 1; an id without training rows needs an embedding too.
_IDS = {"user": 943 + 1, "film": 1682 + 1}


def need_tensorflow() -> None:
    """Raise a SetupError if TensorFlow isn't installed, without importing it."""
    if importlib.util.find_spec("tensorflow") is None or importlib.util.find_spec("keras") is None:
        raise SetupError(
            "the demo trains a model, and TensorFlow is not installed: "
            "pip install 'tf2spark[local]'"
        )


def train(
    ratings: pa.Table,
    *,
    epochs: int = EPOCHS,
    seed: int = 0,
    on_epoch: Callable[[int], None] = lambda epoch: None,
) -> Any:
    """Train the model on `ratings` (columns as in `data.Ratings`) and return it, a Keras model.

    Args:
        ratings: The rows to learn from.
        epochs: Passes over the rows.
        seed: Determines the initial weights and the order of the rows.
        on_epoch: Called after each epoch with its number, from 1.
    """
    keras, tf = _import_keras()
    keras.utils.set_random_seed(seed)
    model = _build(keras, ratings)
    steps = epochs * -(-len(ratings) // _BATCH_ROWS)
    rate = keras.optimizers.schedules.CosineDecay(4e-3, steps, alpha=0.02)
    model.compile(keras.optimizers.Adam(rate), "mse")
    rows = _batches(tf, ratings, seed)
    callback = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: on_epoch(epoch + 1))
    model.fit(rows, epochs=epochs, shuffle=False, verbose=0, callbacks=[callback])
    return model


def export(model: Any, folder: Path) -> None:
    """Write a Keras model as a SavedModel into `folder`."""
    with silence():
        model.export(str(folder), verbose=False)


def _batches(tf: Any, ratings: pa.Table, seed: int) -> Any:
    tensors = {
        name: tf.constant(values(ratings[name]).astype(_numpy(kind)))
        for name, kind in _INPUTS.items()
    }
    stars = tf.constant(ratings["rating"].to_numpy())
    # Shuffling row numbers and gathering a whole batch is much faster than shuffling rows.
    numbers = tf.data.Dataset.range(len(ratings)).shuffle(len(ratings), seed=seed)

    def gather(rows: Any) -> Any:
        features = {name: tf.gather(tensor, rows) for name, tensor in tensors.items()}
        return features, tf.gather(stars, rows)

    return numbers.batch(_BATCH_ROWS).map(gather).prefetch(2)


def _build(keras: Any, ratings: pa.Table) -> Any:
    """Build a biased matrix factorization plus a small network over all features.

    The mean, the biases and the product of embeddings are equation 4 of Koren, Bell and Volinsky,
    "Matrix Factorization Techniques for Recommender Systems", 2009.
    """
    layers = keras.layers
    inputs = {
        name: keras.Input(values(ratings[name]).shape[1:], dtype=kind, name=name)
        for name, kind in _INPUTS.items()
    }

    def embedding(name: str, width: int) -> Any:
        small = keras.regularizers.L2(1e-3)
        return layers.Embedding(_IDS[name], width, embeddings_regularizer=small)(inputs[name])

    def words(name: str) -> Any:
        known = pc.unique(ratings[name]).to_pylist()
        lookup = layers.StringLookup(vocabulary=sorted(known), output_mode="one_hot")
        return lookup(layers.Reshape((1,))(inputs[name]))

    def number(name: str) -> Any:
        column = values(ratings[name])
        normal = layers.Normalization(mean=column.mean(), variance=max(column.var(), 1.0))
        return normal(layers.Reshape((1,))(inputs[name]))

    user, film = embedding("user", _WIDTH), embedding("film", _WIDTH)
    match = layers.Dot(1)([user, film])
    known = [user, film, words("gender"), words("occupation"), inputs["genres"]]
    hidden = layers.Concatenate()([*known, number("age"), number("year")])
    for width in (64, 32):
        hidden = layers.Dropout(0.2)(layers.Dense(width, "relu")(hidden))
    mean = keras.initializers.Constant(ratings["rating"].to_numpy().mean())
    rest = layers.Dense(1, bias_initializer=mean)(hidden)
    stars = layers.Add()([embedding("user", 1), embedding("film", 1), match, rest])
    return keras.Model(inputs, {"predicted": stars})


def values(column: pa.ChunkedArray) -> Any:
    """Return a column as an array: [rows], or [rows, length] for lists of equal length."""
    if pa.types.is_fixed_size_list(column.type):
        flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
        return flat.reshape(len(column), column.type.list_size)
    return column.to_numpy()


def _numpy(kind: str) -> Any:
    return np.dtype(object if kind == "string" else kind)


def _import_keras() -> tuple[Any, Any]:
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with silence():
        import keras
        import tensorflow as tf
    # Its warnings about compiling the model are nothing that a user of the demo can act on.
    tf.get_logger().setLevel("ERROR")
    return keras, tf

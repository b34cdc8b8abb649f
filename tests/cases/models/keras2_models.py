"""Keras 2 models (the package tf-keras), saved in each of its three ways."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf

from cases.models.case import Case
from cases.models.tables import arrow, by_name, floats, table

CITIES = ["Lima", "Osaka", "Kyiv"]


def _network() -> Any:
    """Return a network of a lookup, an embedding, batch norm and a dense layer."""
    import tf_keras as keras  # slow, so only where it is needed

    layers = keras.layers
    keras.utils.set_random_seed(7)
    features = layers.Input((3,), name="features")
    city = layers.Input((), name="city", dtype=tf.string)
    ids = layers.StringLookup(vocabulary=CITIES)(city)
    embedded = layers.Embedding(4, 2)(ids)
    both = layers.BatchNormalization()(layers.Concatenate()([features, embedded]))
    return keras.Model([features, city], layers.Dense(1, bias_initializer="ones")(both))


def make_keras2_exported(path: Path) -> None:
    _network().export(str(path))


def make_keras2_saved(path: Path) -> None:
    _network().save(str(path))


def make_keras2_saved_by_tensorflow(path: Path) -> None:
    tf.saved_model.save(_network(), str(path))


def _table(rows: int) -> pa.Table:
    cities = [[*CITIES, "Atlantis"][row % 4] for row in range(rows)]
    return table(features=arrow(floats(rows, 3), pa.float32()), city=pa.array(cities))


CASES = [
    Case(f"keras2_{name}", make, _table, by_name(features=np.float32, city=object))
    for name, make in (
        ("exported", make_keras2_exported),
        ("saved", make_keras2_saved),
        ("saved_by_tensorflow", make_keras2_saved_by_tensorflow),
    )
]

"""Wide-and-deep on ids, words and numbers, by Keras 3 and by Keras 2 (tf-keras)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pyarrow as pa

from cases.recommenders.case import Case
from cases.recommenders.tables import (
    ROWS,
    by_side,
    items_of,
    measures,
    members,
    numbers,
    users_of,
    words,
)

JOBS = ["artist", "doctor", "farmer", "none"]
GENRES = ["comedy", "drama", "horror", "western", "sci-fi"]


def network(library: Any) -> Any:
    """Build the same network with either Keras: one-hot words, embedded ids, numbers."""
    layers = library.layers
    normal = library.initializers.RandomNormal
    library.utils.set_random_seed(21)

    def dense(units: int, activation: str | None = None) -> Any:
        return layers.Dense(units, activation, bias_initializer=normal(stddev=0.2))

    def embedded(x: Any) -> Any:
        return layers.Embedding(ROWS, 8, embeddings_initializer=normal(stddev=0.5))(x)

    user, item = (layers.Input((), dtype="int64", name=name) for name in ("user", "item"))
    job, genre = (layers.Input((), dtype="string", name=name) for name in ("job", "genre"))
    age, year = (layers.Input((1,), name=name) for name in ("age", "year"))
    one_hot = [
        layers.StringLookup(vocabulary=vocabulary, output_mode="one_hot")(x)
        for x, vocabulary in ((job, JOBS), (genre, GENRES))
    ]
    wide = dense(1)(layers.Concatenate()(one_hot))
    parts = [embedded(user), one_hot[0], age / 50, embedded(item), one_hot[1], year]
    deep = dense(16, "relu")(dense(32, "relu")(layers.Concatenate()(parts)))
    logit = layers.Add()([wide, dense(1)(deep)])
    inputs = [user, job, age, item, genre, year]
    return library.Model(inputs, layers.Activation("sigmoid")(logit))


def make_wide_and_deep(path: Path) -> None:
    network(keras).export(str(path), verbose=False)


def make_wide_and_deep_keras2(path: Path) -> None:
    # Keras 2 is imported only here.
    import tf_keras

    network(tf_keras).export(str(path))


USERS = users_of(
    user=members(pa.int32(), seed=61),
    job=words([*JOBS, "astronaut"], seed=62),
    age=numbers(low=10, high=90, seed=63, kind=pa.int32()),
)
ITEMS = items_of(
    item=members(seed=71),
    genre=words([*GENRES, "opera"], seed=72),
    year=measures(seed=73, kind=pa.float64()),
)
FEEDS = by_side(
    {"user": np.int64, "job": object, "age": np.float32},
    {"item": np.int64, "genre": object, "year": np.float32},
    upright=("age", "year"),
)
CASES = [
    Case(name, make, USERS, ITEMS, FEEDS, splits=("wide part", "first dense layer"))
    for name, make in (
        ("wide_and_deep", make_wide_and_deep),
        ("wide_and_deep_keras2", make_wide_and_deep_keras2),
    )
]

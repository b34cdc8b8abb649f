"""Two towers: the score is the inner product of what the two sides compute."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pyarrow as pa
import tensorflow as tf

from cases.models.saving import save_function
from cases.recommenders.case import Case
from cases.recommenders.keras_parts import dense, embedding, export
from cases.recommenders.tables import (
    ROWS,
    by_side,
    histories,
    int_ids,
    items_of,
    measures,
    members,
    scattered,
    string_ids,
    users_of,
    words,
)

layers = keras.layers
Spec = tf.TensorSpec
CITIES = ["Lima", "Osaka", "Kyiv", "São Paulo"]


def table(rows: int, width: int, seed: int, scale: float = 0.5) -> Any:
    return tf.Variable(scale * tf.random.stateless_normal([rows, width], [seed, 3]))


def save_dot(path: Path, users: Any, items: Any, join: Callable[[Any, Any], Any]) -> None:
    """Save two embedding tables and the function that scores their rows."""

    def call(user: Any, item: Any) -> Any:
        return {"score": join(tf.gather(users, user), tf.gather(items, item))}

    specs = [Spec([None], tf.int64, name) for name in ("user", "item")]
    save_function(path, call, *specs, keep={"users": users, "items": items})


def make_dot(path: Path) -> None:
    users, items = table(ROWS, 16, 1), table(ROWS, 16, 2)
    save_dot(path, users, items, lambda u, v: tf.reduce_sum(u * v, axis=1))


def make_dot_einsum(path: Path) -> None:
    users, items = table(ROWS, 16, 1), table(ROWS, 16, 2)
    save_dot(path, users, items, lambda u, v: tf.einsum("bd,bd->b", u, v))


def make_dot_batch_matmul(path: Path) -> None:
    """Join by [B, 1, D] x [B, D, 1] and give [None, 1]."""
    users, items = table(ROWS, 16, 1), table(ROWS, 16, 2)

    def join(u: Any, v: Any) -> Any:
        return tf.squeeze(tf.matmul(u[:, None, :], v[:, :, None]), axis=2)

    save_dot(path, users, items, join)


def make_dot_ties(path: Path) -> None:
    """Have small whole numbers as weights: no rounding in any order of sums, and many ties."""
    users, items = (tf.Variable(tf.round(table(ROWS, 4, seed, scale=1.5))) for seed in (3, 5))
    save_dot(path, users, items, lambda u, v: tf.reduce_sum(u * v, axis=-1, keepdims=True))


def make_biased(path: Path) -> None:
    """Add a bias per user, per item and for all, as matrix factorization does."""
    users, items = table(ROWS, 9, 5), table(ROWS, 9, 6)

    def join(u: Any, v: Any) -> Any:
        dot = tf.reduce_sum(tf.multiply(u[:, :-1], v[:, :-1]), axis=1)
        return tf.sigmoid(3.5 + dot + u[:, -1] + v[:, -1] - 3.0)

    save_dot(path, users, items, join)


def make_cosine(path: Path) -> None:
    users, items = table(ROWS, 16, 7), table(ROWS, 16, 8)

    def join(u: Any, v: Any) -> Any:
        u, v = tf.math.l2_normalize(u, axis=1), tf.math.l2_normalize(v, axis=1)
        return tf.reduce_sum(u * v, axis=1) / 0.2

    save_dot(path, users, items, join)


def _id_inputs() -> list[Any]:
    return [layers.Input((), dtype="int64", name=name) for name in ("user", "item")]


def make_keras_dot(path: Path) -> None:
    keras.utils.set_random_seed(1)
    user, item = _id_inputs()
    both = [embedding(ROWS, 12)(user), embedding(ROWS, 12)(item)]
    export(path, [user, item], layers.Dot(axes=1)(both))


def make_keras_dot_normalized(path: Path) -> None:
    keras.utils.set_random_seed(2)
    user, item = _id_inputs()
    both = [embedding(ROWS, 12)(user), embedding(ROWS, 12)(item)]
    export(path, [user, item], layers.Dot(axes=1, normalize=True)(both))


def make_keras_towers(path: Path) -> None:
    """Build dense layers on each side, and a layer of one unit after the product."""
    keras.utils.clear_session()  # the names of its layers are compared
    keras.utils.set_random_seed(3)
    user, item = _id_inputs()
    tastes, tags = layers.Input((5,), name="tastes"), layers.Input((7,), name="tags")
    u = layers.Concatenate()([embedding(ROWS, 12, scale=1.0)(user), tastes])
    v = layers.Concatenate()([tags, embedding(ROWS, 12, scale=1.0)(item)])
    towers = [dense(12)(dense(24, "relu")(side)) for side in (u, v)]
    export(path, [user, tastes, item, tags], dense(1, "sigmoid")(layers.Dot(axes=1)(towers)))


def known(prefix: str) -> list[str]:
    """Return most of the ids that tables have; every 17th was never seen in training."""
    return [f"{prefix}{number}" for row, number in enumerate(scattered(ROWS)) if row % 17 != 5]


def make_keras_lookups(path: Path) -> None:
    """Look strings up on both sides: ids and a city; normalize, divide by a temperature."""
    keras.utils.set_random_seed(4)
    user = layers.Input((), dtype="string", name="user_id")
    city = layers.Input((), dtype="string", name="city")
    item = layers.Input((), dtype="string", name="item_id")
    price = layers.Input((1,), name="price")
    u = [_looked_up(user, known("user-"), 12), _looked_up(city, CITIES, 4)]
    v = [_looked_up(item, known("film-"), 12), price]
    towers = [layers.UnitNormalization()(dense(12)(layers.Concatenate()(each))) for each in (u, v)]
    cosine = keras.ops.sum(towers[0] * towers[1], axis=1, keepdims=True)
    export(path, [user, city, item, price], cosine / 0.3)


def _looked_up(x: Any, vocabulary: list[str], width: int) -> Any:
    ids = layers.StringLookup(vocabulary=vocabulary)(x)
    return embedding(len(vocabulary) + 1, width)(ids)


def make_keras_lstm(path: Path) -> None:
    """Read the user's history with an LSTM."""
    keras.utils.set_random_seed(5)
    history = layers.Input((6,), dtype="int64", name="history")
    item = layers.Input((), dtype="int64", name="item")
    shared = embedding(ROWS, 8)
    taste = layers.LSTM(8)(shared(history))
    export(path, [history, item], layers.Dot(axes=1)([taste, shared(item)]))


USERS = users_of(user=members(seed=11), tastes=measures(5, seed=12))
ITEMS = items_of(item=members(seed=21), tags=measures(7, seed=22))
IDS = by_side({"user": np.int64}, {"item": np.int64})
PRODUCT = ("all but the product",)
CASES = [
    *(
        Case(name, make, USERS, ITEMS, IDS, splits=PRODUCT)
        for name, make in (
            ("dot", make_dot),
            ("dot_einsum", make_dot_einsum),
            ("dot_batch_matmul", make_dot_batch_matmul),
            ("dot_ties", make_dot_ties),
            ("biased", make_biased),
            ("cosine", make_cosine),
            ("keras_dot", make_keras_dot),
            ("keras_dot_normalized", make_keras_dot_normalized),
        )
    ),
    Case(
        "keras_towers",
        make_keras_towers,
        users_of(int_ids(pa.int32()), user=members(seed=11), tastes=measures(5, seed=12)),
        ITEMS,
        by_side({"user": np.int64, "tastes": np.float32}, {"item": np.int64, "tags": np.float32}),
        splits=PRODUCT,
    ),
    Case(
        "keras_lookups",
        make_keras_lookups,
        users_of(string_ids("user-"), city=words([*CITIES, "Atlantis"], seed=13)),
        items_of(string_ids("film-"), price=measures(seed=23, kind=pa.float64())),
        by_side(
            {"user_id": object, "city": object},
            {"item_id": object, "price": np.float32},
            upright=("price",),
        ),
        splits=PRODUCT,
    ),
    Case(
        "keras_lstm",
        make_keras_lstm,
        users_of(history=histories(6, high=ROWS, seed=14)),
        ITEMS,
        by_side({"history": np.int64}, {"item": np.int64}),
        splits=PRODUCT,
    ),
]

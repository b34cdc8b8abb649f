"""Models made of the layers of TensorFlow Recommenders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow_recommenders as tfrs
import tf_keras as keras

from benchmarks.survey.inputs import embedded, inputs_of
from benchmarks.survey.tables import CATEGORIES, GENDERS, ITEMS, USERS

_SIZES = {"user_id": USERS, "gender": GENDERS, "item_id": ITEMS, "cate_id": CATEGORIES}


def _two_towers() -> Any:
    ids = inputs_of(keras, _SIZES)
    users = keras.layers.Concatenate()(
        [embedded(keras, ids, name, USERS) for name in ("user_id", "gender")]
    )
    items = keras.layers.Concatenate()(
        [embedded(keras, ids, name, ITEMS) for name in ("item_id", "cate_id")]
    )
    towers = [
        keras.Sequential([keras.layers.Dense(16, "relu"), keras.layers.Dense(8)])(side)
        for side in (users, items)
    ]
    return keras.Model(ids, keras.layers.Dot(1)(towers))


def _stacked(*cross: Callable[[], Any]) -> Callable[[], Any]:
    """Return what builds cross layers over all embeddings, and dense ones over those."""

    def build() -> Any:
        ids = inputs_of(keras, _SIZES)
        x = keras.layers.Concatenate()(
            [embedded(keras, ids, name, size) for name, size in _SIZES.items()]
        )
        for layer in cross:
            made = layer()
            x = made(x)
        x = keras.layers.Dense(16, "relu")(x)
        return keras.Model(ids, keras.layers.Dense(1)(x))

    return build


def _cross_on_first(projection: int | None) -> Any:
    ids = inputs_of(keras, _SIZES)
    x0 = keras.layers.Concatenate()(
        [embedded(keras, ids, name, size) for name, size in _SIZES.items()]
    )
    x = x0
    for _ in range(2):
        x = tfrs.layers.dcn.Cross(projection_dim=projection)(x0, x)
    return keras.Model(ids, keras.layers.Dense(1)(keras.layers.Dense(16, "relu")(x)))


def _dlrm() -> Any:
    ids = inputs_of(keras, _SIZES)
    numbers = {name: keras.Input((1,), name=name) for name in ("age", "price")}
    bottom = keras.layers.Dense(8, "relu")(keras.layers.Concatenate()(list(numbers.values())))
    vectors = [embedded(keras, ids, name, size) for name, size in _SIZES.items()]
    dots = tfrs.layers.feature_interaction.DotInteraction()([bottom, *vectors])
    top = keras.layers.Dense(16, "relu")(keras.layers.Concatenate()([bottom, dots]))
    return keras.Model({**ids, **numbers}, keras.layers.Dense(1, "sigmoid")(top))


MODELS: dict[str, Callable[[], Any]] = {
    "two towers": _two_towers,
    "DCN-v2": lambda: _cross_on_first(None),
    "DCN-v2 low rank": lambda: _cross_on_first(3),
    "MultiLayerDCN": _stacked(
        lambda: tfrs.layers.feature_interaction.MultiLayerDCN(projection_dim=4, num_layers=2)
    ),
    "DLRM": _dlrm,
}

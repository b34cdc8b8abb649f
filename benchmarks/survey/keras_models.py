"""Models of Keras' code examples and of papers, written with Keras 3."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import layers, ops

from benchmarks.survey.inputs import embedded, inputs_of
from benchmarks.survey.tables import CATEGORIES, GENDERS, HISTORY, ITEMS, USERS

_SIZES = {"user_id": USERS, "gender": GENDERS, "item_id": ITEMS, "cate_id": CATEGORIES}


def _all_ids() -> tuple[dict[str, Any], list[Any]]:
    ids = inputs_of(keras, _SIZES)
    return ids, [embedded(keras, ids, name, size) for name, size in _SIZES.items()]


def _history() -> tuple[dict[str, Any], Any, Any]:
    """Return the inputs, the vectors of the history and that of the item, from one table."""
    ids = inputs_of(keras, ["hist_item_id"], length=HISTORY) | inputs_of(keras, ["item_id"])
    table = layers.Embedding(ITEMS, 8)
    return ids, table(ids["hist_item_id"]), table(ids["item_id"])


def _matrix_factorization() -> Any:
    """Keras' example "Collaborative filtering for movie recommendations"."""
    ids = inputs_of(keras, ["user_id", "item_id"])
    dot = layers.Dot(1)(
        [embedded(keras, ids, "user_id", USERS), embedded(keras, ids, "item_id", ITEMS)]
    )
    biases = [embedded(keras, ids, name, _SIZES[name], 1) for name in ids]
    return keras.Model(list(ids.values()), ops.sigmoid(dot + biases[0] + biases[1]))


def _ncf() -> Any:
    """NeuMF (He et al. 2017)."""
    ids = inputs_of(keras, ["user_id", "item_id"])
    product = layers.Multiply()([embedded(keras, ids, name, _SIZES[name]) for name in ids])
    joined = layers.Concatenate()([embedded(keras, ids, name, _SIZES[name]) for name in ids])
    hidden = layers.Dense(8, "relu")(layers.Dense(16, "relu")(joined))
    return keras.Model(list(ids.values()), layers.Dense(1)(layers.Concatenate()([product, hidden])))


def _wide_deep_cross() -> Any:
    """Keras' example "Structured data learning with Wide, Deep, and Cross networks"."""
    ids, vectors = _all_ids()
    x0 = layers.Concatenate()(vectors)
    x = x0
    for _ in range(2):
        x = x0 * layers.Dense(x0.shape[-1])(x) + x
    x = layers.BatchNormalization()(x)
    deep = x0
    for units in (16, 8):
        deep = layers.Dropout(0.3)(
            layers.ReLU()(layers.BatchNormalization()(layers.Dense(units)(deep)))
        )
    return keras.Model(
        list(ids.values()), layers.Dense(1, "sigmoid")(layers.Concatenate()([x, deep]))
    )


def _quotient_remainder() -> Any:
    """Keras' example "Memory-efficient embeddings for recommendation systems"."""
    ids = inputs_of(keras, ["user_id", "item_id"])

    def vector(name: str, buckets: int) -> Any:
        quotient = layers.Embedding(_SIZES[name] // buckets + 1, 8)(ids[name] // buckets)
        return quotient * layers.Embedding(buckets, 8)(ids[name] % buckets)

    return keras.Model(
        list(ids.values()), layers.Dot(1)([vector("user_id", 16), vector("item_id", 16)])
    )


def _behavior_transformer() -> Any:
    """Keras' example "A Transformer-based recommendation system"."""
    ids, history, item = _history()
    sequence = layers.Concatenate(axis=1)([history, ops.expand_dims(item, 1)])
    sequence = sequence + layers.Embedding(HISTORY + 1, 8)(ops.arange(HISTORY + 1))
    attended = layers.MultiHeadAttention(2, 4)(sequence, sequence)
    x = layers.LayerNormalization()(sequence + attended)
    x = layers.Flatten()(layers.LayerNormalization()(x + layers.Dense(8, "relu")(x)))
    return keras.Model(list(ids.values()), layers.Dense(1)(layers.Dense(16, "relu")(x)))


def _sasrec() -> Any:
    """SASRec (Kang & McAuley 2018): self-attention over the history, then a product."""
    ids, history, item = _history()
    x = history + layers.Embedding(HISTORY, 8)(ops.arange(HISTORY))
    x = layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 4)(x, x, use_causal_mask=True))
    x = layers.LayerNormalization()(x + layers.Dense(8)(layers.Dense(8, "relu")(x)))
    return keras.Model(list(ids.values()), ops.sum(x[:, -1] * item, -1, keepdims=True))


def _gru4rec() -> Any:
    """GRU4Rec (Hidasi et al. 2016)."""
    ids, history, item = _history()
    return keras.Model(
        list(ids.values()), ops.sum(layers.GRU(8)(history) * item, -1, keepdims=True)
    )


def _caser() -> Any:
    """Caser (Tang & Wang 2018): convolutions over the history."""
    ids, history, item = _history()
    maps = [
        layers.GlobalMaxPooling1D()(layers.Conv1D(4, size, activation="relu")(history))
        for size in (2, 3)
    ]
    taste = layers.Dense(8)(layers.Concatenate()(maps))
    return keras.Model(list(ids.values()), ops.sum(taste * item, -1, keepdims=True))


def _youtube_ranking() -> Any:
    """Covington et al. 2016: the mean of the history beside the item, then dense layers."""
    ids, history, item = _history()
    x = layers.Concatenate()([ops.mean(history, 1), item])
    for units in (16, 8):
        x = layers.Dense(units, "relu")(x)
    return keras.Model(list(ids.values()), layers.Dense(1)(x))


def _mind() -> Any:
    """MIND (Li et al. 2019), its label-aware attention over fixed interests."""
    ids, history, item = _history()
    interests = ops.reshape(layers.Dense(24, "relu")(layers.Flatten()(history)), (-1, 3, 8))
    affinity = ops.softmax(ops.einsum("bkd,bd->bk", interests, item) ** 2)
    return keras.Model(
        list(ids.values()), ops.einsum("bk,bkd,bd->b", affinity, interests, item)[:, None]
    )


def _poly_attention() -> Any:
    """DIN's attention by a product (Zhou et al. 2018, without the unit's layers)."""
    ids, history, item = _history()
    weights = ops.softmax(ops.einsum("btd,bd->bt", history, item))
    taste = ops.einsum("bt,btd->bd", weights, history)
    return keras.Model(list(ids.values()), layers.Dense(1)(layers.Concatenate()([taste, item])))


def _interest_evolution() -> Any:
    """DIEN (Zhou et al. 2019): the item's attention weighs the inputs of the second GRU."""
    ids, history, item = _history()
    states = layers.GRU(8, return_sequences=True)(history)
    weights = ops.softmax(ops.einsum("btd,bd->bt", states, item))
    interest = layers.GRU(8)(states * weights[..., None])
    return keras.Model(list(ids.values()), layers.Dense(1)(layers.Concatenate()([interest, item])))


def _hashed_cross() -> Any:
    """Wide & Deep (Cheng et al. 2016), with a hashed cross of user and item."""
    ids = inputs_of(keras, ["user_id", "item_id"])
    crossed = layers.HashedCrossing(50)((ids["user_id"], ids["item_id"]))
    wide = layers.Embedding(50, 1)(crossed)
    deep = layers.Concatenate()([embedded(keras, ids, name, _SIZES[name]) for name in ids])
    hidden = layers.Dense(1)(layers.Dense(16, "relu")(deep))
    return keras.Model(list(ids.values()), ops.reshape(wide, (-1, 1)) + hidden)


def _metric_learning() -> Any:
    """CML (Hsieh et al. 2017): the negative distance."""
    ids = inputs_of(keras, ["user_id", "item_id"])
    user, item = (embedded(keras, ids, name, _SIZES[name]) for name in ids)
    return keras.Model(list(ids.values()), -ops.sum(ops.square(user - item), -1, keepdims=True))


def _latent_cross() -> Any:
    """Latent Cross (Beutel et al. 2018): a context multiplies the user's state."""
    ids, vectors = _all_ids()
    user, gender, item, category = vectors
    state = user * (1 + gender)
    return keras.Model(list(ids.values()), ops.sum(state * (item + category), -1, keepdims=True))


def _gated() -> Any:
    """GateNet (Huang et al. 2020): each field's vector by its own gate."""
    ids, vectors = _all_ids()
    gated = [vector * layers.Dense(8, "sigmoid")(vector) for vector in vectors]
    return keras.Model(
        list(ids.values()), layers.Dense(1)(layers.Dense(16, "relu")(layers.Concatenate()(gated)))
    )


def _masknet() -> Any:
    """MaskNet (Wang et al. 2021): a mask from all fields multiplies normalized fields."""
    ids, vectors = _all_ids()
    x = layers.Concatenate()(vectors)
    mask = layers.Dense(x.shape[-1])(layers.Dense(16, "relu")(x))
    hidden = layers.ReLU()(
        layers.LayerNormalization()(layers.Dense(16)(layers.LayerNormalization()(x) * mask))
    )
    return keras.Model(list(ids.values()), layers.Dense(1)(hidden))


def _final_mlp() -> Any:
    """FinalMLP (Mao et al. 2023): two streams, joined by a bilinear product."""
    ids, vectors = _all_ids()
    x = layers.Concatenate()(vectors)
    first, second = (layers.Dense(8, "relu")(layers.Dense(16, "relu")(x)) for _ in range(2))
    return keras.Model(
        list(ids.values()), ops.sum(layers.Dense(8)(first) * second, -1, keepdims=True)
    )


MODELS: dict[str, Callable[[], Any]] = {
    "matrix factorization": _matrix_factorization,
    "NeuMF": _ncf,
    "wide, deep and cross": _wide_deep_cross,
    "quotient and remainder": _quotient_remainder,
    "behavior sequence Transformer": _behavior_transformer,
    "SASRec": _sasrec,
    "GRU4Rec": _gru4rec,
    "Caser": _caser,
    "YouTube ranking": _youtube_ranking,
    "MIND": _mind,
    "DIN by products": _poly_attention,
    "DIEN": _interest_evolution,
    "Wide & Deep with a hashed cross": _hashed_cross,
    "CML": _metric_learning,
    "Latent Cross": _latent_cross,
    "GateNet": _gated,
    "MaskNet": _masknet,
    "FinalMLP": _final_mlp,
}

"""Recommenders in Flax and Haiku, exported by jax2tf with their inputs as one dict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp
import tensorflow as tf
from flax import linen as nn
from flax import nnx
from jax.experimental import jax2tf

from benchmarks.survey.jax_models import input_spec
from benchmarks.survey.tables import CATEGORIES, HISTORY, ITEMS, USERS, pairs
from benchmarks.survey.tables import items as item_columns
from benchmarks.survey.tables import users as user_columns

_WIDTH = 8
Batch = Mapping[str, Any]


class _Tower(nn.Module):
    """Embeddings and numbers through two layers, to a vector of length 1."""

    rows: int
    width: int = 16

    @nn.compact
    def __call__(self, ids: Any, numbers: Sequence[Any]) -> Any:
        vectors = nn.Embed(self.rows, _WIDTH)(ids)
        columns = [number[:, None] for number in numbers]
        x = jnp.concatenate([vectors, *columns], -1)
        x = nn.BatchNorm(use_running_average=True)(nn.relu(nn.Dense(2 * self.width)(x)))
        x = nn.Dense(self.width)(nn.Dropout(0.2, deterministic=True)(x))
        return x / jnp.linalg.norm(x, axis=-1, keepdims=True)


class TwoTowers(nn.Module):
    """A tower for users and one for items; the score is their cosine by a temperature."""

    @nn.compact
    def __call__(self, batch: Batch) -> Any:
        user = _Tower(USERS)(batch["user_id"], [batch["age"]])
        item = _Tower(ITEMS)(batch["item_id"], [batch["price"]])
        temperature = self.param("temperature", nn.initializers.constant(0.0), ())
        return jnp.sum(user * item, -1) * jnp.exp(temperature)


class Dlrm(nn.Module):
    """Dot products between all embeddings, beside what the numbers become."""

    @nn.compact
    def __call__(self, batch: Batch) -> Any:
        sizes = {"user_id": USERS, "item_id": ITEMS, "cate_id": CATEGORIES}
        numbers = jnp.stack([jnp.log1p(batch[name]) for name in ("age", "price")], -1)
        dense = nn.relu(nn.Dense(_WIDTH)(nn.relu(nn.Dense(16)(numbers))))
        rows = [nn.Embed(size, _WIDTH, name=name)(batch[name]) for name, size in sizes.items()]
        vectors = jnp.stack([dense, *rows], 1)
        products = vectors @ jnp.swapaxes(vectors, 1, 2)
        left, right = jnp.triu_indices(vectors.shape[1], 1)
        x = jnp.concatenate([dense, products[:, left, right]], -1)
        for units in (32, 16):
            x = nn.relu(nn.Dense(units)(x))
        return nn.sigmoid(nn.Dense(1)(x)).squeeze(-1)


class Transformer(nn.Module):
    """A causal block over the history; the user is what is at its last item."""

    heads: int = 2

    @nn.compact
    def __call__(self, batch: Batch) -> Any:
        table, history = nn.Embed(ITEMS, _WIDTH), batch["hist_item_id"]
        position = self.param("position", nn.initializers.normal(0.3), (HISTORY, _WIDTH))
        mask = nn.combine_masks(
            nn.make_causal_mask(history), nn.make_attention_mask(history > 0, history > 0)
        )
        x = table(history) * jnp.sqrt(_WIDTH) + position
        x = x + nn.MultiHeadDotProductAttention(self.heads)(nn.LayerNorm()(x), mask=mask)
        x = x + nn.Dense(_WIDTH)(nn.gelu(nn.Dense(4 * _WIDTH)(nn.LayerNorm()(x))))
        last = jnp.maximum(jnp.sum(history > 0, -1) - 1, 0)
        user = jnp.take_along_axis(nn.LayerNorm()(x), last[:, None, None], axis=1)[:, 0]
        return jnp.einsum("bd,bd->b", user, table(batch["item_id"]))


class Lstm(nn.Module):
    """An LSTM over the history, which JAX writes as a loop."""

    @nn.compact
    def __call__(self, batch: Batch) -> Any:
        table = nn.Embed(ITEMS, _WIDTH)
        states = nn.RNN(nn.OptimizedLSTMCell(_WIDTH))(table(batch["hist_item_id"]))
        return jnp.sum(states[:, -1] * table(batch["item_id"]), -1)


class Nnx(nnx.Module):
    """Neural collaborative filtering: a product beside layers."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.user = nnx.Embed(USERS, 2 * _WIDTH, rngs=rngs)
        self.item = nnx.Embed(ITEMS, 2 * _WIDTH, rngs=rngs)
        self.norm = nnx.LayerNorm(2 * _WIDTH, rngs=rngs)
        self.hidden = nnx.Linear(2 * _WIDTH, 16, rngs=rngs)
        self.score = nnx.Linear(16 + _WIDTH, 1, rngs=rngs)

    def __call__(self, batch: Batch) -> Any:
        user, item = self.user(batch["user_id"]), self.item(batch["item_id"])
        products = user[:, :_WIDTH] * item[:, :_WIDTH]
        x = self.norm(jnp.concatenate([user[:, _WIDTH:], item[:, _WIDTH:]], -1))
        x = jnp.concatenate([nnx.silu(self.hidden(x)), products], -1)
        return self.score(x)[:, 0]


def _haiku_tower_scores(batch: Batch) -> Any:
    items = hk.Embed(ITEMS, _WIDTH, name="items")
    history = items(batch["hist_item_id"])
    weights = (batch["hist_item_id"] > 0).astype(jnp.float32)
    mean = jnp.sum(history * weights[..., None], 1) / jnp.sum(weights, 1, keepdims=True)
    user = hk.nets.MLP([32, 16], name="user")(
        jnp.concatenate([hk.Embed(USERS, _WIDTH, name="users")(batch["user_id"]), mean], -1)
    )
    item = hk.nets.MLP([32, 16], name="item")(items(batch["item_id"]))
    bias = hk.Embed(ITEMS, 1, name="bias")(batch["item_id"])[:, 0]
    return jnp.sum(user * item, -1) + bias


def _haiku_attention(batch: Batch) -> Any:
    items = hk.Embed(ITEMS, _WIDTH, name="items")
    mask = batch["hist_item_id"] > 0
    x = items(batch["hist_item_id"])
    scaling = hk.initializers.VarianceScaling()
    attend = hk.MultiHeadAttention(2, 4, w_init=scaling, model_size=_WIDTH)
    x = x + attend(x, x, x, mask=mask[:, None, None, :])
    x = hk.LayerNorm(-1, create_scale=True, create_offset=True)(x)
    user = jnp.max(jnp.where(mask[..., None], x, -jnp.inf), 1)
    item = items(batch["item_id"])
    return hk.nets.MLP([16, 1], name="score")(jnp.concatenate([user, item, user * item], -1))[:, 0]


def _linen(model: Any, names: Sequence[str]) -> Any:
    weights = model.init(jax.random.key(0), _rows(names))
    return _export(lambda weights, batch: model.apply(weights, batch), weights, names)


def _nnx(names: Sequence[str]) -> Any:
    """Export a model that holds its own weights: they are constants of the module."""
    model = Nnx(nnx.Rngs(0))
    return _export(lambda _, batch: model(batch), {}, names)


def _haiku(function: Callable[[Batch], Any], names: Sequence[str]) -> Any:
    model = hk.without_apply_rng(hk.transform(function))
    weights = model.init(jax.random.key(0), _rows(names))
    return _export(model.apply, weights, names)


def _rows(names: Sequence[str]) -> dict[str, Any]:
    columns = pairs(user_columns(2), item_columns(2))
    return {name: jnp.asarray(columns[name]) for name in names}


def _export(function: Any, weights: Any, names: Sequence[str]) -> Any:
    module = tf.Module()
    module.parameters = tf.nest.map_structure(tf.Variable, weights)
    converted = jax2tf.convert(
        function,
        polymorphic_shapes=[None, "(b, ...)"],
        with_gradient=False,
        native_serialization_platforms=("cpu", "cuda"),  # as those who train on GPUs do
    )

    @tf.function(autograph=False)
    def serve(**batch: Any) -> Any:
        return converted(module.parameters, batch)

    module.serve = serve.get_concrete_function(**{name: input_spec(name) for name in names})
    return module


_HISTORY = ("hist_item_id", "item_id")
MODELS: Mapping[str, Callable[[], Any]] = {
    "linen two towers": partial(_linen, TwoTowers(), ("user_id", "age", "item_id", "price")),
    "linen DLRM": partial(_linen, Dlrm(), ("user_id", "age", "item_id", "cate_id", "price")),
    "linen Transformer": partial(_linen, Transformer(), _HISTORY),
    "linen LSTM": partial(_linen, Lstm(), _HISTORY),
    "nnx NCF": partial(_nnx, ("user_id", "item_id")),
    "haiku two towers": partial(_haiku, _haiku_tower_scores, ("user_id", *_HISTORY)),
    "haiku attention": partial(_haiku, _haiku_attention, _HISTORY),
}

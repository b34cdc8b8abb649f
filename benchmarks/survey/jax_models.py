"""Models of JAX, exported by jax2tf for any number of rows: each is one op, `XlaCallModule`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tensorflow as tf
from jax.experimental import jax2tf

from benchmarks.survey.tables import CATEGORIES, GENDERS, HISTORY, ITEMS, USERS

_WIDTH = 8
_RANDOM = np.random.default_rng(4)
_FLOATS = frozenset({"age", "price"})
Weights = Mapping[str, Any]


def _weights(*sizes: int) -> Any:
    return _RANDOM.normal(0, 0.3, sizes).astype(np.float32)


def _tables() -> dict[str, Any]:
    counts = {"user": USERS, "item": ITEMS, "gender": GENDERS, "cate": CATEGORIES}
    return {name: _weights(count, _WIDTH) for name, count in counts.items()}


def _layers(*sizes: int) -> dict[str, Any]:
    layers: dict[str, Any] = {}
    for number, (width, units) in enumerate(pairwise(sizes)):
        layers[f"kernel_{number}"] = _weights(width, units)
        layers[f"bias_{number}"] = _weights(units)
    return layers


def _mlp(p: Weights, x: Any, activation: Callable[[Any], Any]) -> Any:
    layers = sum(name.startswith("kernel_") for name in p)
    for number in range(layers):
        x = x @ p[f"kernel_{number}"] + p[f"bias_{number}"]
        x = activation(x) if number < layers - 1 else x
    return x[:, 0]


def _normalized(x: Any, scale: Any, offset: Any) -> Any:
    """Normalize layers as Flax does."""
    mean = jnp.mean(x, -1, keepdims=True)
    variance = jnp.maximum(0.0, jnp.mean(jnp.square(x), -1, keepdims=True) - jnp.square(mean))
    return (x - mean) * jax.lax.rsqrt(variance + 1e-6) * scale + offset


def mlp(p: Weights, user_id: Any, item_id: Any) -> Any:
    rows = jnp.concatenate([p["user"][user_id], p["item"][item_id]], -1)
    return jax.nn.sigmoid(_mlp(p, rows, jax.nn.relu))


def towers(p: Weights, user_id: Any, age: Any, item_id: Any) -> Any:
    user = jnp.concatenate([jnp.take(p["user"], user_id, axis=0), age[:, None]], -1)
    user = jnp.tanh(user @ p["user_kernel"] + p["user_bias"])
    item = jax.nn.silu(jnp.take(p["item"], item_id, axis=0, mode="clip") @ p["item_kernel"])
    lengths = [jnp.linalg.norm(side, axis=-1, keepdims=True) for side in (user, item)]
    return jnp.einsum("bd,bd->b", user / lengths[0], item / jnp.maximum(lengths[1], 1e-6))


def deepfm(p: Weights, user_id: Any, gender: Any, item_id: Any, cate_id: Any) -> Any:
    ids = {"user": user_id, "gender": gender, "item": item_id, "cate": cate_id}
    rows = jnp.stack([p[name][value] for name, value in ids.items()], 1)
    pairs = 0.5 * (jnp.square(rows.sum(1)) - jnp.square(rows).sum(1)).sum(-1)
    linear = p["user_linear"][user_id, 0] + p["item_linear"][item_id, 0]
    deep = _mlp(p, rows.reshape(rows.shape[0], -1), jax.nn.gelu)
    return jax.nn.sigmoid(pairs + linear + deep)


def dlrm(p: Weights, user_id: Any, age: Any, item_id: Any, cate_id: Any, price: Any) -> Any:
    dense = jax.nn.relu(jnp.stack([age, price], 1) @ p["dense_kernel"] + p["dense_bias"])
    ids = {"user": user_id, "item": item_id, "cate": cate_id}
    rows = jnp.stack([dense, *(p[name][value] for name, value in ids.items())], 1)
    left, right = np.tril_indices(rows.shape[1], -1)
    products = jnp.einsum("bid,bjd->bij", rows, rows)[:, left, right]
    return _mlp(p, jnp.concatenate([dense, products], -1), jax.nn.relu)


def attention(p: Weights, hist_item_id: Any, item_id: Any) -> Any:
    rows, mask = jnp.take(p["item"], hist_item_id, axis=0) + p["position"], hist_item_id > 0
    query, key, value = (rows @ p[name] for name in ("query", "key", "value"))
    scores = jnp.einsum("btd,bsd->bts", query, key) / np.float32(np.sqrt(_WIDTH))
    weights = jax.nn.softmax(jnp.where(mask[:, None, :], scores, -1e9), -1)
    rows = _normalized(rows + weights @ value, p["scale"], p["offset"])
    length = jnp.maximum(mask.sum(1, keepdims=True), 1)
    user = (rows * mask[..., None]).sum(1) / length
    return (user * p["item"][item_id]).sum(-1)


def din(p: Weights, hist_item_id: Any, item_id: Any) -> Any:
    rows, item = jnp.take(p["item"], hist_item_id, axis=0), p["item"][item_id]
    scores = jnp.einsum("btd,bd->bt", rows, item)
    weights = jax.nn.softmax(jnp.where(hist_item_id > 0, scores, -1e9), -1)
    user = jnp.einsum("bt,btd->bd", weights, rows)
    return _mlp(p, jnp.concatenate([user, item, user * item], -1), jax.nn.leaky_relu)


def most_similar(p: Weights, hist_item_id: Any, item_id: Any) -> Any:
    """Return the mean similarity of the three items of the history that are most like the item."""
    rows, item = jnp.take(p["item"], hist_item_id, axis=0), p["item"][item_id]
    return jnp.sort(jnp.einsum("btd,bd->bt", rows, item), -1)[:, -3:].mean(-1)


def _export(function: Any, weights: Weights, names: str) -> Any:
    """Return a module whose function `serve` calls a function of JAX for any number of rows."""
    inputs = names.split()
    module = tf.Module()
    module.parameters = tf.nest.map_structure(tf.Variable, dict(weights))
    converted = jax2tf.convert(
        function, polymorphic_shapes=[None, *["(b, ...)"] * len(inputs)], with_gradient=False
    )
    specs = {name: input_spec(name) for name in inputs}

    @tf.function(autograph=False)
    def serve(**rows: Any) -> Any:
        return converted(module.parameters, *(rows[name] for name in inputs))

    module.serve = serve.get_concrete_function(**specs)
    return module


def input_spec(name: str) -> Any:
    shape = [None, HISTORY] if name.startswith("hist_") else [None]
    return tf.TensorSpec(shape, tf.float32 if name in _FLOATS else tf.int32, name)


def _attention_weights() -> dict[str, Any]:
    names = ("query", "key", "value")
    square = {name: _weights(_WIDTH, _WIDTH) for name in names}
    vectors = {"scale": _weights(_WIDTH) + 1, "offset": _weights(_WIDTH)}
    return {"position": _weights(HISTORY, _WIDTH), **square, **vectors}


_LINEAR = {"user_linear": _weights(USERS, 1), "item_linear": _weights(ITEMS, 1)}
_TOWERS = {
    "user_kernel": _weights(_WIDTH + 1, 16),
    "user_bias": _weights(16),
    "item_kernel": _weights(_WIDTH, 16),
}
_DENSE = {"dense_kernel": _weights(2, _WIDTH), "dense_bias": _weights(_WIDTH)}
_OF: dict[str, tuple[Any, Weights, str]] = {
    "MLP": (mlp, _layers(16, 32, 1), "user_id item_id"),
    "two towers": (towers, _TOWERS, "user_id age item_id"),
    "DeepFM": (deepfm, {**_LINEAR, **_layers(32, 32, 16, 1)}, "user_id gender item_id cate_id"),
    "DLRM": (dlrm, {**_DENSE, **_layers(14, 32, 16, 1)}, "user_id age item_id cate_id price"),
    "self-attention": (attention, _attention_weights(), "hist_item_id item_id"),
    "DIN by products": (din, _layers(24, 32, 16, 1), "hist_item_id item_id"),
    "most similar of a history": (most_similar, {}, "hist_item_id item_id"),
}
MODELS: Mapping[str, Callable[[], Any]] = {
    name: partial(_export, function, {**_tables(), **weights}, inputs)
    for name, (function, weights, inputs) in _OF.items()
}

"""The recommenders, and the layers that remain in the pair loop of each, as models of their own."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

FIELDS = 40
VOCABULARY = 2_500
SIZE = FIELDS * VOCABULARY
FACTORS = 16
UNITS = (256, 128, 64, 1)
TOWER = 64
FEATURES = 32


def make_deepfm(path: str) -> None:
    """40 fields with one id and one value each, embedded 16 wide; FM, and layers of 256, 128, 64.

    The scale of the weights makes the probabilities span most of 0 to 1.
    """
    import tensorflow as tf

    class Model(tf.Module):
        def __init__(self) -> None:
            self.linear = _normal(SIZE, seed=1, scale=0.1)
            self.factors = _normal(SIZE, FACTORS, seed=2, scale=0.1)
            self.layers = _layers(FIELDS * FACTORS, *UNITS, scale=5.0)

        @tf.function(
            input_signature=[
                tf.TensorSpec([None, FIELDS], tf.int64, "feat_ids"),
                tf.TensorSpec([None, FIELDS], tf.float32, "feat_vals"),
            ]
        )
        def __call__(self, feat_ids: Any, feat_vals: Any) -> dict[str, Any]:
            linear = tf.reduce_sum(tf.gather(self.linear, feat_ids) * feat_vals, 1)
            vectors = tf.gather(self.factors, feat_ids) * feat_vals[:, :, tf.newaxis]
            of_sum = tf.square(tf.reduce_sum(vectors, 1))
            crossed = 0.5 * tf.reduce_sum(of_sum - tf.reduce_sum(tf.square(vectors), 1), 1)
            deep = _apply(self.layers, tf.reshape(vectors, [-1, FIELDS * FACTORS]))
            return {"ctr": tf.sigmoid(linear + crossed + deep)}

    _save(Model(), path)


def make_wide_deep(path: str) -> None:
    """10 ids of 100,000, embedded 16 wide (160), layers of 256, 128 and 1; and a weight per id.

    The first five ids are the user's, the last five the item's.
    """
    import tensorflow as tf

    class Model(tf.Module):
        def __init__(self) -> None:
            self.wide = _normal(SIZE, seed=1, scale=0.3)
            self.deep = _normal(SIZE, FACTORS, seed=2, scale=1.0)
            self.layers = _layers(10 * FACTORS, 256, 128, 1, scale=1.0)

        @tf.function(input_signature=[tf.TensorSpec([None, 10], tf.int64, "ids")])
        def __call__(self, ids: Any) -> dict[str, Any]:
            wide = tf.reduce_sum(tf.gather(self.wide, ids), 1)
            deep = tf.reshape(tf.gather(self.deep, ids), [-1, 10 * FACTORS])
            return {"score": tf.sigmoid(wide + _apply(self.layers, deep))}

    _save(Model(), path)


def make_dot(path: str, width: int = TOWER) -> None:
    """The inner product of two vectors, which is how ALS scores its factors."""
    import tensorflow as tf

    class Model(tf.Module):
        @tf.function(
            input_signature=[tf.TensorSpec([None, width], name=name) for name in ("user", "item")]
        )
        def __call__(self, user: Any, item: Any) -> dict[str, Any]:
            return {"score": tf.reduce_sum(user * item, 1)}

    _save(Model(), path)


def make_towers(path: str) -> None:
    """Two towers (32 floats, 64 ReLU units, 64 outputs), and the inner product of their outputs."""
    import tensorflow as tf

    class Model(tf.Module):
        def __init__(self) -> None:
            self.users = _layers(FEATURES, TOWER, TOWER, seed=10, scale=1.0)
            self.items = _layers(FEATURES, TOWER, TOWER, seed=20, scale=1.0)

        @tf.function(
            input_signature=[
                tf.TensorSpec([None, FEATURES], name=name) for name in ("user", "item")
            ]
        )
        def __call__(self, user: Any, item: Any) -> dict[str, Any]:
            vectors = _apply(self.users, user) * _apply(self.items, item)
            return {"score": tf.reduce_sum(vectors, 1)}

    _save(Model(), path)


def make_layers(path: str, widths: list[int]) -> None:
    """Layers of these widths with ReLU between them: what remains of a model in the pair loop."""
    import tensorflow as tf

    class Model(tf.Module):
        def __init__(self) -> None:
            self.layers = _layers(*widths, scale=1.0)

        @tf.function(input_signature=[tf.TensorSpec([None, widths[0]], name="x")])
        def __call__(self, x: Any) -> dict[str, Any]:
            return {"score": _apply(self.layers, x)}

    _save(Model(), path)


def make_gemm(path: str) -> None:
    """The inner products of all pairs from two blocks of vectors."""
    import tensorflow as tf

    class Model(tf.Module):
        @tf.function(
            input_signature=[tf.TensorSpec([None, TOWER], name=name) for name in ("user", "item")]
        )
        def __call__(self, user: Any, item: Any) -> dict[str, Any]:
            return {"score": tf.matmul(user, item, transpose_b=True)}

    _save(Model(), path)


def _layers(*widths: int, seed: int = 3, scale: float) -> list[tuple[Any, Any]]:
    """Return weights and biases; `scale` scales the first layer, to compensate for its input."""
    return [
        (
            _normal(rows, units, seed=seed + layer, scale=(1 if layer else scale) * rows**-0.5),
            _normal(units, seed=seed + 100 + layer, scale=0.1),
        )
        for layer, (rows, units) in enumerate(pairwise(widths))
    ]


def _apply(layers: list[tuple[Any, Any]], x: Any) -> Any:
    import tensorflow as tf

    for layer, (weights, bias) in enumerate(layers):
        x = (tf.nn.relu(x) if layer else x) @ weights + bias
    return tf.squeeze(x, 1) if x.shape[1] == 1 else x


def _normal(*shape: int, seed: int, scale: float) -> Any:
    import tensorflow as tf

    return tf.Variable(scale * tf.random.stateless_normal(shape, [seed, 5]))


def _save(model: Any, path: str) -> None:
    import tensorflow as tf

    tf.saved_model.save(model, path, signatures=model.__call__)


def make(name: str, path: str) -> bool:
    """Make a model of this module.

    "rest-256-128-1" has layers of those widths, "dot-256" multiplies vectors of that width.

    Returns:
        Whether this module has a model of that name.
    """
    if name.startswith("rest-"):
        make_layers(path, [int(width) for width in name.removeprefix("rest-").split("-")])
        return True
    if name.startswith("dot-"):
        make_dot(path, int(name.removeprefix("dot-")))
        return True
    makers: dict[str, Callable[[str], None]] = {
        "catalog-deepfm": make_deepfm,
        "catalog-wide-deep": make_wide_deep,
        "catalog-dot": make_dot,
        "catalog-towers": make_towers,
        "catalog-gemm": make_gemm,
    }
    if name in makers:
        makers[name](path)
    return name in makers

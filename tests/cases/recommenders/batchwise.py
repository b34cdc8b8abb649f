"""Models that aren't row-wise: a pair's score depends on the pairs that run with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf

from cases.models.saving import save_function
from cases.recommenders.case import Case
from cases.recommenders.deepfm import variable
from cases.recommenders.outputs import IDS, ITEMS, USERS, id_specs, two_tables


def _save_batchwise(path: Path, over_batch: Callable[[Any], Any]) -> None:
    kept = two_tables()

    def call(user: Any, item: Any) -> Any:
        u, v = tf.gather(kept["u"], user), tf.gather(kept["v"], item)
        return {"score": over_batch(tf.reduce_sum(u * v, axis=1))}

    save_function(path, call, *id_specs(), keep=kept)


def make_softmax_over_batch(path: Path) -> None:
    _save_batchwise(path, lambda x: tf.nn.softmax(x / 2, axis=0) * tf.cast(tf.size(x), tf.float32))


def make_centred_over_batch(path: Path) -> None:
    _save_batchwise(path, lambda x: x - tf.reduce_mean(x))


def make_centred_layers(path: Path) -> None:
    """Normalize a hidden layer by the batch's own statistics, as training does."""
    kept = {**two_tables(), "w0": variable(12, 10, seed=88, scale=0.5)}
    kept["w1"] = variable(10, 1, seed=89, scale=0.4)

    def call(user: Any, item: Any) -> Any:
        u, v = tf.gather(kept["u"], user), tf.gather(kept["v"], item)
        hidden = tf.nn.relu(tf.concat([u, v], 1) @ kept["w0"])
        mean, variance = tf.nn.moments(hidden, axes=[0])
        hidden = (hidden - mean) * tf.math.rsqrt(variance + 1e-3)
        return {"score": hidden @ kept["w1"]}

    save_function(path, call, *id_specs(), keep=kept)


def make_share_of_batch(path: Path) -> None:
    """Divide by the number of rows, which only the batch's size tells."""
    _save_batchwise(path, lambda x: 50 * x / tf.cast(tf.shape(x)[0], tf.float32))


CASES = [
    Case(name, make, USERS, ITEMS, IDS, row_wise=False)
    for name, make in (
        ("softmax_over_batch", make_softmax_over_batch),
        ("centred_over_batch", make_centred_over_batch),
        ("centred_layers", make_centred_layers),
        ("share_of_batch", make_share_of_batch),
    )
]

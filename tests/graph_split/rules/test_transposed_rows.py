"""`transposed_rows`: rows along the second axis give TensorFlow's scores, or are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from cases.graphs import both, item, scored, user, weighted_pairs
from tf2spark.graph_split.forms import NotRowWise

pytestmark = pytest.mark.slow
Build = Callable[[Any], Any]


def weight(*dims: int) -> Any:
    return np.random.default_rng(5).normal(size=dims).astype(np.float32)


def heads(x: Any) -> Any:
    """[batch, 5, 4] -> [2, batch, 5, 2]."""
    return tf.stack(tf.split(x, 2, axis=2))


def time_major(x: Any) -> Any:
    """[batch, 5, 4] -> [5, batch, 4]."""
    return tf.transpose(x, [1, 0, 2])


def attention(x: Any) -> Any:
    """As AutoInt and DIFM have it: a product, a softmax and a product by head."""
    query, key, value = (heads(x * factor) for factor in (1.0, 0.5, -0.3))
    weights = tf.nn.softmax(tf.matmul(query, key, transpose_b=True))
    return tf.squeeze(tf.concat(tf.split(tf.matmul(weights, value), 2), -1), 0)


def compressed_interaction(x: Any) -> Any:
    """As xDeepFM has it: outer products by entry, reshaped, and the batch moved back."""
    pieces = tf.split(x, [1] * 4, 2)
    dots = tf.reshape(tf.matmul(pieces, pieces, transpose_b=True), [4, -1, 25])
    return tf.nn.conv1d(tf.transpose(dots, [1, 0, 2]), weight(1, 25, 3), 1, "VALID")


# Each takes x [batch, 5, 4] with values of users and items.
SPLIT: dict[str, Build] = {
    "attention by head": attention,
    "a compressed interaction": compressed_interaction,
    "taken apart again": lambda x: tf.unstack(tf.tanh(heads(x)))[1],
    "a sum over the first axis": lambda x: tf.reduce_sum(heads(x), 0),
    "a mean over the first and last axes": lambda x: tf.reduce_mean(heads(x), [0, -1])[..., None],
    "a maximum over a later axis": lambda x: tf.reduce_max(time_major(x), 2, keepdims=True)[0],
    "a kept axis": lambda x: tf.squeeze(tf.reduce_prod(heads(x), 0, keepdims=True), [0]),
    "all axes of size 1 squeezed": lambda x: tf.ensure_shape(
        tf.squeeze(tf.reduce_min(heads(x), 0, keepdims=True)), [None, 5, 2]
    ),
    "transposed there and back": lambda x: tf.transpose(time_major(x) + 1, [1, 0, 2]),
    "other axes transposed": lambda x: tf.unstack(tf.transpose(heads(x), [2, 1, 0, 3]))[4],
    "rows from the middle to the front": lambda x: tf.transpose(heads(x), [1, 2, 3, 0]),
    "a constant of later axes": lambda x: tf.reduce_sum(heads(x) * weight(5, 2), 0),
    "a bias": lambda x: tf.reduce_sum(tf.nn.bias_add(heads(x), weight(2)), 0),
    "a constant matrix": lambda x: tf.reduce_sum(tf.matmul(heads(x), weight(2, 3)), 0),
    "both orders combined": lambda x: tf.reduce_sum(heads(x) * tf.stack([x[..., :2]] * 2), 0),
    "a shape that is read": lambda x: tf.transpose(
        tf.reshape(time_major(x), tf.stack([5, tf.shape(time_major(x))[1], 2, 2])), [1, 0, 2, 3]
    ),
    "a product of columns": lambda x: tf.transpose(tf.transpose(x[:, 0]) * tf.transpose(x[:, 1])),
    "an entry": lambda x: heads(x)[1],
    "the last entry": lambda x: time_major(x)[-1],
    "some entries": lambda x: tf.reduce_sum(time_major(x)[1:3], 0) + time_major(x)[-2:][0],
    "pieces along the first axis": lambda x: tf.reduce_sum(tf.split(time_major(x), [2, 3])[1], 0),
}


@pytest.mark.parametrize("name", SPLIT)
def test_rows_along_the_second_axis_give_the_same_scores(name: str) -> None:
    """Of values of one side, of both side by side, and of pairs."""

    def build(u: Any, i: Any, mixed: Any) -> Any:
        x, y, z = (tf.reshape(value, [-1, 5, 4]) for value in (u, i, mixed))
        return weighted_pairs(*(SPLIT[name](value) for value in (x, y, z, x * y)))

    result = scored(build, user(20), item(20), both("u10 i10")).check()
    assert len(np.unique(result.whole_scores)) > 1


REFUSED: dict[str, Build] = {
    "a sum over the batch": lambda x: x - tf.reduce_sum(time_major(x), 1)[:, None, :][:1],
    "a softmax over the batch": lambda x: tf.transpose(tf.nn.softmax(tf.transpose(x[:, 0])))[
        ..., None
    ],
    "a constant for each row": lambda x: tf.reduce_sum(time_major(x) * weight(20, 1), 0)[..., None],
    "taken apart by rows": lambda x: x * tf.unstack(time_major(x)[:, :1], 1, 1)[0][0],
    "a reshape that merges rows": lambda x: tf.reshape(tf.reshape(heads(x), [-1, 4]), [-1, 5, 4]),
    "rows that meet columns": lambda x: time_major(x) * x[:1],
    "channels along the second axis": lambda x: tf.reduce_sum(
        tf.nn.bias_add(time_major(x), weight(20), data_format="NCHW"), 0
    )[..., None],
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_mixes_rows_is_refused(name: str) -> None:
    """A score that depends on other pairs can't be split, however the rows lie."""

    def build(u: Any, i: Any) -> Any:
        x = tf.reshape(u * i, [-1, 5, 4])
        return tf.reduce_sum(REFUSED[name](x), [1, 2])

    with pytest.raises(NotRowWise):
        scored(build, user(20), item(20))


def test_a_score_along_the_second_axis_is_refused() -> None:
    """A graph whose result isn't one score per row is refused, whatever its shape."""
    with pytest.raises(NotRowWise):
        scored(lambda u, i: tf.stack([tf.reduce_sum(u * i, 1)]), user(3), item(3))

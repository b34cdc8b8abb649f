"""Values that are moved while they are in parts, terms or factors: these stay apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from cases.graphs import both, item, scored, user

Build = Callable[..., Any]


def weight(*dims: int, seed: int = 5) -> Any:
    return np.random.default_rng(seed).normal(0, 0.5, dims).astype(np.float32)


# Ways to move x [batch, 6], whose parts interleave, under which no pair needs a part.
MOVED_BY_PARTS: dict[str, Build] = {
    "sliced": lambda x: x[:, 1:5] @ weight(4, 2),
    "sliced from the start": lambda x: x[:, :2] @ weight(2, 2),
    "split in two": lambda x: tf.concat(tf.split(x, 2, 1)[::-1], 1) @ weight(6, 2),
    "doubled": lambda x: tf.concat([x, x, x[:, :1]], 1) @ weight(13, 2),
    "to a matrix of one column": lambda x: tf.reduce_sum(x[..., tf.newaxis] * weight(6, 2), 1),
    "to a matrix of one row": lambda x: tf.reshape(x, [-1, 1, 6])[:, 0] @ weight(6, 2),
    "to a matrix and back": lambda x: tf.reshape(tf.reshape(x, [-1, 6, 1]), [-1, 6]) @ weight(6, 2),
    "transposed": lambda x: tf.transpose(x[:, tf.newaxis], [0, 2, 1])[..., 0] @ weight(6, 2),
    "gathered": lambda x: tf.gather(x, [5, 0, 0, 3], axis=1) @ weight(4, 2),
    "scaled": lambda x: (x * weight(6) + weight(6, seed=6)) @ weight(6, 2),
    "repeated": lambda x: tf.reduce_sum(
        tf.tile(x[..., tf.newaxis], [1, 1, 2]) * weight(6, 2), 1
    ),
    "stacked": lambda x: tf.reduce_sum(tf.stack([x, x * 2], 2) * weight(6, 2), 1),
    "unstacked": lambda x: tf.stack(tf.unstack(x, axis=1)[::2], 1) @ weight(3, 2),
    "padded with its own ends": lambda x: tf.concat([x[:, :1], x, x[:, 5:]], 1) @ weight(8, 2),
}  # fmt: skip


@pytest.mark.parametrize("name", MOVED_BY_PARTS)
def test_parts_are_moved_apart(name: str) -> None:
    """Of a layer after the move, pairs compute only the sum."""
    split = scored(
        lambda x: tf.reduce_sum(tf.nn.relu(MOVED_BY_PARTS[name](x)), 1), both("i1 u2 i1 u2")
    )
    assert split.check().pair_ops == {"AddV2": 1, "Relu": 1, "Sum": 1}
    assert split.crossing == ([(2,)], [(2,)])


# Ways to move a sum s [batch, 2, 3] of a user's and an item's term, which both terms move alone.
MOVED_BY_TERMS: dict[str, Build] = {
    "sliced": lambda s: tf.reshape(s[:, :, 1:], [-1, 4]),
    "sliced with steps": lambda s: tf.reshape(s[:, ::-1, ::2], [-1, 4]),
    "flattened": lambda s: tf.reshape(s, [-1, 6]),
    "folded otherwise": lambda s: tf.reshape(tf.reshape(s, [-1, 3, 2]), [-1, 6]),
    "one entry": lambda s: s[:, 1],
    "with an axis of one": lambda s: tf.reshape(tf.expand_dims(s, 2), [-1, 6]),
    "concatenated with itself": lambda s: tf.reshape(tf.concat([s, s], 1), [-1, 12]),
}


@pytest.mark.parametrize("narrow", [False, True], ids=["", "narrow"])
@pytest.mark.parametrize("name", MOVED_BY_TERMS)
def test_terms_are_moved_apart(name: str, narrow: bool) -> None:
    """A layer after the move multiplies no pair, even where one term is narrower than the sum."""

    def build(x: Any, y: Any) -> Any:
        moved = MOVED_BY_TERMS[name](x[:, :1] + y if narrow else x + y)
        return tf.reduce_sum(tf.nn.relu(moved @ weight(moved.shape[1], 4)), 1)

    split = scored(build, user(2, 3), item(2, 3)).check()
    assert split.pair_layers == []
    assert split.pair_ops["AddV2"] == 1


# Reshapes of rows [4, 24] with two parts along axis 2, after which the values of the parts
# interleave: no axis has the parts side by side. In the last three, each part is a whole number of
# entries of an axis all the same, but with more or fewer runs of values before that axis.
INTERLEAVED: dict[str, list[int]] = {
    "flattened": [-1, 96],
    "one run": [-1, 1, 8, 12],
    "half as many runs": [-1, 2, 4, 12],
    "twice as many runs": [-1, 8, 12],
}


@pytest.mark.parametrize("name", INTERLEAVED)
def test_parts_that_interleave_after_a_reshape_keep_their_order(name: str) -> None:
    """Rows come out as in TensorFlow, although the size of a part fits the new axes."""
    shape = INTERLEAVED[name]

    def build(x: Any, y: Any) -> Any:
        moved = tf.reshape(tf.concat([x, y], 2), shape)
        return tf.reduce_sum(tf.nn.relu(moved) * weight(*shape[1:]), list(range(1, len(shape))))

    scored(build, user(4, 12), item(4, 12)).check()


def test_parts_that_stay_side_by_side_after_a_reshape_stay_apart() -> None:
    """The axes before the parts may be folded, and those inside a part."""

    def build(x: Any, y: Any) -> Any:
        moved = tf.reshape(tf.concat([x, y], 2), [-1, 2, 2, 4, 6])
        return tf.reduce_sum(tf.nn.relu(moved @ weight(6, 3)), [1, 2, 3, 4])

    assert scored(build, user(4, 12), item(4, 12)).check().pair_layers == []


def test_a_transposed_product_of_matrices_is_right() -> None:
    """What can't stay apart is computed, with its axes in the right order."""

    def build(x: Any, y: Any) -> Any:
        transposed = tf.transpose(x[:, :, tf.newaxis] * y[:, tf.newaxis], [0, 2, 1])
        return tf.reduce_sum(tf.reshape(transposed, [-1, 6]) * weight(6), 1)

    scored(build, user(3), item(2)).check()

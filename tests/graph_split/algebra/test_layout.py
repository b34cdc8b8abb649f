"""Values moved while they stand side by side, unadded or unmultiplied: they stay apart."""

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


# Of x [batch, 6], interleaved: ways to move it under which no part has to be computed for pairs.
APART: dict[str, Build] = {
    "cut": lambda x: x[:, 1:5] @ weight(4, 2),
    "cut backwards to the first": lambda x: x[:, :2] @ weight(2, 2),
    "in two": lambda x: tf.concat(tf.split(x, 2, 1)[::-1], 1) @ weight(6, 2),
    "doubled": lambda x: tf.concat([x, x, x[:, :1]], 1) @ weight(13, 2),
    "to a matrix of one column": lambda x: tf.reduce_sum(x[..., tf.newaxis] * weight(6, 2), 1),
    "to a matrix of one row": lambda x: tf.reshape(x, [-1, 1, 6])[:, 0] @ weight(6, 2),
    "to a matrix and back": lambda x: tf.reshape(tf.reshape(x, [-1, 6, 1]), [-1, 6]) @ weight(6, 2),
    "turned": lambda x: tf.transpose(x[:, tf.newaxis], [0, 2, 1])[..., 0] @ weight(6, 2),
    "looked up": lambda x: tf.gather(x, [5, 0, 0, 3], axis=1) @ weight(4, 2),
    "scaled": lambda x: (x * weight(6) + weight(6, seed=6)) @ weight(6, 2),
    "repeated": lambda x: tf.reduce_sum(
        tf.tile(x[..., tf.newaxis], [1, 1, 2]) * weight(6, 2), 1
    ),
    "stacked": lambda x: tf.reduce_sum(tf.stack([x, x * 2], 2) * weight(6, 2), 1),
    "unstacked": lambda x: tf.stack(tf.unstack(x, axis=1)[::2], 1) @ weight(3, 2),
    "padded by itself": lambda x: tf.concat([x[:, :1], x, x[:, 5:]], 1) @ weight(8, 2),
}  # fmt: skip


@pytest.mark.parametrize("what", APART)
def test_parts_side_by_side_are_moved_apart(what: str) -> None:
    """Of a layer behind the move, pairs only have the sum."""
    found = scored(lambda x: tf.reduce_sum(tf.nn.relu(APART[what](x)), 1), both("i1 u2 i1 u2"))
    assert found.check().pair_ops == {"AddV2": 1, "Relu": 1, "Sum": 1}
    assert found.crossing == ([(2,)], [(2,)])


# Of a sum s [batch, 2, 3] of a user's and an item's part: moves that both parts make alone.
SUMS: dict[str, Build] = {
    "cut": lambda s: tf.reshape(s[:, :, 1:], [-1, 4]),
    "cut in steps": lambda s: tf.reshape(s[:, ::-1, ::2], [-1, 4]),
    "flattened": lambda s: tf.reshape(s, [-1, 6]),
    "refolded": lambda s: tf.reshape(tf.reshape(s, [-1, 3, 2]), [-1, 6]),
    "one of it": lambda s: s[:, 1],
    "with axes of one": lambda s: tf.reshape(tf.expand_dims(s, 2), [-1, 6]),
    "below itself": lambda s: tf.reshape(tf.concat([s, s], 1), [-1, 12]),
}


@pytest.mark.parametrize("narrow", [False, True], ids=["", "narrow"])
@pytest.mark.parametrize("what", SUMS)
def test_terms_are_moved_apart(what: str, narrow: bool) -> None:
    """A layer behind the move multiplies no pair, though one term may be narrower than the sum."""

    def build(x: Any, y: Any) -> Any:
        moved = SUMS[what](x[:, :1] + y if narrow else x + y)
        return tf.reduce_sum(tf.nn.relu(moved @ weight(moved.shape[1], 4)), 1)

    found = scored(build, user(2, 3), item(2, 3)).check()
    assert found.pair_layers == []
    assert found.pair_ops["AddV2"] == 1


def test_a_transposed_product_of_matrices_is_right() -> None:
    """What has no way to stay apart is computed, in the order of its axes."""

    def build(x: Any, y: Any) -> Any:
        turned = tf.transpose(x[:, :, tf.newaxis] * y[:, tf.newaxis], [0, 2, 1])
        return tf.reduce_sum(tf.reshape(turned, [-1, 6]) * weight(6), 1)

    scored(build, user(3), item(2)).check()


def test_parts_cut_at_different_places_meet() -> None:
    """An elementwise op cuts both where either changes sides."""
    found = scored(
        lambda x, y: tf.reduce_sum(tf.nn.relu(x * y), 1), both("u2 i4"), both("u3 i1 u2")
    ).check()
    # Two of users alone, one of items alone; only the others are of pairs.
    assert found.pair_ops["Mul"] == 2


def test_parts_along_different_axes_meet_for_pairs() -> None:
    """Fields below each other and fields beside each other have no common cut."""

    def build(x: Any, y: Any, z: Any) -> Any:
        return tf.reduce_sum(tf.nn.relu(x + tf.concat([y, z], 2)), [1, 2])

    scored(build, both("u1 i2", 4), user(3, 1), item(3, 3)).check()

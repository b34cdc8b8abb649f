"""Parts side by side that meet the parts of another value."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from cases.graphs import both, item, scored, user


def test_parts_that_change_sides_at_different_columns_are_cut_at_both() -> None:
    """An elementwise op cuts both values wherever either changes sides."""
    split = scored(
        lambda x, y: tf.reduce_sum(tf.nn.relu(x * y), 1), both("u2 i4"), both("u3 i1 u2")
    ).check()
    # Two columns are of users alone, one of items alone; only the others are computed for pairs.
    assert split.pair_ops["Mul"] == 2


def test_parts_along_different_axes_meet_for_pairs() -> None:
    """Values concatenated along axis 1 and along axis 2 have no common cut."""

    def build(x: Any, y: Any, z: Any) -> Any:
        return tf.reduce_sum(tf.nn.relu(x + tf.concat([y, z], 2)), [1, 2])

    scored(build, both("u1 i2", 4), user(3, 1), item(3, 3)).check()

"""`tf2spark.graph_split.one_side`, and the walk that leaves ops to their side."""

from __future__ import annotations

from typing import Any

import pytest
import tensorflow as tf

from cases.graphs import both, item, scored, user
from tf2spark.graph_split.forms import NotRowWise, SideName


def _rows_of(*dims: int) -> Any:
    return lambda side, tensor: dims


def _distinct(x: Any) -> Any:
    """Return the values of a matrix by way of an op without a rule."""
    values, index = tf.unique(tf.reshape(x, [-1]))
    return tf.reshape(tf.gather(values, index), tf.shape(x))


def test_an_op_without_a_rule_stays_with_its_side() -> None:
    """Pairs need its rows only; that nothing proves them independent is recorded."""

    def build(x: Any, y: Any) -> Any:
        return tf.reduce_sum(_distinct(x) * y, 1)

    split = scored(build, user(3), item(3), row_dims=_rows_of(3)).check().split
    assert [rows.side for rows in split.unproven] == ["user"]


def test_ops_after_it_stay_there_too() -> None:
    """Though they have rules, their inputs have no form that a rule knows."""

    def build(x: Any, y: Any) -> Any:
        hidden = tf.nn.relu(_distinct(y) @ tf.ones([3, 2]))
        return tf.reduce_sum((x @ tf.ones([3, 2])) * hidden, 1)

    result = scored(build, user(3), item(3), row_dims=_rows_of(2)).check()
    assert result.pair_ops == {"MatMul": 1}
    assert [rows.side for rows in result.split.unproven] == ["item"]


def test_shapes_of_one_sided_rows_are_followed() -> None:
    """A reshape of pairs by the number of users, as a layer's own code writes it."""

    def build(x: Any, y: Any) -> Any:
        kept = _distinct(x)
        pairs = tf.reshape(kept * y, tf.stack([tf.shape(kept)[0], 3, 1]))
        return tf.reduce_sum(pairs, [1, 2])

    scored(build, user(3), item(3), row_dims=_rows_of(3)).check()


def test_a_part_of_a_shared_input_is_computed_by_a_copy() -> None:
    """The original op reads both sides, so a copy of it takes the side's own part."""

    def build(x: Any) -> Any:
        values = tf.raw_ops.NthElement(input=x[:, :3], n=1)
        return values * tf.reduce_sum(x[:, 3:], 1)

    split = scored(build, both("u3 i2"), row_dims=lambda side, tensor: None).check().split
    assert [rows.side for rows in split.unproven] == ["user"]


def test_what_has_no_row_for_each_of_its_side_is_refused() -> None:
    """The message names the op that would have met it with the other side."""

    def refuse(side: SideName, tensor: str) -> None:
        raise NotRowWise(f"nothing for each {side}")

    def build(x: Any, y: Any) -> Any:
        return tf.reduce_sum(_distinct(x) * y, 1)

    with pytest.raises(NotRowWise, match=r'Mul "\w+": nothing for each user'):
        scored(build, user(3), item(3), row_dims=refuse)


def test_ops_without_a_rule_that_read_both_sides_are_refused() -> None:
    """Nothing can be computed once, and rows may meet."""

    def build(x: Any, y: Any) -> Any:
        return tf.reduce_sum(_distinct(x * y), 1)

    with pytest.raises(NotRowWise, match="Unique"):
        scored(build, user(3), item(3), row_dims=_rows_of(3))

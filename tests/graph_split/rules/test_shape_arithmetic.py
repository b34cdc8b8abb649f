"""Shape arithmetic: integers in which the batch is an unknown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from cases.graphs import both, item, numbers, scored, user
from tf2spark.dtypes import INT32
from tf2spark.graph_split.forms import BatchSize, LowerBound, NotRowWise, ShapeVector
from tf2spark.graph_split.rules.shape_arithmetic import SHAPE_OPS, apply_shape_op, is_static

raw = tf.raw_ops
# Of a user's x [batch, 2, 6] and an item's y [batch, 3]: what a reshape of x is given.
WAYS: dict[str, Callable[[Any, Any], Any]] = {
    "Add": lambda x, y: [tf.shape(x)[0], raw.Add(x=tf.shape(x)[1], y=1), 4],
    "AddV2": lambda x, y: [tf.shape(x)[0], tf.shape(x)[1] + 1, 4],
    "Cast": lambda x, y: tf.cast([tf.cast(tf.shape(x), tf.int64)[0], 3, 4], tf.int32),
    "ConcatV2": lambda x, y: tf.concat([tf.shape(y)[:1], [4, 3]], 0),
    "ExpandDims": lambda x, y: tf.concat([tf.expand_dims(tf.shape(x)[0], 0), [12]], 0),
    "FloorDiv": lambda x, y: [tf.size(x) // 12, tf.shape(x)[2] // 2, 4],
    "GatherV2": lambda x, y: tf.gather(tf.shape(x), [0, 2, 1]),
    "Greater": lambda x, y: tf.where(
        raw.Greater(x=tf.shape(x), y=[0, 3, 1])[1], [-1, 3, 4], [-1, 4, 3]
    ),
    "Identity": lambda x, y: tf.identity(tf.shape(x) * [1, 2, 1] // [1, 1, 2]),
    "Maximum": lambda x, y: [-1, tf.maximum(tf.shape(x)[1], 3), 4],
    "Minimum": lambda x, y: [-1, tf.minimum(tf.shape(x)[2], 4), 3],
    "Mul": lambda x, y: [tf.shape(x)[0] * 1, 2 * tf.shape(x)[1], 3],
    "OnesLike": lambda x, y: tf.concat(
        [tf.shape(x)[:1], raw.OnesLike(x=tf.shape(x)) * [2, 3, 2]], 0
    ),
    "Pack": lambda x, y: tf.stack([tf.shape(x)[0], 3, 4]),
    "Prod": lambda x, y: [-1, tf.reduce_prod(tf.shape(x)[1:])],
    "Rank": lambda x, y: [tf.shape(x)[0], raw.Rank(input=x), raw.Rank(input=tf.shape(x)) * 4],
    "Reshape": lambda x, y: tf.reshape([tf.shape(x)[:1], [12]], [-1]),
    "Shape": lambda x, y: [tf.shape(y)[0], raw.Shape(input=tf.shape(x))[0], 4],
    "Size": lambda x, y: [tf.shape(y)[0], raw.Size(input=tf.shape(y)), 6],
    "Slice": lambda x, y: tf.concat([tf.slice(tf.shape(x), [0], [1]), [3, 4]], 0),
    "Squeeze": lambda x, y: tf.stack([tf.squeeze(tf.shape(x)[:1]), 12]),
    "StopGradient": lambda x, y: tf.stop_gradient(tf.shape(x))[:2] * [1, 6],
    "StridedSlice": lambda x, y: tf.concat([tf.shape(x)[:-2], tf.shape(x)[:0:-1]], 0),
    "Sub": lambda x, y: [-1, tf.shape(x)[2] - 2, 3],
    "ZerosLike": lambda x, y: tf.concat(
        [tf.shape(x)[:1], tf.add(raw.ZerosLike(x=tf.shape(x)), [2, 3, 2])], 0
    ),
}


def test_every_op_of_shape_arithmetic_has_a_case_here() -> None:
    """An op that nobody tested can't be in the table."""
    assert sorted(SHAPE_OPS) == sorted(WAYS)


@pytest.mark.parametrize("op", WAYS)
def test_a_computed_shape_reshapes_rows(op: str) -> None:
    """Whatever layers compute of a shape comes out as in TensorFlow: rows keep their order."""
    weight = np.random.default_rng(3).normal(size=12).astype(np.float32)

    def build(x: Any, y: Any) -> Any:
        made = tf.reshape(x, tf.reshape(WAYS[op](x, y), [-1]))
        # Tells dimensions apart: it works on the last of them.
        made = tf.reverse(tf.cumsum(made, -1), [-1])
        flat = tf.reshape(made, [-1, 12])
        return tf.reduce_sum(flat * weight, 1) * y[:, 0]

    found = scored(build, user(2, 6, in_graph=False), item(3, in_graph=False)).check()
    assert op in {node.op for node in found.split.graph.node}
    assert len(np.unique(found.whole_scores)) > 1


def sizes(*values: Any) -> ShapeVector:
    made = np.empty(len(values), object)
    made[:] = values
    return ShapeVector(made, INT32, frozenset(("user",)))


def node(**attributes: Any) -> Any:
    found = tf.compat.v1.NodeDef(**attributes)
    return found


@pytest.mark.parametrize(
    ("op", "one", "other", "expected"),
    [
        ("Mul", BatchSize(2), 3, BatchSize(6)),
        ("Mul", 3, BatchSize(2), BatchSize(6)),
        ("Mul", None, 3, None),
        ("FloorDiv", BatchSize(6), 3, BatchSize(2)),
        ("FloorDiv", BatchSize(6), 4, None),
        ("AddV2", BatchSize(), 1, None),
        ("Sub", BatchSize(), BatchSize(), None),
        ("Maximum", None, 10, LowerBound(10)),
        ("Maximum", BatchSize(), 10, None),
        ("Maximum", LowerBound(3), 10, LowerBound(10)),
        ("Minimum", LowerBound(10), 10, 10),
        ("Minimum", LowerBound(3), 10, None),
        ("Minimum", BatchSize(), 10, None),
        ("Greater", 3, 2, 1),
        ("Greater", BatchSize(), 2, None),
    ],
)
def test_the_batch_in_arithmetic(op: str, one: Any, other: Any, expected: Any) -> None:
    """Multiples of the batch stay known, anything else of it is nothing that is known."""
    found = apply_shape_op(node(op=op), [sizes(one), sizes(other)], INT32)
    assert found.values.tolist() == [expected]
    assert is_static(found) is isinstance(expected, int)


def test_the_batch_by_itself_is_refused() -> None:
    """What grows with the square of the rows can't treat them apart."""
    with pytest.raises(NotRowWise, match="multiplied by itself"):
        apply_shape_op(node(op="Mul"), [sizes(BatchSize()), sizes(BatchSize())], INT32)


@pytest.mark.parametrize("op", ["GatherV2", "Reshape", "Slice"])
def test_a_place_that_depends_on_the_batch_is_refused(op: str) -> None:
    """Which number is meant would depend on how many rows there are."""
    rest = [sizes(BatchSize())] * (len("Slice") - 3 if op == "Slice" else 1)
    with pytest.raises(NotRowWise, match="depends on the number of rows"):
        apply_shape_op(
            node(op=op), [sizes(BatchSize(), 2), *rest, *[sizes(0)] * (op == "GatherV2")], INT32
        )


def test_a_fraction_of_the_batch_is_unknown() -> None:
    """Half a batch, computed in floating point, is not taken for none."""

    def build(x: Any, y: Any) -> Any:
        half = tf.cast(tf.cast(tf.shape(x)[0], tf.float32) * 0.5, tf.int32)
        return tf.reduce_sum(tf.reshape(x * y, [half * 2, 2]), 1)

    found = scored(build, user(2), item(2), users=2, items=3).check()
    assert found.pair_ops == {"MatMul": 1}


def test_the_largest_id_of_a_batch_only_bounds() -> None:
    """Counting ids up to a fixed number first asks for the largest: no score depends on it."""

    def build(ids: Any, y: Any) -> Any:
        size = tf.minimum(tf.maximum(tf.reduce_max(ids, [0, 1]) + 1, 9), 9)
        counted = raw.DenseBincount(input=ids, size=size, weights=tf.constant([], tf.float32))
        counted.set_shape([None, 9])
        return tf.reduce_sum(counted * y, 1)

    scored(build, user(4, draw=numbers(9, np.int32), dtype=tf.int32), item(9)).check()


def test_parts_of_both_sides_have_the_shape_of_the_whole() -> None:
    """The shape of a concatenated input speaks of both."""

    def build(x: Any) -> Any:
        return tf.reduce_sum(tf.reshape(x, [tf.shape(x)[0], tf.shape(x)[1] // 2, 2])[:, 1], 1)

    scored(build, both("u3 i2 u1", in_graph=False)).check()

"""Shape arithmetic: integers in which the number of rows is an unknown."""

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
# For a user's x [batch, 2, 6] and an item's y [batch, 3]: shapes to which x is reshaped.
SHAPES: dict[str, Callable[[Any, Any], Any]] = {
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
    assert sorted(SHAPE_OPS) == sorted(SHAPES)


@pytest.mark.parametrize("op", SHAPES)
def test_a_computed_shape_reshapes_rows(op: str) -> None:
    """The shapes that layers compute are those of TensorFlow: values keep their order."""
    weight = np.random.default_rng(3).normal(size=12).astype(np.float32)

    def build(x: Any, y: Any) -> Any:
        reshaped = tf.reshape(x, tf.reshape(SHAPES[op](x, y), [-1]))
        # A running sum along the last axis depends on how long that axis is.
        sums = tf.reverse(tf.cumsum(reshaped, -1), [-1])
        return tf.reduce_sum(tf.reshape(sums, [-1, 12]) * weight, 1) * y[:, 0]

    result = scored(build, user(2, 6, in_graph=False), item(3, in_graph=False)).check()
    assert op in {node.op for node in result.split.graph.node}
    assert len(np.unique(result.whole_scores)) > 1


def shape_vector(*values: Any) -> ShapeVector:
    entries = np.empty(len(values), object)
    entries[:] = values
    return ShapeVector(entries, INT32, frozenset(("user",)))


def node(op: str) -> Any:
    return tf.compat.v1.NodeDef(op=op)


@pytest.mark.parametrize(
    ("op", "left", "right", "expected"),
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
def test_the_batch_in_arithmetic(op: str, left: Any, right: Any, expected: Any) -> None:
    """Multiples of the batch are known; any other function of it is unknown."""
    result = apply_shape_op(node(op), [shape_vector(left), shape_vector(right)], INT32)
    assert result.values.tolist() == [expected]
    assert is_static(result) is isinstance(expected, int)


def test_the_batch_by_itself_is_refused() -> None:
    """A size that grows with the square of the batch mixes its rows."""
    with pytest.raises(NotRowWise, match="multiplied by itself"):
        apply_shape_op(node("Mul"), [shape_vector(BatchSize()), shape_vector(BatchSize())], INT32)


def shape_vector_inputs(op: str) -> list[ShapeVector]:
    """Return a shape [batch, 2] and, as the first index or size that `op` takes, the batch."""
    batch, zero = shape_vector(BatchSize()), shape_vector(0)
    others = {"GatherV2": [batch, zero], "Reshape": [batch], "Slice": [batch, batch]}
    return [shape_vector(BatchSize(), 2), *others[op]]


@pytest.mark.parametrize("op", ["GatherV2", "Reshape", "Slice"])
def test_an_index_that_depends_on_the_batch_is_refused(op: str) -> None:
    """Which number it means would depend on how many rows there are."""
    with pytest.raises(NotRowWise, match="depends on the number of rows"):
        apply_shape_op(node(op), shape_vector_inputs(op), INT32)


def test_a_fraction_of_the_batch_is_unknown() -> None:
    """Half a batch, computed in floating point, isn't taken for 0 rows."""

    def build(x: Any, y: Any) -> Any:
        half = tf.cast(tf.cast(tf.shape(x)[0], tf.float32) * 0.5, tf.int32)
        return tf.reduce_sum(tf.reshape(x * y, [half * 2, 2]), 1)

    split = scored(build, user(2), item(2), users=2, items=3).check()
    assert split.pair_ops == {"MatMul": 1}


def test_the_largest_id_of_a_batch_is_only_a_bound() -> None:
    """Counting ids first looks for the largest, up to a fixed one: no score depends on it."""

    def build(ids: Any, y: Any) -> Any:
        size = tf.minimum(tf.maximum(tf.reduce_max(ids, [0, 1]) + 1, 9), 9)
        counted = raw.DenseBincount(input=ids, size=size, weights=tf.constant([], tf.float32))
        counted.set_shape([None, 9])
        return tf.reduce_sum(counted * y, 1)

    scored(build, user(4, draw=numbers(9, np.int32), dtype=tf.int32), item(9)).check()


def test_parts_of_both_sides_have_the_shape_of_the_whole() -> None:
    """The shape of a concatenated input depends on both sides."""

    def build(x: Any) -> Any:
        return tf.reduce_sum(tf.reshape(x, [tf.shape(x)[0], tf.shape(x)[1] // 2, 2])[:, 1], 1)

    scored(build, both("u3 i2 u1", in_graph=False)).check()

"""What isn't known to treat rows apart is refused, whatever its form: never a wrong number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from cases.graphs import both, item, numbers, scored, user, words
from tf2spark.graph_split.forms import NotRowWise, NotSplit

raw = tf.raw_ops
Build = Callable[[Any, Any], Any]


def weight(*dims: int) -> Any:
    return np.random.default_rng(5).normal(size=dims).astype(np.float32)


def rows(x: Any) -> Any:
    return tf.shape(x)[0]


def turned(x: Any) -> Any:
    return tf.transpose(x)


# A user's x [batch, 3] and an item's y [batch, 3].
NOT_ROW_WISE: dict[str, Build] = {
    "a sum over the batch": lambda x, y: (x + y) - tf.reduce_sum(x, 0),
    "a sum over all": lambda x, y: (x * y) - tf.reduce_sum(x),
    "a mean over the batch": lambda x, y: x * y - tf.reduce_mean(x * y, 0, keepdims=True),
    "a largest over the batch": lambda x, y: x * y / tf.reduce_max(x, 0),
    "any over the batch": lambda x, y: tf.where(tf.reduce_any(x > 0, 0), x, y),
    "a negative axis that is the batch": lambda x, y: x * y - tf.reduce_sum(x * y, -2),
    "a softmax over the batch": lambda x, y: turned(tf.nn.softmax(turned(x * y))),
    "a softmax of numbers": lambda x, y: tf.nn.softmax(tf.reduce_sum(x * y, 1)),
    "the largest place in the batch": lambda x, y: x * y * tf.cast(tf.argmax(x, 0), tf.float32),
    "a running sum over the batch": lambda x, y: tf.cumsum(x * y, 0),
    "the batch backwards": lambda x, y: tf.reverse(x, [0]) * y,
    "the best of the batch": lambda x, y: tf.math.top_k(tf.reduce_sum(x * y, 1), 1)[0] + x[:, 0],
    "a transpose": lambda x, y: turned(turned(x) * turned(y)),
    "rows times rows": lambda x, y: tf.matmul(x, y, transpose_b=True),
    "a matrix from the left": lambda x, y: tf.matmul(x, tf.matmul(x, y, transpose_a=True)),
    "a reshape that cuts rows": lambda x, y: tf.reshape(x + y, [-1, 2]),
    "a reshape that fixes rows": lambda x, y: tf.reshape(x + y, [20, 3]),
    "a reshape that moves rows": lambda x, y: turned(tf.reshape(x + y, [3, rows(x)])),
    "the first row": lambda x, y: x * y - x[:1],
    "some rows": lambda x, y: x[1:] * y[1:],
    "rows backwards": lambda x, y: x[::-1] * y,
    "a slice of rows": lambda x, y: tf.slice(x, [1, 0], [-1, 3]) + y[1:],
    "as many rows as half": lambda x, y: (x * y)[: rows(x) // 2],
    "rows below each other": lambda x, y: tf.concat([x, y], 0),
    "rows repeated": lambda x, y: tf.tile(x * y, [2, 1]),
    "rows stacked": lambda x, y: tf.stack([x, y], 0),
    "rows unstacked": lambda x, y: tf.split(x * y, 2, 0)[0],
    "a row added": lambda x, y: tf.pad(x * y, [[0, 1], [0, 0]]),
    "a row that looks others up": lambda x, y: tf.gather(x, tf.argmax(y, 1)),
    "a constant row for each": lambda x, y: x * y * tf.gather(weight(20, 3), tf.range(rows(x))),
    "the number of rows": lambda x, y: x * y / tf.cast(rows(x), tf.float32),
    "the number of rows added": lambda x, y: x[:, 0] * y[:, 0] + tf.cast(rows(x), tf.float32),
    "the number of rows times": lambda x, y: tf.cast(tf.size(x), tf.float32) * x * y,
    "a number of rows of merged ones": lambda x, y: (
        tf.reduce_sum(tf.reshape(x * y, [-1]) ** 2) * tf.reshape(x, [-1, 3])
    ),
    "merged rows, the first of them": lambda x, y: tf.reshape(x + y, [-1])[: rows(x)],
    "merged rows, a slice of them": lambda x, y: tf.slice(
        tf.reshape(x + y, [-1]), [0], [rows(x)]
    ),
    "merged rows beside others": lambda x, y: tf.reshape(x, [-1, 1]) * tf.reshape(y, [-1, 1])[:1],
    "merged rows, a mean of them": lambda x, y: x + tf.reduce_mean(tf.reshape(x + y, [-1, 1]), 0),
    "random numbers": lambda x, y: x + y * tf.random.uniform([3]),
    "random numbers that decide": lambda x, y: tf.nn.dropout(x + y, 0.5),
    "normal random numbers": lambda x, y: x + y + raw.RandomStandardNormal(shape=[3], dtype=1),
    "norms of the batch": lambda x, y: raw.FusedBatchNormV3(
        x=(x + y)[:, tf.newaxis, tf.newaxis],
        scale=weight(3),
        offset=weight(3),
        mean=np.zeros(0, np.float32),
        variance=np.zeros(0, np.float32),
        is_training=True,
    )[0],
    "rows beside each other": lambda x, y: tf.nn.softmax(
        tf.reshape(x * y, tf.stack([1, rows(x), 3])), 1
    )[0],
    "rows beside each other, their norm": lambda x, y: raw.FusedBatchNormV3(
        x=tf.reshape(x * y, tf.stack([1, rows(x), 1, 3])),
        scale=weight(3),
        offset=weight(3),
        mean=np.zeros(0, np.float32),
        variance=np.zeros(0, np.float32),
        is_training=True,
    )[0][0],
    "counts over the batch": lambda x, y: x * y * tf.reduce_sum(tf.math.bincount(
        tf.cast(tf.abs(x[:, 0]), tf.int32), dtype=tf.float32)),
    "different values": lambda x, y: x * y * tf.cast(
        tf.size(tf.unique(x[:, 0])[0]), tf.float32
    ),
    "columns that meet rows": lambda x, y: tf.reduce_sum(x, 1) * y[:3, :3],
    "sums that meet rows": lambda x, y: tf.reduce_sum(x, 1)[tf.newaxis] * y,
    "an einsum over the batch": lambda x, y: tf.einsum("bi,bj->ij", x, y)[0] + x,
    "an einsum that leaves the batch": lambda x, y: tf.einsum("bi,ci->bc", x, y),
    "an einsum that turns": lambda x, y: turned(tf.einsum("bi->ib", x * y)),
    "a filter of rows": lambda x, y: tf.nn.conv2d(
        tf.ones([1, 2, 2, 3]), tf.reshape(x * y, [1, -1, 3, 1]), 1, "SAME"
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", NOT_ROW_WISE)
def test_what_mixes_rows_is_refused(what: str) -> None:
    """A score that depends on the rows that it runs with has no right answer by parts."""

    def build(x: Any, y: Any) -> Any:
        found = NOT_ROW_WISE[what](x, y)
        dims = list(range(1, len(found.shape)))
        return tf.reduce_sum(found, dims) if dims else found

    with pytest.raises(NotRowWise, match=r'^\w+ "[^"]+": '):
        scored(build, user(3), item(3))


@pytest.mark.parametrize("what", ["x[:, 0] + y", "a constant of rows", "a constant too deep"])
def test_values_that_meet_across_rows_are_refused(what: str) -> None:
    """Broadcasting aligns axes from the right: the batch of one may meet a feature axis."""
    ways: dict[str, Build] = {
        "x[:, 0] + y": lambda x, y: tf.reduce_sum(x[:, 0] + y, 1),
        "a constant of rows": lambda x, y: tf.reduce_sum(x + y * weight(20, 3), 1),
        "a constant too deep": lambda x, y: tf.reduce_sum(x + y + weight(1, 1, 3), [0, 2]),
    }
    with pytest.raises(NotRowWise):
        scored(ways[what], user(20 if what[0] == "x" else 3), item(20 if what[0] == "x" else 3))


def test_an_op_without_a_rule_is_named() -> None:
    """The message says which op and which node, so that a rule can be written."""

    def build(x: Any, y: Any) -> Any:
        return raw.Igamma(a=tf.abs(x[:, 0]), x=tf.abs(y[:, 0]), name="strange")

    with pytest.raises(NotRowWise, match=r'Igamma "strange": this op isn\'t known'):
        scored(build, user(2), item(2))


def test_texts_of_pairs_are_not_split() -> None:
    """Crossed words are made for every pair: that runs whole, in blocks, since rows stay apart."""

    def build(x: Any, y: Any) -> Any:
        crossed = tf.strings.to_hash_bucket_fast(tf.strings.join([x, y], "_"), 100)
        return tf.gather(weight(100), crossed[:, 0])

    texts = {"draw": words("a", "b"), "dtype": tf.string}
    with pytest.raises(NotSplit, match=r'StringJoin "\w+": pairs would be'):
        scored(build, user(1, **texts), item(1, **texts))


def test_what_mixes_rows_behind_an_obstacle_is_found() -> None:
    """That a graph can't be taken apart at one node says nothing of the nodes behind it."""

    def build(x: Any, y: Any) -> Any:
        crossed = tf.strings.to_hash_bucket_fast(tf.strings.join([x, y], "_"), 100)
        return tf.nn.softmax(tf.gather(weight(100), crossed[:, 0]))

    texts = {"draw": words("a", "b"), "dtype": tf.string}
    with pytest.raises(NotRowWise, match="Softmax"):
        scored(build, user(1, **texts), item(1, **texts))


def test_rows_of_unknown_size_are_not_split() -> None:
    """A history whose length only the batch tells has no size; its rows are apart all the same."""

    def build(x: Any, y: Any) -> Any:
        rows_of = tf.stack([tf.shape(x)[0], tf.shape(x)[1], 1])
        return tf.reduce_sum(tf.reshape(x, rows_of) * y[:, tf.newaxis], [1, 2])

    with pytest.raises(NotSplit, match=r'Reshape "\w+": it reshapes rows of unknown size'):
        scored(build, user(3, in_graph=False, in_tables=False), item(1))


def test_a_score_that_is_a_vector_is_not_split() -> None:
    """One number a pair ranks; which of several has to be said."""
    with pytest.raises(NotSplit, match="isn't one number per row"):
        scored(lambda x, y: x * y, user(3), item(3))


def test_one_column_of_a_vector_ranks() -> None:
    """It is cut out of what users and items keep, before they are added."""
    found = scored(lambda x, y: x + y, user(3), item(3), column=1).check()
    assert found.crossing == ([()], [()])


def test_a_score_without_inputs_is_not_split() -> None:
    """A constant ranks nothing."""
    with pytest.raises(NotSplit, match="neither users nor items"):
        scored(lambda x, y: tf.constant([1.0]), user(3), item(3))


def test_ids_out_of_a_table_fail_as_in_the_whole_graph() -> None:
    """A lookup out of range is TensorFlow's to refuse: no row gets another's value."""
    table = weight(3, 2)

    def build(x: Any, y: Any) -> Any:
        return tf.reduce_sum(tf.gather(table, x) * tf.gather(table, y), [1, 2])

    ids = {"draw": numbers(9), "dtype": tf.int64}
    with pytest.raises(Exception, match="is not in"):
        scored(build, user(1, **ids), item(1, **ids))


def test_interleaved_parts_keep_their_order() -> None:
    """The order of columns is the model's, not the sides'."""
    kernel = weight(6, 1)
    found = scored(lambda x: tf.matmul(x, kernel), both("i1 u2 i2 u1")).check()
    assert found.pair_ops == {"AddV2": 1}

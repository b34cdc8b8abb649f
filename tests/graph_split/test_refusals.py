"""Ops that aren't known to treat rows independently are refused: better than a wrong score."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from cases.graphs import both, item, numbers, scored, user, words
from cases.models.saving import control_flow
from tf2spark.graph_split.forms import NotRowWise, NotSplit

raw, tf1 = tf.raw_ops, tf.compat.v1
Build = Callable[[Any, Any], Any]


def weight(*dims: int) -> Any:
    return np.random.default_rng(5).normal(size=dims).astype(np.float32)


def rows(x: Any) -> Any:
    return tf.shape(x)[0]


def transposed(x: Any) -> Any:
    return tf.transpose(x)


# A user's x [batch, 3] and an item's y [batch, 3].
NOT_ROW_WISE: dict[str, Build] = {
    "a sum over the batch": lambda x, y: (x + y) - tf.reduce_sum(x, 0),
    "a sum over all axes": lambda x, y: (x * y) - tf.reduce_sum(x),
    "a mean over the batch": lambda x, y: x * y - tf.reduce_mean(x * y, 0, keepdims=True),
    "a maximum over the batch": lambda x, y: x * y / tf.reduce_max(x, 0),
    "an any over the batch": lambda x, y: tf.where(tf.reduce_any(x > 0, 0), x, y),
    "a negative axis that is the batch": lambda x, y: x * y - tf.reduce_sum(x * y, -2),
    "a softmax over the batch": lambda x, y: transposed(tf.nn.softmax(transposed(x * y))),
    "a softmax of a number per row": lambda x, y: tf.nn.softmax(tf.reduce_sum(x * y, 1)),
    "an argmax over the batch": lambda x, y: x * y * tf.cast(tf.argmax(x, 0), tf.float32),
    "a running sum over the batch": lambda x, y: tf.cumsum(x * y, 0),
    "the batch reversed": lambda x, y: tf.reverse(x, [0]) * y,
    "a top-k over the batch": lambda x, y: tf.math.top_k(tf.reduce_sum(x * y, 1), 1)[0] + x[:, 0],
    "rows times rows": lambda x, y: tf.matmul(x, y, transpose_b=True),
    "a matrix from the left": lambda x, y: tf.matmul(x, tf.matmul(x, y, transpose_a=True)),
    "a reshape that cuts through rows": lambda x, y: tf.reshape(x + y, [-1, 2]),
    "a reshape to a fixed number of rows": lambda x, y: tf.reshape(x + y, [20, 3]),
    "a reshape that moves rows": lambda x, y: transposed(tf.reshape(x + y, [3, rows(x)])),
    "the first row": lambda x, y: x * y - x[:1],
    "some rows": lambda x, y: x[1:] * y[1:],
    "rows backwards": lambda x, y: x[::-1] * y,
    "a slice of rows": lambda x, y: tf.slice(x, [1, 0], [-1, 3]) + y[1:],
    "half of the rows": lambda x, y: (x * y)[: rows(x) // 2],
    "a concatenation of batches": lambda x, y: tf.concat([x, y], 0),
    "rows repeated": lambda x, y: tf.tile(x * y, [2, 1]),
    "a stack of batches": lambda x, y: tf.stack([x, y], 0),
    "the batch split in two": lambda x, y: tf.split(x * y, 2, 0)[0],
    "a row of padding": lambda x, y: tf.pad(x * y, [[0, 1], [0, 0]]),
    "a lookup in other rows": lambda x, y: tf.gather(x, tf.argmax(y, 1)),
    "a lookup in the columns of all rows": lambda x, y: tf.gather(x, tf.argmax(y, 1), axis=1),
    "a lookup along a table's second axis": lambda x, y: tf.gather(
        weight(4, 9), tf.argmax(x * y, 1), axis=1
    ),
    "a one-hot with the batch last": lambda x, y: tf.one_hot(tf.argmax(x * y, 1), 5, axis=0),
    "the batch axis squeezed": lambda x, y: tf.expand_dims(tf.squeeze(x * y, [0]), 0),
    "as many columns as rows": lambda x, y: x[:, : rows(x)] * y[:, : rows(x)],
    "a constant row for each row": lambda x, y: x * y * tf.gather(weight(20, 3), tf.range(rows(x))),
    "a division by the number of rows": lambda x, y: x * y / tf.cast(rows(x), tf.float32),
    "the number of rows added": lambda x, y: x[:, 0] * y[:, 0] + tf.cast(rows(x), tf.float32),
    "a product with the number of values": lambda x, y: tf.cast(tf.size(x), tf.float32) * x * y,
    "a sum over stacked rows": lambda x, y: (
        tf.reduce_sum(tf.reshape(x * y, [-1]) ** 2) * tf.reshape(x, [-1, 3])
    ),
    "the first of the stacked rows": lambda x, y: tf.reshape(x + y, [-1])[: rows(x)],
    "a slice of the stacked rows": lambda x, y: tf.slice(
        tf.reshape(x + y, [-1]), [0], [rows(x)]
    ),
    "stacked rows times one row": lambda x, y: tf.reshape(x, [-1, 1]) * tf.reshape(y, [-1, 1])[:1],
    "a mean of stacked rows": lambda x, y: x + tf.reduce_mean(tf.reshape(x + y, [-1, 1]), 0),
    "a constant for each stacked row": lambda x, y: tf.reshape(x + y, [-1, 1]) * weight(60, 1),
    "random numbers": lambda x, y: x + y * tf.random.uniform([3]),
    "random numbers in a comparison": lambda x, y: tf.nn.dropout(x + y, 0.5),
    "normal random numbers": lambda x, y: x + y + raw.RandomStandardNormal(shape=[3], dtype=1),
    "a batch normalization in training mode": lambda x, y: raw.FusedBatchNormV3(
        x=(x + y)[:, tf.newaxis, tf.newaxis],
        scale=weight(3),
        offset=weight(3),
        mean=np.zeros(0, np.float32),
        variance=np.zeros(0, np.float32),
        is_training=True,
    )[0],
    "a softmax over rows as channels": lambda x, y: tf.nn.softmax(
        tf.reshape(x * y, tf.stack([1, rows(x), 3])), 1
    )[0],
    "a batch normalization of rows as channels": lambda x, y: raw.FusedBatchNormV3(
        x=tf.reshape(x * y, tf.stack([1, rows(x), 1, 3])),
        scale=weight(3),
        offset=weight(3),
        mean=np.zeros(0, np.float32),
        variance=np.zeros(0, np.float32),
        is_training=True,
    )[0][0],
    "a bincount over the batch": lambda x, y: x * y * tf.reduce_sum(tf.math.bincount(
        tf.cast(tf.abs(x[:, 0]), tf.int32), dtype=tf.float32)),
    "the number of distinct values": lambda x, y: x * y * tf.cast(
        tf.size(tf.unique(x[:, 0])[0]), tf.float32
    ),
    "columns that meet rows": lambda x, y: tf.reduce_sum(x, 1) * y[:3, :3],
    "sums that meet rows": lambda x, y: tf.reduce_sum(x, 1)[tf.newaxis] * y,
    "an einsum over the batch": lambda x, y: tf.einsum("bi,bj->ij", x, y)[0] + x,
    "an einsum of two batches": lambda x, y: tf.einsum("bi,ci->bc", x, y),
    "an einsum that transposes the batch": lambda x, y: transposed(tf.einsum("bi->ib", x * y)),
    "an einsum with a constant row for each row": lambda x, y: tf.einsum(
        "bi,bi->b", x, weight(20, 3)
    ) * y[:, 0],
    "a product with a constant matrix for each row": lambda x, y: tf.matmul(
        (x * y)[:, tf.newaxis], weight(20, 3, 2)
    ),
    "a constant matrix for each row on the left": lambda x, y: tf.matmul(
        weight(20, 2, 3), (x * y)[..., tf.newaxis]
    ),
    "a filter of rows": lambda x, y: tf.nn.conv2d(
        tf.ones([1, 2, 2, 3]), tf.reshape(x * y, [1, -1, 3, 1]), 1, "SAME"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NOT_ROW_WISE)
def test_ops_that_mix_rows_are_refused(name: str) -> None:
    """A score that depends on the rows that it runs with can't be split."""

    def build(x: Any, y: Any) -> Any:
        result = NOT_ROW_WISE[name](x, y)
        axes = list(range(1, len(result.shape)))
        return tf.reduce_sum(result, axes) if axes else result

    with pytest.raises(NotRowWise, match=r'^\w+ "[^"]+": '):
        scored(build, user(3), item(3))


# With 20 rows in the whole graph, x [batch, 3] unless the batch must meet as many columns.
BROADCAST_ACROSS_ROWS: dict[str, tuple[int, Build]] = {
    "a number per row and rows": (20, lambda x, y: tf.reduce_sum(x[:, 0] + y, 1)),
    "a constant for each row": (3, lambda x, y: tf.reduce_sum(x + y * weight(20, 3), 1)),
    "a constant of a higher rank": (
        3, lambda x, y: tf.reduce_sum(x + y + weight(1, 1, 3), [0, 2])
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BROADCAST_ACROSS_ROWS)
def test_values_that_broadcast_across_rows_are_refused(name: str) -> None:
    """Broadcasting aligns axes from the right: the batch of one may meet a feature axis."""
    width, build = BROADCAST_ACROSS_ROWS[name]
    with pytest.raises(NotRowWise):
        scored(build, user(width), item(width))


def test_an_op_without_a_rule_is_named() -> None:
    """The message says which op and which node, so that a rule can be written."""

    def build(x: Any, y: Any) -> Any:
        return raw.Igamma(a=tf.abs(x[:, 0]), x=tf.abs(y[:, 0]), name="strange")

    with pytest.raises(NotRowWise, match=r'Igamma "strange": this op isn\'t known'):
        scored(build, user(2), item(2))


def test_a_loop_is_refused() -> None:
    """TF1 writes a loop as a cycle of nodes, in which no node comes first."""

    def build(x: Any, y: Any) -> Any:
        with control_flow(1):
            _, power = tf1.while_loop(
                lambda n, power: n < 3, lambda n, power: (n + 1, power * y), [tf.constant(0), x]
            )
        return tf.reduce_sum(power, 1)

    with pytest.raises(NotRowWise, match="it is part of a loop"):
        scored(build, user(3), item(3))


def test_texts_of_pairs_are_not_split() -> None:
    """Crossed words exist per pair only; rows are independent, so the graph runs in blocks."""

    def build(x: Any, y: Any) -> Any:
        crossed = tf.strings.to_hash_bucket_fast(tf.strings.join([x, y], "_"), 100)
        return tf.gather(weight(100), crossed[:, 0])

    texts = {"draw": words("a", "b"), "dtype": tf.string}
    with pytest.raises(NotSplit, match=r'StringJoin "\w+": pairs would be'):
        scored(build, user(1, **texts), item(1, **texts))


def test_ops_that_mix_rows_after_an_obstacle_are_found() -> None:
    """The walk goes on past a node that can't be split."""

    def build(x: Any, y: Any) -> Any:
        crossed = tf.strings.to_hash_bucket_fast(tf.strings.join([x, y], "_"), 100)
        return tf.nn.softmax(tf.gather(weight(100), crossed[:, 0]))

    texts = {"draw": words("a", "b"), "dtype": tf.string}
    with pytest.raises(NotRowWise, match="Softmax"):
        scored(build, user(1, **texts), item(1, **texts))


def test_rows_of_unknown_size_are_not_split() -> None:
    """The length of a history may depend on the batch; rows are independent all the same."""

    def build(x: Any, y: Any) -> Any:
        shape = tf.stack([tf.shape(x)[0], tf.shape(x)[1], 1])
        return tf.reduce_sum(tf.reshape(x, shape) * y[:, tf.newaxis], [1, 2])

    with pytest.raises(NotSplit, match=r'Sum "\w+": a product has unknown dimensions'):
        scored(
            build,
            user(3, in_graph=False, in_tables=False),
            item(1),
            row_dims=lambda side, tensor: (None, 1),
        )


def test_a_score_that_is_a_vector_is_not_split() -> None:
    """Only one number per pair can rank; the caller must name one of several."""
    with pytest.raises(NotSplit, match="isn't one number per row"):
        scored(lambda x, y: x * y, user(3), item(3))


def test_one_column_of_a_vector_ranks() -> None:
    """It is sliced from the values of users and of items, before they are added."""
    split = scored(lambda x, y: x + y, user(3), item(3), column=1).check()
    assert split.crossing == ([()], [()])


def test_a_score_without_inputs_is_not_split() -> None:
    """A constant ranks nothing."""
    with pytest.raises(NotSplit, match="neither users nor items"):
        scored(lambda x, y: tf.constant([1.0]), user(3), item(3))


def test_ids_out_of_range_fail_as_in_the_whole_graph() -> None:
    """TensorFlow refuses a lookup out of range: no row gets the value of another."""
    table = weight(3, 2)

    def build(x: Any, y: Any) -> Any:
        return tf.reduce_sum(tf.gather(table, x) * tf.gather(table, y), [1, 2])

    ids = {"draw": numbers(9), "dtype": tf.int64}
    with pytest.raises(Exception, match="is not in"):
        scored(build, user(1, **ids), item(1, **ids))


def test_interleaved_parts_keep_their_order() -> None:
    """Columns stay in the order of the model, which may alternate between sides."""
    kernel = weight(6, 1)
    split = scored(lambda x: tf.matmul(x, kernel), both("i1 u2 i2 u1")).check()
    assert split.pair_ops == {"AddV2": 1}

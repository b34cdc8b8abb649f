"""What no longer runs per pair, for the architectures that people use."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from cases.graphs import both, item, numbers, scored, user


def weight(*dims: int, seed: int = 5) -> Any:
    return np.random.default_rng(seed).normal(0, 0.5, dims).astype(np.float32)


def dense(x: Any, inner: int, outer: int, seed: int = 5) -> Any:
    return tf.nn.bias_add(tf.matmul(x, weight(inner, outer, seed=seed)), weight(outer, seed=seed))


def test_the_first_layer_is_computed_by_sides() -> None:
    """Of an MLP on one concatenated input, pairs compute all layers but the first."""

    def mlp(x: Any) -> Any:
        hidden = tf.nn.relu(dense(tf.nn.relu(dense(x, 9, 8)), 8, 4))
        return tf.sigmoid(dense(hidden, 4, 1))

    split = scored(mlp, both("i2 u3 i3 u1")).check()
    assert split.pair_layers == [(4, 1), (8, 4)]
    assert split.pair_ops["AddV2"] == 1
    assert split.crossing == ([(8,)], [(8,)])


def test_two_towers_are_one_matrix_product() -> None:
    """That holds whatever the towers compute."""

    def towers(x: Any, y: Any) -> Any:
        return tf.reduce_sum(tf.nn.relu(dense(x, 3, 4)) * tf.tanh(dense(y, 5, 4)), -1)

    split = scored(towers, user(3), item(5)).check()
    assert split.pair_ops == {"MatMul": 1}
    assert split.crossing == ([(4,)], [(4,)])


def test_a_cosine_is_one_matrix_product() -> None:
    """Vectors are normalized on their side."""

    def cosine(x: Any, y: Any) -> Any:
        a, c = tf.nn.l2_normalize(x, -1), tf.nn.l2_normalize(y, -1)
        return tf.reduce_sum(a * c, 1, keepdims=True) / 0.07

    split = scored(cosine, user(4), item(4)).check()
    assert split.pair_ops == {"MatMul": 1, "RealDiv": 1}


def test_a_dot_of_matrices_is_one_matrix_product() -> None:
    """Keras's Dot multiplies matrices of one row and one column."""

    def dot(x: Any, y: Any) -> Any:
        return tf.squeeze(tf.matmul(x[:, tf.newaxis], y[..., tf.newaxis]), [1, 2])

    split = scored(dot, user(4), item(4)).check()
    assert split.pair_ops == {"MatMul": 1}


def fields(ids: Any, size: int = 6) -> Any:
    return tf.gather(weight(30, size), ids)


def test_a_factorization_machine_is_one_inner_product() -> None:
    """(U + I)^2 is U^2 + I^2 + 2UI: only the inner product is computed per pair."""

    def fm(ids: Any, values: Any) -> Any:
        v = fields(ids) * values[..., tf.newaxis]
        square = tf.square(tf.reduce_sum(v, 1))
        first = tf.reduce_sum(tf.gather(weight(30), ids) * values, 1)
        return first + 0.5 * tf.reduce_sum(square - tf.reduce_sum(tf.square(v), 1), 1)

    split = scored(fm, both("u2 i3", draw=numbers(30), dtype=tf.int64), both("u2 i3")).check()
    assert split.pair_ops == {"MatMul": 1, "Mul": 1, "AddV2": 2}
    assert split.crossing == ([(6,), ()], [(6,), ()])


def test_a_deepfm_has_no_lookups_per_pair() -> None:
    """Embeddings, linear terms and the first layer are computed by sides."""

    def deepfm(ids: Any) -> Any:
        v = fields(ids)
        square = tf.square(tf.reduce_sum(v, 1)) - tf.reduce_sum(tf.square(v), 1)
        deep = dense(tf.nn.relu(dense(tf.reshape(v, [-1, 30]), 30, 8)), 8, 1)
        first = tf.reduce_sum(tf.gather(weight(30, 1), ids), 1)
        return tf.sigmoid(first + 0.5 * tf.reduce_sum(square, 1, keepdims=True) + deep)

    split = scored(deepfm, both("u2 i3", draw=numbers(30), dtype=tf.int64)).check()
    assert split.pair_layers == [(8, 1)]
    assert split.pair_ops["MatMul"] == 2
    assert "GatherV2" not in split.pair_ops


def test_a_normalized_input_leaves_the_first_layer_to_the_sides() -> None:
    """Only its mean and variance are computed per pair."""

    def ln(x: Any) -> Any:
        mean, variance = tf.nn.moments(x, [-1], keepdims=True)
        x = (x - mean) * tf.math.rsqrt(variance + 1e-3) * weight(7, seed=8) + weight(7)
        return dense(tf.nn.relu(dense(x, 7, 8)), 8, 1)

    split = scored(ln, both("u2 i3 u2")).check()
    assert split.pair_layers == [(8, 1)]
    assert split.crossing[1].count((8,)) == 3


def test_a_normalized_first_layer_leaves_the_second_to_the_sides() -> None:
    """Its variance is one inner product, and pairs multiply only by the last layer's matrix."""

    def ln(x: Any) -> Any:
        x = dense(x, 7, 6)
        mean, variance = tf.nn.moments(x, [-1], keepdims=True)
        x = (x - mean) * tf.math.rsqrt(variance + 1e-3) * weight(6, seed=8) + weight(6)
        return dense(tf.nn.relu(dense(x, 6, 8)), 8, 1)

    split = scored(ln, both("u2 i3 u2")).check()
    assert split.pair_layers == [(8, 1)]
    assert split.pair_ops["MatMul"] == 2
    assert "Sum" not in split.pair_ops


def test_a_layer_normalized_as_channels_leaves_the_next_to_the_sides() -> None:
    """Keras 2 makes rows the channels of one image, and normalizes the image."""

    def ln(x: Any) -> Any:
        x = dense(x, 7, 6)
        image = tf.reshape(x, tf.stack([1, tf.shape(x)[0], 6, 1]))
        count, none = tf.shape(x)[:1], np.zeros(0, np.float32)
        image = tf.raw_ops.FusedBatchNormV3(
            x=image,
            scale=tf.fill(count, 1.0),
            offset=tf.fill(count, 0.0),
            mean=none,
            variance=none,
            epsilon=0.001,
            data_format="NCHW",
            is_training=True,
        )[0]
        x = tf.reshape(image, tf.shape(x)) * weight(6, seed=8) + weight(6)
        return dense(tf.nn.relu(dense(x, 6, 8)), 8, 1)

    split = scored(ln, both("u2 i3 u2")).check()
    assert split.pair_layers == [(8, 1)]
    assert "Sum" not in split.pair_ops


def test_a_batch_norm_before_the_first_layer_costs_pairs_nothing() -> None:
    """In inference it is a constant factor and a constant term."""

    def bn(x: Any) -> Any:
        scale = tf.math.rsqrt(tf.constant(weight(7) ** 2) + 1e-3) * weight(7, seed=3)
        x = x * scale + (weight(7) - weight(7, seed=9) * scale)
        return dense(tf.nn.relu(dense(x, 7, 8)), 8, 1)

    split = scored(bn, both("u2 i3 u2")).check()
    assert split.pair_layers == [(8, 1)]
    assert split.crossing == ([(8,)], [(8,)])


def test_cross_layers_of_one_vector_are_numbers_per_pair() -> None:
    """Each layer is the input times one number, so no vector crosses to the pairs."""

    def dcn(x: Any) -> Any:
        at = x
        for n in range(2):
            at = x * tf.matmul(at, weight(7, 1, seed=n)) + weight(7, seed=n) + at
        return dense(at, 7, 1)

    split = scored(dcn, both("u2 i3 u2")).check()
    assert split.pair_layers == []
    assert {size for side in split.crossing for size in side} == {(1,), ()}


def test_the_first_cross_layer_is_computed_by_sides() -> None:
    """The input of the second layer is a value per pair."""

    def dcn(x: Any) -> Any:
        at = x
        for n in range(2):
            at = x * dense(at, 7, 7, seed=n) + at
        return dense(at, 7, 1)

    split = scored(dcn, both("u2 i3 u2")).check()
    assert split.pair_layers == [(7, 1), (7, 7)]


def test_attention_over_a_history_splits_its_first_layer() -> None:
    """Of [item, history, difference, product], pairs multiply only the product."""

    def din(history: Any, query: Any) -> Any:
        query = tf.tile(query[:, tf.newaxis], [1, 5, 1])
        x = tf.concat([query, history, query - history, query * history], -1)
        hidden = tf.sigmoid(tf.tensordot(x, weight(16, 6), 1) + weight(6))
        scores = tf.nn.softmax(tf.squeeze(tf.tensordot(hidden, weight(6, 1), 1), -1))
        interest = tf.reduce_sum(scores[..., tf.newaxis] * history, 1)
        x = tf.concat([interest, query[:, 0]], -1)
        return dense(tf.nn.relu(dense(x, 8, 4)), 4, 1)

    split = scored(din, user(5, 4), item(4)).check()
    assert split.pair_layers == [(4, 1), (4, 4), (4, 6), (6, 1)]
    assert split.pair_ops["Einsum"] == 1


def test_attention_by_inner_products_multiplies_no_keys_for_pairs() -> None:
    """Keys and queries are computed by sides; pairs compute weights and weighted sums."""

    def attention(history: Any, query: Any) -> Any:
        keys, q = tf.tensordot(history, weight(4, 3), 1), tf.matmul(query, weight(4, 3, seed=6))
        scores = tf.nn.softmax(tf.squeeze(tf.matmul(q[:, tf.newaxis], keys, transpose_b=True), 1))
        read = tf.squeeze(tf.matmul(scores[:, tf.newaxis], history), 1)
        return dense(tf.nn.relu(dense(tf.concat([read, query], 1), 8, 4)), 4, 1)

    split = scored(attention, user(5, 4), item(4)).check()
    assert split.pair_layers == [(4, 1), (4, 4)]
    assert split.pair_ops["Einsum"] == 2
    assert split.crossing == ([(3, 5), (5, 4)], [(3,), (4,)])


def test_a_product_before_a_layer_is_an_inner_product() -> None:
    """The generalized matrix factorization of NeuMF is weighted on one side."""

    def neumf(x: Any, y: Any) -> Any:
        deep = tf.nn.relu(dense(tf.concat([x, y], 1), 8, 4))
        return tf.sigmoid(dense(tf.concat([x * y, deep], 1), 8, 1))

    split = scored(neumf, user(4), item(4)).check()
    assert split.pair_layers == [(4, 1)]
    assert split.pair_ops["MatMul"] == 2
    assert "Mul" not in split.pair_ops


def test_attention_between_fields_projects_by_sides() -> None:
    """Queries, keys and values of each field are computed once per user and item."""

    def autoint(x: Any) -> Any:
        q, k, v = (tf.einsum("bfd,dhe->bfhe", x, weight(4, 2, 3, seed=n)) for n in range(3))
        scores = tf.nn.softmax(tf.einsum("bfhe,bghe->bhfg", q, k))
        read = tf.einsum("bhfg,bghe->bfhe", scores, v)
        out = tf.einsum("bfhe,hed->bfd", read, weight(2, 3, 4)) + x
        return dense(tf.reshape(out, [-1, 20]), 20, 1)

    split = scored(autoint, both("u2 i3", 4)).check()
    assert split.pair_layers == [(6, 4), (20, 1)]
    assert split.crossing == ([(2, 2, 3)] * 3 + [()], [(3, 2, 3)] * 3 + [()])


def test_tensors_that_cross_are_not_optimized_away() -> None:
    """TensorFlow's optimizer loses the sign of -reshape(-x) where that itself is fetched."""

    def negated_twice(x: Any, y: Any) -> Any:
        return tf.reduce_sum(tf.tanh(x[:, tf.newaxis] + -tf.reshape(-y, [-1, 1, 3])), [1, 2])

    scored(negated_twice, user(3), item(3)).check()

"""Cases for the ops of the rule table that move, reduce or multiply, on rows of matrices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from attrs import frozen

from cases.graphs import Draw, GraphInput, both, item, normal, positive, user
from cases.ops import TEXTS, constant, counts, mostly_true, rarely_true, raw, shaped


@frozen
class MatrixCase:
    """An op on rows of matrices [3, 4], in all forms: how to call it, and what to feed.

    Attributes:
        op: The name of the op.
        variant: What this case of the op is about.
        call: Applies it to one value, or to two.
        draw: Draws the values that are fed.
        dtype: Of these values.
    """

    op: str
    variant: str
    call: Callable[..., Any]
    draw: Draw = normal
    dtype: Any = tf.float32

    def __str__(self) -> str:
        return f"{self.op}-{self.variant}"

    def inputs(self) -> list[GraphInput]:
        kwargs = {"draw": self.draw, "dtype": self.dtype}
        return [user(3, 4, **kwargs), item(3, 4, **kwargs), both("u1 i2", 4, **kwargs)]

    def forms(self, u: Any, i: Any, mixed: Any) -> list[Any]:
        """Return a value in every form that values of its dtype can have."""
        forms = [u, i, mixed, tf.concat([u[..., :1], i[..., :2], u[..., 3:]], 2)]
        if self.dtype == tf.string:
            return forms
        if self.dtype == tf.bool:
            return [*forms, tf.not_equal(u, i)]
        if self.dtype.is_integer:
            return [*forms, tf.maximum(u, i), u + i + mixed[:, :1]]
        sums = [u + i, u + i[:, :1], u[..., :1] + i[:, :1], u + i + tf.maximum(u, i) + 1]
        products = [u * i, u * i[..., :1], (u + i) ** 2, (u[:, :1] + i) * (u - i)]
        parts = tf.concat([u[:, :1] + i[:, :1], mixed[:, 1:]], 1)
        return [*forms, tf.maximum(u, i), *sums, *products, parts]


# Of each reduction: its name, the axes, and whether they stay with size 1.
_REDUCTIONS: list[tuple[str, Any, bool]] = [
    ("first", 1, False),
    ("last", -1, False),
    ("last, kept", -1, True),
    ("both", [1, 2], False),
]
_REDUCED = [
    MatrixCase(
        op,
        variant,
        lambda x, op=op, axes=axes, keep=keep: getattr(raw, op)(input=x, axis=axes, keep_dims=keep),
        draw,
        dtype,
    )
    for op, draw, dtype in (
        ("Sum", normal, tf.float32),
        ("Sum", counts, tf.int32),
        ("Mean", normal, tf.float32),
        ("Mean", counts, tf.int32),
        ("Max", normal, tf.float32),
        ("Min", normal, tf.float32),
        ("Prod", positive, tf.float32),
        ("All", mostly_true, tf.bool),
        ("Any", rarely_true, tf.bool),
    )
    for variant, axes, keep in _REDUCTIONS
]


def _static(x: Any, *entries: Any) -> Any:
    """Return a shape whose first entry is the batch, as layers compute it."""
    return tf.stack([tf.shape(x)[0], *entries])


_weight = constant(4, 6, low=-1)


def _channels(x: Any) -> Any:
    """Normalize layers as Keras 2 does: rows are the channels of one image."""
    shape = tf.shape(x)
    rows = tf.reduce_prod(shape[:-1])
    image = tf.reshape(x, tf.stack([1, rows, shape[-1], 1]))
    normalized = raw.FusedBatchNormV3(
        x=image,
        scale=tf.fill([rows], 1.0),
        offset=tf.fill([rows], 0.5),
        mean=np.zeros(0, np.float32),
        variance=np.zeros(0, np.float32),
        epsilon=0.001,
        data_format="NCHW",
        is_training=True,
    )[0]
    return tf.reshape(normalized, shape)


MATRIX = [
    *_REDUCED,
    MatrixCase("Reshape", "to one axis", lambda x: tf.reshape(x, [-1, 12])),
    MatrixCase("Reshape", "by the batch", lambda x: tf.reshape(x, _static(x, 4, 3))),
    MatrixCase(
        "Reshape", "to more axes", lambda x: shaped(tf.reshape(x, _static(x, 3, 2, -1)), 3, 2, 2)
    ),
    MatrixCase("Reshape", "with ones", lambda x: tf.reshape(x, [-1, 1, 3, 1, 4])),
    MatrixCase("Reshape", "stacked rows", lambda x: tf.reshape(tf.reshape(x, [-1, 4]), [-1, 3, 4])),
    MatrixCase(
        "Shape",
        "whole",
        lambda x: shaped(tf.reshape(x, tf.shape(x) * [1, 2, 1] // [1, 1, 2]), 6, 2),
    ),
    MatrixCase("Size", "by rows", lambda x: tf.reshape(x, tf.stack([tf.size(x) // 12, 12]))),
    MatrixCase("Rank", "as a number", lambda x: x * tf.cast(raw.Rank(input=x), tf.float32)),
    MatrixCase("ExpandDims", "in the middle", lambda x: tf.expand_dims(x, 2)),
    MatrixCase("Squeeze", "what was expanded", lambda x: tf.squeeze(tf.expand_dims(x, -1), [3])),
    MatrixCase("Squeeze", "a slice", lambda x: shaped(raw.Squeeze(input=x[:, 1:2], axis=[]), 4)),
    MatrixCase("Transpose", "inside", lambda x: tf.transpose(x, [0, 2, 1])),
    MatrixCase("Slice", "inside", lambda x: tf.slice(x, [0, 1, 1], [-1, 2, 3])),
    MatrixCase(
        "Slice", "by the batch", lambda x: shaped(tf.slice(x, [0, 0, 1], _static(x, 2, -1)), 2, 3)
    ),
    MatrixCase("StridedSlice", "with steps", lambda x: x[:, 1:, ::2]),
    MatrixCase("StridedSlice", "backwards", lambda x: x[:, ::-1, -2::-1]),
    MatrixCase("StridedSlice", "backwards, without the first", lambda x: x[:, :0:-1, 2:0:-1]),
    MatrixCase("StridedSlice", "one", lambda x: x[:, -1]),
    MatrixCase("StridedSlice", "a new axis", lambda x: x[:, tf.newaxis, 1:3, ..., 2]),
    MatrixCase("StridedSlice", "by the batch", lambda x: shaped(x[: tf.shape(x)[0], :2], 2, 4)),
    MatrixCase("Split", "in three", lambda x: tf.split(x, 3, axis=1)),
    MatrixCase("Split", "in two", lambda x: tf.split(x, 2, axis=-1)),
    MatrixCase("SplitV", "unevenly", lambda x: tf.split(x, [1, -1, 2], axis=2)),
    MatrixCase("Unpack", "the first", lambda x: tf.unstack(x, axis=1)),
    MatrixCase("Unpack", "the last", lambda x: tf.unstack(x, axis=2)),
    MatrixCase("Pack", "again", lambda x: tf.stack([x, x + 1, x], axis=2)),
    MatrixCase("ConcatV2", "last", lambda x: tf.concat([x, x[..., 1:], x], -1)),
    MatrixCase("Concat", "first", lambda x: raw.Concat(concat_dim=1, values=[x, x[:, 1:]])),
    MatrixCase("Tile", "both", lambda x: tf.tile(x, [1, 2, 3])),
    MatrixCase("Tile", "one", lambda x: tf.tile(x, [1, 1, 2])),
    MatrixCase("Tile", "a constant", lambda x: x * tf.tile(constant(1, 3, 2), _static(x, 1, 2))),
    MatrixCase("BroadcastTo", "wider", lambda x: tf.broadcast_to(x[:, 1:2], _static(x, 3, 4))),
    MatrixCase(
        "BroadcastTo", "a constant", lambda x: x - tf.broadcast_to(constant(3, 1), tf.shape(x))
    ),
    MatrixCase("Fill", "like rows", lambda x: tf.concat([x, tf.fill(_static(x, 2, 4), 0.7)], 1)),
    MatrixCase("OnesLike", "in a sum", lambda x: x + tf.ones_like(x)),
    MatrixCase("ZerosLike", "concatenated", lambda x: tf.concat([x, tf.zeros_like(x)[:, :1]], 1)),
    MatrixCase("Softmax", "last", lambda x: tf.nn.softmax(x)),
    MatrixCase("LogSoftmax", "last", lambda x: tf.nn.log_softmax(x)),
    MatrixCase("Cumsum", "first", lambda x: tf.cumsum(x, 1, exclusive=True)),
    MatrixCase("Cumprod", "last", lambda x: tf.math.cumprod(x, -1, reverse=True)),
    MatrixCase("ReverseV2", "last", lambda x: tf.reverse(x, [-1])),
    MatrixCase("ArgMax", "first", lambda x: tf.argmax(x, 1)),
    MatrixCase("ArgMin", "last", lambda x: tf.argmin(x, -1)),
    MatrixCase("MatrixBandPart", "below", lambda x: tf.linalg.band_part(x, -1, 0)),
    MatrixCase("MatrixBandPart", "band", lambda x: tf.linalg.band_part(x, 1, 1)),
    MatrixCase("Pad", "inside", lambda x: tf.pad(x, [[0, 0], [1, 0], [0, 2]])),
    MatrixCase(
        "PadV2", "inside", lambda x: tf.pad(x, [[0, 0], [1, 0], [0, 2]], constant_values=3.0)
    ),
    MatrixCase("MirrorPad", "inside", lambda x: tf.pad(x, [[0, 0], [1, 1], [0, 2]], "REFLECT")),
    MatrixCase("TopKV2", "two", lambda x: list(tf.math.top_k(x, 2))),
    MatrixCase("BiasAdd", "last", lambda x: tf.nn.bias_add(x, constant(4))),
    MatrixCase("BiasAdd", "channels first", lambda x: tf.nn.bias_add(x, constant(3), "NCHW")),
    MatrixCase(
        "MatMul",
        "a layer",
        lambda x: raw.MatMul(a=tf.reshape(x, [-1, 12]), b=constant(12, 5, low=-1)),
    ),
    MatrixCase(
        "MatMul",
        "transposed",
        lambda x: raw.MatMul(a=x[:, 1], b=constant(5, 4, low=-1), transpose_b=True),
    ),
    MatrixCase(
        "MatMul", "to one number", lambda x: raw.MatMul(a=x[:, 0], b=constant(4, 1, low=-1))
    ),
    MatrixCase(
        "MatMul",
        "of stacked rows",
        lambda x: tf.reshape(tf.matmul(tf.reshape(x, [-1, 4]), _weight), _static(x, 3, 6)),
    ),
    MatrixCase(
        "BatchMatMul", "by itself transposed", lambda x: raw.BatchMatMul(x=x, y=x, adj_y=True)
    ),
    MatrixCase("BatchMatMulV2", "a constant", lambda x: raw.BatchMatMulV2(x=x, y=_weight)),
    MatrixCase(
        "BatchMatMulV2",
        "a constant transposed",
        lambda x: raw.BatchMatMulV2(x=x, y=constant(5, 4, low=-1), adj_y=True),
    ),
    MatrixCase(
        "BatchMatMulV2", "from the left", lambda x: raw.BatchMatMulV2(x=constant(2, 3), y=x)
    ),
    MatrixCase(
        "BatchMatMulV3",
        "itself transposed",
        lambda x: raw.BatchMatMulV3(x=x, y=constant(3, 2), Tout=tf.float32, adj_x=True),
    ),
    MatrixCase("Einsum", "a matrix", lambda x: tf.einsum("bij,jk->bik", x, _weight)),
    MatrixCase(
        "Einsum",
        "a matrix transposed",
        lambda x: tf.einsum("bij,kj->bik", x, constant(2, 4, low=-1)),
    ),
    MatrixCase(
        "Einsum", "heads", lambda x: tf.einsum("bij,jhk->bihk", x, constant(4, 2, 3, low=-1))
    ),
    MatrixCase(
        "Einsum", "from heads", lambda x: tf.einsum("bij,ijk->bk", x, constant(3, 4, 2, low=-1))
    ),
    MatrixCase("Einsum", "a sum of a matrix", lambda x: tf.einsum("bij,jk->bij", x, _weight)),
    MatrixCase(
        "Einsum", "another axis", lambda x: tf.einsum("bij,ik->bkj", x, constant(3, 2, low=-1))
    ),
    MatrixCase("Einsum", "constant first", lambda x: tf.einsum("jk,bij->bik", _weight, x)),
    MatrixCase("Einsum", "transposed", lambda x: tf.einsum("bij->bji", x)),
    MatrixCase("GatherV2", "columns", lambda x: tf.gather(x, [2, 0, 2], axis=1)),
    MatrixCase("GatherV2", "one column", lambda x: tf.gather(x, 3, axis=-1)),
    MatrixCase(
        "Select",
        "by one condition per row",
        lambda x: raw.Select(condition=x[:, 0, 0] > 0, x=x, y=-x),
    ),
    MatrixCase("Select", "by value", lambda x: raw.Select(condition=x > 0, x=x, y=x * 3)),
    MatrixCase("SelectV2", "by value", lambda x: tf.where(x > 0, x, tf.zeros_like(x))),
    MatrixCase("SelectV2", "constants", lambda x: tf.where(x > 0, constant(4), 2.0)),
    MatrixCase(
        "SelectV2", "a constant mask", lambda x: tf.where([True, False, False, True], x, -x)
    ),
    MatrixCase("SelectV2", "a number", lambda x: raw.SelectV2(condition=True, t=x, e=-x)),
    MatrixCase("IdentityN", "two", lambda x: raw.IdentityN(input=[x, x + 1])),
    MatrixCase("LRN", "channels", lambda x: raw.LRN(input=x[:, tf.newaxis], depth_radius=1)),
    MatrixCase(
        "Conv2D",
        "one by one",
        lambda x: tf.nn.conv2d(x[:, tf.newaxis], constant(1, 1, 4, 2), 1, "SAME"),
    ),
    MatrixCase(
        "DepthwiseConv2dNative",
        "two",
        lambda x: tf.nn.depthwise_conv2d(x[:, tf.newaxis], constant(1, 2, 4, 1), [1] * 4, "SAME"),
    ),
    MatrixCase(
        "Conv3D",
        "one by one",
        lambda x: tf.nn.conv3d(
            x[:, tf.newaxis, tf.newaxis], constant(1, 1, 1, 4, 2), [1] * 5, "SAME"
        ),
    ),
    MatrixCase("MaxPool", "two", lambda x: tf.nn.max_pool2d(x[:, tf.newaxis], [1, 2], 1, "SAME")),
    MatrixCase("AvgPool", "two", lambda x: tf.nn.avg_pool2d(x[:, tf.newaxis], [1, 2], 1, "SAME")),
    MatrixCase(
        "MaxPool3D",
        "two",
        lambda x: tf.nn.max_pool3d(x[:, tf.newaxis, tf.newaxis], [1, 1, 2], 1, "SAME"),
    ),
    MatrixCase(
        "AvgPool3D",
        "two",
        lambda x: tf.nn.avg_pool3d(x[:, tf.newaxis, tf.newaxis], [1, 1, 2], 1, "SAME"),
    ),
    MatrixCase(
        "ResizeBilinear",
        "wider",
        lambda x: raw.ResizeBilinear(images=x[..., tf.newaxis], size=[4, 6]),
    ),
    MatrixCase(
        "ResizeNearestNeighbor",
        "wider",
        lambda x: raw.ResizeNearestNeighbor(images=x[..., tf.newaxis], size=[4, 6]),
    ),
    MatrixCase("FusedBatchNormV3", "of vectors", lambda x: shaped(_channels(x[:, 1]), 4)),
    MatrixCase("FusedBatchNormV3", "of matrices", lambda x: shaped(_channels(x), 3, 4)),
    MatrixCase(
        "Fill",
        "stacked rows",
        lambda x: tf.reshape(
            tf.reshape(x, [-1, 4]) * tf.fill([tf.shape(x)[0] * 3, 4], 2.0), [-1, 12]
        ),
    ),
    MatrixCase(
        "FusedBatchNormV3",
        "inference",
        lambda x: raw.FusedBatchNormV3(
            x=x[:, tf.newaxis],
            scale=constant(4),
            offset=constant(4, seed=4),
            mean=constant(4, seed=5),
            variance=constant(4, seed=6),
            is_training=False,
        )[0],
    ),
    MatrixCase(
        "OneHot",
        "of hashed texts",
        lambda x: tf.one_hot(tf.strings.to_hash_bucket_fast(x, 5), 5),
        TEXTS,
        tf.string,
    ),
    MatrixCase("OneHot", "last", lambda x: tf.one_hot(x, 9, 2.0, -1.0), counts, tf.int32),
    MatrixCase("OneHot", "first", lambda x: tf.one_hot(x[:, 0], 9, axis=1), counts, tf.int32),
    MatrixCase(
        "Gather",
        "a table",
        lambda x: raw.Gather(params=constant(30, 2), indices=x),
        counts,
        tf.int32,
    ),
    MatrixCase("GatherV2", "a table", lambda x: tf.gather(constant(30, 2), x), counts, tf.int32),
    MatrixCase(
        "GatherV2",
        "stacked rows",
        lambda x: tf.reshape(tf.gather(constant(30, 2), tf.reshape(x, [-1])), _static(x, 3, 8)),
        counts,
        tf.int32,
    ),
    MatrixCase(
        "GatherNd",
        "a table",
        lambda x: tf.gather_nd(constant(30, 30, 2), x[..., :2]),
        counts,
        tf.int32,
    ),
    MatrixCase(
        "GatherV2",
        "columns of its own",
        lambda x: tf.gather(tf.cast(x, tf.float32), x[:, :, 0] % 3, axis=1, batch_dims=1),
        counts,
        tf.int32,
    ),
    MatrixCase(
        "GatherV2",
        "one row of its own",
        lambda x: tf.gather(tf.cast(x, tf.float32), x[:, 0, 0] % 3, axis=1, batch_dims=1),
        counts,
        tf.int32,
    ),
    MatrixCase(
        "DenseBincount",
        "of each row",
        lambda x: raw.DenseBincount(input=x[:, 0], size=30, weights=tf.constant([], tf.float32)),
        counts,
        tf.int32,
    ),
]

# Ops on two matrices per row, which meet in several forms.
TWO_MATRICES = [
    MatrixCase(
        "BatchMatMul", "by the other transposed", lambda x, y: raw.BatchMatMul(x=x, y=y, adj_y=True)
    ),
    MatrixCase(
        "BatchMatMulV2",
        "transposed by the other",
        lambda x, y: raw.BatchMatMulV2(x=x, y=y, adj_x=True),
    ),
    MatrixCase(
        "BatchMatMulV3",
        "both transposed",
        lambda x, y: raw.BatchMatMulV3(x=x, y=y[:, :, :3], Tout=tf.float32, adj_x=True, adj_y=True),
    ),
    MatrixCase("Einsum", "to a matrix", lambda x, y: tf.einsum("bij,bkj->bik", x, y)),
    MatrixCase("Einsum", "transposed", lambda x, y: tf.einsum("bij,bkj->bki", x, y)),
    MatrixCase("Einsum", "to a number", lambda x, y: tf.einsum("bij,bij->b", x, y)),
    MatrixCase("Einsum", "to a vector", lambda x, y: tf.einsum("bij,bij->bj", x, y)),
    MatrixCase("Einsum", "outer", lambda x, y: tf.einsum("bij,bk->bijk", x, y[:, 0])),
    MatrixCase("Einsum", "a sum of one", lambda x, y: tf.einsum("bij,bik->bj", x, y)),
    MatrixCase("Sum", "of products", lambda x, y: tf.reduce_sum(x * y, [1, 2])),
    MatrixCase("Sum", "of broadcast products", lambda x, y: tf.reduce_sum(x[:, :1] * y, 2)),
    MatrixCase("Mean", "of products", lambda x, y: tf.reduce_mean(x * y, 1, keepdims=True)),
    MatrixCase(
        "MatMul", "of products", lambda x, y: tf.matmul(x[:, 0] * y[:, 0], constant(4, 3, low=-1))
    ),
    MatrixCase(
        "MatMul", "of a quotient", lambda x, y: tf.matmul(x[:, 0] / (y[:, 0, :1] + 9), _weight)
    ),
    MatrixCase("Mul", "of three", lambda x, y: x * y * (x + y)),
    MatrixCase("Concat", "of both", lambda x, y: raw.Concat(concat_dim=2, values=[x, y, x])),
    MatrixCase("ConcatV2", "of both", lambda x, y: tf.matmul(tf.concat([x, y], 1), _weight)),
    MatrixCase("Pack", "of both", lambda x, y: tf.reduce_max(tf.stack([x, y], 1), 1)),
    MatrixCase("SelectV2", "by both", lambda x, y: tf.where(x > y, x, y[:, :, :1])),
    MatrixCase(
        "ClipByValue",
        "by both",
        lambda x, y: raw.ClipByValue(t=x, clip_value_min=-y * y, clip_value_max=y * y),
    ),
]

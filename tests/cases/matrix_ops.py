"""Cases for ops of the rule table that move, reduce or multiply: on rows of matrices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from attrs import frozen

from cases.graphs import Draw, Fed, both, item, normal, positive, user
from cases.ops import TEXTS, constant, counts, mostly, rarely, raw, shaped

# Ops that move, reduce or multiply: on rows of matrices [3, 4], in all forms.


@frozen
class Moved:
    """An op on rows of several axes: what it is called with, and what it gives."""

    op: str
    what: str
    call: Callable[[Any], Any]
    draw: Draw = normal
    dtype: Any = tf.float32

    def inputs(self) -> list[Fed]:
        kept = {"draw": self.draw, "dtype": self.dtype}
        return [user(3, 4, **kept), item(3, 4, **kept), both("u1 i2", 4, **kept)]

    def forms(self, u: Any, i: Any, mixed: Any) -> list[Any]:
        """Return a value in every form that values of its dtype can have."""
        found = [u, i, mixed, tf.concat([u[..., :1], i[..., :2], u[..., 3:]], 2)]
        if self.dtype == tf.string:
            return found
        if self.dtype == tf.bool:
            return [*found, tf.not_equal(u, i)]
        if self.dtype.is_integer:
            return [*found, tf.maximum(u, i), u + i + mixed[:, :1]]
        sums = [u + i, u + i[:, :1], u[..., :1] + i[:, :1], u + i + tf.maximum(u, i) + 1]
        products = [u * i, u * i[..., :1], (u + i) ** 2, (u[:, :1] + i) * (u - i)]
        return [
            *found,
            tf.maximum(u, i),
            *sums,
            *products,
            tf.concat([u[:, :1] + i[:, :1], mixed[:, 1:]], 1),
        ]


_AXES: dict[str, Any] = {"1": 1, "last": -1, "both": [1, 2]}
_REDUCED = [
    Moved(
        op,
        f"{axis}{' kept' if keep else ''}",
        lambda x, op=op, at=at, keep=keep: getattr(raw, op)(input=x, axis=at, keep_dims=keep),
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
        ("All", mostly, tf.bool),
        ("Any", rarely, tf.bool),
    )
    for (axis, at), keep in zip(_AXES.items(), (False, True, False), strict=True)
]


def _static(x: Any, *entries: Any) -> Any:
    """Return a shape whose first entry is the batch, as layers compute it."""
    return tf.stack([tf.shape(x)[0], *entries])


_weight = constant(4, 6, low=-1)


def _channels(x: Any) -> Any:
    """Normalise layers as Keras 2 does: rows are the channels of one picture."""
    shape = tf.shape(x)
    rows = tf.reduce_prod(shape[:-1])
    image = tf.reshape(x, tf.stack([1, rows, shape[-1], 1]))
    found = raw.FusedBatchNormV3(
        x=image,
        scale=tf.fill([rows], 1.0),
        offset=tf.fill([rows], 0.5),
        mean=np.zeros(0, np.float32),
        variance=np.zeros(0, np.float32),
        epsilon=0.001,
        data_format="NCHW",
        is_training=True,
    )[0]
    return tf.reshape(found, shape)


MOVED = [
    *_REDUCED,
    Moved("Reshape", "to one axis", lambda x: tf.reshape(x, [-1, 12])),
    Moved("Reshape", "by the batch", lambda x: tf.reshape(x, _static(x, 4, 3))),
    Moved(
        "Reshape", "to more axes", lambda x: shaped(tf.reshape(x, _static(x, 3, 2, -1)), 3, 2, 2)
    ),
    Moved("Reshape", "with ones", lambda x: tf.reshape(x, [-1, 1, 3, 1, 4])),
    Moved("Reshape", "merged", lambda x: tf.reshape(tf.reshape(x, [-1, 4]), [-1, 3, 4])),
    Moved(
        "Shape",
        "whole",
        lambda x: shaped(tf.reshape(x, tf.shape(x) * [1, 2, 1] // [1, 1, 2]), 6, 2),
    ),
    Moved("Size", "by rows", lambda x: tf.reshape(x, tf.stack([tf.size(x) // 12, 12]))),
    Moved("Rank", "as a number", lambda x: x * tf.cast(raw.Rank(input=x), tf.float32)),
    Moved("ExpandDims", "in the middle", lambda x: tf.expand_dims(x, 2)),
    Moved("Squeeze", "what was expanded", lambda x: tf.squeeze(tf.expand_dims(x, -1), [3])),
    Moved("Squeeze", "a slice", lambda x: shaped(raw.Squeeze(input=x[:, 1:2], axis=[]), 4)),
    Moved("Transpose", "inside", lambda x: tf.transpose(x, [0, 2, 1])),
    Moved("Slice", "inside", lambda x: tf.slice(x, [0, 1, 1], [-1, 2, 3])),
    Moved(
        "Slice", "by the batch", lambda x: shaped(tf.slice(x, [0, 0, 1], _static(x, 2, -1)), 2, 3)
    ),
    Moved("StridedSlice", "parts", lambda x: x[:, 1:, ::2]),
    Moved("StridedSlice", "backwards", lambda x: x[:, ::-1, -2::-1]),
    Moved("StridedSlice", "one", lambda x: x[:, -1]),
    Moved("StridedSlice", "a new axis", lambda x: x[:, tf.newaxis, 1:3, ..., 2]),
    Moved("StridedSlice", "by the batch", lambda x: shaped(x[: tf.shape(x)[0], :2], 2, 4)),
    Moved("Split", "in three", lambda x: tf.split(x, 3, axis=1)),
    Moved("Split", "in two", lambda x: tf.split(x, 2, axis=-1)),
    Moved("SplitV", "unevenly", lambda x: tf.split(x, [1, -1, 2], axis=2)),
    Moved("Unpack", "the first", lambda x: tf.unstack(x, axis=1)),
    Moved("Unpack", "the last", lambda x: tf.unstack(x, axis=2)),
    Moved("Pack", "again", lambda x: tf.stack([x, x + 1, x], axis=2)),
    Moved("ConcatV2", "last", lambda x: tf.concat([x, x[..., 1:], x], -1)),
    Moved("Concat", "first", lambda x: raw.Concat(concat_dim=1, values=[x, x[:, 1:]])),
    Moved("Tile", "both", lambda x: tf.tile(x, [1, 2, 3])),
    Moved("Tile", "one", lambda x: tf.tile(x, [1, 1, 2])),
    Moved("Tile", "a constant", lambda x: x * tf.tile(constant(1, 3, 2), _static(x, 1, 2))),
    Moved("BroadcastTo", "wider", lambda x: tf.broadcast_to(x[:, 1:2], _static(x, 3, 4))),
    Moved("BroadcastTo", "a constant", lambda x: x - tf.broadcast_to(constant(3, 1), tf.shape(x))),
    Moved("Fill", "like rows", lambda x: tf.concat([x, tf.fill(_static(x, 2, 4), 0.7)], 1)),
    Moved("OnesLike", "in a sum", lambda x: x + tf.ones_like(x)),
    Moved("ZerosLike", "beside", lambda x: tf.concat([x, tf.zeros_like(x)[:, :1]], 1)),
    Moved("Softmax", "last", lambda x: tf.nn.softmax(x)),
    Moved("LogSoftmax", "last", lambda x: tf.nn.log_softmax(x)),
    Moved("Cumsum", "first", lambda x: tf.cumsum(x, 1, exclusive=True)),
    Moved("Cumprod", "last", lambda x: tf.math.cumprod(x, -1, reverse=True)),
    Moved("ReverseV2", "last", lambda x: tf.reverse(x, [-1])),
    Moved("ArgMax", "first", lambda x: tf.argmax(x, 1)),
    Moved("ArgMin", "last", lambda x: tf.argmin(x, -1)),
    Moved("Pad", "inside", lambda x: tf.pad(x, [[0, 0], [1, 0], [0, 2]])),
    Moved("PadV2", "inside", lambda x: tf.pad(x, [[0, 0], [1, 0], [0, 2]], constant_values=3.0)),
    Moved("MirrorPad", "inside", lambda x: tf.pad(x, [[0, 0], [1, 1], [0, 2]], "REFLECT")),
    Moved("TopKV2", "two", lambda x: list(tf.math.top_k(x, 2))),
    Moved("BiasAdd", "last", lambda x: tf.nn.bias_add(x, constant(4))),
    Moved("BiasAdd", "channels first", lambda x: tf.nn.bias_add(x, constant(3), "NCHW")),
    Moved(
        "MatMul",
        "a layer",
        lambda x: raw.MatMul(a=tf.reshape(x, [-1, 12]), b=constant(12, 5, low=-1)),
    ),
    Moved(
        "MatMul",
        "turned",
        lambda x: raw.MatMul(a=x[:, 1], b=constant(5, 4, low=-1), transpose_b=True),
    ),
    Moved("MatMul", "to one number", lambda x: raw.MatMul(a=x[:, 0], b=constant(4, 1, low=-1))),
    Moved(
        "MatMul",
        "of merged rows",
        lambda x: tf.reshape(tf.matmul(tf.reshape(x, [-1, 4]), _weight), _static(x, 3, 6)),
    ),
    Moved("BatchMatMul", "by itself turned", lambda x: raw.BatchMatMul(x=x, y=x, adj_y=True)),
    Moved("BatchMatMulV2", "a constant", lambda x: raw.BatchMatMulV2(x=x, y=_weight)),
    Moved(
        "BatchMatMulV2",
        "a constant turned",
        lambda x: raw.BatchMatMulV2(x=x, y=constant(5, 4, low=-1), adj_y=True),
    ),
    Moved("BatchMatMulV2", "from the left", lambda x: raw.BatchMatMulV2(x=constant(2, 3), y=x)),
    Moved(
        "BatchMatMulV3",
        "turned itself",
        lambda x: raw.BatchMatMulV3(x=x, y=constant(3, 2), Tout=tf.float32, adj_x=True),
    ),
    Moved("Einsum", "a matrix", lambda x: tf.einsum("bij,jk->bik", x, _weight)),
    Moved(
        "Einsum", "a matrix turned", lambda x: tf.einsum("bij,kj->bik", x, constant(2, 4, low=-1))
    ),
    Moved("Einsum", "heads", lambda x: tf.einsum("bij,jhk->bihk", x, constant(4, 2, 3, low=-1))),
    Moved("Einsum", "from heads", lambda x: tf.einsum("bij,ijk->bk", x, constant(3, 4, 2, low=-1))),
    Moved("Einsum", "a sum of a matrix", lambda x: tf.einsum("bij,jk->bij", x, _weight)),
    Moved("Einsum", "another axis", lambda x: tf.einsum("bij,ik->bkj", x, constant(3, 2, low=-1))),
    Moved("Einsum", "constant first", lambda x: tf.einsum("jk,bij->bik", _weight, x)),
    Moved("Einsum", "turned", lambda x: tf.einsum("bij->bji", x)),
    Moved("GatherV2", "columns", lambda x: tf.gather(x, [2, 0, 2], axis=1)),
    Moved("GatherV2", "one column", lambda x: tf.gather(x, 3, axis=-1)),
    Moved("Select", "by one a row", lambda x: raw.Select(condition=x[:, 0, 0] > 0, x=x, y=-x)),
    Moved("Select", "by value", lambda x: raw.Select(condition=x > 0, x=x, y=x * 3)),
    Moved("SelectV2", "by value", lambda x: tf.where(x > 0, x, tf.zeros_like(x))),
    Moved("SelectV2", "constants", lambda x: tf.where(x > 0, constant(4), 2.0)),
    Moved("SelectV2", "a constant mask", lambda x: tf.where([True, False, False, True], x, -x)),
    Moved("SelectV2", "a number", lambda x: raw.SelectV2(condition=True, t=x, e=-x)),
    Moved("IdentityN", "two", lambda x: raw.IdentityN(input=[x, x + 1])),
    Moved("LRN", "channels", lambda x: raw.LRN(input=x[:, tf.newaxis], depth_radius=1)),
    Moved(
        "Conv2D",
        "one by one",
        lambda x: tf.nn.conv2d(x[:, tf.newaxis], constant(1, 1, 4, 2), 1, "SAME"),
    ),
    Moved(
        "DepthwiseConv2dNative",
        "two",
        lambda x: tf.nn.depthwise_conv2d(x[:, tf.newaxis], constant(1, 2, 4, 1), [1] * 4, "SAME"),
    ),
    Moved(
        "Conv3D",
        "one by one",
        lambda x: tf.nn.conv3d(
            x[:, tf.newaxis, tf.newaxis], constant(1, 1, 1, 4, 2), [1] * 5, "SAME"
        ),
    ),
    Moved("MaxPool", "two", lambda x: tf.nn.max_pool2d(x[:, tf.newaxis], [1, 2], 1, "SAME")),
    Moved("AvgPool", "two", lambda x: tf.nn.avg_pool2d(x[:, tf.newaxis], [1, 2], 1, "SAME")),
    Moved(
        "MaxPool3D",
        "two",
        lambda x: tf.nn.max_pool3d(x[:, tf.newaxis, tf.newaxis], [1, 1, 2], 1, "SAME"),
    ),
    Moved(
        "AvgPool3D",
        "two",
        lambda x: tf.nn.avg_pool3d(x[:, tf.newaxis, tf.newaxis], [1, 1, 2], 1, "SAME"),
    ),
    Moved(
        "ResizeBilinear",
        "wider",
        lambda x: raw.ResizeBilinear(images=x[..., tf.newaxis], size=[4, 6]),
    ),
    Moved(
        "ResizeNearestNeighbor",
        "wider",
        lambda x: raw.ResizeNearestNeighbor(images=x[..., tf.newaxis], size=[4, 6]),
    ),
    Moved("FusedBatchNormV3", "of vectors", lambda x: shaped(_channels(x[:, 1]), 4)),
    Moved("FusedBatchNormV3", "of matrices", lambda x: shaped(_channels(x), 3, 4)),
    Moved(
        "Fill",
        "merged",
        lambda x: tf.reshape(
            tf.reshape(x, [-1, 4]) * tf.fill([tf.shape(x)[0] * 3, 4], 2.0), [-1, 12]
        ),
    ),
    Moved(
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
    Moved(
        "OneHot",
        "of texts' buckets",
        lambda x: tf.one_hot(tf.strings.to_hash_bucket_fast(x, 5), 5),
        TEXTS,
        tf.string,
    ),
    Moved("OneHot", "last", lambda x: tf.one_hot(x, 9, 2.0, -1.0), counts, tf.int32),
    Moved("OneHot", "first", lambda x: tf.one_hot(x[:, 0], 9, axis=1), counts, tf.int32),
    Moved(
        "Gather",
        "a table",
        lambda x: raw.Gather(params=constant(30, 2), indices=x),
        counts,
        tf.int32,
    ),
    Moved("GatherV2", "a table", lambda x: tf.gather(constant(30, 2), x), counts, tf.int32),
    Moved(
        "GatherV2",
        "merged rows",
        lambda x: tf.reshape(tf.gather(constant(30, 2), tf.reshape(x, [-1])), _static(x, 3, 8)),
        counts,
        tf.int32,
    ),
    Moved(
        "GatherNd",
        "a table",
        lambda x: tf.gather_nd(constant(30, 30, 2), x[..., :2]),
        counts,
        tf.int32,
    ),
    Moved(
        "GatherV2",
        "own columns",
        lambda x: tf.gather(tf.cast(x, tf.float32), x[:, :, 0] % 3, axis=1, batch_dims=1),
        counts,
        tf.int32,
    ),
    Moved(
        "DenseBincount",
        "a row",
        lambda x: raw.DenseBincount(input=x[:, 0], size=30, weights=tf.constant([], tf.float32)),
        counts,
        tf.int32,
    ),
]

# Ops on two matrices a row, which meet in several forms.
MET: list[tuple[str, str, Callable[[Any, Any], Any]]] = [
    ("BatchMatMul", "by the other turned", lambda x, y: raw.BatchMatMul(x=x, y=y, adj_y=True)),
    ("BatchMatMulV2", "turned by the other", lambda x, y: raw.BatchMatMulV2(x=x, y=y, adj_x=True)),
    (
        "BatchMatMulV3",
        "both turned",
        lambda x, y: raw.BatchMatMulV3(x=x, y=y[:, :, :3], Tout=tf.float32, adj_x=True, adj_y=True),
    ),
    ("Einsum", "to a matrix", lambda x, y: tf.einsum("bij,bkj->bik", x, y)),
    ("Einsum", "turned", lambda x, y: tf.einsum("bij,bkj->bki", x, y)),
    ("Einsum", "to a number", lambda x, y: tf.einsum("bij,bij->b", x, y)),
    ("Einsum", "to a vector", lambda x, y: tf.einsum("bij,bij->bj", x, y)),
    ("Einsum", "outer", lambda x, y: tf.einsum("bij,bk->bijk", x, y[:, 0])),
    ("Einsum", "a sum of one", lambda x, y: tf.einsum("bij,bik->bj", x, y)),
    ("Sum", "of products", lambda x, y: tf.reduce_sum(x * y, [1, 2])),
    ("Sum", "of broadcast products", lambda x, y: tf.reduce_sum(x[:, :1] * y, 2)),
    ("Mean", "of products", lambda x, y: tf.reduce_mean(x * y, 1, keepdims=True)),
    ("MatMul", "of products", lambda x, y: tf.matmul(x[:, 0] * y[:, 0], constant(4, 3, low=-1))),
    ("MatMul", "of a quotient", lambda x, y: tf.matmul(x[:, 0] / (y[:, 0, :1] + 9), _weight)),
    ("Mul", "of three", lambda x, y: x * y * (x + y)),
    ("Concat", "of both", lambda x, y: raw.Concat(concat_dim=2, values=[x, y, x])),
    ("ConcatV2", "of both", lambda x, y: tf.matmul(tf.concat([x, y], 1), _weight)),
    ("Pack", "of both", lambda x, y: tf.reduce_max(tf.stack([x, y], 1), 1)),
    ("SelectV2", "by both", lambda x, y: tf.where(x > y, x, y[:, :, :1])),
    (
        "ClipByValue",
        "by both",
        lambda x, y: raw.ClipByValue(t=x, clip_value_min=-y * y, clip_value_max=y * y),
    ),
]

"""The table of rules: what each op does to forms, one line per op.

An op that isn't here isn't known to treat rows independently, so a graph with one runs whole: a
wrong score is worse than a slow one. To add an op that works value by value, or row by row on its
last axes, add a line with an existing rule; anything else is a function of a few lines.
"""

from __future__ import annotations

from collections.abc import Mapping

from tf2spark.graph_split.op_call import Rule, elementwise
from tf2spark.graph_split.rules.arithmetic import (
    add,
    add_n,
    bias_add,
    clip_by_value,
    div,
    mul,
    neg,
    select,
    square,
    squared_difference,
    sub,
)
from tf2spark.graph_split.rules.layout import (
    concat_v1,
    concat_v2,
    expand_dims,
    pack,
    rank,
    reshape,
    shape,
    size,
    squeeze,
    transpose,
)
from tf2spark.graph_split.rules.lookups import (
    dense_bincount,
    gather,
    gather_nd,
    lookup_table_find,
    one_hot,
)
from tf2spark.graph_split.rules.matmul import batch_matmul, einsum, matmul
from tf2spark.graph_split.rules.reductions import max_, mean, reduction, sum_
from tf2spark.graph_split.rules.repeats import broadcast_to, fill, filled_like, tile
from tf2spark.graph_split.rules.row_wise import (
    along_axes,
    fused_batch_norm,
    last_axis,
    matrices,
    pad,
    with_constants,
)
from tf2spark.graph_split.rules.slices import slice_, split, split_v, strided_slice, unpack

# Value by value: each value of the result depends only on the values at the same position.
_ELEMENTWISE = """
Abs Acos Acosh Asin Asinh AsString Atan Atan2 Atanh BitwiseAnd BitwiseOr BitwiseXor Bucketize
Cast Ceil CheckNumerics Cos Cosh DecodeBase64 Digamma DivNoNan Elu EncodeBase64 Equal Erf Erfc
Erfinv Exp Expm1 Floor FloorDiv FloorMod Greater GreaterEqual Inv IsFinite IsInf IsNan LeakyRelu
LeftShift Less LessEqual Lgamma Log Log1p LogicalAnd LogicalNot LogicalOr
Maximum Minimum Mod MulNoNan Ndtri NextAfter NotEqual Pow Reciprocal RegexFullMatch RegexReplace
Relu Relu6 RightShift Rint Round Rsqrt Selu Sigmoid Sign Sin Sinh Softplus Softsign Sqrt
StaticRegexFullMatch StaticRegexReplace StringJoin StringLength StringLower StringStrip
StringToHashBucket StringToHashBucketFast StringToHashBucketStrong StringToNumber StringUpper Tan
Tanh TruncateDiv TruncateMod Xdivy Xlog1py Xlogy
"""
# The value itself, in whatever form it is.
_PASSED_ON = "Identity Snapshot StopGradient PreventGradient EnsureShape"
# Row by row on the axes after the batch, whatever these hold; all other inputs are constant.
_WITH_CONSTANTS = """
AvgPool AvgPool3D Conv2D Conv3D DepthwiseConv2dNative LRN MaxPool MaxPool3D ResizeBilinear
ResizeNearestNeighbor
"""
RULES: Mapping[str, Rule] = {
    **dict.fromkeys(_ELEMENTWISE.split(), elementwise),
    **dict.fromkeys(_PASSED_ON.split(), lambda call: call.inputs[0]),
    **dict.fromkeys(_WITH_CONSTANTS.split(), with_constants),
    "Add": add,
    "AddN": add_n,
    "AddV2": add,
    "All": reduction("LogicalAnd"),
    "Any": reduction("LogicalOr"),
    "ArgMax": along_axes,
    "ArgMin": along_axes,
    "BatchMatMul": batch_matmul,
    "BatchMatMulV2": batch_matmul,
    "BatchMatMulV3": batch_matmul,
    "BiasAdd": bias_add,
    "BroadcastTo": broadcast_to,
    "ClipByValue": clip_by_value,
    "Concat": concat_v1,
    "ConcatV2": concat_v2,
    "Cumprod": along_axes,
    "Cumsum": along_axes,
    "DenseBincount": dense_bincount,
    "Div": div,
    "Einsum": einsum,
    "ExpandDims": expand_dims,
    "Fill": fill,
    "FusedBatchNormV3": fused_batch_norm,
    "Gather": gather,
    "GatherNd": gather_nd,
    "GatherV2": gather,
    "IdentityN": lambda call: list(call.inputs),
    "LogSoftmax": last_axis,
    "LookupTableFind": lookup_table_find,
    "LookupTableFindV2": lookup_table_find,
    "MatMul": matmul,
    "MatrixBandPart": matrices,
    "Max": max_,
    "Mean": mean,
    "Min": reduction("Minimum"),
    "MirrorPad": pad,
    "Mul": mul,
    "Neg": neg,
    "OneHot": one_hot,
    "OnesLike": filled_like(1),
    "Pack": pack,
    "Pad": pad,
    "PadV2": pad,
    "Prod": reduction("Mul"),
    "Rank": rank,
    "RealDiv": div,
    "Reshape": reshape,
    "ReverseV2": along_axes,
    "Select": select,
    "SelectV2": select,
    "Shape": shape,
    "Size": size,
    "Slice": slice_,
    "Softmax": last_axis,
    "Split": split,
    "SplitV": split_v,
    "Square": square,
    "SquaredDifference": squared_difference,
    "Squeeze": squeeze,
    "StridedSlice": strided_slice,
    "Sub": sub,
    "Sum": sum_,
    "Tile": tile,
    "TopKV2": last_axis,
    "Transpose": transpose,
    "Unpack": unpack,
    "ZerosLike": filled_like(0),
}
"""The rule of each op."""

# Ops whose rules know `StackedRows`. The others' rules are applied to the stacked rows as a batch.
_TAKES_STACKED_ROWS = """
Add AddV2 BiasAdd ClipByValue Concat ConcatV2 Div EnsureShape FusedBatchNormV3 Gather GatherV2
Identity IdentityN LookupTableFind LookupTableFindV2 MatMul Mul Neg OnesLike PreventGradient Rank
RealDiv Reshape SelectV2 Shape Size Snapshot Square SquaredDifference StopGradient Sub ZerosLike
"""
TAKES_STACKED_ROWS = frozenset(_TAKES_STACKED_ROWS.split())
# Ops whose rules know `ChannelRows`. The others would mistake all rows for one.
TAKES_CHANNEL_ROWS = frozenset(
    ("FusedBatchNormV3", "Identity", "IdentityN", "Reshape", "StopGradient")
)
# Where an op that isn't shape arithmetic itself may read a number of rows: by input.
SHAPE_INPUTS: Mapping[str, range] = {
    "BroadcastTo": range(1, 2),
    "Fill": range(1),
    "IdentityN": range(1 << 10),
    "Reshape": range(1, 2),
    "Slice": range(2, 3),
    "StridedSlice": range(1, 4),
    "Tile": range(1, 2),
}

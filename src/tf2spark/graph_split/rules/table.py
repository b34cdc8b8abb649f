"""What each op does to forms: the table of rules, one line an op.

A rule takes a `Call` and returns the form of its result. An op that isn't here is not known to
treat rows apart, and a graph with one is run whole. To add an op that works value by value, or row
by row on its last axes, add its name to a list; anything else is a function of a few lines.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tf2spark.graph_split.algebra.dense_layer import matmul
from tf2spark.graph_split.forms import (
    Const,
    Merged,
    NotRowWise,
    Pair,
    Side,
    Value,
    dims_of,
    known,
)
from tf2spark.graph_split.graph_builder import renewed
from tf2spark.graph_split.materialize import flat
from tf2spark.graph_split.op_call import (
    Call,
    Rule,
    applied,
    elementwise,
    feature_axes,
    outputs_applied,
)
from tf2spark.graph_split.rules import layout
from tf2spark.graph_split.rules.arithmetic import (
    add_all,
    added,
    bias_add,
    clipped,
    divided,
    multiplied,
    negative,
    select,
    squared,
    squared_difference,
    subtracted,
)
from tf2spark.graph_split.rules.layer_norm import asking, normalised
from tf2spark.graph_split.rules.lookups import gather, gather_nd, looked_up, one_hot
from tf2spark.graph_split.rules.matmul import batch_matmul, einsum
from tf2spark.graph_split.rules.reductions import largest, mean, reduced, summed

_VALUE_BY_VALUE = """
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
_PASSED_ON = "Identity Snapshot StopGradient PreventGradient EnsureShape"
# Row by row on the axes behind the batch, whatever their inputs hold; the others are constant.
_ROW_BY_ROW = """
AvgPool AvgPool3D Conv2D Conv3D DepthwiseConv2dNative LRN MaxPool MaxPool3D ResizeBilinear
ResizeNearestNeighbor
"""


def softmax(call: Call) -> Value:
    if call.rank() < 2:
        raise NotRowWise("it runs over the batch")
    return applied(call)


def like(value: int) -> Rule:
    """Return the rule of an op that only looks at a tensor's shape."""

    def filled(call: Call) -> Value:
        one = call.inputs[0]
        if isinstance(one, Side | Pair | Const):
            return elementwise(call)
        if isinstance(one, Merged):
            inner = filled(call.given(one.inner))
            return Merged(inner, one.count, call.dtype, one.dims)
        dims = known(dims_of(one), "a filled row")
        return call.b.filled(call.b.constant(np.array(value), call.dtype), "user", dims)

    return filled


def matrix_product(call: Call) -> Value:
    value, weight = call.inputs
    if call.attr("transpose_a").b or not isinstance(weight, Const):
        raise NotRowWise("rows of the batch meet each other")
    if isinstance(value, Const):
        raise NotRowWise("the batch is multiplied from the left")
    if isinstance(value, Side):
        return applied(call)
    if call.attr("transpose_b").b:
        weight = call.b.constant(weight.value.T.copy(), weight.dtype)
    return matmul(call.b, value, weight)


def last_axis(call: Call) -> list[Value]:
    if call.rank() < 2:
        raise NotRowWise("it runs over the batch")
    return outputs_applied(call)


def along(call: Call) -> Value:
    """Apply an op that runs along constant axes, none of them the batch."""
    feature_axes(call, 1, call.rank())
    return applied(call)


def padded(call: Call) -> Value:
    if call.const(1).value[0].any():
        raise NotRowWise("it adds rows to the batch")
    return by_constants(call)


def inference_norm(call: Call) -> list[Value]:
    if call.attr("is_training").b:
        return [normalised(call, asking(call, RULES))]
    return [by_constants(call)]


def by_constants(call: Call) -> Value:
    """Apply an op to rows where all its other inputs are constant."""
    if isinstance(call.inputs[0], Const):
        raise NotRowWise("its first input is constant")
    for place in range(1, len(call.inputs)):
        call.const(place)
    return applied(call)


def bincount(call: Call) -> Value:
    if call.rank() < 2:
        raise NotRowWise("it counts over the batch")
    value, size = call.inputs[0], call.ints(1)[0]
    one = value if isinstance(value, Side) else flat(call.b, value)
    tensors = [one.tensor, call.const(1).tensor, call.const(2).tensor]
    return renewed(one, f"{call.b.copy(call.node, tensors)}:0", (size,), call.dtype)


# Ops whose rules take merged rows as they are; to those of others, they are applied row by row.
_TAKING_MERGED = """
Add AddV2 BiasAdd ClipByValue Concat ConcatV2 Div EnsureShape FusedBatchNormV3 Gather GatherV2
Identity IdentityN LookupTableFind LookupTableFindV2 MatMul Mul Neg OnesLike PreventGradient Rank
RealDiv Reshape SelectV2 Shape Size Snapshot Square SquaredDifference StopGradient Sub ZerosLike
"""
TAKES_MERGED = frozenset(_TAKING_MERGED.split())
# Ops whose rules take rows beside each other; others would take them for one row.
TAKES_BESIDE = frozenset(("FusedBatchNormV3", "Identity", "IdentityN", "Reshape", "StopGradient"))
RULES: Mapping[str, Rule] = {
    **dict.fromkeys(_VALUE_BY_VALUE.split(), elementwise),
    **dict.fromkeys(_PASSED_ON.split(), lambda call: call.inputs[0]),
    **dict.fromkeys(_ROW_BY_ROW.split(), by_constants),
    **layout.RULES,
    "Add": added,
    "AddN": add_all,
    "AddV2": added,
    "All": reduced("LogicalAnd"),
    "Any": reduced("LogicalOr"),
    "ArgMax": along,
    "ArgMin": along,
    "BatchMatMul": batch_matmul,
    "BatchMatMulV2": batch_matmul,
    "BatchMatMulV3": batch_matmul,
    "BiasAdd": bias_add,
    "ClipByValue": clipped,
    "Cumprod": along,
    "Cumsum": along,
    "DenseBincount": bincount,
    "Div": divided,
    "Einsum": einsum,
    "FusedBatchNormV3": inference_norm,
    "Gather": gather,
    "GatherNd": gather_nd,
    "GatherV2": gather,
    "IdentityN": lambda call: list(call.inputs),
    "LogSoftmax": softmax,
    "LookupTableFind": looked_up,
    "LookupTableFindV2": looked_up,
    "MatMul": matrix_product,
    "Max": largest,
    "Mean": mean,
    "Min": reduced("Minimum"),
    "MirrorPad": padded,
    "Mul": multiplied,
    "Neg": negative,
    "OneHot": one_hot,
    "OnesLike": like(1),
    "Pad": padded,
    "PadV2": padded,
    "Prod": reduced("Mul"),
    "RealDiv": divided,
    "ReverseV2": along,
    "Select": select,
    "SelectV2": select,
    "Softmax": softmax,
    "Square": squared,
    "SquaredDifference": squared_difference,
    "Sub": subtracted,
    "Sum": summed,
    "TopKV2": last_axis,
    "ZerosLike": like(0),
}
"""The rule of each op."""

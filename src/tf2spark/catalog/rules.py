"""What each op does to forms: the table of rules, one line an op.

A rule takes a `Call` and returns the form of its result. An op that isn't here is not known to
treat rows apart, and a graph with one is run whole. To add an op that works value by value, or row
by row on its last axes, add its name to a list; anything else is a function of a few lines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np

from tf2spark.catalog import shape_rules
from tf2spark.catalog.algebra import add, each_term, multiply, negated, square
from tf2spark.catalog.calls import (
    Call,
    Rule,
    applied,
    apply_elementwise,
    elementwise,
    feature_axes,
    feature_axis,
    outputs_applied,
)
from tf2spark.catalog.compute import flat
from tf2spark.catalog.emit import renewed
from tf2spark.catalog.forms import (
    Concat,
    Const,
    Merged,
    NotRowWise,
    Pair,
    Product,
    Side,
    Sizes,
    Sum,
    Value,
    count,
    dims_of,
    known,
    sides_of,
)
from tf2spark.catalog.moves import concat, reshaped
from tf2spark.catalog.norms import asking, normalised
from tf2spark.catalog.products import batch_matmul, einsum
from tf2spark.catalog.reduction import reduce_sum, reduced_dims
from tf2spark.catalog.weights import matmul

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


def add_all(call: Call) -> Value:
    found = call.inputs[0]
    for one in call.inputs[1:]:
        found = add(call.b, found, one)
    return found


def bias_add(call: Call) -> Value:
    value, bias = call.inputs[0], call.const(1)
    if call.attr("data_format").s == b"NCHW" and call.rank() > 2:
        return applied(call)
    if isinstance(value, Merged):
        inner = add(call.b, value.inner, bias)
        return Merged(inner, value.count, value.dtype, value.dims)
    return add(call.b, value, bias)


def added(call: Call) -> Value:
    if any(isinstance(one, Merged) for one in call.inputs):
        return elementwise(call)
    return add(call.b, *call.inputs)


def subtracted(call: Call) -> Value:
    one, other = call.inputs
    if any(isinstance(each, Merged) for each in call.inputs) or _on_one_side(call):
        return elementwise(call)
    minus = call.b.folded("Neg", other) if isinstance(other, Const) else negated(call.b, other)
    return add(call.b, one, minus)


def multiplied(call: Call) -> Value:
    if any(isinstance(one, Merged) for one in call.inputs):
        return elementwise(call)
    return multiply(call.b, *call.inputs)


def squared(call: Call) -> Value:
    if isinstance(call.inputs[0], Merged):
        return elementwise(call)
    return square(call.b, call.inputs[0])


def squared_difference(call: Call) -> Value:
    if any(isinstance(one, Const | Merged) for one in call.inputs) or _on_one_side(call):
        return elementwise(call)
    if any(isinstance(one, Concat) for one in call.inputs):
        # A variance: taken apart, its sums would cancel.
        return elementwise(call)
    one, other = call.inputs
    return square(call.b, add(call.b, one, negated(call.b, other)))


def divided(call: Call) -> Value:
    """Divide by a constant term by term, by one number a pair in the end."""
    one, other = call.inputs
    if call.dtype.is_integer:
        return elementwise(call)
    if isinstance(other, Const) and isinstance(one, Sum | Concat | Product):
        return _divided_by(call, one, other)
    own, by = dims_of(one), dims_of(other)
    narrow = bool(by) and by[-1] == 1 != (own or (1,))[-1]
    if isinstance(one, Sum | Concat | Product) and narrow and not isinstance(other, Merged):
        scale = flat(call.b, other)
        inverse = call.b.elementwise("Reciprocal", [scale], scale.dtype)
        return multiply(call.b, one, inverse)
    return elementwise(call)


def _divided_by(call: Call, value: Value, by: Const) -> Value:
    if isinstance(value, Concat):
        return elementwise(call)
    if count(by.shape) != 1 and isinstance(value, Sum | Product):
        return elementwise(call)
    return each_term(
        call.b, value, lambda term: apply_elementwise(call.b, call.node, [term, by], term.dtype)
        if not isinstance(term, Const)
        else call.b.constant(term.value / by.value, term.dtype),
    )  # fmt: skip


def _on_one_side(call: Call) -> bool:
    sides = {one.side for one in call.inputs if isinstance(one, Side)}
    return len(sides) == 1 and all(isinstance(one, Side | Const) for one in call.inputs)


def negative(call: Call) -> Value:
    if isinstance(call.inputs[0], Merged):
        return elementwise(call)
    return negated(call.b, call.inputs[0])


def select(call: Call) -> Value:
    """Choose value by value; the older op's condition may be one a row."""
    condition, *values = call.inputs
    if isinstance(condition, Const) and dims_of(condition) == ():
        return values[0] if condition.value else values[1]
    if call.node.op == "SelectV2":
        return elementwise(call)
    if any(isinstance(one, Const) for one in call.inputs):
        raise NotRowWise("a constant has a value of its own for every row of the batch")
    if call.rank(0) == 1 < call.rank(1):
        condition = reshaped(call.b, condition, (1,) * (call.rank(1) - 1))
    # The newer op takes values that are broadcast against each other, as a user's and an item's.
    node = type(call.node)(name=call.node.name, op="SelectV2")
    node.attr["T"].CopyFrom(call.attr("T"))
    return apply_elementwise(call.b, node, [condition, *values], call.dtype)


def clipped(call: Call) -> Value:
    """Clip by numbers; by values of rows as what broadcasts: the op itself takes equal shapes."""
    value, *bounds = call.inputs
    if all(isinstance(one, Const) and dims_of(one) == () for one in bounds):
        return elementwise(call)
    for op, bound in zip(("Minimum", "Maximum"), reversed(bounds), strict=True):
        node = type(call.node)(name=call.node.name, op=op)
        node.attr["T"].CopyFrom(call.attr("T"))
        value = apply_elementwise(call.b, node, [value, bound], call.dtype)
    return value


def like(value: int) -> Rule:
    """Return the rule of an op that only looks at a tensor's shape."""

    def filled(call: Call) -> Value:
        one = call.inputs[0]
        if isinstance(one, Side | Pair | Const):
            return elementwise(call)
        if isinstance(one, Merged):
            inner = filled(_with(call, one.inner))
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


def summed(call: Call) -> Value:
    axes = feature_axes(call, 1, call.rank())
    return reduce_sum(call.b, call.inputs[0], axes, keep=call.attr("keep_dims").b)


def mean(call: Call) -> Value:
    axes = feature_axes(call, 1, call.rank())
    if isinstance(call.inputs[0], Side) or call.dtype.is_integer:
        return applied(call)
    dims = dims_of(call.inputs[0])
    size = prod(known(tuple(dims[axis - 1] for axis in axes), "a mean"))
    found = reduce_sum(call.b, call.inputs[0], axes, keep=call.attr("keep_dims").b)
    return multiply(call.b, found, call.b.constant(1 / size, call.dtype))


def reduced(op: str | None) -> Rule:
    """Return the rule of a reduction; `op` joins what parts side by side were reduced to."""

    def rule(call: Call) -> Value:
        value, axes = call.inputs[0], feature_axes(call, 1, call.rank())
        if not isinstance(value, Concat):
            return applied(call)
        keep = call.attr("keep_dims").b
        parts = [_reduced_part(call, part, axes, keep) for part in value.parts]
        if value.axis not in axes:
            gone = 0 if keep else sum(axis < value.axis for axis in axes)
            return concat(call.b, parts, value.axis - gone)
        if op is None:
            return applied(call)
        found = parts[0]
        for part in parts[1:]:
            found = call.b.elementwise(op, [found, part], call.dtype)
        whole: Value = found
        return whole

    return rule


def largest(call: Call) -> Value | Sequence[Value]:
    """Reduce to the largest; that of a whole batch of integers only bounds something."""
    value = call.inputs[0]
    axes = {axis % call.rank() for axis in call.ints(1)}
    if 0 in axes and call.dtype.is_integer and len(axes) == call.rank():
        unknown = np.empty((), object)
        return Sizes(unknown, call.dtype, sides_of(value))
    return _LARGEST(call)


_LARGEST = reduced("Maximum")


def _reduced_part(call: Call, part: Value, axes: Sequence[int], keep: bool) -> Side | Pair:
    one = part if isinstance(part, Side) else flat(call.b, part)
    axis = call.b.ints(*axes)
    node = type(call.node)()
    node.CopyFrom(call.node)
    node.attr["Tidx"].type = 3
    tensor = f"{call.b.copy(node, [one.tensor, axis])}:0"
    return renewed(one, tensor, reduced_dims(one.dims, axes, keep))


def gather(call: Call) -> Value:
    """Look rows up in a constant, or columns up by constant places."""
    params, indices = call.inputs[:2]
    axis = call.ints(2)[0] if len(call.inputs) > 2 else 0
    if isinstance(params, Const):
        if axis % max(1, len(params.shape)) or isinstance(indices, Const):
            raise NotRowWise("it looks up along another axis than a table's first")
        if isinstance(indices, Concat):
            parts = [gather(_with(call, params, part, *call.inputs[2:])) for part in indices.parts]
            return concat(call.b, parts, indices.axis)
        if isinstance(indices, Merged):
            inner = gather(_with(call, params, indices.inner, *call.inputs[2:]))
            return Merged(inner, indices.count, call.dtype, dims_of(inner)[1:])
        one = indices if isinstance(indices, Side) else flat(call.b, indices)
        axes = [call.const(place).tensor for place in range(2, len(call.inputs))]
        inputs = [params.tensor, one.tensor, *axes]
        tensor = f"{call.b.copy(call.node, inputs)}:0"
        dims = (*one.dims, *params.shape[1:])
        return renewed(one, tensor, dims, call.dtype)
    batch_dims = call.attr("batch_dims").i % max(1, call.rank(1))
    if any(isinstance(one, Merged) for one in (params, indices)):
        raise NotRowWise("rows of a merged batch meet others")
    if isinstance(indices, Const) and not batch_dims:
        return shape_rules.columns(call, feature_axis(axis, call.rank()))
    if not isinstance(indices, Const) and batch_dims >= 1 and axis % call.rank() >= 1:
        return applied(call)
    raise NotRowWise("a row looks up in other rows")


def looked_up(call: Call) -> Value:
    """Look keys up in a table. Its handle may be a vector of two; it meets no values."""
    table, keys, default = call.inputs
    if isinstance(keys, Concat):
        parts = [looked_up(_with(call, table, part, default)) for part in keys.parts]
        return concat(call.b, parts, keys.axis)
    if isinstance(keys, Merged):
        inner = looked_up(_with(call, table, keys.inner, default))
        return Merged(inner, keys.count, call.dtype, dims_of(inner)[1:])
    one = keys if isinstance(keys, Side) else flat(call.b, keys)
    tensors = [call.const(0).tensor, one.tensor, call.const(2).tensor]
    dims = (*one.dims, *call.const(2).shape)
    return renewed(one, f"{call.b.copy(call.node, tensors)}:0", dims, call.dtype)


def _with(call: Call, *inputs: Value) -> Call:
    return Call(call.b, call.node, inputs, call.outputs)


def gather_nd(call: Call) -> Value:
    if not isinstance(call.inputs[0], Const) or call.rank(1) < 2:
        raise NotRowWise("a row looks up in other rows")
    return applied(call)


def one_hot(call: Call) -> Value:
    if not all(isinstance(one, Const) for one in call.inputs[1:]):
        raise NotRowWise("its depth or its values aren't constant")
    if call.attr("axis").i == 0:
        raise NotRowWise("the new axis comes before the batch")
    value, depth = call.inputs[0], call.ints(1)[0]
    if isinstance(value, Concat) and call.attr("axis").i == -1:
        parts = [one_hot(_with(call, part, *call.inputs[1:])) for part in value.parts]
        return concat(call.b, parts, value.axis)
    if isinstance(value, Side | Pair) and call.attr("axis").i == -1:
        tensors = [value.tensor, *(call.const(place).tensor for place in (1, 2, 3))]
        tensor = f"{call.b.copy(call.node, tensors)}:0"
        return renewed(value, tensor, (*value.dims, depth), call.dtype)
    return applied(call)


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
    **shape_rules.RULES,
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

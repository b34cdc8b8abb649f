"""Layer normalization as Keras 2 writes it: rows normalized as channels of one image.

It reshapes rows to [1, rows, size, 1] and applies a fused batch normalization in training mode,
which takes the mean and variance of each channel: of each row. Written out with the ops below, it
is split like any other normalization.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import numpy as np

from tf2spark.graph_split.algebra.layout import reshape_rows
from tf2spark.graph_split.forms import (
    ChannelRows,
    Const,
    NotRowWise,
    Side,
    StackedRows,
    Value,
    dims_of,
    require_known,
)
from tf2spark.graph_split.graph_builder import GraphBuilder
from tf2spark.graph_split.op_call import OpCall, Rule, elementwise
from tf2spark.graph_split.rules.arithmetic import add, mul, squared_difference, sub
from tf2spark.graph_split.rules.reductions import mean
from tf2spark.saved_model.graph.node_attributes import set_attribute

_RULES: Mapping[str, Rule] = {
    "AddV2": add,
    "Mean": mean,
    "Mul": mul,
    "Rsqrt": elementwise,
    "SquaredDifference": squared_difference,
    "Sub": sub,
}


def layer_norm(call: OpCall) -> Value:
    """``norm(x)  ->  (x - mean(x)) * rsqrt(var(x) + epsilon) * scale + offset``, for each row.

    Args:
        call: A ``FusedBatchNormV3`` of rows as channels, in training mode.

    Raises:
        NotRowWise: It takes the mean of several rows, or of a constant.
    """
    rows, scale, offset = call.inputs[:3]
    # With the channels last, a channel would be a column: the mean of one feature over all rows.
    channels_first = call.attr("data_format").s == b"NCHW"
    if not isinstance(rows, ChannelRows) or not channels_first:
        raise NotRowWise("it takes the mean of the batch")
    b, dims = call.b, require_known(dims_of(rows.inner), "a normalized row")
    # As [count, size], so that the axis that is reduced is the last one: the algebra takes a
    # value of size 1 along the last axis for a number per row, which it keeps separate.
    x = reshape_rows(b, rows.inner, (rows.count, prod(dims[1:])))
    last = b.constant(np.array([2], np.int32))
    center = _apply(call, "Mean", x, last, keep_dims=True)
    variance = _apply(
        call, "Mean", _apply(call, "SquaredDifference", x, center), last, keep_dims=True
    )
    epsilon = b.constant(call.attr("epsilon").f, x.dtype)
    inverse = _apply(call, "Rsqrt", _apply(call, "AddV2", variance, epsilon))
    result = _apply(call, "Mul", _apply(call, "Sub", x, center), inverse)
    if not _is_filled_with(b, scale, 1):
        result = _apply(call, "Mul", result, _number_per_row(b, scale))
    if not _is_filled_with(b, offset, 0):
        result = _apply(call, "AddV2", result, _number_per_row(b, offset))
    return ChannelRows(reshape_rows(b, result, dims), rows.count, rows.dtype, rows.dims)


def _apply(call: OpCall, op: str, *inputs: Value, keep_dims: bool | None = None) -> Value:
    """Apply the rule of an op that has no node in the graph."""
    dtype = inputs[0].dtype
    node = type(call.node)(name=call.node.name, op=op)
    node.attr["T"].type = dtype.code
    if keep_dims is not None:
        set_attribute(node.attr["keep_dims"], keep_dims)
        node.attr["Tidx"].type = inputs[1].dtype.code
    result = _RULES[op](OpCall(call.b, node, inputs, ((dtype, None),)))
    assert not isinstance(result, list | tuple)
    return result  # type: ignore[return-value]


def _is_filled_with(b: GraphBuilder, value: Value, number: int) -> bool:
    """Say whether all rows are this number, so that a factor or a term changes nothing."""
    inner = value.inner if isinstance(value, StackedRows) else value
    fill = b.fill_values.get(inner.tensor) if isinstance(inner, Side) else None
    return fill is not None and bool((fill.value == number).all())


def _number_per_row(b: GraphBuilder, value: Value) -> Value:
    """Reshape one number per channel, which may be stacked, to [count, 1]."""
    if isinstance(value, Const):
        raise NotRowWise("a constant input has a value for each row of the batch")
    inner = value.inner if isinstance(value, StackedRows) else value
    return reshape_rows(b, inner, (prod(require_known(dims_of(inner), "a factor")), 1))

"""Rules of ops that treat each row independently, provided that they leave the batch axis alone."""

from __future__ import annotations

from tf2spark.graph_split.forms import Const, NotRowWise, Value
from tf2spark.graph_split.op_call import (
    OpCall,
    apply_row_wise,
    apply_row_wise_outputs,
    feature_axes,
)
from tf2spark.graph_split.rules.layer_norm import layer_norm


def last_axis(call: OpCall) -> list[Value]:
    """Apply an op along the last axis, which must not be the batch."""
    if call.rank() < 2:
        raise NotRowWise("it runs over the batch")
    return apply_row_wise_outputs(call)


def along_axes(call: OpCall) -> Value:
    """Apply an op along the constant axes that its second input names, none of them the batch."""
    feature_axes(call, 1, call.rank())
    return apply_row_wise(call)


def with_constants(call: OpCall) -> Value:
    """Apply an op to rows where all its other inputs are constant.

    Filters, sizes and paddings that are computed from rows would mix them.
    """
    if isinstance(call.inputs[0], Const):
        raise NotRowWise("its first input is constant")
    for index in range(1, len(call.inputs)):
        call.const(index)
    return apply_row_wise(call)


def matrices(call: OpCall) -> Value:
    """Apply an op along the last two axes, neither of which must be the batch."""
    if call.rank() < 3:
        raise NotRowWise("it runs over the batch")
    return with_constants(call)


def pad(call: OpCall) -> Value:
    """Pad rows along feature axes by constant amounts."""
    # Amounts are [axes, 2]: before and after. The first axis is the batch.
    if call.const(1).value[0].any():
        raise NotRowWise("it adds rows to the batch")
    return with_constants(call)


def fused_batch_norm(call: OpCall) -> Value | list[Value]:
    """Normalize by constant statistics; in training mode, only as a layer normalization."""
    # In training mode it normalizes by the statistics of its input instead.
    if call.attr("is_training").b:
        return [layer_norm(call)]
    return [with_constants(call)]

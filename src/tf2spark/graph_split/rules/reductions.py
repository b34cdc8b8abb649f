"""Rules of reductions over feature axes."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from tf2spark.dtypes import INT32
from tf2spark.graph_split.algebra.parts import concat_features
from tf2spark.graph_split.algebra.sum_over_axes import reduce_sum, reduced_dims
from tf2spark.graph_split.algebra.sums_and_products import multiply_values
from tf2spark.graph_split.forms import (
    Concat,
    Operand,
    Pair,
    ShapeVector,
    Side,
    Value,
    dims_of,
    require_known,
    sides_of,
)
from tf2spark.graph_split.graph_builder import with_tensor
from tf2spark.graph_split.materialize import materialize_pairs
from tf2spark.graph_split.op_call import OpCall, Rule, apply_row_wise, feature_axes


def sum_(call: OpCall) -> Value:
    """``sum(U + I)  ->  sum(U) + sum(I)``; of products, inner products."""
    axes = feature_axes(call, 1, call.rank())
    return reduce_sum(call.b, call.inputs[0], axes, keep=call.attr("keep_dims").b)


def mean(call: OpCall) -> Value:
    """``mean(U + I)  ->  sum(U) * 1/n + sum(I) * 1/n``, except for integers, which round."""
    axes = feature_axes(call, 1, call.rank())
    value = call.inputs[0]
    if isinstance(value, Side) or call.dtype.is_integer:
        return apply_row_wise(call)
    dims = dims_of(value)
    count = prod(require_known(tuple(dims[axis - 1] for axis in axes), "a mean"))
    total = reduce_sum(call.b, value, axes, keep=call.attr("keep_dims").b)
    return multiply_values(call.b, total, call.b.constant(1 / count, call.dtype))


def reduction(combining_op: str) -> Rule:
    """Return the rule of a reduction: ``max([U | I])  ->  maximum(max(U), max(I))``.

    Args:
        combining_op: The elementwise op that combines the results of two parts.
    """

    def rule(call: OpCall) -> Value:
        value, axes = call.inputs[0], feature_axes(call, 1, call.rank())
        if not isinstance(value, Concat):
            return apply_row_wise(call)
        keep = call.attr("keep_dims").b
        parts = [_reduce_part(call, part, axes, keep) for part in value.parts]
        if value.axis not in axes:
            # Each removed axis before the parts' axis moves that one forward.
            removed = 0 if keep else sum(axis < value.axis for axis in axes)
            return concat_features(call.b, parts, value.axis - removed)
        # Along the concatenation the parts' results are combined, in the order of the parts.
        result: Operand = parts[0]
        for part in parts[1:]:
            result = call.b.write_elementwise(combining_op, [result, part], call.dtype)
        return result

    return rule


_max_over_features = reduction("Maximum")


def max_(call: OpCall) -> Value | Sequence[Value]:
    """The maximum of rows; that of a whole batch of integers is unknown, not refused.

    Counting ids asks for the largest id of the batch only to bound it by a constant
    (`LowerBound`), so no score depends on it. Whatever else uses the unknown refuses it.
    """
    axes = {axis % call.rank() for axis in call.ints(1)}
    if 0 in axes and call.dtype.is_integer and len(axes) == call.rank():
        unknown = np.full((), None, object)
        return ShapeVector(unknown, call.dtype, sides_of(call.inputs[0]))
    return _max_over_features(call)


def _reduce_part(call: OpCall, part: Value, axes: Sequence[int], keep: bool) -> Side | Pair:
    rows = part if isinstance(part, Side) else materialize_pairs(call.b, part)
    # The axes of the original may be negative, or of 64 bits.
    node = type(call.node)()
    node.CopyFrom(call.node)
    node.attr["Tidx"].type = INT32.code
    tensor = f"{call.b.copy_node(node, [rows.tensor, call.b.int_vector(*axes)])}:0"
    return with_tensor(rows, tensor, reduced_dims(rows.dims, axes, keep))

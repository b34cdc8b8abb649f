"""Rules of reductions over feature axes."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from tf2spark.graph_split.algebra.layout import concat
from tf2spark.graph_split.algebra.sum_over_axes import reduce_sum, reduced_dims
from tf2spark.graph_split.algebra.sums_and_products import multiply
from tf2spark.graph_split.forms import (
    Concat,
    Pair,
    Side,
    Sizes,
    Value,
    dims_of,
    known,
    sides_of,
)
from tf2spark.graph_split.graph_builder import renewed
from tf2spark.graph_split.materialize import flat
from tf2spark.graph_split.op_call import (
    Call,
    Rule,
    applied,
    feature_axes,
)


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

"""Rules of look-ups: rows of a table by ids, values of a hash table by keys, places as ones."""

from __future__ import annotations

from tf2spark.graph_split.algebra.layout import concat
from tf2spark.graph_split.forms import (
    Concat,
    Const,
    Merged,
    NotRowWise,
    Pair,
    Side,
    Value,
    dims_of,
)
from tf2spark.graph_split.graph_builder import renewed
from tf2spark.graph_split.materialize import flat
from tf2spark.graph_split.op_call import (
    Call,
    applied,
    feature_axis,
)
from tf2spark.graph_split.rules import layout


def gather(call: Call) -> Value:
    """Look rows up in a constant, or columns up by constant places."""
    params, indices = call.inputs[:2]
    axis = call.ints(2)[0] if len(call.inputs) > 2 else 0
    if isinstance(params, Const):
        if axis % max(1, len(params.shape)) or isinstance(indices, Const):
            raise NotRowWise("it looks up along another axis than a table's first")
        if isinstance(indices, Concat):
            parts = [gather(call.given(params, part, *call.inputs[2:])) for part in indices.parts]
            return concat(call.b, parts, indices.axis)
        if isinstance(indices, Merged):
            inner = gather(call.given(params, indices.inner, *call.inputs[2:]))
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
        return layout.columns(call, feature_axis(axis, call.rank()))
    if not isinstance(indices, Const) and batch_dims >= 1 and axis % call.rank() >= 1:
        return applied(call)
    raise NotRowWise("a row looks up in other rows")


def looked_up(call: Call) -> Value:
    """Look keys up in a table. Its handle may be a vector of two; it meets no values."""
    table, keys, default = call.inputs
    if isinstance(keys, Concat):
        parts = [looked_up(call.given(table, part, default)) for part in keys.parts]
        return concat(call.b, parts, keys.axis)
    if isinstance(keys, Merged):
        inner = looked_up(call.given(table, keys.inner, default))
        return Merged(inner, keys.count, call.dtype, dims_of(inner)[1:])
    one = keys if isinstance(keys, Side) else flat(call.b, keys)
    tensors = [call.const(0).tensor, one.tensor, call.const(2).tensor]
    dims = (*one.dims, *call.const(2).shape)
    return renewed(one, f"{call.b.copy(call.node, tensors)}:0", dims, call.dtype)


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
        parts = [one_hot(call.given(part, *call.inputs[1:])) for part in value.parts]
        return concat(call.b, parts, value.axis)
    if isinstance(value, Side | Pair) and call.attr("axis").i == -1:
        tensors = [value.tensor, *(call.const(place).tensor for place in (1, 2, 3))]
        tensor = f"{call.b.copy(call.node, tensors)}:0"
        return renewed(value, tensor, (*value.dims, depth), call.dtype)
    return applied(call)

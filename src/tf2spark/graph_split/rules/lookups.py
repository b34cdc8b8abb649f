"""Rules of lookups: rows of a table by ids, values of a hash table by keys, one-hot vectors.

A lookup treats every id independently, so ids of a user and of an item that are concatenated or
stacked are looked up part by part.
"""

from __future__ import annotations

from tf2spark.graph_split.algebra.parts import concat_features
from tf2spark.graph_split.forms import (
    Concat,
    Const,
    NotRowWise,
    Pair,
    Side,
    StackedRows,
    Value,
    dims_of,
)
from tf2spark.graph_split.graph_builder import with_tensor
from tf2spark.graph_split.materialize import materialize_pairs
from tf2spark.graph_split.op_call import OpCall, apply_row_wise, feature_axis
from tf2spark.graph_split.rules.slices import gather_columns


def gather(call: OpCall) -> Value:
    """``table[[U | I]]  ->  [table[U] | table[I]]``; of rows, the columns at constant positions."""
    params, indices = call.inputs[:2]
    # The older `Gather` has no axis: it looks up rows.
    axis = call.ints(2)[0] if len(call.inputs) > 2 else 0
    if isinstance(params, Const):
        if axis % max(1, len(params.shape)) or isinstance(indices, Const):
            raise NotRowWise("it looks up along another axis than the table's first")
        return _gather_rows(call, params, indices)
    batch_dims = call.attr("batch_dims").i
    batch_dims += call.rank(1) if batch_dims < 0 else 0
    if isinstance(params, StackedRows) or isinstance(indices, StackedRows):
        raise NotRowWise("stacked rows are combined with rows that aren't")
    if isinstance(indices, Const) and not batch_dims:
        return gather_columns(call, feature_axis(axis, call.rank()))
    # With the batch among the batch dimensions, each row looks up in itself.
    if not isinstance(indices, Const) and batch_dims >= 1 and axis % call.rank() >= 1:
        return apply_row_wise(call)
    raise NotRowWise("a row looks up values in other rows")


def _gather_rows(call: OpCall, table: Const, indices: Value) -> Value:
    if isinstance(indices, Concat):
        parts = [_gather_rows(call, table, part) for part in indices.parts]
        return concat_features(call.b, parts, indices.axis)
    if isinstance(indices, StackedRows):
        inner = _gather_rows(call, table, indices.inner)
        return StackedRows(inner, indices.count, call.dtype, dims_of(inner)[1:])
    # Ids that are a sum (of an offset and an id, say) must be added before they are looked up.
    rows = indices if isinstance(indices, Side) else materialize_pairs(call.b, indices)
    axes = [call.const(index).tensor for index in range(2, len(call.inputs))]
    tensor = f"{call.b.copy_node(call.node, [table.tensor, rows.tensor, *axes])}:0"
    return with_tensor(rows, tensor, (*rows.dims, *table.shape[1:]), call.dtype)


def lookup_table_find(call: OpCall) -> Value:
    """``lookup([U | I])  ->  [lookup(U) | lookup(I)]``.

    The table's handle counts as constant. It may be a vector of two strings, so it must not be
    broadcast against the keys as an elementwise op would do.
    """
    table, keys, default = call.inputs
    if isinstance(keys, Concat):
        parts = [lookup_table_find(call.with_inputs(table, part, default)) for part in keys.parts]
        return concat_features(call.b, parts, keys.axis)
    if isinstance(keys, StackedRows):
        inner = lookup_table_find(call.with_inputs(table, keys.inner, default))
        return StackedRows(inner, keys.count, call.dtype, dims_of(inner)[1:])
    rows = keys if isinstance(keys, Side) else materialize_pairs(call.b, keys)
    inputs = [call.const(0).tensor, rows.tensor, call.const(2).tensor]
    dims = (*rows.dims, *call.const(2).shape)
    return with_tensor(rows, f"{call.b.copy_node(call.node, inputs)}:0", dims, call.dtype)


def gather_nd(call: OpCall) -> Value:
    """Look up entries of a constant by rows of positions."""
    # The last axis of the positions is one position, so a vector [batch] would be a single one.
    if not isinstance(call.inputs[0], Const) or call.rank(1) < 2:
        raise NotRowWise("a row looks up values in other rows")
    return apply_row_wise(call)


def one_hot(call: OpCall) -> Value:
    """Turn ids into vectors, part by part: ``f([U | I])  ->  [f(U) | f(I)]``."""
    if not all(isinstance(value, Const) for value in call.inputs[1:]):
        raise NotRowWise("its depth or its values aren't constant")
    new_axis = call.attr("axis").i
    if new_axis == 0:
        raise NotRowWise("the new axis comes before the batch")
    if new_axis != -1:
        return apply_row_wise(call)
    value, depth = call.inputs[0], call.ints(1)[0]
    if isinstance(value, Concat):
        parts = [one_hot(call.with_inputs(part, *call.inputs[1:])) for part in value.parts]
        return concat_features(call.b, parts, value.axis)
    if isinstance(value, Side | Pair):
        inputs = [value.tensor, *(call.const(index).tensor for index in (1, 2, 3))]
        tensor = f"{call.b.copy_node(call.node, inputs)}:0"
        return with_tensor(value, tensor, (*value.dims, depth), call.dtype)
    return apply_row_wise(call)


def dense_bincount(call: OpCall) -> Value:
    """Count the ids of each row."""
    # A matrix is counted by rows, a vector as a whole.
    if call.rank() < 2:
        raise NotRowWise("it counts over the batch")
    value, size = call.inputs[0], call.ints(1)[0]
    rows = value if isinstance(value, Side) else materialize_pairs(call.b, value)
    inputs = [rows.tensor, call.const(1).tensor, call.const(2).tensor]
    return with_tensor(rows, f"{call.b.copy_node(call.node, inputs)}:0", (size,), call.dtype)

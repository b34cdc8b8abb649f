"""Ops on `StackedRows`: several rows per pair along the batch axis, [batch * count, ...].

An op that treats each row independently treats these independently too. So its rule is applied to
values that stand for the stacked rows, as if they were the batch, and the result is unstacked.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import evolve

from tf2spark.graph_split.forms import (
    BatchSize,
    Const,
    NotRowWise,
    Pair,
    ShapeVector,
    Side,
    StackedRows,
    Value,
    common_side,
    require_known,
)
from tf2spark.graph_split.graph_builder import GraphBuilder, with_tensor
from tf2spark.graph_split.materialize import materialize_pairs
from tf2spark.graph_split.op_call import OpCall, Rule


def apply_to_stacked_rows(call: OpCall, rule: Rule) -> list[Value]:
    """Apply the rule of an op to stacked rows.

    Raises:
        NotRowWise: They meet other rows, or the rule refuses.
    """
    stacked = [value for value in call.inputs if isinstance(value, StackedRows)]
    count = stacked[0].count
    # By identity: an op such as x * x may have the same value as two inputs.
    unstacked = {id(value): _compute_inner(call.b, stacked, value) for value in stacked}
    inputs: list[Value] = []
    for value in call.inputs:
        match value:
            case Const():
                inputs.append(value)
            case ShapeVector():
                inputs.append(_per_stacked_row(value, count))
            case StackedRows() if value.count == count:
                inputs.append(_as_batch(call.b, unstacked[id(value)], value))
            case _:
                raise NotRowWise("stacked rows are combined with rows that aren't")
    result = rule(evolve(call, inputs=tuple(inputs)))
    outputs = result if isinstance(result, Sequence) else [result]
    return [_unstack(call.b, output, unstacked[id(stacked[0])], count) for output in outputs]


def _compute_inner(
    b: GraphBuilder, stacked: Sequence[StackedRows], value: StackedRows
) -> Side | Pair:
    """Return stacked rows as one tensor with a row per pair, all of one side or all of pairs."""
    # Rows of a user and rows of an item meet only as rows of pairs.
    if common_side([other.inner for other in stacked]) is None:
        return materialize_pairs(b, value.inner)
    assert isinstance(value.inner, Side)
    return value.inner


def _as_batch(b: GraphBuilder, inner: Side | Pair, value: StackedRows) -> Side:
    """Return stacked rows as the rows of a batch.

    The rule sees a `Side`, so that it applies the op as it is. Such rows never cross to the pairs,
    so it doesn't matter which side.
    """
    shape = b.int_vector(-1, *require_known(value.dims, "a stacked row"))
    tensor = b.reshape_tensor(inner.tensor, shape, inner.dtype)
    return Side("user", tensor, inner.dtype, value.dims)


def _unstack(b: GraphBuilder, output: Value, like: Side | Pair, count: int) -> Value:
    """Return an output of the op as `count` rows per pair, of the side that `like` is of."""
    # A constant or a shape wouldn't say how many stacked rows there are.
    if not isinstance(output, Side):
        raise NotRowWise("its result doesn't have one row for each stacked row")
    dims = (count, *require_known(output.dims, "a stacked row"))
    tensor = b.reshape_tensor(output.tensor, b.int_vector(-1, *dims), output.dtype)
    inner = with_tensor(like, tensor, dims, output.dtype)
    return StackedRows(inner, count, output.dtype, output.dims)


def _per_stacked_row(value: ShapeVector, count: int) -> ShapeVector:
    """Count in stacked rows: a batch that is `count` times as long is one of them."""

    def divide(entry: object) -> object:
        if not isinstance(entry, BatchSize):
            return entry
        if entry.times % count:
            raise NotRowWise("it selects some of the rows")
        return BatchSize(entry.times // count)

    entries = np.empty(value.values.size, object)
    entries[:] = [divide(entry) for entry in value.values.reshape(-1)]
    return evolve(value, values=entries.reshape(value.values.shape))

"""Rules of ops that repeat values: within a row, or a constant for every row of the batch.

A constant that is repeated as often as there are rows becomes a `Side`, on the side whose rows were
counted. Where the count involves both sides, either will do.
"""

from __future__ import annotations

import numpy as np

from tf2spark.dtypes import Dims
from tf2spark.graph_split.algebra.layout import tile_rows
from tf2spark.graph_split.forms import (
    BatchSize,
    Const,
    NotRowWise,
    Pair,
    ShapeVector,
    Side,
    StackedRows,
    Value,
    dims_of,
    require_known,
)
from tf2spark.graph_split.op_call import OpCall, Rule, elementwise
from tf2spark.graph_split.rules.layout import shape_entries
from tf2spark.graph_split.rules.shape_arithmetic import Entry, known_ints


def tile(call: OpCall) -> Value:
    """Repeat rows along feature axes, or one constant row for every row of the batch."""
    value, (batch_times, *rest) = call.inputs[0], shape_entries(call, 1)
    times = known_ints(rest)
    if times is None:
        raise NotRowWise("how often it repeats values depends on the rows")
    if isinstance(value, Const):
        # [1, ...] repeated along the batch is the same row everywhere; [20, ...] isn't.
        if value.shape[0] != 1 or batch_times != BatchSize():
            raise NotRowWise("a constant input has rows of its own")
        row = np.tile(value.value, [1, *times])[0]
        return _fill_like(call, call.b.constant(row, value.dtype), 1, row.shape)
    if batch_times != 1:
        raise NotRowWise("it repeats rows")
    return tile_rows(call.b, value, times)


def fill(call: OpCall) -> Value:
    """``fill([batch, n], c)``: the same number in all values of a row."""
    batch, dims = _row_shape(shape_entries(call, 0))
    if batch.times == 1:
        return _fill_like(call, call.const(1), 0, dims)
    inner = _fill_like(call, call.const(1), 0, (batch.times, *dims))
    return StackedRows(inner, batch.times, call.dtype, dims)


def broadcast_to(call: OpCall) -> Value:
    """``broadcast(x, [batch, n])``: within rows, or a constant for every row."""
    value, (batch, dims) = call.inputs[0], _row_shape(shape_entries(call, 1))
    if batch != BatchSize():
        raise NotRowWise("its shape isn't that of the rows")
    if isinstance(value, Const):
        if len(value.shape) > len(dims) and value.shape[0] != 1:
            raise NotRowWise("a constant input has rows of its own")
        return _fill_like(call, value, 1, dims)
    if len(dims_of(value)) != len(dims):
        raise NotRowWise("its inputs differ in rank, so rows would meet columns")
    if dims_of(value) == dims:
        return value
    own = require_known(dims_of(value), "a row")
    # Along each axis the size stays, or grows from 1: then broadcasting is repeating.
    times = [size // own_size if own_size else 1 for size, own_size in zip(dims, own, strict=True)]
    return tile_rows(call.b, value, times)


def _row_shape(entries: list[Entry]) -> tuple[BatchSize, tuple[int, ...]]:
    """Return a shape as the number of rows and their dimensions."""
    batch, dims = entries[0], known_ints(entries[1:])
    if not isinstance(batch, BatchSize) or dims is None:
        raise NotRowWise("its shape isn't that of the rows")
    return batch, dims


def _fill_like(call: OpCall, value: Const, shape_input: int, dims: Dims) -> Side:
    """Give every row a constant, on the side whose rows the shape counts."""
    shape = call.inputs[shape_input]
    assert isinstance(shape, ShapeVector)
    return call.b.fill_rows(value, "item" if shape.sides == {"item"} else "user", dims)


def filled_like(number: int) -> Rule:
    """Return the rule of `ZerosLike` and `OnesLike`, which read only the shape of their input."""

    def rule(call: OpCall) -> Value:
        value = call.inputs[0]
        # It is one tensor, so the op itself costs nothing more.
        if isinstance(value, Side | Pair | Const):
            return elementwise(call)
        if isinstance(value, StackedRows):
            inner = rule(call.with_inputs(value.inner))
            return StackedRows(inner, value.count, call.dtype, value.dims)
        # Other forms would have to be computed only for their shape.
        dims = require_known(dims_of(value), "a filled row")
        return call.b.fill_rows(call.b.constant(np.array(number), call.dtype), "user", dims)

    return rule

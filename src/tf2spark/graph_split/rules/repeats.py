"""Rules of ops that repeat values: within a row, or a constant for every row of the batch.

A constant that is repeated as often as there are rows becomes a `Side`: every row of the side that
the number of rows was taken from gets it. Where it speaks of both sides, either will do.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tf2spark.graph_split.algebra.layout import tile_rows
from tf2spark.graph_split.forms import (
    BatchSize,
    Const,
    Dims,
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


def tile(call: OpCall) -> Value:
    """Repeat rows along feature axes, or one constant row for every row of the batch."""
    value, times = call.inputs[0], shape_entries(call, 1)
    if not all(isinstance(repeats, int) for repeats in times[1:]):
        raise NotRowWise("how often it repeats values depends on the rows")
    if isinstance(value, Const):
        if value.shape[0] != 1 or times[0] != BatchSize():
            raise NotRowWise("a constant input has rows of its own")
        row = np.tile(value.value, [1, *times[1:]])[0]
        return _fill_like(call, call.b.constant(row, value.dtype), 1, row.shape)
    if times[0] != 1:
        raise NotRowWise("it repeats rows")
    return tile_rows(call.b, value, times[1:])


def fill(call: OpCall) -> Value:
    """``fill([batch, n], c)``: the same number in all values of a row."""
    first, *dims = shape_entries(call, 0)
    _check_row_shape(first, dims)
    if first.times == 1:
        return _fill_like(call, call.const(1), 0, tuple(dims))
    inner = _fill_like(call, call.const(1), 0, (first.times, *dims))
    return StackedRows(inner, first.times, call.dtype, tuple(dims))


def broadcast_to(call: OpCall) -> Value:
    """``broadcast(x, [batch, n])``: within rows, or a constant for every row."""
    value, (first, *dims) = call.inputs[0], shape_entries(call, 1)
    _check_row_shape(first, dims)
    if first != BatchSize():
        raise NotRowWise("its shape isn't that of the rows")
    if isinstance(value, Const):
        if len(value.shape) > len(dims) and value.shape[0] != 1:
            raise NotRowWise("a constant input has rows of its own")
        return _fill_like(call, value, 1, tuple(dims))
    if len(dims_of(value)) != len(dims):
        raise NotRowWise("its inputs differ in rank, so rows would meet columns")
    if dims_of(value) == tuple(dims):
        return value
    own = require_known(dims_of(value), "a row")
    times = [size // own_size if own_size else 1 for size, own_size in zip(dims, own, strict=True)]
    return tile_rows(call.b, value, times)


def _check_row_shape(first: Any, dims: list[Any]) -> None:
    if not isinstance(first, BatchSize) or any(not isinstance(size, int) for size in dims):
        raise NotRowWise("its shape isn't that of the rows")


def _fill_like(call: OpCall, value: Const, shape_input: int, dims: Dims) -> Side:
    """Give every row a constant, on the side whose rows the shape counts."""
    shape = call.inputs[shape_input]
    assert isinstance(shape, ShapeVector)
    return call.b.fill_rows(value, "item" if shape.sides == {"item"} else "user", dims)


def filled_like(number: int) -> Rule:
    """Return the rule of `ZerosLike` and `OnesLike`, which read only the shape of their input."""

    def rule(call: OpCall) -> Value:
        value = call.inputs[0]
        if isinstance(value, Side | Pair | Const):
            return elementwise(call)
        if isinstance(value, StackedRows):
            inner = rule(call.with_inputs(value.inner))
            return StackedRows(inner, value.count, call.dtype, value.dims)
        # Other forms would have to be computed only for their shape.
        dims = require_known(dims_of(value), "a filled row")
        return call.b.fill_rows(call.b.constant(np.array(number), call.dtype), "user", dims)

    return rule

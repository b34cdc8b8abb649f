"""Rows normalised as channels of one image: how Keras 2 writes layer normalisation.

It turns rows into the channels of one picture, [1, rows, size, 1], so that the fused batch
normalisation takes the mean of each row. Written out, it is taken apart like any other.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from tf2spark.graph_split.algebra.layout import reshaped
from tf2spark.graph_split.forms import (
    Beside,
    Const,
    Merged,
    NotRowWise,
    Side,
    Value,
    dims_of,
    known,
)
from tf2spark.graph_split.graph_builder import Builder, set_attribute
from tf2spark.graph_split.op_call import Call

Ask = Callable[..., Value]


def normalised(call: Call, ask: Ask) -> Value:
    """Normalise each row by its own mean and variance.

    Args:
        call: A ``FusedBatchNormV3`` of rows beside each other.
        ask: Applies the rule of an op: its name, its inputs and its attributes.

    Raises:
        NotRowWise: It takes the mean of several rows, or a constant's.
    """
    rows, scale, offset = call.inputs[:3]
    as_channels = call.attr("data_format").s == b"NCHW" and call.attr("is_training").b
    if not isinstance(rows, Beside) or not as_channels:
        raise NotRowWise("it takes the mean of the batch")
    # As vectors, whose last axis is the one that is reduced: so the rules know a number a row.
    b, dims = call.b, known(dims_of(rows.inner), "a normalised row")
    value = reshaped(b, rows.inner, (rows.count, prod(dims[1:])))
    axes = b.constant(np.array([2], np.int32))
    mean = ask("Mean", value, axes, keep_dims=True)
    spread = ask("SquaredDifference", value, mean)
    variance = ask("Mean", spread, axes, keep_dims=True)
    epsilon = b.constant(call.attr("epsilon").f, value.dtype)
    inverse = ask("Rsqrt", ask("AddV2", variance, epsilon))
    found = ask("Mul", ask("Sub", value, mean), inverse)
    for op, factor, neutral in (("Mul", scale, 1), ("AddV2", offset, 0)):
        if not _is(b, factor, neutral):
            found = ask(op, found, _a_row(b, factor))
    return Beside(reshaped(b, found, dims), rows.count, rows.dtype, rows.dims)


def _is(b: Builder, value: Value, number: int) -> bool:
    """Say whether rows are filled with this number."""
    inner = value.inner if isinstance(value, Merged) else value
    filled = b.filled_with.get(inner.tensor) if isinstance(inner, Side) else None
    return filled is not None and bool((filled.value == number).all())


def _a_row(b: Builder, value: Value) -> Value:
    """Lay out one number a row, which may be merged, as [count, 1]."""
    if isinstance(value, Const):
        raise NotRowWise("a constant has a value of its own for every row of the batch")
    inner = value.inner if isinstance(value, Merged) else value
    return reshaped(b, inner, (prod(known(dims_of(inner), "a factor")), 1))


def asking(call: Call, rules: Any) -> Ask:
    """Return the function that applies a rule to values that stand in no node."""

    def ask(op: str, *inputs: Value, **attributes: Any) -> Value:
        dtype = inputs[0].dtype
        node = type(call.node)(name=call.node.name, op=op)
        node.attr["T"].type = dtype.code
        for name, value in attributes.items():
            set_attribute(node.attr[name], value)
        if op == "Mean":
            node.attr["Tidx"].type = inputs[1].dtype.code
        found: Value = rules[op](Call(call.b, node, inputs, ((dtype, None),)))
        return found

    return ask

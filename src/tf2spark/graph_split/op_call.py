"""One op of the graph on its way through the algebra, and how most ops are applied."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from attrs import evolve, frozen

from tf2spark.dtypes import DType
from tf2spark.graph_split.algebra.layout import aligned, concat
from tf2spark.graph_split.forms import (
    Concat,
    Const,
    Dims,
    Merged,
    NotRowWise,
    Pair,
    Side,
    Sizes,
    Value,
    broadcast_dims,
    dims_of,
)
from tf2spark.graph_split.graph_builder import Builder, Operand, one_side
from tf2spark.graph_split.materialize import flat, operand
from tf2spark.graph_split.shape_inference import inferred


@frozen(eq=False)
class Call:
    """A node with the forms of its inputs.

    Attributes:
        b: Where new nodes go.
        node: The ``NodeDef``.
        inputs: The forms of its data inputs.
        outputs: Dtype and whole shape of each output that is used, as TensorFlow infers them.
    """

    b: Builder
    node: Any
    inputs: tuple[Value, ...]
    outputs: tuple[tuple[DType, Dims | None], ...]

    def given(self, *inputs: Value) -> Call:
        """Return the same node with other inputs."""
        return evolve(self, inputs=inputs)

    @property
    def dtype(self) -> DType:
        return self.outputs[0][0]

    def attr(self, name: str) -> Any:
        return self.node.attr[name]

    def out_dims(self, place: int = 0) -> Dims:
        """Return the dimensions of a row of an output, as TensorFlow infers them."""
        shape = self.outputs[place][1]
        if shape is None or None in shape[1:]:
            shape = inferred(self.node, self.inputs, place)
        if not shape:
            raise NotRowWise("the rank of its result isn't known")
        return shape[1:]

    def ints(self, place: int) -> list[int]:
        """Return an input as integers that are known, a scalar as a list of one."""
        value = self.inputs[place]
        if isinstance(value, Const):
            return [int(one) for one in np.atleast_1d(value.value).reshape(-1)]
        if isinstance(value, Sizes) and all(isinstance(v, int) for v in value.values.reshape(-1)):
            return list(value.values.reshape(-1))
        raise NotRowWise("an axis or a size of it depends on the rows")

    def const(self, place: int) -> Const:
        value = self.inputs[place]
        if not isinstance(value, Const):
            raise NotRowWise(f"its input {place} isn't constant")
        return value

    def rank(self, place: int = 0) -> int:
        """Return the rank of an input with its batch."""
        value = self.inputs[place]
        return len(dims_of(value)) + (0 if isinstance(value, Const | Sizes) else 1)


Rule = Callable[[Call], "Value | Sequence[Value]"]


def feature_axes(call: Call, place: int, rank: int) -> list[int]:
    """Return axes that an input names, counted from the front; none may be the batch.

    Raises:
        NotRowWise: One is.
    """
    axes = sorted(axis % rank for axis in call.ints(place))
    if 0 in axes:
        raise NotRowWise("it runs over the batch")
    return axes


def feature_axis(axis: int, rank: int) -> int:
    """Return an axis counted from the front; it must not be the batch."""
    if axis % rank == 0:
        raise NotRowWise("it runs over the batch")
    return axis % rank


def elementwise(call: Call) -> Value:
    """Apply an op that treats every value apart: to each part, on its side where it has one."""
    return apply_elementwise(call.b, call.node, call.inputs, call.dtype)


def apply_elementwise(b: Builder, node: Any, values: Sequence[Value], dtype: DType) -> Value:
    if any(isinstance(value, Sizes) for value in values):
        raise NotRowWise("a number of rows meets their values")
    if any(isinstance(value, Merged) for value in values):
        return _on_merged(b, node, values, dtype)
    if any(isinstance(value, Concat) for value in values):
        cut = aligned(b, values)
        if cut is not None:
            axis, pieces = cut
            parts = [apply_elementwise(b, node, piece, dtype) for piece in pieces]
            return concat(b, parts, axis)
    operands = [operand(b, value) for value in values]
    dims, side = broadcast_dims(operands), one_side(operands)
    if side is not None:
        name = b.copy(node, [one.tensor for one in operands])
        return Side(side, f"{name}:0", dtype, dims)
    return b.of_pairs(operands, dtype, lambda inputs: f"{b.copy(node, inputs)}:0")


def _on_merged(b: Builder, node: Any, values: Sequence[Value], dtype: DType) -> Value:
    first = next(value for value in values if isinstance(value, Merged))
    inside = []
    for value in values:
        if isinstance(value, Merged) and value.count == first.count:
            inside.append(value.inner)
        elif isinstance(value, Const) and len(value.shape) <= len(first.dims):
            inside.append(value)
        else:
            raise NotRowWise("rows of a merged batch meet others")
    inner = apply_elementwise(b, node, inside, dtype)
    return Merged(inner, first.count, dtype, dims_of(inner)[1:])


def applied(call: Call) -> Value:
    """Apply an op that treats rows apart as it is: on its side, or to the rows of all pairs."""
    return outputs_applied(call)[0]


def outputs_applied(call: Call) -> list[Value]:
    """Apply such an op and return all its outputs."""
    operands: list[Operand] = []
    for value in call.inputs:
        if isinstance(value, Sizes):
            raise NotRowWise("the number of rows goes into it")
        operands.append(value if isinstance(value, Const | Side) else flat(call.b, value))
    side = one_side(operands)
    if side is None:
        operands = [one if isinstance(one, Const) else flat(call.b, one) for one in operands]
    name = call.b.copy(call.node, [one.tensor for one in operands])
    found: list[Value] = []
    for place, (dtype, _) in enumerate(call.outputs):
        dims, tensor = call.out_dims(place), f"{name}:{place}"
        found.append(Pair(tensor, dtype, dims) if side is None else Side(side, tensor, dtype, dims))
    return found

"""One op with the forms of its inputs, and the two ways in which most ops are applied."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from attrs import evolve, frozen

from tf2spark.dtypes import Dims, DType
from tf2spark.graph_split.algebra.parts import align_parts, concat_features
from tf2spark.graph_split.forms import (
    Concat,
    Const,
    NotRowWise,
    Operand,
    Pair,
    ShapeVector,
    Side,
    StackedRows,
    Value,
    broadcast_dims,
    common_side,
    dims_of,
)
from tf2spark.graph_split.graph_builder import GraphBuilder
from tf2spark.graph_split.materialize import as_operand, materialize_pairs
from tf2spark.graph_split.shape_inference import infer_shape
from tf2spark.saved_model.protos import AttrMessage, NodeMessage

TensorInfo = tuple[DType, Dims | None]
"""Dtype and whole shape of a tensor, as TensorFlow infers them."""


@frozen(eq=False)
class OpCall:
    """A node with the forms of its inputs: what a rule is given.

    Attributes:
        b: Adds new nodes.
        node: The ``NodeDef``.
        inputs: The forms of its data inputs.
        outputs: What TensorFlow infers of each output that is read.
    """

    b: GraphBuilder
    node: NodeMessage
    inputs: tuple[Value, ...]
    outputs: tuple[TensorInfo, ...]

    def with_inputs(self, *inputs: Value) -> OpCall:
        """Return the same node with other inputs."""
        return evolve(self, inputs=inputs)

    @property
    def dtype(self) -> DType:
        return self.outputs[0][0]

    def attr(self, name: str) -> AttrMessage:
        return self.node.attr[name]

    def out_dims(self, output: int = 0) -> Dims:
        """Return the dimensions of a row of an output, as TensorFlow infers them."""
        shape = self.outputs[output][1]
        # The rules may know more about its inputs than the graph does.
        if shape is None or None in shape[1:]:
            shape = infer_shape(self.node, self.inputs, output)
        if not shape:
            raise NotRowWise("the rank of its result isn't known")
        return shape[1:]

    def ints(self, index: int) -> list[int]:
        """Return an input as integers that are all known; a scalar as a list of one.

        Raises:
            NotRowWise: One depends on the rows.
        """
        value = self.inputs[index]
        if isinstance(value, Const):
            return [int(number) for number in np.atleast_1d(value.value).reshape(-1)]
        if isinstance(value, ShapeVector):
            entries = list(value.values.reshape(-1))
            if all(isinstance(entry, int) for entry in entries):
                return entries
        raise NotRowWise("an axis or a size depends on the rows")

    def const(self, index: int) -> Const:
        """Return an input that must be constant.

        Raises:
            NotRowWise: It isn't.
        """
        value = self.inputs[index]
        if not isinstance(value, Const):
            raise NotRowWise(f"its input {index} isn't constant")
        return value

    def rank(self, index: int = 0) -> int:
        """Return the rank of an input, batch axis included."""
        value = self.inputs[index]
        # `dims` of a form with rows lack the batch axis; a constant's shape is whole.
        return len(dims_of(value)) + (0 if isinstance(value, Const | ShapeVector) else 1)

    def has_input(self, form: type[Value]) -> bool:
        return any(isinstance(value, form) for value in self.inputs)


Rule = Callable[[OpCall], Value | Sequence[Value]]
"""Maps the forms of an op's inputs to that of its result, or to those of all its outputs.

A rule refuses by raising `NotRowWise` or `NotSplit` with the reason.
"""


def feature_axes(call: OpCall, index: int, rank: int) -> list[int]:
    """Return the axes that an input names, counted from the front.

    Raises:
        NotRowWise: One is the batch.
    """
    axes = sorted(axis % rank for axis in call.ints(index))
    if 0 in axes:
        raise NotRowWise("it runs over the batch")
    return axes


def feature_axis(axis: int, rank: int) -> int:
    """Return an axis counted from the front.

    Raises:
        NotRowWise: It is the batch.
    """
    if axis % rank == 0:
        raise NotRowWise("it runs over the batch")
    return axis % rank


def elementwise(call: OpCall) -> Value:
    """``f([U | I])  ->  [f(U) | f(I)]``: an op that treats every value independently."""
    return apply_elementwise(call.b, call.node, call.inputs, call.dtype)


def apply_elementwise(
    b: GraphBuilder, node: NodeMessage, values: Sequence[Value], dtype: DType
) -> Value:
    """Apply an elementwise op to each part of its inputs, on a side wherever possible."""
    if any(isinstance(value, ShapeVector) for value in values):
        raise NotRowWise("it combines the number of rows with their values")
    if any(isinstance(value, StackedRows) for value in values):
        return _apply_to_stacked_rows(b, node, values, dtype)
    # Once cut, a part of one side stays on that side even if other parts need pairs.
    if any(isinstance(value, Concat) for value in values):
        cut = align_parts(b, values)
        if cut is not None:
            axis, pieces = cut
            parts = [apply_elementwise(b, node, piece, dtype) for piece in pieces]
            return concat_features(b, parts, axis)
    # The op isn't linear in general, so sums and products must be computed before it.
    operands = [as_operand(b, value) for value in values]
    side = common_side(operands)
    if side is not None:
        dims = broadcast_dims(operands)
        name = b.copy_node(node, [operand.tensor for operand in operands])
        return Side(side, f"{name}:0", dtype, dims)
    return b.pair_elementwise(operands, dtype, lambda inputs: f"{b.copy_node(node, inputs)}:0")


def _apply_to_stacked_rows(
    b: GraphBuilder, node: NodeMessage, values: Sequence[Value], dtype: DType
) -> Value:
    """Apply an elementwise op to stacked rows as to one row of [count, ...] per pair.

    A constant broadcasts the same way in both layouts only if it has no axis for the rows.
    """
    stacked = next(value for value in values if isinstance(value, StackedRows))
    inner_values = []
    for value in values:
        if isinstance(value, StackedRows) and value.count == stacked.count:
            inner_values.append(value.inner)
        elif isinstance(value, Const) and len(value.shape) <= len(stacked.dims):
            inner_values.append(value)
        else:
            raise NotRowWise("stacked rows are combined with rows that aren't")
    inner = apply_elementwise(b, node, inner_values, dtype)
    return StackedRows(inner, stacked.count, dtype, dims_of(inner)[1:])


def apply_row_wise(call: OpCall) -> Value:
    """Apply an op that treats each row independently: on a side, or to the rows of all pairs."""
    return apply_row_wise_outputs(call)[0]


def apply_row_wise_outputs(call: OpCall) -> list[Value]:
    """Apply an op that treats each row independently, and return all its outputs."""
    operands: list[Operand] = []
    for value in call.inputs:
        if isinstance(value, ShapeVector):
            raise NotRowWise("it takes the number of rows as an input")
        if not isinstance(value, Const | Side):
            value = materialize_pairs(call.b, value)
        operands.append(value)
    side = common_side(operands)
    # Inputs are matched row by row: if one has a row per pair, all must.
    if side is None:
        operands = [
            operand if isinstance(operand, Const) else materialize_pairs(call.b, operand)
            for operand in operands
        ]
    name = call.b.copy_node(call.node, [operand.tensor for operand in operands])
    results: list[Value] = []
    for index, (dtype, _) in enumerate(call.outputs):
        dims, tensor = call.out_dims(index), f"{name}:{index}"
        row = Pair(tensor, dtype, dims) if side is None else Side(side, tensor, dtype, dims)
        results.append(row)
    return results

"""Ops on `TransposedRows`: rows along the second axis, [count, batch, ...].

Attention writes ``stack(split(x, heads))`` and multiplies by head, and so do networks that compress
interactions. The values are followed in `inner`, where the batch comes first: whatever doesn't
touch the first two axes is done there as it is, and the first axis of the tensor is axis 1 there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from attrs import evolve

from tf2spark.graph_split.algebra.layout import reshape_rows, transpose_rows
from tf2spark.graph_split.algebra.parts import slice_axis
from tf2spark.graph_split.forms import (
    BatchSize,
    Const,
    NotRowWise,
    TransposedRows,
    Value,
    dims_of,
    require_known,
    transposed,
    value_count,
)
from tf2spark.graph_split.op_call import OpCall, Rule, elementwise
from tf2spark.graph_split.rules.layout import rows_after, shape_entries
from tf2spark.graph_split.rules.shape_arithmetic import shape_vector_of

# Ops that broadcast from the right, or work on the last axes.
_PRODUCTS = frozenset(("BatchMatMul", "BatchMatMulV2", "BatchMatMulV3"))
_BROADCASTING = re.compile("Add(V2)?|BiasAdd|(Real)?Div|Mul|Neg|Square(dDifference)?|Sub")
_LAST_AXIS = frozenset(("LogSoftmax", "Softmax"))
_PASSED_ON = frozenset(("EnsureShape", "Identity", "PreventGradient", "Snapshot", "StopGradient"))
# Where these ops have their axes: the number of an input.
_AXIS_INPUTS = {"Split": 0, "SplitV": 2, "Sum": 1, "Mean": 1, "Max": 1, "Min": 1, "Prod": 1}


def apply_to_transposed_rows(call: OpCall, rule: Rule) -> list[Value]:
    """Apply the rule of an op to rows along the second axis.

    Raises:
        NotRowWise: They meet other rows, or the op isn't known to leave rows apart.
    """
    op = call.node.op
    if op in _PASSED_ON:
        return [call.inputs[0]]
    if op == "Shape":
        return [_shape(call)]
    if op == "Reshape":
        return [_reshape(call)]
    if op == "Transpose":
        return [_transpose(call)]
    if op == "Squeeze":
        return [_squeeze(call)]
    if op == "Unpack":
        return _unpack(call, rule)
    if op == "StridedSlice":
        return [_entries(call)]
    if op == "ConcatV2":
        return _along_axis(call, rule, len(call.inputs) - 1)
    if op in _AXIS_INPUTS:
        return _along_axis(call, rule, _AXIS_INPUTS[op])
    if rule is elementwise or _BROADCASTING.fullmatch(op) or op in _PRODUCTS or op in _LAST_AXIS:
        return _on_last_axes(call, rule)
    raise NotRowWise("it isn't known to leave rows along the second axis apart")


def _shape(call: OpCall) -> Value:
    (value,) = call.inputs
    vector = shape_vector_of(value, call.dtype)
    vector.values[0], vector.values[1] = dims_of(value)[0], BatchSize()
    return vector


def _inner(value: Value) -> Value:
    """Return the rows of an input; constants are the same for all rows.

    Raises:
        NotRowWise: It is something else: its rows, along the first axis, would meet columns.
    """
    if isinstance(value, TransposedRows):
        return value.inner
    if isinstance(value, Const):
        return value
    raise NotRowWise("rows along the second axis are combined with others")


def _apply(call: OpCall, rule: Rule, inputs: Sequence[Value]) -> list[Value]:
    """Apply a rule to rows along the first axis. TensorFlow knows nothing of their shapes."""
    outputs = tuple((dtype, None) for dtype, _ in call.outputs)
    result = rule(evolve(call, inputs=tuple(inputs), outputs=outputs))
    return list(result) if isinstance(result, Sequence) else [result]


def _on_last_axes(call: OpCall, rule: Rule) -> list[Value]:
    """``f(x)  ->  f(inner)``: an op that treats the first two axes alike."""
    ranks = {
        call.rank(index)
        for index, value in enumerate(call.inputs)
        if isinstance(value, TransposedRows)
    }
    # An axis of a constant that met one of the first two would meet the other in `inner`.
    free = min(ranks) - 2
    constants = [value for value in call.inputs if isinstance(value, Const)]
    swaps = any(len(value.shape) > free for value in constants)
    swaps |= call.node.op in _LAST_AXIS and free < 1
    swaps |= call.attr("data_format").s == b"NCHW"  # the channels would be the second axis
    if len(ranks) > 1 or swaps:
        raise NotRowWise("it combines rows along the second axis with other axes")
    return [transposed(value) for value in _apply(call, rule, list(map(_inner, call.inputs)))]


def _swapped(axis: int, rank: int) -> int:
    """Return where an axis of the tensor is in `inner`.

    Raises:
        NotRowWise: It is that of the batch.
    """
    axis %= rank
    if axis == 1:
        raise NotRowWise("it runs over the batch")
    return axis or 1


def _along_axis(call: OpCall, rule: Rule, position: int) -> list[Value]:
    """``sum(x, 0)  ->  sum(inner, 1)``: an op whose axes are an input."""
    rows = [index for index, value in enumerate(call.inputs) if isinstance(value, TransposedRows)]
    rank = call.rank(rows[0])
    axes = [_swapped(axis, rank) for axis in call.ints(position)]
    given = call.const(position)
    inputs = [_inner(value) for value in call.inputs]
    inputs[position] = call.b.constant(axes if given.shape else axes[0], given.dtype)
    reduces = call.node.op in ("Sum", "Mean", "Max", "Min", "Prod")
    is_gone = reduces and 1 in axes and not call.attr("keep_dims").b
    outputs = _apply(call, rule, inputs)
    return outputs if is_gone else [transposed(value) for value in outputs]


def _unpack(call: OpCall, rule: Rule) -> list[Value]:
    """``unstack(x, 0)  ->  unstack(inner, 1)``: rows again, with the batch first."""
    if call.attr("axis").i % call.rank() != 0:
        raise NotRowWise("it takes rows along the second axis apart")
    node = type(call.node)()
    node.CopyFrom(call.node)
    node.attr["axis"].i = 1
    return _apply(evolve(call, node=node), rule, [_inner(call.inputs[0])])


def _entries(call: OpCall) -> Value:
    """``x[2]  ->  inner[:, 2]`` and ``x[1:3]``: entries along the first axis."""
    inner, bounds = _inner(call.inputs[0]), [call.ints(index) for index in (1, 2, 3)]
    (count,) = require_known(dims_of(inner)[:1], "rows along the second axis")
    masks = [call.attr(f"{name}_mask").i for name in ("ellipsis", "new_axis")]
    if any(masks) or [len(values) for values in bounds] != [1, 1, 1] or bounds[2] != [1]:
        raise NotRowWise("it slices rows along the second axis")
    start, stop, _ = slice(
        None if call.attr("begin_mask").i else bounds[0][0],
        None if call.attr("end_mask").i else bounds[1][0],
    ).indices(count)
    if call.attr("shrink_axis_mask").i:
        row = slice_axis(call.b, inner, 1, bounds[0][0] % count, 1)
        return reshape_rows(call.b, row, dims_of(inner)[1:])
    return transposed(slice_axis(call.b, inner, 1, start, max(0, stop - start)))


def _squeeze(call: OpCall) -> Value:
    """Remove axes of size 1; without the first one, rows are along the first axis again."""
    inner, rank = _inner(call.inputs[0]), call.rank()
    dims = dims_of(inner)
    axes = {_swapped(axis, rank) for axis in call.attr("squeeze_dims").list.i}
    if not axes:
        axes = {axis for axis, size in enumerate(dims, start=1) if size == 1}
    left = tuple(size for axis, size in enumerate(dims, start=1) if axis not in axes)
    rows = reshape_rows(call.b, inner, left)
    return rows if 1 in axes else transposed(rows)


def _reshape(call: OpCall) -> Value:
    """``[count, batch, a, b]  ->  [count, batch, c]``: only what follows the batch changes."""
    inner, entries = _inner(call.inputs[0]), shape_entries(call, 1)
    count, *rest = dims_of(inner)
    if len(entries) < 2 or entries[0] != count or count is None:
        raise NotRowWise("it moves the batch axis")
    lead, dims = rows_after(value_count(tuple(rest)), entries[1], entries[2:])
    if lead != 1:
        raise NotRowWise("it moves the batch axis")
    return transposed(reshape_rows(call.b, inner, (count, *dims)))


def _transpose(call: OpCall) -> Value:
    """Reorder axes; where the batch comes first, they are rows again."""
    inner = _inner(call.inputs[0])
    order = [_axis_in_inner(axis) for axis in call.ints(1)]
    if order[0] == 0:
        return transpose_rows(call.b, inner, order[1:])
    if order[1] == 0:
        return transposed(transpose_rows(call.b, inner, [order[0], *order[2:]]))
    raise NotRowWise("it moves the batch axis")


def _axis_in_inner(axis: int) -> int:
    return 1 - axis if axis < 2 else axis

"""Masks that are the same for every row: ``boolean_mask(x, band_part(ones_like(x)))``.

DLRM's interaction keeps the lower triangle of a row's matrix of products. It writes that as the
positions of a mask's true values, over all rows at once, so that positions seem to depend on the
rows. But the mask is made of ones and constants: one row of it tells which columns are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from tf2spark.conversion.rows import Array
from tf2spark.dtypes import INT64, Dims, from_code
from tf2spark.graph_split.algebra.layout import reshape_rows
from tf2spark.graph_split.forms import (
    Concat,
    Const,
    NotRowWise,
    Pair,
    Product,
    RowPositions,
    Side,
    StackedRows,
    Sum,
    Value,
    dims_of,
)
from tf2spark.graph_split.op_call import OpCall
from tf2spark.graph_split.rules.slices import gather_columns
from tf2spark.saved_model.graph.upstream import data_inputs, node_name
from tf2spark.saved_model.protos import NodeMessage

_BINARY: Mapping[str, Callable[..., Array]] = {
    "Add": np.add,
    "AddV2": np.add,
    "Equal": np.equal,
    "Greater": np.greater,
    "GreaterEqual": np.greater_equal,
    "Less": np.less,
    "LessEqual": np.less_equal,
    "LogicalAnd": np.logical_and,
    "LogicalOr": np.logical_or,
    "Mul": np.multiply,
    "NotEqual": np.not_equal,
    "Sub": np.subtract,
}


class _NoMask(Exception):
    """A value isn't known to be the same for every row."""


def mask_positions(
    node: NodeMessage,
    nodes: Mapping[str, NodeMessage],
    form_of: Callable[[str], Value],
) -> RowPositions | None:
    """Return the result of a ``Where`` over all rows of a mask that is the same for every row.

    Args:
        node: The node.
        nodes: All nodes by name.
        form_of: Returns the form of a tensor.

    Returns:
        Its positions, or None where the mask isn't known to be the same for every row.
    """
    (source,) = data_inputs(node)
    flat = nodes[node_name(source)]
    if flat.op != "Reshape":
        return None
    mask, shape = data_inputs(flat)
    try:
        entries = form_of(shape)
        if not isinstance(entries, Const) or entries.value.reshape(-1).tolist() != [-1]:
            return None
        row = _row_of(mask, nodes, form_of)
    except (_NoMask, NotRowWise):
        return None
    return RowPositions(tuple(np.flatnonzero(row).tolist()), row.size, INT64)


def _row_of(
    tensor: str, nodes: Mapping[str, NodeMessage], form_of: Callable[[str], Value]
) -> Array:
    """Return a tensor's value for one row, if it is the same for every row.

    Raises:
        _NoMask: It isn't known to be.
    """
    node = nodes[node_name(tensor)]
    inputs = data_inputs(node)
    match node.op:
        case "OnesLike" | "ZerosLike":
            rows = form_of(inputs[0])
            # Of a constant, or of several rows per pair, this isn't the mask of one row.
            if not isinstance(rows, Side | Pair | Concat | Sum | Product):
                raise _NoMask
            return np.full(
                _known(dims_of(rows)), node.op == "OnesLike", from_code(node.attr["T"].type).numpy
            )
        case "MatrixBandPart":
            lower, upper = (_number(form_of(name)) for name in inputs[1:])
            return _band_part(_row_of(inputs[0], nodes, form_of), lower, upper)
        case "Cast":
            return _row_of(inputs[0], nodes, form_of).astype(
                from_code(node.attr["DstT"].type).numpy
            )
        case "Identity" | "LogicalNot":
            row = _row_of(inputs[0], nodes, form_of)
            return ~row if node.op == "LogicalNot" else row
        case op if op in _BINARY:
            left, right = (_operand(name, nodes, form_of) for name in inputs)
            # Of different ranks, rows of one would meet columns of the other.
            if left.ndim != right.ndim and left.ndim and right.ndim:
                raise _NoMask
            return _BINARY[op](left, right)
        case _:
            raise _NoMask


def _operand(
    tensor: str, nodes: Mapping[str, NodeMessage], form_of: Callable[[str], Value]
) -> Array:
    if nodes[node_name(tensor)].op != "Const":
        return _row_of(tensor, nodes, form_of)
    value = form_of(tensor)
    # With axes of its own, a constant could have one for the rows.
    if not isinstance(value, Const) or value.shape:
        raise _NoMask
    return value.value


def _number(value: Value) -> int:
    if not isinstance(value, Const):
        raise _NoMask
    return int(value.value)


def _known(dims: Dims) -> tuple[int, ...]:
    sizes = tuple(size for size in dims if size is not None)
    if not dims or len(sizes) < len(dims):
        raise _NoMask
    return sizes


def _band_part(row: Array, lower: int, upper: int) -> Array:
    """Return ``tf.linalg.band_part`` of one row: a negative number keeps all of a triangle."""
    if row.ndim < 2:
        raise _NoMask  # one of the matrix's axes would be that of the rows
    below = np.subtract.outer(np.arange(row.shape[-2]), np.arange(row.shape[-1]))
    kept = ((lower < 0) | (below <= lower)) & ((upper < 0) | (-below <= upper))
    return np.where(kept, row, np.zeros_like(row))


def apply_to_positions(call: OpCall) -> Value:
    """Pass positions on, or gather the values at them.

    Raises:
        NotRowWise: They are used for something else.
    """
    op, value = call.node.op, call.inputs[0]
    axes = list(call.attr("squeeze_dims").list.i) if op == "Squeeze" else []
    if op == "Identity" or axes in ([1], [-1]):  # a ``Where`` over a vector returns [n, 1]
        return value
    if op in ("Gather", "GatherV2") and not isinstance(value, RowPositions):
        return _gather_kept(call)
    raise NotRowWise("it depends on which values of the rows a mask keeps")


def _gather_kept(call: OpCall) -> Value:
    """``flat[positions]  ->  row[:, columns]``: the values of each row that a mask keeps.

    Raises:
        NotRowWise: What is gathered from isn't rows of the mask's size.
    """
    params, positions = call.inputs[:2]
    assert isinstance(positions, RowPositions)
    is_flat = isinstance(params, StackedRows) and params.count == positions.row_size
    if not is_flat or dims_of(params) or call.attr("batch_dims").i or _axis(call) != 0:
        raise NotRowWise("it looks up values at positions of a mask over other rows")
    assert isinstance(params, StackedRows)
    columns = call.b.constant(np.array(positions.columns, np.int64))
    rows = reshape_rows(call.b, params.inner, (positions.row_size,))
    axis = call.b.constant(np.int32(1))
    inner = gather_columns(call.with_inputs(rows, columns, axis), 1)
    return StackedRows(inner, len(positions.columns), call.dtype, ())


def _axis(call: OpCall) -> int:
    return call.ints(2)[0] if len(call.inputs) > 2 else 0

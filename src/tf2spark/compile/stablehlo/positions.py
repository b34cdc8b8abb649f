"""Positions of lookups: numbers among them, moved into the table as XLA does, and the lookup."""

from __future__ import annotations

import numpy as np

from tf2spark.compile.stablehlo.call import Call
from tf2spark.compile.stablehlo.elementwise import apply
from tf2spark.compile.stablehlo.layout import strided_slice
from tf2spark.compile.stablehlo.module_text import NotOpened
from tf2spark.compile.stablehlo.values import Known, Sizes, Tensor, Value, reshaped

_INT32 = np.dtype(np.int32)


def vector_axis(call: Call) -> int:
    """Return the axis along which the numbers of a position are, for a lookup by several."""
    # MLIR leaves out an axis that is 0.
    return (*call.ints("index_vector_dim"), 0)[0]


def part(call: Call, ids: Value, axis: int, index: int) -> Value:
    """Return one number of each position."""
    if axis == len(ids.sizes):
        return ids
    if isinstance(ids, Known):
        call.nodes.check_size(ids.array.shape)
        return Known(ids.array.take(index, axis))
    sizes = without(ids.sizes, axis)
    joined_along, parts_of_ids = call.nodes.joined.get(ids.name, (axis, ()))
    if parts_of_ids and joined_along == axis and len(parts_of_ids) == ids.sizes[axis]:
        return reshaped(call.nodes, parts_of_ids[index], sizes, sizes)
    if not ids.graph_sizes:
        return Tensor(ids.name, ids.dtype, sizes, ())
    graph_sizes = without(ids.graph_sizes, axis)
    if ids.graph_sizes[axis] == 1:
        return reshaped(call.nodes, ids, graph_sizes, sizes)
    parts = [slice(None)] * len(ids.sizes)
    parts[axis] = slice(index, index + 1)
    name = strided_slice(call, ids, parts, removed=1 << axis)
    return Tensor(name, ids.dtype, sizes, graph_sizes)


def without(sizes: Sizes, axis: int) -> Sizes:
    return (*sizes[:axis], *sizes[axis + 1 :])


def bounded(call: Call, ids: Value, bound: int) -> Value:
    if isinstance(ids, Known):
        ids.check_numbers()
        return Known(np.clip(ids.array, 0, bound - 1).astype(ids.dtype))
    if ids.dtype.kind != "i":
        raise NotOpened("its gather looks up by numbers that aren't integers")
    last, first = (like(ids, number) for number in (bound - 1, 0))
    return apply(call, "Maximum", [apply(call, "Minimum", [ids, last]), first])


def like(value: Value, number: int) -> Known:
    return Known(np.array(number, value.dtype))


def gather_node(
    call: Call, table: Tensor, ids: Tensor, axis: int, sizes: Sizes, batch_dims: int = 0
) -> Tensor:
    name = call.nodes.add(
        "GatherV2",
        [table.name, ids.name, call.nodes.constant(np.int32(axis))],
        Tparams=table.dtype,
        Tindices=ids.dtype,
        Taxis=_INT32,
        batch_dims=batch_dims,
    )
    return Tensor(name, table.dtype, sizes, sizes)

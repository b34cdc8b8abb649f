"""Lookups in a table of its own for each row: `jnp.take_along_axis`, `row[i]` under `jax.vmap`.

TensorFlow wants the axes that belong to rows first, so both sides are transposed, and the result
back.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from tf2spark.compile.stablehlo.call import Call
from tf2spark.compile.stablehlo.layout import transposed
from tf2spark.compile.stablehlo.module_text import NotOpened
from tf2spark.compile.stablehlo.positions import bounded, gather_node, part, vector_axis
from tf2spark.compile.stablehlo.values import Rows, Sizes, Tensor, Value, in_full, reshaped


@frozen
class _Axes:
    """The axes of a table.

    Attributes:
        batch: Those along which each entry is a table of its own.
        looked_up: The one that positions count along.
        component: Which number of a position is the one along it.
        found: Those of what is found, in order; the one that is looked up may be among them.
    """

    batch: tuple[int, ...]
    looked_up: int
    component: int
    found: tuple[int, ...]


def gather_by_row(call: Call, table: Tensor, ids: Value, widths: Sizes) -> Tensor:
    """Look up one position along an axis of each row's table."""
    axes = _axes(call, table.sizes, widths, call.ints("operand_batching_dims"))
    return _gathered(call, table, ids, axes, call.ints("start_indices_batching_dims"))


def gather_by_row_number(call: Call, table: Tensor, ids: Tensor, widths: Sizes) -> Tensor | None:
    """Look up by positions of which one is the row's own: `x[jnp.arange(len(x)), last]`.

    Returns:
        None: It isn't.
    """
    batch, map_ = table.sizes.index(Rows()), call.ints("start_index_map")
    if batch not in map_ or len(map_) < 2 or Rows() not in ids.sizes:
        return None
    own = part(call, ids, vector_axis(call), map_.index(batch))
    if not isinstance(own, Tensor) or own.name not in call.nodes.row_numbers:
        return None
    axes = _axes(call, table.sizes, widths, (batch,))
    return _gathered(call, table, ids, axes, (ids.sizes.index(Rows()),))


def _gathered(
    call: Call, table: Tensor, ids: Value, axes: _Axes, ids_axes: Sequence[int]
) -> Tensor:
    size, along = table.sizes[axes.looked_up], vector_axis(call)
    if not isinstance(size, int) or not size:
        raise NotOpened("its gather looks up rows of the batch")
    numbers = bounded(call, part(call, ids, along, axes.component), size)
    positions = in_full(call.nodes, numbers, [table])
    ids_batch = [axis - (axis > along) for axis in ids_axes]
    pairs = _pairs(table, positions, axes.batch, ids_batch)
    rest = [axis for axis in range(len(table.sizes)) if axis not in (*axes.batch, axes.looked_up)]
    ids_order = [ids_axis for _, ids_axis in pairs]
    ids_order += [axis for axis in range(len(positions.sizes)) if axis not in ids_batch]
    tables = transposed(call, table, [*(axis for axis, _ in pairs), axes.looked_up, *rest])
    positions = transposed(call, positions, ids_order)
    kept = tuple(table.sizes[axis] for axis in rest)
    found = gather_node(call, tables, positions, len(pairs), (*positions.sizes, *kept), len(pairs))
    return _ordered(call, found, table.sizes, axes, ids_order)


def _axes(call: Call, table: Sizes, widths: Sizes, batch: tuple[int, ...]) -> _Axes:
    removed = call.ints("collapsed_slice_dims")
    # Along an axis that is taken whole, every position is moved to its beginning.
    looked_up = [
        (component, axis)
        for component, axis in enumerate(call.ints("start_index_map"))
        if widths[axis] != table[axis] and axis not in batch
    ]
    found = tuple(axis for axis in range(len(table)) if axis not in (*batch, *removed))
    if len(looked_up) != 1 or {*found, *batch, looked_up[0][1]} != {*range(len(table))}:
        raise NotOpened("its gather takes parts of rows")
    component, axis = looked_up[0]
    expected = (1 if index in (*batch, axis) else size for index, size in enumerate(table))
    if tuple(widths) != tuple(expected):
        raise NotOpened("its gather takes parts of rows")
    return _Axes(batch, axis, component, found)


def _pairs(
    table: Tensor, positions: Tensor, batch: Sequence[int], ids_batch: Sequence[int]
) -> list[tuple[int, int]]:
    """Return the axes that belong together, the batch of the graph first."""
    pairs = sorted(
        zip(batch, ids_batch, strict=True), key=lambda pair: table.sizes[pair[0]] != Rows()
    )
    sizes = [(table.sizes[axis], positions.sizes[ids_axis]) for axis, ids_axis in pairs]
    if sizes[0] != (Rows(), Rows()) or any(left != right for left, right in sizes):
        raise NotOpened("its gather looks up rows of the batch")
    return pairs


def _ordered(
    call: Call, found: Tensor, table: Sizes, axes: _Axes, ids_order: Sequence[int]
) -> Tensor:
    """Return what was found with its axes where the module wants them."""
    ids_rank = len(ids_order)
    parts = (1 if axis == axes.looked_up else table[axis] for axis in axes.found)
    sizes = (*found.sizes[:ids_rank], *parts)
    found = reshaped(call.nodes, found, sizes, sizes)
    offsets = call.ints("offset_dims")
    of_table, of_ids = iter(range(ids_rank, len(sizes))), iter(range(ids_rank))
    order = [
        next(of_table) if axis in offsets else ids_order.index(next(of_ids))
        for axis in range(len(sizes))
    ]
    return transposed(call, found, order)

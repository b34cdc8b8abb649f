"""Translation of lookups: rows of a table by ids, entries by several positions, single columns.

XLA moves positions that are outside into the table, so they are bounded here too; TensorFlow's
lookup would fail. Where ids lead to NaN instead (`jnp.take` fills), the module itself selects it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from attrs import frozen

from tf2spark.compile.stablehlo.batched_gather import gather_by_row, gather_by_row_number
from tf2spark.compile.stablehlo.call import Call, Translation
from tf2spark.compile.stablehlo.elementwise import apply
from tf2spark.compile.stablehlo.layout import sliced, strided_slice
from tf2spark.compile.stablehlo.module_text import NotOpened
from tf2spark.compile.stablehlo.positions import (
    bounded,
    gather_node,
    like,
    part,
    vector_axis,
    without,
)
from tf2spark.compile.stablehlo.values import (
    Known,
    Rows,
    Size,
    Sizes,
    Tensor,
    Value,
    in_full,
    known,
    reshaped,
)

_INT32 = np.dtype(np.int32)


@frozen
class _Lookup:
    """Where a gather looks up.

    Attributes:
        first: The first axis that ids count along.
        bounds: The sizes of these axes, which follow each other.
        vector_axis: The axis of the ids along which one position is told.
    """

    first: int
    bounds: tuple[int, ...]
    vector_axis: int


def gather(call: Call) -> Value:
    """``table[ids]`` along one axis, or along several that follow each other."""
    return _gathered(call, call.ints("slice_sizes"))


def dynamic_gather(call: Call) -> Value:
    """The same, where the sizes of what is looked up are computed."""
    return _gathered(call, call.sizes_from(2))


def _gathered(call: Call, widths: Sizes) -> Value:
    source, ids = call.inputs[:2]
    if isinstance(ids, Known):
        if len(ids.sizes) == 1 and not vector_axis(call):
            return _part_at(call, source, ids, widths)
        if isinstance(source, Known):
            return _known_rows(call, source, ids, widths)
    table = in_full(call.nodes, source, call.inputs)
    if call.ints("operand_batching_dims"):
        return gather_by_row(call, table, ids, widths)
    if isinstance(ids, Tensor) and Rows() in table.sizes:
        by_number = gather_by_row_number(call, table, ids, widths)
        if by_number is not None:
            return by_number
    lookup = _lookup(call, table.sizes, ids.sizes, widths)
    found_sizes = tuple(size for axis, size in enumerate(ids.sizes) if axis != lookup.vector_axis)
    _check_layout(call, lookup, len(table.sizes), len(found_sizes))
    end = lookup.first + len(lookup.bounds)
    sizes = (*table.sizes[: lookup.first], *found_sizes, *table.sizes[end:])
    positions = _positions(call, lookup, ids)
    if isinstance(positions, Known) and not found_sizes and len(lookup.bounds) == 1:
        return _column(call, table, lookup.first, int(positions.array), sizes)
    if len(lookup.bounds) > 1:
        merged: Sizes = (int(np.prod(lookup.bounds)),)
        flat = (*table.sizes[: lookup.first], *merged, *table.sizes[end:])
        table = reshaped(call.nodes, table, flat, flat)
    rows = in_full(call.nodes, positions)
    return gather_node(call, table, rows, lookup.first, sizes)


def _known_rows(call: Call, table: Known, ids: Known, widths: Sizes) -> Known:
    """Look up in numbers that are known: `jnp.take_along_axis` does so in a shape."""
    lookup = _lookup(call, table.sizes, ids.sizes, widths)
    if len(lookup.bounds) > 1:
        raise NotOpened("its gather looks up constants by several positions")
    _check_layout(call, lookup, len(table.sizes), len(without(ids.sizes, lookup.vector_axis)))
    positions = _positions(call, lookup, ids)
    assert isinstance(positions, Known)
    call.nodes.check_size([size or 0 for size in call.kind.sizes])
    return known(table.array.take(positions.array, lookup.first), table.dtype)


def _part_at(call: Call, table: Value, position: Known, widths: Sizes) -> Value:
    """``table[:, 2:5]``: a part at a position that is known, moved so that it fits."""
    starts = dict(zip(call.ints("start_index_map"), call.sizes_from(1), strict=True))
    bounds: list[tuple[Size, Size, Size]] = []
    for axis, (size, width) in enumerate(zip(table.sizes, widths, strict=True)):
        start = starts.get(axis, 0)
        if width == size:
            bounds.append((0, size, 1))
        elif isinstance(start, int) and isinstance(size, int) and isinstance(width, int):
            start = max(0, min(start, size - width))
            bounds.append((start, start + width, 1))
        else:
            raise NotOpened("its module slices the batch")
    part = sliced(call, table, bounds)
    removed = call.ints("collapsed_slice_dims")
    kept = [axis for axis in range(len(widths)) if axis not in removed]
    if call.ints("offset_dims") != tuple(range(len(kept))):
        raise NotOpened("the result of its gather has its axes in another order")
    if isinstance(part, Known):
        return known(part.array.reshape([part.array.shape[axis] for axis in kept]), part.dtype)
    sizes, graph_sizes = (
        tuple(of[axis] for axis in kept) if of else () for of in (part.sizes, part.graph_sizes)
    )
    return reshaped(call.nodes, part, graph_sizes, sizes)


def _lookup(call: Call, table: Sizes, ids: Sizes, widths: Sizes) -> _Lookup:
    axes = call.ints("start_index_map")
    if not axes or call.ints("collapsed_slice_dims") != axes:
        raise NotOpened("its gather takes parts of rows")
    expected = tuple(1 if axis in axes else size for axis, size in enumerate(table))
    if tuple(widths) != expected or list(axes) != list(range(axes[0], axes[0] + len(axes))):
        raise NotOpened("its gather takes parts of rows")
    bounds = tuple(
        size for size in (table[axis] for axis in axes) if isinstance(size, int) and size
    )
    along = vector_axis(call)
    length = ids[along] if along < len(ids) else 1
    if len(bounds) < len(axes) or length != len(axes):
        raise NotOpened("its gather looks up rows of the batch")
    return _Lookup(axes[0], bounds, along)


def _check_layout(call: Call, lookup: _Lookup, table_rank: int, ids_rank: int) -> None:
    """Refuse a result whose axes aren't in TensorFlow's order: the looked-up ones in one place."""
    rest = table_rank - len(lookup.bounds)
    after = range(lookup.first + ids_rank, rest + ids_rank)
    if call.ints("offset_dims") != (*range(lookup.first), *after):
        raise NotOpened("the result of its gather has its axes in another order")


def _positions(call: Call, lookup: _Lookup, ids: Value) -> Value:
    """Return ids as numbers along one axis, moved into the table."""
    numbers = [
        bounded(call, part(call, ids, lookup.vector_axis, index), bound)
        for index, bound in enumerate(lookup.bounds)
    ]
    positions = numbers[0]
    for number, bound in zip(numbers[1:], lookup.bounds[1:], strict=True):
        positions = _sum(call, _product(call, positions, bound), number)
    return positions


def _product(call: Call, value: Value, number: int) -> Value:
    if isinstance(value, Known):
        return Known(value.array * number)
    return apply(call, "Mul", [value, like(value, number)])


def _sum(call: Call, left: Value, right: Value) -> Value:
    if isinstance(left, Known) and isinstance(right, Known):
        return Known(left.array + right.array)
    return apply(call, "AddV2", [left, right])


def _column(call: Call, table: Tensor, axis: int, position: int, sizes: Sizes) -> Tensor:
    parts: list[slice] = [slice(None)] * len(table.sizes)
    parts[axis] = slice(position, position + 1)
    name = strided_slice(call, table, parts, removed=1 << axis)
    return Tensor(name, table.dtype, sizes, sizes)


LOOKUPS: Mapping[str, Translation] = {"dynamic_gather": dynamic_gather, "gather": gather}

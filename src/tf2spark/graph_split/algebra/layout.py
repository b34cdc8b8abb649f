"""Values moved, not changed: put side by side, cut, reshaped, transposed, repeated.

What is not yet put together, added or multiplied stays so where the move allows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from math import prod

from attrs import evolve

from tf2spark.dtypes import INT32
from tf2spark.graph_split.forms import (
    Concat,
    Const,
    Dims,
    Merged,
    NotRowWise,
    Pair,
    Product,
    Side,
    Sizes,
    Sum,
    Value,
    dims_of,
    known,
)
from tf2spark.graph_split.graph_builder import Builder, one_side, renewed
from tf2spark.graph_split.materialize import flat, operand


def concat(b: Builder, values: Sequence[Value], axis: int) -> Value:
    """Put values side by side along an axis; neighbours of one side on their side.

    Raises:
        NotRowWise: A constant is among them: it has no rows.
    """
    across = _across(b, values, axis)
    if across is not None:
        return across
    return _joined(b, _parts(b, values, axis), axis)


def _joined(b: Builder, parts: Sequence[Value], axis: int) -> Value:
    groups: list[list[Value]] = []
    for part in parts:
        if groups and isinstance(part, Side) and one_side([groups[-1][-1], part]) is not None:
            groups[-1].append(part)
        else:
            groups.append([part])
    made = [_on_side(b, group, axis) for group in groups]
    if len(made) == 1:
        return made[0]
    return Concat(axis, tuple(made), made[0].dtype, concat_dims(made, axis))


def _across(b: Builder, values: Sequence[Value], axis: int) -> Value | None:
    """Put values together part by part where they stand side by side along another axis."""
    cut = [value for value in values if isinstance(value, Concat) and value.axis != axis]
    if not cut or any(isinstance(one, Const | Sizes | Merged) for one in values):
        return None
    if any(isinstance(one, Concat) and one.axis == axis for one in values):
        return None
    found = aligned(b, values)
    if found is None or any(
        dims_of(one)[found[0] - 1] != dims_of(cut[0])[found[0] - 1] for one in values
    ):
        return None
    other, pieces = found
    parts: list[Value] = []
    for piece in pieces:
        made = concat(b, piece, axis)
        parts += made.parts if isinstance(made, Concat) and made.axis == other else [made]
    return _joined(b, parts, other)


def _parts(b: Builder, values: Sequence[Value], axis: int) -> list[Value]:
    parts: list[Value] = []
    for value in values:
        if isinstance(value, Const | Sizes):
            raise NotRowWise("a constant stands beside rows")
        if isinstance(value, Concat) and value.axis == axis:
            parts += value.parts
        elif isinstance(value, Concat | Merged):
            parts.append(flat(b, value))
        else:
            parts.append(value)
    return parts


def _on_side(b: Builder, group: Sequence[Value], axis: int) -> Value:
    first = group[0]
    if len(group) == 1 or not isinstance(first, Side):
        return first
    tensors = [one.tensor for one in group if isinstance(one, Side)]
    inputs = [*tensors, b.scalar(axis)]
    tensor = b.node("ConcatV2", inputs, N=len(tensors), T=first.dtype, Tidx=INT32)
    return renewed(first, tensor, concat_dims(group, axis))


def concat_dims(parts: Sequence[Value], axis: int) -> Dims:
    """Return the dimensions of a row of parts side by side."""
    sizes = [dims_of(part)[axis - 1] for part in parts]
    whole = None if None in sizes else sum(size or 0 for size in sizes)
    first = dims_of(parts[0])
    return (*first[: axis - 1], whole, *first[axis:])


def aligned(b: Builder, values: Sequence[Value]) -> tuple[int, list[list[Value]]] | None:
    """Cut values that meet in an elementwise op so that parts meet parts.

    Returns:
        The axis of the cut and, for each part, the piece of every value; None where they are cut
        along different axes, or sizes are unknown.
    """
    cut = [value for value in values if isinstance(value, Concat)]
    axis, rank = cut[0].axis, len(cut[0].dims)
    if any(one.axis != axis for one in cut):
        return None
    edges: set[int] = set()
    for one in cut:
        sizes = [dims_of(part)[axis - 1] for part in one.parts]
        if None in sizes:
            return None
        edges |= set(accumulate(size or 0 for size in sizes))
    bounds = sorted(edges)
    pieces = []
    for first, last in zip([0, *bounds], bounds, strict=False):
        pieces.append([_piece(b, value, axis, rank, first, last - first) for value in values])
    return axis, pieces


def _piece(b: Builder, value: Value, axis: int, rank: int, first: int, size: int) -> Value:
    """Cut a value along an axis of rows of this rank, unless it is broadcast along it."""
    if isinstance(value, Const):
        place = len(value.shape) - 1 - (rank - axis)
        if place < 0 or value.shape[place] == 1:
            return value
        index = (slice(None),) * place + (slice(first, first + size),)
        return b.constant(value.value[index], value.dtype)
    if len(dims_of(value)) != rank:
        raise NotRowWise("tensors of different rank meet, so that rows meet columns")
    if dims_of(value)[axis - 1] == 1:
        return value
    return taken(b, value, axis, first, size)


def taken(b: Builder, value: Value, axis: int, first: int, size: int, step: int = 1) -> Value:
    """Take `size` entries from `first` along a feature axis."""
    dims = dims_of(value)
    if first == 0 and size == dims[axis - 1] and step == 1:
        return value
    new = (*dims[: axis - 1], size, *dims[axis:])
    match value:
        case Side() | Pair():
            return _strided(b, value, axis, first, size, step, new)
        case Concat() if value.axis != axis:
            parts = [taken(b, part, axis, first, size, step) for part in value.parts]
            return concat(b, parts, value.axis)
        case Concat() if step == 1 and None not in [dims_of(p)[axis - 1] for p in value.parts]:
            return concat(b, list(_cut_parts(b, value, first, size)), axis)
        case Sum():
            terms = tuple(_narrow_taken(b, one, dims, axis, first, size, step)
                          for one in value.terms)  # fmt: skip
            return evolve(value, terms=terms, dims=new)
        case Product():
            left = _narrow_taken(b, value.left, dims, axis, first, size, step)
            same = value.left is value.right
            right = left if same else _narrow_taken(b, value.right, dims, axis, first, size, step)
            return Product(left, right, value.dtype, new)
        case _:
            return taken(b, flat(b, value), axis, first, size, step)


def _strided(
    b: Builder, value: Side | Pair, axis: int, first: int, size: int, step: int, new: Dims
) -> Side | Pair:
    rank, place = len(value.dims) + 1, axis
    begin, end, strides = [0] * rank, [0] * rank, [1] * rank
    begin[place], strides[place] = first, step
    last = first + (size - 1) * step + (1 if step > 0 else -1)
    end[place] = last
    mask = (1 << rank) - 1 - (1 << place)
    # Backwards to the very first entry has no end that a number could say.
    end_mask = mask | (1 << place if last < 0 else 0)
    tensor = b.node(
        "StridedSlice",
        [value.tensor, b.ints(*begin), b.ints(*end), b.ints(*strides)],
        T=value.dtype,
        Index=INT32,
        begin_mask=mask,
        end_mask=end_mask,
        ellipsis_mask=0,
        new_axis_mask=0,
        shrink_axis_mask=0,
    )
    return renewed(value, tensor, new)


def _cut_parts(b: Builder, value: Concat, first: int, size: int) -> list[Value]:
    found, start = [], 0
    for part in value.parts:
        own = dims_of(part)[value.axis - 1] or 0
        low, high = max(first, start), min(first + size, start + own)
        if low < high:
            found.append(taken(b, part, value.axis, low - start, high - low))
        start += own
    if not found:
        raise NotRowWise("a slice of rows is empty")
    return found


def _narrow_taken(
    b: Builder, one: Value, dims: Dims, axis: int, first: int, size: int, step: int
) -> Value:
    if isinstance(one, Const):
        if step != 1:
            raise NotRowWise("a constant term is cut in steps")
        return _piece(b, one, axis, len(dims), first, size)
    if dims_of(one)[axis - 1] == 1 != dims[axis - 1]:
        return one
    return taken(b, one, axis, first, size, step)


def widened(b: Builder, value: Sum) -> tuple[Value, ...]:
    """Return the terms of a sum, all of them as wide as the sum is."""
    dims = value.dims
    found: list[Value] = []
    for term in value.terms:
        own = dims_of(term)
        if isinstance(term, Const):
            shape = known(dims, "a sum")
            found.append(term if own == shape else b.broadcast_constant(term, shape))
        elif own == dims:
            found.append(term)
        else:
            zeros = b.zeros(known(dims, "a sum"), term.dtype)
            found.append(b.elementwise("AddV2", [operand(b, term), zeros], term.dtype))
    return tuple(found)


def reshaped(b: Builder, value: Value, dims: Dims) -> Value:
    """Give rows other dimensions, of as many values."""
    own = dims_of(value)
    if own == dims:
        return value
    match value:
        case Side() | Pair():
            return b.reshape(value, dims)
        case Concat():
            axis = _same_axis(value, dims)
            if axis is None:
                return b.reshape(flat(b, value), dims)
            inner = prod(known(dims[axis:], "a part"))
            parts = []
            for part in value.parts:
                size = prod(known(dims_of(part)[value.axis - 1 :], "a part")) // inner
                parts.append(reshaped(b, part, (*dims[: axis - 1], size, *dims[axis:])))
            return concat(b, parts, axis)
        case Sum() | Product() if _only_ones_move(own, dims):
            return _ones_moved(b, value, dims)
        case Sum():
            wide = [_reshaped_term(b, term, dims) for term in widened(b, value)]
            return evolve(value, terms=tuple(wide), dims=dims)
        case _:
            return b.reshape(flat(b, value), dims)


def _reshaped_term(b: Builder, term: Value, dims: Dims) -> Value:
    if isinstance(term, Const):
        return b.constant(term.value.reshape(known(dims, "a term")), term.dtype)
    return reshaped(b, term, dims)


def _same_axis(value: Concat, dims: Dims) -> int | None:
    """Return the axis along which the parts still stand side by side in rows of other dimensions.

    They do where as many values come before the axis as before, and each part fills up whole
    entries behind it.
    """
    own = value.dims
    if None in own or None in dims:
        return None
    outer = prod(known(own[: value.axis - 1], "a row"))
    sizes = [prod(known(dims_of(part)[value.axis - 1 :], "a part")) for part in value.parts]
    for axis in range(1, len(dims) + 1):
        inner = prod(known(dims[axis:], "a row"))
        fits = inner > 0 and all(size % inner == 0 for size in sizes)
        if prod(known(dims[: axis - 1], "a row")) == outer and fits:
            return axis
    return None


def _only_ones_move(own: Dims, dims: Dims) -> bool:
    return [size for size in own if size != 1] == [size for size in dims if size != 1]


def _ones_moved(b: Builder, value: Sum | Product, dims: Dims) -> Value:
    """Insert and remove axes of size 1, in every term that a sum or a product has."""
    own = value.dims
    old = [place for place, size in enumerate(own) if size != 1]
    new = iter(old)
    sources = [next(new) if size != 1 else None for size in dims]

    def moved(term: Value) -> Value:
        if isinstance(term, Const):
            shape = (1,) * (len(own) - len(term.shape)) + term.shape
            shape = shape[len(shape) - len(own) :]
            target = tuple(1 if at is None else shape[at] for at in sources)
            return b.constant(term.value.reshape(known(target, "a term")), term.dtype)
        sizes = dims_of(term)
        return reshaped(b, term, tuple(1 if at is None else sizes[at] for at in sources))

    if isinstance(value, Sum):
        return evolve(value, terms=tuple(map(moved, value.terms)), dims=dims)
    left = moved(value.left)
    right = left if value.left is value.right else moved(value.right)
    return Product(left, right, value.dtype, dims)


def transposed(b: Builder, value: Value, order: Sequence[int]) -> Value:
    """Reorder the axes of rows; `order` counts from 1, the batch stays first."""
    if list(order) == list(range(1, len(order) + 1)):
        return value
    if isinstance(value, Concat):
        parts = [transposed(b, part, order) for part in value.parts]
        return concat(b, parts, list(order).index(value.axis) + 1)
    one = operand(b, value)
    if isinstance(one, Const):
        raise NotRowWise("a constant is transposed with the batch")
    tensor = b.node("Transpose", [one.tensor, b.ints(0, *order)], T=one.dtype, Tperm=INT32)
    return renewed(one, tensor, tuple(one.dims[axis - 1] for axis in order))


def tiled(b: Builder, value: Value, times: Sequence[int]) -> Value:
    """Repeat rows along their axes, so many times along each."""
    if all(one == 1 for one in times):
        return value
    if isinstance(value, Concat) and times[value.axis - 1] == 1:
        return concat(b, [tiled(b, part, times) for part in value.parts], value.axis)
    one = operand(b, value)
    if isinstance(one, Const):
        raise NotRowWise("a constant is repeated with the batch")
    dims = tuple(None if n is None else n * t for n, t in zip(one.dims, times, strict=True))
    tensor = b.node("Tile", [one.tensor, b.ints(1, *times)], T=one.dtype, Tmultiples=INT32)
    return renewed(one, tensor, dims)

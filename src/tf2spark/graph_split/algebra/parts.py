"""Parts side by side: concatenated, cut, and aligned with the parts of another value.

A model's input is often ``[user features | item features]``. As long as an op can be applied to
each part, no pair needs the concatenated row, so these functions cut and regroup parts instead of
joining them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from attrs import evolve

from tf2spark.dtypes import INT32, Dims
from tf2spark.graph_split.forms import (
    Concat,
    Const,
    NotRowWise,
    Pair,
    Product,
    ShapeVector,
    Side,
    StackedRows,
    Sum,
    Value,
    common_side,
    dims_of,
)
from tf2spark.graph_split.graph_builder import GraphBuilder, with_tensor
from tf2spark.graph_split.materialize import materialize_pairs


def concat_features(b: GraphBuilder, values: Sequence[Value], axis: int) -> Value:
    """``concat([U | I], [U' | I'])  ->  [U | I | U' | I']``, with neighbors of one side joined.

    Raises:
        NotRowWise: A constant is among the values: it has no rows of its own.
    """
    across = _concat_across(b, values, axis)
    if across is not None:
        return across
    return _join_neighbors(b, _flatten_parts(b, values, axis), axis)


def _join_neighbors(b: GraphBuilder, parts: Sequence[Value], axis: int) -> Value:
    # Only neighbors may be joined: the order along the axis is the model's.
    groups: list[list[Value]] = []
    for part in parts:
        if groups and isinstance(part, Side) and common_side([groups[-1][-1], part]) is not None:
            groups[-1].append(part)
        else:
            groups.append([part])
    joined = [_concat_on_side(b, group, axis) for group in groups]
    if len(joined) == 1:
        return joined[0]
    return Concat(axis, tuple(joined), joined[0].dtype, concat_dims(joined, axis))


def _concat_across(b: GraphBuilder, values: Sequence[Value], axis: int) -> Value | None:
    """``concat_2([U | I]_1, [U' | I']_1)  ->  [concat_2(U, U') | concat_2(I, I')]_1``.

    Only where all values are equally long along the axis of the parts (1 here), so that each piece
    of one meets a piece of every other. None where that isn't so, or no value is in such parts.
    """
    cut = [value for value in values if isinstance(value, Concat) and value.axis != axis]
    if not cut or any(isinstance(value, Const | ShapeVector | StackedRows) for value in values):
        return None
    if any(isinstance(value, Concat) and value.axis == axis for value in values):
        return None
    alignment = align_parts(b, values)
    if alignment is None:
        return None
    other_axis, pieces = alignment
    # An elementwise op would broadcast a size of 1 here; a concatenation doesn't.
    if len({dims_of(value)[other_axis - 1] for value in values}) > 1:
        return None
    parts: list[Value] = []
    for piece in pieces:
        part = concat_features(b, piece, axis)
        if isinstance(part, Concat) and part.axis == other_axis:
            parts += part.parts
        else:
            parts.append(part)
    return _join_neighbors(b, parts, other_axis)


def _flatten_parts(b: GraphBuilder, values: Sequence[Value], axis: int) -> list[Value]:
    """Return the parts of all values along one axis, in their order."""
    parts: list[Value] = []
    for value in values:
        if isinstance(value, Const | ShapeVector):
            raise NotRowWise("a constant is concatenated with rows")
        if isinstance(value, Concat) and value.axis == axis:
            parts += value.parts
        # Parts along another axis don't fit among these, so they are computed and become one part.
        elif isinstance(value, Concat | StackedRows):
            parts.append(materialize_pairs(b, value))
        else:
            parts.append(value)
    return parts


def _concat_on_side(b: GraphBuilder, group: Sequence[Value], axis: int) -> Value:
    first = group[0]
    if len(group) == 1 or not isinstance(first, Side):
        return first
    tensors = [part.tensor for part in group if isinstance(part, Side)]
    inputs = [*tensors, b.int_scalar(axis)]
    tensor = b.node("ConcatV2", inputs, N=len(tensors), T=first.dtype, Tidx=INT32)
    return with_tensor(first, tensor, concat_dims(group, axis))


def concat_dims(parts: Sequence[Value], axis: int) -> Dims:
    """Return the dimensions of a row of parts side by side."""
    sizes = [dims_of(part)[axis - 1] for part in parts]
    total = None if None in sizes else sum(size or 0 for size in sizes)
    first = dims_of(parts[0])
    return (*first[: axis - 1], total, *first[axis:])


def align_parts(b: GraphBuilder, values: Sequence[Value]) -> tuple[int, list[list[Value]]] | None:
    """``f([U | I], [U' | I'])  ->  [f(u, u') | f(i, u') | f(i, i')]``: cut so that pieces meet.

    The values are inputs of an elementwise op, at least one of them a `Concat`. All are cut
    wherever any of them changes from one part to the next.

    Returns:
        The axis of the cut and, for each piece of the result, the matching piece of every value;
        None where values are cut along different axes, or sizes of parts are unknown.
    """
    cut = [value for value in values if isinstance(value, Concat)]
    axis, rank = cut[0].axis, len(cut[0].dims)
    if any(value.axis != axis for value in cut):
        return None
    edges: set[int] = set()
    for value in cut:
        sizes = [dims_of(part)[axis - 1] for part in value.parts]
        if None in sizes:
            return None
        edges |= set(accumulate(size or 0 for size in sizes))
    # The edges of all values together: between two of them, no value changes parts.
    ends = sorted(edges)
    pieces = [
        [slice_operand(b, value, axis, rank, start, end - start) for value in values]
        for start, end in zip([0, *ends], ends, strict=False)
    ]
    return axis, pieces


def slice_operand(
    b: GraphBuilder, value: Value, axis: int, rank: int, first: int, size: int
) -> Value:
    """Cut an input of an elementwise op, unless it broadcasts along the axis.

    Args:
        b: Adds the slice.
        value: A value of the same rank, or a constant of any.
        axis: The axis of the row, counted from 1.
        rank: The rank of the op's rows.
        first: Where the piece begins.
        size: How long the piece is.
    """
    if isinstance(value, Const):
        # A constant has no batch axis, so its axes are aligned from the right.
        index = len(value.shape) - 1 - (rank - axis)
        if index < 0 or value.shape[index] == 1:
            return value
        key = (slice(None),) * index + (slice(first, first + size),)
        return b.constant(value.value[key], value.dtype)
    if len(dims_of(value)) != rank:
        raise NotRowWise("its inputs differ in rank, so rows would meet columns")
    if dims_of(value)[axis - 1] == 1:
        return value
    return slice_axis(b, value, axis, first, size)


def slice_axis(
    b: GraphBuilder, value: Value, axis: int, first: int, size: int, step: int = 1
) -> Value:
    """``(U + I)[a:b]  ->  U[a:b] + I[a:b]``, and likewise for parts and factors.

    Args:
        b: Adds the slices.
        value: A value with rows.
        axis: A feature axis, counted from 1.
        first: The first entry.
        size: The number of entries.
        step: The distance between entries; negative to go backwards.
    """
    dims = dims_of(value)
    if first == 0 and size == dims[axis - 1] and step == 1:
        return value
    new_dims = (*dims[: axis - 1], size, *dims[axis:])

    def slice_term(term: Value) -> Value:
        return _slice_term(b, term, dims, axis, first, size, step)

    match value:
        case Side() | Pair():
            return _add_strided_slice(b, value, axis, first, size, step, new_dims)
        case Concat() if value.axis != axis:
            parts = [slice_axis(b, part, axis, first, size, step) for part in value.parts]
            return concat_features(b, parts, value.axis)
        # With a step, a part's first entry depends on the last one of the part before it.
        case Concat() if step == 1 and None not in [dims_of(p)[axis - 1] for p in value.parts]:
            return concat_features(b, _slice_parts(b, value, first, size), axis)
        case Sum():
            return evolve(value, terms=tuple(map(slice_term, value.terms)), dims=new_dims)
        case Product():
            left = slice_term(value.left)
            # A square is a product of one object with itself; it must stay one.
            right = left if value.left is value.right else slice_term(value.right)
            return Product(left, right, value.dtype, new_dims)
        case _:
            return slice_axis(b, materialize_pairs(b, value), axis, first, size, step)


def _add_strided_slice(
    b: GraphBuilder,
    value: Side | Pair,
    axis: int,
    first: int,
    size: int,
    step: int,
    new_dims: Dims,
) -> Side | Pair:
    rank = len(value.dims) + 1
    begin, end, strides = [0] * rank, [0] * rank, [1] * rank
    begin[axis], strides[axis] = first, step
    end[axis] = first + (size - 1) * step + (1 if step > 0 else -1)
    # Bits of the masks say where the bounds are ignored: along all other axes.
    other_axes = (1 << rank) - 1 - (1 << axis)
    # A backwards slice that includes entry 0 ends at -1, which would mean the last entry.
    open_end = 1 << axis if end[axis] < 0 else 0
    tensor = b.node(
        "StridedSlice",
        [value.tensor, b.int_vector(*begin), b.int_vector(*end), b.int_vector(*strides)],
        T=value.dtype,
        Index=INT32,
        begin_mask=other_axes,
        end_mask=other_axes | open_end,
        ellipsis_mask=0,
        new_axis_mask=0,
        shrink_axis_mask=0,
    )
    return with_tensor(value, tensor, new_dims)


def _slice_parts(b: GraphBuilder, value: Concat, first: int, size: int) -> list[Value]:
    """Return the overlap of each part with the slice, where there is one."""
    pieces, start = [], 0
    for part in value.parts:
        part_size = dims_of(part)[value.axis - 1] or 0
        low, high = max(first, start), min(first + size, start + part_size)
        if low < high:
            pieces.append(slice_axis(b, part, value.axis, low - start, high - low))
        start += part_size
    if not pieces:
        raise NotRowWise("its slice is empty")
    return pieces


def _slice_term(
    b: GraphBuilder, term: Value, dims: Dims, axis: int, first: int, size: int, step: int
) -> Value:
    """Slice a term or factor, which may broadcast along the axis of a value with these `dims`."""
    if isinstance(term, Const):
        if step != 1:
            raise NotRowWise("a constant term is sliced with a step")
        return slice_operand(b, term, axis, len(dims), first, size)
    if dims_of(term)[axis - 1] == 1 != dims[axis - 1]:
        return term
    return slice_axis(b, term, axis, first, size, step)

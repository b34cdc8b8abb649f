"""Values moved without being changed: reshaped, transposed, repeated.

Moving values is linear, so each term of a sum and each part of a concatenation can be moved
separately, on its side, as long as the move doesn't separate values that must stay together.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from attrs import evolve

from tf2spark.dtypes import INT32, Dims
from tf2spark.graph_split.algebra.parts import concat_features
from tf2spark.graph_split.forms import (
    Concat,
    Const,
    NotRowWise,
    Pair,
    Product,
    Side,
    Sum,
    Value,
    dims_of,
    require_known,
)
from tf2spark.graph_split.graph_builder import GraphBuilder, with_tensor
from tf2spark.graph_split.materialize import as_operand, materialize_pairs


def broadcast_terms(b: GraphBuilder, value: Sum) -> tuple[Value, ...]:
    """Return the terms of a sum, each as wide as the sum itself.

    A term may be narrower than the sum (a bias per user, say). Adding zeros of full width
    broadcasts it on its own side, which is cheaper than for the pairs.
    """
    dims = value.dims
    terms: list[Value] = []
    for term in value.terms:
        # A constant is broadcast here and now, at the cost of its size in the graph.
        if isinstance(term, Const):
            shape = require_known(dims, "a sum")
            terms.append(term if dims_of(term) == shape else b.broadcast_constant(term, shape))
        elif dims_of(term) == dims:
            terms.append(term)
        else:
            zeros = b.zeros(require_known(dims, "a sum"), term.dtype)
            terms.append(b.write_elementwise("AddV2", [as_operand(b, term), zeros], term.dtype))
    return tuple(terms)


def reshape_rows(b: GraphBuilder, value: Value, dims: Dims) -> Value:
    """``reshape(U + I)  ->  reshape(U) + reshape(I)``: rows of other dimensions, as many values.

    Parts side by side stay separate only if they are still side by side along one axis afterwards.
    The terms of a sum are broadcast first, unless only axes of size 1 come or go: a narrow term
    doesn't have as many values as the new dimensions say.
    """
    if dims_of(value) == dims:
        return value
    match value:
        case Side() | Pair():
            return b.reshape_operand(value, dims)
        case Concat():
            return _reshape_parts(b, value, dims)
        case Sum() | Product() if _differ_by_ones(value.dims, dims):
            return _move_ones(b, value, dims)
        case Sum():
            terms = [_reshape_term(b, term, dims) for term in broadcast_terms(b, value)]
            return evolve(value, terms=tuple(terms), dims=dims)
        # The factors of a product may broadcast along axes that the reshape merges with others.
        case _:
            return b.reshape_operand(materialize_pairs(b, value), dims)


def _reshape_parts(b: GraphBuilder, value: Concat, dims: Dims) -> Value:
    axis = _concat_axis_after(value, dims)
    if axis is None:
        return b.reshape_operand(materialize_pairs(b, value), dims)
    inner = prod(require_known(dims[axis:], "a part"))
    # The axes before and after are the whole row's, so the parts' values give their sizes.
    parts = []
    for part in value.parts:
        size = prod(require_known(dims_of(part)[value.axis - 1 :], "a part")) // inner
        parts.append(reshape_rows(b, part, (*dims[: axis - 1], size, *dims[axis:])))
    return concat_features(b, parts, axis)


def _reshape_term(b: GraphBuilder, term: Value, dims: Dims) -> Value:
    if isinstance(term, Const):
        return b.constant(term.value.reshape(require_known(dims, "a term")), term.dtype)
    return reshape_rows(b, term, dims)


def _concat_axis_after(value: Concat, dims: Dims) -> int | None:
    """Return the axis along which the parts are side by side in rows reshaped to `dims`.

    In memory a row is `outer` runs, one for each index of the axes before the concatenation; each
    run is all parts one after the other. The parts are side by side along a new axis if

    - as many entries come before it, so that its runs begin where the old ones did, and
    - each part is a whole number of entries of that axis, so that no entry holds two parts.

    None where no axis satisfies both: then the values of the parts interleave.
    """
    if None in value.dims or None in dims:
        return None
    outer = prod(require_known(value.dims[: value.axis - 1], "a row"))
    run_sizes = [prod(require_known(dims_of(part)[value.axis - 1 :], "a part"))
                 for part in value.parts]  # fmt: skip
    for axis in range(1, len(dims) + 1):
        inner = prod(require_known(dims[axis:], "a row"))
        whole_entries = inner > 0 and all(size % inner == 0 for size in run_sizes)
        if prod(require_known(dims[: axis - 1], "a row")) == outer and whole_entries:
            return axis
    return None


def _differ_by_ones(old: Dims, new: Dims) -> bool:
    return [size for size in old if size != 1] == [size for size in new if size != 1]


def _move_ones(b: GraphBuilder, value: Sum | Product, dims: Dims) -> Value:
    """Insert and remove axes of size 1 in every term of a sum, or both factors of a product.

    No axis of another size moves, so each term keeps its own size there, 1 where it broadcasts.
    """
    old_rank = len(value.dims)
    old_axes = iter([axis for axis, size in enumerate(value.dims) if size != 1])
    # For each new axis, the old one that it comes from; None for an axis of size 1.
    sources = [next(old_axes) if size != 1 else None for size in dims]

    def move(term: Value) -> Value:
        if isinstance(term, Const):
            # A constant may lack leading axes, or have one more, of size 1 for the batch.
            padded = (1,) * (old_rank - len(term.shape)) + term.shape
            sizes = padded[len(padded) - old_rank :]
            target = tuple(1 if source is None else sizes[source] for source in sources)
            return b.constant(term.value.reshape(require_known(target, "a term")), term.dtype)
        sizes = dims_of(term)
        return reshape_rows(
            b, term, tuple(1 if source is None else sizes[source] for source in sources)
        )

    if isinstance(value, Sum):
        return evolve(value, terms=tuple(map(move, value.terms)), dims=dims)
    left = move(value.left)
    # A square is a product of one object with itself; it must stay one.
    right = left if value.left is value.right else move(value.right)
    return Product(left, right, value.dtype, dims)


def transpose_rows(b: GraphBuilder, value: Value, order: Sequence[int]) -> Value:
    """``transpose([U | I])  ->  [transpose(U) | transpose(I)]``, along the moved axis.

    Args:
        b: Adds the transposes.
        value: A value with rows.
        order: For each new axis the old one, counted from 1: the batch stays first.
    """
    if list(order) == list(range(1, len(order) + 1)):
        return value
    if isinstance(value, Concat):
        parts = [transpose_rows(b, part, order) for part in value.parts]
        return concat_features(b, parts, list(order).index(value.axis) + 1)
    # Terms and factors may lack axes that are to be moved, so they are computed first.
    operand = as_operand(b, value)
    if isinstance(operand, Const):
        raise NotRowWise("a constant is transposed as if it had rows")
    inputs = [operand.tensor, b.int_vector(0, *order)]
    tensor = b.node("Transpose", inputs, T=operand.dtype, Tperm=INT32)
    return with_tensor(operand, tensor, tuple(operand.dims[axis - 1] for axis in order))


def tile_rows(b: GraphBuilder, value: Value, times: Sequence[int]) -> Value:
    """``tile([U | I])  ->  [tile(U) | tile(I)]``, unless the parts themselves are repeated.

    Args:
        b: Adds the tiles.
        value: A value with rows.
        times: How often to repeat along each axis of the row.
    """
    if all(repeats == 1 for repeats in times):
        return value
    # [U | I] twice is [U | I | U | I], not [U | U | I | I].
    if isinstance(value, Concat) and times[value.axis - 1] == 1:
        return concat_features(b, [tile_rows(b, part, times) for part in value.parts], value.axis)
    operand = as_operand(b, value)
    if isinstance(operand, Const):
        raise NotRowWise("a constant is repeated as if it had rows")
    dims = tuple(
        None if size is None else size * repeats
        for size, repeats in zip(operand.dims, times, strict=True)
    )
    inputs = [operand.tensor, b.int_vector(1, *times)]
    tensor = b.node("Tile", inputs, T=operand.dtype, Tmultiples=INT32)
    return with_tensor(operand, tensor, dims)

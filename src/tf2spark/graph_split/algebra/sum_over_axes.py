"""Sums over feature axes: of parts side by side, of terms, and of products (inner products)."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from tf2spark.dtypes import INT32
from tf2spark.graph_split.algebra.inner_product import contract
from tf2spark.graph_split.algebra.layout import concat
from tf2spark.graph_split.algebra.sums_and_products import multiply, terms_of, total
from tf2spark.graph_split.forms import (
    Concat,
    Const,
    Dims,
    Pair,
    Product,
    Side,
    Sum,
    Value,
    broadcast_dims,
    dims_of,
    known,
)
from tf2spark.graph_split.graph_builder import Builder, one_side, renewed
from tf2spark.graph_split.materialize import flat

_MOST_PRODUCTS = 9


def reduce_sum(b: Builder, value: Value, axes: Sequence[int], *, keep: bool) -> Value:
    """Sum over feature axes (1 or more)."""
    dims = reduced_dims(dims_of(value), axes, keep)
    match value:
        case Concat() if value.axis in axes:
            parts = [reduce_sum(b, part, axes, keep=keep) for part in value.parts]
            return total(b, [term for part in parts for term in terms_of(part)], dims)
        case Concat():
            gone = 0 if keep else sum(axis < value.axis for axis in axes)
            parts = [reduce_sum(b, part, axes, keep=keep) for part in value.parts]
            return concat(b, parts, value.axis - gone)
        case Sum():
            sums = [_of_term(b, term, value.dims, axes, keep=keep) for term in value.terms]
            return total(b, [term for one in sums for term in terms_of(one)], dims)
        case Product():
            return _of_product(b, value, axes, keep=keep)
        case Side() | Pair():
            return _summed(b, value, axes, keep=keep)
        case _:
            return _summed(b, flat(b, value), axes, keep=keep)


def reduced_dims(dims: Dims, axes: Sequence[int], keep: bool) -> Dims:
    """Return the dimensions of a row after these axes were reduced."""
    if keep:
        return tuple(1 if axis in axes else size for axis, size in enumerate(dims, start=1))
    return tuple(size for axis, size in enumerate(dims, start=1) if axis not in axes)


def _summed(b: Builder, value: Side | Pair, axes: Sequence[int], *, keep: bool) -> Value:
    inputs = [value.tensor, b.ints(*axes)]
    tensor = b.node("Sum", inputs, T=value.dtype, Tidx=INT32, keep_dims=keep)
    return renewed(value, tensor, reduced_dims(value.dims, axes, keep))


def _of_term(b: Builder, term: Value, dims: Dims, axes: Sequence[int], *, keep: bool) -> Value:
    """Sum a term that may be narrower than the sum it stands in: it counts so many times."""
    if isinstance(term, Const):
        wide = b.broadcast_constant(term, known(dims, "a sum"))
        places = tuple(axis - 1 for axis in axes)
        return b.constant(wide.value.sum(axis=places, keepdims=keep), term.dtype)
    return _times(b, reduce_sum(b, term, axes, keep=keep), dims_of(term), dims, axes)


def _times(b: Builder, value: Value, own: Dims, dims: Dims, axes: Sequence[int]) -> Value:
    repeated = [dims[axis - 1] for axis in axes if own[axis - 1] == 1]
    times = prod(known(tuple(repeated), "a sum"))
    return value if times == 1 else multiply(b, value, b.constant(times, value.dtype))


def _of_product(b: Builder, value: Product, axes: Sequence[int], *, keep: bool) -> Value:
    left, right = terms_of(value.left), terms_of(value.right)
    simple = all(isinstance(one, Side | Pair | Const) for one in (*left, *right))
    # The square of what is computed for the pairs already: nothing is saved by taking it apart,
    # and a variance would lose its last digits.
    squared = value.left is value.right and any(isinstance(one, Pair) for one in left)
    if not simple or squared or len(left) * len(right) > _MOST_PRODUCTS:
        return _summed(b, flat(b, value), axes, keep=keep)
    if value.left is value.right:
        factors = _of_square(b, left)
    else:
        factors = [(one, other) for one in left for other in right]
    sums = [_of_factors(b, *pair, value.dims, axes, keep=keep) for pair in factors]
    dims = reduced_dims(value.dims, axes, keep)
    return total(b, [term for one in sums for term in terms_of(one)], dims)


def _of_square(b: Builder, terms: Sequence[Value]) -> list[tuple[Value, Value]]:
    """Return the products of a squared sum: each term's square, and twice every pair of terms."""
    factors: list[tuple[Value, Value]] = [(one, one) for one in terms]
    for place, one in enumerate(terms):
        for other in terms[place + 1 :]:
            factors.append((multiply(b, one, b.constant(2, one.dtype)), other))
    return factors


def _of_factors(
    b: Builder, one: Value, other: Value, dims: Dims, axes: Sequence[int], *, keep: bool
) -> Value:
    rows = [each for each in (one, other) if isinstance(each, Side | Pair)]
    apart = len(rows) == 2 and one_side(rows) is None
    if apart and not all(isinstance(each, Pair) for each in rows):
        first, second = rows
        found = contract(b, first, second, axes, keep=keep)
        return _times(b, found, broadcast_dims(rows), dims, axes)
    made = multiply(b, one, other)
    return _of_term(b, flat(b, made) if isinstance(made, Product) else made, dims, axes, keep=keep)

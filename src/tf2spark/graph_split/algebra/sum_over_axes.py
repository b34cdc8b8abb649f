"""Sums over feature axes: of parts side by side, of terms, and of products.

The sum of a product of a user's and an item's vector is an inner product, so that pairs need one
matrix product and no vector per pair.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from tf2spark.dtypes import INT32, Dims
from tf2spark.graph_split.algebra.inner_product import contract
from tf2spark.graph_split.algebra.parts import concat_features
from tf2spark.graph_split.algebra.sums_and_products import multiply_values, sum_terms, terms_of
from tf2spark.graph_split.forms import (
    Concat,
    Const,
    Pair,
    Product,
    Side,
    Sum,
    Value,
    broadcast_dims,
    common_side,
    dims_of,
    require_known,
)
from tf2spark.graph_split.graph_builder import GraphBuilder, with_tensor
from tf2spark.graph_split.materialize import materialize_pairs

# Multiplying sums out gives a product for every two terms: beyond these, more than it saves.
_MAX_PRODUCTS = 9


def reduce_sum(b: GraphBuilder, value: Value, axes: Sequence[int], *, keep: bool) -> Value:
    """``sum(U + I)  ->  sum(U) + sum(I)``, ``sum([U | I])  ->  sum(U) + sum(I)``.

    Args:
        b: Adds the sums.
        value: A value with rows.
        axes: Feature axes, counted from 1.
        keep: Whether the axes stay, with size 1.
    """
    dims = reduced_dims(dims_of(value), axes, keep)
    match value:
        # Along the summed axis, the sum of a row is that of its parts.
        case Concat() if value.axis in axes:
            sums = [reduce_sum(b, part, axes, keep=keep) for part in value.parts]
            return _add_sums(b, sums, dims)
        case Concat():
            # Each removed axis before the parts' axis moves that one forward.
            removed = 0 if keep else sum(axis < value.axis for axis in axes)
            parts = [reduce_sum(b, part, axes, keep=keep) for part in value.parts]
            return concat_features(b, parts, value.axis - removed)
        case Sum():
            sums = [_sum_term(b, term, value.dims, axes, keep=keep) for term in value.terms]
            return _add_sums(b, sums, dims)
        case Product():
            return _sum_product(b, value, axes, keep=keep)
        case Side() | Pair():
            return _add_sum_node(b, value, axes, keep=keep)
        case _:
            return _add_sum_node(b, materialize_pairs(b, value), axes, keep=keep)


def _add_sums(b: GraphBuilder, sums: Sequence[Value], dims: Dims) -> Value:
    return sum_terms(b, [term for value in sums for term in terms_of(value)], dims)


def reduced_dims(dims: Dims, axes: Sequence[int], keep: bool) -> Dims:
    """Return the dimensions of a row after a reduction over these axes."""
    if keep:
        return tuple(1 if axis in axes else size for axis, size in enumerate(dims, start=1))
    return tuple(size for axis, size in enumerate(dims, start=1) if axis not in axes)


def _add_sum_node(
    b: GraphBuilder, value: Side | Pair, axes: Sequence[int], *, keep: bool
) -> Side | Pair:
    inputs = [value.tensor, b.int_vector(*axes)]
    tensor = b.node("Sum", inputs, T=value.dtype, Tidx=INT32, keep_dims=keep)
    return with_tensor(value, tensor, reduced_dims(value.dims, axes, keep))


def _sum_term(
    b: GraphBuilder, term: Value, dims: Dims, axes: Sequence[int], *, keep: bool
) -> Value:
    """Sum a term over axes of the sum that it belongs to, whose dimensions are `dims`."""
    # A constant is summed here and now, at its full width.
    if isinstance(term, Const):
        wide = b.broadcast_constant(term, require_known(dims, "a sum"))
        total = wide.value.sum(axis=tuple(axis - 1 for axis in axes), keepdims=keep)
        return b.constant(total, term.dtype)
    return _count_broadcasts(b, reduce_sum(b, term, axes, keep=keep), dims_of(term), dims, axes)


def _count_broadcasts(
    b: GraphBuilder, total: Value, own: Dims, dims: Dims, axes: Sequence[int]
) -> Value:
    """Multiply the sum of a narrow value by how often it is repeated in rows of `dims`.

    A term of size 1 along an axis stands there for `dims[axis]` equal values, all of them added.
    """
    repeated = [dims[axis - 1] for axis in axes if own[axis - 1] == 1]
    times = prod(require_known(tuple(repeated), "a sum"))
    return total if times == 1 else multiply_values(b, total, b.constant(times, total.dtype))


def _sum_product(b: GraphBuilder, value: Product, axes: Sequence[int], *, keep: bool) -> Value:
    """``sum((U + I) * U')  ->  sum(U * U') + sum(I * U')``, the latter an inner product.

    The product is computed instead where a factor isn't a tensor, there would be many products, or
    it is the square of a value per pair: that value exists already, so nothing is saved, and a
    variance written as a difference of sums would lose its last digits.
    """
    left, right = terms_of(value.left), terms_of(value.right)
    is_square = value.left is value.right
    simple = all(isinstance(term, Side | Pair | Const) for term in (*left, *right))
    square_of_pairs = is_square and any(isinstance(term, Pair) for term in left)
    if not simple or square_of_pairs or len(left) * len(right) > _MAX_PRODUCTS:
        return _add_sum_node(b, materialize_pairs(b, value), axes, keep=keep)
    if is_square:
        factors = _expand_square(b, left)
    else:
        factors = [(first, second) for first in left for second in right]
    sums = [
        _sum_of_factors(b, first, second, value.dims, axes, keep=keep) for first, second in factors
    ]
    return _add_sums(b, sums, reduced_dims(value.dims, axes, keep))


def _expand_square(b: GraphBuilder, terms: Sequence[Value]) -> list[tuple[Value, Value]]:
    """``(U + I)^2  ->  U * U + I * I + 2U * I``, as the factors of each product."""
    # Half as many inner products as multiplying every term by every other.
    factors: list[tuple[Value, Value]] = [(term, term) for term in terms]
    for index, term in enumerate(terms):
        for other in terms[index + 1 :]:
            factors.append((multiply_values(b, term, b.constant(2, term.dtype)), other))
    return factors


def _sum_of_factors(
    b: GraphBuilder, left: Value, right: Value, dims: Dims, axes: Sequence[int], *, keep: bool
) -> Value:
    """``sum(U * I)  ->  <U, I>``; where the factors are of one side, their product is summed."""
    factors = [factor for factor in (left, right) if isinstance(factor, Side | Pair)]
    crosses = len(factors) == 2 and common_side(factors) is None
    if crosses and not all(isinstance(factor, Pair) for factor in factors):
        total = contract(b, factors[0], factors[1], axes, keep=keep)
        return _count_broadcasts(b, total, broadcast_dims(factors), dims, axes)
    # On one side, for two values of pairs, or with a constant: no sum is saved by two factors.
    product = multiply_values(b, left, right)
    if isinstance(product, Product):
        product = materialize_pairs(b, product)
    return _sum_term(b, product, dims, axes, keep=keep)

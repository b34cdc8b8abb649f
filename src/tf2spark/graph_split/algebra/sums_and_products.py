"""Addition and multiplication of forms: on a side where possible, else postponed.

A `Sum` keeps a user's and an item's term apart, a `Product` its two factors, because the op that
follows may never need the value per pair: a dense layer multiplies each term separately
(`dense_layer`), and a sum over features turns a product into an inner product (`sum_over_axes`).

Postponing is always correct; it pays only if the postponed value is as small as its parts. So
whatever can be computed on one side, or is a value per pair already, is computed at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tf2spark.dtypes import Dims
from tf2spark.graph_split.algebra.parts import align_parts, concat_features
from tf2spark.graph_split.forms import (
    SIDES,
    Concat,
    Const,
    Pair,
    Product,
    Side,
    StackedRows,
    Sum,
    Value,
    broadcast_dims,
    common_side,
    dims_of,
)
from tf2spark.graph_split.graph_builder import GraphBuilder
from tf2spark.graph_split.materialize import as_operand, materialize_pairs


def add_values(b: GraphBuilder, left: Value, right: Value) -> Value:
    """``(U + I) + (U' + I')  ->  (U + U') + (I + I')``."""
    parts = _apply_to_parts(b, left, right, add_values)
    if parts is not None:
        return parts
    left, right = _join_parts(b, left), _join_parts(b, right)
    return sum_terms(b, [*terms_of(left), *terms_of(right)], broadcast_dims([left, right]))


def _apply_to_parts(
    b: GraphBuilder,
    left: Value,
    right: Value,
    function: Callable[[GraphBuilder, Value, Value], Value],
) -> Value | None:
    """``f([U | I], x)  ->  [f(U, x1) | f(I, x2)]``; None where no cut fits both values."""
    if not (isinstance(left, Concat) or isinstance(right, Concat)):
        return None
    cut = align_parts(b, [left, right])
    if cut is None:
        return None
    axis, pieces = cut
    return concat_features(b, [function(b, *piece) for piece in pieces], axis)


def _join_parts(b: GraphBuilder, value: Value) -> Value:
    """Compute a value whose parts don't fit those of the other operand."""
    return materialize_pairs(b, value) if isinstance(value, Concat | StackedRows) else value


def terms_of(value: Value) -> tuple[Value, ...]:
    return value.terms if isinstance(value, Sum) else (value,)


def sum_terms(b: GraphBuilder, terms: Sequence[Value], dims: Dims) -> Value:
    """``U + I + U' + c  ->  (U + U' + c) + I``: a sum with at most one term per side.

    Args:
        b: Adds the additions on a side.
        terms: What is added; sums among them are flattened.
        dims: The dimensions of the result, which may be wider than every term.
    """
    # Parts are added to parts, which may cut other terms: two at a time.
    if any(isinstance(term, Concat) for term in terms):
        return _add_in_turn(b, terms)
    terms = [inner for term in terms for inner in terms_of(term)]
    assert all(isinstance(term, Side | Const | Pair | Product) for term in terms)
    grouped: list[Value] = []
    for side in SIDES:
        of_side = [term for term in terms if isinstance(term, Side) and term.side == side]
        if of_side:
            grouped.append(_add_operands(b, of_side))
    for constant in (term for term in terms if isinstance(term, Const)):
        # A side computes fewer rows than there are pairs, so it takes the constants.
        if grouped:
            first = as_operand(b, grouped[0])
            grouped[0] = b.write_elementwise("AddV2", [first, constant], constant.dtype)
        else:
            grouped.append(constant)
    grouped += _add_pairs(b, [term for term in terms if isinstance(term, Pair)])
    grouped += [term for term in terms if isinstance(term, Product)]
    if len(grouped) == 1 and dims_of(grouped[0]) == dims:
        return grouped[0]
    return Sum(tuple(grouped), grouped[0].dtype, dims)


def _add_in_turn(b: GraphBuilder, terms: Sequence[Value]) -> Value:
    total = terms[0]
    for term in terms[1:]:
        total = add_values(b, total, term)
    return total


def _add_pairs(b: GraphBuilder, pairs: Sequence[Pair]) -> list[Value]:
    # Only pairs of equal dimensions, so that a number per pair stays narrow as long as it can.
    by_dims: dict[Dims, list[Pair]] = {}
    for pair in pairs:
        by_dims.setdefault(pair.dims, []).append(pair)
    return [_add_operands(b, same_dims) for same_dims in by_dims.values()]


def _add_operands(b: GraphBuilder, terms: Sequence[Side | Pair]) -> Side | Pair:
    total = terms[0]
    for term in terms[1:]:
        total = b.write_elementwise("AddV2", [total, term], term.dtype)
    return total


def map_terms(b: GraphBuilder, value: Value, function: Callable[[Value], Value]) -> Value:
    """``f(U + I)  ->  f(U) + f(I)``, ``f(U * I)  ->  f(U) * I``, for a linear `function`.

    It must multiply all values by one number (-1, say). Then it commutes with broadcasting, and
    may be applied to either factor of a product.
    """
    match value:
        case Concat():
            parts = [map_terms(b, part, function) for part in value.parts]
            return concat_features(b, parts, value.axis)
        case Sum():
            terms = [map_terms(b, term, function) for term in value.terms]
            return sum_terms(b, terms, value.dims)
        case Product():
            # Applied to both factors, it would be applied twice.
            left = map_terms(b, value.left, function)
            return Product(left, value.right, left.dtype, value.dims)
        case _:
            return function(value)


def negate_value(b: GraphBuilder, value: Value) -> Value:
    """``-(U + I)  ->  -U + -I``."""

    def negate(term: Value) -> Value:
        return b.write_elementwise("Neg", [as_operand(b, term)], term.dtype)

    return map_terms(b, value, negate)


def multiply_values(b: GraphBuilder, left: Value, right: Value) -> Value:
    """``(U + I) * s  ->  U * s + I * s`` for a constant or a number per row `s`.

    Two sums are not multiplied out: n * m products cost more than one product of two sums.
    """
    if left is right:
        return square_value(b, left)
    parts = _apply_to_parts(b, left, right, multiply_values)
    if parts is not None:
        return parts
    left, right = _join_parts(b, left), _join_parts(b, right)
    if isinstance(left, Const) and isinstance(right, Const):
        return b.fold("Mul", left, right)
    dims = broadcast_dims([left, right])
    # The factor that scales goes to the right, so that only one order has to be handled.
    if isinstance(left, Const) or is_number_per_row(left, dims):
        left, right = right, left
    if isinstance(left, Sum) and (isinstance(right, Const) or is_number_per_row(right, dims)):
        scale = right if isinstance(right, Const | Side) else materialize_pairs(b, right)
        return sum_terms(b, [multiply_values(b, term, scale) for term in left.terms], dims)
    return _multiply(b, left, right, dims)


def is_number_per_row(value: Value, dims: Dims) -> bool:
    """Say whether a value has one entry along the last axis where the result has several."""
    own = dims_of(value)
    return bool(own and dims) and own[-1] == 1 != dims[-1]


def _multiply(b: GraphBuilder, left: Value, right: Value, dims: Dims) -> Value:
    if isinstance(right, Const) and isinstance(left, Pair) and is_number_per_row(left, dims):
        # A number per pair times a constant vector: the vector per pair may never be needed.
        return Product(right, left, left.dtype, dims)
    if _share_domain(left, right):
        return _multiply_operands(b, left, right)
    # A sum of numbers per row is small when computed, and then scales a vector as one factor.
    if isinstance(left, Sum) and is_number_per_row(left, dims):
        left = materialize_pairs(b, left)
    if isinstance(right, Sum) and is_number_per_row(right, dims):
        right = materialize_pairs(b, right)
    for product, factor in ((left, right), (right, left)):
        if isinstance(product, Product):
            absorbed = _multiply_into_factor(b, product, factor, dims)
            if absorbed is not None:
                return absorbed
    # A product has two factors. A third, of neither one's side, makes it a value per pair.
    left, right = _without_product(b, left), _without_product(b, right)
    if _share_domain(left, right):
        return _multiply_operands(b, left, right)
    return Product(left, right, left.dtype, dims)


def _without_product(b: GraphBuilder, value: Value) -> Value:
    return materialize_pairs(b, value) if isinstance(value, Product) else value


def _multiply_operands(b: GraphBuilder, left: Value, right: Value) -> Value:
    return b.write_elementwise("Mul", [as_operand(b, left), as_operand(b, right)], left.dtype)


def _share_domain(left: Value, right: Value) -> bool:
    """Say whether two values can be multiplied now: both of one side, or both per pair."""
    if isinstance(left, Pair) and isinstance(right, Pair):
        return True
    if isinstance(left, Const):
        left, right = right, left
    if isinstance(right, Const):
        return isinstance(left, Side | Pair)
    return common_side([left, right]) is not None


def _multiply_into_factor(
    b: GraphBuilder, product: Product, factor: Value, dims: Dims
) -> Value | None:
    """``(U * I) * U'  ->  (U * U') * I``; None where the factor is of neither's side."""
    for own, rest in ((product.left, product.right), (product.right, product.left)):
        # A constant vector times a number per pair would become a vector per pair.
        constant_by_pair = isinstance(own, Const) and isinstance(factor, Pair)
        if _share_domain(own, factor) and not constant_by_pair:
            return Product(multiply_values(b, own, factor), rest, product.dtype, dims)
    return None


def square_value(b: GraphBuilder, value: Value) -> Value:
    """``[U | I]^2  ->  [U^2 | I^2]``, ``(U * I)^2  ->  U^2 * I^2``.

    The square of a sum is a product of one object with itself, which marks it as a square.
    """
    match value:
        case Concat():
            parts = [square_value(b, part) for part in value.parts]
            return concat_features(b, parts, value.axis)
        case Side() | Pair():
            return b.write_elementwise("Square", [value], value.dtype)
        case Product():
            left, right = square_value(b, value.left), square_value(b, value.right)
            return Product(left, right, value.dtype, value.dims)
        case Const():
            return b.fold("Square", value)
        case Sum():
            return Product(value, value, value.dtype, value.dims)
        case _:
            return square_value(b, materialize_pairs(b, value))

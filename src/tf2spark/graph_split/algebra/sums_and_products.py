"""Addition and multiplication on forms: done on a side where they can be, else put off.

A sum keeps a user's and an item's part apart, a product its two factors: what comes next may never
need the value a pair (`reduction`, `weights`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tf2spark.graph_split.algebra.layout import aligned, concat
from tf2spark.graph_split.forms import (
    Concat,
    Const,
    Dims,
    Merged,
    Pair,
    Product,
    Side,
    Sum,
    Value,
    broadcast_dims,
    dims_of,
)
from tf2spark.graph_split.graph_builder import Builder, one_side
from tf2spark.graph_split.materialize import flat, operand

_SIDES = ("user", "item")


def add(b: Builder, one: Value, other: Value) -> Value:
    """Add two values."""
    parts = _by_parts(b, one, other, add)
    if parts is not None:
        return parts
    one, other = uncut(b, one), uncut(b, other)
    return total(b, [*terms_of(one), *terms_of(other)], broadcast_dims([one, other]))


def _by_parts(
    b: Builder, one: Value, other: Value, op: Callable[[Builder, Value, Value], Value]
) -> Value | None:
    """Apply an op to each part of what is put side by side; None where nothing is."""
    if not (isinstance(one, Concat) or isinstance(other, Concat)):
        return None
    cut = aligned(b, [one, other])
    if cut is None:
        return None
    axis, pieces = cut
    return concat(b, [op(b, *piece) for piece in pieces], axis)


def uncut(b: Builder, value: Value) -> Value:
    """Compute what is put side by side."""
    return flat(b, value) if isinstance(value, Concat | Merged) else value


def terms_of(value: Value) -> tuple[Value, ...]:
    return value.terms if isinstance(value, Sum) else (value,)


def total(b: Builder, terms: Sequence[Value], dims: Dims) -> Value:
    """Return a sum of terms, those of one side added there, constants to one of them."""
    if any(isinstance(term, Concat) for term in terms):
        return _added_by_parts(b, terms)
    terms = [each for term in terms for each in terms_of(term)]
    assert all(isinstance(term, Side | Const | Pair | Product) for term in terms)
    found: list[Value] = []
    for side in _SIDES:
        ours = [term for term in terms if isinstance(term, Side) and term.side == side]
        if ours:
            found.append(_added(b, ours))
    for constant in (term for term in terms if isinstance(term, Const)):
        if found:
            found[0] = b.elementwise("AddV2", [operand(b, found[0]), constant], constant.dtype)
        else:
            found.append(constant)
    found += _pairs_added(b, [term for term in terms if isinstance(term, Pair)])
    found += [term for term in terms if isinstance(term, Product)]
    if len(found) == 1 and dims_of(found[0]) == dims:
        return found[0]
    return Sum(tuple(found), found[0].dtype, dims)


def _added_by_parts(b: Builder, terms: Sequence[Value]) -> Value:
    found = terms[0]
    for term in terms[1:]:
        found = add(b, found, term)
    return found


def _pairs_added(b: Builder, pairs: Sequence[Pair]) -> list[Value]:
    by_dims: dict[Dims, list[Pair]] = {}
    for one in pairs:
        by_dims.setdefault(one.dims, []).append(one)
    return [_added(b, same) for same in by_dims.values()]


def _added(b: Builder, terms: Sequence[Side | Pair]) -> Value:
    first = terms[0]
    for term in terms[1:]:
        first = b.elementwise("AddV2", [first, term], term.dtype)
    return first


def each_term(b: Builder, value: Value, function: Callable[[Value], Value]) -> Value:
    """Apply a linear function to every part and term of a value."""
    match value:
        case Concat():
            parts = [each_term(b, one, function) for one in value.parts]
            return concat(b, parts, value.axis)
        case Sum():
            return total(b, [each_term(b, one, function) for one in value.terms], value.dims)
        case Product():
            left = each_term(b, value.left, function)
            return Product(left, value.right, left.dtype, value.dims)
        case _:
            return function(value)


def negated(b: Builder, value: Value) -> Value:
    def one(term: Value) -> Value:
        negative: Value = b.elementwise("Neg", [term], term.dtype)  # type: ignore[list-item]
        return negative

    return each_term(b, value, one)


def multiply(b: Builder, one: Value, other: Value) -> Value:
    """Multiply two values."""
    if one is other:
        return square(b, one)
    parts = _by_parts(b, one, other, multiply)
    if parts is not None:
        return parts
    one, other = uncut(b, one), uncut(b, other)
    if isinstance(one, Const) and isinstance(other, Const):
        return b.folded("Mul", one, other)
    dims = broadcast_dims([one, other])
    if isinstance(one, Const) or is_narrow(one, dims):
        one, other = other, one
    if isinstance(one, Sum) and (isinstance(other, Const) or is_narrow(other, dims)):
        factor = other if isinstance(other, Const | Side) else flat(b, other)
        return total(b, [multiply(b, term, factor) for term in one.terms], dims)
    return _product(b, one, other, dims)


def is_narrow(value: Value, dims: Dims) -> bool:
    """Say whether a value is one number where the result is a vector."""
    own = dims_of(value)
    return bool(own and dims) and own[-1] == 1 != dims[-1]


def _product(b: Builder, one: Value, other: Value, dims: Dims) -> Value:
    if isinstance(other, Const) and isinstance(one, Pair) and is_narrow(one, dims):
        return Product(other, one, one.dtype, dims)
    if _meet(one, other):
        done: Value = b.elementwise("Mul", [one, other], one.dtype)  # type: ignore[list-item]
        return done
    if isinstance(one, Sum) and is_narrow(one, dims):
        one = flat(b, one)
    if isinstance(other, Sum) and is_narrow(other, dims):
        other = flat(b, other)
    for first, second in ((one, other), (other, one)):
        if isinstance(first, Product):
            found = _into_factor(b, first, second, dims)
            if found is not None:
                return found
    one, other = (flat(b, each) if isinstance(each, Product) else each for each in (one, other))
    if _meet(one, other):
        done = b.elementwise("Mul", [one, other], one.dtype)  # type: ignore[list-item]
        return done
    return Product(one, other, one.dtype, dims)


def _meet(one: Value, other: Value) -> bool:
    """Say whether two values are of one side, or both of pairs: they are multiplied there."""
    if isinstance(one, Pair) and isinstance(other, Pair):
        return True
    if isinstance(one, Const):
        one, other = other, one
    if isinstance(other, Const):
        return isinstance(one, Side | Pair)
    return one_side([one, other]) is not None


def _into_factor(b: Builder, value: Product, by: Value, dims: Dims) -> Value | None:
    """Multiply a value into the factor of a product that it meets; None where it meets neither."""
    for mine, rest in ((value.left, value.right), (value.right, value.left)):
        if _meet(mine, by) and not (isinstance(mine, Const) and isinstance(by, Pair)):
            return Product(multiply(b, mine, by), rest, value.dtype, dims)
    return None


def square(b: Builder, value: Value) -> Value:
    """Multiply a value by itself."""
    match value:
        case Concat():
            return concat(b, [square(b, one) for one in value.parts], value.axis)
        case Side() | Pair():
            done: Value = b.elementwise("Square", [value], value.dtype)
            return done
        case Product():
            left, right = square(b, value.left), square(b, value.right)
            return Product(left, right, value.dtype, value.dims)
        case Const():
            return b.folded("Square", value)
        case Sum():
            return Product(value, value, value.dtype, value.dims)
        case _:
            return square(b, flat(b, value))

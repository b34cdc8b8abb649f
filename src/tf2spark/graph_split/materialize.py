"""Forms computed after all: for an op that can't take them apart, or at the end."""

from __future__ import annotations

from tf2spark.dtypes import INT32
from tf2spark.graph_split.forms import (
    Concat,
    Const,
    Merged,
    NotRowWise,
    Pair,
    Product,
    Side,
    Sum,
    Value,
    dims_of,
)
from tf2spark.graph_split.graph_builder import Builder, Operand


def flat(b: Builder, value: Value) -> Pair:
    """Compute a value for every pair."""
    match value:
        case Pair():
            return value
        case Side():
            return b.whole(value)
        case Concat():
            return b.cached("flat", value, lambda: _joined(b, value))
        case Sum() | Product():
            found = operand(b, value)
            if isinstance(found, Const):
                raise NotRowWise("a constant stands where a value a row is wanted")
            return found if isinstance(found, Pair) else b.whole(found)
        case Merged():
            raise NotRowWise("rows of a merged batch meet others")
        case _:
            raise NotRowWise("a constant stands where a value a row is wanted")


def _joined(b: Builder, value: Concat) -> Pair:
    parts = [flat(b, part).tensor for part in value.parts]
    axis = b.scalar(value.axis)
    tensor = b.node("ConcatV2", [*parts, axis], N=len(parts), T=value.dtype, Tidx=INT32)
    return Pair(tensor, value.dtype, value.dims)


def operand(b: Builder, value: Value) -> Operand:
    """Return a value as what an op can take: a constant, of one side, or of the pairs."""
    match value:
        case Const() | Side() | Pair():
            return value
        case Sum():
            return b.cached("operand", value, lambda: _added(b, value))
        case Product():
            return b.cached("operand", value, lambda: _multiplied(b, value))
        case _:
            return flat(b, value)


def _added(b: Builder, value: Sum) -> Operand:
    # What is the same for more pairs is added first: a side's values, then those of pairs.
    terms = sorted((operand(b, term) for term in value.terms), key=_by_size)
    total = terms[0]
    for term in terms[1:]:
        total = b.elementwise("AddV2", [term, total], value.dtype)
    return total


def _by_size(value: Operand) -> tuple[bool, int]:
    return isinstance(value, Pair), len(dims_of(value))


def _multiplied(b: Builder, value: Product) -> Operand:
    left, right = operand(b, value.left), operand(b, value.right)
    same = left is right
    made: Operand = b.elementwise(
        "Square" if same else "Mul", [left] if same else [left, right], value.dtype
    )
    return made

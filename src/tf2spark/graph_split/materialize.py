"""Computes postponed forms: for an op that can't work on parts, or at the end of the graph."""

from __future__ import annotations

from tf2spark.dtypes import INT32
from tf2spark.graph_split.forms import (
    Concat,
    Const,
    NotRowWise,
    Operand,
    Pair,
    Product,
    Side,
    StackedRows,
    Sum,
    Value,
    dims_of,
)
from tf2spark.graph_split.graph_builder import GraphBuilder


def materialize_pairs(b: GraphBuilder, value: Value) -> Pair:
    """Compute a value for every pair.

    Raises:
        NotRowWise: It is a constant, or has several rows per pair.
    """
    match value:
        case Pair():
            return value
        case Side():
            return b.repeat_for_pairs(value)
        case Concat():
            return b.compute_once("pairs", value, lambda: _concatenate(b, value))
        case Sum() | Product():
            return _operand_for_pairs(b, as_operand(b, value))
        case StackedRows():
            raise NotRowWise("stacked rows are combined with rows that aren't")
        case _:
            raise NotRowWise("a constant is used where a value per row is needed")


def _operand_for_pairs(b: GraphBuilder, value: Operand) -> Pair:
    # A sum of constants folds to one, which has no rows.
    return value if isinstance(value, Pair) else materialize_pairs(b, value)


def _concatenate(b: GraphBuilder, value: Concat) -> Pair:
    parts = [materialize_pairs(b, part).tensor for part in value.parts]
    axis = b.int_scalar(value.axis)
    tensor = b.node("ConcatV2", [*parts, axis], N=len(parts), T=value.dtype, Tidx=INT32)
    return Pair(tensor, value.dtype, value.dims)


def as_operand(b: GraphBuilder, value: Value) -> Operand:
    """Return a value as one tensor that an op can read, on a side if it depends on that only."""
    match value:
        case Const() | Side() | Pair():
            return value
        case Sum():
            return b.compute_once("operand", value, lambda: _add_terms(b, value))
        case Product():
            return b.compute_once("operand", value, lambda: _multiply_factors(b, value))
        case _:
            return materialize_pairs(b, value)


def _add_terms(b: GraphBuilder, value: Sum) -> Operand:
    # Small tensors are added first: those of a side before those of pairs.
    terms = sorted((as_operand(b, term) for term in value.terms), key=_relative_size)
    total = terms[0]
    for term in terms[1:]:
        total = b.write_elementwise("AddV2", [term, total], value.dtype)
    return total


def _relative_size(value: Operand) -> tuple[bool, int]:
    return isinstance(value, Pair), len(dims_of(value))


def _multiply_factors(b: GraphBuilder, value: Product) -> Operand:
    left, right = as_operand(b, value.left), as_operand(b, value.right)
    if left is right:
        return b.write_elementwise("Square", [left], value.dtype)
    return b.write_elementwise("Mul", [left, right], value.dtype)

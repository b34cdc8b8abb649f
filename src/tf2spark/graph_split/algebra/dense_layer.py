"""Rows times a constant matrix, as `Dense` layers have it: the layer that is worth most to split.

The matrix of rows that are put side by side is cut by its own rows, so that a user's and an item's
part of the layer are computed once a user and once an item, and only added for the pairs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import evolve

from tf2spark.graph_split.algebra.inner_product import contract
from tf2spark.graph_split.algebra.layout import concat, concat_dims, widened
from tf2spark.graph_split.algebra.sums_and_products import is_narrow, terms_of, total
from tf2spark.graph_split.forms import (
    Array,
    Concat,
    Const,
    Dims,
    Merged,
    NotRowWise,
    NotSplit,
    Pair,
    Product,
    Side,
    Sum,
    Value,
    dims_of,
    known,
)
from tf2spark.graph_split.graph_builder import Builder, renewed
from tf2spark.graph_split.materialize import flat

Weighted = tuple[Value, Const]


def matmul(b: Builder, value: Value, weight: Const) -> Value:
    """Multiply rows [..., n] by a constant [n, m] from the right."""
    match value:
        case Merged():
            inner = matmul(b, value.inner, weight)
            return evolve(value, inner=inner, dims=dims_of(inner)[1:])
        case Side() | Pair():
            return _on_rows(b, value, weight)
        case Concat() if value.axis == len(value.dims):
            cut = _cut(b, value, weight)
            plain = [(part, rows) for part, rows in cut if not isinstance(part, Concat)]
            nested = [matmul(b, part, rows) for part, rows in cut if isinstance(part, Concat)]
            dims = _dims(value, weight)
            return total(b, [*nested, *([_weighted(b, plain, dims)] if plain else [])], dims)
        case Concat():
            parts = [matmul(b, part, weight) for part in value.parts]
            return concat(b, parts, value.axis)
        case Sum() | Product():
            return _weighted(b, [(value, weight)], _dims(value, weight))
        case _:
            raise NotRowWise("a constant stands where rows are multiplied by a matrix")


def _dims(value: Value, weight: Const) -> Dims:
    return (*dims_of(value)[:-1], weight.shape[1])


def _cut(b: Builder, value: Concat, weight: Const) -> list[Weighted]:
    """Give each part its rows of the matrix; parts of one side, wherever they stand, as one."""
    matrix, first = weight.value, 0
    found: list[tuple[Value, Array]] = []
    for part in value.parts:
        size = known((dims_of(part)[-1],), "a part of a layer's input")[0]
        found.append((part, matrix[first : first + size]))
        first += size
    cut: list[Weighted] = []
    for side in ("user", "item"):
        ours = [(part, rows) for part, rows in found if getattr(part, "side", "") == side]
        if ours:
            together = concat(b, [part for part, _ in ours], value.axis)
            rows = np.concatenate([rows for _, rows in ours])
            cut.append((together, b.constant(rows, weight.dtype)))
    rest = [(part, rows) for part, rows in found if not isinstance(part, Side)]
    return cut + [(part, b.constant(rows, weight.dtype)) for part, rows in rest]


def _weighted(b: Builder, parts: Sequence[Weighted], dims: Dims) -> Value:
    """Return the sum of parts, each multiplied by its weight."""
    terms: list[Value] = []
    rest: list[Weighted] = []
    for part, weight in parts:
        left_over: list[Value] = []
        wide = widened(b, part) if isinstance(part, Sum) else (part,)
        for term in wide:
            done = _without_pairs(b, term, weight)
            if done is None:
                left_over.append(term)
            else:
                terms += terms_of(done)
        if left_over:
            rest.append((flat(b, total(b, left_over, dims_of(left_over[0]))), weight))
    if rest:
        terms.append(_together(b, rest))
    return total(b, terms, dims)


def _without_pairs(b: Builder, term: Value, weight: Const) -> Value | None:
    """Return a term times a weight where no pair needs a matrix product; else None."""
    match term:
        case Const():
            return b.folded("MatMul", term, weight)
        case Side():
            return _on_rows(b, term, weight)
        case Product():
            return _of_product(b, term, weight)
        case _:
            return None


def _of_product(b: Builder, term: Product, weight: Const) -> Value | None:
    for vector, scale in ((term.left, term.right), (term.right, term.left)):
        # A number a pair times a side's vector: the vector is multiplied by the matrix.
        is_scale = is_narrow(scale, term.dims) or term.dims[-1] == 1
        if is_scale and isinstance(scale, Side | Pair) and isinstance(vector, Side | Const):
            inner = _without_pairs(b, vector, weight)
            assert inner is not None
            return Product(inner, scale, term.dtype, _dims(term, weight))
    left, right = term.left, term.right
    if weight.shape[1] == 1 and isinstance(left, Side) and isinstance(right, Side):
        # One column: a weighted inner product.
        column = b.constant(weight.value.reshape(-1), weight.dtype)
        weighted = b.elementwise("Mul", [left, column], left.dtype)
        return contract(b, weighted, right, [len(term.dims)], keep=True)
    return None


def _together(b: Builder, rest: Sequence[Weighted]) -> Value:
    """Multiply values of pairs side by side with their weights below each other."""
    values = [flat(b, value) for value, _ in rest]
    if len(rest) == 1:
        return _on_rows(b, values[0], rest[0][1])
    axis, dtype = len(values[0].dims), values[0].dtype
    joined = Concat(axis, tuple(values), dtype, concat_dims(values, axis))
    matrix = np.concatenate([weight.value for _, weight in rest])
    return _on_rows(b, flat(b, joined), b.constant(matrix, rest[0][1].dtype))


def _on_rows(b: Builder, value: Side | Pair, weight: Const) -> Value:
    inner, outer = known(weight.shape, "a weight")
    if value.dims[-1] not in (inner, None):
        raise NotSplit(f"rows of {value.dims[-1]} values meet a weight of {inner} rows")
    lead, tensor = value.dims[:-1], value.tensor
    if lead:
        tensor = b.reshaped(tensor, b.ints(-1, inner), value.dtype)
    inputs = [tensor, weight.tensor]
    tensor = b.node("MatMul", inputs, T=value.dtype, transpose_a=False, transpose_b=False)
    if lead:
        shape = b.ints(-1, *known((*lead, outer), "a row of vectors"))
        tensor = b.reshaped(tensor, shape, value.dtype)
    return renewed(value, tensor, (*lead, outer))

"""Rows times a constant matrix, as in `Dense` layers: the op that is most worth splitting.

``[U | I] @ W  ->  U @ W_u + I @ W_i``: the matrix is cut by rows, so a user's and an item's half
of the layer are computed once per user and once per item, and pairs only add them. The product is
linear, so terms are multiplied one by one as well; a nonlinear activation ends it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import evolve

from tf2spark.conversion.rows import Array
from tf2spark.dtypes import Dims
from tf2spark.graph_split.algebra.inner_product import contract
from tf2spark.graph_split.algebra.layout import broadcast_terms
from tf2spark.graph_split.algebra.parts import concat_dims, concat_features
from tf2spark.graph_split.algebra.sums_and_products import is_number_per_row, sum_terms, terms_of
from tf2spark.graph_split.forms import (
    SIDES,
    Concat,
    Const,
    NotRowWise,
    NotSplit,
    Pair,
    Product,
    Side,
    StackedRows,
    Sum,
    Value,
    dims_of,
    require_known,
)
from tf2spark.graph_split.graph_builder import GraphBuilder, with_tensor
from tf2spark.graph_split.materialize import materialize_pairs

_WeightedPart = tuple[Value, Const]


def multiply_by_matrix(b: GraphBuilder, value: Value, weight: Const) -> Value:
    """``(U + I) @ W  ->  U @ W + I @ W``, ``[U | I] @ W  ->  U @ W_u + I @ W_i``.

    Args:
        b: Adds the products.
        value: Rows of [..., n].
        weight: A constant [n, m].
    """
    match value:
        case StackedRows():
            inner = multiply_by_matrix(b, value.inner, weight)
            return evolve(value, inner=inner, dims=dims_of(inner)[1:])
        case Side() | Pair():
            return _add_matmul(b, value, weight)
        case Concat() if value.axis == len(value.dims):
            return _multiply_parts(b, value, weight)
        case Concat():
            # Along another axis each part has rows of full width, for the whole matrix.
            parts = [multiply_by_matrix(b, part, weight) for part in value.parts]
            return concat_features(b, parts, value.axis)
        # A single part, whose weight is the whole matrix.
        case Sum() | Product():
            return _weighted_sum(b, [(value, weight)], _product_dims(value, weight))
        case _:
            raise NotRowWise("a constant is multiplied as if it had rows")


def _product_dims(value: Value, weight: Const) -> Dims:
    return (*dims_of(value)[:-1], weight.shape[1])


def _multiply_parts(b: GraphBuilder, value: Concat, weight: Const) -> Value:
    cut = _cut_weight(b, value, weight)
    # A part that is itself a concatenation, along another axis, is multiplied part by part. All
    # others are summed at once, so that those that need pairs share one matrix product.
    plain = [(part, rows) for part, rows in cut if not isinstance(part, Concat)]
    terms = [multiply_by_matrix(b, part, rows) for part, rows in cut if isinstance(part, Concat)]
    dims = _product_dims(value, weight)
    if plain:
        terms.append(_weighted_sum(b, plain, dims))
    return sum_terms(b, terms, dims)


def _cut_weight(b: GraphBuilder, value: Concat, weight: Const) -> list[_WeightedPart]:
    """Give each part its rows of the matrix; parts of one side, wherever they stand, as one.

    The order of the parts may change here, as long as the rows of the matrix change with it.
    """
    matrix, start = weight.value, 0
    parts: list[tuple[Value, Array]] = []
    for part in value.parts:
        size = require_known((dims_of(part)[-1],), "a part of a layer's input")[0]
        parts.append((part, matrix[start : start + size]))
        start += size
    cut: list[_WeightedPart] = []
    for side in SIDES:
        of_side = [(part, rows) for part, rows in parts
                   if isinstance(part, Side) and part.side == side]  # fmt: skip
        if of_side:
            joined = concat_features(b, [part for part, _ in of_side], value.axis)
            rows = np.concatenate([rows for _, rows in of_side])
            cut.append((joined, b.constant(rows, weight.dtype)))
    rest = [(part, rows) for part, rows in parts if not isinstance(part, Side)]
    return cut + [(part, b.constant(rows, weight.dtype)) for part, rows in rest]


def _weighted_sum(b: GraphBuilder, parts: Sequence[_WeightedPart], dims: Dims) -> Value:
    """Return the sum of parts, each multiplied by its weight.

    Terms that only pairs have are collected, so that they cost one matrix product together.
    """
    terms: list[Value] = []
    for_pairs: list[_WeightedPart] = []
    for part, weight in parts:
        left_over: list[Value] = []
        # The matrix mixes all columns, so a narrow term is broadcast to full width first.
        for term in broadcast_terms(b, part) if isinstance(part, Sum) else (part,):
            product = _multiply_without_pairs(b, term, weight)
            if product is None:
                left_over.append(term)
            else:
                terms += terms_of(product)
        if left_over:
            # They share the part's weight: (P + Q) @ W is one product, P @ W + Q @ W are two.
            total = sum_terms(b, left_over, dims_of(left_over[0]))
            for_pairs.append((materialize_pairs(b, total), weight))
    if for_pairs:
        terms.append(_multiply_pairs(b, for_pairs))
    return sum_terms(b, terms, dims)


def _multiply_without_pairs(b: GraphBuilder, term: Value, weight: Const) -> Value | None:
    """Return a term times a matrix; None where that takes a matrix product for every pair."""
    match term:
        case Const():
            return b.fold("MatMul", term, weight)
        case Side():
            return _add_matmul(b, term, weight)
        case Product():
            return _multiply_product(b, term, weight)
        case _:
            return None


def _multiply_product(b: GraphBuilder, term: Product, weight: Const) -> Value | None:
    """``(s * U) @ W  ->  s * (U @ W)`` for a number per row; ``(U * I) @ w  ->  <U * w, I>``."""
    for vector, scale in ((term.left, term.right), (term.right, term.left)):
        # One number per row commutes with a matrix, which mixes the columns of each row only.
        is_scale = is_number_per_row(scale, term.dims) or term.dims[-1] == 1
        if is_scale and isinstance(scale, Side | Pair) and isinstance(vector, Side | Const):
            product = _multiply_without_pairs(b, vector, weight)
            assert product is not None
            return Product(product, scale, term.dtype, _product_dims(term, weight))
    left, right = term.left, term.right
    # With more columns there would be as many inner products per pair.
    if weight.shape[1] == 1 and isinstance(left, Side) and isinstance(right, Side):
        column = b.constant(weight.value.reshape(-1), weight.dtype)
        weighted = b.write_elementwise("Mul", [left, column], left.dtype)
        assert isinstance(weighted, Side)
        return contract(b, weighted, right, [len(term.dims)], keep=True)
    return None


def _multiply_pairs(b: GraphBuilder, parts: Sequence[_WeightedPart]) -> Value:
    """``P @ W + Q @ V  ->  [P | Q] @ [W; V]``."""
    values = [materialize_pairs(b, value) for value, _ in parts]
    if len(parts) == 1:
        return _add_matmul(b, values[0], parts[0][1])
    axis, dtype = len(values[0].dims), values[0].dtype
    joined = Concat(axis, tuple(values), dtype, concat_dims(values, axis))
    matrix = np.concatenate([weight.value for _, weight in parts])
    return _add_matmul(b, materialize_pairs(b, joined), b.constant(matrix, parts[0][1].dtype))


def _add_matmul(b: GraphBuilder, value: Side | Pair, weight: Const) -> Side | Pair:
    inner, outer = require_known(weight.shape, "a weight")
    # A size that is unknown here is checked by TensorFlow when it runs.
    if value.dims[-1] not in (inner, None):
        raise NotSplit(f"rows of {value.dims[-1]} values meet a weight of {inner} rows")
    lead, tensor = value.dims[:-1], value.tensor
    # MatMul takes matrices only: a row's vectors become rows of one, and are regrouped afterwards.
    if lead:
        tensor = b.reshape_tensor(tensor, b.int_vector(-1, inner), value.dtype)
    inputs = [tensor, weight.tensor]
    tensor = b.node("MatMul", inputs, T=value.dtype, transpose_a=False, transpose_b=False)
    if lead:
        shape = b.int_vector(-1, *require_known((*lead, outer), "a row of vectors"))
        tensor = b.reshape_tensor(tensor, shape, value.dtype)
    return with_tensor(value, tensor, (*lead, outer))

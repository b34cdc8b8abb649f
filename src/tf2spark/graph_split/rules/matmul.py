"""Rules of matrix products: `MatMul`, `BatchMatMul` and `Einsum`."""

from __future__ import annotations

from math import prod

from tf2spark.graph_split.algebra.dense_layer import multiply_by_matrix
from tf2spark.graph_split.algebra.layout import reshape_rows, transpose_rows
from tf2spark.graph_split.algebra.sum_over_axes import reduce_sum
from tf2spark.graph_split.algebra.sums_and_products import multiply_values, terms_of
from tf2spark.graph_split.forms import (
    Const,
    NotRowWise,
    Pair,
    Side,
    Sum,
    Value,
    common_side,
    dims_of,
)
from tf2spark.graph_split.graph_builder import GraphBuilder
from tf2spark.graph_split.materialize import as_operand
from tf2spark.graph_split.op_call import OpCall, apply_row_wise


def matmul(call: OpCall) -> Value:
    """``[U | I] @ W  ->  U @ W_u + I @ W_i``, for a constant matrix on the right."""
    value, weight = call.inputs
    if call.attr("transpose_a").b or not isinstance(weight, Const):
        raise NotRowWise("it multiplies rows of the batch by each other")
    if isinstance(value, Const):
        raise NotRowWise("it multiplies the batch from the left")
    # A side's layer is one node already.
    if isinstance(value, Side):
        return apply_row_wise(call)
    return multiply_by_matrix(call.b, value, _transposed_if(call, "transpose_b", weight))


def _transposed_if(call: OpCall, attribute: str, weight: Const) -> Const:
    if not call.attr(attribute).b:
        return weight
    return call.b.constant(weight.value.T.copy(), weight.dtype)


def batch_matmul(call: OpCall) -> Value:
    """``X @ W`` as a dense layer; ``U @ I  ->  sum_k(U[:, k] * I[k, :])``, an inner product."""
    left, right = call.inputs
    if isinstance(right, Const):
        if call.rank() < 3:
            raise NotRowWise("it multiplies the batch as one matrix")
        # One constant matrix for all rows is a dense layer, unless the rows are transposed.
        if len(right.shape) != 2 or call.attr("adj_x").b or isinstance(left, Side):
            return _apply_with_constant(call, right, call.rank())
        return multiply_by_matrix(call.b, left, _transposed_if(call, "adj_y", right))
    if isinstance(left, Const):
        return _apply_with_constant(call, left, call.rank(1))
    if call.rank(0) < 3 or call.rank(1) < 3 or call.rank(0) != call.rank(1):
        raise NotRowWise("it multiplies the batch as one matrix")
    if not _has_inner_products(left, right):
        return apply_row_wise(call)
    *axes, row_axis, column_axis = range(1, call.rank())
    swapped = [*axes, column_axis, row_axis]
    # The adjoint is the transpose, because the algebra handles real numbers only.
    if call.attr("adj_x").b:
        left = transpose_rows(call.b, left, swapped)
    if call.attr("adj_y").b:
        right = transpose_rows(call.b, right, swapped)
    return _sum_of_outer_products(call.b, left, right)


def _apply_with_constant(call: OpCall, matrix: Const, rank: int) -> Value:
    # Leading axes of the constant broadcast against the batch, counted from the right.
    lead = len(matrix.shape) - rank
    if lead > 0 or (lead == 0 and matrix.shape[0] != 1):
        raise NotRowWise("a constant input has a matrix for each row of the batch")
    return apply_row_wise(call)


def _has_inner_products(left: Value, right: Value) -> bool:
    """Say whether a product of two values per row is worth writing as products of its terms.

    It is where users meet items. Values of one side are multiplied on that side, and values per
    pair by the op itself. A sum with a term per pair would be as large as both.
    """
    terms = (*terms_of(left), *terms_of(right))
    if not all(isinstance(term, Side | Pair) for term in terms):
        return False
    if isinstance(left, Sum) or isinstance(right, Sum):
        return not any(isinstance(term, Pair) for term in terms)
    return common_side([left, right]) is None and not all(isinstance(term, Pair) for term in terms)


def _sum_of_outer_products(b: GraphBuilder, left: Value, right: Value) -> Value:
    """``L @ R  ->  sum_k(L[..., m, k, 1] * R[..., 1, k, n])``."""
    dims, right_dims = dims_of(left), dims_of(right)
    product = multiply_values(
        b,
        reshape_rows(b, left, (*dims, 1)),
        reshape_rows(b, right, (*right_dims[:-2], 1, *right_dims[-2:])),
    )
    return reduce_sum(b, product, [len(dims)], keep=False)


def einsum(call: OpCall) -> Value:
    """Apply an equation in which the batch is the first letter of every term with rows.

    A constant must not have the batch's letter. Repeated letters in one operand (a diagonal),
    ellipses and more than two operands are refused.
    """
    equation = call.attr("equation").s.decode().replace(" ", "")
    inputs, _, out = equation.partition("->")
    labels = inputs.split(",")
    row_labels: list[str] = []
    constant_labels: list[str] = []
    for label, value in zip(labels, call.inputs, strict=True):
        (constant_labels if isinstance(value, Const) else row_labels).append(label)
    repeats = any(len(set(label)) < len(label) for label in labels)
    batch = row_labels[0][:1]
    batch_leads = batch and all(label[:1] == batch for label in (*row_labels, out))
    if "." in equation or len(labels) > 2 or repeats or not batch_leads:
        raise NotRowWise(f'its equation "{equation}" may mix rows')
    if batch in "".join(constant_labels):
        raise NotRowWise("a constant input has a matrix for each row of the batch")
    if len(labels) == 1:
        return _sum_and_transpose(call, labels[0], out)
    if constant_labels:
        return _einsum_with_constant(call, row_labels[0], constant_labels[0], out)
    if common_side(call.inputs) is not None or not _has_inner_products(*call.inputs):
        return apply_row_wise(call)
    return _einsum_of_rows(call, labels, out)


def _einsum_of_rows(call: OpCall, labels: list[str], out: str) -> Value:
    """``einsum(bij,bkj->bik)  ->  sum_j(U[i, 1, j] * I[1, k, j])``."""
    kept = out[1:]
    summed = "".join(sorted(set("".join(labels)) - set(out)))
    # With the same axes in the same order, the two inputs broadcast, and the rest is a sum.
    aligned = [_align_axes(call, index, labels[index][1:], kept + summed) for index in (0, 1)]
    product = multiply_values(call.b, *aligned)
    axes = list(range(len(kept) + 1, len(kept + summed) + 1))
    return reduce_sum(call.b, product, axes, keep=False) if axes else product


def _align_axes(call: OpCall, index: int, labels: str, order: str) -> Value:
    """Put the axes of an input in this order, with axes of size 1 for those that it lacks."""
    value = as_operand(call.b, call.inputs[index])
    own_order = [labels.index(label) + 1 for label in order if label in labels]
    transposed = transpose_rows(call.b, value, own_order)
    sizes = iter(dims_of(transposed))
    dims = tuple(next(sizes) if label in labels else 1 for label in order)
    return reshape_rows(call.b, transposed, dims)


def _einsum_with_constant(call: OpCall, rows: str, constant: str, out: str) -> Value:
    """``einsum(bij,jhk->bihk)  ->  reshape(X @ W)``: a dense layer, if the equation is one.

    It is one where the shared letters are the last axes of the rows, in order, and the constant's
    other letters are the last axes of the result. Several axes (the heads of an attention) are
    summed over as one, and come out as one.
    """
    value = next(value for value in call.inputs if not isinstance(value, Const))
    weight = next(value for value in call.inputs if isinstance(value, Const))
    shared = [label for label in rows if label in constant]
    lead = rows[: len(rows) - len(shared)]
    new = out[len(lead) :]
    shared_last = bool(shared) and rows.endswith("".join(shared)) and out.startswith(lead)
    all_used = sorted([*shared, *new]) == sorted(constant)
    if isinstance(value, Side) or not shared_last or not all_used:
        return apply_row_wise(call)
    # As a matrix: the summed axes are its rows, the new axes its columns.
    array = weight.value.transpose([constant.index(label) for label in (*shared, *new)])
    new_sizes = array.shape[len(shared) :]
    matrix = call.b.constant(array.reshape(-1, prod(new_sizes)), weight.dtype)
    lead_dims = dims_of(value)[: len(lead) - 1]
    vectors = reshape_rows(call.b, value, (*lead_dims, matrix.shape[0]))
    product = multiply_by_matrix(call.b, vectors, matrix)
    return reshape_rows(call.b, product, (*lead_dims, *new_sizes))


def _sum_and_transpose(call: OpCall, labels: str, out: str) -> Value:
    """``einsum(bij->bj)  ->  sum_i(X)``: sum over the missing axes, and reorder the others."""
    missing = [axis for axis, label in enumerate(labels) if label not in out]
    value = call.inputs[0]
    total = reduce_sum(call.b, value, missing, keep=False) if missing else value
    kept = [label for label in labels if label in out]
    return transpose_rows(call.b, total, [kept.index(label) for label in out[1:]])

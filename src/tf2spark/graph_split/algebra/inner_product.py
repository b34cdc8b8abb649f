"""Inner products of users and items: one matrix product instead of a value per pair and a sum."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from tf2spark.dtypes import INT32, Dims
from tf2spark.graph_split.forms import Pair, Side, broadcast_dims, require_known
from tf2spark.graph_split.graph_builder import GraphBuilder, with_tensor

# One letter per feature axis, in an equation where "u" and "i" are the users and the items.
_LETTERS = "abcdefghjklmnopqrst"


def contract(
    b: GraphBuilder, left: Side | Pair, right: Side | Pair, axes: Sequence[int], *, keep: bool
) -> Side | Pair:
    """``sum_k(U[k] * I[k])  ->  U @ I^T``.

    Args:
        b: Adds the product.
        left: A value of one side, or per pair: the weights of an attention over a user's
            history, say.
        right: A value of the other side, or per pair, but not both are per pair. The two
            broadcast against each other.
        axes: The feature axes that are summed over, counted from 1.
        keep: Whether these axes stay, with size 1.
    """
    dims = require_known(broadcast_dims([left, right]), "a product")
    # An axis that only one factor has is summed before they meet, on that factor's side if any.
    left, right = _sum_alone(b, left, right, axes), _sum_alone(b, right, left, axes)
    result_dims = tuple(
        1 if axis in axes else size
        for axis, size in enumerate(dims, start=1)
        if keep or axis not in axes
    )
    summed = {
        _LETTERS[axis - 1] for axis in axes if left.dims[axis - 1] == right.dims[axis - 1] != 1
    }
    left_vector, left_labels = _without_ones(b, left)
    right_vector, right_labels = _without_ones(b, right)
    kept = [letter for letter in _LETTERS[: len(dims)]
            if letter in left_labels + right_labels and letter not in summed]  # fmt: skip
    if not summed and not kept:
        # Nothing is left to sum: numbers per row, multiplied.
        product = b.write_elementwise("Mul", [left_vector, right_vector], left.dtype)
        return b.reshape_operand(product, result_dims)
    # Sides whose axes are all summed over give one number per pair: a plain matrix product.
    if not kept and isinstance(left_vector, Side) and isinstance(right_vector, Side):
        return _matrix_product(b, left_vector, right_vector, result_dims)
    labels = f"{_batch_labels(left)}{left_labels},{_batch_labels(right)}{right_labels}"
    inputs = [_einsum_input(b, left_vector), _einsum_input(b, right_vector)]
    tensor = b.node("Einsum", inputs, equation=f"{labels}->ui{''.join(kept)}", N=2, T=left.dtype)
    return b.flatten_grid(tensor, left.dtype, result_dims)


def _sum_alone(
    b: GraphBuilder, value: Side | Pair, other: Side | Pair, axes: Sequence[int]
) -> Side | Pair:
    """``sum_k(U[k] * i)  ->  sum_k(U[k]) * i``: sum over axes along which the other is constant."""
    alone = [axis for axis in axes if value.dims[axis - 1] != 1 and other.dims[axis - 1] == 1]
    if not alone:
        return value
    inputs = [value.tensor, b.int_vector(*alone)]
    tensor = b.node("Sum", inputs, T=value.dtype, Tidx=INT32, keep_dims=True)
    dims = tuple(1 if axis in alone else size for axis, size in enumerate(value.dims, start=1))
    return with_tensor(value, tensor, dims)


def _without_ones(b: GraphBuilder, value: Side | Pair) -> tuple[Side | Pair, str]:
    """Remove the axes of size 1, along which a value broadcasts; return the others' letters.

    In an equation, a letter must have one size everywhere, so a broadcast axis has none.
    """
    axes = [axis for axis, size in enumerate(value.dims) if size != 1]
    squeezed = b.reshape_operand(value, tuple(value.dims[axis] for axis in axes))
    return squeezed, "".join(_LETTERS[axis] for axis in axes)


def _batch_labels(value: Side | Pair) -> str:
    return "ui" if isinstance(value, Pair) else value.side[0]


def _einsum_input(b: GraphBuilder, value: Side | Pair) -> str:
    """Return a side's tensor as it reaches the pair graph, or pairs as a grid."""
    return b.pair_placeholder(value) if isinstance(value, Side) else b.grid_operand(value)


def _matrix_product(b: GraphBuilder, left: Side, right: Side, dims: Dims) -> Pair:
    """``[users, n] @ [items, n]^T``: all axes of both are summed over, as one."""
    # Users in the rows: the grid is [users, items].
    if left.side == "item":
        left, right = right, left
    size = prod(require_known(left.dims, "a vector"))
    tensors = []
    for value in (left, right):
        vector = b.reshape_operand(value, (size,))
        assert isinstance(vector, Side)
        tensors.append(b.pair_placeholder(vector))
    tensor = b.node("MatMul", tensors, T=left.dtype, transpose_a=False, transpose_b=True)
    return b.flatten_grid(tensor, left.dtype, dims)

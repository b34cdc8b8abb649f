"""Inner products of users and items: a matrix product instead of a value a pair and a sum."""

from __future__ import annotations

from collections.abc import Sequence

from tf2spark.dtypes import INT32
from tf2spark.graph_split.forms import Dims, Pair, Side, broadcast_dims, known
from tf2spark.graph_split.graph_builder import Builder, renewed

_LETTERS = "abcdefghjklmnopqrst"


def contract(
    b: Builder, one: Side | Pair, other: Side | Pair, axes: Sequence[int], *, keep: bool
) -> Side | Pair:
    """Return the sum over feature axes of a product of a user's and an item's value.

    Either may be of the pairs: a weight a pair over a user's history, say. They broadcast against
    each other as in the product.
    """
    dims = known(broadcast_dims([one, other]), "a product")
    one, other = _summed_alone(b, one, other, axes), _summed_alone(b, other, one, axes)
    summed = [axis for axis in axes if one.dims[axis - 1] == other.dims[axis - 1] != 1]
    left, left_labels = _labelled(b, one, dims)
    right, right_labels = _labelled(b, other, dims)
    gone = {_LETTERS[axis - 1] for axis in summed}
    kept = [
        _LETTERS[place]
        for place in range(len(dims))
        if _LETTERS[place] in left_labels + right_labels and _LETTERS[place] not in gone
    ]
    out = tuple(
        1 if place + 1 in axes else size
        for place, size in enumerate(dims)
        if keep or place + 1 not in axes
    )
    if not gone and not kept:
        return _reduced(b.elementwise("Mul", [left, right], one.dtype), b, out)
    if not kept and isinstance(one, Side) and isinstance(other, Side):
        return _matrix_product(b, left, right, out)
    equation = f"{_batch(one)}{left_labels},{_batch(other)}{right_labels}->ui{''.join(kept)}"
    inputs = [_laid_out(b, left), _laid_out(b, right)]
    tensor = b.node("Einsum", inputs, equation=equation, N=2, T=one.dtype)
    return b.flattened(tensor, one.dtype, out)


def _reduced(value: Side | Pair, b: Builder, dims: Dims) -> Side | Pair:
    return b.reshape(value, dims)


def _summed_alone(
    b: Builder, value: Side | Pair, other: Side | Pair, axes: Sequence[int]
) -> Side | Pair:
    """Sum over the axes along which the other doesn't change, before they meet."""
    alone = [axis for axis in axes if value.dims[axis - 1] != 1 and other.dims[axis - 1] == 1]
    if not alone:
        return value
    tensor = b.node(
        "Sum", [value.tensor, b.ints(*alone)], T=value.dtype, Tidx=INT32, keep_dims=True
    )
    dims = tuple(1 if axis + 1 in alone else size for axis, size in enumerate(value.dims))
    return renewed(value, tensor, dims)


def _labelled(b: Builder, value: Side | Pair, dims: Sequence[int]) -> tuple[Side | Pair, str]:
    """Leave out the axes of size 1; return a letter for each that is left."""
    places = [place for place, size in enumerate(value.dims) if size != 1]
    squeezed = b.reshape(value, tuple(value.dims[place] for place in places))
    return squeezed, "".join(_LETTERS[place] for place in places)


def _batch(value: Side | Pair) -> str:
    return "ui" if isinstance(value, Pair) else value.side[0]


def _laid_out(b: Builder, value: Side | Pair) -> str:
    """Return a side's tensor in the pair graph, or pairs as [users, items, ...]."""
    return b.cross(value) if isinstance(value, Side) else b.spread(value)


def _matrix_product(b: Builder, left: Side | Pair, right: Side | Pair, out: Dims) -> Pair:
    assert isinstance(left, Side)
    assert isinstance(right, Side)
    if left.side == "item":
        left, right = right, left
    # Several axes are summed over as one.
    size = 1
    for one in known(left.dims, "a vector"):
        size *= one
    vectors = [b.reshape(one, (size,)) for one in (left, right)]
    tensors = [b.cross(one) for one in vectors if isinstance(one, Side)]
    tensor = b.node("MatMul", tensors, T=left.dtype, transpose_a=False, transpose_b=True)
    return b.flattened(tensor, left.dtype, out)

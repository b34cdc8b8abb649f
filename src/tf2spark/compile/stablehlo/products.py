"""Translations of products of matrices and of reductions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from string import ascii_lowercase

import numpy as np
from attrs import frozen

from tf2spark.compile.stablehlo.call import Call, Translation
from tf2spark.compile.stablehlo.elementwise import apply
from tf2spark.compile.stablehlo.literals import dtype_of
from tf2spark.compile.stablehlo.module_text import NotOpened
from tf2spark.compile.stablehlo.values import Rows, Sizes, Tensor, Value, full_along

_PAIR_OF_AXES = r"\b{} = \[([\d, ]*)\] x \[([\d, ]*)\]"
_REDUCER = re.compile(r"applies stablehlo\.(\w+) across")
_REDUCERS = {
    "add": ("Sum", 0.0),
    "and": ("All", True),
    "maximum": ("Max", -np.inf),
    "minimum": ("Min", np.inf),
    "multiply": ("Prod", 1.0),
    "or": ("Any", False),
}


@frozen
class _Axes:
    """The axes of a product, of the left side and of the right one."""

    batch: tuple[tuple[int, ...], tuple[int, ...]]
    summed: tuple[tuple[int, ...], tuple[int, ...]]


def dot_general(call: Call) -> Value:
    """``sum_k x[b, i, k] * y[b, k, j]``, with any axes in place of these."""
    axes = _Axes(_axes(call, "batching_dims"), _axes(call, "contracting_dims"))
    # An axis that is in one factor only may keep size 1: a loop starts from zeros, say.
    left, right = (
        full_along(call.nodes, value, (*batch, *summed), call.inputs)
        for value, batch, summed in zip(call.inputs, axes.batch, axes.summed, strict=True)
    )
    if dtype_of(call.kind) != left.dtype or left.dtype != right.dtype or left.dtype.kind != "f":
        raise NotOpened("its product is of another type than its factors")
    sizes = _product_sizes(left.sizes, right.sizes, axes)
    graph_sizes = _product_sizes(left.graph_sizes, right.graph_sizes, axes)
    name = _matmul(call, left, right, axes) or _einsum(call, left, right, axes)
    return Tensor(name, left.dtype, sizes, graph_sizes)


def _axes(call: Call, key: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    match = re.search(_PAIR_OF_AXES.format(key), call.statement.text)
    if match is None:
        return (), ()
    left, right = (
        tuple(int(axis) for axis in group.replace(" ", "").split(",") if axis)
        for group in match.groups()
    )
    return left, right


def _product_sizes(left: Sizes, right: Sizes, axes: _Axes) -> Sizes:
    batch = tuple(left[axis] for axis in axes.batch[0])
    free = [
        size
        for side, sizes in enumerate((left, right))
        for axis, size in enumerate(sizes)
        if axis not in (*axes.batch[side], *axes.summed[side])
    ]
    return (*batch, *free)


def _matmul(call: Call, left: Tensor, right: Tensor, axes: _Axes) -> str | None:
    """Add a product as Keras writes it; None where it has another form."""
    if any(axes.batch) or len(right.sizes) != 2 or axes.summed[0] != (len(left.sizes) - 1,):
        return None
    if len(left.sizes) < 2 or len(axes.summed[1]) != 1:
        return None
    transposed = axes.summed[1] == (1,)
    names, kinds = [left.name, right.name], {"T": left.dtype}
    if len(left.sizes) == 2:
        return call.nodes.add("MatMul", names, **kinds, transpose_a=False, transpose_b=transposed)
    return call.nodes.add("BatchMatMulV2", names, **kinds, adj_x=False, adj_y=transposed)


def _einsum(call: Call, left: Tensor, right: Tensor, axes: _Axes) -> str:
    letters = iter(ascii_lowercase)
    labels: list[list[str]] = [[""] * len(left.sizes), [""] * len(right.sizes)]
    for pairs in (axes.batch, axes.summed):
        for left_axis, right_axis in zip(*pairs, strict=True):
            labels[0][left_axis] = labels[1][right_axis] = next(letters)
    for label in labels:
        for axis, letter in enumerate(label):
            label[axis] = letter or next(letters)
    batch = [labels[0][axis] for axis in axes.batch[0]]
    shared = {*batch, *(labels[0][axis] for axis in axes.summed[0])}
    free = [letter for label in labels for letter in label if letter not in shared]
    equation = f"{''.join(labels[0])},{''.join(labels[1])}->{''.join((*batch, *free))}"
    return call.nodes.add("Einsum", [left.name, right.name], N=2, T=left.dtype, equation=equation)


def reduce(call: Call) -> Value:
    """The sum, product, smallest or largest value along some axes."""
    match = _REDUCER.search(call.statement.text)
    if match is None or match[1] not in _REDUCERS or len(call.inputs) != 2:
        raise NotOpened("its module reduces in another way than by a sum or a maximum")
    op, neutral = _REDUCERS[match[1]]
    start = call.known(1).array
    if start.dtype.kind == "i" and op in ("Max", "Min"):
        limits = np.iinfo(start.dtype)
        neutral = limits.min if op == "Max" else limits.max
    if start.shape or start != neutral or (start.dtype == np.bool_) != (op in ("All", "Any")):
        raise NotOpened("its reduction starts from another number than nothing gives")
    axes = call.ints("dimensions")
    value = full_along(call.nodes, call.inputs[0], axes)
    if op in ("Max", "Min") and value.dtype.kind == "f":
        # XLA's CPU passes over NaN, see `extreme`.
        is_nan = apply(call, "IsNan", [value], np.dtype(np.bool_))
        value = apply(call, "SelectV2", [is_nan, call.inputs[1], value])
    if any(isinstance(value.sizes[axis], Rows) for axis in axes):
        raise NotOpened("its module reduces along the batch")
    kinds = {} if op in ("All", "Any") else {"T": value.dtype}
    name = call.nodes.add(
        op,
        [value.name, call.nodes.constant(np.array(axes, np.int32))],
        **kinds,
        Tidx=np.dtype(np.int32),
        keep_dims=False,
    )
    sizes, graph_sizes = (
        tuple(size for axis, size in enumerate(of) if axis not in axes)
        for of in (value.sizes, value.graph_sizes)
    )
    return Tensor(name, value.dtype, sizes, graph_sizes)


PRODUCTS: Mapping[str, Translation] = {"dot_general": dot_general, "reduce": reduce}

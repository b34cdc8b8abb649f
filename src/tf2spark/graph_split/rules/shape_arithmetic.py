"""Shape arithmetic: what graphs compute from ``Shape`` to give to ``Reshape`` and the like.

TensorFlow's own layers are full of ``Shape -> StridedSlice -> Pack -> Reshape``. All of these
numbers are known but for the batch, so they are followed as Python integers and `BatchSize`.
A number that can't be followed is None, which is refused only where it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import EllipsisType
from typing import Any

import numpy as np

from tf2spark.conversion.rows import Array
from tf2spark.dtypes import BOOL, DType
from tf2spark.graph_split.forms import (
    BatchSize,
    Const,
    LowerBound,
    NotRowWise,
    ShapeVector,
    Value,
    dims_of,
    sides_of,
)
from tf2spark.saved_model.protos import NodeMessage

Entry = int | BatchSize | LowerBound | None
"""A number of shape arithmetic; None where nothing is known about it."""
IndexEntry = int | slice | EllipsisType | None
"""An entry of a NumPy index; None is a new axis."""
_BinaryOp = Callable[[Entry, Entry], Entry]
_ShapeOp = Callable[..., Any]


def shape_vector_of(value: Value, dtype: DType) -> ShapeVector:
    """Return the shape of a tensor: the batch, then the dimensions of a row."""
    return ShapeVector(_object_array([BatchSize(), *dims_of(value)]), dtype, sides_of(value))


def apply_shape_op(node: NodeMessage, inputs: Sequence[Value], dtype: DType) -> ShapeVector:
    """Apply an op of shape arithmetic, whose result has this dtype.

    Raises:
        NotRowWise: The result depends on the number of rows in a way that can't be followed.
    """
    entries = [_entries_of(value) for value in inputs]
    sides = frozenset().union(*map(sides_of, inputs))
    return ShapeVector(_object_array(SHAPE_OPS[node.op](node, *entries)), dtype, sides)


def is_static(value: ShapeVector) -> bool:
    """Say whether all the numbers are known and none depends on the batch."""
    return all(isinstance(entry, int) for entry in value.values.reshape(-1))


def known_ints(entries: Sequence[Entry]) -> tuple[int, ...] | None:
    """Return entries as integers if all of them are known, else None."""
    known = tuple(entry for entry in entries if isinstance(entry, int))
    return known if len(known) == len(entries) else None


def _entries_of(value: Value) -> Array:
    if isinstance(value, ShapeVector):
        return value.values
    if not isinstance(value, Const):
        raise NotRowWise("it combines the number of rows with their values")
    if value.dtype.is_integer or value.dtype is BOOL:
        return _object_array(value.value.astype(np.int64).tolist())
    # A fraction of the number of rows, rounded later, could be any number.
    return np.full(np.shape(value.value), None, object)


def _object_array(values: Any) -> Array:
    """Return entries, or nested lists of them, as an object array.

    NumPy itself would infer a dtype, or mistake entries for sequences.
    """
    if isinstance(values, np.ndarray):
        return values
    if not isinstance(values, list):
        scalar = np.empty((), object)
        scalar[()] = values
        return scalar
    inner = [_object_array(value) for value in values]
    shape = inner[0].shape if inner else ()
    result = np.empty((len(inner), *shape), object)
    for index, entries in enumerate(inner):
        result[index] = entries if shape else entries[()]
    return result


def _entrywise(function: _BinaryOp) -> _ShapeOp:
    return lambda node, left, right: np.frompyfunc(function, 2, 1)(left, right)


def _multiply(left: Entry, right: Entry) -> Entry:
    if isinstance(left, BatchSize) and isinstance(right, BatchSize):
        # A row would be as long as the batch: then rows can't be independent.
        raise NotRowWise("the number of rows is multiplied by itself")
    if isinstance(right, BatchSize):
        left, right = right, left
    if not isinstance(right, int):
        return None
    if isinstance(left, BatchSize):
        return BatchSize(left.times * right)
    return left * right if isinstance(left, int) else None


def _on_known(function: Callable[[int, int], int]) -> _BinaryOp:
    """Return an op on known integers; any other operand makes its result unknown."""

    def apply(left: Entry, right: Entry) -> Entry:
        known = isinstance(left, int) and isinstance(right, int)
        return function(left, right) if known else None  # type: ignore[arg-type]

    return apply


def _maximum(left: Entry, right: Entry) -> Entry:
    if isinstance(left, int) and isinstance(right, int):
        return max(left, right)
    # A batch may have no rows at all, or more than any constant.
    if isinstance(left, BatchSize) or isinstance(right, BatchSize):
        return None
    # The larger of an unknown number and 10 is at least 10. Sizes are never negative.
    lows = [value.low if isinstance(value, LowerBound) else value for value in (left, right)]
    return LowerBound(max((low for low in lows if low is not None), default=0))


def _minimum(left: Entry, right: Entry) -> Entry:
    """``min(at least 10, 10)  ->  10``, whatever the batch holds."""
    if isinstance(left, LowerBound) and isinstance(right, int) and right <= left.low:
        return right
    if isinstance(right, LowerBound) and isinstance(left, int) and left <= right.low:
        return left
    return _on_known(min)(left, right)


def _floor_divide(left: Entry, right: Entry) -> Entry:
    if isinstance(left, BatchSize) and isinstance(right, int) and right:
        # With a remainder, the quotient isn't a multiple of the batch.
        return None if left.times % right else BatchSize(left.times // right)
    return _on_known(lambda a, b: a // b)(left, right)


def _product(node: NodeMessage, values: Array, axis: Array) -> Array:
    axes = tuple(_require_int(entry) for entry in axis.reshape(-1))
    if not axes:
        return values
    # Object arrays have a product of their own, but it can't multiply a `BatchSize`.
    if values.ndim != 1:
        raise NotRowWise("a product of sizes runs over more than one axis")
    product: Entry = 1
    for entry in values.reshape(-1):
        product = _multiply(product, entry)
    return _object_array([product] if node.attr["keep_dims"].b else product)


def _gather(node: NodeMessage, values: Array, indices: Array, axis: Array) -> Array:
    return np.asarray(np.take(values, _require_ints(indices), axis=_require_int(axis.item())))


def _concat(node: NodeMessage, *arrays: Array) -> Array:
    axis = _require_int(arrays[-1].item())
    return np.concatenate([np.atleast_1d(values) for values in arrays[:-1]], axis=axis)


def _strided_slice(
    node: NodeMessage, values: Array, begin: Array, end: Array, strides: Array
) -> Array:
    result = values[numpy_index(node, list(begin), list(end), list(strides))]
    return _object_array(result)


def numpy_index(
    node: NodeMessage, begin: Sequence[Entry], end: Sequence[Entry], strides: Sequence[Entry]
) -> tuple[IndexEntry, ...]:
    """Return a ``StridedSlice`` as NumPy writes it; the masks are those of ``array_ops.cc``.

    An end that is a multiple of the batch counts as open along axis 0; the caller must check that
    it is the whole axis.

    Raises:
        NotRowWise: Another bound depends on the number of rows.
    """
    masks = {
        name: node.attr[f"{name}_mask"].i
        for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")
    }
    index: list[IndexEntry] = []
    for position, (first, last, step) in enumerate(zip(begin, end, strides, strict=True)):
        bit = 1 << position
        if masks["ellipsis"] & bit:
            index.append(Ellipsis)
        elif masks["new_axis"] & bit:
            index.append(None)
        elif masks["shrink_axis"] & bit:
            index.append(_require_int(first))
        else:
            low = None if masks["begin"] & bit else _require_int(first)
            is_open = masks["end"] & bit or (position == 0 and isinstance(last, BatchSize))
            high = None if is_open else _require_int(last)
            index.append(slice(low, high, _require_int(step)))
    return tuple(index)


def _require_ints(values: Array) -> Array:
    integers = [_require_int(entry) for entry in values.reshape(-1)]
    return np.array(integers, np.int64).reshape(values.shape)


def _require_int(entry: Entry) -> int:
    if not isinstance(entry, int):
        raise NotRowWise("an index or a size depends on the number of rows")
    return entry


def _pack(node: NodeMessage, *arrays: Array) -> Array:
    return np.stack(arrays, axis=node.attr["axis"].i)


def _slice(node: NodeMessage, values: Array, begin: Array, size: Array) -> Array:
    bounds = zip(_require_ints(begin), _require_ints(size), strict=True)
    return values[tuple(slice(at, None if n == -1 else at + n) for at, n in bounds)]


def _squeeze(node: NodeMessage, values: Array) -> Array:
    axes = tuple(node.attr["squeeze_dims"].list.i)
    return np.squeeze(values, axes or None)


def _filled_with(number: int) -> _ShapeOp:
    return lambda node, values: np.full(values.shape, number, object)


SHAPE_OPS: Mapping[str, _ShapeOp] = {
    "Add": _entrywise(_on_known(lambda a, b: a + b)),
    "AddV2": _entrywise(_on_known(lambda a, b: a + b)),
    # To another integer, or by way of floating point, where `_entries_of` forgets fractions.
    "Cast": lambda node, values: values,
    "ConcatV2": _concat,
    "ExpandDims": lambda node, values, axis: np.expand_dims(
        values, _require_int(axis.reshape(-1)[0])
    ),
    "FloorDiv": _entrywise(_floor_divide),
    "GatherV2": _gather,
    "Identity": lambda node, values: values,
    # As the integer 0 or 1: what follows is a `Cast` or a `Select` between sizes.
    "Greater": _entrywise(_on_known(lambda a, b: int(a > b))),
    "Maximum": _entrywise(_maximum),
    "Minimum": _entrywise(_minimum),
    "Mul": _entrywise(_multiply),
    "OnesLike": _filled_with(1),
    "Pack": _pack,
    "Prod": _product,
    "Rank": lambda node, values: values.ndim,
    "Reshape": lambda node, values, shape: values.reshape(_require_ints(shape)),
    # Of the vector of sizes itself: how many axes there are.
    "Shape": lambda node, values: list(values.shape),
    "Size": lambda node, values: values.size,
    "Slice": _slice,
    "Squeeze": _squeeze,
    "StopGradient": lambda node, values: values,
    "StridedSlice": _strided_slice,
    "Sub": _entrywise(_on_known(lambda a, b: a - b)),
    "ZerosLike": _filled_with(0),
}
"""What each op does to entries: a function of the node and of its inputs as object arrays."""

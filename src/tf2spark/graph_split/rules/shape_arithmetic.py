"""Shape arithmetic: what graphs compute from ``Shape`` to give to ``Reshape`` and its like.

TensorFlow's own layers are full of ``Shape -> StridedSlice -> Pack -> Reshape``. The numbers are
known but for the batch, so that they are carried as integers and `Batch`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tf2spark.dtypes import BOOL, DType
from tf2spark.graph_split.forms import (
    Array,
    AtLeast,
    Batch,
    Const,
    NotRowWise,
    Sizes,
    Value,
    dims_of,
    sides_of,
)


def shape_of(value: Value, dtype: DType) -> Sizes:
    """Return the shape of a tensor: the batch, then the dimensions of a row."""
    return Sizes(_objects([Batch(), *dims_of(value)]), dtype, sides_of(value))


def computed(node: Any, inputs: Sequence[Value], dtype: DType) -> Sizes:
    """Apply an op of shape arithmetic, whose result has this dtype.

    Raises:
        NotRowWise: What comes out depends on the number of rows in another way.
    """
    arrays = [_array(one) for one in inputs]
    sides = frozenset().union(*map(sides_of, inputs))
    return Sizes(_objects(OPS[node.op](node, *arrays)), dtype, sides)


def is_static(value: Sizes) -> bool:
    """Say whether all the numbers are known and none depends on the batch."""
    return all(isinstance(one, int) for one in value.values.reshape(-1))


def _array(value: Value) -> Array:
    if isinstance(value, Sizes):
        return value.values
    if not isinstance(value, Const):
        raise NotRowWise("the number of rows meets their values")
    if value.dtype.is_integer or value.dtype is BOOL:
        return _objects(value.value.astype(np.int64).tolist())
    # A fraction of the number of rows: nothing is known of it.
    return np.full(np.shape(value.value), None, object)


def _objects(values: Any) -> Array:
    if not isinstance(values, list):
        if isinstance(values, np.ndarray):
            return values
        made = np.empty((), object)
        made[()] = values
        return made
    inner = [_objects(one) for one in values]
    shape = inner[0].shape if inner else ()
    made = np.empty((len(inner), *shape), object)
    for place, one in enumerate(inner):
        made[place] = one if shape else one[()]
    return made


def _each(function: Callable[[Any, Any], Any]) -> Callable[..., Array]:
    return lambda node, one, other: np.frompyfunc(function, 2, 1)(one, other)


def _times(one: Any, other: Any) -> Any:
    if one is None or other is None or isinstance(one, AtLeast) or isinstance(other, AtLeast):
        return None
    if isinstance(one, Batch) and isinstance(other, Batch):
        raise NotRowWise("the number of rows is multiplied by itself")
    if isinstance(other, Batch):
        one, other = other, one
    return Batch(one.times * other) if isinstance(one, Batch) else one * other


def _numbers(function: Callable[[int, int], int]) -> Callable[[Any, Any], Any]:
    def on(one: Any, other: Any) -> Any:
        if isinstance(one, Batch) or isinstance(other, Batch):
            # Nothing is known of it; what needs the number says so.
            return None
        if one is None or other is None or isinstance(one, AtLeast) or isinstance(other, AtLeast):
            return None
        return function(one, other)

    return on


def _larger(one: Any, other: Any) -> Any:
    if isinstance(one, int) and isinstance(other, int):
        return max(one, other)
    if isinstance(one, Batch) or isinstance(other, Batch):
        return None
    known = [each.low if isinstance(each, AtLeast) else each for each in (one, other)]
    return AtLeast(max((each for each in known if each is not None), default=0))


def _smaller(one: Any, other: Any) -> Any:
    """Return a bound that holds whatever the batch holds: ``min(max(ids) or 10, 10)`` is 10."""
    if isinstance(one, AtLeast) and isinstance(other, int) and other <= one.low:
        return other
    if isinstance(other, AtLeast) and isinstance(one, int) and one <= other.low:
        return one
    return _numbers(min)(one, other)


def _over(one: Any, other: Any) -> Any:
    if isinstance(one, Batch) and isinstance(other, int) and other and one.times % other == 0:
        return Batch(one.times // other)
    return _numbers(lambda a, b: a // b)(one, other)


def _prod(node: Any, values: Array, axis: Array) -> Array:
    axes = tuple(_bound(one) for one in axis.reshape(-1))
    if not axes:
        return values
    if values.ndim != 1:
        raise NotRowWise("a product of shapes runs over more than one axis")
    product: Any = 1
    for one in values.reshape(-1):
        product = _times(product, one)
    return _objects([product] if node.attr["keep_dims"].b else product)


def _gathered(node: Any, values: Array, indices: Array, axis: Array) -> Array:
    found: Array = np.take(values, _places(indices), axis=_bound(axis[()]))
    return found


def _joined(node: Any, *arrays: Array) -> Array:
    axis = _bound(arrays[-1][()])
    return np.concatenate([np.atleast_1d(one) for one in arrays[:-1]], axis=axis)


def _sliced(node: Any, values: Array, begin: Array, end: Array, strides: Array) -> Array:
    index = slice_index(node, begin, end, strides)
    return np.asarray(values[index], object) if values[index] is not None else _objects(None)


def slice_index(node: Any, begin: Array, end: Array, strides: Array) -> tuple[Any, ...]:
    """Return a ``StridedSlice`` as NumPy writes it; the masks are those of ``array_ops.cc``.

    Raises:
        NotRowWise: A bound depends on the number of rows.
    """
    masks = {
        name: node.attr[f"{name}_mask"].i
        for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")
    }
    index: list[Any] = []
    for place, (first, last, step) in enumerate(zip(begin, end, strides, strict=True)):
        bit = 1 << place
        if masks["ellipsis"] & bit:
            index.append(Ellipsis)
        elif masks["new_axis"] & bit:
            index.append(None)
        elif masks["shrink_axis"] & bit:
            index.append(_bound(first))
        else:
            low = None if masks["begin"] & bit else _bound(first)
            whole = masks["end"] & bit or (place == 0 and isinstance(last, Batch))
            high = None if whole else _bound(last)
            index.append(slice(low, high, _bound(step)))
    return tuple(index)


def _places(values: Array) -> Array:
    return np.array([_bound(one) for one in values.reshape(-1)], np.int64).reshape(values.shape)


def _bound(value: Any) -> int:
    if not isinstance(value, int):
        raise NotRowWise("a slice is cut by the number of rows")
    return value


def _packed(node: Any, *arrays: Array) -> Array:
    return np.stack(arrays, axis=node.attr["axis"].i)


def _cut(node: Any, values: Array, begin: Array, size: Array) -> Array:
    bounds = zip(_places(begin), _places(size), strict=True)
    return values[tuple(slice(at, None if n == -1 else at + n) for at, n in bounds)]


def _squeezed(node: Any, values: Array) -> Array:
    axes = tuple(node.attr["squeeze_dims"].list.i)
    return np.squeeze(values, axes or None)


def _filled(number: int) -> Callable[..., Array]:
    return lambda node, values: np.full(values.shape, number, object)


OPS: Mapping[str, Callable[..., Any]] = {
    "Add": _each(_numbers(lambda a, b: a + b)),
    "AddV2": _each(_numbers(lambda a, b: a + b)),
    "Cast": lambda node, values: values,
    "ConcatV2": _joined,
    "ExpandDims": lambda node, values, axis: np.expand_dims(values, _bound(axis.reshape(-1)[0])),
    "FloorDiv": _each(_over),
    "GatherV2": _gathered,
    "Identity": lambda node, values: values,
    "Greater": _each(_numbers(lambda a, b: int(a > b))),
    "Maximum": _each(_larger),
    "Minimum": _each(_smaller),
    "Mul": _each(_times),
    "OnesLike": _filled(1),
    "Pack": _packed,
    "Prod": _prod,
    "Rank": lambda node, values: values.ndim,
    "Reshape": lambda node, values, shape: values.reshape(_places(shape)),
    "Shape": lambda node, values: list(values.shape),
    "Size": lambda node, values: values.size,
    "Slice": _cut,
    "Squeeze": _squeezed,
    "StopGradient": lambda node, values: values,
    "StridedSlice": _sliced,
    "Sub": _each(_numbers(lambda a, b: a - b)),
    "ZerosLike": _filled(0),
}
"""What each op does to integers, some of which are `Batch` or None."""

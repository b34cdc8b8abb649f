"""Translations of ops that lay values out: shapes, broadcasts, slices, concatenations."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from math import prod

import numpy as np

from tf2spark.compile.stablehlo.call import Call, Translation
from tf2spark.compile.stablehlo.literals import dtype_of, literal
from tf2spark.compile.stablehlo.module_text import NotOpened
from tf2spark.compile.stablehlo.values import (
    MAX_KNOWN,
    Known,
    Rows,
    Size,
    Sizes,
    Tensor,
    Value,
    as_tensor,
    in_full,
    reshaped,
)

_INT32 = np.dtype(np.int32)
_BOUNDS = re.compile(r"(\d+):(\d+)(?::(\d+))?")


def constant(call: Call) -> Value:
    """A constant."""
    return Known(literal(call.statement.text, call.kind))


def iota(call: Call) -> Value:
    """Positions along an axis."""
    sizes = [size or 0 for size in call.kind.sizes]
    (axis,) = call.ints("dim")
    call.nodes.check_size(sizes)
    positions = np.arange(sizes[axis], dtype=dtype_of(call.kind))
    shape = [size if index == axis else 1 for index, size in enumerate(sizes)]
    call.static_sizes()
    return Known(np.broadcast_to(positions.reshape(shape), sizes))


def dynamic_iota(call: Call) -> Value:
    """Positions along an axis of a value as long as the batch."""
    sizes, (axis,) = call.sizes_from(0), call.ints("dim")
    length = sizes[axis]
    if isinstance(length, Rows):
        return _row_numbers(call, length, sizes)
    call.nodes.check_size([length])
    positions = np.arange(length, dtype=dtype_of(call.kind))
    graph_sizes = tuple(length if index == axis else 1 for index in range(len(sizes)))
    name = call.nodes.constant(positions.reshape(graph_sizes))
    return Tensor(name, positions.dtype, sizes, graph_sizes)


def _row_numbers(call: Call, length: Rows, sizes: Sizes) -> Tensor:
    """Positions of rows: `x[jnp.arange(len(x)), last]` looks up each row in itself."""
    dtype = dtype_of(call.kind)
    if sizes != (Rows(),) or dtype != _INT32:
        raise NotOpened("its module numbers the rows of the batch")
    ends = [call.nodes.constant(np.int32(0)), call.nodes.size(length)]
    name = call.nodes.add("Range", [*ends, call.nodes.constant(np.int32(1))], Tidx=_INT32)
    call.nodes.row_numbers.add(name)
    return Tensor(name, dtype, sizes, sizes)


def dimension_size(call: Call) -> Value:
    """A size of a value, which may be the number of rows."""
    (axis,) = call.ints("dim")
    size = call.inputs[0].sizes[axis]
    if isinstance(size, int):
        return Known(np.array(size, np.int32))
    value = np.empty((), object)
    value[()] = size
    return Known(value)


def broadcast(call: Call) -> Value:
    """Spread a value over new axes; the graph does so where it is used."""
    return _broadcast(call, call.static_sizes())


def dynamic_broadcast(call: Call) -> Value:
    """Spread a value over new axes, of which one may be the batch."""
    return _broadcast(call, call.sizes_from(1))


def _broadcast(call: Call, sizes: Sizes) -> Value:
    value, axes = call.inputs[0], call.ints("dims")
    if list(axes) != sorted(set(axes)) or len(axes) != len(value.sizes):
        raise NotOpened("its module broadcasts and transposes at once")
    known_sizes = [size for size in sizes if isinstance(size, int)]
    if (
        isinstance(value, Known)
        and len(known_sizes) == len(sizes)
        and _is_small(value, known_sizes)
    ):
        return Known(np.broadcast_to(_spread(value, axes, len(sizes)), known_sizes))
    tensor = _number_of_rows(call, value) or as_tensor(call.nodes, value)
    if not tensor.graph_sizes:  # one number stands for all places, however many there are
        return Tensor(tensor.name, tensor.dtype, sizes, ())
    graph_sizes: list[Size] = [1] * len(sizes)
    for axis, size in zip(axes, tensor.graph_sizes, strict=True):
        graph_sizes[axis] = size
    return reshaped(call.nodes, tensor, tuple(graph_sizes), sizes)


def _number_of_rows(call: Call, value: Value) -> Tensor | None:
    """Return a tensor for the number of rows, which negative positions are added to."""
    if not isinstance(value, Known) or value.sizes or value.array.dtype != object:
        return None
    name = call.nodes.size(value.array.item())
    call.nodes.row_counts.add(name)
    return Tensor(name, value.dtype, (), ())


def _is_small(value: Known, sizes: Sequence[int]) -> bool:
    """Say whether a value can be spread here; a larger one is spread where it is used."""
    return not any(value.array.strides) or prod(sizes) <= max(MAX_KNOWN, value.array.size)


def _spread(value: Known, axes: Sequence[int], rank: int) -> np.ndarray[tuple[int, ...], np.dtype]:
    shape = [1] * rank
    for axis, size in zip(axes, value.array.shape, strict=True):
        shape[axis] = size
    return value.array.reshape(shape)


def reshape(call: Call) -> Value:
    """Other sizes, the same values."""
    value, sizes = call.inputs[0], call.static_sizes()
    if isinstance(value, Known):
        call.nodes.check_size(value.array.shape)
        return Known(value.array.reshape([size for size in sizes if isinstance(size, int)]))
    return _reshaped(call, value, sizes)


def dynamic_reshape(call: Call) -> Value:
    """Other sizes, of which one may be the batch."""
    return _reshaped(call, as_tensor(call.nodes, call.inputs[0]), call.sizes_from(1))


def _reshaped(call: Call, tensor: Tensor, sizes: Sizes) -> Tensor:
    if not tensor.graph_sizes:
        return Tensor(tensor.name, tensor.dtype, sizes, ())
    return reshaped(call.nodes, in_full(call.nodes, tensor), sizes, sizes)


def transpose(call: Call) -> Value:
    """Another order of axes."""
    value, order = call.inputs[0], call.ints("dims")
    if isinstance(value, Known):
        return Known(value.array.transpose(order))
    return transposed(call, value, order)


def transposed(call: Call, value: Tensor, order: Sequence[int]) -> Tensor:
    """Return a tensor with its axes in another order."""
    if list(order) == list(range(len(order))):
        return value
    sizes = tuple(value.sizes[axis] for axis in order)
    if not value.graph_sizes:
        return Tensor(value.name, value.dtype, sizes, ())
    graph_sizes = tuple(value.graph_sizes[axis] for axis in order)
    permutation = call.nodes.constant(np.array(order, np.int32))
    kinds = {"T": value.dtype, "Tperm": _INT32}
    name = call.nodes.add("Transpose", [value.name, permutation], **kinds)
    return Tensor(name, value.dtype, sizes, graph_sizes)


def concatenate(call: Call) -> Value:
    """Values side by side."""
    (axis,) = call.ints("dim")
    return joined(call, call.inputs, axis)


def joined(call: Call, values: Sequence[Value], axis: int) -> Value:
    """Return values side by side along an axis."""
    arrays = [value.array for value in values if isinstance(value, Known)]
    if len(arrays) == len(values):
        call.nodes.check_size([sum(array.size for array in arrays)])
        return Known(np.concatenate(arrays, axis))
    tensors = [in_full(call.nodes, value, values) for value in values]
    if len(tensors) == 1:
        return tensors[0]
    widths = [tensor.sizes[axis] for tensor in tensors]
    if any(isinstance(width, Rows) for width in widths):
        raise NotOpened("its module concatenates along the batch")
    sizes = list(tensors[0].sizes)
    sizes[axis] = sum(width for width in widths if isinstance(width, int))
    names = [*(tensor.name for tensor in tensors), call.nodes.constant(np.int32(axis))]
    kinds = {"T": tensors[0].dtype, "Tidx": _INT32}
    name = call.nodes.add("ConcatV2", names, N=len(tensors), **kinds)
    call.nodes.joined[name] = axis, tensors
    return Tensor(name, tensors[0].dtype, tuple(sizes), tuple(sizes))


def slice_(call: Call) -> Value:
    """A part of a value, whose bounds the module states."""
    text = call.statement.text
    bounds = [
        (int(start), int(end), int(step or 1))
        for start, end, step in _BOUNDS.findall(text[text.find("[") :])
    ]
    return sliced(call, call.inputs[0], bounds)


def real_dynamic_slice(call: Call) -> Value:
    """A part of a value, whose bounds the module computes."""
    starts, ends, steps = (call.sizes_from(index) for index in (1, 2, 3))
    return sliced(call, call.inputs[0], list(zip(starts, ends, steps, strict=True)))


def dynamic_slice(call: Call) -> Value:
    """A part of fixed size from positions that are known; they are moved so that it fits."""
    widths, sizes = call.ints("sizes"), call.inputs[0].sizes
    bounds: list[tuple[Size, Size, Size]] = []
    for index, (width, size) in enumerate(zip(widths, sizes, strict=True)):
        (start,) = call.sizes_from(index + 1)
        if not isinstance(start, int) or not isinstance(size, int):
            raise NotOpened("its module slices the batch")
        start = max(0, min(start, size - width))
        bounds.append((start, start + width, 1))
    return sliced(call, call.inputs[0], bounds)


def sliced(call: Call, value: Value, bounds: Sequence[tuple[Size, Size, Size]]) -> Value:
    """Return a part of a value, given the start, end and step along each axis."""
    if len(bounds) != len(value.sizes):
        raise NotOpened("a slice of its module is in another form")
    sizes: list[Size] = []
    graph_sizes: list[Size] = []
    slices: list[slice] = []
    spread = isinstance(value, Tensor) and value.graph_sizes
    for axis, (size, (start, end, step)) in enumerate(zip(value.sizes, bounds, strict=True)):
        if start == 0 and end == size and step == 1:
            part, width = slice(None), size
        elif isinstance(start, int) and isinstance(end, int) and isinstance(step, int):
            if isinstance(size, Rows) or not 0 <= start <= end <= size or step < 1:
                raise NotOpened("its module slices the batch")
            part, width = slice(start, end, step), len(range(start, end, step))
        else:
            raise NotOpened("its module slices the batch")
        whole = spread and spread[axis] == 1 != size
        slices.append(slice(None) if whole else part)
        sizes.append(width)
        graph_sizes.append(1 if whole else width)
    if isinstance(value, Known):
        return Known(value.array[tuple(slices)])
    if not value.graph_sizes:
        return Tensor(value.name, value.dtype, tuple(sizes), ())
    if all(part == slice(None) for part in slices):
        return Tensor(value.name, value.dtype, tuple(sizes), value.graph_sizes)
    name = strided_slice(call, value, slices)
    return Tensor(name, value.dtype, tuple(sizes), tuple(graph_sizes))


def strided_slice(call: Call, tensor: Tensor, parts: Sequence[slice], removed: int = 0) -> str:
    """Add a slice of a tensor; the axes of the mask `removed` are those of size 1 that go."""
    whole = sum(1 << axis for axis, part in enumerate(parts) if part == slice(None))
    numbers = [[part.start or 0 for part in parts], [part.stop or 0 for part in parts]]
    numbers.append([part.step or 1 for part in parts])
    return call.nodes.add(
        "StridedSlice",
        [tensor.name, *(call.nodes.constant(np.array(row, np.int32)) for row in numbers)],
        T=tensor.dtype,
        Index=_INT32,
        begin_mask=whole,
        end_mask=whole,
        shrink_axis_mask=removed,
    )


LAYOUT: Mapping[str, Translation] = {
    "broadcast_in_dim": broadcast,
    "concatenate": concatenate,
    "constant": constant,
    "dynamic_broadcast_in_dim": dynamic_broadcast,
    "dynamic_iota": dynamic_iota,
    "dynamic_reshape": dynamic_reshape,
    "dynamic_slice": dynamic_slice,
    "get_dimension_size": dimension_size,
    "iota": iota,
    "real_dynamic_slice": real_dynamic_slice,
    "reshape": reshape,
    "slice": slice_,
    "transpose": transpose,
}

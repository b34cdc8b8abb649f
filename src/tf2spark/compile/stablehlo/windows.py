"""Translations of sums over windows, of counting, and of ops that move values along an axis."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from tf2spark.compile.stablehlo.call import Call, Translation
from tf2spark.compile.stablehlo.layout import joined, sliced
from tf2spark.compile.stablehlo.module_text import NotOpened
from tf2spark.compile.stablehlo.values import Known, Rows, Size, Tensor, Value, as_tensor, in_full

_INT32 = np.dtype(np.int32)
_PADDING = re.compile(r"\bpadding = dense<([^>]*)>")
_NUMBER = re.compile(r"-?\d+")


def reduce_window(call: Call) -> Value:
    """``jnp.cumsum``: the sum of all values up to a position, along one axis."""
    axis, is_reversed = _cumulative(call)
    value = call.inputs[0]
    if isinstance(value, Known) and value.array.dtype.kind == "i" and not is_reversed:
        call.nodes.check_size(value.array.shape)
        return Known(value.array.cumsum(axis, value.array.dtype))
    tensor = in_full(call.nodes, value)
    name = call.nodes.add(
        "Cumsum",
        [tensor.name, call.nodes.constant(np.int32(axis))],
        T=tensor.dtype,
        Tidx=_INT32,
        exclusive=False,
        reverse=is_reversed,
    )
    return Tensor(name, tensor.dtype, tensor.sizes, tensor.sizes)


def _cumulative(call: Call) -> tuple[int, bool]:
    """Return the axis, and whether the sum begins at its end."""
    sizes, windows = call.inputs[0].sizes, call.ints("window_dimensions")
    others = ("window_strides", "base_dilations", "window_dilations")
    is_plain = len(windows) == len(sizes) and not any(set(call.ints(key)) - {1} for key in others)
    axes = [axis for axis, width in enumerate(windows) if width != 1]
    if is_plain and len(axes) == 1 and windows[axes[0]] == sizes[axes[0]] and _adds(call):
        before = [windows[axes[0]] - 1, 0]
        for is_reversed, padding in enumerate((before, before[::-1])):
            if _padding(call) == [
                padding if axis in axes else [0, 0] for axis in range(len(sizes))
            ]:
                return axes[0], bool(is_reversed)
    raise NotOpened("its module sums over windows in another way than `cumsum` does")


def _padding(call: Call) -> list[list[int]]:
    match = _PADDING.search(call.statement.text)
    numbers = [int(number) for number in _NUMBER.findall(match[1])] if match else []
    if len(numbers) == 1:
        numbers *= 2 * len(call.inputs[0].sizes)
    return [numbers[start : start + 2] for start in range(0, len(numbers), 2)]


def _adds(call: Call) -> bool:
    """Say whether the code of an op adds its two values, starting from nothing."""
    (region,) = call.statement.regions
    start = call.inputs[1]
    if call.statement.op == "reduce_window" and (not isinstance(start, Known) or start.array.any()):
        return False
    return (
        len(region.statements) == 1
        and region.statements[0].op == "add"
        and set(region.statements[0].operands) == set(region.parameters)
        and region.returned == (region.statements[0].result,)
    )


def scatter(call: Call) -> Value:
    """Numbers that are counted into known places, as `jnp.triu_indices` does under `jax.jit`."""
    values = [value.array for value in call.inputs if isinstance(value, Known)]
    is_vector = (
        len(values) == 3
        and [value.ndim for value in values] == [1, 2, 1]
        and all(value.dtype.kind == "i" for value in values)
        and call.ints("inserted_window_dims") == call.ints("scatter_dims_to_operand_dims") == (0,)
        and call.ints("index_vector_dim") == (1,)
        and values[1].shape[1] == 1
    )
    if not is_vector or not _adds(call):
        raise NotOpened("its module has the op scatter, which is translated for counting only")
    target, places, added = values
    call.nodes.check_size([target.size + added.size])
    inside = (places[:, 0] >= 0) & (places[:, 0] < target.size)  # XLA passes over others
    result = target.copy()
    np.add.at(result, places[inside, 0], added[inside])
    return Known(result)


def pad(call: Call) -> Value:
    """A number before and after the values along some axes."""
    low, high, between = (call.ints(key) for key in ("low", "high", "interior"))
    tensor = in_full(call.nodes, call.inputs[0])
    filling = as_tensor(call.nodes, call.inputs[1])
    sizes: list[Size] = []
    for size, before, after in zip(tensor.sizes, low, high, strict=True):
        if isinstance(size, Rows) and before == after == 0:
            sizes.append(size)
        elif isinstance(size, int) and before >= 0 and after >= 0:
            sizes.append(before + size + after)
        else:
            raise NotOpened("its module pads the batch, or by less than nothing")
    if any(between) or len(between) != len(sizes):
        raise NotOpened("its module pads between values")
    paddings = call.nodes.constant(np.array([low, high], np.int32).T)
    kinds = {"T": tensor.dtype, "Tpaddings": _INT32}
    name = call.nodes.add("PadV2", [tensor.name, paddings, filling.name], **kinds)
    return Tensor(name, tensor.dtype, tuple(sizes), tuple(sizes))


def reverse(call: Call) -> Value:
    """The other way round along some axes."""
    axes, value = call.ints("dims"), call.inputs[0]
    if isinstance(value, Known):
        return Known(np.flip(value.array, axes))
    if any(isinstance(value.sizes[axis], Rows) for axis in axes):
        raise NotOpened("its module reverses the batch")
    tensor = in_full(call.nodes, value)
    kinds = {"T": tensor.dtype, "Tidx": _INT32}
    order = call.nodes.constant(np.array(axes, np.int32))
    name = call.nodes.add("ReverseV2", [tensor.name, order], **kinds)
    return Tensor(name, tensor.dtype, tensor.sizes, tensor.sizes)


def dynamic_update_slice(call: Call) -> Value:
    """A value with a part replaced, at a position that is known and moved so that the part fits."""
    value, update = call.inputs[:2]
    replaced = [axis for axis, size in enumerate(update.sizes) if size != value.sizes[axis]]
    if not replaced:
        return update
    (axis,) = replaced if len(replaced) == 1 else (-1,)
    size, width = value.sizes[axis], update.sizes[axis]
    if axis < 0 or isinstance(size, Rows) or isinstance(width, Rows):
        raise NotOpened("its module replaces parts of the batch, or along several axes")
    (start,) = call.sizes_from(2 + axis)
    if isinstance(start, Rows):
        raise NotOpened("its module replaces parts of the batch, or along several axes")
    start = max(0, min(start, size - width))
    parts = [_between(call, value, axis, 0, start), update]
    parts.append(_between(call, value, axis, start + width, size))
    return joined(call, [part for part in parts if part.sizes[axis]], axis)


def _between(call: Call, value: Value, axis: int, start: int, end: int) -> Value:
    bounds: list[tuple[Size, Size, Size]] = [(0, size, 1) for size in value.sizes]
    bounds[axis] = (start, end, 1)
    return sliced(call, value, bounds)


WINDOWS: Mapping[str, Translation] = {
    "dynamic_update_slice": dynamic_update_slice,
    "pad": pad,
    "reduce_window": reduce_window,
    "reverse": reverse,
    "scatter": scatter,
}

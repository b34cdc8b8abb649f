"""Translations of ops that work value by value."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tf2spark.compile.stablehlo.call import Call, Translation
from tf2spark.compile.stablehlo.literals import Array, dtype_of
from tf2spark.compile.stablehlo.module_text import NotOpened
from tf2spark.compile.stablehlo.values import (
    Known,
    Rows,
    Sizes,
    Tensor,
    Value,
    as_tensor,
    known,
)

_COMPARISONS = {
    "EQ": ("Equal", np.equal),
    "NE": ("NotEqual", np.not_equal),
    "GE": ("GreaterEqual", np.greater_equal),
    "GT": ("Greater", np.greater),
    "LE": ("LessEqual", np.less_equal),
    "LT": ("Less", np.less),
}
# What integers and booleans may go through; they are computed here where all are known.
_OF_INTEGERS: Mapping[str, tuple[str, Callable[..., Any]]] = {
    "add": ("AddV2", np.add),
    "maximum": ("Maximum", np.maximum),
    "minimum": ("Minimum", np.minimum),
    "multiply": ("Mul", np.multiply),
    "negate": ("Neg", np.negative),
    "subtract": ("Sub", np.subtract),
}
_NEUTRAL = {"add": 0, "multiply": 1}
_FIRST_UNLESS = {"maximum": "Less", "minimum": "Greater"}
_OF_BOOLEANS = {
    "and": ("LogicalAnd", np.logical_and),
    "not": ("LogicalNot", np.logical_not),
    "or": ("LogicalOr", np.logical_or),
    "xor": ("NotEqual", np.not_equal),
}
_DIVISIONS = ("divide", "remainder")
_OF_INTEGERS_TOO: Mapping[str, tuple[str, Callable[..., Any]]] = {
    "abs": ("Abs", np.abs),
    "divide": ("TruncateDiv", lambda left, right: (left - np.fmod(left, right)) // right),
    "remainder": ("TruncateMod", np.fmod),
    "sign": ("Sign", np.sign),
}
_OF_FLOATS = {
    "abs": "Abs",
    "ceil": "Ceil",
    "cosine": "Cos",
    "divide": "RealDiv",
    "exponential": "Exp",
    "exponential_minus_one": "Expm1",
    "floor": "Floor",
    "log": "Log",
    "log_plus_one": "Log1p",
    "logistic": "Sigmoid",
    "power": "Pow",
    "remainder": "TruncateMod",
    "round_nearest_even": "Rint",
    "rsqrt": "Rsqrt",
    "sign": "Sign",
    "sine": "Sin",
    "sqrt": "Sqrt",
    "tanh": "Tanh",
}


def apply(
    call: Call, op: str, inputs: Sequence[Value], dtype: np.dtype[Any] | None = None
) -> Tensor:
    """Add a node that works value by value; TensorFlow broadcasts its inputs.

    Args:
        call: The statement.
        op: TensorFlow's op.
        inputs: Its inputs; a number stands for all places.
        dtype: The dtype of the result, if it isn't that of the last input.
    """
    tensors = [as_tensor(call.nodes, value) for value in inputs]
    sizes = max((tensor.sizes for tensor in tensors), key=len)
    if any(tensor.sizes not in ((), sizes) for tensor in tensors):
        raise NotOpened(f"its {call.statement.op} is of values of different sizes")
    kinds = {} if op.startswith("Logical") else {"T": tensors[-1].dtype}
    name = call.nodes.add(op, [tensor.name for tensor in tensors], **kinds)
    shapes = [tensor.graph_sizes for tensor in tensors]
    return Tensor(name, dtype or tensors[-1].dtype, sizes, _broadcast(shapes))


def _broadcast(shapes: Sequence[Sizes]) -> Sizes:
    full = [shape for shape in shapes if shape]
    return tuple(next((size for size in axis if size != 1), 1) for axis in zip(*full, strict=True))


def _computed(call: Call, function: Callable[..., Any], kinds: str = "ib") -> Known | None:
    """Return the result where all inputs are known, of kinds that are computed exactly here."""
    arrays = [value.array for value in call.inputs if isinstance(value, Known)]
    if len(arrays) < len(call.inputs) or any(array.dtype.kind not in kinds for array in arrays):
        return None
    call.nodes.check_size(arrays[-1].shape)
    with np.errstate(over="ignore"):  # integers wrap around, in XLA as well
        return known(np.asarray(function(*arrays)), dtype_of(call.kind))


def _of_numbers(name: str) -> Translation:
    op, function = _OF_INTEGERS[name]

    def translate(call: Call) -> Value:
        dtype = dtype_of(call.kind)
        if dtype == np.bool_:
            raise NotOpened(f"its {name} is of booleans")
        if name == "multiply" and any(_has_rows(value) for value in call.inputs):
            return _times(call)
        if name in _FIRST_UNLESS and dtype.kind == "f":
            return extreme(call, name, *call.inputs)
        # Sizes are added and subtracted in loops over parts of a batch.
        kinds = "ibO" if name in ("add", "subtract") else "ib"
        return (
            _computed(call, function, kinds)
            or _unchanged(call, name)
            or apply(call, op, call.inputs)
        )

    return translate


def _unchanged(call: Call, name: str) -> Value | None:
    """Return an integer that is multiplied by 1 or to which 0 is added, as `jnp.arange` does."""
    if name not in _NEUTRAL:
        return None
    for value, other in (call.inputs, call.inputs[::-1]):
        number = constant_of(call, other)
        is_neutral = number is not None and (number == _NEUTRAL[name]).all()
        if is_neutral and isinstance(value, Tensor) and value.name in call.nodes.row_numbers:
            return value
    return None


def constant_of(call: Call, value: Value) -> Array | None:
    """Return the numbers of a constant."""
    if isinstance(value, Known):
        return value.array
    return call.nodes.constants.get(value.name)


def extreme(call: Call, name: str, left: Value, right: Value) -> Tensor:
    """Add a maximum or minimum, which for XLA's CPU is the first value, unless it is beaten.

    So NaN wins on the left and loses on the right, where XLA puts constants. TensorFlow's own op
    gives NaN for both.
    """
    sides = [as_tensor(call.nodes, value) for value in (left, right)]
    constants = [side.name in call.nodes.constants for side in sides]
    if sides[0].dtype.kind != "f" or any(constants):
        return apply(call, _OF_INTEGERS[name][0], sides)
    beaten = apply(call, _FIRST_UNLESS[name], sides, np.dtype(np.bool_))
    return apply(call, "SelectV2", [beaten, sides[1], sides[0]])


def _has_rows(value: Value) -> bool:
    return isinstance(value, Known) and value.array.dtype == object


def _times(call: Call) -> Known:
    """A multiple of the number of rows."""
    left, right = (call.sizes_from(index) for index in range(2))
    if len(left) != 1 or len(right) != 1:
        raise NotOpened("its module multiplies shapes")
    match left[0], right[0]:
        case (Rows(times), int(number)) | (int(number), Rows(times)) if number > 0:
            return Known(np.array([Rows(times * number)], object).reshape(call.inputs[0].sizes))
    raise NotOpened("its module multiplies the number of rows with itself")


def _of_booleans(name: str) -> Translation:
    op, function = _OF_BOOLEANS[name]

    def translate(call: Call) -> Value:
        if call.kind.element != "i1":
            raise NotOpened(f"its {name} is of integers")
        return _computed(call, function) or apply(call, op, call.inputs)

    return translate


def _of_floats(name: str) -> Translation:
    def translate(call: Call) -> Value:
        if dtype_of(call.kind).kind == "f":
            return apply(call, _OF_FLOATS[name], call.inputs)
        if name not in _OF_INTEGERS_TOO or dtype_of(call.kind) == np.bool_:
            raise NotOpened(f"its {name} is of integers")
        if name in _DIVISIONS:
            _check_divisor(call)
        op, function = _OF_INTEGERS_TOO[name]
        return _computed(call, function) or apply(call, op, call.inputs)

    return translate


def _check_divisor(call: Call) -> None:
    """Refuse a division by zero, or by -1: XLA and TensorFlow have results of their own."""
    divisor = call.inputs[1]
    if isinstance(divisor, Known):
        divisor.check_numbers()
    numbers = constant_of(call, divisor)
    if numbers is None or not (numbers > 0).all():
        raise NotOpened(f"its {call.statement.op} is by an integer that may be zero or less")


def compare(call: Call) -> Value:
    """Compare two values; the order of all bits (TOTALORDER) isn't TensorFlow's."""
    words = call.statement.text.replace(",", " ").split()
    if "TOTALORDER" in words or not words or words[0] not in _COMPARISONS:
        raise NotOpened("its module compares in an order that TensorFlow doesn't have")
    op, function = _COMPARISONS[words[0]]
    computed = _computed(call, function, "ibf") or _below_zero(call, words[0])
    return computed or apply(call, op, call.inputs, np.dtype(np.bool_))


def _below_zero(call: Call, comparison: str) -> Tensor | None:
    """Return that positions of rows aren't negative, which JAX asks of all positions."""
    value, other = call.inputs
    zero = constant_of(call, other)
    if not isinstance(value, Tensor) or value.name not in call.nodes.row_numbers:
        return None
    if comparison != "LT" or zero is None or zero.dtype.kind != "i" or (zero > 0).any():
        return None
    return Tensor(call.nodes.constant(np.bool_(False)), np.dtype(np.bool_), value.sizes, ())


def select(call: Call) -> Value:
    """Take one of two values for each place."""
    chosen = constant_of(call, call.inputs[0])
    if chosen is not None and not chosen.any() and call.inputs[2].sizes == call.inputs[0].sizes:
        return call.inputs[2]
    return _computed(call, np.where, "ibfO") or apply(call, "SelectV2", call.inputs)


def clamp(call: Call) -> Value:
    """Bounds from below and above; the lower one comes first where they cross."""
    low, value, high = call.inputs
    computed = _computed(call, lambda least, of, most: np.minimum(np.maximum(least, of), most))
    return computed or extreme(call, "minimum", extreme(call, "maximum", low, value), high)


def convert(call: Call) -> Value:
    """Change the dtype; from floats to integers XLA has rules of its own."""
    value, target = call.inputs[0], dtype_of(call.kind)
    if value.dtype == target or _has_rows(value):
        return value
    if value.dtype.kind == "f" and target.kind != "f":
        raise NotOpened("its module converts floats to integers, which XLA does by its own rules")
    if isinstance(value, Known):
        array = value.array
        if array.size and not any(array.strides):
            return Known(np.broadcast_to(array.reshape(-1)[0].astype(target), array.shape))
        return Known(array.astype(target))
    name = call.nodes.add("Cast", [value.name], SrcT=value.dtype, DstT=target)
    return Tensor(name, target, value.sizes, value.graph_sizes)


def is_finite(call: Call) -> Value:
    """Say where values are neither infinite nor NaN."""
    return apply(call, "IsFinite", call.inputs, np.dtype(np.bool_))


ELEMENTWISE: Mapping[str, Translation] = {
    **{name: _of_numbers(name) for name in _OF_INTEGERS},
    **{name: _of_booleans(name) for name in _OF_BOOLEANS},
    **{name: _of_floats(name) for name in _OF_FLOATS},
    "clamp": clamp,
    "compare": compare,
    "convert": convert,
    "is_finite": is_finite,
    "select": select,
}

"""Rules of arithmetic and of choice: sums and products are postponed, the rest is elementwise."""

from __future__ import annotations

from tf2spark.graph_split.algebra.layout import reshape_rows
from tf2spark.graph_split.algebra.sums_and_products import (
    add_values,
    map_terms,
    multiply_values,
    negate_value,
    square_value,
)
from tf2spark.graph_split.forms import (
    Concat,
    Const,
    NotRowWise,
    Product,
    StackedRows,
    Sum,
    Value,
    common_side,
    dims_of,
    value_count,
)
from tf2spark.graph_split.materialize import materialize_pairs
from tf2spark.graph_split.op_call import (
    OpCall,
    apply_elementwise,
    apply_row_wise,
    elementwise,
)
from tf2spark.saved_model.protos import NodeMessage


def add_n(call: OpCall) -> Value:
    """``AddN(a, b, c)  ->  (a + b) + c``."""
    total = call.inputs[0]
    for value in call.inputs[1:]:
        total = add_values(call.b, total, value)
    return total


def bias_add(call: OpCall) -> Value:
    """``(U + I) + c  ->  (U + c) + I``: the bias is added on one side."""
    value, bias = call.inputs[0], call.const(1)
    # Channels first: the bias runs along another axis than the one it would broadcast to.
    if call.attr("data_format").s == b"NCHW" and call.rank() > 2:
        return apply_row_wise(call)
    if isinstance(value, StackedRows):
        inner = add_values(call.b, value.inner, bias)
        return StackedRows(inner, value.count, value.dtype, value.dims)
    return add_values(call.b, value, bias)


def add(call: OpCall) -> Value:
    """``U + I`` stays a sum of its terms."""
    if call.has_input(StackedRows):
        return elementwise(call)
    return add_values(call.b, *call.inputs)


def sub(call: OpCall) -> Value:
    """``U - I  ->  U + -I``, with the same rounding: negation is exact."""
    left, right = call.inputs
    # On one side, the op as it is saves a node.
    if call.has_input(StackedRows) or _on_one_side(call):
        return elementwise(call)
    negative = negate_value(call.b, right)
    return add_values(call.b, left, negative)


def mul(call: OpCall) -> Value:
    """``U * I`` stays a product of its factors."""
    if call.has_input(StackedRows):
        return elementwise(call)
    return multiply_values(call.b, *call.inputs)


def square(call: OpCall) -> Value:
    """``U^2`` on its side; the square of a sum stays a product."""
    if call.has_input(StackedRows):
        return elementwise(call)
    return square_value(call.b, call.inputs[0])


def squared_difference(call: OpCall) -> Value:
    """``(U - I)^2``, a square of a sum, unless its inputs are in parts.

    Squares of parts side by side are usually a variance, which would cancel as a difference of
    sums.
    """
    if call.has_input(Const) or call.has_input(StackedRows) or _on_one_side(call):
        return elementwise(call)
    if call.has_input(Concat):
        return elementwise(call)
    left, right = call.inputs
    return square_value(call.b, add_values(call.b, left, negate_value(call.b, right)))


def div(call: OpCall) -> Value:
    """``(U + I) / c  ->  U / c + I / c``, ``(U + I) / s  ->  U * s^-1 + I * s^-1``.

    Only floating point: an integer division rounds, so it isn't linear.
    """
    left, right = call.inputs
    if call.dtype.is_integer or not isinstance(left, Sum | Concat | Product):
        return elementwise(call)
    if isinstance(right, Const):
        return _divide_by_constant(call, left, right)
    dims, divisor_dims = dims_of(left), dims_of(right)
    number_per_row = bool(divisor_dims) and divisor_dims[-1] == 1 != (dims or (1,))[-1]
    if not number_per_row or isinstance(right, StackedRows):
        return elementwise(call)
    # One reciprocal per row, instead of a division per value: the rest is a multiplication, which
    # keeps a normalized vector linear in its original values.
    scale = materialize_pairs(call.b, right)
    inverse = call.b.write_elementwise("Reciprocal", [scale], scale.dtype)
    return multiply_values(call.b, left, inverse)


def _divide_by_constant(call: OpCall, value: Value, divisor: Const) -> Value:
    # A vector would have to be cut for the terms that are narrower than it.
    if isinstance(value, Concat) or value_count(divisor.shape) != 1:
        return elementwise(call)

    def divide(term: Value) -> Value:
        if isinstance(term, Const):
            return call.b.constant(term.value / divisor.value, term.dtype)
        return apply_elementwise(call.b, call.node, [term, divisor], term.dtype)

    return map_terms(call.b, value, divide)


def _on_one_side(call: OpCall) -> bool:
    """Say whether the op can be applied as it is, on the side of all its inputs."""
    return common_side(call.inputs) is not None


def neg(call: OpCall) -> Value:
    """``-(U + I)  ->  -U + -I``."""
    if call.has_input(StackedRows):
        return elementwise(call)
    return negate_value(call.b, call.inputs[0])


def select(call: OpCall) -> Value:
    """Choose value by value: `SelectV2` broadcasts, the older `Select` takes equal shapes.

    `Select` may also have one condition per row, a vector [batch]. A constant condition or a
    constant choice then has a value per row of the batch, which is refused.
    """
    condition, *choices = call.inputs
    # Keras leaves a constant switch such as `training` behind: only one choice is ever read.
    if isinstance(condition, Const) and dims_of(condition) == ():
        return choices[0] if condition.value else choices[1]
    if call.node.op == "SelectV2":
        return elementwise(call)
    if call.has_input(Const):
        raise NotRowWise("a constant input has a value for each row of the batch")
    if call.rank(0) == 1 < call.rank(1):
        condition = reshape_rows(call.b, condition, (1,) * (call.rank(1) - 1))
    # A user's condition and an item's values have equal shapes only where they broadcast.
    node = _node_with_op(call, "SelectV2")
    return apply_elementwise(call.b, node, [condition, *choices], call.dtype)


def clip_by_value(call: OpCall) -> Value:
    """``clip(x, low, high)  ->  max(min(x, high), low)``, except for constant numbers.

    `ClipByValue` doesn't broadcast, and a user's bounds meet an item's values only by broadcasting.
    """
    value, *bounds = call.inputs
    # TensorFlow takes scalar bounds for any shape.
    if all(isinstance(bound, Const) and dims_of(bound) == () for bound in bounds):
        return elementwise(call)
    for op, bound in zip(("Minimum", "Maximum"), reversed(bounds), strict=True):
        value = apply_elementwise(call.b, _node_with_op(call, op), [value, bound], call.dtype)
    return value


def _node_with_op(call: OpCall, op: str) -> NodeMessage:
    """Return a node of another op, for the same type."""
    node = type(call.node)(name=call.node.name, op=op)
    node.attr["T"].CopyFrom(call.attr("T"))
    return node

"""Rules of arithmetic and of choice: sums and products are put off, the rest is value by value."""

from __future__ import annotations

from tf2spark.graph_split.algebra.layout import reshaped
from tf2spark.graph_split.algebra.sums_and_products import add, each_term, multiply, negated, square
from tf2spark.graph_split.forms import (
    Concat,
    Const,
    Merged,
    NotRowWise,
    Product,
    Side,
    Sum,
    Value,
    count,
    dims_of,
)
from tf2spark.graph_split.materialize import flat
from tf2spark.graph_split.op_call import (
    Call,
    applied,
    apply_elementwise,
    elementwise,
)


def add_all(call: Call) -> Value:
    found = call.inputs[0]
    for one in call.inputs[1:]:
        found = add(call.b, found, one)
    return found


def bias_add(call: Call) -> Value:
    value, bias = call.inputs[0], call.const(1)
    if call.attr("data_format").s == b"NCHW" and call.rank() > 2:
        return applied(call)
    if isinstance(value, Merged):
        inner = add(call.b, value.inner, bias)
        return Merged(inner, value.count, value.dtype, value.dims)
    return add(call.b, value, bias)


def added(call: Call) -> Value:
    if any(isinstance(one, Merged) for one in call.inputs):
        return elementwise(call)
    return add(call.b, *call.inputs)


def subtracted(call: Call) -> Value:
    one, other = call.inputs
    if any(isinstance(each, Merged) for each in call.inputs) or _on_one_side(call):
        return elementwise(call)
    minus = call.b.folded("Neg", other) if isinstance(other, Const) else negated(call.b, other)
    return add(call.b, one, minus)


def multiplied(call: Call) -> Value:
    if any(isinstance(one, Merged) for one in call.inputs):
        return elementwise(call)
    return multiply(call.b, *call.inputs)


def squared(call: Call) -> Value:
    if isinstance(call.inputs[0], Merged):
        return elementwise(call)
    return square(call.b, call.inputs[0])


def squared_difference(call: Call) -> Value:
    if any(isinstance(one, Const | Merged) for one in call.inputs) or _on_one_side(call):
        return elementwise(call)
    if any(isinstance(one, Concat) for one in call.inputs):
        # A variance: taken apart, its sums would cancel.
        return elementwise(call)
    one, other = call.inputs
    return square(call.b, add(call.b, one, negated(call.b, other)))


def divided(call: Call) -> Value:
    """Divide by a constant term by term, by one number a pair in the end."""
    one, other = call.inputs
    if call.dtype.is_integer:
        return elementwise(call)
    if isinstance(other, Const) and isinstance(one, Sum | Concat | Product):
        return _divided_by(call, one, other)
    own, by = dims_of(one), dims_of(other)
    narrow = bool(by) and by[-1] == 1 != (own or (1,))[-1]
    if isinstance(one, Sum | Concat | Product) and narrow and not isinstance(other, Merged):
        scale = flat(call.b, other)
        inverse = call.b.elementwise("Reciprocal", [scale], scale.dtype)
        return multiply(call.b, one, inverse)
    return elementwise(call)


def _divided_by(call: Call, value: Value, by: Const) -> Value:
    if isinstance(value, Concat):
        return elementwise(call)
    if count(by.shape) != 1 and isinstance(value, Sum | Product):
        return elementwise(call)
    return each_term(
        call.b, value, lambda term: apply_elementwise(call.b, call.node, [term, by], term.dtype)
        if not isinstance(term, Const)
        else call.b.constant(term.value / by.value, term.dtype),
    )  # fmt: skip


def _on_one_side(call: Call) -> bool:
    sides = {one.side for one in call.inputs if isinstance(one, Side)}
    return len(sides) == 1 and all(isinstance(one, Side | Const) for one in call.inputs)


def negative(call: Call) -> Value:
    if isinstance(call.inputs[0], Merged):
        return elementwise(call)
    return negated(call.b, call.inputs[0])


def select(call: Call) -> Value:
    """Choose value by value; the older op's condition may be one a row."""
    condition, *values = call.inputs
    if isinstance(condition, Const) and dims_of(condition) == ():
        return values[0] if condition.value else values[1]
    if call.node.op == "SelectV2":
        return elementwise(call)
    if any(isinstance(one, Const) for one in call.inputs):
        raise NotRowWise("a constant has a value of its own for every row of the batch")
    if call.rank(0) == 1 < call.rank(1):
        condition = reshaped(call.b, condition, (1,) * (call.rank(1) - 1))
    # The newer op takes values that are broadcast against each other, as a user's and an item's.
    node = type(call.node)(name=call.node.name, op="SelectV2")
    node.attr["T"].CopyFrom(call.attr("T"))
    return apply_elementwise(call.b, node, [condition, *values], call.dtype)


def clipped(call: Call) -> Value:
    """Clip by numbers; by values of rows as what broadcasts: the op itself takes equal shapes."""
    value, *bounds = call.inputs
    if all(isinstance(one, Const) and dims_of(one) == () for one in bounds):
        return elementwise(call)
    for op, bound in zip(("Minimum", "Maximum"), reversed(bounds), strict=True):
        node = type(call.node)(name=call.node.name, op=op)
        node.attr["T"].CopyFrom(call.attr("T"))
        value = apply_elementwise(call.b, node, [value, bound], call.dtype)
    return value

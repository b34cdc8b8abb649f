"""Matrix products of rows with rows: `BatchMatMul` and `Einsum`."""

from __future__ import annotations

from math import prod

from tf2spark.graph_split.algebra.dense_layer import matmul
from tf2spark.graph_split.algebra.layout import reshaped, transposed
from tf2spark.graph_split.algebra.sum_over_axes import reduce_sum
from tf2spark.graph_split.algebra.sums_and_products import multiply, terms_of
from tf2spark.graph_split.forms import Const, NotRowWise, Pair, Side, Sum, Value, dims_of
from tf2spark.graph_split.graph_builder import one_side
from tf2spark.graph_split.materialize import operand
from tf2spark.graph_split.op_call import Call, applied


def batch_matmul(call: Call) -> Value:
    """Multiply a matrix a row by a constant one, or by another a row."""
    one, other = call.inputs
    turned, turned_other = call.attr("adj_x").b, call.attr("adj_y").b
    if isinstance(other, Const):
        if call.rank() < 3:
            raise NotRowWise("the batch is one matrix")
        if len(other.shape) != 2 or turned or isinstance(one, Side):
            return _const_applied(call, other, call.rank())
        weight = call.b.constant(other.value.T.copy(), other.dtype) if turned_other else other
        return matmul(call.b, one, weight)
    if isinstance(one, Const):
        return _const_applied(call, one, call.rank(1))
    if call.rank(0) < 3 or call.rank(1) < 3 or call.rank(0) != call.rank(1):
        raise NotRowWise("the batch is one matrix")
    if not _are_taken_apart(one, other):
        return applied(call)
    axes = list(range(1, call.rank()))
    swapped = [*axes[:-2], axes[-1], axes[-2]]
    left = transposed(call.b, one, swapped) if turned else one
    right = transposed(call.b, other, swapped) if turned_other else other
    return _contracted(call, left, right)


def _const_applied(call: Call, matrix: Const, rank: int) -> Value:
    lead = len(matrix.shape) - rank
    if lead > 0 or (lead == 0 and matrix.shape[0] != 1):
        raise NotRowWise("a constant has a matrix of its own for every row of the batch")
    return applied(call)


def _are_taken_apart(one: Value, other: Value) -> bool:
    """Say whether two values of several forms have a matrix product by sides."""
    terms = (*terms_of(one), *terms_of(other))
    if not all(isinstance(term, Side | Pair) for term in terms):
        return False
    if isinstance(one, Sum) or isinstance(other, Sum):
        return not any(isinstance(term, Pair) for term in terms)
    rows = [one, other]
    return one_side(rows) is None and not all(isinstance(each, Pair) for each in rows)


def _contracted(call: Call, left: Value, right: Value) -> Value:
    """Sum [..., m, k, 1] * [..., 1, k, n] over k."""
    dims, others = dims_of(left), dims_of(right)
    product = multiply(
        call.b,
        reshaped(call.b, left, (*dims, 1)),
        reshaped(call.b, right, (*others[:-2], 1, *others[-2:])),
    )
    return reduce_sum(call.b, product, [len(dims)], keep=False)


def einsum(call: Call) -> Value:
    """Apply Einstein's sum where the batch is the first letter of all that has rows."""
    equation = call.attr("equation").s.decode().replace(" ", "")
    inputs, _, out = equation.partition("->")
    labels = inputs.split(",")
    if "." in equation or len(labels) > 2 or any(len(set(one)) < len(one) for one in labels):
        raise NotRowWise(f"its equation is {equation}")
    rows = [
        label
        for label, value in zip(labels, call.inputs, strict=True)
        if not isinstance(value, Const)
    ]
    batch = rows[0][:1]
    constant = [label for label in labels if label not in rows]
    if not batch or any(label[:1] != batch for label in (*rows, out)) or batch in "".join(constant):
        raise NotRowWise(f"its equation is {equation}")
    if len(labels) == 1:
        return _turned(call, labels[0], out)
    if constant:
        return _with_constant(call, rows[0], constant[0], out)
    if one_side(call.inputs) is not None or not _are_taken_apart(*call.inputs):
        return applied(call)
    kept = out[1:]
    gone = "".join(sorted(set("".join(labels)) - set(out)))
    laid = [_laid_out(call, place, labels[place][1:], kept + gone) for place in (0, 1)]
    product = multiply(call.b, *laid)
    axes = list(range(len(kept) + 1, len(kept + gone) + 1))
    return reduce_sum(call.b, product, axes, keep=False) if axes else product


def _with_constant(call: Call, rows: str, constant: str, out: str) -> Value:
    """Multiply by a matrix from the right where that is what the equation says.

    Several axes may be summed over as one, and come out as one: the heads of an attention.
    """
    value = next(one for one in call.inputs if not isinstance(one, Const))
    weight = next(one for one in call.inputs if isinstance(one, Const))
    shared = [label for label in rows if label in constant]
    lead = rows[: len(rows) - len(shared)]
    new = out[len(lead) :]
    plain = bool(shared) and rows.endswith("".join(shared)) and out.startswith(lead)
    if isinstance(value, Side) or not plain or sorted([*shared, *new]) != sorted(constant):
        return applied(call)
    order = [constant.index(label) for label in (*shared, *new)]
    array = weight.value.transpose(order)
    sizes = array.shape[len(shared) :]
    matrix = call.b.constant(array.reshape(-1, prod(sizes)), weight.dtype)
    before = dims_of(value)[: len(lead) - 1]
    flattened = reshaped(call.b, value, (*before, matrix.value.shape[0]))
    return reshaped(call.b, matmul(call.b, flattened, matrix), (*before, *sizes))


def _turned(call: Call, labels: str, out: str) -> Value:
    """Sum over the axes that are gone, and reorder the others."""
    gone = [place for place, label in enumerate(labels) if label not in out]
    found = reduce_sum(call.b, call.inputs[0], gone, keep=False) if gone else call.inputs[0]
    left = [label for label in labels if label in out]
    return transposed(call.b, found, [left.index(label) for label in out[1:]])


def _laid_out(call: Call, place: int, labels: str, wanted: str) -> Value:
    """Order the axes of rows as wanted, with axes of size 1 for those that it lacks."""
    value = operand(call.b, call.inputs[place])
    order = [labels.index(label) + 1 for label in wanted if label in labels]
    turned = transposed(call.b, value, order)
    sizes = iter(dims_of(turned))
    dims = tuple(next(sizes) if label in labels else 1 for label in wanted)
    return reshaped(call.b, turned, dims)

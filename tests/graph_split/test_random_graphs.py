"""Graphs composed at random: split, and compared with the whole graph run by TensorFlow.

A graph is a list of steps. Each step names an op and chooses its inputs by numbers that wrap
around, so any list of steps is a graph, and Hypothesis can shorten one that fails.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from math import prod
from typing import Any

import numpy as np
import tensorflow as tf
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from cases.graphs import GraphInput, both, item, numbers, scored, user

Step = tuple[str, int, int]
Op = Callable[["Values", Any, int], Any]
_MAX_VALUES = 64


class Values:
    """The values of a graph so far, among which a step finds its second input."""

    def __init__(self, values: list[Any]) -> None:
        self.values = values
        self._seed = 0

    def partner(self, x: Any, choice: int, *, fits: Callable[[list[int], list[int]], bool]) -> Any:
        """Return a value of the same rank whose dimensions fit those of this one, or itself."""
        dims = dims_of(x)
        same_rank = [value for value in self.values if len(dims_of(value)) == len(dims)]
        partners = [value for value in same_rank if fits(dims, dims_of(value))]
        return partners[choice % len(partners)] if partners else x

    def constant(self, *dims: int) -> Any:
        self._seed += 1
        return np.random.default_rng(self._seed).normal(0, 1 / (1 + dims[0]), dims)


def dims_of(x: Any) -> list[int]:
    return list(x.shape.as_list()[1:])


def broadcast(left: list[int], right: list[int]) -> bool:
    """Say whether dimensions broadcast against each other, to a row that isn't too large."""
    pairs = list(zip(left, right, strict=True))
    count = prod(max(pair) for pair in pairs)
    return all(a == b or 1 in (a, b) for a, b in pairs) and count <= _MAX_VALUES


def binary(function: Callable[[Any, Any], Any]) -> Op:
    return lambda values, x, n: function(x, values.partner(x, n, fits=broadcast))


def unary(function: Callable[[Any], Any]) -> Op:
    return lambda values, x, n: function(x)


def dense(values: Values, x: Any, n: int) -> Any:
    inner, outer = dims_of(x)[-1], 1 + n % 3
    weight = values.constant(inner, outer)
    return tf.tensordot(x, weight, 1) if len(x.shape) > 2 else tf.matmul(x, weight)


def einsum(values: Values, x: Any, n: int) -> Any:
    letters = "abc"[: len(x.shape) - 1]
    weight = values.constant(dims_of(x)[-1], 2)
    return tf.einsum(f"z{letters},{letters[-1]}y->z{letters[:-1]}y", x, weight)


def reduction(function: Callable[..., Any]) -> Op:
    def op(values: Values, x: Any, n: int) -> Any:
        rank = len(x.shape)
        axes = [1 + n % (rank - 1)] if n % 3 or rank < 3 else [1, 2]
        return function(x, axes, keepdims=bool(n % 2) or len(axes) == rank - 1)

    return op


def concat(values: Values, x: Any, n: int) -> Any:
    axis = 1 + n % (len(x.shape) - 1)

    def fits(left: list[int], right: list[int]) -> bool:
        return left[: axis - 1] + left[axis:] == right[: axis - 1] + right[axis:]

    y = values.partner(x, n // 2, fits=fits)
    return tf.concat([x, y] if n % 2 else [y, x, y], axis)


def stack(values: Values, x: Any, n: int) -> Any:
    y = values.partner(x, n, fits=lambda a, b: a == b)
    return tf.stack([x, y], 1 + n % len(x.shape)) if len(x.shape) < 4 else x


def flatten(values: Values, x: Any, n: int) -> Any:
    size = prod(dims_of(x))
    return tf.reshape(x, [-1, size] if n % 2 else tf.stack([tf.shape(x)[0], size]))


def fold(values: Values, x: Any, n: int) -> Any:
    size = prod(dims_of(x))
    factor = next(f for f in (2, 3, 1) if size % f == 0)
    dims = [factor, size // factor] if n % 2 else [size // factor, factor]
    return tf.reshape(x, [-1, *dims])


def stacked_layer(values: Values, x: Any, n: int) -> Any:
    """A layer on stacked rows: on each vector of a row, as TF1's models have it."""
    *lead, width = dims_of(x)
    stacked = tf.reshape(x, [-1, width])
    hidden = tf.nn.relu(tf.matmul(stacked, values.constant(width, 2)) + 0.1)
    return tf.reshape(hidden, [-1, *lead, 2])


def slice_axis(values: Values, x: Any, n: int) -> Any:
    axis = 1 + n % (len(x.shape) - 1)
    size = dims_of(x)[axis - 1]
    bounds = slice(n % size, None) if n % 2 else slice(None, None, -1 if n % 3 else 2)
    return x[(*[slice(None)] * axis, bounds)]


def gather(values: Values, x: Any, n: int) -> Any:
    axis = 1 + n % (len(x.shape) - 1)
    size = dims_of(x)[axis - 1]
    return tf.gather(x, [n % size, 0], axis=axis)


def transpose(values: Values, x: Any, n: int) -> Any:
    axes = list(range(1, len(x.shape)))
    return tf.transpose(x, [0, *axes[n % len(axes) :], *axes[: n % len(axes)]])


def expand(values: Values, x: Any, n: int) -> Any:
    return tf.expand_dims(x, 1 + n % len(x.shape)) if len(x.shape) < 4 else x


def squeeze(values: Values, x: Any, n: int) -> Any:
    ones = [axis for axis, size in enumerate(dims_of(x), 1) if size == 1]
    return tf.squeeze(x, ones[:1]) if ones and len(x.shape) > 2 else x


def tile(values: Values, x: Any, n: int) -> Any:
    axis = n % (len(x.shape) - 1)
    times = [1] * len(x.shape)
    times[axis + 1] = 2 if prod(dims_of(x)) * 2 <= _MAX_VALUES else 1
    return tf.tile(x, times)


def first_column(values: Values, x: Any, n: int) -> Any:
    return x[..., :1]


def scale(values: Values, x: Any, n: int) -> Any:
    return x * values.constant(dims_of(x)[-1] if n % 2 else 1)


def shift(values: Values, x: Any, n: int) -> Any:
    return values.constant(*dims_of(x)) - x if n % 2 else x + values.constant(dims_of(x)[-1])


def rows_second(values: Values, x: Any, n: int) -> Any:
    """The batch as the second axis for a while: by head, or with the order of axes changed."""
    if n % 2 and len(x.shape) > 2:
        others = list(range(2, len(x.shape)))
        moved = tf.tanh(tf.transpose(x, [1, 0, *others])) + values.constant(x.shape[-1])
        return tf.transpose(moved, [1, *others, 0] if n % 3 else [1, 0, *others])
    by_head = tf.stack([x, x * 0.5, -x]) * 2
    return tf.reduce_sum(by_head, 0) if n % 4 else tf.concat(tf.unstack(tf.nn.relu(by_head)), -1)


def matrix_product(values: Values, x: Any, n: int) -> Any:
    if len(x.shape) != 3:
        return x
    y = values.partner(x, n, fits=lambda a, b: a[-1] == b[-1] and a[0] * b[0] < 20)
    if n % 2:
        return tf.matmul(x, y, transpose_b=True)
    return tf.einsum("bij,bkj->bki", x, y)


def normalize(values: Values, x: Any, n: int) -> Any:
    if n % 2:
        return tf.nn.l2_normalize(x, -1, epsilon=0.1)
    mean, variance = tf.nn.moments(x, [-1], keepdims=True)
    return (x - mean) * tf.math.rsqrt(variance + 0.1)


OPS: dict[str, Op] = {
    "add": binary(lambda x, y: x + y),
    "subtract": binary(lambda x, y: x - y),
    "multiply": binary(lambda x, y: x * y * 0.3),
    "divide": binary(lambda x, y: x / (tf.abs(y) + 1)),
    "maximum": binary(tf.maximum),
    "squared difference": binary(lambda x, y: tf.math.squared_difference(x, y) * 0.3),
    "choose": binary(lambda x, y: tf.where(x > y, x + y * 0, y + x * 0)),
    "square": unary(lambda x: tf.square(x) * 0.3),
    "negate": unary(lambda x: -x),
    "relu": unary(tf.nn.relu),
    "tanh": unary(tf.tanh),
    "softmax": unary(tf.nn.softmax),
    "identity": unary(tf.identity),
    "ones": unary(lambda x: x + tf.ones_like(x)),
    "reverse": unary(lambda x: tf.reverse(x, [-1])),
    "pad": unary(lambda x: tf.pad(x, [[0, 0]] * (len(x.shape) - 1) + [[1, 0]])),
    "sum": reduction(tf.reduce_sum),
    "mean": reduction(tf.reduce_mean),
    "max": reduction(tf.reduce_max),
    "dense": dense,
    "einsum": einsum,
    "concat": concat,
    "stack": stack,
    "flatten": flatten,
    "fold": fold,
    "stacked layer": stacked_layer,
    "slice": slice_axis,
    "gather": gather,
    "transpose": transpose,
    "expand": expand,
    "squeeze": squeeze,
    "tile": tile,
    "first column": first_column,
    "scale": scale,
    "shift": shift,
    "matrix product": matrix_product,
    "rows second": rows_second,
    "normalize": normalize,
}
_steps = st.lists(
    st.tuples(st.sampled_from(sorted(OPS)), st.integers(0, 11), st.integers(0, 11)),
    min_size=3,
    max_size=12,
)
_order = st.lists(st.sampled_from(["u1", "u2", "i1", "i2"]), min_size=2, max_size=4)


def doubles(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    return rng.normal(size=shape)


def inputs_of(width: int, order: list[str]) -> list[GraphInput]:
    floats: dict[str, Any] = {"draw": doubles, "dtype": tf.float64}
    ids: dict[str, Any] = {"draw": numbers(9), "dtype": tf.int64}
    return [
        user(width, **floats),
        item(width, **floats),
        both(" ".join(order), **floats),
        user(2, width, **floats),
        item(1, width, **floats),
        both("u1 i2", **ids),
    ]


def distinct(x: Any) -> Any:
    """Return the same values by way of an op without a rule."""
    values, index = tf.unique(tf.reshape(x, [-1]))
    return tf.reshape(tf.gather(values, index), tf.concat([tf.shape(x)[:1], dims_of(x)], 0))


def build_steps(steps: list[Step], without_rules: Collection[int] = ()) -> Callable[..., Any]:
    """Return the function that builds a graph; some inputs first go through ops without rules."""

    def build(*fed: Any) -> Any:
        *vectors, ids = fed
        for index in without_rules:
            vectors[index] = distinct(vectors[index])
        graph = Values(list(vectors))
        graph.values.append(tf.gather(graph.constant(9, 3), ids))
        for op, position, choice in steps:
            # Only among the latest values, so that steps build on each other.
            x = graph.values[-1 - position % min(len(graph.values), 6)]
            result = OPS[op](graph, x, choice)
            note(f"{op}({position}, {choice}): {dims_of(x)} -> {dims_of(result)}")
            if prod(dims_of(result)) <= _MAX_VALUES and len(result.shape) > 1:
                graph.values.append(result)
        last = graph.values[-1]
        return tf.reduce_sum(last * graph.constant(*dims_of(last)), list(range(1, len(last.shape))))

    return build


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(
    _steps,
    _order,
    st.sampled_from([1, 3]),
    st.sampled_from([(1, 1), (1, 4), (3, 1), (2, 3)]),
)
def test_any_graph_gives_the_same_scores_when_split(
    steps: list[Step], order: list[str], width: int, counts: tuple[int, int]
) -> None:
    """All of these ops treat rows independently, so no graph may be refused either."""
    users, items = counts
    build = build_steps(steps)
    scored(build, *inputs_of(width, order), users=users, items=items).check(1e-9)


# The inputs that one side feeds alone; see `inputs_of`.
_ONE_SIDED = [0, 1, 3, 4]


@settings(max_examples=30, suppress_health_check=list(HealthCheck))
@given(_steps, st.sets(st.sampled_from(_ONE_SIDED), min_size=1), st.sampled_from([(1, 4), (2, 3)]))
def test_any_graph_with_ops_without_rules_gives_the_same_scores(
    steps: list[Step], without_rules: set[int], counts: tuple[int, int]
) -> None:
    """What depends on one side stays there, whatever the ops that follow make of it."""
    users, items = counts
    build = build_steps(steps, without_rules)
    inputs = inputs_of(3, ["u1", "i2"])
    result = scored(build, *inputs, users=users, items=items, row_dims=lambda side, tensor: None)
    result.check(1e-9)

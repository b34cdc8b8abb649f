"""Graphs composed at random, taken apart, against the whole graph by TensorFlow.

A graph is a list of steps. Each step names an op and picks among the values that there are by
numbers that wrap around, so that any list of steps is a graph, and a shorter one as well.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
import tensorflow as tf
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from cases.graphs import Fed, both, item, numbers, scored, user

Step = tuple[str, int, int]
Op = Callable[["Values", Any, int], Any]
_MOST_VALUES = 64


class Values:
    """The values of a graph so far; what a step needs beside its first is looked for here."""

    def __init__(self, found: list[Any]) -> None:
        self.found = found
        self._seed = 0

    def like(self, x: Any, choice: int, *, meets: Callable[[list[int], list[int]], bool]) -> Any:
        """Return a value of the same rank that meets this one; itself at the worst."""
        dims = dims_of(x)
        fits = [
            one
            for one in self.found
            if len(dims_of(one)) == len(dims) and meets(dims, dims_of(one))
        ]
        return fits[choice % len(fits)] if fits else x

    def constant(self, *dims: int) -> Any:
        self._seed += 1
        return np.random.default_rng(self._seed).normal(0, 1 / (1 + dims[0]), dims)


def dims_of(x: Any) -> list[int]:
    return list(x.shape.as_list()[1:])


def broadcasts(one: list[int], other: list[int]) -> bool:
    pairs = list(zip(one, other, strict=True))
    size = prod(max(pair) for pair in pairs)
    return all(a == b or 1 in (a, b) for a, b in pairs) and size <= _MOST_VALUES


def two(function: Callable[[Any, Any], Any]) -> Op:
    return lambda values, x, n: function(x, values.like(x, n, meets=broadcasts))


def one(function: Callable[[Any], Any]) -> Op:
    return lambda values, x, n: function(x)


def dense(values: Values, x: Any, n: int) -> Any:
    inner, outer = dims_of(x)[-1], 1 + n % 3
    weight = values.constant(inner, outer)
    return tf.tensordot(x, weight, 1) if len(x.shape) > 2 else tf.matmul(x, weight)


def einsum(values: Values, x: Any, n: int) -> Any:
    letters = "abc"[: len(x.shape) - 1]
    weight = values.constant(dims_of(x)[-1], 2)
    return tf.einsum(f"z{letters},{letters[-1]}y->z{letters[:-1]}y", x, weight)


def reduced(function: Callable[..., Any]) -> Op:
    def op(values: Values, x: Any, n: int) -> Any:
        rank = len(x.shape)
        axes = [1 + n % (rank - 1)] if n % 3 or rank < 3 else [1, 2]
        return function(x, axes, keepdims=bool(n % 2) or len(axes) == rank - 1)

    return op


def concat(values: Values, x: Any, n: int) -> Any:
    axis = 1 + n % (len(x.shape) - 1)

    def meets(one: list[int], other: list[int]) -> bool:
        return one[: axis - 1] + one[axis:] == other[: axis - 1] + other[axis:]

    y = values.like(x, n // 2, meets=meets)
    return tf.concat([x, y] if n % 2 else [y, x, y], axis)


def stack(values: Values, x: Any, n: int) -> Any:
    y = values.like(x, n, meets=lambda a, b: a == b)
    return tf.stack([x, y], 1 + n % len(x.shape)) if len(x.shape) < 4 else x


def flattened(values: Values, x: Any, n: int) -> Any:
    size = prod(dims_of(x))
    return tf.reshape(x, [-1, size] if n % 2 else tf.stack([tf.shape(x)[0], size]))


def folded(values: Values, x: Any, n: int) -> Any:
    size = prod(dims_of(x))
    factor = next(f for f in (2, 3, 1) if size % f == 0)
    dims = [factor, size // factor] if n % 2 else [size // factor, factor]
    return tf.reshape(x, [-1, *dims])


def through_merged(values: Values, x: Any, n: int) -> Any:
    """A layer on all vectors of a row as if they were rows, as TF1's models have it."""
    *lead, width = dims_of(x)
    flat = tf.nn.relu(tf.matmul(tf.reshape(x, [-1, width]), values.constant(width, 2)) + 0.1)
    return tf.reshape(flat, [-1, *lead, 2])


def sliced(values: Values, x: Any, n: int) -> Any:
    axis = 1 + n % (len(x.shape) - 1)
    size = dims_of(x)[axis - 1]
    cut = slice(n % size, None) if n % 2 else slice(None, None, -1 if n % 3 else 2)
    return x[(*[slice(None)] * axis, cut)]


def gathered(values: Values, x: Any, n: int) -> Any:
    axis = 1 + n % (len(x.shape) - 1)
    size = dims_of(x)[axis - 1]
    return tf.gather(x, [n % size, 0], axis=axis)


def turned(values: Values, x: Any, n: int) -> Any:
    axes = list(range(1, len(x.shape)))
    return tf.transpose(x, [0, *axes[n % len(axes) :], *axes[: n % len(axes)]])


def expanded(values: Values, x: Any, n: int) -> Any:
    return tf.expand_dims(x, 1 + n % len(x.shape)) if len(x.shape) < 4 else x


def squeezed(values: Values, x: Any, n: int) -> Any:
    ones = [axis for axis, size in enumerate(dims_of(x), 1) if size == 1]
    return tf.squeeze(x, ones[:1]) if ones and len(x.shape) > 2 else x


def tiled(values: Values, x: Any, n: int) -> Any:
    axis = n % (len(x.shape) - 1)
    times = [1] * len(x.shape)
    times[axis + 1] = 2 if prod(dims_of(x)) * 2 <= _MOST_VALUES else 1
    return tf.tile(x, times)


def narrow(values: Values, x: Any, n: int) -> Any:
    return x[..., :1]


def scaled(values: Values, x: Any, n: int) -> Any:
    return x * values.constant(dims_of(x)[-1] if n % 2 else 1)


def shifted(values: Values, x: Any, n: int) -> Any:
    return values.constant(*dims_of(x)) - x if n % 2 else x + values.constant(dims_of(x)[-1])


def products(values: Values, x: Any, n: int) -> Any:
    if len(x.shape) != 3:
        return x
    y = values.like(x, n, meets=lambda a, b: a[-1] == b[-1] and a[0] * b[0] < 20)
    if n % 2:
        return tf.matmul(x, y, transpose_b=True)
    return tf.einsum("bij,bkj->bki", x, y)


def normalised(values: Values, x: Any, n: int) -> Any:
    if n % 2:
        return tf.nn.l2_normalize(x, -1, epsilon=0.1)
    mean, variance = tf.nn.moments(x, [-1], keepdims=True)
    return (x - mean) * tf.math.rsqrt(variance + 0.1)


OPS: dict[str, Op] = {
    "add": two(lambda x, y: x + y),
    "subtract": two(lambda x, y: x - y),
    "multiply": two(lambda x, y: x * y * 0.3),
    "divide": two(lambda x, y: x / (tf.abs(y) + 1)),
    "maximum": two(tf.maximum),
    "difference": two(lambda x, y: tf.math.squared_difference(x, y) * 0.3),
    "choose": two(lambda x, y: tf.where(x > y, x + y * 0, y + x * 0)),
    "square": one(lambda x: tf.square(x) * 0.3),
    "negate": one(lambda x: -x),
    "relu": one(tf.nn.relu),
    "tanh": one(tf.tanh),
    "softmax": one(tf.nn.softmax),
    "same": one(tf.identity),
    "ones": one(lambda x: x + tf.ones_like(x)),
    "reverse": one(lambda x: tf.reverse(x, [-1])),
    "pad": one(lambda x: tf.pad(x, [[0, 0]] * (len(x.shape) - 1) + [[1, 0]])),
    "sum": reduced(tf.reduce_sum),
    "mean": reduced(tf.reduce_mean),
    "largest": reduced(tf.reduce_max),
    "dense": dense,
    "einsum": einsum,
    "concat": concat,
    "stack": stack,
    "flatten": flattened,
    "fold": folded,
    "merged": through_merged,
    "slice": sliced,
    "gather": gathered,
    "transpose": turned,
    "expand": expanded,
    "squeeze": squeezed,
    "tile": tiled,
    "narrow": narrow,
    "scale": scaled,
    "shift": shifted,
    "products": products,
    "normalise": normalised,
}
_steps = st.lists(
    st.tuples(st.sampled_from(sorted(OPS)), st.integers(0, 11), st.integers(0, 11)),
    min_size=3,
    max_size=12,
)
_order = st.lists(st.sampled_from(["u1", "u2", "i1", "i2"]), min_size=2, max_size=4)


def doubles(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    return rng.normal(size=shape)


def inputs_of(width: int, order: list[str]) -> list[Fed]:
    kept: dict[str, Any] = {"draw": doubles, "dtype": tf.float64}
    ids: dict[str, Any] = {"draw": numbers(9), "dtype": tf.int64}
    return [
        user(width, **kept),
        item(width, **kept),
        both(" ".join(order), **kept),
        user(2, width, **kept),
        item(1, width, **kept),
        both("u1 i2", **ids),
    ]


def built(steps: list[Step]) -> Callable[..., Any]:
    def build(*fed: Any) -> Any:
        *vectors, ids = fed
        values = Values(list(vectors))
        values.found.append(tf.gather(values.constant(9, 3), ids))
        for op, place, choice in steps:
            # What was made last is taken most often, so that steps build on each other.
            x = values.found[-1 - place % min(len(values.found), 6)]
            made = OPS[op](values, x, choice)
            note(f"{op}({place}, {choice}): {dims_of(x)} -> {dims_of(made)}")
            if prod(dims_of(made)) <= _MOST_VALUES and len(made.shape) > 1:
                values.found.append(made)
        last = values.found[-1]
        return tf.reduce_sum(
            last * values.constant(*dims_of(last)), list(range(1, len(last.shape)))
        )

    return build


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(
    _steps,
    _order,
    st.sampled_from([1, 3]),
    st.sampled_from([(1, 1), (1, 4), (3, 1), (2, 3)]),
)
def test_any_graph_gives_the_same_scores_taken_apart(
    steps: list[Step], order: list[str], width: int, counts: tuple[int, int]
) -> None:
    """All of these ops treat rows apart, so that none of the graphs may be refused either."""
    users, items = counts
    found = scored(built(steps), *inputs_of(width, order), users=users, items=items)
    found.check(1e-9)

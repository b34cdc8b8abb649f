"""Dropout that is switched off by what is fed, so that its random numbers decide nothing.

TF1 keeps a value where ``floor(keep_prob + random)`` is 1, TF2 where ``random >= rate``, with
random numbers in [0, 1). With keep_prob = 1 or rate = 0 both hold whatever is drawn. So random
numbers are followed as a range [low, high) until the range alone decides a comparison or a floor;
if nothing decides, the score depends on chance and the graph is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor

import numpy as np
from attrs import evolve

from tf2spark.dtypes import BOOL, from_code
from tf2spark.graph_split.forms import Const, NotRowWise, RandomRange, Value
from tf2spark.graph_split.graph_builder import GraphBuilder
from tf2spark.saved_model.protos import NodeMessage

_RANDOM_OPS = """
Multinomial RandomGamma RandomPoissonV2 RandomShuffle RandomStandardNormal RandomUniform
RandomUniformInt StatelessMultinomial StatelessRandomNormal StatelessRandomNormalV2
StatelessRandomUniform StatelessRandomUniformInt StatelessRandomUniformV2 StatelessTruncatedNormal
TruncatedNormal
"""
RANDOM_OPS = frozenset(_RANDOM_OPS.split())
_UNIFORM_OPS = ("RandomUniform", "StatelessRandomUniform", "StatelessRandomUniformV2")


def random_range(node: NodeMessage) -> RandomRange:
    """Return the form of the random numbers that a node draws.

    Raises:
        NotRowWise: They aren't uniform, so they have no bounds.
    """
    if node.op not in _UNIFORM_OPS:
        raise NotRowWise("it draws random numbers")
    return RandomRange(0.0, 1.0, from_code(node.attr["dtype"].type))


def apply_to_random(b: GraphBuilder, node: NodeMessage, inputs: Sequence[Value]) -> Value:
    """Apply an op to random numbers: to their range, or to a constant that the range determines.

    Raises:
        NotRowWise: The result depends on the numbers drawn.
    """
    if node.op in ("Identity", "StopGradient"):
        return inputs[0]
    if node.op == "Floor" and isinstance(inputs[0], RandomRange):
        return _floor(b, inputs[0])
    if len(inputs) != 2:
        raise NotRowWise("it depends on random numbers")
    return _apply_binary(b, node.op, inputs[0], inputs[1])


def _apply_binary(b: GraphBuilder, op: str, left: Value, right: Value) -> Value:
    left_bounds, right_bounds = _bounds(left), _bounds(right)
    if left_bounds is None or right_bounds is None:
        raise NotRowWise("it depends on random numbers")
    drawn = left if isinstance(left, RandomRange) else right
    assert isinstance(drawn, RandomRange)
    (low, high), (other_low, other_high) = left_bounds, right_bounds
    match op:
        case "Add" | "AddV2":
            return evolve(drawn, low=low + other_low, high=high + other_high)
        # A random subtrahend would swap the bounds: constant - random is in (low, high], not
        # [low, high). Dropout subtracts only constants.
        case "Sub" if isinstance(right, Const):
            return evolve(drawn, low=low - other_low, high=high - other_low)
        case "Mul" if min(low, other_low) >= 0:
            return evolve(drawn, low=low * other_low, high=high * other_high)
        case "GreaterEqual" if isinstance(right, Const) and low >= other_low:
            return b.constant(np.array(True), BOOL)
        case "Less" if isinstance(right, Const) and low >= other_low:
            return b.constant(np.array(False), BOOL)
        case _:
            raise NotRowWise("it depends on random numbers")


def _bounds(value: Value) -> tuple[float, float] | None:
    """Return the range of random numbers, or a constant number twice; None for anything else."""
    if isinstance(value, RandomRange):
        return value.low, value.high
    if isinstance(value, Const) and np.size(value.value) == 1:
        number = float(np.reshape(value.value, ()))
        return number, number
    return None


def _floor(b: GraphBuilder, value: RandomRange) -> Value:
    # The range is half-open: [1, 2) has one floor although floor(2) is another. Nor does rounding
    # reach 2: TensorFlow draws by filling a mantissa, so 1 + the largest number is exact.
    if floor(value.low) != ceil(value.high) - 1:
        raise NotRowWise("it depends on random numbers")
    return b.constant(np.array(floor(value.low)), value.dtype)

"""Dropout that is switched off by what is fed: its random numbers decide nothing.

TF1 keeps a value where ``floor(keep_prob + random)`` is 1, newer versions where ``random >= rate``.
With keep_prob = 1 either holds whatever the random number is.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor
from typing import Any

import numpy as np
from attrs import evolve

from tf2spark.dtypes import BOOL, from_code
from tf2spark.graph_split.forms import Between, Const, NotRowWise, Value
from tf2spark.graph_split.graph_builder import Builder

_UNIFORM = ("RandomUniform", "StatelessRandomUniform", "StatelessRandomUniformV2")


def drawn(node: Any) -> Value:
    """Return the form of random numbers.

    Raises:
        NotRowWise: They aren't uniform.
    """
    if node.op not in _UNIFORM:
        raise NotRowWise("it draws random numbers")
    return Between(0.0, 1.0, from_code(node.attr["dtype"].type))


def decided(b: Builder, node: Any, inputs: Sequence[Value]) -> Value:
    """Apply an op to random numbers.

    Raises:
        NotRowWise: The result depends on them.
    """
    if node.op in ("Identity", "StopGradient"):
        return inputs[0]
    if node.op == "Floor" and isinstance(inputs[0], Between):
        return _floored(b, inputs[0])
    one, other = (_bounds(each) for each in inputs[:2]) if len(inputs) == 2 else (None, None)
    if one is None or other is None:
        raise NotRowWise("it depends on random numbers")
    random = next(each for each in inputs if isinstance(each, Between))
    match node.op:
        case "Add" | "AddV2":
            return evolve(random, low=one[0] + other[0], high=one[1] + other[1])
        case "Sub" if isinstance(inputs[1], Const):
            return evolve(random, low=one[0] - other[0], high=one[1] - other[0])
        case "Mul" if min(one[0], other[0]) >= 0:
            return evolve(random, low=one[0] * other[0], high=one[1] * other[1])
        case "GreaterEqual" if isinstance(inputs[1], Const) and one[0] >= other[0]:
            return b.constant(np.array(True), BOOL)
        case "Less" if isinstance(inputs[1], Const) and one[0] >= other[0]:
            return b.constant(np.array(False), BOOL)
        case _:
            raise NotRowWise("it depends on random numbers")


def _bounds(value: Value) -> tuple[float, float] | None:
    if isinstance(value, Between):
        return value.low, value.high
    if isinstance(value, Const) and np.size(value.value) == 1:
        number = float(np.reshape(value.value, ()))
        return number, number
    return None


def _floored(b: Builder, value: Between) -> Value:
    # The upper bound itself never comes.
    if floor(value.low) != ceil(value.high) - 1:
        raise NotRowWise("it depends on random numbers")
    return b.constant(np.array(floor(value.low)), value.dtype)

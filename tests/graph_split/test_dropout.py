"""Dropout is split if what is fed switches it off, and refused if it isn't off."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from cases.graphs import item, scored, user
from tf2spark.graph_split.forms import NotRowWise

tf1 = tf.compat.v1
Dropout = Callable[[Any, str], Any]


def _keep_prob(x: Any, name: str) -> Any:
    """As TF1 writes it: x / keep * floor(keep + random)."""
    keep = tf1.placeholder(tf.float32, [], name)
    return x / keep * tf.floor(keep + tf.random.uniform(tf.shape(x)))


def _rate(x: Any, name: str) -> Any:
    """As TF2 writes it: where(random >= rate, x / (1 - rate), 0)."""
    rate = tf1.placeholder(tf.float32, [], name)
    return tf.where(tf.random.uniform(tf.shape(x)) >= rate, x / (1 - rate), tf.zeros_like(x))


def _stateless(x: Any, name: str) -> Any:
    rate = tf1.placeholder(tf.float32, [], name)
    random = tf.random.stateless_uniform(tf.shape(x), [1, 2])
    return tf.where(random < rate, tf.zeros_like(x), x * 2)


def _other_range(x: Any, name: str) -> Any:
    """Uniform numbers of another range: random * (high - low) + low."""
    rate = tf1.placeholder(tf.float32, [], name)
    random = tf.random.uniform(tf.shape(x), 0.5, 2.0)
    return x * tf.cast(tf.identity(random) >= rate, tf.float32)


def _difference(x: Any, name: str) -> Any:
    """The difference of two numbers in [0, 1) is in (-1, 1)."""
    rate = tf1.placeholder(tf.float32, [], name)
    random = tf.random.uniform(tf.shape(x)) - tf.random.uniform(tf.shape(x))
    return x * tf.cast(random >= rate, tf.float32)


def _negated(x: Any, name: str) -> Any:
    """A number in [0, 1) times -1 is in (-1, 0]."""
    rate = tf1.placeholder(tf.float32, [], name)
    return x * tf.cast(tf.random.uniform(tf.shape(x)) * -1.0 >= rate, tf.float32)


def _subtracted(x: Any, name: str) -> Any:
    """1 minus a number in [0, 1) is in (0, 1], so its floor may be 1."""
    keep = tf1.placeholder(tf.float32, [], name)
    return x * tf.floor(keep - tf.random.uniform(tf.shape(x)))


DROPOUTS: dict[str, Dropout] = {
    "keep_prob": _keep_prob,
    "rate": _rate,
    "stateless": _stateless,
    "other range": _other_range,
    "difference": _difference,
    "negated": _negated,
    "subtracted": _subtracted,
}


def _build(dropout: Dropout) -> Callable[..., Any]:
    return lambda x, y: tf.reduce_sum(tf.nn.relu(dropout(x + y, "switch")), 1)


@pytest.mark.parametrize(
    ("name", "value"),
    [("keep_prob", 1.0), ("rate", 0.0), ("stateless", 0.0), ("other range", 0.5),
     ("other range", 0.4)],
)  # fmt: skip
def test_dropout_that_is_off_costs_nothing(name: str, value: float) -> None:
    """No random number is drawn, and the scores are those of the whole graph."""
    constants = {"switch": np.float32(value)}
    split = scored(_build(DROPOUTS[name]), user(3), item(3), constants=constants).check()
    assert not [op for op in split.pair_ops if "Random" in op]


@pytest.mark.parametrize(
    ("name", "value"),
    [("keep_prob", 0.9), ("keep_prob", 1.1), ("rate", 0.1), ("stateless", 0.1),
     ("other range", 0.6), ("difference", 0.0), ("negated", 0.0), ("subtracted", 1.0)],
)  # fmt: skip
def test_dropout_that_is_on_is_refused(name: str, value: float) -> None:
    """A score that depends on chance isn't a score of the pair."""
    constants = {"switch": np.float32(value)}
    with pytest.raises(NotRowWise, match="it depends on random numbers"):
        scored(_build(DROPOUTS[name]), user(3), item(3), constants=constants)


@pytest.mark.parametrize("draw", [tf.random.normal, tf.random.truncated_normal])
def test_other_random_numbers_are_refused(draw: Callable[..., Any]) -> None:
    """Normal noise has no bounds that could decide anything."""
    with pytest.raises(NotRowWise, match="it draws random numbers"):
        scored(lambda x, y: tf.reduce_sum(x * y + draw([3]), 1), user(3), item(3))


def test_random_numbers_that_decide_nothing_are_refused() -> None:
    """The difference of two of them, for one."""

    def build(x: Any, y: Any) -> Any:
        noise = tf.random.uniform(tf.shape(x)) - tf.random.uniform(tf.shape(x))
        return tf.reduce_sum(x * y * noise, 1)

    with pytest.raises(NotRowWise, match="it depends on random numbers"):
        scored(build, user(3), item(3))

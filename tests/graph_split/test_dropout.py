"""Dropout that what is fed switches off: its random numbers decide nothing, or it is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from cases.graphs import item, scored, user
from tf2spark.graph_split.forms import NotRowWise

tf1 = tf.compat.v1


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
    drawn = tf.random.stateless_uniform(tf.shape(x), [1, 2])
    return tf.where(drawn < rate, tf.zeros_like(x), x * 2)


def _between(x: Any, name: str) -> Any:
    """Uniform numbers of another range: random * (high - low) + low."""
    rate = tf1.placeholder(tf.float32, [], name)
    drawn = tf.random.uniform(tf.shape(x), 0.5, 2.0)
    return x * tf.cast(tf.identity(drawn) >= rate, tf.float32)


WAYS = {"keep_prob": _keep_prob, "rate": _rate, "stateless": _stateless, "between": _between}


def _build(way: Callable[[Any, str], Any]) -> Callable[..., Any]:
    return lambda x, y: tf.reduce_sum(tf.nn.relu(way(x + y, "switch")), 1)


@pytest.mark.parametrize(
    ("way", "value"),
    [("keep_prob", 1.0), ("rate", 0.0), ("stateless", 0.0), ("between", 0.5), ("between", 0.4)],
)
def test_dropout_that_is_off_costs_nothing(way: str, value: float) -> None:
    """No random number is drawn, and scores are those of the whole graph."""
    given = {"switch": np.float32(value)}
    found = scored(_build(WAYS[way]), user(3), item(3), constants=given).check()
    assert not [op for op in found.pair_ops if "Random" in op]


@pytest.mark.parametrize(
    ("way", "value"),
    [("keep_prob", 0.9), ("keep_prob", 1.1), ("rate", 0.1), ("stateless", 0.1), ("between", 0.6)],
)
def test_dropout_that_is_on_is_refused(way: str, value: float) -> None:
    """A score that depends on chance isn't one of the pair's alone."""
    with pytest.raises(NotRowWise, match="it depends on random numbers"):
        scored(_build(WAYS[way]), user(3), item(3), constants={"switch": np.float32(value)})


@pytest.mark.parametrize("drawn", [tf.random.normal, tf.random.truncated_normal])
def test_other_random_numbers_are_refused(drawn: Callable[..., Any]) -> None:
    """Noise has no bounds that could decide anything."""
    with pytest.raises(NotRowWise, match="it draws random numbers"):
        scored(lambda x, y: tf.reduce_sum(x * y + drawn([3]), 1), user(3), item(3))


def test_random_numbers_that_nothing_decides_are_refused() -> None:
    """The difference of two of them, for one."""

    def build(x: Any, y: Any) -> Any:
        noise = tf.random.uniform(tf.shape(x)) - tf.random.uniform(tf.shape(x))
        return tf.reduce_sum(x * y * noise, 1)

    with pytest.raises(NotRowWise, match="it depends on random numbers"):
        scored(build, user(3), item(3))

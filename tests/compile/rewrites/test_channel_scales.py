"""`fold_scales`: convolutions that take over what follows, and those left, with reasons."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tf2spark.compile.rewrites.channel_scales import fold_scales
from tf2spark.compile.rewrites.rewriting import Rewriting

tf1 = tf.compat.v1
_RANDOM = np.random.default_rng(1)
_FILTER = _RANDOM.normal(size=(3, 3, 3, 4)).astype(np.float32)
_DEPTHWISE = _RANDOM.normal(size=(3, 3, 3, 2)).astype(np.float32)
_PIXELS = _RANDOM.normal(size=(2, 6, 6, 3)).astype(np.float32)
_TOLERANCE = 1e-5  # as in `verify`


def values(channels: int = 4, *, positive: bool = False) -> Any:
    drawn = _RANDOM.uniform(0.5, 1.5, channels) if positive else _RANDOM.normal(size=channels)
    return drawn.astype(np.float32)


def convolved(x: Any) -> Any:
    return tf.nn.conv2d(x, _FILTER, 1, "SAME")


def batch_norm(x: Any, *, training: bool = False) -> Any:
    mean, variance = (None, None) if training else (values(), values(positive=True))
    return tf1.nn.fused_batch_norm(
        x, values(), values(), mean, variance, epsilon=0.01, is_training=training
    )[0]


def folded(build: Callable[[Any], Any]) -> tuple[Any, Any, Rewriting, list[str]]:
    """Return a graph's values before and after, what was done, and the ops that still run."""
    with tf.Graph().as_default() as graph:
        x = tf1.placeholder(tf.float32, (None, 6, 6, 3), "x")
        tf.identity(build(x), "y")
    graph_def = graph.as_graph_def()
    before = run(graph_def)
    folding = fold_scales(graph_def, {"y"})
    pruned = tf1.graph_util.extract_sub_graph(graph_def, ["y"])
    ops = [node.op for node in pruned.node if node.op not in ("Const", "Placeholder", "Identity")]
    return before, run(graph_def), folding, ops


def run(graph_def: Any) -> Any:
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="")
        with tf1.Session(graph=graph) as session:
            return session.run("y:0", {"x:0": _PIXELS})


_FOLDED: dict[str, Callable[[Any], Any]] = {
    "scale": lambda x: convolved(x) * values(),
    "one scale for all": lambda x: 3.0 * convolved(x),
    "scale and offset": lambda x: convolved(x) * values() + values(),
    "offset first": lambda x: values() + values() * (convolved(x) - values()),
    "bias": lambda x: values() * tf.nn.bias_add(convolved(x), values()) + values(),
    "shaped like an image": lambda x: convolved(x) * values().reshape(1, 1, 1, 4),
    "batch norm": lambda x: batch_norm(convolved(x)),
    "batch norm after a bias": lambda x: batch_norm(tf.nn.bias_add(convolved(x), values())),
    "depthwise": lambda x: (
        tf.nn.depthwise_conv2d(x, _DEPTHWISE, (1, 1, 1, 1), "SAME") * values(6) + values(6)
    ),
}


@pytest.mark.parametrize("build", _FOLDED.values(), ids=_FOLDED)
def test_scales_and_offsets_become_filter_and_bias(build: Callable[[Any], Any]) -> None:
    """TensorFlow computes the same but for rounding, by a convolution and a bias."""
    before, after, folding, ops = folded(build)
    assert len(folding.rewritten) == 1
    assert not folding.refused
    assert ops[1:] == ["BiasAdd"]
    assert np.abs(after - before).max() <= _TOLERANCE * np.maximum(1, np.abs(before)).max()


def test_each_convolution_gets_its_own_filter() -> None:
    """Two convolutions share a filter, and each is scaled by itself."""

    def build(x: Any) -> Any:
        kernel = tf.constant(_FILTER)
        first, second = (tf.nn.conv2d(x, kernel, 1, "SAME") * values() for _ in range(2))
        return first + tf.nn.conv2d(x, kernel, 1, "SAME") + second

    before, after, folding, _ = folded(build)
    assert (len(folding.rewritten), len(folding.refused)) == (2, 1)
    np.testing.assert_allclose(after, before, rtol=_TOLERANCE, atol=10 * _TOLERANCE)


def _read_twice(x: Any) -> Any:
    output = convolved(x)
    return output * values() + output


def _after_the_fetch(x: Any) -> Any:
    output = tf.identity(convolved(x), "y0")
    return output * values()


_REFUSED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "nothing follows": (lambda x: tf.nn.relu(convolved(x)), "nothing scales"),
    "only an offset": (lambda x: convolved(x) + values(), "nothing scales"),
    "read twice": (_read_twice, "nothing scales"),
    "something between": (_after_the_fetch, "nothing scales"),
    "scale per column": (lambda x: convolved(x) * values(6).reshape(6, 1), "nothing scales"),
    "scale of another rank": (lambda x: convolved(x) * values().reshape(1, 1, 1, 1, 4), "nothing"),
    "scale is computed": (lambda x: convolved(x) * tf.reduce_sum(x), "nothing scales"),
    "training": (lambda x: batch_norm(convolved(x), training=True), "nothing scales"),
    "offset minus": (lambda x: values() - convolved(x), "nothing scales"),
    "infinite": (lambda x: convolved(x) * np.float32(np.inf), "is not finite"),
    "filter is computed": (
        lambda x: tf.nn.conv2d(x, _FILTER * tf.reduce_sum(x), 1, "SAME") * values(),
        "not a constant",
    ),
    "float64": (
        lambda x: (
            tf.nn.conv2d(tf.cast(x, tf.float64), _FILTER.astype(float), 1, "SAME")
            * values().astype(float)
        ),
        "float32",
    ),
}


@pytest.mark.parametrize(("build", "reason"), _REFUSED.values(), ids=_REFUSED)
def test_others_are_left_with_a_reason(build: Callable[[Any], Any], reason: str) -> None:
    """A convolution that can't take over what follows stays, bit by bit, and says why."""
    before, after, folding, _ = folded(build)
    assert not folding.rewritten
    (refusal,) = folding.refused
    assert reason in refusal.reason
    assert after.tobytes() == before.tobytes()


def test_values_that_are_fetched_stay() -> None:
    """What is fetched from between a convolution and its scale is still there."""
    with tf.Graph().as_default() as graph:
        x = tf1.placeholder(tf.float32, (None, 6, 6, 3), "x")
        offset = tf.add(convolved(x), values(), "offset")
        tf.multiply(offset, values(), "y")
    (refusal,) = fold_scales(graph.as_graph_def(), {"y", "offset"}).refused
    assert "nothing scales its output" in refusal.reason


def test_channels_that_come_first_are_left() -> None:
    """A bias adds to the last dimension only."""
    with tf.Graph().as_default() as graph:
        x = tf1.placeholder(tf.float32, (None, 3, 6, 6), "x")
        output = tf.nn.conv2d(x, _FILTER, 1, "SAME", data_format="NCHW")
        tf.multiply(output, values().reshape(4, 1, 1), "y")
    (refusal,) = fold_scales(graph.as_graph_def(), {"y"}).refused
    assert "channels" in refusal.reason

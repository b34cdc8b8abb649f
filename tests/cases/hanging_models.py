"""Models that hang for rows of their own, and pass the others on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf

_HANGS = 666.0
"""A feature of rows that hang."""


def _save(path: Path, hang: Any) -> Path:
    """Write a model that adds 1 to `x` [rows, 1], and hangs where an `x` is 666."""

    @tf.function(input_signature=[tf.TensorSpec([None, 1], tf.float32, name="x")])
    def add(x: Any) -> dict[str, Any]:
        hangs = tf.reduce_any(tf.equal(x, _HANGS))
        return {"y": tf.cond(hangs, lambda: hang(x), lambda: x) + 1.0}

    module = tf.Module()
    module.add = add
    tf.saved_model.save(module, str(path), signatures=add)
    return path


def _loop(x: Any) -> Any:
    return tf.while_loop(lambda _: True, lambda value: [value * 1.0], [x])[0]


def _wait(x: Any) -> Any:
    with tf.control_dependencies(tf.raw_ops.Unstage(dtypes=[tf.float32], shared_name="none")):
        return tf.identity(x)


def write_endless_loop(path: Path) -> Path:
    """The graph loops for ever, and computes all the time."""
    return _save(path, _loop)


def write_deadlock(path: Path) -> Path:
    """A kernel waits for something that never comes, and computes nothing; needs the op Unstage."""
    return _save(path, _wait)


def write_slow(path: Path) -> Path:
    """Every run takes half a second or so, and ends."""

    @tf.function(input_signature=[tf.TensorSpec([None, 1], tf.float32, name="x")])
    def add(x: Any) -> dict[str, Any]:
        started = tf.timestamp()
        loop = tf.while_loop(
            lambda now: now < started + 0.5,
            lambda _: [tf.timestamp()],
            [started],
        )
        return {"y": x + 1.0 + tf.cast(tf.minimum(loop[0], 0.0), tf.float32)}

    module = tf.Module()
    module.add = add
    tf.saved_model.save(module, str(path), signatures=add)
    return path


def write_pairs(path: Path, *, computes: bool) -> Path:
    """A product of a user's `u` and an item's `i`; users of 666 hang, computing or not."""
    hang = _loop if computes else _wait

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.float32, name="u"),
            tf.TensorSpec([None], tf.float32, name="i"),
        ]
    )
    def score(u: Any, i: Any) -> dict[str, Any]:
        hangs = tf.reduce_any(tf.equal(u, _HANGS))
        return {"score": tf.cond(hangs, lambda: hang(u), lambda: u) * i}

    module = tf.Module()
    module.score = score
    tf.saved_model.save(module, str(path), signatures=score)
    return path

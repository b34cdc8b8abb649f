"""Two tiny SavedModels for tests of the driver: a TF1 graph and a TF2 function."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf

from cases.models.saving import graph_session, save_function

tf1 = tf.compat.v1


def save_graph_model(path: Path) -> None:
    """Save a TF1 graph with defaults, constants and several signatures.

    ``score`` is ``2 * sum(x) * scale``, where `scale` is 1 unless it is fed; ``picked`` gathers one
    of three values by id and refuses other ids; ``kept`` is ``x * keep_prob``.
    """
    with graph_session() as session:
        x = tf1.placeholder(tf.float32, [None, 2], "x")
        ids = tf1.placeholder(tf.int64, [None], "ids")
        keep_prob = tf1.placeholder(tf.float32, [], "keep_prob")
        scale = tf1.placeholder_with_default([1.0], [None], "scale")
        words = tf1.placeholder(tf.string, [None], "words")
        rate = tf1.placeholder_with_default(3.0, [], "rate")
        hidden = tf.multiply(x, 2.0, name="layer/hidden")
        score = tf.multiply(tf.reduce_sum(hidden, 1), scale, name="score")
        weights = tf.constant([1.0, 2.0, 3.0], name="weights")
        picked = tf.gather(weights, ids, name="picked")
        any_shape = tf.identity(tf1.placeholder(tf.float32, None, "any"), "any_out")
        with tf.control_dependencies([x.op]):
            after = tf.identity(ids, "after")
        tf.split(x, 2, axis=1, name="halves")
        tf.no_op("nothing")
        signatures = {
            "serving_default": _signature(
                {"x": x, "scale": scale, "rate": rate}, {"score": score, "hidden": hidden}
            ),
            "picked": _signature({"ids": ids}, {"picked": picked}),
            "kept": _signature({"x": x, "keep_prob": keep_prob}, {"kept": x * keep_prob}),
            "both": _signature({"x": x, "ids": ids}, {"score": score, "after": after}),
            "from_hidden": _signature({"h": hidden}, {"total": tf.reduce_sum(hidden, 1)}),
            "odd": _signature(
                {"any": any_shape, "w": words}, {"weights": weights, "any": any_shape, "w": words}
            ),
        }
        builder = tf1.saved_model.Builder(str(path))
        builder.add_meta_graph_and_variables(
            session, ["serve"], signatures, strip_default_attrs=True
        )
        builder.save()


def _signature(inputs: dict[str, Any], outputs: dict[str, Any]) -> Any:
    info = tf1.saved_model.build_tensor_info
    return tf1.saved_model.build_signature_def(
        {key: info(tensor) for key, tensor in inputs.items()},
        {key: info(tensor) for key, tensor in outputs.items()},
        tf1.saved_model.signature_constants.PREDICT_METHOD_NAME,
    )


def save_function_model(path: Path) -> None:
    """Save a TF2 function, whose tensors are inside a function body, with all kinds of outputs."""

    def outputs(x: Any, words: Any, times: Any) -> Any:
        tripled = tf.multiply(x, 3.0, name="tripled")
        return {
            "total": tf.reduce_sum(tripled, 1),
            "wide": tripled,
            "nested": tf.stack([tripled, tripled], 1),
            "upper": tf.strings.upper(words, encoding="utf-8"),
            "times": times * 2,
            "odd": times % 2 == 1,
        }

    save_function(
        path,
        outputs,
        tf.TensorSpec([None, 2], tf.float32, "x"),
        tf.TensorSpec([None], tf.string, "words"),
        tf.TensorSpec([None], tf.int64, "times"),
    )

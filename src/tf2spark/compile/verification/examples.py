"""What a model's string inputs may accept: ``tf.Example`` messages, and image files."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from tf2spark.dtypes import INT64, STRING, DType
from tf2spark.saved_model.contract import Signature
from tf2spark.saved_model.protos import GraphMessage
from tf2spark.saved_model.tf_example.features import ParsedExample, ParsedFeature

_IMAGE_OPS = frozenset({"DecodeJpeg", "DecodeAndCropJpeg", "DecodePng", "DecodeImage"})
_IMAGE_SIDE = 256  # models crop what they decode, often to 224 pixels
_MAX_VALUES = 1 << 20
_MAX_TEXTS = 1000
_STEPS = 2


def generated_texts(graph_def: GraphMessage, signature: Signature) -> list[dict[str, bytes]]:
    """Return what to feed inputs of strings, that which the model most likely accepts first.

    These are the ``tf.Example`` or ``tf.SequenceExample`` messages with all the features that the
    graph parses from an input, images if it decodes any, then a short word, then an empty text.
    """
    images, specs = list(_images(graph_def)), signature.inputs
    values = [*images[:1], b"a"]  # what string features contain
    parsed = [
        {spec.name: _message(spec.example, value) if spec.example else value for spec in specs}
        for value in values
        if any(spec.example for spec in specs)
    ]
    return parsed + [{spec.name: text for spec in specs} for text in (*images, b"a", b"")]


def _images(graph_def: GraphMessage) -> Iterator[bytes]:
    """Yield image files if the graph decodes images, in base64 first if it decodes that too."""
    bodies = (function.node_def for function in graph_def.library.function)
    ops = {node.op for nodes in (graph_def.node, *bodies) for node in nodes}
    if not ops & _IMAGE_OPS:
        return
    side = _IMAGE_SIDE
    coarse = np.random.default_rng(1).integers(0, 256, (side // 32, side // 32, 3))
    pixels = tf.constant(np.kron(coarse, np.ones((32, 32, 1))), tf.uint8)
    # PNG too: its pixels may be read as 16 bits.
    files = [tf.io.encode_jpeg(pixels).numpy(), tf.io.encode_png(pixels).numpy()]
    if "DecodeBase64" in ops:
        yield from map(base64.urlsafe_b64encode, files)
    yield from files


def _message(example: ParsedExample, text: bytes) -> bytes:
    """Return a serialized message with every feature that is parsed; strings are `text`."""
    context = {
        feature.key: _feature(feature, text) for feature in example.features if not feature.is_list
    }
    if not example.has_lists:
        message = tf.train.Example(features=tf.train.Features(feature=context))
        return bytes(message.SerializeToString())
    lists = {
        feature.key: tf.train.FeatureList(feature=[_feature(feature, text)] * _STEPS)
        for feature in example.features
        if feature.is_list
    }
    sequence = tf.train.SequenceExample(
        context=tf.train.Features(feature=context),
        feature_lists=tf.train.FeatureLists(feature_list=lists),
    )
    return bytes(sequence.SerializeToString())


def _feature(feature: ParsedFeature, text: bytes) -> Any:
    limit = _MAX_TEXTS if feature.dtype is STRING else _MAX_VALUES
    count = min(math.prod(size or 1 for size in feature.dims), limit)
    return tf.train.Feature(**_values(feature.dtype, count, text))


def _values(dtype: DType, count: int, text: bytes) -> dict[str, Any]:
    if dtype is STRING:
        return {"bytes_list": tf.train.BytesList(value=[text] * count)}
    if dtype is INT64:
        return {"int64_list": tf.train.Int64List(value=[1] * count)}
    return {"float_list": tf.train.FloatList(value=[0.5] * count)}

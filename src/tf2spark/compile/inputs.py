"""Inputs to run both models on: the model's warmup requests, or generated from its contract."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from tf2spark.dtypes import STRING
from tf2spark.saved_model.contract import Signature, TensorSpec

Feeds = dict[str, "np.ndarray[Any, Any]"]
"""Values by tensor; strings are objects (bytes)."""

WARMUP_FILE = "assets.extra/tf_serving_warmup_requests"
_MAX_REQUESTS = 100
_BATCH_ROWS = (8, 1)


def warmup_feeds(folder: Path, signature: Signature, original_name: str) -> list[Feeds]:
    """Return the feeds of a model's own warmup requests for a signature.

    Requests of other kinds or for other signatures are ignored, and so are those that don't feed
    exactly the inputs of the signature. The messages are those of
    ``tensorflow_serving/apis/prediction_log.proto`` and ``predict.proto``.
    """
    path = folder / WARMUP_FILE
    if not path.is_file():
        return []
    tensors = {spec.name: spec.tensors[0] for spec in signature.inputs if spec.kind == "dense"}
    if len(tensors) < len(signature.inputs):
        return []  # a request has one tensor per input
    feeds = []
    for record in tf.data.TFRecordDataset(str(path)).take(_MAX_REQUESTS).as_numpy_iterator():
        request = _PredictionLog.FromString(record).predict_log.request
        requested = request.model_spec.signature_name or "serving_default"
        values = {
            entry.key: tf.make_ndarray(tf.make_tensor_proto(0).FromString(entry.value))
            for entry in request.inputs
        }
        if requested == original_name and set(values) == set(tensors):
            feeds.append({tensors[name]: value for name, value in values.items()})
    return feeds


def generate_feeds(signature: Signature, example: bytes | None) -> Iterator[list[Feeds]]:
    """Yield feeds made from a signature, those most likely to be accepted first.

    Numbers are random, from a fixed seed, then zeros, since a model may know few ids. Strings are
    the ``tf.Example`` that the model parses, if it parses any, then a short word, then empty.
    """
    texts = (b"a", b"") if example is None else (example, b"a", b"")
    for random in (True, False):
        for text in texts:
            for size in (3, 1):
                yield [_feeds(signature, rows, size, random, text) for rows in _BATCH_ROWS]
            if all(spec.dtype is not STRING for spec in signature.inputs):
                break


def _feeds(signature: Signature, rows: int, size: int, random: bool, text: bytes) -> Feeds:
    """Return feeds of `rows` rows; `size` stands in for every other unknown dimension."""
    generator = np.random.default_rng(rows)
    feeds: Feeds = {}
    for spec in signature.inputs:
        feeds |= _spec_feeds(spec, rows, size, generator if random else None, text)
    return feeds


def _spec_feeds(
    spec: TensorSpec, rows: int, size: int, generator: np.random.Generator | None, text: bytes
) -> Feeds:
    shape = (None, None) if spec.shape is None else spec.shape
    dims = [
        (size if axis else rows) if known is None else known for axis, known in enumerate(shape)
    ]
    if spec.kind == "dense":
        return {spec.tensors[0]: _values(spec, tuple(dims), generator, text)}
    if spec.kind == "sparse":
        # One value per row, at index 0 of every other axis.
        indices = np.stack(
            [np.arange(dims[0])] + [np.zeros(dims[0], np.int64)] * (len(dims) - 1), 1
        )
        parts = (indices, _values(spec, (dims[0],), generator, text), np.array(dims, np.int64))
        return dict(zip(spec.tensors, parts, strict=True))
    assert spec.splits_dtype is not None, spec
    # One value per row at every ragged level.
    levels = len(spec.tensors) - 1
    flat_dims = (dims[0], *dims[1 + levels :])
    splits = np.arange(dims[0] + 1, dtype=spec.splits_dtype.numpy)
    values = _values(spec, flat_dims, generator, text)
    return dict(zip(spec.tensors, (values, *[splits] * levels), strict=True))


def _values(
    spec: TensorSpec, shape: tuple[int, ...], generator: np.random.Generator | None, text: bytes
) -> np.ndarray[Any, Any]:
    if spec.dtype is STRING:
        return np.full(shape, text, object)
    dtype = tf.as_dtype(spec.dtype.code).as_numpy_dtype
    if generator is None:
        return np.zeros(shape, dtype)
    if spec.dtype.is_floating:
        return generator.uniform(-1, 1, shape).astype(dtype)
    return generator.integers(0, 2, shape).astype(dtype)


def row_count(runs: Sequence[Mapping[str, Any]]) -> int:
    """Return the number of rows in the feeds of some runs: the longest first dimension of each."""
    lengths = [[len(value) for value in feeds.values() if np.ndim(value)] for feeds in runs]
    return sum(max(run_lengths, default=1) for run_lengths in lengths)


def _message_classes() -> dict[str, Any]:
    """Return the classes of TensorFlow Serving's messages, with the fields that are read here."""
    package = "tf2spark_warmup"
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package)
    field = descriptor_pb2.FieldDescriptorProto
    for message_name, fields in {
        "Entry": [("key", 1, field.TYPE_STRING, ""), ("value", 2, field.TYPE_BYTES, "")],
        "ModelSpec": [("signature_name", 3, field.TYPE_STRING, "")],
        "PredictRequest": [
            ("model_spec", 1, field.TYPE_MESSAGE, "ModelSpec"),
            ("inputs", 2, field.TYPE_MESSAGE, "Entry"),
        ],
        "PredictLog": [("request", 1, field.TYPE_MESSAGE, "PredictRequest")],
        "PredictionLog": [("predict_log", 6, field.TYPE_MESSAGE, "PredictLog")],
    }.items():
        descriptor = file.message_type.add(name=message_name)
        for name, number, field_type, type_name in fields:
            label = field.LABEL_REPEATED if name == "inputs" else field.LABEL_OPTIONAL
            added = descriptor.field.add(name=name, number=number, type=field_type, label=label)
            if type_name:
                added.type_name = f".{package}.{type_name}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        message.name: message_factory.GetMessageClass(
            pool.FindMessageTypeByName(f"{package}.{message.name}")
        )
        for message in file.message_type
    }


# All classes are kept: protobuf before 4.25 crashes if the class of a nested message was freed.
_MESSAGES = _message_classes()
_PredictionLog = _MESSAGES["PredictionLog"]

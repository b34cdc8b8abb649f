"""Inputs to run both models on: the model's warmup requests, or generated from its contract."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from tf2spark.binding.generated_feeds import attempts, spec_feeds
from tf2spark.dtypes import STRING
from tf2spark.saved_model.contract import Signature, TensorSpec

Feeds = dict[str, "np.ndarray[Any, Any]"]
"""Values by tensor; strings are objects (bytes)."""

WARMUP_FILE = "assets.extra/tf_serving_warmup_requests"
_MAX_REQUESTS = 100
_MAX_VALUES = 1 << 26
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
    for record in _records(path):
        try:
            request = _PredictionLog.FromString(record).predict_log.request
            values = {entry.key: _array(entry.value) for entry in request.inputs}
        except (DecodeError, TypeError, ValueError):
            continue  # not a request
        requested = request.model_spec.signature_name or "serving_default"
        if requested == original_name and set(values) == set(tensors):
            feeds.append({tensors[name]: value for name, value in values.items()})
    return feeds


def _records(path: Path) -> Iterator[bytes]:
    """Yield the first records of a file, up to one that is damaged or truncated."""
    records = tf.data.TFRecordDataset(str(path)).take(_MAX_REQUESTS).as_numpy_iterator()
    with suppress(tf.errors.OpError):
        yield from records


def _array(content: bytes) -> np.ndarray[Any, Any]:
    """Return the values of a serialized TensorProto.

    Raises:
        DecodeError, TypeError, ValueError: They can't be read.
    """
    tensor = tf.make_tensor_proto(0).FromString(content)
    # A few bytes can say that one value is repeated any number of times.
    if math.prod(max(dim.size, 0) for dim in tensor.tensor_shape.dim) > _MAX_VALUES:
        raise ValueError("too many values")
    values: np.ndarray[Any, Any] = tf.make_ndarray(tensor)
    return values


def generate_feeds(
    signature: Signature, texts: Sequence[Mapping[str, bytes]]
) -> Iterator[list[Feeds]]:
    """Yield feeds made from a signature, those most likely to be accepted first.

    Numbers are random, from a fixed seed, then zeros, since a model may know few ids. Strings are
    those in `texts`, one for each input, one after the other.
    """
    for random, text, size in attempts(signature.inputs, texts):
        yield [_feeds(signature, rows, size, random, text) for rows in _BATCH_ROWS]


def _feeds(
    signature: Signature, rows: int, size: int, random: bool, texts: Mapping[str, bytes]
) -> Feeds:
    """Return feeds of `rows` rows; `size` stands in for every other unknown dimension."""
    generator = np.random.default_rng(rows)
    feeds: Feeds = {}
    for spec in signature.inputs:
        values = functools.partial(_values, spec, generator if random else None, texts[spec.name])
        feeds |= spec_feeds(spec, rows, size, values)
    return feeds


def _values(
    spec: TensorSpec, generator: np.random.Generator | None, text: bytes, shape: tuple[int, ...]
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

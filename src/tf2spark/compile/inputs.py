"""What original and compiled model are both run on: warmup requests, a sample, or made inputs."""

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
_MOST_REQUESTS = 100
_ROWS = (8, 1)


def warmup(folder: Path, signature: Signature, original_name: str) -> list[Feeds]:
    """Return the feeds of a model's own warmup requests for a signature.

    Source: ``tensorflow_serving/apis/prediction_log.proto`` and ``predict.proto``. Requests of
    other kinds, of other signatures, and those that don't feed the inputs just so are passed over.
    """
    path = folder / WARMUP_FILE
    if not path.is_file():
        return []
    found = []
    for record in tf.data.TFRecordDataset(str(path)).take(_MOST_REQUESTS).as_numpy_iterator():
        request = _PredictionLog.FromString(record).predict_log.request
        asked = request.model_spec.signature_name or "serving_default"
        values = {
            one.key: tf.make_ndarray(tf.make_tensor_proto(0).FromString(one.value))
            for one in request.inputs
        }
        dense = {spec.name: spec.tensors[0] for spec in signature.inputs if spec.kind == "dense"}
        if asked == original_name and set(values) == set(dense) == {
            spec.name for spec in signature.inputs
        }:
            found.append({dense[name]: value for name, value in values.items()})
    return found


def made(signature: Signature, example: bytes | None) -> Iterator[list[Feeds]]:
    """Yield feeds made from what a signature says, the likeliest to be accepted first.

    Random numbers from a fixed seed; then zeros, since ids may be few; strings are the
    ``tf.Example`` that the model parses, if it does, then short words, then empty.
    """
    texts = (b"a", b"") if example is None else (example, b"a", b"")
    for numbers in ("random", "zero"):
        for text in texts:
            for unknown in (3, 1):
                yield [
                    _feeds(signature, rows, unknown, numbers == "random", text) for rows in _ROWS
                ]
            if all(spec.dtype is not STRING for spec in signature.inputs):
                break


def _feeds(signature: Signature, rows: int, unknown: int, random: bool, text: bytes) -> Feeds:
    draw = np.random.default_rng(rows)
    feeds: Feeds = {}
    for spec in signature.inputs:
        feeds |= _spec_feeds(spec, rows, unknown, draw if random else None, text)
    return feeds


def _spec_feeds(
    spec: TensorSpec, rows: int, unknown: int, draw: np.random.Generator | None, text: bytes
) -> Feeds:
    shape = (None, None) if spec.shape is None else spec.shape
    dims = [
        size if size is not None else (unknown if axis else rows) for axis, size in enumerate(shape)
    ]
    if spec.kind == "dense":
        return {spec.tensors[0]: _values(spec, tuple(dims), draw, text)}
    if spec.kind == "sparse":
        indices = np.stack(
            [np.arange(dims[0])] + [np.zeros(dims[0], np.int64)] * (len(dims) - 1), 1
        )
        parts = (indices, _values(spec, (dims[0],), draw, text), np.array(dims, np.int64))
        return dict(zip(spec.tensors, parts, strict=True))
    assert spec.splits_dtype is not None, spec
    levels = len(spec.tensors) - 1
    flat = (dims[0], *dims[1 + levels :])
    splits = np.arange(dims[0] + 1, dtype=spec.splits_dtype.numpy)
    values = _values(spec, flat, draw, text)
    return dict(zip(spec.tensors, (values, *[splits] * levels), strict=True))


def _values(
    spec: TensorSpec, shape: tuple[int, ...], draw: np.random.Generator | None, text: bytes
) -> np.ndarray[Any, Any]:
    if spec.dtype is STRING:
        return np.full(shape, text, object)
    kind = tf.as_dtype(spec.dtype.code).as_numpy_dtype
    if draw is None:
        return np.zeros(shape, kind)
    if spec.dtype.is_floating:
        return draw.uniform(-1, 1, shape).astype(kind)
    return draw.integers(0, 2, shape).astype(kind)


def row_count(feeds: Sequence[Mapping[str, Any]]) -> int:
    """Count the rows of some feeds: the longest first dimension of each."""
    lengths = [[len(one) for one in each.values() if np.ndim(one)] for each in feeds]
    return sum(max(each, default=1) for each in lengths)


def _message_classes() -> dict[str, Any]:
    package = "tf2spark_warmup"
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package)
    field = descriptor_pb2.FieldDescriptorProto
    for message, fields in {
        "Entry": [("key", 1, field.TYPE_STRING, ""), ("value", 2, field.TYPE_BYTES, "")],
        "ModelSpec": [("signature_name", 3, field.TYPE_STRING, "")],
        "PredictRequest": [
            ("model_spec", 1, field.TYPE_MESSAGE, "ModelSpec"),
            ("inputs", 2, field.TYPE_MESSAGE, "Entry"),
        ],
        "PredictLog": [("request", 1, field.TYPE_MESSAGE, "PredictRequest")],
        "PredictionLog": [("predict_log", 6, field.TYPE_MESSAGE, "PredictLog")],
    }.items():
        described = file.message_type.add(name=message)
        for name, number, kind, type_name in fields:
            label = field.LABEL_REPEATED if name == "inputs" else field.LABEL_OPTIONAL
            one = described.field.add(name=name, number=number, type=kind, label=label)
            if type_name:
                one.type_name = f".{package}.{type_name}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        one.name: message_factory.GetMessageClass(
            pool.FindMessageTypeByName(f"{package}.{one.name}")
        )
        for one in file.message_type
    }


_PredictionLog = _message_classes()["PredictionLog"]

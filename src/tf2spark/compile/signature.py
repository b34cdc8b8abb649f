"""A `Signature` as TensorFlow's ``SignatureDef``, sparse and ragged inputs as one entry each.

Calls are inlined, so that the trace by which TF2's flattened inputs are found again is gone.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2, struct_pb2

from tf2spark.dtypes import Shape
from tf2spark.saved_model.contract import Signature, TensorSpec


def signature_def(signature: Signature) -> Any:
    """Return the message for a signature."""
    message = meta_graph_pb2.SignatureDef(method_name=signature.method_name)
    for spec in signature.inputs:
        _fill(message.inputs[spec.name], spec)
    for spec in signature.outputs:
        _fill(message.outputs[spec.name], spec)
    return message


def _fill(info: Any, spec: TensorSpec) -> None:
    info.dtype = spec.dtype.code
    info.tensor_shape.CopyFrom(_shape(spec.shape))
    if spec.kind == "sparse":
        names = ("indices_tensor_name", "values_tensor_name", "dense_shape_tensor_name")
        for field, tensor in zip(names, spec.tensors, strict=True):
            setattr(info.coo_sparse, field, tensor)
    elif spec.kind == "ragged":
        _fill_ragged(info, spec)
    else:
        info.name = spec.tensors[0]


def _fill_ragged(info: Any, spec: TensorSpec) -> None:
    assert spec.splits_dtype is not None, spec
    info.composite_tensor.type_spec.type_spec_class = struct_pb2.TypeSpecProto.RAGGED_TENSOR_SPEC
    state = info.composite_tensor.type_spec.type_state.tuple_value.values
    state.add().tensor_shape_value.CopyFrom(_shape(spec.shape))
    state.add().tensor_dtype_value = spec.dtype.code
    state.add().int64_value = len(spec.tensors) - 1
    state.add().tensor_dtype_value = spec.splits_dtype.code
    for place, tensor in enumerate(spec.tensors):
        part = info.composite_tensor.components.add(name=tensor)
        part.dtype = spec.splits_dtype.code if place else spec.dtype.code
        part.tensor_shape.unknown_rank = True


def _shape(shape: Shape) -> Any:
    return tf.TensorShape(shape).as_proto()

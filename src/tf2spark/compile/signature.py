"""A `Signature` as TensorFlow's ``SignatureDef``, with one entry per sparse or ragged input.

A compiled graph has no wrapper functions, from which `saved_model.signatures` could reassemble
inputs that TF2 flattened, so the signature itself has to say which tensors belong together.
"""

from __future__ import annotations

import tensorflow as tf
from tensorflow.core.framework import tensor_shape_pb2
from tensorflow.core.protobuf import meta_graph_pb2, struct_pb2

from tf2spark.dtypes import Shape
from tf2spark.saved_model.contract import Signature, TensorSpec
from tf2spark.saved_model.protos import SignatureMessage, TensorInfoMessage


def signature_def(signature: Signature) -> SignatureMessage:
    """Return a signature as a message."""
    message = meta_graph_pb2.SignatureDef(method_name=signature.method_name)
    for spec in signature.inputs:
        _fill(message.inputs[spec.name], spec)
    for spec in signature.outputs:
        _fill(message.outputs[spec.name], spec)
    return message


def _fill(info: TensorInfoMessage, spec: TensorSpec) -> None:
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


def _fill_ragged(info: TensorInfoMessage, spec: TensorSpec) -> None:
    """Write a state as ``RaggedTensorSpec._serialize`` does: shape, dtype, rank, splits dtype."""
    assert spec.splits_dtype is not None, spec
    info.composite_tensor.type_spec.type_spec_class = struct_pb2.TypeSpecProto.RAGGED_TENSOR_SPEC
    state = info.composite_tensor.type_spec.type_state.tuple_value.values
    state.add().tensor_shape_value.CopyFrom(_shape(spec.shape))
    state.add().tensor_dtype_value = spec.dtype.code
    state.add().int64_value = len(spec.tensors) - 1
    state.add().tensor_dtype_value = spec.splits_dtype.code
    for number, tensor in enumerate(spec.tensors):
        component = info.composite_tensor.components.add(name=tensor)
        component.dtype = spec.splits_dtype.code if number else spec.dtype.code
        component.tensor_shape.unknown_rank = True


def _shape(shape: Shape) -> tensor_shape_pb2.TensorShapeProto:
    return tf.TensorShape(shape).as_proto()

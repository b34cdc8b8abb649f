"""Operations added to a graph of our own."""

from __future__ import annotations

from tf2spark.tensorflow_c.library import TFOutput, status, tensorflow
from tf2spark.tensorflow_c.tensor import Tensor
from tf2spark.tensorflow_c.tensor_memory import new_tensor


def add_operation(
    graph: int, op: bytes, name: bytes, *inputs: TFOutput, dtype: int | None = None
) -> TFOutput:
    """Add an operation to a graph and return its first output; `dtype` is its attribute."""
    lib = tensorflow()
    description = lib.TF_NewOperation(graph, op, name)
    for tensor in inputs:
        lib.TF_AddInput(description, tensor)
    if dtype is not None:
        lib.TF_SetAttrType(description, b"dtype", dtype)
    return _finish(description)


def add_constant(graph: int, name: bytes, value: Tensor) -> TFOutput:
    """Add a ``Const`` to a graph; the value is copied."""
    lib = tensorflow()
    tensor = new_tensor(lib, value)
    description = lib.TF_NewOperation(graph, b"Const", name)
    try:
        with status() as state:
            lib.TF_SetAttrTensor(description, b"value", tensor, state)
    finally:
        lib.TF_DeleteTensor(tensor)
    lib.TF_SetAttrType(description, b"dtype", value.dtype.code)
    return _finish(description)


def _finish(description: int) -> TFOutput:
    # This frees the description, whether or not the operation is accepted.
    with status() as state:
        return TFOutput(tensorflow().TF_FinishOperation(description, state), 0)

"""`Tensor` to ``TF_Tensor`` and back."""

from __future__ import annotations

import ctypes
import itertools
import weakref
from ctypes import c_int64

import numpy as np

from tf2spark.dtypes import DType
from tf2spark.errors import RunError
from tf2spark.tensorflow_c.library import Deallocator
from tf2spark.tensorflow_c.tensor import Tensor

_fed: dict[int, Tensor] = {}
_tokens = itertools.count(1)


# Called once TensorFlow has let go of a tensor's memory. That is not always when the run is over:
# a model that assigns its input to a variable keeps that very memory.
def _let_go(data: int, length_bytes: int, token: int) -> None:
    _fed.pop(token, None)


_release = Deallocator(_let_go)


def new_tensor(lib: ctypes.CDLL, tensor: Tensor) -> int:
    """Wrap a tensor's memory as a ``TF_Tensor``, to be deleted by the caller.

    TensorFlow reads the memory in place where it is 64-byte aligned, or holds strings, and copies
    it otherwise.
    """
    shape, data = tensor.shape, tensor.data
    token = next(_tokens)
    _fed[token] = tensor
    dims = (c_int64 * len(shape))(*shape)
    address = data.__array_interface__["data"][0]
    pointer: int | None = lib.TF_NewTensor(
        tensor.dtype.code, dims, len(shape), address, data.nbytes, _release, token
    )
    if pointer is None:
        raise RunError(
            f"TensorFlow takes no {tensor.dtype} tensor of shape {list(shape)} from "
            f"{data.nbytes} bytes"
        )
    return pointer


# Below it, a copy is cheaper than what looks after TensorFlow's memory.
_ADOPTED_BYTES = 1 << 18


def is_adopted(lib: ctypes.CDLL, pointer: int) -> bool:
    """Say whether a fetched tensor is so large that its memory is kept rather than copied."""
    return bool(lib.TF_TensorByteSize(pointer) >= _ADOPTED_BYTES)


def adopted_numbers(lib: ctypes.CDLL, pointer: int, dtype: DType) -> Tensor:
    """Return a numeric ``TF_Tensor`` over its own memory, deleted with the last array over it.

    It may be the memory of a fed tensor: that is kept until TensorFlow lets go of it (`_let_go`).
    """
    shape = tuple(lib.TF_Dim(pointer, axis) for axis in range(lib.TF_NumDims(pointer)))
    size_bytes = lib.TF_TensorByteSize(pointer)
    memory = (ctypes.c_char * size_bytes).from_address(lib.TF_TensorData(pointer))
    weakref.finalize(memory, lib.TF_DeleteTensor, pointer).atexit = False
    data = np.frombuffer(memory, dtype.numpy).reshape(shape)
    return Tensor(dtype, shape, data)


def read_numbers(lib: ctypes.CDLL, pointer: int, dtype: DType) -> Tensor:
    """Copy a numeric ``TF_Tensor`` into memory of its own."""
    shape = tuple(lib.TF_Dim(pointer, axis) for axis in range(lib.TF_NumDims(pointer)))
    data = np.empty(shape, dtype.numpy)
    if data.nbytes:
        address = data.__array_interface__["data"][0]
        ctypes.memmove(address, lib.TF_TensorData(pointer), data.nbytes)
    return Tensor(dtype, shape, data)

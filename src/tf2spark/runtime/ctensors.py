"""`Tensor` to ``TF_Tensor`` and back."""

from __future__ import annotations

import ctypes
import itertools
from ctypes import c_int64

import numpy as np

from tf2spark.dtypes import DType
from tf2spark.errors import RunError
from tf2spark.runtime.capi import Deallocator
from tf2spark.runtime.tensor import Tensor

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


def read_numbers(lib: ctypes.CDLL, pointer: int, dtype: DType) -> Tensor:
    """Copy a numeric ``TF_Tensor`` into memory of its own."""
    shape = tuple(lib.TF_Dim(pointer, axis) for axis in range(lib.TF_NumDims(pointer)))
    data = np.empty(shape, dtype.numpy)
    if data.nbytes:
        address = data.__array_interface__["data"][0]
        ctypes.memmove(address, lib.TF_TensorData(pointer), data.nbytes)
    return Tensor(dtype, shape, data)

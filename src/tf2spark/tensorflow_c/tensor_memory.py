"""`Tensor` to ``TF_Tensor`` and back: who owns which memory, and for how long.

In: TensorFlow reads the memory of the NumPy array, often an Arrow buffer, where it lies. `_fed`
holds a reference to the tensor until TensorFlow calls the deallocator.
Out: small results are copied, and their ``TF_Tensor`` is deleted at once. The memory of large ones
stays TensorFlow's: the last NumPy or Arrow array over it deletes the ``TF_Tensor``.
"""

from __future__ import annotations

import ctypes
import itertools
import weakref
from ctypes import c_int64

import numpy as np
import pyarrow as pa

from tf2spark.dtypes import DType
from tf2spark.errors import RunError
from tf2spark.tensorflow_c.library import Deallocator
from tf2spark.tensorflow_c.tensor import Tensor

# Keyed by a token and not by the address: one buffer can be fed to several inputs at a time.
_fed: dict[int, Tensor] = {}
_tokens = itertools.count(1)


# Called once TensorFlow no longer needs a tensor's memory. That isn't always when the run is over:
# a model that assigns its input to a variable keeps that very memory. It can be called from a
# thread of TensorFlow's; ctypes takes the GIL, and dict.pop is atomic under it. Nothing is freed
# here: the memory goes with the last reference to the NumPy array.
def _forget(data: int, length_bytes: int, token: int) -> None:
    _fed.pop(token, None)


# A module-level name, since TensorFlow keeps the bare function pointer: ctypes frees the code that
# it points to together with this object.
_deallocator = Deallocator(_forget)


def new_tensor(lib: ctypes.CDLL, tensor: Tensor) -> int:
    """Wrap a tensor's memory as a ``TF_Tensor``, to be deleted by the caller.

    TensorFlow reads the memory in place if it is 64-byte aligned or holds strings; otherwise it
    copies it here, and calls the deallocator before this returns.
    """
    shape, data = tensor.shape, tensor.data
    token = next(_tokens)
    _fed[token] = tensor
    dims = (c_int64 * len(shape))(*shape)
    # The quickest of the ways to the address, and the only one of them below a microsecond.
    address = pa.py_buffer(data).address
    pointer: int | None = lib.TF_NewTensor(
        tensor.dtype.code, dims, len(shape), address, data.nbytes, _deallocator, token
    )
    if pointer is None:
        raise RunError(
            f"TensorFlow accepts no {tensor.dtype} tensor of shape {list(shape)} from "
            f"{data.nbytes} bytes"
        )
    return pointer


# For smaller tensors, a copy is cheaper than the finalizer that frees TensorFlow's memory.
_ADOPTED_BYTES = 1 << 18


def is_adopted(lib: ctypes.CDLL, pointer: int) -> bool:
    """Say whether a fetched tensor is so large that its memory is kept rather than copied."""
    return bool(lib.TF_TensorByteSize(pointer) >= _ADOPTED_BYTES)


def adopted_numbers(lib: ctypes.CDLL, pointer: int, dtype: DType) -> Tensor:
    """Return a numeric ``TF_Tensor`` over its own memory; the last array over it deletes it.

    It may be the memory of a fed tensor, if the graph passes an input on. TensorFlow counts the
    references to that, and calls `_forget` only after this one is gone too.
    """
    shape = tuple(lib.TF_Dim(pointer, axis) for axis in range(lib.TF_NumDims(pointer)))
    size_bytes = lib.TF_TensorByteSize(pointer)
    # Every view of the array, Arrow's included, refers to this ctypes object in the end.
    memory = (ctypes.c_char * size_bytes).from_address(lib.TF_TensorData(pointer))
    # Not at exit: the process ends anyway, and parts of the library may be gone by then.
    weakref.finalize(memory, lib.TF_DeleteTensor, pointer).atexit = False
    data = np.frombuffer(memory, dtype.numpy).reshape(shape)
    return Tensor(dtype, shape, data)


def read_numbers(lib: ctypes.CDLL, pointer: int, dtype: DType) -> Tensor:
    """Copy a numeric ``TF_Tensor`` into memory of its own."""
    shape = tuple(lib.TF_Dim(pointer, axis) for axis in range(lib.TF_NumDims(pointer)))
    data = np.empty(shape, dtype.numpy)
    # An empty tensor may have no memory to point to.
    if data.nbytes:
        ctypes.memmove(pa.py_buffer(data).address, lib.TF_TensorData(pointer), data.nbytes)
    return Tensor(dtype, shape, data)

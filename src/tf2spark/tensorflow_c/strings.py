"""Strings of a whole tensor at once, in and out of TensorFlow, with no Python step a value.

In: a ``TF_TString`` view a value, built by NumPy over an Arrow buffer. Out: TensorFlow itself lays
the values of a fetched tensor end to end, in a small session of its own.

Source of the layout: ``tsl/platform/ctstring_internal.h``. A ``TF_TString`` is 24 bytes; the two
lowest bits of its first byte tell which of four forms it has, and 3 is a view: uint64
``size << 2 | 3``, a pointer to the bytes, and a pointer to their owner or 0.
"""

from __future__ import annotations

import ctypes
import functools
from ctypes import c_void_p
from typing import Any

import numpy as np
import numpy.typing as npt

from tf2spark.dtypes import INT32, STRING
from tf2spark.tensorflow_c import library
from tf2spark.tensorflow_c.library import TFOutput, status
from tf2spark.tensorflow_c.session_config import session_options
from tf2spark.tensorflow_c.tensor import Strings, Tensor
from tf2spark.tensorflow_c.tensor_memory import new_tensor, read_numbers

_VIEW = 3


def views(offsets: npt.NDArray[np.integer], address: int) -> npt.NDArray[np.uint64]:
    """Make the ``TF_TString`` views of all values of an Arrow string or binary array.

    Args:
        offsets: int32 or int64 [n + 1], the array's offsets, those of a slice included.
        address: Where the array's data buffer starts, 0 where it has none.

    Returns:
        uint64 [n, 3]. Nothing is copied: the data buffer must outlive every use of them.
    """
    structs = np.empty((len(offsets) - 1, 3), np.uint64)
    wide = offsets.astype(np.uint64, copy=False)
    np.subtract(wide[1:], wide[:-1], out=structs[:, 0])
    structs[:, 0] <<= np.uint64(2)
    structs[:, 0] |= np.uint64(_VIEW)
    np.add(wide[:-1], np.uint64(address), out=structs[:, 1])
    # TensorFlow follows the last word where it isn't 0: it counts references to an owner there.
    structs[:, 2] = 0
    return structs


def joined(pointer: int) -> Strings:
    """Read a string ``TF_Tensor``: its values end to end, and where each begins.

    Decoding the structs with NumPy takes twice as long for short strings and can't follow the
    pointers of long ones; this is 15 us and 30 ns a value.
    """
    lib = library.library()
    given = (c_void_p * 1)(pointer)
    taken: Any = (c_void_p * 2)()
    try:
        with status() as state:
            session, feed, fetches = _joiner()
            lib.TF_SessionRun(
                session, None, feed, given, 1, fetches, taken, 2, None, 0, None, state
            )
        lengths = read_numbers(lib, taken[0], INT32)
        offsets = np.zeros(lengths.data.size + 1, np.int64)
        np.cumsum(lengths.data, dtype=np.int64, out=offsets[1:])
        data = np.empty(int(offsets[-1]), np.uint8)
        text = lib.TF_TensorData(taken[1])
        ctypes.memmove(data.ctypes.data, lib.TF_StringGetDataPointer(text), data.nbytes)
        return Strings(lengths.shape, offsets, data)
    finally:
        for tensor in taken:
            if tensor:
                lib.TF_DeleteTensor(tensor)


@functools.cache
def _joiner() -> tuple[int, ctypes.Array[TFOutput], ctypes.Array[TFOutput]]:
    # Not added to the model's own graph: extending a session copies the whole graph, and is
    # refused by one that was told its graph stays as it is.
    lib = library.library()
    graph: int = lib.TF_NewGraph()
    values = _operation(graph, b"Placeholder", b"values", dtype=STRING.code)
    flat = _operation(graph, b"Reshape", b"flat", values, _constant(graph, b"all", [-1]))
    end_to_end = _operation(graph, b"ReduceJoin", b"joined", flat, _constant(graph, b"axis", 0))
    lengths = _operation(graph, b"StringLength", b"lengths", values)
    with session_options(threads=1) as options, status() as state:
        session: int = lib.TF_NewSession(graph, options, state)
    return session, (TFOutput * 1)(values), (TFOutput * 2)(lengths, end_to_end)


def _operation(
    graph: int, op: bytes, name: bytes, *inputs: TFOutput, dtype: int | None = None
) -> TFOutput:
    lib = library.library()
    description = lib.TF_NewOperation(graph, op, name)
    for each in inputs:
        lib.TF_AddInput(description, each)
    if dtype is not None:
        lib.TF_SetAttrType(description, b"dtype", dtype)
    with status() as state:
        return TFOutput(lib.TF_FinishOperation(description, state), 0)


def _constant(graph: int, name: bytes, value: int | list[int]) -> TFOutput:
    lib = library.library()
    data = np.array(value, np.int32)
    tensor = new_tensor(lib, Tensor(INT32, data.shape, data))
    description = lib.TF_NewOperation(graph, b"Const", name)
    try:
        with status() as state:
            lib.TF_SetAttrTensor(description, b"value", tensor, state)
    finally:
        lib.TF_DeleteTensor(tensor)
    lib.TF_SetAttrType(description, b"dtype", INT32.code)
    with status() as state:
        return TFOutput(lib.TF_FinishOperation(description, state), 0)

"""Fetched string tensors read whole, without a Python step per value.

TensorFlow itself joins the values, in a small session of its own: no struct is decoded here.
"""

from __future__ import annotations

import ctypes
import functools
from ctypes import c_void_p
from typing import Any

import numpy as np

from tf2spark.dtypes import INT32, STRING
from tf2spark.tensorflow_c.library import TFOutput, status, tensorflow
from tf2spark.tensorflow_c.operations import add_constant, add_operation
from tf2spark.tensorflow_c.session_config import session_options
from tf2spark.tensorflow_c.tensor import Strings, Tensor
from tf2spark.tensorflow_c.tensor_memory import read_numbers


def read_strings(pointer: int) -> Strings:
    """Copy a string ``TF_Tensor``: its values end to end, and where each begins.

    Decoding the structs with NumPy takes twice as long for short strings and can't follow the
    pointers of long ones; this is 15 us and 30 ns per value.
    """
    lib = tensorflow()
    fed = (c_void_p * 1)(pointer)
    fetched: Any = (c_void_p * 2)()
    try:
        with status() as state:
            session, feed, fetches = _joiner()
            lib.TF_SessionRun(
                session, None, feed, fed, 1, fetches, fetched, 2, None, 0, None, state
            )
        lengths = read_numbers(lib, fetched[0], INT32)
        offsets = np.zeros(lengths.data.size + 1, np.int64)
        np.cumsum(lengths.data, dtype=np.int64, out=offsets[1:])
        data = np.empty(int(offsets[-1]), np.uint8)
        # The joined text belongs to `fetched[1]`, so it is copied before that is deleted.
        text = lib.TF_TensorData(fetched[1])
        ctypes.memmove(data.ctypes.data, lib.TF_StringGetDataPointer(text), data.nbytes)
        return Strings(lengths.shape, offsets, data)
    finally:
        for tensor in fetched:
            if tensor:
                lib.TF_DeleteTensor(tensor)


@functools.cache
def _joiner() -> tuple[int, ctypes.Array[TFOutput], ctypes.Array[TFOutput]]:
    """Make the session that joins strings, once per process: session, feed, fetches."""
    # Not added to the model's own graph: extending a session copies the whole graph, and a session
    # with optimize_for_static_graph refuses to be extended.
    graph: int = tensorflow().TF_NewGraph()
    all_values = Tensor(INT32, (1,), np.array([-1], np.int32))
    axis = Tensor(INT32, (), np.array(0, np.int32))
    values = add_operation(graph, b"Placeholder", b"values", dtype=STRING.code)
    flat = add_operation(
        graph, b"Reshape", b"flat", values, add_constant(graph, b"all", all_values)
    )
    joined = add_operation(
        graph, b"ReduceJoin", b"joined", flat, add_constant(graph, b"axis", axis)
    )
    lengths = add_operation(graph, b"StringLength", b"lengths", values)
    with session_options(threads=1) as options, status() as state:
        session: int = tensorflow().TF_NewSession(graph, options, state)
    return session, (TFOutput * 1)(values), (TFOutput * 2)(lengths, joined)

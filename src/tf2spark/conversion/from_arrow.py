"""Arrow columns to the tensors that a session is fed; `tensors_to_arrow` is the mirror.

`feeder` looks at an `InputPlan` once and returns the function for the hot loop. It guarantees:
every tensor's first dimension is the number of rows (or of non-zeros, for sparse inputs, of flat
values, for ragged ones), buffers are passed on without a copy where type and layout allow, and a
row that can't become a tensor is named by `RowsRefused`, never fed as something else.
"""

from __future__ import annotations

import ctypes

import numpy as np
from attrs import evolve

from tf2spark.conversion.constants import broadcast_feeder, constant_feeder
from tf2spark.conversion.dense import dense_feeder
from tf2spark.conversion.padded import padded_feeder
from tf2spark.conversion.ragged import ragged_feeder
from tf2spark.conversion.rows import Feeder
from tf2spark.conversion.sparse import sparse_feeder
from tf2spark.plan.score import InputPlan
from tf2spark.tensorflow_c.tensor import Tensor


def feeder(plan: InputPlan, limit_bytes: int | None) -> Feeder:
    """Choose, once, how the tensors of one input are made from a batch.

    Args:
        plan: The input and what feeds it.
        limit_bytes: The function raises `RowsTooLarge`, before it takes the memory, where a batch
            of several rows would need a larger tensor. None for no limit.

    Returns:
        A function from a batch to the tensors, in the order of ``plan.tensors``. It raises
        `RowsRefused` for rows that can't be fed, `RowsUneven` for rows that can't be fed together.
    """
    match plan.form:
        case "constant":
            return constant_feeder(plan)
        case "broadcast":
            return broadcast_feeder(plan)
        case "sparse":
            return sparse_feeder(plan)
        case "ragged":
            return ragged_feeder(plan)
        case "padded":
            return padded_feeder(plan, limit_bytes)
        case _:
            return dense_feeder(plan, limit_bytes)


def copied_strings(fed: Tensor) -> Tensor:
    """Return a string tensor whose values are copies, each with a zero byte after it.

    For two kinds of graphs that views don't serve. A kernel that takes a string out of a fed tensor
    to keep it copies a view as it is, pointer and all, and the Arrow buffer that it points to is
    gone after the run; the "large" form (1 in the lowest two bits, then capacity and pointer;
    ``TF_TString_Assign`` in ``tsl/platform/ctstring_internal.h``) is copied in depth. And a kernel
    that reads a C string (``string_upper_op.cc``) reads a view on to the next zero byte. Nothing
    frees the fed strings: TensorFlow doesn't own a fed tensor's memory.
    """
    views = fed.data.view(np.uint64).reshape(-1, 3)
    lengths = (views[:, 0] >> np.uint64(2)).astype(np.int64)
    each = zip(views[:, 1].tolist(), lengths.tolist(), strict=True)
    texts = [ctypes.string_at(address, size) for address, size in each]
    data = np.frombuffer(b"\0".join([*texts, b""]), np.uint8)
    large = np.empty_like(views)
    large[:, 0] = (lengths.astype(np.uint64) << np.uint64(2)) | np.uint64(1)
    large[:, 1] = lengths
    large[:, 2] = data.ctypes.data + np.cumsum(lengths + 1) - lengths - 1
    return evolve(fed, data=large, owner=data)

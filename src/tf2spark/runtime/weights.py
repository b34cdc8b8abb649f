"""Weights of a compiled model as tensors over mapped files: one physical copy a host."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tf2spark.dtypes import from_code
from tf2spark.errors import ModelError
from tf2spark.manifest import Weight
from tf2spark.runtime.tensor import Tensor


def mapped_tensor(weight: Weight, folder: Path) -> Tensor:
    """Map a weight's file; nothing of it is read before TensorFlow does.

    Raises:
        ModelError: The file isn't as large as the tensor.
    """
    dtype, path = from_code(weight.code), folder / weight.path
    assert dtype.numpy is not None, weight
    expected_bytes = int(np.prod(weight.shape, dtype=np.int64)) * dtype.numpy.itemsize
    if path.stat().st_size != expected_bytes:
        raise ModelError(f"{path} has not the {expected_bytes:,} bytes of {weight.tensor}")
    # A page is 4,096 bytes, so that the values are aligned as TensorFlow wants them (64 bytes):
    # it would copy them otherwise. Private ("c"), so that no write could ever reach the file.
    data = np.memmap(path, dtype.numpy, mode="c", shape=weight.shape)
    return Tensor(dtype, weight.shape, data)

"""Weights of a compiled model as tensors over mapped files: one physical copy a host."""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np

from tf2spark.dtypes import DType, from_code
from tf2spark.errors import ModelError
from tf2spark.package.manifest import Weight
from tf2spark.tensorflow_c.tensor import Tensor


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
    return mapped_file(path, dtype, weight.shape)


def mapped_file(path: Path, dtype: DType, shape: tuple[int, ...]) -> Tensor:
    """Map a file that holds a tensor's values."""
    assert dtype.numpy is not None, path
    if not prod(shape):
        return Tensor(dtype, shape, np.zeros(shape, dtype.numpy))
    # A page is 4,096 bytes, so that the values are aligned as TensorFlow wants them (64 bytes):
    # it would copy them otherwise. Private ("c"), so that no write could ever reach the file.
    data = np.memmap(path, dtype.numpy, mode="c", shape=shape)
    return Tensor(dtype, shape, data)

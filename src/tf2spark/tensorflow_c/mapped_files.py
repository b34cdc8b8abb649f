"""Weights of a compiled model as tensors over mapped files: one copy in memory per host."""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np

from tf2spark.dtypes import DType, from_code
from tf2spark.errors import ModelError
from tf2spark.package.manifest import Weight
from tf2spark.tensorflow_c.tensor import Tensor


def mapped_tensor(weight: Weight, folder: Path) -> Tensor:
    """Map a weight's file; nothing is read until TensorFlow reads it.

    Raises:
        ModelError: The file isn't as large as the tensor.
    """
    dtype, path = from_code(weight.code), folder / weight.path
    assert dtype.numpy is not None, weight
    expected_bytes = int(np.prod(weight.shape, dtype=np.int64)) * dtype.numpy.itemsize
    size_bytes = path.stat().st_size
    if size_bytes != expected_bytes:
        raise ModelError(
            f"{path} has {size_bytes:,} bytes, {weight.tensor} needs {expected_bytes:,}"
        )
    return mapped_file(path, dtype, weight.shape)


def mapped_file(path: Path, dtype: DType, shape: tuple[int, ...]) -> Tensor:
    """Map a file that holds a tensor's values."""
    assert dtype.numpy is not None, path
    # An empty file can't be mapped.
    if not prod(shape):
        return Tensor(dtype, shape, np.zeros(shape, dtype.numpy))
    # A mapping begins at a page, so the values are aligned to 64 bytes: otherwise TensorFlow would
    # copy them. Private ("c"), so that no write can ever reach the file. NumPy keeps the mapping
    # open as long as the array lives.
    data = np.memmap(path, dtype.numpy, mode="c", shape=shape)
    return Tensor(dtype, shape, data)

"""Tensors for tests of sessions, and a way to run code in a new Python process."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import numpy.typing as npt

from tf2spark.dtypes import BOOL, BY_CODE, STRING, DType
from tf2spark.tensorflow_c import strings
from tf2spark.tensorflow_c.tensor import Strings, Tensor

NUMERIC = [dtype for dtype in BY_CODE.values() if dtype.numpy is not None]


def random_tensor(dtype: DType, shape: tuple[int, ...]) -> Tensor:
    """Make a tensor of random bits, so NaNs, infinities and negative zeros are among them."""
    assert dtype.numpy is not None
    size = int(np.prod(shape, dtype=int))
    random = np.random.default_rng(size)
    if dtype is BOOL:
        return Tensor(dtype, shape, random.integers(0, 2, shape).astype(bool).reshape(shape))
    raw = random.integers(0, 256, size * dtype.numpy.itemsize, np.uint8)
    return Tensor(dtype, shape, raw.view(dtype.numpy).reshape(shape))


def string_tensor(values: list[bytes], shape: tuple[int, ...] | None = None) -> Tensor:
    """Make a string tensor of views."""
    data = np.frombuffer(b"".join(values), np.uint8)
    offsets = np.cumsum([0, *map(len, values)])
    structs = strings.views(offsets, data.ctypes.data)
    return Tensor(STRING, (len(values),) if shape is None else shape, structs, data)


def shape_and_bytes(array: npt.NDArray[Any]) -> tuple[tuple[int, ...], bytes]:
    return array.shape, array.tobytes()


def array_of(result: Tensor | Strings) -> npt.NDArray[Any]:
    assert isinstance(result, Tensor)
    return result.data


def run_in_new_python(code: str, *arguments: object) -> str:
    """Run code in a new Python process, which never imports TensorFlow's Python package."""
    process = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert process.returncode == 0, process.stderr
    return process.stdout.strip()


START = """
import os, sys
import numpy as np
from tf2spark.dtypes import FLOAT32, STRING
from tf2spark.tensorflow_c import process, strings
from tf2spark.tensorflow_c.open_session import open_session
from tf2spark.tensorflow_c.failure import TensorFlowFailure
from tf2spark.tensorflow_c.tensor import Tensor
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tf2spark.dtypes import STRING
from tf2spark.tensorflow_c import strings
from tf2spark.tensorflow_c.library import tensorflow
from tf2spark.tensorflow_c.string_reader import read_strings
from tf2spark.tensorflow_c.tensor import Strings, Tensor
from tf2spark.tensorflow_c.tensor_memory import new_tensor

AWKWARD = [
    b"",
    b"a",
    b"\x00",
    b"a\x00b",
    b"\xff\xfe\x80",
    b"x" * 22,
    b"x" * 23,
    b"y" * 10_000,
    "Zażółć".encode(),
]


def view_tensor(array: pa.Array, shape: tuple[int, ...]) -> Tensor:
    large = pa.types.is_large_binary(array.type)
    wide: type[np.signedinteger[Any]] = np.int64 if large else np.int32
    offsets = np.frombuffer(array.buffers()[1], wide)[array.offset : array.offset + len(array) + 1]
    data = array.buffers()[2]
    return Tensor(STRING, shape, strings.views(offsets, data.address if data else 0), array)


@contextmanager
def handle(tensor: Tensor) -> Iterator[int]:
    pointer = new_tensor(tensorflow(), tensor)
    try:
        yield pointer
    finally:
        tensorflow().TF_DeleteTensor(pointer)


def values(result: Strings) -> list[bytes]:
    text = result.data.tobytes()
    return [text[start:end] for start, end in pairwise(result.offsets.tolist())]


def round_trip(array: pa.Array, shape: tuple[int, ...]) -> Strings:
    with handle(view_tensor(array, shape)) as pointer:
        return read_strings(pointer)


@pytest.mark.parametrize("type_", [pa.binary(), pa.large_binary()])
def test_awkward_values_come_back_as_they_were(type_: pa.DataType) -> None:
    """Empty, NUL, non-UTF-8, inline-sized and long values survive the way in and out."""
    result = round_trip(pa.array(AWKWARD, type_), (len(AWKWARD),))
    assert values(result) == AWKWARD
    assert result.offsets.dtype == np.int64
    assert result.data.dtype == np.uint8


@given(st.lists(st.binary(max_size=60), max_size=30), st.integers(0, 5), st.booleans())
def test_any_values_of_any_slice_come_back(items: list[bytes], skip: int, large: bool) -> None:
    """A slice with an offset gives its own values, whatever they are."""
    array = pa.array(items, pa.large_binary() if large else pa.binary())[skip:]
    assert values(round_trip(array, (len(array),))) == items[skip:]


def test_shape_is_kept() -> None:
    """A tensor of any rank keeps its shape, values in row-major order."""
    items = [str(number).encode() for number in range(12)]
    for shape in ((2, 3, 2), (12, 1), (1, 12)):
        result = round_trip(pa.array(items, pa.binary()), shape)
        assert result.shape == shape
        assert values(result) == items


def test_scalar_has_one_value() -> None:
    """A 0-d string tensor has shape () and one value."""
    result = round_trip(pa.array([b"one"], pa.binary()), ())
    assert (result.shape, values(result)) == ((), [b"one"])


@pytest.mark.parametrize("shape", [(0,), (0, 3), (2, 0)])
def test_no_values(shape: tuple[int, ...]) -> None:
    """A tensor without elements has its shape, one offset and no bytes."""
    result = round_trip(pa.array([], pa.binary()), shape)
    assert (result.shape, result.offsets.tolist(), result.data.size) == (shape, [0], 0)


def test_only_empty_values() -> None:
    """Values that are all empty need no data buffer."""
    assert values(round_trip(pa.array([b"", b""], pa.binary()), (2,))) == [b"", b""]

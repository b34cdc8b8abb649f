from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from cases.tensors import NUMERIC, array_of, random_tensor, shape_and_bytes, string_tensor
from tf2spark.dtypes import FLOAT32, INT32, STRING, DType
from tf2spark.tensorflow_c.session import CApiSession
from tf2spark.tensorflow_c.tensor import Strings, Tensor

SHAPES = [(), (1,), (5,), (0,), (0, 3), (4, 0), (2, 3), (2, 1, 3, 2)]


@pytest.mark.parametrize("dtype", NUMERIC, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_numbers_equal_tensorflows_bit_by_bit(
    dtypes_session: CApiSession, python_session: Any, dtype: DType, shape: tuple[int, ...]
) -> None:
    """Every dtype in every shape comes out as from TensorFlow's Python, NaN payloads included."""
    name = dtype.name
    run = dtypes_session.prepare(
        [f"in_{name}:0"], [f"twice_{name}:0", f"same_{name}", f"in_{name}:0"]
    )
    fed = random_tensor(dtype, shape)
    got = run([fed])
    values = fed.data
    if name == "bfloat16":
        import ml_dtypes

        values = values.view(ml_dtypes.bfloat16)
    expected = python_session.run([f"twice_{name}:0", f"same_{name}:0"], {f"in_{name}:0": values})
    assert [shape_and_bytes(array_of(result)) for result in got[:2]] == [
        shape_and_bytes(value) for value in expected
    ]
    assert shape_and_bytes(array_of(got[2])) == shape_and_bytes(fed.data)
    for result in got:
        assert isinstance(result, Tensor)
        assert (result.dtype, result.shape) == (dtype, result.data.shape)
        assert not np.shares_memory(result.data, fed.data)


@pytest.mark.parametrize(
    ("values", "shape"),
    [
        ([b"", b"a\x00b", b"\xff\xfe", b"s" * 22, b"l" * 23, b"z" * 5000], (6,)),
        ([b"", b"a\x00b", b"\xff\xfe", b"s" * 22, b"l" * 23, b"z" * 5000], (2, 1, 3)),
        ([b"scalar"], ()),
        ([], (0,)),
        ([], (3, 0)),
    ],
    ids=lambda value: str(value) if isinstance(value, tuple) else "",
)
def test_strings_equal_tensorflows(
    dtypes_session: CApiSession, python_session: Any, values: list[bytes], shape: tuple[int, ...]
) -> None:
    """Strings that the graph made, passed on or was fed come out as from TensorFlow's Python."""
    run = dtypes_session.prepare(["in_string"], ["twice_string", "same_string", "in_string"])
    got = run([string_tensor(values, shape)])
    fed = np.array(values, object).reshape(shape)
    twice, same = python_session.run(["twice_string:0", "same_string:0"], {"in_string:0": fed})
    for result, expected in zip(got, (twice, np.array(same, object), fed), strict=True):
        assert isinstance(result, Strings)
        assert result.shape == expected.shape
        joined = result.data.tobytes()
        items = [joined[start:end] for start, end in pairwise(result.offsets.tolist())]
        assert items == expected.ravel().tolist()


@pytest.mark.parametrize("shift", [0, 1, 4, 16], ids=lambda shift: f"shift{shift}")
def test_alignment_of_the_memory_makes_no_difference(
    dtypes_session: CApiSession, shift: int
) -> None:
    """Memory at any multiple of the item size is read correctly, aligned to 64 bytes or not."""
    room = np.zeros(64 + 32, np.float32)
    start = (-room.ctypes.data % 64) // 4 + shift
    values = room[start : start + 8]
    values[:] = np.arange(8)
    run = dtypes_session.prepare(["in_float32"], ["same_float32"])
    assert array_of(run([Tensor(FLOAT32, (8,), values)])[0]).tolist() == list(range(8))


def test_fetches_come_in_the_order_prepared(dtypes_session: CApiSession) -> None:
    """Outputs of one node, the same output twice and a fed tensor keep the order of the names."""
    run = dtypes_session.prepare(["six"], ["split:2", "six", "split:0", "split", "split:2"])
    got = run([Tensor(INT32, (6,), np.arange(6, dtype=np.int32))])
    expected = [[4, 5], [0, 1, 2, 3, 4, 5], [0, 1], [0, 1], [4, 5]]
    assert [array_of(result).tolist() for result in got] == expected


def test_reference_variable_is_fetched_as_its_values(dtypes_session: CApiSession) -> None:
    """A TF1 variable, whose dtype in the graph is a reference, gives its values."""
    assert dtypes_session.tensor_info("reference:0") == (FLOAT32, (2,))
    assert array_of(dtypes_session.prepare([], ["reference:0"])([])[0]).tolist() == [1.5, 2.5]


def test_tensor_info_knows_dtype_and_shape(dtypes_session: CApiSession) -> None:
    """A tensor inside the graph has the dtype and shape that TensorFlow infers."""
    assert dtypes_session.tensor_info("six") == (INT32, (6,))
    assert dtypes_session.tensor_info("split:1") == (INT32, (2,))
    assert dtypes_session.tensor_info("in_string:0") == (STRING, None)

"""Views are bare addresses: the tensor must keep the Arrow memory alive that they point to."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from cases.arrow_columns import batch_of, plan, source
from tf2spark.conversion.from_arrow import feeder
from tf2spark.dtypes import STRING
from tf2spark.plan.score import InputPlan
from tf2spark.testing import fed_strings

TEXTS = [b"left", b"right", b"", b"a longer one than TensorFlow keeps inline"]
LISTS = pa.list_(pa.string())
PAIRS = pa.struct([("indices", pa.list_(pa.int64())), ("values", LISTS)])
MAP = pa.map_(pa.int64(), pa.string())

Memory = weakref.ref[np.ndarray[Any, Any]]


def offsets(*ends: int) -> pa.Array:
    return pa.array([0, *ends], pa.int32())


def texts() -> tuple[pa.Array, Memory]:
    """Return the texts as a string array, and a reference to the memory that holds them."""
    memory = np.frombuffer(b"".join(TEXTS), np.uint8).copy()
    ends = pa.py_buffer(np.cumsum([0, *map(len, TEXTS)]).astype(np.int32))
    array = pa.Array.from_buffers(pa.string(), len(TEXTS), [None, ends, pa.py_buffer(memory)])
    return array, weakref.ref(memory)


def blocks() -> tuple[pa.Array, Memory]:
    """Return an array of binary values of one length, and a reference to their memory."""
    memory = np.frombuffer(b"abcdef", np.uint8).copy()
    array = pa.Array.from_buffers(pa.binary(3), 2, [None, pa.py_buffer(memory)])
    return array, weakref.ref(memory)


def column(kind: pa.DataType) -> tuple[pa.Array, Memory]:
    """Return the texts in a column of that type, two in each of two rows."""
    if kind == pa.binary(3):
        return blocks()
    array, memory = texts()
    ids = pa.array([0, 1, 0, 1], pa.int64())
    if kind == LISTS:
        return pa.ListArray.from_arrays(offsets(2, 4), array), memory
    if kind == MAP:
        return pa.MapArray.from_arrays(offsets(2, 4), ids, array), memory
    if kind == PAIRS:
        lists = [pa.ListArray.from_arrays(offsets(2, 4), part) for part in (ids, array)]
        return pa.StructArray.from_arrays(lists, ["indices", "values"]), memory
    return array, memory


def spec(*kinds: pa.DataType, part: Any = None, **rest: Any) -> InputPlan:
    sources = [source(kind, column=index, part=part) for index, kind in enumerate(kinds)]
    rest.setdefault("dims", (None,))
    if rest.get("form") == "ragged":
        rest["ragged_levels"] = 1
    return plan(*sources, dtype=STRING, **rest)


@pytest.mark.parametrize(
    ("kinds", "arguments"),
    [
        ([pa.string()], {"dims": ()}),
        ([pa.binary(3)], {"dims": ()}),
        ([LISTS], {}),
        ([LISTS], {"form": "padded"}),
        ([LISTS], {"form": "padded", "dims": (3,), "pad": "padding"}),
        ([LISTS], {"form": "ragged"}),
        ([LISTS], {"form": "sparse"}),
        ([pa.string(), pa.string()], {"dims": (2,)}),
        ([LISTS, LISTS], {}),
        ([LISTS, LISTS], {"form": "padded"}),
        ([PAIRS], {"dims": (3,)}),
        ([PAIRS], {"form": "sparse"}),
        ([PAIRS], {"form": "padded", "part": "values"}),
        ([MAP], {"dims": (3,)}),
        ([MAP], {"form": "sparse"}),
        ([MAP], {"form": "padded", "part": "values"}),
    ],
    ids=str,
)
def test_a_tensor_keeps_the_memory_of_its_strings(
    kinds: list[pa.DataType], arguments: dict[str, Any]
) -> None:
    """Of every column, until the tensor itself is gone."""
    columns = [column(kind) for kind in kinds]
    batch = batch_of(*(array for array, _ in columns))
    memories = [memory for _, memory in columns]
    tensors = feeder(spec(*kinds, **arguments), None)(batch)
    before = [fed_strings(tensor) for tensor in tensors if tensor.dtype is STRING]
    del batch, columns
    gc.collect()
    assert all(memory() is not None for memory in memories)
    assert [fed_strings(tensor) for tensor in tensors if tensor.dtype is STRING] == before
    del tensors
    gc.collect()
    assert all(memory() is None for memory in memories)


@pytest.mark.parametrize("form", ["constant", "broadcast"])
def test_a_constant_keeps_the_memory_of_its_strings(form: Any) -> None:
    """Its text is nowhere else."""
    batch = batch_of(pa.array([1, 2]))
    value = [f"text {number} of a constant" for number in range(100)]
    constant = plan(form=form, dtype=STRING, value=value)
    (tensor,) = feeder(constant, None)(batch)
    assert isinstance(tensor.owner, np.ndarray)
    assert tensor.owner.tobytes().decode() == "".join(value)
    repeats = 1 if form == "constant" else 2
    assert fed_strings(tensor) == [text.encode() for text in value] * repeats


def test_padding_keeps_the_memory_of_its_text() -> None:
    """The padding is a view as well, of a text of its own."""
    array, _ = column(LISTS)
    (tensor,) = feeder(spec(LISTS, form="padded", dims=(3,), pad="padding"), None)(batch_of(array))
    assert fed_strings(tensor)[2] == b"padding"
    assert isinstance(tensor.owner, tuple)
    _, fill = tensor.owner
    assert fed_strings(fill) == [b"padding"]
    assert fill.owner.tobytes() == b"padding"

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases.arrow_columns import (
    LAYOUTS,
    batch_of,
    fed,
    lay_out,
    plan,
    row_values,
    source,
    with_fields,
)
from tf2spark import dtypes
from tf2spark.conversion.from_arrow import feeder, with_copied_strings
from tf2spark.dtypes import FLOAT32, STRING, DType
from tf2spark.testing import fed_strings

INTEGERS = [pa.int8(), pa.int16(), pa.int32(), pa.int64(),
            pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()]  # fmt: skip
FLOATS = [pa.float16(), pa.float32(), pa.float64()]
TEXTS = [pa.string(), pa.large_string(), pa.binary(), pa.large_binary(),
         pa.dictionary(pa.int32(), pa.string())]  # fmt: skip
TARGETS = [spec for spec in dtypes.BY_CODE.values() if spec.numpy is not None]


def fits(leaf: pa.DataType, dtype: DType) -> bool:
    """The rules of the design, written down independently."""
    if pa.types.is_boolean(leaf):
        return dtype.name == "bool"
    if leaf in FLOATS:
        return dtype.is_floating
    return dtype.is_integer or dtype.is_floating


PAIRS = [(leaf, to) for leaf in [*INTEGERS, *FLOATS, pa.bool_()] for to in TARGETS
         if fits(leaf, to)]  # fmt: skip


def leaves(leaf: pa.DataType) -> st.SearchStrategy[Any]:
    if leaf in INTEGERS:
        info = np.iinfo(leaf.to_pandas_dtype())
        return st.one_of(st.integers(int(info.min), int(info.max)), st.integers(0, 100))
    if leaf in FLOATS:
        return st.floats(width=leaf.bit_width, allow_nan=False)
    if pa.types.is_boolean(leaf):
        return st.booleans()
    if leaf in (pa.binary(), pa.large_binary()):
        return st.binary(max_size=40)
    return st.text(max_size=30)


def nested(leaf: pa.DataType, sizes: list[int], kind: str, nulls: bool) -> st.SearchStrategy[Any]:
    """Lists of these sizes, with some of other sizes or null."""
    values = leaves(leaf)
    for size in reversed(sizes):
        values = st.one_of(values, st.none()) if nulls else values
        exact = st.lists(values, min_size=size, max_size=size)
        odd = st.lists(values, max_size=4)
        values = exact if kind == "fixed" else st.one_of(exact, exact, exact, odd)
    return st.one_of(values, st.none()) if nulls else values


def list_type(leaf: pa.DataType, sizes: list[int], kind: str) -> pa.DataType:
    for size in reversed(sizes):
        leaf = {"large": pa.large_list, "fixed": lambda of, s=size: pa.list_(of, s)}.get(
            kind, pa.list_
        )(leaf)
    return leaf


def bits(value: Any, dtype: DType, leaf: pa.DataType) -> Any:
    """Return the value as the tensor holds it, or None if its dtype can't hold it."""
    if dtype is STRING:
        return value.encode() if isinstance(value, str) else value
    number = np.array(value, leaf.to_pandas_dtype())
    with np.errstate(over="ignore"):
        if dtype.name == "bfloat16":
            return int(number.astype(ml_dtypes.bfloat16).view(np.uint16))
        if dtype.is_integer:
            kind: Any = dtype.numpy
            info = np.iinfo(kind)
            return int(value) if info.min <= value <= info.max else None
        return number.astype(dtype.numpy).tolist()


def expected(value: Any, dims: list[int | None], dtype: DType, leaf: pa.DataType) -> Any:
    """Return what a row's tensor holds, or None if the row can't become one."""
    if value is None:
        return None
    if not dims:
        return bits(value, dtype, leaf)
    if dims[0] not in (None, len(value)):
        return None
    inside = [expected(spec, dims[1:], dtype, leaf) for spec in value]
    if any(spec is None for spec in inside) or len({np.shape(spec) for spec in inside}) > 1:
        return None
    return inside


@st.composite
def columns(draw: Any, pairs: Any) -> tuple[pa.Array, DType, list[int | None]]:
    leaf, dtype = draw(st.sampled_from(pairs))
    sizes = draw(st.lists(st.integers(0, 3), max_size=3))
    kind = draw(st.sampled_from(["list", "list", "large", "fixed"]))
    rows = draw(st.lists(nested(leaf, sizes, kind, draw(st.booleans())), max_size=6))
    dims = [draw(st.sampled_from([size, None])) for size in sizes]
    whole = pa.array(rows, list_type(_writable(leaf), sizes, kind))
    if pa.types.is_dictionary(leaf) and not sizes:
        whole = whole.dictionary_encode()
    return whole, dtype, dims


def _writable(leaf: pa.DataType) -> pa.DataType:
    return pa.string() if pa.types.is_dictionary(leaf) else leaf


def hold(column: tuple[pa.Array, DType, list[int | None]], layout: str) -> None:
    array, dtype, dims = column
    batch, fields = lay_out(array, layout)
    spec = plan(source(array.type), dtype=dtype, dims=tuple(dims))
    values, reasons = row_values(with_fields(spec, fields), batch)
    leaf = spec.sources[0].leaf
    wanted = {
        row: expected(value, dims, dtype, leaf) for row, value in enumerate(array.to_pylist())
    }
    assert values == {row: value for row, value in wanted.items() if value is not None}
    assert set(reasons) == {row for row, value in wanted.items() if value is None}


@given(columns(PAIRS), LAYOUTS)
def test_numbers_arrive_as_python_reads_them(column: Any, layout: str) -> None:
    """Every numeric type into every dtype it may feed, lists to depth 3, nulls at every level,
    slices with offsets: good rows hold their own values, all others are refused.
    """
    hold(column, layout)


@given(columns([(leaf, STRING) for leaf in TEXTS]), LAYOUTS)
def test_strings_arrive_as_their_bytes(column: Any, layout: str) -> None:
    """All of Arrow's string types, empty and long, in lists to depth 3, nulls at every level."""
    hold(column, layout)


@pytest.mark.parametrize(("leaf", "dtype"), PAIRS, ids=str)
def test_every_pair_of_types_is_fed(leaf: pa.DataType, dtype: DType) -> None:
    """One row and no rows, for each column type and each dtype that it may feed."""
    value = True if pa.types.is_boolean(leaf) else 1
    array = pa.array([value], leaf)
    feed = feeder(plan(source(leaf), dtype=dtype, dims=()), None)
    (tensor,) = feed(batch_of(array))
    assert tensor.data.dtype == dtype.numpy
    assert tensor.data.tolist() == [bits(value, dtype, leaf)]
    assert feed(batch_of(array.slice(1)))[0].shape == (0,)


def test_a_column_without_a_type_is_null_in_every_row() -> None:
    """A table made of None alone has such a column."""
    _, reasons = row_values(plan(source(pa.null()), dims=()), batch_of(pa.nulls(2)))
    assert reasons == {0: 'column "x" is null', 1: 'column "x" is null'}
    empty = pa.array([[], []], pa.list_(pa.null()))
    assert fed(plan(source(empty.type), dtype=STRING), batch_of(empty)) == [[[], []]]
    assert fed(plan(source(empty.type), dtype=FLOAT32), batch_of(empty)) == [[[], []]]


WORDS = ["", "a", "x" * 100, "żółć", "a\0b", ""]


@pytest.mark.parametrize("words", [WORDS, ["", ""], []])
def test_copied_strings_outlive_the_arrow_buffer(words: list[str]) -> None:
    """The copies are in memory that the tensor itself keeps alive."""
    memory = np.frombuffer("".join(words).encode(), np.uint8).copy()
    offsets = np.cumsum([0, *(len(word.encode()) for word in words)]).astype(np.int32)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(memory)]
    array = pa.Array.from_buffers(pa.string(), len(words), buffers)
    (tensor,) = feeder(plan(source(pa.string()), dtype=STRING, dims=()), None)(batch_of(array))
    copied = with_copied_strings(tensor)
    # As if the batch were gone and its memory in use again.
    memory[:] = ord("!")
    assert fed_strings(copied) == [word.encode() for word in words]
    assert copied.shape == tensor.shape
    assert isinstance(copied.owner, np.ndarray)

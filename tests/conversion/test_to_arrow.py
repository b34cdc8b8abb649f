from __future__ import annotations

import math
from typing import Any

import ml_dtypes
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hn

from tf2spark import dtypes
from tf2spark.conversion.rows import RowsRefused
from tf2spark.conversion.to_arrow import column_builder, columns_builder
from tf2spark.dtypes import BFLOAT16, BOOL, FLOAT32, HALF, INT64, STRING, UINT64, DType
from tf2spark.errors import ModelError, RunError
from tf2spark.plan.score import OutputPlan
from tf2spark.tensorflow_c.tensor import Strings, Tensor
from tf2spark.testing import fetched_strings

NUMERIC = [dtype for dtype in dtypes.BY_CODE.values() if dtype.numpy is not None]


def output(dtype: DType, dims: tuple[int | None, ...] = (), **rest: Any) -> OutputPlan:
    kind = rest.pop("leaf", dtype.arrow)
    for _ in dims if dims != (1,) else ():
        kind = pa.list_(kind)
    return OutputPlan("y", "out", ("out:0",), dtype, dims, kind)


def column(plan: OutputPlan, values: Any) -> pa.Array:
    data = np.asarray(values, plan.dtype.numpy)
    return column_builder(plan)([Tensor(plan.dtype, data.shape, data)], len(data))


SHAPES = st.lists(st.integers(0, 3), max_size=3)


@given(st.sampled_from(NUMERIC), st.integers(0, 4), SHAPES, st.data())
def test_numbers_leave_as_numpy_reads_them(
    dtype: DType, rows: int, sizes: list[int], data: Any
) -> None:
    """Every dtype, any rank, rows and dimensions of 0 included: lists as deep as the tensor."""
    shape = (rows, *sizes)
    values = data.draw(hn.arrays(np.dtype(dtype.numpy), shape))
    dims = tuple(data.draw(st.sampled_from([size, None])) for size in sizes)
    array = column(output(dtype, dims), values)
    array.validate(full=True)
    wide = values
    if dtype is BFLOAT16:
        wide = values.view(ml_dtypes.bfloat16).astype(np.float32)
    flat = wide.reshape(-1) if dims == (1,) else wide
    assert array.type == output(dtype, dims).arrow
    expected = flat.tolist()
    got = array.to_pylist()
    if dtype is UINT64:
        got = np.array(got, dtype=object).astype(np.uint64).reshape(flat.shape).tolist()
    np.testing.assert_equal(got, expected)


def test_wide_unsigned_numbers_lose_nothing() -> None:
    """Spark has no unsigned long: uint64 is decimal(20, 0)."""
    assert [int(v) for v in column(output(UINT64), [0, 2**64 - 1]).to_pylist()] == [0, 2**64 - 1]


def test_a_row_of_one_value_is_a_scalar() -> None:
    """[None] and [None, 1] are scalar columns, [None, 1, 1] is not."""
    assert column(output(FLOAT32, (1,)), [[1], [2]]).to_pylist() == [1, 2]
    assert column(output(FLOAT32, (1, 1)), [[[1]], [[2]]]).to_pylist() == [[[1]], [[2]]]
    assert column(output(BOOL), [True, False]).to_pylist() == [True, False]
    assert column(output(HALF), [0.5]).type == pa.float32()


def test_numbers_are_not_copied() -> None:
    """The column uses the fetched tensor's own memory if the types agree."""
    values = np.arange(4, dtype=np.int64)
    array = column_builder(output(INT64))([Tensor(INT64, (4,), values)], 4)
    assert array.buffers()[1].address == values.ctypes.data


BYTES = st.one_of(st.binary(max_size=40), st.text(max_size=20).map(str.encode))


@given(st.integers(0, 4), SHAPES, st.data())
def test_bytes_leave_as_they_are(rows: int, sizes: list[int], data: Any) -> None:
    """Binary columns take any bytes, at any rank."""
    count = rows * math.prod(sizes)
    values = data.draw(st.lists(BYTES, min_size=count, max_size=count))
    plan = output(STRING, tuple(sizes), leaf=pa.binary())
    array = column_builder(plan)([fetched_strings(values, (rows, *sizes))], rows)
    array.validate(full=True)
    flat = np.empty(count, object)
    flat[:] = values
    shape = (rows,) if sizes == [1] else (rows, *sizes)
    assert array.to_pylist() == flat.reshape(shape).tolist()


def test_text_is_checked_row_by_row() -> None:
    """A row with a value that isn't UTF-8 is refused, with advice; others are text."""
    good = fetched_strings(["żółć", "", "a", "b"], (2, 2))
    assert column_builder(output(STRING, (2,)))([good], 2).to_pylist() == [["żółć", ""], ["a", "b"]]
    bad = fetched_strings(["a", "b", "c", b"\xff", "e", "f"], (3, 2))
    with pytest.raises(RowsRefused) as caught:
        column_builder(output(STRING, (2,)))([bad], 3)
    assert caught.value.rows.tolist() == [1]
    assert caught.value.reasons == [
        'output "out" is not UTF-8 text; fetch binary(out) to get its bytes'
    ]


@pytest.mark.parametrize(
    ("shape", "dims", "expected"),
    [
        ((2, 3), (None,), "has shape [2, 3] for 3 rows, expected [3, None]"),
        ((3, 4), (2,), "has shape [3, 4] for 3 rows, expected [3, 2]"),
        ((3,), (2,), "has shape [3] for 3 rows, expected [3, 2]"),
        ((), (), "has shape [] for 3 rows, expected [3]"),
        ((3, 1), (), "has shape [3, 1] for 3 rows, expected [3]"),
    ],
)
def test_an_output_without_an_entry_a_row_is_an_error(
    shape: tuple[int, ...], dims: tuple[int | None, ...], expected: str
) -> None:
    """The message names the output and both shapes, and says how to leave it out."""
    data = np.zeros(shape, np.float32)
    with pytest.raises(RunError) as caught:
        column_builder(output(FLOAT32, dims))([Tensor(FLOAT32, shape, data)], 3)
    assert str(caught.value) == (
        f'output "out" {expected}: an output that becomes a column must have one entry per row; '
        + ("" if shape else "batch_rows=1 runs the model row by row; ")
        + "to leave it out, name the others: fetch=[...]"
    )


@pytest.mark.slow
def test_more_strings_than_a_column_can_hold_are_an_error() -> None:
    """Spark's strings have 32-bit offsets: the message says what to lower."""
    huge = np.lib.stride_tricks.as_strided(np.zeros(1, np.uint8), (2**31,), (0,))
    tensor = Strings((1,), np.array([0, 2**31], np.int64), huge)
    with pytest.raises(RunError, match="over 2 GiB of strings; score fewer rows"):
        column_builder(output(STRING))([tensor], 1)
    many = np.lib.stride_tricks.as_strided(np.zeros(1, np.bool_), (2**31,), (0,))
    plan = output(BOOL, (None,))
    with pytest.raises(RunError, match=r"over 2\*\*31 values; score fewer rows"):
        column_builder(plan)([Tensor(BOOL, (1, 2**31), many)], 1)


@pytest.mark.parametrize(
    ("declared", "fetched"),
    [
        (INT64, Tensor(FLOAT32, (1,), np.array([1.5], np.float32))),
        (FLOAT32, Tensor(INT64, (1,), np.array([1]))),
        (FLOAT32, fetched_strings(["a"])),
        (STRING, Tensor(INT64, (1,), np.array([1]))),
    ],
)
def test_a_dtype_that_is_not_the_graph_s_is_the_signature_s_fault(
    declared: DType, fetched: Tensor | Strings
) -> None:
    """Values aren't cast to what a signature claims: 1.5 would become 1."""
    with pytest.raises(
        ModelError, match=r'signature of the model is wrong: output "out" is'
    ) as why:
        columns_builder([output(declared)])([fetched], 1)
    assert str(why.value).endswith('fetch={"y": "out:0"}')
    assert why.value.text_for("command_line").endswith("--fetch y=out:0")

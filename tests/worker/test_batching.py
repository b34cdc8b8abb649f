from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from cases.arrow_columns import batch_of, source
from cases.arrow_columns import plan as input_plan
from tf2spark.dtypes import FLOAT32, FLOAT64, INT8, STRING
from tf2spark.plan.score import InputPlan, ModelRef, Plan
from tf2spark.worker.batching import halves, pad_to_rows, row_slices, rows_by_key, select_rows

MODEL = ModelRef("/model", ("serve",), "digest")
FLOATS = pa.list_(pa.float32(), 4)


def job(*inputs: InputPlan, **rest: Any) -> Plan:
    return Plan(MODEL, inputs, (), **rest)


def column(rows: int) -> pa.RecordBatch:
    return batch_of(
        pa.array(np.zeros((rows, 4), np.float32).tolist(), FLOATS), pa.array(range(rows))
    )


@given(st.integers(0, 50), st.integers(1, 20), st.integers(1, 500))
def test_slices_cover_every_row_once_in_order(rows: int, most: int, limit_bytes: int) -> None:
    """No slice is empty or has more than `batch_rows`, whatever the bytes allow."""
    spec = input_plan(source(FLOATS), dims=(4,))
    slices = list(row_slices(column(rows), job(spec, batch_rows=most, batch_bytes=limit_bytes)))
    assert [row for start, n in slices for row in range(start, start + n)] == list(range(rows))
    assert all(1 <= n <= most and (n == 1 or n * 16 <= limit_bytes) for _, n in slices)


def test_bytes_are_those_of_the_fed_columns_as_tensors() -> None:
    """Other columns don't count; a wider dtype counts in full."""
    batch = column(100)
    narrow, wide = (input_plan(source(FLOATS), dims=(4,), dtype=to) for to in (FLOAT32, FLOAT64))
    assert next(row_slices(batch, job(narrow, batch_bytes=160))) == (0, 10)
    assert next(row_slices(batch, job(wide, batch_bytes=160))) == (0, 5)
    flags = batch_of(pa.array([True] * 64))
    spec = input_plan(source(pa.bool_()), dims=(), dtype=INT8)
    assert next(row_slices(flags, job(spec, batch_bytes=32))) == (0, 32)
    words = batch_of(pa.array(["x" * 96] * 10))
    spec = input_plan(source(pa.string()), dims=(), dtype=STRING)
    assert next(row_slices(words, job(spec, batch_bytes=500)))[1] <= 5


def test_without_a_fed_column_only_rows_bound_a_slice() -> None:
    """A model fed by constants alone has no bytes to count."""
    assert list(row_slices(column(5), job(batch_rows=3))) == [(0, 3), (3, 2)]
    nothing = input_plan(source(pa.null()), dims=())
    assert list(row_slices(batch_of(pa.nulls(2)), job(nothing))) == [(0, 2)]


def test_a_fixed_size_is_that_of_every_slice() -> None:
    """The last may have fewer rows and is padded later; bytes don't matter."""
    spec = input_plan(source(FLOATS), dims=(4,))
    plan = job(spec, fixed_rows=4, batch_rows=2, batch_bytes=1)
    assert list(row_slices(column(10), plan)) == [(0, 4), (4, 4), (8, 2)]


def test_a_batch_is_padded_with_its_last_row() -> None:
    """A full batch is passed on unchanged."""
    batch = batch_of(pa.array([1, 2]), pa.array(["a", "b"]))
    assert pad_to_rows(batch, 4).to_pydict() == {"c0": [1, 2, 2, 2], "c1": ["a", "b", "b", "b"]}
    assert pad_to_rows(batch, 2) is batch


def test_consecutive_rows_are_selected_without_a_copy() -> None:
    """They are a slice; any other rows are taken."""
    batch = batch_of(pa.array([1, 2, 3, 4]))
    run = select_rows(batch, np.array([1, 2]))
    assert run.to_pydict() == {"c0": [2, 3]}
    assert run.column(0).buffers()[1].address == batch.column(0).buffers()[1].address
    assert select_rows(batch, np.array([0, 2])).to_pydict() == {"c0": [1, 3]}
    assert select_rows(batch, np.array([], np.int64)).num_rows == 0


@given(st.lists(st.integers(0, 4), max_size=12))
def test_groups_hold_the_rows_of_each_key(keys: list[int]) -> None:
    """In the order of first appearance, with ascending rows in each."""
    expected = [
        [row for row, key in enumerate(keys) if key == spec] for spec in dict.fromkeys(keys)
    ]
    assert [part.tolist() for part in rows_by_key(np.array(keys, np.int64))] == expected


@given(st.integers(2, 9))
def test_halves_are_the_rows_in_order(rows: int) -> None:
    """Both have a row, and together they are all of them."""
    first, second = halves(rows)
    assert [*first.tolist(), *second.tolist()] == list(range(rows))
    assert len(first)
    assert len(second)

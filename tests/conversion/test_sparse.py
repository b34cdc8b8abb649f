from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from cases.arrow_columns import (
    LAYOUTS,
    PAIRS,
    VECTOR,
    batch_of,
    dense,
    fed,
    lay_out,
    plan,
    source,
    sparse,
    with_fields,
)
from tf2spark.conversion.from_arrow import feeder
from tf2spark.conversion.rows import RowsRefused
from tf2spark.dtypes import FLOAT32, INT64, STRING
from tf2spark.plan.score import InputPlan

MAP = pa.map_(pa.int64(), pa.float32())
INTS = pa.list_(pa.int64())


def coo(kind: pa.DataType, want: int | None = None, **rest: Any) -> InputPlan:
    return plan(source(kind), form="sparse", dims=(want,), **rest)


def column(rows: list[Any], kind: pa.DataType = VECTOR) -> pa.RecordBatch:
    return batch_of(pa.array(rows, kind))


def refused(spec: InputPlan, batch: pa.RecordBatch) -> dict[int, str]:
    with pytest.raises(RowsRefused) as caught:
        feeder(spec, None)(batch)
    return dict(zip(caught.value.rows.tolist(), caught.value.reasons, strict=True))


def test_vectors_become_indices_values_and_shape() -> None:
    """int64 [n, 2] in row-major order, the values, and [rows, size]; explicit zeros stay."""
    rows = [sparse(4, {1: 1.0, 3: 0.0}), sparse(4, {}), dense(5, 6, 0, 7)]
    assert fed(coo(VECTOR, 4), column(rows)) == [
        [[0, 1], [0, 3], [2, 0], [2, 1], [2, 2], [2, 3]],
        [1, 0, 5, 6, 0, 7],
        [3, 4],
    ]


def test_no_rows_have_no_values() -> None:
    """The tensors of an empty batch keep their ranks."""
    indices, values, shape = feeder(coo(VECTOR, 4), None)(column([]))
    assert (indices.shape, values.shape, shape.data.tolist()) == ((0, 2), (0,), [0, 4])
    assert (indices.dtype, values.dtype) == (INT64, FLOAT32)


def test_an_unknown_size_is_that_of_the_widest_row() -> None:
    """By the vectors' sizes if they have some, else by the largest id or the longest list."""
    assert fed(coo(VECTOR), column([sparse(4, {1: 1.0}), sparse(7, {})]))[2] == [2, 7]
    assert fed(coo(MAP), column([[(8, 1.0)], []], MAP))[2] == [2, 9]
    assert fed(coo(INTS, dtype=INT64), column([[5], [5, 5, 5]], INTS))[2] == [2, 3]
    assert fed(coo(MAP), column([[]], MAP))[2] == [1, 0]


def test_rows_that_do_not_fit_the_size_are_refused() -> None:
    """Vectors of another size, ids that aren't below it, and longer lists."""
    assert refused(coo(VECTOR, 4), column([sparse(5, {}), dense(1, 2, 3, 4)])) == {
        0: 'column "x" has 5 values, but input "in" takes 4'
    }
    assert refused(coo(MAP, 4), column([[(3, 1.0)], [(4, 1.0)]], MAP)) == {
        1: 'column "x" has the id 4, but input "in" takes ids below 4'
    }
    assert refused(coo(INTS, 2, dtype=INT64), column([[1], [1, 2, 3]], INTS)) == {
        1: 'column "x" has 3 values, but input "in" takes at most 2'
    }


def test_maps_and_pairs_are_sorted_by_id() -> None:
    """Sparse kernels expect ascending ids; the values move with them."""
    rows = [[(5, 1.0), (2, 2.0)], [(0, 3.0)]]
    expected = [[[0, 2], [0, 5], [1, 0]], [2, 1, 3], [2, 6]]
    assert fed(coo(MAP), column(rows, MAP)) == expected
    pairs = [{"indices": [k for k, _ in r], "values": [v for _, v in r]} for r in rows]
    assert fed(coo(PAIRS), column(pairs, PAIRS)) == expected


def test_assembled_vectors_are_one_sparse_row() -> None:
    """Ids offset, sizes added."""
    batch = batch_of(
        pa.array([sparse(4, {1: 1.0})], VECTOR), pa.array([sparse(3, {2: 2.0})], VECTOR)
    )
    spec = evolve(
        coo(VECTOR, 7), sources=(source(VECTOR), source(VECTOR, column=1)), assembled=True
    )
    assert fed(spec, batch) == [[[0, 1], [0, 6]], [1, 2], [1, 7]]


LISTED = st.lists(st.none() | st.lists(st.none() | st.floats(width=32), max_size=3), max_size=5)


@given(LISTED, LAYOUTS)
def test_nulls_are_no_values(rows: list[Any], layout: str) -> None:
    """A null list has no values, a null in a list leaves its index without one; NaN is a value."""
    kind = pa.list_(pa.float32())
    batch, fields = lay_out(pa.array(rows, kind), layout)
    indices, values, shape = fed(with_fields(coo(kind, 3), fields), batch)
    present = [
        (row, place, value)
        for row, listed in enumerate(rows)
        for place, value in enumerate(listed or [])
        if value is not None
    ]
    assert indices == [[row, place] for row, place, _ in present]
    np.testing.assert_equal(values, [value for _, _, value in present])
    assert shape == [len(rows), 3]


@pytest.mark.parametrize(
    ("kind", "rows"),
    [
        (pa.float32(), [1.0, None, 3.0, float("nan")]),
        (MAP, [[(0, 1.0), (5, None)], None, [(0, 3.0)], []]),
        (
            PAIRS,
            [
                {"indices": [5, 0], "values": [None, 1.0]},
                None,
                {"indices": [0], "values": [3.0]},
                {"indices": None, "values": None},
            ],
        ),
        (VECTOR, [sparse(1, {0: 1.0}), None, dense(3.0), sparse(1, {})]),
    ],
    ids=["scalar", "map", "pairs", "vector"],
)
def test_absent_rows_of_every_layout(kind: pa.DataType, rows: list[Any]) -> None:
    """Null rows have no values, nor has a lone NaN; null values of maps and pairs are left out."""
    assert fed(coo(kind), column(rows, kind))[:2] == [[[0, 0], [2, 0]], [1, 3]]
    sized = fed(coo(kind, 1), column([rows[1], rows[2]], kind))
    assert sized == [[[1, 0]], [3], [2, 1]]


def test_scalars_and_columns_of_nulls() -> None:
    """A scalar is a row of one value, of strings too; a column without a type has none."""
    words = coo(pa.string(), dtype=STRING)
    assert fed(words, column(["a", None, ""], pa.string())) == [
        [[0, 0], [2, 0]],
        [b"a", b""],
        [3, 1],
    ]
    assert fed(coo(pa.float32(), 4), column([2.0], pa.float32())) == [[[0, 0]], [2], [1, 4]]
    assert fed(coo(pa.null()), batch_of(pa.nulls(2))) == [[], [], [2, 0]]
    assert fed(coo(pa.null(), dtype=STRING), batch_of(pa.nulls(1))) == [[], [], [1, 0]]


def test_rows_after_a_null_are_refused_by_their_own_number() -> None:
    """Reasons count the rows of the batch, not those that have a value."""
    batch = column([None, [(0, 1.0)], [(4, 1.0)]], MAP)
    assert refused(coo(MAP, 4), batch) == {
        2: 'column "x" has the id 4, but input "in" takes ids below 4'
    }
    negative = column([None, [(0, 1.0)], [(-4, 1.0)]], MAP)
    assert refused(coo(MAP), negative) == {2: 'column "x" has the negative index -4'}


def test_joined_vectors_cant_be_null() -> None:
    """The ids of the second begin where the first ends, and null has no size."""
    batch = batch_of(pa.array([sparse(4, {}), None], VECTOR), pa.array([dense(1)] * 2, VECTOR))
    spec = evolve(coo(VECTOR), sources=(source(VECTOR), source(VECTOR, column=1)), assembled=True)
    assert refused(spec, batch) == {1: 'column "x" is null'}


def test_cost_grows_with_the_non_zeros() -> None:
    """Rows 10 million wide with 30 non-zeros take the memory of 30 values."""
    wide = 10_000_000
    rows = [sparse(wide, {place * 1000 + row: 1.0 for place in range(30)}) for row in range(100)]
    batch, feed = column(rows), feeder(coo(VECTOR, wide), None)
    tracemalloc.start()
    indices, _, shape = feed(batch)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert indices.shape == (3000, 2)
    assert shape.data.tolist() == [100, wide]
    assert peak_bytes < 1_000_000

from __future__ import annotations

import tracemalloc
from typing import Any

import pyarrow as pa
import pytest
from attrs import evolve

from cases.arrow_columns import PAIRS, VECTOR, batch_of, dense, fed, plan, source, sparse
from tf2spark.conversion.from_arrow import feeder
from tf2spark.conversion.rows import RowsRefused
from tf2spark.dtypes import FLOAT32, INT64
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

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases.arrow_columns import plan, source
from tf2spark.conversion import number_columns
from tf2spark.conversion.rows import RowsRefused
from tf2spark.dtypes import BFLOAT16, FLOAT32, FLOAT64, HALF, INT64, UINT8, DType
from tf2spark.plan.score import InputPlan, ModelRef, Plan
from tf2spark.worker.run_conversion import Feed, conversion_of

KINDS: list[tuple[DType, pa.DataType]] = [
    (FLOAT32, pa.float32()),
    (FLOAT64, pa.float64()),
    (INT64, pa.int64()),
    (UINT8, pa.uint8()),
    (HALF, pa.float16()),
    (BFLOAT16, pa.float32()),
    (FLOAT32, pa.int16()),
]


def make_feed(inputs: list[InputPlan], min_columns: int) -> Feed:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(number_columns, "_MIN_COLUMNS", min_columns)
        return conversion_of(Plan(ModelRef("", (), ""), tuple(inputs), ())).feed


def feeds(kinds: list[tuple[DType, pa.DataType]], columns: list[int]) -> tuple[Feed, Feed]:
    """Return how inputs are fed together, and one by one."""
    inputs = [
        plan(source(kind, column=column), dtype=dtype, dims=(1,) * (column % 2))
        for (dtype, kind), column in zip(kinds, columns, strict=True)
    ]
    return make_feed(inputs, 2), make_feed(inputs, 1000)


def outcome(feed: Feed, batch: pa.RecordBatch) -> list[Any]:
    try:
        return [(fed.dtype, fed.shape, fed.data.tobytes()) for fed in feed(batch)]
    except RowsRefused as refused:
        return [refused.rows.tolist(), refused.reasons]


@given(st.data())
def test_columns_read_together_are_fed_as_if_read_one_by_one(data: st.DataObject) -> None:
    """Of any types and order, sliced or not, with nulls or without."""
    kinds = data.draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=12))
    columns = data.draw(st.permutations(range(len(kinds))))
    rows = data.draw(st.integers(1, 4))
    with_null = data.draw(st.sampled_from([None, None, None, *range(len(kinds))]))
    arrays: list[Any] = [None] * len(kinds)
    for position, (_, kind) in enumerate(kinds):
        numbers = np.arange(position, position + rows + 1).astype(kind.to_pandas_dtype())
        mask = np.arange(rows + 1) == (rows if position == with_null else -1)
        arrays[columns[position]] = pa.array(numbers, kind, mask=mask)
    batch = pa.RecordBatch.from_arrays(arrays, names=[str(i) for i in range(len(arrays))])
    together, single = feeds(kinds, list(columns))
    for part in (batch, batch.slice(1), batch.slice(0, rows), batch.slice(0, 0)):
        assert outcome(together, part) == outcome(single, part)


def test_types_of_another_batch_are_looked_at_again() -> None:
    """What Arrow would promote to the input's dtype isn't fed as if it were of it."""
    together, single = feeds([(FLOAT32, pa.float32())] * 3, [0, 1, 2])
    for kinds in (["f4"] * 3, ["f4", "f8", "f4"], ["f2"] * 3, ["f4"] * 3):
        arrays = [pa.array(np.ones(2, kind)) for kind in kinds]
        batch = pa.RecordBatch.from_arrays(arrays, names=["a", "b", "c"])
        assert outcome(together, batch) == outcome(single, batch)


def test_no_value_loses_its_bits() -> None:
    """NaN with its payload, and -0.0."""
    bits = np.array([0x7FC12345, 0x80000000, 0xFFC00001], np.uint32).view(np.float32)
    batch = pa.RecordBatch.from_arrays([pa.array(bits)] * 3, names=["a", "b", "c"])
    together, _ = feeds([(FLOAT32, pa.float32())] * 3, [0, 1, 2])
    assert [fed.data.tobytes() for fed in together(batch)] == [bits.tobytes()] * 3

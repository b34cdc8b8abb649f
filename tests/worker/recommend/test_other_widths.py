"""Rows that the split graph refuses go to the whole graph, one by one."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from tf2spark.conversion.rows import RowsRefused
from tf2spark.worker.recommend.other_widths import with_fallback
from tf2spark.worker.score_loop import Runner


def batch_of(*numbers: int) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({"n": list(numbers)})


def split(batch: pa.RecordBatch) -> list[pa.Array]:
    """Refuse negative numbers; return the others."""
    numbers = batch.column(0).to_numpy()
    refused = np.flatnonzero(numbers < 0)
    if len(refused):
        raise RowsRefused(refused, [f"split: {numbers[row]}" for row in refused])
    return [batch.column(0)]


def whole(batch: pa.RecordBatch) -> list[pa.Array]:
    """Refuse numbers below -9; return the others times 10. Rows come one by one."""
    assert batch.num_rows == 1
    number = batch.column(0)[0].as_py()
    if number < -9:
        raise RowsRefused(np.array([0]), ["whole"])
    return [pa.array([number * 10])]


def run(*numbers: int) -> list[int]:
    (output,) = with_fallback(split, lambda: whole)(batch_of(*numbers))
    values: list[int] = output.to_pylist()
    return values


def test_rows_stay_in_their_order() -> None:
    """Wherever the refused rows are, also where all are refused, or none."""
    assert run(1, 2) == [1, 2]
    assert run(-1, 5, -2, -3, 6) == [-10, 5, -20, -30, 6]
    assert run(4, -7) == [4, -70]
    assert run(-7, -8) == [-70, -80]


def test_rows_that_both_refuse_keep_the_split_graph_s_reason() -> None:
    """Only they are refused; the loop then comes again without them."""
    with pytest.raises(RowsRefused) as caught:
        run(1, -20, -2, -30)
    assert caught.value.rows.tolist() == [1, 3]
    assert caught.value.reasons == ["split: -20", "split: -30"]


def test_the_whole_graph_is_opened_once_and_only_if_needed() -> None:
    """Users of the usual size never pay for it."""
    opened: list[int] = []

    def make_whole() -> Runner:
        opened.append(1)
        return whole

    runner = with_fallback(split, make_whole)
    runner(batch_of(1, 2))
    assert not opened
    runner(batch_of(-1, 2))
    runner(batch_of(-3))
    assert opened == [1]

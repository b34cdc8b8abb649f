from __future__ import annotations

import tracemalloc
from typing import Any

import pyarrow as pa
import pytest
from attrs import evolve

from cases.arrow_columns import PAIRS, VECTOR, batch_of, dense, fed, plan, source, sparse
from tf2spark.conversion.from_arrow import feeder
from tf2spark.conversion.rows import RowsRefused, RowsTooLarge
from tf2spark.dtypes import BFLOAT16, FLOAT32, INT8, INT32, INT64, STRING
from tf2spark.plan.score import InputPlan

INTS = pa.list_(pa.int64())


def padded(*sources: Any, **rest: Any) -> InputPlan:
    return plan(*sources, form="padded", **rest)


def column(rows: list[Any], kind: pa.DataType = VECTOR) -> pa.RecordBatch:
    return batch_of(pa.array(rows, kind))


def refused(spec: InputPlan, batch: pa.RecordBatch) -> dict[int, str]:
    with pytest.raises(RowsRefused) as caught:
        feeder(spec, None)(batch)
    return dict(zip(caught.value.rows.tolist(), caught.value.reasons, strict=True))


IDS = padded(source(VECTOR, part="indices"), dtype=INT64, pad=-1)
VALUES = padded(source(VECTOR, part="values"))
ROWS = [sparse(9, {2: 1.0, 5: 0.0}), dense(1, 2, 3), sparse(9, {})]


def test_a_vector_feeds_a_pair_of_inputs() -> None:
    """Ids and values are padded alike, explicit zeros stay, a dense row has all its ids."""
    assert fed(IDS, column(ROWS)) == [[[2, 5, -1], [0, 1, 2], [-1, -1, -1]]]
    assert fed(VALUES, column(ROWS)) == [[[1, 0, 0], [1, 2, 3], [0, 0, 0]]]


def test_rows_are_padded_to_the_input_s_own_length() -> None:
    """Whatever the batch's longest row, and across several fixed dimensions too."""
    assert fed(evolve(IDS, dims=(4,)), column(ROWS[:1])) == [[[2, 5, -1, -1]]]
    assert fed(evolve(IDS, dims=(2, 2)), column(ROWS[:1])) == [[[[2, 5], [-1, -1]]]]


def test_a_row_that_is_too_long_is_refused_with_the_numbers() -> None:
    """The reason names the column, its values, the input and the most that it takes."""
    assert refused(evolve(IDS, dims=(2,)), column(ROWS)) == {
        1: 'column "x" has 3 values, but input "in" takes at most 2'
    }


def test_a_batch_of_empty_rows_has_one_slot() -> None:
    """No model sees a dimension of 0, even in a batch without rows."""
    assert fed(IDS, column(ROWS[2:])) == [[[-1]]]
    (tensor,) = feeder(IDS, None)(column([]))
    assert tensor.shape == (0, 1)


def test_ids_that_the_input_can_not_hold_are_refused() -> None:
    """An int8 input takes ids to 127."""
    rows = [sparse(300, {1: 1.0}), sparse(300, {128: 1.0})]
    assert refused(evolve(IDS, dtype=INT8), column(rows)) == {
        1: 'column "x" has 128, which int8 can\'t hold'
    }


def test_pairs_keep_their_order() -> None:
    """The position of an id can mean its field, so nothing is sorted."""
    rows = [{"indices": [9, 2], "values": [0.5, 0.25]}]
    pair = [padded(source(PAIRS, part=part)) for part in ("indices", "values")]
    assert [fed(spec, column(rows, PAIRS)) for spec in pair] == [[[[9, 2]]], [[[0.5, 0.25]]]]


def test_maps_are_sorted_since_they_have_no_order() -> None:
    """The same map feeds the same ids and values, whatever the order of its entries."""
    kind = pa.map_(pa.int64(), pa.float32())
    for row in ([(9, 0.5), (2, 0.25)], [(2, 0.25), (9, 0.5)]):
        pair = [padded(source(kind, part=part)) for part in ("indices", "values")]
        assert [fed(spec, column([row], kind)) for spec in pair] == [[[[2, 9]]], [[[0.25, 0.5]]]]


def test_lists_of_several_columns_are_joined_then_padded() -> None:
    """User fields, then item fields, as DeepFM takes them."""
    batch = batch_of(pa.array([[1], [2, 3]], INTS), pa.array([[7, 8], []], INTS))
    spec = padded(source(INTS), source(INTS, column=1), dtype=INT32, pad=0)
    assert fed(spec, batch) == [[[1, 7, 8], [2, 3, 0]]]


def test_assembled_ids_are_offset_by_the_sizes_before_them() -> None:
    """The second vector's ids begin where the first's size ends, row by row."""
    batch = batch_of(
        pa.array([sparse(5, {1: 1.0}), dense(1, 2)], VECTOR),
        pa.array([sparse(9, {0: 3.0}), sparse(9, {8: 4.0})], VECTOR),
    )
    pair = (source(VECTOR), source(VECTOR, column=1))
    ids = padded(*pair, dtype=INT64, assembled=True, part="indices")
    values = padded(*pair, assembled=True, part="values")
    assert fed(ids, batch) == [[[1, 5, 0], [0, 1, 10]]]
    assert fed(values, batch) == [[[1, 3, 0], [1, 2, 4]]]


def test_strings_and_bfloat16_are_padded_in_their_own_bytes() -> None:
    """The fill is a view on a string of its own, or the 16 bits of the number."""
    kind = pa.list_(pa.string())
    spec = padded(source(kind), dtype=STRING, pad="[PAD]")
    assert fed(spec, column([["a"], ["b", "c"]], kind)) == [[[b"a", b"[PAD]"], [b"b", b"c"]]]
    assert fed(evolve(spec, pad=None), column([["a"], []], kind)) == [[[b"a"], [b""]]]
    half = padded(source(pa.list_(pa.float64())), dtype=BFLOAT16, pad=1.0)
    assert fed(half, column([[2.0], []], pa.list_(pa.float64()))) == [[[0x4000], [0x3F80]]]


def test_a_whole_vector_is_padded_to_a_wider_input() -> None:
    """Rows narrower than the input are padded, wider ones are refused before they are densified."""
    spec = padded(source(VECTOR), dims=(3,), pad=9)
    assert fed(spec, column([sparse(2, {1: 5.0}), dense(1, 2, 3)])) == [[[0, 5, 9], [1, 2, 3]]]
    assert refused(spec, column([sparse(10**9, {})])) == {
        0: f'column "x" has {10**9} values, but input "in" takes at most 3'
    }


def test_one_long_row_asks_for_fewer_rows() -> None:
    """A batch that would become mostly padding is cut before the tensor is made."""
    rows = [[1]] * 1000 + [[1] * 100_000]
    feed = feeder(padded(source(INTS), dtype=INT64), 1 << 20)
    with pytest.raises(RowsTooLarge):
        feed(column(rows, INTS))
    assert feed(column(rows[:1000], INTS))[0].shape == (1000, 1)


def test_cost_grows_with_the_non_zeros() -> None:
    """Rows 10 million wide with 30 non-zeros take the memory of 30 values."""
    wide = 10_000_000
    rows = [sparse(wide, {place * 1000 + row: 1.0 for place in range(30)}) for row in range(100)]
    batch = column(rows)
    feeds = [feeder(spec, None) for spec in (IDS, VALUES)]
    tracemalloc.start()
    tensors = [feed(batch)[0] for feed in feeds]
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [tensor.shape for tensor in tensors] == [(100, 30), (100, 30)]
    assert tensors[1].dtype is FLOAT32
    assert peak_bytes < 1_000_000

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from attrs import evolve

from cases.arrow_columns import PAIRS, VECTOR, batch_of, dense, fed, plan, source, sparse
from tf2spark.conversion import dense as dense_module
from tf2spark.conversion.from_arrow import feeder
from tf2spark.conversion.rows import RowsRefused, RowsTooLarge, RowsUneven
from tf2spark.dtypes import (
    BFLOAT16,
    BOOL,
    FLOAT32,
    FLOAT64,
    HALF,
    INT16,
    INT32,
    INT64,
    STRING,
    UINT8,
    UINT16,
    DType,
)
from tf2spark.plan.score import InputPlan

FLOATS = pa.list_(pa.float32())
DEEP = pa.list_(FLOATS)
MAP = pa.map_(pa.int64(), pa.float32())


def column(rows: list[Any], kind: pa.DataType) -> pa.RecordBatch:
    return batch_of(pa.array(rows, kind))


def refused(spec: InputPlan, batch: pa.RecordBatch) -> dict[int, str]:
    with pytest.raises(RowsRefused) as caught:
        feeder(spec, None)(batch)
    return dict(zip(caught.value.rows.tolist(), caught.value.reasons, strict=True))


def test_a_vector_is_written_out_to_the_input_s_width() -> None:
    """Sparse, dense and empty ones; positions without an index are 0."""
    rows = [sparse(3, {2: 5.0}), dense(1, 2, 3), sparse(3, {})]
    spec = plan(source(VECTOR), dims=(3,))
    assert fed(spec, column(rows, VECTOR)) == [[[0, 0, 5], [1, 2, 3], [0, 0, 0]]]


def test_vectors_of_another_width_are_refused() -> None:
    """The reason names both widths; if the width is unknown, rows are grouped instead."""
    rows = [sparse(3, {2: 5.0}), dense(1, 2), sparse(4, {})]
    assert refused(plan(source(VECTOR), dims=(3,)), column(rows, VECTOR)) == {
        1: 'column "x" has 2 values, but input "in" takes 3',
        2: 'column "x" has 4 values, but input "in" takes 3',
    }
    with pytest.raises(RowsUneven) as caught:
        fed(plan(source(VECTOR)), column(rows, VECTOR))
    assert caught.value.keys.tolist() == [3, 2, 4]


def test_maps_and_pairs_are_written_out_too() -> None:
    """They take the input's width; ids beyond it and duplicate ids are refused."""
    spec = plan(source(MAP), dims=(4,))
    rows = [[(3, 1.0), (0, 2.0)], []]
    assert fed(spec, column(rows, MAP)) == [[[2, 0, 0, 1], [0, 0, 0, 0]]]
    assert refused(spec, column([[(4, 1.0)]], MAP)) == {
        0: 'column "x" has the id 4, but input "in" takes ids below 4'
    }
    twice = [{"indices": [1, 1], "values": [1.0, 2.0]}]
    assert refused(plan(source(PAIRS), dims=(4,)), column(twice, PAIRS)) == {
        0: 'column "x" has the index 1 twice'
    }


def test_a_flat_list_of_as_many_values_stands_for_several_dimensions() -> None:
    """[None, 2, 2] takes four values per row, and no other number."""
    spec = plan(source(FLOATS), dims=(2, 2))
    assert fed(spec, column([[1, 2, 3, 4]], FLOATS)) == [[[[1, 2], [3, 4]]]]
    assert refused(spec, column([[1, 2, 3]], FLOATS)) == {
        0: 'column "x" has 3 values, but input "in" takes 4'
    }


def test_columns_stand_side_by_side_in_the_order_given() -> None:
    """Scalars, lists and vectors of any lengths are joined row by row."""
    batch = batch_of(
        pa.array([1, 2]), pa.array([[3.0], [4.0]], FLOATS), pa.array([dense(5), dense(6)], VECTOR)
    )
    kinds = [pa.int64(), FLOATS, VECTOR]
    sources = [source(kind, column=i, label=f"c{i}") for i, kind in enumerate(kinds)]
    spec = plan(*sources, dims=(3,))
    assert fed(spec, batch) == [[[1, 3, 5], [2, 4, 6]]]
    assert refused(evolve(spec, dims=(4,)), batch)[0] == (
        'columns "c0", "c1", "c2" together have 3 values, but input "in" takes 4'
    )


def test_lists_of_different_lengths_can_add_up() -> None:
    """Only the sum of the parts must be the input's width."""
    batch = batch_of(pa.array([[1], [1, 2]], FLOATS), pa.array([[7, 8], [9]], FLOATS))
    spec = plan(source(FLOATS), source(FLOATS, column=1), dims=(3,))
    assert fed(spec, batch) == [[[1, 7, 8], [1, 2, 9]]]
    assert fed(evolve(spec, dims=(None,)), batch) == [[[1, 7, 8], [1, 2, 9]]]


def test_nested_lists_stand_side_by_side_along_their_first_dimension() -> None:
    """A sequence of two steps and one of one step make one of three."""
    batch = batch_of(pa.array([[[1, 2], [3, 4]]], DEEP), pa.array([[[5, 6]]], DEEP))
    spec = plan(source(DEEP, label="a"), source(DEEP, column=1, label="b"), dims=(3, 2))
    assert fed(spec, batch) == [[[[1, 2], [3, 4], [5, 6]]]]
    assert refused(evolve(spec, dims=(4, 2)), batch) == {
        0: 'columns "a", "b" have shapes [[2, 2], [1, 2]], but input "in" takes 4 in all'
    }
    odd = batch_of(pa.array([[[1, 2]]], DEEP), pa.array([[[5, 6, 7]]], DEEP))
    assert refused(evolve(spec, dims=(None, None)), odd) == {
        0: 'columns "a", "b" have shapes that can\'t be joined: [[1, 2], [1, 3]]'
    }
    assert fed(spec, odd.slice(0, 0)) == [[]]


def test_assembled_vectors_feed_a_dense_input() -> None:
    """The assembled vector must have the input's width."""
    batch = batch_of(pa.array([sparse(2, {1: 1.0})], VECTOR), pa.array([4.0]))
    spec = plan(source(VECTOR), source(pa.float64(), column=1), dims=(3,), assembled=True)
    assert fed(spec, batch) == [[[0, 1, 4]]]
    assert list(refused(evolve(spec, dims=(2,)), batch)) == [0]


def test_strings_stand_side_by_side_as_numbers_do() -> None:
    """Views are joined, and their owners stay alive."""
    batch = batch_of(pa.array(["a", "b"]), pa.array([["c", ""], ["d" * 30, "e"]]))
    kinds = [pa.string(), pa.list_(pa.string())]
    spec = plan(*(source(kind, column=i) for i, kind in enumerate(kinds)), dtype=STRING, dims=(3,))
    assert fed(spec, batch) == [[[b"a", b"c", b""], [b"b", b"d" * 30, b"e"]]]


def test_the_size_of_a_vector_is_a_scalar() -> None:
    """`features.size` feeds an input of one integer per row."""
    spec = plan(source(VECTOR, part="size"), dtype=INT64, dims=())
    assert fed(spec, column([sparse(7, {}), dense(1, 2)], VECTOR)) == [[7, 2]]


def test_a_tensor_beyond_the_limit_is_never_made() -> None:
    """Wide sparse rows ask for fewer rows before memory is taken; a single row is always fed."""
    wide = 10_000_000
    rows = [sparse(wide, {wide - 1: 1.0})] * 1000
    feed = feeder(plan(source(VECTOR), dims=(wide,)), 64 << 20)
    with pytest.raises(RowsTooLarge):
        feed(column(rows, VECTOR))
    (tensor,) = feed(column(rows[:1], VECTOR))
    assert tensor.shape == (1, wide)
    assert tensor.dtype is FLOAT32


NUMBER_TYPES = [FLOAT32, FLOAT64, INT32, INT64, UINT8, INT16, UINT16, BFLOAT16, HALF, BOOL]


@pytest.mark.parametrize("dtype", NUMBER_TYPES, ids=str)
def test_columns_of_numbers_are_fed_as_others(dtype: DType) -> None:
    """The short way gives the same tensors as the general one, or isn't taken."""
    kinds = [pa.float32(), pa.float64(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16()]
    for kind in (*kinds, pa.bool_(), pa.float16()):
        values = np.arange(6).astype(kind.to_pandas_dtype())
        array = pa.array(values, kind)
        batches = [
            batch_of(array),
            batch_of(array).slice(2, 3),
            batch_of(array.slice(5)),
            batch_of(array.slice(6)),
            batch_of(array.dictionary_encode()),
        ]
        for dims in ((), (1,), (1, 1)):
            spec = plan(source(kind), dims=dims, dtype=dtype)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(dense_module, "is_number_column", lambda _: False)
                general = feeder(spec, None)
            short = feeder(spec, None)
            for batch in batches:
                (expected,), (got,) = general(batch), short(batch)
                assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
                assert got.data.dtype == expected.data.dtype
                assert got.data.tobytes() == expected.data.tobytes()
            with pytest.raises(RowsRefused):
                short(batch_of(pa.array([None], kind)))

"""Nested lists filled until they are rectangular."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from cases.arrow_columns import LAYOUTS, batch_of, fed, lay_out, plan, source, with_fields
from tf2spark.conversion import nested_padding
from tf2spark.conversion.from_arrow import feeder
from tf2spark.conversion.nested_padding import pad_rows
from tf2spark.conversion.rows import Rows, RowsRefused, RowsTooLarge
from tf2spark.dtypes import INT8, INT64, STRING
from tf2spark.plan.score import InputPlan

INTS = pa.list_(pa.list_(pa.int64()))
DEEPER = pa.list_(INTS)


def padded(kind: pa.DataType, *dims: int | None, **rest: Any) -> InputPlan:
    rest = {"dtype": INT64, "pad": 0, **rest}
    return plan(source(kind), form="padded", dims=dims, **rest)


def refused(spec: InputPlan, rows: list[Any], kind: pa.DataType) -> dict[int, str]:
    with pytest.raises(RowsRefused) as caught:
        feeder(spec, None)(batch_of(pa.array(rows, kind)))
    return dict(zip(caught.value.rows.tolist(), caught.value.reasons, strict=True))


def by_tensorflow(rows: list[Any], size: int = 1) -> Any:
    """Fill nested lists with -1 as TensorFlow does, the outermost with at least `size` elements."""
    ragged = tf.ragged.constant([*rows, [[[0]]] * size], ragged_rank=3, dtype=tf.int64)
    return ragged.to_tensor(-1)[:-1].numpy().tolist()


LISTS = st.lists(st.lists(st.lists(st.integers(0, 9), max_size=3), max_size=3), max_size=3)


@given(st.lists(LISTS, max_size=4), LAYOUTS)
def test_open_dimensions_are_filled_as_tensorflow_fills_them(rows: list[Any], layout: str) -> None:
    """To the longest list of the batch at every depth, wherever the column lies in memory."""
    batch, fields = lay_out(pa.array(rows, DEEPER), layout)
    spec = with_fields(padded(DEEPER, None, None, None, pad=-1), fields)
    assert fed(spec, batch) == [by_tensorflow(rows)]
    wide = with_fields(padded(DEEPER, 4, None, None, pad=-1), fields)
    assert fed(wide, batch) == [by_tensorflow(rows, 4)]


def test_vectors_fill_the_lists_around_them() -> None:
    """To the input's own length, or to the longest of the batch."""
    rows = [[[1, 2], [3, 4]], [], [[5, 6]]]
    batch = batch_of(pa.array(rows, INTS))
    filled = [[[1, 2], [3, 4]], [[0, 0], [0, 0]], [[5, 6], [0, 0]]]
    assert fed(padded(INTS, None, 2), batch) == [filled]
    assert fed(padded(INTS, 3, 2), batch) == [[[*row, [0, 0]] for row in filled]]


def test_a_vector_of_the_wrong_length_is_no_short_list() -> None:
    """Inside a list that is filled, or may be, every list must have the input's size."""
    rows = [[[1, 2]], [[1]], [[1, 2], [3]]]
    expected = 'column "x" has an inner list of 1, but input "in" takes 2'
    assert refused(padded(INTS, None, 2), rows, INTS) == {1: expected, 2: expected}
    assert refused(padded(INTS, 3, 2), rows, INTS) == {1: expected, 2: expected}
    assert refused(padded(INTS, None, 2), [[], [[1, 2, 3]]], INTS) == {
        1: 'column "x" has an inner list of 3, but input "in" takes 2'
    }


def test_lists_inside_a_full_list_are_filled() -> None:
    """The outermost list that isn't rectangular may be an inner one."""
    rows = [[[1, 2], [3]], [[], [4, 5]]]
    assert fed(padded(INTS, 2, 2), batch_of(pa.array(rows, INTS))) == [
        [[[1, 2], [3, 0]], [[0, 0], [4, 5]]]
    ]


def test_rows_that_are_too_long_are_refused() -> None:
    """The reason has the numbers."""
    assert refused(padded(INTS, 1, 2), [[[1, 2]], [[1, 2], [3, 4]]], INTS) == {
        1: 'column "x" has 2 values, but input "in" takes at most 1'
    }


def test_nulls_and_misfits_name_their_row() -> None:
    """A null at any level, or a value that doesn't fit, is traced back to its row."""
    spec = padded(INTS, None, None, dtype=INT8)
    contains = 'column "x" contains a null'
    assert refused(spec, [[[1]], None], INTS) == {1: 'column "x" is null'}
    assert refused(spec, [[[1]], [[1], None]], INTS) == {1: contains}
    assert refused(spec, [[], [[1], [2, None]]], INTS) == {1: contains}
    assert refused(spec, [[[], []], [[1], [300]]], INTS) == {
        1: 'column "x" has 300, which int8 can\'t hold'
    }


def test_joined_columns_are_filled_together() -> None:
    """The second column's lists follow the first's; inner lists have one size in both."""
    spec = plan(
        source(INTS), source(INTS, column=1), form="padded", dims=(4, None), dtype=INT64, pad=-1
    )
    batch = batch_of(pa.array([[[1]], []], INTS), pa.array([[[7, 8]], [[9], [2]]], INTS))
    none = [-1, -1]
    assert fed(spec, batch) == [
        [[[1, -1], [7, 8], none, none], [[9, -1], [2, -1], none, none]],
    ]


def test_strings_are_filled_with_text() -> None:
    """Sentences of words, each padded with a word that marks the end."""
    kind = pa.list_(pa.list_(pa.string()))
    spec = padded(kind, None, None, dtype=STRING, pad="[PAD]")
    batch = batch_of(pa.array([[["a", "b"], ["c"]], [["ü"]]], kind))
    pad = b"[PAD]"
    assert fed(spec, batch) == [[[[b"a", b"b"], [b"c", pad]], [["ü".encode(), pad], [pad, pad]]]]


def test_no_rows_and_empty_rows_have_one_slot() -> None:
    """No model sees a dimension of 0."""
    assert fed(padded(INTS, None, None), batch_of(pa.array([[]], INTS))) == [[[[0]]]]
    (tensor,) = feeder(padded(INTS, None, 3), None)(batch_of(pa.array([], INTS)))
    assert tensor.shape == (0, 1, 3)


def test_one_long_row_asks_for_fewer_rows() -> None:
    """A batch that would become mostly padding is cut before the tensor is made."""
    rows = [[[1]]] * 1000 + [[[1]] * 100_000]
    feed = feeder(padded(INTS, None, None), 1 << 20)
    with pytest.raises(RowsTooLarge):
        feed(batch_of(pa.array(rows, INTS)))


@given(
    st.lists(st.lists(st.integers(-5, 5), max_size=5), max_size=6),
    st.integers(0, 3),
    st.sampled_from([0, 256]),
)
def test_padding_is_a_loop_over_rows(rows: list[list[int]], spare: int, per_short: int) -> None:
    """Every row is its own values, then the padding, by stretches of full rows or by a mask."""
    width = max((len(row) for row in rows), default=0) + spare
    lengths = np.array([len(row) for row in rows], np.int64)
    flat = np.array([value for row in rows for value in row], np.int64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nested_padding, "_VALUES_PER_SHORT_ROW", per_short)
        full = pad_rows(Rows(lengths, flat), width, np.array([99]))
    assert full.tolist() == [v for row in rows for v in row + [99] * (width - len(row))]

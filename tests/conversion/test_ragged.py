from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases.arrow_columns import LAYOUTS, batch_of, fed, lay_out, plan, source, with_fields
from tf2spark.conversion.from_arrow import feeder
from tf2spark.conversion.ragged import list_rows
from tf2spark.conversion.rows import RowsRefused, RowsUneven, splits_of
from tf2spark.dtypes import FLOAT32, INT8, INT32, INT64, STRING

FLAT = pa.list_(pa.int64())
DEEP = pa.list_(FLAT)
DEEPER = pa.list_(DEEP)


def ragged(kind: pa.DataType, levels: int, dims: tuple[int | None, ...], **rest: Any) -> Any:
    rest.setdefault("dtype", INT64)
    return plan(source(kind), form="ragged", dims=dims, ragged_levels=levels, **rest)


def refused(spec: Any, rows: list[Any], kind: pa.DataType) -> dict[int, str]:
    with pytest.raises(RowsRefused) as caught:
        fed(spec, batch_of(pa.array(rows, kind)))
    return dict(zip(caught.value.rows.tolist(), caught.value.reasons, strict=True))


LISTS = st.lists(st.lists(st.integers(-9, 9), max_size=3), max_size=4)


@given(st.lists(LISTS, max_size=5), LAYOUTS)
def test_lists_of_lists_become_values_and_splits(rows: list[Any], layout: str) -> None:
    """The splits cut the flat values into the original lists, at any offset."""
    batch, fields = lay_out(pa.array(rows, DEEP), layout)
    values, outer, inner = fed(with_fields(ragged(DEEP, 2, (None, None)), fields), batch)
    lists = [values[a:b] for a, b in itertools.pairwise(inner)]
    assert [lists[a:b] for a, b in itertools.pairwise(outer)] == rows


def test_the_innermost_level_can_be_uniform() -> None:
    """Levels below the ragged ones are dimensions of the flat values."""
    rows = [[[1, 2]], [], [[3, 4], [5, 6]]]
    assert fed(ragged(DEEP, 1, (None, 2)), batch_of(pa.array(rows, DEEP))) == [
        [[1, 2], [3, 4], [5, 6]],
        [0, 1, 1, 3],
    ]
    deeper = [[[[1, 2]], [[3, 4]]], []]
    assert fed(ragged(DEEPER, 1, (None, 1, 2)), batch_of(pa.array(deeper, DEEPER)))[0] == [
        [[1, 2]],
        [[3, 4]],
    ]


def test_splits_have_their_own_dtype() -> None:
    """RaggedTensorSpec's row_splits_dtype can be int32."""
    spec = ragged(FLAT, 1, (None,), splits_dtype=INT32)
    values, splits = feeder(spec, None)(batch_of(pa.array([[1], []], FLAT)))
    assert (values.dtype, splits.dtype) == (INT64, INT32)
    assert splits.data.dtype == np.int32
    assert splits.data.tolist() == [0, 1, 1]


def test_no_rows_have_one_split() -> None:
    """An empty batch has splits of [0] and no values."""
    assert fed(ragged(DEEP, 2, (None, None)), batch_of(pa.array([], DEEP))) == [[], [0], [0]]
    (values, _) = feeder(ragged(DEEP, 1, (None, 3)), None)(batch_of(pa.array([], DEEP)))
    assert values.shape == (0, 3)


def test_strings_are_ragged_too() -> None:
    """The flat values are views onto the Arrow buffer."""
    kind = pa.list_(pa.string())
    spec = ragged(kind, 1, (None,), dtype=STRING)
    rows = [["a", ""], [], ["żółć"]]
    assert fed(spec, batch_of(pa.array(rows, kind))) == [[b"a", b"", "żółć".encode()], [0, 2, 2, 3]]


def test_nulls_and_misfits_name_their_row() -> None:
    """At every level, the reason is for the row of the batch, not for a list in it."""
    spec = ragged(DEEP, 2, (None, None))
    assert refused(spec, [[[1]], [[1], None]], DEEP) == {1: 'column "x" contains a null'}
    assert refused(spec, [[[1]], [[1], [2, None]]], DEEP) == {1: 'column "x" contains a null'}
    narrow = ragged(DEEP, 2, (None, None), dtype=INT8)
    assert refused(narrow, [[], [[1], []], [[], [2, 300]]], DEEP) == {
        2: 'column "x" has 300, which int8 can\'t hold'
    }


@given(st.lists(st.none() | LISTS, max_size=5), LAYOUTS)
def test_a_null_row_has_no_values(rows: list[Any], layout: str) -> None:
    """A ragged input can do without values, so null is what an empty list is."""
    batch, fields = lay_out(pa.array(rows, DEEP), layout)
    empty, _ = lay_out(pa.array([row or [] for row in rows], DEEP), layout)
    spec = with_fields(ragged(DEEP, 2, (None, None)), fields)
    assert fed(spec, batch) == fed(spec, empty)


def test_a_column_of_nulls_without_a_type_has_no_values() -> None:
    """A pandas column of nothing but None has no type of lists."""
    spec = ragged(pa.null(), 1, (None, 2))
    assert fed(spec, batch_of(pa.nulls(2))) == [[], [0, 0, 0]]


def test_inner_lists_of_a_wrong_length_are_refused() -> None:
    """A known inner dimension must be met; an unknown one must be the same within a row."""
    assert refused(ragged(DEEP, 1, (None, 2)), [[[1, 2]], [[3]]], DEEP) == {
        1: 'column "x" has inner lists whose length is not 2'
    }
    spec = ragged(DEEP, 1, (None, None))
    assert refused(spec, [[[1, 2]], [[1], [2, 3]]], DEEP) == {
        1: 'column "x" has inner lists of different lengths'
    }


def test_rows_of_different_inner_sizes_run_apart() -> None:
    """No row is refused for not being like the first; empty rows run with the first."""
    with pytest.raises(RowsUneven) as caught:
        fed(
            ragged(DEEP, 1, (None, None)),
            batch_of(pa.array([[[1]], [], [[1, 2]], [], [[3]]], DEEP)),
        )
    assert caught.value.keys.tolist() == [1, 1, 2, 1, 1]


def test_list_rows_are_rows_of_any_length() -> None:
    """A column of lists is read as the rows' own lengths and their values, cast."""
    rows = list_rows(source(FLAT), FLOAT32)(batch_of(pa.array([[1, 2], []], FLAT)))
    assert rows.lengths.tolist() == [2, 0]
    assert rows.values.dtype == np.float32
    assert splits_of(rows.lengths).tolist() == [0, 2, 2]

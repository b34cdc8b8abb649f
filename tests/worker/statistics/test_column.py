from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tf2spark.worker.statistics.column import ColumnStatistics

RECOMMENDATIONS = pa.list_(pa.struct([("item_id", pa.int64()), ("score", pa.float32())]))


def statistics_of(*arrays: pa.Array) -> ColumnStatistics:
    """Statistics of a column in parts, each of which is a task's."""
    whole = ColumnStatistics(1024)
    for array in arrays:
        part = ColumnStatistics(1024)
        part.add(array)
        whole.merge(part)
    return whole


def of(values: list[Any], kind: pa.DataType) -> ColumnStatistics:
    array = pa.array(values, kind)
    # The slice has an offset, as batches of a larger table may.
    return statistics_of(pa.concat_arrays([array[:1], array])[1:])


def test_numbers() -> None:
    """Nulls, NaN and infinities are counted and belong to no quantile."""
    column = of([1.0, None, math.nan, math.inf, -math.inf, 3.0], pa.float32())
    assert (column.rows, column.nulls, column.nan, column.infinite) == (6, 1, 1, 2)
    assert column.numbers is not None
    assert column.numbers.values() == [(1.0, 1), (3.0, 1)]


@pytest.mark.parametrize("kind", [pa.int8(), pa.int64(), pa.uint8(), pa.float64()])
def test_every_kind_of_number(kind: pa.DataType) -> None:
    """Integers and floats have the same statistics."""
    column = of([1, 2, None], kind)
    assert column.numbers is not None
    assert (column.nulls, column.numbers.mean) == (1, 1.5)


def test_texts_and_booleans() -> None:
    """Texts, bytes and booleans are counted by value."""
    for values, kind, top in (
        (["a", "b", "a", None], pa.string(), ("a", 2)),
        ([b"\xff", b"\xff", None, b"a"], pa.binary(), ("ff", 2)),
        ([True, None, False, True], pa.bool_(), ("true", 2)),
    ):
        column = of(values, kind)
        assert column.counts is not None
        assert column.counts.most_common(1) == [top]
        assert (column.nulls, column.numbers) == (1, None)


def test_lists_of_numbers() -> None:
    """Lists have lengths, entries and norms; nulls inside count as NaN."""
    column = of([[3.0, 4.0], [], None, [math.nan, 1.0], [None, 2.0]], pa.list_(pa.float64()))
    assert column.lengths is not None
    assert column.norms is not None
    assert column.numbers is not None
    assert column.lengths.values() == [(0.0, 1), (2.0, 3)]
    assert column.norms.values() == [(5.0, 1)]
    assert [value for value, _ in column.numbers.values()] == [1.0, 2.0, 3.0, 4.0]
    assert (column.nulls, column.nan) == (1, 2)


def test_lists_of_one_number_keep_its_sign() -> None:
    """A model's output of shape [None, 1] is a number, not a norm."""
    column = of([[-1.5], [2.0]], pa.list_(pa.float32()))
    assert column.norms is None
    assert column.numbers is not None
    assert column.numbers.minimum == -1.5


def test_long_lists_have_norms_alone() -> None:
    """The entries of an embedding aren't counted one by one."""
    column = of([[1.0] * 64, [2.0] * 64], pa.list_(pa.float32()))
    assert column.numbers is None
    assert column.norms is not None
    assert column.norms.values() == [(8.0, 1), (16.0, 1)]


def test_recommendations() -> None:
    """Recommendations have the lengths of the lists, the scores, and how often items occur."""
    rows = [
        [{"item_id": 7, "score": 0.5}, {"item_id": 8, "score": math.nan}],
        [{"item_id": 7, "score": 1.5}],
        None,
        [],
    ]
    column = of(rows, RECOMMENDATIONS)
    assert column.lengths is not None
    assert column.numbers is not None
    assert column.counts is not None
    assert column.lengths.values() == [(0.0, 1), (1.0, 1), (2.0, 1)]
    assert column.numbers.values() == [(0.5, 1), (1.5, 1)]
    assert column.counts.most_common(2) == [("7", 2), ("8", 1)]
    assert (column.nulls, column.nan) == (1, 1)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (pa.map_(pa.int64(), pa.float32()), [[(1, 2.0)], None, []]),
        (pa.list_(pa.list_(pa.float32())), [[[1.0], []], None, []]),
        (pa.list_(pa.string()), [["a"], None, []]),
        (pa.struct([("indices", pa.list_(pa.int64()))]), [{"indices": [1]}, None]),
        (pa.decimal128(10, 2), [1, None]),
        (pa.null(), [None, None]),
    ],
    ids=["map", "nested", "texts", "struct", "decimal", "null"],
)
def test_every_other_type_counts_nulls(kind: pa.DataType, values: list[Any]) -> None:
    """Whatever a column holds, its nulls are counted."""
    column = of(values, kind)
    assert (column.rows, column.nulls) == (len(values), values.count(None))


def test_no_rows() -> None:
    """A column of an empty table has statistics, too."""
    for kind in (pa.float32(), pa.string(), pa.list_(pa.float32()), RECOMMENDATIONS):
        column = statistics_of(pa.array([], kind))
        assert (column.rows, column.nulls) == (0, 0)


def test_parts_are_the_whole() -> None:
    """The statistics of two tasks are those of one that has all rows."""
    random = np.random.default_rng(5)
    array = pa.array(random.normal(size=3000), mask=random.random(3000) < 0.1)
    whole, parts = statistics_of(array), statistics_of(array[:1000], array[1000:])
    assert whole.numbers is not None
    assert parts.numbers is not None
    assert parts.numbers.values() == whole.numbers.values()
    assert (parts.rows, parts.nulls) == (whole.rows, whole.nulls)

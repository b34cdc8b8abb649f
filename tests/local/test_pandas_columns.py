"""Columns of pandas as Arrow arrays."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyspark.ml.linalg import Vectors

from cases.arrow_columns import VECTOR
from tf2spark.errors import ContractError
from tf2spark.local import pandas_columns
from tf2spark.local.pandas_columns import (
    frame_of_result,
    frame_to_arrow,
    frame_with_row_numbers,
    with_row_numbers,
)

NAN = float("nan")


def converted(values: Any, dtype: Any = None) -> pa.ChunkedArray:
    return frame_to_arrow(pd.DataFrame({"x": pd.Series(values, dtype=dtype)}), ["x"])["x"]


def objects(cells: list[Any]) -> pd.Series[Any]:
    series = pd.Series([None] * len(cells), dtype=object)
    for row, cell in enumerate(cells):
        series.iat[row] = cell
    return series


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        ([1.0, NAN], "float64", [1.0, NAN]),
        ([1.0, NAN], "float32", [1.0, NAN]),
        ([1.0, None], "float64", [1.0, NAN]),
        ([1.0, None], "Float64", [1.0, None]),
        ([1.0, None], "double[pyarrow]", [1.0, None]),
        ([1.0, NAN, None, pd.NA], object, [1.0, NAN, None, None]),
        ([1, NAN, None], object, [1, None, None]),
        ([1, None], "Int64", [1, None]),
        ([True, None], "boolean", [True, None]),
        ([True, None], object, [True, None]),
        (["a", NAN, None, pd.NA], object, ["a", None, None, None]),
        (["a", None], "string", ["a", None]),
        (["a", None], "string[pyarrow]", ["a", None]),
        (["a", None, "a"], "category", ["a", None, "a"]),
        ([[1.0, NAN, None], None, NAN], object, [[1.0, NAN, None], None, None]),
        ([np.array([1.0, NAN])], object, [[1.0, NAN]]),
        ([{"a": NAN}, None], object, [{"a": NAN}, None]),
        ([Decimal("1.5"), None], object, [Decimal("1.5"), None]),
        ([0.0, 1.0, 0.0], "Sparse[float64]", [0.0, 1.0, 0.0]),
        ([None, None], object, [None, None]),
    ],
)
def test_missing_values(values: Any, dtype: Any, expected: list[Any]) -> None:
    """None and NA are nulls; NaN is a number among floats, and a null among anything else."""
    np.testing.assert_equal(converted(values, dtype).to_pylist(), expected)


def test_times_that_are_missing_are_nulls() -> None:
    """NaT is a null, in a column of times or of objects."""
    times = [pd.Timestamp("2024-01-01"), pd.NaT]
    for dtype in ("datetime64[ns]", object):
        assert converted(times, dtype).is_null().to_pylist() == [False, True]


SHAPES = st.lists(
    st.none() | st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 2)), max_size=5
)


@given(SHAPES, st.sampled_from(["float32", "uint8", "int64", "bool", "float16"]))
def test_arrays_of_several_dimensions_are_nested_lists(shapes: list[Any], dtype: str) -> None:
    """Whatever their shapes, and beside nulls; the values keep their dtype."""
    cells = [None if shape is None else np.ones(shape, dtype) for shape in shapes]
    array = converted(objects(cells))
    assert array.to_pylist() == [None if cell is None else cell.tolist() for cell in cells]
    if any(shape is not None for shape in shapes):
        leaf = array.type.value_type.value_type.value_type
        assert leaf == pa.from_numpy_dtype(np.dtype(dtype))


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ([np.array([[1, 2]]), [[3, 4], [5, 6]]], [[[1, 2]], [[3, 4], [5, 6]]]),
        ([[[3, 4]], np.array([[1, 2]])], [[[3, 4]], [[1, 2]]]),
        ([[np.eye(2)], [np.eye(2), np.eye(2)]], [[[[1, 0], [0, 1]]], [[[1, 0], [0, 1]]] * 2]),
        ([np.array([["a", "b"]]), NAN], [[["a", "b"]], None]),
        ([np.array(1.5), np.array(2.5)], [1.5, 2.5]),
        ([np.array([[1]], "i4"), np.array([[2.5]], "f4")], [[[1]], [[2.5]]]),
        ([np.array([[1.0, 2.0], [3.0, 4.0]]).T], [[[1.0, 3.0], [2.0, 4.0]]]),
        ([NAN, np.ones((1, 1))], [None, [[1.0]]]),
        ([np.float32(1.5), np.float32(2.5)], [1.5, 2.5]),
        ([(1.0, 2.0), [3.0]], [[1.0, 2.0], [3.0]]),
    ],
)
def test_cells_that_are_arrays(cells: list[Any], expected: list[Any]) -> None:
    """Arrays beside lists, arrays in lists, of text, of no dimension, and strided ones."""
    assert converted(objects(cells)).to_pylist() == expected


def test_tensors_are_arrays() -> None:
    """Whatever becomes a NumPy array by itself is read as one."""
    import tensorflow as tf

    cells = [tf.constant([[1.0, 2.0]]), tf.constant([[3.0, 4.0]])]
    assert converted(objects(cells)).to_pylist() == [[[1.0, 2.0]], [[3.0, 4.0]]]


def test_vectors_that_spark_collected() -> None:
    """``toPandas`` leaves MLlib's vectors as they are: they become what Spark would send."""
    vectors = [Vectors.dense(1.0, 2.0), None, Vectors.sparse(4, [1], [5.0])]
    array = converted(objects(vectors))
    assert array.type == VECTOR
    assert array.to_pylist() == [
        {"type": 1, "size": None, "indices": None, "values": [1.0, 2.0]},
        None,
        {"type": 0, "size": 4, "indices": [1], "values": [5.0]},
    ]


@pytest.mark.parametrize(
    "cells", [["a", 1], [np.ones((1, 1)), "a"], [[1.0], np.ones((1, 1))], [1, [1]]]
)
def test_mixed_columns_are_named_where_they_are_read(cells: list[Any]) -> None:
    """A column that nothing reads is not looked at."""
    frame = pd.DataFrame({"x": objects(cells), "y": range(len(cells))})
    with pytest.raises(
        ContractError, match=r'^the values of column "x" are not of one type: .* in row 0'
    ):
        frame_to_arrow(frame, ["x.field"])
    assert frame_to_arrow(frame, ["y"])["x"].type == pa.null()


@pytest.mark.parametrize("few_cells", [-1, 100])
def test_all_mixed_columns_come_at_once(few_cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order of the table."""
    monkeypatch.setattr(pandas_columns, "_FEW_CELLS", few_cells)
    frame = pd.DataFrame({"n": [1, 2], "b": [1, "x"], "t": ["u", "v"], "a": ["y", 2.5]})
    with pytest.raises(ContractError) as refused:
        frame_to_arrow(frame, ["n", "b", "t", "a"])
    first, *lines = str(refused.value).splitlines()
    assert first == "2 mistakes:"
    assert [line.split('"')[1] for line in lines] == ["b", "a"]


DTYPES = ["float32", "float64", "int64", "bool", "uint8", "Int64", "string", "object", "float16"]
DTYPES += ["text", "text or null"]
COLUMNS = st.lists(st.sampled_from(DTYPES), max_size=6)


@given(COLUMNS, st.integers(0, 3), st.booleans())
def test_small_frames_are_converted_as_large_ones(
    dtypes: list[str], rows: int, same_block: bool
) -> None:
    """Columns of one dtype are converted together where they are few: the arrays are the same."""
    texts: dict[str, list[Any]] = {
        "text": ["ü", "", "ab"],
        "text or null": ["x", None, float("nan")],
    }
    parts = [
        pd.Series(texts[dtype][:rows], dtype="object")
        if dtype in texts
        else pd.Series([i % 2] * rows, dtype=dtype)
        for i, dtype in enumerate(dtypes)
    ]
    frame = pd.DataFrame(dict(enumerate(parts)), index=range(rows))
    if same_block:
        frame = frame.copy()
    read = [str(i) for i in range(0, len(dtypes), 2)] + ["1"]
    small = frame_to_arrow(frame, read)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pandas_columns, "_FEW_CELLS", -1)
        large = frame_to_arrow(frame, read)
    assert small.schema == large.schema
    assert small.equals(large)
    schema, numbered = frame_with_row_numbers(frame, read)
    assert schema == large.schema
    assert pa.table(numbered) == with_row_numbers(large)


def test_numbers_whose_bytes_are_in_the_other_order_are_converted() -> None:
    """Beside others too, where pandas itself can't copy them."""
    frame = pd.DataFrame({"x": np.array([1.5, 2.5], ">f4"), "y": ["a", "b"], "z": [1, 2]})
    table = frame_to_arrow(frame, ["x", "y", "z"])
    assert table.to_pydict() == {"x": [1.5, 2.5], "y": ["a", "b"], "z": [1, 2]}


def test_columns_of_one_name_are_each_their_own() -> None:
    """A small frame may have a name twice, and columns of one dtype apart from each other."""
    frame = pd.DataFrame([[1, 2.5, 3, "a"], [4, 5.5, 6, "b"]], columns=["a", "b", "a", "c"])
    table = frame_to_arrow(frame, ["a", "b", "c"])
    assert [column.to_pylist() for column in table.columns] == [
        [1, 4],
        [2.5, 5.5],
        [3, 6],
        ["a", "b"],
    ]


def test_results_keep_their_order_beside_columns_with_nulls() -> None:
    """Only integers and bools with nulls are of a nullable dtype, wherever they stand."""
    frame = pd.DataFrame({"a": [1, 2], "b": [3.0, 4.0]})
    result = pa.table(
        {
            "row": [0, 1],
            "i": pa.array([None, 1], pa.int32()),
            "f": pa.array([0.5, None], pa.float32()),
            "j": pa.array([1, 2], pa.int64()),
            "k": pa.array([True, None]),
            "l": [[1.0], [2.0]],
        }
    )
    out = frame_of_result(frame, [1, 0], result)
    assert list(out.columns) == ["b", "a", "i", "f", "j", "k", "l"]
    kinds = ["float64", "int64", "Int32", "float32", "int64", "boolean", "object"]
    assert [str(dtype) for dtype in out.dtypes] == kinds
    assert out["b"].tolist() == [3.0, 4.0]
    assert out["i"].tolist() == [pd.NA, 1]
    alone = frame_of_result(frame, [], result)
    assert list(alone.columns) == ["i", "f", "j", "k", "l"]


def test_a_result_has_the_columns_and_the_index_of_its_frame() -> None:
    """Rows that the result lacks are gone; kept columns are what they were."""
    frame = pd.DataFrame({"a": objects([{1}, "b", 3]), 7: [1, 2, 3]}).set_axis(["p", "q", "r"])
    result = pa.table({"row": [0, 2], "y": pa.array([5, None], pa.int64())})
    out = frame_of_result(frame, [0, 1], result)
    assert out.index.tolist() == ["p", "r"]
    assert out.columns.tolist() == ["a", 7, "y"]
    assert out["a"].tolist() == [{1}, 3]
    assert out["y"].tolist() == [5, pd.NA]

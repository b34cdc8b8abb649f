from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from cases.arrow_columns import batch_of, source
from tf2spark.conversion.nested_lists import nested_reader, wrong_length
from tf2spark.conversion.rows import RowsRefused, RowsUneven
from tf2spark.dtypes import FLOAT32, INT8, INT32, STRING, DType


def read(
    rows: list[Any], kind: pa.DataType, dims: tuple[int | None, ...], dtype: DType = FLOAT32
) -> tuple[Any, tuple[int, ...]]:
    values, shape, _ = nested_reader(source(kind), dtype, dims, "in")(
        batch_of(pa.array(rows, kind))
    )
    return values, shape


def refused(*args: Any) -> dict[int, str]:
    with pytest.raises(RowsRefused) as caught:
        read(*args)
    return dict(zip(caught.value.rows.tolist(), caught.value.reasons, strict=True))


FLOATS = pa.list_(pa.float32())
DEEP = pa.list_(FLOATS)


@pytest.mark.parametrize("dims", [(), (1,), (None,), (1, 1), (None, 1)])
def test_a_scalar_fits_any_number_of_dimensions_of_one(dims: tuple[int | None, ...]) -> None:
    """A column of numbers feeds [None], [None, 1] and so on."""
    values, shape = read([1.0, 2.0], pa.float64(), dims)
    assert shape == (1,) * len(dims)
    assert values.tolist() == [1, 2]
    assert values.dtype == np.float32


def test_lists_take_the_dimensions_of_their_rows() -> None:
    """Unknown dimensions are those of the data, known ones are what the input says."""
    assert read([[1, 2], [3, 4]], FLOATS, (None,))[1] == (2,)
    assert read([[[1, 2]], [[3, 4]]], DEEP, (None, None))[1] == (1, 2)
    assert read([[[1, 2]], [[3, 4]]], DEEP, (1, 2))[0].tolist() == [1, 2, 3, 4]
    assert read([[], []], FLOATS, (None,))[1] == (0,)
    assert read([[], []], DEEP, (None, 3))[1] == (0, 3)
    assert read([[[], []]], DEEP, (2, None))[1] == (2, 0)


def test_no_rows_have_the_dimensions_of_the_input() -> None:
    """An empty batch is fed as zero rows, its unknown dimensions as 0."""
    assert read([], DEEP, (None, 3))[1] == (0, 3)
    assert read([], pa.string(), (), STRING)[1] == ()


def test_a_flat_list_that_needs_no_cast_is_not_copied() -> None:
    """The values are the Arrow buffer."""
    array = pa.array([[1.0, 2.0], [3.0, 4.0]], FLOATS)
    values, _, _ = nested_reader(source(FLOATS), FLOAT32, (2,), "in")(batch_of(array))
    assert values.ctypes.data == array.values.buffers()[1].address


def test_wrong_lengths_are_refused_with_both_numbers() -> None:
    """The reason names column and input, and the length that each has, at any depth."""
    assert refused([[1, 2], [1], [1, 2, 3]], FLOATS, (2,)) == {
        1: 'column "x" has 1 value, but input "in" takes 2',
        2: 'column "x" has 3 values, but input "in" takes 2',
    }
    assert refused([[[1, 2], [3, 4]], [[1, 2], [3, 4, 5]]], DEEP, (2, 2)) == {
        1: 'column "x" has 3 values, but input "in" takes 2'
    }
    assert (
        wrong_length('column "x" has', 0, 2, "in")
        == 'column "x" has 0 values, but input "in" takes 2'
    )


def test_rows_that_are_rectangular_in_themselves_run_apart() -> None:
    """Rows of different lengths are grouped; different lengths within a row are refused."""
    with pytest.raises(RowsUneven) as caught:
        read([[1], [1, 2], [3]], FLOATS, (None,))
    assert caught.value.keys.tolist() == [1, 2, 1]
    with pytest.raises(RowsUneven) as caught:
        read([[[1], [2]], [[1, 2], [3, 4]]], DEEP, (2, None))
    assert caught.value.keys.tolist() == [1, 2]
    assert refused([[[1], [2]], [[1, 2], [3]]], DEEP, (2, None)) == {
        1: 'column "x" has lists of different lengths'
    }


def test_nulls_at_every_level_are_refused() -> None:
    """A null value or a null list is reported for the row that contains it."""
    assert refused([[1, None], [1, 2]], FLOATS, (2,)) == {0: 'column "x" contains a null'}
    rows = [[[1.0], [2.0]], [[1.0], None], [[1.0], [None]]]
    assert refused(rows[:2], DEEP, (2, 1)) == {1: 'column "x" contains a null'}
    assert refused([rows[0], rows[2]], DEEP, (2, 1)) == {1: 'column "x" contains a null'}
    assert refused([[1], None], FLOATS, (1,)) == {1: 'column "x" is null'}


def test_integers_that_do_not_fit_are_named() -> None:
    """The reason has the first value of the row that the narrower dtype can't hold."""
    kind = pa.list_(pa.int64())
    assert refused([[1, 2], [3, 400]], kind, (2,), INT8) == {
        1: 'column "x" has 400, which int8 can\'t hold'
    }
    assert refused([1, 2**40], pa.int64(), (), INT32) == {
        1: f'column "x" has {2**40}, which int32 can\'t hold'
    }

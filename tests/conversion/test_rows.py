from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tf2spark.conversion.rows import (
    Rows,
    RowsRefused,
    RowsTooLarge,
    check_bytes,
    child_of,
    column_of,
    join,
    nulls_of,
    numbers_or_views,
    offsets_of,
    plain,
    positions_of,
    refuse,
    refuse_values,
    row_ids_of,
    starts_of,
    tensor,
)
from tf2spark.dtypes import FLOAT32, STRING
from tf2spark.plan.score import Source
from tf2spark.tensorflow_c.strings import VIEW, views_of
from tf2spark.tensorflow_c.tensor import Tensor
from tf2spark.testing import fed_strings

LENGTHS = st.lists(st.integers(0, 4), max_size=8)


def ints(values: list[int]) -> Any:
    return np.array(values, np.int64)


def texts(array: pa.Array) -> list[bytes]:
    values, owner = numbers_or_views(array)
    return fed_strings(Tensor(STRING, (len(values),), values, owner))


def batch_of(array: pa.Array) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array(range(len(array))), array], names=["id", "x"])


def source(array: pa.Array, *fields: str) -> Source:
    return Source("x", 1, fields, "list", array.type)


@given(LENGTHS)
def test_flat_values_know_their_row_and_position(lengths: list[int]) -> None:
    """Row ids, positions and starts are those of a loop over rows and values."""
    rows = [row for row, length in enumerate(lengths) for _ in range(length)]
    positions = [place for length in lengths for place in range(length)]
    assert row_ids_of(ints(lengths)).tolist() == rows
    assert positions_of(ints(lengths)).tolist() == positions
    assert starts_of(ints(lengths)).tolist() == [sum(lengths[:i]) for i in range(len(lengths))]


@given(st.integers(0, 5), st.integers(1, 4), st.booleans(), st.data())
def test_join_puts_rows_side_by_side(rows: int, parts: int, even: bool, data: Any) -> None:
    """Row i of the join is row i of every part, in order, even lengths or not."""
    read_parts = []
    expected: list[list[Any]] = [[] for _ in range(rows)]
    for part in range(parts):
        width = data.draw(st.integers(0, 3))
        lengths = [width if even else data.draw(st.integers(0, 3)) for _ in range(rows)]
        lists = [[part * 100 + row * 10 + i for i in range(n)] for row, n in enumerate(lengths)]
        read_parts.append(
            Rows(ints(lengths), ints([value for row_list in lists for value in row_list]), part)
        )
        expected = [before + more for before, more in zip(expected, lists, strict=True)]
    joined = join(read_parts)
    assert joined.values.tolist() == [value for row in expected for value in row]
    assert joined.lengths.tolist() == [len(row) for row in expected]


def test_join_keeps_every_owner() -> None:
    """The memory of each part's strings stays alive with the join."""
    first, second = (Rows(ints([1]), *views_of([text])) for text in ("a", "b"))
    joined = join([first, second])
    assert joined.owner == [first.owner, second.owner]
    assert fed_strings(tensor(STRING, joined.values, (2,))) == [b"a", b"b"]


def test_uniform_is_the_length_that_all_rows_have() -> None:
    """It is None if lengths differ, and 0 if there are no rows."""
    assert Rows(ints([2, 2]), ints([1, 2, 3, 4])).uniform == 2
    assert Rows(ints([2, 1]), ints([1, 2, 3])).uniform is None
    assert Rows(ints([]), ints([])).uniform == 0


def test_refuse_names_the_rows_and_their_reasons() -> None:
    """Only rows where the mask is true are refused, each with its own reason."""
    refuse(np.zeros(3, bool), "never")
    with pytest.raises(RowsRefused) as caught:
        refuse(np.array([False, True, True]), lambda row: f"row {row}")
    assert caught.value.rows.tolist() == [1, 2]
    assert caught.value.reasons == ["row 1", "row 2"]


def test_refuse_values_names_the_first_bad_value_of_each_row() -> None:
    """A row with several bad values is refused once, for the first of them."""
    bad = np.array([False, True, True, False, True])
    refuse_values(np.zeros(5, bool), ints([2, 3]), lambda row, place: "never")
    with pytest.raises(RowsRefused) as caught:
        refuse_values(bad, ints([1, 0, 3, 1]), lambda row, place: f"{row}@{place}")
    assert caught.value.rows.tolist() == [2, 3]
    assert caught.value.reasons == ["2@1", "3@4"]


def test_check_bytes_spares_a_single_row() -> None:
    """A single row that is too large runs all the same: nothing smaller can run."""
    check_bytes(10, 4, 2, 40)
    check_bytes(10, 4, 2, None)
    check_bytes(100, 4, 1, 40)
    with pytest.raises(RowsTooLarge):
        check_bytes(11, 4, 2, 40)


@pytest.mark.parametrize(
    "kind",
    [pa.string(), pa.binary(), pa.large_string(), pa.large_binary(), pa.string_view(),
     pa.binary_view(), pa.binary(3), pa.dictionary(pa.int8(), pa.string())],
)  # fmt: skip
def test_every_kind_of_string_becomes_views(kind: pa.DataType) -> None:
    """Slices with offsets, empty arrays and all of Arrow's string types give their own bytes."""
    values = [b"abc", b"xyz", b"\xc4\x85z"]
    array = pa.array([b"___", *values, b"___"], pa.binary())
    array = array.cast(kind) if not pa.types.is_dictionary(kind) else _dictionary(array)
    assert texts(plain(array.slice(1, 3))) == values
    assert texts(plain(array.slice(2, 0))) == []


def _dictionary(array: pa.Array) -> pa.Array:
    return array.cast(pa.string()).dictionary_encode()


def test_a_child_is_that_of_the_slice_alone() -> None:
    """Lists, large lists and fixed-size lists open at their offset."""
    rows = [[1, 2], [3, 4], [5, 6], [7, 8]]
    for kind in (pa.list_(pa.int32()), pa.large_list(pa.int32()), pa.list_(pa.int32(), 2)):
        lengths, child = child_of(pa.array(rows, kind).slice(1, 2))
        assert lengths.tolist() == [2, 2]
        assert lengths.dtype == np.int64
        assert child.to_pylist() == [3, 4, 5, 6]


def test_an_empty_list_array_without_offsets_is_never_read() -> None:
    """Arrow for Java writes no offsets for an empty column."""
    empty = pa.Array.from_buffers(
        pa.list_(pa.int32()), 0, [None, pa.py_buffer(b"")], children=[pa.array([], pa.int32())]
    )
    assert offsets_of(empty).tolist() == [0]
    assert child_of(empty)[0].tolist() == []
    strings = pa.Array.from_buffers(pa.string(), 0, [None, pa.py_buffer(b""), pa.py_buffer(b"")])
    assert texts(strings) == []


def test_numbers_are_not_copied() -> None:
    """The values of a numeric array are the Arrow buffer itself, at the slice's offset."""
    array = pa.array([1.0, 2.0, 3.0], pa.float32()).slice(1)
    values, _ = numbers_or_views(array)
    assert values.ctypes.data == array.buffers()[1].address + 4


def test_a_null_row_is_refused_by_the_column_as_the_user_wrote_it() -> None:
    """The reason names the path, and only the null rows are refused."""
    take = column_of(source(pa.array([1, None, 3])))
    with pytest.raises(RowsRefused) as caught:
        take(batch_of(pa.array([1, None, 3])))
    assert caught.value.rows.tolist() == [1]
    assert caught.value.reasons == ['column "x" is null']


def test_a_null_struct_hides_its_fields() -> None:
    """A field of a null struct is null, whatever its buffer holds; offsets are honored."""
    child = pa.array([7, 8, 9, 10])
    struct = pa.StructArray.from_arrays([child], ["f"], mask=pa.array([False, True, False, False]))
    take = column_of(source(struct, "f"))
    with pytest.raises(RowsRefused) as caught:
        take(batch_of(struct))
    assert caught.value.rows.tolist() == [1]
    assert take(batch_of(struct.slice(2))).to_pylist() == [9, 10]
    assert take(batch_of(struct).slice(2, 1)).to_pylist() == [9]


def test_a_field_name_that_looks_like_a_path_is_a_name() -> None:
    """Names with dots, a leading one included, are found."""
    struct = pa.StructArray.from_arrays([pa.array([1]), pa.array([2])], [".a", "b.c"])
    assert column_of(source(struct, ".a"))(batch_of(struct)).to_pylist() == [1]
    assert column_of(source(struct, "b.c"))(batch_of(struct)).to_pylist() == [2]


def test_plain_unwraps_dictionaries_and_extensions() -> None:
    """A null in a dictionary stays a null, and an untyped column has only nulls."""
    words = pa.array(["a", None, "a"]).dictionary_encode()
    assert plain(words).to_pylist() == ["a", None, "a"]
    assert nulls_of(plain(words)).tolist() == [False, True, False]
    assert plain(pa.nulls(2)).type == pa.int32()
    wrapped = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"0" * 16], pa.binary(16)))
    assert plain(wrapped).type == pa.binary(16)


def test_views_are_24_bytes() -> None:
    """A string is one `VIEW`, so that it is padded and joined as a number is."""
    values, _ = views_of(["a", b"\xff", ""])
    assert values.dtype == VIEW
    assert fed_strings(tensor(STRING, values, (3,))) == [b"a", b"\xff", b""]


def test_a_tensor_is_contiguous() -> None:
    """Strided values are copied, others are passed on."""
    values = np.arange(6, dtype=np.float32)
    assert tensor(FLOAT32, values, (6,)).data is values
    assert tensor(FLOAT32, values[::2], (3,)).data.flags.c_contiguous

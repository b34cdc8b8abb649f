"""Lists of item ids as positions in the catalog."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tf2spark.plan.recommend import Restriction
from tf2spark.worker.recommend.item_lists import ItemLists, list_reader, position_finder

INTEGERS = [
    pa.int8(), pa.int16(), pa.int32(), pa.int64(),
    pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64(),
]  # fmt: skip


def positions_of(catalog: pa.Array, wanted: pa.Array) -> list[int]:
    positions: list[int] = position_finder(catalog)(wanted).tolist()
    return positions


def limits(dtype: pa.DataType) -> tuple[int, int]:
    info = np.iinfo(dtype.to_pandas_dtype())
    return int(info.min), int(info.max)


@st.composite
def ids_of_any_width(draw: st.DrawFn) -> tuple[pa.Array, pa.Array]:
    """A catalog and ids to look up, many of them near each other or at their types' limits."""
    catalog_type, wanted_type = draw(st.sampled_from(INTEGERS)), draw(st.sampled_from(INTEGERS))

    def ids(dtype: pa.DataType) -> st.SearchStrategy[int]:
        low, high = limits(dtype)
        near = [number for number in range(-3, 8) if low <= number <= high]
        return st.one_of(st.sampled_from([*near, low, high, high - 1]), st.integers(low, high))

    catalog = draw(st.sets(ids(catalog_type), max_size=8))
    wanted = draw(st.lists(st.one_of(st.none(), ids(wanted_type)), max_size=12))
    return pa.array(sorted(catalog), catalog_type), pa.array(wanted, wanted_type)


class TestPositions:
    @given(ids_of_any_width())
    def test_of_integers_are_those_of_equal_numbers(self, drawn: tuple[pa.Array, pa.Array]) -> None:
        """Widths and signs may differ: equal numbers are the same id, no others are."""
        catalog, wanted = drawn
        expected = {number: index for index, number in enumerate(catalog.to_pylist())}
        assert positions_of(catalog, wanted) == [
            expected.get(number, -1) for number in wanted.to_pylist()
        ]

    @pytest.mark.parametrize("dtype", INTEGERS, ids=str)
    def test_of_ids_beyond_the_catalog(self, dtype: pa.DataType) -> None:
        """Ids below, between and above all of the catalog's are unknown, not their neighbors."""
        catalog = pa.array([3, 5, 9], dtype)
        assert positions_of(catalog, pa.array([0, 2, 3, 4, 5, 8, 9, 10, 127], dtype)) == [
            -1, -1, 0, -1, 1, -1, 2, -1, -1,
        ]  # fmt: skip

    def test_of_ids_that_would_wrap_around(self) -> None:
        """An id that the catalog's type can't hold isn't the one that a cast would make of it."""
        assert positions_of(pa.array([1], pa.int8()), pa.array([257, 1], pa.int64())) == [-1, 0]
        top = pa.array([2**63 + 5], pa.uint64())
        assert positions_of(top, pa.array([5 - 2**63], pa.int64())) == [-1]
        assert positions_of(pa.array([0], pa.int32()), pa.array([2**40], pa.int64())) == [-1]

    @pytest.mark.parametrize("text", [pa.string(), pa.large_string()], ids=str)
    def test_of_strings(self, text: pa.DataType) -> None:
        """Unknown strings, empty ones and those that only begin alike have none."""
        catalog = pa.array(["a", "b", "ba"])
        wanted = pa.array(["ba", "", "c", None, "a", "b ", "zz", "A"], text)
        assert positions_of(catalog, wanted) == [2, -1, -1, -1, 0, -1, -1, -1]

    def test_of_a_few_strings_in_a_large_catalog(self) -> None:
        """The same as if all were looked up; some come twice, some aren't there at all."""
        catalog = pa.array([f"item-{number:03d}" for number in range(900)])
        wanted = pa.array(["item-899", "item-1", None, "item-000", "item-899", ""])
        assert positions_of(catalog, wanted) == [899, -1, -1, 0, 899, -1]
        assert positions_of(catalog, wanted.slice(1, 2)) == [-1, -1]
        assert positions_of(catalog, wanted.slice(0, 0)) == []

    @pytest.mark.parametrize("dtype", [pa.int64(), pa.string()], ids=str)
    def test_in_an_empty_catalog(self, dtype: pa.DataType) -> None:
        """Nothing is known, and nothing to look up is no problem."""
        empty = pa.array([], dtype)
        assert positions_of(empty, pa.array([1, None], pa.int64()).cast(dtype)) == [-1, -1]
        assert positions_of(empty, empty) == []
        assert positions_of(pa.array([1], pa.int64()).cast(dtype), empty) == []


def read(lists: list[Any], catalog: pa.Array, list_type: pa.DataType) -> ItemLists:
    column = pa.array([["x"], *lists] if pa.types.is_string(catalog.type) else [[0], *lists],
                      list_type)  # fmt: skip
    # A slice, as most batches are one: what lies before it isn't of these users.
    batch = pa.RecordBatch.from_arrays([column], names=["c0"]).slice(1)
    return list_reader(Restriction("seen", 0), catalog)(batch)


class TestLists:
    @pytest.mark.parametrize("list_of", [pa.list_, pa.large_list])
    def test_have_an_entry_per_known_id(self, list_of: Any) -> None:
        """Unknown ids and nulls are ignored; a null list is no list, an empty one is."""
        lists = read(
            [[7, 4, 99], None, [], [None, 5, 8, 7]], pa.array([4, 5, 7]), list_of(pa.int64())
        )
        assert lists.rows.tolist() == [0, 0, 3, 3]
        assert lists.positions.tolist() == [2, 0, 1, 2]
        assert lists.has_list.tolist() == [True, False, True, True]

    def test_of_strings(self) -> None:
        """The same for strings."""
        lists = read([["b", "q"], [None]], pa.array(["a", "b"]), pa.list_(pa.string()))
        assert (lists.rows.tolist(), lists.positions.tolist()) == ([0], [1])
        assert lists.has_list.tolist() == [True, True]

    def test_of_nulls_alone(self) -> None:
        """No user has a list."""
        lists = read([None, None], pa.array([4]), pa.list_(pa.int64()))
        assert lists.rows.tolist() == lists.positions.tolist() == []
        assert lists.has_list.tolist() == [False, False]

    @pytest.mark.parametrize("ids", [pa.array([4]), pa.array(["a"])], ids=["integers", "strings"])
    def test_that_are_empty_need_no_type(self, ids: pa.Array) -> None:
        """As ``array()`` makes them; what is in one is null."""
        batch = pa.RecordBatch.from_arrays([pa.array([[], None, [None]])], names=["c0"])
        lists = list_reader(Restriction("seen", 0), ids)(batch)
        assert lists.positions.tolist() == []
        assert lists.has_list.tolist() == [True, False, True]


def test_entries_of_a_block_are_counted_from_its_start() -> None:
    """Of its users and positions, without those just before and just after it."""
    rows = np.array([0, 1, 1, 1, 1, 2, 3])
    positions = np.array([4, 3, 4, 5, 6, 5, 4])
    lists = ItemLists(rows, positions, np.ones(4, np.bool_))
    block_rows, block_columns = lists.in_block((1, 3), 4, 6)
    assert list(zip(block_rows.tolist(), block_columns.tolist(), strict=True)) == [
        (0, 0), (0, 1), (1, 1),
    ]  # fmt: skip


def test_entries_are_the_same_in_the_hundredth_block() -> None:
    """Those of long lists are sorted by then; other users begin anew, and the first come again."""
    rng = np.random.default_rng(1)
    rows, positions = np.sort(rng.integers(0, 4, 600)), rng.integers(0, 500, 600)
    lists = ItemLists(rows, positions, np.ones(4, np.bool_))
    for users in ((0, 2), (2, 4), (0, 2)):
        for first in range(0, 500, 5):
            in_rows, in_columns = lists.in_block(users, first, first + 5)
            chosen = (rows >= users[0]) & (rows < users[1])
            chosen &= (positions >= first) & (positions < first + 5)
            assert sorted(zip(in_rows.tolist(), in_columns.tolist(), strict=True)) == sorted(
                zip((rows - users[0])[chosen].tolist(), (positions - first)[chosen].tolist(),
                    strict=True)
            )  # fmt: skip

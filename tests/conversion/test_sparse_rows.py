from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from cases.arrow_columns import PAIRS, VECTOR, batch_of, dense, in_struct, sliced, source, sparse
from tf2spark.conversion.rows import RowsRefused
from tf2spark.conversion.sparse_rows import (
    Vectors,
    assemble,
    densify,
    indices_of,
    refuse_duplicates,
    sort_by_index,
    vectors_reader,
)
from tf2spark.dtypes import FLOAT32, INT8

MAP = pa.map_(pa.int64(), pa.float32())


def read(rows: list[Any], kind: pa.DataType = VECTOR, dtype: Any = FLOAT32) -> Vectors:
    return vectors_reader(source(kind), dtype)(batch_of(pa.array(rows, kind)))


def reasons(rows: list[Any], kind: pa.DataType = VECTOR, dtype: Any = FLOAT32) -> dict[int, str]:
    with pytest.raises(RowsRefused) as caught:
        read(rows, kind, dtype)
    return dict(zip(caught.value.rows.tolist(), caught.value.reasons, strict=True))


def as_dicts(vectors: Vectors) -> list[dict[int, float]]:
    ends = np.cumsum(vectors.lengths)
    ids, values = indices_of(vectors).tolist(), vectors.values.tolist()
    return [
        dict(zip(ids[end - n : end], values[end - n : end], strict=True))
        for n, end in zip(vectors.lengths.tolist(), ends.tolist(), strict=True)
    ]


VALUES = st.floats(width=32, allow_nan=False)
SPARSE = st.dictionaries(st.integers(0, 9), VALUES, max_size=6).map(
    lambda d: sparse(10, dict(sorted(d.items())))
)
DENSE = st.lists(VALUES, min_size=10, max_size=10).map(lambda values: dense(*values))


def entries(row: dict[str, Any]) -> dict[int, float]:
    ids = range(len(row["values"])) if row["type"] else row["indices"]
    return dict(zip(ids, row["values"], strict=True))


@given(st.one_of(st.lists(SPARSE), st.lists(DENSE), st.lists(st.one_of(SPARSE, DENSE))))
def test_sparse_and_dense_vectors_stand_in_one_column(rows: list[Any]) -> None:
    """All sparse, all dense or mixed, explicit zeros and empty rows included."""
    for array in (pa.array(rows, VECTOR), sliced(pa.array(rows, VECTOR))):
        vectors = vectors_reader(source(VECTOR), FLOAT32)(batch_of(array))
        assert as_dicts(vectors) == [entries(row) for row in rows]
        assert vectors.sizes is not None
        assert vectors.sizes.tolist() == [10] * len(rows)
        full = densify(vectors).values.reshape(len(rows), 10)
        assert full.tolist() == [[entries(row).get(i, 0.0) for i in range(10)] for row in rows]


def test_all_dense_rows_are_the_column_itself() -> None:
    """Without a sparse row, no indices are written and no values are moved."""
    vectors = read([dense(1, 2), dense(3, 4)], dtype=None)
    assert vectors.indices is None
    assert densify(vectors).values is vectors.values


def test_empty_vectors_are_rows_without_values() -> None:
    """A sparse row without entries, a dense one of size 0 and no rows at all are all fine."""
    vectors = read([sparse(4, {}), dense(), sparse(4, {3: 1.0})])
    assert as_dicts(vectors) == [{}, {}, {3: 1.0}]
    assert vectors.sizes is not None
    assert vectors.sizes.tolist() == [4, 0, 4]
    assert densify(vectors).values.tolist() == [0, 0, 0, 0, 0, 0, 0, 1]
    assert as_dicts(read([])) == []


def test_leftovers_of_dense_rows_are_not_read() -> None:
    """The indices and the size of a dense row mean nothing, whatever they are."""
    odd = {"type": 1, "size": 99, "indices": [7, 8, 9], "values": [1.0, 2.0]}
    assert as_dicts(read([odd, sparse(3, {2: 5.0})])) == [{0: 1.0, 1: 2.0}, {2: 5.0}]


def test_null_rows_over_garbage_are_refused_alone() -> None:
    """A null struct hides its children; the row's number is that in the batch."""
    inner = pa.array([sparse(4, {1: 1.0}), dense(1, 2, 3, 4), sparse(4, {2: 2.0})], VECTOR)
    struct = in_struct(inner, [False, True, False])
    inside = evolve(source(VECTOR), fields=("f",))
    with pytest.raises(RowsRefused) as caught:
        vectors_reader(inside, FLOAT32)(batch_of(struct))
    assert caught.value.rows.tolist() == [1]
    assert reasons([None, dense(1)]) == {0: 'column "x" is null'}


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({"type": 0, "size": 3, "indices": [0, 1], "values": [1.0]},
         'column "x" has 2 indices and 1 values'),
        ({"type": 0, "size": 3, "indices": None, "values": [1.0]},
         'column "x" has a null "indices"'),
        ({"type": 0, "size": 3, "indices": [0], "values": None}, 'column "x" has a null "values"'),
        ({"type": 0, "size": None, "indices": [], "values": []}, 'column "x" has a null "size"'),
        ({"type": None, "size": 3, "indices": [0], "values": [1.0]},
         'column "x" has a null "type"'),
        ({"type": 0, "size": 3, "indices": [None], "values": [1.0]}, 'column "x" contains a null'),
        ({"type": 0, "size": 3, "indices": [0], "values": [None]}, 'column "x" contains a null'),
        ({"type": 0, "size": 3, "indices": [0, 3], "values": [1.0, 2.0]},
         'column "x" has the index 3, but its size is 3'),
        ({"type": 0, "size": 3, "indices": [-1], "values": [1.0]},
         'column "x" has the negative index -1'),
    ],
)  # fmt: skip
@pytest.mark.parametrize("others", [[sparse(3, {1: 1.0})], [dense(1, 2, 3)],
                                    [dense(1, 2, 3), sparse(3, {0: 1.0})]])  # fmt: skip
def test_a_broken_vector_is_refused_by_its_own_number(
    bad: dict[str, Any], reason: str, others: list[Any]
) -> None:
    """Among sparse, dense and mixed rows alike, only the broken row is refused."""
    assert reasons([*others, bad, *others]) == {len(others): reason}


@pytest.mark.parametrize("first", [sparse(10, {9: 1.0}), dense(*range(10)), sparse(10, {})])
def test_an_index_is_held_to_the_size_of_its_own_row(first: Any) -> None:
    """A wider neighbor doesn't widen a row: its value would land in the next row."""
    narrow = sparse(3, {1: 2.0, 3: 5.0})
    expected = 'column "x" has the index 3, but its size is 3'
    assert reasons([first, narrow, sparse(4, {0: 7.0})]) == {1: expected}
    assert reasons([narrow, first]) == {0: expected}
    vectors = read([first, sparse(3, {1: 2.0, 2: 5.0}), sparse(4, {0: 7.0})])
    full = densify(vectors)
    assert full.lengths.tolist() == [10, 3, 4]
    assert full.values[10:].tolist() == [0, 2, 5, 7, 0, 0, 0]


def test_pairs_keep_their_order_and_need_no_size() -> None:
    """A struct of indices and values is read as it is; if it has a size, ids must be below it."""
    vectors = read([{"indices": [5, 2], "values": [1.0, 2.0]}], PAIRS)
    assert indices_of(vectors).tolist() == [5, 2]
    assert vectors.sizes is None
    sized = pa.struct([*PAIRS, ("size", pa.int32())])
    rows = [
        {"indices": [1], "values": [1.0], "size": 2},
        {"indices": [2], "values": [1.0], "size": 2},
    ]
    assert reasons(rows, sized) == {1: 'column "x" has the index 2, but its size is 2'}
    no_size: list[Any] = [{"indices": [], "values": [], "size": None}]
    assert reasons(no_size, sized) == {0: 'column "x" has a null "size"'}


@given(st.lists(st.dictionaries(st.integers(0, 2**40), VALUES, max_size=5), max_size=6))
def test_maps_are_read_by_rising_key(rows: list[dict[int, float]]) -> None:
    """Keys are ids and items are values, in slices too, whatever the map's order."""
    array = pa.array([list(row.items()) for row in rows], MAP)
    for one in (array, sliced(array)):
        vectors = vectors_reader(source(MAP), FLOAT32)(batch_of(one))
        assert as_dicts(vectors) == rows
        assert indices_of(vectors).tolist() == [key for row in rows for key in sorted(row)]


def test_broken_maps_are_refused() -> None:
    """A null value, a negative key and a value that doesn't fit name their row."""
    assert reasons([[(1, 1.0)], [(1, None)]], MAP) == {1: 'column "x" contains a null'}
    assert reasons([[(-3, 1.0)]], MAP) == {0: 'column "x" has the negative index -3'}
    whole = pa.map_(pa.int32(), pa.int64())
    assert reasons([[], [(1, 300)]], whole, INT8) == {
        1: 'column "x" has 300, which int8 can\'t hold'
    }


@given(st.lists(st.lists(st.integers(0, 5), max_size=5), max_size=5))
def test_in_order_sorts_within_rows(rows: list[list[int]]) -> None:
    """Ids ascend within each row, values move with their ids, and equal ids keep their order."""
    lengths = np.array([len(row) for row in rows], np.int64)
    ids = np.array([i for row in rows for i in row], np.int64)
    values = np.arange(len(ids), dtype=float)
    vectors = sort_by_index(Vectors(lengths, ids, values, None))
    pairs = iter(zip(ids.tolist(), values.tolist(), strict=True))
    expected = [sorted(next(pairs) for _ in row) for row in rows]
    flat = [pair for row in expected for pair in row]
    assert list(zip(indices_of(vectors).tolist(), vectors.values.tolist(), strict=True)) == flat


def test_an_index_given_twice_is_refused_where_only_one_can_be() -> None:
    """Its row is named; rows that share an index with a neighbor are not."""
    lengths = np.array([1, 3, 1])
    vectors = Vectors(lengths, np.array([4, 2, 4, 2, 2]), np.ones(5), None)
    with pytest.raises(RowsRefused) as caught:
        refuse_duplicates(vectors, "x")
    assert caught.value.rows.tolist() == [1]
    assert caught.value.reasons == ['column "x" has the index 2 twice']
    refuse_duplicates(Vectors(np.array([1, 1]), np.array([2, 2]), np.ones(2), None), "x")
    refuse_duplicates(Vectors(np.array([0]), np.array([], np.int64), np.ones(0), None), "x")


@given(st.lists(st.tuples(st.one_of(SPARSE, DENSE), st.floats(width=32, allow_nan=False),
                          st.one_of(SPARSE, DENSE)), max_size=6))  # fmt: skip
def test_assembled_joins_as_vector_assembler_does(rows: list[tuple[Any, float, Any]]) -> None:
    """Densified, the result is the parts' own values one after the other, scalars between them."""
    batch = batch_of(
        pa.array([row[0] for row in rows], VECTOR),
        pa.array([row[1] for row in rows], pa.float64()),
        pa.array([row[2] for row in rows], VECTOR),
    )
    kinds = (VECTOR, pa.float64(), VECTOR)
    parts = [vectors_reader(source(kind, column=i), FLOAT32)(batch) for i, kind in enumerate(kinds)]
    whole = assemble(parts)
    expected = [
        {**entries(a), 10: x, **{11 + i: v for i, v in entries(b).items()}} for a, x, b in rows
    ]
    assert as_dicts(whole) == expected
    full = densify(whole).values.reshape(len(rows), 21).tolist()
    assert full == [[row.get(i, 0.0) for i in range(21)] for row in expected]


def test_assembled_dense_parts_stay_dense() -> None:
    """Numbers and dense vectors need no ids."""
    whole = assemble([read([dense(1, 2)]), read([dense(3)])])
    assert whole.indices is None
    assert densify(whole).values.tolist() == [1, 2, 3]


def test_a_part_of_unknown_size_can_not_be_assembled() -> None:
    """Binding rejects it; if one came through, ids would be wrong, so this stops."""
    with pytest.raises(AssertionError, match="binding allows"):
        assemble([read([[(1, 1.0)]], MAP), read([dense(3)])])

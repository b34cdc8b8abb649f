from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases.spark_blocks import block, blocks_of
from tf2spark.conversion.packed_arrays import unpack_blocks, unpack_column, unpacker
from tf2spark.plan.packed import count_parts

NUMBERS = [
    pa.bool_(), pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.float32(), pa.float64(),
]  # fmt: skip
VECTOR = pa.struct(
    [
        ("type", pa.int8()),
        ("size", pa.int32()),
        ("indices", pa.list_(pa.int32())),
        ("values", pa.list_(pa.float64())),
    ]
)


def values_of(kind: pa.DataType) -> st.SearchStrategy[Any]:
    """Draw values of a type, or null."""
    if pa.types.is_list(kind):
        drawn: st.SearchStrategy[Any] = st.lists(values_of(kind.value_type), max_size=6)
    elif pa.types.is_struct(kind):
        drawn = st.fixed_dictionaries({field.name: values_of(field.type) for field in kind})
    elif pa.types.is_boolean(kind):
        drawn = st.booleans()
    elif pa.types.is_integer(kind):
        info = np.iinfo(kind.to_pandas_dtype())
        drawn = st.integers(int(info.min), int(info.max))
    else:
        drawn = st.floats(width=kind.bit_width, allow_nan=False)
    return st.none() | drawn


def kinds() -> st.SearchStrategy[pa.DataType]:
    """Draw types of lists and structs, nested at any depth."""
    inner = st.recursive(
        st.sampled_from(NUMBERS),
        lambda kind: (
            kind.map(pa.list_)
            | st.lists(kind, min_size=1, max_size=4).map(
                lambda fields: pa.struct([(f"f{i}", each) for i, each in enumerate(fields)])
            )
        ),
        max_leaves=4,
    )
    return inner.map(lambda kind: kind if pa.types.is_struct(kind) else pa.list_(kind))


@given(st.data())
def test_blocks_of_any_type_are_read(data: st.DataObject) -> None:
    """Lists and structs of any depth come out as they went in, with their nulls; so do slices."""
    kind = data.draw(kinds())
    values = data.draw(st.lists(values_of(kind), max_size=5))
    array = pa.array(values, kind)
    unpacked = unpack_blocks(blocks_of(array), kind)
    unpacked.validate(full=True)
    assert unpacked.equals(array)
    start = data.draw(st.integers(0, len(values)))
    assert unpack_blocks(blocks_of(array)[start:], kind).equals(array[start:])


@pytest.mark.parametrize("kind", NUMBERS, ids=str)
@pytest.mark.parametrize("counts", [(3, 3, 3), (0, 0), (1, 65, 0), (64, 64), (200, 100, 130)])
def test_lists_of_all_lengths_are_read(kind: pa.DataType, counts: tuple[int, ...]) -> None:
    """Equal, different, long and empty lists give the same values as Arrow's own lists."""
    rng = np.random.default_rng(0)
    rows = [rng.integers(0, 2, count).tolist() for count in counts]
    array = pa.array([[bool(v) for v in row] if kind == pa.bool_() else row for row in rows])
    array = array.cast(pa.list_(kind))
    unpacked = unpack_blocks(blocks_of(array), array.type)
    unpacked.validate(full=True)
    assert unpacked.equals(array)


def test_nulls_beyond_the_first_64_elements_are_found() -> None:
    """Each element has its own bit, in as many words as it takes."""
    values = [None if index in (0, 63, 64, 129) else float(index) for index in range(130)]
    array = pa.array([[1.0], values], pa.list_(pa.float32()))
    assert unpack_blocks(blocks_of(array), array.type).equals(array)


def test_blocks_that_end_within_a_word_are_read() -> None:
    """Blocks needn't be filled to whole words."""
    array = pa.array([[1.0], [2.0, 3.0, 4.0], None, [5.0]], pa.list_(pa.float32()))
    cut = [
        None if value is None else block(value, array.type)[: 16 + 4 * len(value)]
        for value in array.to_pylist()
    ]
    assert unpack_blocks(pa.array(cut, pa.binary()), array.type).equals(array)


def test_large_binary_and_large_lists_are_read() -> None:
    """Spark's large variants have offsets of 8 bytes."""
    array = pa.array([[1], [2, 3]], pa.large_list(pa.int16()))
    blocks = blocks_of(array).cast(pa.large_binary())
    assert unpack_blocks(blocks, array.type).equals(array)


def rest_of(rows: list[Any], kind: pa.DataType) -> pa.Array:
    """Return lists of one row, and for ... of none."""
    return pa.array([[] if row is ... else [row] for row in rows], pa.list_(kind))


def test_rows_without_a_block_are_taken_from_the_rest() -> None:
    """Rows of both kinds, nulls among them, are mixed in their order."""
    dense = {"type": 1, "size": None, "indices": None, "values": [1.0, 2.0]}
    sparse = {"type": 0, "size": 9, "indices": [3], "values": [4.0]}
    expected = pa.array([dense, sparse, None, sparse, dense], VECTOR)
    blocks = blocks_of(pa.array([dense, None, None, sparse, None], VECTOR))
    rest = rest_of([..., sparse, None, ..., dense], VECTOR)
    assert unpack_column(blocks, rest).equals(expected)
    assert unpack_column(blocks[1:], rest[1:]).equals(expected[1:])
    only_blocks = blocks_of(expected)
    assert unpack_column(only_blocks, rest_of([...] * 5, VECTOR)).equals(expected)
    only_rest = rest_of(expected.to_pylist(), VECTOR)
    assert unpack_column(pa.nulls(5, pa.binary()), only_rest).equals(expected)


def test_a_block_next_to_a_row_of_the_rest_is_not_read() -> None:
    """What is in the first part there doesn't matter."""
    kind = pa.list_(pa.float32())
    blocks = pa.array([b"", block([1.0], kind)], pa.binary())
    assert unpack_column(blocks, rest_of([[2.0], ...], kind)).to_pylist() == [[2.0], [1.0]]


def test_a_batch_of_parts_becomes_the_table() -> None:
    """Columns that aren't packed keep their place among those that are."""
    kind = pa.list_(pa.int32())
    lists = pa.array([[1], [2, 3]], kind)
    numbers = pa.array([7, 8])
    transport = (False, True, False)
    parts = [numbers, blocks_of(lists), rest_of([..., ...], kind), numbers]
    assert count_parts(transport) == len(parts)
    batch = unpacker(transport)(pa.RecordBatch.from_arrays(parts, names=list("abcd")))
    assert batch.schema.names == ["c0", "c1", "c2"]
    values = [column.to_pylist() for column in batch.columns]
    assert values == [[7, 8], [[1], [2, 3]], [7, 8]]

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases.spark_blocks import block, blocks_of
from tf2spark.conversion.packed_arrays import unpack_blocks, unpack_rows, unpacker
from tf2spark.plan.packed import Packing

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
@pytest.mark.parametrize("counts", [
    (3, 3, 3), (0, 0), (1, 65, 0), (64, 64), (200, 100, 130), (30,) * 40 + (29,) + (30,) * 20,
    (3, 1, 0, 2) * 300, (*range(40), 70) * 3,
], ids=lambda counts: f"{sum(counts)} in {len(counts)}")  # fmt: skip
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
    """Rows of both kinds are mixed in their order."""
    dense = {"type": 1, "size": None, "indices": None, "values": [1.0, 2.0]}
    sparse = {"type": 0, "size": 9, "indices": [3], "values": [4.0]}
    expected = pa.array([dense, sparse, sparse, sparse, dense], VECTOR)
    blocks = blocks_of(pa.array([dense, None, None, sparse, None], VECTOR))
    rest = rest_of([..., sparse, sparse, ..., dense], VECTOR)
    assert unpack_rows(blocks, rest).equals(expected)
    assert unpack_rows(blocks[1:], rest[1:]).equals(expected[1:])
    only_blocks = blocks_of(expected)
    assert unpack_rows(only_blocks, rest_of([...] * 5, VECTOR)).equals(expected)
    only_rest = rest_of(expected.to_pylist(), VECTOR)
    assert unpack_rows(pa.nulls(5, pa.binary()), only_rest).equals(expected)


def test_a_block_next_to_a_row_of_the_rest_is_not_read() -> None:
    """What is in the first part there doesn't matter."""
    kind = pa.struct([("x", pa.list_(pa.float32()))])
    blocks = pa.array([b"", block({"x": [1.0]}, kind)], pa.binary())
    rows = unpack_rows(blocks, rest_of([{"x": [2.0]}, ...], kind))
    assert rows.to_pylist() == [{"x": [2.0]}, {"x": [1.0]}]


@pytest.mark.parametrize("has_rest", [False, True])
def test_a_batch_of_parts_becomes_the_table(has_rest: bool) -> None:
    """Columns keep their places, whether or not they are packed, and so do their nulls."""
    kind = pa.struct([("c1", pa.list_(pa.int32())), ("c2", pa.int64())])
    packed = pa.array([{"c1": [1], "c2": None}, {"c1": None, "c2": 9}, {"c1": [], "c2": 8}], kind)
    texts, numbers = pa.array(["a", None, "b"]), pa.array([7, 8, 9])
    packing = Packing((1, 2), (0, 3), kind, has_rest)
    parts = [texts, numbers, blocks_of(packed)]
    if has_rest:
        parts[2] = blocks_of(pa.array([*packed.to_pylist()[:2], None], kind))
        parts.append(rest_of([..., ..., packed[2].as_py()], kind))
    assert packing.part_count == len(parts)
    batch = unpacker(packing)(pa.RecordBatch.from_arrays(parts, names=list("abcd")[: len(parts)]))
    assert batch.schema.names == ["c0", "c1", "c2", "c3"]
    batch.validate(full=True)
    values = [column.to_pylist() for column in batch.columns]
    assert values == [["a", None, "b"], [[1], None, []], [None, 9, 8], [7, 8, 9]]
    assert not unpacker(packing)(
        pa.RecordBatch.from_arrays([p[:0] for p in parts], list("abcd")[: len(parts)])
    ).num_rows

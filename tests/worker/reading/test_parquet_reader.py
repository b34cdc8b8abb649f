from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from attrs import define
from hypothesis import given
from hypothesis import strategies as st

from tf2spark.errors import ContractError, StorageError
from tf2spark.worker.reading import parquet_reader
from tf2spark.worker.reading.parquet_reader import (
    FileRange,
    ParquetTask,
    read_batches,
)

_IDS = pa.schema([("id", pa.int64())])


def whole(path: Path) -> FileRange:
    return FileRange(str(path), 0, path.stat().st_size)


def read(columns: pa.Schema, *ranges: FileRange, batch_rows: int = 4096) -> pa.Table:
    batches = read_batches(ParquetTask(ranges, columns, batch_rows))
    return pa.Table.from_batches(batches, columns)


def written(path: Path, table: pa.Table | dict[str, Any], **options: Any) -> Path:
    pq.write_table(table if isinstance(table, pa.Table) else pa.table(table), path, **options)
    return path


def numbered(path: Path, rows: int, **options: Any) -> Path:
    return written(path, {"id": np.arange(rows), "more": np.arange(rows) * 0.5}, **options)


@given(
    rows=st.integers(0, 200),
    group=st.integers(1, 70),
    cuts=st.lists(st.floats(0, 1), max_size=6),
    batch_rows=st.integers(1, 90),
)
def test_ranges_share_the_rows_of_a_file(
    tmp_path_factory: pytest.TempPathFactory,
    rows: int,
    group: int,
    cuts: list[float],
    batch_rows: int,
) -> None:
    """However a file is cut, each row is in one range, and the rows are in order."""
    path = numbered(tmp_path_factory.mktemp("cut") / "f", rows, row_group_size=group)
    size = path.stat().st_size
    bounds = sorted({0, size, *(int(cut * size) for cut in cuts)})
    ranges = [FileRange(str(path), start, end - start) for start, end in pairwise(bounds)]
    apart = [id for part in ranges for id in read(_IDS, part)["id"].to_pylist()]
    assert apart == list(range(rows))
    assert read(_IDS, *ranges, batch_rows=batch_rows)["id"].to_pylist() == apart


@pytest.mark.parametrize("dictionary", [True, False])
def test_a_row_group_belongs_to_the_range_of_its_middle(tmp_path: Path, dictionary: bool) -> None:
    """The middle is half of its compressed bytes after its first byte, dictionary page included.

    Both row groups begin with a dictionary that is larger than their data.
    """
    rows = np.arange(4000)
    table = {"id": rows, "text": [f"{row:0100}" for row in rows]}
    # "PAR1" comes first, then one row group directly after the other.
    path = written(tmp_path / "f", table, row_group_size=2000, use_dictionary=dictionary)
    footer = pq.ParquetFile(path).metadata
    first = footer.row_group(0).column(0)
    assert first.has_dictionary_page == dictionary
    assert not dictionary or first.data_page_offset - first.dictionary_page_offset > 5000
    start = 4
    for group in range(2):
        columns = [footer.row_group(group).column(column) for column in range(2)]
        size_bytes = sum(column.total_compressed_size for column in columns)
        middle = start + size_bytes // 2
        wanted = rows[group * 2000 : group * 2000 + 2000].tolist()
        assert read(_IDS, FileRange(str(path), middle, 1))["id"].to_pylist() == wanted
        assert read(_IDS, FileRange(str(path), start, middle - start)).num_rows == 0
        rest = FileRange(str(path), middle + 1, start + size_bytes - middle - 1)
        assert read(_IDS, rest).num_rows == 0
        start += size_bytes


@define
class Chunk:
    """A column chunk in a footer, as pyarrow describes it."""

    data_page_offset: int
    total_compressed_size: int
    dictionary_page_offset: int | None = None

    @property
    def has_dictionary_page(self) -> bool:
        return self.dictionary_page_offset is not None


@define
class Group:
    """A row group in a footer, as pyarrow describes it."""

    chunks: tuple[Chunk, ...]

    @property
    def num_columns(self) -> int:
        return len(self.chunks)

    def column(self, index: int) -> Chunk:
        return self.chunks[index]


@pytest.mark.parametrize(
    ("chunks", "middle"),
    [
        ([Chunk(1000, 600, 4), Chunk(640, 401)], 4 + 500),
        ([Chunk(1000, 600), Chunk(1600, 400, 1610)], 1000 + 500),
        # A writer may put the dictionary last: the chunk then starts with its data.
        ([Chunk(1000, 600, 1500)], 1000 + 300),
        ([Chunk(4, 7)], 4 + 3),
    ],
)
def test_the_middle_is_that_of_parquet_java(chunks: list[Chunk], middle: int) -> None:
    """The first chunk's first page, plus half of the bytes of all chunks, rounded down."""
    assert parquet_reader._middle(Group(tuple(chunks))) == middle


def test_small_row_groups_and_files_fill_a_batch(tmp_path: Path) -> None:
    """Row groups of three rows and files of ten become batches of about `batch_rows`."""
    files = [numbered(tmp_path / str(n), 10, row_group_size=3) for n in range(40)]
    task = ParquetTask(tuple(map(whole, files)), _IDS, 100)
    rows = [batch.num_rows for batch in read_batches(task)]
    assert sum(rows) == 400
    assert all(50 <= count <= 150 for count in rows)


@pytest.mark.parametrize(("batches", "times"), [(10, 0), (32, 1), (100, 4)])
def test_a_long_task_returns_memory(
    batches: int, times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory that Arrow has freed is returned to the system every 32 batches, and at the end."""
    released: list[None] = []

    class Pool:
        def release_unused(self) -> None:
            released.append(None)

    monkeypatch.setattr(pa, "default_memory_pool", Pool)
    path = numbered(tmp_path / "f", batches * 50)
    assert read(_IDS, whole(path), batch_rows=50).num_rows == batches * 50
    assert len(released) == times


def test_a_row_group_is_streamed(tmp_path: Path) -> None:
    """One row group of 64 MB is read without ever holding more than a small part of it."""
    values = np.random.default_rng(1).standard_normal(8_000_000)
    path = written(tmp_path / "f", {"x": values}, row_group_size=8_000_000, use_dictionary=False)
    assert path.stat().st_size > 60e6
    del values
    before, most, rows = pa.total_allocated_bytes(), 0, 0
    columns = pa.schema([("x", pa.float64())])
    for batch in read_batches(ParquetTask((whole(path),), columns, 4096)):
        rows += batch.num_rows
        most = max(most, pa.total_allocated_bytes() - before)
    assert rows == 8_000_000
    assert most < 8e6


def test_wide_rows_come_in_fewer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch is bounded in bytes of the columns that are read, other columns don't count."""
    monkeypatch.setattr(parquet_reader, "_BATCH_BYTES", 10_000)
    random = np.random.default_rng(1)
    wide = [random.bytes(1000) for _ in range(100)]
    path = written(tmp_path / "f", {"id": np.arange(100), "wide": wide}, use_dictionary=False)
    columns = pa.schema([("wide", pa.binary())])
    batches = list(read_batches(ParquetTask((whole(path),), columns, 8)))
    assert [batch.num_rows for batch in batches][:3] == [8, 8, 8]
    file = pq.ParquetFile(path)
    assert parquet_reader.rows_within_bytes(file.metadata, [0], {"wide"}) == 9
    assert parquet_reader.rows_within_bytes(file.metadata, [0], {"id"}) > 100


def test_bytes_are_those_of_all_leaves_of_a_column(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a column with a dot in its name, and of a struct; not of a column with a longer name."""
    monkeypatch.setattr(parquet_reader, "_BATCH_BYTES", 10_000)
    random = np.random.default_rng(1)
    wide = [random.bytes(1000) for _ in range(100)]
    table = {"a.b": wide, "s": [{"x": 1, "y": value} for value in wide], "a": range(100)}
    path = written(tmp_path / "f", pa.table(table), use_dictionary=False)
    footer = pq.ParquetFile(path).metadata
    assert parquet_reader.rows_within_bytes(footer, [0], {"a.b"}) == 9
    assert parquet_reader.rows_within_bytes(footer, [0], {"s"}) == 9
    assert parquet_reader.rows_within_bytes(footer, [0], {"s", "a.b"}) == 4


def test_columns_have_the_order_and_types_of_the_task(tmp_path: Path) -> None:
    """Types that differ only in their layout become the plain ones, nulls included."""
    lists = [[1.0, 2.0], None, [3.0, None]]
    words = ["a", None, "b"]
    table = pa.table(
        {
            "fixed": pa.array(lists, pa.list_(pa.float32(), 2)),
            "large": pa.array(lists, pa.large_list(pa.float32())),
            "words": pa.array(words, pa.large_string()),
            "picked": pa.array(words).dictionary_encode(),
            "raw": pa.array([b"x", None, b""], pa.large_binary()),
            "record": pa.array(
                [{"i": 1, "l": [1.0]}, None, {"i": None, "l": None}],
                pa.struct([("i", pa.int32()), ("l", pa.large_list(pa.float64()))]),
            ),
        }
    )
    path = written(tmp_path / "f", table)
    floats = pa.list_(pa.float32())
    columns = pa.schema(
        [
            ("picked", pa.string()),
            ("words", pa.string()),
            ("record", pa.struct([("i", pa.int32()), ("l", pa.list_(pa.float64()))])),
            ("raw", pa.binary()),
            ("large", floats),
            ("fixed", floats),
        ]
    )
    rows = read(columns, whole(path))
    assert rows.schema.equals(columns)
    assert {name: rows[name].to_pylist() for name in columns.names} == {
        name: table[name].to_pylist() for name in columns.names
    }


def test_a_column_that_a_file_lacks_is_null(tmp_path: Path) -> None:
    """A file that has none of the columns still has its rows."""
    paths = [numbered(tmp_path / str(n), 5, row_group_size=2) for n in range(2)]
    other = pa.schema([("id", pa.int64()), ("label", pa.list_(pa.string()))])
    assert read(other, *map(whole, paths)).to_pydict() == {
        "id": [*range(5), *range(5)],
        "label": [None] * 10,
    }
    assert read(pa.schema([("label", pa.string())]), whole(paths[0])).num_rows == 5


def test_names_with_dots_are_names(tmp_path: Path) -> None:
    """A column "a.b" isn't the field b of a column "a"."""
    table = pa.table({"a": [{"b": 1, "c": 2}], "a.b": ["x"]})
    path = written(tmp_path / "f", table)
    for names in (["a"], ["a.b"], ["a.b", "a"]):
        rows = read(pa.schema([table.schema.field(name) for name in names]), whole(path))
        assert rows.to_pylist() == table.select(names).to_pylist()


def test_files_without_rows_give_none(tmp_path: Path) -> None:
    """A file without row groups, one with an empty row group, and no file at all."""
    empty = pa.table({"id": pa.array([], pa.int64())})
    none = tmp_path / "none"
    pq.ParquetWriter(none, empty.schema).close()
    assert read(_IDS, whole(none), whole(written(tmp_path / "empty", empty))).num_rows == 0
    assert read(_IDS).num_rows == 0


def test_text_that_is_not_utf8_stays_as_it_is(tmp_path: Path) -> None:
    """The bytes of a string column aren't checked, as in Spark."""
    raw = pa.array([b"\xff\xfe", b"ok"])
    path = written(tmp_path / "f", {"s": raw.view(pa.string())})
    rows = read(pa.schema([("s", pa.string())]), whole(path))["s"].chunk(0)
    assert rows.view(pa.binary()).to_pylist() == [b"\xff\xfe", b"ok"]


def test_a_mismatch_names_file_column_types_and_the_argument(tmp_path: Path) -> None:
    """The message alone says what is wrong and what to do."""
    path = written(tmp_path / "f", {"id": ["a"]})
    with pytest.raises(ContractError) as raised:
        read(_IDS, whole(path))
    for part in (str(path), '"id"', "string", "int64", 'read="spark"'):
        assert part in str(raised.value)


@pytest.mark.parametrize("damage", ["missing", "no parquet", "broken page"])
def test_files_that_cannot_be_read_are_named(tmp_path: Path, damage: str) -> None:
    """A missing file, one that isn't Parquet, and one whose data are damaged."""
    path = numbered(tmp_path / "f", 10_000, compression="zstd")
    size = path.stat().st_size
    if damage == "missing":
        path.unlink()
    else:
        content = bytearray(path.read_bytes())
        # The first page begins behind "PAR1"; what ends the file says that it is Parquet.
        where = slice(30, 2030) if damage == "broken page" else slice(size - 8, size)
        content[where] = b"?" * len(content[where])
        path.write_bytes(content)
    with pytest.raises(StorageError, match=r'f" can\'t be read as Parquet: .*read="spark"'):
        read(_IDS, FileRange(str(path), 0, size))

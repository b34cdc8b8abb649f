"""Parquet files read straight into batches: the ranges that a Spark task would read, in its order.

Spark cuts files into ranges of bytes, wherever they fall, and a row group belongs to the range that
its middle lies in. The middle here must be the very number that Parquet's Java library computes
(`_middle`): otherwise partitions would have other rows than Spark's own, although no row would be
lost, since ranges cover the file without overlap.

The files are streamed, column chunk by column chunk: only a batch and a read-ahead of each column
are in memory, however large files and row groups are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa
from attrs import frozen

from tf2spark.errors import ContractError, StorageError, argument

# How much of a column chunk is read at once; by default pyarrow reads it all, perhaps 100 MB.
_READ_BYTES = 256 << 10
# The size of a batch, estimated from the footer; TensorFlow's own tensors come on top.
_BATCH_BYTES = 64 << 20
# Arrow's pool keeps freed memory. Returning it to the system and taking it again costs 4 ms.
_RELEASE_EVERY_BATCHES = 32
_ADVICE = argument("read", "spark") + " has Spark read the files"


@frozen
class FileRange:
    """A part of a file that one task reads: the row groups whose middle lies in it.

    Attributes:
        path: The file, on this machine.
        start: The first byte of the range.
        length: Its length in bytes.
    """

    path: str
    start: int
    length: int


@frozen
class ParquetTask:
    """What one task reads.

    Attributes:
        ranges: The parts of files, in the order of their rows.
        columns: The columns by their names in the files, with the types that they are read as.
        batch_rows: About how many rows a batch has.
    """

    ranges: tuple[FileRange, ...]
    columns: pa.Schema
    batch_rows: int


def read_batches(task: ParquetTask) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a task's ranges in batches with exactly its columns.

    A column that a file doesn't have is null for its rows. Batches with less than half of
    `batch_rows` are joined across row groups and files.

    Raises:
        ContractError: A file has a column of another type.
        StorageError: A file doesn't exist, or can't be read.
    """
    pool, count = pa.default_memory_pool(), 0
    for count, batch in enumerate(_read(task), 1):
        yield batch
        # Without this a worker would keep the peak memory of every task that it has run.
        if count % _RELEASE_EVERY_BATCHES == 0:
            pool.release_unused()
    if count > _RELEASE_EVERY_BATCHES:
        pool.release_unused()


def _read(task: ParquetTask) -> Iterator[pa.RecordBatch]:
    pending: list[pa.RecordBatch] = []
    for file_range in task.ranges:
        for batch in _read_range(file_range, task):
            pending.append(batch)
            if sum(part.num_rows for part in pending) * 2 >= task.batch_rows:
                yield from _join(pending)
                pending = []
    yield from _join(pending)


def file_schema(path: str) -> pa.Schema:
    """Return the columns of a file as pyarrow reads them, from its footer.

    Raises:
        StorageError: The file can't be read.
    """
    with _opened(path) as file:
        return file.schema_arrow


def schema_mismatch(in_file: pa.Schema, columns: pa.Schema) -> str | None:
    """Say which column of a file has another type or name than expected; None if all fit.

    Lists and strings with long offsets, fixed lengths or dictionaries are still lists and strings.
    A missing column is no mismatch; one whose name differs in case only is.
    """
    names: dict[str, list[str]] = {}
    for name in in_file.names:
        names.setdefault(name.lower(), []).append(name)
    for field in columns:
        same_name = names.get(field.name.lower(), [])
        if not same_name:
            continue
        # Which of them Spark means depends on spark.sql.caseSensitive.
        if same_name != [field.name]:
            listed = ", ".join(f'"{name}"' for name in same_name)
            return f'for the column "{field.name}" it has {listed}'
        type_ = in_file.field(field.name).type
        if _plain(type_) != _plain(field.type):
            return f'its column "{field.name}" is {type_}, and the table\'s is {field.type}'
    return None


def _read_range(file_range: FileRange, task: ParquetTask) -> Iterator[pa.RecordBatch]:
    with _opened(file_range.path) as file:
        if problem := schema_mismatch(file.schema_arrow, task.columns):
            raise ContractError(f'"{file_range.path}": {problem}', _ADVICE)
        groups = _groups_within(file.metadata, file_range)
        if not groups:
            return
        names = [name for name in task.columns.names if name in file.schema_arrow.names]
        rows = min(task.batch_rows, _rows_within_bytes(file.metadata, groups, set(names)))
        # Spark gives a task its CPUs: other threads would take those of its neighbors.
        batches = file.iter_batches(rows, row_groups=groups, columns=names, use_threads=False)
        while (batch := _next(batches, file_range.path)) is not None:
            yield _with_columns(batch, task.columns)


class _opened:
    """Open a Parquet file for reading; errors name its path."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> Any:
        import pyarrow.parquet as pq

        try:
            self._source = pa.OSFile(self._path)
            # pre_buffer would read whole column chunks ahead.
            return pq.ParquetFile(self._source, buffer_size=_READ_BYTES, pre_buffer=False)
        except (OSError, pa.ArrowException) as error:
            raise _unreadable(self._path, error) from None

    def __exit__(self, *_: object) -> None:
        self._source.close()


def _next(batches: Iterator[pa.RecordBatch], path: str) -> pa.RecordBatch | None:
    try:
        return next(batches, None)
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: str, error: Exception) -> StorageError:
    return StorageError(f'"{path}" can\'t be read as Parquet: {error}', _ADVICE)


def _groups_within(footer: Any, file_range: FileRange) -> list[int]:
    """Return the row groups whose middle lies in a range."""
    end = file_range.start + file_range.length
    middles = (_middle(footer.row_group(index)) for index in range(footer.num_row_groups))
    return [index for index, middle in enumerate(middles) if file_range.start <= middle < end]


def _middle(group: Any) -> int:
    """Return the byte that decides which range a row group belongs to.

    As in parquet-java (``ParquetMetadataConverter.filterFileMetaDataByMidpoint``): where the first
    column chunk starts, which is its dictionary page if that comes before the data, plus half of
    the compressed bytes of all chunks, whichever columns are read.
    """
    first = group.column(0)
    start: int = first.data_page_offset
    if first.has_dictionary_page:
        start = min(start, first.dictionary_page_offset)
    chunks = (group.column(index) for index in range(group.num_columns))
    return start + sum(int(chunk.total_compressed_size) for chunk in chunks) // 2


def _rows_within_bytes(footer: Any, groups: Sequence[int], names: set[str]) -> int:
    """Estimate how many rows of these columns a batch may have; at least one."""
    bytes_per_row = 1.0
    for group in map(footer.row_group, groups):
        chunks = (group.column(index) for index in range(group.num_columns))
        size_bytes = sum(
            chunk.total_uncompressed_size for chunk in chunks if _is_of(chunk.path_in_schema, names)
        )
        bytes_per_row = max(bytes_per_row, size_bytes / max(1, group.num_rows))
    return max(1, int(_BATCH_BYTES / bytes_per_row))


def _is_of(path: str, names: set[str]) -> bool:
    """Say whether a leaf of a file, "a.list.element", belongs to one of these columns."""
    parts = path.split(".")
    return any(".".join(parts[:count]) in names for count in range(1, len(parts) + 1))


def _with_columns(batch: pa.RecordBatch, columns: pa.Schema) -> pa.RecordBatch:
    """Return the batch with exactly these columns, by name; a missing one is null."""
    indices = {name: index for index, name in enumerate(batch.schema.names)}
    arrays = [
        _cast(batch.column(indices[field.name]), field.type)
        if field.name in indices
        else pa.nulls(batch.num_rows, field.type)
        for field in columns
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=columns)


def _cast(array: pa.Array, type_: pa.DataType) -> pa.Array:
    return array if array.type == type_ else array.cast(type_)


def _join(batches: list[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
    if len(batches) < 2:
        return batches
    joined: list[pa.RecordBatch] = pa.Table.from_batches(batches).combine_chunks().to_batches()
    return joined


def _plain(kind: pa.DataType) -> pa.DataType:
    """Return a type without what doesn't change values: the width of offsets, nullability."""
    types = pa.types
    if types.is_dictionary(kind):
        return _plain(kind.value_type)
    if types.is_large_string(kind):
        return pa.string()
    if types.is_large_binary(kind):
        return pa.binary()
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return pa.list_(_plain(kind.value_type))
    if types.is_struct(kind):
        return pa.struct([(field.name, _plain(field.type)) for field in kind])
    return kind

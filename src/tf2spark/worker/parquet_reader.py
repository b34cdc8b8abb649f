"""Parquet files straight into batches: the ranges that a Spark task would read, in its order.

A stream, column chunk by column chunk: what is held is a batch and a read-ahead of each column,
however large files and row groups are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa
from attrs import frozen

from tf2spark.errors import ContractError, StorageError, argument

# Of each column chunk at once; a whole chunk, which is pyarrow's default, can be 100 MB.
_READ_BYTES = 256 << 10
# What one batch may take by the footer's sizes, before TensorFlow's own tensors.
_BATCH_BYTES = 64 << 20
# Arrow keeps what it has freed, and to give it back and ask for it again takes 4 ms.
_RELEASE_EVERY_BATCHES = 32
_ADVICE = argument("read", "spark") + " has Spark read the files"


@frozen
class FileRange:
    """A part of a file that one task reads: the row groups whose middle lies in it.

    Attributes:
        path: The file, on this machine.
        start: Its first byte.
        length: How many bytes.
    """

    path: str
    start: int
    length: int


@frozen
class ParquetTask:
    """What one task reads.

    Attributes:
        ranges: The parts of files, in the order of their rows.
        columns: The columns by their names in the files, with the types that they come out in.
        batch_rows: About how many rows a batch has.
    """

    ranges: tuple[FileRange, ...]
    columns: pa.Schema
    batch_rows: int


def read_batches(task: ParquetTask) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a task's ranges in batches with exactly its columns.

    A column that a file doesn't have is null there. Batches of less than half of `batch_rows` are
    joined across row groups and files.

    Raises:
        ContractError: A file has a column of another type.
        StorageError: A file isn't there, or can't be read.
    """
    pool, number = pa.default_memory_pool(), 0
    for number, batch in enumerate(_read(task), 1):
        yield batch
        if number % _RELEASE_EVERY_BATCHES == 0:
            pool.release_unused()
    if number > _RELEASE_EVERY_BATCHES:
        pool.release_unused()


def _read(task: ParquetTask) -> Iterator[pa.RecordBatch]:
    held: list[pa.RecordBatch] = []
    for one in task.ranges:
        for batch in _reading(one, task):
            held.append(batch)
            if sum(part.num_rows for part in held) * 2 >= task.batch_rows:
                yield from _joined(held)
                held = []
    yield from _joined(held)


def file_schema(path: str) -> pa.Schema:
    """Return the columns of a file as pyarrow reads them, from its footer.

    Raises:
        StorageError: It can't be read.
    """
    with _opened(path) as file:
        return file.schema_arrow


def misfit(found: pa.Schema, wanted: pa.Schema) -> str | None:
    """Say which column of a file isn't what is wanted, and how; None where all are.

    Lists and strings with long offsets, fixed lengths or dictionaries are still lists and strings.
    A column that isn't there is no misfit; one whose name only differs in case is.
    """
    names: dict[str, list[str]] = {}
    for name in found.names:
        names.setdefault(name.lower(), []).append(name)
    for field in wanted:
        there = names.get(field.name.lower(), [])
        if not there:
            continue
        if there != [field.name]:
            listed = ", ".join(f'"{name}"' for name in there)
            return f'for the column "{field.name}" it has {listed}'
        kind = found.field(field.name).type
        if _plain(kind) != _plain(field.type):
            return f'its column "{field.name}" is {kind}, and the table\'s is {field.type}'
    return None


def _reading(one: FileRange, task: ParquetTask) -> Iterator[pa.RecordBatch]:
    with _opened(one.path) as file:
        if problem := misfit(file.schema_arrow, task.columns):
            raise ContractError(f'"{one.path}": {problem}', _ADVICE)
        groups = _groups_within(file.metadata, one)
        if not groups:
            return
        names = [name for name in task.columns.names if name in file.schema_arrow.names]
        rows = min(task.batch_rows, _rows_within_bytes(file.metadata, groups, set(names)))
        batches = file.iter_batches(rows, row_groups=groups, columns=names, use_threads=False)
        while (batch := _next(batches, one.path)) is not None:
            yield _as(batch, task.columns)


class _opened:
    """Open a Parquet file for reading; what fails is said with its path."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> Any:
        import pyarrow.parquet as pq

        try:
            self._source = pa.OSFile(self._path)
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


def _groups_within(footer: Any, one: FileRange) -> list[int]:
    """Return the row groups whose middle lies in a range, which is how Spark shares them out."""
    end = one.start + one.length
    middles = (_middle(footer.row_group(number)) for number in range(footer.num_row_groups))
    return [number for number, middle in enumerate(middles) if one.start <= middle < end]


def _middle(group: Any) -> int:
    first = group.column(0)
    start: int = first.data_page_offset
    if first.has_dictionary_page:
        start = min(start, first.dictionary_page_offset)
    chunks = (group.column(number) for number in range(group.num_columns))
    return start + sum(int(chunk.total_compressed_size) for chunk in chunks) // 2


def _rows_within_bytes(footer: Any, groups: Sequence[int], names: set[str]) -> int:
    """Estimate how many rows of these columns a batch may have, one at least."""
    bytes_a_row = 1.0
    for group in map(footer.row_group, groups):
        chunks = (group.column(number) for number in range(group.num_columns))
        size = sum(one.total_uncompressed_size for one in chunks if _of(one.path_in_schema, names))
        bytes_a_row = max(bytes_a_row, size / max(1, group.num_rows))
    return max(1, int(_BATCH_BYTES / bytes_a_row))


def _of(path: str, names: set[str]) -> bool:
    """Say whether a leaf of a file, "a.list.element", is of one of these columns."""
    parts = path.split(".")
    return any(".".join(parts[:count]) in names for count in range(1, len(parts) + 1))


def _as(batch: pa.RecordBatch, columns: pa.Schema) -> pa.RecordBatch:
    """Return the batch with exactly these columns, by name; null where it doesn't have one."""
    there = {name: number for number, name in enumerate(batch.schema.names)}
    arrays = [
        _cast(batch.column(there[one.name]), one.type)
        if one.name in there
        else pa.nulls(batch.num_rows, one.type)
        for one in columns
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=columns)


def _cast(array: pa.Array, kind: pa.DataType) -> pa.Array:
    return array if array.type == kind else array.cast(kind)


def _joined(batches: list[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
    if len(batches) < 2:
        return batches
    joined: list[pa.RecordBatch] = pa.Table.from_batches(batches).combine_chunks().to_batches()
    return joined


def _plain(kind: pa.DataType) -> pa.DataType:
    """Return a type without what makes no difference to values: offsets' width, nullability."""
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

"""Parquet files read straight into batches: the ranges that a Spark task would read, in its order.

Spark cuts files into ranges of bytes, wherever they fall, and a row group belongs to the range that
its middle lies in. The middle here must be the very number that Parquet's Java library computes
(`_middle`): otherwise partitions would have other rows than Spark's own, although no row would be
lost, since ranges cover the file without overlap.

The files are streamed, column chunk by column chunk: only a batch and a read-ahead of each column
are in memory, however large files and row groups are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa
from attrs import evolve, frozen

from tf2spark.errors import ContractError, StorageError, argument
from tf2spark.worker.reading.file_systems import LOCAL, Files
from tf2spark.worker.reading.filters import Filter, evaluate, may_pass
from tf2spark.worker.reading.parquet_types import (
    UNKNOWN_CALENDARS,
    Calendars,
    file_problem,
    with_zone,
)
from tf2spark.worker.reading.pushdown import pushdown_problem
from tf2spark.worker.reading.read_ahead import RemoteFile, Span
from tf2spark.worker.reading.statistics import Statistics, leaf_statistics

# How much of a column chunk is read at once; by default pyarrow reads it all, perhaps 100 MB.
_LOCAL_READ_BYTES = 256 << 10
# Where these reads are copies of what was requested ahead, less of it.
_REMOTE_READ_BYTES = 64 << 10
# Row groups of less than this together are requested at once.
_BYTES_REQUESTED_AT_ONCE = 8 << 20
# The size of a batch, estimated from the footer; TensorFlow's own tensors come on top.
_BATCH_BYTES = 64 << 20
# Arrow's pool keeps freed memory. Returning it to the system and taking it again costs 4 ms.
_RELEASE_EVERY_BATCHES = 32
_ADVICE = argument("read", "spark") + " has Spark read the files"


@frozen
class FileRange:
    """A part of a file that one task reads: the row groups whose middle lies in it.

    Attributes:
        path: The file, in its file system.
        start: The first byte of the range.
        length: Its length in bytes.
        files: The file system.
        values: The values of the table's partition columns, as one row; None for no such columns.
        file_bytes: The size that the whole file must have; None for any.
    """

    path: str
    start: int
    length: int
    files: Files = LOCAL
    values: pa.RecordBatch | None = None
    file_bytes: int | None = None


@frozen
class ParquetTask:
    """What one task reads.

    The filter and the output name columns by their indices: first those of `columns`, then the
    partition columns of the ranges.

    Attributes:
        ranges: The parts of files, in the order of their rows.
        columns: The columns by their names in the files, with the types that they are read as.
        batch_rows: About how many rows a batch has.
        where: The condition that rows must meet; None for all rows.
        output: The columns that are passed on; None for those of the files.
        calendars: Which files are taken to have dates of the Gregorian calendar.
        field_ids: The numbers that the columns must have in the files; none where they are known
            by names only.
    """

    ranges: tuple[FileRange, ...]
    columns: pa.Schema
    batch_rows: int
    where: Filter | None = None
    output: tuple[int, ...] | None = None
    calendars: Calendars = UNKNOWN_CALENDARS
    field_ids: tuple[int, ...] = ()


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


def problem_of(
    file_range: FileRange,
    columns: pa.Schema,
    calendars: Calendars,
    where: Filter | None = None,
    field_ids: Sequence[int] = (),
) -> str | None:
    """Say, from a file's footer, why it can't be read as these columns; None if it can.

    Args:
        file_range: A part of the file.
        columns: The columns.
        calendars: See `ParquetTask`.
        where: The condition by which Spark would skip rows; None where it doesn't.
        field_ids: See `ParquetTask`.

    Raises:
        StorageError: The file can't be read.
    """
    with OpenedFile(file_range) as file:
        problem = file_problem(file, columns, calendars, field_ids)
        if problem is None and where is not None:
            problem = pushdown_problem(file, where, columns)
        return problem


def _read_range(file_range: FileRange, task: ParquetTask) -> Iterator[pa.RecordBatch]:
    opened = OpenedFile(file_range)
    with opened as file:
        if problem := file_problem(file, task.columns, task.calendars, task.field_ids):
            raise ContractError(f'"{file_range.path}": {problem}', _ADVICE)
        groups = _groups_within(file.metadata, file_range)
        if task.where is not None:
            groups = [
                index
                for index in groups
                if may_pass(task.where, _statistics(file, index, task.columns))
            ]
        if not groups:
            return
        names = [name for name in task.columns.names if name in file.schema_arrow.names]
        rows = min(task.batch_rows, rows_within_bytes(file.metadata, groups, set(names)))
        for part in opened.expect_in_turn(file.metadata, groups, set(names)):
            # Spark gives a task its CPUs: other threads would take those of its neighbors.
            batches = file.iter_batches(rows, row_groups=part, columns=names, use_threads=False)
            while (batch := next_batch(batches, file_range.path)) is not None:
                yield from _output(batch, file_range, task)


def _output(
    batch: pa.RecordBatch, file_range: FileRange, task: ParquetTask
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a batch that pass the filter, with the task's columns; none if none do."""
    read = with_columns(batch, task.columns)
    if task.where is None and task.output is None:
        yield read
        return
    arrays, fields = list(read.columns), list(task.columns)
    if file_range.values is not None:
        arrays += [_repeated(value, batch.num_rows) for value in file_range.values.columns]
        fields += list(file_range.values.schema)
    indices = range(len(task.columns)) if task.output is None else task.output
    output = pa.RecordBatch.from_arrays(
        [arrays[index] for index in indices], schema=pa.schema([fields[index] for index in indices])
    )
    if task.where is not None:
        passed = evaluate(task.where, arrays, batch.num_rows)
        if passed.true_count < batch.num_rows:
            output = output.filter(passed)
    if output.num_rows:
        yield output


def _repeated(value: pa.Array, count: int) -> pa.Array:
    if value.null_count:
        return pa.nulls(count, value.type)
    return value.take(pa.array(bytes(count), pa.uint8()))


def _statistics(
    file: Any, group_index: int, columns: pa.Schema
) -> Callable[[int], Statistics | None]:
    """Return the function for a row group's statistics of a column, in the unit of its type."""
    group, in_file = file.metadata.row_group(group_index), file.schema_arrow

    def statistics_of(index: int) -> Statistics | None:
        if index >= len(columns) or columns.names[index] not in in_file.names:
            return None
        name = columns.names[index]
        known = leaf_statistics(group, name)
        kind = in_file.field(name).type
        if known is not None and pa.types.is_timestamp(kind) and kind.unit != "us":
            return evolve(known, minimum=None, maximum=None)
        return known

    return statistics_of


class OpenedFile:
    """Open a Parquet file for reading; errors name its path."""

    def __init__(self, file_range: FileRange) -> None:
        self._path, self._files = file_range.path, file_range.files
        self._file_bytes = file_range.file_bytes
        self._remote: RemoteFile | None = None

    def __enter__(self) -> Any:
        import pyarrow.parquet as pq

        try:
            file = self._files.open(self._path)
            if isinstance(file, RemoteFile):
                self._remote, file = file, pa.PythonFile(file, mode="r")
            self._source = file
            size = file.size()
            if self._file_bytes in (None, size):
                return pq.ParquetFile(
                    file,
                    buffer_size=_LOCAL_READ_BYTES if self._remote is None else _REMOTE_READ_BYTES,
                    pre_buffer=False,  # it would read whole column chunks ahead
                    coerce_int96_timestamp_unit="us",
                )
            file.close()
        except (OSError, pa.ArrowException) as error:
            raise _unreadable(self._path, error) from None
        # By the ranges of the former file, some row groups of this one might be left out.
        raise StorageError(
            f'"{self._path}" was replaced: it has {size:,} bytes, and had {self._file_bytes:,} '
            "when the table was scored",
            "score the table as it is now: read it again, and score that",
        )

    def expect_in_turn(
        self, footer: Any, groups: Sequence[int], names: set[str]
    ) -> Iterator[Sequence[int]]:
        """Yield the row groups that are to be read next, whose columns the file then expects."""
        if self._remote is None:
            yield groups
            return
        part: list[int] = []
        spans: list[Span] = []
        size_bytes = 0
        for index in groups:
            own = _chunks(footer.row_group(index), names)
            own_bytes = sum(end - start for start, end in own)
            if part and size_bytes + own_bytes > _BYTES_REQUESTED_AT_ONCE:
                self._remote.expect(spans)
                yield part
                part, spans, size_bytes = [], [], 0
            part.append(index)
            spans += own
            size_bytes += own_bytes
        self._remote.expect(spans)
        yield part

    def __exit__(self, *_: object) -> None:
        self._source.close()


def next_batch(batches: Iterator[pa.RecordBatch], path: str) -> pa.RecordBatch | None:
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


def _chunks(group: Any, names: set[str]) -> list[Span]:
    """Return where the chunks of these columns lie."""
    chunks = (group.column(index) for index in range(group.num_columns))
    return [
        (start, start + chunk.total_compressed_size)
        for chunk in chunks
        if _is_of(chunk.path_in_schema, names)
        for start in [_first_byte(chunk)]
    ]


def _first_byte(chunk: Any) -> int:
    start: int = chunk.data_page_offset
    return min(start, chunk.dictionary_page_offset) if chunk.has_dictionary_page else start


def _middle(group: Any) -> int:
    """Return the byte that decides which range a row group belongs to.

    As in parquet-java (``ParquetMetadataConverter.filterFileMetaDataByMidpoint``): where the first
    column chunk starts, which is its dictionary page if that comes before the data, plus half of
    the compressed bytes of all chunks, whichever columns are read.
    """
    start = _first_byte(group.column(0))
    chunks = (group.column(index) for index in range(group.num_columns))
    return start + sum(int(chunk.total_compressed_size) for chunk in chunks) // 2


def rows_within_bytes(footer: Any, groups: Sequence[int], names: set[str]) -> int:
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


def with_columns(batch: pa.RecordBatch, columns: pa.Schema) -> pa.RecordBatch:
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
    if array.type == type_:
        return array
    # pyarrow would take timestamps of 96 bits, to which it gives no zone, for local times.
    return array.cast(with_zone(type_, "UTC")).cast(type_)


def _join(batches: list[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
    if len(batches) < 2:
        return batches
    joined: list[pa.RecordBatch] = pa.Table.from_batches(batches).combine_chunks().to_batches()
    return joined

"""Columns of Parquet files, read for rows that Spark names by their files and numbers.

A query that joins or computes is Spark's to run. But columns that it only passes on needn't take
the way through the JVM: each row carries where it comes from, and the worker reads them. Databases
call that late materialization.

Rows of a task come nearly always in the order of the files. Any other order gives the same rows,
and costs that row groups are read again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from attrs import frozen

from tf2spark.conversion.arrow_buffers import take_indices
from tf2spark.errors import ContractError, StorageError, argument
from tf2spark.worker.reading.parquet_reader import (
    FileRange,
    OpenedFile,
    next_batch,
    rows_within_bytes,
    with_columns,
)
from tf2spark.worker.reading.parquet_types import Calendars, file_problem

_ADVICE = argument("read", "spark") + " has Spark read the files"
# Arrow's pool keeps freed memory. Returning it to the system and taking it again costs 4 ms.
_RELEASE_EVERY_BATCHES = 32

Ints = npt.NDArray[np.int64]


@frozen
class LateColumns:
    """How a table travels whose worker reads some of its columns.

    It travels as the others, in their order, then each row's file, as the CRC-32 of its name in
    Spark, and the row's number in it.

    Attributes:
        late: Which columns the worker reads, by their positions in the table.
        others: Which columns travel. A column is in one of the two.
        columns: The late columns, by their names in the files, with the types to read them as.
        files: The files, by their checksums.
        calendars: Which files are taken to have dates of the Gregorian calendar.
        batch_rows: How many rows of a file are decoded at once.
    """

    late: tuple[int, ...]
    others: tuple[int, ...]
    columns: pa.Schema
    files: Mapping[int, FileRange]
    calendars: Calendars
    batch_rows: int

    @property
    def part_count(self) -> int:
        """How many columns the table travels as."""
        return len(self.others) + 2


def with_late_columns(
    how: LateColumns, batches: Iterable[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """Yield a task's batches with all of the table's columns, named c0, c1, ...

    Raises:
        ContractError: A file has a column of another type.
        StorageError: A file doesn't exist, can't be read, or has fewer rows than Spark saw.
    """
    positions = [*how.others, *how.late]
    order = np.argsort(positions).tolist()
    names = [f"c{index}" for index in range(len(positions))]
    count = len(how.others)
    reader = _Reader(how)
    try:
        for batch in batches:
            late = reader.read(batch.column(count), batch.column(count + 1))
            columns = [*batch.columns[:count], *late]
            yield pa.RecordBatch.from_arrays([columns[index] for index in order], names)
    finally:
        reader.close()


class _Reader:
    """Reads the columns of batches, whose files stay open until a batch has no row of them."""

    def __init__(self, how: LateColumns) -> None:
        self._how = how
        self._files: dict[int, _FileRows] = {}
        self._batches = 0

    def read(self, files: pa.Array, numbers: pa.Array) -> list[pa.Array]:
        """Return the columns of rows; of a row without a file, which a join made, nulls."""
        self._batches += 1
        if self._batches % _RELEASE_EVERY_BATCHES == 0:
            pa.default_memory_pool().release_unused()
        present = np.flatnonzero(numbers.is_valid().to_numpy(zero_copy_only=False))
        checksums = files.fill_null(0).to_numpy()[present]
        rows = numbers.fill_null(0).to_numpy()[present]
        parts: list[pa.RecordBatch] = []
        places: list[Ints] = []
        in_batch = dict.fromkeys(checksums[_starts(checksums)].tolist())
        for checksum in in_batch:
            of_file = np.flatnonzero(checksums == checksum)
            parts.append(self._file(checksum).take(rows[of_file]))
            places.append(of_file)
        for checksum in self._files.keys() - in_batch.keys():
            self._files.pop(checksum).close()
        found = _joined(parts, self._how.columns)
        indices = np.full(len(numbers), -1, np.int64)
        indices[present[np.concatenate(places)] if places else []] = np.arange(found.num_rows)
        if not np.array_equal(indices, np.arange(found.num_rows)):
            found = found.take(take_indices(indices))
        return list(found.columns)

    def close(self) -> None:
        for file in self._files.values():
            file.close()
        self._files = {}

    def _file(self, checksum: int) -> _FileRows:
        if checksum not in self._files:
            file = self._how.files.get(checksum)
            if file is None:
                raise StorageError(
                    "Spark reads a file that wasn't there when the table was scored", _ADVICE
                )
            self._files[checksum] = _FileRows(file, self._how)
        return self._files[checksum]


class _FileRows:
    """The rows of an open file, in batches that are decoded as they are asked for."""

    def __init__(self, file: FileRange, how: LateColumns) -> None:
        self._path, self._how = file.path, how
        self._stream: Iterator[pa.RecordBatch] = iter(())
        self._opened = OpenedFile(file)
        self._file: Any = self._opened.__enter__()
        if problem := file_problem(self._file, how.columns, how.calendars):
            self.close()
            raise ContractError(f'"{file.path}": {problem}', _ADVICE)
        footer = self._file.metadata
        counts = [footer.row_group(index).num_rows for index in range(footer.num_row_groups)]
        self._group_starts = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
        self._batch: pa.RecordBatch | None = None
        # The number of the batch's first row, and that of the row after it.
        self._begin = self._end = 0

    def close(self) -> None:
        self._stream = iter(())
        self._opened.__exit__()

    def take(self, rows: Ints) -> pa.RecordBatch:
        """Return rows by their numbers, in any order, also repeatedly."""
        steps = np.diff(rows)
        if (steps > 0).all():
            return self._take(rows)
        distinct, inverse = np.unique(rows, return_inverse=True)
        return self._take(distinct).take(take_indices(inverse.astype(np.int64)))

    def _take(self, rows: Ints) -> pa.RecordBatch:
        parts, position = [], 0
        while position < len(rows):
            batch = self._batch_with(int(rows[position]))
            end = int(np.searchsorted(rows, self._end))
            some = rows[position:end] - self._begin
            position = end
            if some[-1] - some[0] == len(some) - 1:
                parts.append(batch.slice(int(some[0]), len(some)))
            else:
                parts.append(batch.take(take_indices(some)))
        return _joined(parts, self._how.columns)

    def _batch_with(self, row: int) -> pa.RecordBatch:
        """Return the batch that has a row."""
        if row >= self._group_starts[-1]:
            raise StorageError(
                f'"{self._path}" has {self._group_starts[-1]:,} rows, and Spark read more of it: '
                "it was replaced while the job ran",
                _ADVICE,
            )
        group = int(np.searchsorted(self._group_starts, row, "right")) - 1
        if row < self._begin or self._group_starts[group] > self._end or self._batch is None:
            self._start(group)
        while row >= self._end or self._batch is None:
            batch = next_batch(self._stream, self._path)
            if batch is None:
                raise StorageError(f'"{self._path}" has fewer rows than its footer says', _ADVICE)
            self._batch = with_columns(batch, self._how.columns)
            self._begin, self._end = self._end, self._end + batch.num_rows
        return self._batch

    def _start(self, group: int) -> None:
        groups = list(range(group, len(self._group_starts) - 1))
        self._stream = self._batches_of(groups)
        self._batch = None
        self._begin = self._end = int(self._group_starts[group])

    def _batches_of(self, groups: list[int]) -> Iterator[pa.RecordBatch]:
        file, footer = self._file, self._file.metadata
        names = [name for name in self._how.columns.names if name in file.schema_arrow.names]
        rows = min(self._how.batch_rows, rows_within_bytes(footer, groups, set(names)))
        for part in self._opened.expect_in_turn(footer, groups, set(names)):
            # Spark gives a task its CPUs: other threads would take those of its neighbors.
            yield from file.iter_batches(rows, row_groups=part, columns=names, use_threads=False)


def _starts(values: Ints) -> Ints:
    """Return where values differ from the one before."""
    return np.flatnonzero(np.concatenate(([True], values[1:] != values[:-1]))[: len(values)])


def _joined(batches: list[pa.RecordBatch], columns: pa.Schema) -> pa.RecordBatch:
    if len(batches) == 1:
        return batches[0]
    if not batches:
        return pa.RecordBatch.from_arrays(
            [pa.nulls(0, field.type) for field in columns], schema=columns
        )
    joined: list[pa.RecordBatch] = pa.Table.from_batches(batches).combine_chunks().to_batches()
    return joined[0]

"""The data source that Spark runs, in Python processes of the driver and of the executors."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

import pyarrow as pa
from attrs import frozen
from pyarrow import fs
from pyspark import TaskContext
from pyspark.sql.datasource import (
    DataSource,
    DataSourceArrowWriter,
    DataSourceReader,
    InputPartition,
    WriterCommitMessage,
)
from pyspark.sql.types import StructType

from tf2spark.errors import ContractError, OutputError, Tf2SparkError, first_line
from tf2spark.spark.tfrecord.publishing import delete, publish
from tf2spark.spark.tfrecord.storage import Storage, explained, renames
from tf2spark.spark.types import arrow_schema
from tf2spark.tfrecord import FORMAT
from tf2spark.tfrecord.decoding import example_decoder
from tf2spark.tfrecord.encoding import is_bytes, record_encoder, record_type_of
from tf2spark.tfrecord.files import FoundFile, find_files
from tf2spark.tfrecord.framing import RecordWriter, compression_of, read_records

_MAX_PARTITIONS = 1000
_BATCH_ROWS = 10_000
_OPTIONS = frozenset(
    {"path", "paths", "compression", "recordtype", "recursivefilelookup", "schema"}
)
_ENDINGS = {"none": ".tfrecord", "gzip": ".tfrecord.gz", "zlib": ".tfrecord.zlib"}


class TFRecordSource(DataSource):  # type: ignore[misc, unused-ignore]
    """TFRecord files as a data source; see `register_tfrecord`."""

    storage = Storage()

    @classmethod
    def name(cls) -> str:
        return FORMAT

    def schema(self) -> str:
        """Return the columns that the option ``schema`` names, or that of whole records."""
        return _checked(self.options).get("schema", "value binary")

    def reader(self, schema: StructType) -> TFRecordReader:
        return TFRecordReader(_checked(self.options), arrow_schema(schema), self.storage)

    def writer(self, schema: StructType, overwrite: bool) -> TFRecordWriter:
        return TFRecordWriter(_checked(self.options), arrow_schema(schema), overwrite, self.storage)


def source_on(storage: Storage) -> type[TFRecordSource]:
    """Return the data source for the file systems of a session."""

    # It travels by value, as classes do that are made in a function.
    class SessionSource(TFRecordSource):
        pass

    SessionSource.storage = storage
    return SessionSource


def _checked(options: Mapping[str, str]) -> dict[str, str]:
    """Return options with lower-case names, as Spark ignores their case.

    Raises:
        ContractError: One is unknown, or has a value that it can't have.
    """
    lower = {name.lower(): value for name, value in options.items()}
    unknown = sorted(set(lower) - _OPTIONS)
    if unknown:
        raise ContractError(
            f'the format "{FORMAT}" has no option "{unknown[0]}"',
            "its options are schema, compression, recordType and recursiveFileLookup",
        )
    compression_of(lower.get("compression"))
    record_type_of(lower.get("recordtype"))
    return lower


@frozen
class _Files(InputPartition):  # type: ignore[misc, unused-ignore]
    """The files that one task reads."""

    files: tuple[FoundFile, ...]

    @property
    def value(self) -> object:
        return self.files


class TFRecordReader(DataSourceReader):  # type: ignore[misc, unused-ignore]
    """Reads records, or the features in them."""

    def __init__(self, options: Mapping[str, str], schema: pa.Schema, storage: Storage) -> None:
        self._options, self._schema, self._storage = options, schema, storage
        self._type = record_type_of(options.get("recordtype"))
        is_raw = len(schema) == 1 and is_bytes(schema.field(0).type)
        if self._type is None and is_raw and schema.names == ["value"]:
            self._type = "ByteArray"
        if self._type != "ByteArray":
            example_decoder(schema, is_sequence=self._type == "SequenceExample")
        elif not is_raw:
            raise ContractError(
                "records that are read as they are (recordType ByteArray) fill one column of "
                f"binary, not {schema.names}"
            )

    def partitions(self) -> Sequence[InputPartition]:
        """Return one partition per file; of very many, several files share one."""
        options = self._options
        if "paths" in options:
            paths = json.loads(options["paths"])
        elif "path" in options:
            paths = [options["path"]]
        else:
            raise ContractError("no path is given", "write .load(path)")
        recursive = options.get("recursivefilelookup", "false").lower() == "true"
        storage = self._storage
        qualified = [storage.qualify(path) for path in paths]
        with explained(", ".join(qualified)):
            found = find_files(qualified, recursive=recursive, open_system=storage.open)
        files = [each for each in found if each.size]
        share = -(-len(files) // _MAX_PARTITIONS) or 1
        return [
            _Files(tuple(files[start : start + share])) for start in range(0, len(files), share)
        ] or [_Files(())]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a partition's files."""
        assert isinstance(partition, _Files)
        is_sequence = self._type == "SequenceExample"
        decode = (
            None
            if self._type == "ByteArray"
            else example_decoder(self._schema, is_sequence=is_sequence)
        )
        for file in partition.files:
            before = 0
            for records in self._records_of(file):
                for start in range(0, len(records), _BATCH_ROWS):
                    part = records.slice(start, _BATCH_ROWS)
                    yield (
                        pa.RecordBatch.from_arrays(
                            [part.cast(self._schema.field(0).type)], schema=self._schema
                        )
                        if decode is None
                        else decode(part, file.path, before + start)
                    )
                before += len(records)

    def _records_of(self, file: FoundFile) -> Iterator[pa.Array]:
        """Yield the records of a file, some megabytes at a time."""
        system, inner = self._storage.open(file.path)
        compression = compression_of(self._options.get("compression"), inner)
        with explained(file.path), system.open_input_stream(inner, compression=None) as stream:
            yield from read_records(stream, file.path, compression)


@frozen
class _Written(WriterCommitMessage):  # type: ignore[misc, unused-ignore]
    """The file that a task has written; None for a task without rows."""

    file: str | None


class TFRecordWriter(DataSourceArrowWriter):  # type: ignore[misc, unused-ignore]
    """Writes records into a hidden folder, and moves them to their place when all are written."""

    def __init__(
        self, options: Mapping[str, str], schema: pa.Schema, overwrite: bool, storage: Storage
    ) -> None:
        if "path" not in options:
            raise ContractError("no path is given", "write .save(path)")
        self._path, self._schema = storage.qualify(options["path"]), schema
        self._overwrite, self._storage = overwrite, storage
        self._type = record_type_of(options.get("recordtype"))
        self._compression = compression_of(options.get("compression"))
        record_encoder(schema, self._type)
        self._write_id = uuid.uuid4().hex[:16]
        system, inner = storage.open(self._path)
        self._folder = inner.rstrip("/")
        with explained(self._path):
            is_file = system.get_file_info(self._folder).type == fs.FileType.File
        if is_file and not overwrite:
            raise OutputError(f"{self._path} is a file, and rows can be added to a folder only")
        parent, _, name = self._folder.rpartition("/")
        self._staged = f"{parent}/.{name}-{self._write_id}"

    def _system(self) -> fs.FileSystem:
        return self._storage.open(self._path)[0]

    def write(self, iterator: Iterator[pa.RecordBatch]) -> _Written:
        """Write the rows of a task."""
        system, encode = self._system(), record_encoder(self._schema, self._type)
        task = TaskContext.get()
        number = task.partitionId() if task is not None else 0
        name = f"part-{number:05d}-{uuid.uuid4().hex[:16]}{_ENDINGS[self._compression]}"
        first = next((batch for batch in iterator if batch.num_rows), None)
        if first is None:
            return _Written(None)
        path = f"{self._staged}/{name}"
        with explained(self._path):
            if renames(system):
                system.create_dir(self._staged, recursive=True)
            stream = system.open_output_stream(path, compression=None)
        with stream:
            writer = RecordWriter(stream, self._compression)
            # What fails between the writes isn't the file system.
            for records in map(encode, chain([first], iterator)):
                with explained(self._path):
                    writer.write(records)
            with explained(self._path):
                writer.finish()
                stream.close()
        return _Written(name)

    def commit(self, messages: Sequence[WriterCommitMessage | None]) -> None:
        """Move the files of all tasks to their place."""
        names = [each.file for each in messages if isinstance(each, _Written) and each.file]
        try:
            publish(self._system(), self._staged, self._folder, names, overwrite=self._overwrite)
        except Tf2SparkError:
            raise
        except Exception as error:
            raise OutputError(f"{self._path} can't be written: {first_line(error)}") from None

    def abort(self, messages: Sequence[WriterCommitMessage | None]) -> None:
        """Remove what the tasks have written; what was at the path stays."""
        delete(self._system(), self._staged)

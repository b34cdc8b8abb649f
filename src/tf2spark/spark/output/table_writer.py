"""Writes files so that they appear whole or not at all: to a hidden sibling first, then renamed.

Rows that are added, and partitions that are replaced, come to a folder that has all the others as
well: `local_merge` and `remote_merge`.

On a local disk the new table and the old one exchange their names in one step. On HDFS there are
two renames, and a run that is killed between them is finished by the next (`remote_output`). Object
stores copy and delete instead, so a reader there can see a table that is still being moved.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from attrs import frozen
from pyspark.sql import DataFrame, DataFrameWriter, SparkSession
from pyspark.sql.types import ArrayType, MapType, StructType, UserDefinedType

from tf2spark.errors import OutputError, Tf2SparkError, from_text
from tf2spark.package import publish as local_output
from tf2spark.shown_text import shown
from tf2spark.spark.hadoop import delete, exists, explain_java_errors, resolve
from tf2spark.spark.output import local_merge, remote_merge, remote_output
from tf2spark.spark.output.same_columns import check_same_files, check_same_format
from tf2spark.spark.output.target import SaveMode, Target
from tf2spark.spark.tfrecord.register import register_format
from tf2spark.tfrecord import FORMAT

# The formats whose tables are folders of plain files. Others (delta, iceberg, jdbc, noop) have
# their own way to commit.
FILE_FORMATS = frozenset({"parquet", "orc", "json", "csv", "text", "avro", "xml", FORMAT})

# What the system says when a task writes: to the output, or what Spark keeps on the way.
_NO_ROOM = re.compile(
    r"No space left on device|Disk quota exceeded|File too large|Read-only file system"
    r"|Mkdirs failed to create \S+"
)
_reported: set[str] = set()
_ADVICE = "pass --overwrite to replace it, or choose another --output"


def write(
    df: DataFrame,
    path: str,
    *,
    format: str = "parquet",
    options: Mapping[str, str] | None = None,
    mode: SaveMode = "error",
    partition_by: Sequence[str] = (),
    before_publish: Callable[[list[str]], None] | None = None,
) -> None:
    """Write `df` to `path`; if the job fails, what was there stays.

    Args:
        df: The rows.
        path: Where they go.
        format: The format.
        options: Options of Spark's writer.
        mode: What happens to the rows that are there.
        partition_by: The columns whose values become folders.
        before_publish: Called once all rows are written, before they appear, with the folders of
            their partitions, relative to `path`.

    Raises:
        OutputError: The output exists and the mode is "error", also if it appeared only while the
            table was being written; it can't be moved into place; or the format has no nested
            columns, and the table does.
    """
    if format.lower() == "csv":
        _refuse_nested(df.schema)
    writer = df.write.format(format).options(**dict(options or {}))
    if partition_by:
        writer = writer.partitionBy(*partition_by)
    if not is_files(format):
        _save_elsewhere(writer, path, mode)
        return
    spark = df.sparkSession
    register_format(spark, format)
    # A data source in Python knows no other modes; a staged folder is new in any case.
    writer = writer.mode("append" if format.lower() == FORMAT else "errorifexists")
    prepare_output(spark, path, mode=mode)
    staging = _Staging(path, mode, len(partition_by), before_publish)
    local = _local_target(spark, path)
    if local is None:
        _write_remote(spark, writer, staging)
    else:
        _write_local(spark, writer, local, staging)


@frozen
class _Staging:
    """What becomes of rows that are written to a hidden sibling."""

    path: str
    mode: SaveMode
    depth: int
    before_publish: Callable[[list[str]], None] | None

    def announce(self, partitions: list[str]) -> None:
        if self.before_publish is not None:
            self.before_publish(partitions)

    @property
    def overwrite(self) -> bool:
        return self.mode == "overwrite"

    @property
    def merges(self) -> bool:
        return self.mode in ("append", "overwrite_partitions")


def _save_elsewhere(writer: DataFrameWriter, path: str, mode: SaveMode) -> None:
    """Save in a format that commits in its own way."""
    if mode == "overwrite_partitions":
        writer = writer.option("partitionOverwriteMode", "dynamic")
    elif mode == "overwrite":
        # Whatever the session says, all partitions are replaced.
        writer = writer.option("partitionOverwriteMode", "static")
    modes = {"error": "errorifexists", "append": "append"}
    writer.mode(modes.get(mode, "overwrite")).save(path)


def check_rows(df: DataFrame, target: Target) -> None:
    """Check that rows can be written to files at a path, before one of them is read.

    Raises:
        OutputError: The format has no nested columns, and the rows do; or rows are added to others
            that have other columns, or are in files of another format.
    """
    if target.path_format.lower() == "csv":
        _refuse_nested(df.schema)
    adds = target.mode in ("append", "overwrite_partitions")
    if not adds or not target.path or not is_files(target.path_format):
        return
    if exists(df.sparkSession, target.path):
        check_same_format(df.sparkSession, target)
        if target.path_format.lower() in ("parquet", "orc", "avro", "csv"):
            check_same_files(df, target)


def _refuse_nested(schema: StructType) -> None:
    """Raise `OutputError` for columns that no CSV file can hold, before anything is scored."""
    types = {field.name: field.dataType for field in schema}
    columns = [
        f'"{name}" ({kind.simpleString()})'
        for name, kind in types.items()
        if isinstance(kind, ArrayType | MapType | StructType | UserDefinedType)
    ]
    if columns:
        raise OutputError(
            f"CSV has no lists, structs or maps, and the table has {', '.join(columns)}",
            "write --output-format parquet or json, or leave such columns out: --keep and --fetch "
            "name the others",
        )


def _write_local(
    spark: SparkSession, writer: DataFrameWriter, target: Path, staging: _Staging
) -> None:
    path = staging.path
    staged = local_output.staged_path(target)
    try:
        # Not as_uri(): Hadoop takes %20 literally, not as a space.
        with _full_disks_named(path):
            writer.save(f"file:{staged}")
        partitions = local_merge.partitions_of(staged, staging.depth)
        staging.announce(partitions)
        if not staging.merges:
            local_output.publish(staged, target, overwrite=staging.overwrite)
            return
        replaced = partitions if staging.mode == "overwrite_partitions" else []
        if not local_merge.merge(staged, target, replaced):
            remote_merge.merge(spark, f"file:{staged}", f"file:{target}", replaced)
    except FileExistsError:
        raise _appeared(path) from None
    except OSError as error:
        if isinstance(error, Tf2SparkError):
            raise
        raise OutputError(f"{path} can't be written: {error.strerror}") from error
    finally:
        local_output.remove(staged)
        if os.path.lexists(staged):
            _report([f"{staged} couldn't be removed: it is no longer needed"])


def _write_remote(spark: SparkSession, writer: DataFrameWriter, staging: _Staging) -> None:
    path = staging.path
    staged = remote_output.staged_uri(spark, path)
    try:
        with _full_disks_named(path):
            writer.save(staged)
        partitions = remote_merge.partitions_of(spark, staged, staging.depth)
        staging.announce(partitions)
        if staging.merges:
            replaced = partitions if staging.mode == "overwrite_partitions" else []
            remote_merge.merge(spark, staged, path, replaced)
        else:
            remote_output.publish(spark, staged, path, overwrite=staging.overwrite)
    except FileExistsError:
        raise _appeared(path) from None
    finally:
        # After a success there is nothing to delete, and after a failure the first error counts.
        with contextlib.suppress(Exception):
            delete(spark, staged)


@contextlib.contextmanager
def _full_disks_named(path: str) -> Iterator[None]:
    """Say of a job that had no room for its files that it hadn't, instead of what Spark says.

    Raises:
        OutputError: It hadn't.
    """
    try:
        yield
    except Exception as error:
        match = _NO_ROOM.search(str(error))
        if match is None or isinstance(error, Tf2SparkError) or from_text(str(error)):
            raise
        raise OutputError(
            f"{path} can't be written: {match[0]}",
            "make room there, or where Spark keeps its own files (spark.local.dir), and run the "
            "job again",
        ) from error


def _appeared(path: str) -> OutputError:
    return OutputError(
        f"{path} appeared while this run was writing: what another writer put there stays, and the "
        f"rows of this run were removed; {_ADVICE}"
    )


def is_files(format: str) -> bool:
    """Say whether the tables of a format are folders of plain files."""
    return format.lower() in FILE_FORMATS


def check_local_path(path: str, *, format: str = "parquet", mode: SaveMode = "error") -> None:
    """Do what `prepare_output` does for an output on this machine; needs no Spark.

    A path without a scheme is local, unless a Hadoop configuration may say otherwise.

    Raises:
        OutputError: It exists and the mode is "error", or it can't be written.
    """
    local = local_path(path)
    if local is not None:
        _prepare_local(Path(os.path.realpath(local)), path, format=format, mode=mode)


def local_path(path: str) -> Path | None:
    """Return the local file that `path` names, or None where it may be on another file system."""
    parts = urlsplit(path)
    if parts.scheme == "file":
        return Path(url2pathname(parts.path))
    if parts.scheme or any(name in os.environ for name in ("HADOOP_CONF_DIR", "SPARK_CONF_DIR")):
        return None
    return Path(path)


def prepare_output(
    spark: SparkSession, path: str, *, format: str = "parquet", mode: SaveMode = "error"
) -> None:
    """Refuse an output that exists on its file system.

    What killed runs left there is finished or removed first, with a line on stderr.

    Raises:
        OutputError: It exists and the mode is "error", or it can't be written.
    """
    local = _local_target(spark, path)
    if local is not None:
        if is_files(format):
            _report(remote_merge.recover(spark, f"file:{local}"))
        _prepare_local(local, path, format=format, mode=mode)
        return
    if is_files(format):
        _report(remote_merge.recover(spark, path))
        _report(remote_output.recover(spark, path))
    if mode == "error" and exists(spark, path):
        raise _exists(path)
    if is_files(format):
        remote_merge.check_folder(spark, path, mode)


def _local_target(spark: SparkSession, path: str) -> Path | None:
    """Return the local file that `path` leads to, or None if it is on another file system."""
    with explain_java_errors(spark, path):
        _, target = resolve(spark, path)
    uri = target.toUri()
    # Of a link, what it leads to is replaced, and the link stays.
    return Path(os.path.realpath(uri.getPath())) if uri.getScheme() == "file" else None


def _prepare_local(target: Path, path: str, *, format: str, mode: SaveMode) -> None:
    if is_files(format):
        _report(local_output.recover(target))
    if os.path.lexists(target) and mode == "error":
        raise _exists(path)
    if is_files(format) and mode not in ("error", "overwrite") and target.is_file():
        raise _not_a_folder(path)
    if is_files(format):
        _check_parent(target, path)


def _check_parent(target: Path, path: str) -> None:
    if os.path.ismount(target):  # the root folder, too
        raise OutputError(f"{path} can't be written: a mount point can't be replaced")
    parent = next(folder for folder in target.parents if os.path.exists(folder))
    if not os.access(parent, os.W_OK | os.X_OK) or not parent.is_dir():
        raise OutputError(
            f"{path} can't be written: {parent} "
            + ("is not writable by this user" if parent.is_dir() else "is not a folder")
        )
    # That of the folder to which rows are written first is longer.
    name = local_output.staged_path(target).name
    if len(os.fsencode(name)) > os.pathconf(parent, "PC_NAME_MAX"):
        raise OutputError(f"{path} can't be written: its name is too long")


def _exists(path: str) -> OutputError:
    return OutputError(f"{path} already exists: {_ADVICE}")


def _not_a_folder(path: str) -> OutputError:
    return OutputError(
        f"{path} is a file, and rows can be added to a folder only",
        "pass --overwrite to replace it, or choose another --output",
    )


def _report(notes: list[str]) -> None:
    for note in notes:
        if note not in _reported:  # an output is prepared by the command, and again when written
            print(shown(note), file=sys.stderr)
            _reported.add(note)

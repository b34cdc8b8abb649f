"""Writes a table so that it appears whole or not at all: to a hidden sibling first, then renamed.

On a local disk the new table and the old one exchange their names in one step. On HDFS there are
two renames, and a run that is killed between them is finished by the next (`remote_output`). Object
stores copy and delete instead, so a reader there can see a table that is still being moved.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from pyspark.sql import DataFrame, DataFrameWriter, SparkSession
from pyspark.sql.types import ArrayType, MapType, StructType, UserDefinedType

from tf2spark.errors import OutputError
from tf2spark.package import publish as local_output
from tf2spark.shown_text import shown
from tf2spark.spark.hadoop import delete, exists, explain_java_errors, resolve
from tf2spark.spark.output import remote_output

# The formats whose tables are folders of plain files. Others (delta, iceberg, jdbc, noop) have
# their own way to commit.
FILE_FORMATS = frozenset({"parquet", "orc", "json", "csv", "text", "avro", "xml"})

_reported: set[str] = set()
_ADVICE = "pass --overwrite to replace it, or choose another --output"


def write(
    df: DataFrame,
    path: str,
    *,
    format: str = "parquet",
    options: Mapping[str, str] | None = None,
    overwrite: bool = False,
) -> None:
    """Write `df` to `path`; if the job fails, what was there stays.

    Raises:
        OutputError: The output exists and `overwrite` is false, also if it appeared only while the
            table was being written; it can't be moved into place; or the format has no nested
            columns, and the table does.
    """
    if format.lower() == "csv":
        _refuse_nested(df.schema)
    writer = df.write.format(format).options(**dict(options or {}))
    if not is_files(format):
        writer.mode("overwrite" if overwrite else "errorifexists").save(path)
        return
    spark = df.sparkSession
    prepare_output(spark, path, overwrite=overwrite)
    local = _local_target(spark, path)
    if local is None:
        _write_remote(spark, writer, path, overwrite=overwrite)
    else:
        _write_local(writer, local, path, overwrite=overwrite)


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


def _write_local(writer: DataFrameWriter, target: Path, path: str, *, overwrite: bool) -> None:
    staged = local_output.staged_path(target)
    try:
        # Not as_uri(): Hadoop takes %20 literally, not as a space.
        writer.mode("errorifexists").save(f"file:{staged}")
        local_output.publish(staged, target, overwrite=overwrite)
    except FileExistsError:
        raise _appeared(path) from None
    except OSError as error:
        raise OutputError(f"{path} can't be written: {error.strerror}") from error
    finally:
        local_output.remove(staged)
        if os.path.lexists(staged):
            _report([f"{staged} couldn't be removed: it is no longer needed"])


def _write_remote(
    spark: SparkSession, writer: DataFrameWriter, path: str, *, overwrite: bool
) -> None:
    staged = remote_output.staged_uri(spark, path)
    try:
        writer.mode("errorifexists").save(staged)
        remote_output.publish(spark, staged, path, overwrite=overwrite)
    except FileExistsError:
        raise _appeared(path) from None
    finally:
        # After a success there is nothing to delete, and after a failure the first error counts.
        with contextlib.suppress(Exception):
            delete(spark, staged)


def _appeared(path: str) -> OutputError:
    return OutputError(
        f"{path} appeared while this run was writing: what another writer put there stays, and the "
        f"rows of this run were removed; {_ADVICE}"
    )


def is_files(format: str) -> bool:
    """Say whether the tables of a format are folders of plain files."""
    return format.lower() in FILE_FORMATS


def check_local_path(path: str, *, format: str = "parquet", overwrite: bool) -> None:
    """Do what `prepare_output` does for an output on this machine; needs no Spark.

    A path without a scheme is local, unless a Hadoop configuration may say otherwise.

    Raises:
        OutputError: It exists and `overwrite` is false, or it can't be written.
    """
    local = local_path(path)
    if local is not None:
        _prepare_local(Path(os.path.realpath(local)), path, format=format, overwrite=overwrite)


def local_path(path: str) -> Path | None:
    """Return the local file that `path` names, or None where it may be on another file system."""
    parts = urlsplit(path)
    if parts.scheme == "file":
        return Path(url2pathname(parts.path))
    if parts.scheme or any(name in os.environ for name in ("HADOOP_CONF_DIR", "SPARK_CONF_DIR")):
        return None
    return Path(path)


def prepare_output(
    spark: SparkSession, path: str, *, format: str = "parquet", overwrite: bool
) -> None:
    """Refuse an output that exists on its file system.

    What killed runs left there is finished or removed first, with a line on stderr.

    Raises:
        OutputError: It exists and `overwrite` is false, or it can't be written.
    """
    local = _local_target(spark, path)
    if local is not None:
        _prepare_local(local, path, format=format, overwrite=overwrite)
        return
    if is_files(format):
        _report(remote_output.recover(spark, path))
    if not overwrite and exists(spark, path):
        raise _exists(path)


def _local_target(spark: SparkSession, path: str) -> Path | None:
    """Return the local file that `path` leads to, or None if it is on another file system."""
    with explain_java_errors(spark, path):
        _, target = resolve(spark, path)
    uri = target.toUri()
    # Of a link, what it leads to is replaced, and the link stays.
    return Path(os.path.realpath(uri.getPath())) if uri.getScheme() == "file" else None


def _prepare_local(target: Path, path: str, *, format: str, overwrite: bool) -> None:
    if is_files(format):
        _report(local_output.recover(target))
    if os.path.lexists(target) and not overwrite:
        raise _exists(path)
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


def _exists(path: str) -> OutputError:
    return OutputError(f"{path} already exists: {_ADVICE}")


def _report(notes: list[str]) -> None:
    for note in notes:
        if note not in _reported:  # an output is prepared by the command, and again when written
            print(shown(note), file=sys.stderr)
            _reported.add(note)

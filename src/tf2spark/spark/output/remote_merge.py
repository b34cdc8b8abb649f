"""Adds rows to a folder on HDFS or an object store, or replaces some of its partitions.

There, two folders can't exchange their names, so files are renamed one by one. First the new
folder gets a name that says that it is finished, ``.<output>.append-<run>`` or
``.<output>.partitions-<run>``. A run that is killed later leaves a part of the files in that
folder, and the next run to this output moves them (`recover`): all rows are there in the end.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from pyspark.sql import SparkSession

from tf2spark.errors import ModelNotFoundError, OutputError, StorageError
from tf2spark.package.publish import Sibling, sibling_name
from tf2spark.package.run_id import new_run_id
from tf2spark.spark.hadoop import (
    OBJECT_STORES,
    explain_java_errors,
    rename_new,
    resolve,
    scheme_of,
)
from tf2spark.spark.jvm.access import hadoop_path
from tf2spark.spark.output.siblings import siblings
from tf2spark.spark.output.target import SaveMode

_KINDS = {"append", "partitions"}


def partitions_of(spark: SparkSession, folder: str, depth: int) -> list[str]:
    """Return the folders of a table's partitions, relative to its own: "dt=1/hour=2"."""
    with explain_java_errors(spark, folder):
        file_system, root = resolve(spark, folder)
        levels = [("", root)] if depth else []
        for _ in range(depth):
            levels = [
                (f"{relative}/{child.getPath().getName()}".lstrip("/"), child.getPath())
                for relative, path in levels
                for child in file_system.listStatus(path)
                if child.isDirectory() and "=" in child.getPath().getName()
            ]
        return sorted(relative for relative, _ in levels)


def merge(spark: SparkSession, staged: str, path: str, replaced: Collection[str]) -> None:
    """Put the files of `staged` into `path`.

    Args:
        spark: The session.
        staged: A finished folder next to `path`.
        path: The folder; it may not exist yet.
        replaced: Folders in it, relative to it, whose files go away.

    Raises:
        StorageError: A file can't be renamed. The next run to this output will try again.
    """
    try:
        rename_new(spark, staged, path)
        return
    except FileExistsError:
        pass
    with explain_java_errors(spark, path):
        kind = "partitions" if replaced else "append"
        finished = _sibling(spark, path, kind)
        rename_new(spark, staged, finished)
        _move(spark, finished, path, kind)


def _sibling(spark: SparkSession, path: str, kind: str) -> str:
    _, target = resolve(spark, path)
    name = sibling_name(target.getName(), kind, new_run_id())
    return str(hadoop_path(spark, target.getParent(), name).toString())


def _move(spark: SparkSession, finished: str, path: str, kind: str) -> None:
    """Move all files of a finished folder to their places; it can be repeated after a kill."""
    file_system, source = resolve(spark, finished)
    _, target = resolve(spark, path)
    for relative, folder, files in list(_folders(file_system, source, "")):
        into = hadoop_path(spark, target, relative) if relative else target
        # A partition that is replaced is one rename where nothing of it was moved yet.
        if kind == "partitions" and relative and files and file_system.exists(folder):
            file_system.delete(into, True)
            file_system.mkdirs(into.getParent())
            _rename(file_system, folder, into)
            continue
        if files:
            file_system.mkdirs(into)
        for file in files:
            place = hadoop_path(spark, into, file.getName())
            if file_system.exists(place):  # _SUCCESS, or a copy of a run that was killed
                file_system.delete(place, False)
            _rename(file_system, file, place)
    file_system.delete(source, True)


def _rename(file_system: Any, source: Any, target: Any) -> None:
    if not file_system.rename(source, target):
        raise StorageError(f"can't rename {source.toString()} to {target.toString()}")


def _folders(file_system: Any, folder: Any, relative: str) -> Iterator[tuple[str, Any, list[Any]]]:
    """Yield each folder in a folder: its relative path, its path, the paths of its files."""
    files: list[Any] = []
    inner: list[Any] = []
    for status in file_system.listStatus(folder):
        (inner if status.isDirectory() else files).append(status.getPath())
    for path in inner:
        name = f"{relative}/{path.getName()}".lstrip("/")
        yield from _folders(file_system, path, name)
    # The root last, as it has the mark of success.
    yield relative, folder, files


def recover(spark: SparkSession, path: str) -> list[str]:
    """Move what runs that were killed had finished but not moved; return what was done."""
    notes: list[str] = []
    try:
        with explain_java_errors(spark, path):
            for sibling, uri in _unmoved(spark, path):
                if sibling.state == "unknown":
                    notes.append(
                        f"{uri} has rows that aren't at {path} yet, of a run on another machine: "
                        "if that has ended, move its files there"
                    )
                if sibling.state != "ended":
                    continue
                if scheme_of(path) in OBJECT_STORES:
                    notes.append(
                        f"{uri} was left by a run that was killed and has rows that aren't at "
                        f"{path} yet: move its files there, or remove it"
                    )
                    continue
                _move(spark, uri, path, sibling.kind)
                notes.append(
                    f"a run was killed while it moved its rows to {path}: all of them are there now"
                )
    except ModelNotFoundError:  # not even the parent folder is there
        return notes
    return notes


def _unmoved(spark: SparkSession, path: str) -> Iterator[tuple[Sibling, str]]:
    for sibling, status in siblings(spark, path):
        if sibling.kind in _KINDS:
            yield sibling, str(status.getPath().toString())


def check_folder(spark: SparkSession, path: str, mode: SaveMode) -> None:
    """Refuse an output that can't be written, by making a hidden folder next to it.

    Raises:
        OutputError: It is a file, and rows were to be added; this user may not write there; or
            there is no such bucket.
    """
    with explain_java_errors(spark, path):
        file_system, target = resolve(spark, path)
        adds = mode not in ("error", "overwrite")
        if adds and file_system.exists(target) and file_system.getFileStatus(target).isFile():
            raise OutputError(
                f"{path} is a file, and rows can be added to a folder only",
                "pass --overwrite to replace it, or choose another --output",
            )
    name = sibling_name(target.getName() or "output", "tf2spark", new_run_id())
    try:
        with explain_java_errors(spark, path):
            parent = target.getParent() or target
            while parent.getParent() is not None and not file_system.exists(parent):
                parent = parent.getParent()
            trial = hadoop_path(spark, parent, name)
            file_system.mkdirs(trial)
            file_system.delete(trial, True)
    except (ModelNotFoundError, StorageError) as error:
        raise OutputError(f"{path} can't be written: {error.problem}", error.advice) from error

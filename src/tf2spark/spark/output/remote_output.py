"""Puts a finished table on HDFS or an object store in its place.

On HDFS a rename is one step, and fails where there is something already, but a folder can't replace
another. So the old table is renamed to a hidden sibling first, and the new one then takes its name.
The siblings' names say which run they belong to: after a kill between the two, `recover` puts the
new table in its place when the next run starts.

Object stores copy and delete instead. There a killed run can leave parts of a table at both names,
so `recover` only names what it finds.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

from attrs import frozen
from pyspark.sql import SparkSession

from tf2spark.errors import ModelNotFoundError, OutputError
from tf2spark.package.publish import (
    Sibling,
    is_abandoned,
    kept_note,
    parse_sibling,
    removed_note,
    restored_note,
    sibling_name,
)
from tf2spark.package.run_id import new_run_id
from tf2spark.spark.hadoop import (
    OBJECT_STORES,
    delete,
    exists,
    explain_java_errors,
    files,
    rename_new,
    resolve,
    scheme_of,
)
from tf2spark.spark.jvm.access import hadoop_path, jvm
from tf2spark.spark.output.siblings import siblings

_TRIES = 100


@frozen
class _Found:
    """A hidden sibling that lies next to an output: its name, its URI, when it was modified."""

    sibling: Sibling
    uri: str
    modified_ms: int

    @property
    def is_running(self) -> bool:
        return self.sibling.state == "running"


def staged_uri(spark: SparkSession, path: str) -> str:
    """Return a new hidden path next to an output, to write to."""
    return _sibling_uri(spark, path, "tf2spark", new_run_id())


def _sibling_uri(spark: SparkSession, path: str, kind: str, run_id: str) -> str:
    _, target = resolve(spark, path)
    name = sibling_name(target.getName(), kind, run_id)
    return str(hadoop_path(spark, target.getParent(), name).toString())


def publish(spark: SparkSession, staged: str, path: str, *, overwrite: bool) -> None:
    """Rename the table `staged` to `path`; what was there is deleted.

    Raises:
        FileExistsError: There is something at `path`, and `overwrite` is false.
        StorageError: It can't be renamed; what was there stays.
    """
    if not overwrite:
        rename_new(spark, staged, path)
        return
    olds: list[str] = []
    for _ in range(_TRIES):  # others may write to the same place at the same time
        if _takes_place(spark, staged, path, olds):
            for old in olds:
                delete(spark, old)
            return
        old = _old_uri(spark, staged, path, is_first=not olds)
        with contextlib.suppress(ModelNotFoundError):  # somebody has removed it
            rename_new(spark, path, old)
            olds.append(old)
    where = f"; what was there is at {olds[0]}" if olds else ""
    raise OutputError(f"{path} can't be replaced: other processes keep writing there{where}")


def _takes_place(spark: SparkSession, staged: str, path: str, olds: list[str]) -> bool:
    """Rename the new table to its name; return False if another is there.

    If that fails for another reason, the last of the tables that were moved away is put back.
    """
    try:
        rename_new(spark, staged, path)
    except FileExistsError:
        return False
    except Exception:
        if olds:
            rename_new(spark, olds[-1], path)
        raise
    return True


def _old_uri(spark: SparkSession, staged: str, path: str, *, is_first: bool) -> str:
    """Return a name to move an old table to: of the first, `recover` must find the new one."""
    sibling = _parse(spark, staged, path) if is_first else None
    return _sibling_uri(spark, path, "old", sibling.run_id if sibling else new_run_id())


def _parse(spark: SparkSession, staged: str, path: str) -> Sibling | None:
    (_, target), (_, written) = resolve(spark, path), resolve(spark, staged)
    return parse_sibling(target.getName(), written.getName())


def recover(spark: SparkSession, path: str) -> list[str]:
    """Finish or undo what runs that were killed left beside an output; return what was done.

    See `tf2spark.package.publish.recover`.
    """
    try:
        with explain_java_errors(spark, path):
            siblings = list(_own_siblings(spark, path))
    except ModelNotFoundError:  # not even the parent folder is there
        return []
    if scheme_of(path) in OBJECT_STORES:
        return [_note_of_part(found, path) for found in siblings if not found.is_running]
    notes = list(_restore(spark, path, siblings))
    for found in siblings:
        if found.is_running or not exists(spark, found.uri):
            continue
        if is_abandoned(found.sibling.state, _seconds_unchanged(spark, found)):
            delete(spark, found.uri)
            notes.append(removed_note(found.uri))
        else:
            notes.append(kept_note(found.uri))
    return notes


def _note_of_part(found: _Found, path: str) -> str:
    if found.sibling.state == "unknown":
        return kept_note(found.uri)
    return (
        f"{found.uri} was left by a run that was killed and may hold a part of {path}: look at "
        "both, then remove it"
    )


def _restore(spark: SparkSession, path: str, siblings: list[_Found]) -> Iterator[str]:
    """Put a table in the place that a killed run left empty: the new one if it was finished."""
    olds = [found for found in siblings if found.sibling.kind == "old"]
    if not olds or exists(spark, path):
        return
    if any(found.is_running for found in olds):
        return
    old = max(olds, key=lambda found: found.modified_ms)
    new = _sibling_uri(spark, path, "tf2spark", old.sibling.run_id)
    # A run moves the old one away only when the new one is finished.
    is_new = old.sibling.state == "ended" and exists(spark, new)
    with contextlib.suppress(FileExistsError, ModelNotFoundError):  # another run did it
        rename_new(spark, new if is_new else old.uri, path)
        yield restored_note(path, is_new=is_new)


def _own_siblings(spark: SparkSession, path: str) -> Iterator[_Found]:
    """Yield the hidden siblings of an output that belong to this user."""
    user = str(_users(spark).getCurrentUser().getShortUserName())
    for sibling, status in siblings(spark, path):
        # Object stores have no owners.
        is_own = status.getOwner() == user or scheme_of(path) in OBJECT_STORES
        # Finished rows that are being moved are `remote_merge`'s.
        if is_own and sibling.kind in ("tf2spark", "old"):
            uri = str(status.getPath().toString())
            yield _Found(sibling, uri, int(status.getModificationTime()))


def _users(spark: SparkSession) -> Any:
    return jvm(spark).org.apache.hadoop.security.UserGroupInformation


def _seconds_unchanged(spark: SparkSession, found: _Found) -> float:
    """Return how long ago anything in a folder was modified."""
    times: list[int] = []
    with contextlib.suppress(ModelNotFoundError):  # another run removed it
        times = [file.modified_ms for file in files(spark, found.uri)]
    return time.time() - max([found.modified_ms, *times]) / 1000

"""Moves the files that tasks have written to their place, once all are there.

Where folders are renamed, the new one takes its name in one step. Object stores copy and delete
instead: there a reader can see a part of the new files, or old and new ones, for a moment.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from pyarrow import fs

from tf2spark.spark.tfrecord.storage import renames

_SUCCESS = "_SUCCESS"


def publish(
    system: fs.FileSystem, staged: str, folder: str, names: Sequence[str], *, overwrite: bool
) -> None:
    """Move files to their folder; if that fails, what was there stays.

    Args:
        system: The file system of both folders.
        staged: The hidden folder that they are in.
        folder: Their place.
        names: The files of tasks that succeeded; others are removed.
        overwrite: Replace what is there.

    Raises:
        OSError: They can't be moved.
    """
    _remove_others(system, staged, names)
    if not renames(system):
        old = _files_at(system, folder) if overwrite else []
        _add(system, staged, folder, names)
        for path in old:
            if path != f"{folder}/{_SUCCESS}":  # which is the new one's by now
                system.delete_file(path)
        return
    exists = _type_of(system, folder) != fs.FileType.NotFound
    if exists and not overwrite:
        _add(system, staged, folder, names)
        return
    system.create_dir(staged, recursive=True)
    _mark(system, staged)
    old_folder = f"{staged}-old"
    if exists:
        system.move(folder, old_folder)
    try:
        system.move(staged, folder)
    except BaseException:
        if exists and _type_of(system, folder) == fs.FileType.NotFound:
            system.move(old_folder, folder)
        raise
    if exists:
        delete(system, old_folder)


def delete(system: fs.FileSystem, path: str) -> None:
    """Delete a file or a folder, if it is there."""
    kind = _type_of(system, path)
    if kind == fs.FileType.Directory:
        system.delete_dir(path)
    elif kind == fs.FileType.File:
        system.delete_file(path)


def _type_of(system: fs.FileSystem, path: str) -> fs.FileType:
    return system.get_file_info(path).type


def _files_at(system: fs.FileSystem, path: str) -> list[str]:
    """Return a file, or the files in a folder and below."""
    info = system.get_file_info(path)
    if info.type == fs.FileType.File:
        return [path]
    selector = fs.FileSelector(path, allow_not_found=True, recursive=True)
    return [each.path for each in system.get_file_info(selector) if each.is_file]


def _remove_others(system: fs.FileSystem, staged: str, names: Sequence[str]) -> None:
    """Remove what failed and speculative attempts of tasks have written."""
    for each in system.get_file_info(fs.FileSelector(staged, allow_not_found=True)):
        if each.is_file and each.base_name not in names:
            system.delete_file(each.path)


def _add(system: fs.FileSystem, staged: str, folder: str, names: Sequence[str]) -> None:
    """Move files into a folder, all or none."""
    moved: list[str] = []
    try:
        for name in names:
            system.move(f"{staged}/{name}", f"{folder}/{name}")
            moved.append(name)
        _mark(system, folder)
    except BaseException:
        for name in moved:
            with contextlib.suppress(Exception):
                system.delete_file(f"{folder}/{name}")
        raise
    delete(system, staged)


def _mark(system: fs.FileSystem, folder: str) -> None:
    system.open_output_stream(f"{folder}/{_SUCCESS}", compression=None).close()

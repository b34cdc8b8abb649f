"""Where TFRecord files are: paths, folders and globs, on any file system of pyarrow."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import unquote

from attrs import frozen
from pyarrow import fs

from tf2spark.errors import ContractError, StorageError

_GLOB = re.compile(r"[*?\[{]")


@frozen
class FoundFile:
    """A file.

    Attributes:
        path: Its path or URI.
        size: Its size in bytes.
    """

    path: str
    size: int


def open_system(path: str) -> tuple[fs.FileSystem, str]:
    """Return the file system of a path or URI, and the path on it.

    Raises:
        StorageError: There is no such file system on this machine.
    """
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):", path)
    if scheme is None or scheme[1] == "file":
        # Not unquoted: Hadoop takes %20 literally, not as a space.
        return fs.LocalFileSystem(), os.path.abspath(re.sub("^file:(//)?", "", path))
    uri = re.sub(r"^s3[an]:", "s3:", path)
    try:
        system, inner = fs.FileSystem.from_uri(uri)
    except (OSError, ValueError) as error:
        raise StorageError(f"{path} can't be reached from Python: {error}") from None
    return system, unquote(inner)


def find_files(
    paths: Sequence[str],
    *,
    recursive: bool = False,
    open_system: Callable[[str], tuple[fs.FileSystem, str]] = open_system,
) -> list[FoundFile]:
    """Return the files at some paths, in the order of the paths, and by name in a folder.

    Hidden files, whose names begin with "." or "_", are left out unless a path names them.

    Args:
        paths: Files, folders, or globs of them ("*", "?", "[...]", "{a,b}").
        recursive: Files in subfolders count as well. Otherwise a subfolder is an error.
        open_system: Returns the file system of a path, and the path on it.

    Raises:
        StorageError: There is nothing at a path, or it can't be read.
        ContractError: A folder has subfolders.
    """
    found: list[FoundFile] = []
    for path in paths:
        system, inner = open_system(path)
        prefix = path[: len(path) - len(inner)] if "://" in path else ""
        try:
            is_glob = _GLOB.search(inner) and not _exists(system, inner)
            matches = _expand(system, inner) if is_glob else [inner]
            for match in matches:
                found += _files_at(system, match, prefix, path, recursive=recursive)
        except OSError as error:
            if isinstance(error, StorageError):
                raise
            raise StorageError(f"{path} can't be read: {error}") from None
        if not matches:
            raise StorageError(f"{path}: no file or folder matches")
    return found


def _files_at(
    system: fs.FileSystem, inner: str, prefix: str, path: str, *, recursive: bool
) -> Iterator[FoundFile]:
    info = system.get_file_info(inner)
    if info.type == fs.FileType.NotFound:
        raise StorageError(f"{path}: there is no such file or folder")
    if info.type == fs.FileType.File:
        yield FoundFile(prefix + info.path, info.size)
        return
    below = sorted(system.get_file_info(fs.FileSelector(inner)), key=lambda each: each.path)
    for each in below:
        if is_hidden(each.base_name):
            continue
        if each.type == fs.FileType.File:
            yield FoundFile(prefix + each.path, each.size)
        elif recursive:
            yield from _files_at(system, each.path, prefix, path, recursive=True)
        else:
            raise ContractError(
                f'{path} has a subfolder, "{each.base_name}"',
                'name the folder that has the files, or pass option("recursiveFileLookup", "true")',
            )


def _exists(system: fs.FileSystem, inner: str) -> bool:
    return bool(system.get_file_info(inner).type != fs.FileType.NotFound)


def is_hidden(name: str) -> bool:
    """Return whether a file is no data by its name, as in Spark: ``_SUCCESS``, ``.crc``."""
    return name.startswith((".", "_"))


def _expand(system: fs.FileSystem, pattern: str) -> list[str]:
    """Return the paths that a glob matches, sorted."""
    parts = pattern.split("/")
    fixed = next(index for index, part in enumerate(parts) if _GLOB.search(part))
    matches = ["/".join(parts[:fixed])]
    for index in range(fixed, len(parts)):
        is_last = index == len(parts) - 1
        matches = [
            each.path
            for folder in matches
            for each in system.get_file_info(fs.FileSelector(folder or "/", allow_not_found=True))
            if _matches(each.base_name, parts[index])
            and (is_last or each.type == fs.FileType.Directory)
        ]
    return sorted(matches)


def _matches(name: str, pattern: str) -> bool:
    if is_hidden(name) and not is_hidden(pattern):
        return False
    return any(fnmatch.fnmatchcase(name, each) for each in _alternatives(pattern))


def _alternatives(pattern: str) -> list[str]:
    """Return the patterns that "{a,b}" stands for."""
    braces = re.search(r"\{([^{}]*)\}", pattern)
    if not braces:
        return [pattern]
    before, after = pattern[: braces.start()], pattern[braces.end() :]
    return [each for part in braces[1].split(",") for each in _alternatives(before + part + after)]

"""The files of a SavedModel: finds its folder, and makes the checks that don't need the graph.

The layout is that of ``tensorflow/cc/saved_model/constants.h``; version folders are those of
TensorFlow Serving.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import struct
from collections.abc import Collection
from pathlib import Path

from tf2spark import other_formats
from tf2spark.errors import ModelError, ModelNotFoundError, SetupError
from tf2spark.package.cache_root import cache_root
from tf2spark.package.digests import digest_of_files
from tf2spark.package.folder import is_package
from tf2spark.package.known_hashes import LARGE_BYTES, known_sha256_of
from tf2spark.package.manifest import FileEntry
from tf2spark.package.safe_files import (
    MAX_FILES,
    ListedFile,
    Stamp,
    list_files,
    open_inside,
    read_inside,
)

GRAPH_FILE = "saved_model.pb"
MAX_GRAPH_BYTES = (1 << 31) - 1
"""The most bytes of a protobuf message."""
MAX_WARMUP_REQUESTS = 1000
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/")
_SHARD = re.compile(r"variables/variables\.data-(\d{5})-of-(\d{5})")
_TEXT_FILE = "saved_model.pbtxt"
_CHUNKED_FILE = "saved_model.cpb"
# TensorFlow may read these instead of saved_model.pb, so no session ever sees them.
_OTHER_GRAPH_FILES = frozenset({_TEXT_FILE, _CHUNKED_FILE})
_WARMUP_FILE = "assets.extra/tf_serving_warmup_requests"


class ModelFiles:
    """The files of a plain SavedModel as they were when it was read.

    The bytes of ``saved_model.pb`` that `read_graph` returns are the ones that count: they are
    parsed and checked, and sessions load them and no others. The other files are hashed when the
    digest is needed, and must not have changed until then.

    Args:
        folder: The folder that holds ``saved_model.pb``.

    Raises:
        ModelError: Something in it can't be a model's file; see `list_files`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files = _list(folder)
        self._graph_entry: FileEntry | None = None

    def read_graph(self) -> bytes:
        """Return the content of ``saved_model.pb``.

        Raises:
            ModelError: It is missing, too large, or has changed since the files were listed.
        """
        content, stamp = read_inside(self._folder, GRAPH_FILE, MAX_GRAPH_BYTES)
        listed = next((file for file in self._files if file.path == GRAPH_FILE), None)
        if listed is None or not listed.is_same(ListedFile(GRAPH_FILE, stamp)):
            raise self._changed(GRAPH_FILE)
        sha256 = hashlib.sha256(content).hexdigest()
        self._graph_entry = FileEntry(GRAPH_FILE, sha256, len(content))
        return content

    def size_bytes(self, prefix: str = "") -> int:
        """Return the total size of the files whose paths begin with a prefix."""
        return sum(file.stamp.size_bytes for file in self._files if file.path.startswith(prefix))

    @functools.cached_property
    def paths(self) -> frozenset[str]:
        """The paths of the files, relative to the folder."""
        return frozenset(file.path for file in self._files)

    @functools.cached_property
    def entries(self) -> tuple[FileEntry, ...]:
        """Each file with its SHA-256, sorted by path.

        Raises:
            ModelError: A file has changed since the model was read.
        """
        self._check_unchanged()
        entries = tuple(map(self._entry, self._files))
        self._check_unchanged()
        return entries

    @functools.cached_property
    def digest(self) -> str:
        """The SHA-256 (hex) over the path, size and content of every file.

        Raises:
            ModelError: A file has changed since the model was read.
        """
        return digest_of_files(self.entries)

    def _entry(self, file: ListedFile) -> FileEntry:
        if file.path == GRAPH_FILE and self._graph_entry is not None:
            return self._graph_entry
        with open_inside(self._folder, file.path) as stream:
            sha256 = known_sha256_of(stream, _memory(file))
            if not file.is_same(ListedFile(file.path, Stamp.of(os.fstat(stream.fileno())))):
                raise self._changed(file.path)
        return FileEntry(file.path, sha256, file.stamp.size_bytes)

    def _check_unchanged(self) -> None:
        before = {file.path: file for file in self._files}
        after = {file.path: file for file in _list(self._folder)}
        for path in sorted({*before, *after}):
            if path not in before or path not in after or not before[path].is_same(after[path]):
                raise self._changed(path)

    def _changed(self, path: str) -> ModelError:
        return ModelError(
            f'"{self._folder}" changed after it was read: {path} is another file, or has other '
            "bytes; open the model again"
        )


def _list(folder: Path) -> tuple[ListedFile, ...]:
    return tuple(file for file in list_files(folder) if file.path not in _OTHER_GRAPH_FILES)


def _memory(file: ListedFile) -> Path | None:
    """Return the host cache, which remembers the hashes of large files; None if there is none."""
    if file.stamp.size_bytes < LARGE_BYTES:
        return None
    try:
        return cache_root()
    except SetupError:
        return None


def find(path: str | os.PathLike[str], version: int | None = None) -> tuple[Path, int | None]:
    """Find the folder that holds ``saved_model.pb``, or a package.

    Args:
        path: A SavedModel, a package, or a base path of version folders with integer names.
        version: The version to use; None for the largest.

    Returns:
        The folder, and its version; None where `path` is the model itself.

    Raises:
        ModelNotFoundError: There is no model at `path`, or no such version.
        ModelError: The model is in a format that can't be read, or `version` doesn't apply.
    """
    other_formats.check_address(os.fspath(path))
    folder = _local(os.fspath(path))
    try:
        return _find(folder, os.fspath(path), version)
    except OSError as error:  # a name that is too long, or a folder that may not be read
        if isinstance(error, ModelError):
            raise
        raise ModelError(f'"{path}" can\'t be read: {error.strerror or error}') from None


def _find(folder: Path, path: str, version: int | None) -> tuple[Path, int | None]:
    if not folder.exists():
        raise other_formats.missing(folder, path)
    if not folder.is_dir():
        if part := other_formats.part_of_model(folder):
            raise part
        if folder.name != GRAPH_FILE and (kind := other_formats.kind_of_file(folder)):
            raise other_formats.error_of(kind, path)
        hint = f'; pass its folder, "{folder.parent}"' if folder.name == GRAPH_FILE else ""
        raise ModelNotFoundError(f'a SavedModel is a folder, but "{path}" is a file{hint}')
    if _is_model(folder):
        if version is not None:
            raise ModelError(
                f'version={version} was given, but "{path}" is a model itself; '
                "omit version, or pass the folder that contains the version folders"
            )
        return folder, None
    _refuse_other_formats(folder)
    return _find_version(folder, version)


def _is_model(folder: Path) -> bool:
    # What isn't a regular file is refused with its name when it is read.
    return os.path.lexists(folder / GRAPH_FILE) or is_package(folder)


def _local(path: str) -> Path:
    scheme = _SCHEME.match(path)
    if scheme and scheme[1] == "file":
        path = "/" + path[len("file:") :].lstrip("/")
    elif scheme:
        raise ModelError(
            f'"{path}" is on {scheme[1]}://, which can only be read through a Spark session: open '
            "it with tf2spark.SavedModel while a session is active"
        )
    return Path(os.path.abspath(os.path.expanduser(path)))


def _refuse_other_formats(folder: Path) -> None:
    if (folder / _TEXT_FILE).is_file():
        raise ModelError(
            f'"{folder}" contains {_TEXT_FILE}, the text format, which is not supported; load the '
            "model in Python with TensorFlow and save it again, which writes saved_model.pb"
        )
    if (folder / _CHUNKED_FILE).is_file():
        raise ModelError(
            f'"{folder}" contains {_CHUNKED_FILE}, the chunked format for graphs over 2 GB, which '
            "is not supported; save the model again without experimental_image_format"
        )


def is_version(name: str) -> bool:
    """Return whether a folder's name is a version number, as TensorFlow Serving has them."""
    return name.isascii() and name.isdigit()


def choose_version(base: str, versions: Collection[int], version: int | None) -> int:
    """Return the version asked for, or the largest.

    Raises:
        ModelNotFoundError: `base` has no such version.
    """
    chosen = max(versions) if version is None else version
    if chosen not in versions:
        available = ", ".join(map(str, sorted(versions)))
        raise ModelNotFoundError(f'"{base}" has no version {chosen}; it has {available}')
    return chosen


def _find_version(base: Path, version: int | None) -> tuple[Path, int]:
    versions = {
        int(child.name): child
        for child in sorted(base.iterdir())
        if is_version(child.name) and child.is_dir()
    }
    if not versions:
        if error := other_formats.folder_advice(base):
            raise error
        raise ModelNotFoundError(
            f'"{base}" is not a SavedModel: it contains neither {GRAPH_FILE} nor version folders '
            "with integer names"
        )
    chosen = choose_version(str(base), versions, version)
    folder = versions[chosen]
    if not _is_model(folder):
        _refuse_other_formats(folder)
        hint = "the largest version; " if version is None else ""
        raise ModelError(
            f'version folder "{folder}" has no {GRAPH_FILE} ({hint}is it still being copied?)'
        )
    return folder, chosen


def check_variables(files: ModelFiles, folder: Path) -> None:
    """Check that all variable files exist.

    Raises:
        ModelError: The index or a data file is missing.
    """
    if "variables/variables.index" not in files.paths:
        raise ModelError(
            f'the graph of "{folder}" has variables, but variables/variables.index is missing; '
            "was the model copied only in part?"
        )
    shards = {match[0]: int(match[2]) for match in map(_SHARD.fullmatch, files.paths) if match}
    # No checkpoint has more shards than a model may have files.
    counts = {count for count in shards.values() if count <= MAX_FILES} or {1}
    names = {f"variables/variables.data-{i:05d}-of-{n:05d}" for n in counts for i in range(n)}
    missing = sorted(names - shards.keys())
    if missing:
        raise ModelError(
            f'"{folder}" is incomplete: {missing[0]} is missing'
            + (f", and {len(missing) - 1} more" if len(missing) > 1 else "")
        )


def digest(folder: str | os.PathLike[str]) -> str:
    """Return the digest of the plain SavedModel in a folder; see `ModelFiles.digest`."""
    return ModelFiles(Path(folder)).digest


def count_warmup_requests(files: ModelFiles, folder: Path) -> int:
    """Count the records of ``assets.extra/tf_serving_warmup_requests``, at most 1,000.

    A TFRecord (``tensorflow/core/lib/io/record_writer.h``) is a uint64 length, a uint32 CRC, the
    data, and another uint32 CRC. A truncated record ends the count.
    """
    if _WARMUP_FILE not in files.paths:
        return 0
    with open_inside(folder, _WARMUP_FILE) as stream:
        end, position, count = os.fstat(stream.fileno()).st_size, 0, 0
        while count < MAX_WARMUP_REQUESTS:
            stream.seek(position)
            header = stream.read(12)
            if len(header) < 12:
                break
            position += 12 + struct.unpack("<Q", header[:8])[0] + 4
            if position > end:
                break
            count += 1
    return count

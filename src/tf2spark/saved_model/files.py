"""The files of a SavedModel: finds its folder, and makes the checks that don't need the graph.

The layout is that of ``tensorflow/cc/saved_model/constants.h``; version folders are those of
TensorFlow Serving.
"""

from __future__ import annotations

import hashlib
import os
import re
import struct
from collections.abc import Collection, Iterator
from pathlib import Path

from tf2spark.errors import ModelError, ModelNotFoundError
from tf2spark.package.folder import is_package

GRAPH_FILE = "saved_model.pb"
MAX_WARMUP_REQUESTS = 1000
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/")
_SHARD = re.compile(r"variables\.data-(\d{5})-of-(\d{5})")
_TEXT_FILE = "saved_model.pbtxt"
_CHUNKED_FILE = "saved_model.cpb"
_DIGESTS: dict[tuple[str, tuple[tuple[str, int, int], ...]], str] = {}


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
    folder = _local(os.fspath(path))
    if not folder.exists():
        raise ModelNotFoundError(f'there is no SavedModel at "{path}": no such folder')
    if not folder.is_dir():
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
    return (folder / GRAPH_FILE).is_file() or is_package(folder)


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


def check_variables(folder: Path) -> None:
    """Check that all variable files exist.

    Raises:
        ModelError: The index or a data file is missing.
    """
    variables = folder / "variables"
    if not (variables / "variables.index").is_file():
        raise ModelError(
            f'the graph of "{folder}" has variables, but variables/variables.index is missing; '
            "was the model copied only in part?"
        )
    shards = [match for file in variables.iterdir() if (match := _SHARD.fullmatch(file.name))]
    counts = {int(shard[2]) for shard in shards} or {1}
    names = {f"variables.data-{i:05d}-of-{count:05d}" for count in counts for i in range(count)}
    missing = sorted(names - {shard[0] for shard in shards})
    if missing:
        raise ModelError(
            f'"{folder}" is incomplete: variables/{missing[0]} is missing'
            + (f", and {len(missing) - 1} more" if len(missing) > 1 else "")
        )


def files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the relative path and the path of every file in a folder tree, sorted."""
    paths = (Path(root) / name for root, _, names in os.walk(folder) for name in names)
    yield from sorted((path.relative_to(folder).as_posix(), path) for path in paths)


def size_bytes(folder: Path) -> int:
    """Return the total size of the files in a folder tree; 0 where there is no such folder."""
    return sum(path.stat().st_size for _, path in files(folder))


def digest(folder: str | os.PathLike[str]) -> str:
    """Return the SHA-256 (hex) over the path, size and content of every file of a SavedModel.

    A process computes it once, until the size or modification time of a file changes.
    """
    root = Path(folder)
    stats = [(name, path, path.stat()) for name, path in files(root)]
    key = (str(root), tuple((name, stat.st_mtime_ns, stat.st_size) for name, _, stat in stats))
    if key not in _DIGESTS:
        total = hashlib.sha256()
        for name, path, stat in stats:
            total.update(f"{name}\0{stat.st_size}\0".encode())
            with path.open("rb") as stream:
                total.update(hashlib.file_digest(stream, "sha256").digest())
        _DIGESTS[key] = total.hexdigest()
    return _DIGESTS[key]


def count_warmup_requests(folder: Path) -> int:
    """Count the records of ``assets.extra/tf_serving_warmup_requests``, at most 1,000.

    A TFRecord (``tensorflow/core/lib/io/record_writer.h``) is a uint64 length, a uint32 CRC, the
    data, and another uint32 CRC. A truncated record ends the count.
    """
    path = folder / "assets.extra" / "tf_serving_warmup_requests"
    if not path.is_file():
        return 0
    end, count = path.stat().st_size, 0
    with path.open("rb") as stream:
        while count < MAX_WARMUP_REQUESTS:
            header = stream.read(12)
            if len(header) < 12:
                break
            stop = stream.seek(struct.unpack("<Q", header[:8])[0] + 4, os.SEEK_CUR)
            if stop > end:
                break
            count += 1
    return count

"""The files of a SavedModel: finding the folder, and what can be told without reading the graph.

Layout: ``tensorflow/cc/saved_model/constants.h``; version folders as TensorFlow Serving has them.
"""

from __future__ import annotations

import hashlib
import os
import re
import struct
from collections.abc import Iterator
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
        path: A SavedModel, a package, or a folder of version folders named by integers.
        version: The version to use; the largest where None.

    Returns:
        The folder, and the version where `path` is a folder of versions.

    Raises:
        ModelNotFoundError: There is nothing at `path`, or no such version.
        ModelError: What is there can't be used.
    """
    folder = _local(os.fspath(path))
    if not folder.exists():
        raise ModelNotFoundError(f'there is no SavedModel at "{path}": no such folder')
    if not folder.is_dir():
        whole = f'; give its folder, "{folder.parent}"' if folder.name == GRAPH_FILE else ""
        raise ModelNotFoundError(f'a SavedModel is a folder, and "{path}" is a file{whole}')
    if _is_model(folder):
        if version is not None:
            raise ModelError(
                f'version={version} was given, but "{path}" is a model itself; '
                "leave version out, or give the folder that holds the version folders"
            )
        return folder, None
    _check_other_forms(folder)
    return _find_version(folder, version)


def _is_model(folder: Path) -> bool:
    return (folder / GRAPH_FILE).is_file() or is_package(folder)


def _local(path: str) -> Path:
    scheme = _SCHEME.match(path)
    if scheme and scheme[1] == "file":
        path = "/" + path[len("file:") :].lstrip("/")
    elif scheme:
        raise ModelError(
            f'"{path}" is on {scheme[1]}://, which is read through a Spark session: open it with '
            "tf2spark.SavedModel while one is active"
        )
    return Path(os.path.abspath(os.path.expanduser(path)))


def _check_other_forms(folder: Path) -> None:
    if (folder / _TEXT_FILE).is_file():
        raise ModelError(
            f'"{folder}" holds {_TEXT_FILE}, the text form, which is not supported; load it in '
            "Python with TensorFlow and save it again, which writes saved_model.pb"
        )
    if (folder / _CHUNKED_FILE).is_file():
        raise ModelError(
            f'"{folder}" holds {_CHUNKED_FILE}, the form in chunks (for graphs over 2 GB), which '
            "is not supported; save it again without experimental_image_format"
        )


def _find_version(base: Path, version: int | None) -> tuple[Path, int]:
    versions = {
        int(child.name): child
        for child in sorted(base.iterdir())
        if child.name.isascii() and child.name.isdigit() and child.is_dir()
    }
    if not versions:
        raise ModelNotFoundError(
            f'"{base}" is not a SavedModel: it holds no {GRAPH_FILE}, and no version folders '
            "named by integers"
        )
    chosen = max(versions) if version is None else version
    if chosen not in versions:
        there = ", ".join(map(str, sorted(versions)))
        raise ModelNotFoundError(f'"{base}" has no version {chosen}; it has {there}')
    folder = versions[chosen]
    if not _is_model(folder):
        _check_other_forms(folder)
        hint = "the largest number there; " if version is None else ""
        raise ModelError(
            f'version folder "{folder}" holds no {GRAPH_FILE} ({hint}is it still being copied?)'
        )
    return folder, chosen


def check_variables(folder: Path) -> None:
    """Make sure that the files of the variables are all there.

    Raises:
        ModelError: The index or a data file is missing.
    """
    variables = folder / "variables"
    if not (variables / "variables.index").is_file():
        raise ModelError(
            f'the graph of "{folder}" has variables, but there is no variables/variables.index; '
            "was only a part of the model copied?"
        )
    shards = [m for m in (_SHARD.fullmatch(each.name) for each in variables.iterdir()) if m]
    expected = {int(shard[2]) for shard in shards} or {1}
    names = {f"variables.data-{i:05d}-of-{count:05d}" for count in expected for i in range(count)}
    missing = sorted(names - {shard[0] for shard in shards})
    if missing:
        raise ModelError(
            f'"{folder}" is not complete: variables/{missing[0]} is missing'
            + (f", and {len(missing) - 1} more" if len(missing) > 1 else "")
        )


def files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield every file below a folder with its relative path, sorted."""
    found = (Path(root) / name for root, _, names in os.walk(folder) for name in names)
    yield from sorted((path.relative_to(folder).as_posix(), path) for path in found)


def size_bytes(folder: Path) -> int:
    """Return the size of all files below a folder; 0 where there is none."""
    return sum(path.stat().st_size for _, path in files(folder))


def digest(folder: str | os.PathLike[str]) -> str:
    """Return the SHA-256 (hex) over path, size and content of every file of a SavedModel.

    Within a process it is computed once, as long as no file changes its size or time.
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

    TFRecord framing (``tensorflow/core/lib/io/record_writer.h``): uint64 length, uint32 CRC, the
    data, uint32 CRC. A record that is cut off ends the count.
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

"""Reads ``manifest.json``, which may come from anyone: nothing in it is believed unchecked.

A manifest says which files workers write, and which of them they map as which tensors. So its size,
the number of its entries, every type and every path are checked before anything is made of it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from math import prod
from typing import Any

from tf2spark.dtypes import from_code
from tf2spark.errors import ModelError
from tf2spark.package.manifest import FORMAT, FileEntry, Manifest, Verified, Weight
from tf2spark.package.safe_files import MAX_BYTES, MAX_FILES
from tf2spark.shown_text import redact

MAX_MANIFEST_BYTES = 32 << 20
"""How many bytes a manifest may have: about twice what 100,000 entries take."""
_MAX_NAME_BYTES = 255  # what file systems allow
_MAX_PATH_BYTES = 2_048
_MAX_NAMES = 64
_MAX_DIMENSIONS = 32  # what every NumPy allows
_SHA256 = re.compile(r"[0-9a-f]{64}")
_KEYS = {
    "files", "tags", "weights", "signature", "constants", "why_as_it_was", "source",
    "source_digest", "tensorflow", "tf2spark", "verified", "not_verified", "op_libraries",
}  # fmt: skip


class _Refused(Exception):
    """What is wrong with a manifest."""


def from_json(content: str | bytes, location: str) -> Manifest:
    """Read ``manifest.json``.

    Args:
        content: What the file has.
        location: Its path, for messages.

    Raises:
        ModelError: It is damaged or malicious, or its format is newer than this version of
            tf2spark.
    """
    if len(content) > MAX_MANIFEST_BYTES:
        raise ModelError(
            f'"{location}" has {len(content):,} bytes; a manifest has at most '
            f"{MAX_MANIFEST_BYTES:,}"
        )
    damaged = f'"{location}" is damaged or truncated; copy the package again'
    try:
        values = _object(json.loads(content))
        written_format = values.pop("format", None)
        if isinstance(written_format, int) and written_format > FORMAT:
            raise ModelError(
                f'"{location}" has package format {written_format}, written by tf2spark '
                f"{values.get('tf2spark')}; this version reads format {FORMAT}: install a newer "
                "tf2spark"
            )
        if type(written_format) is not int or written_format != FORMAT:
            raise _Refused("its format is unknown")
        digest = _text(values.pop("digest", None))
        manifest = _manifest(values)
    except _Refused as error:
        raise ModelError(f"{damaged} ({error})") from None
    except (ValueError, RecursionError, MemoryError) as error:  # of JSON's parser
        if isinstance(error, ModelError):
            raise
        raise ModelError(damaged) from None
    if manifest.digest != digest:
        raise ModelError(f"{damaged} (its digest doesn't match its content)")
    return manifest


def _manifest(values: dict[str, Any]) -> Manifest:
    values.setdefault("op_libraries", [])  # early packages have none
    if values.keys() != _KEYS:
        raise _Refused("its keys are not those of a manifest")
    files = tuple(map(_file, _list(values["files"], MAX_FILES)))
    _check_paths([file.path for file in files])
    if sum(file.size_bytes for file in files) > MAX_BYTES:
        raise _Refused(f"its files have more than {MAX_BYTES:,} bytes")
    weights = tuple(map(_weight, _list(values["weights"], MAX_FILES)))
    _check_weights(weights, {file.path: file.size_bytes for file in files})
    return Manifest(
        files=files,
        tags=tuple(map(_text, _list(values["tags"]))),
        weights=weights,
        signature=_optional(_text, values["signature"]),
        constants=tuple(map(_constant, _list(values["constants"]))),
        why_as_it_was=_optional(_text, values["why_as_it_was"]),
        # Whoever wrote it may have recorded the password of a URL.
        source=redact(_text(values["source"])),
        source_digest=_text(values["source_digest"]),
        tensorflow=_text(values["tensorflow"]),
        tf2spark=_text(values["tf2spark"]),
        verified=_optional(_verified, values["verified"]),
        not_verified=_optional(_text, values["not_verified"]),
        op_libraries=tuple(map(_text, _list(values["op_libraries"], _MAX_NAMES))),
    )


def _file(value: Any) -> FileEntry:
    entry = _object(value, {"path", "sha256", "size_bytes"})
    sha256 = _text(entry["sha256"])
    if not _SHA256.fullmatch(sha256):
        raise _Refused("a SHA-256 is none")
    return FileEntry(_text(entry["path"]), sha256, _count(entry["size_bytes"]))


def _weight(value: Any) -> Weight:
    entry = _object(value, {"tensor", "path", "code", "shape"})
    shape = tuple(map(_count, _list(entry["shape"], _MAX_DIMENSIONS)))
    return Weight(_text(entry["tensor"]), _text(entry["path"]), _count(entry["code"]), shape)


def _constant(value: Any) -> tuple[str, str]:
    pair = _list(value, 2)
    if len(pair) != 2:
        raise _Refused("a constant has no value")
    return _text(pair[0]), _text(pair[1])


def _verified(value: Any) -> Verified:
    entry = _object(value, {"inputs", "rows", "differences", "tolerance"})
    differences = []
    for difference in _list(entry["differences"]):
        pair = _list(difference, 2)
        if len(pair) != 2:
            raise _Refused("a difference has no value")
        differences.append((_text(pair[0]), _number(pair[1])))
    return Verified(
        _text(entry["inputs"]),
        _count(entry["rows"]),
        tuple(differences),
        _number(entry["tolerance"]),
    )


# What JSON has where.


def _object(value: Any, keys: set[str] | None = None) -> dict[str, Any]:
    if not isinstance(value, dict) or (keys is not None and value.keys() != keys):
        raise _Refused("an object is missing or has other keys")
    return value


def _list(value: Any, limit: int = MAX_FILES) -> list[Any]:
    if not isinstance(value, list):
        raise _Refused("a list is missing")
    if len(value) > limit:
        raise _Refused(f"a list has {len(value):,} entries, and may have {limit:,}")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _Refused("a text is missing")
    return value


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 1 << 63:
        raise _Refused("a number is missing or out of range")
    return value


def _number(value: Any) -> float:
    if type(value) is int and abs(value) < 1 << 63:
        return float(value)
    if type(value) is not float:
        raise _Refused("a number is missing")
    return value


def _optional(read: Callable[[Any], Any], value: Any) -> Any:
    return None if value is None else read(value)


def _check_paths(paths: list[str]) -> None:
    """Check paths that become files of a folder: none leads out of it, and no two are one file.

    Letter case counts. Where a file system ignores it, the second of two such files isn't written,
    and the model is refused there.
    """
    unique, folders = set(paths), set[str]()
    if len(unique) < len(paths):
        raise _Refused("two of its files have the same path")
    for path in paths:
        if problem := path_problem(path):
            raise _Refused(problem)
        folder = path.rpartition("/")[0]
        while folder and folder not in folders:
            folders.add(folder)
            folder = folder.rpartition("/")[0]
    for path in unique & folders:
        raise _Refused(f'"{path}" is both a file and a folder')


def path_problem(path: str) -> str | None:
    """Return why a path can't be that of a file in a model's folder; None if it can."""
    names = path.split("/")
    is_normal = not any(name in ("", ".", "..") for name in names)
    if not is_normal or "\\" in path or "\0" in path:
        return f'"{path}" is not a relative path without "." and ".."'
    try:
        lengths = [len(os.fsencode(name)) for name in names]
    except UnicodeEncodeError:
        return f'"{path}" is not a path in Unicode'
    if max(lengths) > _MAX_NAME_BYTES or sum(lengths) + len(names) > _MAX_PATH_BYTES:
        return f"a path has {len(path):,} characters, too many for a file system"
    return f'"{path}" is in too many folders' if len(names) > _MAX_NAMES else None


def _check_weights(weights: tuple[Weight, ...], sizes_bytes: dict[str, int]) -> None:
    """Check that each weight is one of the files, and that the file is as large as the tensor."""
    if len({weight.tensor for weight in weights}) < len(weights):
        raise _Refused("two of its weights feed the same tensor")
    for weight in weights:
        dtype = from_code(weight.code)
        if weight.code >= 100 or dtype.itemsize is None:  # from 100 on, dtypes are references
            raise _Refused(f'weight "{weight.tensor}" is of dtype {dtype}, which can\'t be mapped')
        if weight.path not in sizes_bytes:
            raise _Refused(f'weight "{weight.tensor}" is not one of its files')
        # NumPy multiplies the other dimensions even if one is 0.
        if prod(size or 1 for size in weight.shape) * dtype.itemsize >= 1 << 63:
            raise _Refused(f'weight "{weight.tensor}" has a shape that is too large')
        if prod(weight.shape) * dtype.itemsize != sizes_bytes[weight.path]:
            raise _Refused(f'weight "{weight.tensor}" is not as large as its file')

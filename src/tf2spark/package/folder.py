"""Packages on a local disk: written whole or not at all, and checked byte by byte when read.

`tf2spark.package.manifest` describes the format.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tf2spark.errors import ModelError, OutputError
from tf2spark.package.manifest import FILES, MANIFEST, FileEntry, Manifest, from_json, to_json

Locate = Callable[[FileEntry], Path]
"""Where the stored file of an entry lies on this machine."""


def is_package(folder: Path) -> bool:
    """Say whether a folder looks like a package, whole or not."""
    return (folder / MANIFEST).is_file() or (folder / FILES).is_dir()


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a package, and make sure that its files are there.

    Raises:
        ModelError: It is damaged, or a file is missing or cut off.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise ModelError(
            f'"{folder}" is not a whole package: it has {FILES}/ but no {MANIFEST}, which is '
            "written last; wait until it is copied, or copy it again"
        )
    manifest = from_json(path.read_text(errors="replace"), str(path))
    for entry in manifest.files:
        stored = folder / FILES / entry.stored
        if not stored.is_file():
            raise ModelError(f'"{folder}" is not complete: {FILES}/{entry.stored} is missing')
        check_size(entry, stored, stored.stat().st_size)
    return manifest


def read_file(folder: Path, manifest: Manifest, path: str) -> bytes:
    """Return the content of one of a package's files, checked against the manifest.

    Raises:
        ModelError: There is no such file, or its bytes are not those of the manifest.
    """
    for entry in manifest.files:
        if entry.path == path:
            stored = folder / FILES / entry.stored
            content = stored.read_bytes()
            if hashlib.sha256(content).hexdigest() != entry.sha256:
                raise _damaged(entry, stored)
            return content
    raise ModelError(f'"{folder}" is a package without {path}')


def _damaged(entry: FileEntry, stored: Path) -> ModelError:
    return ModelError(
        f'"{stored}" ({entry.path}) is damaged: its SHA-256 is not the one in the manifest; copy '
        "the package again"
    )


def check_size(entry: FileEntry, where: object, size_bytes: int) -> None:
    """Raise `ModelError` where a file is not as large as the manifest says."""
    if size_bytes != entry.size_bytes:
        raise ModelError(
            f'"{where}" ({entry.path}) has {size_bytes:,} bytes, the manifest says '
            f"{entry.size_bytes:,}: copy the package again"
        )


def located_in(folder: Path) -> Locate:
    """Return where the files of a local package lie."""
    return lambda entry: folder / FILES / entry.stored


def entries_of(tree: Path) -> tuple[FileEntry, ...]:
    """Describe every file below a model's folder, sorted by path."""
    found = (Path(root) / name for root, _, names in os.walk(tree) for name in names)
    paths = sorted((one.relative_to(tree).as_posix(), one) for one in found)
    return tuple(FileEntry(name, sha256_of(one), one.stat().st_size) for name, one in paths)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 (hex) of a file's content."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write(tree: Path, target: Path, manifest: Manifest, *, overwrite: bool = False) -> None:
    """Write the package of a model that lies unpacked in `tree`; it appears whole or not at all.

    Raises:
        OutputError: There is something at `target` and `overwrite` is false, or it can't be
            written.
    """
    check_free(target, overwrite=overwrite)
    with _staged(target) as staged:
        (staged / FILES).mkdir()
        for entry in manifest.files:
            shutil.copyfile(tree / entry.path, staged / FILES / entry.stored)
        (staged / MANIFEST).write_text(to_json(manifest))
        _move(staged, target)


def check_free(target: Path, *, overwrite: bool) -> None:
    """Raise `OutputError` where a package must not be written to `target`."""
    if not target.exists():
        return
    if not overwrite:
        raise OutputError(
            f"{target} exists already: write overwrite=True (--overwrite) to replace it"
        )
    if not is_package(target):
        raise OutputError(
            f"{target} exists and is no package of tf2spark, so it is not overwritten: remove it, "
            "or choose another place"
        )


@contextmanager
def _staged(target: Path) -> Iterator[Path]:
    """Yield a new hidden folder beside `target`, which is gone afterwards."""
    staged = target.parent / f".{target.name}.tf2spark-{uuid.uuid4().hex[:12]}"
    try:
        staged.mkdir(parents=True)
        yield staged
    except OSError as error:
        raise OutputError(
            f"{target} can't be written: {error.strerror} ({error.filename})"
        ) from error
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _move(staged: Path, target: Path) -> None:
    old = staged.with_name(f"{staged.name}-old")
    if target.exists():
        target.rename(old)
    try:
        staged.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def unpack(files: tuple[FileEntry, ...], locate: Locate, tree: Path) -> None:
    """Lay the files of a package out as the model has them, each checked against the manifest.

    They are copied, not linked: what is mapped must not change when the package is overwritten.

    Raises:
        ModelError: A stored file is missing, or its bytes are not those of the manifest.
        OSError: `tree` can't be written.
    """
    for entry in files:
        stored, path = locate(entry), tree / entry.path
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(stored, path)
        except FileNotFoundError:
            raise ModelError(f'"{stored}" ({entry.path}) is missing') from None
        check_size(entry, stored, path.stat().st_size)
        if sha256_of(path) != entry.sha256:
            raise _damaged(entry, stored)

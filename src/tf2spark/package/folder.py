"""Packages on a local disk: written atomically, and verified byte by byte when read.

The format is described in `tf2spark.package.manifest`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tf2spark.errors import OVERWRITE_ADVICE, ModelError, OutputError
from tf2spark.package.manifest import FILES, MANIFEST, FileEntry, Manifest, from_json, to_json

Locate = Callable[[FileEntry], Path]
"""A function that returns the local path of an entry's stored file."""


def is_package(folder: Path) -> bool:
    """Return whether a folder looks like a package, complete or not."""
    return (folder / MANIFEST).is_file() or (folder / FILES).is_dir()


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a package, and check that its files exist and have the right size.

    Raises:
        ModelError: The manifest is damaged, or a file is missing or truncated.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise ModelError(
            f'"{folder}" is an incomplete package: it has {FILES}/ but no {MANIFEST}, which is '
            "written last; wait until the copy is done, or copy the package again"
        )
    manifest = from_json(path.read_text(errors="replace"), str(path))
    for entry in manifest.files:
        stored = folder / FILES / entry.stored
        if not stored.is_file():
            raise ModelError(f'"{folder}" is incomplete: {FILES}/{entry.stored} is missing')
        check_size(entry, stored, stored.stat().st_size)
    return manifest


def read_file(folder: Path, manifest: Manifest, path: str) -> bytes:
    """Return the content of a file in a package, verified against the manifest.

    Raises:
        ModelError: There is no such file, or its SHA-256 doesn't match the manifest.
    """
    for entry in manifest.files:
        if entry.path == path:
            stored = folder / FILES / entry.stored
            content = stored.read_bytes()
            if hashlib.sha256(content).hexdigest() != entry.sha256:
                raise _damaged(entry, stored)
            return content
    raise ModelError(f'the package "{folder}" has no {path}')


def _damaged(entry: FileEntry, stored: Path) -> ModelError:
    return ModelError(
        f'"{stored}" ({entry.path}) is damaged: its SHA-256 doesn\'t match the manifest; copy the '
        "package again"
    )


def check_size(entry: FileEntry, location: object, size_bytes: int) -> None:
    """Raise `ModelError` where the size of a file differs from the manifest."""
    if size_bytes != entry.size_bytes:
        raise ModelError(
            f'"{location}" ({entry.path}) has {size_bytes:,} bytes, but the manifest says '
            f"{entry.size_bytes:,}; copy the package again"
        )


def located_in(folder: Path) -> Locate:
    """Return a function that locates the files of a local package."""
    return lambda entry: folder / FILES / entry.stored


def entries_of(tree: Path) -> tuple[FileEntry, ...]:
    """Return an entry for every file in a model's folder tree, sorted by path."""
    files = (Path(root) / name for root, _, names in os.walk(tree) for name in names)
    by_name = sorted((file.relative_to(tree).as_posix(), file) for file in files)
    return tuple(FileEntry(name, sha256_of(file), file.stat().st_size) for name, file in by_name)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 (hex) of a file's content."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write(tree: Path, target: Path, manifest: Manifest, *, overwrite: bool = False) -> None:
    """Write the package of the model unpacked in `tree`; `target` appears complete or not at all.

    Raises:
        OutputError: `target` exists and `overwrite` is false, it is not a package, or it can't be
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
    """Raise `OutputError` unless a package may be written to `target`."""
    if not target.exists():
        return
    if not overwrite:
        raise OutputError(f"{target} already exists", OVERWRITE_ADVICE)
    if not is_package(target):
        raise OutputError(
            f"{target} exists and is not a tf2spark package, so it is not overwritten: remove it, "
            "or choose another path"
        )


@contextmanager
def _staged(target: Path) -> Iterator[Path]:
    """Yield a new hidden folder next to `target`, and remove it afterwards.

    Next to it, so that both are on the same file system: only there is a rename atomic.
    """
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
    """Replace the old package with the new one; restore the old one if that fails."""
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
    """Copy the files of a package to their paths in the model, and verify them.

    They are copied, not linked: a mapped file must not change when the package is overwritten.

    Raises:
        ModelError: A stored file is missing, or its SHA-256 doesn't match the manifest.
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
        # The copy is verified, not its source, which could be another file by the time it is read.
        if sha256_of(path) != entry.sha256:
            raise _damaged(entry, stored)

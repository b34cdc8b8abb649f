"""Packages on a local disk: written atomically, and verified byte by byte when read.

The format is described in `tf2spark.package.manifest`.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tf2spark.errors import OVERWRITE_ADVICE, ModelError, OutputError
from tf2spark.package.file_source import FileSource, PackageFolder, copy_verified
from tf2spark.package.manifest import FILES, MANIFEST, FileEntry, Manifest, to_json
from tf2spark.package.manifest_reader import MAX_MANIFEST_BYTES, from_json, path_problem
from tf2spark.package.publish import publish, recover, remove, staged_path
from tf2spark.package.safe_files import (
    list_files,
    open_inside,
    read_inside,
    sha256_of,
    stamp_inside,
)
from tf2spark.package.stored_names import readable_names
from tf2spark.shown_text import shown


def is_package(folder: Path) -> bool:
    """Return whether a folder looks like a package, complete or not."""
    return os.path.lexists(folder / MANIFEST) or (folder / FILES).is_dir()


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a package, and check that its files exist and have the right size.

    Raises:
        ModelError: The manifest is damaged, or a file is missing or truncated.
    """
    if not os.path.lexists(folder / MANIFEST):
        raise ModelError(
            f'"{folder}" is an incomplete package: it has {FILES}/ but no {MANIFEST}, which is '
            "written last; wait until the copy is done, or copy the package again"
        )
    content, _ = read_inside(folder, MANIFEST, MAX_MANIFEST_BYTES)
    manifest = from_json(content, str(folder / MANIFEST))
    for entry in manifest.files:
        name = find_stored(entry, lambda name: os.path.lexists(folder / FILES / name))
        if name is None:
            raise ModelError(f'"{folder}" is incomplete: {FILES}/{entry.stored} is missing')
        stamp = stamp_inside(folder, f"{FILES}/{name}")
        check_size(entry, folder / FILES / name, stamp.size_bytes)
    return manifest


def read_file(folder: Path, manifest: Manifest, path: str) -> bytes:
    """Return the content of a file in a package, verified against the manifest.

    Raises:
        ModelError: There is no such file, or its SHA-256 doesn't match the manifest.
    """
    package = PackageFolder(folder)
    for entry in manifest.files:
        if entry.path == path:
            with package.open(entry) as stream:
                content = stream.read(entry.size_bytes + 1)
            if hashlib.sha256(content).hexdigest() != entry.sha256:
                raise package.mismatch(entry)
            return content
    raise ModelError(f'the package "{folder}" has no {path}')


def find_stored(entry: FileEntry, exists: Callable[[str], bool]) -> str | None:
    """Return the name under which a package has a file; None if it hasn't."""
    return next(filter(exists, readable_names(entry.sha256, entry.path)), None)


def check_size(entry: FileEntry, location: object, size_bytes: int) -> None:
    """Raise `ModelError` where the size of a file differs from the manifest."""
    if size_bytes != entry.size_bytes:
        raise ModelError(
            f'"{location}" ({entry.path}) has {size_bytes:,} bytes, but the manifest says '
            f"{entry.size_bytes:,}; copy the package again"
        )


def entries_of(tree: Path) -> tuple[FileEntry, ...]:
    """Return an entry for every file in a model's folder tree, sorted by path.

    Raises:
        ModelError: The folder has something that can't be a model's file; see `list_files`.
    """
    return tuple(entry_of(tree, file.path) for file in list_files(tree))


def entry_of(tree: Path, path: str) -> FileEntry:
    """Return the entry of a file in a folder tree."""
    with open_inside(tree, path) as stream:
        return FileEntry(path, *sha256_of(stream))


def write(source: FileSource, target: Path, manifest: Manifest, *, overwrite: bool = False) -> None:
    """Write a package of these files; `target` appears complete or not at all.

    Raises:
        ModelError: A file of `source` isn't the one of the manifest.
        OutputError: `target` exists and `overwrite` is false, it is not a package, or it can't be
            written.
    """
    target = Path(os.path.realpath(target))  # a link stays, and what it leads to is replaced
    check_free(target, overwrite=overwrite)
    for entry in manifest.files:
        if problem := path_problem(entry.path):
            raise ModelError(f"a package can't have all files of the model: {problem}")
    with _staged(target) as staged:
        (staged / FILES).mkdir()
        # Files with the same content and name are stored once.
        for name, entry in {entry.stored: entry for entry in manifest.files}.items():
            copy_verified(source, entry, staged / FILES / name, mode=0o666)
        (staged / MANIFEST).write_text(to_json(manifest))
        _move(staged, target, overwrite=overwrite)


def check_free(target: Path, *, overwrite: bool) -> None:
    """Raise `OutputError` unless a package may be written to `target`.

    What killed runs left there is finished or removed first, with a line on stderr.
    """
    for note in recover(Path(os.path.realpath(target))):
        print(shown(note), file=sys.stderr)
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
    staged = staged_path(target)
    try:
        staged.mkdir(parents=True)
        yield staged
    except (OutputError, ModelError):
        raise
    except OSError as error:
        raise OutputError(
            f"{target} can't be written: {error.strerror} ({error.filename})"
        ) from error
    finally:
        remove(staged)


def _move(staged: Path, target: Path, *, overwrite: bool) -> None:
    """Put the new package in its place, unless something appeared there that mustn't go."""
    check_free(target, overwrite=overwrite)
    try:
        publish(staged, target, overwrite=overwrite)
    except FileExistsError:
        raise OutputError(
            f"{target} appeared while this package was being written: it stays, and the new "
            "package was removed",
            OVERWRITE_ADVICE,
        ) from None


def copy_files(source: FileSource, files: Iterable[FileEntry], tree: Path) -> None:
    """Copy a model's files to their paths in a folder, and verify them.

    Raises:
        ModelError: A file is missing, or its bytes are not those of the entry.
        OSError: `tree` can't be written.
    """
    tree.mkdir(mode=0o700, exist_ok=True)
    for entry in files:
        path = tree / entry.path
        make_folders(path.parent, tree)
        copy_verified(source, entry, path)


def make_folders(folder: Path, top: Path) -> None:
    """Make a folder inside `top`, and those that lead to it, for this user alone."""
    if folder != top and not folder.is_dir():
        make_folders(folder.parent, top)
        folder.mkdir(mode=0o700, exist_ok=True)

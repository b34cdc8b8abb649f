"""The host cache: models unpacked and verified once per host, shared by all its processes.

A session opens a folder of the cache and nothing else, so the bytes that it loads are those whose
digest is known, whatever happens to the place where the model came from. Layout of the cache::

    <digest>/            a model's files, complete: they are made elsewhere and renamed
    <digest>.making      locked exclusively by the process that makes the folder
    <digest>.using       share-locked by every process that uses it; its mtime is the last use
    .making-<random>/    files being copied, or abandoned when a process died
    .hashes/             the SHA-256 of large files; see `known_hashes`

The files are copies. Only large weights of a model on this machine are links to the model's own
files, so that trying a model doesn't cost a copy of it: they are hashed like copies, and looked at
again once TensorFlow has loaded them.

The locks end with their process, however it ends; see `cache_locks`.

Drivers and workers of other versions of tf2spark may use the same cache. So these names and locks
stay, and a version that lays out a model's files otherwise finds a folder that isn't right, and
makes it again: each version pays for a copy where they take turns, and no version opens what it
hasn't verified.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import time
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from attrs import frozen

from tf2spark.errors import ModelError, SetupError
from tf2spark.package.cache_locks import hold, is_held, locked, release
from tf2spark.package.cache_root import cache_root, is_private, unusable
from tf2spark.package.file_source import FileSource, copy_verified
from tf2spark.package.folder import make_folders
from tf2spark.package.known_hashes import forget_old, known_sha256_of, remember
from tf2spark.package.manifest import FileEntry
from tf2spark.package.safe_files import Stamp, open_regular

LIMIT_BYTES = 50 << 30
_STALE_SECONDS = 24 * 3600
# No file system that models lie on rounds the times of a file more coarsely, except FAT.
_TICK_NS = 20_000_000
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_TIMES_REMOVED = 3


@frozen
class Link:
    """A file of the cache that is a link: its path, where it leads, and the stamp that it had."""

    path: str
    original: Path
    stamp: Stamp


@frozen(eq=False)
class HeldModel:
    """A model in the cache, verified, and kept from eviction until it is released.

    It is itself a `FileSource`, for copies that are verified once more.

    Attributes:
        folder: The folder with its files.
        links: The files that are links to the model's own.
    """

    folder: Path
    links: tuple[Link, ...]
    _lock_file: Path

    def open(self, entry: FileEntry) -> AbstractContextManager[BinaryIO]:
        return open_regular(self.folder / entry.path)

    def mismatch(self, entry: FileEntry) -> ModelError:
        return ModelError(
            f'"{(self.folder / entry.path).resolve()}" changed while it was being copied: open the '
            "model again"
        )

    def original(self, entry: FileEntry) -> Path | None:
        return None

    def check_unchanged(self) -> None:
        """Check that what TensorFlow has just loaded through links is what was verified.

        Raises:
            ModelError: A file behind a link has changed since.
        """
        for link in self.links:
            try:
                is_same = Stamp.of(link.original.stat()) == link.stamp
            except OSError:
                is_same = False
            if not is_same:
                raise ModelError(
                    f'"{link.original}" changed while the model was being loaded: open the model '
                    "again"
                )

    def release(self) -> None:
        """Let the model be evicted, unless others of this process hold it too."""
        release(self._lock_file)


def hold_model(
    digest: str,
    files: tuple[FileEntry, ...],
    source: FileSource,
    *,
    root: str | None = None,
    limit_bytes: int = LIMIT_BYTES,
) -> HeldModel:
    """Return a model of this host's cache; the first caller copies it there.

    Args:
        digest: The name of the model in the cache: the same digest means the same bytes.
        files: Its files.
        source: Where they are, if they are not in the cache.
        root: The cache folder; see `cache_root`.
        limit_bytes: The size above which unused models are evicted, least recently used first.
            Models that a process holds stay, whatever their size.

    Raises:
        ModelError: A file is missing or has other bytes.
        SetupError: The cache folder can't be used, or its disk is full, even without unused models.
    """
    for _ in range(_TIMES_REMOVED):
        folder = cache_root(root)
        with _explained(folder, files), suppress(FileNotFoundError):
            return _hold(folder, digest, files, source, limit_bytes)
    raise SetupError(unusable(folder, "somebody removes it again and again"))


def _hold(
    folder: Path, digest: str, files: tuple[FileEntry, ...], source: FileSource, limit_bytes: int
) -> HeldModel:
    """Do what `hold_model` says, once.

    Raises:
        FileNotFoundError: The cache was removed meanwhile, as by a cleaner of temporary files.
    """
    entry, lock_file = folder / digest, folder / f"{digest}.using"
    with ExitStack() as undo:
        hold(lock_file)
        undo.callback(release, lock_file)
        links = _verify(entry, files, source)
        if links is None:
            with locked(folder / f"{digest}.making"):
                # Another process may have made it while this one waited for the lock.
                links = _verify(entry, files, source)
                if links is None:
                    links = _make_room_and_make(entry, files, source)
            _evict(folder, limit_bytes)
        undo.pop_all()
    return HeldModel(entry, links, lock_file)


@contextmanager
def _explained(folder: Path, files: tuple[FileEntry, ...]) -> Iterator[None]:
    """Turn file system errors into errors that say what to do."""
    try:
        yield
    except OSError as error:
        if isinstance(error, ModelError):
            raise
        why = str(error)
        if error.errno in _NO_ROOM:
            needed_bytes = sum(file.size_bytes for file in files)
            why = f"its disk is full ({error.strerror}); the model needs {needed_bytes:,} bytes"
        raise SetupError(unusable(folder, why)) from None


# What is in the cache.


class _NotIntact(Exception):
    """A file of the cache isn't the one that it should be."""


def _verify(
    entry: Path, files: tuple[FileEntry, ...], source: FileSource
) -> tuple[Link, ...] | None:
    """Return the links of a model's folder; None if the folder has to be made again.

    It has exactly the model's files, with their bytes, and nobody else can write to them. Every
    process asks this before it opens a model, so large files are hashed only if they changed.
    """
    links = []
    try:
        if _paths_in(entry) != {file.path for file in files}:
            return None
        for file in files:
            path = entry / file.path
            status = path.lstat()
            if stat.S_ISLNK(status.st_mode):
                if source.original(file) is None:
                    return None
                links.append(_verify_link(path, file, entry.parent))
            elif not is_private(status) or not _is_intact(path, file, entry.parent):
                return None
    except (OSError, ModelError, _NotIntact):
        return None
    return tuple(links)


def _paths_in(entry: Path) -> set[str]:
    """Return the paths of all files and links in a folder.

    Raises:
        _NotIntact: Others may write to one of its folders.
    """
    paths = set[str]()
    for folder, folders, names in os.walk(entry, onerror=_raise):
        status = os.lstat(folder)
        if not stat.S_ISDIR(status.st_mode) or not is_private(status):
            raise _NotIntact(folder)
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        for name in (*names, *links):
            paths.add(os.path.relpath(os.path.join(folder, name), entry))
    return paths


def _raise(error: OSError) -> None:
    raise error


def _is_intact(path: Path, file: FileEntry, root: Path) -> bool:
    with open_regular(path) as stream:
        if os.fstat(stream.fileno()).st_size != file.size_bytes:
            return False
        return known_sha256_of(stream, root, is_ours=True) == file.sha256


def _verify_link(path: Path, file: FileEntry, root: Path) -> Link:
    """Return a link, after checking that the file behind it has the right bytes.

    Raises:
        _NotIntact: It hasn't.
    """
    original = Path(os.readlink(path))
    with open_regular(original) as stream:
        stamp = Stamp.of(os.fstat(stream.fileno()))
        _wait_for_next_tick(stamp)
        if stamp.size_bytes != file.size_bytes or known_sha256_of(stream, root) != file.sha256:
            raise _NotIntact(path)
    return Link(file.path, original, stamp)


def _wait_for_next_tick(stamp: Stamp) -> None:
    """Wait until a change of the file would change its stamp: its times are rounded to a tick."""
    age_ns = time.time_ns() - max(stamp.modified_ns, stamp.changed_ns)
    if 0 <= age_ns < _TICK_NS:
        time.sleep((_TICK_NS - age_ns) / 1e9)


# Making a model's folder.


def _make_room_and_make(
    entry: Path, files: tuple[FileEntry, ...], source: FileSource
) -> tuple[Link, ...]:
    """Make a model's folder; if the disk is full, after all unused models have been removed."""
    try:
        return _make(entry, files, source)
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        _evict(entry.parent, 0)
        return _make(entry, files, source)


def _make(entry: Path, files: tuple[FileEntry, ...], source: FileSource) -> tuple[Link, ...]:
    """Make a model's folder; return its links.

    Raises:
        ModelError: A file is missing or has other bytes.
    """
    partial = _new_path(entry.parent)
    try:
        partial.mkdir(mode=0o700)
        links = [link for file in files if (link := _add(partial, file, source))]
        # An existing entry is damaged. It is renamed, so that processes keep the files they mapped.
        damaged = _new_path(entry.parent)
        with suppress(FileNotFoundError):
            entry.rename(damaged)
            os.utime(damaged)  # it is removed a day from now
        partial.rename(entry)
        return tuple(links)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _add(partial: Path, file: FileEntry, source: FileSource) -> Link | None:
    """Copy a file, or link to it; return the link."""
    path, root = partial / file.path, partial.parent
    make_folders(path.parent, partial)
    original = source.original(file)
    if original is None:
        copy_verified(source, file, path)
        remember(root, Stamp.of(path.lstat()), file.sha256)
        return None
    path.symlink_to(original)
    with source.open(file) as stream:
        stamp = Stamp.of(os.fstat(stream.fileno()))
    try:
        link = _verify_link(path, file, root)
    except (_NotIntact, ModelError):
        raise source.mismatch(file) from None
    if link.stamp != stamp:  # the path leads elsewhere by now
        raise source.mismatch(file)
    return link


def _new_path(root: Path) -> Path:
    return root / f".making-{uuid.uuid4().hex}"


# Eviction. Other processes make and remove models meanwhile, so anything may be gone by the time
# that it is looked at.


def _evict(folder: Path, limit_bytes: int) -> None:
    """Remove unused models, least recently used first, until the cache is within the limit."""
    _remove_abandoned(folder)
    forget_old(folder)
    models = sorted(folder.glob("*.using"), key=_last_use)
    sizes_bytes = {using: _size_bytes(using.with_suffix("")) for using in models}
    total_bytes = sum(sizes_bytes.values())
    for using in models:
        is_excess = total_bytes > limit_bytes or not sizes_bytes[using]
        if is_excess and _remove(using):
            total_bytes -= sizes_bytes[using]


def _last_use(using: Path) -> float:
    with suppress(OSError):
        return using.lstat().st_mtime
    return 0.0


def _remove_abandoned(folder: Path) -> None:
    """Remove the files of processes that died while they made a model."""
    now = time.time()
    for abandoned in folder.glob(".making-*"):
        with suppress(OSError):
            if now - abandoned.lstat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(abandoned, ignore_errors=True)


def _remove(using: Path) -> bool:
    """Remove a model unless a process uses or makes it, and say whether it was removed."""
    # NFS emulates flock with locks per process, so our own lock wouldn't stop us from removing it.
    if is_held(using):
        return False
    entry, making = using.with_suffix(""), using.with_suffix(".making")
    evicted = _new_path(entry.parent)
    with locked(using, wait=False) as unused, locked(making, wait=False) as not_being_made:
        if not (unused and not_being_made):
            return False
        with suppress(OSError):
            # Renamed first, in one step: no process may find half a model.
            entry.rename(evicted)
        for path in (making, using):
            path.unlink(missing_ok=True)
    shutil.rmtree(evicted, ignore_errors=True)
    return True


def _size_bytes(folder: Path) -> int:
    """Return the size of a model's files; 0 if there are none."""
    total_bytes = 0
    for root, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total_bytes += os.lstat(os.path.join(root, name)).st_size
    return total_bytes

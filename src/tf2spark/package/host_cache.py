"""The host cache: models unpacked and verified once per host, shared by all its processes.

Layout of the cache folder::

    <digest>/            a model's files, complete: they are unpacked elsewhere and renamed
    <digest>.making      locked exclusively by the process that unpacks the model
    <digest>.using       share-locked by every process that uses it; its mtime is the last use
    .making-<random>/    files being unpacked, or abandoned when a process died

The locks are ``flock`` locks, which the kernel releases when a process ends, however it ends.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tf2spark.errors import ModelError, SetupError
from tf2spark.package.folder import Locate, sha256_of, unpack
from tf2spark.package.manifest import FileEntry

ENVIRONMENT = "TF2SPARK_CACHE"
LIMIT_BYTES = 50 << 30
_STALE_SECONDS = 24 * 3600
_HASHED_BYTES = 16 << 20
# Open descriptors hold the locks: the models of a process are not evicted while it lives.
_in_use: dict[Path, int] = {}


def cached_folder(
    digest: str,
    files: tuple[FileEntry, ...],
    locate: Locate,
    *,
    root: str | None = None,
    limit_bytes: int = LIMIT_BYTES,
) -> Path:
    """Return the folder of an unpacked model on this host; the first caller unpacks it.

    Args:
        digest: The name of the model in the cache: the same digest means the same bytes.
        files: Its files.
        locate: Returns where each file was shipped to on this host.
        root: The cache folder; see `cache_root`.
        limit_bytes: The size above which unused models are evicted, least recently used first.
            Models that a process uses stay, whatever their size.

    Raises:
        ModelError: A file is missing or damaged.
        SetupError: The cache folder can't be written, or its disk is full.
    """
    folder = cache_root(root)
    entry = folder / digest
    with _writable(folder, files):
        _hold(folder, digest)
        if not _is_complete(entry, files):
            with _locked(folder / f"{digest}.making"):
                # Another process may have unpacked it while this one waited for the lock.
                if not _is_complete(entry, files):
                    _unpack_entry(entry, files, locate)
            _evict(folder, limit_bytes)
    return entry


def cache_root(root: str | None = None) -> Path:
    """Return the cache folder, and create it where it doesn't exist.

    It is `root`, or else the environment variable ``TF2SPARK_CACHE``, or else a folder of this user
    in the system's temporary folder. If somebody else owns the latter, another one is created next
    to it.

    Raises:
        SetupError: The folder can't be used.
    """
    configured = root or os.environ.get(ENVIRONMENT)
    if configured:
        folder = Path(configured)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SetupError(_unusable(folder, error.strerror or str(error))) from None
        if not os.access(folder, os.W_OK | os.X_OK):
            raise SetupError(_unusable(folder, "this user can't write to it"))
        return folder
    return _own_folder(Path(tempfile.gettempdir()))


def _own_folder(parent: Path) -> Path:
    """Return a folder that this user owns and nobody else can write to.

    A model is a program: whoever could write to the cache could run code as this user.
    """
    for name in (f"tf2spark-{os.getuid()}", f"tf2spark-{os.getuid()}-own"):
        folder = parent / name
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        # Not stat(): somebody else's symlink could lead anywhere.
        status = folder.lstat()
        if status.st_uid == os.getuid() and not status.st_mode & 0o022 and folder.is_dir():
            return folder
    raise SetupError(_unusable(folder, "it belongs to somebody else"))


def _unusable(folder: Path, why: str) -> str:
    return (
        f"{folder} can't be used as the model cache: {why}. Set another folder with the Spark "
        f"setting spark.tf2spark.cache.dir or the variable {ENVIRONMENT}"
    )


@contextmanager
def _writable(folder: Path, files: tuple[FileEntry, ...]) -> Iterator[None]:
    """Turn file system errors into errors that say what to do."""
    try:
        yield
    except OSError as error:
        if isinstance(error, (ModelError, SetupError)):
            raise
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            needed_bytes = sum(file.size_bytes for file in files)
            why = f"its disk is full ({error.strerror}); the model needs {needed_bytes:,} bytes"
            raise SetupError(_unusable(folder, why)) from None
        raise SetupError(_unusable(folder, str(error))) from None


def _is_complete(entry: Path, files: tuple[FileEntry, ...]) -> bool:
    """Return whether a model's files are all there.

    Every process asks this before it scores, so large files, which are weights, are compared by
    size only; all bytes were verified when the model was unpacked. Small files, such as the graph,
    are hashed again.
    """
    try:
        return all(_is_intact(entry / file.path, file) for file in files)
    except OSError:
        return False


def _is_intact(path: Path, entry: FileEntry) -> bool:
    if path.stat().st_size != entry.size_bytes:
        return False
    return entry.size_bytes > _HASHED_BYTES or sha256_of(path) == entry.sha256


def _unpack_entry(entry: Path, files: tuple[FileEntry, ...], locate: Locate) -> None:
    partial = entry.parent / f".making-{uuid.uuid4().hex}"
    try:
        partial.mkdir(mode=0o700)
        unpack(files, locate, partial)
        # An existing entry is damaged. It is renamed, so that processes keep the files they mapped.
        if entry.exists():
            entry.rename(entry.parent / f".making-{uuid.uuid4().hex}")
        partial.rename(entry)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _hold(folder: Path, digest: str) -> None:
    """Keep a model from eviction while this process lives, and record its use."""
    path = folder / f"{digest}.using"
    if path not in _in_use:
        _in_use[path] = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(_in_use[path], fcntl.LOCK_SH)
    os.utime(path)


@contextmanager
def _locked(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold an exclusive lock on a file; yield False if another holds it and `wait` is false."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            locked = True
        except BlockingIOError:
            locked = False
        yield locked
    finally:
        os.close(descriptor)


def _evict(folder: Path, limit_bytes: int) -> None:
    """Remove unused models, least recently used first, until the cache is within the limit."""
    _remove_abandoned(folder)
    models = sorted(folder.glob("*.using"), key=lambda using: using.stat().st_mtime)
    sizes_bytes = {using: _size_bytes(using.with_suffix("")) for using in models}
    total_bytes = sum(sizes_bytes.values())
    for using in models:
        if total_bytes <= limit_bytes:
            return
        if sizes_bytes[using] and _remove(using):
            total_bytes -= sizes_bytes[using]


def _remove_abandoned(folder: Path) -> None:
    """Remove the files of processes that died while they unpacked a model."""
    now = time.time()
    for abandoned in folder.glob(".making-*"):
        with suppress(OSError):
            if now - abandoned.stat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(abandoned, ignore_errors=True)


def _remove(using: Path) -> bool:
    """Remove a model unless a process uses or unpacks it, and say whether it was removed."""
    # NFS emulates flock with locks per process, so our own lock wouldn't stop us from removing it.
    if using in _in_use:
        return False
    entry = using.with_suffix("")
    with (
        _locked(using, wait=False) as unused,
        _locked(using.with_suffix(".making"), wait=False) as not_being_unpacked,
    ):
        if unused and not_being_unpacked:
            # Renamed first, in one step: no process may find half a model.
            evicted = entry.parent / f".making-{uuid.uuid4().hex}"
            with suppress(OSError):
                entry.rename(evicted)
            shutil.rmtree(evicted, ignore_errors=True)
        return unused and not_being_unpacked


def _size_bytes(folder: Path) -> int:
    files = (Path(root) / name for root, _, names in os.walk(folder) for name in names)
    return sum(file.stat().st_size for file in files)

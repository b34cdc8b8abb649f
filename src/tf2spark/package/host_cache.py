"""Models unpacked once a host, checked, and shared by all its processes.

Layout, below the cache folder::

    <digest>/            a model's files, complete: it is made elsewhere and renamed
    <digest>.making      locked by the process that makes it
    <digest>.using       locked, shared, by every process that uses it; its time is the last use
    .making-<random>/    what is being made, or was when a process died

The locks are `flock`'s, which the kernel lets go of when their process ends, however it ends.
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
_CHECKED_BYTES = 16 << 20
# Open descriptors hold the locks: as long as the process lives, its models are not removed.
_in_use: dict[Path, int] = {}


def cached_folder(
    digest: str,
    files: tuple[FileEntry, ...],
    locate: Locate,
    *,
    root: str | None = None,
    limit_bytes: int = LIMIT_BYTES,
) -> Path:
    """Return the folder in which a model lies unpacked on this host, made by the first caller.

    Args:
        digest: What the model is called: the same digest, the same bytes.
        files: Its files.
        locate: Where they came to on this host.
        root: The cache's folder; see `cache_root`.
        limit_bytes: What the cache may hold; beyond it, models that no process uses are removed,
            the longest unused first.

    Raises:
        ModelError: A file is missing or damaged.
        SetupError: The cache can't be written, or its disk is full.
    """
    folder = cache_root(root)
    entry = folder / digest
    with _writable(folder, files):
        _hold(folder, digest)
        if not _is_whole(entry, files):
            with _locked(folder / f"{digest}.making"):
                if not _is_whole(entry, files):
                    _make(entry, files, locate)
            _evict(folder, limit_bytes)
    return entry


def cache_root(root: str | None = None) -> Path:
    """Return the cache's folder, made where there is none.

    It is `root`, or the variable ``TF2SPARK_CACHE``, or a folder of this user's below the system's
    temporary one. Where the last belongs to somebody else, one is made beside it.

    Raises:
        SetupError: A folder that was asked for can't be used.
    """
    asked = root or os.environ.get(ENVIRONMENT)
    if asked:
        folder = Path(asked)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SetupError(_unusable(folder, error.strerror or str(error))) from None
        if not os.access(folder, os.W_OK | os.X_OK):
            raise SetupError(_unusable(folder, "it is not writable for this user"))
        return folder
    return _own_folder(Path(tempfile.gettempdir()))


def _own_folder(parent: Path) -> Path:
    """Return a folder that this user owns and nobody else can write to: models are programs."""
    for name in (f"tf2spark-{os.getuid()}", f"tf2spark-{os.getuid()}-own"):
        folder = parent / name
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        found = folder.lstat()
        if found.st_uid == os.getuid() and not found.st_mode & 0o022 and folder.is_dir():
            return folder
    raise SetupError(_unusable(folder, "it belongs to somebody else"))


def _unusable(folder: Path, why: str) -> str:
    return (
        f"the cache for models can't be in {folder}: {why}. Name another folder with the Spark "
        f"setting spark.tf2spark.cache.dir or the variable {ENVIRONMENT}"
    )


@contextmanager
def _writable(folder: Path, files: tuple[FileEntry, ...]) -> Iterator[None]:
    """Say what is missing where the disk is full or can't be written."""
    try:
        yield
    except OSError as error:
        if isinstance(error, (ModelError, SetupError)):
            raise
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            needs = sum(one.size_bytes for one in files)
            raise SetupError(
                _unusable(
                    folder,
                    f"its disk is full ({error.strerror}), and the model needs {needs:,} bytes",
                )
            ) from None
        raise SetupError(_unusable(folder, str(error))) from None


def _is_whole(entry: Path, files: tuple[FileEntry, ...]) -> bool:
    """Say whether every file is there in its size, and small ones, the graph mostly, byte by byte.

    The bytes of all were checked when it was made.
    """
    try:
        return all(_is_same(entry / one.path, one) for one in files)
    except OSError:
        return False


def _is_same(path: Path, entry: FileEntry) -> bool:
    if path.stat().st_size != entry.size_bytes:
        return False
    return entry.size_bytes > _CHECKED_BYTES or sha256_of(path) == entry.sha256


def _make(entry: Path, files: tuple[FileEntry, ...], locate: Locate) -> None:
    making = entry.parent / f".making-{uuid.uuid4().hex}"
    try:
        making.mkdir(mode=0o700)
        unpack(files, locate, making)
        # Something that is there and isn't whole: processes that map it keep what they have.
        if entry.exists():
            entry.rename(entry.parent / f".making-{uuid.uuid4().hex}")
        making.rename(entry)
    finally:
        shutil.rmtree(making, ignore_errors=True)


def _hold(folder: Path, digest: str) -> None:
    """Keep a model from being removed as long as this process lives."""
    path = folder / f"{digest}.using"
    if path not in _in_use:
        _in_use[path] = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(_in_use[path], fcntl.LOCK_SH)
    os.utime(path)


@contextmanager
def _locked(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold a file's lock; yield False where it is taken and we don't wait."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            got = True
        except BlockingIOError:
            got = False
        yield got
    finally:
        os.close(descriptor)


def _evict(folder: Path, limit_bytes: int) -> None:
    """Remove what dead processes left, and the longest unused models beyond the limit."""
    now = time.time()
    for left in folder.glob(".making-*"):
        with suppress(OSError):
            if now - left.stat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
    models = sorted(
        ((using.stat().st_mtime, using) for using in folder.glob("*.using")), key=lambda one: one[0]
    )
    sizes = {using: _size_bytes(using.with_suffix("")) for _, using in models}
    total = sum(sizes.values())
    for _, using in models:
        if total <= limit_bytes:
            return
        if sizes[using] and _remove(using):
            total -= sizes[using]


def _remove(using: Path) -> bool:
    """Remove a model, unless a process uses or makes it."""
    if using in _in_use:
        return False
    entry = using.with_suffix("")
    with (
        _locked(using, wait=False) as unused,
        _locked(using.with_suffix(".making"), wait=False) as free,
    ):
        if unused and free:
            # Out of the way in one step: no process may find half a model.
            gone = entry.parent / f".making-{uuid.uuid4().hex}"
            with suppress(OSError):
                entry.rename(gone)
            shutil.rmtree(gone, ignore_errors=True)
        return unused and free


def _size_bytes(folder: Path) -> int:
    found = (Path(root) / name for root, _, names in os.walk(folder) for name in names)
    return sum(one.stat().st_size for one in found)

"""A temporary folder of this process, for models fetched from storage or shipped to executors.

Other temporary files of the package lie in it as well. It is removed when the process ends; if the
process is killed, the next one removes it.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import functools
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

from tf2spark.package.file_source import FileSource, copy_verified
from tf2spark.package.manifest import FILES, FileEntry
from tf2spark.package.publish import is_abandoned, remove, removed_note, seconds_unchanged
from tf2spark.package.run_id import PATTERN, new_run_id, state_of

_FOLDER = re.compile(rf"tf2spark-staging-({PATTERN})")


@functools.cache
def staging_folder() -> Path:
    """Return the folder, which is removed when the process ends.

    Not earlier: executors that start late are still sent files from here.
    """
    remove_abandoned()
    folder = Path(tempfile.gettempdir()) / f"tf2spark-staging-{new_run_id()}"
    folder.mkdir(mode=0o700)
    _lock(folder)
    (folder / FILES).mkdir()
    atexit.register(_remove_own, folder, os.getpid())
    return folder


def _lock(folder: Path) -> None:
    """Hold a lock until this process ends, so that a process of another container sees it work."""
    with contextlib.suppress(OSError):  # not every file system has locks
        fcntl.flock(os.open(folder, os.O_RDONLY | os.O_DIRECTORY), fcntl.LOCK_SH | fcntl.LOCK_NB)


def _remove_own(folder: Path, pid: int) -> None:
    if os.getpid() == pid:  # and not a process that was forked from it
        shutil.rmtree(folder, ignore_errors=True)


def remove_abandoned() -> list[str]:
    """Remove the folders that killed processes of this user left, and return what was removed."""
    notes = []
    for folder, run_id in _own_folders(Path(tempfile.gettempdir())):
        state = state_of(run_id)
        if state == "running" or _is_locked(folder):
            continue
        if is_abandoned(state, seconds_unchanged(folder)):
            remove(folder)
            notes.append(removed_note(str(folder)))
    return notes


def _own_folders(parent: Path) -> Iterator[tuple[Path, str]]:
    """Yield the staging folders of this user, each with the id of the run that made it."""
    for name in sorted(os.listdir(parent)):
        match = _FOLDER.fullmatch(name)
        if match is not None:
            with contextlib.suppress(OSError):
                if (parent / name).lstat().st_uid == os.getuid():
                    yield parent / name, match[1]


def _is_locked(folder: Path) -> bool:
    """Say whether a process holds the folder's lock; also True where that can't be known."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def staged_path(entry: FileEntry) -> Path:
    """Return the path of a model's file in this folder, which is laid out like a package."""
    return staging_folder() / FILES / entry.stored


def staged_copy(entry: FileEntry, source: FileSource) -> Path:
    """Return a verified copy of a file, which doesn't change when its source is overwritten.

    Raises:
        ModelError: The file is missing, or its bytes are not those of the entry.
    """
    target = staged_path(entry)
    if not target.exists():
        partial = target.with_name(f".{target.name}-{uuid.uuid4().hex[:12]}")
        try:
            copy_verified(source, entry, partial)
            partial.rename(target)
        finally:
            partial.unlink(missing_ok=True)
    return target

"""Adds rows to a folder of this machine, or replaces some of its partitions, in one step.

A second folder gets links to all files that stay (hard links: no byte is copied) and the new files,
and then the two exchange their names. A run that is killed leaves the old folder or the new one.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from tf2spark.package.publish import exchange, remove, rename_new, staged_path

_TRIES = 100


def partitions_of(folder: Path, depth: int) -> list[str]:
    """Return the folders of a table's partitions, relative to its own: "dt=1/hour=2"."""
    if not depth:
        return []
    levels = [folder]
    for _ in range(depth):
        levels = [
            child
            for level in levels
            for child in sorted(level.iterdir())
            if child.is_dir() and "=" in child.name
        ]
    return [str(level.relative_to(folder)) for level in levels]


def merge(staged: Path, target: Path, replaced: Collection[str]) -> bool:
    """Put the files of `staged` into `target`, in one step.

    Args:
        staged: A finished folder next to `target`.
        target: The folder; it may not exist yet.
        replaced: Folders in `target`, relative to it, whose files go away.

    Returns:
        False, with nothing changed, where the file system has no hard links or can't exchange two
        names, or a file belongs to another user.
    """
    with _locked(target.parent) as locked:
        for _ in range(_TRIES if locked else 0):
            with contextlib.suppress(FileExistsError):
                rename_new(staged, target)
                return True
            combined = staged_path(target)
            try:
                return _exchange_for_both(staged, target, combined, set(replaced))
            except FileNotFoundError:  # a file of the old folder was removed meanwhile
                continue
            except OSError:
                return False
            finally:
                remove(combined)
    return False


def _exchange_for_both(staged: Path, target: Path, combined: Path, replaced: set[str]) -> bool:
    linked = set(_link(target, combined, replaced))
    for _ in _link(staged, combined):
        pass
    if not exchange(combined, target):
        return False
    # `combined` is the old folder now. What others added since it was linked is kept.
    with contextlib.suppress(OSError):
        for _ in _link(combined, target, replaced, linked):
            pass
    return True


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Keep other runs that merge in a folder out; yield False where it can't be locked."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        yield False
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def _link(
    source: Path, target: Path, without: Collection[str] = (), known: Collection[str] = ()
) -> Iterator[str]:
    """Link the files of a folder into another, and yield their paths relative to it.

    A file that is there already is replaced.

    Args:
        source: The folder to link from.
        target: The folder to link to, which is made if it isn't there.
        without: Folders to leave out, relative to `source`.
        known: Files to leave out.
    """
    for folder, names, files in os.walk(source):
        relative = os.path.relpath(folder, source)
        names[:] = [name for name in names if _join(relative, name) not in without]
        into = target / relative
        if not into.exists():
            into.mkdir(parents=True)
            shutil.copystat(folder, into)
        links = [name for name in names if os.path.islink(os.path.join(folder, name))]
        for name in [*files, *links]:
            path = _join(relative, name)
            if path in known:
                continue
            with contextlib.suppress(FileNotFoundError):
                os.unlink(into / name)
            os.link(os.path.join(folder, name), into / name, follow_symlinks=False)
            yield path


def _join(folder: str, name: str) -> str:
    return os.path.normpath(os.path.join(folder, name))

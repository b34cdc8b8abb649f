"""Puts a finished file or folder of this machine in its place, in one step.

It is written to a hidden sibling, ``.<name>.tf2spark-<run>``, so that both are on one file system.
Where the kernel and the file system can exchange two names, a reader finds the old or the new one
at any moment. Elsewhere the old one is renamed to ``.<name>.old-<run>`` first. If the process is
killed after that, `recover` puts the new one in its place when the next run starts.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

from tf2spark.errors import OutputError
from tf2spark.package.run_id import ABANDONED_SECONDS, PATTERN, State, new_run_id, state_of

# linux/fs.h and fcntl.h
_NO_REPLACE, _EXCHANGE, _CURRENT_FOLDER = 1, 2, -100
# What file systems and kernels answer that can't do it.
_UNSUPPORTED = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EXDEV, errno.EPERM})
_TRIES = 100
# Earlier versions wrote 12 digits. Anything else was named by somebody else, and is theirs.
_SIBLING = re.compile(rf"(tf2spark|old|append|partitions)-({PATTERN}|[0-9a-f]{{12}})")


@frozen
class Sibling:
    """What a run wrote beside an output: the new one, or the old one that it moved away.

    Attributes:
        name: Its name.
        kind: "tf2spark" or "old"; "append" or "partitions" for finished rows that are being moved
            into the output file by file.
        run_id: The run; see `tf2spark.package.run_id`.
    """

    name: str
    kind: str
    run_id: str

    @property
    def state(self) -> State:
        return state_of(self.run_id)


def sibling_name(name: str, kind: str, run_id: str) -> str:
    """Return the name of a hidden sibling; readers of the parent folder skip hidden names."""
    return f".{name}.{kind}-{run_id}"


def parse_sibling(target_name: str, name: str) -> Sibling | None:
    """Return what a file's name says, or None if it is no sibling of this output."""
    match = _SIBLING.fullmatch(name.removeprefix(f".{target_name}."))
    if match is None or not name.startswith(f".{target_name}."):
        return None
    return Sibling(name, match[1], match[2])


def staged_path(target: Path) -> Path:
    """Return a new path next to `target`, to write to."""
    return target.with_name(sibling_name(target.name, "tf2spark", new_run_id()))


def publish(staged: Path, target: Path, *, overwrite: bool) -> None:
    """Rename `staged` to `target`; what was there is removed.

    Raises:
        FileExistsError: There is something at `target`, and `overwrite` is false.
        OSError: It can't be renamed; what was there stays, and so does `staged`.
    """
    if not overwrite:
        rename_new(staged, target)
        return
    sibling = parse_sibling(target.name, staged.name)
    old = target.with_name(
        sibling_name(target.name, "old", sibling.run_id if sibling else new_run_id())
    )
    for _ in range(_TRIES):  # others may write to the same place at the same time
        with contextlib.suppress(FileExistsError):
            rename_new(staged, target)
            return
        with contextlib.suppress(FileNotFoundError):
            if exchange(staged, target):
                remove(staged)
                return
            _replace_in_two_steps(staged, target, old)
            return
    raise OSError(errno.EBUSY, "other processes keep writing there", str(target))


def _replace_in_two_steps(staged: Path, target: Path, old: Path) -> None:
    os.rename(target, old)
    try:
        rename_new(staged, target)
    except FileExistsError:
        # Another writer's output came between: it is the one to replace now.
        remove(old)
        _replace_in_two_steps(staged, target, old)
        return
    except OSError:
        rename_new(old, target)
        raise
    remove(old)


def rename_new(source: Path, target: Path) -> None:
    """Rename a file or folder; never onto another.

    Raises:
        FileExistsError: There is something at `target`.
    """
    if _renameat2(source, target, _NO_REPLACE):
        return
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    try:
        # Between the check and this, only an empty folder could be replaced, or a file by a file.
        os.rename(source, target)
    except (NotADirectoryError, IsADirectoryError):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from None
    except OSError as error:
        if error.errno == errno.ENOTEMPTY:
            raise FileExistsError(errno.EEXIST, error.strerror, str(target)) from None
        raise


def exchange(first: Path, second: Path) -> bool:
    """Exchange two names in one step; return False if this file system can't.

    Raises:
        FileNotFoundError: One of them doesn't exist.
    """
    return _renameat2(first, second, _EXCHANGE)


def _renameat2(source: Path, target: Path, flag: int) -> bool:
    """Call renameat2(2); return False where the kernel or the file system lacks it."""
    function = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if function is None:
        return False
    paths = os.fsencode(source), os.fsencode(target)
    if function(_CURRENT_FOLDER, paths[0], _CURRENT_FOLDER, paths[1], flag) == 0:
        return True
    code = ctypes.get_errno()
    if code in _UNSUPPORTED:
        return False
    raise OSError(code, os.strerror(code), str(source), None, str(target))


def remove(path: Path) -> None:
    """Remove a file, link or folder, if it exists; what can't be removed stays.

    What stays is removed and named when the next run starts.
    """
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def recover(target: Path) -> list[str]:
    """Finish or undo what runs that were killed left beside an output; return what was done.

    Folders of runs that are still at work, and of other users, are not touched. Whether a run of
    another machine is at work can't be known: what it left is removed after a week.

    Raises:
        OutputError: A table that a killed run moved away can't be put back.
    """
    notes: list[str] = []
    siblings = list(_own_siblings(target))
    if not os.path.lexists(target):
        notes += _restore(target, [sibling for sibling in siblings if sibling.kind == "old"])
    for sibling in siblings:
        path = target.with_name(sibling.name)
        if sibling.kind in ("append", "partitions"):  # rows that aren't at the output yet
            continue
        if not os.path.lexists(path):  # it was put in its place, or another run removed it
            continue
        if is_abandoned(sibling.state, seconds_unchanged(path)):
            remove(path)
            notes.append(removed_note(str(path)))
        elif sibling.state == "unknown":
            notes.append(kept_note(str(path)))
    return notes


def is_abandoned(state: State, unchanged_seconds: float) -> bool:
    """Say whether what a run left may be removed."""
    return state == "ended" or (state == "unknown" and unchanged_seconds > ABANDONED_SECONDS)


def removed_note(path: str) -> str:
    return f"removed {path}, which a run that was killed had left"


def kept_note(path: str) -> str:
    return f"{path} may belong to a run on another machine: remove it if there is none"


def _own_siblings(target: Path) -> Iterator[Sibling]:
    try:
        names = sorted(os.listdir(target.parent))
    except OSError:  # there is no such folder yet, or it can't be read
        return
    for name in names:
        sibling = parse_sibling(target.name, name)
        if sibling is not None:
            with contextlib.suppress(OSError):
                if target.with_name(name).lstat().st_uid == os.getuid():
                    yield sibling


def _restore(target: Path, olds: list[Sibling]) -> Iterator[str]:
    """Put a table in the place that a killed run left empty: the new one if it was finished."""
    if not olds or any(old.state == "running" for old in olds):
        return
    old = max(olds, key=lambda old: _changed(target.with_name(old.name)))
    new = target.with_name(sibling_name(target.name, "tf2spark", old.run_id))
    # A run moves the old one away only when the new one is finished.
    source = new if old.state == "ended" and new.exists() else target.with_name(old.name)
    try:
        rename_new(source, target)
    except (FileExistsError, FileNotFoundError):  # another run that starts now did it
        return
    except OSError as error:
        raise OutputError(
            f"{target} is missing because a run was killed while it replaced it, and {source} "
            f"can't be renamed to it: {error.strerror}"
        ) from error
    yield restored_note(str(target), is_new=source == new)


def _changed(path: Path) -> float:
    """Return when a file or folder was renamed or modified last."""
    try:
        return path.lstat().st_ctime
    except OSError:
        return 0.0


def restored_note(target: str, *, is_new: bool) -> str:
    which = "its new rows are" if is_new else "the old rows are"
    return f"a run was killed while it replaced {target}: {which} there now"


def seconds_unchanged(path: Path) -> float:
    """Return how long ago anything in a folder was modified."""
    newest = 0.0
    with contextlib.suppress(OSError):
        newest = path.lstat().st_mtime
    for folder, folders, files in os.walk(path):
        for name in (*folders, *files):
            with contextlib.suppress(OSError):  # removed meanwhile
                newest = max(newest, os.lstat(os.path.join(folder, name)).st_mtime)
    return time.time() - newest

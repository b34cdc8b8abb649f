"""The locks of the host cache: ``flock`` locks, which end with the process however it ends.

Lock files are removed together with their models. So after waiting for a lock, a process looks
whether the file that it locked is still the one at the path.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_in_use: dict[Path, tuple[int, int]] = {}
"""The locks of this process on models that it holds: the descriptor, and how often it is held."""
_in_use_lock = threading.Lock()
_released: deque[Path] = deque()
"""What was released while `_in_use_lock` was held: Python may collect a session at any moment."""


def is_held(path: Path) -> bool:
    """Return whether this process holds a model."""
    return path in _in_use


def hold(path: Path) -> None:
    """Keep a model from eviction until `release`, at the latest until this process ends."""
    with _in_use_lock:
        _drop_released()
        descriptor, holders = _in_use.get(path, (None, 0))
        if descriptor is None or not _is_at(descriptor, path):
            # If somebody removed the cache, the lock is on a file that nobody else sees.
            renewed = _lock(path, fcntl.LOCK_SH)
            assert renewed is not None
            if descriptor is not None:
                os.close(descriptor)
            descriptor = renewed
        _in_use[path] = descriptor, holders + 1
        os.utime(descriptor)


def release(path: Path) -> None:
    _released.append(path)
    if _in_use_lock.acquire(blocking=False):
        try:
            _drop_released()
        finally:
            _in_use_lock.release()


def _drop_released() -> None:
    while _released:
        path = _released.popleft()
        descriptor, holders = _in_use.pop(path, (-1, 0))
        if holders > 1:
            _in_use[path] = descriptor, holders - 1
        elif holders:
            os.close(descriptor)


def _lock(path: Path, how: int) -> int | None:
    """Lock a file and return its descriptor; None where another has the lock and `how` has NB."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, how)
            if _is_at(descriptor, path):
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold an exclusive lock on a file; yield False if another holds it and `wait` is false."""
    descriptor = _lock(path, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            os.close(descriptor)

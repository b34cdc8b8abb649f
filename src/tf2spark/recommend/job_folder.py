"""The folders of `recommend` jobs on this machine: each call has one, for its graph and catalog.

A call on tables of this process is done when it returns, and its folder goes. A Spark job runs
later, perhaps several times, and nothing says when for the last time. So the folders of the last
`KEPT_JOBS` calls stay.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

KEPT_JOBS = 32
"""How many Spark jobs' folders a process keeps."""
_kept: deque[Path] = deque()
_lock = threading.Lock()


@contextmanager
def new_job_folder(parent: Path) -> Iterator[Path]:
    """Yield a new folder in `parent`, which is removed if the block fails."""
    folder = Path(tempfile.mkdtemp(prefix="recommend-", dir=parent))
    try:
        yield folder
    except BaseException:
        remove_job_folder(folder)
        raise


def remove_job_folder(folder: Path) -> None:
    """Remove the folder of a job that won't run any more."""
    shutil.rmtree(folder, ignore_errors=True)


def keep_job_folder(folder: Path) -> None:
    """Keep the folder of a Spark job until `KEPT_JOBS` later ones have been kept."""
    with _lock:
        if folder in _kept:
            return
        _kept.append(folder)
        evicted = _kept.popleft() if len(_kept) > KEPT_JOBS else None
    if evicted is not None:
        remove_job_folder(evicted)

"""A temporary folder of this process, for models fetched from storage or shipped to executors."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
import uuid
from pathlib import Path

from tf2spark.package.manifest import FILES, FileEntry


@functools.cache
def staging_folder() -> Path:
    """Return the folder, which is removed when the process ends.

    Not earlier: executors that start late are still sent files from here.
    """
    folder = Path(tempfile.mkdtemp(prefix="tf2spark-staging-"))
    (folder / FILES).mkdir()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def staged_path(entry: FileEntry) -> Path:
    """Return the path of a model's file in this folder, which is laid out like a package."""
    return staging_folder() / FILES / entry.stored


def staged_copy(entry: FileEntry, source: Path) -> Path:
    """Return a copy of a file, which doesn't change when its source is overwritten."""
    target = staged_path(entry)
    if not target.exists():
        partial = target.with_name(f".{target.name}-{uuid.uuid4().hex[:12]}")
        shutil.copyfile(source, partial)
        partial.rename(target)
    return target

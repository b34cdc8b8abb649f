"""A folder of this process for models on their way: from storage, and to the executors."""

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

    Executors that start late are sent files from here, so that they stay as long.
    """
    folder = Path(tempfile.mkdtemp(prefix="tf2spark-staging-"))
    (folder / FILES).mkdir()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def staged_path(entry: FileEntry) -> Path:
    """Return the place of a file of a model: laid out as in a package."""
    return staging_folder() / FILES / entry.stored


def staged_copy(entry: FileEntry, source: Path) -> Path:
    """Return a copy of a file that stays what it is when its source is overwritten."""
    target = staged_path(entry)
    if not target.exists():
        partial = target.with_name(f".{target.name}-{uuid.uuid4().hex[:12]}")
        shutil.copyfile(source, partial)
        partial.rename(target)
    return target

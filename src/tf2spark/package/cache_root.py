"""The folder of the host cache: of this user alone, because a model is a program.

Whoever could write to it could have this user's processes run another model than the one that was
checked. So the folder must belong to this user, and neither its group nor others may write to it.
"""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from tf2spark.errors import SetupError

ENVIRONMENT = "TF2SPARK_CACHE"
_WRITABLE_FOR_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def cache_root(root: str | None = None) -> Path:
    """Return the cache folder, and create it where it doesn't exist.

    It is `root`, or else the environment variable ``TF2SPARK_CACHE``, or else a folder of this user
    in the system's temporary folder. If others may write to the configured folder, as to a volume
    that a container mounts or to a folder with the sticky bit, a folder of this user inside it is
    used.

    Raises:
        SetupError: The folder can't be used, or it belongs to another user.
    """
    configured = root or os.environ.get(ENVIRONMENT)
    if not configured:
        return _own_folder(Path(tempfile.gettempdir()))
    folder = Path(configured)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except (OSError, ValueError) as error:  # a ValueError for a NUL in the path
        raise SetupError(unusable(folder, getattr(error, "strerror", None) or str(error))) from None
    if status.st_uid not in (0, os.getuid()):
        # Its owner could rename whatever is in it.
        raise SetupError(unusable(folder, f"it belongs to another user (uid {status.st_uid})"))
    if not os.access(folder, os.W_OK | os.X_OK):
        raise SetupError(unusable(folder, "this user can't write to it"))
    return folder if is_private(status) else _own_folder(folder)


def is_private(status: os.stat_result) -> bool:
    """Return whether a file or folder is this user's and nobody else may write to it."""
    return status.st_uid == os.getuid() and not status.st_mode & _WRITABLE_FOR_OTHERS


def _own_folder(parent: Path) -> Path:
    """Return a private folder of this user, by another name if somebody has taken the first."""
    for name in (f"tf2spark-{os.getuid()}", f"tf2spark-{os.getuid()}-own"):
        folder = parent / name
        try:
            with suppress(FileExistsError):
                folder.mkdir(mode=0o700)
            # Not stat(): somebody else's link could lead anywhere.
            status = folder.lstat()
        except OSError as error:
            raise SetupError(unusable(folder, error.strerror or str(error))) from None
        if stat.S_ISDIR(status.st_mode) and is_private(status):
            return folder
    raise SetupError(unusable(folder, "it belongs to somebody else, or others may write to it"))


def unusable(folder: Path, why: str) -> str:
    """Say why a folder can't be used, and what to do."""
    return (
        f"{folder} can't be used as the model cache: {why}. Set a folder of this user, to which "
        "nobody else may write, with the Spark setting spark.tf2spark.cache.dir or the variable "
        f"{ENVIRONMENT}"
    )

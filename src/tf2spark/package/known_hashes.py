"""The SHA-256 of large files, remembered: a file is hashed once per boot, or when it changes.

Hashing 10 GB takes about 10 seconds, too long for every process that opens a model. So the host
cache has a small file per large file, named by what changes whenever the content does: device,
inode, size, the times of the last modification and of the last change of the inode, and the boot.
Nobody can set the time of change, and nobody else can write to the host cache.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from attrs import astuple

from tf2spark.package.cache_root import is_private
from tf2spark.package.run_id import boot_id
from tf2spark.package.safe_files import Stamp, sha256_of

LARGE_BYTES = 16 << 20
"""Files of this size and more are remembered."""
FOLDER = ".hashes"
_KEPT_SECONDS = 30 * 24 * 3600
# File systems round times, to 10 ms or even to 2 s. A file that was changed just before it was
# hashed could change again and keep its times.
_SETTLED_NS = 2 * 10**9
_SHA256 = re.compile(rb"[0-9a-f]{64}")


def known_sha256_of(stream: BinaryIO, root: Path | None, *, is_ours: bool = False) -> str:
    """Return the SHA-256 (hex) of an open file.

    Args:
        stream: The file, at its start.
        root: The host cache; None if there is none, and nothing is remembered.
        is_ours: Only tf2spark writes to the file, so it needn't be old to be remembered.
    """
    started_ns = time.time_ns()
    stamp = Stamp.of(os.fstat(stream.fileno()))
    path = None if root is None or stamp.size_bytes < LARGE_BYTES else _path(root, stamp)
    if path is not None and (known := _read(path)):
        return known
    sha256, _ = sha256_of(stream)
    is_settled = started_ns - max(stamp.modified_ns, stamp.changed_ns) > _SETTLED_NS
    is_unchanged = Stamp.of(os.fstat(stream.fileno())) == stamp
    if path is not None and is_unchanged and (is_settled or is_ours):
        _write(path, sha256)
    return sha256


def remember(root: Path, stamp: Stamp, sha256: str) -> None:
    """Remember the SHA-256 of a file that tf2spark has just written."""
    if stamp.size_bytes >= LARGE_BYTES and (path := _path(root, stamp)):
        _write(path, sha256)


def forget_old(root: Path) -> None:
    """Remove what was remembered long ago."""
    now = time.time()
    with suppress(OSError):
        for path in (root / FOLDER).iterdir():
            with suppress(OSError):
                if now - path.lstat().st_mtime > _KEPT_SECONDS:
                    path.unlink()


def _path(root: Path, stamp: Stamp) -> Path | None:
    boot = boot_id()
    if boot is None:
        return None
    return root / FOLDER / hashlib.sha256(repr((boot, *astuple(stamp))).encode()).hexdigest()


def _read(path: Path) -> str | None:
    with suppress(OSError):
        if not is_private(path.parent.lstat()):  # who can rename files there can swap their hashes
            return None
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as stream:
            content = stream.read(65)
            if is_private(os.fstat(descriptor)) and _SHA256.fullmatch(content):
                return content.decode()
    return None


def _write(path: Path, sha256: str) -> None:
    """Write in one step; on a full disk nothing is remembered."""
    partial = path.with_name(f".{uuid.uuid4().hex}")
    with suppress(OSError):
        path.parent.mkdir(mode=0o700, exist_ok=True)
        if not is_private(path.parent.lstat()):
            return
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(sha256.encode())
        partial.rename(path)

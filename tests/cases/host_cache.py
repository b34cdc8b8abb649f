"""A small model in a host cache, for tests of the cache."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tf2spark.package import cache_locks
from tf2spark.package.file_source import ShippedFiles
from tf2spark.package.folder import entries_of
from tf2spark.package.host_cache import hold_model

DIGEST = "d" * 64


def cached(tree: Path, root: str, digest: str = DIGEST, limit_bytes: int = 1 << 30) -> Path:
    held = hold_model(digest, entries_of(tree), source_of(tree), root=root, limit_bytes=limit_bytes)
    return held.folder


def source_of(tree: Path) -> ShippedFiles:
    return ShippedFiles(lambda entry: tree / entry.path)


def is_intact(folder: Path, tree: Path) -> bool:
    return entries_of(folder) == entries_of(tree)


def release(root: str, digest: str = DIGEST) -> None:
    """Release the lock of this process, as if the process that used the model had ended."""
    while (path := Path(root) / f"{digest}.using") in cache_locks._in_use:
        cache_locks.release(path)


def cached_models(root: str) -> set[str]:
    """Return the first letters of the digests of the models in the cache."""
    return {path.name[0] for path in Path(root).iterdir() if len(path.name) == 64}


_CHILD = """
import os, sys, time
from pathlib import Path
from tf2spark.package import cache_locks, host_cache
from tf2spark.package.file_source import ShippedFiles
from tf2spark.package.folder import entries_of

tree, root, behavior = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
copy_verified = host_cache.copy_verified

def slow(source, entry, target):
    copy_verified(source, entry, target)
    print("copied", flush=True)
    if behavior == "hang":
        time.sleep(600)
    time.sleep(0.3)

host_cache.copy_verified = slow
source = ShippedFiles(lambda entry: tree / entry.path)
folder = host_cache.hold_model("d" * 64, entries_of(tree), source, root=root).folder
print("done", (folder / "saved_model.pb").stat().st_ino, flush=True)
if behavior == "stay":
    sys.stdin.read()
"""


def child(tree: Path, root: str, behavior: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _CHILD, str(tree), root, behavior]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)

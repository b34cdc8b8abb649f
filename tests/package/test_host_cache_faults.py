"""`host_cache` while its disk fills up, its clock is wrong, or somebody removes its files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cases.host_cache import DIGEST, cached, cached_models, child, is_intact, release
from tf2spark.errors import SetupError
from tf2spark.package import cache_locks
from tf2spark.package.file_source import ModelFolder, ShippedFiles
from tf2spark.package.folder import entries_of
from tf2spark.package.host_cache import hold_model
from tf2spark.package.known_hashes import LARGE_BYTES
from tf2spark.package.manifest import FileEntry

needs_mount = pytest.mark.skipif(os.getuid() != 0 or sys.platform != "linux", reason="needs mount")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk with room for two models, and not for three."""
    disk = tmp_path / "disk"
    disk.mkdir()
    options = ["-t", "tmpfs", "-o", "size=40k,mode=700"]
    if subprocess.run(["mount", *options, "tmpfs", str(disk)], check=False).returncode:
        pytest.skip("this machine mounts nothing")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


@needs_mount
def test_on_a_full_disk_unused_models_make_room(cached_tree: Path, small_disk: Path) -> None:
    """A model that no process uses is removed for another; the limit needn't be reached."""
    cached(cached_tree, str(small_disk), "a" * 64)
    cached(cached_tree, str(small_disk), "b" * 64)
    with pytest.raises(SetupError, match=r"disk is full.*needs 10,005 bytes"):
        cached(cached_tree, str(small_disk), "c" * 64)
    release(str(small_disk), "a" * 64)
    assert is_intact(cached(cached_tree, str(small_disk), "c" * 64), cached_tree)
    assert cached_models(str(small_disk)) == {"b", "c"}


@needs_mount
def test_a_full_disk_does_not_disturb_models_in_the_cache(
    cached_tree: Path, small_disk: Path
) -> None:
    """They are opened as before, by this process and by others."""
    cached(cached_tree, str(small_disk), DIGEST)
    free = shutil.disk_usage(small_disk).free
    (small_disk / "other").write_bytes(bytes(free))
    assert shutil.disk_usage(small_disk).free == 0
    with pytest.raises(SetupError, match="disk is full"):
        cached(cached_tree, str(small_disk), "b" * 64)
    assert is_intact(cached(cached_tree, str(small_disk), DIGEST), cached_tree)
    other = child(cached_tree, str(small_disk), "end")
    assert "done" in other.communicate(timeout=60)[0]


@needs_mount
def test_a_read_only_disk_is_named(cached_tree: Path, small_disk: Path) -> None:
    """The message says which setting moves the cache."""
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(SetupError, match=r"can't be used as the model cache.*cache\.dir"):
        cached(cached_tree, str(small_disk))


def test_a_cache_that_is_removed_is_made_again(cached_tree: Path, root: str) -> None:
    """Files that are open stay open, and the lock is one that other processes see."""
    with (cached(cached_tree, root) / "weights" / "0.bin").open("rb") as mapped:
        shutil.rmtree(root)
        assert is_intact(cached(cached_tree, root), cached_tree)
        assert len(mapped.read()) == 10_000
    with cache_locks.locked(Path(root) / f"{DIGEST}.using", wait=False) as is_free:
        assert not is_free


@pytest.mark.parametrize("times", [1, 2])
def test_a_cache_that_is_removed_while_a_model_is_made(
    cached_tree: Path, root: str, times: int
) -> None:
    """It is made again, as if a cleaner of temporary files had come by."""
    removed: list[str] = []

    def remove(entry: FileEntry) -> Path:
        if len(removed) < times:
            removed.append(entry.path)
            shutil.rmtree(root)
        return cached_tree / entry.path

    held = hold_model(DIGEST, entries_of(cached_tree), ShippedFiles(remove), root=root)
    assert is_intact(held.folder, cached_tree)
    assert len(removed) == times


def test_a_cache_that_is_removed_for_ever_is_an_error(cached_tree: Path, root: str) -> None:
    """The message names it."""

    def remove(entry: FileEntry) -> Path:
        shutil.rmtree(root)
        return cached_tree / entry.path

    with pytest.raises(SetupError, match="somebody removes it again and again"):
        hold_model(DIGEST, entries_of(cached_tree), ShippedFiles(remove), root=root)


@pytest.mark.parametrize("hours", [-48, 48])
def test_files_of_another_time_are_verified_all_the_same(
    tmp_path: Path, root: str, hours: int
) -> None:
    """A clock that is behind or ahead hides no change of a model's own large file."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "weights").write_bytes(bytes(LARGE_BYTES))
    skewed = time.time() + hours * 3600
    os.utime(folder / "weights", (skewed, skewed))
    files = entries_of(folder)
    for _ in range(2):
        held = hold_model(DIGEST, files, ModelFolder(folder), root=root)
        held.check_unchanged()
    os.utime(Path(root) / f"{DIGEST}.using", (skewed, skewed))
    with (folder / "weights").open("r+b") as stream:
        stream.write(b"x")
    os.utime(folder / "weights", (skewed, skewed))
    with pytest.raises(Exception, match="changed"):
        hold_model(DIGEST, files, ModelFolder(folder), root=root)

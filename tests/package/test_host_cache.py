"""`host_cache`: one verified copy per host, whatever other processes and disks do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest

from cases.host_cache import DIGEST, cached, child, is_intact, source_of
from tf2spark.errors import ModelError, SetupError
from tf2spark.package import known_hashes
from tf2spark.package.file_source import ShippedFiles
from tf2spark.package.folder import entries_of
from tf2spark.package.host_cache import hold_model
from tf2spark.package.manifest import FileEntry
from tf2spark.package.safe_files import sha256_of


def test_the_first_call_unpacks_and_the_next_finds_it(cached_tree: Path, root: str) -> None:
    """The files are fetched once; later calls don't need them."""
    folder = cached(cached_tree, root)
    assert is_intact(folder, cached_tree)
    files = entries_of(cached_tree)

    def refuse(entry: FileEntry) -> Path:
        raise AssertionError(f"{entry.path} was fetched again")

    assert hold_model(DIGEST, files, ShippedFiles(refuse), root=root).folder == folder


def test_changing_the_source_does_not_change_the_cache(cached_tree: Path, root: str) -> None:
    """Unpacked files are copies: overwriting the source doesn't change them."""
    folder = cached(cached_tree, root)
    (cached_tree / "saved_model.pb").write_bytes(b"later")
    assert (folder / "saved_model.pb").read_bytes() == b"graph"


def test_a_truncated_copy_is_replaced(cached_tree: Path, root: str) -> None:
    """A copy with a file of the wrong size is replaced by a fresh one."""
    folder = cached(cached_tree, root)
    with (folder / "weights" / "0.bin").open("r+b") as stream:
        stream.truncate(10)
    assert is_intact(cached(cached_tree, root), cached_tree)


def test_a_copy_with_a_flipped_bit_is_replaced(cached_tree: Path, root: str) -> None:
    """A copy of the right size whose graph has other bytes is replaced."""
    folder = cached(cached_tree, root)
    (folder / "saved_model.pb").write_bytes(b"grapH")
    assert is_intact(cached(cached_tree, root), cached_tree)


def test_a_copy_with_a_missing_file_is_replaced(cached_tree: Path, root: str) -> None:
    """A copy that lacks a file is replaced too, even while it is in use."""
    folder = cached(cached_tree, root)
    (folder / "saved_model.pb").unlink()
    assert is_intact(cached(cached_tree, root), cached_tree)


def test_a_large_file_is_hashed_once(
    cached_tree: Path, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Processes don't hash many megabytes each, but a change of one bit is noticed."""
    monkeypatch.setattr(known_hashes, "LARGE_BYTES", 100)
    weights = cached(cached_tree, root) / "weights" / "0.bin"
    hashed: list[int] = []
    monkeypatch.setattr(known_hashes, "sha256_of", counting(hashed))
    cached(cached_tree, root)
    assert hashed == [5]
    with weights.open("r+b") as stream:
        stream.write(b"1")
    assert is_intact(cached(cached_tree, root), cached_tree)


def counting(sizes_bytes: list[int]) -> Callable[[BinaryIO], tuple[str, int]]:
    """Return a function that hashes a file and notes its size."""

    def hash_and_note(stream: BinaryIO) -> tuple[str, int]:
        sha256, size_bytes = sha256_of(stream)
        sizes_bytes.append(size_bytes)
        return sha256, size_bytes

    return hash_and_note


def test_a_damaged_source_is_named_and_not_unpacked(cached_tree: Path, root: str) -> None:
    """A file whose SHA-256 doesn't match the manifest is named, and no copy is left."""
    files = entries_of(cached_tree)
    (cached_tree / "saved_model.pb").write_bytes(b"grapH")
    with pytest.raises(ModelError, match=r"saved_model.pb\" \(saved_model.pb\) is damaged"):
        hold_model(DIGEST, files, source_of(cached_tree), root=root)
    assert [path.name for path in Path(root).iterdir() if path.is_dir()] == []


def test_a_missing_source_is_named(cached_tree: Path, root: str) -> None:
    """A file that wasn't shipped is named."""
    files = entries_of(cached_tree)
    (cached_tree / "weights" / "0.bin").unlink()
    with pytest.raises(ModelError, match=r'^weights/0.bin of .*0.bin" is missing$'):
        hold_model(DIGEST, files, source_of(cached_tree), root=root)


def test_processes_that_start_together_share_one_copy(cached_tree: Path, root: str) -> None:
    """One of several processes copies the files, and all of them use that copy."""
    children = [child(cached_tree, root, "share") for _ in range(4)]
    outputs = [process.communicate(timeout=60)[0] for process in children]
    assert sum(output.count("copied") for output in outputs) == 2
    assert len({output.split("done")[1] for output in outputs}) == 1


def test_a_process_that_dies_with_the_lock_blocks_nobody(cached_tree: Path, root: str) -> None:
    """If a process is killed while it copies, the next one copies."""
    dying = child(cached_tree, root, "hang")
    assert dying.stdout is not None
    assert dying.stdout.readline() == "copied\n"
    dying.send_signal(signal.SIGKILL)
    dying.wait(10)
    started = time.monotonic()
    assert is_intact(cached(cached_tree, root), cached_tree)
    assert time.monotonic() - started < 60


@pytest.mark.skipif(os.getuid() != 0 or sys.platform != "linux", reason="needs mount")
def test_a_full_disk_says_what_is_needed(cached_tree: Path, tmp_path: Path) -> None:
    """A disk too small for the model is an error that says the size needed and what to do."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", str(disk)], check=False
    )
    if mounted.returncode:
        pytest.skip("this machine mounts nothing")
    try:
        with pytest.raises(SetupError, match=r"disk is full.*needs 10,005 bytes.*TF2SPARK_CACHE"):
            cached(cached_tree, str(disk))
        # Everybody may write to the disk, so there is a folder of this user on it.
        (own,) = disk.iterdir()
        assert [path for path in own.iterdir() if path.is_dir()] == []
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_folder_that_is_a_file_is_refused(cached_tree: Path, tmp_path: Path) -> None:
    """The message names the setting that moves the cache."""
    (tmp_path / "file").write_text("")
    with pytest.raises(
        SetupError, match=r"can't be used as the model cache: .*spark\.tf2spark\.cache\.dir"
    ):
        cached(cached_tree, str(tmp_path / "file"))


# Whose files they are.


def make_writable(path: Path) -> None:
    path.chmod(path.stat().st_mode | 0o022)


def give_away(path: Path) -> None:
    os.chown(path, 65534, -1)


@pytest.mark.parametrize("path", ["", "weights", "saved_model.pb", "weights/0.bin"])
@pytest.mark.parametrize(
    "hand_over",
    [
        make_writable,
        pytest.param(
            give_away, marks=pytest.mark.skipif(os.getuid() != 0, reason="only root gives away")
        ),
    ],
)
def test_what_others_could_write_to_is_made_again(
    cached_tree: Path, root: str, path: str, hand_over: Callable[[Path], None]
) -> None:
    """Folders and files of a model are this user's, and nobody else may write to them."""
    folder = cached(cached_tree, root)
    inode = (folder / "saved_model.pb").stat().st_ino
    cached(cached_tree, root)
    assert (folder / "saved_model.pb").stat().st_ino == inode
    hand_over(folder / path)
    cached(cached_tree, root)
    assert (folder / "saved_model.pb").stat().st_ino != inode
    assert (folder / path).stat().st_mode & 0o022 == 0
    assert (folder / path).stat().st_uid == os.getuid()
    assert is_intact(folder, cached_tree)


def test_the_umask_does_not_matter(cached_tree: Path, root: str) -> None:
    """Where new files are writable for a group by default, those of the cache are not."""
    before = os.umask(0)
    try:
        folder = cached(cached_tree, root)
    finally:
        os.umask(before)
    for path in (folder, *folder.rglob("*")):
        assert path.stat().st_mode & 0o077 == 0


def plant_file(folder: Path) -> None:
    (folder / "saved_model.cpb").write_bytes(b"another graph")


def plant_pipe(folder: Path) -> None:
    (folder / "saved_model.pb").unlink()
    os.mkfifo(folder / "saved_model.pb")


def plant_link(folder: Path) -> None:
    (folder / "saved_model.pb").rename(folder.parent / "graph")
    (folder / "saved_model.pb").symlink_to(folder.parent / "graph")


def plant_folder_link(folder: Path) -> None:
    (folder / "weights").rename(folder.parent / "moved")
    (folder / "weights").symlink_to(folder.parent / "moved")


def replace_by_link(folder: Path) -> None:
    folder.rename(folder.parent / "moved")
    folder.symlink_to(folder.parent / "moved")


@pytest.mark.parametrize(
    "plant", [plant_file, plant_pipe, plant_link, plant_folder_link, replace_by_link]
)
def test_a_folder_with_anything_else_is_made_again(
    cached_tree: Path, root: str, plant: Callable[[Path], None]
) -> None:
    """A folder has the model's files as regular files, and nothing else for TensorFlow to read."""
    folder = cached(cached_tree, root)
    plant(folder)
    assert cached(cached_tree, root) == folder
    assert is_intact(folder, cached_tree)
    assert not folder.is_symlink()

"""`host_cache`: one verified copy per host, whatever other processes and disks do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from tf2spark.errors import ModelError, SetupError
from tf2spark.package import host_cache, known_hashes
from tf2spark.package.file_source import ShippedFiles
from tf2spark.package.folder import entries_of
from tf2spark.package.host_cache import hold_model
from tf2spark.package.manifest import FileEntry
from tf2spark.package.safe_files import sha256_of

_DIGEST = "d" * 64


@pytest.fixture(autouse=True)
def held() -> Iterator[None]:
    """Release the locks that a test leaves: they would last as long as this process."""
    before = dict(host_cache._in_use)
    yield
    for path in set(host_cache._in_use) - set(before):
        os.close(host_cache._in_use.pop(path)[0])


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    (folder / "weights").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"graph")
    (folder / "weights" / "0.bin").write_bytes(bytes(10_000))
    return folder


@pytest.fixture
def root(tmp_path: Path) -> str:
    return str(tmp_path / "cache")


def cached(tree: Path, root: str, digest: str = _DIGEST, limit_bytes: int = 1 << 30) -> Path:
    held = hold_model(digest, entries_of(tree), source_of(tree), root=root, limit_bytes=limit_bytes)
    return held.folder


def source_of(tree: Path) -> ShippedFiles:
    return ShippedFiles(lambda entry: tree / entry.path)


def is_intact(folder: Path, tree: Path) -> bool:
    return entries_of(folder) == entries_of(tree)


def release(root: str, digest: str = _DIGEST) -> None:
    """Release the lock of this process, as if the process that used the model had ended."""
    while (path := Path(root) / f"{digest}.using") in host_cache._in_use:
        host_cache._release(path)


def test_the_first_call_unpacks_and_the_next_finds_it(tree: Path, root: str) -> None:
    """The files are fetched once; later calls don't need them."""
    folder = cached(tree, root)
    assert is_intact(folder, tree)
    files = entries_of(tree)

    def refuse(entry: FileEntry) -> Path:
        raise AssertionError(f"{entry.path} was fetched again")

    assert hold_model(_DIGEST, files, ShippedFiles(refuse), root=root).folder == folder


def test_changing_the_source_does_not_change_the_cache(tree: Path, root: str) -> None:
    """Unpacked files are copies: overwriting the source doesn't change them."""
    folder = cached(tree, root)
    (tree / "saved_model.pb").write_bytes(b"later")
    assert (folder / "saved_model.pb").read_bytes() == b"graph"


def test_a_truncated_copy_is_replaced(tree: Path, root: str) -> None:
    """A copy with a file of the wrong size is replaced by a fresh one."""
    folder = cached(tree, root)
    with (folder / "weights" / "0.bin").open("r+b") as stream:
        stream.truncate(10)
    assert is_intact(cached(tree, root), tree)


def test_a_copy_with_a_flipped_bit_is_replaced(tree: Path, root: str) -> None:
    """A copy of the right size whose graph has other bytes is replaced."""
    folder = cached(tree, root)
    (folder / "saved_model.pb").write_bytes(b"grapH")
    assert is_intact(cached(tree, root), tree)


def test_a_copy_with_a_missing_file_is_replaced(tree: Path, root: str) -> None:
    """A copy that lacks a file is replaced too, even while it is in use."""
    folder = cached(tree, root)
    (folder / "saved_model.pb").unlink()
    assert is_intact(cached(tree, root), tree)


def test_a_large_file_is_hashed_once(
    tree: Path, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Processes don't hash many megabytes each, but a change of one bit is noticed."""
    monkeypatch.setattr(known_hashes, "LARGE_BYTES", 100)
    weights = cached(tree, root) / "weights" / "0.bin"
    hashed: list[int] = []
    monkeypatch.setattr(known_hashes, "sha256_of", counting(hashed))
    cached(tree, root)
    assert hashed == [5]
    with weights.open("r+b") as stream:
        stream.write(b"1")
    assert is_intact(cached(tree, root), tree)


def counting(sizes_bytes: list[int]) -> Callable[[BinaryIO], tuple[str, int]]:
    """Return a function that hashes a file and notes its size."""

    def hash_and_note(stream: BinaryIO) -> tuple[str, int]:
        sha256, size_bytes = sha256_of(stream)
        sizes_bytes.append(size_bytes)
        return sha256, size_bytes

    return hash_and_note


def test_a_damaged_source_is_named_and_not_unpacked(tree: Path, root: str) -> None:
    """A file whose SHA-256 doesn't match the manifest is named, and no copy is left."""
    files = entries_of(tree)
    (tree / "saved_model.pb").write_bytes(b"grapH")
    with pytest.raises(ModelError, match=r"saved_model.pb\" \(saved_model.pb\) is damaged"):
        hold_model(_DIGEST, files, source_of(tree), root=root)
    assert [path.name for path in Path(root).iterdir() if path.is_dir()] == []


def test_a_missing_source_is_named(tree: Path, root: str) -> None:
    """A file that wasn't shipped is named."""
    files = entries_of(tree)
    (tree / "weights" / "0.bin").unlink()
    with pytest.raises(ModelError, match=r'^weights/0.bin of .*0.bin" is missing$'):
        hold_model(_DIGEST, files, source_of(tree), root=root)


_CHILD = """
import os, sys, time
from pathlib import Path
from tf2spark.package import host_cache
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


def test_processes_that_start_together_share_one_copy(tree: Path, root: str) -> None:
    """One of several processes copies the files, and all of them use that copy."""
    children = [child(tree, root, "share") for _ in range(4)]
    outputs = [process.communicate(timeout=60)[0] for process in children]
    assert sum(output.count("copied") for output in outputs) == 2
    assert len({output.split("done")[1] for output in outputs}) == 1


def test_a_process_that_dies_with_the_lock_blocks_nobody(tree: Path, root: str) -> None:
    """If a process is killed while it copies, the next one copies."""
    dying = child(tree, root, "hang")
    assert dying.stdout is not None
    assert dying.stdout.readline() == "copied\n"
    dying.send_signal(signal.SIGKILL)
    dying.wait(10)
    started = time.monotonic()
    assert is_intact(cached(tree, root), tree)
    assert time.monotonic() - started < 60


def test_a_model_in_use_is_not_evicted(tree: Path, root: str) -> None:
    """Above the limit only models that no process uses are evicted."""
    with child(tree, root, "stay") as user:
        assert user.stdout is not None
        while not user.stdout.readline().startswith("done"):
            pass
        cached(tree, root, "e" * 64, limit_bytes=1)
        assert (Path(root) / _DIGEST).is_dir()
        user.communicate()
    cached(tree, root, "f" * 64, limit_bytes=1)
    assert not (Path(root) / _DIGEST).exists()
    assert (Path(root) / ("e" * 64)).is_dir()


def cached_models(root: str) -> set[str]:
    """Return the first letters of the digests of the models in the cache."""
    return {path.name[0] for path in Path(root).iterdir() if len(path.name) == 64}


def fill(tree: Path, root: str, letters: str) -> None:
    """Cache models that were last used, one after the other, a long time ago."""
    for second, letter in enumerate(letters):
        cached(tree, root, letter * 64)
        release(root, letter * 64)
        os.utime(Path(root) / f"{letter * 64}.using", (second, second))


def test_the_least_recently_used_model_is_evicted_first(tree: Path, root: str) -> None:
    """The cache keeps the models that were used last, and no more than fit."""
    fill(tree, root, "cab")
    cached(tree, root, limit_bytes=25_000)
    assert cached_models(root) == {"b", "d"}


def test_using_a_model_again_makes_it_the_last_used(tree: Path, root: str) -> None:
    """A model that was cached first but used again outlives one that was cached later."""
    fill(tree, root, "abc")
    cached(tree, root, "a" * 64)
    release(root, "a" * 64)
    cached(tree, root, limit_bytes=25_000)
    assert cached_models(root) == {"a", "d"}


def test_a_process_that_uses_a_model_for_long_keeps_it_recent(tree: Path, root: str) -> None:
    """Each use counts, not only the first one of a process."""
    fill(tree, root, "ab")
    for second in (0, 0):
        cached(tree, root, "a" * 64)
        last_use = Path(root) / f"{'a' * 64}.using"
        assert last_use.stat().st_mtime > time.time() - 600
        os.utime(last_use, (second, second))


def test_a_model_that_is_being_unpacked_is_not_evicted(tree: Path, root: str) -> None:
    """The lock of the process that unpacks a model keeps others from removing it."""
    fill(tree, root, "a")
    with host_cache._locked(Path(root) / f"{'a' * 64}.making"):
        cached(tree, root, limit_bytes=1)
    assert cached_models(root) == {"a", "d"}
    cached(tree, root, "e" * 64, limit_bytes=1)
    assert cached_models(root) == {"d", "e"}


def test_a_cache_within_its_limit_evicts_nothing(tree: Path, root: str) -> None:
    """Models stay where they fit exactly."""
    fill(tree, root, "ab")
    cached(tree, root, limit_bytes=3 * 10_005)
    assert cached_models(root) == {"a", "b", "d"}


def test_abandoned_files_are_removed_after_a_day(tree: Path, root: str) -> None:
    """What a dead process was unpacking is removed, unless it could still be alive."""
    for name, hours in (("old", 25), ("new", 1)):
        folder = Path(root) / f".making-{name}"
        folder.mkdir(parents=True)
        modified = time.time() - hours * 3600
        os.utime(folder, (modified, modified))
    cached(tree, root)
    assert not (Path(root) / ".making-old").exists()
    assert (Path(root) / ".making-new").exists()


@pytest.mark.skipif(os.getuid() != 0 or sys.platform != "linux", reason="needs mount")
def test_a_full_disk_says_what_is_needed(tree: Path, tmp_path: Path) -> None:
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
            cached(tree, str(disk))
        # Everybody may write to the disk, so there is a folder of this user on it.
        (own,) = disk.iterdir()
        assert [path for path in own.iterdir() if path.is_dir()] == []
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_folder_that_is_a_file_is_refused(tree: Path, tmp_path: Path) -> None:
    """The message names the setting that moves the cache."""
    (tmp_path / "file").write_text("")
    with pytest.raises(
        SetupError, match=r"can't be used as the model cache: .*spark\.tf2spark\.cache\.dir"
    ):
        cached(tree, str(tmp_path / "file"))

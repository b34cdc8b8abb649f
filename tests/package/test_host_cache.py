"""`host_cache`: one verified copy per host, whatever other processes and disks do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tf2spark.errors import ModelError, SetupError
from tf2spark.package import host_cache
from tf2spark.package.folder import entries_of, sha256_of
from tf2spark.package.host_cache import cache_root, cached_folder
from tf2spark.package.manifest import FileEntry

_DIGEST = "d" * 64


@pytest.fixture(autouse=True)
def held() -> Iterator[None]:
    """Release the locks that a test leaves: they would last as long as this process."""
    before = dict(host_cache._in_use)
    yield
    for path in set(host_cache._in_use) - set(before):
        os.close(host_cache._in_use.pop(path))


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
    return cached_folder(
        digest,
        entries_of(tree),
        lambda entry: tree / entry.path,
        root=root,
        limit_bytes=limit_bytes,
    )


def is_intact(folder: Path, tree: Path) -> bool:
    return entries_of(folder) == entries_of(tree)


def release(root: str, digest: str = _DIGEST) -> None:
    """Release the lock of this process, as if the process that used the model had ended."""
    os.close(host_cache._in_use.pop(Path(root) / f"{digest}.using"))


def test_the_first_call_unpacks_and_the_next_finds_it(tree: Path, root: str) -> None:
    """The files are fetched once; later calls don't need them."""
    folder = cached(tree, root)
    assert is_intact(folder, tree)
    files = entries_of(tree)

    def refuse(entry: FileEntry) -> Path:
        raise AssertionError(f"{entry.path} was fetched again")

    assert cached_folder(_DIGEST, files, refuse, root=root) == folder


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


def test_large_files_are_compared_by_size(
    tree: Path, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files of many megabytes aren't read by every process, but a truncated one is noticed."""
    monkeypatch.setattr(host_cache, "_HASHED_BYTES", 100)
    weights = cached(tree, root) / "weights" / "0.bin"
    with weights.open("r+b") as stream:
        stream.write(b"1")
    assert weights.read_bytes()[0] == (cached(tree, root) / "weights" / "0.bin").read_bytes()[0]
    with weights.open("r+b") as stream:
        stream.truncate(9_999)
    assert is_intact(cached(tree, root), tree)


def test_a_damaged_source_is_named_and_not_unpacked(tree: Path, root: str) -> None:
    """A file whose SHA-256 doesn't match the manifest is named, and no copy is left."""
    files = entries_of(tree)
    (tree / "saved_model.pb").write_bytes(b"grapH")
    with pytest.raises(ModelError, match=r"saved_model.pb\" \(saved_model.pb\) is damaged"):
        cached_folder(_DIGEST, files, lambda entry: tree / entry.path, root=root)
    assert [path.name for path in Path(root).iterdir() if path.is_dir()] == []


def test_a_missing_source_is_named(tree: Path, root: str) -> None:
    """A file that wasn't shipped is named."""
    files = entries_of(tree)
    (tree / "weights" / "0.bin").unlink()
    with pytest.raises(ModelError, match=r"0.bin\" \(weights/0.bin\) is missing"):
        cached_folder(_DIGEST, files, lambda entry: tree / entry.path, root=root)


_CHILD = """
import os, sys, time
from pathlib import Path
from tf2spark.package import folder
from tf2spark.package.host_cache import cached_folder
from tf2spark.package.folder import entries_of

tree, root, behavior = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
copyfile = folder.shutil.copyfile

def slow(source, target):
    copyfile(source, target)
    print("copied", flush=True)
    if behavior == "hang":
        time.sleep(600)
    time.sleep(0.3)

folder.shutil.copyfile = slow
folder = cached_folder("d" * 64, entries_of(tree), lambda entry: tree / entry.path, root=root)
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
    return {path.name[0] for path in Path(root).iterdir() if path.is_dir()}


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
        assert [path for path in disk.iterdir() if path.is_dir()] == []
        release(str(disk))
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_folder_that_is_a_file_is_refused(tree: Path, tmp_path: Path) -> None:
    """The message names the setting that moves the cache."""
    (tmp_path / "file").write_text("")
    with pytest.raises(
        SetupError, match=r"can't be used as the model cache: .*spark\.tf2spark\.cache\.dir"
    ):
        cached(tree, str(tmp_path / "file"))


def test_a_folder_of_somebody_else_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that others can write to is never trusted, nor is a link."""
    monkeypatch.delenv(host_cache.ENVIRONMENT, raising=False)
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    writable = tmp_path / f"tf2spark-{os.getuid()}"
    writable.mkdir()
    writable.chmod(0o777)
    own = cache_root()
    assert own != writable
    assert own.stat().st_mode & 0o777 == 0o700
    writable.rmdir()
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    writable.symlink_to(tmp_path / "elsewhere")
    assert cache_root() == own
    own.chmod(0o722)
    with pytest.raises(SetupError, match="it belongs to somebody else"):
        cache_root()


def test_the_variable_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TF2SPARK_CACHE sets the cache folder; an argument overrides it."""
    monkeypatch.setenv(host_cache.ENVIRONMENT, str(tmp_path / "a"))
    assert cache_root() == tmp_path / "a"
    assert cache_root(str(tmp_path / "b")) == tmp_path / "b"


def test_entries_have_the_digest_of_their_bytes(tree: Path) -> None:
    """A file's entry has its path, SHA-256 and size."""
    entry = entries_of(tree)[0]
    assert entry == FileEntry("saved_model.pb", sha256_of(tree / entry.path), 5)

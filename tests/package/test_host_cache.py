"""`host_cache`: one checked copy a host, whatever other processes and disks do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
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
    """Let go of the locks that a test leaves: they would last as long as this process."""
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
        digest, entries_of(tree), lambda one: tree / one.path, root=root, limit_bytes=limit_bytes
    )


def whole(folder: Path, tree: Path) -> bool:
    return entries_of(folder) == entries_of(tree)


def let_go(root: str, digest: str = _DIGEST) -> None:
    os.close(host_cache._in_use.pop(Path(root) / f"{digest}.using"))


def test_the_first_call_unpacks_and_the_next_finds_it(tree: Path, root: str) -> None:
    """The files are fetched once; later calls don't need them any more."""
    folder = cached(tree, root)
    assert whole(folder, tree)
    files = entries_of(tree)

    def gone(entry: FileEntry) -> Path:
        raise AssertionError(f"{entry.path} was fetched again")

    assert cached_folder(_DIGEST, files, gone, root=root) == folder


def test_a_source_that_changes_doesnt_reach_the_cache(tree: Path, root: str) -> None:
    """What is unpacked is a copy: overwriting the source changes nothing."""
    folder = cached(tree, root)
    (tree / "saved_model.pb").write_bytes(b"later")
    assert (folder / "saved_model.pb").read_bytes() == b"graph"


def test_a_copy_that_was_cut_off_is_made_again(tree: Path, root: str) -> None:
    """A file of another size makes the copy useless: a fresh one takes its place."""
    folder = cached(tree, root)
    with (folder / "weights" / "0.bin").open("r+b") as stream:
        stream.truncate(10)
    assert whole(cached(tree, root), tree)


def test_a_flipped_bit_in_the_copy_is_mended(tree: Path, root: str) -> None:
    """A copy of the right size whose graph is another is made again."""
    folder = cached(tree, root)
    (folder / "saved_model.pb").write_bytes(b"grapH")
    assert whole(cached(tree, root), tree)


def test_a_partial_copy_is_made_again(tree: Path, root: str) -> None:
    """A missing file makes the copy useless too, whoever uses it."""
    folder = cached(tree, root)
    (folder / "saved_model.pb").unlink()
    assert whole(cached(tree, root), tree)


def test_a_damaged_source_is_named_and_leaves_nothing(tree: Path, root: str) -> None:
    """Bytes that are not the manifest's are an error that names the file, and no copy."""
    files = entries_of(tree)
    (tree / "saved_model.pb").write_bytes(b"grapH")
    with pytest.raises(ModelError, match=r"saved_model.pb\" \(saved_model.pb\) is damaged"):
        cached_folder(_DIGEST, files, lambda one: tree / one.path, root=root)
    left = [one.name for one in Path(root).iterdir() if one.is_dir()]
    assert left == []


def test_a_missing_source_is_named(tree: Path, root: str) -> None:
    """A file that didn't come is an error that names it."""
    files = entries_of(tree)
    (tree / "weights" / "0.bin").unlink()
    with pytest.raises(ModelError, match=r"0.bin\" \(weights/0.bin\) is missing"):
        cached_folder(_DIGEST, files, lambda one: tree / one.path, root=root)


_CHILD = """
import os, sys, time
from pathlib import Path
from tf2spark.package import folder
from tf2spark.package.host_cache import cached_folder
from tf2spark.package.folder import entries_of

tree, root, what = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
copyfile = folder.shutil.copyfile

def slow(source, target):
    copyfile(source, target)
    print("copied", flush=True)
    if what == "hang":
        time.sleep(600)
    time.sleep(0.3)

folder.shutil.copyfile = slow
folder = cached_folder("d" * 64, entries_of(tree), lambda one: tree / one.path, root=root)
print("done", (folder / "saved_model.pb").stat().st_ino, flush=True)
if what == "stay":
    sys.stdin.read()
"""


def child(tree: Path, root: str, what: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _CHILD, str(tree), root, what]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)


def test_processes_that_start_at_once_share_one_copy(tree: Path, root: str) -> None:
    """Of several processes one copies, and all get the same files."""
    children = [child(tree, root, "share") for _ in range(4)]
    said = [one.communicate(timeout=60)[0] for one in children]
    assert sum(one.count("copied") for one in said) == 2
    assert len({one.split("done")[1] for one in said}) == 1


def test_a_process_that_dies_with_the_lock_holds_nobody_up(tree: Path, root: str) -> None:
    """A copy that was being made when its process was killed is made by the next."""
    dying = child(tree, root, "hang")
    assert dying.stdout is not None
    assert dying.stdout.readline() == "copied\n"
    dying.send_signal(signal.SIGKILL)
    dying.wait(10)
    started = time.monotonic()
    assert whole(cached(tree, root), tree)
    assert time.monotonic() - started < 60


def test_what_a_process_uses_is_not_removed(tree: Path, root: str) -> None:
    """Beyond the limit only models go that no process uses."""
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


def test_the_longest_unused_goes_first(tree: Path, root: str) -> None:
    """The cache keeps what was used last."""
    for number, digest in enumerate("abc"):
        cached(tree, root, digest * 64)
        let_go(root, digest * 64)
        os.utime(Path(root) / f"{digest * 64}.using", (number, number))
    cached(tree, root, limit_bytes=25_000)
    left = {one.name[0] for one in Path(root).iterdir() if one.is_dir()}
    assert left == {"c", "d"}


@pytest.mark.skipif(os.getuid() != 0 or sys.platform != "linux", reason="needs mount")
def test_a_full_disk_says_what_is_needed(tree: Path, tmp_path: Path) -> None:
    """A disk that can't hold the model is an error with the size and the way out."""
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
        assert [one for one in disk.iterdir() if one.is_dir()] == []
        let_go(str(disk))
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_folder_that_is_a_file_is_refused(tree: Path, tmp_path: Path) -> None:
    """A cache that can't be there names the setting that moves it."""
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match=r"can't be in .*spark\.tf2spark\.cache\.dir"):
        cached(tree, str(tmp_path / "file"))


def test_a_folder_of_somebody_else_is_passed_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder in the temporary one that others can write to is never trusted."""
    monkeypatch.delenv(host_cache.ENVIRONMENT, raising=False)
    monkeypatch.setattr(host_cache.tempfile, "gettempdir", lambda: str(tmp_path))
    taken = tmp_path / f"tf2spark-{os.getuid()}"
    taken.mkdir()
    taken.chmod(0o777)
    found = cache_root()
    assert found != taken
    assert found.stat().st_mode & 0o777 == 0o700
    found.chmod(0o722)
    with pytest.raises(SetupError, match="it belongs to somebody else"):
        cache_root()


def test_the_variable_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TF2SPARK_CACHE says where the cache is; an argument wins."""
    monkeypatch.setenv(host_cache.ENVIRONMENT, str(tmp_path / "a"))
    assert cache_root() == tmp_path / "a"
    assert cache_root(str(tmp_path / "b")) == tmp_path / "b"


def test_entries_have_the_digest_of_their_bytes(tree: Path) -> None:
    """A file's entry is its path, SHA-256 and size."""
    first = entries_of(tree)[0]
    path = tree / first.path
    assert first == FileEntry("saved_model.pb", sha256_of(path), 5)

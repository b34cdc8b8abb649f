"""`host_cache`: models that are in use stay, others go when the cache is full."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cases.host_cache import DIGEST, cached, cached_models, child, release, source_of
from tf2spark.errors import ModelError
from tf2spark.package import cache_locks, host_cache
from tf2spark.package.folder import entries_of
from tf2spark.package.host_cache import hold_model


def test_a_model_in_use_is_not_evicted(cached_tree: Path, root: str) -> None:
    """Above the limit only models that no process uses are evicted."""
    with child(cached_tree, root, "stay") as user:
        assert user.stdout is not None
        while not user.stdout.readline().startswith("done"):
            pass
        cached(cached_tree, root, "e" * 64, limit_bytes=1)
        assert (Path(root) / DIGEST).is_dir()
        user.communicate()
    cached(cached_tree, root, "f" * 64, limit_bytes=1)
    assert not (Path(root) / DIGEST).exists()
    assert (Path(root) / ("e" * 64)).is_dir()


def fill(cached_tree: Path, root: str, letters: str) -> None:
    """Cache models that were last used, one after the other, a long time ago."""
    for second, letter in enumerate(letters):
        cached(cached_tree, root, letter * 64)
        release(root, letter * 64)
        os.utime(Path(root) / f"{letter * 64}.using", (second, second))


def test_the_least_recently_used_model_is_evicted_first(cached_tree: Path, root: str) -> None:
    """The cache keeps the models that were used last, and no more than fit."""
    fill(cached_tree, root, "cab")
    cached(cached_tree, root, limit_bytes=25_000)
    assert cached_models(root) == {"b", "d"}


def test_using_a_model_again_makes_it_the_last_used(cached_tree: Path, root: str) -> None:
    """A model that was cached first but used again outlives one that was cached later."""
    fill(cached_tree, root, "abc")
    cached(cached_tree, root, "a" * 64)
    release(root, "a" * 64)
    cached(cached_tree, root, limit_bytes=25_000)
    assert cached_models(root) == {"a", "d"}


def test_a_process_that_uses_a_model_for_long_keeps_it_recent(cached_tree: Path, root: str) -> None:
    """Each use counts, not only the first one of a process."""
    fill(cached_tree, root, "ab")
    for second in (0, 0):
        cached(cached_tree, root, "a" * 64)
        last_use = Path(root) / f"{'a' * 64}.using"
        assert last_use.stat().st_mtime > time.time() - 600
        os.utime(last_use, (second, second))


def test_a_model_that_is_being_unpacked_is_not_evicted(cached_tree: Path, root: str) -> None:
    """The lock of the process that unpacks a model keeps others from removing it."""
    fill(cached_tree, root, "a")
    with cache_locks.locked(Path(root) / f"{'a' * 64}.making"):
        cached(cached_tree, root, limit_bytes=1)
    assert cached_models(root) == {"a", "d"}
    cached(cached_tree, root, "e" * 64, limit_bytes=1)
    assert cached_models(root) == {"d", "e"}


def test_a_cache_within_its_limit_evicts_nothing(cached_tree: Path, root: str) -> None:
    """Models stay where they fit exactly."""
    fill(cached_tree, root, "ab")
    cached(cached_tree, root, limit_bytes=3 * 10_005)
    assert cached_models(root) == {"a", "b", "d"}


def test_abandoned_files_are_removed_after_a_day(cached_tree: Path, root: str) -> None:
    """What a dead process was unpacking is removed, unless it could still be alive."""
    for name, hours in (("old", 25), ("new", 1)):
        folder = Path(root) / f".making-{name}"
        folder.mkdir(parents=True)
        modified = time.time() - hours * 3600
        os.utime(folder, (modified, modified))
    cached(cached_tree, root)
    assert not (Path(root) / ".making-old").exists()
    assert (Path(root) / ".making-new").exists()


def test_a_model_is_held_until_all_have_released_it(cached_tree: Path, root: str) -> None:
    """Two sessions of a process hold a model twice."""
    first, second = (
        hold_model(DIGEST, entries_of(cached_tree), source_of(cached_tree), root=root)
        for _ in range(2)
    )
    first.release()
    cached(cached_tree, root, "e" * 64, limit_bytes=1)
    assert cached_models(root) == {"d", "e"}
    second.release()
    cached(cached_tree, root, "f" * 64, limit_bytes=1)
    assert cached_models(root) == {"e", "f"}


def test_a_model_that_cannot_be_made_is_not_held(cached_tree: Path, root: str) -> None:
    """An error leaves no lock behind."""
    files = entries_of(cached_tree)
    (cached_tree / "saved_model.pb").unlink()
    with pytest.raises(ModelError):
        hold_model(DIGEST, files, source_of(cached_tree), root=root)
    assert Path(root) / f"{DIGEST}.using" not in cache_locks._in_use


def test_a_release_during_another_call_waits_for_its_end(cached_tree: Path, root: str) -> None:
    """Python may collect a session, which releases its model, while a model is being held."""
    held_model = hold_model(DIGEST, entries_of(cached_tree), source_of(cached_tree), root=root)
    with cache_locks._in_use_lock:
        held_model.release()
        assert held_model._lock_file in cache_locks._in_use
    cached(cached_tree, root, "e" * 64, limit_bytes=1)
    assert cached_models(root) == {"e"}


def test_evicted_models_leave_no_lock_files(cached_tree: Path, root: str) -> None:
    """A service that opens a new model every day has no more files after a year."""
    for letter in "abcdef":
        cached(cached_tree, root, letter * 64, limit_bytes=1)
        release(root, letter * 64)
    names = sorted(path.name for path in Path(root).iterdir())
    assert names == ["f" * 64, f"{'f' * 64}.making", f"{'f' * 64}.using"]


def test_what_another_process_removes_meanwhile_is_no_error(
    cached_tree: Path, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cache is measured while others remove models from it."""
    cached(cached_tree, root, "e" * 64)

    def walk(folder: Path) -> Iterator[tuple[str, list[str], list[str]]]:
        yield str(folder), [], ["saved_model.pb", "removed-a-moment-ago"]

    monkeypatch.setattr(os, "walk", walk)
    assert host_cache._size_bytes(Path(root) / ("e" * 64)) == 5


_EVICTING_CHILD = """
import random, sys
from pathlib import Path
from tf2spark.package.file_source import ShippedFiles
from tf2spark.package.folder import entries_of
from tf2spark.package.host_cache import hold_model

tree, root, seed = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
files, source = entries_of(tree), ShippedFiles(lambda entry: tree / entry.path)
digests = random.Random(seed)
for _ in range(40):
    held = hold_model(digests.choice("abc") * 64, files, source, root=root, limit_bytes=1)
    for file in files:
        assert (held.folder / file.path).stat().st_size == file.size_bytes
    held.release()
print("done", flush=True)
"""


def test_processes_that_evict_do_not_disturb_each_other(cached_tree: Path, root: str) -> None:
    """In a cache that has room for nothing, every process still gets each model that it opens."""
    for number in range(50):  # so that looking at a model takes a while
        (cached_tree / "weights" / f"{number}.bin").write_bytes(b"w")
    children = [
        subprocess.Popen(
            [sys.executable, "-c", _EVICTING_CHILD, str(cached_tree), root, str(seed)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for seed in range(6)
    ]
    results = [process.communicate(timeout=120) for process in children]
    assert [out for out, _ in results] == ["done\n"] * 6, results

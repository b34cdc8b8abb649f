"""`host_cache`: two versions of tf2spark, each in processes of its own, share one cache."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

import tf2spark

# A version that writes a file beside the model's, and takes no folder without it.
_OTHER_LAYOUT = (
    (
        "if _paths_in(entry) != {file.path for file in files}:",
        'if _paths_in(entry) != {file.path for file in files} | {"layout-2"}:',
    ),
    (
        "# An existing entry is damaged.",
        '(partial / "layout-2").write_bytes(b"2")\n        # An existing entry is damaged.',
    ),
)
# One line of standard input is one call.
_PROGRAM = """
import json, sys
from pathlib import Path
import tf2spark
from tf2spark.package import host_cache
from tf2spark.package.file_source import ShippedFiles
from tf2spark.package.folder import entries_of

tree, root = Path(sys.argv[1]), sys.argv[2]
held, copied = {}, []

def path_of(entry):
    copied.append(entry.path)
    return tree / entry.path

def hold(digest, limit_bytes):
    del copied[:]
    held[digest] = host_cache.hold_model(
        digest, entries_of(tree), ShippedFiles(path_of), root=root, limit_bytes=limit_bytes
    )
    folder = held[digest].folder
    content = {each.path: (folder / each.path).read_bytes() for each in entries_of(tree)}
    wanted = {each.path: (tree / each.path).read_bytes() for each in entries_of(tree)}
    return {"copied": len(copied), "right": content == wanted}

def release(digest):
    held.pop(digest).release()

for line in sys.stdin:
    name, *arguments = json.loads(line)
    print(json.dumps(globals()[name](*arguments)), flush=True)
"""
_LIMIT_BYTES = 1 << 30


class Driver:
    """A process that uses the cache."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def call(self, *words: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(words) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


@contextmanager
def driver(source: Path, tree: Path, root: str) -> Iterator[Driver]:
    """Run a process with the tf2spark in a folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, str(tree), root],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(source)},
    )
    try:
        yield Driver(process)
    finally:
        process.communicate(timeout=60)


@pytest.fixture
def versions(tmp_path: Path) -> tuple[Path, Path]:
    """The folders of this tf2spark and of another version."""
    this = Path(tf2spark.__file__).parent
    other = tmp_path / "other" / "tf2spark"
    shutil.copytree(this, other, ignore=shutil.ignore_patterns("__pycache__"))
    module = other / "package" / "host_cache.py"
    text = module.read_text()
    for before, after in _OTHER_LAYOUT:
        assert text.count(before) == 1
        text = text.replace(before, after)
    module.write_text(text)
    return this.parent, other.parent


@pytest.fixture
def drivers(versions: tuple[Path, Path], cached_tree: Path, root: str) -> Iterator[list[Driver]]:
    with ExitStack() as stack:
        yield [stack.enter_context(driver(each, cached_tree, root)) for each in versions]


def test_each_version_has_the_right_files(drivers: list[Driver], root: str) -> None:
    """A version that lays a model out otherwise makes the folder again; nobody fails."""
    seen = [each.call("hold", "d" * 64, _LIMIT_BYTES) for each in (*drivers, *drivers)]
    assert [each["right"] for each in seen] == [True] * 4
    assert seen[0]["copied"] == 2
    assert all(each["copied"] for each in seen[1:])
    assert len([path for path in Path(root).iterdir() if len(path.name) == 64]) == 1


def test_a_version_keeps_what_the_other_uses(drivers: list[Driver], root: str) -> None:
    """Locks hold across versions: only what nobody uses is evicted."""
    this, other = drivers
    other.call("hold", "a" * 64, _LIMIT_BYTES)
    this.call("hold", "b" * 64, 1)
    assert {path.name[0] for path in Path(root).glob("?" * 64)} == {"a", "b"}
    other.call("release", "a" * 64)
    this.call("hold", "c" * 64, 1)
    assert {path.name[0] for path in Path(root).glob("?" * 64)} == {"b", "c"}


def test_equal_layouts_share_a_copy(
    versions: tuple[Path, Path], cached_tree: Path, root: str
) -> None:
    """Which is what versions have as long as they can."""
    this, _ = versions
    with driver(this, cached_tree, root) as first, driver(this, cached_tree, root) as second:
        assert first.call("hold", "d" * 64, _LIMIT_BYTES) == {"copied": 2, "right": True}
        assert second.call("hold", "d" * 64, _LIMIT_BYTES) == {"copied": 0, "right": True}

"""What the tests of the host cache share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tf2spark.package import cache_locks


@pytest.fixture
def root(tmp_path: Path) -> Iterator[str]:
    """A cache folder. The locks of a test are released: they would last as long as this process."""
    before = dict(cache_locks._in_use)
    yield str(tmp_path / "cache")
    for path in set(cache_locks._in_use) - set(before):
        os.close(cache_locks._in_use.pop(path)[0])


@pytest.fixture
def cached_tree(tmp_path: Path) -> Path:
    """The files of a small model."""
    folder = tmp_path / "tree"
    (folder / "weights").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"graph")
    (folder / "weights" / "0.bin").write_bytes(bytes(10_000))
    return folder

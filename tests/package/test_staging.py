"""`staging`: copies that stay what they are, under names that say what they contain."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tf2spark.package.folder import sha256_of
from tf2spark.package.manifest import FileEntry
from tf2spark.package.staging import staged_copy, staged_path


@pytest.fixture
def entry(tmp_path: Path) -> Iterator[FileEntry]:
    content = str(tmp_path).encode()
    entry = FileEntry("assets/words.txt", hashlib.sha256(content).hexdigest(), len(content))
    (tmp_path / "source.txt").write_bytes(content)
    yield entry
    staged_path(entry).unlink(missing_ok=True)


def test_a_staged_copy_does_not_change_with_its_source(entry: FileEntry, tmp_path: Path) -> None:
    """Executors that start late get the bytes that the job began with."""
    source = tmp_path / "source.txt"
    copy = staged_copy(entry, source)
    with source.open("r+b") as stream:
        stream.write(b"changed")
    assert copy == staged_path(entry)
    assert sha256_of(copy) == entry.sha256


def test_a_file_is_staged_once(entry: FileEntry, tmp_path: Path) -> None:
    """The same content has the same name, so it isn't copied again, and no part of it is left."""
    copy = staged_copy(entry, tmp_path / "source.txt")
    (tmp_path / "source.txt").unlink()
    assert staged_copy(entry, tmp_path / "source.txt") == copy
    assert [path for path in copy.parent.iterdir() if entry.stored in path.name] == [copy]


def test_the_folder_is_removed_when_the_process_ends() -> None:
    """Nothing is left in the system's temporary folder."""
    program = "from tf2spark.package.staging import staging_folder; print(staging_folder())"
    finished = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert not Path(finished.stdout.strip()).exists()

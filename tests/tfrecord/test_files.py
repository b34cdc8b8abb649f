"""`tfrecord.files`: the files at paths, in folders and by globs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tf2spark.errors import ContractError, StorageError
from tf2spark.tfrecord.files import find_files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tmp_path = tmp_path / "folder"
    tmp_path.mkdir()
    for name in (
        "b.tfrecord",
        "a.tfrecord",
        "c d.gz",
        "_SUCCESS",
        ".a.tfrecord.crc",
        "x[1].tfrecord",
    ):
        (tmp_path / name).write_bytes(b"x" * len(name))
    return tmp_path


def names(*paths: str, recursive: bool = False) -> list[str]:
    return [Path(each.path).name for each in find_files(paths, recursive=recursive)]


def test_a_folder_has_its_files_by_name(folder: Path) -> None:
    """Hidden ones are left out, and sizes are known."""
    found = find_files([str(folder)])
    assert [Path(each.path).name for each in found] == [
        "a.tfrecord", "b.tfrecord", "c d.gz", "x[1].tfrecord"
    ]  # fmt: skip
    assert found[0].size == len("a.tfrecord")
    assert names(folder.as_uri()) == [Path(each.path).name for each in found]


def test_globs_match_names(folder: Path) -> None:
    """In any part of a path; hidden files only if the glob says so."""
    assert names(f"{folder}/*.tfrecord") == ["a.tfrecord", "b.tfrecord", "x[1].tfrecord"]
    assert names(f"{folder}/{{a,c}}*") == ["a.tfrecord", "c d.gz"]
    assert names(f"{folder}/[ab].tf?ecord") == ["a.tfrecord", "b.tfrecord"]
    assert names(f"{folder.parent}/fold*/b*") == ["b.tfrecord"]
    assert names(f"{folder}/x[1].tfrecord") == ["x[1].tfrecord"]  # a file of that very name


def test_paths_keep_their_order(folder: Path) -> None:
    """A hidden file that is named is read."""
    assert names(str(folder / "b.tfrecord"), str(folder / "_SUCCESS")) == ["b.tfrecord", "_SUCCESS"]


def test_subfolders_are_read_only_if_asked(folder: Path) -> None:
    """They could be partitions, whose columns would be lost."""
    (folder / "dt=1").mkdir()
    (folder / "dt=1" / "z").write_bytes(b"z")
    with pytest.raises(ContractError, match='subfolder, "dt=1"'):
        names(str(folder))
    assert names(str(folder), recursive=True)[-2:] == ["z", "x[1].tfrecord"]


def test_missing_files_are_errors(folder: Path) -> None:
    """An empty table would hide a typo."""
    with pytest.raises(StorageError, match="no such file or folder"):
        names(str(folder / "nowhere"))
    with pytest.raises(StorageError, match="no file or folder matches"):
        names(f"{folder}/*.nothing")
    with pytest.raises(StorageError, match="can't be reached"):
        names("strange://host/path")

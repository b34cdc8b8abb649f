"""`known_hashes`: a large file is hashed once, and nobody can make another pass for it."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from tf2spark.package import known_hashes
from tf2spark.package.known_hashes import FOLDER, known_sha256_of, remember
from tf2spark.package.safe_files import Stamp, sha256_of


@pytest.fixture(autouse=True)
def small_files_are_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_hashes, "LARGE_BYTES", 10)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "cache"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that was written long ago: the clock is 10 s ahead."""
    path = tmp_path / "weights"
    path.write_bytes(b"a" * 100)
    clock = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: clock() + 10 * 10**9)
    return path


def known(path: Path, root: Path | None, *, is_ours: bool = False) -> str:
    with path.open("rb") as stream:
        return known_sha256_of(stream, root, is_ours=is_ours)


def is_remembered(path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Return whether a file's hash is known without reading it."""
    with monkeypatch.context() as patch:
        patch.setattr(known_hashes, "sha256_of", lambda stream: ("read", 0))
        return known(path, None) == "read" and known(path, root) == sha256(path)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_large_file_is_hashed_once(
    file: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second look needs no more than its stamp."""
    assert known(file, root) == sha256(file)
    assert is_remembered(file, root, monkeypatch)


def test_a_small_file_is_hashed_every_time(
    file: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is kept for files that are read in milliseconds, or where there is no cache."""
    file.write_bytes(b"small")
    assert known(file, root) == sha256(file)
    assert known(file, None) == sha256(file)
    assert not (root / FOLDER).exists()


def test_a_changed_file_is_hashed_again(file: Path, root: Path) -> None:
    """A change that keeps size and modification time still changes the inode's time."""
    known(file, root)
    status = file.stat()
    time.sleep(0.02)
    file.write_bytes(b"b" * 100)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert file.stat().st_mtime_ns == status.st_mtime_ns
    assert known(file, root) == sha256(file)


def test_a_file_in_its_place_is_hashed_again(file: Path, root: Path, tmp_path: Path) -> None:
    """Another file at the same path is another file."""
    known(file, root)
    (tmp_path / "other").write_bytes(b"b" * 100)
    os.utime(tmp_path / "other", ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns))
    (tmp_path / "other").rename(file)
    assert known(file, root) == sha256(file)


def test_a_fresh_file_is_not_remembered(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file written a moment ago could be written again within the same tick of the clock."""
    fresh = tmp_path / "fresh"
    fresh.write_bytes(b"a" * 100)
    known(fresh, root)
    assert not is_remembered(fresh, root, monkeypatch)
    known(fresh, root, is_ours=True)  # nobody else writes to it
    assert is_remembered(fresh, root, monkeypatch)


def test_what_was_just_written_is_remembered(
    file: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy that was hashed while it was written isn't read again."""
    remember(root, Stamp.of(file.stat()), sha256(file))
    assert is_remembered(file, root, monkeypatch)


def test_it_is_forgotten_at_the_next_boot(
    file: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another system may have written to the disk meanwhile."""
    known(file, root)
    monkeypatch.setattr(known_hashes, "boot_id", lambda: "another boot")
    assert not is_remembered(file, root, monkeypatch)
    monkeypatch.setattr(known_hashes, "boot_id", lambda: None)
    assert known(file, root) == sha256(file)
    assert not is_remembered(file, root, monkeypatch)


def test_a_file_that_changes_while_it_is_hashed_is_not_remembered(
    file: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read may be half of each."""
    with monkeypatch.context() as patch, file.open("rb") as stream:

        def change_and_hash(stream: object) -> tuple[str, int]:
            file.write_bytes(b"b" * 101)
            return "f" * 64, 100

        patch.setattr(known_hashes, "sha256_of", change_and_hash)
        known_sha256_of(stream, root)
    assert list((root / FOLDER).iterdir() if (root / FOLDER).exists() else ()) == []


def plant(root: Path, sha256: str) -> Path:
    """Replace what is remembered."""
    (path,) = (root / FOLDER).iterdir()
    path.write_text(sha256)
    return path


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_what_others_may_write_is_not_believed(file: Path, root: Path, mode: int) -> None:
    """A hash in a file that its group or others may write to is computed again."""
    known(file, root)
    plant(root, "f" * 64).chmod(mode)
    assert known(file, root) == sha256(file)


def test_what_lies_in_a_folder_of_others_is_not_believed(file: Path, root: Path) -> None:
    """Whoever may rename files in the folder could give one file the hash of another."""
    known(file, root)
    plant(root, "f" * 64)
    (root / FOLDER).chmod(0o777)
    assert known(file, root) == sha256(file)


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
def test_what_another_user_owns_is_not_believed(file: Path, root: Path) -> None:
    """Another user's file could have any hash."""
    known(file, root)
    os.chown(plant(root, "f" * 64), 65534, -1)
    assert known(file, root) == sha256(file)


@pytest.mark.parametrize("content", ["", "f" * 63, "F" * 64, "f" * 64 + "\n", "f" * 1000])
def test_nonsense_is_not_believed(file: Path, root: Path, content: str) -> None:
    """What isn't a hash is computed again."""
    known(file, root)
    plant(root, content)
    assert known(file, root) == sha256(file)


def test_a_link_or_a_pipe_in_its_place_is_not_followed(
    file: Path, root: Path, tmp_path: Path
) -> None:
    """The file itself has the hash."""
    known(file, root)
    (tmp_path / "planted").write_text("f" * 64)
    (path,) = (root / FOLDER).iterdir()
    path.unlink()
    path.symlink_to(tmp_path / "planted")
    assert known(file, root) == sha256(file)
    path.unlink()
    os.mkfifo(path)
    assert known(file, root) == sha256(file)


def test_old_hashes_are_removed(file: Path, root: Path) -> None:
    """What nobody needed for a month is forgotten."""
    known(file, root)
    (path,) = (root / FOLDER).iterdir()
    known_hashes.forget_old(root)
    assert path.exists()
    os.utime(path, (0, 0))
    known_hashes.forget_old(root)
    assert not path.exists()
    known_hashes.forget_old(root / "nowhere")


def test_a_stream_is_hashed_from_where_it_is(file: Path) -> None:
    """The helper returns the hash and the size of the rest."""
    with file.open("rb") as stream:
        stream.seek(90)
        assert sha256_of(stream) == (hashlib.sha256(b"a" * 10).hexdigest(), 10)

"""`staging`: copies that stay what they are, under names that say what they contain."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tf2spark.errors import ModelError
from tf2spark.package.file_source import ShippedFiles
from tf2spark.package.manifest import FileEntry
from tf2spark.package.run_id import new_run_id
from tf2spark.package.staging import remove_abandoned, staged_copy, staged_path


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
    copy = staged_copy(entry, ShippedFiles(lambda _: source))
    with source.open("r+b") as stream:
        stream.write(b"changed")
    assert copy == staged_path(entry)
    assert hashlib.sha256(copy.read_bytes()).hexdigest() == entry.sha256


def test_a_file_is_staged_once(entry: FileEntry, tmp_path: Path) -> None:
    """The same content has the same name, so it isn't copied again, and no part of it is left."""
    source = ShippedFiles(lambda _: tmp_path / "source.txt")
    copy = staged_copy(entry, source)
    (tmp_path / "source.txt").unlink()
    assert staged_copy(entry, source) == copy
    assert [path for path in copy.parent.iterdir() if entry.stored in path.name] == [copy]


def test_other_bytes_are_not_staged(entry: FileEntry, tmp_path: Path) -> None:
    """A file that changed after it was checked is an error, and no part of it is left."""
    (tmp_path / "source.txt").write_bytes(b"changed")
    with pytest.raises(ModelError, match=r"source.txt\" \(assets/words.txt\) is damaged"):
        staged_copy(entry, ShippedFiles(lambda _: tmp_path / "source.txt"))
    folder = staged_path(entry).parent
    assert [path for path in folder.iterdir() if entry.stored in path.name] == []


def test_the_folder_is_removed_when_the_process_ends() -> None:
    """Nothing is left in the system's temporary folder."""
    program = "from tf2spark.package.staging import staging_folder; print(staging_folder())"
    finished = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert not Path(finished.stdout.strip()).exists()


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder of the system, for this process and those that it starts."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def start(program: str) -> tuple[subprocess.Popen[str], Path]:
    """Start a process that makes its folder, prints it and runs a program; return both."""
    code = f"from tf2spark.package.staging import *\nprint(staging_folder(), flush=True)\n{program}"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_a_killed_process_s_folder_is_removed_by_the_next(temporary: Path) -> None:
    """While the process lives, the folder stays; it is named when it goes."""
    process, folder = start("import time; time.sleep(60)")
    assert folder.parent == temporary
    assert remove_abandoned() == []
    assert folder.is_dir()
    process.kill()
    process.communicate()
    assert remove_abandoned() == [f"removed {folder}, which a run that was killed had left"]
    assert not folder.exists()


def test_a_process_removes_what_others_left_when_it_makes_its_own(temporary: Path) -> None:
    """Without a call, so that crashes don't fill the disk of a service."""
    process, killed = start("import time; time.sleep(60)")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    process, own = start("")
    process.communicate()
    assert (killed.exists(), own.exists()) == (False, False)
    assert list(temporary.iterdir()) == []


def test_a_forked_process_leaves_the_folder_to_its_parent(temporary: Path) -> None:
    """It isn't removed when a child ends."""
    program = "import os, sys\nif os.fork() == 0: sys.exit()\nos.wait()\nprint(os.listdir())"
    process, folder = start(f"import os; os.chdir(staging_folder())\n{program}")
    assert process.communicate()[0] == "['files']\n"
    assert not folder.exists()


def test_another_machine_s_folder_goes_after_a_week_unless_it_is_locked(temporary: Path) -> None:
    """A container that shares the folder has other process ids; its lock says that it works."""
    folder = temporary / "tf2spark-staging-00000000-1-1-00000000"
    folder.mkdir()
    assert remove_abandoned() == []
    os.utime(folder, (0, 0))
    lock = "import fcntl, os, sys; fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_SH)"
    command = [sys.executable, "-c", f"{lock}; print(); input()", str(folder)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    assert remove_abandoned() == []
    process.communicate("\n")
    assert len(remove_abandoned()) == 1
    assert not folder.exists()


@pytest.mark.parametrize("name", ["tf2spark-staging-mine", "tf2spark-0", "other-{}"])
def test_other_folders_are_not_touched(name: str, temporary: Path) -> None:
    """Only what the package named is its own."""
    (temporary / name.format(new_run_id())).mkdir()
    assert remove_abandoned() == []
    assert len(list(temporary.iterdir())) == 1


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files to another user")
def test_another_user_s_folder_is_not_touched(temporary: Path) -> None:
    """Not even by root."""
    process, folder = start("import time; time.sleep(60)")
    process.kill()
    process.communicate()
    os.chown(folder, 12345, 12345)
    assert remove_abandoned() == []
    assert folder.is_dir()

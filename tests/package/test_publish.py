"""`publish`: an output is the old one or the new one at any moment, whoever is killed or writes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from cases.outputs import OTHER_MACHINE, content, ended_run, names, table
from tf2spark.package import publish
from tf2spark.package.publish import exchange, recover, rename_new, staged_path
from tf2spark.package.run_id import new_run_id

FALLBACK = "publish._renameat2 = lambda *arguments: False"


@pytest.fixture(params=["exchange", "two renames"])
def any_file_system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """A file system that can exchange names, and one that can't."""
    if request.param == "two renames":
        monkeypatch.setattr(publish, "_renameat2", lambda *arguments: False)
    return bool(request.param == "exchange")


@pytest.fixture(params=["folder", "empty folder", "file", "link", "dangling link"])
def existing(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Whatever may stand in the output's place."""
    target = tmp_path / "out"
    if request.param == "folder":
        table(target, "old")
    elif request.param == "empty folder":
        target.mkdir()
    elif request.param == "file":
        target.write_text("old")
    else:
        target.symlink_to(tmp_path if request.param == "link" else tmp_path / "nowhere")
    return target


@pytest.mark.usefixtures("any_file_system")
def test_a_new_output_gets_its_name(tmp_path: Path) -> None:
    """Nothing stays next to it."""
    for overwrite in (False, True):
        target = tmp_path / f"out-{overwrite}"
        publish.publish(table(staged_path(target), "new"), target, overwrite=overwrite)
        assert content(target) == "new"
    assert names(tmp_path) == ["out-False", "out-True"]


@pytest.mark.usefixtures("any_file_system")
def test_whatever_is_there_is_replaced(existing: Path) -> None:
    """With overwrite, the new one stands there, not in what was there, which is gone."""
    publish.publish(table(staged_path(existing), "new"), existing, overwrite=True)
    assert content(existing) == "new"
    assert not existing.is_symlink()
    assert names(existing.parent) == ["out"]


@pytest.mark.usefixtures("any_file_system")
def test_nothing_is_replaced_without_overwrite(existing: Path) -> None:
    """What appeared stays as it is, and the staged one stays where it is."""
    before = existing.lstat().st_ino
    staged = table(staged_path(existing), "new")
    with pytest.raises(FileExistsError):
        publish.publish(staged, existing, overwrite=False)
    assert existing.lstat().st_ino == before
    assert content(staged) == "new"


def test_two_names_are_exchanged_in_one_step(tmp_path: Path) -> None:
    """Where the file system can do it, as those of the tests can."""
    first, second = table(tmp_path / "a", "a"), table(tmp_path / "b", "b")
    if not exchange(first, second):
        pytest.skip("this file system can't exchange names")
    assert (content(first), content(second)) == ("b", "a")
    with pytest.raises(FileNotFoundError):
        exchange(first, tmp_path / "none")


def test_a_reader_always_finds_a_whole_table(tmp_path: Path) -> None:
    """While an output is replaced again and again, its name is never missing."""
    target = table(tmp_path / "out", "old")
    if not exchange(table(tmp_path / "a", "a"), table(tmp_path / "b", "b")):
        pytest.skip("this file system can't exchange names")
    ended, missing = threading.Event(), []

    def watch() -> None:
        while not ended.is_set():
            if not target.is_dir():
                missing.append(True)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for number in range(200):
            publish.publish(table(staged_path(target), str(number)), target, overwrite=True)
    finally:
        ended.set()
        watcher.join()
    assert not missing


@pytest.mark.usefixtures("any_file_system")
def test_runs_that_replace_it_at_once_all_end(tmp_path: Path) -> None:
    """The last one wins; nothing is nested, and nothing is left."""
    target = table(tmp_path / "out", "old")
    program = f"""
import sys
from pathlib import Path
from tf2spark.package import publish
{FALLBACK if publish._renameat2.__name__ == "<lambda>" else ""}
target = Path({str(target)!r})
for number in range(100):
    staged = publish.staged_path(target)
    staged.mkdir()
    (staged / "part").write_text(sys.argv[1])
    publish.publish(staged, target, overwrite=True)
"""
    runs = [subprocess.Popen([sys.executable, "-c", program, name]) for name in "ab"]
    assert [run.wait(60) for run in runs] == [0, 0]
    assert content(target) in ("a", "b")
    assert names(tmp_path) == ["out"]


def killed_at(step: str, target: Path, *, fallback: bool) -> None:
    """Replace `target` in a process that is killed right after, or before, a step."""
    program = f"""
import os, signal
from pathlib import Path
from tf2spark.package import publish
{FALLBACK if fallback else ""}
target, (when, number) = Path({str(target)!r}), {step.split()!r}
staged = publish.staged_path(target)
staged.mkdir()
(staged / "part").write_text("new")
calls = 0

def killing(function):
    def call(*arguments, **options):
        global calls
        calls += 1
        if when == "before" and calls == int(number):
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            return function(*arguments, **options)
        finally:
            if when == "after" and calls == int(number):
                os.kill(os.getpid(), signal.SIGKILL)
    return call

if {fallback}:
    publish.os.rename = killing(os.rename)
else:
    publish._renameat2 = killing(publish._renameat2)
publish.shutil.rmtree = killing(publish.shutil.rmtree)
publish.publish(staged, target, overwrite=True)
print("not killed")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done


@pytest.mark.parametrize("step", [f"{when} {n}" for n in (1, 2, 3) for when in ("before", "after")])
@pytest.mark.parametrize("fallback", [False, True], ids=["exchange", "two renames"])
def test_a_run_killed_at_any_step_leaves_a_whole_output(
    step: str, fallback: bool, tmp_path: Path
) -> None:
    """By exchange at once; by two renames after the next start, which also removes what is left."""
    target = table(tmp_path / "out", "old")
    killed_at(step, target, fallback=fallback)
    if not fallback:
        assert content(target) in ("old", "new")
    notes = recover(target)
    assert content(target) in ("old", "new")
    assert names(tmp_path) == ["out"]
    assert bool(notes) == (step != "after 3")
    assert recover(target) == []


def test_the_new_table_is_put_in_the_place_that_was_left_empty(tmp_path: Path) -> None:
    """Between the two renames, the new table is finished, so it is what the next start finds."""
    target = table(tmp_path / "out", "old")
    killed_at("after 1", target, fallback=True)
    assert not target.exists()
    first, second = recover(target)
    assert first == (f"a run was killed while it replaced {target}: its new rows are there now")
    assert second.startswith(f"removed {tmp_path}/.out.old-")
    assert content(target) == "new"


def test_an_unfinished_table_never_takes_the_place(tmp_path: Path) -> None:
    """A run that was killed while it wrote has moved nothing away: its part is removed."""
    table(tmp_path / f".out.tf2spark-{ended_run()}", "part")
    (note,) = recover(tmp_path / "out")
    assert note.startswith(f"removed {tmp_path}/.out.tf2spark-")
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "run_id", [OTHER_MACHINE, "0123456789ab"], ids=["other machine", "old name"]
)
def test_an_old_table_is_put_back_whoever_moved_it(run_id: str, tmp_path: Path) -> None:
    """A run of another machine, or of an earlier version: what it is doing isn't known."""
    table(tmp_path / f".out.old-{run_id}", "old")
    table(tmp_path / f".out.tf2spark-{run_id}", "part")
    notes = recover(tmp_path / "out")
    assert content(tmp_path / "out") == "old"
    assert "the old rows are there now" in notes[0]
    assert f".out.tf2spark-{run_id} may belong to a run on another machine" in notes[1]
    assert names(tmp_path) == [f".out.tf2spark-{run_id}", "out"]


def test_of_several_old_tables_the_last_that_was_moved_is_put_back(tmp_path: Path) -> None:
    """Whatever their names, and however old their files are."""
    for number in (3, 1, 2):
        moved = table(tmp_path / str(number), str(number))
        os.utime(moved, (10 - number, 10 - number))
        time.sleep(0.05)  # so that the times differ
        moved.rename(tmp_path / f".out.old-00000000-1-1-0000000{number}")
    recover(tmp_path / "out")
    assert content(tmp_path / "out") == "2"


def test_a_running_run_is_left_alone(tmp_path: Path) -> None:
    """Its parts aren't removed, and it finishes its own renames."""
    run_id = new_run_id()
    table(tmp_path / f".out.old-{run_id}", "old")
    table(tmp_path / f".out.tf2spark-{run_id}", "part")
    assert recover(tmp_path / "out") == []
    assert names(tmp_path) == [f".out.old-{run_id}", f".out.tf2spark-{run_id}"]


def test_what_another_machine_left_goes_after_a_week(tmp_path: Path) -> None:
    """Anything that was modified since then keeps it."""
    left = table(tmp_path / f".out.tf2spark-{OTHER_MACHINE}", "part")
    for path in (left / "part", left):
        os.utime(path, (0, 0))
    (left / "part").write_text("more")
    assert "may belong to a run" in recover(tmp_path / "out")[0]
    os.utime(left / "part", (0, 0))
    assert recover(tmp_path / "out")[0].startswith("removed ")
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "name",
    [".out.old-backup", ".out.tf2spark-", ".out.tf2spark-mine", ".other.tf2spark-{}", "out.old-{}",
     ".out.x.old-{}", ".out.old-{}.parquet"],
)  # fmt: skip
def test_names_of_others_are_not_touched(name: str, tmp_path: Path) -> None:
    """Only what a run named is a leftover, and only of this output."""
    table(tmp_path / name.format(ended_run()), "mine")
    before = names(tmp_path)
    assert recover(tmp_path / "out") == []
    assert names(tmp_path) == before


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files to another user")
def test_another_user_s_leftovers_are_not_touched(tmp_path: Path) -> None:
    """Not even root removes them, and they don't become the output."""
    for kind in ("tf2spark", "old"):
        os.chown(table(tmp_path / f".out.{kind}-{ended_run()}", kind), 12345, 12345)
    before = names(tmp_path)
    assert recover(tmp_path / "out") == []
    assert names(tmp_path) == before


def test_a_file_is_renamed_onto_nothing(tmp_path: Path) -> None:
    """Files are treated as folders are."""
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    with pytest.raises(FileExistsError):
        rename_new(tmp_path / "a", tmp_path / "b")
    rename_new(tmp_path / "a", tmp_path / "c")
    assert (tmp_path / "b").read_text() == "b"
    assert (tmp_path / "c").read_text() == "a"

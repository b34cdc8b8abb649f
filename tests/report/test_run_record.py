"""Records of runs: private, few, and of no harm to a run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tf2spark.report import run_record
from tf2spark.report.run_record import (
    RunRecord,
    is_running,
    last_record,
    process_start,
    runs_folder,
)


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for state in which nothing is."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


def test_the_last_event_of_each_kind_is_kept() -> None:
    """With its time, its message and what programs read; other facts come with the next event."""
    record = RunRecord("score")
    record.remember(application="app-1")
    record.add("progress", "1 of 2", {"tasks": 2})
    record.add("progress", "2 of 2", {"tasks": 2})
    read = last_record()
    assert read is not None
    assert (read["command"], read["application"]) == ("score", "app-1")
    assert list(read["events"]) == ["progress"]
    assert read["events"]["progress"]["message"] == "2 of 2"
    assert read["folder"] == os.getcwd()


def test_only_the_user_can_read_it(state: Path) -> None:
    """Also where the umask would allow more."""
    before = os.umask(0)
    try:
        RunRecord("score").add("start", "x", {})
    finally:
        os.umask(before)
    (path,) = runs_folder().iterdir()
    assert path.is_relative_to(state)
    assert (path.stat().st_mode & 0o777, runs_folder().stat().st_mode & 0o777) == (0o600, 0o700)


def test_the_newest_runs_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each run has a file of its own, so that two at a time don't mix."""
    monkeypatch.setattr(run_record, "_KEPT_RUNS", 3)
    for number in range(5):
        RunRecord("score").add("start", str(number), {})
    assert len(list(runs_folder().iterdir())) == 3
    read = last_record()
    assert read is not None
    assert read["events"]["start"]["message"] == "4"


def test_a_folder_that_cant_be_written_is_no_fault(state: Path) -> None:
    """The run goes on without a record."""
    state.write_text("a file")
    RunRecord("score").add("start", "x", {})
    assert last_record() is None


def test_a_damaged_record_is_passed_over() -> None:
    """The one before it is the last then."""
    RunRecord("score").add("start", "whole", {})
    (runs_folder() / "9999.json").write_text('{"events": ')
    read = last_record()
    assert read is not None
    assert read["events"]["start"]["message"] == "whole"


def test_a_relative_folder_is_ignored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As the specification of the folders has it."""
    monkeypatch.setenv("XDG_STATE_HOME", "state")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert runs_folder() == tmp_path / ".local" / "state" / "tf2spark" / "runs"


def test_a_process_is_known_by_when_it_started() -> None:
    """Numbers of processes are used again."""
    own = {"process": os.getpid(), "process_start": process_start(os.getpid())}
    assert is_running(own)
    assert not is_running({**own, "process_start": "another boot 12"})
    assert process_start(2**22 + 1) is None

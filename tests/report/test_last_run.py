"""The last run, explained in a paragraph: how it ended, also where it couldn't say so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tf2spark.errors import ContractError
from tf2spark.report.last_run import explain_last
from tf2spark.report.run_record import RunRecord

_STARTED = "tf2spark 0.1.0 score, model models/price, input houses, output scored"
_KILLED = """
import os, signal
from tf2spark.report.run_record import RunRecord
record = RunRecord("score")
record.add("start", "tf2spark 0.1.0 score, model models/price", {})
record.add("progress", "scoring: 3 of 96 tasks", {})
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for state in which nothing is."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def record() -> RunRecord:
    """A run that has begun."""
    started = RunRecord("score")
    started.add("start", _STARTED, {})
    return started


def explained() -> str:
    return explain_last(lambda failure: failure)


def test_a_failure(record: RunRecord) -> None:
    """What ran where, why it failed, whether a retry helps, and what became of its tasks."""
    record.add("tasks", "3 done, 4 attempts failed", {"skew": None})
    record.add("error", 'the input has no column "city"', {"exit_status": 2, "seconds": 7.25})
    text = explained()
    assert f" in {os.getcwd()}: {_STARTED}. It failed after 7.2 s, with exit status 2: " in text
    assert 'no column "city". The arguments, the model or the data are wrong' in text
    assert "Of its tasks: 3 done, 4 attempts failed." in text


def test_a_success_that_was_skewed(record: RunRecord) -> None:
    """The slowest task is named by the events; what to do about it is added."""
    record.add("tasks", "96 done, the slowest took 9 s", {"skew": 9.0})
    record.add("done", "96 rows in, 96 out", {"exit_status": 0})
    assert "It succeeded: 96 rows in, 96 out. Of its tasks: 96 done" in explained()
    assert explained().endswith("or look at that partition's rows.")


def test_an_interruption(record: RunRecord) -> None:
    """Whoever interrupted it knows whether to run it again."""
    record.add("error", "interrupted", {"exit_status": 1, "seconds": 7.25})
    assert explained().rstrip().endswith("with exit status 1: interrupted.")


def test_a_failure_before_it_began() -> None:
    """Such as a model that isn't there."""
    RunRecord("score").add("error", "no such folder", {"exit_status": 2, "seconds": 0.5})
    assert ": tf2spark score. It failed after 0.5 s, with exit status 2: no such" in explained()


def test_a_run_that_goes_on(record: RunRecord) -> None:
    """It says where it is."""
    record.add("progress", "scoring: 3 of 96 tasks", {})
    assert f"It is still running, as process {os.getpid()}. The last that it said, " in explained()
    assert explained().endswith(": progress: scoring: 3 of 96 tasks.")


def test_a_run_that_was_killed() -> None:
    """Its process is gone, and it hasn't said how it ended."""
    killed = subprocess.run([sys.executable, "-c", _KILLED], check=False)
    assert killed.returncode == -9
    assert "It was killed before it could say why" in explained()
    assert explained().endswith(": progress: scoring: 3 of 96 tasks.")


def test_no_run() -> None:
    """Then there is nothing to explain, and the message says where it would be."""
    with pytest.raises(ContractError, match=r"recorded in .*/tf2spark/runs"):
        explained()


def test_sparks_own_log_is_explained_too(record: RunRecord, tmp_path: Path) -> None:
    """Of a run that failed, where Spark wrote one on this machine."""
    (tmp_path / "app-1").write_text(
        '{"Event":"SparkListenerLogStart","Spark Version":"4.3.0"}\n'
        '{"Event":"SparkListenerJobStart","Job ID":0,"Stage IDs":[]}\n'
        '{"Event":"SparkListenerJobEnd","Job ID":0,"Job Result":{"Result":"JobFailed",'
        '"Exception":{"Message":"a worker died"}}}\n'
    )
    record.remember(application="app-1", event_log_folder=str(tmp_path))
    record.add("error", "a worker ended", {"exit_status": 1, "seconds": 1.0})
    assert "A retry may help. Spark's event log has more: " in explained()
    assert "job 0: it failed: a worker died." in explained()

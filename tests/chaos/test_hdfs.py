"""An HDFS whose daemons die and whose blocks are damaged: what passes is healed, or is named."""

from __future__ import annotations

from typing import Any

import pytest

from cases.models import case, path_of
from chaos.figures import Figures, record
from chaos.sessions import run_program

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]
_READS = ("worker", "spark")
_ROWS, _MOST_SECONDS = 6_000, 60


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Run all faults in one session, in which a task may fail three times."""
    folder = tmp_path_factory.mktemp("hdfs")
    arguments = ["local[2,4]", str(path_of(case("mlp_128"))), str(folder)]
    return run_program("hdfs_faults_job.py", *arguments, seconds=800)


@pytest.mark.parametrize("read", _READS)
@pytest.mark.parametrize("daemon", ["datanode", "namenode"])
def test_a_daemon_that_comes_back_is_waited_for(
    report: dict[str, Any], daemon: str, read: str
) -> None:
    """Rows and bits are those of an undisturbed job."""
    seen = report[f"{daemon} {read}"]
    assert seen["was_away"]
    assert seen["right"] is True


@pytest.mark.parametrize("read", _READS)
def test_a_damaged_block_is_never_read(report: dict[str, Any], read: str) -> None:
    """No row of it is scored: the job fails soon, and names the file."""
    seen = report[f"damaged {read}"]
    assert f"damaged-{read}/rows.parquet" in seen["error"]
    # Hadoop's own client waits for 20 s in each of the task's four attempts.
    assert seen["seconds"] < (_MOST_SECONDS if read == "worker" else 3 * _MOST_SECONDS)


def test_safe_mode_is_read_and_not_written(report: dict[str, Any]) -> None:
    """A table is read as ever; the output isn't begun, and the message says why."""
    assert report["safe mode reads"]["right"] is True
    assert "safe mode" in report["safe mode writes"]["error"]
    assert report["safe mode writes"]["seconds"] < _MOST_SECONDS
    assert not report["safe mode writes"]["left"]


def test_a_quota_leaves_no_output(report: dict[str, Any]) -> None:
    """The message says that it is exceeded."""
    assert "quota" in report["quota"]["error"]
    assert report["quota"]["seconds"] < _MOST_SECONDS
    assert not report["quota"]["left"]


@pytest.mark.parametrize("does", ["reads", "writes"])
def test_who_may_not_is_told(report: dict[str, Any], does: str) -> None:
    """The message names the user, what is denied, and nothing is begun."""
    seen = report[f"permission {does}"]
    assert seen["status"] in (1, 2)
    assert "ermission denied" in seen["error"]
    assert "stranger" in seen["error"]
    assert seen["seconds"] < _MOST_SECONDS
    assert not seen["left"]


def test_figures(report: dict[str, Any]) -> None:
    """They go into docs/reliability.md."""
    right = [seen for seen in report.values() if "right" in seen]
    assert all(seen["right"] is True for seen in right)
    record("hdfs", Figures(len(report), len(report), len(right) * _ROWS))

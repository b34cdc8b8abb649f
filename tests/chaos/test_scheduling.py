"""Whatever Spark gives the tasks that score, and however executors come and go, rows are right."""

from __future__ import annotations

from typing import Any

import pytest

from chaos.figures import Figures, record
from chaos.sessions import run_program

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]
_ROWS = 4_000


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Score in each way, with executors of its own."""
    return run_program("scheduling_job.py", str(tmp_path_factory.mktemp("rows")), seconds=800)


@pytest.mark.parametrize("way", ["task_cpus", "stage_of_its_own", "recommendations"])
def test_threads_follow_the_cpus_of_a_task(report: dict[str, Any], way: str) -> None:
    """Those of the session, or of the stage alone, with ``resources``."""
    assert report[way] == {"wrong": 0, "threads": [2]}


def test_executors_of_a_host_open_a_model_each(report: dict[str, Any]) -> None:
    """One worker of each, or fewer where a slot got no task."""
    seen = report["several_executors"]
    assert seen["wrong"] == 0
    assert 1 <= seen["opened"] <= seen["executors"]


def test_executors_come_and_go(report: dict[str, Any]) -> None:
    """An idle one goes while a task still runs, and the next job gets new ones."""
    seen = report["come_and_go"]
    assert seen["wrong"] == 0
    assert seen["gone_in_the_job"] >= 1
    assert seen["gone"] >= 2


def test_figures(report: dict[str, Any]) -> None:
    """They go into docs/reliability.md."""
    seen = report["come_and_go"]
    jobs = len(report) + 2  # two of a stage of its own, and two while executors come and go
    assert sum(way["wrong"] for way in report.values()) == 0
    assert seen["gone_in_the_job"] >= 1
    note = f"{seen['gone']} executors came and went, {seen['gone_in_the_job']} while a task ran"
    record("scheduling", Figures(jobs, seen["gone"], jobs * _ROWS, note=note))
